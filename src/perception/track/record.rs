//! What a frame's decisions were, written down beside the deciding. Decides nothing itself.

use super::affinity::{Affinity, Candidate, MILLION, Sweep};
use super::assign::Pair;
use super::lifecycle::Track;
use crate::base::{
    Choice, Detection, EndReason, EndedTrack, FrameDecisions, IdentityChange, Refusal,
    RefusalReason, SeenBox, TrackDecision,
};

/// Other choices that are written down per track.
const MAX_OTHERS: usize = 3;
/// A pair that leads the next, or the gate, by more than this needs no breakdown.
const PLAIN: f32 = 0.3;
/// How far around the expected box the nearest detection is looked for, in its heights.
const REACH: f32 = 2.0;

/// One association as it was decided, before any track has taken its detection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Association<'a> {
    pub affinity: &'a Affinity,
    pub gate: f32,
    pub tracks: &'a [Track],
    pub detections: &'a [Detection],
    /// Indices of the detections, by place.
    pub taking_part: &'a [u32],
    /// Indices of the tracks, by row.
    pub rows: &'a [u32],
    /// In order of rows.
    pub pairs: &'a [Pair],
    pub sweep: &'a Sweep,
    /// Whether a detection was given away before this association.
    pub is_taken: &'a [bool],
}

/// Writes down the detections that take part.
pub(super) fn boxes(record: &mut FrameDecisions, detections: &[Detection], taking_part: &[u32]) {
    let seen = taking_part.iter().map(|&index| {
        let detection = &detections[index as usize];
        SeenBox {
            bbox: detection.bbox,
            score: detection.confidence,
            class: detection.class,
        }
    });
    record.boxes.extend(seen);
}

/// Writes down tracks that ended for being lost.
pub(super) fn lost(record: &mut FrameDecisions, ended: &[EndedTrack]) {
    let lost = ended.iter().filter(|track| track.reason == EndReason::Lost);
    record
        .changes
        .extend(lost.map(|track| IdentityChange::Ended {
            id: track.id,
            reason: track.reason,
            of: None,
        }));
}

impl Association<'_> {
    /// Writes down what each row was given, and what else there was.
    pub fn write(&self, record: &mut FrameDecisions, column_of: impl Fn(usize) -> Option<usize>) {
        for row in 0..self.rows.len() {
            record.tracks.push(self.decision(row, column_of(row)));
        }
    }

    fn decision(&self, row: usize, given: Option<usize>) -> TrackDecision {
        let track = &self.tracks[self.rows[row] as usize];
        let from = self.pairs.partition_point(|pair| (pair.row as usize) < row);
        let to = self.pairs.partition_point(|pair| pair.row as usize <= row);
        let mut others: Vec<Choice> = self.pairs[from..to]
            .iter()
            .map(|pair| Choice {
                place: pair.col,
                affinity: self.gate + pair.gain as f32 / MILLION,
            })
            .collect();
        others.sort_by(|a, b| {
            b.affinity
                .total_cmp(&a.affinity)
                .then(a.place.cmp(&b.place))
        });
        let refusal = if others.is_empty() {
            self.nearest(track)
        } else {
            None
        };
        let found = others
            .iter()
            .position(|choice| Some(choice.place as usize) == given);
        let given = found.map(|place| others.remove(place));
        others.truncate(MAX_OTHERS);
        let second = others.first().map_or(self.gate, |choice| choice.affinity);
        let is_plain = |given: &Choice| track.was_seen() && given.affinity - second > PLAIN;
        let parts = given.filter(|given| !is_plain(given)).map(|choice| {
            let detection = &self.detections[self.taking_part[choice.place as usize] as usize];
            let candidate = Candidate::new(detection, choice.place);
            let iou = track.bbox.iou(&detection.bbox);
            self.affinity.parts(track, detection, &candidate, iou)
        });
        TrackDecision {
            track: track.name(),
            expected: track.bbox,
            unseen_secs: track.unseen_secs,
            was_seen: track.was_seen(),
            given,
            parts,
            others,
            refusal,
        }
    }

    /// The nearest detection to a track that could have none: with the largest IoU, or the nearest centre
    /// where none overlaps.
    fn nearest(&self, track: &Track) -> Option<Refusal> {
        let bbox = &track.bbox;
        let reach = REACH * bbox.height();
        let near = |one: &&Candidate| {
            let apart = (one.bbox.cx() - bbox.cx()).hypot(one.bbox.cy() - bbox.cy());
            bbox.iou(&one.bbox) > 0.0 || apart <= reach
        };
        let rank = |one: &Candidate| {
            let apart = (one.bbox.cx() - bbox.cx()).hypot(one.bbox.cy() - bbox.cy());
            (bbox.iou(&one.bbox), -apart)
        };
        let nearest = self
            .sweep
            .overlapping_columns(bbox.left() - reach, bbox.right() + reach)
            .filter(near)
            .max_by(|a, b| {
                let (a_rank, b_rank) = (rank(a), rank(b));
                let by_iou = a_rank.0.total_cmp(&b_rank.0);
                let by_place = by_iou.then(a_rank.1.total_cmp(&b_rank.1));
                by_place.then(b.col.cmp(&a.col))
            })?;
        let index = self.taking_part[nearest.col as usize] as usize;
        let iou = bbox.iou(&nearest.bbox);
        let parts = self
            .affinity
            .parts(track, &self.detections[index], nearest, iou);
        let reason = if iou <= 0.0 {
            RefusalReason::Apart
        } else if self.is_taken[index] {
            RefusalReason::Taken
        } else if !self.affinity.allows(track, nearest.score) {
            RefusalReason::Weak
        } else if parts.total() <= self.gate {
            RefusalReason::Gate
        } else {
            RefusalReason::Look
        };
        Some(Refusal {
            place: nearest.col,
            reason,
            iou,
            parts,
        })
    }
}
