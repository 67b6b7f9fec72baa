//! What the `track` thread does when cameras come, go, or are watched otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Newcomers;
use super::outlet::{Job, Outlet, Published, Scene};
use super::tracking::{CameraTracking, Tracking, Watching};
use crate::base::{CameraId, DropReason, Metrics, Secret, ZoneCount};
use crate::perception::track::TrackOptions;
use crate::perception::zones::Zones;

/// Outlets of cameras that went whose readers have not taken the last notices yet.
const MAX_LEAVING: usize = 64;

/// Cameras that went whose numbers are remembered, so that none is given twice if they come again.
const MAX_RETIRED: usize = 1024;

/// Who does a job for a camera from now on.
#[derive(Debug, Default)]
pub enum ReaderChange {
    /// As it was.
    #[default]
    Keep,
    /// By the reader of this outlet.
    Start(Outlet),
    /// Nobody.
    Stop,
}

/// Who records a camera, and who makes its clips, from now on.
#[derive(Debug, Default)]
pub struct ReaderChanges {
    /// Films with boxes.
    pub recording: ReaderChange,
    /// Clips of events, and lines beside raw recordings.
    pub clips: ReaderChange,
}

/// What the `track` thread is asked to do, between two frames.
#[derive(Debug)]
pub(super) enum Change {
    /// A camera whose frames come from now on.
    Install {
        slot: usize,
        tracking: Box<CameraTracking>,
        scene: Arc<Scene>,
        readers: ReaderChanges,
    },
    /// A camera that goes on, and is watched otherwise.
    Adjust {
        slot: usize,
        watching: Box<(Watching, TrackOptions)>,
        /// Where the next run comes from, if its stream was opened anew.
        source: Option<Secret>,
        scene: Arc<Scene>,
        readers: ReaderChanges,
    },
    /// A camera of which nothing comes any more.
    Remove { slot: usize },
}

/// The numbers given last.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    track: u64,
    event: u64,
}

/// What the `track` thread needs for cameras that come and go.
#[derive(Debug, Default)]
pub(super) struct Succession {
    newcomers: Newcomers,
    leaving: Vec<Outlet>,
    retired: BTreeMap<CameraId, Numbers>,
}

impl Succession {
    /// With these readers of every camera that comes.
    pub fn of(newcomers: Newcomers) -> Self {
        Self {
            newcomers,
            ..Self::default()
        }
    }

    /// Lets go of outlets whose readers have taken everything.
    pub fn drain(&mut self, metrics: &Metrics) {
        self.leaving
            .retain_mut(|outlet| !outlet.is_drained(metrics));
    }

    fn let_go(&mut self, mut outlet: Outlet, camera: &CameraId, metrics: &Metrics) {
        if outlet.is_drained(metrics) {
            return;
        }
        if self.leaving.len() < MAX_LEAVING {
            return self.leaving.push(outlet);
        }
        metrics.result_dropped(camera, outlet.stage(), DropReason::SinkSlow);
    }

    fn retire(&mut self, camera: CameraId, numbers: Numbers) {
        if self.retired.len() < MAX_RETIRED {
            self.retired.insert(camera, numbers);
        }
    }
}

impl Tracking {
    pub(super) fn change(&mut self, change: Change) {
        match change {
            Change::Install {
                slot,
                tracking,
                scene,
                readers,
            } => self.install(slot, *tracking, scene, readers),
            Change::Adjust {
                slot,
                watching,
                source,
                scene,
                readers,
            } => {
                self.move_to(slot, source.as_ref());
                self.adjust(slot, *watching, scene, readers);
            }
            Change::Remove { slot } => self.remove(slot),
        }
    }

    fn install(
        &mut self,
        slot: usize,
        mut tracking: CameraTracking,
        scene: Arc<Scene>,
        readers: ReaderChanges,
    ) {
        let camera = tracking.camera.clone();
        let before = self.succession.retired.remove(&camera).unwrap_or_default();
        tracking.tracker.number_after(before.track);
        tracking.number_events_after(before.event);
        self.cameras.insert(slot, tracking);
        let Newcomers { results, events } = &self.succession.newcomers;
        self.outlets
            .extend(results.iter().filter_map(|it| it.for_new(&camera)));
        self.events
            .extend(events.iter().map(|it| it.for_new(&camera)));
        self.change_readers(&camera, readers);
        self.tell(&Published::Watched { camera, scene });
    }

    fn move_to(&mut self, slot: usize, source: Option<&Secret>) {
        let tracking = self.cameras.get_mut(&slot);
        let past = tracking.and_then(|tracking| tracking.past.as_mut());
        if let (Some(past), Some(source)) = (past, source) {
            past.move_to(source.expose());
        }
    }

