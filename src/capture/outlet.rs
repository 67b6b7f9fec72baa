//! The way out of capture: numbers a frame, stamps it, and puts it into the inbox. Runs on
//! GStreamer's streaming threads; waits only for lossless sources.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use gstreamer as gst;
use tracing::{debug, warn};

use super::frames::{Decoded, UnusableSample};
use super::sequence::{Arrived, Numbering, Place, Sequence};
use super::{CameraOptions, CameraState, StatusHandle};
use crate::base::{
    CameraId, Captured, DropReason, Frame, FrameMeta, FromCamera, Inbox, Metrics, Pts, RunEnd,
    RunId, Stage, StreamClock, UtcNanos, UtcSource,
};

/// How capture time is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UtcRule {
    /// The camera's clock, else the arrival.
    Live,
    /// The time of the first frame, if known, plus stream time.
    Media(Option<UtcNanos>),
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// On its way, or counted as dropped.
    Done,
    /// On its way, and it was the last one wanted.
    Last,
    /// The run is being shut down.
    Closed,
}

/// Numbers and hands over the frames of one camera over its whole life.
#[derive(Debug)]
pub(super) struct Outlet {
    camera: CameraId,
    inbox: Arc<Inbox<FromCamera>>,
    slot: usize,
    metrics: Arc<Metrics>,
    status: StatusHandle,
    queue_frames: usize,
    max_frames: Option<u64>,
    clock: Arc<StreamClock>,
    /// A frame waits for room in the inbox: the source is not silent, it is held up.
    held_up: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sequence: Sequence,
    open: bool,
    /// A run has begun and its end was not reported.
    in_run: bool,
    /// Set while the camera is on trial: its frames go nowhere.
    trial: Option<OnTrial>,
    lossless: bool,
    utc: UtcRule,
    /// Stream time of the first frame of this connection.
    first_time_ns: Option<u64>,
    last_frame: Option<Instant>,
    /// Stream time of the last frame, not counted anew in a new run of one connection.
    last_time: Duration,
    unusable: u64,
    left_out: u64,
}

/// A camera of which one frame is wanted, to know that it delivers.
#[derive(Debug)]
struct OnTrial {
    /// Told of the first frame; `None` when it was.
    seen: Option<Sender<()>>,
}

impl Outlet {
    pub fn new(
        options: &CameraOptions,
        inbox: Arc<Inbox<FromCamera>>,
        slot: usize,
        metrics: Arc<Metrics>,
        status: StatusHandle,
    ) -> Self {
        Self {
            camera: options.id.clone(),
            inbox,
            slot,
            metrics,
            status,
            queue_frames: options.queue_frames.max(1),
            max_frames: options.max_frames,
            clock: Arc::clone(&options.clock),
            held_up: AtomicBool::new(false),
            state: Mutex::new(State {
                sequence: Sequence::after(options.runs_before),
                open: false,
                in_run: false,
                trial: None,
                lossless: options.lossless,
                utc: UtcRule::Live,
                first_time_ns: None,
                last_frame: None,
                last_time: Duration::ZERO,
                unusable: 0,
                left_out: 0,
            }),
        }
    }

    /// Begins on trial: `seen` is told of the first frame, and none goes anywhere before
    /// [`Outlet::admit`].
    pub fn on_trial(self, seen: Sender<()>) -> Self {
        self.lock().trial = Some(OnTrial { seen: Some(seen) });
        self
    }

    /// Is the first frame of a trial still waited for?
    pub fn is_unproven(&self) -> bool {
        let state = self.lock();
        state.trial.as_ref().is_some_and(|it| it.seen.is_some())
    }

    /// The trial is over: frames go their way from now on, numbered after `before`.
    pub fn admit(&self, before: Numbering) {
        let mut state = self.lock();
        state.trial = None;
        state.sequence = before.0;
        state.in_run = state.open;
        if state.open {
            let run = state.sequence.begin_run();
            self.status.update(|status| status.run = Some(run));
        }
    }

    /// What is known about the camera.
    pub fn status(&self) -> &StatusHandle {
        &self.status
    }

