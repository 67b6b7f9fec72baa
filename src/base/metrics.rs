//! Every counter there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::gpu_use::GpuMetrics;
use super::process_metrics::ProcessMetrics;
use super::{
    CameraId, ClipMetrics, ConfigMetrics, DetectorMetrics, DiskMetrics, LoginMetrics, LookMetrics,
    RunEnd, SinkMetrics, StateMetrics, VideoMetrics, ZoneMetrics,
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
pub(super) struct CameraLabel {
    camera: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DropLabels {
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

/// Every metric of the process; shared by all stages.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(super) received: Family<CameraLabel, Counter>,
    pub(super) processed: Family<CameraLabel, Counter>,
    pub(super) in_flight: Family<CameraLabel, Gauge>,
    pub(super) dropped: Family<DropLabels, Counter>,
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
    logins: LoginMetrics,
    video: VideoMetrics,
    detector: DetectorMetrics,
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
        let mut root = Registry::default();
        root.register_collector(Box::new(ProcessMetrics));
        root.register_collector(Box::new(GpuMetrics));
        let registry = root.sub_registry_with_prefix("gantryd");
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
        let looks = LookMetrics::new(registry);
        let zones = ZoneMetrics::new(registry);
        let sinks = SinkMetrics::new(registry);
        let clips = ClipMetrics::new(registry);
        let disk = DiskMetrics::new(registry);
        let config = ConfigMetrics::new(registry);
        let state = StateMetrics::new(registry);
        let logins = LoginMetrics::new(registry);
        let video = VideoMetrics::new(registry);
        let detector = DetectorMetrics::new(registry);
        Arc::new(Self {
            registry: root,
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
            logins,
            video,
            detector,
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

    /// What computes the network.
    #[must_use]
    pub fn detector(&self) -> &DetectorMetrics {
        &self.detector
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

    /// What became of log-ins at the page.
    #[must_use]
    pub fn logins(&self) -> &LoginMetrics {
        &self.logins
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
        self.moved();
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

    /// A stage is through with a frame without having done its work.
    pub fn moved(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
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

    /// Connections of a camera that ended, or did not come about, though nobody asked for it.
    #[must_use]
    pub fn connections_ended(&self, camera: &CameraId) -> u64 {
        let ended = |reason: &RunEnd| {
            let labels = RunLabels {
                camera: camera.to_string(),
                reason: reason.as_str(),
            };
            self.runs.get(&labels).map_or(0, |counter| counter.get())
        };
        RunEnd::FAULTS.iter().map(ended).sum()
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
}

impl CameraLabel {
    pub(super) fn of(camera: &CameraId) -> Self {
        Self {
            camera: camera.to_string(),
        }
    }
}

impl DropLabels {
    pub(super) fn of(camera: &CameraId, stage: Stage, reason: DropReason) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

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
