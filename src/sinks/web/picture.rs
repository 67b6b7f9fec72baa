//! Planes → JPEG for the page and for snapshots, private things hidden: `yuv` converts, `fast_image_resize` scales, `jpeg-encoder` encodes.

use std::sync::Arc;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use yuv::{YuvBiPlanarImage, YuvConversionMode, YuvPlanarImage, YuvRange, YuvStandardMatrix};

use crate::base::{
    ColorMatrix, ColorRange, Frame, FrameResult, OwnedPlanes, PixelFormat, Pixels, Size,
};
use crate::sinks::annotate::{Canvas, Chroma, PlaneMut, Privacy};

/// JPEG quality: text on plates stays legible, a 960x540 view has about 60 KB.
const QUALITY: u8 = 75;

/// How pictures are shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureOptions {
    /// Widest picture, px; larger frames are scaled down to it.
    pub max_width: u32,
    /// Most pictures per second and viewer.
    pub fps: f64,
}

/// A frame as JPEG, at most `max_width` px wide.
///
/// # Errors
/// What a library says of planes that do not fit their size, in words.
pub(super) fn encode(
    frame: &Frame,
    result: &FrameResult,
    privacy: Option<&Privacy>,
    options: PictureOptions,
) -> Result<Vec<u8>, String> {
    let picture = rgb_of(frame, result, privacy)?;
    let from = (picture.width, picture.height);
    let (width, height) = fitted(picture.width, picture.height, options.max_width);
    if width == picture.width {
        return picture.jpeg();
    }
    let rgb = scaled(&picture.rgb, from, (width, height))?;
    let small = RgbPicture { width, height, rgb };
    small.jpeg()
}

/// A picture in RGB, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbPicture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Three bytes per pixel, row by row.
    pub rgb: Vec<u8>,
}

impl RgbPicture {
    /// The picture as JPEG.
    ///
    /// # Errors
    /// What the library says, in words.
    pub fn jpeg(&self) -> Result<Vec<u8>, String> {
        let mut jpeg = Vec::new();
        let mut encoder = Encoder::new(&mut jpeg, QUALITY);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        let side =
            |side: u32| u16::try_from(side).map_err(|_large| format!("{side} px is too large"));
        encoder
            .encode(
                &self.rgb,
                side(self.width)?,
                side(self.height)?,
                ColorType::Rgb,
            )
            .map_err(|error| error.to_string())?;
        Ok(jpeg)
    }
}

/// A frame in RGB, private things hidden.
///
/// # Errors
/// What a library says of planes that do not fit their size, in words.
pub fn rgb_of(
    frame: &Frame,
    result: &FrameResult,
    privacy: Option<&Privacy>,
) -> Result<RgbPicture, String> {
    let size = frame.meta.size;
    let rgb = match privacy {
        Some(privacy) => to_rgb(size, &hidden(frame, result, privacy))?,
        None => to_rgb(size, &frame.pixels)?,
    };
    Ok(RgbPicture {
        width: size.width,
        height: size.height,
        rgb,
    })
}

/// The size at which a frame is shown.
fn fitted(width: u32, height: u32, max_width: u32) -> (u32, u32) {
    if width <= max_width {
        return (width, height);
    }
    let scaled = u64::from(height) * u64::from(max_width) / u64::from(width);
    (max_width, u32::try_from(scaled).unwrap_or(1).max(1))
}

/// A copy of the planes with what is private hidden.
fn hidden(frame: &Frame, result: &FrameResult, privacy: &Privacy) -> Pixels {
    let pixels = &frame.pixels;
    let copied = |index| {
        let plane = pixels.planes.plane(index);
        (plane.data.to_vec(), plane.stride)
    };
    let mut planes: Vec<_> = (0..pixels.format.planes()).map(copied).collect();
    let mut writable = planes.iter_mut().map(|(data, stride)| PlaneMut {
        data,
        stride: *stride,
    });
    let chroma = match (writable.next(), writable.next(), writable.next()) {
        (Some(luma), Some(u), Some(v)) => Some((luma, Chroma::Planar(u, v))),
        (Some(luma), Some(uv), None) => Some((luma, Chroma::Interleaved(uv))),
        _ => None,
    };
    if let Some((luma, chroma)) = chroma {
        let size = frame.meta.size;
        let mut canvas = Canvas::new(size, pixels.matrix, pixels.range, luma, chroma);
        privacy.hide(&mut canvas, result);
    }
    Pixels {
        planes: Arc::new(OwnedPlanes(planes)),
        ..*pixels
    }
}

