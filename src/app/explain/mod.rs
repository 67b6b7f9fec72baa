//! `gantryd explain`: why a track was matched, coasted, split or ended.

mod error;
mod frame;
mod log;
mod story;
mod strip;
mod verdict;

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::sinks::publish::{DecisionLine, NameEntry};
pub use error::ExplainError;
pub use frame::FrameStory;
pub use log::{forget_log_beside, log_beside};
use story::Story;
pub use story::{Moment, MomentKind};

/// Value of `schema` in what `--json` prints.
pub const EXPLAIN_SCHEMA_ID: &str = "gantryd.explain.v1";

/// Tell why a track was matched, coasted, split or ended
///
/// Reads what `track --decisions`, `replay --decisions` or the daemon (output.decisions = true) wrote
/// beside the results. Without --frame the track's life is told, boring frames left out; with --frame
/// everything that was decided in that frame.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  gantryd track gate.mp4 --decisions
  gantryd explain out/gate.jsonl --track 7               its life: born, close calls, hidden, ended
  gantryd explain out/gate.jsonl --track 7 --frame 120   what it could have had in that frame
  gantryd explain out/gate.jsonl --frame 120             everything decided in that frame
  gantryd explain out --track 7 --json                   for programs
  gantryd explain out/gate.jsonl --track 7 --video gate.mp4 --strip 7.png   with pictures

Frames are counted as in the results: seq of the JSON lines (from 0), for a replay the frame numbers of
the detections. docs/explain.md tells what affinities, gates and the log's fields mean.")]
pub struct ExplainArgs {
    /// Results, their decision log, or a folder with one
    #[arg(value_name = "RESULTS")]
    pub results: PathBuf,
    /// Id of the track
    #[arg(long, value_name = "ID", required_unless_present = "frame")]
    pub track: Option<u64>,
    /// Tell this frame, whole or as far as --track is concerned
    #[arg(long, value_name = "N")]
    pub frame: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The video that was tracked, for --strip; an image folder will do
    #[arg(long, value_name = "FILE", requires = "strip")]
    pub video: Option<PathBuf>,
    /// Write pictures of the moments side by side: its box green, red where it was expected and not seen
    #[arg(
        long,
        value_name = "FILE.png",
        requires = "video",
        conflicts_with = "frame"
    )]
    pub strip: Option<PathBuf>,
}

/// The life of one track; its text is a timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackStory {
    /// The id.
    pub track: u64,
    /// The log it was read from.
    pub log: PathBuf,
    /// In order of their frames.
    pub moments: Vec<Moment>,
    /// Places of the moments that the strip shows, from left to right.
    pub pictures: Vec<usize>,
}

/// What was explained.
#[derive(Debug, Clone, PartialEq)]
pub enum Explanation {
    /// The life of a track.
    Track(TrackStory),
    /// What a frame decided.
    Frame(Box<FrameStory>),
}

/// Reads the log and tells what was asked for. Of a log that holds several recordings, the last one
/// that has the track or frame is told.
///
/// # Errors
/// Results without a log, a log that cannot be read, a track or frame that is not in it.
pub fn run(args: &ExplainArgs) -> Result<Explanation, ExplainError> {
    let log = log::find(&args.results)?;
    match (args.frame, args.track) {
        (Some(frame), track) => tell_frame(&log, frame, track),
        (None, track) => tell_track(&log, track.unwrap_or_default(), args),
    }
}

fn tell_track(log: &Path, id: u64, args: &ExplainArgs) -> Result<Explanation, ExplainError> {
    let mut story = Story::new(id);
    let mut told: Option<Story> = None;
    log::read(log, |line| {
        if story.is_over_before(&line) {
            let over = std::mem::replace(&mut story, Story::new(id)).finish();
            if !over.moments.is_empty() || told.is_none() {
                told = Some(over);
            }
        }
        story.add(&line);
    })?;
    let story = story.finish();
    let story = match told {
        Some(told) if story.moments.is_empty() => told,
        _ => story,
    };
    if story.moments.is_empty() {
        let known = match (story.ids.first(), story.ids.last()) {
            (Some(first), Some(last)) => format!("there are {first} to {last}"),
            _ => "there is none at all".to_owned(),
        };
        return Err(ExplainError::NoTrack {
            path: log.to_owned(),
            id,
            frames: story.frames,
            known,
        });
    }
    let mut pictures = Vec::new();
    if let (Some(video), Some(file)) = (&args.video, &args.strip) {
        pictures = strip::chosen(&story.moments);
        let shown: Vec<&Moment> = pictures
            .iter()
            .map(|&place| &story.moments[place])
            .collect();
        if shown.is_empty() {
            return Err(ExplainError::NoPicture { id });
        }
        let first_frame = story.first_frame.unwrap_or_default();
        strip::write(video, file, &shown, first_frame)?;
    }
    Ok(Explanation::Track(TrackStory {
        track: id,
        log: log.to_owned(),
        moments: story.moments,
        pictures,
    }))
}

fn tell_frame(log: &Path, number: u64, track: Option<u64>) -> Result<Explanation, ExplainError> {
    let (mut found, mut first, mut last) = (None, None, None);
    log::read(log, |line| {
        if let DecisionLine::Frame(frame) = line {
            first = first.or(Some(frame.frame));
            last = Some(frame.frame);
            if frame.frame == number {
                found = Some(*frame);
            }
        }
    })?;
    let path = log.to_owned();
    let Some(frame) = found else {
        let known = match (first, last) {
            (Some(first), Some(last)) => format!("there are {first} to {last}"),
            _ => "the log is empty".to_owned(),
        };
        return Err(ExplainError::NoFrame {
            path,
            frame: number,
            known,
        });
    };
    let is_there = |id| {
        let own = NameEntry::Id(id);
        frame.tracks.iter().any(|entry| entry.name == own)
    };
    if let Some(id) = track.filter(|&id| !is_there(id)) {
        return Err(ExplainError::NotAlive {
            path,
            id,
            frame: number,
        });
    }
    Ok(Explanation::Frame(Box::new(FrameStory { frame, track })))
}

impl Explanation {
    /// As one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let value = match self {
            Self::Track(story) => json!({
                "schema": EXPLAIN_SCHEMA_ID,
                "type": "track",
                "track": story.track,
                "moments": story.moments,
                "pictures": story.pictures,
            }),
            Self::Frame(story) => json!({
                "schema": EXPLAIN_SCHEMA_ID,
                "type": "frame",
                "track": story.track,
                "frame": story.frame,
                "lines": story.lines(),
            }),
        };
        format!("{value:#}")
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Track(story) => story.fmt(f),
            Self::Frame(story) => story.fmt(f),
        }
    }
}

impl fmt::Display for TrackStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "track {} in {}", self.track, self.log.display())?;
        for (place, moment) in self.moments.iter().enumerate() {
            let frames = if moment.to_frame == moment.frame {
                moment.frame.to_string()
            } else {
                format!("{}-{}", moment.frame, moment.to_frame)
            };
            let picture = self.pictures.iter().position(|&shown| shown == place);
            let picture = picture.map_or_else(String::new, |number| format!("[{}] ", number + 1));
            write!(
                f,
                "\n{:>9.3} s  {frames:>11}  {:<11}  {picture}{}",
                moment.pts_ns as f64 / 1e9,
                moment.kind.as_str(),
                moment.text
            )?;
        }
        Ok(())
    }
}
