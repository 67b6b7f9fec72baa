//! `gantryd eval`: tracks against the truth.

mod curve;
mod error;
mod files;
mod sheet;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tools::evaluate::{Benchmark, Class, Scores, SequenceScores, evaluate};
pub use error::EvalError;
use files::Sequence;
pub(super) use files::truth as read_truth;

/// Score tracks against the truth
///
/// HOTA, CLEAR (MOTA) and identity (IDF1) metrics per sequence and combined, with the rules of the
/// benchmark named by --format; the figures are TrackEval's.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  gantryd eval --gt gt.txt --tracks out/traffic.mot.txt
  gantryd eval --gt MOT17/train --tracks results --format mot17 --json scores.json --svg hota.svg
  gantryd eval --gt kitti/label_02 --tracks results --format kitti --classes car
  gantryd eval --gt gt.txt --tracks out.txt --per-class --csv scores.csv

In a folder, the truth of a sequence is NAME/gt/gt.txt, NAME/gt.txt or NAME.txt, and its tracks are
NAME.txt, NAME.mot.txt or data/NAME.txt. A seqinfo.ini beside the truth gives the number of frames.
docs/evaluate.md tells what counts in each format.")]
pub struct EvalArgs {
    /// The truth: a file, or a folder of sequences
    #[arg(long, value_name = "FILE|DIR")]
    pub gt: PathBuf,
    /// The tracks: a file, or a folder with one per sequence
    #[arg(long, value_name = "FILE|DIR")]
    pub tracks: PathBuf,
    /// Columns and rules; plain takes out tracks on rows with confidence 0 and scores all classes together
    #[arg(long, value_parser = super::cli::choice(FORMATS), default_value = "plain")]
    pub format: Benchmark,
    /// Score these classes, each for itself: car, pedestrian (kitti), class numbers (plain)
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        conflicts_with = "per_class"
    )]
    pub classes: Vec<String>,
    /// Score each class of the truth for itself
    #[arg(long)]
    pub per_class: bool,
    /// Write all figures, those of each threshold too, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write all figures as comma separated values, a row per sequence
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Draw HOTA and its parts over the threshold
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// Names of the formats.
pub(super) const FORMATS: &[(&str, Benchmark)] = &[
    ("plain", Benchmark::Plain),
    ("mot15", Benchmark::Mot15),
    ("mot17", Benchmark::Mot17),
    ("mot16", Benchmark::Mot17),
    ("mot20", Benchmark::Mot20),
    ("dancetrack", Benchmark::DanceTrack),
    ("kitti", Benchmark::Kitti),
];

/// The scores of one class.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassScores {
    /// What was scored.
    pub class: Class,
    /// In order of their names.
    pub sequences: Vec<SequenceScores>,
    /// All sequences as one.
    pub combined: Scores,
}

/// Everything that was scored; its text is a table.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalReport {
    /// Name of the format.
    pub format: &'static str,
    /// A truth or tracks may hold several classes.
    pub classes: Vec<ClassScores>,
}

/// Reads truth and tracks, scores them, and writes the files that were asked for.
///
/// # Errors
/// The first file that cannot be read or written, or the first bad row with its line. Files of the
/// result are only begun when all was scored.
pub fn run(args: &EvalArgs) -> Result<EvalReport, EvalError> {
    let asked = args.classes.iter().map(|text| class(args.format, text));
    let asked = asked.collect::<Result<Vec<_>, _>>()?;
    let sequences = files::read(&args.gt, &args.tracks, args.format)?;
    let classes = classes(args, asked, &sequences)?;
    let mut report = EvalReport {
        format: name_of(args.format),
        classes: Vec::new(),
    };
    for class in classes {
        report.classes.push(score(&sequences, class)?);
    }
    let files = [
        (&args.json, sheet::json as fn(&EvalReport) -> String),
        (&args.csv, sheet::csv),
        (&args.svg, curve::svg),
    ];
    for (path, text) in files {
        if let Some(path) = path {
            write(path, &text(&report))?;
        }
    }
    Ok(report)
}

fn score(sequences: &[Sequence], class: Class) -> Result<ClassScores, EvalError> {
    let mut scored = Vec::new();
    for sequence in sequences {
        let truth = sequence.truth.of_class(class, sequence.frames);
        let tracks = sequence.tracks.of_class(class);
        let tracks = tracks.map_err(|error| EvalError::Row {
            path: sequence.tracks_path.clone(),
            error,
        })?;
        let scores = evaluate(&truth, &tracks).map_err(|source| EvalError::Score {
            path: sequence.tracks_path.clone(),
            source,
        })?;
        scored.push(SequenceScores {
            name: sequence.name.clone(),
            scores,
        });
    }
    Ok(ClassScores {
        class,
        combined: Scores::combine(scored.iter().map(|sequence| &sequence.scores)),
        sequences: scored,
    })
}

/// What is to be scored, each class for itself: what was asked for, else all that the format scores.
fn classes(
    args: &EvalArgs,
    mut classes: Vec<Class>,
    sequences: &[Sequence],
) -> Result<Vec<Class>, EvalError> {
    if classes.is_empty() {
        classes = args.format.classes().to_vec();
    }
    if args.per_class && args.format == Benchmark::Plain {
        let mut numbers = BTreeSet::new();
        for sequence in sequences {
            let found = sequence.truth.class_numbers();
            numbers.extend(found.map_err(|error| EvalError::Row {
                path: sequence.truth_path.clone(),
                error,
            })?);
        }
        classes = numbers.into_iter().map(Class::Number).collect();
    }
    let untyped = |sequence: &&Sequence| !sequence.tracks.have_classes();
    if args.format == Benchmark::Kitti
        && classes.len() > 1
        && let Some(sequence) = sequences.iter().find(untyped)
    {
        return Err(EvalError::WhichClass {
            path: sequence.tracks_path.clone(),
        });
    }
    Ok(classes)
}

/// The class that `format` calls `text`.
///
/// # Errors
/// A class that it does not score.
pub(super) fn class(format: Benchmark, text: &str) -> Result<Class, EvalError> {
    let given = text.trim().to_ascii_lowercase();
    let class = match given.parse() {
        Ok(number) if format == Benchmark::Plain => Some(Class::Number(number)),
        _ => {
            let known = format.classes().iter();
            known.copied().find(|known| known.to_string() == given)
        }
    };
    class.ok_or_else(|| EvalError::Class {
        given: text.to_owned(),
        format: name_of(format),
        allowed: match format {
            Benchmark::Kitti => "car and pedestrian",
            Benchmark::Plain => "class numbers, the 8th field of a row, or all",
            _ => "pedestrian alone",
        },
    })
}

pub(super) fn name_of(format: Benchmark) -> &'static str {
    let found = FORMATS.iter().find(|(_, known)| *known == format);
    found.map_or("", |(name, _)| name)
}

fn write(path: &Path, text: &str) -> Result<(), EvalError> {
    fs::write(path, text).map_err(|source| EvalError::Write {
        path: path.to_owned(),
        source,
    })
}
