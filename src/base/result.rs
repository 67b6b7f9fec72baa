//! What the detector saw and what the tracker made of it.

use std::sync::Arc;
use std::time::Duration;

use super::{
    BBox, ClassId, Embedding, Frame, FrameDecisions, FrameMeta, Pts, SceneCounts, Size, TrackId,
};

/// What the model saw in one frame, in frame pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Where.
    pub bbox: BBox,
    /// What.
    pub class: ClassId,
    /// Score, 0..=1, finite.
    pub confidence: f32,
    /// What it looks like, where a network says so. Never published.
    pub embedding: Option<Embedding>,
}

/// Where a track is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackState {
    /// Seen too few times to be believed.
    Tentative,
    /// Believed, and seen when the detector looked last: in this frame, unless the tracks were carried
    /// to it ([`FrameResult::is_detected`]).
    Confirmed,
    /// Believed, not seen when the detector looked last; its box is predicted.
    Coasting,
}

impl TrackState {
    /// The name used in published results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tentative => "tentative",
            Self::Confirmed => "confirmed",
            Self::Coasting => "coasting",
        }
    }
}

/// Why a track ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Not seen for longer than the tracker remembers.
    Lost,
    /// Never seen often enough to be believed.
    Unconfirmed,
    /// The same object as an older track.
    Duplicate,
    /// The camera's run ended.
    RunEnded,
}

impl EndReason {
    /// The name used in published results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Unconfirmed => "unconfirmed",
            Self::Duplicate => "duplicate",
            Self::RunEnded => "run_ended",
        }
    }
}

/// One track as it stood at one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackSnapshot {
    /// Its identity.
    pub id: TrackId,
    /// Its class.
    pub class: ClassId,
    /// Share of the confidence-weighted vote of its detections that the class has, 0..=1.
    pub class_share: f32,
    /// Score of the last detection that belongs to it, 0..=1.
    pub confidence: f32,
    /// Where it is, frame pixels: the filter's estimate, predicted while coasting.
    pub bbox: BBox,
    /// Velocity of the centre, px/s, (x, y).
    pub velocity: [f32; 2],
    /// Where it is in its life.
    pub state: TrackState,
    /// While it coasts: it is most likely there, because something nearer hides it, or because it was
    /// surely seen, and was seen a moment ago.
    pub is_presumed: bool,
    /// When it was first seen.
    pub first_seen: Pts,
    /// When it was last seen.
    pub last_seen: Pts,
    /// How long it was known before the run began; 0 for one that was first seen in it. Times of a
    /// run count from its beginning, so that what lies before it does not show in `first_seen`.
    pub before_run: Duration,
}

impl TrackSnapshot {
    /// Whether the object is there, seen or presumed, and a part of its box in a picture of this size.
    #[must_use]
    pub fn is_present(&self, picture: Option<Size>) -> bool {
        let is_inside = |size: Size| {
            let (width, height) = (size.width as f32, size.height as f32);
            self.bbox.clip(width, height).is_some()
        };
        (self.state == TrackState::Confirmed || self.is_presumed) && picture.is_none_or(is_inside)
    }
}

/// A confirmed track that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedTrack {
    /// Its identity.
    pub id: TrackId,
    /// Why it ended.
    pub reason: EndReason,
}

/// Wall time spent on one frame. Never published: it differs from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// Planes → tensor.
    pub preprocess: Duration,
    /// The network.
    pub inference: Duration,
    /// Tensors → detections.
    pub decode: Duration,
    /// Detections → tracks.
    pub track: Duration,
    /// From leaving the decoder to the result.
    pub age: Duration,
}

/// Where a frame is in a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Name of the file, without its folder.
    pub file: Arc<str>,
    /// PTS of the frame in that file, ns.
    pub pts_ns: u64,
}

/// The pictures of an event: names of files, without their folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictured {
    /// The whole frame.
    pub frame: Arc<str>,
    /// The object with its surroundings, where the frame shows it.
    pub object: Option<Arc<str>>,
}

/// Everything known about one frame, as published.
#[derive(Debug, Clone)]
pub struct FrameResult {
    /// Which frame.
    pub meta: FrameMeta,
    /// Whether the detector looked at this frame; if not, tracks were carried to it by their motion
    /// and the picture.
    pub is_detected: bool,
    /// Number of detections given to the tracker.
    pub detections: usize,
    /// Living tracks in id order.
    pub tracks: Vec<TrackSnapshot>,
    /// Confirmed tracks that ended since the last frame, in id order.
    pub ended: Vec<EndedTrack>,
    /// Counts of the camera's zones and lines, if it has any.
    pub counts: Option<Arc<SceneCounts>>,
    /// Why the tracker decided so, if that is recorded.
    pub decisions: Option<Arc<FrameDecisions>>,
    /// What a picture must not show, frame pixels: every detection of a class that the camera hides,
    /// also one that is not tracked, and every track of one.
    pub private: Vec<BBox>,
    /// Where the time went.
    pub timings: Timings,
    /// The picture, if a sink asked for it.
    pub frame: Option<Arc<Frame>>,
}
