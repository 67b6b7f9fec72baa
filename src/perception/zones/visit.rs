//! One object at one zone: whether it is inside, since when, and what was told about it.

use std::time::Duration;

use geo::{Coord, Distance, Euclidean, Intersects, Line, Point, Polygon};
use serde::{Deserialize, Serialize};

use super::settled::Settled;
use crate::base::{Phase, Pts};

/// How far inside or outside the border an object must be to change at the second sight, in its own
/// sizes; nearer to the border it must stay for [`HOLD`].
const CLEAR: f64 = 0.1;

/// How long an object near the border must be on the other side of it.
const HOLD: Duration = Duration::from_secs(1);

/// Going back so far against the way is going the wrong way, in the object's sizes.
const WRONG_WAY: f64 = 1.0;

/// A zone on the frame, px.
#[derive(Debug, Clone)]
pub(super) struct FrameZone {
    pub polygon: Polygon,
    pub way: Option<Way>,
}

/// The way objects should go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// Unit vector.
    along: Coord,
}

impl Way {
    pub fn new(arrow: Line) -> Self {
        let length = Euclidean.distance(arrow.start, arrow.end);
        Self {
            along: arrow.delta() / length,
        }
    }
}

/// What is noticed in a zone.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub loiter: Option<Duration>,
    pub stop: Option<Duration>,
}

/// An object in a frame in which it was seen, px.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    /// The point that stands for it; `None` where it is not looked at.
    pub anchor: Option<Coord>,
    pub size: f64,
    pub still_since: Pts,
    pub now: Pts,
}

/// What an object does at a zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Happening {
    Entry,
    Exit { dwell: Duration },
    Loitering { dwell: Duration },
    Stopped { phase: Phase, still: Duration },
    WrongWay,
}

/// What an object has done at a zone.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Visit {
    presence: Settled,
    /// Since when it has been inside.
    entered: Option<Pts>,
    has_loitered: bool,
    stopped_since: Option<Pts>,
    /// Farthest along the way so far, px; and whether going back was told.
    progress: Option<f64>,
    went_back: bool,
}

impl Visit {
    /// Is it inside?
    pub fn is_inside(&self) -> bool {
        self.presence.is_on
    }

    /// Takes in a frame in which the object was seen.
    pub fn observe(
        &mut self,
        zone: &FrameZone,
        limits: Limits,
        seen: Sighting,
        tell: &mut impl FnMut(Happening),
    ) {
        let Sighting { anchor, size, .. } = seen;
        let is_in = anchor.is_some_and(|anchor| zone.polygon.intersects(&Point(anchor)));
        let is_clear = anchor.is_none_or(|anchor| {
            Euclidean.distance(&Point(anchor), zone.polygon.exterior()) >= CLEAR * size
        });
        if let Some(since) = self.presence.observe(is_in, is_clear, HOLD, seen.now) {
            if is_in {
                *self = Self {
                    presence: self.presence,
                    entered: Some(since),
                    ..Self::default()
                };
                tell(Happening::Entry);
            } else {
                self.leave(since, tell);
            }
        }
        if let (Some(entered), Some(anchor)) = (self.entered, anchor) {
            self.dwell(limits, entered, seen, tell);
            self.follow_way(zone, anchor, size, tell);
        }
    }

    fn dwell(
        &mut self,
        limits: Limits,
        entered: Pts,
        seen: Sighting,
        tell: &mut impl FnMut(Happening),
    ) {
        let now = seen.now;
        let dwell = between(entered, now);
        if limits.loiter.is_some_and(|limit| dwell >= limit) && !self.has_loitered {
            self.has_loitered = true;
            tell(Happening::Loitering { dwell });
        }
        let Some(limit) = limits.stop else { return };
        let since = seen.still_since.max(entered);
        if self.stopped_since.is_some_and(|stopped| stopped != since) {
            self.go_on(now, tell);
        }
        if self.stopped_since.is_none() && between(since, now) >= limit {
            self.stopped_since = Some(since);
            tell(Happening::Stopped {
                phase: Phase::Begin,
                still: between(since, now),
            });
        }
    }

    fn go_on(&mut self, now: Pts, tell: &mut impl FnMut(Happening)) {
        if let Some(since) = self.stopped_since.take() {
            tell(Happening::Stopped {
                phase: Phase::End,
                still: between(since, now),
            });
        }
    }

    fn follow_way(
        &mut self,
        zone: &FrameZone,
        anchor: Coord,
        size: f64,
        tell: &mut impl FnMut(Happening),
    ) {
        let Some(way) = zone.way else { return };
        let along = anchor.x * way.along.x + anchor.y * way.along.y;
        let farthest = self.progress.map_or(along, |before| before.max(along));
        self.progress = Some(farthest);
        if farthest - along >= WRONG_WAY * size && !self.went_back {
            self.went_back = true;
            tell(Happening::WrongWay);
        }
    }

    /// The way is another from now on: how far it came along the old one says nothing.
    pub fn turn_around(&mut self) {
        (self.progress, self.went_back) = (None, false);
    }

    /// It was told before that the object came in.
    pub fn has_entered(&mut self, at: Pts) {
        if !self.is_inside() {
            *self = Self {
                entered: Some(at),
                ..Self::default()
            };
            self.presence.is_on = true;
        }
    }

    /// It was told before that the object loiters.
    pub fn has_loitered(&mut self) {
        self.has_loitered = true;
    }

    /// It was told before that the object left.
    pub fn has_left(&mut self) {
        *self = Self::default();
    }

    /// The object left at `at`, or is never seen again after it.
    pub fn leave(&mut self, at: Pts, tell: &mut impl FnMut(Happening)) {
        let Some(entered) = self.entered else { return };
        self.go_on(at, tell);
        tell(Happening::Exit {
            dwell: between(entered, at),
        });
        self.entered = None;
        self.presence.is_on = false;
    }
}

fn between(from: Pts, to: Pts) -> Duration {
    Duration::from_nanos(to.0.saturating_sub(from.0))
}
