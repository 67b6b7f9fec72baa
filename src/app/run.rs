//! `gantryd run`: the daemon.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::check::check_folder;
use super::config::{CameraConfig, Config, Listen, MotionSource};
use super::events::DaemonEvents;
use super::films::FilmMakers;
use super::pipeline::{
    EventOutlet, Newcomers, Outlet, Pipeline, PipelineError, PipelineOptions, WhenFull,
};
use super::recorders::Recorders;
use super::reload::{ConfigFile, Desk, DeskParts, Watched};
use super::signals::{Hangup, Signals};
use super::state::EventsOnDisk;
use super::writers::{DaemonFormats, DaemonText};
use super::{accelerator, clips, disk, resolve, service, sinks, state, web};
use crate::base::{
    CameraId, ConfigDesk, DiskRoom, Event, Metrics, RunEnd, Stage, StopSource, Worker, WorkerEnd,
    causes,
};
use crate::capture::{CameraEnd, CameraOptions};
use crate::perception::detect::{DetectOptions, ProviderReport};
use crate::sinks::http::{self, Endpoint, Listening};
use crate::sinks::snapshots::SnapshotDesk;
use crate::sinks::web::{Access, Engine, Hub, router};

/// Results that may wait for the text files.
pub(super) const TEXT_QUEUE: usize = 256;

/// Events that may wait for their files.
const EVENT_QUEUE: usize = 1024;

/// How often signals and readiness are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Frames on their way and nothing finished for this long is a fault.
const LIVENESS_LIMIT: Duration = Duration::from_secs(20);

