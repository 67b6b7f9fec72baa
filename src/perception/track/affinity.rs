//! How much a detection looks like the continuation of a track, and which pairs are worth a look.

use crate::base::{AffinityParts, BBox, Detection};

use super::assign::Pair;
use super::lifecycle::Track;

/// Taken off for a height that shares nothing with the track's usual one; a tenth of a difference costs
/// a tenth of it. Measured, see docs/tracking.md.
const HEIGHT_CUE: f32 = 0.2;
/// Taken off for a score that differs by 1 from the track's usual one (Hybrid-SORT's confidence cue).
/// Measured.
const SCORE_CUE: f32 = 0.2;
/// Taken off a track that has been unseen for as long as is remembered, less for shorter: of two
/// tracks that fit, the visible one wins. Measured.
const UNSEEN_PENALTY: f32 = 0.2;
/// Taken off for a class the track has never been seen as.
const CLASS_PENALTY: f32 = 0.3;
/// Taken off a weak detection, so that of two that fit the strong one wins (TrackTrack, CVPR 2025,
/// instead of ByteTrack's second association). Measured.
const WEAK_PENALTY: f32 = 0.1;
/// What hides less of a box than this is not looked at: its detection would be doubted by 4 % more.
const LEAST_COVER: f32 = 0.25;
/// Candidates kept per track, best first, so that a hostile frame stays bounded.
const MAX_CANDIDATES: usize = 24;
/// Gains are counted in millionths.
pub(super) const MILLION: f32 = 1e6;

/// What pairs are worth in one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Affinity {
    /// Detections below this score are weak.
    pub high_score: f32,
    /// Weak detections are for tracks unseen for no longer than this, seconds.
    pub recent_secs: f64,
    /// A lost track is remembered this long, seconds.
    pub memory_secs: f64,
}

impl Affinity {
    /// What a pair is worth whose boxes have this IoU; never more than [`Candidate::most`].
    ///
    /// IoU × overlap of the heights (Hybrid-SORT) × √score (ByteTrack's fused score, softened), less
    /// what speaks against the pair.
    pub fn of(&self, track: &Track, detection: &Detection, candidate: &Candidate, iou: f32) -> f32 {
        self.parts(track, detection, candidate, iou).total()
    }

    /// The parts of [`Affinity::of`].
    pub fn parts(
        &self,
        track: &Track,
        detection: &Detection,
        candidate: &Candidate,
        iou: f32,
    ) -> AffinityParts {
        let overlap = candidate.most(iou) * height_overlap(&track.bbox, &detection.bbox);
        let height = HEIGHT_CUE * (1.0 - agreement(track.usual_height(), detection.bbox.height()));
        let score = SCORE_CUE * (track.usual_score - detection.confidence).abs();
        let unseen = UNSEEN_PENALTY * track.forgotten_share(self.memory_secs);
        let class = CLASS_PENALTY * (1.0 - track.class.share(detection.class));
        let weak = if detection.confidence < self.high_score {
            WEAK_PENALTY
        } else {
            0.0
        };
        AffinityParts {
            overlap,
            height,
            score,
            unseen,
            class,
            weak,
        }
    }

    /// Whether a detection of this score may go on a track at all.
    pub fn allows(&self, track: &Track, score: f32) -> bool {
        score >= self.high_score
            || (track.is_confirmed() && (track.was_seen() || track.unseen_secs <= self.recent_secs))
    }
}

/// Shared part of the two vertical extents, 0..=1.
fn height_overlap(a: &BBox, b: &BBox) -> f32 {
    let shared = a.bottom().min(b.bottom()) - a.top().max(b.top());
    let whole = a.bottom().max(b.bottom()) - a.top().min(b.top());
    (shared / whole).clamp(0.0, 1.0)
}

/// 1 for equal lengths, towards 0 the more they differ.
pub(super) fn agreement(a: f32, b: f32) -> f32 {
    a.min(b) / a.max(b)
}

/// 1 for equal sizes, towards 0 the more they differ.
pub(super) fn size_agreement(a: &BBox, b: &BBox) -> f32 {
    agreement(a.width(), b.width()) * agreement(a.height(), b.height())
}

