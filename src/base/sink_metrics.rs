//! What became of events on their way to brokers and webhooks, for exposition.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{UtcNanos, utc_now};

/// A step of an event on its way to a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SinkStep {
    /// It is on the disk and waits.
    Spooled,
    /// It was sent, for the first time or again.
    Sent,
    /// The other side has it; it is no longer on the disk.
    Acknowledged,
    /// It was sent without an answer and will be sent again.
    Retried,
    /// The result of a frame, sent without being acknowledged.
    ResultSent,
    /// The other side will never take it; it was given up.
    Refused,
    /// The oldest, deleted because the spool was full.
    DroppedFull,
    /// The disk did not take it, and too many others waited for the disk already.
    DroppedUnwritten,
}

impl SinkStep {
    /// The name used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spooled => "spooled",
            Self::Sent => "sent",
            Self::Acknowledged => "acknowledged",
            Self::Retried => "retried",
            Self::ResultSent => "result_sent",
            Self::Refused => "refused",
            Self::DroppedFull => "dropped_full",
            Self::DroppedUnwritten => "dropped_unwritten",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    sink: String,
    step: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabel {
    sink: String,
}

/// Counters of sinks. Labels are names of the configuration, so their number is bounded.
#[derive(Debug, Default)]
pub struct SinkMetrics {
    steps: Family<StepLabels, Counter>,
    waiting: Family<SinkLabel, Gauge>,
    connected: Family<SinkLabel, Gauge>,
    states: Mutex<BTreeMap<String, SinkState>>,
}

/// How a sink is doing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkState {
    /// It takes events.
    pub is_connected: bool,
    /// Since when that is so.
    pub since: UtcNanos,
    /// Events in the spool that it has not acknowledged.
    pub waiting: u64,
}

impl SinkMetrics {
    /// Fresh counters, all 0, in `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "sink_events",
            "Events on their way to a sink, by step",
            metrics.steps.clone(),
        );
        registry.register(
            "sink_waiting",
            "Events in the spool that a sink has not acknowledged",
            metrics.waiting.clone(),
        );
        registry.register(
            "sink_connected",
            "1 while a sink takes events, else 0",
            metrics.connected.clone(),
        );
        metrics
    }

    /// Counts `number` events of `sink`.
    pub fn count(&self, sink: &str, step: SinkStep, number: u64) {
        self.steps
            .get_or_create(&step_labels(sink, step))
            .inc_by(number);
    }

    /// Events of `sink` that took this step so far.
    #[must_use]
    pub fn counted(&self, sink: &str, step: SinkStep) -> u64 {
        self.steps.get_or_create(&step_labels(sink, step)).get()
    }

    /// Every sink that was heard of, by its name.
    #[must_use]
    pub fn states(&self) -> BTreeMap<String, SinkState> {
        self.lock().clone()
    }

    fn change(&self, sink: &str, change: impl FnOnce(&mut SinkState)) {
        let unknown = || SinkState {
            is_connected: false,
            since: utc_now(),
            waiting: 0,
        };
        change(self.lock().entry(sink.to_owned()).or_insert_with(unknown));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SinkState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many events of `sink` wait now.
    pub fn waiting(&self, sink: &str, number: u64) {
        self.change(sink, |state| state.waiting = number);
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.waiting.get_or_create(&sink_label(sink)).set(number);
    }

    /// Whether `sink` takes events now.
    pub fn connected(&self, sink: &str, is_connected: bool) {
        self.change(sink, |state| {
            if state.is_connected != is_connected {
                state.is_connected = is_connected;
                state.since = utc_now();
            }
        });
        self.connected
            .get_or_create(&sink_label(sink))
            .set(is_connected.into());
    }
}

fn step_labels(sink: &str, step: SinkStep) -> StepLabels {
    StepLabels {
        sink: sink.to_owned(),
        step: step.as_str(),
    }
}

fn sink_label(sink: &str) -> SinkLabel {
    SinkLabel {
        sink: sink.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_connected_or_not_since_the_last_change() {
        let metrics = SinkMetrics::default();
        metrics.waiting("room", 3);
        metrics.connected("room", true);
        let first = metrics.states()["room"];
        metrics.connected("room", true);
        metrics.waiting("room", 0);
        let second = metrics.states()["room"];
        assert!(second.is_connected && second.since == first.since);
        assert_eq!((first.waiting, second.waiting), (3, 0));
        metrics.connected("room", false);
        let third = metrics.states()["room"];
        assert!(!third.is_connected && third.since >= first.since);
    }
}
