//! What an object is, by the confidence-weighted vote of its detections.

use serde::{Deserialize, Serialize};

use crate::base::ClassId;

/// Classes remembered per track; detectors flicker between two or three.
const CANDIDATES: usize = 4;
/// What an old vote keeps when a new one comes, so that a wrong beginning is outvoted in time.
const FADE: f32 = 0.98;

/// The classes an object was seen as, and how strongly.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ClassVote {
    votes: [(ClassId, f32); CANDIDATES],
}

impl ClassVote {
    pub fn new(class: ClassId, confidence: f32) -> Self {
        let mut votes = [(class, 0.0); CANDIDATES];
        votes[0].1 = confidence;
        Self { votes }
    }

    /// Adds a vote; with all places taken the weakest class gives way.
    pub fn add(&mut self, class: ClassId, confidence: f32) {
        for vote in &mut self.votes {
            vote.1 *= FADE;
        }
        let known = self.votes.iter().position(|vote| vote.0 == class);
        let place = known.unwrap_or_else(|| {
            (0..CANDIDATES)
                .min_by(|&a, &b| self.votes[a].1.total_cmp(&self.votes[b].1))
                .unwrap_or(0)
        });
        if known.is_none() {
            self.votes[place] = (class, 0.0);
        }
        self.votes[place].1 += confidence;
    }

    /// The class with most votes; the earlier candidate where equal.
    pub fn winner(&self) -> ClassId {
        let mut best = self.votes[0];
        for &vote in &self.votes[1..] {
            if vote.1 > best.1 {
                best = vote;
            }
        }
        best.0
    }

    /// Share of the votes that `class` has, 0..=1.
    pub fn share(&self, class: ClassId) -> f32 {
        let total: f32 = self.votes.iter().map(|vote| vote.1).sum();
        let own: f32 = self
            .votes
            .iter()
            .filter(|vote| vote.0 == class)
            .map(|vote| vote.1)
            .sum();
        if total > 0.0 { own / total } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAN: ClassId = ClassId(2);
    const TRUCK: ClassId = ClassId(7);

    #[test]
    fn a_strong_class_outvotes_flicker() {
        let mut vote = ClassVote::new(TRUCK, 0.4);
        for _ in 0..3 {
            vote.add(VAN, 0.9);
            vote.add(TRUCK, 0.4);
        }
        assert_eq!(vote.winner(), VAN);
        assert!(vote.share(VAN) > vote.share(TRUCK));
    }

    #[test]
    fn a_fifth_class_takes_the_weakest_place() {
        let mut vote = ClassVote::new(ClassId(0), 0.9);
        for class in 1..=4 {
            vote.add(ClassId(class), 0.1 * f32::from(class));
        }
        assert!(vote.share(ClassId(1)) <= 0.0);
        assert!(vote.share(ClassId(4)) > 0.0);
        assert_eq!(vote.winner(), ClassId(0));
    }
}
