//! How much is too much, and how little room is too little. Pure values.

use std::time::Duration;

use super::RetentionOptions;
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

/// What there still is and what is still missing while files are deleted, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// Bytes that are stored.
    pub stored: u64,
    /// Bytes that must be freed for want of room.
    pub shortage: u64,
}

impl Budget {
    /// Why a file of this age has to go, if it has to. Where this is `None` it is so for every
    /// younger one.
    pub fn reason(&self, options: &RetentionOptions, age: Duration) -> Option<DeleteReason> {
        if options.max_age.is_some_and(|max| age > max) {
            Some(DeleteReason::Age)
        } else if options.max_bytes.is_some_and(|max| self.stored > max) {
            Some(DeleteReason::Size)
        } else if self.shortage > 0 {
            Some(DeleteReason::Space)
        } else {
            None
        }
    }

    /// A file of so many bytes is gone.
    pub fn freed(&mut self, bytes: u64) {
        self.stored = self.stored.saturating_sub(bytes);
        self.shortage = self.shortage.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::retention::MinFree;

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

    #[test]
    fn age_then_size_then_space_are_reasons() {
        let options = RetentionOptions {
            folder: "out".into(),
            max_age: Some(Duration::from_secs(100)),
            max_bytes: Some(50),
            min_free: MinFree::Auto,
            deletes_for_space: true,
        };
        let mut budget = Budget {
            stored: 70,
            shortage: 25,
        };
        let young = Duration::from_secs(100);
        let old = Duration::from_secs(101);
        assert_eq!(budget.reason(&options, old), Some(DeleteReason::Age));
        assert_eq!(budget.reason(&options, young), Some(DeleteReason::Size));
        budget.freed(20);
        assert_eq!(budget.reason(&options, young), Some(DeleteReason::Space));
        budget.freed(20);
        assert_eq!(budget.reason(&options, young), None);
        assert_eq!(budget.reason(&options, old), Some(DeleteReason::Age));
    }
}
