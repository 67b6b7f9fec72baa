//! Which events are on the disk: a state is never written ahead of them, or a kill between the two would
//! lose an event that is counted already.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::CameraId;

/// The newest event of each camera that is on the disk; clones share it.
#[derive(Debug, Clone, Default)]
pub struct EventsOnDisk(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Somebody puts events on the disk.
    is_kept: bool,
    newest: BTreeMap<CameraId, u64>,
}

impl EventsOnDisk {
    /// Events are put on the disk from now on, and told here.
    pub fn begin(&self) {
        self.lock().is_kept = true;
    }

    /// Events of `camera` up to and with `number` are on the disk, or given up.
    pub fn reached(&self, camera: &CameraId, number: u64) {
        let mut known = self.lock();
        let newest = known.newest.entry(camera.clone()).or_default();
        *newest = number.max(*newest);
    }

    /// Is an event of `camera` up to `number` still under way to the disk?
    pub fn lacks(&self, camera: &CameraId, number: u64) -> bool {
        let known = self.lock();
        known.is_kept && known.newest.get(camera).is_some_and(|it| *it < number)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
