//! Bilinear taps: which two source pixels make a pixel of the model, and with which weights.

use super::Placement;

/// Vertical weights are parts of 256, so that a blend of two bytes fits 16 bits exactly.
const ROW_ONE: u16 = 256;

/// Horizontal weights are parts of 2048, as in OpenCV.
const COLUMN_BITS: u32 = 11;

/// What a sampled value has to be multiplied with to be in 0..=255.
pub(super) const SAMPLE_UNIT: f32 = 1.0 / (256.0 * 2048.0);

/// Two neighbouring columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColumnTap {
    /// The left one; the right one is the next.
    first: u32,
    /// Weight of the right one, of 2048.
    weight: i32,
}

/// Two neighbouring rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowTap {
    /// The upper one.
    pub(super) first: usize,
    /// The lower one, or the upper one again at the lower edge.
    pub(super) second: usize,
    /// Weight of the lower one, of 256.
    pub(super) weight: u16,
}

/// All taps for one frame size.
#[derive(Debug)]
pub(super) struct Taps {
    pub(super) placement: Placement,
    pub(super) luma_columns: Vec<ColumnTap>,
    pub(super) luma_rows: Vec<RowTap>,
    pub(super) chroma_columns: Vec<ColumnTap>,
    pub(super) chroma_rows: Vec<RowTap>,
}

impl Taps {
    pub(super) fn new(placement: Placement) -> Self {
        let (width, height) = (
            placement.frame.width as usize,
            placement.frame.height as usize,
        );
        // Luma pixels per plane pixel: 1 for luma, 2 for chroma.
        let columns = |per: usize| -> Vec<ColumnTap> {
            taps(placement.width, width, per)
                .map(|(first, weight)| ColumnTap {
                    first: first as u32,
                    weight: (weight * f64::from(1 << COLUMN_BITS)).round() as i32,
                })
                .collect()
        };
        let rows = |per: usize| -> Vec<RowTap> {
            taps(placement.height, height, per)
                .map(|(first, weight)| RowTap {
                    first,
                    second: (first + 1).min(height.div_ceil(per) - 1),
                    weight: (weight * f64::from(ROW_ONE)).round() as u16,
                })
                .collect()
        };
        Self {
            luma_columns: columns(1),
            luma_rows: rows(1),
            chroma_columns: columns(2),
            chroma_rows: rows(2),
            placement,
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

/// `upper · (256 − weight) + lower · weight`, element by element.
#[inline(never)]
pub(super) fn blend_rows(upper: &[u8], lower: &[u8], weight: u16, out: &mut [u16]) {
    let rest = ROW_ONE - weight;
    for ((out, upper), lower) in out.iter_mut().zip(upper).zip(lower) {
        *out = u16::from(*upper) * rest + u16::from(*lower) * weight;
    }
}

#[inline(always)]
fn mix(left: u16, right: u16, weight: i32) -> i32 {
    let (left, right) = (i32::from(left), i32::from(right));
    (left << COLUMN_BITS) + (right - left) * weight
}

/// One plane at the columns of the model.
#[inline(never)]
pub(super) fn sample_row(row: &[u16], taps: &[ColumnTap], out: &mut [i32]) {
    for (out, tap) in out.iter_mut().zip(taps) {
        let first = tap.first as usize;
        let pair = &row[first..first + 2];
        *out = mix(pair[0], pair[1], tap.weight);
    }
}

/// Two interleaved planes at the columns of the model.
#[inline(never)]
pub(super) fn sample_pairs(row: &[u16], taps: &[ColumnTap], u: &mut [i32], v: &mut [i32]) {
    for ((u, v), tap) in u.iter_mut().zip(v).zip(taps) {
        let first = 2 * tap.first as usize;
        let four = &row[first..first + 4];
        *u = mix(four[0], four[2], tap.weight);
        *v = mix(four[1], four[3], tap.weight);
    }
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
}
