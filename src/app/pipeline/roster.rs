//! The cameras of a running pipeline, and the threads of those that went.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::{CameraId, StopSource, Worker};
use crate::capture::{Camera, Numbering, Source};

/// Cameras that went whose numbers are remembered, so that none is given twice if they come again.
const MAX_RETIRED: usize = 1024;

/// A camera that is watched.
#[derive(Debug)]
pub(super) struct Running {
    pub slot: usize,
    pub camera: Camera,
    /// Ends this camera alone.
    pub stop: StopSource,
    pub source: Source,
}

/// Who is watched; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Roster(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    cameras: BTreeMap<CameraId, Running>,
    retired: BTreeMap<CameraId, Numbering>,
    /// Threads that were asked to end and had not when they were looked at last.
    leaving: Vec<Worker>,
    /// Of cameras whose threads were handed over to be joined: a stop that is let go is asked for.
    stops: Vec<StopSource>,
}

impl Roster {
    pub fn add(&self, id: CameraId, running: Running) {
        self.lock().cameras.insert(id, running);
    }

    pub fn take(&self, id: &CameraId) -> Option<Running> {
        self.lock().cameras.remove(id)
    }

    /// The slot of a camera that is watched.
    pub fn slot(&self, id: &CameraId) -> Option<usize> {
        Some(self.lock().cameras.get(id)?.slot)
    }

    /// The source of a camera that is watched.
    pub fn source(&self, id: &CameraId) -> Option<Source> {
        Some(self.lock().cameras.get(id)?.source.clone())
    }

    /// Remembers how far a camera that went was numbered.
    pub fn retire(&self, id: CameraId, numbering: Numbering) {
        let mut state = self.lock();
        if state.retired.len() < MAX_RETIRED {
            state.retired.insert(id, numbering);
        }
    }

    /// How far a camera that comes was numbered before it went.
    pub fn numbering(&self, id: &CameraId) -> Numbering {
        self.lock().retired.remove(id).unwrap_or_default()
    }

    /// Keeps a thread to be joined at the end; those that have ended meanwhile are let go.
    pub fn leave(&self, worker: Worker) {
        let mut state = self.lock();
        state.leaving.retain(|worker| !worker.is_finished());
        state.leaving.push(worker);
    }

    /// Every thread, at the end.
    pub fn take_workers(&self) -> Vec<Worker> {
        let mut state = self.lock();
        let leaving = std::mem::take(&mut state.leaving);
        // The order of the slots, which is that of the configuration.
        let mut running: Vec<Running> = std::mem::take(&mut state.cameras).into_values().collect();
        running.sort_by_key(|running| running.slot);
        let mut workers = Vec::new();
        for running in running {
            workers.push(running.camera.worker);
            state.stops.push(running.stop);
        }
        workers.extend(leaving);
        workers
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
