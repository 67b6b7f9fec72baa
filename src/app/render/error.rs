//! Why nothing was drawn, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::capture::{CaptureError, SourceError};

/// Why nothing was drawn.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// There is no such recording.
    #[error("{path}: no such file; name a raw recording (…_raw.mp4) or a clip (…_clip.mp4)")]
    NoVideo {
        /// What was named.
        path: PathBuf,
    },
    /// There are no lines.
    #[error(
        "{path}: no such file, so nothing is known of what to draw; results are beside raw recordings \
         and clips of gantryd run, name others with --lines (gantryd track {video} writes some)"
    )]
    NoLines {
        /// Where they were looked for.
        path: PathBuf,
        /// The recording.
        video: PathBuf,
    },
    /// A file cannot be read.
    #[error("{path}: cannot read")]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that is none of results.
    #[error("{path}:{line}: no result line ({fault})")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        fault: String,
    },
    /// A file without frames.
    #[error("{path}: no frame in it, so there is nothing to draw")]
    NoFrames {
        /// Which file.
        path: PathBuf,
    },
    /// A description that cannot be read.
    #[error(
        "{path}: no description of a clip ({fault}); remove it, or name the zones with --zones"
    )]
    Description {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// The recording would be destroyed.
    #[error("{path}: is the recording itself; name another --out")]
    Itself {
        /// Which file.
        path: PathBuf,
    },
    /// The output exists.
    #[error("{path}: exists; --force overwrites it, or name another --out")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// No time between beginning and end.
    #[error("--from {} is not before --to {}", from.as_secs_f64(), to.as_secs_f64())]
    Empty {
        /// Beginning.
        from: Duration,
        /// End.
        to: Duration,
    },
    /// No frame was in what was asked for.
    #[error("{path}: no picture between --from and --to")]
    Nothing {
        /// The recording.
        path: PathBuf,
    },
    /// The recording is no source.
    #[error("{video}: cannot be opened")]
    Source {
        /// The recording.
        video: PathBuf,
        /// Why.
        source: SourceError,
    },
    /// The recording cannot be decoded.
    #[error("{video}: cannot be decoded")]
    Video {
        /// The recording.
        video: PathBuf,
        /// Why.
        source: CaptureError,
    },
}
