//! Where the things in boxes went from one picture to the next.

use super::flow::{self, Point};
use super::small::Pyramid;
use crate::base::{BBox, Plane, Size};

/// Places looked at in a box, per direction.
const GRID: usize = 4;
/// Part of a box's width and height, around its middle, in which they lie: towards its edges a box
/// shows what is behind the object.
const INNER: f32 = 0.6;
/// With fewer places found again nothing is said.
const LEAST: usize = 3;
/// With fewer places found again nothing is said of its size.
const LEAST_FOR_SIZE: usize = 6;
/// A box that is expected to move by more than this does not stand still, pixels of the shrunk picture:
/// what stands still in it is behind it.
const MOVES: f32 = 0.7;
/// What moves by less stands still, pixels of the shrunk picture.
const STANDS: f32 = 0.25;
/// Places agree that lie no farther apart than this, pixels of the shrunk picture, and this part of
/// the motion.
const AGREES: (f32, f32) = (0.6, 0.15);
/// Least standard deviation of a shift, pixels of the shrunk picture.
const LEAST_DEVIATION: f32 = 0.15;
/// Largest growth of a box between two pictures that is believed.
const GROWTH: f32 = 0.06;

/// How the thing in a box moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// Of its middle, px.
    pub shift: [f32; 2],
    /// How much larger it became, 1 where that cannot be said.
    pub stretch: f32,
    /// Standard deviation of the shift, px.
    pub deviation_px: f32,
}

/// Follows what is in boxes through the pictures of one camera, keeping the last one.
#[derive(Debug, Default)]
pub struct BoxFollower {
    size: Option<Size>,
    last: Pyramid,
    now: Pyramid,
    has_last: bool,
}

/// A place of the shrunk picture and how it moved.
#[derive(Debug, Clone, Copy)]
struct Found {
    at: Point,
    by: Point,
}

impl BoxFollower {
    /// Takes the next picture's luma.
    pub fn step(&mut self, luma: Plane<'_>, size: Size) {
        self.has_last = self.size == Some(size);
        self.size = Some(size);
        std::mem::swap(&mut self.last, &mut self.now);
        self.now.set(luma, size);
    }

    /// Forgets the last picture: what comes next has nothing to do with it.
    pub fn reset(&mut self) {
        self.size = None;
        self.has_last = false;
    }

    /// How the thing went that was in `bbox` in the picture before, and is expected to have moved by
    /// `expected` px; `None` where the picture does not tell: no texture, places that disagree, another
    /// thing before it, off the picture.
    #[must_use]
    pub fn follow(&self, bbox: &BBox, expected: [f32; 2]) -> Option<Moved> {
        if !self.has_last {
            return None;
        }
        let expected = expected.map(|part| self.now.shrunk(part));
        let mut found = [Found {
            at: [0.0; 2],
            by: [0.0; 2],
        }; GRID * GRID];
        let mut count = 0;
        for place in 0..GRID * GRID {
            let part = |step: usize| INNER * ((step as f32 + 0.5) / GRID as f32 - 0.5);
            let at = [
                self.now
                    .shrunk(bbox.cx() + part(place % GRID) * bbox.width()),
                self.now
                    .shrunk(bbox.cy() + part(place / GRID) * bbox.height()),
            ];
            if let Some(by) = flow::follow_from(&self.last, &self.now, at, expected) {
                found[count] = Found { at, by };
                count += 1;
            }
        }
        let moved = agreed(&mut found, count, expected)?;
        let factor = 1.0 / self.now.shrunk(1.0);
        Some(Moved {
            shift: moved.shift.map(|part| part * factor),
            stretch: moved.stretch,
            deviation_px: moved.deviation_px * factor,
        })
    }
}

/// The motion most places agree on, pixels of the shrunk picture.
fn agreed(found: &mut [Found], mut count: usize, expected: Point) -> Option<Moved> {
    if expected[0].hypot(expected[1]) > MOVES {
        count = keep(found, count, |one| one.by[0].hypot(one.by[1]) > STANDS);
    }
    if count < LEAST {
        return None;
    }
    let middle = [0, 1].map(|axis| median(found[..count].iter().map(|one| one.by[axis])));
    let limit = AGREES.0 + AGREES.1 * middle[0].hypot(middle[1]);
    let all = count;
    let off = |one: &Found| (one.by[0] - middle[0]).hypot(one.by[1] - middle[1]);
    count = keep(found, count, |one| off(one) <= limit);
    if count < LEAST || 2 * count <= all {
        return None;
    }
    let kept = &found[..count];
    let mean = |value: fn(&Found) -> Point| {
        let sum = kept.iter().map(value).fold([0.0, 0.0], |sum: Point, it| {
            [sum[0] + it[0], sum[1] + it[1]]
        });
        sum.map(|part| part / count as f32)
    };
    let (centre, shift) = (mean(|one| one.at), mean(|one| one.by));
    let (mut spread, mut outward, mut scatter) = (0.0, 0.0, 0.0);
    for one in kept {
        let at = [one.at[0] - centre[0], one.at[1] - centre[1]];
        let by = [one.by[0] - shift[0], one.by[1] - shift[1]];
        spread += at[0] * at[0] + at[1] * at[1];
        outward += at[0] * by[0] + at[1] * by[1];
        scatter += by[0] * by[0] + by[1] * by[1];
    }
    let grown = if count >= LEAST_FOR_SIZE && spread > 0.0 {
        (outward / spread).clamp(-GROWTH, GROWTH)
    } else {
        0.0
    };
    // Places of one window see each other's pixels: they err together, and are not averaged down.
    let deviation = (scatter / count as f32).sqrt().max(LEAST_DEVIATION);
    Some(Moved {
        shift,
        stretch: 1.0 + grown,
        deviation_px: deviation,
    })
}

