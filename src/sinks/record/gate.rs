//! What the frame path and the pipeline of a segment tell each other: room, failure, end.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why a segment ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// For the operator.
    pub text: String,
    /// The encoder is to blame, not the disk: another encoder may do better.
    pub encoder: bool,
}

impl Failure {
    pub(super) fn of_file(text: String) -> Self {
        Self {
            text,
            encoder: false,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    queued: usize,
    ended: bool,
    failure: Option<Failure>,
}

/// Shared by the frame path (waits), the streaming thread and the bus handler (tell).
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

/// Whether a frame may be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    Full,
    Failed,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame entered the queue.
    pub(super) fn entered(&self) {
        self.state().queued += 1;
    }

    /// A frame went from the queue to the encoder.
    pub(super) fn left(&self) {
        let mut state = self.state();
        state.queued = state.queued.saturating_sub(1);
        self.changed.notify_all();
    }

    /// The segment failed; the first failure is the one that counts.
    pub(super) fn fail(&self, failure: Failure) {
        let mut state = self.state();
        state.failure.get_or_insert(failure);
        self.changed.notify_all();
    }

    /// The file is complete.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.state().failure.clone()
    }

    /// Waits at most `timeout` until fewer than `limit` frames are queued.
    pub(super) fn wait_room(&self, limit: usize, timeout: Duration) -> Room {
        let state = self.wait(timeout, |state| {
            state.queued < limit || state.failure.is_some()
        });
        match (&state.failure, state.queued < limit) {
            (Some(_), _) => Room::Failed,
            (None, true) => Room::Free,
            (None, false) => Room::Full,
        }
    }

    /// Waits at most `timeout` until the file is complete or failed; false if neither came.
    pub(super) fn wait_end(&self, timeout: Duration) -> bool {
        let state = self.wait(timeout, |state| state.ended || state.failure.is_some());
        state.ended || state.failure.is_some()
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_wakes_the_one_who_waits_for_room() {
        let gate = Gate::default();
        gate.entered();
        assert_eq!(gate.wait_room(1, Duration::ZERO), Room::Full);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.wait_room(1, Duration::from_secs(20)));
            gate.fail(Failure::of_file("disk full".into()));
            assert_eq!(waiting.join().unwrap(), Room::Failed);
        });
        gate.fail(Failure::of_file("later".into()));
        assert_eq!(gate.failure().unwrap().text, "disk full");
    }
}
