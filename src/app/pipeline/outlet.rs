//! Where results leave the tracker: one bounded channel per reader, each with its own policy.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{SendError, Sender, TrySendError};

use crate::base::{
    CameraId, DropReason, EndedTrack, FrameResult, Metrics, PacketRing, RunEnd, RunId, Stage,
    StreamClock,
};
use crate::perception::zones::ZonesPlan;
use crate::sinks::annotate::PrivacyRules;

/// Ends of runs and other notices that are kept for a reader whose channel is full.
const MAX_KEPT: usize = 64;

/// How long a reader may take for each kept notice when everything is over.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What is looked for in the pictures of a camera, and what no picture may show.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// Zones and lines, in the order of the counts.
    pub zones: ZonesPlan,
    /// What is hidden.
    pub privacy: PrivacyRules,
    /// What it sends from now on and where that lies in time, if that is kept anew.
    pub packets: Option<(Arc<PacketRing>, Arc<StreamClock>)>,
}

/// What readers get, in order per camera.
#[derive(Debug, Clone)]
pub enum Published {
    /// The result of one frame.
    Frame(Arc<FrameResult>),
    /// A run is over, and with it every track that lived, unless it may go on in the next.
    RunEnded {
        /// The camera.
        camera: CameraId,
        /// The run.
        run: RunId,
        /// Why it is over.
        reason: RunEnd,
        /// Confirmed tracks that ended with it, in id order. Of a camera that is remembered none: those that
        /// do not go on are told with the first frame of the next run.
        ended: Vec<EndedTrack>,
    },
    /// From here on the camera, which may be new, is watched so.
    Watched {
        /// The camera.
        camera: CameraId,
        /// What is looked for.
        scene: Arc<Scene>,
    },
    /// The camera is no longer watched; nothing more comes of it unless it is watched again.
    Gone {
        /// The camera.
        camera: CameraId,
    },
}

impl Published {
    /// The camera it is about.
    #[must_use]
    pub fn camera(&self) -> &CameraId {
        match self {
            Self::Frame(result) => &result.meta.camera,
            Self::RunEnded { camera, .. }
            | Self::Watched { camera, .. }
            | Self::Gone { camera } => camera,
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

/// What a reader does for one camera alone; it goes when the camera is watched otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Films with boxes.
    Recording,
    /// Clips of events, and lines beside raw recordings.
    Clips,
}

/// One reader of results.
#[derive(Debug, Clone)]
pub struct Outlet {
    sender: Sender<Published>,
    when_full: WhenFull,
    camera: Option<CameraId>,
    /// The only cameras that this reader wants; empty wants all.
    among: Arc<[CameraId]>,
    with_frame: bool,
    job: Option<Job>,
    stage: Stage,
    /// Ends of runs and other notices that wait for a place in the channel.
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
            among: Arc::from([]),
            with_frame: false,
            job: None,
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

    /// Made only of these cameras where they come while the daemon runs; of all if there are none.
    #[must_use]
    pub fn only_of(mut self, cameras: Arc<[CameraId]>) -> Self {
        self.among = cameras;
        self
    }

    /// The outlet of the same reader for a camera that is new, if it wants that.
    pub(super) fn for_new(&self, camera: &CameraId) -> Option<Self> {
        let is_wanted = self.among.is_empty() || self.among.contains(camera);
        is_wanted.then(|| self.clone().of(camera.clone()))
    }

    /// Where what it loses is counted.
    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// Is it for this camera alone?
    pub(super) fn is_of(&self, camera: &CameraId) -> bool {
        self.camera.as_ref() == Some(camera)
    }

    /// For a reader that does this for the camera of [`Outlet::of`].
    #[must_use]
    pub fn doing(mut self, job: Job) -> Self {
        self.job = Some(job);
        self
    }

    /// Does its reader do this for the camera?
    pub(super) fn does(&self, job: Job, camera: &CameraId) -> bool {
        self.is_of(camera) && self.job == Some(job)
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
    /// The end of a run (as every notice) is rare and not lost to a full channel: with [`WhenFull::Drop`] it is kept
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
            Err(TrySendError::Full(lost @ Published::Frame(_))) => {
                self.count(&lost, DropReason::SinkSlow, metrics);
            }
            Err(TrySendError::Full(notice)) if self.kept.len() < MAX_KEPT => {
                self.kept.push_back(notice);
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

    /// Hands over what was kept as far as there is room; true once nothing is left.
    pub(super) fn is_drained(&mut self, metrics: &Metrics) -> bool {
        self.send_kept(metrics);
        self.kept.is_empty()
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
