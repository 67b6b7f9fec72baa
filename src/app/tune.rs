//! `gantryd tune`: the tracker's settings searched on labelled data, judged on data held out.

mod error;
mod files;
mod films;
mod labelled;
mod report;
mod search;
mod setting;
mod snippet;
mod validate;
mod verdict;

#[cfg(test)]
mod tests;

use std::fs;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Args};

use super::cli::DetectArgs;
use super::config::{Auto, Config, MotionSource, TrackConfig};
use super::eval;
use super::progress::Progress;
use super::seqinfo::{parse_fps, parse_size};
use super::signals::Signals;
use super::simulate;
use crate::base::Size;
use crate::tools::evaluate::Benchmark;
pub use error::TuneError;
pub use labelled::Sequence;
pub use report::TuneReport;
pub use setting::{Setting, Space};
pub use validate::{Figures, Fold, Objective, Outcome, Plan, Watch, cross_validate};
pub use verdict::{Gain, LEAST_GAIN, Verdict};

/// Least length of a part of the only sequence, seconds: objects must come, hide and go in it.
const LEAST_PART_SECS: f64 = 10.0;

/// Search the tracker's settings on labelled data
///
/// Tries values of track.high, low, new, memory_secs, confirm_hits and camera_motion on a site's own
/// labelled film, or on simulated traffic like it, and tells what they gain where the search did not
/// look: the sequences (of a single one, parts of the same length) are held out in turn, and every figure
/// comes from what was held out. Keeps what is in use unless the gain is larger than its spread.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("input").required(true))]
#[command(after_help = "Examples:
  gantryd tune --video gate.mp4 --gt gate.txt                 a film and its truth in MOT format
  gantryd tune --video gate.mp4 --gt gate.txt --config site.toml     from that configuration on
  gantryd tune --dets MOT17/train --gt MOT17/train --format mot17 --for idf1
  gantryd tune --dets kitti --gt kitti --format kitti --score car --trials 200
  gantryd tune --simulate junction --clips 6 --write track.toml

Folders are those of gantryd replay and gantryd eval. The same input and seed give the same result, on
any number of threads. Ctrl-C ends the search; what was found so far is judged and told.
docs/tracking.md tells what to expect.")]
pub struct TuneArgs {
    /// Detections in MOT format, or a folder of sequences
    #[arg(long, value_name = "FILE|DIR", group = "input", requires = "gt")]
    pub dets: Option<PathBuf>,
    /// A film; the detector looks at each frame once
    #[arg(long, value_name = "FILE", group = "input", requires = "gt")]
    pub video: Option<PathBuf>,
    /// A simulated place; the detector looks at films of it
    #[arg(long, value_name = "SCENE", group = "input", conflicts_with = "gt", value_parser = simulate::scenes())]
    pub simulate: Option<String>,
    /// The truth: a file, or a folder of sequences
    #[arg(long, value_name = "FILE|DIR")]
    pub gt: Option<PathBuf>,
    /// Columns and rules of the truth, as for gantryd eval; a film's is plain
    #[arg(long, value_parser = super::cli::choice(eval::FORMATS), default_value = "plain", conflicts_with_all = ["video", "simulate"])]
    pub format: Benchmark,
    /// Score this class of the truth: car, pedestrian (kitti), a class number (plain)
    #[arg(long, value_name = "CLASS", conflicts_with_all = ["video", "simulate"])]
    pub score: Option<String>,
    /// Frames per second of --dets [default: from seqinfo.ini, else 30]
    #[arg(long, value_name = "N", value_parser = parse_fps, conflicts_with_all = ["video", "simulate"])]
    pub fps: Option<f64>,
    /// Frame size of --dets in pixels [default: from seqinfo.ini, else none]
    #[arg(long, value_name = "WxH", value_parser = parse_size, conflicts_with_all = ["video", "simulate"])]
    pub size: Option<Size>,
    /// Simulated films, each of its own seed
    #[arg(long, value_name = "N", default_value = "4", value_parser = parse_clips)]
    pub clips: NonZeroU32,
    /// Length of a simulated film
    #[arg(long, value_name = "S", default_value = "20", value_parser = simulate::parse_seconds)]
    pub seconds: f64,
    /// What is to become better
    #[arg(long = "for", value_name = "FIGURE", value_parser = super::cli::choice(OBJECTIVES), default_value = "hota")]
    pub objective: Objective,
    /// Settings that each search tries
    #[arg(long, value_name = "N", default_value = "60", value_parser = parse_trials)]
    pub trials: NonZeroUsize,
    /// Parts that are held out in turn, at most as many as there are sequences
    #[arg(long, value_name = "N", default_value = "5", value_parser = parse_folds)]
    pub folds: usize,
    /// Everything random comes from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Begin with the tracker of this configuration, and say which of its lines to change
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write what was found as a `track` section
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// The detector.
    #[command(flatten)]
    pub detect: DetectArgs,
}

