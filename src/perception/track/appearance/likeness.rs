//! How alike looks of one object are for this model and scene, and how alike those of two objects,
//! learnt without labels.
//!
//! Two things are known for sure while tracking: a track that goes on undisputed is one object, and
//! two tracks seen in one frame are two. The similarities of the first kind and those of the second
//! make two distributions; where they lie apart appearance tells objects apart, and where they cover
//! each other it tells nothing and has no weight.

use serde::{Deserialize, Serialize};

/// Places of a histogram over −1..=1; a place is 0.02 wide.
const BINS: usize = 100;
/// With this many counted, all counts are halved, so that they follow the light.
const FULL: u32 = 4096;
/// With fewer of a kind nothing is said.
const LEAST: u32 = 40;
/// Chance that a look of one object beats that of another, below which appearance has no weight,
/// and from which it has all. 0.5 is guessing.
const CHANCE: [f32; 2] = [0.75, 0.95];
/// Chance from which a lost object may be found by its look alone.
const SURE: f32 = 0.9;
/// Part of the finds among strangers that may be wrong.
const FALSE_FINDS: f32 = 0.005;
/// A find must not be less alike than this part of the looks of one object.
const LEAST_ALIKE: f32 = 0.1;

/// A look that is less alike than all but this part of one object's looks is strange.
const STRANGE: f32 = 0.02;

/// A histogram of the similarities of late.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Vec<u32>", try_from = "Vec<u32>")]
struct Histogram {
    counts: [u32; BINS],
    total: u32,
}

impl From<Histogram> for Vec<u32> {
    fn from(histogram: Histogram) -> Self {
        histogram.counts.to_vec()
    }
}

impl TryFrom<Vec<u32>> for Histogram {
    type Error = &'static str;

    fn try_from(counts: Vec<u32>) -> Result<Self, Self::Error> {
        let counts: [u32; BINS] = counts
            .try_into()
            .map_err(|_others: Vec<u32>| "likenesses with another number of places")?;
        let total = counts
            .iter()
            .fold(0, |sum: u32, it| sum.saturating_add(*it));
        Ok(Self { counts, total })
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [0; BINS],
            total: 0,
        }
    }
}

/// Place of a similarity in the histogram, with the part of the place that lies below it.
fn place(similarity: f32) -> (usize, f32) {
    let at = ((similarity + 1.0) / 2.0 * BINS as f32).clamp(0.0, BINS as f32 - 1e-3);
    (at as usize, at.fract())
}

impl Histogram {
    fn add(&mut self, similarity: f32) {
        if !similarity.is_finite() {
            return;
        }
        if self.total >= FULL {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
        self.counts[place(similarity).0] += 1;
        self.total += 1;
    }

    /// Part of the similarities that lie below, 0..=1.
    fn below(&self, similarity: f32) -> f32 {
        let (bin, part) = place(similarity);
        let whole: u32 = self.counts[..bin].iter().sum();
        (whole as f32 + part * self.counts[bin] as f32) / self.total.max(1) as f32
    }
}

/// The two distributions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Likeness {
    same: Histogram,
    different: Histogram,
}

impl Likeness {
    /// Counts the similarity of a track to its own next look.
    pub fn add_same(&mut self, similarity: f32) {
        self.same.add(similarity);
    }

    /// Counts the similarity of a track to the look of another one in the same frame.
    pub fn add_different(&mut self, similarity: f32) {
        self.different.add(similarity);
    }

    /// Chance that a look of the same object is more alike than one of another, 0..=1; `None` before
    /// enough was counted.
    fn chance(&self) -> Option<f32> {
        if self.same.total < LEAST || self.different.total < LEAST {
            return None;
        }
        let mut below = 0.0;
        let mut wins = 0.0;
        for (same, different) in self.same.counts.iter().zip(&self.different.counts) {
            let (same, different) = (f64::from(*same), f64::from(*different));
            wins += same * (below + different / 2.0);
            below += different;
        }
        Some((wins / (f64::from(self.same.total) * f64::from(self.different.total))) as f32)
    }

