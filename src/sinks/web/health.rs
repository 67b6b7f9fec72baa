//! How the cameras and the process are doing, now and over the last hour: a sample every 10 s.

use std::collections::VecDeque;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::hub::Hub;
use super::routes::{json, no_camera};
use crate::base::{CameraId, GpuUse, Metrics, ProcessUse, utc_now};
use crate::sinks::retention::room_on;

/// Time from one sample to the next.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// Samples that are kept: an hour.
const SAMPLES: usize = 360;

/// What computes the detector, as far as the process knows.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Engine {
    /// The model's name.
    pub model: String,
    /// The execution provider in use.
    pub provider: &'static str,
    /// Why this one.
    pub why: String,
    /// Number of the accelerator; `None` on a CPU.
    pub device: Option<u32>,
    /// Sessions of the model that work side by side.
    pub sessions: usize,
}

/// One moment of a camera, and what happened since the sample before.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct CameraSample {
    /// Seconds since 1970 UTC.
    at_s: i64,
    /// Results per second.
    fps: f64,
    /// Age of the newest result, seconds; absent before the first.
    age_s: Option<f64>,
    /// Frames dropped.
    dropped: u64,
    /// Connections that ended or did not come about.
    reconnects: u64,
}

/// Samples of a camera.
#[derive(Debug, Default)]
pub(super) struct CameraHealth {
    before: Option<(Instant, Totals)>,
    samples: VecDeque<CameraSample>,
}

/// Counted since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    processed: u64,
    dropped: u64,
    ended: u64,
}

impl CameraHealth {
    /// Takes a sample; the first only notes where the counters are.
    pub fn sample(&mut self, camera: &CameraId, age_s: Option<f64>, metrics: &Metrics) {
        let (now, balance) = (Instant::now(), metrics.balance(camera));
        let totals = Totals {
            processed: balance.processed,
            dropped: balance.dropped,
            ended: metrics.connections_ended(camera),
        };
        if let Some((since, before)) = self.before.replace((now, totals)) {
            let secs = now.duration_since(since).as_secs_f64().max(1e-3);
            let processed = totals.processed.saturating_sub(before.processed);
            push(
                &mut self.samples,
                CameraSample {
                    at_s: seconds_now(),
                    fps: rounded(processed as f64 / secs),
                    age_s: age_s.map(rounded),
                    dropped: totals.dropped.saturating_sub(before.dropped),
                    reconnects: totals.ended.saturating_sub(before.ended),
                },
            );
        }
    }

    /// The samples of the last minutes, oldest first.
    pub fn last(&self, minutes: u64) -> Vec<CameraSample> {
        last(&self.samples, minutes, |it| it.at_s)
    }
}

/// One moment of the process.
#[derive(Debug, Clone, Serialize)]
pub(super) struct SystemSample {
    /// Seconds since 1970 UTC.
    at_s: i64,
    /// Of one core, so 200 on two that are busy.
    cpu_percent: f64,
    memory_bytes: u64,
    threads: u64,
    open_files: u64,
    /// Free on the disk of the output folder.
    disk_free_bytes: Option<u64>,
    /// NVIDIA cards, all processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gpus: Vec<GpuUse>,
}

/// Samples of the process.
#[derive(Debug, Default)]
pub(super) struct SystemHealth {
    before: Option<(Instant, f64)>,
    samples: VecDeque<SystemSample>,
}

/// What a sample is made of: read from the system, which may take its time.
#[derive(Debug)]
pub(super) struct Moment {
    process: Option<ProcessUse>,
    disk_free: Option<u64>,
    gpus: Vec<GpuUse>,
}

impl Moment {
    /// How it is now; `folder` is on the disk that is looked at.
    pub fn now(folder: &FilePath) -> Self {
        Self {
            process: ProcessUse::now(),
            disk_free: room_on(folder).ok().map(|room| room.free),
            gpus: GpuUse::now(),
        }
    }
}

impl SystemHealth {
    /// Takes a sample; the first only notes how much CPU time was used so far.
    pub fn sample(&mut self, moment: Moment) {
        let (now, Some(process)) = (Instant::now(), moment.process) else {
            return;
        };
        if let Some((since, before)) = self.before.replace((now, process.cpu_seconds)) {
            let secs = now.duration_since(since).as_secs_f64().max(1e-3);
            push(
                &mut self.samples,
                SystemSample {
                    at_s: seconds_now(),
                    cpu_percent: rounded((process.cpu_seconds - before) / secs * 100.0),
                    memory_bytes: process.resident_bytes,
                    threads: process.threads,
                    open_files: process.open_files,
                    disk_free_bytes: moment.disk_free,
                    gpus: moment.gpus,
                },
            );
        }
    }
}

fn push<T>(samples: &mut VecDeque<T>, sample: T) {
    samples.push_back(sample);
    if samples.len() > SAMPLES {
        samples.pop_front();
    }
}

