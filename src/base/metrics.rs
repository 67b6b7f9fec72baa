//! Every counter there is, and the receipt that keeps the frame balance closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{
    CameraId, ClipMetrics, ConfigMetrics, DiskMetrics, LookMetrics, RunEnd, SinkMetrics,
    StateMetrics, ZoneMetrics,
};

/// A part of the frame path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Source and decoder.
    Capture,
    /// Planes → tensor.
    Preprocess,
    /// The network.
    Inference,
    /// Tensors → detections.
    Decode,
    /// Crops → what they look like.
    Reid,
    /// Detections → tracks.
    Track,
    /// Results → files and brokers.
    Publish,
    /// Boxes onto the picture.
    Annotate,
    /// Picture → encoded file.
    Record,
    /// Results → the page.
    Web,
}

impl Stage {
    /// Every stage, in the order a frame meets them.
    pub const ALL: [Self; 10] = [
        Self::Capture,
        Self::Preprocess,
        Self::Inference,
        Self::Decode,
        Self::Reid,
        Self::Track,
        Self::Publish,
        Self::Annotate,
        Self::Record,
        Self::Web,
    ];

    /// The name used in metrics and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Preprocess => "preprocess",
            Self::Inference => "inference",
            Self::Decode => "decode",
            Self::Reid => "reid",
            Self::Track => "track",
            Self::Publish => "publish",
            Self::Annotate => "annotate",
            Self::Record => "record",
            Self::Web => "web",
        }
    }
}

/// Why a frame or a result was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// A newer frame took its place: the detector is slower than the camera.
    Replaced,
    /// The picture could not be mapped or has a shape the path does not take.
    Unusable,
    /// PTS went back or is missing.
    BadTime,
    /// The model failed on this frame.
    DetectFailed,
    /// The queue of a result sink was full.
    SinkSlow,
    /// The encoder could not keep up.
    EncoderSlow,
    /// The sink failed (disk full, say).
    SinkFailed,
    /// The disk has too little room for it.
    DiskLow,
    /// gantryd was stopping.
    Stopping,
    /// Lost without a word: a bug, always 0.
    Unaccounted,
}

impl DropReason {
    /// The name used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Unusable => "unusable",
            Self::BadTime => "bad_time",
            Self::DetectFailed => "detect_failed",
            Self::SinkSlow => "sink_slow",
            Self::EncoderSlow => "encoder_slow",
            Self::SinkFailed => "sink_failed",
            Self::DiskLow => "disk_low",
            Self::Stopping => "stopping",
            Self::Unaccounted => "unaccounted",
        }
    }
}

impl EncodeLabelValue for Stage {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        self.as_str().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CameraLabel {
    camera: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    camera: String,
    stage: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    camera: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// Sum over all work done in one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageStats {
    /// Pieces of work (frames).
    pub count: u64,
    /// Wall time.
    pub wall: Duration,
    /// CPU time.
    pub cpu: Duration,
}

#[derive(Debug, Default)]
struct StageSum {
    count: AtomicU64,
    wall_ns: AtomicU64,
    cpu_ns: AtomicU64,
}

/// The frame balance of one camera or of all: `received = processed + dropped + in_flight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Frames that came out of the decoder.
    pub received: u64,
    /// Frames whose result was published.
    pub processed: u64,
    /// Frames dropped on the way, whatever the reason.
    pub dropped: u64,
    /// Frames on the way now.
    pub in_flight: u64,
    /// Of the dropped ones, those nobody accounted for: a bug if not 0.
    pub unaccounted: u64,
}

/// Every metric of the process; shared by all stages.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    received: Family<CameraLabel, Counter>,
    processed: Family<CameraLabel, Counter>,
    in_flight: Family<CameraLabel, Gauge>,
    dropped: Family<DropLabels, Counter>,
    results_dropped: Family<DropLabels, Counter>,
    stage_seconds: Family<StageLabel, Histogram>,
    frame_age: Family<CameraLabel, Histogram>,
    runs: Family<RunLabels, Counter>,
    events: Family<KindLabel, Counter>,
    detections_rejected: Family<CameraLabel, Counter>,
    looks: LookMetrics,
    zones: ZoneMetrics,
    sinks: SinkMetrics,
    clips: ClipMetrics,
    disk: DiskMetrics,
    config: ConfigMetrics,
    state: StateMetrics,
    video: VideoMetrics,
    stages: [StageSum; Stage::ALL.len()],
    progress: AtomicU64,
}

