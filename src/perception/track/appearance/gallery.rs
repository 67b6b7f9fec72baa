//! What one object has looked like so far, in bounded memory.

use serde::{Deserialize, Serialize};

use crate::base::{Embedding, Pts};

/// Looks kept per object beside their mean, chosen to differ.
const EXEMPLARS: usize = 8;
/// Shortest mean of unit vectors that still has a direction.
const LEAST_MEAN: f32 = 0.05;
/// Looks that the mean weighs alike; from then on old ones fade.
const EQUAL_LOOKS: u32 = 10;
/// A look is taken at most this often, seconds: neighbouring frames show the same again, and looks
/// that lie apart say more about how an object comes back.
const INTERVAL_SECS: f64 = 0.25;

/// The looks of one object: their mean and up to [`EXEMPLARS`] that differ most.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gallery {
    mean: Embedding,
    /// In the order in which they were taken.
    exemplars: Vec<Embedding>,
    looks: u32,
    taken: Pts,
}

impl Gallery {
    /// A gallery of one look.
    pub fn new(look: &Embedding, pts: Pts) -> Self {
        Self {
            mean: look.clone(),
            exemplars: vec![look.clone()],
            looks: 1,
            taken: pts,
        }
    }

    /// Looks taken so far.
    pub fn looks(&self) -> u32 {
        self.looks
    }

    /// Their mean.
    pub fn mean(&self) -> &Embedding {
        &self.mean
    }

    /// Whether the last look was taken long enough ago for another.
    pub fn is_due(&self, pts: Pts) -> bool {
        pts.secs_since(self.taken).abs() >= INTERVAL_SECS
    }

    /// How much `look` is like this object, −1..=1: the mean of its likeness to the mean look and to
    /// the most alike exemplar. The mean is steady, the exemplar knows the other side of a coat.
    /// `None` for a vector of another length.
    pub fn similarity(&self, look: &Embedding) -> Option<f32> {
        let to_mean = self.mean.similarity(look)?;
        let to_exemplar = self
            .exemplars
            .iter()
            .filter_map(|exemplar| exemplar.similarity(look))
            .fold(to_mean, f32::max);
        Some((to_mean + to_exemplar) / 2.0)
    }

    /// Takes another look; one of another length is passed over.
    pub fn add(&mut self, look: &Embedding, pts: Pts) {
        if look.values().len() != self.mean.values().len() {
            return;
        }
        self.taken = pts;
        self.looks = self.looks.saturating_add(1);
        let share = 1.0 / self.looks.min(EQUAL_LOOKS) as f32;
        let mixed: Vec<f32> = self
            .mean
            .values()
            .iter()
            .zip(look.values())
            .map(|(mean, new)| mean + share * (new - mean))
            .collect();
        // Looks that point to opposite sides have no mean: the old one stays.
        let squared: f32 = mixed.iter().map(|value| value * value).sum();
        if squared >= LEAST_MEAN * LEAST_MEAN
            && let Some(mean) = Embedding::new(&mixed)
        {
            self.mean = mean;
        }
        self.exemplars.push(look.clone());
        if self.exemplars.len() > EXEMPLARS {
            let redundant = self.most_redundant();
            self.exemplars.remove(redundant);
        }
    }

    /// The older one of the two exemplars that are most alike.
    fn most_redundant(&self) -> usize {
        let mut best = (f32::MIN, 0);
        for (index, one) in self.exemplars.iter().enumerate() {
            for other in &self.exemplars[index + 1..] {
                let likeness = one.similarity(other).unwrap_or(f32::MIN);
                if likeness > best.0 {
                    best = (likeness, index);
                }
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(degrees: f32) -> Embedding {
        let angle = degrees.to_radians();
        Embedding::new(&[angle.cos(), angle.sin()]).unwrap()
    }

    fn at(secs: f64) -> Pts {
        Pts((secs * 1e9) as u64)
    }

    #[test]
    fn likeness_is_half_that_to_the_mean_and_half_that_to_the_best_exemplar() {
        let mut gallery = Gallery::new(&look(0.0), at(0.0));
        gallery.add(&look(60.0), at(1.0));
        // Mean at 30°; a look at 60° is an exemplar itself: (cos 30° + 1) / 2.
        let found = gallery.similarity(&look(60.0)).unwrap();
        assert!((found - (30f32.to_radians().cos() + 1.0) / 2.0).abs() < 1e-5);
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_differs() {
        let mut gallery = Gallery::new(&look(80.0), at(0.0));
        for number in 0..1000u16 {
            gallery.add(&look(f32::from(number % 7)), at(f64::from(number)));
        }
        assert_eq!(gallery.exemplars.len(), EXEMPLARS);
        // The first look is unlike all others: it stays.
        assert!(gallery.exemplars[0].similarity(&look(80.0)).unwrap() > 0.999);
    }

    #[test]
    fn a_look_is_due_after_the_interval() {
        let gallery = Gallery::new(&look(0.0), at(1.0));
        assert!(!gallery.is_due(at(1.1)));
        assert!(gallery.is_due(at(1.25)));
    }

    #[test]
    fn a_vector_of_another_length_changes_nothing() {
        let mut gallery = Gallery::new(&look(0.0), at(0.0));
        let other = Embedding::new(&[1.0, 0.0, 0.0]).unwrap();
        gallery.add(&other, at(1.0));
        assert_eq!(gallery.looks(), 1);
        assert_eq!(gallery.similarity(&other), None);
    }

    #[test]
    fn opposite_looks_have_no_mean_and_the_old_one_stays() {
        let mut gallery = Gallery::new(&look(0.0), at(0.0));
        gallery.add(&look(180.0), at(1.0));
        assert_eq!(gallery.mean(), &look(0.0));
    }
}
