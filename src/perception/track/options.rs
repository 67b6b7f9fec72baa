//! What the tracker may be told. Everything about time is in seconds, nothing in frames.

use std::time::Duration;

/// How the tracker decides. The default is one setting for every detector and frame rate.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackOptions {
    /// Detections below this score are weak: they continue tracks seen a moment ago, start none, and
    /// strong ones are preferred to them. Score, 0..=1.
    ///
    /// Source: ByteTrack's 0.6, lowered by measurement.
    pub high_score: f32,
    /// Detections below this score are not looked at. Score, 0..=1. Source: ByteTrack.
    pub low_score: f32,
    /// A detection that belongs to no track starts one at or above this score. Score, 0..=1.
    pub new_track_score: f32,
    /// Whether `high_score` and `new_track_score` are lowered, by up to 37 %, for a detector
    /// that scores lower than those they were chosen with. Set it to false to have them as they stand.
    pub follow_scores: bool,
    /// Least affinity of a detection with a believed track, 0..=1.
    pub gate: f32,
    /// Least affinity of a detection with a tentative track, 0..=1.
    pub tentative_gate: f32,
    /// Weak detections are for tracks seen in the last frame, or within this time.
    pub second_chance: Duration,
    /// A detection that overlaps a seen track of its class by more than this IoU starts no track.
    pub birth_overlap: f32,
    /// The same for a track of another class: one object seen as two classes.
    pub birth_overlap_other_class: f32,
    /// Of two detections of different classes that overlap by at least this IoU the weaker one is
    /// left out: one object seen as two classes.
    pub same_object_overlap: f32,
    /// Detections in a row that make a track believed, ≥ 1.
    pub confirm_hits: u32,
    /// A lost track is remembered, and predicted, this long after it was last seen.
    pub memory: Duration,
    /// A lost object that has been looked at (detections with embeddings) is remembered this long, though
    /// its place is no longer predicted or published, and may be found again by its look. No longer
    /// than `memory` switches this off. Used only while looks tell objects apart.
    pub lost_with_appearance: Duration,
    /// Objects remembered by their look alone; with all places taken the one lost first ends.
    pub max_dormant: usize,
    /// A coasting track that an older, seen track of its class covers with at least this IoU is a
    /// duplicate and ends.
    pub duplicate_overlap: f32,
    /// Detections looked at per frame, the best scored first.
    pub max_detections: usize,
    /// Tracks alive at once; with all places taken no new one starts.
    pub max_tracks: usize,
    /// Whether the motion of the camera is found by a vote of the tracks where it was not told, see
    /// [`Tracker::move_camera`](super::Tracker::move_camera).
    pub vote_on_camera: bool,
    /// Whether what was decided is written down, for [`Tracker::decisions`](super::Tracker::decisions).
    /// Changes no decision; without it nothing is spent on it.
    pub record_decisions: bool,
}

impl Default for TrackOptions {
    fn default() -> Self {
        Self {
            high_score: 0.5,
            low_score: 0.1,
            new_track_score: 0.62,
            follow_scores: true,
            gate: 0.05,
            tentative_gate: 0.1,
            second_chance: Duration::from_millis(250),
            birth_overlap: 0.45,
            birth_overlap_other_class: 0.8,
            same_object_overlap: 0.75,
            confirm_hits: 2,
            memory: Duration::from_secs(2),
            lost_with_appearance: Duration::from_secs(20),
            max_dormant: 200,
            duplicate_overlap: 0.95,
            max_detections: 2000,
            max_tracks: 2000,
            vote_on_camera: true,
            record_decisions: false,
        }
    }
}
