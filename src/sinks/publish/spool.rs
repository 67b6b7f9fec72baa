//! Events on disk until a sink has them: one queue per sink, in one file that a crash leaves whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::sync::watch;

use crate::base::{CameraId, Metrics, SinkStep};

/// What is kept of an event: its id, its route (`gate/line_crossing`) and the text.
type Kept = (&'static str, &'static str, &'static str);

/// Sink and order → what is sent.
const PENDING: TableDefinition<(&str, u64), Kept> = TableDefinition::new("pending");

/// Camera → sequence number of its newest event.
const SEQUENCES: TableDefinition<&str, u64> = TableDefinition::new("sequences");

/// What is known about the file itself.
const ABOUT: TableDefinition<&str, &str> = TableDefinition::new("about");

/// What an event takes beside its text: key, length, its share of a page.
const OVERHEAD_BYTES: u64 = 64;

/// A full queue is told of at most this often.
const TELL_FULL_EVERY: Duration = Duration::from_secs(60);

/// Memory for pages of the file: it is written in order and read once.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// What a sink is told of its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signal {
    /// Grows with each event that is kept.
    pub kept: u64,
    /// Nothing more is kept.
    pub is_closed: bool,
}

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Its folder cannot be made.
    #[error("{folder}: the folder for waiting events cannot be made")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error(
        "{file}: another gantryd writes its events there; each needs an output.folder of its own"
    )]
    Taken {
        /// The file.
        file: PathBuf,
    },
    /// It cannot be read or written.
    #[error("{file}: waiting events cannot be read or written; is the disk full?")]
    Storage {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
}

/// A sink's part of the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueLimit {
    /// Name of the sink.
    pub sink: String,
    /// Most that may wait, bytes of text and keys.
    pub max_bytes: u64,
}

/// An event that is to be kept, numbered and rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The camera, and its newest sequence number when this is kept.
    pub camera: CameraId,
    /// Number of the event.
    pub sequence: u64,
    /// The same whenever the event is sent, and of no other.
    pub id: String,
    /// What it is about, `gate/line_crossing`.
    pub route: String,
    /// The text that is sent.
    pub text: String,
    /// Names of the sinks that want it.
    pub sinks: Vec<String>,
}

/// An event that waits for a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the queue.
    pub order: u64,
    /// The same whenever the event is sent, and of no other.
    pub id: String,
    /// What it is about, `gate/line_crossing`.
    pub route: String,
    /// The text to send.
    pub text: String,
}

