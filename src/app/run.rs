//! `gantryd run`: the daemon.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossbeam_channel::{RecvTimeoutError, bounded};

use super::config::{CameraConfig, Config, Listen, MotionSource};
use super::events::{DaemonEvents, RecordingLog};
use super::pipeline::{EventOutlet, Outlet, Pipeline, PipelineError, PipelineOptions, WhenFull};
use super::signals::Signals;
use super::writers::{self, DaemonFormats, DaemonText};
use super::{accelerator, disk, resolve, service, sinks, web};
use crate::base::{CameraId, DiskRoom, Metrics, Stage, StopSource, Worker, WorkerEnd};
use crate::capture::CameraEnd;
use crate::perception::detect::DetectOptions;
use crate::sinks::annotate::{AnnotateOptions, Annotator, Privacy};
use crate::sinks::http::{self, Endpoint, Listening};
use crate::sinks::record::Recorder;
use crate::sinks::web::router;

/// Results that may wait for the text files.
const TEXT_QUEUE: usize = 256;

/// Pictures per camera that may wait for the annotator.
const PICTURE_QUEUE: usize = 4;

/// Events that may wait for their files.
const EVENT_QUEUE: usize = 1024;

/// How often signals and readiness are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Frames on their way and nothing finished for this long is a fault.
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
        Listen::At(address) => Some(Listening::bind("metrics.listen", address)?),
    };
    let page = match config.web.listen {
        Listen::Off => None,
        Listen::At(address) => Some(Listening::bind("web.listen", address)?),
    };
    let room = Arc::<DiskRoom>::default();
    let mut options = options(config)?;
    for raw in options
        .cameras
        .iter_mut()
        .flat_map(|it| &mut it.capture.raw)
    {
        raw.room = Arc::clone(&room);
    }
    let (files, detect) = (options.model.clone(), options.detect.clone());
    let prepared = Pipeline::prepare(options)?;
    let used = prepared.provider().used;
    accelerator::prove_at_start(&files, &detect, used, config.detect.proof)?;
    tracing::info!(
        model = %config.detect.model,
        provider = %prepared.provider(),
        sessions = prepared.detect_workers(),
        "detector ready"
    );

    let stop = StopSource::default();
    let classes = prepared.class_names();
    let retention = disk::look_after(config, &room, &metrics, &stop)?;
    let mut started = start_sinks(config, &classes, &metrics, &room, &stop)?;
    if let Some(page) = page {
        start_page(page, config, &classes, &metrics, &stop, &mut started)?;
    }
    let mut sinks = started.workers;
    let prepared = prepared.with_event_outlets(started.events);
    let pipeline = prepared.start(started.outlets, Arc::clone(&metrics), stop.clone())?;
    let cameras = Cameras::new(config, &pipeline);
    let mut services = start_services(listening, &cameras, &metrics, &room, &stop)?;
    services.push(retention);

    let failed = watch(config, &signals, &pipeline, &cameras, &room);

    service::stopping();
    tracing::info!("stopping");
    stop.stop();
    let deadline = Instant::now() + config.service.shutdown_timeout;
    let path = pipeline.join_until(deadline);
    // The sinks are waited for even if the path failed: what was published is written.
    sinks.extend(services);
    let ended: Vec<_> = sinks.into_iter().map(|sink| join(sink, deadline)).collect();
    let mut late = path?;
    for name in ended {
        late.extend(name?);
    }
    if !late.is_empty() {
        let limit = config.service.shutdown_timeout.as_secs();
        bail!(
            "threads that did not end within {limit} s: {}",
            late.join(", ")
        );
    }
    tracing::info!("stopped");
    match failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The name of a thread that did not end in time, if so.
fn join(worker: Worker, deadline: Instant) -> Result<Option<String>, PipelineError> {
    let thread = worker.name().to_owned();
    match worker.join_until(deadline) {
        WorkerEnd::Finished => Ok(None),
        WorkerEnd::StillRunning => Ok(Some(thread)),
        WorkerEnd::Panicked(message) => Err(PipelineError::Panic { thread, message }),
    }
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
        detect: DetectOptions {
            reid: resolve::reid_from_config(&config.detect)?,
            ..resolve::detect_from_config(config)
        },
        workers: config
            .detect
            .workers
            .set()
            .and_then(|count| NonZeroUsize::new(count as usize)),
        batch: config
            .detect
            .max_batch
            .set()
            .and_then(|count| NonZeroUsize::new(count as usize)),
        track: resolve::track_from_config(&config.track, config.output.decisions),
        motion_from_image: config.track.camera_motion == MotionSource::Image,
        schedule: config.detect.schedule,
    })
}

