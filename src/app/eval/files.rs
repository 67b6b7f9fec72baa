//! Finds and reads the truth and the tracks of each sequence.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::EvalError;
use crate::app::seqinfo::SeqInfo;
use crate::app::sequences;
use crate::tools::evaluate::{Benchmark, TrackRows, TruthRows};

/// Most bytes of a file that are read: a hundred times the largest truth of the benchmarks.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// Name of a truth file in the benchmarks' own layout, without its extension.
const TRUTH: &str = "gt";

/// A sequence that was read.
#[derive(Debug)]
pub struct Sequence {
    pub name: String,
    pub truth_path: PathBuf,
    pub tracks_path: PathBuf,
    pub truth: TruthRows,
    pub tracks: TrackRows,
    /// Number of frames: by `seqinfo.ini`, or up to the last one with a row.
    pub frames: u64,
}

/// Reads every sequence of the truth, in order of their names.
pub fn read(gt: &Path, tracks: &Path, format: Benchmark) -> Result<Vec<Sequence>, EvalError> {
    let found = sequences::find(gt, TRUTH).map_err(|source| EvalError::Read {
        path: gt.to_owned(),
        source,
    })?;
    if found.is_empty() {
        return Err(EvalError::NoSequence {
            path: gt.to_owned(),
        });
    }
    let is_folder = tracks.is_dir();
    if !is_folder && found.len() > 1 {
        return Err(EvalError::OneFile {
            path: tracks.to_owned(),
            sequences: found.len(),
        });
    }
    let mut read = Vec::new();
    for truth in found {
        let tracks_path = if is_folder {
            tracks_file(tracks, &truth.name)?
        } else {
            tracks.to_owned()
        };
        read.push(sequence(truth.name, truth.path, tracks_path, format)?);
    }
    Ok(read)
}

fn sequence(
    name: String,
    truth_path: PathBuf,
    tracks_path: PathBuf,
    format: Benchmark,
) -> Result<Sequence, EvalError> {
    let (truth, length) = truth(&truth_path, format)?;
    let tracks = format
        .read_tracks(&text(&tracks_path)?, length)
        .map_err(|error| EvalError::Row {
            path: tracks_path.clone(),
            error,
        })?;
    Ok(Sequence {
        frames: length.unwrap_or_else(|| truth.frames().max(tracks.frames())),
        name,
        truth_path,
        tracks_path,
        truth,
        tracks,
    })
}

/// The truth in `path`, and the number of frames where a `seqinfo.ini` tells it.
pub fn truth(path: &Path, format: Benchmark) -> Result<(TruthRows, Option<u64>), EvalError> {
    let length = SeqInfo::beside(path).frames()?;
    let truth = format
        .read_truth(&text(path)?, length)
        .map_err(|error| EvalError::Row {
            path: path.to_owned(),
            error,
        })?;
    Ok((truth, length))
}

fn tracks_file(folder: &Path, name: &str) -> Result<PathBuf, EvalError> {
    let places = [
        format!("{name}.txt"),
        format!("{name}.mot.txt"),
        format!("data/{name}.txt"),
    ];
    let found = places.iter().map(|place| folder.join(place));
    found
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| EvalError::NoTracks {
            folder: folder.to_owned(),
            name: name.to_owned(),
            looked_for: places.join(", "),
        })
}

fn text(path: &Path) -> Result<String, EvalError> {
    let read_error = |source| EvalError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let mut file = File::open(path)
        .map_err(read_error)?
        .take(MAX_FILE_BYTES + 1);
    file.read_to_end(&mut bytes).map_err(read_error)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(EvalError::TooLong {
            path: path.to_owned(),
            limit: MAX_FILE_BYTES,
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        EvalError::NotText {
            path: path.to_owned(),
            line,
        }
    })
}
