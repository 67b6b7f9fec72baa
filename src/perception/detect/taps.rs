//! Bilinear taps: which two source pixels make a pixel of the model, and with which weights.

use super::Placement;

/// Vertical weights are parts of 256, so that a blend of two bytes fits 16 bits exactly.
const ROW_ONE: u16 = 256;

/// What a blended value has to be multiplied with to be in 0..=255.
pub(super) const SAMPLE_UNIT: f32 = 1.0 / ROW_ONE as f32;

/// Pairs of neighbouring columns, one pair per column of the model.
#[derive(Debug)]
pub(super) struct Columns {
    /// The left ones; the right one is always the next.
    pub(super) first: Vec<u32>,
    /// Weights of the right ones, 0..=1.
    pub(super) weight: Vec<f32>,
    /// Every weight is 0: the left pixels alone count.
    pub(super) is_exact: bool,
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
    pub(super) luma_columns: Columns,
    pub(super) luma_rows: Vec<RowTap>,
    pub(super) chroma_columns: Columns,
    pub(super) chroma_rows: Vec<RowTap>,
}

impl Taps {
    pub(super) fn new(placement: Placement) -> Self {
        let (width, height) = (
            placement.frame.width as usize,
            placement.frame.height as usize,
        );
        // Luma pixels per plane pixel: 1 for luma, 2 for chroma.
        let columns = |per: usize| {
            let taps = taps(placement.width, width, per);
            let (first, weight): (_, Vec<f32>) = taps
                .map(|(first, weight)| (first as u32, weight as f32))
                .unzip();
            let is_exact = weight.iter().all(|weight| *weight == 0.0);
            Columns {
                first,
                weight,
                is_exact,
            }
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
pub(super) fn blend(upper: &[u8], lower: &[u8], weight: u16, out: &mut [u16]) {
    if weight == 0 {
        // The row hits its source exactly, as all luma rows of 1080 -> 360 do: half the reading.
        for (out, upper) in out.iter_mut().zip(upper) {
            *out = u16::from(*upper) * ROW_ONE;
        }
        return;
    }
    for ((out, upper), lower) in out.iter_mut().zip(upper).zip(lower) {
        *out = mix(*upper, *lower, weight);
    }
}

/// As [`blend`] for two planes, which come out interleaved.
#[inline(never)]
pub(super) fn blend_interleaving(
    [upper_u, lower_u]: [&[u8]; 2],
    [upper_v, lower_v]: [&[u8]; 2],
    weight: u16,
    out: &mut [u16],
) {
    let u = upper_u.iter().zip(lower_u);
    let v = upper_v.iter().zip(lower_v);
    for ((out, (upper_u, lower_u)), (upper_v, lower_v)) in out.chunks_exact_mut(2).zip(u).zip(v) {
        out[0] = mix(*upper_u, *lower_u, weight);
        out[1] = mix(*upper_v, *lower_v, weight);
    }
}

#[inline(always)]
fn mix(upper: u8, lower: u8, weight: u16) -> u16 {
    u16::from(upper) * (ROW_ONE - weight) + u16::from(lower) * weight
}

/// Pairs of neighbours of one plane: left in the low half, right in the high half.
///
/// Fetching is kept apart from arithmetic, so that the compiler can vectorise the latter.
#[inline(never)]
pub(super) fn fetch(row: &[u16], first: &[u32], out: &mut [u32]) {
    for (out, first) in out.iter_mut().zip(first) {
        let first = *first as usize;
        *out = packed(&row[first..first + 2]);
    }
}

/// Pairs of neighbours of two interleaved planes: left of both, right of both, U in the low half.
#[inline(never)]
pub(super) fn fetch_interleaved(row: &[u16], first: &[u32], left: &mut [u32], right: &mut [u32]) {
    for ((left, right), first) in left.iter_mut().zip(right).zip(first) {
        let first = 2 * *first as usize;
        let four = &row[first..first + 4];
        *left = packed(&four[..2]);
        *right = packed(&four[2..]);
    }
}

#[inline(always)]
fn packed(pair: &[u16]) -> u32 {
    u32::from(pair[0]) | u32::from(pair[1]) << 16
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
