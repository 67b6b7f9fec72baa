//! The `annot-<n>` threads of the daemon: one per camera that is recorded with boxes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::bounded;

use super::config::{CameraConfig, Config, RecordConfig};
use super::events::RecordingLogs;
use super::pipeline::{Job, Outlet, ReaderChange};
use super::run::{spawn, when_full};
use super::{resolve, writers};
use crate::base::{DiskRoom, Metrics, StopSource, Worker};
use crate::sinks::annotate::{AnnotateOptions, Annotator, Privacy};
use crate::sinks::record::Recorder;

/// Pictures per camera that may wait for the annotator.
const PICTURE_QUEUE: usize = 4;

/// Starts recorders, and keeps their threads to be joined.
#[derive(Debug)]
pub struct Recorders {
    record: RecordConfig,
    folder: PathBuf,
    classes: Arc<[String]>,
    metrics: Arc<Metrics>,
    room: Arc<DiskRoom>,
    stop: StopSource,
    logs: RecordingLogs,
    started: AtomicUsize,
    threads: Mutex<Vec<Worker>>,
}

impl Recorders {
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
            record: config.record.clone(),
            folder: config.output.folder.clone(),
            classes: Arc::clone(classes),
            metrics: Arc::clone(metrics),
            room: Arc::clone(room),
            stop: stop.clone(),
            logs: RecordingLogs::default(),
            started: AtomicUsize::new(0),
            threads: Mutex::default(),
        }
    }

    /// Where the recorders note where each frame is.
    #[must_use]
    pub fn logs(&self) -> RecordingLogs {
        self.logs.clone()
    }

    /// Starts the recorder of a camera, if that is recorded with boxes; gives what feeds it. It ends
    /// when that is let go.
    ///
    /// # Errors
    /// If there is no encoder, or no thread.
    pub fn start(&self, camera: &CameraConfig) -> anyhow::Result<Option<Outlet>> {
        if !self.is_recorded(camera) {
            return Ok(None);
        }
        let dir = self.folder.join(camera.id.as_str());
        let annotate = AnnotateOptions {
            trail: self.record.trail,
            ..AnnotateOptions::default()
        };
        let annotator = Annotator::new(annotate, Arc::clone(&self.classes))
            .with_overlay(resolve::overlay(&camera.zones))
            .with_privacy(Privacy::new(&camera.privacy));
        let recorder = Recorder::new(
            resolve::record_from_config(&self.record, &dir, camera.lossless),
            camera.id.clone(),
            writers::sidecar_line(Arc::clone(&self.classes)),
            Some(annotator),
            Arc::clone(&self.metrics),
        )?
        .with_room(Arc::clone(&self.room));
        let (sender, results) = bounded(PICTURE_QUEUE);
        let log = self.logs.begin(&camera.id);
        let record = move || drop(writers::record(recorder, &results, Some(log)));
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let worker = spawn(&format!("annot-{number}"), record, &self.stop)?;
        let mut threads = self.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(worker);
        Ok(Some(
            Outlet::new(sender, when_full(camera))
                .of(camera.id.clone())
                .doing(Job::Recording)
                .with_pictures(),
        ))
    }

    /// What becomes of the recorder of a camera that is another from now on, or new; one that is needed
    /// is started.
    ///
    /// # Errors
    /// As [`Recorders::start`].
    pub fn change(
        &self,
        before: Option<&CameraConfig>,
        now: &CameraConfig,
    ) -> anyhow::Result<ReaderChange> {
        let was_recorded = before.is_some_and(|before| self.is_recorded(before));
        if was_recorded == self.is_recorded(now) {
            return Ok(ReaderChange::Keep);
        }
        let started = self.start(now)?;
        Ok(started.map_or(ReaderChange::Stop, ReaderChange::Start))
    }

    /// The threads, which end when what feeds them is gone.
    #[must_use]
    pub fn take_workers(&self) -> Vec<Worker> {
        std::mem::take(&mut *self.lock())
    }

    fn is_recorded(&self, camera: &CameraConfig) -> bool {
        self.record.enabled && camera.annotate
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
