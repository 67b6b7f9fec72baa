//! `gantryd replay`: the tracker alone, on detections from a file.

mod report;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::explain;
use super::gmc::{self, GmcError};
use super::mot::{self, MotDetections, MotError, MotFrame};
use super::seqinfo::{SeqInfo, SeqInfoError, parse_fps, parse_size};
use super::sequences::{self, SequenceFile};
use crate::base::{CameraId, Pts, RunId, Size};
use crate::perception::track::{CameraWarp, TrackOptions, Tracker};
use crate::sinks::publish::{self, LineFile, PublishError};
use report::quantile;
pub use report::{FpsSource, ReplayReport, ReplaySummary};

/// Frame rate assumed where neither `--fps` nor a `seqinfo.ini` gives one.
pub(super) const DEFAULT_FPS: f64 = 30.0;
/// A sequence is one run.
const RUN: RunId = RunId(1);
/// Without detections for this long nothing can be alive, so that a gap is not stepped to its end.
const LONGEST_GAP: Duration = Duration::from_secs(60);

/// Run the tracker alone on detections in MOT format
///
/// Rows are `frame,-1,left,top,width,height,score`, frames counted from 1. The result has a row for
/// each object seen in each frame: `frame,id,left,top,width,height,score,-1,-1,-1`. A `seqinfo.ini`
/// beside the detections gives the frame rate. A folder of sequences (SEQUENCE/det/det.txt,
/// SEQUENCE/det.txt or SEQUENCE.txt) is replayed one after the other into a folder of SEQUENCE.txt.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  gantryd replay --dets MOT17-02/det.txt --out MOT17-02.txt
  gantryd replay --dets det.txt --out out.txt --fps 25 --size 1920x1080
  gantryd replay --dets MOT17/train --out results
  gantryd replay --dets det.txt --gmc gmc.txt --out out.txt
  gantryd replay --dets det.txt --out out.txt --decisions && gantryd explain out.txt --track 7")]
