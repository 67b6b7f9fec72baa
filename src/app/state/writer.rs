//! The thread that writes states: the newest of each camera, at a bounded rate, off the frame path.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::file::{CameraState, StateFolder, encode};
use super::on_disk::EventsOnDisk;
use crate::base::{CameraId, Metrics, causes, utc_now};
use crate::perception::zones::ZonesState;

/// Least time between two rounds of writing, each of which writes a camera at most once.
const REST: Duration = Duration::from_millis(500);

/// A state waits for its events for at most this long: longer than an event waits for its recording.
const FOR_EVENTS: Duration = Duration::from_secs(5);

/// One place per camera.
type Waiting = Arc<Mutex<BTreeMap<CameraId, Box<CameraState>>>>;

/// Where the `track` thread leaves the state of a camera. The thread that writes ends when the last of
/// them is gone.
#[derive(Debug, Clone)]
pub struct Desk {
    waiting: Waiting,
    /// A bell: one ring is as good as many.
    bell: Sender<()>,
}

impl Desk {
    /// Leaves the state of `camera`; one that still waits is forgotten. Never waits for the disk.
    pub fn leave(&self, camera: &CameraId, state: CameraState) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let older = waiting.insert(camera.clone(), Box::new(state));
        drop(waiting);
        drop(older);
        // A full bell has been rung already; without a listener nothing is written any more.
        self.bell.try_send(()).ok();
    }
}

/// The work of the thread.
#[derive(Debug)]
pub struct Writer {
    folder: StateFolder,
    waiting: Waiting,
    bell: Receiver<()>,
    on_disk: EventsOnDisk,
    /// States that wait for their events, since when. Those that come meanwhile wait behind them: there is
    /// always an event under way where much happens.
    held: BTreeMap<CameraId, (Box<CameraState>, Instant)>,
    metrics: Arc<Metrics>,
    has_failed: bool,
}

/// A desk, and who writes what is left there.
pub fn desk(folder: StateFolder, on_disk: EventsOnDisk, metrics: Arc<Metrics>) -> (Desk, Writer) {
    let (ring, bell) = bounded(1);
    let waiting = Waiting::default();
    let desk = Desk {
        waiting: Arc::clone(&waiting),
        bell: ring,
    };
    let writer = Writer {
        folder,
        waiting,
        bell,
        on_disk,
        held: BTreeMap::new(),
        metrics,
        has_failed: false,
    };
    (desk, writer)
}

impl Writer {
    /// Writes until every desk is gone, and then what is left.
    pub fn run(mut self) {
        let mut has_rung = false;
        while has_rung || !self.held.is_empty() || self.bell.recv().is_ok() {
            self.write_waiting(false);
            match self.rest() {
                Some(rung) => has_rung = rung,
                None => break,
            }
        }
        self.write_waiting(true);
    }

