//! Why the tracker did what it did in one frame.

use super::{BBox, ClassId, EndReason, TrackId};

/// Everything that was decided in one frame. Bounded by the detections looked at, the tracks alive and
/// three other choices per track.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FrameDecisions {
    /// What was asked of detections and pairs in this frame.
    pub limits: DecisionLimits,
    /// How the picture jumped as a whole.
    pub camera: CameraMotion,
    /// The detections that took part, best score first; everything else here names them by their
    /// place in this list.
    pub boxes: Vec<SeenBox>,
    /// One for each track that lived before the frame.
    pub tracks: Vec<TrackDecision>,
    /// Detections that started a track.
    pub births: Vec<Birth>,
    /// Strong detections that started none, because they lie on a track that is seen.
    pub covered: Vec<Covered>,
    /// What became of identities.
    pub changes: Vec<IdentityChange>,
}

/// Scores and affinities asked for in one frame; scores follow the detector's.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DecisionLimits {
    /// Least affinity with a believed track, 0..=1.
    pub gate: f32,
    /// Least affinity with a track that is not believed yet, 0..=1.
    pub tentative_gate: f32,
    /// Scores below this one are weak, 0..=1.
    pub high_score: f32,
    /// Least score that starts a track, 0..=1.
    pub new_track_score: f32,
    /// Weak detections are for tracks unseen for no longer than this, seconds.
    pub second_chance_secs: f64,
    /// A lost track is remembered this long, seconds.
    pub memory_secs: f64,
}

/// How the picture jumped as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum CameraMotion {
    /// Not that anybody noticed.
    #[default]
    Still,
    /// By so many px, (x, y), found by the vote of the tracks.
    Voted([f32; 2]),
    /// As the tracker was told.
    Told,
}

/// A detection that took part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenBox {
    /// Where, frame pixels.
    pub bbox: BBox,
    /// Score, 0..=1.
    pub score: f32,
    /// What.
    pub class: ClassId,
}

/// A track as decisions name it: by its id, or before it has one by the number of its birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackName {
    /// Its id, once it is believed.
    pub id: Option<TrackId>,
    /// Number of its birth, counted from 1 per camera; most births are never believed.
    pub birth: u64,
}

/// What a pair was worth: the overlap less everything that spoke against it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AffinityParts {
    /// IoU × overlap of the heights × √score, 0..=1.
    pub overlap: f32,
    /// Taken off for another height than the track's usual one.
    pub height: f32,
    /// Taken off for another score than the track's usual one.
    pub score: f32,
    /// Taken off for the time it was not seen.
    pub unseen: f32,
    /// Taken off for another class.
    pub class: f32,
    /// Taken off for a weak score.
    pub weak: f32,
}

impl AffinityParts {
    /// The affinity.
    #[must_use]
    pub fn total(&self) -> f32 {
        self.overlap - self.height - self.score - self.unseen - self.class - self.weak
    }
}

/// A detection a track could have had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Place of the detection in [`FrameDecisions::boxes`].
    pub place: u32,
    /// Affinity, that of looks included; above the gate.
    pub affinity: f32,
}

/// Why the nearest detection was not to be had at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// It does not even touch the predicted box.
    Apart,
    /// It was a believed track's.
    Taken,
    /// Its score is weak, and the track was unseen for too long for weak ones.
    Weak,
    /// Its affinity does not exceed the gate.
    Gate,
    /// It looks like another object.
    Look,
}

/// The nearest detection, and why it was not to be had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refusal {
    /// Place of the detection in [`FrameDecisions::boxes`].
    pub place: u32,
    /// Why not.
    pub reason: RefusalReason,
    /// IoU with the predicted box, 0..=1.
    pub iou: f32,
    /// What the pair would have been worth.
    pub parts: AffinityParts,
}

/// What was decided about one track.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackDecision {
    /// Which track.
    pub track: TrackName,
    /// The box it was expected at, frame pixels.
    pub expected: BBox,
    /// Seconds since it was last seen, before this frame decided.
    pub unseen_secs: f64,
    /// Whether it was seen in the frame before.
    pub was_seen: bool,
    /// The detection it was given.
    pub given: Option<Choice>,
    /// What that pair was worth by place alone, where there was something to decide: another choice that
    /// was nearly as good, little affinity, or a return.
    pub parts: Option<AffinityParts>,
    /// Other detections above the gate, best first, three at most.
    pub others: Vec<Choice>,
    /// With no detection above the gate: the nearest, if any is near.
    pub refusal: Option<Refusal>,
}

/// A detection that started a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// Number of the birth.
    pub birth: u64,
    /// Place of the detection in [`FrameDecisions::boxes`].
    pub place: u32,
}

/// A detection that started no track, because it lies on one that is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Covered {
    /// Place of the detection in [`FrameDecisions::boxes`].
    pub place: u32,
    /// The track.
    pub by: TrackName,
    /// IoU of the two, 0..=1.
    pub iou: f32,
}

/// What became of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityChange {
    /// A new track is believed and has an id.
    Confirmed {
        /// Number of its birth.
        birth: u64,
        /// Its id.
        id: TrackId,
    },
    /// A new track was not seen again before it was believed.
    Dropped {
        /// Number of its birth.
        birth: u64,
    },
    /// A new track turned out, by its look or place, to be a lost one.
    FoundAgain {
        /// Number of the new track's birth.
        birth: u64,
        /// The lost one, which goes on.
        id: TrackId,
    },
    /// Two tracks had gone over to each other's object, which their looks told.
    Exchanged {
        /// One of them.
        id: TrackId,
        /// The other one.
        with: TrackId,
    },
    /// A lost object is only remembered by its look from now on.
    Dormant {
        /// Which one.
        id: TrackId,
    },
    /// A track is over.
    Ended {
        /// Which one.
        id: TrackId,
        /// Why.
        reason: EndReason,
        /// The track it was a duplicate of.
        of: Option<TrackId>,
    },
}