    /// How much weight appearance deserves, 0..=1.
    pub fn trust(&self) -> f32 {
        self.chance().map_or(0.0, |chance| {
            ((chance - CHANCE[0]) / (CHANCE[1] - CHANCE[0])).clamp(0.0, 1.0)
        })
    }

    /// Whether a lost object may be found by its look alone.
    pub fn is_sure(&self) -> bool {
        self.chance().is_some_and(|chance| chance >= SURE)
    }

    /// What a similarity says, −1 (another object) to 1 (the same): the part of one object's looks that
    /// are less alike, less the part of strangers' looks that are more alike.
    pub fn evidence(&self, similarity: f32) -> f32 {
        self.same.below(similarity) + self.different.below(similarity) - 1.0
    }

    /// Whether a similarity is hardly that of the same object.
    pub fn is_strange(&self, similarity: f32) -> bool {
        self.is_sure() && self.same.below(similarity) <= STRANGE
    }

    /// Whether a similarity, the best among `candidates` lost objects, is that of the same object:
    /// strangers reach it in one of two hundred finds (each candidate is another chance to be wrong).
    pub fn is_find(&self, similarity: f32, candidates: usize) -> bool {
        let strangers = 1.0 - self.different.below(similarity);
        strangers * candidates.max(1) as f32 <= FALSE_FINDS
            && self.same.below(similarity) >= LEAST_ALIKE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Similarities around `same` and `different`, ± `spread`.
    fn learnt(same: f32, different: f32, spread: f32) -> Likeness {
        let mut random = fastrand::Rng::with_seed(1);
        let mut likeness = Likeness::default();
        for _ in 0..500 {
            likeness.add_same(same + spread * (2.0 * random.f32() - 1.0));
            likeness.add_different(different + spread * (2.0 * random.f32() - 1.0));
        }
        likeness
    }

    #[test]
    fn distributions_that_lie_apart_are_trusted() {
        let likeness = learnt(0.8, 0.4, 0.15);
        assert!((likeness.trust() - 1.0).abs() < 1e-6 && likeness.is_sure());
        assert!(likeness.evidence(0.8) > 0.3);
        assert!(likeness.evidence(0.4) < -0.3);
        assert!(likeness.is_find(0.8, 10));
        assert!(!likeness.is_find(0.45, 1));
    }

    #[test]
    fn distributions_that_cover_each_other_have_no_weight() {
        let likeness = learnt(0.5, 0.5, 0.3);
        assert!(likeness.trust() <= 0.0 && !likeness.is_sure());
    }

    #[test]
    fn nothing_is_said_before_enough_was_seen() {
        let mut likeness = Likeness::default();
        assert!(likeness.trust() <= 0.0);
        for _ in 0..LEAST - 1 {
            likeness.add_same(0.9);
            likeness.add_different(0.1);
        }
        assert!(likeness.trust() <= 0.0 && !likeness.is_sure());
        likeness.add_same(0.9);
        likeness.add_different(0.1);
        assert!(likeness.trust() > 0.9 && likeness.is_sure());
    }

    #[test]
    fn more_candidates_ask_for_more_likeness() {
        // Strangers evenly from 0.25 to 0.55: 1 in 100 above 0.547, 1 in 1000 above 0.5497.
        let likeness = learnt(0.55, 0.4, 0.15);
        let least = |candidates: usize| {
            (0..1000u16)
                .map(|i| f32::from(i) / 1000.0)
                .find(|&similarity| likeness.is_find(similarity, candidates))
        };
        assert!(least(1) < least(10), "{:?} {:?}", least(1), least(10));
    }

    #[test]
    fn the_distributions_follow_a_change_and_stay_bounded() {
        let mut likeness = learnt(0.8, 0.4, 0.1);
        for _ in 0..20_000 {
            likeness.add_same(0.4);
            likeness.add_different(0.4);
        }
        assert!(likeness.trust() <= 0.0);
        assert!(likeness.same.total <= FULL);
        likeness.add_same(f32::NAN);
    }
}
