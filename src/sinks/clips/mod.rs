//! Clips of events: what the camera sent before and after, not re-encoded, with a description.
//!
//! A [`ClipDesk`] belongs to one camera. Whoever writes events asks it for a clip
//! ([`ClipDesk::claim`]), which decides at once and from what is kept of the stream; a
//! [`ClipWriter`] on a thread of its own fills the file. Does not belong here: which events there are,
//! and where packets come from.

mod desk;
mod desks;
mod film;
mod naming;
mod raw_lines;
mod sidecar;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use crate::sinks::publish::EventFilter;

pub use desk::ClipDesk;
pub use desks::{ClaimsClips, ClipDesks};
pub use raw_lines::RawLines;
pub use sidecar::{CLIP_SCHEMA_ID, Scenery};
pub use writer::ClipWriter;

/// Kept in memory beyond the pre-roll: so late an event may be told after its frame was sent.
pub const EVENT_DELAY: Duration = Duration::from_secs(4);

/// Which clips are made, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipOptions {
    /// The folder of the camera.
    pub folder: PathBuf,
    /// Which events get one.
    pub wanted: EventFilter,
    /// From so long before an event.
    pub before: Duration,
    /// To so long after it.
    pub after: Duration,
    /// Longest clip of events that follow one another.
    pub longest: Duration,
}

/// Names of the files of an event that are beside its line.
#[must_use]
pub fn sidecar_of(clip: &std::path::Path) -> PathBuf {
    clip.with_extension("json")
}
