//! What is known about a camera right now, for the page, `doctor` and the progress bar.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{CaptureError, Decode};
use crate::base::{CameraId, RunEnd, RunId, Size, UtcSource};

/// Where a camera is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CameraState {
    /// Opening the source.
    #[default]
    Connecting,
    /// Delivering frames.
    Running,
    /// Waiting before it is tried again.
    Waiting,
    /// Over.
    Ended,
}

impl CameraState {
    /// The name used on the page and in published status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Ended => "ended",
        }
    }
}

/// What is known about a camera. No text in it holds credentials.
#[derive(Debug, Clone, Default)]
pub struct CameraStatus {
    /// The source, credentials hidden.
    pub source: String,
    /// Where it is in its life.
    pub state: CameraState,
    /// The run it is in or was in last; `None` before the first.
    pub run: Option<RunId>,
    /// How the pictures are coded: `h264`, `h265`, `mjpeg`, or the media type of the stream.
    pub codec: Option<String>,
    /// The GStreamer element that decodes.
    pub decoder: Option<String>,
    /// The family of that element.
    pub decode: Option<Decode>,
    /// Size of the picture.
    pub size: Option<Size>,
    /// Frames per second as announced by the stream.
    pub fps: Option<f64>,
    /// Length of a file.
    pub duration: Option<Duration>,
    /// Where capture times come from.
    pub utc_source: Option<UtcSource>,
    /// Frames received since the start.
    pub frames: u64,
    /// When the last frame arrived.
    pub last_frame: Option<Instant>,
    /// Why the last run ended.
    pub last_end: Option<RunEnd>,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
}

/// Reads and (inside `capture`) writes a [`CameraStatus`]; clones share it.
#[derive(Debug, Clone, Default)]
pub struct StatusHandle(Arc<Mutex<CameraStatus>>);

impl StatusHandle {
    /// The status as of now.
    #[must_use]
    pub fn snapshot(&self) -> CameraStatus {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut CameraStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// How a camera ended for good: a file was read, or it will not be tried again.
#[derive(Debug)]
pub struct CameraEnd {
    /// The camera.
    pub camera: CameraId,
    /// Why its last run ended.
    pub reason: RunEnd,
    /// What went wrong, if anything did.
    pub error: Option<CaptureError>,
    /// Frames it delivered over all runs.
    pub frames: u64,
}
