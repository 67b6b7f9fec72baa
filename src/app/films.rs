//! The `clip-<n>` threads of the daemon: one per camera that has clips, or raw recordings with lines
//! beside them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::clips;
use super::config::{CameraConfig, ClipsConfig, Config};
use super::pipeline::{Job, Outlet, Published, ReaderChange};
use super::raw_places::RawPlaces;
use super::resolve;
use super::run::{TEXT_QUEUE, spawn, when_full};
use crate::base::{DiskRoom, Metrics, PacketRing, StopSource, Worker};
use crate::capture::CameraOptions;
use crate::perception::zones::ZonesPlan;
use crate::sinks::annotate::Place;
use crate::sinks::clips::{ClipDesk, ClipDesks, ClipOptions, ClipWriter, RawLines, Scenery};

/// How often clips are moved on.
const TICK: Duration = Duration::from_millis(100);

/// Starts those who make clips, and keeps their threads to be joined.
#[derive(Debug)]
pub struct FilmMakers {
    folder: PathBuf,
    clips: ClipsConfig,
    classes: Arc<[String]>,
    metrics: Arc<Metrics>,
    room: Arc<DiskRoom>,
    stop: StopSource,
    desks: ClipDesks,
    raw_places: RawPlaces,
    started: AtomicUsize,
    threads: Mutex<Vec<Worker>>,
}

impl FilmMakers {
    /// None runs yet.
    #[must_use]
    pub fn new(
        config: &Config,
        classes: &Arc<[String]>,
        metrics: &Arc<Metrics>,
        room: &Arc<DiskRoom>,
        stop: &StopSource,
    ) -> Self {
        Self {
            folder: config.output.folder.clone(),
            clips: config.clips.clone(),
            classes: Arc::clone(classes),
            metrics: Arc::clone(metrics),
            room: Arc::clone(room),
            stop: stop.clone(),
            desks: ClipDesks::default(),
            raw_places: RawPlaces::default(),
            started: AtomicUsize::new(0),
            threads: Mutex::default(),
        }
    }

    /// The desks that are asked for clips.
    #[must_use]
    pub fn desks(&self) -> ClipDesks {
        self.desks.clone()
    }

    /// Where frames are in the raw recordings.
    #[must_use]
    pub fn raw_places(&self) -> RawPlaces {
        self.raw_places.clone()
    }

    /// Starts the film maker of a camera that is opened so, if that has clips or raw recordings; gives
    /// what feeds it. It ends when that is let go.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub fn start(
        &self,
        camera: &CameraConfig,
        capture: &CameraOptions,
    ) -> anyhow::Result<Option<Outlet>> {
        // What is kept for live video alone is too short for a clip.
        let makes_clips = self.clips.is_on() && camera.clips;
        let ring = capture.packets.as_ref().filter(|_| makes_clips);
        if ring.is_none() && capture.raw.is_none() {
            return Ok(None);
        }
        let desk = ring.map(|ring| self.desk(ring, capture));
        let classes = &self.classes;
        let films = Films {
            clips: desk.as_ref().map(|desk| {
                let scenery = scenery(&camera.zones);
                ClipWriter::new(Arc::clone(desk), Arc::clone(classes), scenery)
            }),
            raw: capture.raw.is_some().then(|| {
                let clock = Arc::clone(&capture.clock);
                RawLines::new(camera.id.clone(), clock, Arc::clone(classes))
            }),
        };
        let (sender, results) = bounded(TEXT_QUEUE);
        let desks = self.desks();
        if let Some(desk) = &desk {
            desks.add(desk);
        }
        let write = move || {
            films.run(&results);
            if let Some(desk) = &desk {
                desks.remove(desk);
            }
        };
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let worker = spawn(&format!("clip-{number}"), write, &self.stop)?;
        let mut threads = self.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(worker);
        let outlet = Outlet::new(sender, when_full(camera));
        Ok(Some(outlet.of(camera.id.clone()).doing(Job::Clips)))
    }

    fn desk(&self, ring: &Arc<PacketRing>, capture: &CameraOptions) -> Arc<ClipDesk> {
        let options = ClipOptions {
            folder: self.folder.join(capture.id.as_str()),
            wanted: clips::filter(&self.clips.events, &self.clips.places),
            before: self.clips.pre,
            after: self.clips.post,
            longest: self.clips.longest,
        };
        ClipDesk::new(
            capture.id.clone(),
            options,
            Arc::clone(ring),
            Arc::clone(&capture.clock),
            Arc::clone(&self.room),
            Arc::clone(&self.metrics),
        )
    }

    /// Who makes the clips of a camera that is opened so, in place of who did before.
    ///
    /// # Errors
    /// As [`FilmMakers::start`].
    pub fn change(
        &self,
        camera: &CameraConfig,
        capture: &CameraOptions,
    ) -> anyhow::Result<ReaderChange> {
        let started = self.start(camera, capture)?;
        Ok(started.map_or(ReaderChange::Stop, ReaderChange::Start))
    }

    /// The threads, which end when what feeds them is gone.
    #[must_use]
    pub fn take_workers(&self) -> Vec<Worker> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread of a camera works with.
struct Films {
    clips: Option<ClipWriter>,
    raw: Option<RawLines>,
}

impl Films {
    /// Writes clips, and lines beside raw segments, until the channel closes; then ends them.
    fn run(mut self, results: &Receiver<Published>) {
        let mut moved_on = Instant::now();
        loop {
            match results.recv_timeout(TICK) {
                Ok(Published::Frame(result)) => {
                    if let Some(raw) = &mut self.raw {
                        raw.note(Arc::clone(&result));
                    }
                    if let Some(clips) = &mut self.clips {
                        clips.note(result);
                    }
                }
                Ok(Published::Watched { scene, .. }) => {
                    if let Some(clips) = &mut self.clips {
                        clips.show(scenery(&scene.zones));
                    }
                }
                Ok(Published::RunEnded { .. } | Published::Gone { .. })
                | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(clips) = &mut self.clips
                && moved_on.elapsed() >= TICK
            {
                clips.tick();
                moved_on = Instant::now();
            }
        }
        if let Some(raw) = self.raw {
            raw.finish();
        }
        if let Some(clips) = self.clips {
            clips.finish();
        }
    }
}

fn scenery(zones: &ZonesPlan) -> Scenery {
    let overlay = resolve::overlay(zones);
    let named = |places: Vec<Place>| places.into_iter().map(|it| (it.name, it.points)).collect();
    Scenery {
        zones: named(overlay.zones),
        lines: named(overlay.lines),
        outlines: overlay.outlines,
    }
}