/// What stands in front of a box: the two detections that hide most of it, as shares of its area.
///
/// Two, because the object's own detection may be one of them, and which that is turns out later.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Covers([Cover; 2]);

#[derive(Debug, Clone, Copy, Default)]
struct Cover {
    share: f32,
    /// Place among the detections that take part.
    col: u32,
}

impl Covers {
    /// Takes a detection that has this share of the box. Seen from above the ground, what is nearer
    /// reaches lower in the picture; what does not, hides nothing.
    fn add(&mut self, bbox: &BBox, one: &Candidate, share: f32) {
        if share < LEAST_COVER || one.bbox.bottom() <= bbox.bottom() {
            return;
        }
        let cover = Cover {
            share,
            col: one.col,
        };
        let [most, second] = &mut self.0;
        if share > most.share {
            *second = std::mem::replace(most, cover);
        } else if share > second.share {
            *second = cover;
        }
    }

    /// The share of the box that one detection hides, 0..=1, if none is its own.
    pub fn most(&self) -> f32 {
        self.0[0].share.min(1.0)
    }

    /// The share of the box that one detection hides, 0..=1, if the box's own detection is `own`.
    pub fn share(&self, own: usize) -> f32 {
        let other = self.0.iter().find(|cover| cover.col as usize != own);
        other.map_or(0.0, |cover| cover.share.min(1.0))
    }
}

/// A key that sorts by a number (not NaN) and then by place: one whole number compares faster than two
/// fields found by index.
pub(super) fn sort_key(number: f32, place: u32) -> u64 {
    // Positive numbers are ordered as their bits are, negative ones the other way round.
    let bits = number.to_bits();
    let ordered = if bits >> 31 == 0 {
        bits | 1 << 31
    } else {
        !bits
    };
    u64::from(ordered) << 32 | u64::from(place)
}

/// The place in a [`sort_key`].
pub(super) fn place_of(key: u64) -> u32 {
    (key & u64::from(u32::MAX)) as u32
}

/// The detections of a frame from left to right, for finding those near a box.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    by_left: Vec<Candidate>,
    keys: Vec<u64>,
    widest: f32,
}

/// A detection in the sweep: its box beside its place, so that most pairs are refused unread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub bbox: BBox,
    pub score: f32,
    /// Square root of the score.
    root: f32,
    /// Place among the detections that take part.
    pub col: u32,
}

impl Candidate {
    pub fn new(detection: &Detection, col: u32) -> Self {
        Self {
            bbox: detection.bbox,
            score: detection.confidence,
            root: detection.confidence.sqrt(),
            col,
        }
    }

    /// The most that a pair with this IoU can be worth.
    fn most(&self, iou: f32) -> f32 {
        iou * self.root
    }
}

impl Sweep {
    /// Takes the detections that take part in this frame, by their indices.
    pub fn set(&mut self, detections: &[Detection], taking_part: &[u32]) {
        self.widest = 0.0;
        self.by_left.clear();
        self.keys.clear();
        self.keys
            .extend((0..).zip(taking_part).map(|(col, &index)| {
                let bbox = &detections[index as usize].bbox;
                self.widest = self.widest.max(bbox.width());
                sort_key(bbox.left(), col)
            }));
        self.keys.sort_unstable();
        self.by_left.extend(self.keys.iter().map(|&key| {
            let col = place_of(key);
            let detection = &detections[taking_part[col as usize] as usize];
            Candidate::new(detection, col)
        }));
    }

    /// The detections whose left edge lies between the two.
    pub fn between(&self, from: f32, to: f32) -> impl Iterator<Item = &Candidate> {
        let first = self.by_left.partition_point(|one| one.bbox.left() < from);
        let rest = self.by_left[first..].iter();
        rest.take_while(move |one| one.bbox.left() < to)
    }

    /// The detections that have a part between the two abscissae.
    pub fn overlapping_columns(&self, from: f32, to: f32) -> impl Iterator<Item = &Candidate> {
        self.between(from - self.widest, to)
            .filter(move |one| one.bbox.right() > from)
    }

