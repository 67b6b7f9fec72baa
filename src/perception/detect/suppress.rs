//! Class-aware non-maximum suppression.

use std::cmp::Ordering;

use super::RawBox;

/// Candidates kept before suppression, best first; the rest is dropped and counted.
pub const MAX_CANDIDATES: usize = 30_000;

/// Better candidates first; equal scores by class, then by position, so that the order never depends
/// on the order they came in.
pub(super) fn better_first(a: &RawBox, b: &RawBox) -> Ordering {
    b.confidence
        .total_cmp(&a.confidence)
        .then(a.class.cmp(&b.class))
        .then_with(|| {
            let pairs = a.ltrb.iter().zip(&b.ltrb);
            pairs
                .map(|(x, y)| x.total_cmp(y))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        })
        .then(a.row.cmp(&b.row))
}

/// Suppresses duplicates; owns its scratch memory so that a frame allocates nothing.
#[derive(Debug, Default)]
pub struct Suppressor {
    kept: Vec<RawBox>,
}

impl Suppressor {
    /// Leaves in `boxes` the candidates that no better one of the same class overlaps by more than
    /// `iou`, best first, at most `max_boxes`. Equal scores are ordered by class, then by position.
    /// Returns how many were dropped because of [`MAX_CANDIDATES`].
    pub fn suppress(&mut self, boxes: &mut Vec<RawBox>, iou: f32, max_boxes: usize) -> u64 {
        let dropped = self.best_first(boxes, MAX_CANDIDATES);
        self.kept.clear();
        for candidate in boxes.iter() {
            if self.kept.len() >= max_boxes {
                break;
            }
            let is_duplicate = self.kept.iter().any(|better| {
                better.class == candidate.class && overlap(&better.ltrb, &candidate.ltrb) > iou
            });
            if !is_duplicate {
                self.kept.push(*candidate);
            }
        }
        std::mem::swap(boxes, &mut self.kept);
        dropped
    }

    /// Sorts `boxes` best first and leaves at most `max_boxes`, for heads without duplicates. Returns
    /// how many were dropped.
    pub fn best_first(&mut self, boxes: &mut Vec<RawBox>, max_boxes: usize) -> u64 {
        let dropped = boxes.len().saturating_sub(max_boxes);
        if dropped > 0 {
            boxes.select_nth_unstable_by(max_boxes, better_first);
            boxes.truncate(max_boxes);
        }
        boxes.sort_unstable_by(better_first);
        dropped as u64
    }
}

/// Intersection over union; 0 for boxes without area.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let shared = width * height;
    let area = |r: &[f32; 4]| (r[2] - r[0]) * (r[3] - r[1]);
    shared / (area(a) + area(b) - shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(left: f32, class: u16, confidence: f32) -> RawBox {
        RawBox {
            ltrb: [left, 0.0, left + 10.0, 10.0],
            class,
            confidence,
            row: 0,
        }
    }

    #[test]
    fn the_weaker_of_two_boxes_of_one_class_goes() {
        // Shifted by 2 of 10: shared 80, union 120, IoU 0.667.
        let mut boxes = vec![at(0.0, 1, 0.5), at(2.0, 1, 0.9), at(1.0, 2, 0.4)];
        assert_eq!(Suppressor::default().suppress(&mut boxes, 0.6, 100), 0);
        assert_eq!(boxes, vec![at(2.0, 1, 0.9), at(1.0, 2, 0.4)]);
    }

    #[test]
    fn boxes_that_overlap_less_stay() {
        let mut boxes = vec![at(0.0, 1, 0.5), at(2.0, 1, 0.9)];
        Suppressor::default().suppress(&mut boxes, 0.7, 100);
        assert_eq!(boxes.len(), 2);
    }

    #[test]
    fn the_order_of_candidates_does_not_matter() {
        let candidates: Vec<RawBox> = (0..200u16)
            .map(|i| at(f32::from(i % 37) * 3.0, i % 3, 0.5 + f32::from(i % 5) * 0.1))
            .collect();
        let mut forward = candidates.clone();
        let mut backward: Vec<RawBox> = candidates.into_iter().rev().collect();
        let mut suppressor = Suppressor::default();
        suppressor.suppress(&mut forward, 0.3, 50);
        suppressor.suppress(&mut backward, 0.3, 50);
        assert_eq!(forward, backward);
    }

    #[test]
    fn more_candidates_than_the_bound_are_dropped_weakest_first() {
        let mut boxes: Vec<RawBox> = (0..MAX_CANDIDATES + 500)
            .map(|i| at(i as f32 * 20.0, 0, 0.1 + 1e-5 * i as f32))
            .collect();
        assert_eq!(Suppressor::default().suppress(&mut boxes, 0.5, 10), 500);
        assert_eq!(boxes.len(), 10);
        assert!(boxes[0].confidence > 0.4);
    }
}
