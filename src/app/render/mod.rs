//! `gantryd render`: boxes, ids and trails onto a recording or clip, when somebody asks for them.

mod error;
mod film;
mod lines;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::cli::{choice, parse_seconds};
use super::config::{self, Encoder};
use super::progress::Progress;
use super::resolve;
use super::signals::Signals;
use crate::base::{CameraId, Metrics};
use crate::capture::StatusHandle;
use crate::sinks::annotate::{AnnotateOptions, Annotator, Overlay, Place};
use crate::sinks::clips::{Scenery, sidecar_of};
use crate::sinks::record::{Pushed, RecordOptions, RecordPace, RecordTarget, Recorder};

use error::RenderError;
use lines::Lines;

/// `gantryd render`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd render out/gate/gate_20260301T080000Z_clip.mp4                 a clip of an event
  gantryd render out/gate/gate_20260301T080000Z_raw.mp4 --from 60 --to 90
  gantryd render traffic.mp4 --lines out/traffic.jsonl                   what gantryd track found

Writes STEM_annotated.mp4 into the current folder. The boxes are those of the lines beside the
recording (STEM.jsonl); between two lines they move evenly. The recording itself stays as it is.")]
pub struct RenderArgs {
    /// Raw recording, clip, or any video that there are result lines for
    #[arg(value_name = "RECORDING")]
    pub recording: PathBuf,
    /// The annotated video [default: STEM_annotated.mp4 in the current folder]
    #[arg(long, short, value_name = "FILE.mp4")]
    pub out: Option<PathBuf>,
    /// Begin so many seconds into the recording
    #[arg(long, value_name = "SECS", value_parser = parse_seconds)]
    pub from: Option<Duration>,
    /// End so many seconds into the recording
    #[arg(long, value_name = "SECS", value_parser = parse_seconds)]
    pub to: Option<Duration>,
    /// The result lines [default: STEM.jsonl beside the recording]
    #[arg(long, value_name = "FILE.jsonl")]
    pub lines: Option<PathBuf>,
    /// Draw the zones and lines of this file (docs/zones.md) [default: those a clip remembers]
    #[arg(long, value_name = "FILE.toml")]
    pub zones: Option<PathBuf>,
    /// Length of the trail behind each object
    #[arg(long, value_name = "SECS", value_parser = parse_seconds, default_value = "2")]
    pub trail: Duration,
    /// What encodes
    #[arg(long, value_parser = choice(Encoder::ALL), default_value = "auto")]
    pub encoder: Encoder,
    /// Overwrite the annotated video if it exists
    #[arg(long)]
    pub force: bool,
}

/// What was written.
#[derive(Debug)]
pub struct Rendered {
    out: PathBuf,
    frames: u64,
    with_boxes: u64,
}

impl std::fmt::Display for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            out,
            frames,
            with_boxes,
        } = self;
        let out = out.display();
        write!(
            f,
            "{out}: {frames} frames, {with_boxes} of them with objects"
        )
    }
}