/// Names of what can be searched for.
const OBJECTIVES: &[(&str, Objective)] = &[
    ("hota", Objective::Hota),
    ("idf1", Objective::Idf1),
    ("mota", Objective::Mota),
];

fn parse_clips(text: &str) -> Result<NonZeroU32, String> {
    let clips = text.parse().ok();
    clips
        .filter(|clips: &NonZeroU32| (2..=100).contains(&clips.get()))
        .ok_or_else(|| "allowed is 2 to 100: one of them is held out".to_owned())
}

fn parse_trials(text: &str) -> Result<NonZeroUsize, String> {
    let trials = text.parse().ok();
    trials
        .filter(|trials: &NonZeroUsize| trials.get() <= 5000)
        .ok_or_else(|| "allowed is 1 to 5000".to_owned())
}

fn parse_folds(text: &str) -> Result<usize, String> {
    let folds = text.parse().ok();
    folds
        .filter(|folds| (2..=20).contains(folds))
        .ok_or_else(|| "allowed is 2 to 20".to_owned())
}

/// Reads or makes the sequences, searches, judges, and writes what was asked for.
///
/// # Errors
/// Input that cannot be taken, too little of it, or a stop before anything was scored.
pub fn run(args: &TuneArgs) -> anyhow::Result<TuneReport> {
    refuse(args)?;
    let config = args.config.as_deref().map(Config::load).transpose()?;
    let notes = config.as_ref().map(notes).unwrap_or_default();
    if let (Some(path), Some(config)) = (&args.config, &config)
        && let Auto::Set(confidence) = config.detect.confidence
    {
        return Err(TuneError::Overruled {
            path: path.clone(),
            confidence,
        }
        .into());
    }
    let signals = Signals::listen().context("listening for signals")?;
    let sequences = parts(args, sequences(args, config.as_ref(), &signals)?)?;
    let track = config.map_or_else(TrackConfig::default, |config| config.track);
    let space = Space::new(track);
    let plan = Plan {
        objective: args.objective,
        trials: args.trials,
        folds: args.folds,
        seed: args.seed,
        threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    };
    let mut bar = Bar(Progress::of_trials("tune"));
    let outcome = cross_validate(&sequences, &space, &plan, &|| signals.came(), &mut bar);
    bar.0.finish();
    let outcome = outcome?;
    let gains = outcome.folds.iter().map(|fold| fold.gain(args.objective));
    let gain = Gain::of(&gains.collect::<Vec<_>>());
    let gain = gain.context("a gain is measured on at least two folds")?;
    let mut report = TuneReport {
        sequences: sequences
            .into_iter()
            .map(|sequence| sequence.name)
            .collect(),
        objective: args.objective,
        trials: args.trials.get(),
        seed: args.seed,
        has_config: args.config.is_some(),
        verdict: Verdict::on(gain, outcome.chosen != Setting::default()),
        gain,
        outcome,
        steps: Vec::new(),
        notes,
    };
    report.steps = steps(args, &report)?;
    Ok(report)
}

