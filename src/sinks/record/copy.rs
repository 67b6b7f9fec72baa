//! A frame's planes → a recycled GStreamer buffer of a size encoders take.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::VideoFrameExt;

use crate::base::{ColorMatrix, ColorRange, Frame, PixelFormat, Pixels, Size};
use crate::sinks::annotate::{Canvas, Chroma, PlaneMut};

/// Smallest width and height an encoder is given: one macroblock.
const MIN_SIDE: u32 = 16;

/// Everything that must stay the same within a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub size: Size,
    pub format: PixelFormat,
    pub matrix: ColorMatrix,
    pub range: ColorRange,
}

impl Shape {
    pub(super) fn of(frame: &Frame) -> Self {
        Self {
            size: frame.meta.size,
            format: frame.pixels.format,
            matrix: frame.pixels.matrix,
            range: frame.pixels.range,
        }
    }

    /// The size in the file: even (4:2:0 has no half samples there), at least [`MIN_SIDE`]; the
    /// last column and row are repeated to fill it.
    pub(super) fn coded_size(&self) -> Size {
        let side = |pixels: u32| pixels.next_multiple_of(2).max(MIN_SIDE);
        Size {
            width: side(self.size.width),
            height: side(self.size.height),
        }
    }
}

/// Makes copies of frames of one shape. The pool grows to what the queue and the encoder hold at a
/// time and no further.
#[derive(Debug)]
pub(super) struct Copier {
    shape: Shape,
    info: gst_video::VideoInfo,
    caps: gst::Caps,
    pool: gst_video::VideoBufferPool,
}

impl Drop for Copier {
    fn drop(&mut self) {
        // Buffers still in the pipeline are freed when it lets go of them.
        drop(self.pool.set_active(false));
    }
}

impl Copier {
    pub(super) fn new(shape: Shape) -> Result<Self, gst::glib::BoolError> {
        let size = shape.coded_size();
        let format = match shape.format {
            PixelFormat::Nv12 => gst_video::VideoFormat::Nv12,
            PixelFormat::I420 => gst_video::VideoFormat::I420,
        };
        let (matrix, transfer, primaries) = match shape.matrix {
            ColorMatrix::Bt601 => (
                gst_video::VideoColorMatrix::Bt601,
                gst_video::VideoTransferFunction::Bt601,
                gst_video::VideoColorPrimaries::Smpte170m,
            ),
            ColorMatrix::Bt709 => (
                gst_video::VideoColorMatrix::Bt709,
                gst_video::VideoTransferFunction::Bt709,
                gst_video::VideoColorPrimaries::Bt709,
            ),
        };
        let range = match shape.range {
            ColorRange::Limited => gst_video::VideoColorRange::Range16_235,
            ColorRange::Full => gst_video::VideoColorRange::Range0_255,
        };
        let colorimetry = gst_video::VideoColorimetry::new(range, matrix, transfer, primaries);
        // 0/1: the frame rate varies; only the time stamps count.
        let info = gst_video::VideoInfo::builder(format, size.width, size.height)
            .fps(gst::Fraction::new(0, 1))
            .colorimetry(&colorimetry)
            .build()?;
        let caps = info.to_caps()?;
        let pool = gst_video::VideoBufferPool::new();
        let mut config = pool.config();
        let bytes = u32::try_from(info.size())
            .map_err(|_too_large| gst::glib::bool_error!("picture of {size} is too large"))?;
        config.set_params(Some(&caps), bytes, 0, 0);
        config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_META);
        pool.set_config(config)?;
        pool.set_active(true)?;
        Ok(Self {
            shape,
            info,
            caps,
            pool,
        })
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    pub(super) fn caps(&self) -> &gst::Caps {
        &self.caps
    }

