//! What the page knows: per camera the newest view, the last events, and counts per minute.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::{Semaphore, watch};

use super::archive::Oldest;
use super::health::{CameraHealth, CameraSample, Engine, Moment, SystemHealth};
use super::history::History;
use super::past::{PastEvents, Picked, Told, Wanted};
use super::picture::{self, PictureOptions};
use super::webrtc::{Video, VideoOptions, VideoTap};
use crate::base::{CameraId, Event, FrameResult, Metrics, UtcNanos, UtcSource, utc_now};
use crate::sinks::annotate::Privacy;

/// Minutes of which counts are kept: a day.
const MINUTES: usize = 1440;

/// Requests that look through event files at the same time; the others wait.
const SEARCHES_AT_ONCE: usize = 2;

/// Frames over which the frame rate is measured.
const RATE_FRAMES: usize = 50;

/// A border or line that the page draws.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// What it is called; empty where it only shows where something is.
    pub name: String,
    /// Its corners or its two ends, shares of the frame.
    pub points: Vec<[f32; 2]>,
}

/// What is known of a camera before its first frame.
#[derive(Debug, Clone)]
pub struct CameraFacts {
    /// The camera.
    pub id: CameraId,
    /// Its zones, in the order of the counts.
    pub zones: Vec<Shape>,
    /// Its lines, in the order of the counts; seen from the first point, `in` is to the right.
    pub lines: Vec<Shape>,
    /// Excluded areas and calibrated ground.
    pub outlines: Vec<Shape>,
    /// What is hidden in its pictures.
    pub privacy: Option<Arc<Privacy>>,
    /// What it sends, where that is kept; `None` for a camera that is known already: as before.
    pub video: Option<VideoTap>,
}

/// One frame as the page shows it; the picture is encoded once, when the first viewer asks.
#[derive(Debug)]
pub(super) struct View {
    pub result: Arc<FrameResult>,
    /// When it came.
    pub came: Instant,
    /// What was known of its camera then.
    pub facts: Arc<CameraFacts>,
    jpeg: OnceLock<Option<Arc<[u8]>>>,
}

impl View {
    /// The picture, JPEG; `None` if the frame came without one or it cannot be encoded.
    pub fn jpeg(&self, options: PictureOptions) -> Option<Arc<[u8]>> {
        let encode = || {
            let frame = self.result.frame.as_ref()?;
            match picture::encode(frame, &self.result, self.facts.privacy.as_deref(), options) {
                Ok(bytes) => Some(Arc::from(bytes)),
                Err(error) => {
                    tracing::warn!(camera = %frame.meta.camera, error, "no picture for the page");
                    None
                }
            }
        };
        self.jpeg.get_or_init(encode).clone()
    }
}

/// Counts of one minute by place and direction: `("gate", "in")`.
pub(super) type Minute = BTreeMap<(Arc<str>, &'static str), u32>;

/// What has come in, and what was read back from before the start.
#[derive(Debug, Default)]
struct Past {
    events: PastEvents,
    minutes: BTreeMap<u64, Minute>,
    arrivals: VecDeque<Instant>,
}

#[derive(Debug)]
struct Camera {
    facts: RwLock<Arc<CameraFacts>>,
    newest: watch::Sender<Option<Arc<View>>>,
    /// Number of the newest event.
    event: watch::Sender<u64>,
    past: Mutex<Past>,
    health: Mutex<CameraHealth>,
    oldest: Mutex<Oldest>,
}

/// Shared by the thread that hears results and the one that answers browsers.
#[derive(Debug)]
pub struct Hub {
    cameras: RwLock<BTreeMap<CameraId, Arc<Camera>>>,
    pub(super) classes: Arc<[String]>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) options: PictureOptions,
    pub(super) started: Instant,
    /// The output folder, which has a folder for each camera.
    folder: PathBuf,
    pub(super) engine: Engine,
    pub(super) video: Video,
    health: Mutex<SystemHealth>,
    searching: Arc<Semaphore>,
}

impl Hub {
    /// A hub for these cameras; `classes` are the model's names, `folder` is the one of the output.
    #[must_use]
    pub fn new(
        cameras: Vec<CameraFacts>,
        classes: Arc<[String]>,
        metrics: Arc<Metrics>,
        options: PictureOptions,
        folder: &Path,
        engine: Engine,
        video: VideoOptions,
    ) -> Arc<Self> {
        let with_state = |facts: CameraFacts| (facts.id.clone(), Camera::new(facts));
        Arc::new(Self {
            cameras: RwLock::new(cameras.into_iter().map(with_state).collect()),
            classes,
            metrics,
            options,
            started: Instant::now(),
            folder: folder.to_owned(),
            engine,
            video: Video::new(video),
            health: Mutex::default(),
            searching: Arc::new(Semaphore::new(SEARCHES_AT_ONCE)),
        })
    }

