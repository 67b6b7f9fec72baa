//! `gantryd bench`: what this machine can carry, measured through the whole frame path.

#[cfg(feature = "rtsp-server")]
mod chart;
#[cfg(feature = "rtsp-server")]
mod film;
#[cfg(feature = "rtsp-server")]
mod plan;
#[cfg(feature = "rtsp-server")]
mod report;
#[cfg(feature = "rtsp-server")]
mod search;
#[cfg(feature = "rtsp-server")]
mod serving;
#[cfg(feature = "rtsp-server")]
mod threads;
#[cfg(feature = "rtsp-server")]
mod trial;

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use comfy_table::{CellAlignment, Table, presets};
use crossbeam_channel::{Receiver, bounded};

use super::cli::BenchArgs;
use super::pipeline::{
    CameraPlan, GIVE_UP, Outlet, Pipeline, PipelineOptions, Published, WhenFull,
};
use super::signals::Signals;
use super::summary::process_cpu_time;
use super::{resolve, writers};
use crate::base::{CameraId, Metrics, Stage, StageStats, StopSource, Worker};
use crate::capture::{CameraOptions, Source};
use crate::perception::detect::DetectOptions;
use crate::perception::track::TrackOptions;
use crate::perception::zones::ZonesPlan;
use crate::sinks::annotate::{AnnotateOptions, Annotator};
use crate::sinks::record::{RecordOptions, RecordPace, RecordTarget, Recorder};

/// Frames every camera must have passed before measuring begins: decoders and caches are warm.
const WARM_UP_FRAMES: u64 = 20;

/// The longest that warming up may take.
const WARM_UP_LIMIT: Duration = Duration::from_secs(60);

/// The threads must have ended this long after the stop.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Results that may wait to be counted.
const RESULTS_QUEUE: usize = 256;

/// How often signals are looked at.
const TICK: Duration = Duration::from_millis(20);

/// Pictures per camera that may wait for the annotator.
const PICTURE_QUEUE: usize = 8;

/// The input where none is given: no decoder is in it.
const TEST_PICTURE: &str = "test:ball?size=1920x1080&fps=30";

/// Everything measured between two moments.
#[derive(Debug)]
struct Measured {
    wall: Duration,
    cpu: Duration,
    frames: u64,
    dropped: u64,
    stages: Vec<(Stage, StageStats)>,
    /// Sorted.
    ages: Vec<Duration>,
    resident_mib: f64,
}

/// Runs the benchmark and prints its table.
///
/// # Errors
/// If the input or the model cannot be used.
pub fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let signals = Signals::listen().context("listening for signals")?;
    if args.plan {
        let text = planned(args, &signals)?;
        return write!(std::io::stdout(), "{text}").context("printing the result");
    }
    let input = args.input.as_deref().unwrap_or(TEST_PICTURE);
    let options = options(args, captures(args, input)?)?;
    let ids: Vec<CameraId> = options
        .cameras
        .iter()
        .map(|plan| plan.capture.id.clone())
        .collect();
    let model = options.model.id.clone();
    let metrics = Metrics::new();
    let prepared = Pipeline::prepare(options)?;
    let setup = format!(
        "{model} on {}, {} session(s), {input}, {} camera(s){}",
        prepared.provider(),
        prepared.detect_workers(),
        args.streams,
        if args.video {
            ", annotated and encoded"
        } else {
            ""
        }
    );
    let stop = StopSource::default();
    let folder = std::env::temp_dir().join(format!("gantryd-bench-{}", std::process::id()));
    let (mut outlets, sinks) = start_sinks(
        args,
        &ids,
        &prepared.class_names(),
        &metrics,
        &folder,
        RecordPace::Lossless,
    )?;
    let (sender, results) = bounded(RESULTS_QUEUE);
    outlets.push(Outlet::new(sender, WhenFull::Wait));
    let pipeline = prepared.start(outlets, Arc::clone(&metrics), stop)?;

    let measured = warm_up(&pipeline, &results, &signals)
        .map(|()| measure(args, &metrics, &ids, &results, &signals));
    pipeline.stop_source().stop();
    // Nobody listens any more: the last results are lost on purpose.
    drop(results);
    let deadline = Instant::now() + STOP_WITHIN;
    let ends: Vec<_> = pipeline.ends().try_iter().collect();
    let late = pipeline.join_until(deadline)?;
    for sink in sinks {
        drop(sink.join_until(deadline));
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("removing {}", folder.display()))?;
    }
    if let Some(error) = ends.into_iter().find_map(|end| end.error) {
        return Err(error.into());
    }
    let measured = measured?;
    if !late.is_empty() {
        bail!("threads that did not end: {}", late.join(", "));
    }
    let table = table(&setup, &measured, args.streams.get());
    writeln!(std::io::stdout(), "{table}").context("printing the result")
}

