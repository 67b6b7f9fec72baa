//! One object over time: one track, or several where an id broke and was continued.

use geo::Coord;
use serde::{Deserialize, Serialize};

use super::ground::{Ground, GroundTrail};
use super::line::LineState;
use super::path::Path;
use super::plan::Anchor;
use super::still::Still;
use super::visit::Visit;
use crate::base::{BBox, ClassId, ObjectTrace, PathPoint, Pts, TrackId, TrackSnapshot};

/// Most ids remembered of an object that goes on breaking; the oldest go.
const MAX_TRACKS: usize = 8;

/// An object and what it has done at each zone and line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Object {
    tracks: Vec<TrackId>,
    pub class: ClassId,
    class_share: f32,
    confidence_sum: f64,
    sightings: u32,
    pub bbox: BBox,
    /// Velocity of the centre when last seen, px/s.
    pub velocity: [f32; 2],
    pub last_seen: Pts,
    /// The tracker has given up the track it was followed as.
    pub has_ended: bool,
    /// Of the time since it was last seen, so much passed with nobody watching, s.
    pub unwatched_secs: f64,
    path: Path,
    pub still: Still,
    pub ground: GroundTrail,
    /// By line.
    pub lines: Vec<LineState>,
    /// By zone.
    pub visits: Vec<Visit>,
    /// The line it crossed last.
    pub last_line: Option<usize>,
}

impl Object {
    /// An object that is seen for the first time.
    pub fn new(track: &TrackSnapshot, now: Pts, lines: usize, zones: usize) -> Self {
        Self {
            tracks: vec![track.id],
            class: track.class,
            class_share: track.class_share,
            confidence_sum: 0.0,
            sightings: 0,
            bbox: track.bbox,
            velocity: track.velocity,
            last_seen: now,
            has_ended: false,
            unwatched_secs: 0.0,
            path: Path::new(path_point(track, now)),
            still: Still::new(Anchor::BottomCenter.of(&track.bbox), now),
            ground: GroundTrail::default(),
            lines: vec![LineState::default(); lines],
            visits: vec![Visit::default(); zones],
            last_line: None,
        }
    }

    /// The track it is followed as now.
    pub fn track(&self) -> TrackId {
        *self
            .tracks
            .last()
            .expect("an object has a track from its birth")
    }

    /// Is it one that can have been? Guards against a file that is whole but wrong.
    pub fn is_sound(&self) -> bool {
        !self.tracks.is_empty() && self.size() > 0.0 && self.unwatched_secs >= 0.0
    }

    /// Has it been followed as this track?
    pub fn was(&self, track: TrackId) -> bool {
        self.tracks.contains(&track)
    }

    /// It goes on as another track, or again as one that it was before.
    pub fn continue_as(&mut self, track: TrackId) {
        self.tracks.retain(|known| *known != track);
        self.tracks.push(track);
        self.has_ended = false;
        if self.tracks.len() > MAX_TRACKS {
            self.tracks.remove(0);
        }
    }

    /// Takes in a frame in which it was seen.
    pub fn see(&mut self, track: &TrackSnapshot, ground: Option<&Ground>, now: Pts) {
        self.class = track.class;
        self.class_share = track.class_share;
        self.confidence_sum += f64::from(track.confidence);
        self.sightings = self.sightings.saturating_add(1);
        self.bbox = track.bbox;
        self.velocity = track.velocity;
        self.last_seen = now;
        self.unwatched_secs = 0.0;
        self.path.add(path_point(track, now));
        let feet = Anchor::BottomCenter.of(&track.bbox);
        self.still.observe(feet, self.size(), now);
        if let Some(ground) = ground {
            self.ground.observe(ground, feet, self.size(), now);
        }
    }

    /// Its size, px: the mean of width and height of its box.
    pub fn size(&self) -> f64 {
        f64::from(self.bbox.width() + self.bbox.height()) / 2.0
    }

    /// Where its centre was last seen, px.
    pub fn centre(&self) -> Coord {
        Anchor::Center.of(&self.bbox)
    }

    /// How fast its centre moves, in its own sizes per second.
    pub fn sizes_per_second(&self) -> f64 {
        f64::from(self.velocity[0].hypot(self.velocity[1])) / self.size()
    }

    /// It as the evidence of an event.
    pub fn trace(&self, ground: Option<&Ground>) -> ObjectTrace {
        let mean = self.confidence_sum / f64::from(self.sightings.max(1));
        ObjectTrace {
            tracks: self.tracks.clone(),
            class: self.class,
            class_share: self.class_share,
            confidence: mean as f32,
            sightings: self.sightings,
            bbox: self.bbox,
            path: self.path.points(),
            speed: ground.and_then(|ground| self.ground.speed(ground)),
        }
    }
}

fn path_point(track: &TrackSnapshot, pts: Pts) -> PathPoint {
    PathPoint {
        pts,
        x: track.bbox.cx(),
        y: track.bbox.bottom(),
    }
}
