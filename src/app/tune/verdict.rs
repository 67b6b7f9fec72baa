//! Whether a gain is one: the mean over what was held out, its spread, and what to do.

use std::fmt;

/// A gain below this many points is not worth a line of configuration.
///
/// Source: figures of the benchmarks move by half a point when boxes are jittered by 1 %
/// (docs/tracking.md); the mean over folds moves by less.
pub const LEAST_GAIN: f64 = 0.2;

/// Gains of one figure on the parts that were held out, points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// The mean over the folds.
    pub mean: f64,
    /// The standard deviation between folds.
    pub spread: f64,
    /// The smallest.
    pub worst: f64,
}

impl Gain {
    /// What the gains of the folds come to; `None` without at least two folds.
    #[must_use]
    pub fn of(gains: &[f64]) -> Option<Self> {
        if gains.len() < 2 {
            return None;
        }
        let count = gains.len() as f64;
        let mean = gains.iter().sum::<f64>() / count;
        let squares = gains.iter().map(|gain| (gain - mean).powi(2));
        Some(Self {
            mean,
            spread: (squares.sum::<f64>() / (count - 1.0)).sqrt(),
            worst: gains.iter().copied().fold(f64::INFINITY, f64::min),
        })
    }
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mean,
            spread,
            worst,
        } = self;
        write!(f, "{mean:+.2} ± {spread:.2}, worst fold {worst:+.2}")
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// The gain is larger than its spread.
    Take,
    /// Nothing better was found on all the data.
    NothingFound,
    /// What the searches chose is worse on what they did not see.
    Worse,
    /// The gain is below [`LEAST_GAIN`].
    Small,
    /// The gain is not larger than its spread.
    Uncertain,
}

impl Verdict {
    /// The verdict on `gain`; `is_changed` says whether the search over everything changes anything.
    #[must_use]
    pub fn on(gain: Gain, is_changed: bool) -> Self {
        if !is_changed {
            Self::NothingFound
        } else if gain.mean < 0.0 {
            Self::Worse
        } else if gain.mean < LEAST_GAIN {
            Self::Small
        } else if gain.mean <= gain.spread {
            Self::Uncertain
        } else {
            Self::Take
        }
    }

    /// Whether the new setting is to be taken.
    #[must_use]
    pub fn is_take(self) -> bool {
        self == Self::Take
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_spread_and_worst_are_those_of_the_book() {
        // Mean 2, squared differences 1 + 0 + 1, over n - 1 = 2: 1.
        let gain = Gain::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((gain.mean, gain.spread, gain.worst), (2.0, 1.0, 1.0));
        assert_eq!(Gain::of(&[1.0]), None);
        assert_eq!(gain.to_string(), "+2.00 ± 1.00, worst fold +1.00");
    }

    #[test]
    fn a_gain_must_be_larger_than_its_spread_and_worth_a_line() {
        let verdict = |gains: &[f64]| Verdict::on(Gain::of(gains).unwrap(), true);
        assert_eq!(verdict(&[0.5, 0.6, 0.7]), Verdict::Take);
        // Mean 0.5, deviation 0.5: within.
        assert_eq!(verdict(&[0.0, 0.5, 1.0]), Verdict::Uncertain);
        assert_eq!(verdict(&[0.18, 0.19, 0.2]), Verdict::Small);
        assert_eq!(verdict(&[-0.3, 0.1]), Verdict::Worse);
        assert_eq!(verdict(&[0.0, 0.0]), Verdict::Small);
        assert!(verdict(&[0.3, 0.3]).is_take());
    }

    #[test]
    fn without_a_change_there_is_nothing_to_take() {
        let gain = Gain::of(&[0.5, 0.6]).unwrap();
        assert_eq!(Verdict::on(gain, false), Verdict::NothingFound);
    }
}