    /// Adds the pairs of one row whose boxes overlap and whose affinity exceeds `gate` (≥ 0), and answers
    /// what covers the row's box.
    pub fn add_row(
        &mut self,
        row: u32,
        bbox: &BBox,
        gate: f32,
        affinity: impl Fn(&Candidate, f32) -> Option<f32>,
        pairs: &mut Vec<Pair>,
    ) -> Covers {
        let mut covers = Covers::default();
        let per_area = 1.0 / bbox.area();
        let start = pairs.len();
        for one in self.between(bbox.left() - self.widest, bbox.right()) {
            if one.bbox.right() <= bbox.left()
                || one.bbox.top() >= bbox.bottom()
                || one.bbox.bottom() <= bbox.top()
            {
                continue;
            }
            let iou = bbox.iou(&one.bbox);
            covers.add(bbox, one, per_area * bbox.intersection(&one.bbox));
            if one.most(iou) <= gate {
                continue;
            }
            let worth = affinity(one, iou).map_or(0.0, |affinity| affinity - gate);
            if worth > 0.0 {
                pairs.push(Pair {
                    row,
                    col: one.col,
                    gain: ((worth * MILLION) as i32).saturating_add(1),
                });
            }
        }
        if pairs.len() - start > MAX_CANDIDATES {
            pairs[start..].sort_unstable_by_key(|pair| (std::cmp::Reverse(pair.gain), pair.col));
            pairs.truncate(start + MAX_CANDIDATES);
        }
        covers
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

    #[test]
    fn keys_sort_by_number_then_by_place() {
        let numbers = [f32::MIN, -2.5, -2.0, -0.0, 0.0, 1e-30, 2.0, f32::MAX];
        let keys: Vec<_> = numbers.iter().map(|&number| sort_key(number, 7)).collect();
        assert!(keys.is_sorted());
        assert!(sort_key(2.0, 3) < sort_key(2.0, 4));
        assert_eq!(place_of(sort_key(-1.0, 4_000_000_000)), 4_000_000_000);
    }

    fn detection(ltrb: [f32; 4]) -> Detection {
        let [left, top, right, bottom] = ltrb;
        Detection {
            bbox: BBox::from_ltrb(left, top, right, bottom).unwrap(),
            class: crate::base::ClassId(0),
            confidence: 1.0,
            embedding: None,
        }
    }

    #[test]
    fn what_reaches_lower_covers_and_the_own_detection_does_not() {
        // Of a box of 40 × 100: its own detection, one that hides 30 % from below, one that hides
        // half but stands farther away, and one beside it.
        let detections = [
            [0.0, 0.0, 40.0, 101.0],
            [28.0, 0.0, 68.0, 110.0],
            [20.0, 0.0, 60.0, 90.0],
            [50.0, 0.0, 90.0, 120.0],
        ]
        .map(detection);
        let mut sweep = Sweep::default();
        sweep.set(&detections, &[0, 1, 2, 3]);
        let bbox = BBox::from_ltrb(0.0, 0.0, 40.0, 100.0).unwrap();
        let covers = sweep.add_row(0, &bbox, 0.0, |_, iou| Some(iou), &mut Vec::new());
        assert!((covers.share(0) - 0.3).abs() < 1e-4, "{covers:?}");
        // Were the nearer one its own, the other would stand before it.
        assert!((covers.share(1) - 1.0).abs() < 1e-4, "{covers:?}");
        assert!((covers.share(2) - 1.0).abs() < 1e-4, "{covers:?}");
        let alone = sweep.add_row(
            0,
            &BBox::from_ltrb(200.0, 0.0, 240.0, 100.0).unwrap(),
            0.0,
            |_, iou| Some(iou),
            &mut Vec::new(),
        );
        assert_eq!(alone.share(0), 0.0);
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
            sweep.set(&detections, &all);
            for (row, bbox) in rows.iter().enumerate() {
                let mut pairs = Vec::new();
                sweep.add_row(row as u32, bbox, 0.0, |_, iou| Some(iou), &mut pairs);
                let mut found: Vec<_> = pairs.iter().map(|pair| pair.col).collect();
                found.sort_unstable();
                let expected: Vec<_> = all.iter().copied().filter(|&col| bbox.iou(&cols[col as usize]) > 0.0).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
