//! The file that takes frames, and how it ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use crate::base::{CameraId, Frame, Metrics, UtcNanos, utc_now};

use super::copy::Shape;
use super::encoder::Encoder;
use super::gate::Failure;
use super::segment::{Output, Segment};
use super::timeline::Timeline;
use super::{RecordTarget, SegmentInfo, naming};

/// How long finishing a file may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(15);

/// A file that ended early and is shorter holds no finished fragment: nothing in it plays.
const SHORTEST_NS: u64 = 1_000_000_000;

/// The file that takes frames.
pub(super) struct Open {
    pub segment: Segment,
    pub timeline: Timeline,
    pub path: PathBuf,
    /// Name of the file, without its folder.
    pub name: Arc<str>,
    pub sidecar: Option<PathBuf>,
    pub start: UtcNanos,
}

impl Open {
    /// Creates the next file of a target and starts its pipeline; `number` counts the files of a
    /// one-shot from 1. A pipeline that does not start is put down to the encoder.
    pub(super) fn begin(
        target: &RecordTarget,
        camera: &CameraId,
        number: u32,
        frame: &Frame,
        encoder: &Encoder,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Failure> {
        let start = frame.meta.utc.unwrap_or_else(utc_now);
        let (path, sidecar, lines) = match target {
            RecordTarget::File(path) => {
                let path = naming::numbered(path, number);
                naming::create(&path).map_err(|error| cannot_create(&path, &error))?;
                (path, None, None)
            }
            RecordTarget::Folder { dir, .. } => {
                let (path, sidecar, lines) = naming::create_pair(dir, camera, start)
                    .map_err(|error| cannot_create(dir, &error))?;
                (path, Some(sidecar), Some(lines))
            }
        };
        let output = Output::File {
            path: path.clone(),
            sidecar: lines,
        };
        match Segment::open(encoder, Shape::of(frame), output, Some(metrics)) {
            Ok(segment) => Ok(Self {
                segment,
                timeline: Timeline::starting_at(&frame.meta),
                name: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into(),
                path,
                sidecar,
                start,
            }),
            Err(text) => {
                remove_empty(&path, sidecar.as_deref());
                Err(Failure {
                    text: format!("{}: {text}", path.display()),
                    encoder: true,
                })
            }
        }
    }

    /// Ends the file and says what is in it; one that would not play is removed.
    pub(super) fn close(self, camera: &CameraId) -> SegmentInfo {
        let closed = self.segment.close(CLOSE_TIMEOUT);
        if let Some(failure) = &closed.failure {
            warn!(%camera, file = %self.path.display(), error = failure.text,
                frames = closed.frames, "file ended early; its finished fragments play");
        }
        let unplayable = closed.failure.is_some() && closed.last_pts_ns < SHORTEST_NS;
        if closed.frames == 0 || unplayable {
            remove_empty(&self.path, self.sidecar.as_deref());
        }
        SegmentInfo {
            path: self.path,
            sidecar: self.sidecar,
            frames: closed.frames,
            bytes: closed.bytes,
            start: self.start,
            duration: Duration::from_nanos(closed.last_pts_ns),
            failure: closed.failure.map(|failure| failure.text),
        }
    }
}

fn cannot_create(path: &Path, error: &std::io::Error) -> Failure {
    Failure::of_file(format!("cannot create {}: {error}", path.display()))
}

/// Removes files that hold nothing; that they cannot be removed hurts nobody.
fn remove_empty(path: &Path, sidecar: Option<&Path>) {
    for file in [Some(path), sidecar].into_iter().flatten() {
        if let Err(error) = std::fs::remove_file(file) {
            debug!(file = %file.display(), %error, "empty file not removed");
        }
    }
}
