//! Which frames the detector looks at.
//!
//! Belongs here: the decision, from values alone: no clock but the stream's, nothing that depends on
//! threads. Does not belong here: who detects, and what becomes of the frames in between.

mod adaptive;
mod thumbnail;

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

pub use adaptive::Expected;
use adaptive::Watch;

use crate::base::{LookReason, Plane, Pts, Size};

/// One of how many frames the detector can be told to look at.
pub const INTERVAL: RangeInclusive<u32> = 2..=30;

/// Which frames of a camera the detector looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DetectSchedule {
    /// Every one.
    #[default]
    Every,
    /// One of so many.
    Interval(NonZeroU32),
    /// Those that the picture and the tracks ask for.
    Adaptive,
}

/// Decides for one camera. Frames are asked about in their order.
#[derive(Debug)]
pub enum Gate {
    /// One of so many.
    Interval {
        /// How many.
        of: NonZeroU32,
        /// Frames since, and with, the last one that was looked at; 0 before the first.
        since: u32,
    },
    /// What the picture and the tracks ask for.
    Adaptive(Box<Watch>),
}

impl Gate {
    /// The gate of a schedule; none where every frame is looked at.
    #[must_use]
    pub fn new(schedule: DetectSchedule) -> Option<Self> {
        match schedule {
            DetectSchedule::Every => None,
            DetectSchedule::Interval(of) => Some(Self::Interval { of, since: 0 }),
            DetectSchedule::Adaptive => Some(Self::Adaptive(Box::default())),
        }
    }

    /// Whether the decision about a frame needs the tracks of the frame before it.
    #[must_use]
    pub fn needs_tracks(&self) -> bool {
        matches!(self, Self::Adaptive(_))
    }

    /// Why the next frame is to be looked at, if it is. May be asked again about another frame, as
    /// long as none was [taken](Gate::take).
    pub fn look(&mut self, luma: Plane<'_>, size: Size, pts: Pts) -> Option<LookReason> {
        match self {
            Self::Interval { of, since } => {
                let reason = if *since == 0 {
                    LookReason::First
                } else {
                    LookReason::Interval
                };
                (*since == 0 || *since >= of.get()).then_some(reason)
            }
            Self::Adaptive(watch) => watch.look(luma, size, pts),
        }
    }

    /// The frame asked about last goes its way, to be looked at or not.
    pub fn take(&mut self, is_looked_at: bool) {
        if let Self::Interval { since, .. } = self {
            *since = if is_looked_at {
                1
            } else {
                since.saturating_add(1)
            };
        }
    }

    /// The frame at `pts` was looked at, or carried, and this is expected of the next.
    pub fn seen(&mut self, pts: Pts, is_looked_at: bool, expected: impl Iterator<Item = Expected>) {
        if let Self::Adaptive(watch) = self {
            watch.seen(pts, is_looked_at, expected);
        }
    }

    /// The detector failed, or the run is over: the next frame is looked at.
    pub fn forget(&mut self) {
        match self {
            Self::Interval { since, .. } => *since = 0,
            Self::Adaptive(watch) => **watch = Watch::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_three_is_looked_at_beginning_with_the_first() {
        let of = NonZeroU32::new(3).unwrap();
        let mut gate = Gate::new(DetectSchedule::Interval(of)).unwrap();
        let mut next = || {
            let luma = Plane {
                data: &[],
                stride: 1,
            };
            let size = Size {
                width: 1,
                height: 1,
            };
            let reason = gate.look(luma, size, Pts(0));
            assert_eq!(
                gate.look(luma, size, Pts(0)),
                reason,
                "asking changes nothing"
            );
            gate.take(reason.is_some());
            reason.is_some()
        };
        let looked: Vec<bool> = (0..7).map(|_| next()).collect();
        assert_eq!(looked, [true, false, false, true, false, false, true]);
    }

    #[test]
    fn every_frame_needs_no_gate() {
        assert!(Gate::new(DetectSchedule::Every).is_none());
    }
}
