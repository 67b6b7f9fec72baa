//! The `track` thread: puts detections back in order per camera, follows objects, publishes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, never, select, tick};

use super::carrying::Carrier;
use super::detecting::{Detected, Outcome};
use super::event_outlet::EventOutlet;
use super::outlet::{Outlet, Published};
use super::succession::{Change, Succession};
use crate::app::state::{Entered, Memory, Past};
use crate::base::{
    BBox, CameraId, Captured, ClassId, Detection, DropReason, EndedTrack, Event, Frame,
    FrameResult, FromCamera, Inbox, LookReason, Metrics, RunEnd, RunId, Stage, StageTimer, Timings,
    TrackSnapshot, ZoneCount,
};
use crate::perception::detect::FrameDetections;
use crate::perception::motion::MotionEstimator;
use crate::perception::track::{CameraWarp, Step, Tracker};
use crate::perception::zones::{Observed, Zones};
use crate::sinks::publish::class_name;

/// What counts as an object at a camera.
#[derive(Debug)]
pub(super) struct Watching {
    /// Classes to track; `None` tracks all.
    pub classes: Option<Vec<ClassId>>,
    /// Classes that no picture may show.
    pub hidden: Vec<ClassId>,
    /// What is counted in its picture, if anything is.
    pub zones: Option<Zones>,
}

/// How often cameras are looked at that send nothing.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// One camera's tracker, and the order of what the detect workers bring.
#[derive(Debug)]
pub(super) struct CameraTracking {
    pub(super) camera: CameraId,
    pub(super) tracker: Tracker,
    /// Finds the motion of the camera in the picture, if it shall.
    motion: Option<MotionEstimator>,
    /// Carries the tracks to frames that the detector does not look at, if there are any.
    carrier: Option<Carrier>,
    pub(super) watching: Watching,
    /// Number of the last event of zones that are no more.
    pub(super) events_before: u64,
    /// Carries tracker and zones over the ends of runs, where that is wanted.
    pub(super) past: Option<Past>,
    next_ticket: u64,
    /// What came before its turn; bounded by the inbox, which gives out no more than it is told
    /// done.
    early: BTreeMap<u64, Outcome>,
}

impl CameraTracking {
    pub fn new(camera: CameraId, tracker: Tracker, watching: Watching) -> Self {
        Self {
            camera,
            tracker,
            motion: None,
            carrier: None,
            watching,
            events_before: 0,
            past: None,
            next_ticket: 0,
            early: BTreeMap::new(),
        }
    }

    /// With the motion of the camera taken from the picture.
    pub fn with_motion(mut self, motion: Option<MotionEstimator>) -> Self {
        self.motion = motion;
        self
    }

    /// With frames that the detector does not look at.
    pub fn carried_by(mut self, carrier: Option<Carrier>) -> Self {
        self.carrier = carrier;
        self
    }

    /// Goes on from what is remembered of the camera, and remembers it from now on. Gives how many runs
    /// there were before.
    pub fn remembered_by(&mut self, memory: &Memory, source: &str) -> u32 {
        let zones = self.watching.zones.as_mut();
        let (past, runs) = memory.recall(&self.camera, source, &mut self.tracker, zones);
        self.past = Some(past);
        self.number_events_by(memory);
        runs
    }

    /// Number of the newest event.
    pub fn event_number(&self) -> u64 {
        self.last_event()
    }

    /// Remembers the camera from now on; what was remembered of it before is forgotten.
    pub fn remembered_afresh(&mut self, memory: &Memory, source: &str) {
        self.past = Some(memory.afresh(&self.camera, source));
        self.number_events_by(memory);
    }

    fn number_events_by(&mut self, memory: &Memory) {
        self.number_events_after(memory.newest_event(&self.camera));
        memory.numbers_after(&self.camera, self.last_event());
    }

    /// Begins with a frame: the first of a run goes on from the run before, if that is remembered.
    fn enter(&mut self, frame: &Frame) -> Entered {
        let zones = self.watching.zones.as_mut();
        self.past.as_mut().map_or_else(Entered::default, |past| {
            past.enter(frame, &mut self.tracker, zones)
        })
    }