fn last<T: Clone>(samples: &VecDeque<T>, minutes: u64, at_s: impl Fn(&T) -> i64) -> Vec<T> {
    let secs = i64::try_from(minutes.saturating_mul(60)).unwrap_or(i64::MAX);
    let first = seconds_now().saturating_sub(secs);
    let recent = samples.iter().filter(|it| at_s(it) >= first);
    recent.cloned().collect()
}

fn seconds_now() -> i64 {
    utc_now().0 / 1_000_000_000
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[derive(Serialize)]
struct SystemWords<'a> {
    version: &'static str,
    uptime_s: u64,
    /// This machine's time, by which events are found.
    utc: String,
    viewers: usize,
    detector: &'a Engine,
    process: Option<ProcessWords>,
    disk: Option<DiskWords>,
    /// As of the newest sample; empty without an NVIDIA card.
    gpus: Vec<GpuUse>,
    sinks: Vec<SinkWords>,
    /// Only where it is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<SystemSample>,
}

#[derive(Serialize)]
struct ProcessWords {
    /// Over the last 10 s, of one core; absent before the first sample.
    cpu_percent: Option<f64>,
    cores: usize,
    memory_bytes: u64,
    threads: u64,
    open_files: u64,
}

#[derive(Serialize)]
struct DiskWords {
    free_bytes: u64,
    total_bytes: u64,
}

#[derive(Serialize)]
struct SinkWords {
    name: String,
    connected: bool,
    /// Since when that is so.
    since: String,
    /// Events in the spool that it has not acknowledged.
    waiting: u64,
}

#[derive(Deserialize)]
pub(super) struct Since {
    /// Minutes.
    last: Option<u64>,
}

pub(super) async fn system(State(hub): State<Arc<Hub>>, Query(since): Query<Since>) -> Response {
    let (newest, history) = {
        let health = hub.system_health();
        let history = since
            .last
            .map(|minutes| last(&health.samples, minutes, |it| it.at_s));
        (health.samples.back().cloned(), history.unwrap_or_default())
    };
    let process = ProcessUse::now().map(|process| ProcessWords {
        cpu_percent: newest.as_ref().map(|sample| sample.cpu_percent),
        cores: std::thread::available_parallelism().map_or(1, Into::into),
        memory_bytes: process.resident_bytes,
        threads: process.threads,
        open_files: process.open_files,
    });
    let sinks = hub.metrics.sinks().states().into_iter();
    json(&SystemWords {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: hub.started.elapsed().as_secs(),
        utc: utc_now().to_string(),
        viewers: hub.viewers(),
        detector: &hub.engine,
        process,
        disk: room_on(hub.folder()).ok().map(|room| DiskWords {
            free_bytes: room.free,
            total_bytes: room.total,
        }),
        gpus: newest.map(|sample| sample.gpus).unwrap_or_default(),
        sinks: sinks
            .map(|(name, state)| SinkWords {
                name,
                connected: state.is_connected,
                since: state.since.to_string(),
                waiting: state.waiting,
            })
            .collect(),
        history,
    })
}

pub(super) async fn camera(
    State(hub): State<Arc<Hub>>,
    Path(id): Path<String>,
    Query(since): Query<Since>,
) -> Response {
    match hub.camera_health(&id, since.last.unwrap_or(60)) {
        Some(samples) => json(&samples),
        None => no_camera(&hub, &id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{DropReason, RunEnd, Stage};

    #[test]
    fn a_sample_tells_what_happened_since_the_one_before_and_memory_is_bounded() {
        let (metrics, camera) = (Metrics::new(), CameraId::new("gate"));
        let mut health = CameraHealth::default();
        let lose = || {
            let flight = metrics.frame_received(&camera);
            flight.dropped(Stage::Inference, DropReason::Replaced);
            metrics.run_ended(&camera, RunEnd::Unreachable);
        };
        lose();
        health.sample(&camera, None, &metrics);
        assert!(health.last(60).is_empty(), "nothing to compare with yet");
        for _ in 0..2 {
            lose();
        }
        metrics.frame_received(&camera).processed();
        metrics.run_ended(&camera, RunEnd::Stopped);
        health.sample(&camera, Some(0.125), &metrics);
        let samples = health.last(60);
        assert_eq!(samples.len(), 1);
        let sample = samples[0];
        assert_eq!((sample.dropped, sample.reconnects), (2, 2));
        assert!(sample.fps > 0.0 && sample.age_s == Some(0.13));
        for _ in 0..SAMPLES + 5 {
            health.sample(&camera, None, &metrics);
        }
        assert_eq!(health.last(60).len(), SAMPLES);
    }

    #[test]
    fn the_process_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let mut health = SystemHealth::default();
        health.sample(Moment::now(folder.path()));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(60) {
            std::hint::black_box(begun);
        }
        health.sample(Moment::now(folder.path()));
        let sample = &health.samples[0];
        assert!(sample.cpu_percent > 0.0 && sample.memory_bytes > 1_000_000);
        assert!(sample.threads >= 1 && sample.open_files >= 3);
        assert!(sample.disk_free_bytes.is_some());
    }
}
