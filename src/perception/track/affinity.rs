//! How much a detection looks like the continuation of a track, and which pairs are worth a look.

use crate::base::{BBox, Detection};

use super::assign::Pair;
use super::lifecycle::Track;

/// Weight of the agreement in shape, and of that in score, beside the overlap.
const CUE: f32 = 0.05;
/// Taken off a track that has been unseen for as long as is remembered, less for shorter: of two
/// tracks that fit, the visible one wins.
const UNSEEN_PENALTY: f32 = 0.3;
/// Taken off for a class the track has never been seen as.
const CLASS_PENALTY: f32 = 0.3;
/// Candidates kept per track, best first, so that a hostile frame stays bounded.
const MAX_CANDIDATES: usize = 24;
/// Gains are counted in millionths.
pub(super) const MILLION: f32 = 1e6;

/// What the first association is worth: overlap weighted by score, with soft cues.
///
/// IoU × overlap of the heights (Hybrid-SORT) × √score (ByteTrack's fused score, softened).
pub(super) fn first_affinity(track: &Track, detection: &Detection, memory_secs: f64) -> f32 {
    let iou = track.bbox.iou(&detection.bbox);
    if iou <= 0.0 {
        return 0.0;
    }
    let overlap = iou * height_overlap(&track.bbox, &detection.bbox) * detection.confidence.sqrt();
    let shape = CUE * size_agreement(&track.bbox, &detection.bbox);
    let score = CUE * (1.0 - (track.usual_score - detection.confidence).abs());
    let unseen = UNSEEN_PENALTY * track.forgotten_share(memory_secs);
    overlap + shape + score - unseen - class_penalty(track, detection)
}

/// What the second chance is worth, for scores that say little: the overlap alone.
pub(super) fn second_affinity(track: &Track, detection: &Detection) -> f32 {
    track.bbox.iou(&detection.bbox) - class_penalty(track, detection)
}

fn class_penalty(track: &Track, detection: &Detection) -> f32 {
    CLASS_PENALTY * (1.0 - track.class.share(detection.class))
}

/// Shared part of the two vertical extents, 0..=1.
fn height_overlap(a: &BBox, b: &BBox) -> f32 {
    let shared = a.bottom().min(b.bottom()) - a.top().max(b.top());
    let whole = a.bottom().max(b.bottom()) - a.top().min(b.top());
    (shared / whole).clamp(0.0, 1.0)
}

/// 1 for equal sizes, towards 0 the more they differ.
pub(super) fn size_agreement(a: &BBox, b: &BBox) -> f32 {
    let ratio = |x: f32, y: f32| x.min(y) / x.max(y);
    ratio(a.width(), b.width()) * ratio(a.height(), b.height())
}

/// Finds overlapping pairs by sweeping from left to right.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    by_left: Vec<Column>,
    widest: f32,
    row: Vec<Pair>,
}

/// A detection in the sweep: its box beside its place, so that most pairs are refused unread.
#[derive(Debug, Clone, Copy)]
struct Column {
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
    col: u32,
}

impl Sweep {
    /// Takes the detections that the coming pairs are made with, by their indices.
    pub fn set_columns(&mut self, detections: &[Detection], columns: &[u32]) {
        self.widest = 0.0;
        self.by_left.clear();
        for (col, &index) in columns.iter().enumerate() {
            let bbox = &detections[index as usize].bbox;
            self.widest = self.widest.max(bbox.width());
            self.by_left.push(Column {
                left: bbox.left(),
                right: bbox.right(),
                top: bbox.top(),
                bottom: bbox.bottom(),
                col: col as u32,
            });
        }
        self.by_left
            .sort_unstable_by(|a, b| a.left.total_cmp(&b.left).then(a.col.cmp(&b.col)));
    }

    /// Adds the pairs of one row that overlap and whose affinity reaches `gate`.
    pub fn add_row(
        &mut self,
        row: u32,
        bbox: &BBox,
        gate: f32,
        affinity: impl Fn(u32) -> f32,
        pairs: &mut Vec<Pair>,
    ) {
        self.row.clear();
        let from = bbox.left() - self.widest;
        let first = self.by_left.partition_point(|column| column.left < from);
        for column in &self.by_left[first..] {
            if column.left >= bbox.right() {
                break;
            }
            if column.right <= bbox.left()
                || column.top >= bbox.bottom()
                || column.bottom <= bbox.top()
            {
                continue;
            }
            let affinity = affinity(column.col);
            if affinity > gate {
                let gain = ((affinity - gate) * MILLION) as i32 + 1;
                self.row.push(Pair {
                    row,
                    col: column.col,
                    gain,
                });
            }
        }
        if self.row.len() > MAX_CANDIDATES {
            self.row
                .sort_unstable_by_key(|pair| (std::cmp::Reverse(pair.gain), pair.col));
            self.row.truncate(MAX_CANDIDATES);
        }
        pairs.extend_from_slice(&self.row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boxes(count: usize) -> impl Strategy<Value = Vec<BBox>> {
        let one = (0f32..300.0, 0f32..300.0, 1f32..120.0, 1f32..120.0)
            .prop_filter_map("degenerate", |(l, t, w, h)| {
                BBox::from_ltrb(l, t, l + w, t + h)
            });
        prop::collection::vec(one, 1..count)
    }

    proptest! {
        #[test]
        fn the_sweep_finds_every_overlap_and_nothing_else(
            rows in boxes(6), cols in boxes(MAX_CANDIDATES)
        ) {
            let detections: Vec<_> = cols
                .iter()
                .map(|&bbox| Detection {
                    bbox,
                    class: crate::base::ClassId(0),
                    confidence: 1.0,
                    embedding: None,
                })
                .collect();
            let all: Vec<u32> = (0..cols.len() as u32).collect();
            let mut sweep = Sweep::default();
            sweep.set_columns(&detections, &all);
            for (row, bbox) in rows.iter().enumerate() {
                let mut pairs = Vec::new();
                let iou = |col: u32| bbox.iou(&cols[col as usize]);
                sweep.add_row(row as u32, bbox, 0.0, iou, &mut pairs);
                let mut found: Vec<_> = pairs.iter().map(|pair| pair.col).collect();
                found.sort_unstable();
                let expected: Vec<_> = all.iter().copied().filter(|&col| iou(col) > 0.0).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
