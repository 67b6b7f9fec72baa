//! RGB pictures out of the program: into an MP4 file, or to whoever asks over RTSP.
//!
//! Belongs here: GStreamer for the tools. Does not belong here: what the pictures show.

#[cfg(feature = "rtsp-server")]
mod codec;
#[cfg(feature = "rtsp-server")]
mod film;
mod mp4;
#[cfg(feature = "rtsp-server")]
mod rtsp;

#[cfg(feature = "rtsp-server")]
pub use codec::Codec;
#[cfg(feature = "rtsp-server")]
pub use film::Film;
pub use mp4::Mp4;
#[cfg(feature = "rtsp-server")]
pub use rtsp::{Camera, RtspServer, Shows};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::base::PipelineText;

/// Software encoders, best first.
const ENCODERS: [(&str, &str, &str); 2] = [
    (
        "x264enc",
        "encode-x264.gst",
        include_str!("../../../pipelines/encode-x264.gst"),
    ),
    (
        "openh264enc",
        "encode-openh264.gst",
        include_str!("../../../pipelines/encode-openh264.gst"),
    ),
];

/// Pictures that cannot leave the program.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// GStreamer or one of its elements is missing.
    #[error("{0}; gantryd doctor tells what to install")]
    Setup(String),
    /// The video cannot be written.
    #[error("writing {path}: {reason}; is there room, and may this user write there?")]
    File {
        /// Which file.
        path: String,
        /// What GStreamer said.
        reason: String,
    },
    /// A film cannot be played.
    #[error("{path}: {reason}")]
    Film {
        /// Which file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The address cannot be served.
    #[error("serving {address}: {reason}")]
    Address {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
}

/// Size and rate of a stream of RGB pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Pictures per second.
    pub fps: u32,
}

impl Shape {
    fn caps(self) -> gst::Caps {
        gst::Caps::builder("video/x-raw")
            .field("format", "RGB")
            .field("width", i32::try_from(self.size.0).unwrap_or(i32::MAX))
            .field("height", i32::try_from(self.size.1).unwrap_or(i32::MAX))
            .field(
                "framerate",
                gst::Fraction::new(i32::try_from(self.fps).unwrap_or(i32::MAX), 1),
            )
            .build()
    }

    /// RGB rows in GStreamer begin at multiples of four bytes.
    fn buffer(self, rgb: &[u8]) -> gst::Buffer {
        let row = self.size.0 as usize * 3;
        let stride = row.next_multiple_of(4);
        if stride == row {
            return gst::Buffer::from_slice(rgb.to_vec());
        }
        let mut padded = vec![0; stride * self.size.1 as usize];
        for (to, from) in padded.chunks_exact_mut(stride).zip(rgb.chunks_exact(row)) {
            to[..row].copy_from_slice(from);
        }
        gst::Buffer::from_slice(padded)
    }
}

/// The text of a pipeline with the first encoder that is installed.
fn with_encoder(name: &str, text: &str, shape: Shape, is_live: bool) -> Result<String, VideoError> {
    gst::init().map_err(|error| VideoError::Setup(format!("GStreamer does not start: {error}")))?;
    let (_, encoder_name, encoder) = ENCODERS
        .iter()
        .find(|(element, ..)| gst::ElementFactory::find(element).is_some())
        .ok_or_else(|| {
            let names: Vec<&str> = ENCODERS.iter().map(|(element, ..)| *element).collect();
            VideoError::Setup(format!(
                "no encoder is installed, known are {}",
                names.join(", ")
            ))
        })?;
    let kbps = u64::from(shape.size.0) * u64::from(shape.size.1) * 6 / 1000;
    let kbps = kbps.clamp(500, 100_000);
    let text_error = |error: crate::base::PipelineTextError| VideoError::Setup(error.to_string());
    let encoder = PipelineText::new(encoder_name, encoder)
        .fill(&[
            ("preset", "superfast"),
            ("threads", "1"),
            ("sliced", &is_live.to_string()),
            ("quality", "23"),
            ("kbps", &kbps.to_string()),
            ("bps", &(kbps * 1000).to_string()),
        ])
        .map_err(text_error)?;
    PipelineText::new(name, text)
        .fill(&[("encoder", &encoder)])
        .map_err(text_error)
}

fn frames_of(bin: &gst::Bin) -> Option<gst_app::AppSrc> {
    bin.by_name("frames")?.downcast().ok()
}
