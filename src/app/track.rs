//! `gantryd track`: inputs once through the frame path, into video, JSON lines and MOT text.

use std::collections::HashMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::cli::TrackArgs;
use super::pipeline::{CameraPlan, Outlet, Pipeline, PipelineOptions, Published, WhenFull};
use super::progress::Progress;
use super::resolve;
use super::signals::Signals;
use super::summary::{Summary, Tally, process_cpu_time};
use super::writers::{self, OneShotText};
use crate::base::{CameraId, DropReason, Metrics, Stage, StopSource, Worker};
use crate::capture::{CameraEnd, CameraOptions, Source};
use crate::perception::detect::{DetectOptions, ModelFiles};
use crate::perception::track::TrackOptions;
use crate::sinks::annotate::{AnnotateOptions, Annotator};
use crate::sinks::publish::PublishError;
use crate::sinks::record::{RecordOptions, RecordPace, RecordTarget, Recorder, SegmentInfo};

/// Results that may wait for the text files.
const TEXT_QUEUE: usize = 64;

/// Pictures that may wait for the annotator.
const PICTURE_QUEUE: usize = 4;

/// How often progress and signals are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Time for the threads to end once the last camera has: what is queued is still encoded.
const FINISH_WITHIN: Duration = Duration::from_secs(300);

/// One input of the command.
#[derive(Debug)]
struct Input {
    text: String,
    stem: String,
    camera: CameraOptions,
}

/// What every input shares.
#[derive(Debug)]
struct Shared<'a> {
    args: &'a TrackArgs,
    model: ModelFiles,
    detect: DetectOptions,
    signals: Signals,
}

/// Runs the command. Files are processed one after the other, live inputs side by side.
///
/// # Errors
/// What cannot be done at all; an input that fails is reported and the others are still done,
/// and the command fails at the end.
pub fn run(args: &TrackArgs) -> anyhow::Result<()> {
    let inputs = inputs(args)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("creating the output folder {}", args.out.display()))?;
    let shared = Shared {
        args,
        model: resolve::model(args.detect.model.as_ref())?,
        detect: resolve::detect_from_args(&args.detect),
        signals: Signals::listen().context("listening for signals")?,
    };
    let (live, files): (Vec<Input>, Vec<Input>) = inputs
        .into_iter()
        .partition(|input| input.camera.source.is_live());

    let mut failed: Vec<anyhow::Error> = Vec::new();
    for input in files {
        if shared.signals.came() {
            break;
        }
        failed.extend(shared.process(input).err());
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = live
            .into_iter()
            .map(|input| scope.spawn(|| shared.process(input)))
            .collect();
        for input in running {
            match input.join() {
                Ok(result) => failed.extend(result.err()),
                Err(_) => failed.push(anyhow!("a thread panicked; this is a bug in gantryd")),
            }
        }
    });
    let Some(last) = failed.pop() else {
        return Ok(());
    };
    for error in failed {
        // A closed stderr leaves nobody to tell.
        drop(writeln!(std::io::stderr(), "gantryd: {error:#}"));
    }
    Err(last)
}

/// The inputs as cameras; inputs of one name get `-2`, `-3`, … so that no result is overwritten.
fn inputs(args: &TrackArgs) -> anyhow::Result<Vec<Input>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    args.inputs
        .iter()
        .map(|text| {
            let source = Source::parse(text)?;
            let mut stem = source.stem();
            let count = seen.entry(stem.clone()).or_default();
            *count += 1;
            if *count > 1 {
                stem = format!("{stem}-{count}");
            }
            let shown = source.to_string();
            let id = CameraId::new(&stem);
            let camera = resolve::camera_from_args(id, source, &args.source, args.max_frames)
                .context("reading --password-file")?;
            Ok(Input {
                text: shown,
                stem,
                camera,
            })
        })
        .collect()
}

/// The threads behind the tracker, and what they will report.
struct Sinks {
    outlets: Vec<Outlet>,
    text: Receiver<(Tally, Result<(), PublishError>)>,
    video: Option<Receiver<Vec<SegmentInfo>>>,
}