    /// Looks at zones and lines, and brings what is published to the time of the run.
    fn observe(&mut self, frame: &Frame, step: &mut Step) -> Option<Observed> {
        let past = self.past.as_ref();
        let mut observed = self.watching.zones.as_mut().map(|zones| match past {
            Some(past) => {
                let meta = past.in_scene_time(&frame.meta);
                zones.observe(&meta, &step.tracks, &step.ended)
            }
            None => zones.observe(&frame.meta, &step.tracks, &step.ended),
        });
        if let Some(past) = past {
            let events = observed.as_mut().map(|it| it.events.as_mut_slice());
            past.in_run_time(&mut step.tracks, events.unwrap_or_default());
        }
        observed
    }

    /// What came of a frame is remembered.
    fn keep(&mut self, has_events: bool) {
        if let Some(past) = &mut self.past {
            past.keep(has_events, &self.tracker, self.watching.zones.as_ref());
        }
    }

    /// The run is over: tracks end with it, unless they are remembered and may go on in the next.
    fn end_run(&mut self) -> (Vec<EndedTrack>, Vec<Event>) {
        if let Some(motion) = &mut self.motion {
            motion.reset();
        }
        if let Some(carrier) = &mut self.carrier {
            carrier.end_run();
        }
        if let Some(past) = &mut self.past {
            past.end_run(&self.tracker, self.watching.zones.as_ref());
            return (Vec::new(), Vec::new());
        }
        let events = self.watching.zones.as_mut().map(Zones::end_run);
        (self.tracker.end_run(), events.unwrap_or_default())
    }

    /// What was followed ends if the camera has been away for too long.
    fn give_up(&mut self) -> Vec<Event> {
        let zones = self.watching.zones.as_mut();
        let past = self.past.as_mut();
        past.map_or_else(Vec::new, |past| past.give_up(&mut self.tracker, zones))
    }

    /// Boxes of everything hidden: what the detector saw, before any filter and however weak, and
    /// what the tracker holds.
    fn private(&self, seen: &[Detection], tracks: &[TrackSnapshot]) -> Vec<BBox> {
        if self.watching.hidden.is_empty() {
            return Vec::new();
        }
        let seen = seen.iter().map(|it| (it.class, it.bbox));
        let tracked = tracks.iter().map(|it| (it.class, it.bbox));
        seen.chain(tracked)
            .filter(|(class, _)| self.watching.hidden.contains(class))
            .map(|(_, bbox)| bbox)
            .collect()
    }

    /// One step of the tracker, told the motion of the camera if the picture tells it. Without
    /// detections (not: with none) the tracks are carried to the frame.
    fn step(&mut self, frame: &Frame, detections: Option<&[Detection]>) -> Step {
        if let Some(motion) = &mut self.motion {
            let luma = frame.pixels.planes.plane(0);
            let map = motion.step(luma, frame.meta.size);
            if let Some(warp) = map.and_then(CameraWarp::new) {
                self.tracker.move_camera(warp);
            }
        }
        let pts = frame.meta.pts;
        let scene = self.past.as_ref().map_or(pts, |past| past.scene(pts));
        let step = match (detections, &mut self.carrier) {
            (Some(detections), carrier) => {
                if let Some(carrier) = carrier {
                    carrier.keep(frame);
                }
                self.tracker.step(detections, scene)
            }
            (None, Some(carrier)) => carrier.carry(frame, scene, &mut self.tracker),
            (None, None) => self.tracker.carry(&[], scene),
        };
        if let Some(motion) = &mut self.motion {
            motion.choose_points(step.tracks.iter().map(|track| track.bbox));
        }
        step
    }

    /// Counts the frame, and tells who decides about the next one what came of it.
    fn count_look(&self, frame: &Frame, is_detected: bool, metrics: &Metrics) {
        let carrier = self.carrier.as_ref();
        let reason =
            carrier.map(|carrier| carrier.tell(frame.meta.pts, is_detected, &self.tracker));
        let camera = &frame.meta.camera;
        if is_detected {
            let reason = reason.unwrap_or(LookReason::Every);
            metrics.looks().detected(camera, reason);
        } else {
            metrics.looks().carried(camera);
        }
    }

