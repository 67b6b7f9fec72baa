//! How long to wait before the next try.

use std::time::Duration;

use super::link::LinkError;

/// First pause after a failure.
const SHORTEST: Duration = Duration::from_secs(1);

/// Longest pause; also that after a refused login.
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses that double from 1 s to 30 s, each shortened by up to a fifth, so that many clients do not
/// come back at once.
#[derive(Debug, Clone, Copy)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl Backoff {
    /// The pause after `error`.
    pub fn next(&mut self, error: &LinkError) -> Duration {
        let pause = match error {
            LinkError::Denied(_) => LONGEST,
            LinkError::Lost(_) | LinkError::Refused(_) => self.0,
        };
        self.0 = (self.0 * 2).min(LONGEST);
        pause.mul_f64(1.0 - fastrand::f64() / 5.0)
    }

    /// It works: the next failure is the first again.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let lost = LinkError::Lost(String::new());
        let mut backoff = Backoff::default();
        for secs in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let pause = backoff.next(&lost).as_secs_f64();
            assert!((secs * 0.8..=secs).contains(&pause), "{pause} for {secs}");
        }
        backoff.reset();
        assert!(backoff.next(&lost) <= SHORTEST);
        let denied = backoff.next(&LinkError::Denied(String::new()));
        assert!(denied >= LONGEST.mul_f64(0.8));
    }
}
