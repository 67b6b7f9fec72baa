//! The topology: cameras → inbox → detect workers → tracker → outlets, and the order in which it
//! starts and stops. Everything else in this folder is one thread of it.
//!
//! Start is last stage first, so that nobody sends to a missing reader; a model is loaded before
//! any thread runs. It ends from the front: the cameras end (their files are read, or a stop was
//! asked for), the inbox closes, the detect workers finish what waits there, the tracker drains
//! them and drops the outlets, and the sinks see their channels closed.

mod carrying;
mod changes;
mod conductor;
mod detecting;
mod event_outlet;
mod failure;
mod opening;
mod options;
mod outlet;
mod plans;
mod recovery;
mod roster;
mod succession;
mod trackers;
mod tracking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, never};

use crate::app::state::Memory;
use crate::base::{CameraId, FromCamera, Inbox, Metrics, StopSource, Worker, WorkerEnd};
use crate::capture::{self, CameraEnd, StatusHandle};
use crate::perception::detect::{DetectOptions, Detector, ModelFiles, Provider, ProviderReport};

use carrying::{CarryWorker, SharedGate};
pub use changes::{Candidate, Changes, Underway};
pub use event_outlet::EventOutlet;
use failure::Failure;
pub use failure::PipelineError;
use opening::{alike, inbox_of, open_detectors, while_running};
pub use options::{CameraPlan, GIVE_UP, PipelineOptions};
pub use outlet::{Job, Outlet, Published, Scene, WhenFull};
use plans::Maker;
use recovery::Recovery;
use roster::{Roster, Running};
use succession::{Change, Succession};
pub use succession::{ReaderChange, ReaderChanges};
use trackers::Trackers;
use tracking::{CameraTracking, Tracking};

/// Frames of one camera, beyond one per detect worker, that may be between inbox and outlets: what
/// keeps the workers busy while one result is being handed over.
const OUTSTANDING_MARGIN: usize = 4;

/// Cameras that may come while the daemon runs before the way to the tracker has too little room for
/// all that the inbox gives out of them.
const SPARE_CAMERAS: usize = 32;

/// Changes that may wait for the tracker.
const CHANGES_QUEUE: usize = 16;

/// Results that may wait for the reader of [`Pipeline::results`].
const RESULTS_QUEUE: usize = 256;

/// A running frame path.
#[derive(Debug)]
pub struct Pipeline {
    metrics: Arc<Metrics>,
    stop: StopSource,
    classes: Arc<[String]>,
    cameras: Vec<(CameraId, StatusHandle)>,
    /// One message per camera when it has ended for good.
    ends: Receiver<CameraEnd>,
    results: Option<Receiver<Published>>,
    workers: Vec<Worker>,
    roster: Roster,
    changes: Option<Changes>,
    failure: Failure,
}

/// Who reads what the trackers make of it.
struct Readers {
    results: Vec<Outlet>,
    events: Vec<EventOutlet>,
    /// Those of every camera that comes later; `None` if none may.
    newcomers: Option<Newcomers>,
}

/// Readers of every live camera that comes while the daemon runs.
#[derive(Debug, Default)]
pub struct Newcomers {
    /// Of results, each for some other camera.
    pub results: Vec<Outlet>,
    /// Of events, each for some other camera.
    pub events: Vec<EventOutlet>,
}

/// A frame path whose model is loaded and tried, but of which nothing runs yet.
#[derive(Debug)]
pub struct Prepared {
    cameras: Vec<CameraPlan>,
    maker: Maker,
    trackings: Vec<CameraTracking>,
    /// What decides which frames the detector looks at, by slot.
    gates: Vec<Option<SharedGate>>,
    detectors: Vec<Detector>,
    /// What they are opened from, and how long they may fail.
    model: ModelFiles,
    detect: DetectOptions,
    give_up: Duration,
    batch: usize,
    batch_wait: Duration,
    events: Vec<EventOutlet>,
    newcomers: Option<Newcomers>,
}

impl Prepared {
    /// Names of the classes, by [`crate::base::ClassId`].
    #[must_use]
    pub fn class_names(&self) -> Arc<[String]> {
        Arc::from(self.detectors[0].class_names())
    }

    /// What computes the network, and why.
    #[must_use]
    pub fn provider(&self) -> &ProviderReport {
        self.detectors[0].report()
    }

    /// Sessions of the model that work side by side.
    #[must_use]
    pub fn detect_workers(&self) -> usize {
        self.detectors.len()
    }