/// One input on its way.
struct Job<'a> {
    stem: &'a str,
    camera: &'a CameraId,
    lossless: bool,
    classes: &'a Arc<[String]>,
    metrics: &'a Arc<Metrics>,
}

impl Shared<'_> {
    fn process(&self, input: Input) -> anyhow::Result<()> {
        self.refuse_overwriting(&input)?;
        let started = Instant::now();
        let cpu_before = process_cpu_time();
        let metrics = Metrics::new();
        let camera_id = input.camera.id.clone();
        let lossless = input.camera.lossless;
        let stop = StopSource::default();
        let prepared = Pipeline::prepare(self.options(input.camera))?;
        let classes = prepared.class_names();
        let model = format!(
            "{} on {}, {} session(s)",
            self.model.id,
            prepared.provider(),
            prepared.detect_workers()
        );
        let job = Job {
            stem: &input.stem,
            camera: &camera_id,
            lossless,
            classes: &classes,
            metrics: &metrics,
        };
        let sinks = self.start_sinks(&job, &stop)?;
        let pipeline = prepared.start(sinks.outlets, Arc::clone(&metrics), stop)?;

        let end = self.watch(&pipeline, &input.text);
        let late = pipeline.join_until(Instant::now() + FINISH_WITHIN)?;
        if !late.is_empty() {
            bail!(
                "{}: threads that did not end: {}",
                input.text,
                late.join(", ")
            );
        }
        let (tally, text_result) = sinks
            .text
            .recv()
            .context("the thread of the text files is gone")?;
        let segments = sinks
            .video
            .and_then(|video| video.recv().ok())
            .unwrap_or_default();

        let encoder_slow =
            metrics.results_dropped(&camera_id, Stage::Record, DropReason::EncoderSlow);
        let summary = Summary {
            input: &input.text,
            model,
            tally: &tally,
            classes: &classes,
            balance: metrics.balance(&camera_id),
            not_recorded: encoder_slow,
            metrics: &metrics,
            elapsed: started.elapsed(),
            process_cpu: process_cpu_time().saturating_sub(cpu_before),
            files: self.files(&input.stem, &segments, tally.frames()),
        };
        if tally.frames() > 0 {
            writeln!(std::io::stdout(), "{}", summary.table()).context("printing the summary")?;
        }
        text_result?;
        if let Some(failure) = segments
            .iter()
            .find_map(|segment| segment.failure.as_deref())
        {
            bail!(
                "{}: the annotated video is incomplete: {failure}",
                input.text
            );
        }
        let expects_video = !self.args.no_video && tally.frames() > 0;
        if expects_video && segments.is_empty() {
            bail!("{}: no annotated video could be written", input.text);
        }
        match end.and_then(|end| end.error) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// An input that is read and written at once would be destroyed.
    fn refuse_overwriting(&self, input: &Input) -> anyhow::Result<()> {
        let Source::File(file) = &input.camera.source else {
            return Ok(());
        };
        let outputs = ["mp4", "jsonl", "mot.txt"].map(|end| self.output(&input.stem, end));
        let same = |output: &PathBuf| {
            let (output, file) = (output.canonicalize(), file.canonicalize());
            matches!((output, file), (Ok(output), Ok(file)) if output == file)
        };
        match outputs.iter().find(|output| same(output)) {
            Some(output) => bail!(
                "{} would overwrite its own input; name another --out",
                output.display()
            ),
            None => Ok(()),
        }
    }

    fn output(&self, stem: &str, end: &str) -> PathBuf {
        self.args.out.join(format!("{stem}.{end}"))
    }

    /// Waits for the end of the input, showing progress and handing on a signal.
    fn watch(&self, pipeline: &Pipeline, name: &str) -> Option<CameraEnd> {
        let (id, status) = &pipeline.cameras()[0];
        let mut progress = Progress::start(name);
        let mut last = None;
        loop {
            match pipeline.ends().recv_timeout(TICK) {
                Ok(end) => last = Some(end),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.signals.came() {
                pipeline.stop_source().stop();
            }
            let status = status.snapshot();
            let by_length = status.duration.zip(status.fps);
            let total = by_length.map(|(length, fps)| (length.as_secs_f64() * fps).round() as u64);
            let wanted = self.args.max_frames.map(std::num::NonZeroU64::get);
            let total = total.into_iter().chain(wanted).min();
            progress.update(pipeline.metrics().balance(id).processed, total);
        }
        progress.finish();
        last
    }

    fn options(&self, camera: CameraOptions) -> PipelineOptions {
        let detect = &self.args.detect;
        PipelineOptions {
            cameras: vec![CameraPlan {
                capture: camera,
                classes: detect.classes.clone(),
                confidence: detect.conf.map(|conf| conf as f32),
            }],
            model: self.model.clone(),
            detect: self.detect.clone(),
            workers: detect
                .workers
                .and_then(|count| NonZeroUsize::try_from(count).ok()),
            track: TrackOptions::default(),
        }
    }

    fn start_sinks(&self, job: &Job<'_>, stop: &StopSource) -> anyhow::Result<Sinks> {
        let when_full = if job.lossless {
            WhenFull::Wait
        } else {
            WhenFull::Drop
        };
        let (sender, results) = bounded(TEXT_QUEUE);
        let mut outlets = vec![Outlet::new(sender, when_full)];
        let text = self.start_text(job, results, stop)?;
        let mut video = None;
        if !self.args.no_video {
            let (sender, results) = bounded(PICTURE_QUEUE);
            outlets.push(
                Outlet::new(sender, when_full)
                    .of(job.camera.clone())
                    .with_pictures(),
            );
            video = Some(self.start_video(job, results)?);
        }
        Ok(Sinks {
            outlets,
            text,
            video,
        })
    }

    fn start_text(
        &self,
        job: &Job<'_>,
        results: Receiver<Published>,
        stop: &StopSource,
    ) -> anyhow::Result<Receiver<(Tally, Result<(), PublishError>)>> {
        let (report, reported) = bounded(1);
        let text = OneShotText::new(&self.args.out, job.stem);
        let (classes, metrics) = (Arc::clone(job.classes), Arc::clone(job.metrics));
        let stop = stop.clone();
        let write = move || {
            let mut tally = Tally::default();
            let result = text.run(&results, &classes, &metrics, &mut tally);
            if result.is_err() {
                stop.stop();
            }
            // Nobody waits for the report after a failed start.
            drop(report.send((tally, result)));
        };
        Worker::spawn("publish", write, |_| {}).context("starting thread publish")?;
        Ok(reported)
    }

    fn start_video(
        &self,
        job: &Job<'_>,
        results: Receiver<Published>,
    ) -> anyhow::Result<Receiver<Vec<SegmentInfo>>> {
        let pace = if job.lossless {
            RecordPace::Lossless
        } else {
            RecordPace::Live
        };
        let path = self.output(job.stem, "mp4");
        let mut options = RecordOptions::new(RecordTarget::File(path), pace);
        options.encoder = resolve::encoder(self.args.encoder);
        let recorder = Recorder::new(
            options,
            job.camera.clone(),
            writers::sidecar_line(Arc::clone(job.classes)),
            Some(Annotator::new(
                AnnotateOptions::default(),
                Arc::clone(job.classes),
            )),
            Arc::clone(job.metrics),
        )?;
        let (report, reported) = bounded(1);
        let record = move || drop(report.send(writers::record(recorder, &results)));
        Worker::spawn("annot-0", record, |_| {}).context("starting thread annot-0")?;
        Ok(reported)
    }

    fn files(&self, stem: &str, segments: &[SegmentInfo], frames: u64) -> Vec<(String, String)> {
        let shown = |path: PathBuf| path.display().to_string();
        let mut files: Vec<(String, String)> = segments
            .iter()
            .map(|segment| ("video".to_owned(), shown(segment.path.clone())))
            .collect();
        if frames > 0 {
            files.push(("results".to_owned(), shown(self.output(stem, "jsonl"))));
            files.push(("MOT text".to_owned(), shown(self.output(stem, "mot.txt"))));
        }
        files
    }
}
