//! Planes → tensor, in one pass over the picture.
//!
//! Each row of the model is made from two rows of each plane: blended (vertical taps), sampled at the
//! columns of the model (horizontal taps), turned into colours, shifted and scaled, and stored. The
//! taps are those of `cv2.resize` with `INTER_LINEAR`, which nearly all models were exported against:
//! pixel centres at one half, two taps per axis however much the picture shrinks. Chroma is taken to
//! lie in the middle of its four pixels; where it lies elsewhere the colour is off by half a pixel.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::base::{PixelFormat, Pixels, Plane, Size};

use super::colour::Colour;
use super::sample::{fetch, fetch_four, fetch_interleaved, mix_four, mix_interleaved, widen};
use super::taps::{PlaneTaps, Taps};
use super::{Dtype, InputPlan, Layout, Placement, Resize};

/// Frame sizes whose taps are kept; with more cameras of different sizes the oldest are made again.
const SIZES_KEPT: usize = 16;

/// A frame that cannot be read, or a slot that cannot hold it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// A plane is shorter than the size of the frame asks for.
    #[error(
        "frame of {size}: plane {plane} has {found} bytes in rows of {stride}, needed are {needed} in rows of {row}"
    )]
    Plane {
        /// Size of the frame.
        size: Size,
        /// Number of the plane.
        plane: usize,
        /// Its bytes.
        found: usize,
        /// Bytes from one of its rows to the next.
        stride: usize,
        /// Bytes needed.
        needed: usize,
        /// Bytes needed per row.
        row: usize,
    },
    /// The slot of the tensor has another size than the plan says.
    #[error("slot of {found} elements for an input of {needed}")]
    Slot {
        /// Elements in the slot.
        found: usize,
        /// Elements needed.
        needed: usize,
    },
}

/// What is in the slot already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Anything: the padding has to be written.
    Write,
    /// The padding of a picture with this very placement: only the picture has to be written.
    Kept,
}

/// A part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    /// First column, even.
    pub(super) left: u32,
    /// First row, even.
    pub(super) top: u32,
    /// Columns and rows, each ≥ 1; the part lies inside the frame.
    pub(super) size: Size,
}

impl Region {
    /// All of a frame of this size.
    pub(super) fn whole(size: Size) -> Self {
        Self {
            left: 0,
            top: 0,
            size,
        }
    }
}

/// An element of the image tensor.
pub trait Element: Copy {
    /// Stores values as this type; bytes are rounded to the nearest.
    fn store(values: &[f32], out: &mut [Self]);
}

impl Element for f32 {
    fn store(values: &[f32], out: &mut [Self]) {
        out.copy_from_slice(values);
    }
}

impl Element for f16 {
    fn store(values: &[f32], out: &mut [Self]) {
        out.convert_from_f32_slice(values);
    }
}

impl Element for u8 {
    fn store(values: &[f32], out: &mut [Self]) {
        /// 2²³: added to a small float it leaves the rounded integer in the lowest bits.
        const ROUND: f32 = 8_388_608.0;
        for (out, value) in out.iter_mut().zip(values) {
            *out = (value.clamp(0.0, 255.0) + ROUND).to_bits() as u8;
        }
    }
}

/// Buffers of one row, reused for every row.
#[derive(Debug, Default)]
struct Rows {
    fetched: Fetched,
    /// Y, U and V at the columns of the model.
    yuv: [Vec<f32>; 3],
    colours: [Vec<f32>; 3],
    interleaved: Vec<f32>,
}

/// Bytes around the columns of the model.
#[derive(Debug, Default)]
struct Fetched {
    single: Vec<u8>,
    fours: [Vec<u32>; 2],
}

/// Turns frames into the image tensor of one model. Allocates only when it meets a new frame size.
#[derive(Debug)]
pub struct Preprocessor {
    plan: InputPlan,
    taps: Vec<Taps>,
    rows: Rows,
}

impl Preprocessor {
    /// A preprocessor for the input that `plan` describes.
    #[must_use]
    pub fn new(plan: InputPlan) -> Self {
        Self {
            plan,
            taps: Vec::new(),
            rows: Rows::default(),
        }
    }

    /// Elements of one picture in the tensor.
    #[must_use]
    pub fn slot_len(&self) -> usize {
        3 * self.plan.width * self.plan.height
    }

    /// Where a frame of this size will lie.
    #[must_use]
    pub fn placement(&self, size: Size) -> Placement {
        Placement::new(&self.plan, size)
    }

    /// Writes one picture to `slot`, `[3, H, W]` or `[H, W, 3]`, of the element type of the plan.
    ///
    /// # Errors
    /// [`FrameError`] if a plane is too short or the slot has another size; the slot is untouched then.
    pub fn write<T: Element>(
        &mut self,
        size: Size,
        pixels: &Pixels,
        slot: &mut [T],
        padding: Padding,
    ) -> Result<Placement, FrameError> {
        self.write_part(size, pixels, Region::whole(size), slot, padding)
    }