/// Runs the daemon until it is told to stop or every camera has ended for good; `config` is in `file`,
/// as `text`.
///
/// # Errors
/// What kept it from starting, or the first thing that went wrong in a thread.
pub fn run(config: &Config, text: &str, file: ConfigFile) -> anyhow::Result<()> {
    let hangup = Hangup::listen().context("listening for signals")?;
    let signals = Signals::listen().context("listening for signals")?;
    check_folder(config).map_err(|fault| anyhow!("{fault}"))?;
    let metrics = Metrics::new();
    let listening = match config.metrics.listen {
        Listen::Off => None,
        Listen::At(address) => Some(Listening::bind("metrics.listen", address)?),
    };
    let page = match config.web.listen {
        Listen::Off => None,
        Listen::At(address) => {
            let certificate = web::certificate(&config.web)?;
            let listening = Listening::bind("web.listen", address)?;
            Some(listening.with_tls(certificate))
        }
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
    let captures: Vec<CameraOptions> = options
        .cameras
        .iter()
        .map(|it| it.capture.clone())
        .collect();
    let streams = web::streams(&options);
    let (files, detect) = (options.model.clone(), options.detect.clone());
    let model = files.id.clone();
    let prepared = Pipeline::prepare(options)?;
    let used = prepared.provider().used;
    let nodes = accelerator::prove_at_start(&files, &detect, used, config.detect.proof)?;
    metrics.detector().runs_on(&files.id, used.as_str(), &nodes);
    tracing::info!(
        model = %config.detect.model,
        provider = %prepared.provider(),
        sessions = prepared.detect_workers(),
        "detector ready"
    );

    let stop = StopSource::default();
    let classes = prepared.class_names();
    let (retention, limits) = disk::look_after(config, &room, &metrics, &stop)?;
    let recorders = Arc::new(Recorders::new(config, &classes, &metrics, &room, &stop));
    let films = Arc::new(FilmMakers::new(config, &classes, &metrics, &room, &stop));
    let on_disk = EventsOnDisk::default();
    let remembering =
        state::remember(config, &files, &detect, &classes, &on_disk, &metrics, &stop)?;
    let (prepared, remembers) = match remembering {
        Some((memory, worker)) => (prepared.remembered_by(&Arc::new(memory)), Some(worker)),
        None => (prepared, None),
    };
    let numbers = prepared.event_numbers();
    let hub = page.as_ref().map(|_| {
        let engine = engine(config, prepared.provider(), prepared.detect_workers());
        let hub = web::hub(config, streams, &classes, &metrics, engine);
        (web::recall(&hub, &stop), hub)
    });
    let (recalls, hub) = match hub {
        Some((recalls, hub)) => (Some(recalls?), Some(hub)),
        None => (None, None),
    };
    let before = Before {
        captures,
        recorders: Arc::clone(&recorders),
        films: Arc::clone(&films),
        numbers,
        page: hub.clone(),
        on_disk,
    };
    let mut started = start_sinks(config, before, &classes, &metrics, &room, &stop)?;
    if let Some(hub) = &hub {
        start_page(hub, config, &classes, &stop, &mut started)?;
    }
    let mut sinks = started.workers;
    sinks.extend(remembers);
    sinks.extend(recalls);
    let prepared = prepared
        .with_event_outlets(started.events)
        .changeable(started.newcomers);
    let mut pipeline = prepared.start(started.outlets, Arc::clone(&metrics), stop.clone())?;
    let watched = Watched::new(&config.cameras, &metrics);
    let changes = pipeline.take_changes();
    let desk = changes.map(|changes| {
        Arc::new(Desk::new(DeskParts {
            file,
            config: config.clone(),
            text: text.to_owned(),
            changes,
            recorders: Arc::clone(&recorders),
            films: Arc::clone(&films),
            limits,
            watched: watched.clone(),
            classes: Arc::clone(&classes),
            model,
            metrics: Arc::clone(&metrics),
            room: Arc::clone(&room),
        }))
    });
    let mut services = start_services(listening, &watched, &metrics, &room, &stop)?;
    services.push(retention);
    let is_ready = Arc::<AtomicBool>::default();
    if let (Some(page), Some(hub)) = (page, hub) {
        let desk = desk.clone().map(|desk| -> Arc<dyn ConfigDesk> { desk });
        let on_panic = stop.clone();
        let access = Access::new(config.web.access()).context("beginning sessions of the page")?;
        let router = router(hub, access, desk);
        let answer = page.serve("web", router, stop.stop_flag(), move |_| on_panic.stop())?;
        services.push(answer);
    }
    if let Some(desk) = desk {
        let (until, is_ready) = (stop.stop_flag(), Arc::clone(&is_ready));
        let listen = move || desk.listen(&hangup, &until, || is_ready.load(Ordering::Relaxed));
        services.push(spawn("reload", listen, &stop)?);
    }

    let failed = watch(config, &signals, &pipeline, &watched, &room, &is_ready);

    service::stopping();
    tracing::info!("stopping");
    stop.stop();
    let deadline = Instant::now() + config.service.shutdown_timeout;
    let path = pipeline.join_until(deadline);
    // The sinks are waited for even if the path failed: what was published is written.
    sinks.extend(services);
    sinks.extend(recorders.take_workers());
    sinks.extend(films.take_workers());
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

/// What the page says of the detector.
fn engine(config: &Config, report: &ProviderReport, sessions: usize) -> Engine {
    Engine {
        model: config.detect.model.to_string(),
        provider: report.used.as_str(),
        why: report.why.clone(),
        device: config.detect.providers.device(report.used),
        sessions,
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
            .or(config.detect.batch_sizes.last().copied())
            .and_then(|count| NonZeroUsize::new(count as usize)),
        batch_wait: config.detect.max_wait,
        give_up: config.detect.give_up,
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
    /// The outlets of cameras that come later.
    newcomers: Newcomers,
    workers: Vec<Worker>,
}

/// What sinks must know of the cameras that are going to be started.
struct Before {
    /// How each is opened.
    captures: Vec<CameraOptions>,
    recorders: Arc<Recorders>,
    films: Arc<FilmMakers>,
    /// Of the newest event of each.
    numbers: BTreeMap<CameraId, u64>,
    /// Is told which files show an event.
    page: Option<Arc<Hub>>,
    /// Is told which events are on the disk.
    on_disk: EventsOnDisk,
}

fn start_sinks(
    config: &Config,
    before: Before,
    classes: &Arc<[String]>,
    metrics: &Arc<Metrics>,
    room: &Arc<DiskRoom>,
    stop: &StopSource,
) -> anyhow::Result<Sinks> {
    let Sinks {
        mut outlets,
        mut events,
        mut newcomers,
        mut workers,
    } = Sinks::default();
    if config.output.jsonl || config.output.mot || config.output.decisions {
        let formats = DaemonFormats {
            jsonl: config.output.jsonl,
            mot: config.output.mot,
            decisions: config.output.decisions,
            max_bytes: max_bytes(config),
        };
        let text = DaemonText::new(&config.output.folder, formats).with_room(Arc::clone(room));
        let (sender, results) = bounded(TEXT_QUEUE);
        for camera in &config.cameras {
            outlets.push(Outlet::new(sender.clone(), when_full(camera)).of(camera.id.clone()));
        }
        newcomers.results.push(Outlet::new(sender, WhenFull::Drop));
        let (classes, metrics) = (Arc::clone(classes), Arc::clone(metrics));
        let write = move || text.run(&results, &classes, &metrics);
        workers.push(spawn("publish", write, stop)?);
    }
    for camera in &config.cameras {
        outlets.extend(before.recorders.start(camera)?);
        if let Some(capture) = before.captures.iter().find(|it| it.id == camera.id) {
            outlets.extend(before.films.start(camera, capture)?);
            before.films.raw_places().set(capture);
        }
    }
    let mut pictures = None;
    if let Some((writer, desk)) = clips::snapshots(config, room, metrics) {
        workers.push(spawn("snapshots", move || writer.run(), stop)?);
        pictures = Some(desk);
    }
    let sinks = sinks::start(config, classes, before.numbers, metrics, stop)?;
    workers.extend(sinks.workers);
    outlets.extend(sinks.outlets);
    newcomers.results.extend(sinks.newcomers);
    // Sinks end with the thread that keeps events for them: it runs though nothing is counted yet.
    let has_files = config.clips.is_on() || pictures.is_some();
    if sinks.keeper.is_some() || config.output.events || has_files {
        let (sender, received) = bounded(EVENT_QUEUE);
        let lossless = config.cameras.iter().filter(|camera| camera.lossless);
        let mut writer = DaemonEvents::new()
            .with_keeper(sinks.keeper)
            .with_logs(before.recorders.logs())
            .with_lossless(lossless.map(|camera| camera.id.clone()).collect())
            .with_pictures(pictures.clone())
            .with_clips(before.films.desks())
            .with_raw(before.films.raw_places())
            .with_page(before.page)
            .telling(before.on_disk);
        if config.output.events {
            writer = writer.with_files(&config.output.folder, max_bytes(config));
        }
        add_events(
            &mut events,
            &mut newcomers,
            &sender,
            config,
            pictures.as_ref(),
        );
        drop(sender);
        let (classes, metrics) = (Arc::clone(classes), Arc::clone(metrics));
        let write = move || writer.run(&received, &classes, &metrics);
        workers.push(spawn("events", write, stop)?);
    }
    Ok(Sinks {
        outlets,
        events,
        newcomers,
        workers,
    })
}

/// The outlets of one reader of events: of every camera, and of those that come later.
fn add_events(
    events: &mut Vec<EventOutlet>,
    newcomers: &mut Newcomers,
    sender: &Sender<Event>,
    config: &Config,
    pictures: Option<&Arc<SnapshotDesk>>,
) {
    let outlet = |camera: &CameraConfig| {
        EventOutlet::new(sender.clone(), when_full(camera), camera.id.clone())
            .with_pictures(pictures.cloned())
    };
    events.extend(config.cameras.iter().map(outlet));
    newcomers.events.extend(config.cameras.first().map(outlet));
}

/// The thread that hears results and events for the page.
fn start_page(
    hub: &Arc<Hub>,
    config: &Config,
    classes: &Arc<[String]>,
    stop: &StopSource,
    sinks: &mut Sinks,
) -> anyhow::Result<()> {
    let (sender, results) = bounded(web::RESULT_QUEUE);
    let (event_sender, events) = bounded(EVENT_QUEUE);
    let outlet = Outlet::new(sender, WhenFull::Drop)
        .with_pictures()
        .as_stage(Stage::Web);
    for camera in &config.cameras {
        sinks.outlets.push(outlet.clone().of(camera.id.clone()));
    }
    sinks.newcomers.results.push(outlet);
    add_events(
        &mut sinks.events,
        &mut sinks.newcomers,
        &event_sender,
        config,
        None,
    );
    drop(event_sender);
    let (told, classes) = (Arc::clone(hub), Arc::clone(classes));
    let hear = move || web::run(&told, results, events, &classes);
    sinks.workers.push(spawn("web-hub", hear, stop)?);
    Ok(())
}

/// Size at which a text file is closed and the next begun.
fn max_bytes(config: &Config) -> u64 {
    u64::from(config.output.rotate_mib) * 1024 * 1024
}

/// A file waits for slow sinks; a live camera's results are dropped there, and counted.
pub(super) fn when_full(camera: &CameraConfig) -> WhenFull {
    if camera.lossless {
        WhenFull::Wait
    } else {
        WhenFull::Drop
    }
}

fn start_services(
    listening: Option<Listening>,
    cameras: &Watched,
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
    cameras: &Watched,
    room: &DiskRoom,
    told_ready: &AtomicBool,
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
            told_ready.store(true, Ordering::Relaxed);
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
    let error = end.error.as_ref().map(|error| causes(error));
    if end.reason == RunEnd::Stopped && error.is_none() {
        // It was asked to: the configuration has changed.
        tracing::debug!(camera = %end.camera, frames = end.frames, "camera stopped");
        return None;
    }
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
