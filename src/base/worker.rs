//! Named threads that are joined with a deadline and whose panics are reported.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEnd {
    /// Its function returned.
    Finished,
    /// It panicked, with this message.
    Panicked(String),
    /// It had not ended at the deadline.
    StillRunning,
}

/// A named thread, to be joined by its owner.
#[derive(Debug)]
pub struct Worker {
    name: String,
    ended: Receiver<Option<String>>,
}

impl Worker {
    /// Starts `work` on a thread named `name` (Linux shows the first 15 bytes).
    ///
    /// `on_panic` runs on that thread if `work` panics, so that the owner can begin an orderly stop.
    ///
    /// # Errors
    /// If the operating system refuses another thread.
    pub fn spawn(
        name: impl Into<String>,
        work: impl FnOnce() + Send + 'static,
        on_panic: impl FnOnce(&str) + Send + 'static,
    ) -> std::io::Result<Self> {
        let name = name.into();
        let (sender, ended) = bounded(1);
        std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || {
                let panic = catch_unwind(AssertUnwindSafe(work)).err().map(|payload| {
                    let text = payload
                        .downcast_ref::<&str>()
                        .map(ToString::to_string)
                        .or_else(|| payload.downcast_ref::<String>().cloned())
                        .unwrap_or_else(|| "no message".to_owned());
                    on_panic(&text);
                    text
                });
                // The owner may have given up waiting; then nobody is left to tell.
                drop(sender.send(panic));
            })?;
        Ok(Self { name, ended })
    }

    /// The name of the thread.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Has it ended?
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Waits for the end until `deadline`.
    #[must_use]
    pub fn join_until(self, deadline: Instant) -> WorkerEnd {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.ended.recv_timeout(left.max(Duration::from_millis(1))) {
            Ok(None) => WorkerEnd::Finished,
            Ok(Some(text)) => WorkerEnd::Panicked(text),
            Err(RecvTimeoutError::Timeout) => WorkerEnd::StillRunning,
            Err(RecvTimeoutError::Disconnected) => WorkerEnd::Panicked("no message".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_reported_to_the_owner() {
        let (sender, seen) = bounded(1);
        let worker = Worker::spawn(
            "breaks",
            || panic!("out of cheese"),
            move |text| sender.send(text.to_owned()).unwrap(),
        )
        .unwrap();
        let end = worker.join_until(Instant::now() + Duration::from_secs(10));
        assert_eq!(end, WorkerEnd::Panicked("out of cheese".into()));
        assert_eq!(seen.recv().unwrap(), "out of cheese");
    }

    #[test]
    fn a_worker_past_its_deadline_is_named_as_running() {
        let (hold, release) = bounded::<()>(0);
        let worker =
            Worker::spawn("waits", move || assert!(release.recv().is_err()), |_| {}).unwrap();
        assert_eq!(worker.join_until(Instant::now()), WorkerEnd::StillRunning);
        drop(hold);
    }
}
