//! The thread that looks at the disk, deletes what has to go and tells who may write.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::found::{self, Unit};
use super::rules::{Budget, Reserve, auto_reserve};
use super::space::{Space, SpaceProbe, room_on};
use super::{CameraLimits, MinFree, RetentionOptions};
use crate::base::{DeleteReason, DiskRoom, Metrics, RoomLevel, Stop, UtcNanos, utc_now};

/// How often the room on the disk is looked at.
const TICK: Duration = Duration::from_secs(1);

/// How often the files are.
const SCAN_EVERY: Duration = Duration::from_secs(60);

/// How often the files are while there is too little room. What was deleted shows as free by then.
const SCAN_EVERY_SHORT: Duration = Duration::from_secs(5);

/// Files that could not be deleted, remembered so that each is told once.
const MAX_STUCK: usize = 1024;

/// Keeps the output folder within its limits.
pub struct Retention {
    options: RetentionOptions,
    limits: CameraLimits,
    probe: SpaceProbe,
    room: Arc<DiskRoom>,
    metrics: Arc<Metrics>,
    scanned: Option<Instant>,
    /// When files were last looked at for want of room.
    searched: Option<Instant>,
    /// When files were deleted that make up for what was missing; it may take a moment to show.
    made_room: Option<Instant>,
    stuck: BTreeSet<PathBuf>,
    is_blind: bool,
}

impl std::fmt::Debug for Retention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retention")
            .field("options", &self.options)
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

impl Retention {
    /// Will tell `room` who may write.
    #[must_use]
    pub fn new(options: RetentionOptions, room: Arc<DiskRoom>, metrics: Arc<Metrics>) -> Self {
        let folder = options.folder.clone();
        let limits = CameraLimits::default();
        limits.set(options.cameras.clone());
        Self {
            options,
            limits,
            probe: Box::new(move || room_on(&folder)),
            room,
            metrics,
            scanned: None,
            searched: None,
            made_room: None,
            stuck: BTreeSet::new(),
            is_blind: false,
        }
    }

    /// Changes the limits of cameras while it runs.
    #[must_use]
    pub fn limits(&self) -> CameraLimits {
        self.limits.clone()
    }

    /// Asks `probe` for the room on the disk.
    #[must_use]
    pub fn with_probe(mut self, probe: SpaceProbe) -> Self {
        self.probe = probe;
        self
    }

    /// Looks after the folder until `stop`.
    pub fn run(mut self, stop: &Stop) {
        while !stop.wait(TICK) {
            self.tick(Instant::now(), utc_now());
        }
    }

    /// Looks once: deletes what has to go, and tells who may write.
    pub fn tick(&mut self, now: Instant, utc: UtcNanos) {
        let cameras = self.limits.get();
        if cameras != self.options.cameras {
            // Other limits are not made to wait for the next look.
            (self.options.cameras, self.scanned) = (cameras, None);
        }
        let seen = (self.probe)();
        let space = self.noticed(seen);
        let reserve = space.map(|space| match self.options.min_free {
            MinFree::Auto => Reserve(auto_reserve(space.total)),
            MinFree::Bytes(bytes) => Reserve(bytes),
        });
        let level = self.room.level();
        let shortage = match (space, reserve) {
            (Some(space), Some(reserve)) => reserve.shortage(level, space.free),
            _ => 0,
        };
        let wanted = if self.options.deletes_for_space {
            shortage
        } else {
            0
        };
        let is_over = |last: Option<Instant>, pause| last.is_none_or(|last| now - last >= pause);
        if wanted > 0 && is_over(self.searched, SCAN_EVERY_SHORT) {
            (self.scanned, self.searched) = (Some(now), Some(now));
            let still_missing = self.sweep(utc, wanted);
            self.made_room = (still_missing == 0).then_some(now);
        } else if is_over(self.scanned, SCAN_EVERY) {
            self.scanned = Some(now);
            self.sweep(utc, 0);
        }
        if let (Some(space), Some(reserve)) = (space, reserve) {
            let is_settling = |made: Instant| now - made < SCAN_EVERY_SHORT;
            let waits = self.made_room.is_some_and(is_settling)
                && shortage > 0
                && !reserve.is_nearly_used_up(space.free);
            if !waits {
                self.tell(reserve, level, space);
            }
        }
    }

