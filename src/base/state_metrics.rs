//! What became of the states that are remembered of cameras, for exposition.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::CameraLabel;
use super::{CameraId, UtcNanos};

/// Counters of what is remembered over restarts.
#[derive(Debug, Default)]
pub struct StateMetrics {
    written: Family<CameraLabel, Counter>,
    failures: Family<CameraLabel, Counter>,
    written_at: Family<CameraLabel, Gauge>,
    tracks_continued: Family<CameraLabel, Counter>,
}

impl StateMetrics {
    /// Fresh counters, all 0, in `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "state_snapshots",
            "Times that what is remembered of a camera was written",
            metrics.written.clone(),
        );
        registry.register(
            "state_failures",
            "Times that it could not be written",
            metrics.failures.clone(),
        );
        registry.register(
            "state_written_timestamp_seconds",
            "When it was written last, seconds since 1970; now less this is its age",
            metrics.written_at.clone(),
        );
        registry.register(
            "tracks_continued",
            "Tracks that went on as the same after a lost connection or a restart",
            metrics.tracks_continued.clone(),
        );
        metrics
    }

    /// The state of `camera` is on the disk.
    pub fn written(&self, camera: &CameraId, now: UtcNanos) {
        let label = CameraLabel::of(camera);
        self.written.get_or_create(&label).inc();
        let at = self.written_at.get_or_create(&label);
        at.set(now.0 / 1_000_000_000);
    }

    /// The state of `camera` could not be written.
    pub fn failed(&self, camera: &CameraId) {
        self.failures.get_or_create(&CameraLabel::of(camera)).inc();
    }

    /// So many tracks of `camera` were seen again after nobody had watched.
    pub fn continued(&self, camera: &CameraId, tracks: u64) {
        let counter = self
            .tracks_continued
            .get_or_create(&CameraLabel::of(camera));
        counter.inc_by(tracks);
    }

    /// States of `camera` written so far.
    #[must_use]
    pub fn written_so_far(&self, camera: &CameraId) -> u64 {
        self.written.get_or_create(&CameraLabel::of(camera)).get()
    }

    /// States of `camera` that could not be written so far.
    #[must_use]
    pub fn failures_so_far(&self, camera: &CameraId) -> u64 {
        self.failures.get_or_create(&CameraLabel::of(camera)).get()
    }
}
