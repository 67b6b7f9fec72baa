//! Labelled sequences from detections and truth in MOT format.

use std::path::{Path, PathBuf};

use super::TuneArgs;
use super::error::TuneError;
use super::labelled::{Sequence, steady};
use crate::app::eval;
use crate::app::mot;
use crate::app::replay::DEFAULT_FPS;
use crate::app::seqinfo::SeqInfo;
use crate::app::sequences::{self, SequenceFile};
use crate::tools::evaluate::{Benchmark, Class, Role, Truth};

/// Every sequence of `dets` with its truth, in order of their names.
pub fn read(args: &TuneArgs, dets: &Path, gt: &Path) -> Result<Vec<Sequence>, TuneError> {
    let class = class(args)?;
    let found = find(dets, "det")?;
    if found.is_empty() {
        return Err(TuneError::NoSequence {
            path: dets.to_owned(),
        });
    }
    let truths = find(gt, "gt")?;
    if !gt.is_dir() && found.len() > 1 {
        return Err(TuneError::OneTruth {
            path: gt.to_owned(),
            sequences: found.len(),
        });
    }
    let mut read = Vec::new();
    for SequenceFile { name, path } in found {
        let own = if dets.is_dir() && gt.is_dir() {
            truths.iter().find(|truth| truth.name == name)
        } else {
            truths.first()
        };
        let own = own.ok_or_else(|| TuneError::NoTruth {
            folder: gt.to_owned(),
            name: name.clone(),
        })?;
        read.push(sequence(args, name, path, &own.path, class)?);
    }
    Ok(read)
}

fn find(path: &Path, kind: &str) -> Result<Vec<SequenceFile>, TuneError> {
    sequences::find(path, kind).map_err(|source| TuneError::Folder {
        path: path.to_owned(),
        source,
    })
}

fn sequence(
    args: &TuneArgs,
    name: String,
    dets: PathBuf,
    gt: &Path,
    class: Class,
) -> Result<Sequence, TuneError> {
    let detections = mot::read_detections(&dets)?;
    let Some(last) = detections.frames.last().map(|frame| frame.number) else {
        return Err(TuneError::NothingSeen { path: dets });
    };
    let (truth, length) = truth(gt, args.format, class, Some(last))?;
    let info = SeqInfo::beside(&dets);
    let fps = match args.fps {
        Some(fps) => fps,
        None => info.fps()?.unwrap_or(DEFAULT_FPS),
    };
    let size = match args.size {
        Some(size) => Some(size),
        None => info.size()?,
    };
    let within = |number: u64| length.is_none_or(|length| number <= length);
    let given = detections.frames.into_iter();
    let given = given.filter(|frame| within(frame.number));
    Ok(Sequence {
        name,
        fps,
        size,
        seen: steady(given.map(|frame| (frame.number - 1, frame.detections)), fps),
        truth,
    })
}

/// What is true of `class` in `path`, and how many frames the sequence has where that is told; it has
/// at least `frames`.
pub fn truth(
    path: &Path,
    format: Benchmark,
    class: Class,
    frames: Option<u64>,
) -> Result<(Truth, Option<u64>), TuneError> {
    let (rows, length) = eval::read_truth(path, format)?;
    let frames = length.unwrap_or_else(|| rows.frames().max(frames.unwrap_or(0)));
    let truth = rows.of_class(class, frames);
    if !truth.boxes.iter().any(|bbox| bbox.role == Role::Counted) {
        return Err(TuneError::NothingTrue {
            path: path.to_owned(),
            class: class.to_string(),
            format: eval::name_of(format),
        });
    }
    Ok((truth, length))
}

/// What is scored: what was asked for, else the only class that the format has.
fn class(args: &TuneArgs) -> Result<Class, TuneError> {
    if let Some(text) = &args.score {
        return eval::class(args.format, text).map_err(|error| match error {
            eval::EvalError::Class {
                given,
                format,
                allowed,
            } => TuneError::Class {
                given,
                format,
                allowed,
            },
            other => other.into(),
        });
    }
    match args.format.classes() {
        [only] => Ok(*only),
        several => {
            let names: Vec<String> = several.iter().map(Class::to_string).collect();
            Err(TuneError::WhichClass {
                format: eval::name_of(args.format),
                allowed: names.join(" and "),
                first: names[0].clone(),
            })
        }
    }
}