    /// The room on the disk, if it can be known; that it cannot is told once.
    fn noticed(&mut self, seen: std::io::Result<Space>) -> Option<Space> {
        match seen {
            Ok(space) => {
                self.is_blind = false;
                self.metrics.disk().free(space.free);
                Some(space)
            }
            Err(error) => {
                self.blind(&error);
                None
            }
        }
    }

    fn blind(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.is_blind, true) {
            let folder = self.options.folder.display();
            warn!(%folder, %error, "the output folder cannot be looked at: nothing is deleted there");
        }
    }

    /// Deletes what has to go, oldest first; gives the bytes that are missing still.
    fn sweep(&mut self, utc: UtcNanos, wanted: u64) -> u64 {
        let found = match found::scan(&self.options.folder, utc) {
            Ok(found) => found,
            Err(error) => {
                self.blind(&error);
                return wanted;
            }
        };
        let options = self.options.clone();
        let mut budget = Budget::new(&options, wanted);
        let age_of =
            |unit: &found::Unit| Duration::from_nanos(utc.0.abs_diff(unit.modified.0.min(utc.0)));
        for unit in found.units.iter().filter(|unit| unit.is_events) {
            let age = age_of(unit);
            if !unit.is_in_use && options.events_max_age.is_some_and(|max| age > max) {
                // They count in no other limit.
                self.delete(unit, DeleteReason::Age, age, &mut Budget::new(&options, 0));
            }
        }
        let others = || found.units.iter().filter(|unit| !unit.is_events);
        for unit in others() {
            budget.found(&unit.camera, unit.is_of_event, unit.bytes());
        }
        // What is kept of events comes last: never before an ordinary recording for want of room.
        for is_of_event in [false, true] {
            for unit in others().filter(|unit| unit.is_of_event == is_of_event) {
                let age = age_of(unit);
                let reason = budget.reason(&unit.camera, is_of_event, age);
                if let Some(reason) = reason.filter(|_| !unit.is_in_use && !unit.is_kept) {
                    self.delete(unit, reason, age, &mut budget);
                }
            }
        }
        self.metrics.disk().stored(budget.stored());
        budget.shortage
    }

    fn delete(
        &mut self,
        unit: &Unit,
        reason: DeleteReason,
        age: Duration,
        budget: &mut Budget<'_>,
    ) {
        for (place, (file, bytes)) in unit.files().enumerate() {
            match unit.delete(place) {
                Ok(true) => {
                    info!(file = %file.display(), bytes, reason = reason.as_str(),
                        age_secs = age.as_secs(), "deleted, as [output.retention] says");
                    self.metrics.disk().deleted(reason, bytes);
                    self.stuck.remove(&file);
                    budget.freed(&unit.camera, unit.is_of_event, bytes);
                }
                Ok(false) => {}
                Err(error) => {
                    self.metrics.disk().delete_failed();
                    if self.stuck.len() < MAX_STUCK && self.stuck.insert(file.clone()) {
                        warn!(file = %file.display(), reason = reason.as_str(), %error,
                            "cannot be deleted, tried again every minute");
                    }
                    return;
                }
            }
        }
    }

    /// Tells who may write; a change is logged once.
    fn tell(&self, reserve: Reserve, before: RoomLevel, space: Space) {
        let level = reserve.next(before, space.free);
        self.room.set(level);
        self.metrics.disk().room(level);
        if level == before {
            return;
        }
        let folder = self.options.folder.display();
        let (free, min_free) = (space.free, reserve.0);
        match level {
            RoomLevel::Enough => {
                info!(%folder, free, min_free, "there is room again: recording goes on");
            }
            RoomLevel::NoRecording if before == RoomLevel::EventsOnly => {
                info!(%folder, free, min_free, "results are written again, recording still pauses");
            }
            RoomLevel::NoRecording => {
                error!(%folder, free, min_free,
                    "the disk is nearly full and nothing more may be deleted: recording pauses until \
                     there is room, counting and events go on");
            }
            RoomLevel::EventsOnly => {
                error!(%folder, free, min_free,
                    "the disk is all but full: recordings and results pause, what is left is for events");
            }
        }
    }
}