    /// How far runs and frames are numbered.
    pub fn numbering(&self) -> Numbering {
        Numbering(self.lock().sequence.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the next run.
    pub fn open(&self, lossless: bool, utc: UtcRule) -> RunId {
        self.inbox.resume(self.slot);
        self.clock.begin_connection();
        let mut state = self.lock();
        state.open = true;
        state.in_run = true;
        state.lossless = lossless;
        state.utc = utc;
        state.first_time_ns = None;
        state.last_frame = None;
        let run = state.sequence.begin_run();
        self.status.update(|status| {
            status.run = Some(run);
            status.state = CameraState::Connecting;
        });
        run
    }

    /// Refuses further frames and wakes a frame that waits; to be called before the pipeline is
    /// shut down, or the two wait for each other.
    pub fn close(&self) {
        self.lock().open = false;
        self.inbox.abort(self.slot);
    }

    /// Reports the end of the current run; no frame of it may follow.
    pub fn end_run(&self, reason: RunEnd) {
        let mut state = self.lock();
        let was_in_run = std::mem::take(&mut state.in_run);
        if state.trial.is_some() || !was_in_run {
            return;
        }
        let run = state.sequence.run();
        drop(state);
        self.report_end(run, reason);
    }

    fn report_end(&self, run: RunId, reason: RunEnd) {
        self.metrics.run_ended(&self.camera, reason);
        if !matches!(reason, RunEnd::FormatChanged | RunEnd::TimeJump) {
            self.metrics.config().delivering(&self.camera, false);
        }
        self.status.update(|status| status.last_end = Some(reason));
        let notice = FromCamera::RunEnded {
            camera: self.camera.clone(),
            run,
            reason,
        };
        if self.inbox.put_notice(self.slot, notice).is_err() {
            debug!(camera = %self.camera, run = run.0, "run ended after the inbox was closed");
        }
    }

    /// When the last frame of this connection arrived; now, while one waits for room.
    pub fn last_frame(&self) -> Option<Instant> {
        if self.held_up.load(Ordering::Acquire) {
            return Some(Instant::now());
        }
        self.lock().last_frame
    }

    /// Stream time of the last frame of this connection.
    pub fn last_time(&self) -> Duration {
        self.lock().last_time
    }

    /// Frames delivered over all runs.
    pub fn frames(&self) -> u64 {
        self.lock().sequence.frames()
    }

    /// From now on no frame may be lost, and times are those of the medium.
    pub fn set_recorded(&self, start: Option<UtcNanos>) {
        let mut state = self.lock();
        state.lossless = true;
        state.utc = UtcRule::Media(start);
    }

    /// Times are those of the medium, which began at `start`.
    pub fn set_recorded_utc(&self, start: Option<UtcNanos>) {
        self.lock().utc = UtcRule::Media(start);
    }

    /// Sends one sample of the decoder down the frame path, `waited` after it came to this machine.
    pub fn deliver(&self, sample: &gst::Sample, waited: Duration) -> Delivery {
        let decoded = match Decoded::from_sample(sample) {
            Ok(decoded) => decoded,
            Err(error) => return self.count_unusable(error),
        };
        let arrived = Arrived {
            time_ns: decoded.time_ns,
            step_ns: decoded.step_ns,
            shape: decoded.shape(),
        };
        let mut state = self.lock();
        if !state.open {
            return Delivery::Closed;
        }
        if state.trial.is_some() {
            state.prove(&decoded, &self.status);
            return Delivery::Done;
        }
        let place = state.sequence.place(arrived);
        if state.last_frame.replace(decoded.arrived).is_none() {
            self.metrics.config().delivering(&self.camera, true);
        }
        state.last_time = Duration::from_nanos(decoded.time_ns.unwrap_or(place.pts.0));
        let (utc, utc_source) = state.capture_time(&decoded, place);
        let lossless = state.lossless;
        let last = self.max_frames == Some(state.sequence.frames());
        state.open = !last;
        drop(state);

        if let Some((run, reason)) = place.ended {
            self.report_end(run, reason);
        }
        if let Some(time_ns) = decoded.time_ns {
            self.clock.note_run(place.run, place.pts, time_ns);
        }
        self.status.update(|status| {
            status.state = CameraState::Running;
            status.run = Some(place.run);
            status.size = Some(decoded.size);
            status.fps = decoded.fps;
            status.frames += 1;
            status.last_frame = Some(decoded.arrived);
            status.utc_source = Some(utc_source);
        });
        let frame = Frame {
            meta: FrameMeta {
                camera: self.camera.clone(),
                run: place.run,
                seq: place.seq,
                pts: place.pts,
                utc,
                utc_source,
                size: decoded.size,
            },
            pixels: decoded.pixels,
            arrived: decoded
                .arrived
                .checked_sub(waited)
                .unwrap_or(decoded.arrived),
        };
        let captured = FromCamera::Frame(Captured {
            frame: Arc::new(frame),
            flight: self.metrics.frame_received(&self.camera),
        });
        match self.put(captured, lossless) {
            Delivery::Done if last => Delivery::Last,
            delivery => delivery,
        }
    }

    fn put(&self, item: FromCamera, lossless: bool) -> Delivery {
        if lossless {
            self.held_up.store(true, Ordering::Release);
            let put = self.inbox.put_waiting(self.slot, item, self.queue_frames);
            self.held_up.store(false, Ordering::Release);
            self.lock().last_frame = Some(Instant::now());
            return match put {
                Ok(()) => Delivery::Done,
                Err(FromCamera::Frame(lost)) => {
                    lost.flight.dropped(Stage::Capture, DropReason::Stopping);
                    Delivery::Closed
                }
                Err(FromCamera::RunEnded { .. }) => Delivery::Closed,
            };
        }
        let seq = match &item {
            FromCamera::Frame(captured) => Some(captured.frame.meta.seq),
            FromCamera::RunEnded { .. } => None,
        };
        let mut delivery = Delivery::Done;
        for lost in self.inbox.put_newest(self.slot, item) {
            match lost {
                FromCamera::Frame(lost) if Some(lost.frame.meta.seq) == seq => {
                    lost.flight.dropped(Stage::Capture, DropReason::Stopping);
                    delivery = Delivery::Closed;
                }
                FromCamera::Frame(lost) => {
                    lost.flight.dropped(Stage::Inference, DropReason::Replaced);
                }
                FromCamera::RunEnded { .. } => {}
            }
        }
        delivery
    }

    /// A picture of a live stream was not decoded, for the decoder is behind.
    pub fn count_left_out(&self) {
        let mut state = self.lock();
        if !state.open || state.trial.is_some() {
            return;
        }
        state.left_out += 1;
        if state.left_out == 1 {
            warn!(camera = %self.camera, "the decoder is slower than the camera, pictures are left out; further ones are only counted");
        }
        drop(state);
        self.metrics
            .frame_received(&self.camera)
            .dropped(Stage::Capture, DropReason::Replaced);
    }

    /// Such a frame was received and dropped; it gets no number, for it has no shape and no time.
    fn count_unusable(&self, error: UnusableSample) -> Delivery {
        let mut state = self.lock();
        if !state.open {
            return Delivery::Closed;
        }
        if state.trial.is_some() {
            return Delivery::Done;
        }
        state.unusable += 1;
        if state.unusable == 1 {
            warn!(camera = %self.camera, %error, "a decoded picture is unusable; further ones are only counted");
        }
        drop(state);
        self.metrics
            .frame_received(&self.camera)
            .dropped(Stage::Capture, DropReason::Unusable);
        Delivery::Done
    }
}

impl State {
    /// A frame of a camera on trial: it delivers.
    fn prove(&mut self, decoded: &Decoded, status: &StatusHandle) {
        self.last_frame = Some(decoded.arrived);
        status.update(|status| {
            status.state = CameraState::Running;
            status.size = Some(decoded.size);
            status.fps = decoded.fps;
        });
        if let Some(seen) = self.trial.as_mut().and_then(|it| it.seen.take()) {
            // The channel has a place for it, and nobody may be waiting any more.
            seen.try_send(()).ok();
        }
    }

    fn capture_time(&mut self, decoded: &Decoded, place: Place) -> (Option<UtcNanos>, UtcSource) {
        let Pts(pts) = place.pts;
        match self.utc {
            UtcRule::Live => {
                let (utc, source) = decoded.live_utc();
                (Some(utc), source)
            }
            UtcRule::Media(None) => (None, UtcSource::Unknown),
            UtcRule::Media(Some(start)) => {
                // Runs inside one file count PTS anew, its clock goes on.
                let time = decoded.time_ns.unwrap_or(pts);
                let first = *self.first_time_ns.get_or_insert(time);
                let since = i64::try_from(time.saturating_sub(first)).unwrap_or(i64::MAX);
                (
                    Some(UtcNanos(start.0.saturating_add(since))),
                    UtcSource::Media,
                )
            }
        }
    }
}
