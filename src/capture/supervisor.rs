//! One camera's life: run, classify the end, back off, next run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use tracing::{debug, warn};

use super::check::{check, check_installation};
use super::outlet::Outlet;
use super::reach::{Door, SeenDoor};
use super::session;
use super::{
    Backoff, CameraEnd, CameraOptions, CameraState, CaptureError, Decode, Numbering, StatusHandle,
};
use crate::base::{FromCamera, Inbox, Metrics, RunEnd, Stop, Worker};

/// How often a host that refused the connection is knocked at while waiting.
const KNOCK_EVERY: Duration = Duration::from_secs(1);

/// A running camera.
#[derive(Debug)]
pub struct Camera {
    /// Its `cap-<n>` thread; ends when the camera has ended or stop was asked for.
    pub worker: Worker,
    /// What is known about it.
    pub status: StatusHandle,
    /// Gets one message when the camera has ended for good; the last frames may still wait in
    /// the inbox then.
    pub ended: Receiver<CameraEnd>,
    pub(super) outlet: Arc<Outlet>,
}

impl Camera {
    /// How far its runs and frames are numbered; final once its thread has ended.
    #[must_use]
    pub fn numbering(&self) -> Numbering {
        self.outlet.numbering()
    }
}

/// Starts a camera: its frames and the ends of its runs go to `slot` of `inbox`.
///
/// # Errors
/// [`CaptureError`] for what is wrong before anything runs: GStreamer or an element missing, a
/// pipeline text that cannot be used; unless the camera is patient also a file or device that
/// cannot be read.
pub fn start(
    options: CameraOptions,
    inbox: Arc<Inbox<FromCamera>>,
    slot: usize,
    metrics: Arc<Metrics>,
    stop: Stop,
    on_panic: impl FnOnce(&str) + Send + 'static,
) -> Result<Camera, CaptureError> {
    let status = StatusHandle::default();
    let outlet = Outlet::new(&options, inbox, slot, metrics, status);
    start_with(format!("cap-{slot}"), options, outlet, stop, on_panic)
}

/// Starts the thread `name` of a camera whose frames go to `outlet`.
pub(super) fn start_with(
    name: String,
    options: CameraOptions,
    outlet: Outlet,
    stop: Stop,
    on_panic: impl FnOnce(&str) + Send + 'static,
) -> Result<Camera, CaptureError> {
    if options.patient {
        check_installation(&options)?;
    } else {
        check(&options)?;
    }
    let status = outlet.status().clone();
    status.update(|status| status.source = options.source.to_string());
    let (sender, ended) = bounded(1);
    let outlet = Arc::new(outlet);
    let supervisor = Supervisor {
        outlet: Arc::clone(&outlet),
        door: Door::of(&options.source),
        options,
        status: status.clone(),
        stop,
    };
    let worker = Worker::spawn(name.clone(), move || supervisor.live(&sender), on_panic)
        .map_err(|source| CaptureError::Thread { name, source })?;
    Ok(Camera {
        worker,
        status,
        ended,
        outlet,
    })
}

struct Supervisor {
    options: CameraOptions,
    door: Option<Door>,
    outlet: Arc<Outlet>,
    status: StatusHandle,
    stop: Stop,
}

impl Supervisor {
    fn live(mut self, ended: &Sender<CameraEnd>) {
        let _camera = tracing::error_span!("camera", id = %self.options.id).entered();
        let mut waits = Waits::new(self.options.backoff.unwrap_or_default());
        let mut is_away = false;
        let last = loop {
            let door = SeenDoor::new(self.door.as_ref(), is_away);
            let run = session::run(&self.options, door, &self.outlet, &self.status, &self.stop);
            let text = run.error.as_ref().map(ToString::to_string);
            self.status.update(|status| {
                if text.is_some() {
                    status.last_error.clone_from(&text);
                }
            });
            self.outlet.end_run(run.reason);
            if self.falls_back_to_software(&run) {
                warn!(camera = %self.options.id, error = text, "not decoded, trying once more in software");
                self.options.decode = Decode::Software;
                continue;
            }
            if run.reason == RunEnd::EndOfFile && self.options.repeat && !run.enough {
                continue;
            }
            let is_over =
                run.enough || run.reason == RunEnd::Stopped || run.reason == RunEnd::EndOfFile;
            let is_hopeless = self.outlet.is_unproven()
                || (self.options.give_up_unseen
                    && run.error.is_some()
                    && self.outlet.frames() == 0);
            if is_over || is_hopeless || self.options.backoff.is_none() {
                break run;
            }
            if run.is_back {
                debug!("the host is back, connecting anew");
                is_away = false;
                continue;
            }
            let wait = waits.after(run.reason, run.had_frames);
            warn!(
                reason = run.reason.as_str(),
                error = text,
                wait_secs = wait.as_secs_f64(),
                "run ended, reconnecting"
            );
            is_away = match self.wait(wait, run.reason) {
                Waited::Stopped => {
                    break session::Ended {
                        reason: RunEnd::Stopped,
                        error: None,
                        ..run
                    };
                }
                Waited::Away => true,
                Waited::Over => false,
            };
        };
        self.status
            .update(|status| status.state = CameraState::Ended);
        let frames = self.outlet.frames();
        let end = CameraEnd {
            camera: self.options.id.clone(),
            reason: last.reason,
            error: last.error,
            frames,
        };
        // Nobody may be left to hear it.
        drop(ended.try_send(end));
    }