    /// From now on a camera, which may be new, is known so; what has come of it stays.
    pub fn watch(&self, facts: CameraFacts) {
        let mut cameras = self.cameras.write().unwrap_or_else(PoisonError::into_inner);
        match cameras.get(&facts.id) {
            Some(camera) => camera.set_facts(facts),
            None => drop(cameras.insert(facts.id.clone(), Camera::new(facts))),
        }
    }

    /// A camera is no longer watched; who looks at it is told so by the end of its views.
    pub fn forget(&self, camera: &CameraId) {
        let mut cameras = self.cameras.write().unwrap_or_else(PoisonError::into_inner);
        cameras.remove(camera);
    }

    /// Takes the result of a frame; the one before is forgotten.
    pub fn show(&self, result: Arc<FrameResult>) {
        let Some(camera) = self.camera(&result.meta.camera) else {
            return;
        };
        let mut past = camera.past();
        past.arrivals.push_back(Instant::now());
        if past.arrivals.len() > RATE_FRAMES {
            past.arrivals.pop_front();
        }
        drop(past);
        let view = View {
            result,
            came: Instant::now(),
            facts: camera.facts(),
            jpeg: OnceLock::new(),
        };
        camera.newest.send_replace(Some(Arc::new(view)));
    }

    /// Takes an event and its published line, as far as that is known when it happens.
    pub fn note(&self, event: &Event, line: &str) {
        let Some(camera) = self.camera(&event.frame.camera) else {
            return;
        };
        let Some(told) = Told::of(line) else {
            return;
        };
        // A live camera's own clock may be wrong, and then be put right.
        let utc = match event.frame.utc_source {
            UtcSource::Media => event.frame.utc.unwrap_or_else(utc_now),
            UtcSource::Rtcp | UtcSource::Arrival | UtcSource::Unknown => utc_now(),
        };
        let mut past = camera.past();
        past.count(&told, utc);
        past.events.add(told);
        drop(past);
        camera.event.send_replace(event.number);
    }

    /// Takes the published line of an event again, with the files that show it.
    pub fn complete(&self, camera: &CameraId, line: &str) {
        let camera = self.camera(camera);
        if let (Some(camera), Some(told)) = (camera, Told::of(line)) {
            camera.past().events.complete(told);
        }
    }

    /// Event files of these cameras, to be read back with [`Hub::recall`].
    #[must_use]
    pub fn histories(&self) -> Vec<(CameraId, History)> {
        let ids = self.facts().into_iter().map(|facts| facts.id.clone());
        let history = |id: CameraId| {
            let history = History::in_folder(&self.folder_of(&id));
            (id, history)
        };
        ids.map(history).collect()
    }

    /// Takes what was told of a camera before the start.
    pub fn recall(&self, camera: &CameraId, history: History) {
        let Some(camera) = self.camera(camera) else {
            return;
        };
        let events = history.read();
        let mut past = camera.past();
        for event in &events {
            past.count(event, event.utc);
        }
        past.events.recall(events);
    }

    /// Takes a sample of how everything is doing: to be called every [`SAMPLE_EVERY`].
    ///
    /// [`SAMPLE_EVERY`]: super::SAMPLE_EVERY
    pub fn sample(&self) {
        for facts in self.facts() {
            let age_s = self.rate(facts.id.as_str()).and_then(|(_, age_s)| age_s);
            if let Some(camera) = self.camera(&facts.id) {
                camera.health().sample(&facts.id, age_s, &self.metrics);
                // Whoever answers browsers does not wait for the disk.
                let mut oldest = camera.oldest().clone();
                oldest.look(&self.folder_of(&facts.id));
                *camera.oldest() = oldest;
            }
        }
        let moment = Moment::now(&self.folder);
        self.system_health().sample(moment);
    }

    /// How a camera was doing in the last minutes.
    pub(super) fn camera_health(&self, id: &str, minutes: u64) -> Option<Vec<CameraSample>> {
        let camera = self.find(id)?;
        let health = camera.health();
        Some(health.last(minutes))
    }

    pub(super) fn system_health(&self) -> MutexGuard<'_, SystemHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The output folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the recordings, clips and pictures of a camera are.
    pub(super) fn folder_of(&self, camera: &CameraId) -> PathBuf {
        self.folder.join(camera.as_str())
    }

    /// Every camera, in the order of their names.
    pub(super) fn facts(&self) -> Vec<Arc<CameraFacts>> {
        self.all().iter().map(|camera| camera.facts()).collect()
    }

    /// What is known of a camera now.
    pub(super) fn facts_of(&self, id: &str) -> Option<Arc<CameraFacts>> {
        Some(self.find(id)?.facts())
    }

