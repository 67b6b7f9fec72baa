//! Which frames the detector looked at, for exposition.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::CameraId;
use super::metrics::CameraLabel;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    camera: String,
    reason: &'static str,
}

/// Why the detector looks at a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LookReason {
    /// It looks at every frame.
    Every,
    /// It is this frame's turn.
    Interval,
    /// Nothing was seen before it, or the detector failed on the last one.
    First,
    /// An object was seen too few times to be believed.
    Unconfirmed,
    /// It is not known well enough where an object is.
    Doubt,
    /// It has not looked for as long, or for as many frames, as it may not look.
    Overdue,
    /// As `Overdue`, in a picture in which nothing changes.
    Heartbeat,
}

impl LookReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Every,
        Self::Interval,
        Self::First,
        Self::Unconfirmed,
        Self::Doubt,
        Self::Overdue,
        Self::Heartbeat,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Every => "every",
            Self::Interval => "interval",
            Self::First => "first",
            Self::Unconfirmed => "unconfirmed",
            Self::Doubt => "doubt",
            Self::Overdue => "overdue",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// Processed frames by whether the detector looked at them: `processed = detected + carried`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Looks {
    /// Those it looked at.
    pub detected: u64,
    /// Those the tracks were carried to.
    pub carried: u64,
}

/// Counters of the detector's looks.
#[derive(Debug, Default)]
pub struct LookMetrics {
    detected: Family<CameraLabel, Counter>,
    reasons: Family<ReasonLabels, Counter>,
    carried: Family<CameraLabel, Counter>,
}

impl LookMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "frames_detected",
            "Processed frames that the detector looked at",
            metrics.detected.clone(),
        );
        registry.register(
            "detector_looks",
            "Frames the detector looked at, by what asked for it",
            metrics.reasons.clone(),
        );
        registry.register(
            "frames_carried",
            "Processed frames that tracks were carried to without the detector",
            metrics.carried.clone(),
        );
        metrics
    }

    /// Counts a processed frame that the detector looked at, and why it did.
    pub fn detected(&self, camera: &CameraId, reason: LookReason) {
        self.detected.get_or_create(&CameraLabel::of(camera)).inc();
        let labels = ReasonLabels {
            camera: camera.to_string(),
            reason: reason.as_str(),
        };
        self.reasons.get_or_create(&labels).inc();
    }

    /// Counts a processed frame that the detector did not look at.
    pub fn carried(&self, camera: &CameraId) {
        self.carried.get_or_create(&CameraLabel::of(camera)).inc();
    }

    /// The processed frames of a camera.
    #[must_use]
    pub fn of(&self, camera: &CameraId) -> Looks {
        let label = CameraLabel::of(camera);
        Looks {
            detected: self.detected.get_or_create(&label).get(),
            carried: self.carried.get_or_create(&label).get(),
        }
    }

    /// Frames of a camera the detector looked at, by reason; those alone that there were.
    #[must_use]
    pub fn reasons(&self, camera: &CameraId) -> Vec<(&'static str, u64)> {
        let counted = LookReason::ALL.map(|reason| {
            let labels = ReasonLabels {
                camera: camera.to_string(),
                reason: reason.as_str(),
            };
            let count = self.reasons.get(&labels).map_or(0, |count| count.get());
            (reason.as_str(), count)
        });
        counted
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}
