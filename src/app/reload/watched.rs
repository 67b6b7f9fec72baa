//! Who is watched now, for readiness and the watchdog.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::app::config::{CameraConfig, CameraUri};
use crate::base::{CameraId, Metrics};

#[derive(Debug)]
struct Camera {
    id: CameraId,
    is_required: bool,
    /// It ends, as a file does.
    is_recorded: bool,
}

/// The cameras of the running configuration; clones share them.
#[derive(Debug, Clone)]
pub struct Watched {
    cameras: Arc<Mutex<Vec<Camera>>>,
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
            metrics.config().delivering(&camera.id, false);
        }
        watched.set(cameras);
        watched
    }

    /// From now on it is these.
    pub(super) fn set(&self, cameras: &[CameraConfig]) {
        let cameras = cameras.iter();
        let camera = |it: &CameraConfig| Camera {
            id: it.id.clone(),
            is_required: it.is_required,
            is_recorded: matches!(it.uri, CameraUri::File(_)),
        };
        *self.lock() = cameras.map(camera).collect();
    }

    /// Frames that are on their way must come out; a camera that sends none is its own matter.
    #[must_use]
    pub fn is_any_frame_on_its_way(&self) -> bool {
        let cameras = self.lock();
        let mut cameras = cameras.iter();
        cameras.any(|it| self.metrics.balance(&it.id).in_flight > 0)
    }

    /// Ready when a frame of every required camera has passed the detector, and while frames of each
    /// arrive.
    ///
    /// # Errors
    /// Names the cameras that have not got so far, or are away.
    pub fn check_ready(&self) -> Result<(), String> {
        let cameras = self.lock();
        let required = cameras.iter().filter(|it| it.is_required);
        let (mut missing, mut away) = (Vec::new(), Vec::new());
        for Camera {
            id, is_recorded, ..
        } in required
        {
            if self.metrics.balance(id).processed == 0 {
                missing.push(id.as_str());
            } else if !is_recorded && !self.metrics.config().is_delivering(id) {
                away.push(id.as_str());
            }
        }
        let told = [("no result yet from", missing), ("no picture from", away)];
        let told = told.into_iter().filter(|(_, cameras)| !cameras.is_empty());
        let told: Vec<_> = told
            .map(|(words, cameras)| format!("{words} {}", cameras.join(", ")))
            .collect();
        if told.is_empty() {
            return Ok(());
        }
        Err(told.join("; "))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Camera>> {
        self.cameras.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