/// The queues of all sinks. Every call is a whole transaction that is on the disk when it returns.
pub struct Spool {
    file: PathBuf,
    instance: String,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

struct State {
    /// `None` after a failure, until the file is opened again.
    database: Option<Arc<Database>>,
    queues: BTreeMap<String, Queue>,
    sequences: BTreeMap<CameraId, u64>,
    next_order: u64,
}

struct Queue {
    max_bytes: u64,
    bytes: u64,
    count: u64,
    signal: watch::Sender<Signal>,
    told_full: Option<Instant>,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Spool {
    /// Opens `file`, or makes it. What waits there for a sink that is not in `limits` is deleted.
    ///
    /// # Errors
    /// [`SpoolError`] if it cannot be read or written, or is another process's.
    pub fn open(
        file: &Path,
        limits: &[QueueLimit],
        metrics: Arc<Metrics>,
    ) -> Result<Self, SpoolError> {
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|source| SpoolError::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        let database = open_database(file)?;
        let queues = limits
            .iter()
            .map(|limit| {
                let queue = Queue {
                    max_bytes: limit.max_bytes,
                    bytes: 0,
                    count: 0,
                    signal: watch::Sender::default(),
                    told_full: None,
                };
                (limit.sink.clone(), queue)
            })
            .collect();
        let mut state = State {
            database: None,
            queues,
            sequences: BTreeMap::new(),
            next_order: 1,
        };
        let instance = prepare(&database, limits)
            .and_then(|word| state.take_stock(&database).map(|()| word))
            .map_err(|source| storage(file, source))?;
        state.database = Some(Arc::new(database));
        for (sink, queue) in &state.queues {
            metrics.sinks().waiting(sink, queue.count);
        }
        Ok(Self {
            file: file.to_owned(),
            instance,
            metrics,
            state: Mutex::new(state),
        })
    }

    /// A word that no other spool has: part of each event's id, so that a new spool, which numbers
    /// from 1 again, repeats no id.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The sequence number of the newest event of `camera` that was ever kept; 0 if none was.
    #[must_use]
    pub fn newest_sequence(&self, camera: &CameraId) -> u64 {
        self.lock().sequences.get(camera).copied().unwrap_or(0)
    }

    /// Tells of what is new for `sink`, and of the end; `None` if it has no queue.
    #[must_use]
    pub fn signal(&self, sink: &str) -> Option<watch::Receiver<Signal>> {
        let state = self.lock();
        state.queues.get(sink).map(|queue| queue.signal.subscribe())
    }

    /// Keeps `entries`, all or none. Where a queue would become too large, its oldest are deleted and
    /// counted.
    ///
    /// # Errors
    /// [`SpoolError`] if the disk does not take them; nothing is kept then.
    pub fn append(&self, entries: &[Entry]) -> Result<(), SpoolError> {
        let mut state = self.lock();
        let state = &mut *state;
        let database = state.reopen(&self.file)?;
        let mut next_order = state.next_order;
        let mut sizes: BTreeMap<&str, Change> = state
            .queues
            .iter()
            .map(|(sink, queue)| (sink.as_str(), Change::from(queue)))
            .collect();
        let kept = write(&database, |transaction| {
            let mut pending = transaction.open_table(PENDING)?;
            let mut sequences = transaction.open_table(SEQUENCES)?;
            for entry in entries {
                sequences.insert(entry.camera.as_str(), entry.sequence)?;
                for sink in &entry.sinks {
                    let Some(change) = sizes.get_mut(sink.as_str()) else {
                        continue;
                    };
                    let value = (entry.id.as_str(), entry.route.as_str(), entry.text.as_str());
                    change.bytes += size(sink, value);
                    change.count += 1;
                    change.added += 1;
                    pending.insert((sink.as_str(), next_order), value)?;
                }
                next_order += 1;
            }
            for (sink, change) in &mut sizes {
                while change.bytes > change.max_bytes && change.count > 1 {
                    let Some(oldest) = remove_oldest(&mut pending, sink)? else {
                        break;
                    };
                    change.bytes -= oldest;
                    change.count -= 1;
                    change.dropped += 1;
                }
            }
            Ok(())
        });
        if let Err(source) = kept {
            state.database = None;
            return Err(storage(&self.file, source));
        }
        state.next_order = next_order;
        for entry in entries {
            state.sequences.insert(entry.camera.clone(), entry.sequence);
        }
        let changes: Vec<(String, Change)> = sizes
            .into_iter()
            .filter(|(_, change)| change.added > 0)
            .map(|(sink, change)| (sink.to_owned(), change))
            .collect();
        for (sink, change) in changes {
            let count = |step, number| self.metrics.sinks().count(&sink, step, number);
            count(SinkStep::Spooled, change.added);
            if change.dropped > 0 {
                count(SinkStep::DroppedFull, change.dropped);
            }
            if let Some(queue) = state.queues.get_mut(&sink) {
                if change.dropped > 0 {
                    queue.tell_full(&sink);
                }
                (queue.bytes, queue.count) = (change.bytes, change.count);
                self.metrics.sinks().waiting(&sink, queue.count);
                queue.signal.send_modify(|signal| signal.kept += 1);
            }
        }
        Ok(())
    }

    /// At most `max` events that wait for `sink`, in order, all later than `after`.
    ///
    /// # Errors
    /// [`SpoolError`] if the file cannot be read.
    pub fn read(&self, sink: &str, after: u64, max: usize) -> Result<Vec<Waiting>, SpoolError> {
        let mut state = self.lock();
        let database = state.reopen(&self.file)?;
        let read = || -> Result<Vec<Waiting>, redb::Error> {
            let pending = database.begin_read()?.open_table(PENDING)?;
            let mut found = Vec::new();
            for entry in pending
                .range((sink, after + 1)..=(sink, u64::MAX))?
                .take(max)
            {
                let (key, value) = entry?;
                let (id, route, text) = value.value();
                found.push(Waiting {
                    order: key.value().1,
                    id: id.to_owned(),
                    route: route.to_owned(),
                    text: text.to_owned(),
                });
            }
            Ok(found)
        };
        read().map_err(|source| {
            state.database = None;
            storage(&self.file, source)
        })
    }

    /// Forgets everything that waits for `sink` up to and with `order`: the other side has it.
    ///
    /// # Errors
    /// [`SpoolError`] if the disk does not take it; it is sent once more after a restart then.
    pub fn forget(&self, sink: &str, order: u64) -> Result<(), SpoolError> {
        let mut state = self.lock();
        let state = &mut *state;
        let database = state.reopen(&self.file)?;
        let (mut bytes, mut count) = (0, 0);
        let forgotten = write(&database, |transaction| {
            let mut pending = transaction.open_table(PENDING)?;
            let done = pending.extract_from_if((sink, 0)..=(sink, order), |_, _| true)?;
            for entry in done {
                let (_, value) = entry?;
                bytes += size(sink, value.value());
                count += 1;
            }
            Ok(())
        });
        if let Err(source) = forgotten {
            state.database = None;
            return Err(storage(&self.file, source));
        }
        if let Some(queue) = state.queues.get_mut(sink) {
            queue.bytes = queue.bytes.saturating_sub(bytes);
            queue.count = queue.count.saturating_sub(count);
            self.metrics.sinks().waiting(sink, queue.count);
        }
        Ok(())
    }

    /// How many events wait for `sink`.
    #[must_use]
    pub fn waiting(&self, sink: &str) -> u64 {
        self.lock().queues.get(sink).map_or(0, |queue| queue.count)
    }

    /// Nothing more is kept: sinks send what they can and end.
    pub fn close(&self) {
        for queue in self.lock().queues.values() {
            queue.signal.send_modify(|signal| signal.is_closed = true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Opens the file again after a failure, which makes it whole, and looks at what is in it: the
    /// transaction that failed may be.
    fn reopen(&mut self, file: &Path) -> Result<Arc<Database>, SpoolError> {
        if let Some(database) = &self.database {
            return Ok(Arc::clone(database));
        }
        let database = Arc::new(open_database(file)?);
        self.take_stock(&database)
            .map_err(|source| storage(file, source))?;
        self.database = Some(Arc::clone(&database));
        Ok(database)
    }

    /// Counts what waits.
    fn take_stock(&mut self, database: &Database) -> Result<(), redb::Error> {
        for queue in self.queues.values_mut() {
            (queue.bytes, queue.count) = (0, 0);
        }
        let transaction = database.begin_read()?;
        for entry in transaction.open_table(SEQUENCES)?.iter()? {
            let (camera, newest) = entry?;
            let camera = CameraId::new(camera.value());
            self.sequences.insert(camera, newest.value());
        }
        for entry in transaction.open_table(PENDING)?.iter()? {
            let (key, value) = entry?;
            let (sink, order) = key.value();
            self.next_order = self.next_order.max(order + 1);
            if let Some(queue) = self.queues.get_mut(sink) {
                queue.bytes += size(sink, value.value());
                queue.count += 1;
            }
        }
        Ok(())
    }
}

/// Makes the tables, deletes what waits for sinks that are no more, and gives the word of the file.
fn prepare(database: &Database, limits: &[QueueLimit]) -> Result<String, redb::Error> {
    let (mut word, mut foreign) = (String::new(), BTreeSet::new());
    write(database, |transaction| {
        let mut about = transaction.open_table(ABOUT)?;
        let known = about.get("instance")?.map(|it| it.value().to_owned());
        word = known.unwrap_or_else(|| format!("{:016x}", fastrand::u64(..)));
        about.insert("instance", word.as_str())?;
        transaction.open_table(SEQUENCES)?;
        let mut pending = transaction.open_table(PENDING)?;
        pending.retain(|(sink, _), _| {
            let is_known = limits.iter().any(|limit| limit.sink == sink);
            if !is_known {
                foreign.insert(sink.to_owned());
            }
            is_known
        })?;
        Ok(())
    })?;
    for sink in foreign {
        tracing::warn!(
            sink,
            "deleted what waited for a sink that is no longer configured"
        );
    }
    Ok(word)
}

impl Queue {
    /// At the first and then now and then: a long outage makes no flood of lines.
    fn tell_full(&mut self, sink: &str) {
        let is_recent = |told: Instant| told.elapsed() < TELL_FULL_EVERY;
        if self.told_full.is_some_and(is_recent) {
            return;
        }
        self.told_full = Some(Instant::now());
        tracing::error!(
            sink,
            waiting = self.count,
            "the spool is full: the oldest events are deleted; a larger spool_mib keeps more"
        );
    }
}

/// What a transaction makes of a queue.
#[derive(Debug)]
struct Change {
    max_bytes: u64,
    bytes: u64,
    count: u64,
    added: u64,
    dropped: u64,
}

impl From<&Queue> for Change {
    fn from(queue: &Queue) -> Self {
        Self {
            max_bytes: queue.max_bytes,
            bytes: queue.bytes,
            count: queue.count,
            added: 0,
            dropped: 0,
        }
    }
}

/// Deletes the oldest event of `sink`; gives its size.
fn remove_oldest(
    pending: &mut redb::Table<'_, (&'static str, u64), Kept>,
    sink: &str,
) -> Result<Option<u64>, redb::Error> {
    let oldest = {
        let mut all = pending.range((sink, 0)..=(sink, u64::MAX))?;
        all.next().transpose()?.map(|(key, _)| key.value().1)
    };
    let Some(order) = oldest else {
        return Ok(None);
    };
    let removed = pending.remove((sink, order))?;
    Ok(removed.map(|value| size(sink, value.value())))
}

fn size(sink: &str, (id, route, text): (&str, &str, &str)) -> u64 {
    let text = (sink.len() + id.len() + route.len() + text.len()) as u64;
    text + OVERHEAD_BYTES
}

/// One transaction, on the disk when this returns.
fn write(
    database: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    work(&transaction)?;
    transaction.commit()?;
    Ok(())
}

fn open_database(file: &Path) -> Result<Database, SpoolError> {
    let opened = Database::builder().set_cache_size(CACHE_BYTES).create(file);
    opened.map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => SpoolError::Taken {
            file: file.to_owned(),
        },
        other => storage(file, other.into()),
    })
}

fn storage(file: &Path, source: redb::Error) -> SpoolError {
    SpoolError::Storage {
        file: file.to_owned(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINK: &str = "room";

    fn limit(max_bytes: u64) -> [QueueLimit; 1] {
        [QueueLimit {
            sink: SINK.to_owned(),
            max_bytes,
        }]
    }

    fn open(file: &Path, max_bytes: u64) -> Spool {
        Spool::open(file, &limit(max_bytes), Metrics::new()).unwrap()
    }

    fn entry(spool: &Spool, text: &str) -> Entry {
        let camera = CameraId::new("gate");
        Entry {
            sequence: spool.newest_sequence(&camera) + 1,
            id: "1-gate-1".to_owned(),
            camera,
            route: "gate/turn".to_owned(),
            text: text.to_owned(),
            sinks: vec![SINK.to_owned()],
        }
    }

    fn texts(spool: &Spool) -> Vec<String> {
        let waiting = spool.read(SINK, 0, 10_000).unwrap();
        waiting.into_iter().map(|it| it.text).collect()
    }

    #[test]
    fn what_was_not_forgotten_waits_in_order_after_a_restart_and_numbering_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("spool/events.redb");
        let spool = open(&file, 1 << 20);
        for text in ["a", "b", "c"] {
            spool.append(&[entry(&spool, text)]).unwrap();
        }
        let first = spool.read(SINK, 0, 1).unwrap().remove(0);
        assert_eq!(
            (first.text.as_str(), first.route.as_str()),
            ("a", "gate/turn")
        );
        spool.forget(SINK, first.order).unwrap();
        let word = spool.instance().to_owned();
        drop(spool);

        let spool = open(&file, 1 << 20);
        assert_eq!(texts(&spool), ["b", "c"]);
        assert_eq!(spool.waiting(SINK), 2);
        assert_eq!(spool.instance(), word);
        assert_eq!(spool.newest_sequence(&CameraId::new("gate")), 3);
        assert_eq!(spool.newest_sequence(&CameraId::new("yard")), 0);
    }

    #[test]
    fn a_full_spool_deletes_its_oldest_and_counts_them() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let file = folder.path().join("events.redb");
        // Each takes 4 + 8 + 9 + 1000 + 64 = 1085 bytes: nine fit.
        let spool = Spool::open(&file, &limit(10_000), Arc::clone(&metrics)).unwrap();
        for number in 0..20 {
            let text = format!("{number:01000}");
            spool.append(&[entry(&spool, &text)]).unwrap();
        }
        let left: Vec<usize> = texts(&spool).iter().map(|it| it.parse().unwrap()).collect();
        assert_eq!(left, (11..20).collect::<Vec<_>>());
        assert_eq!(metrics.sinks().counted(SINK, SinkStep::DroppedFull), 11);
        assert_eq!(metrics.sinks().counted(SINK, SinkStep::Spooled), 20);
    }

    #[test]
    fn the_file_stays_near_its_bound_however_much_goes_through() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.redb");
        let spool = open(&file, 1 << 20);
        let text = "x".repeat(4000);
        for _ in 0..100 {
            let entries: Vec<Entry> = (0..50).map(|_| entry(&spool, &text)).collect();
            spool.append(&entries).unwrap();
        }
        let size = std::fs::metadata(&file).unwrap().len();
        assert!(size <= 8 << 20, "20 MB went through 1 MiB: {size} bytes");
    }

