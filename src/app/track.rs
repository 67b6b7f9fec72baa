//! `gantryd track`: inputs once through the frame path, into video, JSON lines and MOT text.

use std::collections::BTreeSet;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::cli::TrackArgs;
use super::config::{self, MotionSource};
use super::events::{OneShotEvents, RecordingLog};
use super::pipeline::{
    CameraPlan, EventOutlet, GIVE_UP, Outlet, Pipeline, PipelineError, PipelineOptions, Published,
    WhenFull,
};
use super::progress::Progress;
use super::signals::Signals;
use super::summary::{EventTally, Summary, Tally, process_cpu_time};
use super::writers::{self, OneShotText};
use super::{accelerator, resolve};
use crate::base::{CameraId, DropReason, Event, Metrics, Stage, StopSource, Worker, WorkerEnd};
use crate::capture::{CameraEnd, CameraOptions, Source};
use crate::perception::detect::{DetectOptions, ModelFiles};
use crate::perception::track::TrackOptions;
use crate::perception::zones::ZonesPlan;
use crate::sinks::annotate::{AnnotateOptions, Annotator};
use crate::sinks::publish::PublishError;
use crate::sinks::record::{RecordOptions, RecordPace, RecordTarget, Recorder, SegmentInfo};

/// Results that may wait for the text files.
const TEXT_QUEUE: usize = 64;

/// Pictures that may wait for the annotator.
const PICTURE_QUEUE: usize = 8;

/// Events that may wait for their file.
const EVENT_QUEUE: usize = 1024;

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
    zones: ZonesPlan,
    signals: Signals,
    /// Live inputs that share the cores.
    side_by_side: usize,
}

/// Runs the command. Files are processed one after the other, live inputs side by side.
///
/// # Errors
/// What cannot be done at all; an input that fails is reported and the others are still done,
/// and the command fails at the end.
pub fn run(args: &TrackArgs) -> anyhow::Result<()> {
    let inputs = inputs(args)?;
    let zones = match &args.zones {
        Some(file) => config::load_zones(file)?,
        None => ZonesPlan::default(),
    };
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("creating the output folder {}", args.out.display()))?;
    let mut shared = Shared {
        args,
        model: resolve::model(args.detect.model.as_ref())?,
        detect: DetectOptions {
            reid: resolve::reid(args.detect.reid.as_ref())?,
            ..resolve::detect_from_args(&args.detect)
        },
        zones,
        signals: Signals::listen().context("listening for signals")?,
        side_by_side: 1,
    };
    let (live, files): (Vec<Input>, Vec<Input>) = inputs
        .into_iter()
        .partition(|input| input.camera.source.is_live());

    let mut failed: Vec<anyhow::Error> = Vec::new();
    shared.side_by_side = live.len().max(1);
    // While a CUDA graph is recorded, nobody else may ask for memory of the card.
    shared.detect.providers.cuda.graphs &= shared.side_by_side == 1;
    for input in files {
        if shared.signals.came() {
            // A closed stderr leaves nobody to tell.
            drop(writeln!(
                std::io::stderr(),
                "gantryd: stopped, not processed: {}",
                input.text
            ));
            continue;
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
                Err(_) => failed.push(
                    PipelineError::Panic {
                        thread: "input".to_owned(),
                        message: "see the log".to_owned(),
                    }
                    .into(),
                ),
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
    let mut taken = BTreeSet::new();
    let mut inputs = Vec::new();
    for text in &args.inputs {
        let source = Source::parse(text)?;
        let stem = source.stem();
        let mut unused = stem.clone();
        let mut number = 1;
        while !taken.insert(unused.clone()) {
            number += 1;
            unused = format!("{stem}-{number}");
        }
        let shown = source.to_string();
        let id = CameraId::new(&unused);
        let mut camera = resolve::camera_from_args(id, source, &args.source, args.max_frames)
            .context("reading --password-file")?;
        camera.card = args.detect.zero_copy.then_some(args.detect.device);
        inputs.push(Input {
            text: shown,
            stem: unused,
            camera,
        });
    }
    refuse_overwriting(args, &inputs)?;
    Ok(inputs)
}

/// An input that is read and written at once would be destroyed.
fn refuse_overwriting(args: &TrackArgs, inputs: &[Input]) -> anyhow::Result<()> {
    let files: Vec<PathBuf> = inputs
        .iter()
        .filter_map(|input| match &input.camera.source {
            Source::File(file) => file.canonicalize().ok(),
            _ => None,
        })
        .collect();
    for input in inputs {
        for end in ["mp4", "jsonl", "mot.txt", "decisions.jsonl", "events.jsonl"] {
            let output = args.out.join(format!("{}.{end}", input.stem));
            if output
                .canonicalize()
                .is_ok_and(|output| files.contains(&output))
            {
                bail!(
                    "{} is an input and would be overwritten; name another --out",
                    output.display()
                );
            }
        }
    }
    Ok(())
}

/// The threads behind the tracker, and what they will report.
struct Sinks {
    outlets: Vec<Outlet>,
    text: (Worker, Receiver<TextReport>),
    video: Option<(Worker, Receiver<Vec<SegmentInfo>>)>,
    events: Option<(EventOutlet, Worker, Receiver<EventReport>)>,
}

/// What the events came to.
type EventReport = (EventTally, Result<(), PublishError>);

/// What the text files came to.
type TextReport = (Tally, Result<(), PublishError>);

/// One input on its way.
struct Job<'a> {
    stem: &'a str,
    camera: &'a CameraId,
    lossless: bool,
    classes: &'a Arc<[String]>,
    metrics: &'a Arc<Metrics>,
}

