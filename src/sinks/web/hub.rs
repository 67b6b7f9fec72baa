//! What the page knows: per camera the newest view, the last events, and counts per minute.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::watch;

use super::picture::{self, PictureOptions};
use crate::base::{CameraId, Event, EventKind, FrameResult, Metrics, UtcSource, utc_now};
use crate::sinks::annotate::Privacy;

/// Events that are kept per camera.
const EVENTS: usize = 500;

/// Minutes of which counts are kept: a day.
const MINUTES: usize = 1440;

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

/// Number of an event and its published line.
pub(super) type Numbered = (u64, Arc<str>);

/// What has come in since the start.
#[derive(Debug, Default)]
struct Past {
    events: VecDeque<Numbered>,
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
}

/// Shared by the thread that hears results and the one that answers browsers.
#[derive(Debug)]
pub struct Hub {
    cameras: RwLock<BTreeMap<CameraId, Arc<Camera>>>,
    pub(super) classes: Arc<[String]>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) options: PictureOptions,
    pub(super) started: Instant,
}

impl Hub {
    /// A hub for these cameras; `classes` are the model's names.
    #[must_use]
    pub fn new(
        cameras: Vec<CameraFacts>,
        classes: Arc<[String]>,
        metrics: Arc<Metrics>,
        options: PictureOptions,
    ) -> Arc<Self> {
        let with_state = |facts: CameraFacts| (facts.id.clone(), Camera::new(facts));
        Arc::new(Self {
            cameras: RwLock::new(cameras.into_iter().map(with_state).collect()),
            classes,
            metrics,
            options,
            started: Instant::now(),
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

    /// Takes an event and its published line.
    pub fn note(&self, event: &Event, line: String) {
        let Some(camera) = self.camera(&event.frame.camera) else {
            return;
        };
        let mut past = camera.past();
        if let Some(key) = counted(&event.kind) {
            // A live camera's own clock may be wrong, and then be put right.
            let utc = match event.frame.utc_source {
                UtcSource::Media => event.frame.utc.unwrap_or_else(utc_now),
                UtcSource::Rtcp | UtcSource::Arrival | UtcSource::Unknown => utc_now(),
            };
            let minute = u64::try_from(utc.0).unwrap_or(0) / 60_000_000_000;
            *past
                .minutes
                .entry(minute)
                .or_default()
                .entry(key)
                .or_default() += 1;
            while past.minutes.len() > MINUTES {
                past.minutes.pop_first();
            }
        }
        past.events.push_back((event.number, Arc::from(line)));
        if past.events.len() > EVENTS {
            past.events.pop_front();
        }
        drop(past);
        camera.event.send_replace(event.number);
    }

    /// Every camera, in the order of their names.
    pub(super) fn facts(&self) -> Vec<Arc<CameraFacts>> {
        self.all().iter().map(|camera| camera.facts()).collect()
    }

    /// A reader of the newest view of a camera that exists.
    pub(super) fn views(&self, id: &str) -> Option<watch::Receiver<Option<Arc<View>>>> {
        Some(self.find(id)?.newest.subscribe())
    }

    /// A reader of the number of the newest event.
    pub(super) fn event_numbers(&self, id: &str) -> Option<watch::Receiver<u64>> {
        Some(self.find(id)?.event.subscribe())
    }

    /// Number and line of the newest `limit` events with a number above `after`, oldest first.
    pub(super) fn events(&self, id: &str, after: u64, limit: usize) -> Option<Vec<Numbered>> {
        let camera = self.find(id)?;
        let past = camera.past();
        let newer = past.events.iter().filter(|(number, _)| *number > after);
        let mut newest: Vec<_> = newer.rev().take(limit).cloned().collect();
        newest.reverse();
        Some(newest)
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
            facts: RwLock::new(Arc::new(facts)),
        })
    }

    fn facts(&self) -> Arc<CameraFacts> {
        let facts = self.facts.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&facts)
    }

    fn set_facts(&self, facts: CameraFacts) {
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(facts);
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an event is counted in the chart: crossings and entries.
fn counted(kind: &EventKind) -> Option<(Arc<str>, &'static str)> {
    match kind {
        EventKind::Crossing { line, direction } => Some((Arc::clone(line), direction.as_str())),
        EventKind::Entry { zone } => Some((Arc::clone(zone), "entries")),
        _ => None,
    }
}