    /// As [`Preprocessor::write`], of a part of the frame alone.
    ///
    /// # Errors
    /// As [`Preprocessor::write`].
    pub(super) fn write_part<T: Element>(
        &mut self,
        size: Size,
        pixels: &Pixels,
        part: Region,
        slot: &mut [T],
        padding: Padding,
    ) -> Result<Placement, FrameError> {
        let needed = self.slot_len();
        if slot.len() != needed || needed == 0 {
            return Err(FrameError::Slot {
                found: slot.len(),
                needed: needed.max(1),
            });
        }
        let planes = Checked::new(size, pixels)?.part(part);
        let colour = Colour::new(&self.plan, pixels.matrix, pixels.range);
        let index = self.taps_for(part.size);
        let taps = &self.taps[index];
        if padding == Padding::Write {
            fill_padding(&self.plan, slot);
        }
        self.rows.fit(taps);
        for row in 0..taps.placement.height {
            self.rows.sample(&planes, taps, row);
            self.rows.colour(&colour);
            self.rows.store(&self.plan, &taps.placement, row, slot);
        }
        Ok(taps.placement)
    }

    /// Index of the taps for this frame size, made if need be.
    fn taps_for(&mut self, size: Size) -> usize {
        if let Some(index) = self
            .taps
            .iter()
            .position(|taps| taps.placement.frame == size)
        {
            return index;
        }
        if self.taps.len() == SIZES_KEPT {
            self.taps.remove(0);
        }
        self.taps.push(Taps::new(Placement::new(&self.plan, size)));
        self.taps.len() - 1
    }
}

/// Values of the padding, by channel of the model; `None` where there is none.
pub(super) fn padding(plan: &InputPlan) -> Option<[f32; 3]> {
    let Resize::Letterbox { pad, .. } = plan.resize else {
        return None;
    };
    let grey = f32::from(pad);
    Some(match plan.dtype {
        Dtype::F32 | Dtype::F16 => {
            std::array::from_fn(|channel| (grey - plan.mean[channel]) / plan.std[channel])
        }
        Dtype::U8 => [grey; 3],
    })
}

/// Grey everywhere; the picture is written over it.
fn fill_padding<T: Element>(plan: &InputPlan, slot: &mut [T]) {
    let Some(values) = padding(plan) else {
        return;
    };
    let pixels = plan.width * plan.height;
    match plan.layout {
        Layout::Nchw => {
            for (plane, value) in slot.chunks_exact_mut(pixels).zip(values) {
                let (first, rest) = plane.split_at_mut(1);
                T::store(&[value], first);
                rest.fill(first[0]);
            }
        }
        Layout::Nhwc => {
            let (first, rest) = slot.split_at_mut(3);
            T::store(&values, first);
            for pixel in rest.chunks_exact_mut(3) {
                pixel.copy_from_slice(first);
            }
        }
    }
}

/// Planes that are known to be long enough for the size of the frame.
struct Checked<'a> {
    luma: Plane<'a>,
    chroma: [Plane<'a>; 2],
    /// Bytes per row of luma and of each chroma plane.
    luma_bytes: usize,
    chroma_bytes: usize,
    chroma_interleaved: bool,
}

impl<'a> Checked<'a> {
    fn new(size: Size, pixels: &'a Pixels) -> Result<Self, FrameError> {
        let (width, height) = (size.width as usize, size.height as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let checked = |plane: usize, row: usize, rows: usize| {
            let found = pixels.planes.plane(plane);
            let needed = rows.saturating_sub(1).saturating_mul(found.stride.max(row)) + row;
            let is_short = found.data.len() < needed || found.stride < row;
            if row == 0 || rows == 0 || is_short {
                return Err(FrameError::Plane {
                    size,
                    plane,
                    found: found.data.len(),
                    stride: found.stride,
                    needed,
                    row,
                });
            }
            Ok(found)
        };
        let luma = checked(0, width, height)?;
        let (chroma, chroma_bytes) = match pixels.format {
            PixelFormat::Nv12 => {
                let pairs = checked(1, 2 * half_width, half_height)?;
                ([pairs; 2], 2 * half_width)
            }
            PixelFormat::I420 => {
                let u = checked(1, half_width, half_height)?;
                let v = checked(2, half_width, half_height)?;
                ([u, v], half_width)
            }
        };
        Ok(Self {
            luma,
            chroma,
            luma_bytes: width,
            chroma_bytes,
            chroma_interleaved: pixels.format == PixelFormat::Nv12,
        })
    }
}

impl Checked<'_> {
    /// The same planes from the first pixel of `part` on: it begins at even columns and rows, so that
    /// chroma has a pixel there.
    fn part(self, part: Region) -> Self {
        let (left, top) = (part.left as usize, part.top as usize);
        let (width, half_left) = (part.size.width as usize, left / 2);
        let from = |plane: Plane<'_>, row: usize, byte: usize| row * plane.stride + byte;
        let luma = Plane {
            data: &self.luma.data[from(self.luma, top, left)..],
            ..self.luma
        };
        let per = if self.chroma_interleaved { 2 } else { 1 };
        let chroma = self.chroma.map(|plane| Plane {
            data: &plane.data[from(plane, top / 2, per * half_left)..],
            ..plane
        });
        Self {
            luma,
            chroma,
            luma_bytes: width,
            chroma_bytes: per * width.div_ceil(2),
            ..self
        }
    }
}

