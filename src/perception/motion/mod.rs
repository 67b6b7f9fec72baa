//! Picture → how the camera, and what is in a box, moved since the picture before, from the luma
//! plane alone.
//!
//! Belongs here: shrinking, sparse flow, the fit of a similarity. Does not belong here: what becomes of
//! the motion, and anything that knows tracks.
//!
//! Points of the background are followed (Lucas & Kanade 1981, pyramidal as in Bouguet 2001, no source
//! of code) on a picture of a quarter of full HD, and a similarity is fitted to most of them.

mod fit;
mod flow;
mod follow;
mod small;

pub use follow::{BoxFollower, Moved};

use crate::base::{BBox, Plane, Size};
use fit::Match;
use flow::Point;
use small::Pyramid;

/// A motion that moves no corner of the picture by more than this is none, px: below it, the estimate's
/// own noise would shake the tracks.
const STILL_PX: f64 = 0.4;

/// Finds the motion of one camera's picture, keeping its memory.
#[derive(Debug, Default)]
pub struct MotionEstimator {
    size: Option<Size>,
    last: Pyramid,
    now: Pyramid,
    points: Vec<Point>,
    matches: Vec<Match>,
}

impl MotionEstimator {
    /// Takes the next picture's luma and answers the map `x' = a x + b y + tx, y' = c x + d y + ty` from
    /// pixels of the picture before, as `[a, b, tx, c, d, ty]`; `None` for the first picture, and where
    /// there is nothing to be sure of (no texture, a cut, most of the picture covered by objects).
    pub fn step(&mut self, luma: Plane<'_>, size: Size) -> Option<[f64; 6]> {
        if self.size != Some(size) {
            self.reset();
            self.size = Some(size);
        }
        std::mem::swap(&mut self.last, &mut self.now);
        self.now.set(luma, size);
        self.matches.clear();
        for point in self.points.drain(..) {
            let to = flow::follow(&self.last, &self.now, point);
            self.matches.extend(to.map(|to| Match {
                from: self.now.full(point),
                to: self.now.full(to),
            }));
        }
        let map = fit::similarity(&self.matches)?;
        Some(if is_still(&map, size) { IDENTITY } else { map })
    }

    /// Chooses what to follow into the next picture: texture that none of these boxes covers.
    pub fn choose_points(&mut self, objects: impl Iterator<Item = BBox> + Clone) {
        flow::choose(&self.now, objects, &mut self.points);
    }

    /// Forgets the last picture: what comes next has nothing to do with it.
    pub fn reset(&mut self) {
        self.size = None;
        self.points.clear();
    }
}

/// No motion.
const IDENTITY: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

