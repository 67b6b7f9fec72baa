//! SIGHUP: the daemon reads its configuration again. SIGTERM and SIGINT: the first asks for an orderly stop, a second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code after a second signal: 128 + SIGINT, as shells have it.
const AT_ONCE: i32 = 130;

/// True once a signal has come.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<AtomicBool>);

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the operating system refuses a handler.
    pub fn listen() -> std::io::Result<Self> {
        let signals = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag still down.
            flag::register_conditional_shutdown(signal, AT_ONCE, Arc::clone(&signals.0))?;
            flag::register(signal, Arc::clone(&signals.0))?;
        }
        Ok(signals)
    }

    /// Has a signal come?
    #[must_use]
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// True when a SIGHUP has come since it was asked last.
#[derive(Debug, Clone, Default)]
pub struct Hangup(Arc<AtomicBool>);

impl Hangup {
    /// Begins to listen; from now on a SIGHUP does not end the process.
    ///
    /// # Errors
    /// If the operating system refuses a handler.
    pub fn listen() -> std::io::Result<Self> {
        let hangup = Self::default();
        flag::register(SIGHUP, Arc::clone(&hangup.0))?;
        Ok(hangup)
    }

    /// Has one come since the last call?
    #[must_use]
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}
