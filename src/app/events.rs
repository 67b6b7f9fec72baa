//! The thread that writes events of zones and lines, hands them to the sinks' spool, and what it
//! knows of the recordings.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::event_file::EventFile;
use super::raw_places::RawPlaces;
use super::state::EventsOnDisk;
use super::summary::EventTally;
use super::writers::IDLE_FLUSH;
use crate::base::{CameraId, DropReason, Event, FrameSeq, Metrics, Recorded};
use crate::sinks::clips::{ClaimsClips, ClipDesks};
use crate::sinks::publish::{
    EventFiles, Keeper, LineFile, PublishError, class_name, event_line, event_line_with,
};
use crate::sinks::snapshots::SnapshotDesk;
use crate::sinks::web::Hub;

/// Frames whose place in a recording is remembered.
const MAX_PLACES: usize = 1024;

/// How long the event of a live camera waits for its frame to be recorded.
const LIVE_WAIT: Duration = Duration::from_secs(2);

/// The same for a file, whose frames all get recorded unless something is wrong.
const FILE_WAIT: Duration = Duration::from_secs(60);

/// Until when an event that is written now waits for its frame.
fn patience(lossless: bool) -> Instant {
    Instant::now() + if lossless { FILE_WAIT } else { LIVE_WAIT }
}

/// Where the newest frames of a camera are in its recording: told by the thread that records, asked
/// by the one that writes events.
#[derive(Debug, Default)]
pub struct RecordingLog {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    places: VecDeque<(FrameSeq, Recorded)>,
    /// Newest frame that was recorded or given up.
    until: Option<FrameSeq>,
    /// Where it stood when it was last waited for in vain: nobody waits again until it moves.
    stuck_at: Option<Option<FrameSeq>>,
    is_closed: bool,
}

impl RecordingLog {
    /// The frame is in a recording, or in none.
    pub fn note(&self, seq: FrameSeq, place: Option<&Recorded>) {
        let mut state = self.lock();
        state.until = Some(seq);
        if let Some(place) = place {
            state.places.push_back((seq, place.clone()));
            if state.places.len() > MAX_PLACES {
                state.places.pop_front();
            }
        }
        self.changed.notify_all();
    }

