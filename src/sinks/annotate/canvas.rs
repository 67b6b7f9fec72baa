//! Mutable 4:2:0 planes and the few primitives everything is drawn with. All of them clip.

use crate::base::{ColorMatrix, ColorRange, Size};

use super::Yuv;
use super::stroke::Stroke;

/// Full opacity.
pub(super) const OPAQUE: u32 = 256;

/// One plane that may be written: rows of `stride` bytes; the last row may be shorter.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    /// The bytes, from the first of the first row.
    pub data: &'a mut [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

impl PlaneMut<'_> {
    /// Bytes `from..to` of a row; empty if the plane does not hold them.
    fn row(&mut self, row: usize, from: usize, to: usize) -> &mut [u8] {
        let start = row * self.stride;
        self.data
            .get_mut(start + from..start + to)
            .unwrap_or_default()
    }
}

/// The colour planes, `ceil(w/2)` × `ceil(h/2)` samples.
#[derive(Debug)]
pub enum Chroma<'a> {
    /// NV12: U and V in turns.
    Interleaved(PlaneMut<'a>),
    /// I420: U, then V.
    Planar(PlaneMut<'a>, PlaneMut<'a>),
}

/// A picture to draw on.
#[derive(Debug)]
pub struct Canvas<'a> {
    size: Size,
    matrix: ColorMatrix,
    range: ColorRange,
    luma: PlaneMut<'a>,
    chroma: Chroma<'a>,
}

/// Pixels `left..right` × `top..bottom`; may lie off the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

impl Rect {
    pub(super) fn width(&self) -> i32 {
        self.right - self.left
    }
    pub(super) fn height(&self) -> i32 {
        self.bottom - self.top
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    /// Grown by `by` px on every side.
    pub(super) fn grown(&self, by: i32) -> Self {
        Self {
            left: self.left - by,
            top: self.top - by,
            right: self.right + by,
            bottom: self.bottom + by,
        }
    }
}

impl<'a> Canvas<'a> {
    /// A canvas over the planes of a picture of this size. Planes that are too short are drawn on
    /// as far as they go.
    #[must_use]
    pub fn new(
        size: Size,
        matrix: ColorMatrix,
        range: ColorRange,
        luma: PlaneMut<'a>,
        chroma: Chroma<'a>,
    ) -> Self {
        Self {
            size,
            matrix,
            range,
            luma,
            chroma,
        }
    }

    /// Size of the picture.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    pub(super) fn matrix(&self) -> ColorMatrix {
        self.matrix
    }

    pub(super) fn range(&self) -> ColorRange {
        self.range
    }

    pub(super) fn width(&self) -> i32 {
        i32::try_from(self.size.width).unwrap_or(i32::MAX)
    }

    pub(super) fn height(&self) -> i32 {
        i32::try_from(self.size.height).unwrap_or(i32::MAX)
    }

    /// The part of `rect` on the picture, as columns and rows; `None` if nothing is.
    fn clipped(&self, rect: Rect) -> Option<[usize; 4]> {
        let left = rect.left.max(0);
        let top = rect.top.max(0);
        let right = rect.right.min(self.width());
        let bottom = rect.bottom.min(self.height());
        (left < right && top < bottom)
            .then(|| [left, top, right, bottom].map(|edge| usize::try_from(edge).unwrap_or(0)))
    }

    /// Lays `color` over a rectangle with opacity `alpha` (0..=[`OPAQUE`]). Chroma samples that
    /// the rectangle covers only in part take only that part of the colour.
    pub(super) fn fill(&mut self, rect: Rect, color: Yuv, alpha: u32) {
        let Some([left, top, right, bottom]) = self.clipped(rect) else {
            return;
        };
        for row in top..bottom {
            blend_run(self.luma.row(row, left, right), color.y, alpha);
        }
        for row in top / 2..bottom.div_ceil(2) {
            let rows = covered(row, top, bottom, self.size.height as usize);
            let row_alpha = alpha * rows / 2;
            let first = left / 2;
            let last = right.div_ceil(2) - 1;
            let width = self.size.width as usize;
            let first_alpha = row_alpha * covered(first, left, right, width) / 2;
            self.blend_chroma(row, first, first + 1, color, first_alpha);
            if last > first {
                self.blend_chroma(row, first + 1, last, color, row_alpha);
                let last_alpha = row_alpha * covered(last, left, right, width) / 2;
                self.blend_chroma(row, last, last + 1, color, last_alpha);
            }
        }
    }

