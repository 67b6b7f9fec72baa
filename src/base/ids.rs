//! Identities: of cameras, runs, frames, tracks and classes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Name of a camera (or of an input file), unique in a configuration. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CameraId(Arc<str>);

impl CameraId {
    /// An id from its text.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }
    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One unbroken connection to a camera; counted from 1 per camera, and on after a restart where the
/// camera is remembered. PTS compare only inside a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub u32);

/// Number of a frame as received from one camera; counted from 0 and never restarted, so that a
/// gap in published results is a dropped frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameSeq(pub u64);

/// Identity of one object over time; counted from 1 per camera and never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrackId(pub u64);

/// Index into the class names of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClassId(pub u16);
