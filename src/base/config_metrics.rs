//! What became of changes of the configuration while the daemon runs, for exposition.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::CameraId;
use super::metrics::CameraLabel;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// It was made.
    Applied,
    /// No camera differs; nothing changed in the daemon.
    Unchanged,
    /// It was not made, and everything went on as it was.
    Refused,
}

/// Counters of changes, and who is watched. A camera that went stays with 0: their number is bounded
/// by the ids an operator ever used.
#[derive(Debug, Default)]
pub struct ConfigMetrics {
    changes: Family<OutcomeLabel, Counter>,
    watched: Family<CameraLabel, Gauge>,
    delivering: Family<CameraLabel, Gauge>,
}

impl ConfigMetrics {
    /// Fresh counters, all 0, in `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "config_changes",
            "Changes of the configuration while running, by what became of them",
            metrics.changes.clone(),
        );
        registry.register(
            "camera_watched",
            "1 for a camera that is watched, 0 for one that no longer is",
            metrics.watched.clone(),
        );
        registry.register(
            "camera_delivering",
            "1 while frames of the camera arrive, 0 while it is away",
            metrics.delivering.clone(),
        );
        metrics
    }

    /// Counts a change.
    pub fn change(&self, outcome: ChangeOutcome) {
        let outcome = match outcome {
            ChangeOutcome::Applied => "applied",
            ChangeOutcome::Unchanged => "unchanged",
            ChangeOutcome::Refused => "refused",
        };
        self.changes.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Says whether a camera is watched.
    pub fn watched(&self, camera: &CameraId, is_watched: bool) {
        let label = CameraLabel::of(camera);
        self.watched.get_or_create(&label).set(is_watched.into());
    }

    /// Says whether frames of a camera arrive.
    pub fn delivering(&self, camera: &CameraId, is_delivering: bool) {
        let gauge = self.delivering.get_or_create(&CameraLabel::of(camera));
        gauge.set(is_delivering.into());
    }

    /// Do frames of the camera arrive?
    #[must_use]
    pub fn is_delivering(&self, camera: &CameraId) -> bool {
        let gauge = self.delivering.get(&CameraLabel::of(camera));
        gauge.is_some_and(|it| it.get() == 1)
    }
}
