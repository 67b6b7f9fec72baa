//! Which event is in which clip, decided when the event is told.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::{ClipOptions, naming};
use crate::base::{
    CameraId, ClipLoss, DiskRoom, Event, Metrics, PacketRing, Recorded, RunId, StreamClock,
    StreamTime, UtcNanos, utc_now,
};

/// Clips of a camera that are written at a time.
const MAX_OPEN: usize = 4;

/// Events of one clip; the next one begins another clip.
const MAX_EVENTS: usize = 1000;

/// Events whose clip is remembered.
const MAX_PLACES: usize = 1024;

/// A clip that is being written, as far as its events decide about it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Its file.
    pub path: PathBuf,
    pub name: Arc<str>,
    /// The run of its first event.
    pub run: RunId,
    /// UTC of the moment that is 0 in the file, where known.
    pub start_utc: Option<UtcNanos>,
    /// Number of its first packet.
    pub first: u64,
    /// The moment that is 0 in the file.
    pub start: StreamTime,
    /// Running time up to which it goes, ns.
    pub until_ns: u64,
    /// The pre-roll is shorter than asked for.
    pub is_cut: bool,
    /// Published lines of its events.
    pub events: Vec<String>,
    /// Events that have been promised a place, told or not.
    promised: usize,
}

/// Decides about the clips of one camera.
#[derive(Debug)]
pub struct ClipDesk {
    pub(super) camera: CameraId,
    pub(super) options: ClipOptions,
    pub(super) ring: Arc<PacketRing>,
    pub(super) clock: Arc<StreamClock>,
    pub(super) room: Arc<DiskRoom>,
    pub(super) metrics: Arc<Metrics>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Wanted>,
    places: VecDeque<(u64, Recorded)>,
    /// Nobody claims any more.
    is_over: bool,
    /// Nobody writes any more.
    is_closed: bool,
    is_failing: bool,
}

