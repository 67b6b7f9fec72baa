//! What became of clips and snapshots, for exposition.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::CameraId;
use super::metrics::CameraLabel;

/// Why an event has no clip or snapshot, or a clip shows less than was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClipLoss {
    /// Nothing is kept of the camera: it sends neither H.264 nor H.265, or was away.
    NoStream,
    /// The pre-roll did not fit into `max_ring_mib`.
    Ring,
    /// The disk or this machine was too slow.
    Slow,
    /// The disk has too little room.
    DiskLow,
    /// A file could not be written, or a picture not be encoded.
    Failed,
    /// The connection to the camera ended, or gantryd did.
    Ended,
}

impl ClipLoss {
    /// The name used in metrics and sidecars.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoStream => "no_stream",
            Self::Ring => "ring",
            Self::Slow => "slow",
            Self::DiskLow => "disk_low",
            Self::Failed => "failed",
            Self::Ended => "ended",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LossLabels {
    camera: String,
    reason: &'static str,
}

impl LossLabels {
    fn of(camera: &CameraId, reason: ClipLoss) -> Self {
        Self {
            camera: camera.as_str().to_owned(),
            reason: reason.as_str(),
        }
    }
}

/// Counters of clips and snapshots.
#[derive(Debug, Default)]
pub struct ClipMetrics {
    made: Family<CameraLabel, Counter>,
    shortened: Family<LossLabels, Counter>,
    refused: Family<LossLabels, Counter>,
    snapshots: Family<CameraLabel, Counter>,
    snapshots_lost: Family<LossLabels, Counter>,
}

impl ClipMetrics {
    /// Fresh counters, all 0, in `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("clips", "Clips of events", metrics.made.clone());
        registry.register(
            "clips_shortened",
            "Clips that show less before or after their events than was asked for",
            metrics.shortened.clone(),
        );
        registry.register(
            "clips_missing",
            "Events that should have a clip and have none",
            metrics.refused.clone(),
        );
        registry.register("snapshots", "Pictures of events", metrics.snapshots.clone());
        registry.register(
            "snapshots_missing",
            "Events that should have a picture and have none",
            metrics.snapshots_lost.clone(),
        );
        metrics
    }

    /// Counts a clip that is on the disk.
    pub fn clip_made(&self, camera: &CameraId) {
        self.made.get_or_create(&CameraLabel::of(camera)).inc();
    }

    /// Counts a clip that is shorter than was asked for.
    pub fn clip_shortened(&self, camera: &CameraId, reason: ClipLoss) {
        let labels = LossLabels::of(camera, reason);
        self.shortened.get_or_create(&labels).inc();
    }

    /// Counts an event without its clip.
    pub fn clip_missing(&self, camera: &CameraId, reason: ClipLoss) {
        let labels = LossLabels::of(camera, reason);
        self.refused.get_or_create(&labels).inc();
    }

    /// Counts an event whose pictures are on the disk.
    pub fn snapshot_made(&self, camera: &CameraId) {
        self.snapshots.get_or_create(&CameraLabel::of(camera)).inc();
    }

    /// Counts an event without its pictures.
    pub fn snapshot_missing(&self, camera: &CameraId, reason: ClipLoss) {
        let labels = LossLabels::of(camera, reason);
        self.snapshots_lost.get_or_create(&labels).inc();
    }

    /// Clips of `camera` that are shorter than asked for this reason, so far.
    #[must_use]
    pub fn clips_shortened(&self, camera: &CameraId, reason: ClipLoss) -> u64 {
        let labels = LossLabels::of(camera, reason);
        self.shortened.get_or_create(&labels).get()
    }

    /// Events of `camera` without their pictures for this reason, so far.
    #[must_use]
    pub fn snapshots_missing(&self, camera: &CameraId, reason: ClipLoss) -> u64 {
        let labels = LossLabels::of(camera, reason);
        self.snapshots_lost.get_or_create(&labels).get()
    }

    /// Events of `camera` without their clip for this reason, so far.
    #[must_use]
    pub fn clips_missing(&self, camera: &CameraId, reason: ClipLoss) -> u64 {
        let labels = LossLabels::of(camera, reason);
        self.refused.get_or_create(&labels).get()
    }
}
