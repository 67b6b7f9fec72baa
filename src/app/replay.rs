//! `gantryd replay`: the tracker alone, on detections from a file.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::mot::{self, MotDetections, MotError, MotFrame};
use super::seqinfo::{SeqInfo, SeqInfoError, parse_fps, parse_size};
use crate::base::{Pts, Size, TrackState};
use crate::perception::track::{TrackOptions, Tracker};
use crate::sinks::publish;

/// Frame rate assumed where neither `--fps` nor a `seqinfo.ini` gives one.
const DEFAULT_FPS: f64 = 30.0;
/// Without detections for this long nothing can be alive, so that a gap is not stepped to its end.
const LONGEST_GAP: Duration = Duration::from_secs(60);

/// Run the tracker alone on detections in MOT format
///
/// Rows are `frame,-1,left,top,width,height,score`, frames counted from 1. The result has a row for
/// each object seen in each frame: `frame,id,left,top,width,height,score,-1,-1,-1`. A `seqinfo.ini`
/// beside the detections gives the frame rate.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  gantryd replay --dets MOT17-02/det.txt --out MOT17-02.txt
  gantryd replay --dets det.txt --out out.txt --fps 25 --size 1920x1080")]
pub struct ReplayArgs {
    /// Detections in MOT format
    #[arg(long, value_name = "FILE")]
    pub dets: PathBuf,
    /// Where to write the tracks; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Frames per second [default: from seqinfo.ini beside the detections, else 30]
    #[arg(long, value_name = "N", value_parser = parse_fps)]
    pub fps: Option<f64>,
    /// Frame size in pixels; boxes wholly outside are left out [default: from seqinfo.ini, else none]
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<Size>,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The result would replace the detections.
    #[error("--out {path} is the file of the detections; name another one")]
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
    /// The file with the result cannot be written.
    #[error("{path}: cannot write the tracks")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a replay did.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaySummary {
    /// Frames stepped, with and without detections.
    pub frames: u64,
    /// Detections given to the tracker.
    pub detections: usize,
    /// Identities given.
    pub ids: u64,
    /// Rows written.
    pub rows: u64,
    /// Rows of the input left out because their box has no area.
    pub empty_boxes: usize,
    /// Scores of the input outside 0..=1, cut to that range.
    pub cut_scores: usize,
    /// Frames per second that were used.
    pub fps: f64,
    /// Where the frame rate comes from.
    pub fps_source: FpsSource,
    /// Time of the tracker alone per frame: the median.
    pub median: Duration,
    /// Time of the tracker alone per frame: 99 of 100 frames took no longer.
    pub p99: Duration,
}

/// Where the frame rate of a replay comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FpsSource {
    /// `--fps`.
    Given,
    /// `seqinfo.ini` beside the detections.
    SeqInfo,
    /// Neither said anything.
    Assumed,
}

impl fmt::Display for ReplaySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.fps_source {
            FpsSource::Given => "given",
            FpsSource::SeqInfo => "from seqinfo.ini",
            FpsSource::Assumed => "assumed; --fps says otherwise",
        };
        writeln!(
            f,
            "{} frames at {} fps ({source}), {} detections -> {} ids, {} rows",
            self.frames, self.fps, self.detections, self.ids, self.rows
        )?;
        if self.empty_boxes > 0 {
            writeln!(f, "{} boxes without area left out", self.empty_boxes)?;
        }
        if self.cut_scores > 0 {
            writeln!(
                f,
                "{} scores outside 0..1 cut to that range",
                self.cut_scores
            )?;
        }
        write!(
            f,
            "tracker alone: median {:.1} µs, p99 {:.1} µs per frame",
            self.median.as_secs_f64() * 1e6,
            self.p99.as_secs_f64() * 1e6
        )
    }
}

/// Reads the detections, tracks them with the default options and writes the result.
///
/// Frames that the file does not name have no detections and are stepped like any other.
///
/// # Errors
/// A file that cannot be read or written, or the first bad row with its line number. The result is
/// only begun when all detections have been read.
pub fn run(args: &ReplayArgs) -> Result<ReplaySummary, ReplayError> {
    if let (Ok(dets), Ok(out)) = (args.dets.canonicalize(), args.out.canonicalize())
        && dets == out
    {
        return Err(ReplayError::Overwrites { path: out });
    }
    let detections = mot::read_detections(&args.dets)?;
    let info = SeqInfo::beside(&args.dets);
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
        path: args.out.clone(),
        source,
    };
    let mut out = BufWriter::new(File::create(&args.out).map_err(write_error)?);
    let mut replay = Replay::new(fps, size);
    replay.all(&detections, &mut out).map_err(write_error)?;
    out.flush().map_err(write_error)?;
    Ok(replay.summary(&detections, fps_source))
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
}

impl Replay {
    fn new(fps: f64, size: Option<Size>) -> Self {
        Self {
            tracker: Tracker::new(TrackOptions::default()),
            fps,
            size,
            frame: 0,
            ids: 0,
            rows: 0,
            spent: Vec::new(),
        }
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
        let started = Instant::now();
        let step = self.tracker.step(&frame.detections, pts);
        self.spent.push(started.elapsed());
        for track in &step.tracks {
            self.ids = self.ids.max(track.id.0);
            let is_inside = self.size.is_none_or(|size| {
                track
                    .bbox
                    .clip(size.width as f32, size.height as f32)
                    .is_some()
            });
            if track.state == TrackState::Confirmed && is_inside {
                writeln!(out, "{}", publish::mot_row(frame.number, track))?;
                self.rows += 1;
            }
        }
        Ok(())
    }

    fn summary(mut self, detections: &MotDetections, fps_source: FpsSource) -> ReplaySummary {
        self.spent.sort_unstable();
        let count = self.spent.len();
        let quantile = |hundredths: usize| {
            let index = (count * hundredths / 100).min(count.saturating_sub(1));
            self.spent.get(index).copied().unwrap_or_default()
        };
        ReplaySummary {
            frames: count as u64,
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
            median: quantile(50),
            p99: quantile(99),
        }
    }
}
