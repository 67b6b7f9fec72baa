//! GStreamer sample → [`Frame`]: planes mapped, not copied; colours from the caps; capture time.

use std::time::Instant;

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use super::sequence::Shape;
use crate::base::{
    ColorMatrix, ColorRange, PixelFormat, Pixels, Plane, Planes, Size, UtcNanos, UtcSource, utc_now,
};
use crate::card::Surface;
use std::sync::Arc;

/// Seconds from 1900-01-01 (NTP, RFC 5905) to 1970-01-01.
const NTP_EPOCH_SECS: i64 = 2_208_988_800;

/// Pictures at least this high are BT.709 where the stream does not say.
const HD_HEIGHT: u32 = 720;

/// Why a sample is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnusableSample {
    #[error("it has no buffer or no caps")]
    Empty,
    #[error("its caps are no picture in NV12 or I420")]
    Format,
    #[error("its memory cannot be mapped")]
    Map,
    #[error("its planes are smaller than its size says")]
    Planes,
}

/// A decoded buffer, mapped for reading until it is dropped.
struct MappedFrame(gst_video::VideoFrame<gst_video::video_frame::Readable>);

impl Planes for MappedFrame {
    fn plane(&self, index: usize) -> Plane<'_> {
        let data = u32::try_from(index)
            .ok()
            .and_then(|index| self.0.plane_data(index).ok())
            .unwrap_or(&[]);
        let stride = self.0.plane_stride().get(index).copied().unwrap_or(0);
        Plane {
            data,
            stride: usize::try_from(stride).unwrap_or(0),
        }
    }
}

/// What a sample holds.
pub(super) struct Decoded {
    pub pixels: Pixels,
    pub size: Size,
    /// Running time of the frame in its segment, ns.
    pub time_ns: Option<u64>,
    /// Announced time between two frames, ns.
    pub step_ns: Option<u64>,
    /// Announced rate, frames per second.
    pub fps: Option<f64>,
    /// Capture time by the camera's clock.
    pub camera_utc: Option<UtcNanos>,
    pub arrived: Instant,
    pub arrived_utc: UtcNanos,
}

impl Decoded {
    pub fn shape(&self) -> Shape {
        (self.size, self.pixels.format)
    }

    /// Maps the picture of `sample`.
    ///
    /// # Errors
    /// [`UnusableSample`] says what it lacks.
    pub fn from_sample(sample: &gst::Sample) -> Result<Self, UnusableSample> {
        let arrived = Instant::now();
        let arrived_utc = utc_now();
        let caps = sample.caps().ok_or(UnusableSample::Empty)?;
        let buffer = sample.buffer_owned().ok_or(UnusableSample::Empty)?;
        let info = gst_video::VideoInfo::from_caps(caps).or(Err(UnusableSample::Format))?;
        let format = match info.format() {
            gst_video::VideoFormat::Nv12 => PixelFormat::Nv12,
            gst_video::VideoFormat::I420 => PixelFormat::I420,
            _ => return Err(UnusableSample::Format),
        };
        let time_ns = running_time(sample, &buffer);
        let camera_utc = camera_utc(&buffer);
        let size = Size {
            width: info.width(),
            height: info.height(),
        };
        let fps = info.fps();
        let rate = (fps.numer() > 0 && fps.denom() > 0)
            .then(|| f64::from(fps.numer()) / f64::from(fps.denom()));
        let (matrix, range) = colours(&info);
        let planes = mapped(buffer, &info, caps, format)?;
        Ok(Self {
            pixels: Pixels {
                format,
                matrix,
                range,
                planes,
            },
            size,
            time_ns,
            step_ns: rate.map(|rate| (1e9 / rate) as u64),
            fps: rate,
            camera_utc,
            arrived,
            arrived_utc,
        })
    }

    /// Capture time of a live frame: by the camera's clock where it told it, else the arrival.
    pub fn live_utc(&self) -> (UtcNanos, UtcSource) {
        match self.camera_utc {
            Some(utc) => (utc, UtcSource::Rtcp),
            None => (self.arrived_utc, UtcSource::Arrival),
        }
    }
}

/// The planes where they are: in the memory of a card, or mapped on the host.
fn mapped(
    buffer: gst::Buffer,
    info: &gst_video::VideoInfo,
    caps: &gst::CapsRef,
    format: PixelFormat,
) -> Result<Arc<dyn Planes>, UnusableSample> {
    let is_on_card = caps
        .features(0)
        .is_some_and(|features| features.contains("memory:CUDAMemory"));
    // What is no surface for us may still be copied to the host.
    if let (true, Some(surface)) = (is_on_card, Surface::map(&buffer, info)) {
        return Ok(Arc::new(surface));
    }
    let frame = gst_video::VideoFrame::from_buffer_readable(buffer, info);
    let planes = MappedFrame(frame.or(Err(UnusableSample::Map))?);
    let size = Size {
        width: info.width(),
        height: info.height(),
    };
    check_planes(&planes, format, size)?;
    Ok(Arc::new(planes))
}

/// When the picture came by the clock of its pipeline, ns.
pub(super) fn running_time(sample: &gst::Sample, buffer: &gst::BufferRef) -> Option<u64> {
    let pts = buffer.pts()?;
    let time = sample
        .segment()
        .and_then(|segment| segment.downcast_ref::<gst::ClockTime>())
        .and_then(|segment| segment.to_running_time(pts))
        .unwrap_or(pts);
    Some(time.nseconds())
}

