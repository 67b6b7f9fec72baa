//! How much is too much, and how little room is too little. Pure values.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Limits, RetentionOptions};
use crate::base::{DeleteReason, RoomLevel};

/// What `auto` keeps free: this many bytes, but at most this share of the disk.
const AUTO_FREE: u64 = 2_000_000_000;
const AUTO_SHARE: u64 = 20;

/// Beyond the reserve, this part of it must be free before recording goes on: who pauses for want of
/// room does not come back for a single file.
const RESUME_PART: u64 = 8;

/// The last part of the reserve is for events alone.
const EVENTS_PART: u64 = 2;

/// What `auto` keeps free on a disk of `total` bytes.
pub(super) fn auto_reserve(total: u64) -> u64 {
    AUTO_FREE.min(total / AUTO_SHARE)
}

/// Bytes that are to stay free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reserve(pub u64);

impl Reserve {
    /// Free bytes from which on recording goes on.
    pub fn resume(self) -> u64 {
        self.0.saturating_add(self.0 / RESUME_PART)
    }

    /// Bytes to be deleted so that recording can go on.
    pub fn shortage(self, level: RoomLevel, free: u64) -> u64 {
        if free < self.0 || level < RoomLevel::Enough {
            self.resume().saturating_sub(free)
        } else {
            0
        }
    }

    /// Is what is left for events alone?
    pub fn is_nearly_used_up(self, free: u64) -> bool {
        free < self.0 / EVENTS_PART
    }

    /// Who may write with `free` bytes, after `level`.
    pub fn next(self, level: RoomLevel, free: u64) -> RoomLevel {
        if self.0 == 0 || free >= self.resume() {
            RoomLevel::Enough
        } else if free >= self.0 {
            level.max(RoomLevel::NoRecording)
        } else if self.is_nearly_used_up(free) {
            RoomLevel::EventsOnly
        } else {
            level.min(RoomLevel::NoRecording)
        }
    }
}

/// What counts together against one limit of size: what of which camera, or of all that have no limit
/// of their own.
pub(super) type Pot<'a> = (bool, Option<&'a str>);

/// What there still is and what is still missing while files are deleted, oldest first.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    options: &'a RetentionOptions,
    /// Bytes that are stored.
    stored: BTreeMap<Pot<'a>, u64>,
    /// Bytes that must be freed for want of room.
    pub shortage: u64,
}

impl<'a> Budget<'a> {
    pub fn new(options: &'a RetentionOptions, shortage: u64) -> Self {
        Self {
            options,
            stored: BTreeMap::new(),
            shortage,
        }
    }

    /// So many bytes are stored of a camera's clips and pictures (`is_of_event`) or recordings and
    /// results.
    pub fn found(&mut self, camera: &str, is_of_event: bool, bytes: u64) {
        let pot = self.pot(camera, is_of_event);
        *self.stored.entry(pot).or_default() += bytes;
    }

    /// Bytes that are stored in all.
    pub fn stored(&self) -> u64 {
        self.stored.values().sum()
    }

    fn own(&self, camera: &str, is_of_event: bool) -> Limits {
        match self.options.cameras.get(camera) {
            Some(own) if is_of_event => own.clips,
            Some(own) => own.recordings,
            None => Limits::default(),
        }
    }