/// Brings those that are kept to the front, in their order, and answers how many.
fn keep(found: &mut [Found], count: usize, is_kept: impl Fn(&Found) -> bool) -> usize {
    let mut kept = 0;
    for place in 0..count {
        if is_kept(&found[place]) {
            found[kept] = found[place];
            kept += 1;
        }
    }
    kept
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut sorted = [0.0f32; GRID * GRID];
    let mut count = 0;
    for (place, value) in sorted.iter_mut().zip(values) {
        *place = value;
        count += 1;
    }
    let sorted = &mut sorted[..count];
    sorted.sort_unstable_by(f32::total_cmp);
    sorted.get(count / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 960,
        height: 544,
    };

    /// Grey value of a textured thing at a place of its own.
    fn texture(u: f32, v: f32) -> f32 {
        128.0 + 45.0 * ((u / 7.0).sin() * (v / 9.0).cos() + ((u + v) / 13.0).sin())
    }

    /// A textured ground, before it a thing of 120 x 80 px, its middle at a place, so much larger.
    fn picture(middle: [f32; 2], larger: f32) -> Vec<u8> {
        (0..SIZE.height)
            .flat_map(|y| (0..SIZE.width).map(move |x| (x as f32, y as f32)))
            .map(|(x, y)| {
                let (u, v) = ((x - middle[0]) / larger, (y - middle[1]) / larger);
                let is_thing = u.abs() <= 60.0 && v.abs() <= 40.0;
                let grey = if is_thing {
                    texture(u, v)
                } else {
                    texture(1.3 * y + 300.0, 1.7 * x)
                };
                grey.clamp(0.0, 255.0) as u8
            })
            .collect()
    }

    fn followed(to: [f32; 2], larger: f32, expected: [f32; 2]) -> Option<Moved> {
        let mut follower = BoxFollower::default();
        let stride = SIZE.width as usize;
        let first = picture([400.0, 300.0], 1.0);
        let second = picture(to, larger);
        for data in [&first, &second] {
            follower.step(Plane { data, stride }, SIZE);
        }
        let bbox = BBox::from_cxcywh(400.0, 300.0, 120.0, 80.0).unwrap();
        follower.follow(&bbox, expected)
    }

    #[test]
    fn a_thing_is_followed_to_a_part_of_a_pixel_though_less_exactly_expected() {
        for shift in [[0.0, 0.0], [6.0, -3.0], [-11.5, 4.25]] {
            for wrong in [[0.0, 0.0], [0.9, -0.9], shift.map(|part| -0.2 * part)] {
                let expected = [shift[0] + wrong[0], shift[1] + wrong[1]];
                let to = [400.0 + shift[0], 300.0 + shift[1]];
                let moved = followed(to, 1.0, expected).unwrap();
                let off = [moved.shift[0] - shift[0], moved.shift[1] - shift[1]];
                assert!(off[0].hypot(off[1]) < 1.0, "{shift:?}: {moved:?}");
            }
        }
    }

    #[test]
    fn a_thing_that_comes_nearer_grows() {
        let moved = followed([400.0, 300.0], 1.03, [0.0, 0.0]).unwrap();
        assert!((moved.stretch - 1.03).abs() < 0.01, "{moved:?}");
    }

    #[test]
    fn what_is_gone_is_not_followed() {
        // Expected to move, and only the ground is left, which stands.
        assert_eq!(followed([800.0, 100.0], 1.0, [12.0, 0.0]), None);
    }

    #[test]
    fn without_a_picture_before_nothing_is_said() {
        let bbox = BBox::from_cxcywh(400.0, 300.0, 120.0, 80.0).unwrap();
        let mut follower = BoxFollower::default();
        assert_eq!(follower.follow(&bbox, [0.0; 2]), None);
        let data = picture([400.0, 300.0], 1.0);
        let stride = SIZE.width as usize;
        follower.step(
            Plane {
                data: &data,
                stride,
            },
            SIZE,
        );
        assert_eq!(follower.follow(&bbox, [0.0; 2]), None);
        let off_picture = BBox::from_cxcywh(-900.0, 9000.0, 1e6, 3.0).unwrap();
        follower.step(
            Plane {
                data: &data[..5000],
                stride,
            },
            SIZE,
        );
        assert_eq!(follower.follow(&off_picture, [1e9, -1e9]), None);
    }
}
