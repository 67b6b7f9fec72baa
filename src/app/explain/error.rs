//! Why nothing was explained, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::capture::{CaptureError, SourceError};

/// Why nothing was explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// Neither results nor a log are there.
    #[error("{path}: no such file or folder; name the results that gantryd track or replay wrote")]
    NoResults {
        /// What was named.
        path: PathBuf,
    },
    /// Results without a log.
    #[error(
        "{results}: recorded without decisions, there is no {log}; record again with --decisions \
         (track, replay) or output.decisions = true (run)"
    )]
    NotRecorded {
        /// The results.
        results: PathBuf,
        /// The log that would belong to them.
        log: PathBuf,
    },
    /// A folder with several logs.
    #[error("{folder}: decisions of several inputs, name one: {names}")]
    Several {
        /// The folder.
        folder: PathBuf,
        /// The logs.
        names: String,
    },
    /// A file cannot be read.
    #[error("{path}: cannot read")]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that is none of a decision log.
    #[error("{path}:{line}: no line of a decision log ({fault})")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        fault: String,
    },
    /// Another version of the log.
    #[error(
        "{path}:{line}: schema is {found:?}, this gantryd reads {known:?}; record again with it"
    )]
    Schema {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What the line says.
        found: String,
        /// What would be read.
        known: &'static str,
    },
    /// No such track.
    #[error("{path}: no track {id} in {frames} frames; {known}")]
    NoTrack {
        /// Which file.
        path: PathBuf,
        /// The id asked for.
        id: u64,
        /// Frames looked at.
        frames: u64,
        /// What ids there are.
        known: String,
    },
    /// The video is none.
    #[error("--video {video}: {error}")]
    NoVideo {
        /// Which one.
        video: PathBuf,
        /// Why.
        error: SourceError,
    },
    /// The video cannot be read.
    #[error("--video {video}")]
    Video {
        /// Which one.
        video: PathBuf,
        /// Why.
        source: CaptureError,
    },
    /// The video ends before a moment that is to be shown.
    #[error(
        "--video {video}: {frames} frames, frame {frame} is to be shown; name the file that was tracked"
    )]
    ShortVideo {
        /// Which one.
        video: PathBuf,
        /// How many frames it has.
        frames: u64,
        /// The last frame that is to be shown, as the log counts.
        frame: u64,
    },
    /// Nothing of the track can be shown.
    #[error("track {id}: its place is not known in any moment, there is nothing to show")]
    NoPicture {
        /// The track.
        id: u64,
    },
    /// The strip cannot be written.
    #[error("--strip {path}: cannot write, allowed are names that end in .png or .jpg")]
    Strip {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
    /// No such frame.
    #[error("{path}: no frame {frame}; {known}")]
    NoFrame {
        /// Which file.
        path: PathBuf,
        /// The frame asked for.
        frame: u64,
        /// What frames there are.
        known: String,
    },
    /// A track that was not alive in the frame.
    #[error(
        "{path}: track {id} was not alive in frame {frame}; gantryd explain --track {id} tells when it was"
    )]
    NotAlive {
        /// Which file.
        path: PathBuf,
        /// The id asked for.
        id: u64,
        /// The frame asked for.
        frame: u64,
    },
}