    fn pot(&self, camera: &str, is_of_event: bool) -> Pot<'a> {
        let has_own = self.own(camera, is_of_event).max_bytes.is_some();
        let named = self.options.cameras.get_key_value(camera);
        let name = named.filter(|_| has_own).map(|(name, _)| name.as_str());
        (is_of_event, name)
    }

    /// Why a file of this age has to go, if it has to.
    pub fn reason(&self, camera: &str, is_of_event: bool, age: Duration) -> Option<DeleteReason> {
        let options = self.options;
        let common = if is_of_event {
            options.clips
        } else {
            Limits {
                max_age: options.max_age,
                max_bytes: options.max_bytes,
            }
        };
        let own = self.own(camera, is_of_event);
        let max_bytes = own.max_bytes.or(common.max_bytes);
        let stored = self.stored.get(&self.pot(camera, is_of_event));
        let stored = stored.copied().unwrap_or(0);
        if own.max_age.or(common.max_age).is_some_and(|max| age > max) {
            Some(DeleteReason::Age)
        } else if max_bytes.is_some_and(|max| stored > max) {
            Some(DeleteReason::Size)
        } else if self.shortage > 0 && (!is_of_event || options.deletes_clips) {
            Some(DeleteReason::Space)
        } else {
            None
        }
    }

    /// A file of so many bytes is gone.
    pub fn freed(&mut self, camera: &str, is_of_event: bool, bytes: u64) {
        let pot = self.pot(camera, is_of_event);
        let stored = self.stored.entry(pot).or_default();
        *stored = stored.saturating_sub(bytes);
        self.shortage = self.shortage.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::retention::{MinFree, OwnLimits};

    #[test]
    fn a_small_disk_keeps_less_free() {
        assert_eq!(auto_reserve(4_000_000_000_000), 2_000_000_000);
        // 5 % of 16 GB.
        assert_eq!(auto_reserve(16_000_000_000), 800_000_000);
    }

    #[test]
    fn recording_pauses_below_the_reserve_and_resumes_above_more_than_it() {
        let reserve = Reserve(800);
        let mut level = RoomLevel::Enough;
        let mut seen = Vec::new();
        // Resumed at 800 + 800 / 8 = 900; results pause below 800 / 2 = 400 and go on at 800.
        for free in [1000, 800, 799, 899, 900, 899, 399, 799, 800, 899, 900] {
            level = reserve.next(level, free);
            seen.push(level);
        }
        use RoomLevel::{Enough, EventsOnly, NoRecording};
        assert_eq!(
            seen,
            [
                Enough,
                Enough,
                NoRecording,
                NoRecording,
                Enough,
                Enough,
                EventsOnly,
                EventsOnly,
                NoRecording,
                NoRecording,
                Enough
            ]
        );
        assert_eq!(Reserve(0).next(RoomLevel::Enough, 0), RoomLevel::Enough);
    }

    #[test]
    fn what_is_missing_is_counted_up_to_where_recording_goes_on() {
        let reserve = Reserve(800);
        assert_eq!(reserve.shortage(RoomLevel::Enough, 850), 0);
        assert_eq!(reserve.shortage(RoomLevel::Enough, 700), 200);
        assert_eq!(reserve.shortage(RoomLevel::NoRecording, 850), 50);
    }

    fn options() -> RetentionOptions {
        RetentionOptions {
            folder: "out".into(),
            max_age: Some(Duration::from_secs(100)),
            max_bytes: Some(50),
            events_max_age: None,
            clips: Limits::default(),
            cameras: BTreeMap::new(),
            deletes_clips: true,
            min_free: MinFree::Auto,
            deletes_for_space: true,
        }
    }

    #[test]
    fn age_then_size_then_space_are_reasons() {
        let options = options();
        let mut budget = Budget::new(&options, 25);
        budget.found("gate", false, 70);
        let young = Duration::from_secs(100);
        let old = Duration::from_secs(101);
        let reason = |budget: &Budget<'_>, age| budget.reason("gate", false, age);
        assert_eq!(reason(&budget, old), Some(DeleteReason::Age));
        assert_eq!(reason(&budget, young), Some(DeleteReason::Size));
        budget.freed("gate", false, 20);
        assert_eq!(reason(&budget, young), Some(DeleteReason::Space));
        budget.freed("gate", false, 20);
        assert_eq!(reason(&budget, young), None);
        assert_eq!(reason(&budget, old), Some(DeleteReason::Age));
    }

    #[test]
    fn what_is_kept_of_events_has_limits_of_its_own() {
        let mut options = options();
        let old = Duration::from_secs(101);
        let mut budget = Budget::new(&options, 0);
        budget.found("gate", true, 70);
        assert_eq!(budget.reason("gate", true, old), None);
        options.clips = Limits {
            max_age: None,
            max_bytes: Some(60),
        };
        options.deletes_clips = false;
        let mut budget = Budget::new(&options, 25);
        budget.found("gate", true, 70);
        let reason = |budget: &Budget<'_>| budget.reason("gate", true, old);
        assert_eq!(reason(&budget), Some(DeleteReason::Size));
        budget.freed("gate", true, 20);
        assert_eq!(reason(&budget), None, "not for want of room");
    }

    #[test]
    fn a_camera_with_limits_of_its_own_counts_for_itself() {
        let mut options = options();
        let own = OwnLimits {
            recordings: Limits {
                max_age: Some(Duration::from_secs(1000)),
                max_bytes: Some(500),
            },
            ..OwnLimits::default()
        };
        options.cameras.insert("gate".to_owned(), own);
        let mut budget = Budget::new(&options, 0);
        budget.found("gate", false, 400);
        budget.found("yard", false, 40);
        budget.found("barn", false, 20);
        let old = Duration::from_secs(101);
        assert_eq!(budget.reason("gate", false, old), None);
        assert_eq!(budget.reason("yard", false, old), Some(DeleteReason::Age));
        let young = Duration::from_secs(1);
        assert_eq!(
            budget.reason("barn", false, young),
            Some(DeleteReason::Size)
        );
        budget.found("gate", false, 200);
        assert_eq!(
            budget.reason("gate", false, young),
            Some(DeleteReason::Size)
        );
        assert_eq!(budget.stored(), 660);
    }
}
