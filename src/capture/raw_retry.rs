//! When a raw recording that failed is tried again.

use std::time::{Duration, Instant};

/// Pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause, while it goes on failing.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A failure is over when so much time has passed without another.
const OVER_AFTER: Duration = Duration::from_secs(5);

/// The failures of the raw recording of one connection.
#[derive(Debug, Default)]
pub(super) struct RawRetry {
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    pause: Duration,
    /// When it is tried again, or since when it is on trial.
    at: Instant,
    is_on_trial: bool,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RawStep {
    /// Nothing.
    Wait,
    /// Try it again.
    Try,
    /// Say that it works again.
    Recovered,
}

impl RawRetry {
    /// It failed; true if that is to be told.
    pub fn failed(&mut self, now: Instant) -> bool {
        let pause = self
            .outage
            .as_ref()
            .map_or(FIRST_PAUSE, |outage| (outage.pause * 2).min(LONGEST_PAUSE));
        let is_first = self.outage.is_none();
        self.outage = Some(Outage {
            pause,
            at: now + pause,
            is_on_trial: false,
        });
        is_first
    }

    /// What is to be done, where there is room for recordings or not.
    pub fn step(&mut self, now: Instant, has_room: bool) -> RawStep {
        let Some(outage) = &mut self.outage else {
            return RawStep::Wait;
        };
        if outage.is_on_trial {
            if now < outage.at + OVER_AFTER {
                return RawStep::Wait;
            }
            self.outage = None;
            return RawStep::Recovered;
        }
        if !has_room || now < outage.at {
            return RawStep::Wait;
        }
        outage.is_on_trial = true;
        outage.at = now;
        RawStep::Try
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_again_when_there_is_room_with_pauses_that_double() {
        let (mut retry, began) = (RawRetry::default(), Instant::now());
        let after = |secs| began + Duration::from_secs(secs);
        assert_eq!(retry.step(began, true), RawStep::Wait);
        assert!(retry.failed(began), "the first is told");
        assert_eq!(retry.step(after(1), false), RawStep::Wait);
        assert_eq!(retry.step(after(1), true), RawStep::Try);
        assert!(!retry.failed(after(2)), "the next is the same outage");
        assert_eq!(retry.step(after(3), true), RawStep::Wait);
        assert_eq!(retry.step(after(4), true), RawStep::Try);
        assert_eq!(retry.step(after(8), true), RawStep::Wait);
        assert_eq!(retry.step(after(9), true), RawStep::Recovered);
        assert_eq!(retry.step(after(10), true), RawStep::Wait);
    }
}
