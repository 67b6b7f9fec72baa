//! Log-ins at the page, for exposition.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What became of a log-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginOutcome {
    /// A session began.
    Opened,
    /// No such name and password.
    Refused,
    /// Not even compared: too many tries of late.
    HeldUp,
}

impl LoginOutcome {
    const ALL: [Self; 3] = [Self::Opened, Self::Refused, Self::HeldUp];

    /// The name used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Refused => "refused",
            Self::HeldUp => "held_up",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    result: &'static str,
}

/// Counters of log-ins; they name nobody.
#[derive(Debug, Default)]
pub struct LoginMetrics {
    logins: Family<OutcomeLabel, Counter>,
}

impl LoginMetrics {
    /// Fresh counters, all 0 and all shown, in `registry`: a rate needs them from the beginning.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "web_logins",
            "Log-ins at the page by what became of them",
            metrics.logins.clone(),
        );
        for outcome in LoginOutcome::ALL {
            drop(metrics.logins.get_or_create(&label(outcome)));
        }
        metrics
    }

    /// Counts a log-in.
    pub fn count(&self, outcome: LoginOutcome) {
        self.logins.get_or_create(&label(outcome)).inc();
    }
}

fn label(outcome: LoginOutcome) -> OutcomeLabel {
    OutcomeLabel {
        result: outcome.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_shown_from_the_start() {
        let mut registry = Registry::with_prefix("gantryd");
        let metrics = LoginMetrics::new(&mut registry);
        metrics.count(LoginOutcome::Refused);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "gantryd_web_logins_total{result=\"opened\"} 0",
            "gantryd_web_logins_total{result=\"refused\"} 1",
            "gantryd_web_logins_total{result=\"held_up\"} 0",
        ] {
            assert!(text.contains(line), "missing {line} in\n{text}");
        }
    }
}
