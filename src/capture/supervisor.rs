//! One camera's life: run, classify the end, back off, next run.

use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};

use super::{CameraEnd, CameraOptions, CaptureError, StatusHandle};
use crate::base::{FromCamera, Inbox, Metrics, Stop, Worker};

/// A running camera.
#[derive(Debug)]
pub struct Camera {
    /// Its `cap-<n>` thread; ends when the camera has ended or stop was asked for.
    pub worker: Worker,
    /// What is known about it.
    pub status: StatusHandle,
    /// Gets one message when the camera has ended for good; the last frames may still wait in
    /// the inbox then.
    pub ended: Receiver<CameraEnd>,
}

/// Starts a camera: its frames and the ends of its runs go to `slot` of `inbox`.
///
/// # Errors
/// [`CaptureError`] for what is wrong before anything runs: GStreamer missing, a file that does
/// not exist, a pipeline text that cannot be used, a decoder that is not there.
pub fn start(
    options: CameraOptions,
    _inbox: Arc<Inbox<FromCamera>>,
    slot: usize,
    _metrics: Arc<Metrics>,
    _stop: Stop,
    on_panic: impl FnOnce(&str) + Send + 'static,
) -> Result<Camera, CaptureError> {
    let name = format!("cap-{slot}");
    let (_sender, ended) = bounded(1);
    let status = StatusHandle::default();
    status.update(|status| status.source = options.source.to_string());
    let worker = Worker::spawn(name.clone(), || {}, on_panic)
        .map_err(|source| CaptureError::Thread { name, source })?;
    Ok(Camera {
        worker,
        status,
        ended,
    })
}
