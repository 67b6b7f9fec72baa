//! Events into the spool: numbered across restarts, filtered per sink, held while the disk is full.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::envelope::{envelope, event_id, route};
use super::filter::EventFilter;
use super::spool::{Entry, Spool, SpoolError};
use crate::base::{CameraId, Event, Metrics, SinkStep, causes};

/// Events that are held in memory while the disk takes none.
const MAX_HELD: usize = 1024;

/// A disk that took nothing is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Puts events into the spool for every sink that wants them. When it is dropped, the spool is closed.
#[derive(Debug)]
pub struct Keeper {
    spool: Arc<Spool>,
    sinks: Vec<(String, EventFilter)>,
    metrics: Arc<Metrics>,
    /// Sequence number of each camera before its first event of this process.
    before: BTreeMap<CameraId, u64>,
    /// Number of each camera's newest event before this process, where events are numbered on.
    numbered: BTreeMap<CameraId, u64>,
    held: VecDeque<Entry>,
    failed: Option<Instant>,
}

impl Keeper {
    /// Keeps events for `sinks`, by name.
    #[must_use]
    pub fn new(
        spool: Arc<Spool>,
        sinks: Vec<(String, EventFilter)>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            spool,
            sinks,
            metrics,
            before: BTreeMap::new(),
            numbered: BTreeMap::new(),
            held: VecDeque::new(),
            failed: None,
        }
    }

    /// With events that are numbered on from the process before: the newest number of each camera then.
    #[must_use]
    pub fn numbered_after(mut self, numbers: BTreeMap<CameraId, u64>) -> Self {
        self.numbered = numbers;
        self
    }

    /// Takes an event; [`Keeper::commit`] puts it on the disk. `line` is its event line, `class` the
    /// name of its object's class.
    pub fn add(&mut self, event: &Event, class: Option<&str>, line: &str) {
        // A camera that comes while gantryd runs may be remembered from before: what it counted then was
        // numbered here then.
        let first = || event.number.saturating_sub(1);
        let camera = &event.frame.camera;
        let numbered = match self.numbered.get(camera) {
            Some(numbered) => *numbered,
            None => *self.numbered.entry(camera.clone()).or_insert_with(first),
        };
        let wanting = self.sinks.iter().filter(|(_, it)| it.wants(event, class));
        let sinks: Vec<String> = wanting.map(|(name, _)| name.clone()).collect();
        if sinks.is_empty() {
            return;
        }
        let before = match self.before.get(camera) {
            Some(before) => *before,
            None => {
                let newest = self.spool.newest_sequence(camera);
                self.before.insert(camera.clone(), newest);
                newest
            }
        };
        let sequence = before + event.number.saturating_sub(numbered);
        let id = event_id(event, self.spool.instance(), sequence);
        self.held.push_back(Entry {
            camera: camera.clone(),
            sequence,
            route: route(event),
            text: envelope(event, &id, sequence, line),
            id,
            sinks,
        });
        if self.held.len() > MAX_HELD {
            self.commit();
        }
        while self.held.len() > MAX_HELD {
            if let Some(lost) = self.held.pop_front() {
                self.count_lost(&lost);
            }
        }
    }

    /// Puts what was taken on the disk, in one transaction. A failure is told once; what was taken is
    /// held until the disk takes it.
    pub fn commit(&mut self) {
        let is_pausing = |since: Instant| since.elapsed() < RETRY_AFTER;
        if self.held.is_empty() || self.failed.is_some_and(is_pausing) {
            return;
        }
        match self.spool.append(self.held.make_contiguous()) {
            Ok(()) => {
                self.held.clear();
                if self.failed.take().is_some() {
                    tracing::warn!("events are on the disk again");
                }
            }
            Err(error) => self.failure(&error),
        }
    }

    fn failure(&mut self, error: &SpoolError) {
        if self.failed.is_none() {
            let error = causes(error);
            let held = self.held.len();
            tracing::error!(
                error,
                held,
                most = MAX_HELD,
                "events are held in memory until the disk takes them; the oldest beyond the most are lost"
            );
        }
        self.failed = Some(Instant::now());
    }

    fn count_lost(&self, entry: &Entry) {
        for sink in &entry.sinks {
            let sinks = self.metrics.sinks();
            sinks.count(sink, SinkStep::DroppedUnwritten, 1);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The last try does not wait for its turn.
        self.failed = None;
        self.commit();
        if !self.held.is_empty() {
            let events = self.held.len();
            tracing::error!(events, "lost: the disk took none of them before the stop");
        }
        for lost in &self.held {
            self.count_lost(lost);
        }
        self.spool.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{EventKind, FrameMeta, FrameSeq, Pts, RunId, Size, UtcSource};
    use crate::sinks::publish::QueueLimit;

    const SINK: &str = "room";

    fn event(number: u64) -> Event {
        Event {
            number,
            frame: FrameMeta {
                camera: CameraId::new("gate"),
                run: RunId(1),
                seq: FrameSeq(number),
                pts: Pts(0),
                utc: None,
                utc_source: UtcSource::Unknown,
                size: Size {
                    width: 640,
                    height: 360,
                },
            },
            kind: EventKind::Entry {
                zone: "yard".into(),
            },
            object: None,
        }
    }

    fn keeper(file: &std::path::Path, metrics: &Arc<Metrics>) -> Keeper {
        let limits = [QueueLimit {
            sink: SINK.to_owned(),
            max_bytes: 64 << 20,
        }];
        let spool = Arc::new(Spool::open(file, &limits, Arc::clone(metrics)).unwrap());
        let sinks = vec![(SINK.to_owned(), EventFilter::default())];
        Keeper::new(spool, sinks, Arc::clone(metrics))
    }

    fn sequences(spool: &Spool) -> Vec<u64> {
        let waiting = spool.read(SINK, 0, 10_000).unwrap();
        let last = |id: &str| id.rsplit('-').next().unwrap().parse().unwrap();
        waiting.iter().map(|it| last(&it.id)).collect()
    }

    #[test]
    fn numbers_go_on_after_a_restart_and_a_lost_event_leaves_a_gap() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.redb");
        let mut first = keeper(&file, &Metrics::new());
        for number in [1, 2, 4] {
            first.add(&event(number), Some("car"), "{}");
        }
        drop(first);
        let mut second = keeper(&file, &Metrics::new());
        second.add(&event(1), Some("car"), "{}");
        second.commit();
        assert_eq!(sequences(&second.spool), [1, 2, 4, 5]);
    }

    #[test]
    fn events_that_are_numbered_on_leave_no_gap_in_the_sequence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.redb");
        let mut first = keeper(&file, &Metrics::new());
        for number in 1..=3 {
            first.add(&event(number), Some("car"), "{}");
        }
        drop(first);
        let numbers = BTreeMap::from([(CameraId::new("gate"), 3)]);
        let mut second = keeper(&file, &Metrics::new()).numbered_after(numbers);
        for number in [4, 6] {
            second.add(&event(number), Some("car"), "{}");
        }
        second.commit();
        assert_eq!(sequences(&second.spool), [1, 2, 3, 4, 6]);
    }

    #[test]
    fn a_camera_that_comes_back_later_numbers_on_as_one_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.redb");
        let mut first = keeper(&file, &Metrics::new());
        for number in 1..=3 {
            first.add(&event(number), Some("car"), "{}");
        }
        drop(first);
        // It was out of the configuration at the start, and is remembered when it is added again.
        let mut second = keeper(&file, &Metrics::new());
        for number in [4, 5, 7] {
            second.add(&event(number), Some("car"), "{}");
        }
        second.commit();
        assert_eq!(sequences(&second.spool), [1, 2, 3, 4, 5, 7]);
    }

    #[test]
    fn on_a_full_disk_events_are_held_up_to_a_bound_and_written_in_order_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder.path())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: a full disk needs the right to mount a tmpfs");
            return;
        }
        let metrics = Metrics::new();
        let mut keeper = keeper(&folder.path().join("events.redb"), &metrics);
        let ballast = folder.path().join("ballast");
        assert!(std::fs::write(&ballast, vec![0; 8 << 20]).is_err());
        let line = format!("{:?}", "x".repeat(2000));
        let all = 2 * MAX_HELD as u64;
        for number in 1..=all {
            keeper.add(&event(number), Some("car"), &line);
            keeper.commit();
        }
        assert_eq!(keeper.held.len(), MAX_HELD, "memory is bounded");
        let lost = metrics.sinks().counted(SINK, SinkStep::DroppedUnwritten);
        std::fs::remove_file(&ballast).unwrap();
        let began = Instant::now();
        while !keeper.held.is_empty() && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(50));
            keeper.commit();
        }
        let kept = sequences(&keeper.spool);
        drop(keeper);
        drop(
            std::process::Command::new("umount")
                .arg(folder.path())
                .status(),
        );
        assert!(kept.is_sorted() && kept.last() == Some(&all), "{kept:?}");
        assert!(lost > 0);
        assert_eq!(kept.len() as u64 + lost, all, "each is kept or counted");
    }
}
