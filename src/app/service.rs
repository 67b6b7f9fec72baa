//! What systemd is told: ready, stopping, and that frames really move.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tracing::{debug, error, warn};

use crate::base::{Metrics, Stop, Worker};

/// Tells whether the frame path lives: real progress, not merely a process that exists.
pub struct Liveness {
    metrics: Arc<Metrics>,
    is_expected: Box<dyn Fn() -> bool + Send + Sync>,
    limit: Duration,
    last: Mutex<(u64, Instant)>,
}

impl fmt::Debug for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Liveness")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Liveness {
    /// Alive while [`Metrics::progress`] grows at least once per `limit`, or while `is_expected`
    /// says that nothing has to move (no frame is on its way).
    pub fn new(
        metrics: Arc<Metrics>,
        limit: Duration,
        is_expected: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        let last = Mutex::new((metrics.progress(), Instant::now()));
        Arc::new(Self {
            metrics,
            is_expected: Box::new(is_expected),
            limit,
            last,
        })
    }

    /// Ok while alive, otherwise what is wrong.
    ///
    /// # Errors
    /// Text for the operator: for how long nothing has moved.
    pub fn check(&self) -> Result<(), String> {
        let progress = self.metrics.progress();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != progress || !(self.is_expected)() {
            *last = (progress, Instant::now());
            return Ok(());
        }
        let still = last.1.elapsed();
        if still <= self.limit {
            return Ok(());
        }
        let secs = still.as_secs_f64();
        Err(format!(
            "no frame has come out for {secs:.0} s although some are on their way"
        ))
    }
}

/// Tells systemd that gantryd is ready; `status` is what `systemctl status` shows.
///
/// Does nothing where there is no systemd.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells systemd what gantryd is doing.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Tells systemd that gantryd reads its configuration again; [`ready`] says that it is done.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[
            NotifyState::Reloading,
            now,
            NotifyState::Status("reading the configuration again"),
        ]),
        Err(error) => warn!(%error, "systemd cannot be told of the reload"),
    }
}

/// Tells systemd that gantryd is stopping because it was asked to.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "systemd cannot be told");
    }
}

/// Feeds systemd's watchdog from a thread of its own while `liveness` holds, until `stop`;
/// `None` if systemd does not watch this process.
///
/// When it does not hold the watchdog goes hungry: systemd kills and restarts gantryd after
/// `WatchdogSec`. The thread goes on looking, so that a path that recovers in time is spared.
///
/// # Errors
/// If the operating system refuses another thread.
pub fn watch(
    liveness: Arc<Liveness>,
    stop: Stop,
    on_panic: impl FnOnce(&str) + Send + 'static,
) -> io::Result<Option<Worker>> {
    let Some(period) = sd_notify::watchdog_enabled() else {
        debug!("no watchdog: WATCHDOG_USEC is not set for this process");
        return Ok(None);
    };
    // systemd advises half the period; a third leaves room for one missed turn.
    let interval = period / 3;
    let feed = move || {
        loop {
            match liveness.check() {
                Ok(()) => tell(&[NotifyState::Watchdog]),
                Err(reason) => error!(reason, "watchdog is not fed, systemd will restart gantryd"),
            }
            if stop.wait(interval) {
                return;
            }
        }
    };
    Worker::spawn("watchdog", feed, on_panic).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{CameraId, RunEnd, StopSource};
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn life_is_progress_or_nothing_to_expect() {
        let metrics = Metrics::new();
        let expected = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&expected);
        let liveness = Liveness::new(Arc::clone(&metrics), Duration::ZERO, move || {
            asked.load(Ordering::Relaxed)
        });
        assert_eq!(liveness.check(), Ok(()));
        expected.store(true, Ordering::Relaxed);
        assert!(
            liveness
                .check()
                .unwrap_err()
                .contains("no frame has come out")
        );
        metrics.run_ended(&CameraId::new("gate"), RunEnd::Stalled);
        assert_eq!(liveness.check(), Ok(()));
        assert!(liveness.check().is_err());
    }

    /// Runs only as the child of `systemd_hears_every_word`.
    #[test]
    #[ignore = "child process of another test"]
    fn child_that_talks_to_systemd() {
        let source = StopSource::default();
        let liveness = Liveness::new(Metrics::new(), Duration::from_secs(60), || true);
        ready("2 cameras");
        let watchdog = watch(liveness, source.stop_flag(), |_| {})
            .unwrap()
            .unwrap();
        status("fed twice");
        // Stops once it has been fed at least twice: one interval is 10 ms.
        assert!(!source.stop_flag().wait(Duration::from_millis(50)));
        source.stop();
        stopping();
        drop(watchdog.join_until(Instant::now() + Duration::from_secs(5)));
    }

    #[test]
    fn systemd_hears_every_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--ignored",
                "app::service::tests::child_that_talks_to_systemd",
            ])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "30000")
            .spawn()
            .unwrap();
        let mut heard = Vec::new();
        let mut buffer = [0; 256];
        while !heard
            .last()
            .is_some_and(|text: &String| text.contains("STOPPING"))
        {
            let length = socket.recv(&mut buffer).unwrap();
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        assert!(child.wait().unwrap().success());
        assert_eq!(heard[0].trim(), "READY=1\nSTATUS=2 cameras");
        let fed = heard
            .iter()
            .filter(|text| text.trim() == "WATCHDOG=1")
            .count();
        assert!(fed >= 2, "{heard:?}");
    }

    #[test]
    fn without_systemd_nothing_watches() {
        let liveness = Liveness::new(Metrics::new(), Duration::from_secs(1), || true);
        let stop = StopSource::default().stop_flag();
        assert!(watch(liveness, stop, |_| {}).unwrap().is_none());
        ready("nobody listens");
    }
}
