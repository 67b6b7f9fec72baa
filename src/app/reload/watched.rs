//! Who is watched now, for readiness and the watchdog.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::app::config::CameraConfig;
use crate::base::{CameraId, Metrics};

/// The cameras of the running configuration; clones share them.
#[derive(Debug, Clone)]
pub struct Watched {
    cameras: Arc<Mutex<Vec<(CameraId, bool)>>>,
    metrics: Arc<Metrics>,
}

impl Watched {
    /// These cameras, and whether readiness waits for them.
    #[must_use]
    pub fn new(cameras: &[CameraConfig], metrics: &Arc<Metrics>) -> Self {
        let watched = Self {
            cameras: Arc::default(),
            metrics: Arc::clone(metrics),
        };
        for camera in cameras {
            metrics.config().watched(&camera.id, true);
        }
        watched.set(cameras);
        watched
    }

    /// From now on it is these.
    pub(super) fn set(&self, cameras: &[CameraConfig]) {
        let cameras = cameras.iter();
        *self.lock() = cameras.map(|it| (it.id.clone(), it.is_required)).collect();
    }

    /// Frames that are on their way must come out; a camera that sends none is its own matter.
    #[must_use]
    pub fn is_any_frame_on_its_way(&self) -> bool {
        let cameras = self.lock();
        let mut cameras = cameras.iter();
        cameras.any(|(id, _)| self.metrics.balance(id).in_flight > 0)
    }

    /// Ready when a frame of every required camera has passed the detector.
    ///
    /// # Errors
    /// Names the cameras that have not got so far.
    pub fn check_ready(&self) -> Result<(), String> {
        let cameras = self.lock();
        let required = cameras.iter().filter(|(_, is_required)| *is_required);
        let missing: Vec<&str> = required
            .filter(|(id, _)| self.metrics.balance(id).processed == 0)
            .map(|(id, _)| id.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("no result yet from {}", missing.join(", ")))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(CameraId, bool)>> {
        self.cameras.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