/// The threads at the end of the path, started first, and the outlets that feed them.
#[derive(Default)]
struct Sinks {
    outlets: Vec<Outlet>,
    events: Vec<EventOutlet>,
    workers: Vec<Worker>,
}

fn start_sinks(
    config: &Config,
    classes: &Arc<[String]>,
    metrics: &Arc<Metrics>,
    room: &Arc<DiskRoom>,
    stop: &StopSource,
) -> anyhow::Result<Sinks> {
    let Sinks {
        mut outlets,
        mut events,
        mut workers,
    } = Sinks::default();
    let mut logs = BTreeMap::new();
    if config.output.jsonl || config.output.mot || config.output.decisions {
        let ids: Vec<CameraId> = config
            .cameras
            .iter()
            .map(|camera| camera.id.clone())
            .collect();
        let formats = DaemonFormats {
            jsonl: config.output.jsonl,
            mot: config.output.mot,
            decisions: config.output.decisions,
            max_bytes: max_bytes(config),
        };
        let text =
            DaemonText::new(&config.output.folder, &ids, formats).with_room(Arc::clone(room));
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
            Some(
                Annotator::new(annotate, Arc::clone(classes))
                    .with_overlay(resolve::overlay(&camera.zones))
                    .with_privacy(Privacy::new(&camera.privacy)),
            ),
            Arc::clone(metrics),
        )?
        .with_room(Arc::clone(room));
        let (sender, results) = bounded(PICTURE_QUEUE);
        outlets.push(
            Outlet::new(sender, when_full(camera))
                .of(camera.id.clone())
                .with_pictures(),
        );
        let log = Arc::<RecordingLog>::default();
        logs.insert(camera.id.clone(), Arc::clone(&log));
        let record = move || drop(writers::record(recorder, &results, Some(log)));
        workers.push(spawn(&format!("annot-{number}"), record, stop)?);
    }
    let sinks = sinks::start(config, classes, metrics, stop)?;
    workers.extend(sinks.workers);
    outlets.extend(sinks.outlets);
    // Sinks end with the thread that keeps events for them: it runs though nothing is counted.
    let has_sinks = sinks.keeper.is_some();
    let counts = |camera: &&CameraConfig| !camera.zones.is_empty() && config.output.events;
    if has_sinks || config.cameras.iter().any(|camera| counts(&camera)) {
        let (sender, received) = bounded(EVENT_QUEUE);
        let mut writer = DaemonEvents::new().with_keeper(sinks.keeper);
        if config.output.events {
            writer = writer.with_files(&config.output.folder, max_bytes(config));
        }
        for camera in config.cameras.iter().filter(|it| has_sinks || counts(it)) {
            events.push(EventOutlet::new(
                sender.clone(),
                when_full(camera),
                camera.id.clone(),
            ));
            writer.add(&camera.id, logs.remove(&camera.id), camera.lossless);
        }
        drop(sender);
        let (classes, metrics) = (Arc::clone(classes), Arc::clone(metrics));
        let write = move || writer.run(&received, &classes, &metrics);
        workers.push(spawn("events", write, stop)?);
    }
    Ok(Sinks {
        outlets,
        events,
        workers,
    })
}

/// The page: a thread that hears results and events, and one that answers browsers.
fn start_page(
    listening: Listening,
    config: &Config,
    classes: &Arc<[String]>,
    metrics: &Arc<Metrics>,
    stop: &StopSource,
    sinks: &mut Sinks,
) -> anyhow::Result<()> {
    let hub = web::hub(config, &config.web, classes, metrics);
    let (sender, results) = bounded(web::RESULT_QUEUE);
    let (event_sender, events) = bounded(EVENT_QUEUE);
    for camera in &config.cameras {
        let id = &camera.id;
        sinks.outlets.push(
            Outlet::new(sender.clone(), WhenFull::Drop)
                .of(id.clone())
                .with_pictures()
                .as_stage(Stage::Web),
        );
        let when_full = when_full(camera);
        sinks.events.push(EventOutlet::new(
            event_sender.clone(),
            when_full,
            id.clone(),
        ));
    }
    let (told, classes) = (Arc::clone(&hub), Arc::clone(classes));
    let hear = move || web::run(&told, results, events, &classes);
    sinks.workers.push(spawn("web-hub", hear, stop)?);
    let on_panic = stop.clone();
    let answer = listening.serve("web", router(hub), stop.stop_flag(), move |_| {
        on_panic.stop()
    })?;
    sinks.workers.push(answer);
    Ok(())
}