/// Runs the command.
///
/// # Errors
/// What is missing, or went wrong on the way, and what to do about it.
pub fn run(args: &RenderArgs) -> anyhow::Result<Rendered> {
    let video = &args.recording;
    if !video.is_file() {
        return Err(RenderError::NoVideo {
            path: video.clone(),
        }
        .into());
    }
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        return Err(RenderError::Empty { from, to }.into());
    }
    let out = out_of(args)?;
    let lines_path = args.lines.clone();
    let lines_path = lines_path.unwrap_or_else(|| video.with_extension("jsonl"));
    let lines = Lines::read(&lines_path, video)?;
    let overlay = match &args.zones {
        Some(file) => resolve::overlay(&config::load_zones(file)?),
        None => remembered(video)?,
    };
    let signals = Signals::listen().context("listening for signals")?;
    let mut options = RecordOptions::new(RecordTarget::File(out.clone()), RecordPace::Lossless);
    options.encoder = resolve::encoder(args.encoder);
    let annotate = AnnotateOptions {
        trail: args.trail,
        ..AnnotateOptions::default()
    };
    let camera = CameraId::new(lines.camera());
    let mut recorder = Recorder::new(
        options,
        camera.clone(),
        Box::new(|_| String::new()),
        Some(Annotator::new(annotate, lines.classes()).with_overlay(overlay)),
        Metrics::new(),
    )?;
    let mut rendered = Rendered {
        out,
        frames: 0,
        with_boxes: 0,
    };
    let shown = video.display().to_string();
    let mut progress = Progress::start(&shown);
    let from_ns = args.from.map_or(0, nanos);
    let to_ns = args.to.map_or(u64::MAX, nanos);
    let mut is_stopped = false;
    let mut lost = None;
    let read = film::frames_of(video, |frame, status| {
        let pts_ns = frame.meta.pts.0;
        if signals.came() {
            is_stopped = true;
            return film::Next::Stop;
        }
        if pts_ns > to_ns {
            return film::Next::Stop;
        }
        if pts_ns < from_ns {
            return film::Next::Go;
        }
        let result = lines.result_at(frame, &camera);
        rendered.with_boxes += u64::from(!result.tracks.is_empty());
        if let Pushed::Dropped(reason) = recorder.push(&result) {
            lost = Some(reason);
            return film::Next::Stop;
        }
        rendered.frames += 1;
        progress.update(rendered.frames, total(status, args));
        film::Next::Go
    });
    progress.finish();
    let segments = recorder.finish();
    read?;
    let failure = segments.iter().find_map(|it| it.failure.clone());
    if let Some(failure) = failure.or(lost.map(|reason| reason.as_str().to_owned())) {
        let out = rendered.out.display();
        bail!("{out}: the annotated video is incomplete: {failure}");
    }
    if is_stopped {
        let out = rendered.out.display();
        bail!("stopped; {out} goes up to there");
    }
    if rendered.frames == 0 {
        return Err(RenderError::Nothing {
            path: video.clone(),
        }
        .into());
    }
    Ok(rendered)
}

/// Where the annotated video goes: not over the recording, and over another file only if that is
/// wanted.
fn out_of(args: &RenderArgs) -> Result<PathBuf, RenderError> {
    let stem = args.recording.file_stem().unwrap_or_default();
    let default = || PathBuf::from(format!("{}_annotated.mp4", stem.to_string_lossy()));
    let out = args.out.clone().unwrap_or_else(default);
    let is_same = |path: &Path| {
        let (one, other) = (path.canonicalize(), args.recording.canonicalize());
        matches!((one, other), (Ok(one), Ok(other)) if one == other)
    };
    if is_same(&out) {
        return Err(RenderError::Itself { path: out });
    }
    if out.exists() && !args.force {
        return Err(RenderError::Exists { path: out });
    }
    Ok(out)
}

/// The zones and lines that a clip remembers; none where there is no description.
fn remembered(video: &Path) -> Result<Overlay, RenderError> {
    #[derive(serde::Deserialize)]
    struct Description {
        scenery: Scenery,
    }
    let path = sidecar_of(video);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Overlay::default());
        }
        Err(source) => return Err(RenderError::Read { path, source }),
    };
    let Scenery {
        zones,
        lines,
        outlines,
    } = match serde_json::from_slice::<Description>(&text) {
        Ok(description) => description.scenery,
        Err(error) => {
            let fault = error.to_string();
            return Err(RenderError::Description { path, fault });
        }
    };
    let places = |named: Vec<(String, Vec<[f32; 2]>)>| {
        let place = |(name, points)| Place { name, points };
        named.into_iter().map(place).collect()
    };
    Ok(Overlay {
        zones: places(zones),
        lines: places(lines),
        outlines,
    })
}

/// Frames that will be written, where that can be known.
fn total(status: &StatusHandle, args: &RenderArgs) -> Option<u64> {
    let status = status.snapshot();
    let length = status.duration?.min(args.to.unwrap_or(Duration::MAX));
    let length = length.saturating_sub(args.from.unwrap_or_default());
    let frames = NonZeroU64::new((length.as_secs_f64() * status.fps?).round() as u64)?;
    Some(frames.get())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
