//! What can go wrong with a pipeline, and the first of it that did.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::{CameraId, StopSource};
use crate::capture::{CaptureError, TrialError};
use crate::perception::detect::DetectError;

/// Why a pipeline cannot start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The model cannot be used.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The detector worked, and then did not for so long.
    #[error("the detector failed for {secs} s and could not be opened anew (detect.give_up_secs)")]
    DetectorLost {
        /// How long, seconds.
        secs: u64,
        /// Why, the last time.
        #[source]
        source: DetectError,
    },
    /// A camera cannot be used.
    #[error("camera {camera}")]
    Capture {
        /// The camera.
        camera: CameraId,
        /// Why.
        #[source]
        source: CaptureError,
    },
    /// A camera that was to be added or opened anew gives no frame.
    #[error("camera {camera} at {source_name}")]
    Trial {
        /// The camera.
        camera: CameraId,
        /// Where it was looked for, without credentials.
        source_name: String,
        /// Why.
        #[source]
        source: Box<TrialError>,
    },
    /// It is too late for a change.
    #[error("gantryd is stopping")]
    Stopping,
    /// The operating system refused a thread.
    #[error("starting thread {name}")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A thread panicked: a bug.
    #[error("thread {thread} panicked: {message}; this is a bug in gantryd")]
    Panic {
        /// Name of the thread.
        thread: String,
        /// Its message.
        message: String,
    },
}

/// The first thing that went wrong in any thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<PipelineError>>>);

impl Failure {
    /// Keeps `error` if it is the first.
    pub fn set(&self, error: PipelineError) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(error);
        }
    }

    pub fn take(&self) -> Option<PipelineError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What a worker's thread does when it panics: keep the message, stop everything.
    pub fn on_panic(&self, thread: &str, stop: &StopSource) -> impl FnOnce(&str) + Send + 'static {
        let (failure, stop, thread) = (self.clone(), stop.clone(), thread.to_owned());
        move |message| {
            failure.set(PipelineError::Panic {
                thread,
                message: message.to_owned(),
            });
            stop.stop();
        }
    }
}
