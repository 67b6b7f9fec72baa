//! Straight soft-edged lines on one plane.

use super::canvas::PlaneMut;

/// 1.0 in fixed point. Eight bits: as fine as opacity is.
const ONE: i64 = 256;

/// Longest line and farthest place, samples; beyond that nothing can be seen.
const FAR: f32 = 65_536.0;

/// A line, in samples of a plane. Laid one column at a time where it runs more across than down, one
/// row at a time otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    steps_along_x: bool,
    /// First and last step; the last is not laid.
    first: i64,
    last: i64,
    /// Middle of the line at step `first`, and how far it moves per step; fixed point.
    middle: i64,
    slope: i64,
    /// Half the thickness as measured across the steps; fixed point.
    half: i64,
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
        let fixed = |value: f32| (value * ONE as f32).round() as i64;
        Self {
            steps_along_x,
            first: first as i64,
            last: b.0.round() as i64,
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
        let limit = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let (alpha, value) = (i64::from(alpha), i64::from(value));
        for step in self.first.max(0)..self.last.min(limit(steps)) {
            let middle = self.middle + self.slope * (step - self.first);
            let (from, to) = (middle - self.half, middle + self.half);
            let lowest = (from / ONE).max(0);
            let highest = ((to + ONE - 1) / ONE).min(limit(breadth));
            let base = step as usize * step_bytes + offset;
            for cross in lowest..highest {
                let covered = (to.min((cross + 1) * ONE) - from.max(cross * ONE)).max(0);
                let part = alpha * covered / ONE;
                if let Some(sample) = plane.data.get_mut(base + cross as usize * cross_bytes) {
                    let old = i64::from(*sample);
                    *sample = (old + (value - old) * part / ONE) as u8;
                }
            }
        }
    }
}