    /// With readers of the events of zones and lines.
    #[must_use]
    pub fn with_event_outlets(mut self, events: Vec<EventOutlet>) -> Self {
        self.events = events;
        self
    }

    /// Made so that live cameras can come, go and be watched otherwise, through
    /// [`Pipeline::take_changes`].
    #[must_use]
    pub fn changeable(mut self, newcomers: Newcomers) -> Self {
        self.newcomers = Some(newcomers);
        self
    }

    /// With live cameras remembered over the ends of their runs and over restarts; they go on from what
    /// is remembered of them.
    #[must_use]
    pub fn remembered_by(mut self, memory: &Arc<Memory>) -> Self {
        self.maker.remember(memory);
        for (plan, tracking) in self.cameras.iter_mut().zip(&mut self.trackings) {
            let capture = &mut plan.capture;
            if capture.source.is_live() && !capture.lossless {
                let source = capture.source.identity();
                capture.runs_before = tracking.remembered_by(memory, source.expose());
            }
        }
        self
    }

    /// Numbers of the newest events of each camera before its first frame; 0 of one without a past.
    #[must_use]
    pub fn event_numbers(&self) -> BTreeMap<CameraId, u64> {
        let cameras = self.cameras.iter().zip(&self.trackings);
        cameras
            .map(|(plan, tracking)| (plan.capture.id.clone(), tracking.event_number()))
            .collect()
    }

    /// Starts every thread. `stop` asks all of them for an orderly end.
    ///
    /// # Errors
    /// [`PipelineError`] if a camera cannot be used.
    pub fn start(
        self,
        outlets: Vec<Outlet>,
        metrics: Arc<Metrics>,
        stop: StopSource,
    ) -> Result<Pipeline, PipelineError> {
        let outstanding = self.detectors.len() + OUTSTANDING_MARGIN;
        let is_gated = self.gates.iter().any(Option::is_some);
        let classes = self.class_names();
        let (inbox, gates) = inbox_of(self.gates, outstanding);
        let inbox = Arc::new(inbox);
        let is_changeable = self.newcomers.is_some();
        let (change_sender, changes) = bounded(CHANGES_QUEUE);
        let mut pipeline = Pipeline {
            metrics: Arc::clone(&metrics),
            stop,
            classes,
            cameras: Vec::new(),
            ends: bounded(0).1,
            results: None,
            workers: Vec::new(),
            roster: Roster::default(),
            changes: None,
            failure: Failure::default(),
        };

        let lossless = self.cameras.iter().enumerate();
        let lossless = lossless.filter(|(_, plan)| plan.capture.lossless);
        let file_slots: BTreeSet<usize> = lossless.map(|(slot, _)| slot).collect();
        let readers = Readers {
            results: outlets,
            events: self.events,
            newcomers: self.newcomers,
        };
        let changes = if is_changeable { changes } else { never() };
        let made = Made {
            trackings: self.trackings,
            readers,
            outstanding,
            file_slots: Arc::new(file_slots),
        };
        let trackers = pipeline.start_trackers(made, changes, &inbox)?;
        for (number, detector) in self.detectors.into_iter().enumerate() {
            let mut work = detecting::DetectWorker {
                detector,
                inbox: Arc::clone(&inbox),
                trackers: trackers.clone(),
                recovery: Recovery::new(
                    self.model.clone(),
                    self.detect.clone(),
                    self.give_up,
                    pipeline.failure.clone(),
                    pipeline.stop.clone(),
                ),
                batch: self.batch,
                batch_wait: self.batch_wait,
                told: None,
                metrics: Arc::clone(&metrics),
            };
            let (getting_ready, is_ready) = bounded(1);
            pipeline.spawn(format!("detect-{number}"), move || {
                let ready = work.get_ready();
                let goes_on = ready.is_ok();
                // The start waits for it, unless this thread had to give up.
                drop(getting_ready.send(ready));
                if goes_on {
                    work.run();
                }
            })?;
            // One after the other, and no camera meanwhile: nobody else may use a card while graphs are
            // recorded. A thread that panics sends nothing, and has begun the stop itself.
            if let Ok(Err(error)) = is_ready.recv() {
                pipeline.stop.stop();
                inbox.close();
                return Err(error.into());
            }
        }
        if is_gated {
            let work = CarryWorker {
                inbox: Arc::clone(&inbox),
                trackers: trackers.clone(),
            };
            pipeline.spawn("carry".to_owned(), move || work.run())?;
        }
        drop(trackers);

        let opened = self.cameras.len();
        let (joins, joining) = bounded(CHANGES_QUEUE);
        match pipeline.start_cameras(self.cameras, &inbox) {
            Ok(ended) => {
                let joining = if is_changeable { joining } else { never() };
                pipeline.start_conductor(ended, joining, Arc::clone(&inbox))?;
            }
            Err(error) => {
                pipeline.stop.stop();
                inbox.close();
                return Err(error);
            }
        }
        if is_changeable {
            pipeline.changes = Some(Changes::new(changes::Parts {
                inbox,
                gates,
                maker: self.maker,
                outstanding,
                roster: pipeline.roster.clone(),
                tracker: change_sender,
                conductor: joins,
                metrics,
                stop: pipeline.stop.clone(),
                failure: pipeline.failure.clone(),
                opened,
            }));
        }
        Ok(pipeline)
    }
}

