//! Where each living track has been in the last seconds.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::base::{FrameResult, Pts, RunId, TrackId, TrackState};

/// Most points kept per track.
const MAX_POINTS: usize = 24;

/// Most tracks remembered; beyond that new ones have no trail.
const MAX_TRACKS: usize = 4096;

/// One place of a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TrailPoint {
    /// Frame pixels.
    pub x: f32,
    /// Frame pixels.
    pub y: f32,
    /// 1 = now, 0 = about to be forgotten.
    pub freshness: f32,
}

#[derive(Debug)]
struct Trail {
    /// When, x, y; oldest first.
    points: VecDeque<(Pts, f32, f32)>,
    /// PTS of the last frame the track was in.
    seen: Pts,
}

/// The trails of one camera.
#[derive(Debug)]
pub(super) struct Trails {
    length: Duration,
    run: Option<RunId>,
    now: Pts,
    trails: BTreeMap<TrackId, Trail>,
}

impl Trails {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            run: None,
            now: Pts(0),
            trails: BTreeMap::new(),
        }
    }

    /// Takes in one result: every believed track leaves a point where it stands on the ground
    /// (bottom centre); trails of tracks that are no more are forgotten.
    pub(super) fn observe(&mut self, result: &FrameResult) {
        if self.length.is_zero() {
            return;
        }
        if self.run != Some(result.meta.run) {
            self.trails.clear();
            self.run = Some(result.meta.run);
        }
        self.now = result.meta.pts;
        // Two dozen points look smooth; more would only cost time.
        let step = self.length.as_secs_f64() / MAX_POINTS as f64;
        for track in &result.tracks {
            let known = self.trails.contains_key(&track.id);
            if track.state == TrackState::Tentative || (!known && self.trails.len() >= MAX_TRACKS) {
                continue;
            }
            let trail = self.trails.entry(track.id).or_insert_with(|| Trail {
                points: VecDeque::new(),
                seen: Pts(0),
            });
            trail.seen = self.now;
            let place = (self.now, track.bbox.cx(), track.bbox.bottom());
            // The newest point always is the present one; it stays when it is a step from the one before.
            let settled = match trail.points.len().checked_sub(2) {
                Some(before) => self.now.secs_since(trail.points[before].0) >= step,
                None => true,
            };
            if !settled {
                trail.points.pop_back();
            }
            trail.points.push_back(place);
            while trail.points.len() > MAX_POINTS
                || trail
                    .points
                    .front()
                    .is_some_and(|oldest| self.now.secs_since(oldest.0) > self.length.as_secs_f64())
            {
                trail.points.pop_front();
            }
        }
        let now = self.now;
        self.trails.retain(|_, trail| trail.seen == now);
    }

    /// The points of a track, oldest first.
    pub(super) fn points(&self, id: TrackId) -> impl Iterator<Item = TrailPoint> + '_ {
        let length = self.length.as_secs_f64();
        let points = self.trails.get(&id).map(|trail| trail.points.iter());
        points
            .into_iter()
            .flatten()
            .map(move |&(pts, x, y)| TrailPoint {
                x,
                y,
                freshness: (1.0 - self.now.secs_since(pts) / length).clamp(0.0, 1.0) as f32,
            })
    }
}
