//! Pictures of events: the whole frame and the object, as JPEG.
//!
//! A [`SnapshotDesk`] is offered the frame in which an event was decided ([`SnapshotDesk::offer`]); it
//! decides at once whether there will be pictures and what they are called, so that whoever writes the
//! event can name them ([`SnapshotDesk::taken_of`]). A [`SnapshotWriter`] on a thread of its own encodes
//! them, private things hidden.

mod desk;
mod writer;

use std::path::PathBuf;

use crate::sinks::publish::EventFilter;

pub use desk::SnapshotDesk;
pub use writer::SnapshotWriter;

/// Which pictures are taken, and how.
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// The output folder, with a folder for each camera.
    pub folder: PathBuf,
    /// Which events get them.
    pub wanted: EventFilter,
    /// How much of the surroundings the picture of an object shows on each side, share of its size.
    pub margin: f32,
}