    /// True if a decoder that `auto` took gave not one frame: hardware takes fewer profiles and
    /// depths than its caps say.
    fn falls_back_to_software(&self, run: &session::Ended) -> bool {
        let taken = self.status.snapshot().decode;
        self.options.decode == Decode::Auto
            && run.reason == RunEnd::Undecodable
            && !run.had_frames
            && taken.is_some_and(|family| family != Decode::Software)
    }

    /// Waits `wait` or until the stop. A source that is away is knocked at meanwhile, so that
    /// frames are back at once when it is, however long it was away.
    fn wait(&self, wait: Duration, reason: RunEnd) -> Waited {
        self.status
            .update(|status| status.state = CameraState::Waiting);
        // An open door that lets nobody in is not knocked at: that is no matter of being away.
        let door = (is_loss(reason))
            .then_some(self.door.as_ref())
            .flatten()
            .filter(|door| !door.is_open());
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.stop.wait(left.min(KNOCK_EVERY)) {
                return Waited::Stopped;
            }
            if door.is_some_and(Door::is_open) {
                return Waited::Over;
            }
            if Instant::now() >= deadline {
                return if door.is_some() {
                    Waited::Away
                } else {
                    Waited::Over
                };
            }
        }
    }
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    /// A stop was asked for.
    Stopped,
    /// The time is over, or the source is back.
    Over,
    /// The time is over and the source does not answer a knock.
    Away,
}

/// True for ends of a source that may be away; the others are answers of one that is there.
fn is_loss(reason: RunEnd) -> bool {
    matches!(
        reason,
        RunEnd::Unreachable
            | RunEnd::NoAnswer
            | RunEnd::ConnectionLost
            | RunEnd::EndOfStream
            | RunEnd::Stalled
    )
}

/// The waits between runs: doubling, with jitter, anew after a run with frames.
struct Waits {
    limits: Backoff,
    next: Duration,
}

impl Waits {
    fn new(limits: Backoff) -> Self {
        Self {
            limits,
            next: limits.first,
        }
    }

    fn after(&mut self, reason: RunEnd, had_frames: bool) -> Duration {
        let wait = match reason {
            // Trying again soon does not help and may lock the account. An unknown stream is
            // another matter: a media server says so until its publisher is back.
            RunEnd::Unauthorized => self.limits.longest,
            _ if had_frames => {
                self.next = self.limits.first;
                self.next
            }
            _ => self.next,
        };
        self.next = (wait * 2).min(self.limits.longest);
        // Cameras that were lost together are not asked together: up to a fifth earlier.
        wait.mul_f64(1.0 - 0.2 * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(wait: Duration, secs: f64) -> bool {
        (0.8 * secs..=secs).contains(&wait.as_secs_f64())
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_anew_after_frames() {
        let mut waits = Waits::new(Backoff::default());
        for secs in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let wait = waits.after(RunEnd::Unreachable, false);
            assert!(within(wait, secs), "{wait:?} for {secs}");
        }
        assert!(within(waits.after(RunEnd::ConnectionLost, true), 1.0));
    }

    #[test]
    fn a_refused_password_is_not_tried_again_soon() {
        let mut waits = Waits::new(Backoff::default());
        assert!(within(waits.after(RunEnd::Unauthorized, false), 30.0));
    }

    #[test]
    fn an_unknown_stream_is_asked_for_again_as_soon_as_a_lost_one() {
        let mut waits = Waits::new(Backoff::default());
        assert!(within(waits.after(RunEnd::NotFound, false), 1.0));
        assert!(within(waits.after(RunEnd::NotFound, false), 2.0));
    }
}