    #[test]
    fn what_waits_for_a_sink_that_is_gone_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.redb");
        let spool = open(&file, 1 << 20);
        spool.append(&[entry(&spool, "a")]).unwrap();
        drop(spool);
        drop(Spool::open(&file, &[], Metrics::new()).unwrap());
        assert!(texts(&open(&file, 1 << 20)).is_empty());
    }

    #[test]
    fn a_second_process_is_refused_and_told_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.redb");
        let _first = open(&file, 1 << 20);
        let error = Spool::open(&file, &limit(1), Metrics::new()).unwrap_err();
        assert!(error.to_string().contains("another gantryd"), "{error}");
    }

    #[test]
    fn a_sink_is_told_of_what_is_new_and_of_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(&folder.path().join("events.redb"), 1 << 20);
        let signal = spool.signal(SINK).unwrap();
        spool.append(&[entry(&spool, "a")]).unwrap();
        assert!(signal.has_changed().unwrap());
        assert!(!signal.borrow().is_closed);
        spool.close();
        assert!(signal.borrow().is_closed);
        assert!(spool.signal("nobody").is_none());
    }

    #[test]
    fn a_full_disk_is_an_error_and_over_when_there_is_room_again() {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(folder.path())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: a full disk needs the right to mount a tmpfs");
            return;
        }
        let spool = open(&folder.path().join("events.redb"), 64 << 20);
        let ballast = folder.path().join("ballast");
        let text = "x".repeat(4000);
        spool.append(&[entry(&spool, &text)]).unwrap();
        // The rest of the disk is somebody else's.
        let taken = std::fs::write(&ballast, vec![0; 2 << 20]);
        assert!(taken.is_err(), "the disk is full");
        let mut kept = 1;
        let error = loop {
            match spool.append(&[entry(&spool, &text)]) {
                Ok(()) => kept += 1,
                Err(error) => break error,
            }
            assert!(kept < 1000, "the disk never became full");
        };
        assert!(error.to_string().contains("is the disk full?"), "{error}");
        assert!(spool.append(&[entry(&spool, &text)]).is_err());
        std::fs::remove_file(&ballast).unwrap();
        spool.append(&[entry(&spool, "last")]).unwrap();
        let found = texts(&spool);
        drop(spool);
        drop(
            std::process::Command::new("umount")
                .arg(folder.path())
                .status(),
        );
        assert!(found.len() > kept, "{} of more than {kept}", found.len());
        assert_eq!(found.last().map(String::as_str), Some("last"));
    }
}
