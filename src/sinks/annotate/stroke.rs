//! Straight soft-edged lines on one plane.

use super::canvas::PlaneMut;

/// Fractional bits of the fixed point: as fine as opacity is.
const BITS: i32 = 8;

/// 1.0 in fixed point.
const ONE: i32 = 1 << BITS;

/// Farthest place, samples, at which a line may begin or end; further out nothing is drawn. Products
/// with [`ONE`] and a slope of at most 1 stay far from overflow.
const FAR: f32 = 65_536.0;

/// A line, in samples of a plane. Laid one column at a time where it runs more across than down, one
/// row at a time otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    steps_along_x: bool,
    /// First and last step; the last is not laid.
    first: i32,
    last: i32,
    /// Middle of the line at step `first`, and how far it moves per step; fixed point.
    middle: i32,
    slope: i32,
    /// Half the thickness as measured across the steps; fixed point.
    half: i32,
}

impl Stroke {
    pub(super) fn new(from: (f32, f32), to: (f32, f32), width: f32) -> Self {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps_along_x = dx.abs() >= dy.abs();
        // (along, across) of both ends, in rising order of `along`.
        let (mut a, mut b) = if steps_along_x {
            (from, to)
        } else {
            ((from.1, from.0), (to.1, to.0))
        };
        if a.0 > b.0 {
            std::mem::swap(&mut a, &mut b);
        }
        let length = b.0 - a.0;
        let seen = [a.0, a.1, b.0, b.1].iter().all(|edge| edge.abs() < FAR);
        if !seen || length <= 0.0 {
            return Self {
                steps_along_x,
                first: 0,
                last: 0,
                middle: 0,
                slope: 0,
                half: 0,
            };
        }
        let slope = (b.1 - a.1) / length;
        let first = a.0.round();
        let fixed = |value: f32| (value * ONE as f32).round() as i32;
        Self {
            steps_along_x,
            first: first as i32,
            last: b.0.round() as i32,
            middle: fixed(a.1 + slope * (first + 0.5 - a.0)),
            slope: fixed(slope),
            half: fixed(width / 2.0 * (1.0 + slope * slope).sqrt()),
        }
    }

    /// Lays `value` with opacity `alpha` (0..=256) over a plane of `[columns, rows]` samples; the
    /// `[pitch, offset]` of a sample are in bytes.
    pub(super) fn lay(
        &self,
        plane: &mut PlaneMut<'_>,
        [columns, rows]: [usize; 2],
        [pitch, offset]: [usize; 2],
        value: u8,
        alpha: u32,
    ) {
        let (steps, breadth, step_bytes, cross_bytes) = if self.steps_along_x {
            (columns, rows, pitch, plane.stride)
        } else {
            (rows, columns, plane.stride, pitch)
        };
        let limit = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let (alpha, value) = (alpha as i32, i32::from(value));
        let breadth = limit(breadth).min(FAR as i32) << BITS;
        for step in self.first.max(0)..self.last.min(limit(steps)) {
            let middle = self.middle + self.slope * (step - self.first);
            let from = (middle - self.half).max(0);
            let to = (middle + self.half).min(breadth);
            let mut at =
                step as usize * step_bytes + offset + (from >> BITS) as usize * cross_bytes;
            let mut start = from;
            while start < to {
                // To the end of this sample, or of the line.
                let end = ((start >> BITS) + 1) << BITS;
                let part = (alpha * (end.min(to) - start)) >> BITS;
                let Some(sample) = plane.data.get_mut(at) else {
                    break;
                };
                let old = i32::from(*sample);
                *sample = (old + (((value - old) * part) >> BITS)) as u8;
                at += cross_bytes;
                start = end;
            }
        }
    }
}
