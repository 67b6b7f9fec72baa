//! CLEAR MOT: what was found, missed and made up, and where identities changed.

use super::assign::Costs;
use super::prepare::{Frame, Prepared, SAME};

/// Worth of going on with the track of the frame before: more than any sum of overlaps.
const CONTINUED: f64 = 1000.0;
/// A true id is mostly tracked if it was found in more than this part of its frames …
const MOSTLY_TRACKED: f64 = 0.8;
/// … and mostly lost if in less than this.
const MOSTLY_LOST: f64 = 0.2;

/// The counts of CLEAR; the shares follow from them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Clear {
    /// True boxes found.
    pub tp: u64,
    /// True boxes missed.
    pub fne: u64,
    /// Track boxes on nothing.
    pub fp: u64,
    /// Changes of the track that follows a true id.
    pub idsw: u64,
    /// Interruptions of true ids' being found.
    pub frag: u64,
    /// True ids mostly tracked: found in more than 80 % of their frames.
    pub mt: u64,
    /// True ids partly tracked.
    pub pt: u64,
    /// True ids mostly lost: found in less than 20 % of their frames.
    pub ml: u64,
    /// Sum of the IoU of what was found.
    pub overlap: f64,
    /// Whether there was nothing to find, so that the shares have no meaning.
    nothing_to_find: bool,
}

impl Clear {
    /// 1 − (FN + FP + IDSW) / true boxes; at most 1, can be below 0. 0 if a sequence has no true box.
    #[must_use]
    pub fn mota(&self) -> f64 {
        self.of_truth(self.tp as f64 - self.fp as f64 - self.idsw as f64)
    }

    /// As [`Clear::mota`], identities apart.
    #[must_use]
    pub fn moda(&self) -> f64 {
        self.of_truth(self.tp as f64 - self.fp as f64)
    }

    /// As [`Clear::mota`], each found box counted by its IoU.
    #[must_use]
    pub fn smota(&self) -> f64 {
        self.of_truth(self.overlap - self.fp as f64 - self.idsw as f64)
    }

    /// Mean IoU of what was found, 0 if nothing was.
    #[must_use]
    pub fn motp(&self) -> f64 {
        self.overlap / self.tp.max(1) as f64
    }

    /// Recall, 0..=1.
    #[must_use]
    pub fn recall(&self) -> f64 {
        self.of_truth(self.tp as f64)
    }

    /// Precision, 0..=1.
    #[must_use]
    pub fn precision(&self) -> f64 {
        self.tp as f64 / (self.tp + self.fp).max(1) as f64
    }

    /// Harmonic mean of recall and precision, 0..=1.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let all = self.tp as f64 + 0.5 * (self.fne + self.fp) as f64;
        self.tp as f64 / all.max(1.0)
    }

    /// Parts of the true ids that are mostly tracked, partly tracked and mostly lost.
    #[must_use]
    pub fn id_shares(&self) -> [f64; 3] {
        if self.nothing_to_find {
            return [0.0, 0.0, 1.0];
        }
        let all = (self.mt + self.pt + self.ml).max(1) as f64;
        [self.mt, self.pt, self.ml].map(|ids| ids as f64 / all)
    }

    /// The shares with the names they have in the literature.
    #[must_use]
    pub fn shares(&self) -> [(&'static str, f64); 10] {
        let [mtr, ptr, mlr] = self.id_shares();
        [
            ("MOTA", self.mota()),
            ("MOTP", self.motp()),
            ("MODA", self.moda()),
            ("sMOTA", self.smota()),
            ("CLR_Re", self.recall()),
            ("CLR_Pr", self.precision()),
            ("CLR_F1", self.f1()),
            ("MTR", mtr),
            ("PTR", ptr),
            ("MLR", mlr),
        ]
    }

    /// The counts with the names they have in the literature.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 8] {
        [
            ("CLR_TP", self.tp),
            ("CLR_FN", self.fne),
            ("CLR_FP", self.fp),
            ("IDSW", self.idsw),
            ("Frag", self.frag),
            ("MT", self.mt),
            ("PT", self.pt),
            ("ML", self.ml),
        ]
    }

    /// Several sequences as one: counts are added.
    pub fn combine<'c>(all: impl Iterator<Item = &'c Self>) -> Self {
        let mut sum = Self::default();
        for one in all {
            sum.tp += one.tp;
            sum.fne += one.fne;
            sum.fp += one.fp;
            sum.idsw += one.idsw;
            sum.frag += one.frag;
            sum.mt += one.mt;
            sum.pt += one.pt;
            sum.ml += one.ml;
            sum.overlap += one.overlap;
        }
        sum
    }

    fn of_truth(&self, found: f64) -> f64 {
        if self.nothing_to_find {
            return 0.0;
        }
        found / (self.tp + self.fne).max(1) as f64
    }
}