    /// A copy of `pixels`, changed by `draw`, without time stamp. `None` if there is no memory for
    /// it or the planes are shorter than their shape says.
    pub(super) fn copy(
        &self,
        pixels: &Pixels,
        draw: impl FnOnce(&mut Canvas<'_>),
    ) -> Option<gst::Buffer> {
        let mut buffer = self.pool.acquire_buffer(None).ok()?;
        let mut frame =
            gst_video::VideoFrameRef::from_buffer_ref_writable(buffer.get_mut()?, &self.info)
                .ok()?;
        let strides: Vec<usize> = frame
            .plane_stride()
            .iter()
            .map(|&stride| usize::try_from(stride).unwrap_or(0))
            .collect();
        let [luma, first, second, _] = frame.planes_data_mut();
        let areas = self.areas();
        for (index, plane) in [&mut *luma, &mut *first, &mut *second]
            .into_iter()
            .take(self.shape.format.planes())
            .enumerate()
        {
            let source = pixels.planes.plane(index);
            copy_rows(
                source.data,
                source.stride,
                plane,
                strides[index],
                &areas[index],
            )?;
        }
        let luma_plane = PlaneMut {
            data: &mut *luma,
            stride: strides[0],
        };
        let chroma_plane = PlaneMut {
            data: &mut *first,
            stride: strides[1],
        };
        let chroma = match self.shape.format {
            PixelFormat::Nv12 => Chroma::Interleaved(chroma_plane),
            PixelFormat::I420 => Chroma::Planar(
                chroma_plane,
                PlaneMut {
                    data: &mut *second,
                    stride: strides[2],
                },
            ),
        };
        draw(&mut Canvas::new(
            self.shape.size,
            self.shape.matrix,
            self.shape.range,
            luma_plane,
            chroma,
        ));
        for (index, plane) in [luma, first, second]
            .into_iter()
            .take(self.shape.format.planes())
            .enumerate()
        {
            pad(plane, strides[index], &areas[index])?;
        }
        drop(frame);
        Some(buffer)
    }

    fn areas(&self) -> [Area; 3] {
        let size = self.shape.size;
        let coded = self.shape.coded_size();
        let area = |halves: bool, sample: usize| {
            let side = |pixels: u32| if halves { pixels.div_ceil(2) } else { pixels } as usize;
            Area {
                sample,
                row: side(size.width) * sample,
                rows: side(size.height),
                coded_row: side(coded.width) * sample,
                coded_rows: side(coded.height),
            }
        };
        match self.shape.format {
            PixelFormat::Nv12 => [area(false, 1), area(true, 2), area(true, 2)],
            PixelFormat::I420 => [area(false, 1), area(true, 1), area(true, 1)],
        }
    }
}

/// What of a plane is picture and what is filled up.
#[derive(Debug, Clone, Copy)]
struct Area {
    /// Bytes of one sample.
    sample: usize,
    /// Bytes of picture in a row.
    row: usize,
    /// Rows of picture.
    rows: usize,
    /// Bytes of a row in the file.
    coded_row: usize,
    /// Rows in the file.
    coded_rows: usize,
}

/// Copies the picture part of a plane: in one piece where both have the same stride, else by rows.
fn copy_rows(
    from: &[u8],
    from_stride: usize,
    to: &mut [u8],
    to_stride: usize,
    area: &Area,
) -> Option<()> {
    if from_stride == to_stride && area.row <= from_stride {
        let bytes = (area.rows.checked_sub(1)?) * from_stride + area.row;
        to.get_mut(..bytes)?.copy_from_slice(from.get(..bytes)?);
        return Some(());
    }
    for row in 0..area.rows {
        let source = from.get(row * from_stride..row * from_stride + area.row)?;
        to.get_mut(row * to_stride..row * to_stride + area.row)?
            .copy_from_slice(source);
    }
    Some(())
}

/// Repeats the last sample of each row and the last row, where the coded size is larger.
fn pad(plane: &mut [u8], stride: usize, area: &Area) -> Option<()> {
    if area.coded_row > area.row {
        for row in 0..area.rows {
            let bytes = plane.get_mut(row * stride..row * stride + area.coded_row)?;
            let (picture, rest) = bytes.split_at_mut(area.row);
            let last = picture.get(area.row - area.sample..)?;
            for sample in rest.chunks_exact_mut(area.sample) {
                sample.copy_from_slice(last);
            }
        }
    }
    let last = (area.rows - 1) * stride;
    for row in area.rows..area.coded_rows {
        plane.copy_within(last..last + area.coded_row, row * stride);
    }
    Some(())
}
