//! Why nothing was tuned, in words for the one who asked.

use std::io;
use std::path::PathBuf;

use super::LEAST_PART_SECS;
use crate::app::eval::EvalError;
use crate::app::mot::MotError;
use crate::app::seqinfo::SeqInfoError;
use crate::tools::evaluate::EvaluateError;

/// Why nothing was tuned.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// The detections cannot be taken.
    #[error(transparent)]
    Detections(#[from] MotError),
    /// The truth cannot be taken.
    #[error(transparent)]
    Truth(#[from] EvalError),
    /// The sequence description says something that cannot be.
    #[error(transparent)]
    SeqInfo(#[from] SeqInfoError),
    /// A folder that cannot be read.
    #[error("{path}: cannot read the folder")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder without detections.
    #[error(
        "--dets {path}: no sequence in this folder; looked for NAME/det/det.txt, NAME/det.txt and NAME.txt"
    )]
    NoSequence {
        /// Which folder.
        path: PathBuf,
    },
    /// Detections that nobody labelled.
    #[error(
        "--gt {folder}: no truth of {name}, which --dets has; looked for {name}/gt/gt.txt, {name}/gt.txt and \
         {name}.txt. Label it, or take its detections out of --dets"
    )]
    NoTruth {
        /// Which folder.
        folder: PathBuf,
        /// Name of the sequence.
        name: String,
    },
    /// Many sequences, one file of truth.
    #[error(
        "--gt {path} is one file, but --dets has {sequences} sequences; name a folder with the truth of each"
    )]
    OneTruth {
        /// The file.
        path: PathBuf,
        /// How many sequences there are.
        sequences: usize,
    },
    /// A truth in which nothing counts.
    #[error(
        "--gt {path}: no row that counts as {class} in {format}; label objects with confidence 1, or name \
         what the file holds with --format and --score"
    )]
    NothingTrue {
        /// The file.
        path: PathBuf,
        /// What is scored.
        class: String,
        /// Name of the format.
        format: &'static str,
    },
    /// A sequence of which nothing is known to be seen.
    #[error("--dets {path}: no detection; the tracker has nothing to follow")]
    NothingSeen {
        /// The file.
        path: PathBuf,
    },
    /// A class that the format does not score.
    #[error("--score {given}: {format} scores {allowed}")]
    Class {
        /// What was asked for.
        given: String,
        /// Name of the format.
        format: &'static str,
        /// What can be asked for.
        allowed: &'static str,
    },
    /// The truth says more than one kind of object.
    #[error("--format {format} scores {allowed}, each for itself; name one with --score {first}")]
    WhichClass {
        /// Name of the format.
        format: &'static str,
        /// What can be scored.
        allowed: String,
        /// The first of them.
        first: String,
    },
    /// The truth goes on after the film.
    #[error(
        "--gt {path}: a row in frame {last}, but {video} has {frames} frames; is it the truth of another film?"
    )]
    LongTruth {
        /// The truth.
        path: PathBuf,
        /// The last frame with a row, counted from 1.
        last: u64,
        /// The film.
        video: PathBuf,
        /// Its number of frames.
        frames: u64,
    },
    /// Too little to hold anything out.
    #[error(
        "{name} is {secs:.1} s long, which is too short to hold a part out: at least {} s are needed, or a second \
         sequence (a folder for --dets and --gt)",
        2.0 * LEAST_PART_SECS
    )]
    TooShort {
        /// Name of the only sequence.
        name: String,
        /// Its length.
        secs: f64,
    },
    /// A part of the only sequence in which nothing is labelled.
    #[error(
        "{name}: nothing is labelled in this part, so it cannot be held out; label it, or ask for fewer parts \
         than --folds {folds}"
    )]
    EmptyPart {
        /// The part.
        name: String,
        /// How many parts there are.
        folds: usize,
    },
    /// Thresholds that would not be used.
    #[error(
        "{path}: detect.confidence: {confidence} stands before track.high and track.new, so they cannot be tuned; \
         take it out of the file"
    )]
    Overruled {
        /// The configuration.
        path: PathBuf,
        /// Its value.
        confidence: f64,
    },
    /// An option that has no meaning here.
    #[error("{option}: {reason}; leave it out")]
    Meaningless {
        /// The option with its value.
        option: String,
        /// Why it has none.
        reason: &'static str,
    },
    /// The result would replace what is read.
    #[error("--write {path} is a file that is read; name another one")]
    Overwrites {
        /// The file.
        path: PathBuf,
    },
    /// A sequence that has no scores.
    #[error("{sequence}: cannot be scored")]
    Score {
        /// Which one.
        sequence: String,
        /// Why.
        source: EvaluateError,
    },
    /// Stopped before there was anything to tell.
    #[error("stopped before the setting in use was scored; nothing can be said")]
    StoppedAtOnce,
    /// The snippet cannot be written.
    #[error("--write {path}: cannot write")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
