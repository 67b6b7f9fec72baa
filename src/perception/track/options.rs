//! What the tracker may be told. Everything about time is in seconds, nothing in frames.

use std::time::Duration;

/// How the tracker decides. The default is one setting for every detector and rate.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackOptions {
    /// Detections at or above this score take part in the first association. Score, 0..=1.
    pub high_score: f32,
    /// Detections below this score are not looked at. Score, 0..=1.
    pub low_score: f32,
    /// A detection that belongs to no track starts one at or above this score. Score, 0..=1.
    pub new_track_score: f32,
    /// A lost track is remembered, and predicted, this long after it was last seen.
    pub memory: Duration,
}

impl Default for TrackOptions {
    fn default() -> Self {
        Self {
            high_score: 0.5,
            low_score: 0.1,
            new_track_score: 0.65,
            memory: Duration::from_secs(2),
        }
    }
}