#[cfg(feature = "rtsp-server")]
fn planned(args: &BenchArgs, signals: &Signals) -> anyhow::Result<String> {
    plan::run(args, signals)
}

#[cfg(not(feature = "rtsp-server"))]
fn planned(_args: &BenchArgs, _signals: &Signals) -> anyhow::Result<String> {
    bail!("this gantryd was built without RTSP server; build it with --features rtsp-server")
}

/// The same file for each camera, read again and again.
fn captures(args: &BenchArgs, input: &str) -> anyhow::Result<Vec<CameraOptions>> {
    let capture = |number| {
        let id = CameraId::new(&format!("bench-{number}"));
        let mut capture = CameraOptions::new(id, Source::parse(input)?);
        capture.decode_threads = Some(1);
        capture.repeat = true;
        capture.give_up_unseen = true;
        Ok(capture)
    };
    (0..args.streams.get()).map(capture).collect()
}

/// The frame path that is asked for, with these cameras.
fn options(args: &BenchArgs, captures: Vec<CameraOptions>) -> anyhow::Result<PipelineOptions> {
    let plan = |mut capture: CameraOptions| {
        capture.decode = resolve::decode(args.decode);
        capture.card = args.detect.zero_copy.then_some(args.detect.device);
        CameraPlan {
            capture,
            classes: args.detect.classes.clone(),
            confidence: args.detect.conf.map(|conf| conf as f32),
            zones: ZonesPlan::default(),
            privacy: crate::sinks::annotate::PrivacyRules::default(),
        }
    };
    let batch = args
        .batch
        .and_then(|count| NonZeroUsize::try_from(count).ok());
    let mut detect = resolve::detect_from_args(&args.detect);
    detect.max_batch = batch;
    detect.cameras = NonZeroUsize::new(captures.len()).unwrap_or(NonZeroUsize::MIN);
    Ok(PipelineOptions {
        cameras: captures.into_iter().map(plan).collect(),
        model: resolve::model(args.detect.model.as_ref())?,
        detect: DetectOptions {
            reid: resolve::reid(args.detect.reid.as_ref())?,
            ..detect
        },
        workers: args
            .detect
            .workers
            .and_then(|count| NonZeroUsize::try_from(count).ok()),
        batch,
        batch_wait: Duration::from_millis(args.batch_wait),
        give_up: GIVE_UP,
        track: TrackOptions::default(),
        motion_from_image: false,
        schedule: args.detect.every,
    })
}

/// With `--video` each camera is annotated and encoded into a folder that is removed afterwards;
/// without, results are counted and forgotten.
fn start_sinks(
    args: &BenchArgs,
    ids: &[CameraId],
    classes: &Arc<[String]>,
    metrics: &Arc<Metrics>,
    folder: &Path,
    pace: RecordPace,
) -> anyhow::Result<(Vec<Outlet>, Vec<Worker>)> {
    let mut outlets = Vec::new();
    let mut workers = Vec::new();
    if !args.video {
        return Ok((outlets, workers));
    }
    let when_full = match pace {
        RecordPace::Lossless => WhenFull::Wait,
        RecordPace::Live => WhenFull::Drop,
    };
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    for (number, id) in ids.iter().enumerate() {
        let target = RecordTarget::File(folder.join(format!("{id}.mp4")));
        let mut options = RecordOptions::new(target, pace);
        options.encoder = resolve::encoder(args.encoder);
        let recorder = Recorder::new(
            options,
            id.clone(),
            writers::sidecar_line(Arc::clone(classes)),
            Some(Annotator::new(
                AnnotateOptions::default(),
                Arc::clone(classes),
            )),
            Arc::clone(metrics),
        )?;
        let (sender, results) = bounded(PICTURE_QUEUE);
        outlets.push(
            Outlet::new(sender, when_full)
                .of(id.clone())
                .with_pictures(),
        );
        let record = move || drop(writers::record(recorder, &results, None));
        let name = format!("annot-{number}");
        workers.push(Worker::spawn(name, record, |_| {}).context("starting a thread")?);
    }
    Ok((outlets, workers))
}