/// Size at which a text file is closed and the next begun.
fn max_bytes(config: &Config) -> u64 {
    u64::from(config.output.rotate_mib) * 1024 * 1024
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
    room: &Arc<DiskRoom>,
    stop: &StopSource,
) -> anyhow::Result<Vec<Worker>> {
    let expected = cameras.clone();
    let liveness = service::Liveness::new(Arc::clone(metrics), LIVENESS_LIMIT, move || {
        expected.is_any_frame_on_its_way()
    });
    let mut workers = Vec::new();
    if let Some(listening) = listening {
        let (health, readiness) = (Arc::clone(&liveness), cameras.clone());
        let room = Arc::clone(room);
        let endpoint = Endpoint {
            metrics: Arc::clone(metrics),
            health: Box::new(move || health.check()),
            readiness: Box::new(move || readiness.check_ready()),
            notice: Box::new(move || disk::notice(&room)),
        };
        let on_panic = stop.clone();
        let router = http::router(endpoint);
        let answer = listening.serve("http", router, stop.stop_flag(), move |_| on_panic.stop())?;
        workers.push(answer);
    }
    let on_panic = stop.clone();
    let watchdog = service::watch(liveness, stop.stop_flag(), move |_| on_panic.stop())?;
    workers.extend(watchdog);
    Ok(workers)
}

/// A thread that begins the stop if it panics.
pub(super) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
    stop: &StopSource,
) -> anyhow::Result<Worker> {
    let stop = stop.clone();
    Worker::spawn(name, work, move |_| stop.stop())
        .with_context(|| format!("starting thread {name}"))
}

/// Waits for a signal, a failure in a thread, or the end of every camera. Gives the error of a
/// camera if every camera has ended for good and one of them with an error.
fn watch(
    config: &Config,
    signals: &Signals,
    pipeline: &Pipeline,
    cameras: &Cameras,
    room: &DiskRoom,
) -> Option<anyhow::Error> {
    let started = Instant::now();
    let stop = pipeline.stop_source().stop_flag();
    let mut is_ready = false;
    let mut failed = None;
    let mut told = None;
    loop {
        match pipeline.ends().recv_timeout(TICK) {
            Ok(end) => failed = tell_end(end).or(failed),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return failed,
        }
        if signals.came() || stop.is_stopped() {
            return None;
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
        let notice = disk::notice(room);
        if is_ready && notice != told {
            service::status(notice.unwrap_or("there is room on the disk again"));
            told = notice;
        }
    }
}

/// Logs that a camera has ended for good; gives its error.
fn tell_end(end: CameraEnd) -> Option<anyhow::Error> {
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
    let camera = end.camera;
    end.error
        .map(|source| PipelineError::Capture { camera, source }.into())
}

/// What is known about the cameras, for readiness and the watchdog.
#[derive(Debug, Clone)]
struct Cameras {
    ids: Arc<[CameraId]>,
    required: Arc<[CameraId]>,
    metrics: Arc<Metrics>,
}

impl Cameras {
    fn new(config: &Config, pipeline: &Pipeline) -> Self {
        let required = config.cameras.iter().filter(|camera| camera.is_required);
        Self {
            ids: pipeline
                .cameras()
                .iter()
                .map(|(id, _)| id.clone())
                .collect(),
            required: required.map(|camera| camera.id.clone()).collect(),
            metrics: Arc::clone(pipeline.metrics()),
        }
    }

    /// Frames that are on their way must come out; a camera that sends none is its own matter.
    fn is_any_frame_on_its_way(&self) -> bool {
        self.ids
            .iter()
            .any(|id| self.metrics.balance(id).in_flight > 0)
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
