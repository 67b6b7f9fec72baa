//! A luma plane as a few grey values, to see where a picture has changed.

use crate::base::{BBox, Plane, Size};

/// Cells of a thumbnail: columns and rows.
pub(super) const CELLS: [usize; 2] = [64, 36];
/// Number of cells.
pub(super) const COUNT: usize = CELLS[0] * CELLS[1];
/// Pixels looked at per cell, along and down: enough for the noise of a camera to average out.
const SAMPLES: [usize; 2] = [8, 4];

/// The mean grey value of each cell, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Thumbnail(Vec<f32>);

impl Thumbnail {
    /// Of a luma plane; a pixel that it lacks is black.
    pub fn of(luma: Plane<'_>, size: Size) -> Self {
        let (width, height) = (size.width as usize, size.height as usize);
        let [columns, rows] = CELLS;
        let mut sums = vec![0u32; COUNT];
        let along = columns * SAMPLES[0];
        let down = rows * SAMPLES[1];
        let lefts: Vec<usize> = (0..along)
            .map(|x| (2 * x + 1) * width / (2 * along))
            .collect();
        for y in 0..down {
            let start = (2 * y + 1) * height / (2 * down) * luma.stride;
            let line = luma.data.get(start..).unwrap_or_default();
            let cells = &mut sums[y / SAMPLES[1] * columns..][..columns];
            for (cell, lefts) in cells.iter_mut().zip(lefts.chunks_exact(SAMPLES[0])) {
                let value = |&x: &usize| u32::from(line.get(x).copied().unwrap_or(0));
                *cell += lefts.iter().map(value).sum::<u32>();
            }
        }
        let share = 1.0 / (SAMPLES[0] * SAMPLES[1]) as f32;
        Self(sums.into_iter().map(|sum| sum as f32 * share).collect())
    }

    /// By how much each cell differs from `other`, the light of the whole picture left out.
    pub fn changes(&self, other: &Self) -> Vec<f32> {
        let mut changes: Vec<f32> = self.0.iter().zip(&other.0).map(|(a, b)| a - b).collect();
        let mut sorted = changes.clone();
        let (_, &mut middle, _) = sorted.select_nth_unstable_by(COUNT / 2, f32::total_cmp);
        for change in &mut changes {
            *change = (*change - middle).abs();
        }
        changes
    }
}

/// The cells that boxes lie in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cover(Vec<bool>);

impl Default for Cover {
    fn default() -> Self {
        Self(vec![false; COUNT])
    }
}

impl Cover {
    /// Adds the cells that a box touches, widened by this share of its size and by one cell.
    pub fn add(&mut self, bbox: &BBox, wider: f32, size: Size) {
        let (width, height) = (size.width.max(1) as f32, size.height.max(1) as f32);
        let [columns, rows] = CELLS;
        let range = |least: f32, most: f32, side: f32, cells: usize| {
            let margin = wider * (most - least);
            let first = ((least - margin) / side * cells as f32).floor() - 1.0;
            let last = ((most + margin) / side * cells as f32).floor() + 1.0;
            // A place before the picture is 0 as a whole number.
            (first as usize).min(cells)..(last + 1.0).max(0.0).min(cells as f32) as usize
        };
        let along = range(bbox.left(), bbox.right(), width, columns);
        for row in range(bbox.top(), bbox.bottom(), height, rows) {
            if let Some(cells) = self.0.get_mut(row * columns..(row + 1) * columns)
                && let Some(cells) = cells.get_mut(along.clone())
            {
                cells.fill(true);
            }
        }
    }

    /// Whether cell `index` is covered.
    pub fn has(&self, index: usize) -> bool {
        self.0.get(index).copied().unwrap_or(false)
    }

    /// Covers nothing.
    pub fn clear(&mut self) {
        self.0.fill(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 640,
        height: 360,
    };

    fn grey(value: u8) -> Vec<u8> {
        vec![value; (SIZE.width * SIZE.height) as usize]
    }

    fn thumbnail(data: &[u8]) -> Thumbnail {
        Thumbnail::of(
            Plane {
                data,
                stride: SIZE.width as usize,
            },
            SIZE,
        )
    }

    #[test]
    fn more_light_is_no_change_and_a_thing_is_one_where_it_is() {
        let dark = thumbnail(&grey(50));
        assert!(
            thumbnail(&grey(90))
                .changes(&dark)
                .iter()
                .all(|it| *it == 0.0)
        );
        // 20 x 20 px from (100, 200): cells of 10 x 10 px.
        let mut data = grey(50);
        for y in 200..220 {
            data[y * 640 + 100..][..20].fill(150);
        }
        let changes = thumbnail(&data).changes(&dark);
        let changed: Vec<usize> = (0..COUNT).filter(|&cell| changes[cell] > 0.0).collect();
        assert_eq!(
            changed,
            [20 * 64 + 10, 20 * 64 + 11, 21 * 64 + 10, 21 * 64 + 11]
        );
        assert!((changes[20 * 64 + 10] - 100.0).abs() < 1e-3);
    }

    #[test]
    fn a_box_covers_its_cells_and_those_beside_it() {
        let mut cover = Cover::default();
        let bbox = BBox::from_ltrb(100.0, 200.0, 119.0, 219.0).unwrap();
        cover.add(&bbox, 0.0, SIZE);
        for (column, row, is_covered) in [
            (10, 20, true),
            (9, 19, true),
            (12, 22, true),
            (8, 20, false),
            (13, 20, false),
        ] {
            assert_eq!(cover.has(row * 64 + column), is_covered, "{column} {row}");
        }
    }

    #[test]
    fn boxes_off_the_picture_and_short_planes_do_no_harm() {
        let mut cover = Cover::default();
        for (l, t, r, b) in [(-1e9, -1e9, 1e9, 1e9), (700.0, -50.0, 800.0, -20.0)] {
            cover.add(&BBox::from_ltrb(l, t, r, b).unwrap(), 1.0, SIZE);
        }
        assert!((0..COUNT).all(|cell| cover.has(cell)));
        for (width, height) in [(1, 1), (7, 3)] {
            let data = &[9u8; 5];
            let stride = width as usize;
            Thumbnail::of(Plane { data, stride }, Size { width, height });
        }
    }
}
