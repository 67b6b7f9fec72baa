//! Bytes of planes → values at the pixels of the model.
//!
//! Fetching is scattered reading and kept apart from arithmetic, so that the compiler can vectorise
//! the latter. The arithmetic exists twice, for AVX2 and for every x86-64, and is chosen when the
//! program runs; both do the same IEEE operations one by one, so they give the same bytes.

use multiversion::multiversion;

/// Columns that are fetched in one turn of a loop: the rest of the loop costs as much as one fetch.
const TURN: usize = 8;

/// Calls `fetch` for every column, a few per turn of the loop.
#[inline(always)]
fn each<T>(columns: &[u32], out: &mut [T], fetch: impl Fn(usize) -> T) {
    let (turns, rest) = columns.as_chunks::<TURN>();
    let (out_turns, out_rest) = out[..columns.len()].as_chunks_mut::<TURN>();
    for (out, columns) in out_turns.iter_mut().zip(turns) {
        for (out, column) in out.iter_mut().zip(columns) {
            *out = fetch(*column as usize);
        }
    }
    for (out, column) in out_rest.iter_mut().zip(rest) {
        *out = fetch(*column as usize);
    }
}

/// One pixel per column: where nothing has to be mixed.
#[inline(never)]
pub(super) fn fetch(row: &[u8], columns: &[u32], out: &mut [u8]) {
    each(columns, out, |column| row[column]);
}

/// Four neighbours per column, from the lowest byte: upper left, upper right, lower left, lower right.
#[inline(never)]
pub(super) fn fetch_four(upper: &[u8], lower: &[u8], first: &[u32], out: &mut [u32]) {
    let lower = &lower[..upper.len()];
    each(first, out, |first| {
        let (upper, lower) = (&upper[first..first + 2], &lower[first..first + 2]);
        let upper = u16::from_le_bytes([upper[0], upper[1]]);
        let lower = u16::from_le_bytes([lower[0], lower[1]]);
        u32::from(upper) | u32::from(lower) << 16
    });
}

/// Two neighbours per column of two interleaved planes: left U, left V, right U, right V.
#[inline(never)]
pub(super) fn fetch_interleaved(row: &[u8], first: &[u32], out: &mut [u32]) {
    each(first, out, |first| {
        let four = &row[2 * first..2 * first + 4];
        u32::from_le_bytes([four[0], four[1], four[2], four[3]])
    });
}

/// Bytes as they are.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn widen(bytes: &[u8], out: &mut [f32]) {
    for (out, byte) in out.iter_mut().zip(bytes) {
        *out = f32::from(*byte);
    }
}

/// Of what [`fetch_four`] fetched; `right` and `lower` are the weights of those, 0..=1.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn mix_four(fours: &[u32], right: &[f32], lower: f32, out: &mut [f32]) {
    let length = out.len();
    let (fours, right) = (&fours[..length], &right[..length]);
    for i in 0..length {
        let left = mix(byte::<0>(fours[i]), byte::<2>(fours[i]), lower);
        let other = mix(byte::<1>(fours[i]), byte::<3>(fours[i]), lower);
        out[i] = mix(left, other, right[i]);
    }
}

/// Of what [`fetch_interleaved`] fetched from two rows.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn mix_interleaved(
    upper_row: &[u32],
    lower_row: &[u32],
    right: &[f32],
    lower: f32,
    u: &mut [f32],
    v: &mut [f32],
) {
    let length = u.len();
    let v = &mut v[..length];
    let right = &right[..length];
    let (upper_row, lower_row) = (&upper_row[..length], &lower_row[..length]);
    for i in 0..length {
        let (above, below) = (upper_row[i], lower_row[i]);
        let left = mix(byte::<0>(above), byte::<0>(below), lower);
        let other = mix(byte::<2>(above), byte::<2>(below), lower);
        u[i] = mix(left, other, right[i]);
        let left = mix(byte::<1>(above), byte::<1>(below), lower);
        let other = mix(byte::<3>(above), byte::<3>(below), lower);
        v[i] = mix(left, other, right[i]);
    }
}

#[inline(always)]
fn mix(first: f32, second: f32, weight: f32) -> f32 {
    first + (second - first) * weight
}

/// Signed on the way: SSE2 converts signed integers only.
#[inline(always)]
fn byte<const INDEX: u32>(four: u32) -> f32 {
    (four >> (8 * INDEX) & 0xff) as i32 as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 37 columns: whole vectors of any width, and a rest.
    fn fours() -> (Vec<u32>, Vec<u32>, Vec<f32>) {
        let four = |i: u32| i.wrapping_mul(2_654_435_761);
        let weight = |i: u32| i as f32 / 37.0;
        (
            (0..37).map(four).collect(),
            (50..87).map(four).collect(),
            (0..37).map(weight).collect(),
        )
    }

    /// Left, right, upper, lower: the definition, in single precision, each step rounded.
    fn scalar([ul, ur, ll, lr]: [u8; 4], right: f32, lower: f32) -> u32 {
        let [ul, ur, ll, lr] = [ul, ur, ll, lr].map(f32::from);
        let left = ul + (ll - ul) * lower;
        let other = ur + (lr - ur) * lower;
        (left + (other - left) * right).to_bits()
    }

    #[test]
    fn vectors_of_any_width_give_the_bits_of_scalar_code() {
        let (upper, below, right) = fours();
        let lower = 0.3;
        let mut mixed = vec![0.0; 37];
        let (mut u, mut v) = (mixed.clone(), mixed.clone());
        mix_four(&upper, &right, lower, &mut mixed);
        mix_interleaved(&upper, &below, &right, lower, &mut u, &mut v);
        for i in 0..37 {
            let (a, b) = (upper[i].to_le_bytes(), below[i].to_le_bytes());
            assert_eq!(mixed[i].to_bits(), scalar(a, right[i], lower));
            let [u_bits, v_bits] = [0, 1].map(|plane| {
                let corners = [a[plane], a[plane + 2], b[plane], b[plane + 2]];
                scalar(corners, right[i], lower)
            });
            assert_eq!((u[i].to_bits(), v[i].to_bits()), (u_bits, v_bits));
        }
    }

    #[test]
    fn a_fetch_takes_the_pixels_that_it_names() {
        let row: Vec<u8> = (0..40).collect();
        let next: Vec<u8> = (100..140).collect();
        // More than one turn of the loop and a rest, the last pair at the end of the row.
        let columns: Vec<u32> = (0..11).chain([38]).collect();
        let (mut single, mut four) = (vec![0; 12], vec![0; 12]);
        fetch(&row, &columns, &mut single);
        assert_eq!(single, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 38]);
        fetch_four(&row, &next, &columns, &mut four);
        assert_eq!(four[9].to_le_bytes(), [9, 10, 109, 110]);
        assert_eq!(four[11].to_le_bytes(), [38, 39, 138, 139]);
        let columns: Vec<u32> = (0..11).chain([18]).collect();
        fetch_interleaved(&row, &columns, &mut four);
        assert_eq!(four[9].to_le_bytes(), [18, 19, 20, 21]);
        assert_eq!(four[11].to_le_bytes(), [36, 37, 38, 39]);
    }
}
