//! Events on disk until a sink has them: one queue per sink, in one file that a crash leaves whole.

mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::watch;

use crate::base::{CameraId, Metrics, SinkStep, causes};
use file::{
    PENDING, SEQUENCES, is_damaged, open_database, prepare, remove_oldest, set_aside, size,
    storage, write,
};

pub use file::SpoolError;

/// A full queue is told of at most this often.
const TELL_FULL_EVERY: Duration = Duration::from_secs(60);

/// What a sink is told of its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signal {
    /// Grows with each event that is kept.
    pub kept: u64,
    /// Nothing more is kept.
    pub is_closed: bool,
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
    /// The order of the newest event that is being sent; 0 while none is.
    in_hand: u64,
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
    /// Opens `file`, or makes it. What waits there for a sink that is not in `limits` is deleted. A file
    /// that is no spool, or a damaged one, is set aside, and a new one begun.
    ///
    /// # Errors
    /// [`SpoolError`] if it cannot be read or written, or is another process's.
    pub fn open(
        file: &Path,
        limits: &[QueueLimit],
        metrics: Arc<Metrics>,
    ) -> Result<Self, SpoolError> {
        match Self::open_whole(file, limits, Arc::clone(&metrics)) {
            Err(SpoolError::Storage { source, .. }) if is_damaged(&source) => {
                let aside = set_aside(file).map_err(|error| SpoolError::Folder {
                    folder: file.to_owned(),
                    source: error,
                })?;
                let (error, aside) = (causes(&source), aside.display());
                tracing::error!(error, %aside, "the spool is damaged and was set aside: what waited in it is not sent; a new one is begun");
                Self::open_whole(file, limits, metrics)
            }
            opened => opened,
        }
    }

    fn open_whole(
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
                    in_hand: 0,
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

    /// Keeps `entries`, all or none. Where a queue would become too large, the oldest that are not
    /// being sent are deleted and counted.
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
                    let Some(oldest) = remove_oldest(&mut pending, sink, change.in_hand)? else {
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
            .filter(|(_, change)| change.added > 0 || change.dropped > 0)
            .map(|(sink, change)| (sink.to_owned(), change))
            .collect();
        for (sink, change) in changes {
            let count = |step, number| self.metrics.sinks().count(&sink, step, number);
            if change.added > 0 {
                count(SinkStep::Spooled, change.added);
            }
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

    /// Events of `sink` up to and with `order` are being sent: they make no room for others, and so end
    /// either delivered or dropped. 0 when they are not any more.
    pub fn hold(&self, sink: &str, order: u64) {
        if let Some(queue) = self.lock().queues.get_mut(sink) {
            queue.in_hand = order;
        }
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
    in_hand: u64,
    added: u64,
    dropped: u64,
}

impl From<&Queue> for Change {
    fn from(queue: &Queue) -> Self {
        Self {
            max_bytes: queue.max_bytes,
            bytes: queue.bytes,
            count: queue.count,
            in_hand: queue.in_hand,
            added: 0,
            dropped: 0,
        }
    }
}
