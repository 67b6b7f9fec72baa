//! What a good score is for this detector, learnt from the scores themselves.
//!
//! Detectors score on different scales: what one gives 0.9 another gives 0.55, and thresholds made
//! for the one lose the objects of the other. The upper quartile of the scores says where a
//! detector's sure boxes lie; thresholds are moved in proportion to it.

use serde::{Deserialize, Serialize};

/// Places of the histogram; a place is 0.02 wide.
const BINS: usize = 50;
/// Weaker scores tell about noise, not about the scale.
const LEAST_SCORE: f32 = 0.25;
/// The part of the scores below the answer.
const QUANTILE: f32 = 0.75;
/// With this many scores counted, all counts are halved, so that the scale follows day and night.
const FULL: u32 = 4096;
/// Scores at [`REFERENCE`] taken as seen before the first frame: four are outvoted within 15 others.
const PRIOR: u32 = 4;
/// The upper quartile of the detectors that the thresholds were chosen with (YOLOX on MOT17,
/// DanceTrack).
pub(super) const REFERENCE: f32 = 0.92;
/// However low the scores, thresholds keep this part, so that an empty scene's noise starts nothing.
const LEAST_SCALE: f32 = 0.63;

/// A histogram of the scores seen of late.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Vec<u32>", try_from = "Vec<u32>")]
pub(super) struct ScoreScale {
    counts: [u32; BINS],
    total: u32,
}

impl From<ScoreScale> for Vec<u32> {
    fn from(scale: ScoreScale) -> Self {
        scale.counts.to_vec()
    }
}

impl TryFrom<Vec<u32>> for ScoreScale {
    type Error = &'static str;

    fn try_from(counts: Vec<u32>) -> Result<Self, Self::Error> {
        let counts: [u32; BINS] = counts
            .try_into()
            .map_err(|_others: Vec<u32>| "a scale of scores with another number of places")?;
        let total = counts
            .iter()
            .fold(0, |sum: u32, it| sum.saturating_add(*it));
        Ok(Self { counts, total })
    }
}

impl Default for ScoreScale {
    fn default() -> Self {
        let mut counts = [0; BINS];
        counts[bin(REFERENCE)] = PRIOR;
        Self {
            counts,
            total: PRIOR,
        }
    }
}

impl ScoreScale {
    /// Counts a score; weak ones and what is no number are passed over.
    pub fn add(&mut self, score: f32) {
        if !(LEAST_SCORE..=1.0).contains(&score) {
            return;
        }
        if self.total >= FULL {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
        self.counts[bin(score)] += 1;
        self.total += 1;
    }

    /// What thresholds are to be multiplied with, [`LEAST_SCALE`]..=1.
    pub fn factor(&self) -> f32 {
        let below = (QUANTILE * self.total as f32) as u32;
        let mut passed = 0;
        let place = self.counts.iter().position(|&count| {
            passed += count;
            passed > below
        });
        let quartile = (place.unwrap_or(BINS) as f32 + 1.0) / BINS as f32;
        (quartile / REFERENCE).clamp(LEAST_SCALE, 1.0)
    }
}

fn bin(score: f32) -> usize {
    ((score * BINS as f32) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor_after(scores: impl Iterator<Item = f32>) -> f32 {
        let mut scale = ScoreScale::default();
        scores.for_each(|score| scale.add(score));
        scale.factor()
    }

    #[test]
    fn a_sure_detector_changes_nothing() {
        assert!(
            (factor_after([0.93, 0.9, 0.95, 0.5].into_iter().cycle().take(100)) - 1.0).abs() < 0.03
        );
        assert!((factor_after(std::iter::empty()) - 1.0).abs() < 0.03);
    }

    #[test]
    fn a_timid_detector_lowers_the_bar_in_proportion() {
        // Quartile 0.64 (the upper edge of its place): 0.64 / 0.92 = 0.696.
        let timid = factor_after([0.63, 0.5, 0.63, 0.4].into_iter().cycle().take(1000));
        assert!((timid - 0.696).abs() < 0.03, "{timid}");
    }

    #[test]
    fn noise_lowers_it_only_so_far() {
        assert!(factor_after(std::iter::repeat_n(0.26, 10_000)) >= LEAST_SCALE);
        assert!((factor_after([0.1, f32::NAN, -3.0, 40.0].into_iter()) - 1.0).abs() < 0.03);
    }

    #[test]
    fn the_scale_follows_a_change() {
        let day = std::iter::repeat_n(0.93, 100_000);
        let night = std::iter::repeat_n(0.6, 10_000);
        assert!(factor_after(day.chain(night)) < 0.7);
    }
}