/// A thread that ends the whole run if it panics.
fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
    stop: &StopSource,
) -> anyhow::Result<Worker> {
    let stop = stop.clone();
    Worker::spawn(name, work, move |_| stop.stop())
        .with_context(|| format!("starting thread {name}"))
}

/// What a thread reports as its last act, or its panic.
fn reported<T>((worker, report): (Worker, Receiver<T>)) -> anyhow::Result<T> {
    let report = report.recv();
    let thread = worker.name().to_owned();
    match (report, worker.join_until(Instant::now() + FINISH_WITHIN)) {
        (_, WorkerEnd::Panicked(message)) => Err(PipelineError::Panic { thread, message }.into()),
        (Ok(report), _) => Ok(report),
        (Err(_), _) => bail!("thread {thread} ended without a report"),
    }
}

impl Shared<'_> {
    fn process(&self, input: Input) -> anyhow::Result<()> {
        let started = Instant::now();
        let cpu_before = process_cpu_time();
        let metrics = Metrics::new();
        let camera_id = input.camera.id.clone();
        let lossless = input.camera.lossless;
        let stop = StopSource::default();
        let options = self.options(input.camera);
        let detect = options.detect.clone();
        let prepared = Pipeline::prepare(options)?;
        let used = prepared.provider().used;
        accelerator::prove_at_start(&self.model, &detect, used, self.args.detect.proof)?;
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
        let (event_outlets, events) = match sinks.events {
            Some((outlet, worker, report)) => (vec![outlet], Some((worker, report))),
            None => (Vec::new(), None),
        };
        let prepared = prepared.with_event_outlets(event_outlets);
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
        let (tally, text_result) = reported(sinks.text)?;
        let segments = sinks.video.map_or_else(|| Ok(Vec::new()), reported)?;
        let events = events.map(reported).transpose()?;
        let (counts, events_result) =
            events.map_or((None, Ok(())), |(tally, result)| (Some(tally), result));

        let lost = |stage: Stage, reasons: &[DropReason]| -> u64 {
            let count = |reason: &DropReason| metrics.results_dropped(&camera_id, stage, *reason);
            reasons.iter().map(count).sum()
        };
        let at_reader = [DropReason::SinkSlow, DropReason::SinkFailed];
        let at_encoder = [DropReason::EncoderSlow, DropReason::SinkFailed];
        let not_recorded = lost(Stage::Annotate, &at_reader) + lost(Stage::Record, &at_encoder);
        let not_written = lost(Stage::Publish, &at_reader);
        let summary = Summary {
            input: &input.text,
            camera: &camera_id,
            model,
            tally: &tally,
            counts: counts.as_ref(),
            classes: &classes,
            balance: metrics.balance(&camera_id),
            not_recorded,
            not_written,
            events_lost: metrics.zones().events_dropped(&camera_id),
            rejected: metrics.rejected_detections(&camera_id),
            metrics: &metrics,
            elapsed: started.elapsed(),
            process_cpu: process_cpu_time().saturating_sub(cpu_before),
            files: self.files(&input.stem, &segments, tally.frames()),
        };
        if tally.frames() > 0 {
            writeln!(std::io::stdout(), "{}", summary.table()).context("printing the summary")?;
        }
        text_result?;
        events_result?;
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
                zones: self.zones.clone(),
                privacy: crate::sinks::annotate::PrivacyRules::default(),
            }],
            model: self.model.clone(),
            detect: self.detect.clone(),
            workers: detect
                .workers
                .and_then(|count| NonZeroUsize::try_from(count).ok())
                .or_else(|| self.share_of_cores()),
            batch: None,
            batch_wait: Duration::ZERO,
            give_up: GIVE_UP,
            track: TrackOptions {
                record_decisions: self.args.decisions,
                vote_on_camera: self.args.camera_motion != MotionSource::Off,
                ..TrackOptions::default()
            },
            motion_from_image: self.args.camera_motion == MotionSource::Image,
            schedule: detect.every,
        }
    }

    /// Sessions of each of several live inputs: together they must not outnumber the cores.
    fn share_of_cores(&self) -> Option<NonZeroUsize> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = NonZeroUsize::new(cores / self.side_by_side).unwrap_or(NonZeroUsize::MIN);
        (self.side_by_side > 1).then_some(share)
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
        let (mut video, mut log) = (None, None);
        if !self.args.no_video {
            let (sender, results) = bounded(PICTURE_QUEUE);
            outlets.push(
                Outlet::new(sender, when_full)
                    .of(job.camera.clone())
                    .with_pictures(),
            );
            log = (!self.zones.is_empty()).then(Arc::<RecordingLog>::default);
            video = Some(self.start_video(job, results, log.clone(), stop)?);
        }
        let events = if self.zones.is_empty() {
            None
        } else {
            Some(self.start_events(job, when_full, log, stop)?)
        };
        Ok(Sinks {
            outlets,
            text,
            video,
            events,
        })
    }

    fn start_text(
        &self,
        job: &Job<'_>,
        results: Receiver<Published>,
        stop: &StopSource,
    ) -> anyhow::Result<(Worker, Receiver<TextReport>)> {
        let (report, reported) = bounded(1);
        let decisions = self.args.decisions;
        let decisions = decisions.then(|| self.output(job.stem, "decisions.jsonl"));
        let text = OneShotText::new(&self.args.out, job.stem).with_decisions(decisions);
        let (classes, metrics) = (Arc::clone(job.classes), Arc::clone(job.metrics));
        let to_stop = stop.clone();
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
        let worker = spawn("publish", write, &to_stop)?;
        Ok((worker, reported))
    }

    fn start_events(
        &self,
        job: &Job<'_>,
        when_full: WhenFull,
        log: Option<Arc<RecordingLog>>,
        stop: &StopSource,
    ) -> anyhow::Result<(EventOutlet, Worker, Receiver<EventReport>)> {
        let (sender, events) = bounded::<Event>(EVENT_QUEUE);
        let outlet = EventOutlet::new(sender, when_full, job.camera.clone());
        let (report, reported) = bounded(1);
        let writer = OneShotEvents::new(self.output(job.stem, "events.jsonl"), log, job.lossless);
        let (classes, metrics) = (Arc::clone(job.classes), Arc::clone(job.metrics));
        let (camera, mut tally) = (job.camera.clone(), EventTally::new(&self.zones));
        let to_stop = stop.clone();
        let write = move || {
            let result = writer.run(&events, &classes, &camera, &metrics, &mut tally);
            if result.is_err() {
                to_stop.stop();
            }
            // Nobody waits for the report after a failed start.
            drop(report.send((tally, result)));
        };
        Ok((outlet, spawn("events", write, stop)?, reported))
    }

    fn start_video(
        &self,
        job: &Job<'_>,
        results: Receiver<Published>,
        log: Option<Arc<RecordingLog>>,
        stop: &StopSource,
    ) -> anyhow::Result<(Worker, Receiver<Vec<SegmentInfo>>)> {
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
            Some(
                Annotator::new(AnnotateOptions::default(), Arc::clone(job.classes))
                    .with_overlay(resolve::overlay(&self.zones)),
            ),
            Arc::clone(job.metrics),
        )?;
        let (report, reported) = bounded(1);
        let record = move || drop(report.send(writers::record(recorder, &results, log)));
        let worker = spawn("annot-0", record, stop)?;
        Ok((worker, reported))
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
            if self.args.decisions {
                let path = self.output(stem, "decisions.jsonl");
                files.push(("decisions".to_owned(), shown(path)));
            }
            if !self.zones.is_empty() {
                files.push((
                    "events".to_owned(),
                    shown(self.output(stem, "events.jsonl")),
                ));
            }
        }
        files
    }
}