impl Pipeline {
    /// Loads and tries the model; nothing runs yet.
    ///
    /// # Errors
    /// [`PipelineError`] if the model cannot be used or has no such class.
    pub fn prepare(options: PipelineOptions) -> Result<Prepared, PipelineError> {
        let detectors = open_detectors(&options)?;
        let first = &detectors[0];
        let batch = match (options.batch, first.report().used) {
            (Some(batch), _) => batch.get().min(first.max_batch()),
            (None, Provider::Cpu) => 1,
            (None, _) => first.max_batch(),
        };
        let maker = Maker::new(&options, first);
        let gates: Vec<_> = options.cameras.iter().map(|_| maker.gate()).collect();
        let plans = options.cameras.iter().zip(&gates);
        Ok(Prepared {
            trackings: plans
                .map(|(plan, gate)| maker.tracking(plan, gate.clone()))
                .collect::<Result<_, _>>()?,
            maker,
            gates,
            batch,
            batch_wait: options.batch_wait,
            detect: while_running(alike(first, &options.detect)),
            detectors,
            model: options.model,
            give_up: options.give_up,
            cameras: options.cameras,
            events: Vec::new(),
            newcomers: None,
        })
    }

    /// Starts with one outlet, read through [`Pipeline::results`]. A reader that does not keep up
    /// slows files down and makes live cameras drop (counted) frames.
    ///
    /// # Errors
    /// [`PipelineError`] if the model or a camera cannot be used.
    pub fn start(options: PipelineOptions) -> Result<Self, PipelineError> {
        let (sender, results) = bounded(RESULTS_QUEUE);
        let outlet = Outlet::new(sender, WhenFull::Wait);
        let prepared = Self::prepare(options)?;
        let mut pipeline = prepared.start(vec![outlet], Metrics::new(), StopSource::default())?;
        pipeline.results = Some(results);
        Ok(pipeline)
    }

    /// One `track` thread for the live cameras, whose readers never hold it up, and one for the
    /// lossless ones, which wait for theirs.
    fn start_trackers(
        &mut self,
        made: Made,
        changes: Receiver<Change>,
        inbox: &Arc<Inbox<FromCamera>>,
    ) -> Result<Trackers, PipelineError> {
        let Made {
            trackings,
            readers,
            outstanding,
            file_slots,
        } = made;
        let is_changeable = readers.newcomers.is_some();
        let cameras = trackings.into_iter().enumerate();
        let (file, live): (BTreeMap<_, _>, BTreeMap<_, _>) =
            cameras.partition(|(slot, _)| file_slots.contains(slot));
        let newcomers = readers.newcomers.unwrap_or_default();
        let tracking = |cameras, succession| Tracking {
            cameras,
            outlets: readers.results.clone(),
            events: readers.events.clone(),
            succession,
            inbox: Arc::clone(inbox),
            classes: Arc::clone(&self.classes),
            metrics: Arc::clone(&self.metrics),
        };
        let mut threads = Vec::new();
        let mut trackers = Trackers {
            live: None,
            file: None,
            file_slots,
        };
        if !live.is_empty() || is_changeable {
            let spare = if is_changeable { SPARE_CAMERAS } else { 0 };
            let (sender, detected) = bounded((live.len() + spare) * outstanding);
            trackers.live = Some(sender);
            let succession = Succession::of(newcomers);
            threads.push(("track", tracking(live, succession), detected, changes));
        }
        if !file.is_empty() {
            let (sender, detected) = bounded(file.len() * outstanding);
            trackers.file = Some(sender);
            let tracking = tracking(file, Succession::default());
            threads.push(("track-file", tracking, detected, never()));
        }
        drop((readers.results, readers.events));
        for (name, tracking, detected, changes) in threads {
            self.spawn(name.to_owned(), move || tracking.run(&detected, changes))?;
        }
        Ok(trackers)
    }

