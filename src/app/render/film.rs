//! Every frame of a file, in order.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::RenderError;
use crate::base::{CameraId, Captured, Frame, FromCamera, Inbox, Metrics, StopSource, Worker};
use crate::capture::{self, CameraOptions, CaptureError, Source, StatusHandle};

/// Time for the decoder's threads to end.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    Stop,
}

/// Shows every frame of `video` until its end or [`Next::Stop`].
///
/// # Errors
/// [`RenderError`] if it cannot be opened or decoded.
pub(super) fn frames_of(
    video: &Path,
    mut show: impl FnMut(&Arc<Frame>, &StatusHandle) -> Next,
) -> Result<(), RenderError> {
    let failed = |source| RenderError::Video {
        video: video.to_owned(),
        source,
    };
    let source = Source::parse(&video.to_string_lossy()).map_err(|source| RenderError::Source {
        video: video.to_owned(),
        source,
    })?;
    let mut options = CameraOptions::new(CameraId::new("video"), source);
    options.give_up_unseen = true;
    let inbox = Arc::new(Inbox::new(1));
    let stop = StopSource::default();
    let (closing, on_panic) = (Arc::clone(&inbox), Arc::clone(&inbox));
    let camera = capture::start(
        options,
        Arc::clone(&inbox),
        0,
        Metrics::new(),
        stop.stop_flag(),
        move |_| on_panic.close(),
    )
    .map_err(failed)?;
    let ended = camera.ended;
    let (report, end) = crossbeam_channel::bounded(1);
    let conduct = move || {
        // A full or closed channel: nobody waits for the report any more.
        drop(report.try_send(ended.recv()));
        closing.close();
    };
    let name = "conductor".to_owned();
    let conductor = Worker::spawn(name.clone(), conduct, |_| {})
        .map_err(|source| failed(CaptureError::Thread { name, source }))?;
    let mut next = Next::Go;
    while let Some(taken) = inbox.take(1) {
        for item in taken {
            if let FromCamera::Frame(Captured { frame, flight }) = item.item {
                if next == Next::Go {
                    next = show(&frame, &camera.status);
                }
                flight.processed();
            }
            inbox.done(item.slot);
        }
        if next == Next::Stop {
            stop.stop();
        }
    }
    let deadline = Instant::now() + FINISH_WITHIN;
    for worker in [camera.worker, conductor] {
        let thread = worker.name().to_owned();
        let end = worker.join_until(deadline);
        tracing::debug!(thread, ?end, "the recording is read");
    }
    match end.try_recv() {
        Ok(Ok(end)) if next == Next::Go => end.error.map_or(Ok(()), |error| Err(failed(error))),
        _ => Ok(()),
    }
}
