//! Where results leave the tracker: one bounded channel per reader, each with its own policy.

use std::sync::Arc;

use crossbeam_channel::{SendError, Sender, TrySendError};

use crate::base::{CameraId, DropReason, EndedTrack, FrameResult, Metrics, RunEnd, RunId, Stage};

/// What readers get, in order per camera.
#[derive(Debug, Clone)]
pub enum Published {
    /// The result of one frame.
    Frame(Arc<FrameResult>),
    /// A run is over, and with it every track that lived.
    RunEnded {
        /// The camera.
        camera: CameraId,
        /// The run.
        run: RunId,
        /// Why it is over.
        reason: RunEnd,
        /// Confirmed tracks that ended with it, in id order.
        ended: Vec<EndedTrack>,
    },
}

impl Published {
    /// The camera it is about.
    #[must_use]
    pub fn camera(&self) -> &CameraId {
        match self {
            Self::Frame(result) => &result.meta.camera,
            Self::RunEnded { camera, .. } => camera,
        }
    }
}

/// What to do with a frame's result when the reader's channel is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Wait: files are slowed down, live cameras drop (counted) frames before the detector.
    Wait,
    /// Drop the result for this reader and count it.
    Drop,
}

/// One reader of results.
#[derive(Debug)]
pub struct Outlet {
    sender: Sender<Published>,
    when_full: WhenFull,
    camera: Option<CameraId>,
    with_frame: bool,
    stage: Stage,
}

impl Outlet {
    /// An outlet for the results of all cameras, without pictures.
    #[must_use]
    pub fn new(sender: Sender<Published>, when_full: WhenFull) -> Self {
        Self {
            sender,
            when_full,
            camera: None,
            with_frame: false,
            stage: Stage::Publish,
        }
    }

    /// Only the results of this camera.
    #[must_use]
    pub fn of(mut self, camera: CameraId) -> Self {
        self.camera = Some(camera);
        self
    }

    /// With the picture in every result, for annotating and recording. The channel's capacity
    /// bounds the number of pictures held.
    #[must_use]
    pub fn with_pictures(mut self) -> Self {
        self.with_frame = true;
        self.stage = Stage::Annotate;
        self
    }

    /// Does this reader want pictures of `camera`?
    pub(super) fn wants_frame_of(&self, camera: &CameraId) -> bool {
        self.with_frame && self.wants(camera)
    }

    pub(super) fn takes_frames(&self) -> bool {
        self.with_frame
    }

    fn wants(&self, camera: &CameraId) -> bool {
        self.camera.as_ref().is_none_or(|wanted| wanted == camera)
    }

    /// Hands `item` to the reader if it is about a camera of its; a lost result is counted.
    pub(super) fn send(&self, item: &Published, metrics: &Metrics) {
        if !self.wants(item.camera()) {
            return;
        }
        let lost = match (self.when_full, item) {
            // A run's end is rare and must not be lost: it is always waited for.
            (WhenFull::Wait, _) | (_, Published::RunEnded { .. }) => {
                match self.sender.send(item.clone()) {
                    Ok(()) => None,
                    Err(SendError(_)) => Some(DropReason::SinkFailed),
                }
            }
            (WhenFull::Drop, Published::Frame(_)) => match self.sender.try_send(item.clone()) {
                Ok(()) => None,
                Err(TrySendError::Full(_)) => Some(DropReason::SinkSlow),
                Err(TrySendError::Disconnected(_)) => Some(DropReason::SinkFailed),
            },
        };
        if let Some(reason) = lost {
            metrics.result_dropped(item.camera(), self.stage, reason);
        }
    }
}
