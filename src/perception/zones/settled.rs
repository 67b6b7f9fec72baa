//! A yes or no that does not flutter.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Pts;

/// A state that changes only when the observation has differed from it for long enough, or differed
/// clearly and twice.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Settled {
    pub is_on: bool,
    differs_since: Option<Pts>,
}

impl Settled {
    /// Takes in one observation. `is_clear` says that a second one like it will do; otherwise it
    /// must hold for `hold`. Gives the time since when it has been so, if the state changes.
    pub fn observe(
        &mut self,
        is_on: bool,
        is_clear: bool,
        hold: Duration,
        now: Pts,
    ) -> Option<Pts> {
        if is_on == self.is_on {
            self.differs_since = None;
            return None;
        }
        let is_second = self.differs_since.is_some();
        let since = *self.differs_since.get_or_insert(now);
        let has_held = now.secs_since(since) >= hold.as_secs_f64();
        if !(has_held || is_clear && is_second) {
            return None;
        }
        *self = Self {
            is_on,
            differs_since: None,
        };
        Some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(1);

    fn at(tenths: u64) -> Pts {
        Pts(tenths * 100_000_000)
    }

    #[test]
    fn what_is_clear_changes_it_at_the_second_sight_and_counts_from_the_first() {
        let mut state = Settled::default();
        assert_eq!(state.observe(true, true, HOLD, at(3)), None);
        assert_eq!(state.observe(true, true, HOLD, at(4)), Some(at(3)));
        assert!(state.is_on);
    }

    #[test]
    fn what_is_not_clear_must_hold_without_a_break() {
        let mut state = Settled::default();
        for tenths in 0..9 {
            assert_eq!(state.observe(true, false, HOLD, at(tenths)), None);
        }
        assert_eq!(state.observe(false, false, HOLD, at(9)), None);
        assert_eq!(state.observe(true, false, HOLD, at(10)), None);
        assert_eq!(state.observe(true, false, HOLD, at(20)), Some(at(10)));
    }
}
