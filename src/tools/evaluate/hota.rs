//! HOTA and its parts, at each threshold of the overlap.

use super::assign::Costs;
use super::prepare::{Frame, Prepared};

/// Number of thresholds.
pub const ALPHAS: usize = 19;
/// The first threshold and the step to the next.
const ALPHA_STEP: f64 = 0.05;
/// Keeps 0 / 0 at 1: the place of no match is not wrong.
const TINY: f64 = 1e-10;

/// The thresholds α of the IoU: 0.05, 0.10 … 0.95.
#[must_use]
pub fn alphas() -> [f64; ALPHAS] {
    std::array::from_fn(|index| ALPHA_STEP + index as f64 * ALPHA_STEP)
}

/// HOTA and its parts at one threshold, or their means over all; each 0..=1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HotaAt {
    /// √(DetA · AssA).
    pub hota: f64,
    /// Detection accuracy, TP / (TP + FN + FP).
    pub det_a: f64,
    /// Association accuracy, the mean over all TP of TPA / (TPA + FNA + FPA).
    pub ass_a: f64,
    /// Detection recall.
    pub det_re: f64,
    /// Detection precision.
    pub det_pr: f64,
    /// Association recall.
    pub ass_re: f64,
    /// Association precision.
    pub ass_pr: f64,
    /// Mean IoU of what was matched; 1 where nothing was.
    pub loc_a: f64,
    /// √(DetRe · AssA).
    pub owta: f64,
}

impl HotaAt {
    /// The figures with the names they have in the literature.
    #[must_use]
    pub fn named(&self) -> [(&'static str, f64); 9] {
        [
            ("HOTA", self.hota),
            ("DetA", self.det_a),
            ("AssA", self.ass_a),
            ("DetRe", self.det_re),
            ("DetPr", self.det_pr),
            ("AssRe", self.ass_re),
            ("AssPr", self.ass_pr),
            ("LocA", self.loc_a),
            ("OWTA", self.owta),
        ]
    }
}

/// What is known at one threshold; the rest follows from it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    tp: u64,
    fne: u64,
    fp: u64,
    ass_a: f64,
    ass_re: f64,
    ass_pr: f64,
    loc_a: f64,
}

/// HOTA of a sequence or of several together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hota {
    sums: [Sums; ALPHAS],
}

impl Hota {
    /// The figures at the threshold [`alphas`]`[index]`.
    ///
    /// # Panics
    /// If `index` is not below [`ALPHAS`].
    #[must_use]
    pub fn at(&self, index: usize) -> HotaAt {
        let sums = &self.sums[index];
        let tp = sums.tp as f64;
        let share = |others: u64| tp / (sums.tp + others).max(1) as f64;
        let (det_a, det_re) = (share(sums.fne + sums.fp), share(sums.fne));
        HotaAt {
            hota: (det_a * sums.ass_a).sqrt(),
            det_a,
            ass_a: sums.ass_a,
            det_re,
            det_pr: share(sums.fp),
            ass_re: sums.ass_re,
            ass_pr: sums.ass_pr,
            loc_a: sums.loc_a,
            owta: (det_re * sums.ass_a).sqrt(),
        }
    }

    /// The means over all thresholds: the figures that are published.
    #[must_use]
    pub fn mean(&self) -> HotaAt {
        let all: [HotaAt; ALPHAS] = std::array::from_fn(|index| self.at(index));
        let mean = |of: fn(&HotaAt) -> f64| all.iter().map(of).sum::<f64>() / ALPHAS as f64;
        HotaAt {
            hota: mean(|at| at.hota),
            det_a: mean(|at| at.det_a),
            ass_a: mean(|at| at.ass_a),
            det_re: mean(|at| at.det_re),
            det_pr: mean(|at| at.det_pr),
            ass_re: mean(|at| at.ass_re),
            ass_pr: mean(|at| at.ass_pr),
            loc_a: mean(|at| at.loc_a),
            owta: mean(|at| at.owta),
        }
    }

    /// Boxes matched, missed and wrong (TP, FN, FP) at the threshold [`alphas`]`[index]`.
    ///
    /// # Panics
    /// If `index` is not below [`ALPHAS`].
    #[must_use]
    pub fn counts(&self, index: usize) -> [u64; 3] {
        let Sums { tp, fne, fp, .. } = self.sums[index];
        [tp, fne, fp]
    }

    /// Several sequences as one: counts are added, the rest is weighted by its matches.
    pub fn combine<'h>(all: impl Iterator<Item = &'h Self> + Clone) -> Self {
        Self {
            sums: std::array::from_fn(|index| combine(all.clone().map(|hota| &hota.sums[index]))),
        }
    }
}

