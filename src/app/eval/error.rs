//! Why nothing was scored, in words for the one who asked.

use std::io;
use std::path::PathBuf;

use crate::app::seqinfo::SeqInfoError;
use crate::tools::evaluate::{EvaluateError, RowError};

/// Why nothing was scored.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A file or folder cannot be read.
    #[error("{path}: cannot read")]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in a file is wrong.
    #[error("{path}:{error}")]
    Row {
        /// Which file.
        path: PathBuf,
        /// The line, and what is wrong.
        error: RowError,
    },
    /// A file that is no text.
    #[error("{path}:{line}: not UTF-8 text")]
    NotText {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A file is too long to be one.
    #[error("{path}: longer than {limit} bytes, which no truth and no result is")]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// Most bytes that are read.
        limit: u64,
    },
    /// A sequence description says something that cannot be.
    #[error(transparent)]
    SeqInfo(#[from] SeqInfoError),
    /// A folder without truth.
    #[error(
        "{path}: no sequence in this folder; looked for NAME/gt/gt.txt, NAME/gt.txt and NAME.txt"
    )]
    NoSequence {
        /// Which folder.
        path: PathBuf,
    },
    /// A sequence without tracks.
    #[error(
        "{folder}: no tracks of {name}; looked for {looked_for}. An empty file says that nothing was tracked"
    )]
    NoTracks {
        /// Where they should be.
        folder: PathBuf,
        /// Name of the sequence.
        name: String,
        /// Names of files that would be taken.
        looked_for: String,
    },
    /// Many sequences, one file of tracks.
    #[error(
        "{path} is one file, but the truth has {sequences} sequences; name a folder with a file for each"
    )]
    OneFile {
        /// The file of tracks.
        path: PathBuf,
        /// Number of sequences.
        sequences: usize,
    },
    /// A class that the format does not score.
    #[error("--classes {given}: {format} scores {allowed}")]
    Class {
        /// What was asked for.
        given: String,
        /// Name of the format.
        format: &'static str,
        /// What can be asked for.
        allowed: &'static str,
    },
    /// Tracks that do not say what they are, and several classes to score.
    #[error(
        "{path}: rows without a KITTI type can be scored for one class only; name it: --classes car"
    )]
    WhichClass {
        /// The tracks.
        path: PathBuf,
    },
    /// A sequence that has no scores.
    #[error("{path}: cannot be scored")]
    Score {
        /// The tracks.
        path: PathBuf,
        /// Why.
        source: EvaluateError,
    },
    /// A file of the result cannot be written.
    #[error("{path}: cannot write the scores")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
