//! A one-way stop flag that can be waited on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never, select};

/// Never sent: the channel only ever disconnects.
#[derive(Debug, Clone, Copy)]
pub enum Never {}

/// Asks for a stop; clones stop the same thing.
#[derive(Debug, Clone)]
pub struct StopSource {
    sender: Arc<Mutex<Option<Sender<Never>>>>,
    receiver: Receiver<Never>,
}

impl Default for StopSource {
    fn default() -> Self {
        let (sender, receiver) = bounded(0);
        Self {
            sender: Arc::new(Mutex::new(Some(sender))),
            receiver,
        }
    }
}

impl StopSource {
    /// Asks for a stop. Asking again does nothing.
    pub fn stop(&self) {
        self.sender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// A flag that becomes true at [`StopSource::stop`].
    #[must_use]
    pub fn stop_flag(&self) -> Stop {
        Stop {
            own: self.receiver.clone(),
            other: never(),
        }
    }
}

/// Becomes true once and stays true.
#[derive(Debug, Clone)]
pub struct Stop {
    own: Receiver<Never>,
    other: Receiver<Never>,
}

impl Stop {
    /// A flag that becomes true when this one does or `source` asks for a stop; it replaces what an
    /// earlier call added.
    #[must_use]
    pub fn or(&self, source: &StopSource) -> Self {
        Self {
            own: self.own.clone(),
            other: source.receiver.clone(),
        }
    }

    /// Has a stop been asked for?
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits at most `timeout` for the stop; true if it came.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        select! {
            recv(self.own) -> _ => true,
            recv(self.other) -> _ => true,
            default(timeout) => false,
        }
    }

    /// The channels of which one disconnects at the stop, for `crossbeam_channel::select!`.
    #[must_use]
    pub fn channels(&self) -> [&Receiver<Never>; 2] {
        [&self.own, &self.other]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_reaches_every_flag_and_stays() {
        let source = StopSource::default();
        let (a, b) = (source.stop_flag(), source.stop_flag());
        assert!(!a.is_stopped());
        source.clone().stop();
        source.stop();
        assert!(a.is_stopped() && b.wait(Duration::from_secs(5)) && a.is_stopped());
    }

    #[test]
    fn a_flag_of_two_sources_hears_either() {
        let (all, one) = (StopSource::default(), StopSource::default());
        let both = all.stop_flag().or(&one);
        assert!(!both.is_stopped());
        one.stop();
        assert!(both.wait(Duration::from_secs(5)) && !all.stop_flag().is_stopped());
        let other = all.stop_flag().or(&StopSource::default());
        all.stop();
        assert!(other.is_stopped());
    }
}
