//! The luma plane, shrunk, and halved twice more.

use multiversion::multiversion;

use super::flow::Point;
use crate::base::{Plane, Size};

/// Width that a picture is shrunk to at least, px, where it is larger: full HD becomes 480x270.
const WIDTH: u32 = 480;
/// Pictures of a pyramid.
pub(super) const LEVELS: usize = 3;

/// Grey values, row by row.
#[derive(Debug, Default)]
pub(super) struct Grey {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
}

impl Grey {
    /// `side` × `side` values around a place, each between the four nearest ones, row by row into
    /// `patch`; `None` where one of them is off the picture.
    pub fn patch(&self, [x, y]: Point, side: usize, patch: &mut [f32]) -> Option<()> {
        let half = (side / 2) as f32;
        let (x, y) = (x - half, y - half);
        let (right, bottom) = (self.width as f32, self.height as f32);
        if !(x >= 0.0 && y >= 0.0 && x < right && y < bottom) {
            return None;
        }
        let (left, top) = (x as usize, y as usize);
        if left + side >= self.width || top + side >= self.height {
            return None;
        }
        // All values lie equally between their neighbours.
        let (fx, fy) = (x - left as f32, y - top as f32);
        for (row, line) in patch.chunks_exact_mut(side).enumerate() {
            let start = (top + row) * self.width + left;
            let above = self.values.get(start..=start + side)?;
            let below = self
                .values
                .get(start + self.width..=start + self.width + side)?;
            let pairs = above.windows(2).zip(below.windows(2));
            for (value, (above, below)) in line.iter_mut().zip(pairs) {
                let upper = above[0] + fx * (above[1] - above[0]);
                let lower = below[0] + fx * (below[1] - below[0]);
                *value = upper + fy * (lower - upper);
            }
        }
        Some(())
    }
}

/// A picture at several sizes, the largest first.
#[derive(Debug, Default)]
pub(super) struct Pyramid {
    pub levels: [Grey; LEVELS],
    /// Pixels of the picture per pixel of the largest level.
    factor: usize,
    /// Sums of columns, kept.
    sums: Vec<u16>,
}

impl Pyramid {
    /// Takes a luma plane; rows that it lacks are left out.
    pub fn set(&mut self, luma: Plane<'_>, size: Size) {
        self.factor = (size.width / WIDTH).clamp(1, 16) as usize;
        let width = size.width as usize / self.factor;
        let rows = (luma.data.len() / luma.stride.max(1)).min(size.height as usize);
        let height = rows / self.factor;
        let [largest, ..] = &mut self.levels;
        (largest.width, largest.height) = (width, height);
        largest.values.clear();
        for row in 0..height {
            let start = row * self.factor * luma.stride;
            let block = luma.data.get(start..).unwrap_or_default();
            let taken = width * self.factor;
            add_rows(block, luma.stride, taken, self.factor, &mut self.sums);
            mean_columns(&self.sums, self.factor, &mut largest.values);
        }
        largest.values.resize(width * height, 0.0);
        for level in 1..LEVELS {
            if let [.., larger, smaller] = &mut self.levels[..=level] {
                halve(larger, smaller);
            }
        }
    }

    /// A point of the largest level in pixels of the picture.
    pub fn full(&self, point: Point) -> [f64; 2] {
        point.map(|part| (f64::from(part) + 0.5) * self.factor as f64)
    }

    /// A place of the picture in pixels of the largest level.
    pub fn shrunk(&self, part: f32) -> f32 {
        part / self.factor.max(1) as f32
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn add_rows(block: &[u8], stride: usize, taken: usize, rows: usize, sums: &mut Vec<u16>) {
    sums.clear();
    sums.resize(taken, 0);
    for row in 0..rows {
        let line = block.get(row * stride..).unwrap_or_default();
        for (sum, &value) in sums.iter_mut().zip(line) {
            *sum += u16::from(value);
        }
    }
}

fn mean_columns(sums: &[u16], factor: usize, values: &mut Vec<f32>) {
    let share = 1.0 / (factor * factor) as f32;
    let mean = |columns: &[u16]| {
        let sum: u32 = columns.iter().map(|&sum| u32::from(sum)).sum();
        sum as f32 * share
    };
    if factor == 4 {
        // The usual size, with a length the compiler knows.
        let (blocks, _) = sums.as_chunks::<4>();
        values.extend(blocks.iter().map(|columns| mean(columns)));
    } else {
        values.extend(sums.chunks_exact(factor).map(mean));
    }
}

fn halve(larger: &Grey, smaller: &mut Grey) {
    (smaller.width, smaller.height) = (larger.width / 2, larger.height / 2);
    smaller.values.clear();
    if smaller.width == 0 {
        return;
    }
    let rows = larger.values.chunks_exact(2 * larger.width);
    for pair in rows.take(smaller.height) {
        let (upper, lower) = pair.split_at(larger.width);
        let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        smaller
            .values
            .extend(pairs.map(|(a, b)| (a[0] + a[1] + b[0] + b[1]) / 4.0));
    }
}
