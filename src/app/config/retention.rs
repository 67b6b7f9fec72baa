//! `[output.retention]` and `[cameras.retention]`.

use std::time::Duration;

use super::Auto;
use super::reader::Section;
use crate::sinks::retention::{Limits, OwnLimits};

/// Bytes of a GB.
const GB: f64 = 1e9;

/// Seconds of a day.
const DAY_SECS: f64 = 86_400.0;

choices! {
    /// What happens when too little is free.
    WhenDiskFull {
        /// The oldest recordings and results are deleted, and recording pauses if that is not enough.
        Delete = "delete",
        /// Nothing is deleted for it, recording pauses.
        Pause = "pause",
    }
}

/// `[output.retention]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionConfig {
    /// Recordings and results are deleted when they are older.
    pub max_age: Option<Duration>,
    /// The oldest are deleted when all of them together are larger, bytes.
    pub max_bytes: Option<u64>,
    /// Bytes that stay free on the disk.
    pub min_free: Auto<u64>,
    /// What happens when they are not.
    pub when_full: WhenDiskFull,
    /// The same limits of clips and pictures of events.
    pub clips: Limits,
    /// Clips and pictures are never deleted for want of room.
    pub keep_clips: bool,
    /// Full files of events are deleted when they are older.
    pub events_max_age: Option<Duration>,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            max_age: None,
            max_bytes: None,
            min_free: Auto::Auto,
            when_full: WhenDiskFull::Pause,
            clips: Limits::default(),
            keep_clips: false,
            events_max_age: None,
        }
    }
}

impl RetentionConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let OwnLimits { recordings, clips } = read_limits(&mut section);
        let config = Self {
            max_age: recordings.max_age,
            max_bytes: recordings.max_bytes,
            clips,
            keep_clips: section.boolean("keep_clips", default.keep_clips),
            events_max_age: section
                .number_if_given("events_max_age_days", 0.01..=36_500.0)
                .map(|days| Duration::from_secs_f64(days * DAY_SECS)),
            min_free: match section.auto_number("min_free_gb", 0.0..=100_000.0) {
                Auto::Auto => Auto::Auto,
                Auto::Set(size) => Auto::Set(bytes(size)),
            },
            when_full: section.choice("when_full", WhenDiskFull::ALL, default.when_full),
        };
        section.finish();
        config
    }
}

/// `[cameras.retention]`: what takes the place of the common limits.
pub(super) fn read_own(mut section: Section<'_>) -> OwnLimits {
    let limits = read_limits(&mut section);
    section.finish();
    limits
}

fn read_limits(section: &mut Section<'_>) -> OwnLimits {
    let mut limits = |days: &'static str, size: &'static str| {
        let days = section.number_if_given(days, 0.01..=36_500.0);
        let size = section.number_if_given(size, 0.001..=1_000_000.0);
        Limits {
            max_age: days.map(|days| Duration::from_secs_f64(days * DAY_SECS)),
            max_bytes: size.map(bytes),
        }
    };
    OwnLimits {
        recordings: limits("max_age_days", "max_size_gb"),
        clips: limits("clips_max_age_days", "clips_max_size_gb"),
    }
}

/// Bytes of so many GB, which are within the range of their key.
fn bytes(gb: f64) -> u64 {
    (gb * GB).round() as u64
}
