//! Events into the spool: numbered across restarts, filtered per sink, held while the disk is full.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::envelope::{envelope, event_id, route};
use super::filter::EventFilter;
use super::spool::{Entry, Spool, SpoolError};
use crate::base::{CameraId, Event, Metrics, SinkStep};

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
            held: VecDeque::new(),
            failed: None,
        }
    }

    /// Takes an event; [`Keeper::commit`] puts it on the disk. `line` is its event line, `class` the
    /// name of its object's class.
    pub fn add(&mut self, event: &Event, class: Option<&str>, line: &str) {
        let wanting = self.sinks.iter().filter(|(_, it)| it.wants(event, class));
        let sinks: Vec<String> = wanting.map(|(name, _)| name.clone()).collect();
        if sinks.is_empty() {
            return;
        }
        let camera = &event.frame.camera;
        let before = match self.before.get(camera) {
            Some(before) => *before,
            None => {
                let newest = self.spool.newest_sequence(camera);
                self.before.insert(camera.clone(), newest);
                newest
            }
        };
        let sequence = before + event.number;
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
            let error: &dyn std::error::Error = error;
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
