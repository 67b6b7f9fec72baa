//! The two codecs that cameras send, and a film in either.

use std::path::{Path, PathBuf};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::VideoError;
use super::film::error_of;

/// The longest that encoding a film may take.
const ENCODE_WITHIN: gst::ClockTime = gst::ClockTime::from_seconds(900);

/// Codec of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264, AVC.
    H264,
    /// H.265, HEVC.
    H265,
}

impl Codec {
    /// Both.
    pub const ALL: [Self; 2] = [Self::H264, Self::H265];

    /// As told to people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
        }
    }

    /// Name of its caps.
    pub(super) fn media(self) -> &'static str {
        match self {
            Self::H264 => "video/x-h264",
            Self::H265 => "video/x-h265",
        }
    }

    pub(super) fn parser(self) -> &'static str {
        match self {
            Self::H264 => "h264parse",
            Self::H265 => "h265parse",
        }
    }

    pub(super) fn payloader(self) -> &'static str {
        match self {
            Self::H264 => "rtph264pay",
            Self::H265 => "rtph265pay",
        }
    }

    /// Pipeline that encodes, and the package of its encoder.
    fn encode(self) -> (&'static str, &'static str) {
        match self {
            Self::H264 => (
                include_str!("../../../pipelines/film-encode-h264.gst"),
                "gstreamer1.0-plugins-ugly (x264enc)",
            ),
            Self::H265 => (
                include_str!("../../../pipelines/film-encode-h265.gst"),
                "gstreamer1.0-plugins-bad (x265enc)",
            ),
        }
    }

    /// Encodes the pictures of `film` anew in this codec, into a file in `folder`.
    ///
    /// # Errors
    /// If the film cannot be read, or the encoder is not installed.
    pub fn encode_film(self, film: &Path, folder: &Path) -> Result<PathBuf, VideoError> {
        let failed = |reason: String| VideoError::Film {
            path: film.display().to_string(),
            reason: format!("encoding it as {}: {reason}", self.as_str()),
        };
        gst::init()
            .map_err(|error| VideoError::Setup(format!("GStreamer does not start: {error}")))?;
        let (text, package) = self.encode();
        let out = folder.join(self.as_str()).with_extension("mp4");
        let text = crate::base::PipelineText::new("film-encode", text)
            .fill(&[])
            .map_err(|error| VideoError::Setup(error.to_string()))?;
        let pipeline = gst::parse::launch(&text)
            .map_err(|error| failed(format!("{error}; install {package}")))?
            .downcast::<gst::Pipeline>()
            .map_err(|element| failed(format!("{} is no pipeline", element.name())))?;
        for (name, path) in [("from", film), ("to", out.as_path())] {
            let element = pipeline.by_name(name);
            let element = element.ok_or_else(|| failed(format!("no element {name}")))?;
            element.set_property("location", path);
        }
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        let ended = match (pipeline.set_state(gst::State::Playing), pipeline.bus()) {
            (Ok(_), Some(bus)) => bus.timed_pop_filtered(ENCODE_WITHIN, &kinds),
            _ => None,
        };
        let reason = match ended.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => None,
            Some(gst::MessageView::Error(error)) => Some(error.error().to_string()),
            _ => Some(error_of(&pipeline).unwrap_or_else(|| "it does not end".to_owned())),
        };
        pipeline.set_state(gst::State::Null).ok();
        reason.map_or(Ok(out), |reason| Err(failed(reason)))
    }
}
