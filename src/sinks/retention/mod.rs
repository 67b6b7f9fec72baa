//! Keeps the disk from filling: deletes the oldest recordings and results, clips and pictures of events
//! after them, and where that is not enough, tells the writers to pause.
//!
//! Belongs here: what may be deleted, when, and who may write. Deleted is only what gantryd wrote and
//! has finished, by its name, below the output folder; events and what waits for sinks never are. Does
//! not belong here: the writing itself; who writes asks [`DiskRoom`](crate::base::DiskRoom).

mod found;
mod names;
mod rules;
mod space;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use names::{FilmKind, film_named, is_picture, mark_of};
pub use space::{Space, SpaceProbe, room_on};
pub use sweep::Retention;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionOptions {
    /// The output folder, which has a folder for each camera.
    pub folder: PathBuf,
    /// No finished recording or result is kept for longer.
    pub max_age: Option<Duration>,
    /// No more bytes of recordings and results are kept, counting what is being written.
    pub max_bytes: Option<u64>,
    /// The same of clips and pictures of events.
    pub clips: Limits,
    /// No full file of events is kept for longer; they have no other limit.
    pub events_max_age: Option<Duration>,
    /// Cameras with limits of their own, by their names.
    pub cameras: BTreeMap<String, OwnLimits>,
    /// Are clips and pictures deleted for want of room, once there is nothing else?
    pub deletes_clips: bool,
    /// Bytes that stay free on the disk; 0 keeps none free.
    pub min_free: MinFree,
    /// Where too little is free, is the oldest deleted before recording pauses?
    pub deletes_for_space: bool,
}

/// How long something is kept, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Nothing older.
    pub max_age: Option<Duration>,
    /// No more bytes.
    pub max_bytes: Option<u64>,
}

/// Limits of one camera: each that is given takes the place of the common one. What has a size of its
/// own does not count in the common one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnLimits {
    /// Of recordings and results.
    pub recordings: Limits,
    /// Of clips and pictures of events.
    pub clips: Limits,
}

/// The limits of cameras that have some of their own, by their names, as they are now; clones share them.
#[derive(Debug, Clone, Default)]
pub struct CameraLimits(Arc<Mutex<BTreeMap<String, OwnLimits>>>);

impl CameraLimits {
    /// From the next look on it is these.
    pub fn set(&self, cameras: BTreeMap<String, OwnLimits>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = cameras;
    }

    fn get(&self) -> BTreeMap<String, OwnLimits> {
        let cameras = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cameras.clone()
    }
}

/// Bytes that stay free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinFree {
    /// 2 GB, or 5 % of a disk smaller than 40 GB.
    Auto,
    /// As many as this.
    Bytes(u64),
}