/// Bucket bounds for seconds per stage: 50 µs to 3.3 s, doubling.
fn stage_histogram() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
        50e-6, 2.0, 17,
    ))
}

/// Bucket bounds for the age of a published result: 2 ms to 65 s, doubling.
fn age_histogram() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
        2e-3, 2.0, 16,
    ))
}

impl Metrics {
    /// Fresh counters, all 0.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("gantryd");
        let received = Family::default();
        let processed = Family::default();
        let in_flight = Family::default();
        let dropped = Family::default();
        let results_dropped = Family::default();
        let stage_seconds = Family::new_with_constructor(stage_histogram as fn() -> Histogram);
        let frame_age = Family::new_with_constructor(age_histogram as fn() -> Histogram);
        let runs = Family::default();
        let events = Family::default();
        let detections_rejected = Family::default();
        registry.register(
            "frames_received",
            "Frames that left the decoder",
            received.clone(),
        );
        registry.register(
            "frames_processed",
            "Frames whose result was published",
            processed.clone(),
        );
        registry.register(
            "frames_in_flight",
            "Frames between decoder and result",
            in_flight.clone(),
        );
        registry.register(
            "frames_dropped",
            "Frames dropped before a result",
            dropped.clone(),
        );
        registry.register(
            "results_dropped",
            "Results that a sink did not take",
            results_dropped.clone(),
        );
        registry.register(
            "stage_seconds",
            "Wall time per frame and stage",
            stage_seconds.clone(),
        );
        registry.register(
            "frame_age_seconds",
            "Age of a frame when its result is published",
            frame_age.clone(),
        );
        registry.register("runs", "Ended connections by reason", runs.clone());
        registry.register("events", "Published events by kind", events.clone());
        registry.register(
            "detections_rejected",
            "Boxes a model gave that are no boxes (NaN, infinite, no area, off the frame)",
            detections_rejected.clone(),
        );
        let looks = LookMetrics::new(&mut registry);
        let zones = ZoneMetrics::new(&mut registry);
        let sinks = SinkMetrics::new(&mut registry);
        let clips = ClipMetrics::new(&mut registry);
        let disk = DiskMetrics::new(&mut registry);
        let config = ConfigMetrics::new(&mut registry);
        let state = StateMetrics::new(&mut registry);
        let video = VideoMetrics::new(&mut registry);
        Arc::new(Self {
            registry,
            received,
            processed,
            in_flight,
            dropped,
            results_dropped,
            stage_seconds,
            frame_age,
            runs,
            events,
            detections_rejected,
            looks,
            zones,
            sinks,
            clips,
            disk,
            config,
            state,
            video,
            stages: Default::default(),
            progress: AtomicU64::new(0),
        })
    }

    /// The registry, for exposition.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Which frames the detector looked at.
    #[must_use]
    pub fn looks(&self) -> &LookMetrics {
        &self.looks
    }

    /// What was counted at zones and lines.
    #[must_use]
    pub fn zones(&self) -> &ZoneMetrics {
        &self.zones
    }

    /// What became of events on their way to sinks.
    #[must_use]
    pub fn sinks(&self) -> &SinkMetrics {
        &self.sinks
    }

    /// Who looks at live video.
    #[must_use]
    pub fn video(&self) -> &VideoMetrics {
        &self.video
    }

    /// What became of clips and snapshots.
    #[must_use]
    pub fn clips(&self) -> &ClipMetrics {
        &self.clips
    }

    /// What became of the files on the disk.
    #[must_use]
    pub fn disk(&self) -> &DiskMetrics {
        &self.disk
    }

    /// What became of changes of the configuration.
    #[must_use]
    pub fn config(&self) -> &ConfigMetrics {
        &self.config
    }

    /// What became of what is remembered over restarts.
    #[must_use]
    pub fn state(&self) -> &StateMetrics {
        &self.state
    }

    /// Counts work done in a stage.
    pub fn stage(&self, stage: Stage, wall: Duration, cpu: Duration) {
        self.stage_seconds
            .get_or_create(&StageLabel { stage })
            .observe(wall.as_secs_f64());
        let sum = &self.stages[stage as usize];
        sum.count.fetch_add(1, Ordering::Relaxed);
        sum.wall_ns.fetch_add(nanos(wall), Ordering::Relaxed);
        sum.cpu_ns.fetch_add(nanos(cpu), Ordering::Relaxed);
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Sums of one stage so far.
    #[must_use]
    pub fn stage_stats(&self, stage: Stage) -> StageStats {
        let sum = &self.stages[stage as usize];
        StageStats {
            count: sum.count.load(Ordering::Relaxed),
            wall: Duration::from_nanos(sum.wall_ns.load(Ordering::Relaxed)),
            cpu: Duration::from_nanos(sum.cpu_ns.load(Ordering::Relaxed)),
        }
    }

    /// Grows whenever a stage finishes work on a frame or a run ends; the watchdog is fed by it.
    /// Frames that merely arrive are no progress: nobody may be looking at them.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Counts the age of a frame when its result was published.
    pub fn frame_age(&self, camera: &CameraId, age: Duration) {
        self.frame_age
            .get_or_create(&CameraLabel::of(camera))
            .observe(age.as_secs_f64());
    }

    /// Counts an ended run.
    pub fn run_ended(&self, camera: &CameraId, reason: RunEnd) {
        let labels = RunLabels {
            camera: camera.to_string(),
            reason: reason.as_str(),
        };
        self.runs.get_or_create(&labels).inc();
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Ended runs of a camera with this reason.
    #[must_use]
    pub fn runs(&self, camera: &CameraId, reason: RunEnd) -> u64 {
        let labels = RunLabels {
            camera: camera.to_string(),
            reason: reason.as_str(),
        };
        self.runs.get_or_create(&labels).get()
    }

    /// Counts events of one kind.
    pub fn events(&self, kind: &'static str, count: u64) {
        self.events.get_or_create(&KindLabel { kind }).inc_by(count);
    }

    /// Counts a published event.
    pub fn event(&self, kind: &'static str) {
        self.events.get_or_create(&KindLabel { kind }).inc();
    }

    /// Counts boxes of a model that are no boxes.
    pub fn detections_rejected(&self, camera: &CameraId, count: u64) {
        self.detections_rejected
            .get_or_create(&CameraLabel::of(camera))
            .inc_by(count);
    }

    /// Boxes of the model on frames of `camera` that were no boxes.
    #[must_use]
    pub fn rejected_detections(&self, camera: &CameraId) -> u64 {
        self.detections_rejected
            .get_or_create(&CameraLabel::of(camera))
            .get()
    }

    /// Counts a result that a sink did not take.
    pub fn result_dropped(&self, camera: &CameraId, stage: Stage, reason: DropReason) {
        self.results_dropped
            .get_or_create(&DropLabels::of(camera, stage, reason))
            .inc();
    }

    /// Results of `camera` that the sink of `stage` did not take for this reason.
    #[must_use]
    pub fn results_dropped(&self, camera: &CameraId, stage: Stage, reason: DropReason) -> u64 {
        self.results_dropped
            .get_or_create(&DropLabels::of(camera, stage, reason))
            .get()
    }

    /// Counts a received frame and gives the receipt that must end as processed or dropped.
    #[must_use]
    pub fn frame_received(self: &Arc<Self>, camera: &CameraId) -> Flight {
        let label = CameraLabel::of(camera);
        self.received.get_or_create(&label).inc();
        self.in_flight.get_or_create(&label).inc();
        Flight {
            metrics: Arc::clone(self),
            camera: camera.clone(),
            open: true,
        }
    }

    /// The frame balance of one camera.
    #[must_use]
    pub fn balance(&self, camera: &CameraId) -> Balance {
        let label = CameraLabel::of(camera);
        let in_flight = self.in_flight.get_or_create(&label).get();
        let mut balance = Balance {
            received: self.received.get_or_create(&label).get(),
            processed: self.processed.get_or_create(&label).get(),
            in_flight: u64::try_from(in_flight).unwrap_or(0),
            ..Balance::default()
        };
        for stage in Stage::ALL {
            for reason in FRAME_DROP_REASONS {
                let dropped = self
                    .dropped
                    .get_or_create(&DropLabels::of(camera, stage, reason))
                    .get();
                balance.dropped += dropped;
                if reason == DropReason::Unaccounted {
                    balance.unaccounted += dropped;
                }
            }
        }
        balance
    }
}

/// Reasons for which a frame, rather than a result, can be dropped.
const FRAME_DROP_REASONS: [DropReason; 6] = [
    DropReason::Replaced,
    DropReason::Unusable,
    DropReason::BadTime,
    DropReason::DetectFailed,
    DropReason::Stopping,
    DropReason::Unaccounted,
];

impl CameraLabel {
    fn of(camera: &CameraId) -> Self {
        Self {
            camera: camera.to_string(),
        }
    }
}

impl DropLabels {
    fn of(camera: &CameraId, stage: Stage, reason: DropReason) -> Self {
        Self {
            camera: camera.to_string(),
            stage: stage.as_str(),
            reason: reason.as_str(),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Receipt of one received frame. It ends as [`Flight::processed`] or [`Flight::dropped`]; a
/// receipt that is merely forgotten is counted as dropped, `reason="unaccounted"`.
#[derive(Debug)]
pub struct Flight {
    metrics: Arc<Metrics>,
    camera: CameraId,
    open: bool,
}

impl Flight {
    /// The frame's result was published.
    pub fn processed(mut self) {
        self.close();
        let label = CameraLabel::of(&self.camera);
        self.metrics.processed.get_or_create(&label).inc();
    }

    /// The frame was dropped.
    pub fn dropped(mut self, stage: Stage, reason: DropReason) {
        self.close();
        self.count_drop(stage, reason);
    }

    fn close(&mut self) {
        self.open = false;
        let label = CameraLabel::of(&self.camera);
        self.metrics.in_flight.get_or_create(&label).dec();
    }

    fn count_drop(&self, stage: Stage, reason: DropReason) {
        let labels = DropLabels::of(&self.camera, stage, reason);
        self.metrics.dropped.get_or_create(&labels).inc();
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.open {
            self.close();
            self.count_drop(Stage::Capture, DropReason::Unaccounted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_received_frame_ends_once() {
        let metrics = Metrics::new();
        let camera = CameraId::new("gate");
        let processed = metrics.frame_received(&camera);
        let replaced = metrics.frame_received(&camera);
        let forgotten = metrics.frame_received(&camera);
        let flying = metrics.frame_received(&camera);
        processed.processed();
        replaced.dropped(Stage::Inference, DropReason::Replaced);
        drop(forgotten);

        let balance = metrics.balance(&camera);
        let expected = Balance {
            received: 4,
            processed: 1,
            dropped: 2,
            in_flight: 1,
            unaccounted: 1,
        };
        assert_eq!(balance, expected);
        flying.processed();
    }

    #[test]
    fn exposition_names_the_essential_six() {
        let metrics = Metrics::new();
        let camera = CameraId::new("gate");
        metrics
            .frame_received(&camera)
            .dropped(Stage::Inference, DropReason::Replaced);
        metrics.stage(
            Stage::Track,
            Duration::from_micros(20),
            Duration::from_micros(10),
        );
        metrics.frame_age(&camera, Duration::from_millis(40));
        metrics.run_ended(&camera, RunEnd::Stalled);
        metrics.event("track_ended");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, metrics.registry()).unwrap();
        for line in [
            "gantryd_frames_received_total{camera=\"gate\"} 1",
            "gantryd_frames_dropped_total{camera=\"gate\",stage=\"inference\",reason=\"replaced\"} 1",
            "gantryd_stage_seconds_count{stage=\"track\"} 1",
            "gantryd_frame_age_seconds_count{camera=\"gate\"} 1",
            "gantryd_runs_total{camera=\"gate\",reason=\"stalled\"} 1",
            "gantryd_events_total{kind=\"track_ended\"} 1",
        ] {
            assert!(text.contains(line), "missing {line} in\n{text}");
        }
    }
}
