//! Where results leave the tracker: one bounded channel per reader, each with its own policy.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{SendError, Sender, TrySendError};

use crate::base::{CameraId, DropReason, EndedTrack, FrameResult, Metrics, RunEnd, RunId, Stage};

/// Ends of runs that are kept for a reader whose channel is full.
const MAX_KEPT: usize = 64;

/// How long a reader may take for each kept end of a run when everything is over.
const LAST_WAIT: Duration = Duration::from_secs(1);

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
#[derive(Debug, Clone)]
pub struct Outlet {
    sender: Sender<Published>,
    when_full: WhenFull,
    camera: Option<CameraId>,
    with_frame: bool,
    stage: Stage,
    /// Ends of runs that wait for a place in the channel.
    kept: VecDeque<Published>,
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
            kept: VecDeque::new(),
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

    /// With what it loses counted at this stage.
    #[must_use]
    pub fn as_stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
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
    ///
    /// The end of a run is rare and not lost to a full channel: with [`WhenFull::Drop`] it is kept
    /// and handed over before the next item, so that a slow reader holds up nobody.
    pub(super) fn send(&mut self, item: &Published, metrics: &Metrics) {
        if !self.wants(item.camera()) {
            return;
        }
        if self.when_full == WhenFull::Wait {
            if let Err(SendError(lost)) = self.sender.send(item.clone()) {
                self.count(&lost, DropReason::SinkFailed, metrics);
            }
            return;
        }
        self.send_kept(metrics);
        let tried = if self.kept.is_empty() {
            self.sender.try_send(item.clone())
        } else {
            Err(TrySendError::Full(item.clone()))
        };
        match tried {
            Ok(()) => {}
            Err(TrySendError::Full(end @ Published::RunEnded { .. }))
                if self.kept.len() < MAX_KEPT =>
            {
                self.kept.push_back(end);
            }
            Err(TrySendError::Full(lost)) => self.count(&lost, DropReason::SinkSlow, metrics),
            Err(TrySendError::Disconnected(lost)) => {
                self.count(&lost, DropReason::SinkFailed, metrics);
            }
        }
    }

    fn send_kept(&mut self, metrics: &Metrics) {
        while let Some(end) = self.kept.pop_front() {
            match self.sender.try_send(end) {
                Ok(()) => {}
                Err(TrySendError::Full(end)) => return self.kept.push_front(end),
                Err(TrySendError::Disconnected(lost)) => {
                    self.count(&lost, DropReason::SinkFailed, metrics);
                }
            }
        }
    }

    /// Hands over what was kept, waiting a moment for the reader, at the end of everything.
    pub(super) fn finish(mut self, metrics: &Metrics) {
        while let Some(end) = self.kept.pop_front() {
            if let Err(error) = self.sender.send_timeout(end, LAST_WAIT) {
                self.count(&error.into_inner(), DropReason::SinkSlow, metrics);
            }
        }
    }

    fn count(&self, lost: &Published, reason: DropReason, metrics: &Metrics) {
        metrics.result_dropped(lost.camera(), self.stage, reason);
    }
}