    fn adjust(
        &mut self,
        slot: usize,
        (watching, options): (Watching, TrackOptions),
        scene: Arc<Scene>,
        readers: ReaderChanges,
    ) {
        let Some(tracking) = self.cameras.get_mut(&slot) else {
            return;
        };
        let camera = tracking.camera.clone();
        tracking.tracker.adjust(options);
        let before: Vec<String> = tracking.zone_names().map(str::to_owned).collect();
        let events = tracking.watch(watching);
        for name in &before {
            if !tracking.zone_names().any(|now| now == name) {
                let zones = self.metrics.zones();
                zones.present(&camera, name, ZoneCount::default());
            }
        }
        self.send_events(&events, None);
        self.change_readers(&camera, readers);
        self.tell(&Published::Watched { camera, scene });
    }

    fn remove(&mut self, slot: usize) {
        let Some(mut tracking) = self.cameras.remove(&slot) else {
            return;
        };
        let camera = tracking.camera.clone();
        self.send_events(&tracking.end_for_good(), None);
        let numbers = Numbers {
            track: tracking.tracker.last_id(),
            event: tracking.last_event(),
        };
        tracking.abandon();
        self.succession.retire(camera.clone(), numbers);
        self.tell(&Published::Gone {
            camera: camera.clone(),
        });
        self.events.retain(|outlet| !outlet.is_of(&camera));
        for outlet in self.outlets.extract_if(.., |it| it.is_of(&camera)) {
            self.succession.let_go(outlet, &camera, &self.metrics);
        }
    }

    fn change_readers(&mut self, camera: &CameraId, readers: ReaderChanges) {
        self.change_reader(Job::Recording, camera, readers.recording);
        self.change_reader(Job::Clips, camera, readers.clips);
    }

    fn change_reader(&mut self, job: Job, camera: &CameraId, reader: ReaderChange) {
        if matches!(reader, ReaderChange::Keep) {
            return;
        }
        for outlet in self.outlets.extract_if(.., |it| it.does(job, camera)) {
            self.succession.let_go(outlet, camera, &self.metrics);
        }
        if let ReaderChange::Start(outlet) = reader {
            self.outlets.push(outlet);
        }
    }

    fn tell(&mut self, notice: &Published) {
        if let Published::Watched { camera, scene } = notice {
            for outlet in &self.events {
                outlet.watch(camera, scene);
            }
        }
        for outlet in &mut self.outlets {
            outlet.send(notice, &self.metrics);
        }
    }
}

impl CameraTracking {
    fn zone_names(&self) -> impl Iterator<Item = &str> {
        self.watching.zones.iter().flat_map(Zones::names)
    }

    /// Watches otherwise from now on; gives the events of what ends by that.
    fn watch(&mut self, watching: Watching) -> Vec<crate::base::Event> {
        self.keep_event_number();
        let before = std::mem::replace(&mut self.watching, watching);
        let number = self.events_before;
        let mut events = match (before.zones, &mut self.watching.zones) {
            (Some(old), Some(new)) => new.take_over(old),
            (Some(mut old), None) => old.end_run(),
            (None, Some(new)) => {
                new.number_after(number);
                Vec::new()
            }
            (None, None) => Vec::new(),
        };
        if let Some(event) = events.last() {
            self.events_before = self.events_before.max(event.number);
        }
        if let Some(past) = &self.past {
            past.in_run_time(&mut [], &mut events);
        }
        events
    }

    /// Nothing more comes of the camera: who was inside leaves, what was under way ends, and nothing of it
    /// is left to go on.
    fn end_for_good(&mut self) -> Vec<crate::base::Event> {
        self.tracker.end_run();
        let events = self.watching.zones.as_mut().map(Zones::end_run);
        let mut events = events.unwrap_or_default();
        if let Some(past) = &mut self.past {
            past.in_run_time(&mut [], &mut events);
            past.end_run(&self.tracker, self.watching.zones.as_ref());
        }
        events
    }

    pub(super) fn number_events_after(&mut self, number: u64) {
        self.events_before = self.events_before.max(number);
        if let Some(zones) = &mut self.watching.zones {
            zones.number_after(number);
        }
    }

    pub(super) fn last_event(&self) -> u64 {
        let zones = self.watching.zones.as_ref();
        zones.map_or(0, Zones::last_number).max(self.events_before)
    }

    fn keep_event_number(&mut self) {
        self.events_before = self.last_event();
    }
}
