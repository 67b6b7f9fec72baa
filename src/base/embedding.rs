//! What an object looks like, as a vector.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How far from 1 a squared length may lie and still be that of a unit vector.
const UNIT_TOLERANCE: f32 = 1e-4;

/// What an object looks like: a vector of unit length and 1 to [`Embedding::MAX_LEN`] values.
///
/// Two pictures of one object give vectors that point the same way. Only vectors of one model can be
/// compared. Cheap to clone: the values are shared.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<f32>", try_from = "Vec<f32>")]
pub struct Embedding(Arc<[f32]>);

impl From<Embedding> for Vec<f32> {
    fn from(embedding: Embedding) -> Self {
        embedding.0.to_vec()
    }
}

impl TryFrom<Vec<f32>> for Embedding {
    type Error = &'static str;

    /// As [`Embedding::new`].
    fn try_from(values: Vec<f32>) -> Result<Self, Self::Error> {
        Self::new(&values).ok_or("a look without a direction")
    }
}

impl Embedding {
    /// Longest vector that is taken; person re-identification networks give 128 to 512 values.
    pub const MAX_LEN: usize = 1024;

    /// The vector in the direction of `values`, or `None` if they have none: no value, more than
    /// [`Embedding::MAX_LEN`], a value that is not finite, or all zero. Values of unit length are kept as
    /// they are.
    #[must_use]
    pub fn new(values: &[f32]) -> Option<Self> {
        if values.is_empty() || values.len() > Self::MAX_LEN {
            return None;
        }
        let squared = dot(values, values);
        if !squared.is_finite() || squared < f32::MIN_POSITIVE {
            return None;
        }
        if (squared - 1.0).abs() <= UNIT_TOLERANCE {
            return Some(Self(values.into()));
        }
        let scale = 1.0 / squared.sqrt();
        Some(Self(values.iter().map(|value| value * scale).collect()))
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Cosine of the angle between the two, −1..=1 up to rounding; `None` for vectors of different
    /// lengths, which no one model gives.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> Option<f32> {
        (self.0.len() == other.0.len()).then(|| dot(&self.0, &other.0))
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedding of {} values", self.0.len())
    }
}

/// Sum of products. Eight sums side by side, so that the compiler can use vector registers; the
/// order of additions is fixed, and with it the result.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0f32; LANES];
    let (a_blocks, b_blocks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_blocks
        .remainder()
        .iter()
        .zip(b_blocks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_brought_to_unit_length() {
        // 3, 4 has length 5.
        assert_eq!(Embedding::new(&[3.0, 4.0]).unwrap().values(), [0.6, 0.8]);
    }

    #[test]
    fn unit_vectors_stay_as_they_are_to_the_last_bit() {
        let values = [0.6000001, 0.8, 0.0];
        assert_eq!(Embedding::new(&values).unwrap().values(), values);
    }

    #[test]
    fn what_has_no_direction_is_none() {
        assert_eq!(Embedding::new(&[]), None);
        assert_eq!(Embedding::new(&[0.0; 64]), None);
        assert_eq!(Embedding::new(&[1.0, f32::NAN]), None);
        assert_eq!(Embedding::new(&[f32::INFINITY, 1.0]), None);
        assert_eq!(Embedding::new(&[1e30, 1e30]), None);
        assert_eq!(Embedding::new(&vec![0.1; Embedding::MAX_LEN + 1]), None);
    }

    #[test]
    fn similarity_is_the_cosine_of_the_angle() {
        let east = Embedding::new(&[1.0, 0.0]).unwrap();
        let north_east = Embedding::new(&[1.0, 1.0]).unwrap();
        // The cosine of 45°.
        let found = east.similarity(&north_east).unwrap();
        assert!(
            (found - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-5,
            "{found}"
        );
        assert_eq!(
            east.similarity(&Embedding::new(&[1.0, 0.0, 0.0]).unwrap()),
            None
        );
    }

    #[test]
    fn every_length_is_summed_to_its_end() {
        for len in 1..40 {
            let ones = Embedding::new(&vec![1.0; len]).unwrap();
            let found = ones.similarity(&ones).unwrap();
            assert!((found - 1.0).abs() < 1e-5, "{len}: {found}");
        }
    }
}