/// Refuses options that would have no effect, and outputs that are inputs.
fn refuse(args: &TuneArgs) -> Result<(), TuneError> {
    if let Some(conf) = args.detect.conf {
        return Err(TuneError::Meaningless {
            option: format!("--conf {conf}"),
            reason: "the confidence that starts a track is searched (track.new)",
        });
    }
    if let Some(reid) = &args.detect.reid {
        return Err(TuneError::Meaningless {
            option: format!("--reid {reid}"),
            reason: "boxes alone are replayed, looks are not",
        });
    }
    let inputs = [&args.config, &args.dets, &args.gt, &args.video];
    let canonical =
        |path: &Option<PathBuf>| path.as_ref().and_then(|path| path.canonicalize().ok());
    let written = canonical(&args.write);
    if let (Some(written), Some(path)) = (written, &args.write)
        && inputs
            .into_iter()
            .filter_map(canonical)
            .any(|input| input == written)
    {
        return Err(TuneError::Overwrites { path: path.clone() });
    }
    Ok(())
}

/// What a configuration has that changes how the result is to be read.
fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    for camera in &config.cameras {
        if let Auto::Set(confidence) = camera.confidence {
            notes.push(format!(
                "camera {}: confidence {confidence} stands before track.high and track.new there",
                camera.id
            ));
        }
    }
    if config.track.camera_motion == MotionSource::Image {
        notes.push(
            "track.camera_motion = \"image\" is left as it is; without pictures the tracks' vote took its place"
                .to_owned(),
        );
    }
    notes
}

fn sequences(
    args: &TuneArgs,
    config: Option<&Config>,
    signals: &Signals,
) -> anyhow::Result<Vec<Sequence>> {
    if let (Some(dets), Some(gt)) = (&args.dets, &args.gt) {
        return Ok(files::read(args, dets, gt)?);
    }
    let detector = films::Detector::new(args, config, signals)?;
    match (&args.video, &args.gt, &args.simulate) {
        (Some(video), Some(gt), _) => Ok(vec![detector.labelled(video, gt)?]),
        (_, _, Some(scene)) => detector.simulated(scene),
        _ => unreachable!("the command line asks for one of three inputs"),
    }
}

/// What is held out in turn: the sequences, or the parts of the only one.
fn parts(args: &TuneArgs, mut sequences: Vec<Sequence>) -> Result<Vec<Sequence>, TuneError> {
    if sequences.len() > 1 {
        return Ok(sequences);
    }
    let Some(only) = sequences.pop() else {
        return Ok(sequences);
    };
    let most = (only.secs() / LEAST_PART_SECS).floor() as u64;
    if most < 2 {
        return Err(TuneError::TooShort {
            secs: only.secs(),
            name: only.name,
        });
    }
    let parts = only.parts(most.min(args.folds as u64));
    match parts.iter().find(|part| part.counted() == 0) {
        Some(empty) => Err(TuneError::EmptyPart {
            name: empty.name.clone(),
            folds: parts.len(),
        }),
        None => Ok(parts),
    }
}

/// Writes the snippet, and tells what is to be done with what was found.
fn steps(args: &TuneArgs, report: &TuneReport) -> anyhow::Result<Vec<String>> {
    let chosen = &report.outcome.chosen;
    let is_taken = report.verdict.is_take();
    let mut steps = Vec::new();
    if let (Some(path), true) = (&args.config, is_taken) {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let changes = snippet::changes(&text, chosen);
        steps.extend(
            changes
                .iter()
                .map(|change| format!("{}: {change}", path.display())),
        );
    }
    if let Some(path) = &args.write {
        let why = [
            format!(
                "gantryd tune for {}, {} sequences, {} trials, seed {}",
                report.objective.name(),
                report.sequences.len(),
                report.outcome.trials,
                report.seed
            ),
            format!("{} held out: {}", report.objective.name(), report.gain),
            report.verdict_text(),
        ];
        write(path, &snippet::section(chosen, is_taken, &why))?;
        steps.push(format!("written: {}", path.display()));
    } else if args.config.is_none() && is_taken {
        steps.push(snippet::section(chosen, true, &[]).trim_end().to_owned());
    }
    Ok(steps)
}

fn write(path: &Path, text: &str) -> Result<(), TuneError> {
    fs::write(path, text).map_err(|source| TuneError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Shows the rounds.
struct Bar(Progress);

impl Watch for Bar {
    fn progress(&mut self, done: u64, total: u64) {
        self.0.update(done, Some(total));
    }
}