    /// Waits its time and says whether the bell rang meanwhile; `None` if nobody is left to ring it.
    fn rest(&self) -> Option<bool> {
        let until = Instant::now() + REST;
        let mut has_rung = false;
        loop {
            match self.bell.recv_deadline(until) {
                Ok(()) => has_rung = true,
                Err(RecvTimeoutError::Timeout) => return Some(has_rung),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Writes what is left there; a state whose newest event is not on the disk yet only if it is the
    /// last chance, or has waited for too long.
    fn write_waiting(&mut self, is_last: bool) {
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        for (camera, (state, since)) in std::mem::take(&mut self.held) {
            let is_due = !self.lacks_events(&camera, &state) || since.elapsed() >= FOR_EVENTS;
            if is_last && waiting.contains_key(&camera) {
                continue;
            }
            if is_last || is_due {
                self.write(&camera, &state);
            } else {
                self.held.insert(camera, (state, since));
            }
        }
        for (camera, state) in waiting {
            if is_last || !self.lacks_events(&camera, &state) {
                self.held.remove(&camera);
                self.write(&camera, &state);
                continue;
            }
            match self.held.entry(camera) {
                Entry::Vacant(place) => drop(place.insert((state, Instant::now()))),
                Entry::Occupied(place) => {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    // One that came meanwhile is newer.
                    waiting.entry(place.key().clone()).or_insert(state);
                }
            }
        }
    }

    fn lacks_events(&self, camera: &CameraId, state: &CameraState) -> bool {
        let newest = state.zones.as_ref().map_or(0, ZonesState::last_number);
        self.on_disk.lacks(camera, newest)
    }

    fn write(&mut self, camera: &CameraId, state: &CameraState) {
        let written = encode(state)
            .map_err(std::io::Error::other)
            .and_then(|bytes| self.folder.write(camera, &bytes));
        match written {
            Ok(()) => {
                self.metrics.state().written(camera, utc_now());
                if std::mem::take(&mut self.has_failed) {
                    tracing::warn!("what is remembered of cameras is written again");
                }
            }
            Err(error) => {
                self.metrics.state().failed(camera);
                if !std::mem::replace(&mut self.has_failed, true) {
                    let path = self.folder.path(camera);
                    let error = causes(&error);
                    tracing::warn!(%camera, path = %path.display(), error,
                        "what is remembered of cameras cannot be written; counting goes on, a restart now would begin from the last file");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::state;
    use super::*;

    #[test]
    fn the_newest_is_written_however_many_came_and_the_last_one_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let states = StateFolder(folder.path().join("state"));
        let metrics = Metrics::new();
        let (desk, writer) = desk(
            states.clone(),
            EventsOnDisk::default(),
            Arc::clone(&metrics),
        );
        let gate = CameraId::new("gate");
        let rounds = std::thread::scope(|scope| {
            let writing = scope.spawn(|| writer.run());
            for run in 1..=1000 {
                desk.leave(&gate, state("gate", run));
            }
            drop(desk);
            writing.join().unwrap();
            metrics.state().written_so_far(&gate)
        });
        assert!((1..=10).contains(&rounds), "{rounds} files");
        let last = states.read(&gate, &[1; 32]).unwrap().unwrap();
        assert_eq!(last.run, 1000);
    }

    #[test]
    fn a_state_is_not_written_before_its_events_are() {
        let folder = tempfile::tempdir().unwrap();
        let states = StateFolder(folder.path().join("state"));
        let (metrics, on_disk) = (Metrics::new(), EventsOnDisk::default());
        on_disk.begin();
        let (desk, mut writer) = desk(states.clone(), on_disk.clone(), metrics);
        let gate = CameraId::new("gate");
        let known = |zones: &Option<ZonesState>| zones.as_ref().map(ZonesState::last_number);
        let written = || {
            let state = states.read(&gate, &[1; 32]).unwrap();
            state.and_then(|state| known(&state.zones))
        };
        let after = |number: u64| {
            let plan = crate::perception::zones::ZonesPlan::default();
            let mut zones =
                crate::perception::zones::Zones::new(plan, |_| Err::<_, ()>(())).unwrap();
            zones.number_after(number);
            CameraState {
                zones: Some(zones.state()),
                ..state("gate", 1)
            }
        };
        on_disk.reached(&gate, 3);
        desk.leave(&gate, after(3));
        writer.write_waiting(false);
        assert_eq!(written(), Some(3));
        desk.leave(&gate, after(5));
        writer.write_waiting(false);
        assert_eq!(written(), Some(3), "4 and 5 are under way");
        on_disk.reached(&gate, 5);
        writer.write_waiting(false);
        assert_eq!(written(), Some(5));
        // There is always one under way: the older state is written all the same, when its time comes.
        desk.leave(&gate, after(7));
        writer.write_waiting(false);
        desk.leave(&gate, after(9));
        writer.write_waiting(false);
        on_disk.reached(&gate, 7);
        desk.leave(&gate, after(11));
        writer.write_waiting(false);
        assert_eq!(written(), Some(7));
        on_disk.reached(&gate, 9);
        writer.write_waiting(false);
        assert_eq!(written(), Some(7), "11 is held now, 9 made room for it");
        on_disk.reached(&gate, 11);
        writer.write_waiting(false);
        assert_eq!(written(), Some(11));
        // The last chance: what is under way then is written by others, or nobody.
        desk.leave(&gate, after(12));
        writer.write_waiting(true);
        assert_eq!(written(), Some(12));
    }

    #[test]
    fn a_folder_that_takes_nothing_is_counted_and_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("state");
        std::fs::write(&blocked, "a file where the folder should be").unwrap();
        let metrics = Metrics::new();
        let (desk, writer) = desk(
            StateFolder(blocked.clone()),
            EventsOnDisk::default(),
            Arc::clone(&metrics),
        );
        let gate = CameraId::new("gate");
        desk.leave(&gate, state("gate", 1));
        drop(desk);
        writer.run();
        assert_eq!(metrics.state().failures_so_far(&gate), 1);
        assert_eq!(metrics.state().written_so_far(&gate), 0);
    }
}
