//! A film as its encoded pictures, to be sent again and again.

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::VideoError;
use super::codec::Codec;
use crate::base::PipelineText;

/// What is kept of a film in memory at most.
const MOST_BYTES: usize = 256 << 20;

/// The longest wait for the next picture of a file.
const NEXT_WITHIN: gst::ClockTime = gst::ClockTime::from_seconds(10);

const CODEC: &str = include_str!("../../../pipelines/film-codec.gst");
const READ: &str = include_str!("../../../pipelines/film-read.gst");

/// The encoded pictures of a film, the first of which needs no other.
#[derive(Debug, Clone)]
pub struct Film {
    caps: gst::Caps,
    /// In the order in which they are decoded, their times from 0 on.
    pictures: Vec<gst::Buffer>,
    /// What the film lasts.
    length: gst::ClockTime,
    codec: Codec,
}

impl Film {
    /// Reads the H.264 or H.265 video of a file; at most 256 MiB of it.
    ///
    /// # Errors
    /// If the file cannot be read, or holds no such video.
    pub fn read(path: &Path) -> Result<Self, VideoError> {
        let failed = |reason: String| VideoError::Film {
            path: path.display().to_string(),
            reason,
        };
        gst::init()
            .map_err(|error| VideoError::Setup(format!("GStreamer does not start: {error}")))?;
        let codec = codec_of(path).map_err(failed)?;
        let (parser, media) = (codec.parser(), codec.media());
        let (pipeline, sink) =
            launched(READ, &[("parser", parser), ("media", media)], path).map_err(failed)?;
        let mut film = Self {
            caps: gst::Caps::new_empty(),
            pictures: Vec::new(),
            length: gst::ClockTime::ZERO,
            codec,
        };
        let mut bytes = 0;
        while let Some(sample) = sink.try_pull_sample(NEXT_WITHIN) {
            let Some(picture) = sample.buffer_owned() else {
                continue;
            };
            let is_delta = picture.flags().contains(gst::BufferFlags::DELTA_UNIT);
            if film.pictures.is_empty() && is_delta {
                continue;
            }
            bytes += picture.size();
            if bytes > MOST_BYTES {
                break;
            }
            if let Some(caps) = sample.caps_owned() {
                film.caps = caps;
            }
            film.pictures.push(picture);
        }
        pipeline.set_state(gst::State::Null).ok();
        film.set_times();
        if film.length.is_zero() {
            return Err(failed("it holds no two pictures with times".to_owned()));
        }
        Ok(film)
    }

    /// Times from 0 on, and the length: the mean step for each picture.
    fn set_times(&mut self) {
        let times = |picture: &gst::Buffer| picture.dts().or(picture.pts());
        let Some(first) = self.pictures.first().and_then(times) else {
            return;
        };
        let last = self
            .pictures
            .iter()
            .filter_map(times)
            .max()
            .unwrap_or(first);
        let count = self.pictures.len() as u64;
        if count < 2 {
            return;
        }
        self.length = (last.saturating_sub(first)) * count / (count - 1);
        for picture in &mut self.pictures {
            let picture = picture.make_mut();
            let pts = picture.pts().map(|time| time.saturating_sub(first));
            let dts = picture.dts().map(|time| time.saturating_sub(first));
            picture.set_pts(pts.or(dts));
            picture.set_dts(dts.or(pts));
        }
    }

    /// The pictures of the film one after the other for ever, with times that go on.
    pub(super) fn picture(&self, number: u64) -> gst::Buffer {
        let count = self.pictures.len() as u64;
        let mut picture = self.pictures[(number % count) as usize].copy();
        let began = self.length * (number / count);
        let shown = picture.make_mut();
        shown.set_pts(shown.pts().map(|time| time + began));
        shown.set_dts(shown.dts().map(|time| time + began));
        picture
    }

    pub(super) fn caps(&self) -> &gst::Caps {
        &self.caps
    }

    /// What its pictures are encoded as.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Pictures per second, the mean.
    #[must_use]
    pub fn fps(&self) -> f64 {
        self.pictures.len() as f64 / (self.length.nseconds() as f64 * 1e-9)
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> Option<(u32, u32)> {
        let structure = self.caps.structure(0)?;
        let side = |name| {
            structure
                .get::<i32>(name)
                .ok()
                .and_then(|it| u32::try_from(it).ok())
        };
        Some((side("width")?, side("height")?))
    }
}

fn codec_of(path: &Path) -> Result<Codec, String> {
    let (pipeline, sink) = launched(CODEC, &[], path)?;
    let sample = sink.try_pull_sample(NEXT_WITHIN);
    let error = error_of(&pipeline);
    pipeline.set_state(gst::State::Null).ok();
    let caps = sample.as_ref().and_then(|sample| sample.caps());
    let Some(name) = caps.and_then(|caps| Some(caps.structure(0)?.name().as_str().to_owned()))
    else {
        return Err(error.unwrap_or_else(|| "it holds no video".to_owned()));
    };
    Codec::ALL
        .into_iter()
        .find(|codec| codec.media() == name)
        .ok_or_else(|| format!("it holds {name}; H.264 or H.265 is needed, as cameras send"))
}

fn launched(
    text: &str,
    values: &[(&str, &str)],
    path: &Path,
) -> Result<(gst::Pipeline, gst_app::AppSink), String> {
    let text = PipelineText::new("film", text)
        .fill(values)
        .map_err(|error| error.to_string())?;
    let pipeline = gst::parse::launch(&text)
        .map_err(|error| error.to_string())?
        .downcast::<gst::Pipeline>()
        .map_err(|element| format!("{} is no pipeline", element.name()))?;
    let file = pipeline.by_name("file").ok_or("no element file")?;
    file.set_property("location", path);
    let sink = pipeline
        .by_name("pictures")
        .and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
        .ok_or("no appsink pictures")?;
    if pipeline.set_state(gst::State::Playing).is_err() {
        let reason = error_of(&pipeline).unwrap_or_else(|| "it cannot be read".to_owned());
        pipeline.set_state(gst::State::Null).ok();
        return Err(reason);
    }
    Ok((pipeline, sink))
}

/// What went wrong, if something did.
pub(super) fn error_of(pipeline: &gst::Pipeline) -> Option<String> {
    let message = pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
    match message.view() {
        gst::MessageView::Error(error) => Some(error.error().to_string()),
        _ => None,
    }
}