    /// Mean colour of the part of a rectangle that is on the picture; `None` if nothing is.
    pub(super) fn mean(&mut self, rect: Rect) -> Option<Yuv> {
        let [left, top, right, bottom] = self.clipped(rect)?;
        let mut luma = Mean::default();
        for row in top..bottom {
            luma.add(self.luma.row(row, left, right).iter().copied());
        }
        let (mut blue, mut red) = (Mean::default(), Mean::default());
        for row in top / 2..bottom.div_ceil(2) {
            let (from, to) = (left / 2, right.div_ceil(2));
            match &mut self.chroma {
                Chroma::Planar(u, v) => {
                    blue.add(u.row(row, from, to).iter().copied());
                    red.add(v.row(row, from, to).iter().copied());
                }
                Chroma::Interleaved(uv) => {
                    let pairs = uv.row(row, from * 2, to * 2);
                    blue.add(pairs.iter().step_by(2).copied());
                    red.add(pairs.iter().skip(1).step_by(2).copied());
                }
            }
        }
        Some(Yuv {
            y: luma.value(),
            u: blue.value(),
            v: red.value(),
        })
    }

    /// Darkens a rectangle towards black; its colour stays.
    pub(super) fn shade(&mut self, rect: Rect, black: u8, alpha: u32) {
        if let Some([left, top, right, bottom]) = self.clipped(rect) {
            for row in top..bottom {
                blend_run(self.luma.row(row, left, right), black, alpha);
            }
        }
    }

    /// Lays a straight line `width` px wide over the picture, from one point to another, both in
    /// frame pixels; its long edges are soft, its ends are open.
    pub(super) fn line(
        &mut self,
        from: (f32, f32),
        to: (f32, f32),
        width: f32,
        color: Yuv,
        alpha: u32,
    ) {
        let (columns, rows) = (self.size.width as usize, self.size.height as usize);
        let luma = Stroke::new(from, to, width);
        luma.lay(&mut self.luma, [columns, rows], [1, 0], color.y, alpha);
        // At half the resolution a thin line would lose its colour: it stays a sample wide.
        let halved = |(x, y): (f32, f32)| (x / 2.0, y / 2.0);
        let stroke = Stroke::new(halved(from), halved(to), (width / 2.0).max(1.0));
        let area = [columns.div_ceil(2), rows.div_ceil(2)];
        match &mut self.chroma {
            Chroma::Planar(u, v) => {
                stroke.lay(u, area, [1, 0], color.u, alpha);
                stroke.lay(v, area, [1, 0], color.v, alpha);
            }
            Chroma::Interleaved(uv) => {
                stroke.lay(uv, area, [2, 0], color.u, alpha);
                stroke.lay(uv, area, [2, 1], color.v, alpha);
            }
        }
    }

    /// Chroma samples `from..to` of a chroma row.
    fn blend_chroma(&mut self, row: usize, from: usize, to: usize, color: Yuv, alpha: u32) {
        if from >= to || alpha == 0 {
            return;
        }
        match &mut self.chroma {
            Chroma::Planar(u, v) => {
                blend_run(u.row(row, from, to), color.u, alpha);
                blend_run(v.row(row, from, to), color.v, alpha);
            }
            Chroma::Interleaved(uv) => {
                let alpha = alpha.min(OPAQUE) as u16;
                for pair in uv.row(row, from * 2, to * 2).chunks_exact_mut(2) {
                    pair[0] = mixed(pair[0], color.u, alpha);
                    pair[1] = mixed(pair[1], color.v, alpha);
                }
            }
        }
    }

