//! Which new track goes on with an object whose track broke off.
//!
//! The tracker gives a new id when an object was hidden for longer than it remembers, or moved
//! differently while it was hidden. For counting it is still the same object, if the new track begins
//! where the old one may have come to.

use std::time::Duration;

use geo::{Coord, Distance, Euclidean, Line};

use super::object::Object;
use super::plan::Anchor;
use crate::base::{Pts, Size, TrackSnapshot};

/// An object may go on as another track for so long after it was last seen.
pub(super) const STITCH_WITHIN: Duration = Duration::from_secs(4);

/// A new track begins at most this far from where the object may be, in its sizes.
const REACH: f64 = 1.0;

/// Of the way that the object would have gone at its last velocity it may have gone any part up to
/// this: it may have slowed down or stopped meanwhile, and of one that was still coming in over the
/// border only half of the speed shows.
const MOST_OF_WAY: f64 = 2.0;

/// Added to the distance, in sizes, for a track of another class: classes flicker, but less than
/// objects follow each other.
const OTHER_CLASS: f64 = 0.5;

/// Sizes may differ by this factor: what comes out from behind something shows in part at first.
const SIZE_FACTOR: f64 = 2.0;

/// A box this near to the border of the picture touches it, in sizes: boxes end a bit before it.
const BORDER: f64 = 0.05;

/// An object that would touch the border within this time at its last velocity was on its way out, s: the
/// last sightings of one that walks out are blurred and cut, and end before the border.
const ON_ITS_WAY_OUT: f32 = 0.5;

/// Faster than this both must go the same way, in sizes per second.
const CLEARLY_MOVING: f64 = 0.5;

/// How far the beginning of `track` is from where `object` may have come to, in sizes of the object;
/// `None` if it cannot be its continuation.
pub(super) fn distance(object: &Object, track: &TrackSnapshot, frame: Size) -> Option<f64> {
    // Two tracks may take turns at one object.
    if object.was(track.id) {
        return Some(0.0);
    }
    let gap = track.first_seen.secs_since(object.last_seen);
    if gap <= 0.0 || gap - object.unwatched_secs > STITCH_WITHIN.as_secs_f64() {
        return None;
    }
    let size = object.size();
    let new_size = f64::from(track.bbox.width() + track.bbox.height()) / 2.0;
    if new_size > size * SIZE_FACTOR || size > new_size * SIZE_FACTOR {
        return None;
    }
    if is_opposed(object, track, new_size) || has_left(object, frame) {
        return None;
    }
    let from = object.centre();
    let velocity = Coord {
        x: f64::from(object.velocity[0]),
        y: f64::from(object.velocity[1]),
    };
    let way = Line::new(from, from + velocity * gap * MOST_OF_WAY);
    let off = Euclidean.distance(&way, &geo::Point(Anchor::Center.of(&track.bbox))) / size;
    let off = if track.class == object.class {
        off
    } else {
        off + OTHER_CLASS
    };
    (off <= REACH).then_some(off)
}

fn is_opposed(object: &Object, track: &TrackSnapshot, size: f64) -> bool {
    let [x, y] = track.velocity;
    let is_moving = f64::from(x.hypot(y)) > CLEARLY_MOVING * size;
    let product = x * object.velocity[0] + y * object.velocity[1];
    is_moving && object.sizes_per_second() > CLEARLY_MOVING && product < 0.0
}

/// Was it last seen going out over the border of the picture, or about to?
fn has_left(object: &Object, frame: Size) -> bool {
    let margin = (BORDER * object.size()) as f32;
    let (width, height) = (frame.width as f32, frame.height as f32);
    let ([x, y], bbox) = (object.velocity, &object.bbox);
    let (dx, dy) = (x * ON_ITS_WAY_OUT, y * ON_ITS_WAY_OUT);
    (x < 0.0 && bbox.left() + dx <= margin)
        || (x > 0.0 && bbox.right() + dx >= width - margin)
        || (y < 0.0 && bbox.top() + dy <= margin)
        || (y > 0.0 && bbox.bottom() + dy >= height - margin)
}

/// Is the object hidden for too long to go on?
pub(super) fn is_over(object: &Object, now: Pts) -> bool {
    now.secs_since(object.last_seen) - object.unwatched_secs > STITCH_WITHIN.as_secs_f64()
}
