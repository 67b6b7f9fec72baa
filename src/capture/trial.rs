//! A camera that is tried before it is let in: it is opened as any other, and its frames go nowhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, select};

use super::outlet::Outlet;
use super::supervisor::start_with;
use super::{Camera, CameraOptions, CaptureError, Numbering, StatusHandle};
use crate::base::{FromCamera, Inbox, Metrics, RunEnd, Stop, Worker};

/// A running camera whose frames are decoded and let go, not counted and not numbered.
#[derive(Debug)]
pub struct Trial {
    camera: Camera,
    seen: Receiver<()>,
    stop: Stop,
}

/// Why a camera is not let in.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// Its first run ended before a frame.
    #[error("it gave no frame: {}", .reason.as_str())]
    Ended {
        /// How.
        reason: RunEnd,
        /// What went wrong, if that is known.
        #[source]
        source: Option<CaptureError>,
    },
    /// It was not done in time.
    #[error("it gave no frame within {} s", .0.as_secs())]
    Late(Duration),
    /// The daemon is stopping.
    #[error("gantryd is stopping")]
    Stopping,
}

impl Trial {
    /// Opens a camera on the thread `name`. Once it is let in its frames go to `slot` of `inbox`.
    ///
    /// # Errors
    /// As [`super::start`].
    pub fn start(
        name: String,
        options: CameraOptions,
        inbox: Arc<Inbox<FromCamera>>,
        slot: usize,
        metrics: Arc<Metrics>,
        stop: Stop,
        on_panic: impl FnOnce(&str) + Send + 'static,
    ) -> Result<Self, CaptureError> {
        let (sender, seen) = bounded(1);
        let status = StatusHandle::default();
        let outlet = Outlet::new(&options, inbox, slot, metrics, status).on_trial(sender);
        let camera = start_with(name, options, outlet, stop.clone(), on_panic)?;
        Ok(Self { camera, seen, stop })
    }

    /// Waits at most `limit` for its first frame.
    ///
    /// # Errors
    /// [`TrialError`] if none comes.
    pub fn wait(&self, limit: Duration) -> Result<(), TrialError> {
        let [told, told_too] = self.stop.channels();
        let began = Instant::now();
        select! {
            recv(self.seen) -> _ => Ok(()),
            recv(told) -> _ => Err(TrialError::Stopping),
            recv(told_too) -> _ => Err(TrialError::Stopping),
            recv(self.camera.ended) -> end => Err(match end {
                Ok(end) => TrialError::Ended { reason: end.reason, source: end.error },
                Err(_) => TrialError::Late(began.elapsed()),
            }),
            default(limit) => Err(TrialError::Late(limit)),
        }
    }

    /// Lets it in: its frames are numbered after `before`.
    #[must_use]
    pub fn admit(self, before: Numbering) -> Camera {
        self.camera.outlet.admit(before);
        self.camera
    }

    /// Its thread, which ends when the camera is stopped.
    #[must_use]
    pub fn give_up(self) -> Worker {
        self.camera.worker
    }
}