    /// Nothing of it is waited for any more.
    pub fn abandon(self) {
        self.early.into_values().for_each(Outcome::abandon);
    }

    /// The next outcome in order, if it is here.
    fn next_in_order(&mut self) -> Option<Outcome> {
        let outcome = self.early.remove(&self.next_ticket)?;
        self.next_ticket += 1;
        Some(outcome)
    }

    fn wanted(&self, detections: &[Detection]) -> Vec<Detection> {
        let wanted = |detection: &&Detection| {
            self.watching
                .classes
                .as_ref()
                .is_none_or(|classes| classes.contains(&detection.class))
        };
        detections.iter().filter(wanted).cloned().collect()
    }
}

/// Everything a `track` thread owns.
#[derive(Debug)]
pub(super) struct Tracking {
    /// By slot; only the cameras of this thread.
    pub cameras: BTreeMap<usize, CameraTracking>,
    pub outlets: Vec<Outlet>,
    pub events: Vec<EventOutlet>,
    /// What cameras that come while the daemon runs are made of, and what is left of those that went.
    pub succession: Succession,
    pub inbox: Arc<Inbox<FromCamera>>,
    /// Names of the classes, by [`ClassId`].
    pub classes: Arc<[String]>,
    pub metrics: Arc<Metrics>,
}

impl Tracking {
    /// Works until every detect worker is gone; does what `changes` says meanwhile.
    pub fn run(mut self, detected: &Receiver<Detected>, mut changes: Receiver<Change>) {
        let looks = tick(LOOK_AFTER);
        loop {
            select! {
                recv(detected) -> item => match item {
                    Ok(item) => self.take(item, &changes),
                    Err(_) => break,
                },
                recv(changes) -> change => match change {
                    Ok(change) => self.change(change),
                    Err(_) => changes = never(),
                },
                recv(looks) -> _ => self.give_up(),
            }
            self.succession.drain(&self.metrics);
        }
        for outlet in self.outlets {
            outlet.finish(&self.metrics);
        }
    }

    fn take(&mut self, detected: Detected, changes: &Receiver<Change>) {
        let Detected {
            slot,
            ticket,
            outcome,
        } = detected;
        if !self.cameras.contains_key(&slot) {
            // That it is installed was said before its first frame was let in.
            for change in changes.try_iter() {
                self.change(change);
            }
        }
        let Some(camera) = self.cameras.get_mut(&slot) else {
            return outcome.abandon();
        };
        camera.early.insert(ticket, outcome);
        while let Some(outcome) = self.next_in_order(slot) {
            match outcome {
                Outcome::Frame(captured, seen) => self.track(slot, captured, Some(&seen)),
                Outcome::Carried(captured) => self.track(slot, captured, None),
                Outcome::Dropped => self.detector_failed(slot),
                Outcome::RunEnded {
                    camera,
                    run,
                    reason,
                } => self.end_run(slot, camera, run, reason),
            }
            self.inbox.done(slot);
        }
    }

    /// Ends what was followed of cameras that have been away for too long.
    fn give_up(&mut self) {
        let slots: Vec<usize> = self.cameras.keys().copied().collect();
        for slot in slots {
            let camera = self.cameras.get_mut(&slot);
            let events = camera.map_or_else(Vec::new, CameraTracking::give_up);
            self.send_events(&events, None);
        }
    }

    fn next_in_order(&mut self, slot: usize) -> Option<Outcome> {
        self.cameras.get_mut(&slot)?.next_in_order()
    }

    fn detector_failed(&self, slot: usize) {
        let camera = self.cameras.get(&slot);
        if let Some(carrier) = camera.and_then(|camera| camera.carrier.as_ref()) {
            carrier.failed();
        }
    }

