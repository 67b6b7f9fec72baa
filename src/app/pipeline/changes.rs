//! How the cameras of a running pipeline are changed, one at a time, from any thread.
//!
//! A camera is opened beside the others and tried; only when it gives frames is it let in, and what it
//! replaces taken away. No other camera waits for any of that: the `track` thread is told between two
//! frames, the inbox is locked for a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use super::carrying::{Gates, SharedGate};
use super::plans::Maker;
use super::roster::{Roster, Running};
use super::succession::{Change, ReaderChanges};
use super::{CameraPlan, Failure, PipelineError};
use crate::base::{CameraId, DropReason, FromCamera, Inbox, Metrics, Stage, StopSource, Worker};
use crate::capture::{self, Camera, CameraEnd, CameraOptions, Numbering, Source, Trial};

/// How long a camera that was asked to end is waited for, and then what waits of it in the inbox.
const END_WITHIN: Duration = Duration::from_secs(10);

/// How long the tracker may take to hear of a change.
const TELL_WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked whether something has ended.
const TICK: Duration = Duration::from_millis(10);

/// What a [`Changes`] is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub inbox: Arc<Inbox<FromCamera>>,
    pub gates: Gates,
    pub maker: Maker,
    pub outstanding: usize,
    pub roster: Roster,
    pub tracker: Sender<Change>,
    pub conductor: Sender<crossbeam_channel::Receiver<CameraEnd>>,
    pub metrics: Arc<Metrics>,
    pub stop: StopSource,
    pub failure: Failure,
    /// Cameras opened so far.
    pub opened: usize,
}

/// Changes the cameras of a running pipeline.
#[derive(Debug)]
pub struct Changes {
    parts: Parts,
    opened: AtomicUsize,
}

/// A camera that is open and not let in.
#[derive(Debug)]
pub struct Candidate {
    plan: CameraPlan,
    slot: usize,
    /// Set if the slot is its own, not that of the camera it replaces.
    new_gate: Option<Option<SharedGate>>,
    trial: Option<Trial>,
    stop: StopSource,
    name: String,
}

impl Candidate {
    /// The camera.
    #[must_use]
    pub fn id(&self) -> &CameraId {
        &self.plan.capture.id
    }

    /// How it is opened.
    #[must_use]
    pub fn capture(&self) -> &CameraOptions {
        &self.plan.capture
    }
}

/// While it lives the daemon does not take itself for finished, though no camera be left.
#[derive(Debug)]
pub struct Underway {
    _sender: Sender<CameraEnd>,
}

