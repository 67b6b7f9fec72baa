//! Frames that the detector does not look at: who says which they are, and the `carry` thread, which
//! hands them past it to the tracker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::detecting::{Detected, Outcome};
use super::trackers::Trackers;
use crate::base::{Frame, FromCamera, Inbox, Lane, LookReason, Pts, Route, Taken};
use crate::perception::motion::BoxFollower;
use crate::perception::schedule::{DetectSchedule, Expected, Gate};
use crate::perception::track::{Displacement, Prospect, Step, Tracker};

/// A camera's gate, shared by the inbox, which asks it, and the tracker, which tells it what came of it.
#[derive(Debug, Clone)]
pub(super) struct SharedGate(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    gate: Gate,
    /// Why the frame asked about last is looked at, if it is.
    reason: Option<LookReason>,
}

impl SharedGate {
    /// The gate of a schedule; none where every frame is looked at.
    pub fn new(schedule: DetectSchedule) -> Option<Self> {
        let gate = Gate::new(schedule)?;
        let shared = Shared { gate, reason: None };
        Some(Self(Arc::new(Mutex::new(shared))))
    }

    /// Whether the decision about a frame needs the tracks of the frame before it.
    pub fn needs_tracks(&self) -> bool {
        self.lock().gate.needs_tracks()
    }

    fn look(&self, frame: &Frame) -> Lane {
        let luma = frame.pixels.planes.plane(0);
        let mut shared = self.lock();
        shared.reason = shared.gate.look(luma, frame.meta.size, frame.meta.pts);
        if shared.reason.is_some() {
            Lane::Look
        } else {
            Lane::Pass
        }
    }

    fn take(&self, lane: Lane) {
        self.lock().gate.take(lane == Lane::Look);
    }

    /// A frame has been tracked; answers why it was looked at.
    fn seen(&self, pts: Pts, is_looked_at: bool, tracker: &Tracker) -> LookReason {
        let mut shared = self.lock();
        let expected = tracker.prospects().map(expected_of);
        shared.gate.seen(pts, is_looked_at, expected);
        match (&shared.gate, shared.reason) {
            (Gate::Adaptive(_), Some(reason)) => reason,
            // Others may have been asked about meanwhile.
            _ => LookReason::Interval,
        }
    }

    fn forget(&self) {
        self.lock().gate.forget();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expected_of(track: Prospect) -> Expected {
    Expected {
        bbox: track.bbox,
        velocity: track.velocity,
        doubt: track.doubt,
        is_confirmed: track.is_confirmed,
        is_seen: track.is_seen,
    }
}

/// The gates of the cameras that have one, by slot; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Gates(Arc<Mutex<BTreeMap<usize, SharedGate>>>);

impl Gates {
    pub fn add(&self, slot: usize, gate: SharedGate) {
        self.lock().insert(slot, gate);
    }

    pub fn remove(&self, slot: usize) {
        self.lock().remove(&slot);
    }

    fn get(&self, slot: usize) -> Option<SharedGate> {
        self.lock().get(&slot).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, SharedGate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends frames to the detector or past it, by the gates of their cameras.
#[derive(Debug)]
pub(super) struct ByGate(pub Gates);

impl Route<FromCamera> for ByGate {
    fn lane(&mut self, slot: usize, item: &FromCamera) -> Lane {
        match (item, self.0.get(slot)) {
            (FromCamera::Frame(captured), Some(gate)) => gate.look(&captured.frame),
            (FromCamera::RunEnded { .. }, Some(_)) => Lane::Pass,
            _ => Lane::Look,
        }
    }

    fn taken(&mut self, slot: usize, item: &FromCamera, lane: Lane) {
        if let Some(gate) = self.0.get(slot) {
            match item {
                FromCamera::Frame(_) => gate.take(lane),
                FromCamera::RunEnded { .. } => gate.forget(),
            }
        }
    }
}

/// The `carry` thread's work: hands on what nobody looks at. The tracker puts it back in order.
#[derive(Debug)]
pub(super) struct CarryWorker {
    pub inbox: Arc<Inbox<FromCamera>>,
    pub trackers: Trackers,
}

impl CarryWorker {
    /// Works until the inbox is closed and empty, or the tracker is gone.
    pub fn run(self) {
        while let Some(taken) = self.inbox.take_passed(usize::MAX) {
            for Taken { slot, ticket, item } in taken {
                let outcome = match item {
                    FromCamera::Frame(captured) => Outcome::Carried(captured),
                    FromCamera::RunEnded {
                        camera,
                        run,
                        reason,
                    } => Outcome::RunEnded {
                        camera,
                        run,
                        reason,
                    },
                };
                let detected = Detected {
                    slot,
                    ticket,
                    outcome,
                };
                if self.trackers.send(detected).is_err() {
                    return;
                }
            }
        }
    }
}

/// An object is covered by one before it that takes more than this share of its box.
const COVERED: f32 = 0.25;

/// Whether `other` stands before `track`, its feet lower in the picture, and covers it.
fn covers(other: &Prospect, track: &Prospect) -> bool {
    let (front, back) = (&other.bbox, &track.bbox);
    let width = front.right().min(back.right()) - front.left().max(back.left());
    let height = front.bottom().min(back.bottom()) - front.top().max(back.top());
    let shared = width.max(0.0) * height.max(0.0);
    front.bottom() > back.bottom() && shared > COVERED * back.width() * back.height()
}

/// Carries one camera's tracks to frames that nobody looked at, on the thread of its tracker.
#[derive(Debug)]
pub(super) struct Carrier {
    gate: SharedGate,
    follower: BoxFollower,
    last: Option<Pts>,
}

impl Carrier {
    pub fn new(gate: SharedGate) -> Self {
        Self {
            gate,
            follower: BoxFollower::default(),
            last: None,
        }
    }

    /// Sees a picture that the detector looked at: the next one is compared with it.
    pub fn keep(&mut self, frame: &Frame) {
        self.follower
            .step(frame.pixels.planes.plane(0), frame.meta.size);
        self.last = Some(frame.meta.pts);
    }

    /// Carries the tracks to `frame`, at `scene` in the time that the tracker counts.
    pub fn carry(&mut self, frame: &Frame, scene: Pts, tracker: &mut Tracker) -> Step {
        let pts = frame.meta.pts;
        let dt = self.last.map_or(0.0, |last| pts.secs_since(last)).max(0.0) as f32;
        self.keep(frame);
        let prospects: Vec<Prospect> = tracker.prospects().collect();
        let follow = |track: &Prospect| {
            // What the picture shows in a box that another covers may be the other.
            if !track.is_seen || prospects.iter().any(|other| covers(other, track)) {
                return None;
            }
            let expected = track.velocity.map(|part| part * dt);
            let moved = self.follower.follow(&track.bbox, expected)?;
            Some(Displacement {
                shift: moved.shift,
                stretch: moved.stretch,
                deviation_px: moved.deviation_px,
            })
        };
        let moved: Vec<_> = prospects.iter().map(follow).collect();
        tracker.carry(&moved, scene)
    }

    /// Tells the gate what came of a frame; answers why it was looked at.
    pub fn tell(&self, pts: Pts, is_looked_at: bool, tracker: &Tracker) -> LookReason {
        self.gate.seen(pts, is_looked_at, tracker)
    }

    /// The detector failed on a frame.
    pub fn failed(&self) {
        self.gate.forget();
    }

    /// The run is over; its gate knows that since the notice was taken.
    pub fn end_run(&mut self) {
        self.follower.reset();
        self.last = None;
    }
}
