//! An MP4 file from RGB pictures.

use std::path::{Path, PathBuf};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::{Shape, VideoError, frames_of, with_encoder};

const TEXT: &str = include_str!("../../../pipelines/simulate-mp4.gst");

/// How long the encoder may take to finish the file.
const FINISH: gst::ClockTime = gst::ClockTime::from_seconds(60);

/// Pictures that may wait for the encoder.
const WAITING: u64 = 4;
/// How often it is looked whether there is room.
const LOOK_AGAIN: gst::ClockTime = gst::ClockTime::from_mseconds(5);

/// A file in the making: it stands under its name only when it is whole.
#[derive(Debug)]
pub struct Mp4 {
    pipeline: gst::Pipeline,
    frames: gst_app::AppSrc,
    shape: Shape,
    path: PathBuf,
    part: PathBuf,
    count: u64,
}

impl Drop for Mp4 {
    fn drop(&mut self) {
        // Joins the streaming threads; what is not finished is not kept.
        self.stop();
        drop(std::fs::remove_file(&self.part));
    }
}

impl Mp4 {
    /// Begins a file.
    ///
    /// # Errors
    /// If GStreamer or an encoder is missing, or the file cannot be made.
    pub fn create(path: &Path, shape: Shape) -> Result<Self, VideoError> {
        let text = with_encoder("simulate-mp4.gst", TEXT, shape, false)?;
        let setup = |error: String| VideoError::Setup(error);
        let pipeline = gst::parse::launch(&text)
            .map_err(|error| setup(error.to_string()))?
            .downcast::<gst::Pipeline>()
            .map_err(|_other| setup("simulate-mp4.gst is no pipeline".to_owned()))?;
        let frames = frames_of(pipeline.upcast_ref())
            .ok_or_else(|| setup("simulate-mp4.gst has no appsrc `frames`".to_owned()))?;
        frames.set_caps(Some(&shape.caps()));
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = |reason: String| VideoError::File {
            path: path.display().to_string(),
            reason,
        };
        // Told here with the system's words; GStreamer has none.
        std::fs::File::create(&part).map_err(|error| file(error.to_string()))?;
        let location = part
            .to_str()
            .ok_or_else(|| file("the name is not UTF-8".to_owned()))?;
        pipeline
            .by_name("file")
            .ok_or_else(|| setup("simulate-mp4.gst has no filesink `file`".to_owned()))?
            .set_property("location", location);
        let mp4 = Self {
            pipeline,
            frames,
            shape,
            path: path.to_owned(),
            part,
            count: 0,
        };
        let started = mp4.pipeline.set_state(gst::State::Playing);
        if let Err(error) = started {
            return Err(mp4.failure(&error.to_string()));
        }
        Ok(mp4)
    }

    /// Adds a picture, RGB row by row; waits for room before the encoder.
    ///
    /// # Errors
    /// What stopped the writing: a full disk, say.
    pub fn push(&mut self, rgb: &[u8]) -> Result<(), VideoError> {
        let mut buffer = self.shape.buffer(rgb);
        let second = 1_000_000_000;
        let at =
            |count: u64| gst::ClockTime::from_nseconds(count * second / u64::from(self.shape.fps));
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(at(self.count));
            buffer.set_duration(at(self.count + 1) - at(self.count));
        }
        self.count += 1;
        self.wait_for_room()?;
        match self.frames.push_buffer(buffer) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failure(&error.to_string())),
        }
    }

    /// Waits until the encoder has taken what waits. Not left to the appsrc: it would wait for ever after
    /// a failure further on.
    fn wait_for_room(&self) -> Result<(), VideoError> {
        let Some(bus) = self.pipeline.bus() else {
            return Ok(());
        };
        while self.frames.current_level_buffers() >= WAITING {
            let told = bus.timed_pop_filtered(LOOK_AGAIN, &[gst::MessageType::Error]);
            if let Some(gst::MessageView::Error(error)) = told.as_ref().map(|told| told.view()) {
                return Err(self.file_error(error.error().to_string()));
            }
        }
        Ok(())
    }

    /// Finishes the file and puts it under its name.
    ///
    /// # Errors
    /// If it cannot be finished.
    pub fn finish(self) -> Result<(), VideoError> {
        if let Err(error) = self.frames.end_of_stream() {
            return Err(self.failure(&error.to_string()));
        }
        let bus = self.pipeline.bus();
        let end = bus.and_then(|bus| {
            bus.timed_pop_filtered(FINISH, &[gst::MessageType::Eos, gst::MessageType::Error])
        });
        match end.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => {}
            Some(gst::MessageView::Error(error)) => {
                return Err(self.file_error(error.error().to_string()));
            }
            _ => return Err(self.file_error("the encoder does not finish".to_owned())),
        }
        self.stop();
        std::fs::rename(&self.part, &self.path).map_err(|error| self.file_error(error.to_string()))
    }

    fn stop(&self) {
        if let Err(error) = self.pipeline.set_state(gst::State::Null) {
            tracing::debug!(%error, "pipeline does not stop cleanly");
        }
    }

    /// What the pipeline says about its failure.
    fn failure(&self, otherwise: &str) -> VideoError {
        let told = self.pipeline.bus().and_then(|bus| {
            bus.timed_pop_filtered(gst::ClockTime::from_seconds(1), &[gst::MessageType::Error])
        });
        let reason = match told.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => error.error().to_string(),
            _ => otherwise.to_owned(),
        };
        self.file_error(reason)
    }

    fn file_error(&self, reason: String) -> VideoError {
        VideoError::File {
            path: self.path.display().to_string(),
            reason,
        }
    }
}