fn to_rgb(size: Size, pixels: &Pixels) -> Result<Vec<u8>, String> {
    let (width, height) = (size.width, size.height);
    let range = match pixels.range {
        ColorRange::Limited => YuvRange::Limited,
        ColorRange::Full => YuvRange::Full,
    };
    let matrix = match pixels.matrix {
        ColorMatrix::Bt601 => YuvStandardMatrix::Bt601,
        ColorMatrix::Bt709 => YuvStandardMatrix::Bt709,
    };
    let plane = |index: usize| pixels.planes.plane(index);
    let stride = |index: usize| u32::try_from(plane(index).stride).unwrap_or(u32::MAX);
    let mut rgb = vec![0; width as usize * height as usize * 3];
    let row = width * 3;
    match pixels.format {
        PixelFormat::Nv12 => {
            let image = YuvBiPlanarImage {
                y_plane: plane(0).data,
                y_stride: stride(0),
                uv_plane: plane(1).data,
                uv_stride: stride(1),
                width,
                height,
            };
            let mode = YuvConversionMode::Balanced;
            yuv::yuv_nv12_to_rgb(&image, &mut rgb, row, range, matrix, mode)
        }
        PixelFormat::I420 => {
            let image = YuvPlanarImage {
                y_plane: plane(0).data,
                y_stride: stride(0),
                u_plane: plane(1).data,
                u_stride: stride(1),
                v_plane: plane(2).data,
                v_stride: stride(2),
                width,
                height,
            };
            yuv::yuv420_to_rgb(&image, &mut rgb, row, range, matrix)
        }
    }
    .map_err(|error| error.to_string())?;
    Ok(rgb)
}

fn scaled(rgb: &[u8], from: (u32, u32), to: (u32, u32)) -> Result<Vec<u8>, String> {
    let source =
        ImageRef::new(from.0, from.1, rgb, PixelType::U8x3).map_err(|error| error.to_string())?;
    let mut target = Image::new(to.0, to.1, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|error| error.to_string())?;
    Ok(target.into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{CameraId, FrameMeta, FrameSeq, Pts, RunId, Timings, UtcSource};
    use crate::sinks::annotate::{Hide, PrivacyRules};
    use std::time::Instant;

    /// A frame of one colour, limited-range BT.601, rows wider than the picture.
    fn red(format: PixelFormat, width: u32, height: u32) -> Frame {
        let (w, h) = (width as usize, height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let (y, u, v) = (81, 90, 240);
        let padded = |bytes: Vec<u8>, rows: usize, stride: usize| {
            let row: Vec<u8> = bytes.into_iter().cycle().take(stride).collect();
            (row.repeat(rows), stride)
        };
        let planes = match format {
            PixelFormat::Nv12 => vec![
                padded(vec![y], h, w + 16),
                padded(vec![u, v], ch, 2 * cw + 16),
            ],
            PixelFormat::I420 => vec![
                padded(vec![y], h, w + 16),
                padded(vec![u], ch, cw + 8),
                padded(vec![v], ch, cw + 8),
            ],
        };
        Frame {
            meta: FrameMeta {
                camera: CameraId::new("gate"),
                run: RunId(1),
                seq: FrameSeq(0),
                pts: Pts(0),
                utc: None,
                utc_source: UtcSource::Unknown,
                size: Size { width, height },
            },
            pixels: Pixels {
                format,
                matrix: ColorMatrix::Bt601,
                range: ColorRange::Limited,
                planes: Arc::new(OwnedPlanes(planes)),
            },
            arrived: Instant::now(),
        }
    }

    fn nothing_found(frame: &Frame) -> FrameResult {
        FrameResult {
            meta: frame.meta.clone(),
            is_detected: true,
            detections: 0,
            tracks: Vec::new(),
            ended: Vec::new(),
            counts: None,
            decisions: None,
            private: Vec::new(),
            timings: Timings::default(),
            frame: None,
        }
    }

    #[test]
    fn a_frame_becomes_a_jpeg_of_the_right_size_and_colour() {
        let options = PictureOptions {
            max_width: 160,
            fps: 10.0,
        };
        for format in [PixelFormat::Nv12, PixelFormat::I420] {
            for (from, to) in [((320, 181), (160, 90)), ((101, 57), (101, 57))] {
                let frame = red(format, from.0, from.1);
                let result = nothing_found(&frame);
                let jpeg = encode(&frame, &result, None, options).unwrap();
                let shown = image::load_from_memory(&jpeg).unwrap().to_rgb8();
                assert_eq!(shown.dimensions(), to, "{format:?}");
                let [r, g, b] = shown.get_pixel(to.0 / 2, to.1 / 2).0;
                assert!(r > 240 && g < 16 && b < 16, "{format:?} {r} {g} {b}");
            }
        }
    }

    #[test]
    fn what_is_private_is_hidden_before_the_picture_leaves() {
        let options = PictureOptions {
            max_width: 160,
            fps: 10.0,
        };
        let rules = PrivacyRules {
            areas: vec![vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]],
            how: Hide::Fill,
            ..PrivacyRules::default()
        };
        let privacy = Privacy::new(&rules).unwrap();
        for format in [PixelFormat::Nv12, PixelFormat::I420] {
            let frame = red(format, 320, 180);
            let result = nothing_found(&frame);
            let jpeg = encode(&frame, &result, Some(&privacy), options).unwrap();
            let shown = image::load_from_memory(&jpeg).unwrap().to_rgb8();
            let [r, g, b] = shown.get_pixel(20, 45).0;
            assert!(r.abs_diff(128) < 12 && g.abs_diff(128) < 12 && b.abs_diff(128) < 12);
            assert!(shown.get_pixel(140, 45).0[0] > 240, "the rest stays");
        }
    }
}
