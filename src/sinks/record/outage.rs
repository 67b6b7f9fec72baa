//! A failure that recording has not recovered from, and when it is tried again.

use std::time::{Duration, Instant};

/// Pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause, while it goes on failing.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// From the failure until recording works again.
#[derive(Debug)]
pub(super) struct Outage {
    /// For the operator.
    pub text: String,
    pause: Duration,
    /// `None`: it is not tried again.
    retry_at: Option<Instant>,
}

impl Outage {
    /// The outage after a failure, which may be one more in a row.
    pub(super) fn after(previous: Option<&Self>, text: String, retried: bool) -> Self {
        let pause = previous.map_or(FIRST_PAUSE, |it| (it.pause * 2).min(LONGEST_PAUSE));
        Self {
            text,
            pause,
            retry_at: retried.then(|| Instant::now() + pause),
        }
    }

    /// Is the pause over?
    pub(super) fn may_retry(&self) -> bool {
        self.retry_at.is_some_and(|at| Instant::now() >= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut outage = Outage::after(None, "full".into(), true);
        let mut pauses = vec![outage.pause.as_secs()];
        for _ in 0..7 {
            outage = Outage::after(Some(&outage), "full".into(), true);
            pauses.push(outage.pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(!outage.may_retry());
    }
}