pub struct ReplayArgs {
    /// Detections in MOT format, or a folder of sequences
    #[arg(long, value_name = "FILE|DIR")]
    pub dets: PathBuf,
    /// Where to write the tracks, for a folder of detections a folder; existing files are replaced
    #[arg(long, value_name = "FILE|DIR")]
    pub out: PathBuf,
    /// Motion of the camera, rows "frame a b tx c d ty" that map the frame before onto this one; for a
    /// folder of detections a folder with gmc.txt likewise [default: found by the tracks' vote]
    #[arg(long, value_name = "FILE|DIR")]
    pub gmc: Option<PathBuf>,
    /// Frames per second [default: from seqinfo.ini beside the detections, else 30]
    #[arg(long, value_name = "N", value_parser = parse_fps)]
    pub fps: Option<f64>,
    /// Frame size in pixels; boxes wholly outside are left out [default: from seqinfo.ini, else none]
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<Size>,
    /// Write why each object was matched, coasted or ended, for gantryd explain, beside the tracks into
    /// NAME.decisions.jsonl
    #[arg(long)]
    pub decisions: bool,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The result would replace what is read.
    #[error("--out {path} is a file that is read; name another one")]
    Overwrites {
        /// The file.
        path: PathBuf,
    },
    /// The detections cannot be taken.
    #[error(transparent)]
    Detections(#[from] MotError),
    /// The sequence description says something that cannot be.
    #[error(transparent)]
    SeqInfo(#[from] SeqInfoError),
    /// The camera motion cannot be taken.
    #[error(transparent)]
    Gmc(#[from] GmcError),
    /// A folder cannot be read.
    #[error("{path}: cannot read the folder")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder without detections.
    #[error(
        "{path}: no sequence in this folder; looked for NAME/det/det.txt, NAME/det.txt and NAME.txt"
    )]
    NoSequence {
        /// Which folder.
        path: PathBuf,
    },
    /// A sequence without camera motion, where it is asked for.
    #[error(
        "{folder}: no camera motion of {name}; looked for {name}/gmc/gmc.txt, {name}/gmc.txt and {name}.txt"
    )]
    NoGmc {
        /// Which folder.
        folder: PathBuf,
        /// Name of the sequence.
        name: String,
    },
    /// The decisions cannot be written.
    #[error("cannot write the decisions")]
    Decisions(#[from] PublishError),
    /// The file with the result cannot be written.
    #[error("{path}: cannot write the tracks")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads the detections of each sequence, tracks them with the default options and writes the result.
///
/// Frames that the file does not name have no detections and are stepped like any other.
///
/// # Errors
/// A file that cannot be read or written, or the first bad row with its line number. The result of a
/// sequence is only begun when all of its input has been read.
pub fn run(args: &ReplayArgs) -> Result<ReplayReport, ReplayError> {
    let mut report = ReplayReport {
        sequences: Vec::new(),
        median: Duration::ZERO,
        p99: Duration::ZERO,
    };
    let mut times = Vec::new();
    for job in jobs(args)? {
        let (summary, spent) = job.run(args)?;
        report.sequences.push((job.name, summary));
        times.extend(spent);
    }
    times.sort_unstable();
    (report.median, report.p99) = (quantile(&times, 50), quantile(&times, 99));
    Ok(report)
}

/// What is read and written for one sequence.
struct Job {
    name: String,
    dets: PathBuf,
    gmc: Option<PathBuf>,
    out: PathBuf,
}

fn jobs(args: &ReplayArgs) -> Result<Vec<Job>, ReplayError> {
    let is_folder = args.dets.is_dir();
    let found = find(&args.dets, "det")?;
    if found.is_empty() {
        return Err(ReplayError::NoSequence {
            path: args.dets.clone(),
        });
    }
    let warps = args
        .gmc
        .as_deref()
        .map(|gmc| find(gmc, "gmc"))
        .transpose()?;
    if is_folder {
        fs::create_dir_all(&args.out).map_err(|source| ReplayError::Write {
            path: args.out.clone(),
            source,
        })?;
    }
    let job = |SequenceFile { name, path }| {
        let gmc = match (&args.gmc, &warps) {
            (Some(folder), Some(warps)) if is_folder => {
                let own = warps.iter().find(|warps| warps.name == name);
                let own = own.ok_or_else(|| ReplayError::NoGmc {
                    folder: folder.clone(),
                    name: name.clone(),
                })?;
                Some(own.path.clone())
            }
            (gmc, _) => gmc.clone(),
        };
        let out = if is_folder {
            args.out.join(format!("{name}.txt"))
        } else {
            args.out.clone()
        };
        Ok(Job {
            name,
            dets: path,
            gmc,
            out,
        })
    };
    found.into_iter().map(job).collect()
}

fn find(path: &Path, kind: &str) -> Result<Vec<SequenceFile>, ReplayError> {
    sequences::find(path, kind).map_err(|source| ReplayError::Folder {
        path: path.to_owned(),
        source,
    })
}

impl Job {
    /// The summary, and the time that each frame took.
    fn run(&self, args: &ReplayArgs) -> Result<(ReplaySummary, Vec<Duration>), ReplayError> {
        let decisions_path = args.decisions.then(|| explain::log_beside(&self.out));
        for out in std::iter::once(&self.out).chain(&decisions_path) {
            let Ok(out) = out.canonicalize() else {
                continue;
            };
            let mut inputs = std::iter::once(&self.dets).chain(&self.gmc);
            if inputs.any(|input| input.canonicalize().is_ok_and(|input| input == out)) {
                return Err(ReplayError::Overwrites { path: out });
            }
        }
        let detections = mot::read_detections(&self.dets)?;
        let warps = match &self.gmc {
            Some(path) => gmc::read(path)?,
            None => BTreeMap::new(),
        };
        let info = SeqInfo::beside(&self.dets);
        let (fps, fps_source) = match (args.fps, info.fps()?) {
            (Some(fps), _) => (fps, FpsSource::Given),
            (None, Some(fps)) => (fps, FpsSource::SeqInfo),
            (None, None) => (DEFAULT_FPS, FpsSource::Assumed),
        };
        let size = match args.size {
            Some(size) => Some(size),
            None => info.size()?,
        };
        let write_error = |source| ReplayError::Write {
            path: self.out.clone(),
            source,
        };
        let mut out = BufWriter::new(File::create(&self.out).map_err(write_error)?);
        let mut replay = Replay::new(fps, size, warps);
        match &decisions_path {
            Some(path) => replay.record_decisions(LineFile::create(path)?, &self.name),
            None => explain::forget_log_beside(&self.out),
        }
        replay.all(&detections, &mut out).map_err(write_error)?;
        replay.finish_decisions()?;
        out.flush().map_err(write_error)?;
        Ok(replay.summary(&detections, fps_source))
    }
}

struct Replay {
    tracker: Tracker,
    fps: f64,
    size: Option<Size>,
    /// The last frame that was stepped; 0 before the first.
    frame: u64,
    ids: u64,
    rows: u64,
    spent: Vec<Duration>,
    /// By the frame they lead to.
    warps: BTreeMap<u64, CameraWarp>,
    decisions: Option<DecisionLog>,
}

/// Where the decisions of a replay go; a first failure is kept for its end.
struct DecisionLog {
    name: CameraId,
    file: LineFile,
    failed: Option<PublishError>,
}

impl DecisionLog {
    fn write(&mut self, line: &str) {
        if self.failed.is_none() {
            self.failed = self.file.write(line).err();
        }
    }
}

impl Replay {
    fn new(fps: f64, size: Option<Size>, warps: BTreeMap<u64, CameraWarp>) -> Self {
        Self {
            tracker: Tracker::new(TrackOptions::default()),
            fps,
            size,
            frame: 0,
            ids: 0,
            rows: 0,
            spent: Vec::new(),
            warps,
            decisions: None,
        }
    }

    /// Has the decisions written into `file`, under this name of the sequence.
    fn record_decisions(&mut self, file: LineFile, name: &str) {
        self.tracker = Tracker::new(TrackOptions {
            record_decisions: true,
            ..TrackOptions::default()
        });
        self.decisions = Some(DecisionLog {
            name: CameraId::new(name),
            file,
            failed: None,
        });
    }

    fn finish_decisions(&mut self) -> Result<(), PublishError> {
        let Some(mut log) = self.decisions.take() else {
            return Ok(());
        };
        let ended = self.tracker.end_run();
        log.write(&publish::decisions_run_end_line(&log.name, RUN, &ended));
        log.failed.map_or(Ok(()), Err)?;
        log.file.flush()
    }

    fn all(&mut self, detections: &MotDetections, out: &mut impl Write) -> io::Result<()> {
        for frame in &detections.frames {
            self.step_empty_until(frame.number, out)?;
            self.step(frame, out)?;
        }
        Ok(())
    }

    /// Steps the frames before `number` that have no detections, as far as anything can be alive.
    fn step_empty_until(&mut self, number: u64, out: &mut impl Write) -> io::Result<()> {
        let longest = (LONGEST_GAP.as_secs_f64() * self.fps).ceil() as u64;
        let last = number.min(self.frame.saturating_add(longest));
        for number in self.frame + 1..last {
            let detections = Vec::new();
            self.step(&MotFrame { number, detections }, out)?;
        }
        Ok(())
    }

    fn step(&mut self, frame: &MotFrame, out: &mut impl Write) -> io::Result<()> {
        self.frame = frame.number;
        let pts = Pts(((frame.number - 1) as f64 * 1e9 / self.fps).round() as u64);
        let warp = self.warps.get(&frame.number).copied();
        let started = Instant::now();
        if let Some(warp) = warp {
            self.tracker.move_camera(warp);
        }
        let step = self.tracker.step(&frame.detections, pts);
        self.spent.push(started.elapsed());
        if let (Some(log), Some(decisions)) = (&mut self.decisions, self.tracker.decisions()) {
            let line = publish::decisions_line(&log.name, RUN, frame.number, pts, decisions);
            log.write(&line);
        }
        for track in &step.tracks {
            self.ids = self.ids.max(track.id.0);
            if track.is_present(self.size) {
                writeln!(out, "{}", publish::mot_row(frame.number, track))?;
                self.rows += 1;
            }
        }
        Ok(())
    }

    fn summary(
        mut self,
        detections: &MotDetections,
        fps_source: FpsSource,
    ) -> (ReplaySummary, Vec<Duration>) {
        self.spent.sort_unstable();
        let summary = ReplaySummary {
            frames: self.spent.len() as u64,
            detections: detections
                .frames
                .iter()
                .map(|frame| frame.detections.len())
                .sum(),
            ids: self.ids,
            rows: self.rows,
            empty_boxes: detections.empty_boxes,
            cut_scores: detections.cut_scores,
            fps: self.fps,
            fps_source,
            median: quantile(&self.spent, 50),
            p99: quantile(&self.spent, 99),
        };
        (summary, self.spent)
    }
}