/// The camera's own capture time, from its RTCP sender reports (RFC 3550, 6.4.1).
fn camera_utc(buffer: &gst::Buffer) -> Option<UtcNanos> {
    let meta = buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find(|meta| {
            meta.reference()
                .structure(0)
                .is_some_and(|reference| reference.name() == "timestamp/x-ntp")
        })?;
    let since_1900 = i128::from(meta.timestamp().nseconds());
    let since_1970 = since_1900 - i128::from(NTP_EPOCH_SECS) * 1_000_000_000;
    i64::try_from(since_1970).ok().map(UtcNanos)
}

fn colours(info: &gst_video::VideoInfo) -> (ColorMatrix, ColorRange) {
    use gst_video::{VideoColorMatrix, VideoColorRange};
    let colorimetry = info.colorimetry();
    let matrix = match colorimetry.matrix() {
        VideoColorMatrix::Bt601 | VideoColorMatrix::Fcc => ColorMatrix::Bt601,
        // BT.2020 is not told apart further down; BT.709 is the nearer one.
        VideoColorMatrix::Bt709 | VideoColorMatrix::Smpte240m | VideoColorMatrix::Bt2020 => {
            ColorMatrix::Bt709
        }
        _ if info.height() >= HD_HEIGHT => ColorMatrix::Bt709,
        _ => ColorMatrix::Bt601,
    };
    let range = match colorimetry.range() {
        VideoColorRange::Range0_255 => ColorRange::Full,
        _ => ColorRange::Limited,
    };
    (matrix, range)
}

/// Every row of every plane lies in its memory.
fn check_planes(
    planes: &MappedFrame,
    format: PixelFormat,
    size: Size,
) -> Result<(), UnusableSample> {
    let (width, height) = (size.width as usize, size.height as usize);
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    for index in 0..format.planes() {
        let (row_bytes, rows) = match (index, format) {
            (0, _) => (width, height),
            (_, PixelFormat::Nv12) => (2 * half_width, half_height),
            (_, PixelFormat::I420) => (half_width, half_height),
        };
        let plane = planes.plane(index);
        let needed = (rows - 1) * plane.stride + row_bytes;
        if plane.stride < row_bytes || plane.data.len() < needed {
            return Err(UnusableSample::Planes);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(caps: &str, bytes: usize, pts: u64) -> gst::Sample {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::with_size(bytes).unwrap();
        let writable = buffer.get_mut().unwrap();
        writable.set_pts(gst::ClockTime::from_nseconds(pts));
        let ntp: gst::Caps = "timestamp/x-ntp".parse().unwrap();
        // 2023-11-14T22:13:20Z is 1 700 000 000 s after 1970, 3 908 988 800 s after 1900.
        let stamp = gst::ClockTime::from_seconds(3_908_988_800);
        gst::ReferenceTimestampMeta::add(writable, &ntp, stamp, gst::ClockTime::NONE);
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        gst::Sample::builder()
            .buffer(&buffer)
            .caps(&caps.parse::<gst::Caps>().unwrap())
            .segment(&segment)
            .build()
    }

    #[test]
    fn camera_time_counts_from_1900_and_ours_from_1970() {
        let caps = "video/x-raw,format=I420,width=4,height=4,framerate=25/1,colorimetry=bt709";
        // Chroma rows of 2 bytes are padded to 4: 16 + 8 + 8 bytes.
        let frame = Decoded::from_sample(&sample(caps, 32, 40)).unwrap();
        assert_eq!(
            frame.live_utc(),
            (UtcNanos(1_700_000_000_000_000_000), UtcSource::Rtcp)
        );
        assert_eq!((frame.time_ns, frame.step_ns), (Some(40), Some(40_000_000)));
        assert_eq!(frame.pixels.matrix, ColorMatrix::Bt709);
    }

    #[test]
    fn full_range_and_bt601_come_from_the_caps() {
        // range:matrix:transfer:primaries = 0..255, BT.601, unknown, unknown.
        let caps = "video/x-raw,format=NV12,width=4,height=4,framerate=0/1,colorimetry=1:4:0:0";
        let frame = Decoded::from_sample(&sample(caps, 24, 0)).unwrap();
        assert_eq!(frame.pixels.range, ColorRange::Full);
        assert_eq!(frame.pixels.matrix, ColorMatrix::Bt601);
        assert_eq!(frame.fps, None);
    }

    #[test]
    fn a_buffer_too_small_for_its_caps_is_unusable() {
        let caps = "video/x-raw,format=I420,width=64,height=64,framerate=25/1";
        let error = Decoded::from_sample(&sample(caps, 100, 0)).err();
        assert!(
            matches!(error, Some(UnusableSample::Map | UnusableSample::Planes)),
            "{error:?}"
        );
    }

    #[test]
    fn odd_sizes_keep_their_last_column_of_colour() {
        // GStreamer pads I420 rows to 4 bytes: 5×3 is Y 8×4, U and V 4×2 each.
        let caps = "video/x-raw,format=I420,width=5,height=3,framerate=25/1";
        let frame = Decoded::from_sample(&sample(caps, 48, 0)).unwrap();
        assert_eq!(frame.pixels.planes.plane(1).stride, 4);
    }

    #[test]
    fn what_gstreamer_asks_for_comes_from_the_allocator_of_the_program() {
        const MIB: usize = 1 << 20;
        gst::init().unwrap();
        let allocated = || crate::base::allocated_bytes().unwrap();
        // Other tests of this program come and go beside this one; none of them takes so much.
        let before = allocated();
        let buffer = gst::Buffer::with_size(512 * MIB).unwrap();
        let with = allocated();
        drop(buffer);
        let after = allocated();
        let half = 256 * MIB as u64;
        assert!(with > before + half, "{before} {with}");
        assert!(after + half < with, "{with} {after}");
    }
}