/// What is known of one true id while the frames go by.
#[derive(Debug, Clone, Copy, Default)]
struct Follow {
    /// The track that found it last, whenever that was.
    last: Option<usize>,
    /// The track that found it in the frame before.
    now: Option<usize>,
    found: u64,
    /// Times it was found after not being found.
    starts: u64,
}

/// Follows the true ids frame by frame; a frame without true boxes or without tracks is passed over,
/// as if the ones around it were neighbours.
pub(super) fn score(prepared: &Prepared) -> Clear {
    let mut clear = Clear {
        nothing_to_find: prepared.truth_lengths.is_empty(),
        ..Clear::default()
    };
    let mut follows = vec![Follow::default(); prepared.truth_lengths.len()];
    let mut costs = Costs::default();
    for frame in &prepared.frames {
        let found = if frame.truths.is_empty() || frame.tracks.is_empty() {
            0
        } else {
            follow(frame, &mut costs, &mut follows, &mut clear)
        };
        clear.tp += found;
        clear.fne += frame.truths.len() as u64 - found;
        clear.fp += frame.tracks.len() as u64 - found;
    }
    for (follow, &length) in follows.iter().zip(&prepared.truth_lengths) {
        let share = follow.found as f64 / length as f64;
        if share > MOSTLY_TRACKED {
            clear.mt += 1;
        } else if share >= MOSTLY_LOST {
            clear.pt += 1;
        } else {
            clear.ml += 1;
        }
        clear.frag += follow.starts.saturating_sub(1);
    }
    clear
}

/// Matches one frame, going on with the tracks of the frame before where they still hold; answers the
/// number of matches.
fn follow(frame: &Frame, costs: &mut Costs, follows: &mut [Follow], clear: &mut Clear) -> u64 {
    costs.reset(frame.truths.len(), frame.tracks.len());
    for overlap in &frame.overlaps {
        if overlap.iou < SAME - f64::EPSILON {
            continue;
        }
        let before = follows[frame.truths[overlap.truth]].now;
        let worth = if before == Some(frame.tracks[overlap.track]) {
            CONTINUED + overlap.iou
        } else {
            overlap.iou
        };
        costs.set(overlap.truth, overlap.track, -worth);
    }
    let mut pairs = costs.cheapest_pairs();
    pairs.retain(|&(truth, track)| costs.get(truth, track) < -f64::EPSILON);

    let before: Vec<_> = follows.iter_mut().map(|follow| follow.now.take()).collect();
    let mut found = 0;
    for overlap in frame.matched(&pairs) {
        let (truth, track) = (frame.truths[overlap.truth], frame.tracks[overlap.track]);
        let follow = &mut follows[truth];
        clear.idsw += u64::from(follow.last.is_some_and(|last| last != track));
        follow.starts += u64::from(before[truth].is_none());
        follow.last = Some(track);
        follow.now = Some(track);
        follow.found += 1;
        clear.overlap += overlap.iou;
        found += 1;
    }
    found
}
