//! All metrics of a sequence together, and of several sequences as one.

use super::{Clear, Hota, Identity};

/// How much there was, after taking out what must not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Frames of the sequence.
    pub frames: u64,
    /// True boxes.
    pub truth_boxes: u64,
    /// True ids.
    pub truth_ids: u64,
    /// Track boxes.
    pub track_boxes: u64,
    /// Tracks.
    pub track_ids: u64,
}

impl Count {
    /// The counts with the names they have in the literature.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        [
            ("Dets", self.track_boxes),
            ("GT_Dets", self.truth_boxes),
            ("IDs", self.track_ids),
            ("GT_IDs", self.truth_ids),
            ("Frames", self.frames),
        ]
    }

    fn combine<'c>(all: impl Iterator<Item = &'c Self>) -> Self {
        let mut sum = Self::default();
        for one in all {
            sum.frames += one.frames;
            sum.truth_boxes += one.truth_boxes;
            sum.truth_ids += one.truth_ids;
            sum.track_boxes += one.track_boxes;
            sum.track_ids += one.track_ids;
        }
        sum
    }
}

/// Every metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// HOTA and its parts.
    pub hota: Hota,
    /// MOTA and what belongs to it.
    pub clear: Clear,
    /// IDF1 and what belongs to it.
    pub identity: Identity,
    /// How much there was.
    pub count: Count,
}

impl Scores {
    /// Several sequences as one: counts are added and shares follow from the sums, so that a sequence
    /// weighs what it holds.
    pub fn combine<'s>(all: impl Iterator<Item = &'s Self> + Clone) -> Self {
        Self {
            hota: Hota::combine(all.clone().map(|scores| &scores.hota)),
            clear: Clear::combine(all.clone().map(|scores| &scores.clear)),
            identity: Identity::combine(all.clone().map(|scores| &scores.identity)),
            count: Count::combine(all.map(|scores| &scores.count)),
        }
    }
}

/// The metrics of one named sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceScores {
    /// Its name.
    pub name: String,
    /// Its metrics.
    pub scores: Scores,
}