fn combine<'s>(all: impl Iterator<Item = &'s Sums> + Clone) -> Sums {
    let sum = |of: fn(&Sums) -> u64| all.clone().map(of).sum::<u64>();
    let tp = sum(|sums| sums.tp);
    let weighted = |of: fn(&Sums) -> f64| {
        let weigh = |sums: &Sums| of(sums) * sums.tp as f64;
        all.clone().map(weigh).sum::<f64>()
    };
    let mean = |of| weighted(of) / tp.max(1) as f64;
    Sums {
        tp,
        fne: sum(|sums| sums.fne),
        fp: sum(|sums| sums.fp),
        ass_a: mean(|sums| sums.ass_a),
        ass_re: mean(|sums| sums.ass_re),
        ass_pr: mean(|sums| sums.ass_pr),
        loc_a: weighted(|sums| sums.loc_a).max(TINY) / (tp as f64).max(TINY),
    }
}

/// Matches each frame once, by overlap weighted with how well the ids agree over the whole sequence,
/// and counts at each threshold what of it holds.
pub(super) fn score(prepared: &Prepared) -> Hota {
    let alignment = alignment(prepared);
    let mut hota = Hota::default();
    let mut matches = vec![[0u64; ALPHAS]; prepared.links.len()];
    let mut costs = Costs::default();
    for frame in &prepared.frames {
        count_frame(frame, &alignment, &mut costs, &mut hota.sums, &mut matches);
    }
    for (index, sums) in hota.sums.iter_mut().enumerate() {
        associate(prepared, sums, |link| matches[link][index]);
        sums.loc_a = sums.loc_a.max(TINY) / (sums.tp as f64).max(TINY);
    }
    hota
}

/// How well each true id and track that overlap agree over the whole sequence: the soft count of
/// frames they share, over the frames that either has.
fn alignment(prepared: &Prepared) -> Vec<f64> {
    let mut shared = vec![0.0; prepared.links.len()];
    for frame in &prepared.frames {
        let mut by_truth = vec![0.0; frame.truths.len()];
        let mut by_track = vec![0.0; frame.tracks.len()];
        for overlap in &frame.overlaps {
            by_truth[overlap.truth] += overlap.iou;
            by_track[overlap.track] += overlap.iou;
        }
        for overlap in &frame.overlaps {
            let all = by_track[overlap.track] + by_truth[overlap.truth] - overlap.iou;
            if all > f64::EPSILON {
                shared[overlap.link] += overlap.iou / all;
            }
        }
    }
    let jaccard = |(&shared, &(truth, track)): (&f64, &(usize, usize))| {
        let boxes = prepared.truth_lengths[truth] + prepared.track_lengths[track];
        shared / (boxes as f64 - shared)
    };
    shared.iter().zip(&prepared.links).map(jaccard).collect()
}

fn count_frame(
    frame: &Frame,
    alignment: &[f64],
    costs: &mut Costs,
    sums: &mut [Sums; ALPHAS],
    matches: &mut [[u64; ALPHAS]],
) {
    costs.reset(frame.truths.len(), frame.tracks.len());
    for overlap in &frame.overlaps {
        let worth = alignment[overlap.link] * overlap.iou;
        costs.set(overlap.truth, overlap.track, -worth);
    }
    let pairs = costs.cheapest_pairs();
    let matched: Vec<_> = frame.matched(&pairs).collect();
    for ((sums, alpha), index) in sums.iter_mut().zip(alphas()).zip(0..) {
        let mut tp = 0;
        for overlap in &matched {
            if overlap.iou >= alpha - f64::EPSILON {
                tp += 1;
                sums.loc_a += overlap.iou;
                matches[overlap.link][index] += 1;
            }
        }
        sums.tp += tp;
        sums.fne += frame.truths.len() as u64 - tp;
        sums.fp += frame.tracks.len() as u64 - tp;
    }
}

/// The association scores: of each pair of ids, weighted by their matches.
fn associate(prepared: &Prepared, sums: &mut Sums, matches: impl Fn(usize) -> u64) {
    for (link, &(truth, track)) in prepared.links.iter().enumerate() {
        let both = matches(link);
        let (truth, track) = (prepared.truth_lengths[truth], prepared.track_lengths[track]);
        let weigh = |all: u64| both as f64 * (both as f64 / all.max(1) as f64);
        sums.ass_a += weigh(truth + track - both);
        sums.ass_re += weigh(truth);
        sums.ass_pr += weigh(track);
    }
    let tp = sums.tp.max(1) as f64;
    sums.ass_a /= tp;
    sums.ass_re /= tp;
    sums.ass_pr /= tp;
}
