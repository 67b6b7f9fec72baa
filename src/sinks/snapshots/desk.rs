//! Which events get pictures, decided on the thread that tracks: nothing is encoded or waited for.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::SnapshotOptions;
use crate::base::{
    BBox, CameraId, ClipLoss, DiskRoom, Event, FrameResult, Metrics, Pictured, TrackState, utc_now,
};
use crate::sinks::annotate::Privacy;

/// Frames that may wait to be encoded; each holds a decoded picture.
const QUEUE: usize = 4;

/// Events whose pictures are remembered.
const MAX_TAKEN: usize = 4096;

/// Pictures that are to be made.
#[derive(Debug)]
pub(super) struct Job {
    pub result: Arc<FrameResult>,
    pub pictured: Pictured,
    /// The object in the frame, px.
    pub object: Option<BBox>,
    /// What is hidden, as it was when the event was decided.
    pub hidden: Option<Arc<Privacy>>,
}

/// Takes the frames of events for all cameras.
#[derive(Debug)]
pub struct SnapshotDesk {
    pub(super) options: SnapshotOptions,
    pub(super) room: Arc<DiskRoom>,
    pub(super) metrics: Arc<Metrics>,
    jobs: Mutex<Option<Sender<Job>>>,
    taken: Mutex<VecDeque<(CameraId, u64, Pictured)>>,
    /// What is hidden, by camera.
    hidden: Mutex<BTreeMap<CameraId, Arc<Privacy>>>,
}

impl SnapshotDesk {
    /// A desk, and what its writer reads.
    #[must_use]
    pub(super) fn new(
        options: SnapshotOptions,
        room: Arc<DiskRoom>,
        metrics: Arc<Metrics>,
    ) -> (Arc<Self>, Receiver<Job>) {
        let (sender, jobs) = bounded(QUEUE);
        let desk = Self {
            options,
            room,
            metrics,
            jobs: Mutex::new(Some(sender)),
            taken: Mutex::default(),
            hidden: Mutex::default(),
        };
        (Arc::new(desk), jobs)
    }

    /// From here on this is hidden in the pictures of a camera.
    pub fn hide(&self, camera: &CameraId, privacy: Option<Privacy>) {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        match privacy {
            Some(privacy) => drop(hidden.insert(camera.clone(), Arc::new(privacy))),
            None => drop(hidden.remove(camera)),
        }
    }

    /// The frame in which `event` was decided, with its picture. Does not wait; an event that shall
    /// have pictures and cannot is counted.
    pub fn offer(&self, event: &Event, result: &Arc<FrameResult>) {
        if !self.options.wanted.wants(event, None) {
            return;
        }
        let camera = &event.frame.camera;
        if let Err(loss) = self.take(event, result) {
            self.metrics.clips().snapshot_missing(camera, loss);
        }
    }

    fn take(&self, event: &Event, result: &Arc<FrameResult>) -> Result<(), ClipLoss> {
        if !self.room.is_for_recordings() {
            return Err(ClipLoss::DiskLow);
        }
        let object = object_in(event, result);
        let camera = &event.frame.camera;
        let utc = event.frame.utc.unwrap_or_else(utc_now);
        let name = camera.as_str().replace("..", "__");
        let stem = format!("{name}_{}_{}", utc.file_stamp(), event.number);
        let pictured = Pictured {
            frame: format!("{stem}_frame.jpg").into(),
            object: object.map(|_| format!("{stem}_object.jpg").into()),
        };
        let job = Job {
            result: Arc::clone(result),
            pictured: pictured.clone(),
            object,
            hidden: self
                .hidden
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(camera)
                .cloned(),
        };
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        match jobs.as_ref().map(|jobs| jobs.try_send(job)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => return Err(ClipLoss::Slow),
            Some(Err(TrySendError::Disconnected(_))) | None => return Err(ClipLoss::Ended),
        }
        let mut taken = self.taken();
        taken.push_back((camera.clone(), event.number, pictured));
        if taken.len() > MAX_TAKEN {
            taken.pop_front();
        }
        Ok(())
    }

    fn taken(&self) -> MutexGuard<'_, VecDeque<(CameraId, u64, Pictured)>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pictures of an event, if it has any and is not long ago.
    #[must_use]
    pub fn taken_of(&self, camera: &CameraId, number: u64) -> Option<Pictured> {
        let taken = self.taken();
        let is_it = |it: &&(CameraId, u64, Pictured)| it.1 == number && it.0 == *camera;
        taken.iter().rev().find(is_it).map(|it| it.2.clone())
    }

    /// Where a picture of a camera is.
    #[must_use]
    pub fn path_of(&self, camera: &CameraId, file: &str) -> PathBuf {
        self.options.folder.join(camera.as_str()).join(file)
    }

    /// No more frames are offered: the writer ends when it has done what waits.
    pub fn close(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        *jobs = None;
    }
}

/// Where the frame shows the object of the event, if it does: not where it was seen long before, as
/// with one that is told to have left after it was lost.
fn object_in(event: &Event, result: &FrameResult) -> Option<BBox> {
    let id = event.object.as_ref()?.tracks.last()?;
    let track = result.tracks.iter().find(|track| track.id == *id)?;
    (track.state == TrackState::Confirmed).then_some(track.bbox)
}