    /// A reader of the newest view of a camera that exists.
    pub(super) fn views(&self, id: &str) -> Option<watch::Receiver<Option<Arc<View>>>> {
        Some(self.find(id)?.newest.subscribe())
    }

    /// A reader of the number of the newest event.
    pub(super) fn event_numbers(&self, id: &str) -> Option<watch::Receiver<u64>> {
        Some(self.find(id)?.event.subscribe())
    }

    /// The newest `limit` events that are wanted, of those in memory.
    pub(super) fn recent_events(&self, id: &str, wanted: &Wanted, limit: usize) -> Option<Picked> {
        let camera = self.find(id)?;
        let past = camera.past();
        Some(past.events.pick(wanted, limit))
    }

    /// Since when all events of a camera can be asked for; `None` where none is missing.
    pub(super) fn events_known_from(&self, id: &str) -> Option<UtcNanos> {
        let camera = self.find(id)?;
        let on_disk = camera.oldest().event();
        let past = camera.past();
        past.events.known_from(on_disk)
    }

    /// Whose turn it is to look through files.
    pub(super) fn searching(&self) -> Arc<Semaphore> {
        Arc::clone(&self.searching)
    }

    /// The event of this number, if it is in memory; the outer `None` is no camera.
    pub(super) fn recent_event(&self, id: &str, number: u64) -> Option<Option<Told>> {
        let camera = self.find(id)?;
        let past = camera.past();
        Some(past.events.get(number).cloned())
    }

    /// Counts by minute since the epoch, oldest first, of the `last` minutes that have any or of all.
    pub(super) fn minutes(&self, id: &str, last: Option<u64>) -> Option<BTreeMap<u64, Minute>> {
        let camera = self.find(id)?;
        let past = camera.past();
        let newest = past
            .minutes
            .last_key_value()
            .map_or(0, |(minute, _)| *minute);
        let first = last.map_or(0, |last| (newest + 1).saturating_sub(last));
        let kept = past.minutes.range(first..);
        Some(
            kept.map(|(minute, counts)| (*minute, counts.clone()))
                .collect(),
        )
    }

    /// Frames per second of late, and how many seconds ago the newest came.
    pub(super) fn rate(&self, id: &str) -> Option<(f64, Option<f64>)> {
        let camera = self.find(id)?;
        let past = camera.past();
        let span = match (past.arrivals.front(), past.arrivals.back()) {
            (Some(first), Some(last)) => last.duration_since(*first).as_secs_f64(),
            _ => 0.0,
        };
        let steps = past.arrivals.len().saturating_sub(1) as f64;
        let fps = if span > 0.0 { steps / span } else { 0.0 };
        let age = past
            .arrivals
            .back()
            .map(|last| last.elapsed().as_secs_f64());
        Some((fps, age))
    }

    /// Browsers that look at some camera now.
    pub(super) fn viewers(&self) -> usize {
        let all = self.all();
        let watched = all.iter();
        watched.map(|camera| camera.newest.receiver_count()).sum()
    }

    fn find(&self, id: &str) -> Option<Arc<Camera>> {
        self.camera(&CameraId::new(id))
    }

    fn camera(&self, id: &CameraId) -> Option<Arc<Camera>> {
        let cameras = self.cameras.read().unwrap_or_else(PoisonError::into_inner);
        cameras.get(id).cloned()
    }

    fn all(&self) -> Vec<Arc<Camera>> {
        let cameras = self.cameras.read().unwrap_or_else(PoisonError::into_inner);
        cameras.values().cloned().collect()
    }
}

impl Camera {
    fn new(facts: CameraFacts) -> Arc<Self> {
        Arc::new(Self {
            newest: watch::Sender::new(None),
            event: watch::Sender::new(0),
            past: Mutex::default(),
            health: Mutex::default(),
            oldest: Mutex::default(),
            facts: RwLock::new(Arc::new(facts)),
        })
    }

    fn facts(&self) -> Arc<CameraFacts> {
        let facts = self.facts.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&facts)
    }

    fn set_facts(&self, mut facts: CameraFacts) {
        let mut known = self.facts.write().unwrap_or_else(PoisonError::into_inner);
        if facts.video.is_none() {
            facts.video.clone_from(&known.video);
        }
        *known = Arc::new(facts);
    }

    fn health(&self) -> MutexGuard<'_, CameraHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn oldest(&self) -> MutexGuard<'_, Oldest> {
        self.oldest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    /// Counts an event in its minute, if that is one of those that are kept.
    fn count(&mut self, event: &Told, utc: UtcNanos) {
        let Some(key) = &event.counted else {
            return;
        };
        let minute = u64::try_from(utc.0).unwrap_or(0) / 60_000_000_000;
        let counts = self.minutes.entry(minute).or_default();
        *counts.entry(key.clone()).or_default() += 1;
        while self.minutes.len() > MINUTES {
            self.minutes.pop_first();
        }
    }
}
