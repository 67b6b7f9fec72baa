//! Pictures → encoded files: segments that play after a crash, each with its sidecar.
//!
//! A [`Recorder`] belongs to one camera and one thread. Each file is a pipeline of its own, so it
//! begins with a key frame at PTS 0; the old one is finished on a thread of its own while the new
//! one already takes frames. Does not belong here: what is drawn, and what a result looks like as text.

mod copy;
mod encoder;
mod gate;
mod naming;
mod open;
mod outage;
mod recorder;
mod segment;
mod sidecar;
#[cfg(test)]
mod tests;
mod timeline;

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use crate::base::{DropReason, FrameResult, UtcNanos};

pub use encoder::EncoderChoice;
pub use recorder::Recorder;

/// Where the pictures go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordTarget {
    /// One file, overwritten if it exists; no sidecar, no rotation. If the size of the picture
    /// changes, `<stem>-2.mp4` and so on follow.
    File(PathBuf),
    /// `<camera>_<yyyymmddThhmmssZ>.mp4` and `.jsonl` in a folder (created if absent).
    Folder {
        /// The folder.
        dir: PathBuf,
        /// A new segment begins after this much stream time.
        segment: Duration,
        /// A new segment begins when this many bytes are encoded; the file is at most the frames in
        /// the queue larger.
        segment_bytes: NonZeroU64,
    },
}

/// What happens when the encoder is slower than the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPace {
    /// [`Recorder::push`] waits for the encoder: every frame of a file is recorded.
    Lossless,
    /// [`Recorder::push`] never waits: a frame that finds the queue full is dropped and counted.
    Live,
}

/// How to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordOptions {
    /// Where to.
    pub target: RecordTarget,
    /// Wait or drop.
    pub pace: RecordPace,
    /// Which encoder.
    pub encoder: EncoderChoice,
    /// Threads of a software encoder.
    pub threads: NonZeroU32,
    /// Speed preset of x264 (`ultrafast`, `superfast`, `veryfast`, …).
    pub preset: String,
    /// Constant quality, 1 (best) ..= 51 (worst), on the H.264 quantiser scale.
    pub quality: u8,
}

impl RecordOptions {
    /// Defaults for a target: encoder `auto`, `superfast`, quality 23, one thread per core.
    #[must_use]
    pub fn new(target: RecordTarget, pace: RecordPace) -> Self {
        Self {
            target,
            pace,
            encoder: EncoderChoice::Auto,
            threads: std::thread::available_parallelism()
                .ok()
                .and_then(|count| NonZeroU32::try_from(count).ok())
                .unwrap_or(NonZeroU32::MIN),
            preset: "superfast".to_owned(),
            quality: 23,
        }
    }
}

/// Writes the sidecar's line for a result: one JSON object, without line end.
pub type LineWriter = Box<dyn Fn(&FrameResult) -> String + Send>;

/// What became of a pushed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is on its way into the file.
    Taken,
    /// It is not recorded, and was counted with this reason.
    Dropped(DropReason),
}

/// A finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The MP4.
    pub path: PathBuf,
    /// Its sidecar.
    pub sidecar: Option<PathBuf>,
    /// Frames in it; of one that ended early, frames encoded, of which the last second may be lost.
    pub frames: u64,
    /// Bytes of encoded video in it.
    pub bytes: u64,
    /// UTC of its first frame (or of its opening, where frames carry none).
    pub start: UtcNanos,
    /// PTS of its last frame, counted from its first.
    pub duration: Duration,
    /// Why it ended early; `None` if it is complete.
    pub failure: Option<String>,
}

/// Recording that cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The encoder asked for is not here, or no encoder is.
    #[error(
        "no H.264 encoder {wanted}; tried: {tried}; install gstreamer1.0-plugins-good (mp4mux) and gstreamer1.0-plugins-ugly (x264) or gstreamer1.0-plugins-bad (openh264)"
    )]
    NoEncoder {
        /// What was asked for.
        wanted: String,
        /// What was tried and why it failed.
        tried: String,
    },
}

/// Name of the threads that encode, as Linux shows it: the streaming threads of all recordings and
/// the threads a software encoder starts from them.
pub const ENCODER_THREAD: &str = "record:src";