    /// Writes a mask (`width` bytes per row, 255 = `ink`, 0 = `paper`) over what is there, its
    /// top left at (`left`, `top`), which are rounded down to even.
    pub(super) fn stamp(&mut self, left: i32, top: i32, mask: &Mask, paper: Yuv, ink: Yuv) {
        let (left, top) = (left & !1, top & !1);
        let rect = Rect {
            left,
            top,
            right: left + i32::try_from(mask.width).unwrap_or(0),
            bottom: top + i32::try_from(mask.height).unwrap_or(0),
        };
        let Some([x0, y0, x1, y1]) = self.clipped(rect) else {
            return;
        };
        // `left` may be negative: where in the mask the picture begins.
        let skip_x = usize::try_from(-left).unwrap_or(0);
        let skip_y = usize::try_from(-top).unwrap_or(0);
        for row in y0..y1 {
            let source = mask.row(row - y0 + skip_y).get(skip_x..).unwrap_or(&[]);
            for (pixel, &coverage) in self.luma.row(row, x0, x1).iter_mut().zip(source) {
                *pixel = lerp(paper.y, ink.y, u16::from(coverage));
            }
        }
        for row in y0 / 2..y1.div_ceil(2) {
            let (upper, lower) = mask.row_pair(row * 2 - y0 + skip_y);
            let upper = upper.get(skip_x..).unwrap_or(&[]).as_chunks::<2>().0;
            let lower = lower.get(skip_x..).unwrap_or(&[]).as_chunks::<2>().0;
            // Masks have even sizes and places: four pixels to each sample.
            let coverages = upper.iter().zip(lower).map(|([a, b], [c, d])| {
                (u16::from(*a) + u16::from(*b) + u16::from(*c) + u16::from(*d)) / 4
            });
            let (from, to) = (x0 / 2, x1.div_ceil(2));
            match &mut self.chroma {
                Chroma::Planar(u, v) => {
                    let pixels = u.row(row, from, to).iter_mut();
                    for ((u, v), coverage) in pixels.zip(v.row(row, from, to)).zip(coverages) {
                        *u = lerp(paper.u, ink.u, coverage);
                        *v = lerp(paper.v, ink.v, coverage);
                    }
                }
                Chroma::Interleaved(uv) => {
                    let pairs = uv.row(row, from * 2, to * 2).chunks_exact_mut(2);
                    for (pair, coverage) in pairs.zip(coverages) {
                        pair[0] = lerp(paper.u, ink.u, coverage);
                        pair[1] = lerp(paper.v, ink.v, coverage);
                    }
                }
            }
        }
    }
}

/// A mean of bytes.
#[derive(Default)]
struct Mean {
    sum: u64,
    count: u64,
}

impl Mean {
    fn add(&mut self, bytes: impl Iterator<Item = u8>) {
        for byte in bytes {
            self.sum += u64::from(byte);
            self.count += 1;
        }
    }

    fn value(&self) -> u8 {
        u8::try_from(self.sum / self.count.max(1)).unwrap_or(u8::MAX)
    }
}

/// Coverage of a rectangle of text, 0 (paper) ..= 255 (ink).
#[derive(Debug, Default)]
pub(super) struct Mask {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

impl Mask {
    /// Rows `row` and `row + 1`; empty beyond the mask.
    fn row_pair(&self, row: usize) -> (&[u8], &[u8]) {
        (self.row(row), self.row(row + 1))
    }

    /// Row `row`; empty beyond the mask.
    fn row(&self, row: usize) -> &[u8] {
        self.data
            .get(row * self.width..(row + 1) * self.width)
            .unwrap_or(&[])
    }
}

/// How many of the two pixels of chroma sample `index` lie in `from..to`; the second pixel of the
/// last sample of an odd size does not exist and counts as the first.
fn covered(index: usize, from: usize, to: usize, size: usize) -> u32 {
    let first = from <= index * 2 && index * 2 < to;
    let second = if index * 2 + 1 >= size {
        first
    } else {
        from <= index * 2 + 1 && index * 2 + 1 < to
    };
    u32::from(first) + u32::from(second)
}

fn blend_run(run: &mut [u8], value: u8, alpha: u32) {
    if alpha >= OPAQUE {
        run.fill(value);
    } else {
        let alpha = alpha as u16;
        for pixel in run {
            *pixel = mixed(*pixel, value, alpha);
        }
    }
}

/// `old` with `alpha`/256 (0..=256) of `new` laid over it. 16 bits are enough, and twice as many fit
/// into a vector.
fn mixed(old: u8, new: u8, alpha: u16) -> u8 {
    ((u16::from(old) * (256 - alpha) + u16::from(new) * alpha + 128) >> 8) as u8
}

/// From `paper` (0) to `ink` (255).
fn lerp(paper: u8, ink: u8, coverage: u16) -> u8 {
    // 0..=255 → 0..=256, so that full coverage is exactly `ink`.
    mixed(paper, ink, coverage + (coverage >> 7))
}