fn row_of(plane: Plane<'_>, row: usize, bytes: usize) -> &[u8] {
    let start = row * plane.stride;
    &plane.data[start..start + bytes]
}

impl Fetched {
    /// One row of one plane.
    fn sample(
        &mut self,
        plane: Plane<'_>,
        bytes: usize,
        taps: &PlaneTaps,
        row: usize,
        out: &mut [f32],
    ) {
        let tap = taps.rows[row];
        if let (Some(columns), true) = (&taps.columns.exact, tap.weight == 0.0) {
            fetch(row_of(plane, tap.first, bytes), columns, &mut self.single);
            widen(&self.single, out);
            return;
        }
        let mut single = [[0; 4]; 2];
        let [a, b] = &mut single;
        let upper = at_least_two(row_of(plane, tap.first, bytes), 1, a);
        let lower = at_least_two(row_of(plane, tap.second, bytes), 1, b);
        fetch_four(upper, lower, &taps.columns.first, &mut self.fours[0]);
        mix_four(&self.fours[0], &taps.columns.weight, tap.weight, out);
    }

    /// One row of two interleaved planes.
    fn sample_interleaved(
        &mut self,
        plane: Plane<'_>,
        bytes: usize,
        taps: &PlaneTaps,
        row: usize,
        [u, v]: [&mut [f32]; 2],
    ) {
        let tap = taps.rows[row];
        for (row, fours) in [tap.first, tap.second].into_iter().zip(&mut self.fours) {
            let mut single = [0; 4];
            let row = at_least_two(row_of(plane, row, bytes), 2, &mut single);
            fetch_interleaved(row, &taps.columns.first, fours);
        }
        let [upper, lower] = &self.fours;
        mix_interleaved(upper, lower, &taps.columns.weight, tap.weight, u, v);
    }
}

/// A row of at least two pixels: a single one of `bytes` bytes is repeated, in `single`.
fn at_least_two<'a>(row: &'a [u8], bytes: usize, single: &'a mut [u8; 4]) -> &'a [u8] {
    if row.len() > bytes {
        return row;
    }
    single[..bytes].copy_from_slice(row);
    single[bytes..2 * bytes].copy_from_slice(row);
    &single[..2 * bytes]
}

impl Rows {
    /// Gives every buffer the length that this frame needs; no allocation once they have been longer.
    fn fit(&mut self, taps: &Taps) {
        let width = taps.placement.width;
        self.fetched.single.resize(width, 0);
        for buffer in &mut self.fetched.fours {
            buffer.resize(width, 0);
        }
        for buffer in self.yuv.iter_mut().chain(&mut self.colours) {
            buffer.resize(width, 0.0);
        }
        self.interleaved.resize(3 * width, 0.0);
    }

    /// Y, U and V of one row of the model.
    fn sample(&mut self, planes: &Checked<'_>, taps: &Taps, row: usize) {
        let [y, u, v] = &mut self.yuv;
        self.fetched
            .sample(planes.luma, planes.luma_bytes, &taps.luma, row, y);
        let (chroma, bytes) = (planes.chroma, planes.chroma_bytes);
        if planes.chroma_interleaved {
            self.fetched
                .sample_interleaved(chroma[0], bytes, &taps.chroma, row, [u, v]);
        } else {
            self.fetched.sample(chroma[0], bytes, &taps.chroma, row, u);
            self.fetched.sample(chroma[1], bytes, &taps.chroma, row, v);
        }
    }

    /// Y, U and V to the channels of the model.
    fn colour(&mut self, colour: &Colour) {
        let out = self.colours.each_mut().map(Vec::as_mut_slice);
        colour.row(self.yuv.each_ref().map(Vec::as_slice), out);
    }

    /// Channels to the tensor.
    fn store<T: Element>(
        &mut self,
        plan: &InputPlan,
        placement: &Placement,
        row: usize,
        slot: &mut [T],
    ) {
        let start = (placement.top + row) * plan.width + placement.left;
        let pixels = plan.width * plan.height;
        match plan.layout {
            Layout::Nchw => {
                for (plane, values) in slot.chunks_exact_mut(pixels).zip(&self.colours) {
                    T::store(values, &mut plane[start..start + values.len()]);
                }
            }
            Layout::Nhwc => {
                let [a, b, c] = &self.colours;
                let channels = a.iter().zip(b).zip(c);
                for (pixel, ((a, b), c)) in self.interleaved.chunks_exact_mut(3).zip(channels) {
                    pixel.copy_from_slice(&[*a, *b, *c]);
                }
                let out = &mut slot[3 * start..3 * start + self.interleaved.len()];
                T::store(&self.interleaved, out);
            }
        }
    }
}

#[cfg(test)]
mod tests;
