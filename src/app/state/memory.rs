//! Where the daemon's cameras are remembered: found at the start, handed out to each camera.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::file::{CameraState, StateFolder};
use super::numbers::{newest_in, told_after};
use super::on_disk::EventsOnDisk;
use super::past::{Past, Reach};
use super::writer::{Desk, Writer, desk};
use crate::base::{CameraId, Metrics, causes};
use crate::perception::detect::{DetectOptions, ModelFiles};
use crate::perception::track::{Absence, Tracker};
use crate::perception::zones::Zones;

/// A moving object is awaited for no longer than this: as long as a restart by systemd takes (5 s of
/// waiting, the model, the camera), and a state that is a few seconds old. Where it will be after that,
/// nobody knows.
const LONGEST_MOVING: Duration = Duration::from_secs(15);

/// What is remembered, and where.
#[derive(Debug, Clone)]
pub struct MemoryOptions {
    /// Folder of the states.
    pub folder: PathBuf,
    /// Folder whose `<camera>/events*.jsonl` hold the numbers given so far, if there are such files.
    pub events: Option<PathBuf>,
    /// Which events are on the disk.
    pub on_disk: EventsOnDisk,
    /// A state is written this often.
    pub every: Duration,
    /// Nothing goes on as the same after a longer time without a picture.
    pub reach: Duration,
}

/// Remembers cameras.
#[derive(Debug)]
pub struct Memory {
    options: MemoryOptions,
    folder: StateFolder,
    desk: Desk,
    on_disk: EventsOnDisk,
    metrics: Arc<Metrics>,
    model: [u8; 32],
}

impl Memory {
    /// A memory, and the work of the thread that writes it. `classes` are the names of the model.
    pub fn new(
        options: MemoryOptions,
        files: &ModelFiles,
        detect: &DetectOptions,
        classes: &[String],
        metrics: &Arc<Metrics>,
    ) -> (Self, impl FnOnce() + Send + 'static) {
        let folder = StateFolder(options.folder.clone());
        let on_disk = options.on_disk.clone();
        let (desk, writer) = desk(folder.clone(), on_disk.clone(), Arc::clone(metrics));
        let memory = Self {
            options,
            folder,
            desk,
            on_disk,
            metrics: Arc::clone(metrics),
            model: model_print(files, detect, classes),
        };
        (memory, move || Writer::run(writer))
    }

    /// What carries a camera of which nothing goes on over the ends of its runs from now on.
    #[must_use]
    pub fn afresh(&self, camera: &CameraId, source: &str) -> Past {
        Past::new(
            camera.clone(),
            [Sha256::digest(source).into(), self.model],
            Reach {
                every: self.options.every,
                absence: Absence {
                    standing: self.options.reach,
                    moving: self.options.reach.min(LONGEST_MOVING),
                },
            },
            self.desk.clone(),
            Arc::clone(&self.metrics),
        )
    }

    /// What is remembered of a camera goes into its tracker and zones. Gives what carries them over the
    /// ends of runs from now on, and how many runs there were before.
    #[must_use]
    pub fn recall(
        &self,
        camera: &CameraId,
        source: &str,
        tracker: &mut Tracker,
        zones: Option<&mut Zones>,
    ) -> (Past, u32) {
        let mut past = self.afresh(camera, source);
        let source = Sha256::digest(source).into();
        let found = self.find(camera, &source);
        let runs = found.as_ref().map_or(0, |state| state.run);
        let mut zones = zones;
        if let Some(mut state) = found {
            if state.model != self.model {
                tracing::warn!(%camera, "the model is another than before the restart: counts and numbers go on, objects begin anew");
                state.tracker.forget_objects();
                if let Some(zones) = &mut state.zones {
                    zones.forget_objects();
                }
            }
            past.begin_after(&state);
            let living = state.tracker.ids().collect();
            tracker.restore(state.tracker);
            if let (Some(zones), Some(state)) = (&mut zones, state.zones) {
                let last = state.last_number();
                let carried = zones.restore(state, &living);
                for place in carried.changed {
                    tracing::warn!(%camera, place, "the zone or line is another than before the restart: its counts begin anew");
                }
                if let Some(folder) = &self.options.events {
                    zones.catch_up(&told_after(&folder.join(camera.as_str()), last));
                }
            }
            tracing::info!(%camera, objects = living.len(), "goes on from what is remembered");
        }
        (past, runs)
    }

    /// Number of the newest event that was told of a camera so far, whether or not anything is counted
    /// there now; 0 without one.
    #[must_use]
    pub fn newest_event(&self, camera: &CameraId) -> u64 {
        let folder = self.options.events.as_ref();
        folder.map_or(0, |folder| newest_in(&folder.join(camera.as_str())))
    }

    /// Events of `camera` are numbered after `number` from now on.
    pub fn numbers_after(&self, camera: &CameraId, number: u64) {
        self.on_disk.reached(camera, number);
    }

    /// The state of a camera, if there is one that can be used; another is set aside.
    fn find(&self, camera: &CameraId, source: &[u8; 32]) -> Option<CameraState> {
        let error = match self.folder.read(camera, source) {
            Ok(found) => return found,
            Err(error) => error,
        };
        let path = self.folder.path(camera);
        let (path, reason) = (path.display(), causes(&error));
        match self.folder.set_aside(camera) {
            Ok(aside) => {
                let aside = aside.display();
                tracing::warn!(%camera, %path, reason, %aside, "what was remembered of the camera is not used, and set aside; its counts begin anew");
            }
            Err(error) => {
                let error = causes(&error);
                tracing::warn!(%camera, %path, reason, error, "what was remembered of the camera is not used, and cannot be set aside; its counts begin anew");
            }
        }
        None
    }
}

/// Stands for the networks and their classes: names, and the lengths of the files.
fn model_print(files: &ModelFiles, detect: &DetectOptions, classes: &[String]) -> [u8; 32] {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let mut print = Sha256::new();
    let mut add = |text: &str| {
        print.update((text.len() as u64).to_le_bytes());
        print.update(text);
    };
    add(&files.id);
    add(&length(&files.onnx).to_string());
    if let Some(reid) = &detect.reid {
        add(&reid.model.id);
        add(&length(&reid.model.onnx).to_string());
    }
    classes.iter().for_each(|class| add(class));
    print.finalize().into()
}
