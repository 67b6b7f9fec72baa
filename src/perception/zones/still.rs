//! Whether an object stands, from where it was seen.

use geo::{Coord, Distance, Euclidean};
use serde::{Deserialize, Serialize};

use crate::base::Pts;

/// An object stands while it stays within this distance of where it stood first, in its own sizes:
/// boxes of standing objects wander by less.
const STILL: f64 = 0.25;

/// Since when an object has been where it is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Still {
    #[serde(with = "super::snapshot::coord")]
    place: Coord,
    pub since: Pts,
}

impl Still {
    pub fn new(place: Coord, now: Pts) -> Self {
        Self { place, since: now }
    }

    /// Takes in where it was seen; `place` and `size` in px.
    pub fn observe(&mut self, place: Coord, size: f64, now: Pts) {
        if Euclidean.distance(self.place, place) > STILL * size {
            *self = Self::new(place, now);
        }
    }
}
