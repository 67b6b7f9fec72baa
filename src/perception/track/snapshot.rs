//! What a tracker remembers, as a value: for a restart, and for a time in which nobody watched.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::appearance::Likeness;
use super::lifecycle::Track;
use super::scale::ScoreScale;
use super::{TrackOptions, Tracker};
use crate::base::{Detection, EndReason, EndedTrack, Pts, TrackId};

/// Most tracks in a snapshot: of more, those that were believed first.
const MAX_TRACKS: usize = 1024;
/// Most tracks whose looks are in a snapshot: a look is a vector of up to 1024 numbers, and a track has
/// up to ten of them.
const MAX_LOOKS: usize = 256;

/// An object slower than this stands, in sizes of its own per second: boxes of standing objects are
/// seen to wander by about half of it.
const STANDING: f64 = 0.1;
/// A moving object is not awaited farther along its way than this, in sizes of its own: beyond, a
/// change of its speed by a tenth leaves nothing of the overlap that is asked for.
const FARTHEST: f64 = 3.0;
/// Least IoU of an awaited track with what is taken for it: much more than from frame to frame, since
/// another object may have come meanwhile.
const LEAST_IOU: f32 = 0.3;
/// Part of the tracker's memory that an absence uses up at most.
const MEMORY_USED: f64 = 0.5;

/// Everything that a tracker knows, but its options.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrackerState {
    last_id: u64,
    last_birth: u64,
    last_pts: Option<Pts>,
    scale: ScoreScale,
    likeness: Likeness,
    steps: u64,
    tracks: Vec<Track>,
    dormant: Vec<Track>,
}

/// For how long nobody may have watched, so that objects go on as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    /// One that stands.
    pub standing: Duration,
    /// One that moves.
    pub moving: Duration,
}

impl TrackerState {
    /// Is it one that a tracker can have been in? Guards against a file that is whole but wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let all = || self.tracks.iter().chain(&self.dormant);
        let ids: Vec<TrackId> = all().filter_map(|track| track.id).collect();
        let distinct: BTreeSet<TrackId> = ids.iter().copied().collect();
        let is_finite = |track: &Track| {
            track.filter.bbox().is_some()
                && track.filter.velocity().iter().all(|it| it.is_finite())
                && track.unseen_secs.is_finite()
                && track.usual_height() > 0.0
                && track.usual_height().is_finite()
        };
        distinct.len() == ids.len()
            && ids.iter().all(|id| id.0 <= self.last_id)
            && all().all(|track| track.birth <= self.last_birth && is_finite(track))
    }

    /// Objects begin anew, and what was learnt from their scores and looks; numbers go on.
    pub fn forget_objects(&mut self) {
        *self = Self {
            last_id: self.last_id,
            last_birth: self.last_birth,
            last_pts: self.last_pts,
            ..Tracker::new(TrackOptions::default()).state()
        };
    }

    /// The objects that are followed or remembered.
    pub fn ids(&self) -> impl Iterator<Item = TrackId> {
        let all = self.tracks.iter().chain(&self.dormant);
        all.filter_map(|track| track.id)
    }
}

/// Whether what is seen can be the track that is awaited, which overlaps it by `iou`: at its place, and
/// of a class that it was seen as.
pub(super) fn agrees(track: &Track, seen: &Detection, iou: f32) -> bool {
    iou >= LEAST_IOU && track.class.share(seen.class) > 0.0
}

impl Tracker {
    /// What it knows now, at most as much as a snapshot holds.
    #[must_use]
    pub fn state(&self) -> TrackerState {
        let (likeness, steps) = self.appearance.learnt();
        let has_room = self.tracks.len() <= MAX_TRACKS;
        let kept = self
            .tracks
            .iter()
            .filter(|it| has_room || it.is_confirmed());
        let mut tracks: Vec<Track> = kept.take(MAX_TRACKS).cloned().collect();
        let room = MAX_TRACKS - tracks.len();
        let mut dormant: Vec<Track> = self.appearance.dormant.iter().take(room).cloned().collect();
        let mut looks = MAX_LOOKS;
        for track in tracks.iter_mut().chain(&mut dormant) {
            let count = usize::from(track.look.is_some()) + usize::from(track.doubt.is_some());
            if count > looks {
                (track.look, track.doubt) = (None, None);
            } else {
                looks -= count;
            }
        }
        TrackerState {
            last_id: self.last_id,
            last_birth: self.last_birth,
            last_pts: self.last_pts,
            scale: self.scale.clone(),
            likeness: likeness.clone(),
            steps: steps as u64,
            tracks,
            dormant,
        }
    }

    /// Goes on where a tracker was that was in this state; only options stay.
    pub fn restore(&mut self, state: TrackerState) {
        self.last_id = state.last_id;
        self.last_birth = state.last_birth;
        self.last_pts = state.last_pts;
        self.scale = state.scale;
        self.score_factor = 1.0;
        self.tracks = state.tracks;
        self.warp = None;
        let steps = usize::try_from(state.steps).unwrap_or(0);
        self.appearance.go_on(state.likeness, steps, state.dormant);
    }

    /// Nobody watched from the last step until `pts`. Standing objects wait where they are, moving
    /// ones are awaited along their way, and both go on as the same if something is seen that agrees.
    /// What was gone for longer than is allowed, or went too far, ends, unless its look can still find it.
    /// Tracks without an id are dropped.
    pub fn pass_absence(&mut self, pts: Pts, allowed: &Absence) -> Vec<EndedTrack> {
        let secs = self
            .last_pts
            .map_or(0.0, |last| pts.secs_since(last).max(0.0));
        self.last_pts = Some(pts);
        self.warp = None;
        let most_unseen = MEMORY_USED * self.options.memory.as_secs_f64();
        let mut ended = Vec::new();
        let end = |track: &Track| {
            track.id.map(|id| EndedTrack {
                id,
                reason: EndReason::RunEnded,
            })
        };
        let longest = self.options.lost_with_appearance.as_secs_f64();
        self.appearance.dormant.retain_mut(|lost| {
            lost.unseen_secs += secs;
            let is_over = lost.unseen_secs > longest;
            if is_over {
                ended.extend(end(lost));
            }
            !is_over
        });
        for mut track in std::mem::take(&mut self.tracks) {
            if !track.is_confirmed() {
                continue;
            }
            let speed = track.sizes_per_second();
            let stands = speed <= STANDING;
            let goes_on = if stands {
                secs <= allowed.standing.as_secs_f64()
            } else {
                secs <= allowed.moving.as_secs_f64() && speed * secs <= FARTHEST
            };
            if goes_on {
                track.pass(secs, stands, most_unseen);
                self.tracks.push(track);
                continue;
            }
            track.unseen_secs += secs;
            track.miss();
            if self.appearance.keeps(&track, &self.options) {
                self.appearance.dormant.push(track);
            } else {
                ended.extend(end(&track));
            }
        }
        ended.sort_unstable_by_key(|track| track.id);
        ended
    }

    /// Is there any track, or an object that is remembered?
    #[must_use]
    pub fn follows_any(&self) -> bool {
        !self.tracks.is_empty() || !self.appearance.dormant.is_empty()
    }

    /// Tracks from before an absence that were seen again after it, so far.
    #[must_use]
    pub fn gone_on(&self) -> u64 {
        self.gone_on
    }
}
