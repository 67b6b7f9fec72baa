//! `gantryd run`: the daemon.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossbeam_channel::{RecvTimeoutError, bounded};

use super::config::{CameraConfig, Config, Listen};
use super::pipeline::{Outlet, Pipeline, PipelineOptions, WhenFull};
use super::signals::Signals;
use super::writers::{self, DaemonFormats, DaemonText};
use super::{resolve, service};
use crate::base::{CameraId, Metrics, StopSource, Worker, WorkerEnd};
use crate::capture::{CameraState, StatusHandle};
use crate::sinks::annotate::{AnnotateOptions, Annotator};
use crate::sinks::http::{Endpoint, Listening};
use crate::sinks::record::Recorder;

/// Results that may wait for the text files.
const TEXT_QUEUE: usize = 256;

/// Pictures per camera that may wait for the annotator.
const PICTURE_QUEUE: usize = 4;

/// How often signals and readiness are looked at.
const TICK: Duration = Duration::from_millis(100);

/// A connected camera without any progress in the process for this long is a fault.
const LIVENESS_LIMIT: Duration = Duration::from_secs(20);

/// Runs the daemon until it is told to stop or every camera has ended for good.
///
/// # Errors
/// What kept it from starting, or the first thing that went wrong in a thread.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let signals = Signals::listen().context("listening for signals")?;
    let metrics = Metrics::new();
    let listening = match config.metrics.listen {
        Listen::Off => None,
        Listen::At(address) => Some(Listening::bind(address)?),
    };
    let prepared = Pipeline::prepare(options(config)?)?;
    tracing::info!(
        model = %config.detect.model,
        provider = %prepared.provider(),
        sessions = prepared.detect_workers(),
        "detector ready"
    );

    let stop = StopSource::default();
    let classes = prepared.class_names();
    let (outlets, mut sinks) = start_sinks(config, &classes, &metrics, &stop)?;
    let pipeline = prepared.start(outlets, Arc::clone(&metrics), stop.clone())?;
    let cameras = Cameras::new(config, &pipeline);
    let services = start_services(listening, &cameras, &metrics, &stop)?;

    watch(config, &signals, &pipeline, &cameras);

    service::stopping();
    tracing::info!("stopping");
    stop.stop();
    let deadline = Instant::now() + config.service.shutdown_timeout;
    let mut late = pipeline.join_until(deadline)?;
    sinks.extend(services);
    for worker in sinks {
        let name = worker.name().to_owned();
        match worker.join_until(deadline) {
            WorkerEnd::Finished => {}
            WorkerEnd::StillRunning => late.push(name),
            WorkerEnd::Panicked(message) => bail!("thread {name} panicked: {message}"),
        }
    }
    if !late.is_empty() {
        let limit = config.service.shutdown_timeout.as_secs();
        bail!(
            "threads that did not end within {limit} s: {}",
            late.join(", ")
        );
    }
    tracing::info!("stopped");
    Ok(())
}

/// The frame path of a configuration.
///
/// # Errors
/// If its model is not known.
pub fn options(config: &Config) -> anyhow::Result<PipelineOptions> {
    let cameras = config.cameras.iter();
    Ok(PipelineOptions {
        cameras: cameras
            .map(|camera| resolve::camera_from_config(camera, config))
            .collect(),
        model: resolve::model(Some(&config.detect.model))?,
        detect: resolve::detect_from_config(config),
        workers: config
            .detect
            .workers
            .set()
            .and_then(|count| NonZeroUsize::new(count as usize)),
        track: resolve::track_from_config(&config.track),
    })
}

/// The threads at the end of the path, started first, and the outlets that feed them.
fn start_sinks(
    config: &Config,
    classes: &Arc<[String]>,
    metrics: &Arc<Metrics>,
    stop: &StopSource,
) -> anyhow::Result<(Vec<Outlet>, Vec<Worker>)> {
    let mut outlets = Vec::new();
    let mut workers = Vec::new();
    if config.output.jsonl || config.output.mot {
        let ids: Vec<CameraId> = config
            .cameras
            .iter()
            .map(|camera| camera.id.clone())
            .collect();
        let formats = DaemonFormats {
            jsonl: config.output.jsonl,
            mot: config.output.mot,
            max_bytes: u64::from(config.output.rotate_mib) * 1024 * 1024,
        };
        let text = DaemonText::new(&config.output.folder, &ids, formats);
        let (sender, results) = bounded(TEXT_QUEUE);
        for camera in &config.cameras {
            outlets.push(Outlet::new(sender.clone(), when_full(camera)).of(camera.id.clone()));
        }
        drop(sender);
        let (classes, metrics) = (Arc::clone(classes), Arc::clone(metrics));
        let write = move || text.run(&results, &classes, &metrics);
        workers.push(spawn("publish", write, stop)?);
    }
    let recorded = |camera: &&CameraConfig| config.record.enabled && camera.annotate;
    for (number, camera) in config.cameras.iter().filter(recorded).enumerate() {
        let dir = config.output.folder.join(camera.id.as_str());
        let options = resolve::record_from_config(&config.record, &dir, camera.lossless);
        let annotate = AnnotateOptions {
            trail: config.record.trail,
            ..AnnotateOptions::default()
        };
        let recorder = Recorder::new(
            options,
            camera.id.clone(),
            writers::sidecar_line(Arc::clone(classes)),
            Some(Annotator::new(annotate, Arc::clone(classes))),
            Arc::clone(metrics),
        )?;
        let (sender, results) = bounded(PICTURE_QUEUE);
        outlets.push(
            Outlet::new(sender, when_full(camera))
                .of(camera.id.clone())
                .with_pictures(),
        );
        let record = move || drop(writers::record(recorder, &results));
        workers.push(spawn(&format!("annot-{number}"), record, stop)?);
    }
    Ok((outlets, workers))
}

