//! Time: stream time for motion and order, UTC for people and files, CPU time for measuring.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Presentation time: nanoseconds since the run began, from the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pts(pub u64);

impl Pts {
    /// Seconds from `earlier` to `self`; negative if the stream went back.
    #[must_use]
    pub fn secs_since(self, earlier: Self) -> f64 {
        let secs = self.0.abs_diff(earlier.0) as f64 / 1e9;
        if self >= earlier { secs } else { -secs }
    }
}

/// Nanoseconds since 1970-01-01T00:00:00Z. Displays as RFC 3339 with nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UtcNanos(pub i64);

impl UtcNanos {
    /// What RFC 3339 text says, `2026-03-01T08:00:00Z`; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(time.as_nanosecond()).ok().map(Self)
    }

    /// `yyyymmddThhmmssZ`, for file names.
    #[must_use]
    pub fn file_stamp(self) -> String {
        self.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .expect("64-bit nanoseconds lie within the supported years")
    }
}

impl fmt::Display for UtcNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9}", self.timestamp())
    }
}

/// The system's UTC time; the one place that reads it.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
pub fn utc_now() -> UtcNanos {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    UtcNanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}

/// CPU time the calling thread has used since it began.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(spent.tv_sec).unwrap_or(0),
        u32::try_from(spent.tv_nsec).unwrap_or(0),
    )
}

/// Measures one piece of work on the calling thread: wall time and CPU time.
#[derive(Debug)]
pub struct StageTimer {
    wall: Instant,
    cpu: Duration,
}

impl StageTimer {
    /// Starts measuring.
    #[must_use]
    pub fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: thread_cpu_time(),
        }
    }

    /// (wall, CPU) spent since the start, and starts anew.
    pub fn lap(&mut self) -> (Duration, Duration) {
        let now = Self::start();
        let spent = (now.wall - self.wall, now.cpu.saturating_sub(self.cpu));
        *self = now;
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_is_written_as_rfc3339() {
        // 1700000000 s = 2023-11-14T22:13:20Z (date -u -d @1700000000).
        let utc = UtcNanos(1_700_000_000_123_456_789);
        assert_eq!(utc.to_string(), "2023-11-14T22:13:20.123456789Z");
        assert_eq!(utc.file_stamp(), "20231114T221320Z");
        assert_eq!(UtcNanos::parse(&utc.to_string()), Some(utc));
        let elsewhere = UtcNanos::parse("2023-11-14T23:13:20.123456789+01:00");
        assert_eq!(elsewhere, Some(utc));
        assert_eq!(UtcNanos::parse("yesterday"), None);
    }

    #[test]
    fn time_going_back_is_negative() {
        assert!((Pts(1_000_000_000).secs_since(Pts(3_000_000_000)) + 2.0).abs() < 1e-9);
    }
}