impl ClipDesk {
    /// A desk for the clips of `camera`, made of what is in `ring`.
    #[must_use]
    pub fn new(
        camera: CameraId,
        options: ClipOptions,
        ring: Arc<PacketRing>,
        clock: Arc<StreamClock>,
        room: Arc<DiskRoom>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            camera,
            options,
            ring,
            clock,
            room,
            metrics,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Was the event seen in the stream that clips are made of here?
    pub(super) fn saw(&self, event: &Event) -> bool {
        let moment = self.clock.time_of(event.frame.run, event.frame.pts);
        moment.is_some()
    }

    /// Where `event` will be in a clip: in one that is being written and can go on so far, else in a
    /// new one. `None` if it shall have none, or cannot, which is counted.
    pub fn claim(&self, event: &Event) -> Option<Recorded> {
        if !self.options.wanted.wants(event, None) {
            return None;
        }
        match self.place(event) {
            Ok(place) => {
                let mut state = self.lock();
                state.places.push_back((event.number, place.clone()));
                if state.places.len() > MAX_PLACES {
                    state.places.pop_front();
                }
                Some(place)
            }
            Err(loss) => {
                self.metrics.clips().clip_missing(&self.camera, loss);
                None
            }
        }
    }

    fn place(&self, event: &Event) -> Result<Recorded, ClipLoss> {
        let moment = self.clock.time_of(event.frame.run, event.frame.pts);
        let moment = moment.ok_or(ClipLoss::NoStream)?;
        let until_ns = moment.time_ns.saturating_add(nanos(self.options.after));
        let mut state = self.lock();
        if state.is_closed {
            return Err(ClipLoss::Ended);
        }
        if !self.room.is_for_recordings() {
            return Err(ClipLoss::DiskLow);
        }
        let longest = nanos(self.options.longest);
        let fits = |clip: &&mut Wanted| {
            clip.start.connection == moment.connection
                && clip.start.time_ns <= moment.time_ns
                && moment.time_ns.saturating_sub(nanos(self.options.before)) <= clip.until_ns
                && until_ns <= clip.start.time_ns.saturating_add(longest)
                && clip.promised < MAX_EVENTS
        };
        if let Some(clip) = state.open.iter_mut().find(fits) {
            clip.until_ns = clip.until_ns.max(until_ns);
            clip.promised += 1;
            return Ok(in_clip(clip, moment));
        }
        if state.open.len() >= MAX_OPEN {
            return Err(ClipLoss::Slow);
        }
        let start = self.ring.start_of(moment, self.options.before);
        let start = start.ok_or(ClipLoss::NoStream)?;
        let before = i64::try_from(moment.time_ns - start.time_ns).unwrap_or(i64::MAX);
        let utc = event.frame.utc;
        let start_utc = utc.map(|utc| UtcNanos(utc.0.saturating_sub(before)));
        let named = start_utc.unwrap_or_else(utc_now);
        let path = match naming::create(&self.options.folder, &self.camera, named) {
            Ok(path) => path,
            Err(error) => {
                if !std::mem::replace(&mut state.is_failing, true) {
                    warn!(camera = %self.camera, folder = %self.options.folder.display(), %error,
                        "no clip can be made; events without one are counted");
                }
                return Err(ClipLoss::Failed);
            }
        };
        state.is_failing = false;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let clip = Wanted {
            name: Arc::from(name),
            path,
            run: event.frame.run,
            start_utc,
            first: start.packet,
            start: StreamTime {
                connection: moment.connection,
                time_ns: start.time_ns,
            },
            until_ns,
            is_cut: start.is_cut,
            events: Vec::new(),
            promised: 1,
        };
        let place = in_clip(&clip, moment);
        state.open.push(clip);
        self.changed.notify_all();
        Ok(place)
    }

    /// The published line of an event that was given `place`, for the description of the clip.
    pub fn tell(&self, place: &Recorded, line: &str) {
        let mut state = self.lock();
        if let Some(clip) = state.open.iter_mut().find(|it| it.name == place.file) {
            clip.events.push(line.to_owned());
        }
    }

    /// The clip of an event with this number, if it has one and is not long ago.
    #[must_use]
    pub fn clip_of(&self, number: u64) -> Option<PathBuf> {
        let state = self.lock();
        let (_, place) = state.places.iter().rev().find(|(it, _)| *it == number)?;
        Some(self.options.folder.join(&*place.file))
    }

    /// Clips that were begun and that the writer does not know yet.
    pub(super) fn begun(&self, is_known: impl Fn(&str) -> bool) -> Vec<Wanted> {
        let state = self.lock();
        let begun = state.open.iter().filter(|it| !is_known(&it.name));
        begun.cloned().collect()
    }

    /// Up to where a clip goes now.
    #[cfg(test)]
    fn until(&self, name: &str) -> Option<u64> {
        let state = self.lock();
        let clip = state.open.iter().find(|it| &*it.name == name)?;
        Some(clip.until_ns)
    }

    /// Takes a clip off the desk, so that no event can join it any more.
    pub(super) fn take(&self, name: &str) -> Option<Wanted> {
        self.take_if(name, |_| true)
    }

    /// The same for one that need not go on beyond `last_ns`.
    pub(super) fn take_done(&self, name: &str, last_ns: u64) -> Option<Wanted> {
        self.take_if(name, |clip| clip.until_ns <= last_ns)
    }

    fn take_if(&self, name: &str, may: impl Fn(&Wanted) -> bool) -> Option<Wanted> {
        let mut state = self.lock();
        let is_it = |it: &Wanted| &*it.name == name && may(it);
        let place = state.open.iter().position(is_it)?;
        Some(state.open.remove(place))
    }

    /// A clip that came to nothing: its file is gone.
    pub(super) fn forget(&self, name: &str) {
        self.lock().places.retain(|(_, place)| &*place.file != name);
    }

    /// Waits at most `timeout` until nobody claims any more.
    pub(super) fn wait_for_claims(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        while !state.is_over {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nobody claims any more.
    pub(super) fn end_claims(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// No clip is begun any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
    }
}

fn in_clip(clip: &Wanted, moment: StreamTime) -> Recorded {
    Recorded {
        file: Arc::clone(&clip.name),
        pts_ns: moment.time_ns.saturating_sub(clip.start.time_ns),
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{EventKind, FrameMeta, FrameSeq, Packet, Pts, RoomLevel, Size, UtcSource};
    use crate::sinks::publish::EventFilter;

    const SECOND: u64 = 1_000_000_000;

    /// 30 s of a stream with a key frame each second, of which run 1 begins at 1 s.
    fn desk(folder: &std::path::Path, room: &Arc<DiskRoom>) -> Arc<ClipDesk> {
        let ring = PacketRing::new(Duration::from_secs(60), u64::MAX);
        for number in 0..300 {
            ring.push(Packet {
                number: 0,
                connection: 1,
                time_ns: number * SECOND / 10,
                decode_ns: number * SECOND / 10,
                is_key: number % 10 == 0,
                format: "video/x-h264".into(),
                data: vec![0; 10].into(),
            });
        }
        let clock = StreamClock::default();
        clock.begin_connection();
        clock.note_run(RunId(1), Pts(0), SECOND);
        let options = ClipOptions {
            folder: folder.to_owned(),
            wanted: EventFilter::default(),
            before: Duration::from_secs(3),
            after: Duration::from_secs(2),
            longest: Duration::from_secs(12),
        };
        ClipDesk::new(
            CameraId::new("gate"),
            options,
            Arc::new(ring),
            Arc::new(clock),
            Arc::clone(room),
            Metrics::new(),
        )
    }

    fn event(number: u64, secs: f64) -> Event {
        Event {
            number,
            frame: FrameMeta {
                camera: CameraId::new("gate"),
                run: RunId(1),
                seq: FrameSeq(0),
                pts: Pts((secs * 1e9) as u64),
                utc: Some(UtcNanos(1_700_000_000_000_000_000)),
                utc_source: UtcSource::Arrival,
                size: Size {
                    width: 64,
                    height: 36,
                },
            },
            kind: EventKind::Entry {
                zone: "yard".into(),
            },
            object: None,
        }
    }

    #[test]
    fn an_event_begins_a_clip_and_those_that_follow_extend_it_up_to_its_longest() {
        let folder = tempfile::tempdir().unwrap();
        let desk = desk(folder.path(), &Arc::default());
        // Running time 11.5 s; 3 s before is 8.5, and the key frame before that 8.0.
        let first = desk.claim(&event(1, 10.5)).unwrap();
        assert_eq!(first.pts_ns, 7 * SECOND / 2);
        // 22:13:20 − 3.5 s.
        assert_eq!(&*first.file, "gate_20231114T221316Z_clip.mp4");
        assert_eq!(desk.until(&first.file), Some(27 * SECOND / 2));
        let second = desk.claim(&event(2, 14.0)).unwrap();
        assert_eq!((&second.file, second.pts_ns), (&first.file, 7 * SECOND));
        assert_eq!(desk.until(&first.file), Some(17 * SECOND));
        // Up to 8 + 12 = 20 s, but 19 + 2 is beyond.
        let third = desk.claim(&event(3, 18.0)).unwrap();
        assert_ne!(third.file, first.file);
        assert_eq!(desk.clip_of(2), Some(folder.path().join(&*first.file)));
        assert_eq!(desk.clip_of(9), None);
    }

    #[test]
    fn without_room_stream_or_writer_there_is_no_clip_and_it_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let room = Arc::<DiskRoom>::default();
        let desk = desk(folder.path(), &room);
        room.set(RoomLevel::NoRecording);
        assert_eq!(desk.claim(&event(1, 10.0)), None);
        room.set(RoomLevel::Enough);
        let mut of_another_run = event(2, 10.0);
        of_another_run.frame.run = RunId(2);
        assert_eq!(desk.claim(&of_another_run), None);
        desk.close();
        assert_eq!(desk.claim(&event(3, 10.0)), None);
        let missing = [ClipLoss::DiskLow, ClipLoss::NoStream, ClipLoss::Ended]
            .map(|loss| desk.metrics.clips().clips_missing(&desk.camera, loss));
        assert_eq!(missing, [1, 1, 1]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
