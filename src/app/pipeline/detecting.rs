//! The `detect-<n>` threads: captured frames in, detections out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::recovery::Recovery;
use super::trackers::Trackers;
use crate::base::{
    CameraId, Captured, DropReason, FromCamera, Inbox, Metrics, RunEnd, RunId, Stage, Taken, causes,
};
use crate::perception::detect::{DetectError, Detector, FrameDetections};

/// A failing detector is logged this often; every frame it costs is counted.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What leaves a detect worker; the tracker puts it back in order by `ticket`.
#[derive(Debug)]
pub(super) struct Detected {
    /// Index of the camera.
    pub slot: usize,
    /// Number among all items taken from that camera.
    pub ticket: u64,
    /// What became of the item.
    pub outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Frame(Captured, Box<FrameDetections>),
    /// Nobody looked at it, and nobody was to.
    Carried(Captured),
    /// Dropped and counted already; only its place in the order is left.
    Dropped,
    RunEnded {
        camera: CameraId,
        run: RunId,
        reason: RunEnd,
    },
}

impl Outcome {
    /// Nobody is there any more to make anything of it: a frame is counted as dropped.
    pub fn abandon(self) {
        if let Self::Frame(captured, _) | Self::Carried(captured) = self {
            captured.flight.dropped(Stage::Track, DropReason::Stopping);
        }
    }
}

/// One session of the model and its thread's work.
#[derive(Debug)]
pub(super) struct DetectWorker {
    pub detector: Detector,
    pub recovery: Recovery,
    pub inbox: Arc<Inbox<FromCamera>>,
    pub trackers: Trackers,
    /// Pictures per call of the network.
    pub batch: usize,
    /// How long one may wait for others.
    pub batch_wait: Duration,
    /// When a failure was logged last.
    pub told: Option<Instant>,
    pub metrics: Arc<Metrics>,
}

impl DetectWorker {
    /// Makes ready what belongs to this thread; before the first camera is opened.
    pub fn get_ready(&mut self) -> Result<(), DetectError> {
        self.detector.record_graphs()
    }

    /// Works until the inbox is closed and empty, or the tracker is gone.
    pub fn run(mut self) {
        while let Some(taken) = self.inbox.take_together(self.batch, self.batch_wait) {
            for detected in self.look_at(taken) {
                if self.trackers.send(detected).is_err() {
                    return;
                }
            }
        }
    }

    fn look_at(&mut self, taken: Vec<Taken<FromCamera>>) -> Vec<Detected> {
        let mut places = Vec::new();
        let mut captured = Vec::new();
        let mut done = Vec::new();
        for Taken { slot, ticket, item } in taken {
            match item {
                FromCamera::Frame(frame) => {
                    places.push((slot, ticket));
                    captured.push(frame);
                }
                FromCamera::RunEnded {
                    camera,
                    run,
                    reason,
                } => done.push(Detected {
                    slot,
                    ticket,
                    outcome: Outcome::RunEnded {
                        camera,
                        run,
                        reason,
                    },
                }),
            }
        }
        let outcomes = self.detect(captured);
        done.extend(
            places
                .into_iter()
                .zip(outcomes)
                .map(|((slot, ticket), outcome)| Detected {
                    slot,
                    ticket,
                    outcome,
                }),
        );
        done
    }

    fn detect(&mut self, captured: Vec<Captured>) -> Vec<Outcome> {
        if captured.is_empty() {
            return Vec::new();
        }
        let frames: Vec<_> = captured.iter().map(|captured| &*captured.frame).collect();
        match self.detector.detect(&frames) {
            Ok(seen) => {
                self.recovery.works();
                captured
                    .into_iter()
                    .zip(seen)
                    .map(|(captured, seen)| {
                        self.count(&captured, &seen);
                        Outcome::Frame(captured, Box::new(seen))
                    })
                    .collect()
            }
            Err(error) => {
                // That it fails is known and looked after: nothing hangs.
                self.metrics.moved();
                let camera = &captured[0].frame.meta.camera;
                if self.told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                    self.told = Some(Instant::now());
                    let error = causes(&error);
                    tracing::error!(%camera, error, "detection failed, frames are dropped");
                }
                let dropped = captured.into_iter().map(|captured| {
                    captured
                        .flight
                        .dropped(Stage::Inference, DropReason::DetectFailed);
                    Outcome::Dropped
                });
                let dropped = dropped.collect();
                if let Some(detector) = self.recovery.failed(error) {
                    self.detector = detector;
                }
                dropped
            }
        }
    }

    fn count(&self, captured: &Captured, seen: &FrameDetections) {
        for (stage, time) in [
            (Stage::Preprocess, seen.preprocess),
            (Stage::Inference, seen.inference),
            (Stage::Decode, seen.decode),
        ] {
            self.metrics.stage(stage, time.wall, time.cpu);
        }
        if self.detector.reid().is_some() {
            let count = seen.reid_count;
            self.metrics
                .stage(Stage::Reid, seen.reid.wall, seen.reid.cpu);
            for (kind, count) in [
                ("reid_described", count.described),
                ("reid_skipped", count.skipped),
                ("reid_unusable", count.unusable),
            ] {
                self.metrics.events(kind, count);
            }
        }
        if seen.rejected > 0 {
            self.metrics
                .detections_rejected(&captured.frame.meta.camera, seen.rejected);
        }
    }
}