    fn start_cameras(
        &mut self,
        plans: Vec<CameraPlan>,
        inbox: &Arc<Inbox<FromCamera>>,
    ) -> Result<Vec<Receiver<CameraEnd>>, PipelineError> {
        let mut ended = Vec::new();
        for (slot, plan) in plans.into_iter().enumerate() {
            let id = plan.capture.id.clone();
            let source = plan.capture.source.clone();
            let own = StopSource::default();
            let camera = capture::start(
                plan.capture,
                Arc::clone(inbox),
                slot,
                Arc::clone(&self.metrics),
                self.stop.stop_flag().or(&own),
                self.failure.on_panic(&format!("cap-{slot}"), &self.stop),
            )
            .map_err(|source| PipelineError::Capture {
                camera: id.clone(),
                source,
            })?;
            self.cameras.push((id.clone(), camera.status.clone()));
            ended.push(camera.ended.clone());
            let running = Running {
                slot,
                camera,
                stop: own,
                source,
            };
            self.roster.add(id, running);
        }
        Ok(ended)
    }

    /// The thread that closes the inbox once every camera has ended.
    fn start_conductor(
        &mut self,
        ended: Vec<Receiver<CameraEnd>>,
        joining: Receiver<Receiver<CameraEnd>>,
        inbox: Arc<Inbox<FromCamera>>,
    ) -> Result<(), PipelineError> {
        let (sender, ends) = bounded(ended.len() + SPARE_CAMERAS);
        self.ends = ends;
        self.spawn("conductor".to_owned(), move || {
            conductor::conduct(ended, &joining, &sender);
            inbox.close();
        })
    }

    fn spawn(
        &mut self,
        name: String,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), PipelineError> {
        let on_panic = self.failure.on_panic(&name, &self.stop);
        let worker = Worker::spawn(name.clone(), work, on_panic)
            .map_err(|source| PipelineError::Thread { name, source })?;
        self.workers.push(worker);
        Ok(())
    }

    /// Results in order per camera, until everything has ended.
    ///
    /// # Panics
    /// If the pipeline was started with outlets of the caller's own.
    #[must_use]
    pub fn results(&self) -> &Receiver<Published> {
        self.results.as_ref().expect("started by Pipeline::start")
    }

    /// Names of the classes, by [`crate::base::ClassId`].
    #[must_use]
    pub fn class_names(&self) -> &Arc<[String]> {
        &self.classes
    }

    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The cameras it was started with and what is known about them.
    #[must_use]
    pub fn cameras(&self) -> &[(CameraId, StatusHandle)] {
        &self.cameras
    }

    /// One message per camera when it has ended for good; disconnected when all have.
    #[must_use]
    pub fn ends(&self) -> &Receiver<CameraEnd> {
        &self.ends
    }

    /// What changes its cameras, once, if it was made [changeable](Prepared::changeable).
    #[must_use]
    pub fn take_changes(&mut self) -> Option<Changes> {
        self.changes.take()
    }

    /// Asks for an orderly stop, from any thread.
    #[must_use]
    pub fn stop_source(&self) -> StopSource {
        self.stop.clone()
    }

    /// Waits until every thread has ended, at most until `deadline`, and names those that have not.
    ///
    /// # Errors
    /// The first thing that went wrong in any thread.
    pub fn join_until(mut self, deadline: Instant) -> Result<Vec<String>, PipelineError> {
        let mut late = Vec::new();
        let workers = std::mem::take(&mut self.workers);
        for worker in self.roster.take_workers().into_iter().chain(workers) {
            let name = worker.name().to_owned();
            if worker.join_until(deadline) == WorkerEnd::StillRunning {
                tracing::error!(thread = name, "did not end in time");
                late.push(name);
            }
        }
        self.failure.take().map_or(Ok(late), Err)
    }
}

impl Drop for Pipeline {
    /// A pipeline that is let go stops; its threads end by themselves.
    fn drop(&mut self) {
        if !self.workers.is_empty() {
            self.stop.stop();
        }
    }
}

/// What the tracker threads are made of.
struct Made {
    trackings: Vec<CameraTracking>,
    readers: Readers,
    outstanding: usize,
    file_slots: Arc<BTreeSet<usize>>,
}
