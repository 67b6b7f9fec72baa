//! The `track` thread: puts detections back in order per camera, follows objects, publishes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::detecting::{Detected, Outcome};
use super::outlet::{Outlet, Published};
use crate::base::{
    CameraId, Captured, ClassId, Detection, DropReason, FrameResult, FromCamera, Inbox, Metrics,
    RunEnd, RunId, Stage, StageTimer, Timings,
};
use crate::perception::detect::FrameDetections;
use crate::perception::track::Tracker;

/// One camera's tracker, and the order of what the detect workers bring.
#[derive(Debug)]
pub(super) struct CameraTracking {
    tracker: Tracker,
    /// Classes to track; `None` tracks all.
    classes: Option<Vec<ClassId>>,
    next_ticket: u64,
    /// What came before its turn; bounded by the inbox, which gives out no more than it is told
    /// done.
    early: BTreeMap<u64, Outcome>,
}

impl CameraTracking {
    pub fn new(tracker: Tracker, classes: Option<Vec<ClassId>>) -> Self {
        Self {
            tracker,
            classes,
            next_ticket: 0,
            early: BTreeMap::new(),
        }
    }

    /// The next outcome in order, if it is here.
    fn next_in_order(&mut self) -> Option<Outcome> {
        let outcome = self.early.remove(&self.next_ticket)?;
        self.next_ticket += 1;
        Some(outcome)
    }

    fn wanted(&self, detections: &[Detection]) -> Vec<Detection> {
        let wanted = |detection: &&Detection| {
            self.classes
                .as_ref()
                .is_none_or(|classes| classes.contains(&detection.class))
        };
        detections.iter().filter(wanted).cloned().collect()
    }
}

/// Everything a `track` thread owns.
#[derive(Debug)]
pub(super) struct Tracking {
    /// By slot; `None` for the cameras of another thread.
    pub cameras: Vec<Option<CameraTracking>>,
    pub outlets: Vec<Outlet>,
    pub inbox: Arc<Inbox<FromCamera>>,
    pub metrics: Arc<Metrics>,
}

impl Tracking {
    /// Works until every detect worker is gone.
    pub fn run(mut self, detected: &Receiver<Detected>) {
        for Detected {
            slot,
            ticket,
            outcome,
        } in detected
        {
            let Some(camera) = &mut self.cameras[slot] else {
                continue;
            };
            camera.early.insert(ticket, outcome);
            while let Some(outcome) = self.next_in_order(slot) {
                match outcome {
                    Outcome::Frame(captured, seen) => self.track(slot, captured, &seen),
                    Outcome::Dropped => {}
                    Outcome::RunEnded {
                        camera,
                        run,
                        reason,
                    } => self.end_run(slot, camera, run, reason),
                }
                self.inbox.done(slot);
            }
        }
        for outlet in self.outlets {
            outlet.finish(&self.metrics);
        }
    }

    fn next_in_order(&mut self, slot: usize) -> Option<Outcome> {
        self.cameras[slot].as_mut()?.next_in_order()
    }

    fn track(&mut self, slot: usize, captured: Captured, seen: &FrameDetections) {
        let mut timer = StageTimer::start();
        let Captured { frame, flight } = captured;
        let Some(camera) = &mut self.cameras[slot] else {
            return flight.dropped(Stage::Track, DropReason::Unaccounted);
        };
        let detections = camera.wanted(&seen.detections);
        let step = camera.tracker.step(&detections, frame.meta.pts);
        let (wall, cpu) = timer.lap();
        self.metrics.stage(Stage::Track, wall, cpu);

        let age = frame.arrived.elapsed();
        let plain = Arc::new(FrameResult {
            meta: frame.meta.clone(),
            detections: detections.len(),
            tracks: step.tracks,
            ended: step.ended,
            counts: None,
            timings: Timings {
                preprocess: seen.preprocess.wall,
                inference: seen.inference.wall,
                decode: seen.decode.wall,
                track: wall,
                age,
            },
            frame: None,
        });
        let camera = &frame.meta.camera;
        let with_frame = self
            .outlets
            .iter()
            .any(|outlet| outlet.wants_frame_of(camera))
            .then(|| {
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
        for _ in &plain.ended {
            self.metrics.event("track_ended");
        }
        flight.processed();
    }

    fn end_run(&mut self, slot: usize, camera: CameraId, run: RunId, reason: RunEnd) {
        let Some(tracking) = &mut self.cameras[slot] else {
            return;
        };
        let ended = tracking.tracker.end_run();
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
