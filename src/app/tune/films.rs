//! Labelled sequences from films: the detector sees each frame once, then the tracker is replayed.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossbeam_channel::RecvTimeoutError;

use super::TuneArgs;
use super::error::TuneError;
use super::files;
use super::labelled::{SeenFrame, Sequence};
use crate::app::config::{Config, ModelRef};
use crate::app::pipeline::{CameraPlan, Pipeline, PipelineOptions, Published};
use crate::app::progress::Progress;
use crate::app::replay::DEFAULT_FPS;
use crate::app::resolve;
use crate::app::signals::Signals;
use crate::app::simulate::{self, SimulateArgs};
use crate::base::{CameraId, Detection, FrameDecisions, RunId, Size};
use crate::capture::{CameraOptions, Source};
use crate::perception::detect::{DetectOptions, ModelFiles};
use crate::perception::track::TrackOptions;
use crate::tools::evaluate::{Benchmark, Class};

/// How often signals are looked at.
const TICK: Duration = Duration::from_millis(100);
/// The threads must have ended this long after the last frame.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// What looks at the films.
pub struct Detector<'a> {
    args: &'a TuneArgs,
    model: ModelFiles,
    detect: DetectOptions,
    classes: Vec<String>,
    signals: &'a Signals,
}

impl<'a> Detector<'a> {
    /// That of the command line, or of the configuration where it names none.
    ///
    /// # Errors
    /// A model that is not there.
    pub fn new(
        args: &'a TuneArgs,
        config: Option<&Config>,
        signals: &'a Signals,
    ) -> anyhow::Result<Self> {
        let given = &args.detect;
        let configured: Option<&ModelRef> = config.map(|config| &config.detect.model);
        let classes = match config {
            Some(config) if given.classes.is_empty() => config.detect.classes.clone(),
            _ => given.classes.clone(),
        };
        Ok(Self {
            args,
            model: resolve::model(given.model.as_ref().or(configured))?,
            detect: config.map_or_else(
                || resolve::detect_from_args(given),
                resolve::detect_from_config,
            ),
            classes,
            signals,
        })
    }

    /// The labelled film as the only sequence.
    ///
    /// # Errors
    /// A film that cannot be read, or a truth that cannot be its own.
    pub fn labelled(&self, video: &Path, gt: &Path) -> anyhow::Result<Sequence> {
        let stem = video.file_stem().unwrap_or(video.as_os_str());
        let name = stem.to_string_lossy().into_owned();
        // The truth first: a fault in it is told before the long work.
        let (mut truth, _) = files::truth(gt, Benchmark::Plain, Class::All, None)?;
        let (seen, size) = self.seen(video, &name)?;
        let frames = seen.len() as u64;
        let last = truth.boxes.iter().map(|bbox| bbox.frame + 1).max();
        if let Some(last) = last.filter(|last| *last > frames) {
            return Err(TuneError::LongTruth {
                path: gt.to_owned(),
                last,
                video: video.to_owned(),
                frames,
            }
            .into());
        }
        truth.frames = frames;
        let secs = seen.last().map_or(0.0, |frame| frame.pts.0 as f64 / 1e9);
        let fps = if secs > 0.0 {
            (frames - 1) as f64 / secs
        } else {
            DEFAULT_FPS
        };
        Ok(Sequence {
            name,
            fps,
            size,
            seen,
            truth,
        })
    }

    /// Films of `scene` with their truth, each of its own seed.
    ///
    /// # Errors
    /// If a film cannot be made or looked at.
    pub fn simulated(&self, scene: &str) -> anyhow::Result<Vec<Sequence>> {
        let folder = tempfile::tempdir().context("making a folder for the films")?;
        let mut sequences = Vec::new();
        for number in 0..u64::from(self.args.clips.get()) {
            let seed = self.args.seed.wrapping_add(number);
            let name = format!("{scene}-{seed}");
            let video = folder.path().join(format!("{name}.mp4"));
            let gt = folder.path().join(format!("{name}.txt"));
            let film =
                SimulateArgs::of_film(scene, seed, self.args.seconds, video.clone(), gt.clone());
            simulate::film(&film, self.signals)?;
            if self.signals.came() {
                return Err(TuneError::StoppedAtOnce.into());
            }
            sequences.push(self.labelled(&video, &gt)?);
        }
        Ok(sequences)
    }

    /// What the detector sees in every frame, and the size of the frames.
    fn seen(&self, video: &Path, name: &str) -> anyhow::Result<(Vec<SeenFrame>, Option<Size>)> {
        let source = Source::parse(&video.to_string_lossy())?;
        if !matches!(source, Source::File(_)) {
            bail!(
                "--video {}: not a file; tune needs one to label",
                video.display()
            );
        }
        let pipeline = Pipeline::start(PipelineOptions {
            detect: self.detect.clone(),
            workers: self
                .args
                .detect
                .workers
                .and_then(|count| NonZeroUsize::try_from(count).ok()),
            // The record of the decisions holds what the tracker was given.
            track: TrackOptions {
                record_decisions: true,
                low_score: 0.0,
                ..TrackOptions::default()
            },
            ..PipelineOptions::new(
                vec![CameraPlan {
                    classes: self.classes.clone(),
                    ..CameraPlan::new(CameraOptions::new(CameraId::new(name), source))
                }],
                self.model.clone(),
            )
        })?;
        let read = self.read(&pipeline, name);
        pipeline.stop_source().stop();
        // After a stop the tracker may wait with a result that nobody reads any more.
        pipeline.results().iter().for_each(drop);
        let ends: Vec<_> = pipeline.ends().try_iter().collect();
        let late = pipeline.join_until(Instant::now() + STOP_WITHIN)?;
        let read = read?;
        if let Some(error) = ends.into_iter().find_map(|end| end.error) {
            return Err(error).with_context(|| format!("--video {}", video.display()));
        }
        if !late.is_empty() {
            bail!("threads that did not end: {}", late.join(", "));
        }
        Ok(read)
    }

    fn read(
        &self,
        pipeline: &Pipeline,
        name: &str,
    ) -> anyhow::Result<(Vec<SeenFrame>, Option<Size>)> {
        let mut progress = Progress::start(&format!("{name}: detections"));
        let (mut seen, mut size) = (Vec::new(), None);
        let mut run: Option<RunId> = None;
        loop {
            let frame = match pipeline.results().recv_timeout(TICK) {
                Ok(Published::Frame(frame)) => frame,
                Ok(_notice) => continue,
                Err(RecvTimeoutError::Timeout) if self.signals.came() => {
                    return Err(TuneError::StoppedAtOnce.into());
                }
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if self.signals.came() {
                return Err(TuneError::StoppedAtOnce.into());
            }
            if *run.get_or_insert(frame.meta.run) != frame.meta.run {
                bail!("{name}: the picture changes its size within the film; cut it there");
            }
            size = Some(frame.meta.size);
            seen.push(SeenFrame {
                number: seen.len() as u64,
                pts: frame.meta.pts,
                detections: frame.decisions.as_deref().map(given).unwrap_or_default(),
            });
            progress.update(seen.len() as u64, None);
        }
        progress.finish();
        Ok((seen, size))
    }
}

fn given(decisions: &FrameDecisions) -> Vec<Detection> {
    let boxes = decisions.boxes.iter();
    boxes
        .map(|seen| Detection {
            bbox: seen.bbox,
            class: seen.class,
            confidence: seen.score,
            embedding: None,
        })
        .collect()
}
