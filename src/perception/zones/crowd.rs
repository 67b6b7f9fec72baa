//! A zone as a whole: how many are in it, how many of them stand, and whether that is too much.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::object::Object;
use super::plan::{CongestionPlan, SlowSpeed};
use super::settled::Settled;
use crate::base::{Phase, Pts, Speed, SpeedUnit};

/// An object that has stood for so long waits in a queue.
const WAITING: Duration = Duration::from_secs(2);

/// Occupancy and queue must be above or below their threshold for so long.
const HOLD: Duration = Duration::from_secs(1);

/// What is too much.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Thresholds {
    pub occupancy: Option<u32>,
    pub queue: Option<u32>,
    pub congestion: Option<CongestionPlan>,
}

/// What becomes of a zone as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Occupancy(Phase),
    Queue(Phase),
    Congestion(Phase),
}

/// The objects that are in a zone in one frame.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Present {
    pub occupancy: u32,
    pub queue: u32,
    sizes_per_second: Mean,
    kmh: Mean,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// At most `limit`; nothing is known of no values.
    fn is_within(self, limit: f64) -> bool {
        self.count > 0 && self.sum <= limit * f64::from(self.count)
    }
}

impl Present {
    pub fn add(&mut self, object: &Object, speed: Option<Speed>, now: Pts) {
        self.occupancy += 1;
        if now.secs_since(object.still.since) >= WAITING.as_secs_f64() {
            self.queue += 1;
        }
        self.sizes_per_second.add(object.sizes_per_second());
        if let Some(speed) = speed {
            let metres_per_second = f64::from(speed.value) / speed.unit.per_metre_per_second();
            self.kmh
                .add(metres_per_second * SpeedUnit::Kmh.per_metre_per_second());
        }
    }

    fn is_congested(&self, plan: &CongestionPlan) -> bool {
        let is_slow = match plan.speed {
            SlowSpeed::Kmh(limit) => self.kmh.is_within(limit),
            SlowSpeed::SizesPerSecond(limit) => self.sizes_per_second.is_within(limit),
        };
        self.occupancy >= plan.occupancy && is_slow
    }
}

/// The states of a zone.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Crowd {
    occupancy: Settled,
    queue: Settled,
    congestion: Settled,
}

impl Crowd {
    /// Takes in one frame.
    pub fn observe(
        &mut self,
        thresholds: &Thresholds,
        present: &Present,
        now: Pts,
        tell: &mut impl FnMut(Change),
    ) {
        let mut settle = |state: &mut Settled, is_on, hold, change: fn(Phase) -> Change| {
            if state.observe(is_on, false, hold, now).is_some() {
                tell(change(if is_on { Phase::Begin } else { Phase::End }));
            }
        };
        // Where a threshold was taken away meanwhile, what it began is over at once.
        let over = Duration::ZERO;
        let (is_on, hold) = thresholds
            .occupancy
            .map_or((false, over), |most| (present.occupancy >= most, HOLD));
        settle(&mut self.occupancy, is_on, hold, Change::Occupancy);
        let (is_on, hold) = thresholds
            .queue
            .map_or((false, over), |length| (present.queue >= length, HOLD));
        settle(&mut self.queue, is_on, hold, Change::Queue);
        let congestion = thresholds.congestion.as_ref();
        let (is_on, hold) = congestion.map_or((false, over), |plan| {
            (present.is_congested(plan), plan.hold)
        });
        settle(&mut self.congestion, is_on, hold, Change::Congestion);
    }

    /// The run is over, and with it what had begun.
    pub fn finish(&mut self, tell: &mut impl FnMut(Change)) {
        let states = std::mem::take(self);
        for (state, change) in [
            (states.occupancy, Change::Occupancy(Phase::End)),
            (states.queue, Change::Queue(Phase::End)),
            (states.congestion, Change::Congestion(Phase::End)),
        ] {
            if state.is_on {
                tell(change);
            }
        }
    }
}
