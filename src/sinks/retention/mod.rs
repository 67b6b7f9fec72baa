//! Keeps the disk from filling: deletes the oldest recordings and results, and where that is not
//! enough, tells the writers to pause.
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

use std::path::PathBuf;
use std::time::Duration;

pub use space::{Space, SpaceProbe, room_on};
pub use sweep::Retention;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionOptions {
    /// The output folder, which has a folder for each camera.
    pub folder: PathBuf,
    /// Nothing finished is kept for longer.
    pub max_age: Option<Duration>,
    /// No more bytes are kept, counting what is being written.
    pub max_bytes: Option<u64>,
    /// Bytes that stay free on the disk; 0 keeps none free.
    pub min_free: MinFree,
    /// Where too little is free, is the oldest deleted before recording pauses?
    pub deletes_for_space: bool,
}

/// Bytes that stay free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinFree {
    /// 2 GB, or 5 % of a disk smaller than 40 GB.
    Auto,
    /// As many as this.
    Bytes(u64),
}
