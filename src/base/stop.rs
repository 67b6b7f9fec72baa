//! A one-way stop flag that can be waited on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

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
        Stop(self.receiver.clone())
    }
}

/// Becomes true once and stays true.
#[derive(Debug, Clone)]
pub struct Stop(Receiver<Never>);

impl Stop {
    /// Has a stop been asked for?
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits at most `timeout` for the stop; true if it came.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        matches!(
            self.0.recv_timeout(timeout),
            Err(RecvTimeoutError::Disconnected)
        )
    }

    /// A channel that disconnects at the stop, for `crossbeam_channel::select!`.
    #[must_use]
    pub fn channel(&self) -> &Receiver<Never> {
        &self.0
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
}