/// A file waits for slow sinks; a live camera's results are dropped there, and counted.
fn when_full(camera: &CameraConfig) -> WhenFull {
    if camera.lossless {
        WhenFull::Wait
    } else {
        WhenFull::Drop
    }
}

fn start_services(
    listening: Option<Listening>,
    cameras: &Cameras,
    metrics: &Arc<Metrics>,
    stop: &StopSource,
) -> anyhow::Result<Vec<Worker>> {
    let expected = cameras.clone();
    let liveness = service::Liveness::new(Arc::clone(metrics), LIVENESS_LIMIT, move || {
        expected.is_any_connected()
    });
    let mut workers = Vec::new();
    if let Some(listening) = listening {
        let (health, readiness) = (Arc::clone(&liveness), cameras.clone());
        let endpoint = Endpoint {
            metrics: Arc::clone(metrics),
            health: Box::new(move || health.check()),
            readiness: Box::new(move || readiness.check_ready()),
        };
        let on_panic = stop.clone();
        workers.push(listening.serve(endpoint, stop.stop_flag(), move |_| on_panic.stop())?);
    }
    let on_panic = stop.clone();
    let watchdog = service::watch(liveness, stop.stop_flag(), move |_| on_panic.stop())?;
    workers.extend(watchdog);
    Ok(workers)
}

fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
    stop: &StopSource,
) -> anyhow::Result<Worker> {
    let stop = stop.clone();
    Worker::spawn(name, work, move |_| stop.stop())
        .with_context(|| format!("starting thread {name}"))
}

/// Waits for a signal, a failure in a thread, or the end of every camera.
fn watch(config: &Config, signals: &Signals, pipeline: &Pipeline, cameras: &Cameras) {
    let started = Instant::now();
    let stop = pipeline.stop_source().stop_flag();
    let mut is_ready = false;
    loop {
        match pipeline.ends().recv_timeout(TICK) {
            Ok(end) => {
                let error = end
                    .error
                    .as_ref()
                    .map(|error| error as &dyn std::error::Error);
                tracing::warn!(
                    camera = %end.camera,
                    reason = end.reason.as_str(),
                    frames = end.frames,
                    error,
                    "camera ended for good"
                );
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if signals.came() || stop.is_stopped() {
            return;
        }
        let waited_enough = started.elapsed() >= config.service.startup_timeout;
        if !is_ready && (waited_enough || cameras.check_ready().is_ok()) {
            is_ready = true;
            let status = match cameras.check_ready() {
                Ok(()) => "every required camera delivers".to_owned(),
                Err(missing) => missing,
            };
            tracing::info!(status, "ready");
            service::ready(&status);
        }
    }
}

/// What is known about the cameras, for readiness and the watchdog.
#[derive(Debug, Clone)]
struct Cameras {
    status: Arc<BTreeMap<CameraId, StatusHandle>>,
    required: Arc<[CameraId]>,
    metrics: Arc<Metrics>,
}

impl Cameras {
    fn new(config: &Config, pipeline: &Pipeline) -> Self {
        let required = config.cameras.iter().filter(|camera| camera.is_required);
        Self {
            status: Arc::new(pipeline.cameras().iter().cloned().collect()),
            required: required.map(|camera| camera.id.clone()).collect(),
            metrics: Arc::clone(pipeline.metrics()),
        }
    }

    fn is_any_connected(&self) -> bool {
        self.status
            .values()
            .any(|status| status.snapshot().state == CameraState::Running)
    }

    /// Ready when a frame of every required camera has passed the detector.
    fn check_ready(&self) -> Result<(), String> {
        let has_none = |id: &&CameraId| self.metrics.balance(id).processed == 0;
        let missing: Vec<&str> = self
            .required
            .iter()
            .filter(has_none)
            .map(CameraId::as_str)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("no result yet from {}", missing.join(", ")))
    }
}