fn is_still(map: &[f64; 6], size: Size) -> bool {
    let [a, b, tx, c, d, ty] = *map;
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)]
        .iter()
        .all(|&(x, y)| {
            let moved = [a * x + b * y + tx - x, c * x + d * y + ty - y];
            moved[0].hypot(moved[1]) < STILL_PX
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    const SIZE: Size = Size {
        width: 960,
        height: 544,
    };

    /// A textured wall, seen through a map from wall to picture that moves and turns it.
    fn wall(shift: [f64; 2], angle: f64) -> Vec<u8> {
        let (sin, cos) = angle.sin_cos();
        (0..SIZE.height)
            .flat_map(|y| (0..SIZE.width).map(move |x| (f64::from(x), f64::from(y))))
            .map(|(x, y)| {
                let (x, y) = (x - shift[0], y - shift[1]);
                let (u, v) = (cos * x + sin * y, -sin * x + cos * y);
                let wave = |u: f64, v: f64, length: f64, phase: f64| {
                    ((u / length + phase) * TAU).sin() * ((v / length - phase) * TAU).cos()
                };
                let sum = wave(u, v, 61.0, 0.1)
                    + wave(v, u + 0.3 * v, 37.0, 0.4)
                    + wave(u + 0.7 * v, v, 97.0, 0.8);
                (128.0 + 40.0 * sum).clamp(0.0, 255.0) as u8
            })
            .collect()
    }

    fn plane(data: &[u8]) -> Plane<'_> {
        Plane {
            data,
            stride: SIZE.width as usize,
        }
    }

    fn motion(first: &[u8], second: &[u8], objects: &[BBox]) -> Option<[f64; 6]> {
        let mut estimator = MotionEstimator::default();
        assert_eq!(estimator.step(plane(first), SIZE), None);
        estimator.choose_points(objects.iter().copied());
        estimator.step(plane(second), SIZE)
    }

    /// Farthest that the two maps put a corner of the picture apart, px.
    fn apart(a: &[f64; 6], b: &[f64; 6]) -> f64 {
        let (width, height) = (f64::from(SIZE.width), f64::from(SIZE.height));
        [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)]
            .iter()
            .map(|&(x, y)| {
                let dx = (a[0] - b[0]) * x + (a[1] - b[1]) * y + a[2] - b[2];
                let dy = (a[3] - b[3]) * x + (a[4] - b[4]) * y + a[5] - b[5];
                dx.hypot(dy)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn a_shift_is_found_to_a_part_of_a_pixel() {
        for shift in [[3.0, -2.0], [-11.5, 7.25], [18.0, 14.0]] {
            let map = motion(&wall([0.0; 2], 0.0), &wall(shift, 0.0), &[]).unwrap();
            let truth = [1.0, 0.0, shift[0], 0.0, 1.0, shift[1]];
            assert!(apart(&map, &truth) < 1.0, "{shift:?}: {map:?}");
        }
    }

    #[test]
    fn a_turn_is_found() {
        let angle = 0.01f64;
        let map = motion(&wall([0.0; 2], 0.0), &wall([4.0, 1.0], angle), &[]).unwrap();
        let (sin, cos) = angle.sin_cos();
        let truth = [cos, -sin, 4.0, sin, cos, 1.0];
        assert!(apart(&map, &truth) < 1.5, "{map:?}");
    }

    #[test]
    fn a_still_camera_is_still_whatever_moves_before_it() {
        let first = wall([0.0; 2], 0.0);
        let moved = wall([9.0, 4.0], 0.0);
        // A third of the picture is an object that moves.
        let is_object = |place: usize| place % SIZE.width as usize >= 640;
        let second: Vec<u8> = first
            .iter()
            .zip(&moved)
            .enumerate()
            .map(|(place, (still, moved))| if is_object(place) { *moved } else { *still })
            .collect();
        assert_eq!(motion(&first, &second, &[]), Some(IDENTITY));
        // More than half: told where it is, it is passed over.
        let bbox = BBox::from_ltrb(640.0, 0.0, 960.0, 544.0).unwrap();
        assert_eq!(motion(&first, &second, &[bbox]), Some(IDENTITY));
    }

    #[test]
    fn without_texture_or_after_a_cut_nothing_is_said() {
        let flat = vec![90; (SIZE.width * SIZE.height) as usize];
        assert_eq!(motion(&flat, &flat, &[]), None);
        assert_eq!(motion(&wall([0.0; 2], 0.0), &flat, &[]), None);
        let everything = BBox::from_ltrb(0.0, 0.0, 960.0, 544.0).unwrap();
        let first = wall([0.0; 2], 0.0);
        assert_eq!(motion(&first, &first, &[everything]), None);
    }

    #[test]
    fn small_pictures_and_short_planes_do_no_harm() {
        let mut estimator = MotionEstimator::default();
        for (width, height) in [(1, 1), (7, 3), (64, 36), (320, 180)] {
            let size = Size { width, height };
            for data in [&[] as &[u8], &[7; 50], &[9; 320 * 180]] {
                let stride = width as usize;
                estimator.step(Plane { data, stride }, size);
                estimator.choose_points(std::iter::empty());
            }
        }
    }
}
