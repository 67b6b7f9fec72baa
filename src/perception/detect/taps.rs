//! Bilinear taps: which source pixels make a pixel of the model, and with which weights.

use super::Placement;
use crate::card;

/// Pairs of neighbouring columns, one pair per column of the model.
#[derive(Debug)]
pub(super) struct Columns {
    /// The left ones; the right one is always the next, and lies in the plane if that has two.
    pub(super) first: Vec<u32>,
    /// Weights of the right ones, 0..=1.
    pub(super) weight: Vec<f32>,
    /// The columns themselves, if every column of the model hits one exactly.
    pub(super) exact: Option<Vec<u32>>,
}

/// Two neighbouring rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowTap {
    /// The upper one.
    pub(super) first: usize,
    /// The lower one, or the upper one again at the lower edge.
    pub(super) second: usize,
    /// Weight of the lower one, 0..=1.
    pub(super) weight: f32,
}

/// The taps of one plane.
#[derive(Debug)]
pub(super) struct PlaneTaps {
    pub(super) columns: Columns,
    pub(super) rows: Vec<RowTap>,
}

/// All taps for one frame size.
#[derive(Debug)]
pub(super) struct Taps {
    pub(super) placement: Placement,
    pub(super) luma: PlaneTaps,
    pub(super) chroma: PlaneTaps,
}

impl Taps {
    pub(super) fn new(placement: Placement) -> Self {
        Self {
            luma: PlaneTaps::new(&placement, 1),
            chroma: PlaneTaps::new(&placement, 2),
            placement,
        }
    }
}

impl PlaneTaps {
    /// Of a plane with `per` luma pixels in each pixel and direction.
    fn new(placement: &Placement, per: usize) -> Self {
        let (width, height) = (
            placement.frame.width as usize,
            placement.frame.height as usize,
        );
        let last_row = height.div_ceil(per) - 1;
        let rows = taps(placement.height, height, per).map(|(first, weight)| RowTap {
            first,
            second: (first + 1).min(last_row),
            weight: weight as f32,
        });
        Self {
            columns: Columns::new(placement.width, width, per),
            rows: rows.collect(),
        }
    }
}

impl PlaneTaps {
    /// As the kernel of a card takes them, of a plane that is `width` px wide.
    pub(super) fn for_card(&self, width: usize) -> card::PlaneTaps {
        let next = u32::from(width > 1);
        let columns = self.columns.first.iter().zip(&self.columns.weight);
        let columns = columns.map(|(&first, &weight)| card::AxisTap {
            first,
            second: first + next,
            weight,
        });
        let rows = self.rows.iter().map(|tap| card::AxisTap {
            first: tap.first as u32,
            second: tap.second as u32,
            weight: tap.weight,
        });
        card::PlaneTaps {
            columns: columns.collect(),
            rows: rows.collect(),
        }
    }
}

impl Columns {
    fn new(to: usize, from: usize, per: usize) -> Self {
        let last_pair = from.div_ceil(per).saturating_sub(2);
        let is_exact = taps(to, from, per).all(|(_, weight)| weight == 0.0);
        let exact = || taps(to, from, per).map(|(first, _)| first as u32).collect();
        // The last column is the right one of the last pair, with all the weight.
        let pairs = taps(to, from, per).map(|(first, weight)| {
            let pair = first.min(last_pair);
            (pair as u32, weight as f32 + (first - pair) as f32)
        });
        let (first, weight) = pairs.unzip();
        Self {
            first,
            weight,
            exact: is_exact.then(exact),
        }
    }
}

/// For each of `to` pixels: the first of two source pixels and the weight of the second, 0..=1.
///
/// The source has `from` luma pixels on this axis, `per` of them in each pixel of its plane. Centres
/// lie at one half; beyond the outermost centres the outermost pixel goes on.
fn taps(to: usize, from: usize, per: usize) -> impl Iterator<Item = (usize, f64)> {
    let last = (from.div_ceil(per) - 1) as f64;
    let scale = from as f64 / to as f64;
    (0..to).map(move |index| {
        let centre = (index as f64 + 0.5) * scale / per as f64 - 0.5;
        let position = centre.clamp(0.0, last);
        (position.floor() as usize, position.fract())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_takes_the_mean_of_two_pixels() {
        // cv2: centre of pixel 0 of 2 in a row of 4 is (0 + 0.5)·2 − 0.5 = 0.5.
        let found: Vec<_> = taps(2, 4, 1).collect();
        assert_eq!(found, [(0, 0.5), (2, 0.5)]);
    }

    #[test]
    fn thirds_hit_the_middle_pixel() {
        let found: Vec<_> = taps(2, 6, 1).collect();
        assert_eq!(found, [(1, 0.0), (4, 0.0)]);
    }

    #[test]
    fn doubling_clamps_at_both_ends() {
        // Centres −0.25, 0.25, 0.75, 1.25 in a row of 2.
        let found: Vec<_> = taps(4, 2, 1).collect();
        assert_eq!(found, [(0, 0.0), (0, 0.25), (0, 0.75), (1, 0.0)]);
    }

    #[test]
    fn chroma_of_an_odd_row_has_a_last_pixel_of_its_own() {
        // Five luma pixels, three of chroma: centres at (i + 0.5)/2 − 0.5.
        let found: Vec<_> = taps(5, 5, 2).collect();
        assert_eq!(
            found,
            [(0, 0.0), (0, 0.25), (0, 0.75), (1, 0.25), (1, 0.75)]
        );
    }

    #[test]
    fn the_last_column_is_the_right_one_of_the_last_pair() {
        // Positions 0, 0.25, 0.75, 1: column 1 has no right neighbour.
        let columns = Columns::new(4, 2, 1);
        assert_eq!(columns.first, [0, 0, 0, 0]);
        assert_eq!(columns.weight, [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(columns.exact, None);
    }

    #[test]
    fn columns_that_are_hit_exactly_are_known() {
        let columns = Columns::new(3, 3, 1);
        assert_eq!(columns.exact, Some(vec![0, 1, 2]));
        assert_eq!(
            (columns.first, columns.weight),
            (vec![0, 1, 1], vec![0.0, 0.0, 1.0])
        );
    }
}
