//! What was counted at zones and lines, for exposition.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{CameraId, DropReason, Event, EventKind, Phase, ZoneCount};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CrossingLabels {
    camera: String,
    line: String,
    direction: &'static str,
    class: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TurnLabels {
    camera: String,
    from: String,
    to: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VisitLabels {
    camera: String,
    zone: String,
    class: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ZoneLabels {
    camera: String,
    zone: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlarmLabels {
    camera: String,
    place: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    camera: String,
    reason: &'static str,
}

/// Counters of zones and lines. Labels are names of the configuration and classes of the model, so
/// their number is bounded.
#[derive(Debug, Default)]
pub struct ZoneMetrics {
    crossings: Family<CrossingLabels, Counter>,
    turns: Family<TurnLabels, Counter>,
    entries: Family<VisitLabels, Counter>,
    exits: Family<VisitLabels, Counter>,
    alarms: Family<AlarmLabels, Counter>,
    occupancy: Family<ZoneLabels, Gauge>,
    queue: Family<ZoneLabels, Gauge>,
    dropped: Family<DropLabels, Counter>,
}

impl ZoneMetrics {
    /// Fresh counters, all 0, in `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "line_crossings",
            "Objects that went over a line",
            metrics.crossings.clone(),
        );
        registry.register(
            "turns",
            "Objects that crossed one line and then the other",
            metrics.turns.clone(),
        );
        registry.register(
            "zone_entries",
            "Objects that came into a zone",
            metrics.entries.clone(),
        );
        registry.register(
            "zone_exits",
            "Objects that left a zone",
            metrics.exits.clone(),
        );
        registry.register(
            "zone_alarms",
            "Loitering, stopped, wrong way, occupancy, queue and congestion, as they begin",
            metrics.alarms.clone(),
        );
        registry.register(
            "zone_occupancy",
            "Objects in a zone now",
            metrics.occupancy.clone(),
        );
        registry.register(
            "zone_queue",
            "Objects that stand in a zone now",
            metrics.queue.clone(),
        );
        registry.register(
            "events_dropped",
            "Events of zones and lines that were not written",
            metrics.dropped.clone(),
        );
        metrics
    }

    /// Counts an event; `class` is the name of its object's class.
    pub fn count(&self, event: &Event, class: &str) {
        let camera = || event.frame.camera.to_string();
        let alarm = |place: &str| {
            let labels = AlarmLabels {
                camera: camera(),
                place: place.to_owned(),
                kind: event.kind.as_str(),
            };
            self.alarms.get_or_create(&labels).inc();
        };
        let visit = |zone: &str| VisitLabels {
            camera: camera(),
            zone: zone.to_owned(),
            class: class.to_owned(),
        };
        match &event.kind {
            EventKind::Crossing { line, direction } => {
                let labels = CrossingLabels {
                    camera: camera(),
                    line: line.to_string(),
                    direction: direction.as_str(),
                    class: class.to_owned(),
                };
                self.crossings.get_or_create(&labels).inc();
            }
            EventKind::Turn { from, to } => {
                let labels = TurnLabels {
                    camera: camera(),
                    from: from.to_string(),
                    to: to.to_string(),
                };
                self.turns.get_or_create(&labels).inc();
            }
            EventKind::Entry { zone } => {
                self.entries.get_or_create(&visit(zone)).inc();
            }
            EventKind::Exit { zone, .. } => {
                self.exits.get_or_create(&visit(zone)).inc();
            }
            EventKind::Loitering { zone: place, .. } | EventKind::WrongWay { place } => {
                alarm(place);
            }
            EventKind::Stopped { zone, phase, .. }
            | EventKind::Occupancy { zone, phase, .. }
            | EventKind::Queue { zone, phase, .. }
            | EventKind::Congestion { zone, phase, .. } => {
                if *phase == Phase::Begin {
                    alarm(zone);
                }
            }
        }
    }

    /// What is in a zone now.
    pub fn present(&self, camera: &CameraId, zone: &str, count: ZoneCount) {
        let labels = ZoneLabels {
            camera: camera.to_string(),
            zone: zone.to_owned(),
        };
        self.occupancy
            .get_or_create(&labels)
            .set(count.occupancy.into());
        self.queue.get_or_create(&labels).set(count.queue.into());
    }

    /// Counts an event that a reader did not take.
    pub fn event_dropped(&self, camera: &CameraId, reason: DropReason) {
        let labels = DropLabels {
            camera: camera.to_string(),
            reason: reason.as_str(),
        };
        self.dropped.get_or_create(&labels).inc();
    }

    /// Events of `camera` that a reader did not take, whatever the reason.
    #[must_use]
    pub fn events_dropped(&self, camera: &CameraId) -> u64 {
        [DropReason::SinkSlow, DropReason::SinkFailed]
            .iter()
            .map(|reason| {
                let labels = DropLabels {
                    camera: camera.to_string(),
                    reason: reason.as_str(),
                };
                self.dropped.get_or_create(&labels).get()
            })
            .sum()
    }
}