    fn track(&mut self, slot: usize, captured: Captured, seen: Option<&FrameDetections>) {
        let mut timer = StageTimer::start();
        let Captured { frame, flight } = captured;
        let Some(camera) = self.cameras.get_mut(&slot) else {
            return flight.dropped(Stage::Track, DropReason::Stopping);
        };
        let detections = seen.map(|seen| camera.wanted(&seen.detections));
        let entered = camera.enter(&frame);
        let mut step = camera.step(&frame, detections.as_deref());
        let all_seen = seen.map_or(&[][..], |seen| &seen.detections);
        let private = camera.private(all_seen, &step.tracks);
        camera.count_look(&frame, seen.is_some(), &self.metrics);
        let observed = camera.observe(&frame, &mut step);
        let (mut events, mut ended) = (entered.events, entered.ended);
        ended.extend(step.ended);
        ended.sort_unstable_by_key(|track| track.id);
        let counts = observed.map(|observed| {
            events.extend(observed.events);
            observed.counts
        });
        camera.keep(!events.is_empty());
        if let (Some(zones), Some(counts)) = (&camera.watching.zones, &counts) {
            for (name, count) in zones.names().zip(&counts.zones) {
                self.metrics
                    .zones()
                    .present(&frame.meta.camera, name, *count);
            }
        }
        let decisions = seen.and_then(|_| camera.tracker.decisions());
        let decisions = decisions.cloned().map(Arc::new);
        let (wall, cpu) = timer.lap();
        self.metrics.stage(Stage::Track, wall, cpu);

        let age = frame.arrived.elapsed();
        let plain = Arc::new(FrameResult {
            meta: frame.meta.clone(),
            is_detected: seen.is_some(),
            detections: detections.map_or(0, |detections| detections.len()),
            tracks: step.tracks,
            ended,
            counts,
            decisions,
            private,
            timings: seen.map_or(
                Timings {
                    track: wall,
                    age,
                    ..Timings::default()
                },
                |seen| Timings {
                    preprocess: seen.preprocess.wall,
                    inference: seen.inference.wall,
                    decode: seen.decode.wall,
                    track: wall,
                    age,
                },
            ),
            frame: None,
        });
        let camera = &frame.meta.camera;
        let wants_picture = |outlet: &EventOutlet| outlet.wants_picture_of(camera);
        let pictures_event = !events.is_empty() && self.events.iter().any(wants_picture);
        let wants_frame = |outlet: &Outlet| outlet.wants_frame_of(camera);
        let with_frame = (pictures_event || self.outlets.iter().any(wants_frame)).then(|| {
            Arc::new(FrameResult {
                frame: Some(Arc::clone(&frame)),
                ..(*plain).clone()
            })
        });
        self.metrics.frame_age(camera, age);
        for outlet in &mut self.outlets {
            let result = match &with_frame {
                Some(result) if outlet.takes_frames() => result,
                _ => &plain,
            };
            outlet.send(&Published::Frame(Arc::clone(result)), &self.metrics);
        }
        // After the frame they are about: who records it must not wait for who writes them.
        self.send_events(&events, with_frame.as_ref());
        for _ in &plain.ended {
            self.metrics.event("track_ended");
        }
        flight.processed();
    }

    pub(super) fn send_events(&self, events: &[Event], pictured: Option<&Arc<FrameResult>>) {
        for event in events {
            let class = event.object.as_ref();
            let class = class.map_or("", |object| class_name(object.class, &self.classes));
            self.metrics.zones().count(event, class);
            self.metrics.event(event.kind.as_str());
            for outlet in &self.events {
                outlet.send(event, pictured, &self.metrics);
            }
        }
    }

    fn end_run(&mut self, slot: usize, camera: CameraId, run: RunId, reason: RunEnd) {
        let Some(tracking) = self.cameras.get_mut(&slot) else {
            return;
        };
        let (ended, events) = tracking.end_run();
        for name in tracking.watching.zones.iter().flat_map(Zones::names) {
            self.metrics
                .zones()
                .present(&camera, name, ZoneCount::default());
        }
        self.send_events(&events, None);
        tracing::debug!(%camera, run = run.0, reason = reason.as_str(), tracks = ended.len(), "run ended");
        self.metrics.event("run_ended");
        let published = Published::RunEnded {
            camera,
            run,
            reason,
            ended,
        };
        for outlet in &mut self.outlets {
            outlet.send(&published, &self.metrics);
        }
    }
}