fn warm_up(
    pipeline: &Pipeline,
    results: &Receiver<Published>,
    signals: &Signals,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let count = pipeline.cameras().len() as u64 * WARM_UP_FRAMES;
    let mut seen = 0;
    while seen < count {
        seen += u64::from(results.recv_timeout(TICK).is_ok());
        if signals.came() {
            bail!("stopped before anything was measured");
        }
        if !pipeline.ends().is_empty() || began.elapsed() > WARM_UP_LIMIT {
            let limit = WARM_UP_LIMIT.as_secs();
            bail!("the input did not give {WARM_UP_FRAMES} results within {limit} s");
        }
    }
    Ok(())
}

fn measure(
    args: &BenchArgs,
    metrics: &Metrics,
    ids: &[CameraId],
    results: &Receiver<Published>,
    signals: &Signals,
) -> Measured {
    let until = Instant::now() + Duration::from_secs(u64::from(args.seconds.get()));
    let dropped = || {
        ids.iter()
            .map(|id| metrics.balance(id).dropped)
            .sum::<u64>()
    };
    let stages = || Stage::ALL.map(|stage| (stage, metrics.stage_stats(stage)));
    let (began, cpu, lost, before) = (Instant::now(), process_cpu_time(), dropped(), stages());
    let mut ages = Vec::new();
    while Instant::now() < until && !signals.came() {
        if let Ok(Published::Frame(result)) = results.recv_timeout(TICK) {
            ages.push(result.timings.age);
        }
    }
    let wall = began.elapsed();
    let cpu = process_cpu_time().saturating_sub(cpu);
    let difference = |now: StageStats, then: StageStats| StageStats {
        count: now.count - then.count,
        wall: now.wall.saturating_sub(then.wall),
        cpu: now.cpu.saturating_sub(then.cpu),
    };
    ages.sort_unstable();
    Measured {
        wall,
        cpu,
        frames: ages.len() as u64,
        dropped: dropped() - lost,
        stages: stages()
            .into_iter()
            .zip(before)
            .map(|((stage, now), (_, then))| (stage, difference(now, then)))
            .collect(),
        ages,
        resident_mib: resident_mib(),
    }
}

fn resident_mib() -> f64 {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    let kib = status.ok().and_then(|status| status.vmrss).unwrap_or(0);
    kib as f64 / 1024.0
}

fn table(setup: &str, measured: &Measured, streams: u32) -> String {
    let frames = measured.frames.max(1) as f64;
    let per_frame = |time: Duration| time.as_secs_f64() * 1e3 / frames;
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["stage", "CPU ms per frame", "wall ms per frame"]);
    let mut ours = Duration::ZERO;
    for (stage, stats) in &measured.stages {
        if stats.count > 0 {
            ours += stats.cpu;
            table.add_row([
                stage.as_str().to_owned(),
                format!("{:.3}", per_frame(stats.cpu)),
                format!("{:.3}", per_frame(stats.wall)),
            ]);
        }
    }
    let rest = measured.cpu.saturating_sub(ours);
    table.add_row([
        "video (GStreamer) and rest".to_owned(),
        format!("{:.3}", per_frame(rest)),
    ]);
    table.add_row(["all".to_owned(), format!("{:.3}", per_frame(measured.cpu))]);
    for number in [1, 2] {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get) as f64;
    let fps = measured.frames as f64 / measured.wall.as_secs_f64();
    let possible = cores / (measured.cpu.as_secs_f64() / frames);
    let age = |part: f64| {
        let index = (measured.ages.len() as f64 * part) as usize;
        let age = measured
            .ages
            .get(index.min(measured.ages.len().saturating_sub(1)));
        age.map_or(0.0, |age| age.as_secs_f64() * 1e3)
    };
    format!(
        "{setup}\n{table}\n{fps:.1} fps in all, {:.1} per camera; efficiency {:.2} of {possible:.1} fps \
         ({cores} cores / CPU per frame); {:.0} MiB resident\n\
         age of a result p50 {:.1}, p95 {:.1}, p99 {:.1} ms; {} frames dropped",
        fps / f64::from(streams),
        fps / possible,
        measured.resident_mib,
        age(0.5),
        age(0.95),
        age(0.99),
        measured.dropped
    )
}