impl Changes {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            opened: AtomicUsize::new(parts.opened),
            parts,
        }
    }

    /// Announces changes: while the answer lives, cameras may all be gone for a moment.
    ///
    /// # Errors
    /// [`PipelineError::Stopping`].
    pub fn begin(&self) -> Result<Underway, PipelineError> {
        let (sender, ended) = bounded(1);
        self.tell_conductor(ended)?;
        Ok(Underway { _sender: sender })
    }

    /// Can a camera be watched so? Opens nothing.
    ///
    /// # Errors
    /// [`PipelineError::Detect`] if the model has no such class, [`PipelineError::Capture`] for what
    /// is wrong before a stream is opened.
    pub fn check(&self, plan: &CameraPlan) -> Result<(), PipelineError> {
        self.parts.maker.watching(plan)?;
        capture::check(&plan.capture).map_err(|source| PipelineError::Capture {
            camera: plan.capture.id.clone(),
            source,
        })
    }

    /// Opens a camera beside those that run, to be let in or given up. One whose id is watched will
    /// replace that; one whose device another holds that is to go (`leaving`) is opened when it is let
    /// in, for a device gives itself to one reader.
    ///
    /// # Errors
    /// What is wrong before a stream is opened.
    pub fn try_out(
        &self,
        plan: CameraPlan,
        leaving: &[CameraId],
    ) -> Result<Candidate, PipelineError> {
        if self.parts.stop.stop_flag().is_stopped() {
            return Err(PipelineError::Stopping);
        }
        self.check(&plan)?;
        let id = plan.capture.id.clone();
        let (slot, new_gate) = match self.parts.roster.slot(&id) {
            Some(slot) => (slot, None),
            None => self.new_slot(),
        };
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let mut candidate = Candidate {
            slot,
            new_gate,
            trial: None,
            stop: StopSource::default(),
            name: format!("cap-{number}"),
            plan,
        };
        let is_held = |id: &CameraId| {
            let held = self.parts.roster.source(id);
            held.is_some_and(|held| is_same_device(&held, &candidate.plan.capture.source))
        };
        if !leaving.iter().any(is_held) {
            match self.open(&candidate) {
                Ok(trial) => candidate.trial = Some(trial),
                Err(error) => {
                    self.give_up(candidate);
                    return Err(error);
                }
            }
        }
        Ok(candidate)
    }

    /// Waits for the first frame of a camera that is tried.
    ///
    /// # Errors
    /// [`PipelineError::Trial`] if none comes.
    pub fn wait(&self, candidate: &Candidate) -> Result<(), PipelineError> {
        let Some(trial) = &candidate.trial else {
            return Ok(());
        };
        let capture = &candidate.plan.capture;
        // The session itself gives up after its own limits; a second decoder may be tried after that.
        let limit = Duration::from_secs_f64(2.0 * (capture.connect_secs + capture.stall_secs));
        trial.wait(limit).map_err(|source| PipelineError::Trial {
            camera: capture.id.clone(),
            source_name: capture.source.to_string(),
            source: Box::new(source),
        })
    }

    /// Closes a camera that is not let in.
    pub fn give_up(&self, candidate: Candidate) {
        candidate.stop.stop();
        if let Some(trial) = candidate.trial {
            self.end_thread(trial.give_up());
        }
        if candidate.new_gate.is_some() {
            self.free(candidate.slot);
        }
    }

    /// Lets a camera in, in place of the one of its id if there is one: that one ends first, and the
    /// numbering goes on.
    ///
    /// # Errors
    /// [`PipelineError::Stopping`]; [`PipelineError::Capture`] for a device that was opened only now.
    pub fn admit(
        &self,
        mut candidate: Candidate,
        readers: ReaderChanges,
    ) -> Result<(), PipelineError> {
        let id = candidate.plan.capture.id.clone();
        let (slot, scene) = (candidate.slot, Arc::new(candidate.plan.scene()));
        let numbering = match self.parts.roster.take(&id) {
            Some(running) => self.end(running),
            None => self.parts.roster.numbering(&id),
        };
        let change = match candidate.new_gate.take() {
            Some(gate) => Change::Install {
                slot,
                tracking: Box::new(self.parts.maker.newcomer(&candidate.plan, gate)?),
                scene,
                readers,
            },
            None => Change::Adjust {
                slot,
                watching: Box::new(self.parts.maker.watching(&candidate.plan)?),
                source: Some(candidate.plan.capture.source.identity()),
                scene,
                readers,
            },
        };
        self.tell_tracker(change)?;
        let trial = match candidate.trial.take() {
            Some(trial) => trial,
            None => self.open(&candidate)?,
        };
        let camera = trial.admit(numbering);
        let ended = camera.ended.clone();
        let running = Running {
            slot,
            camera,
            stop: candidate.stop,
            source: candidate.plan.capture.source,
        };
        self.parts.roster.add(id, running);
        self.tell_conductor(ended)
    }

    /// Watches a camera otherwise from the next frame on; its stream is not touched.
    ///
    /// # Errors
    /// [`PipelineError::Stopping`]; [`PipelineError::Detect`] if the model has no such class.
    pub fn adjust(&self, plan: &CameraPlan, readers: ReaderChanges) -> Result<(), PipelineError> {
        let Some(slot) = self.parts.roster.slot(&plan.capture.id) else {
            return Err(PipelineError::Stopping);
        };
        self.tell_tracker(Change::Adjust {
            slot,
            watching: Box::new(self.parts.maker.watching(plan)?),
            source: None,
            scene: Arc::new(plan.scene()),
            readers,
        })
    }

    /// Ends a camera and everything that is its own.
    ///
    /// # Errors
    /// [`PipelineError::Stopping`].
    pub fn remove(&self, id: &CameraId) -> Result<(), PipelineError> {
        let Some(running) = self.parts.roster.take(id) else {
            return Ok(());
        };
        let slot = running.slot;
        let numbering = self.end(running);
        self.parts.roster.retire(id.clone(), numbering);
        self.free(slot);
        self.tell_tracker(Change::Remove { slot })
    }

    fn new_slot(&self) -> (usize, Option<Option<SharedGate>>) {
        let gate = self.parts.maker.gate();
        let needs_tracks = gate.as_ref().is_some_and(SharedGate::needs_tracks);
        let outstanding = if needs_tracks {
            1
        } else {
            self.parts.outstanding
        };
        let slot = self.parts.inbox.add_slot(outstanding);
        if let Some(gate) = &gate {
            self.parts.gates.add(slot, gate.clone());
        }
        (slot, Some(gate))
    }

    fn open(&self, candidate: &Candidate) -> Result<Trial, PipelineError> {
        let parts = &self.parts;
        let capture = candidate.plan.capture.clone();
        let camera = capture.id.clone();
        let trial = Trial::start(
            candidate.name.clone(),
            capture,
            Arc::clone(&parts.inbox),
            candidate.slot,
            Arc::clone(&parts.metrics),
            parts.stop.stop_flag().or(&candidate.stop),
            parts.failure.on_panic(&candidate.name, &parts.stop),
        );
        trial.map_err(|source| PipelineError::Capture { camera, source })
    }

    /// Ends a camera and waits until all it sent has gone its way; gives how far it is numbered.
    fn end(&self, running: Running) -> Numbering {
        running.stop.stop();
        let (slot, Camera { worker, .. }) = (running.slot, &running.camera);
        let deadline = Instant::now() + END_WITHIN;
        wait_until(deadline, || worker.is_finished());
        let numbering = running.camera.numbering();
        self.end_thread(running.camera.worker);
        wait_until(deadline, || self.parts.inbox.is_idle(slot));
        numbering
    }

    /// Waits for a thread that was asked to end; one that does not is joined when all are.
    fn end_thread(&self, worker: Worker) {
        if !wait_until(Instant::now() + END_WITHIN, || worker.is_finished()) {
            tracing::error!(thread = worker.name(), "did not end in time");
        }
        self.parts.roster.leave(worker);
    }

    /// Takes a slot away; what waits there still is counted as dropped.
    fn free(&self, slot: usize) {
        self.parts.gates.remove(slot);
        for item in self.parts.inbox.remove_slot(slot) {
            if let FromCamera::Frame(captured) = item {
                captured
                    .flight
                    .dropped(Stage::Capture, DropReason::Stopping);
            }
        }
    }

    fn tell_tracker(&self, change: Change) -> Result<(), PipelineError> {
        let told = self.parts.tracker.send_timeout(change, TELL_WITHIN);
        told.map_err(|_unheard| PipelineError::Stopping)
    }

    fn tell_conductor(
        &self,
        ended: crossbeam_channel::Receiver<CameraEnd>,
    ) -> Result<(), PipelineError> {
        let told = self.parts.conductor.send_timeout(ended, TELL_WITHIN);
        told.map_err(|_unheard| PipelineError::Stopping)
    }
}

/// True if `is_so` before `deadline`.
fn wait_until(deadline: Instant, is_so: impl Fn() -> bool) -> bool {
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(TICK);
    }
    true
}

fn is_same_device(one: &Source, other: &Source) -> bool {
    matches!((one, other), (Source::V4l2(one), Source::V4l2(other)) if one == other)
}