    /// No more frames will be recorded: nobody waits for one.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Where the frame is, after waiting at most until `deadline` for it to be recorded. A recorder
    /// that stands still is waited for once.
    fn place(&self, seq: FrameSeq, deadline: Instant) -> Option<Recorded> {
        let mut state = self.lock();
        while !state.is_closed && state.until.is_none_or(|until| until < seq) {
            if state.stuck_at == Some(state.until) {
                break;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.stuck_at = Some(state.until);
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let found = state.places.iter().find(|(known, _)| *known == seq);
        found.map(|(_, place)| place.clone())
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logs of the cameras that are recorded; clones share them.
#[derive(Debug, Clone, Default)]
pub struct RecordingLogs(Arc<Mutex<BTreeMap<CameraId, Arc<RecordingLog>>>>);

impl RecordingLogs {
    /// A new log for a camera, in place of one it had before.
    #[must_use]
    pub fn begin(&self, camera: &CameraId) -> Arc<RecordingLog> {
        let log = Arc::<RecordingLog>::default();
        self.lock().insert(camera.clone(), Arc::clone(&log));
        log
    }

    fn of(&self, camera: &CameraId) -> Option<Arc<RecordingLog>> {
        self.lock().get(camera).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CameraId, Arc<RecordingLog>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a log when the thread that records ends, however it does.
#[derive(Debug)]
pub struct ClosesLog(pub Arc<RecordingLog>);

impl Drop for ClosesLog {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The events of one input of a one-shot command: `<stem>.events.jsonl`, made when the input has
/// given a frame, so that one that cannot be read leaves an earlier file alone.
#[derive(Debug)]
pub struct OneShotEvents {
    path: PathBuf,
    log: Option<Arc<RecordingLog>>,
    lossless: bool,
}

impl OneShotEvents {
    /// Will write `path`; `log` is that of the recording, if there is one.
    #[must_use]
    pub fn new(path: PathBuf, log: Option<Arc<RecordingLog>>, lossless: bool) -> Self {
        Self {
            path,
            log,
            lossless,
        }
    }

    /// Writes and counts everything that comes, until the channel closes or the file fails.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn run(
        self,
        events: &Receiver<Event>,
        classes: &[String],
        camera: &CameraId,
        metrics: &Metrics,
        tally: &mut EventTally,
    ) -> Result<(), PublishError> {
        let mut file = None;
        for event in events {
            let file = match &mut file {
                Some(file) => file,
                empty @ None => empty.insert(LineFile::create(&self.path)?),
            };
            let log = self.log.as_ref();
            let place = log.and_then(|log| log.place(event.frame.seq, patience(self.lossless)));
            file.write(&event_line(&event, classes, place.as_ref()))?;
            tally.add(&event);
        }
        match file {
            Some(mut file) => file.flush(),
            // Nothing happened, and the file says so.
            None if metrics.balance(camera).processed > 0 => LineFile::create(&self.path).map(drop),
            None => Ok(()),
        }
    }
}

/// Events that are put on the disk in one go, and the longest that the first of them waits for the
/// others.
const MAX_TOGETHER: usize = 256;
const TOGETHER_WITHIN: Duration = Duration::from_millis(200);

/// The events of a daemon's cameras: to their files, `<folder>/<camera>/events.jsonl`, and to the
/// spool of the sinks.
#[derive(Debug, Default)]
pub struct DaemonEvents {
    /// Where files go and how large one becomes, if files are wanted.
    files: Option<(PathBuf, u64)>,
    keeper: Option<Keeper>,
    logs: RecordingLogs,
    raw: RawPlaces,
    /// Cameras whose frames all get recorded.
    lossless: BTreeSet<CameraId>,
    pictures: Option<ClosesPictures>,
    clips: ClaimsClips,
    page: Option<Arc<Hub>>,
    on_disk: EventsOnDisk,
    /// Made with the first event.
    cameras: BTreeMap<CameraId, EventFile>,
}

/// Closes the desk of pictures when the thread that names them ends: no event comes after that.
#[derive(Debug)]
struct ClosesPictures(Arc<SnapshotDesk>);

impl Drop for ClosesPictures {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl DaemonEvents {
    /// Will write nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Will write files of at most `max_bytes` each.
    #[must_use]
    pub fn with_files(mut self, folder: &Path, max_bytes: u64) -> Self {
        self.files = Some((folder.to_owned(), max_bytes));
        self
    }

    /// Will hand events to the sinks' spool.
    #[must_use]
    pub fn with_keeper(mut self, keeper: Option<Keeper>) -> Self {
        self.keeper = keeper;
        self
    }

    /// Will ask these logs where a frame was recorded.
    #[must_use]
    pub fn with_logs(mut self, logs: RecordingLogs) -> Self {
        self.logs = logs;
        self
    }

    /// Will ask there where a frame is that no other recording holds.
    #[must_use]
    pub fn with_raw(mut self, raw: RawPlaces) -> Self {
        self.raw = raw;
        self
    }

    /// Will wait longer for the recordings of these cameras, whose frames all get recorded.
    #[must_use]
    pub fn with_lossless(mut self, cameras: BTreeSet<CameraId>) -> Self {
        self.lossless = cameras;
        self
    }

    /// Will name the pictures that were taken there.
    #[must_use]
    pub fn with_pictures(mut self, desk: Option<Arc<SnapshotDesk>>) -> Self {
        self.pictures = desk.map(ClosesPictures);
        self
    }

    /// Will ask these desks for clips of the events of their cameras.
    #[must_use]
    pub fn with_clips(mut self, desks: ClipDesks) -> Self {
        self.clips = ClaimsClips(desks);
        self
    }

    /// Will tell the page which files show an event.
    #[must_use]
    pub fn with_page(mut self, page: Option<Arc<Hub>>) -> Self {
        self.page = page;
        self
    }

    /// Will tell which events are on the disk.
    #[must_use]
    pub fn telling(mut self, on_disk: EventsOnDisk) -> Self {
        on_disk.begin();
        self.on_disk = on_disk;
        self
    }

    /// Writes everything that comes until the channel closes. What cannot be written is held, and
    /// counted if it is too much.
    pub fn run(mut self, events: &Receiver<Event>, classes: &[String], metrics: &Metrics) {
        loop {
            match events.recv_timeout(IDLE_FLUSH) {
                Ok(event) => self.write_with_followers(event, events, classes, metrics),
                Err(RecvTimeoutError::Timeout) => self.flush(metrics),
                Err(RecvTimeoutError::Disconnected) => return self.close(metrics),
            }
        }
    }

    /// Writes `first` and what has come meanwhile: into the spool before the files, so that what is
    /// in a file is never missing from the spool.
    fn write_with_followers(
        &mut self,
        first: Event,
        events: &Receiver<Event>,
        classes: &[String],
        metrics: &Metrics,
    ) {
        let began = Instant::now();
        let followers = events.try_iter().take(MAX_TOGETHER);
        let mut lines = Vec::new();
        let mut newest: BTreeMap<CameraId, u64> = BTreeMap::new();
        for event in std::iter::once(first).chain(followers) {
            lines.push(self.line(&event, classes));
            newest.insert(event.frame.camera.clone(), event.number);
            if began.elapsed() > TOGETHER_WITHIN {
                break;
            }
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.commit();
        }
        for (camera, line) in lines {
            if let Some((folder, max_bytes)) = &self.files {
                let new = || {
                    let path = folder.join(camera.as_str()).join("events.jsonl");
                    EventFile::new(path, *max_bytes)
                };
                let file = self.cameras.entry(camera.clone()).or_insert_with(new);
                file.add(line);
            }
        }
        self.flush_files(metrics);
        for (camera, number) in newest {
            self.on_disk.reached(&camera, number);
        }
    }

    /// The line of an event, which is handed to the sinks' spool on the way.
    fn line(&mut self, event: &Event, classes: &[String]) -> (CameraId, String) {
        let camera = &event.frame.camera;
        // Before the recording is waited for: what was before the event is kept for a while only.
        let claimed = self.clips.0.claim(event);
        let is_lossless = self.lossless.contains(camera);
        let deadline = patience(is_lossless);
        let log = self.logs.of(camera);
        let place = log
            .and_then(|log| log.place(event.frame.seq, deadline))
            .or_else(|| self.raw.place(&event.frame, deadline));
        let pictures = self.pictures.as_ref();
        let pictured = pictures.and_then(|desk| desk.0.taken_of(camera, event.number));
        let shown_in = EventFiles {
            recorded: place.as_ref(),
            clip: claimed.as_ref().map(|(_, place)| place),
            pictured: pictured.as_ref(),
        };
        let line = event_line_with(event, classes, shown_in);
        if let Some((desk, place)) = &claimed {
            desk.tell(place, &line);
        }
        if let Some(keeper) = &mut self.keeper {
            let object = event.object.as_ref();
            let class = object.map(|object| class_name(object.class, classes));
            keeper.add(event, class, &line);
        }
        if let Some(page) = &self.page {
            page.complete(camera, &line);
        }
        (camera.clone(), line)
    }

    fn flush(&mut self, metrics: &Metrics) {
        if let Some(keeper) = &mut self.keeper {
            keeper.commit();
        }
        self.flush_files(metrics);
    }

    fn flush_files(&mut self, metrics: &Metrics) {
        for (camera, file) in &mut self.cameras {
            count_lost(file.flush(camera), camera, metrics);
        }
        // Cameras come and go for years.
        self.cameras.retain(|_, file| !file.is_idle());
    }

    fn close(&mut self, metrics: &Metrics) {
        if let Some(keeper) = &mut self.keeper {
            keeper.commit();
        }
        for (camera, file) in &mut self.cameras {
            count_lost(file.close(camera), camera, metrics);
        }
    }
}

fn count_lost(lost: u64, camera: &CameraId, metrics: &Metrics) {
    for _ in 0..lost {
        metrics
            .zones()
            .event_dropped(camera, DropReason::SinkFailed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: u64) -> Recorded {
        Recorded {
            file: "gate.mp4".into(),
            pts_ns: number,
        }
    }

    fn far() -> Instant {
        Instant::now() + FILE_WAIT
    }

    #[test]
    fn an_event_waits_for_its_frame_to_be_recorded() {
        let log = RecordingLog::default();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| log.place(FrameSeq(5), far()));
            for seq in 0..=5 {
                log.note(FrameSeq(seq), Some(&place(seq)));
            }
            assert_eq!(asked.join().unwrap(), Some(place(5)));
        });
    }

    #[test]
    fn a_frame_that_was_not_recorded_is_in_no_file() {
        let log = RecordingLog::default();
        log.note(FrameSeq(1), Some(&place(1)));
        log.note(FrameSeq(2), None);
        log.note(FrameSeq(4), Some(&place(4)));
        for seq in [2, 3] {
            assert_eq!(log.place(FrameSeq(seq), far()), None);
        }
        let closed = ClosesLog(Arc::new(log));
        let log = Arc::clone(&closed.0);
        drop(closed);
        assert_eq!(log.place(FrameSeq(9), far()), None);
    }

    #[test]
    fn a_live_event_does_not_wait_for_ever() {
        let log = RecordingLog::default();
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(log.place(FrameSeq(1), deadline), None);
        // The recorder has not moved: the next one does not wait at all.
        assert_eq!(log.place(FrameSeq(2), far()), None);
        log.note(FrameSeq(2), Some(&place(2)));
        assert_eq!(log.place(FrameSeq(2), far()), Some(place(2)));
    }
}
