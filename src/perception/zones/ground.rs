//! Picture → ground by a homography, and speed over ground with its uncertainty.

use std::collections::VecDeque;

use geo::{Coord, Covers, LineString, Point, Polygon};
use nalgebra::{Matrix3, SMatrix, SVector, Vector3};
use serde::{Deserialize, Serialize};

use super::plan::CalibrationPlan;
use crate::base::{Pts, Size, Speed, SpeedUnit};

/// A speed is measured over the newest sightings of this long, s.
const WINDOW_SECS: f64 = 1.0;

/// Least time between first and last sighting of a measurement, s.
const MIN_SPAN_SECS: f64 = 0.4;

/// Fewest sightings of a measurement.
const MIN_SIGHTINGS: usize = 4;

/// Most sightings kept, so that a fast camera costs no more: the oldest go.
const MAX_SIGHTINGS: usize = 64;

/// How well the bottom of a box marks where the object stands, share of its size: one standard
/// deviation of good detectors' boxes (about 2 px of an object 100 px large).
const BOX_NOISE: f64 = 0.02;

/// Neighbouring places err alike because the tracker smooths them: so many count as one.
const ALIKE: f64 = 3.0;

/// Coverage factor of the published uncertainty: about 95 %.
/// Source: JCGM 100:2008 (GUM), 6.2 and 6.3.
const COVERAGE: f64 = 2.0;

/// The calibrated part of a frame.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// Where it holds, px.
    quad: Polygon,
    /// Frame px → m.
    metres_from_px: Matrix3<f64>,
    unit: SpeedUnit,
    /// How well distances on the ground are known, share.
    share: f64,
}

impl Ground {
    /// The calibration on a frame of this size; `None` if its corners decide no mapping, which valid
    /// shapes do.
    pub fn new(plan: &CalibrationPlan, size: Size) -> Option<Self> {
        let corners = plan.image.on_frame(size);
        Some(Self {
            quad: Polygon::new(LineString::from(corners.to_vec()), Vec::new()),
            metres_from_px: homography(&corners, &plan.ground_m)?,
            unit: plan.unit,
            share: plan.ground_share,
        })
    }

    /// Where a point of the frame (px) is on the ground, m; `None` outside the calibrated part.
    pub fn metres(&self, point: Coord) -> Option<[f64; 2]> {
        self.quad.covers(&Point(point)).then(|| self.mapped(point))
    }

    fn mapped(&self, point: Coord) -> [f64; 2] {
        let mapped = self.metres_from_px * Vector3::new(point.x, point.y, 1.0);
        [mapped.x / mapped.z, mapped.y / mapped.z]
    }

    /// How far on the ground one pixel is here at most, m.
    fn metres_per_px(&self, point: Coord) -> f64 {
        let here = self.mapped(point);
        let beside = |x: f64, y: f64| {
            let there = self.mapped(point + Coord { x, y });
            (there[0] - here[0]).hypot(there[1] - here[1])
        };
        beside(1.0, 0.0).max(beside(0.0, 1.0))
    }
}

/// The 3 × 3 matrix that maps four points of the frame (px) to the ground (m), by solving its eight
/// linear equations; the ninth element is 1.
///
/// Source: Hartley & Zisserman, Multiple View Geometry, 2nd edition, section 4.1 (inhomogeneous DLT).
fn homography(image: &[Coord; 4], ground: &[[f64; 2]; 4]) -> Option<Matrix3<f64>> {
    // Seen from the middle of the four points, where the ninth element cannot be 0 (the horizon, on
    // which it is, lies outside of them), and scaled to about 1, so that the equations are well
    // conditioned.
    let middle = image.iter().fold(Coord::zero(), |sum, p| sum + *p) / 4.0;
    let scale = image.iter().fold(1.0, |most: f64, p| {
        most.max((p.x - middle.x).abs()).max((p.y - middle.y).abs())
    });
    let mut equations = SMatrix::<f64, 8, 8>::zeros();
    let mut values = SVector::<f64, 8>::zeros();
    for (index, (point, &[east, north])) in image.iter().zip(ground).enumerate() {
        let (x, y) = ((point.x - middle.x) / scale, (point.y - middle.y) / scale);
        let rows = [
            [x, y, 1.0, 0.0, 0.0, 0.0, -east * x, -east * y],
            [0.0, 0.0, 0.0, x, y, 1.0, -north * x, -north * y],
        ];
        for (offset, (row, value)) in rows.into_iter().zip([east, north]).enumerate() {
            for (column, element) in row.into_iter().enumerate() {
                equations[(2 * index + offset, column)] = element;
            }
            values[2 * index + offset] = value;
        }
    }
    let h = equations.lu().solve(&values)?;
    let scaled = Matrix3::new(h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], 1.0);
    let to_middle = Matrix3::new_translation(&[-middle.x, -middle.y].into());
    let to_scale = Matrix3::new_nonuniform_scaling(&[1.0 / scale; 2].into());
    Some(scaled * to_scale * to_middle)
}

/// Where an object was on the ground of late.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct GroundTrail {
    /// When, m; oldest first.
    places: VecDeque<(Pts, [f64; 2])>,
    /// One standard deviation of the newest place, m.
    noise: f64,
}

impl GroundTrail {
    /// Takes in where the object was seen: `point` and `size` (mean of width and height) in px.
    pub fn observe(&mut self, ground: &Ground, point: Coord, size: f64, now: Pts) {
        let Some(metres) = ground.metres(point) else {
            return self.places.clear();
        };
        self.noise = BOX_NOISE * size * ground.metres_per_px(point);
        self.places.push_back((now, metres));
        let is_old = |first: &(Pts, [f64; 2])| now.secs_since(first.0) > WINDOW_SECS;
        while self.places.front().is_some_and(is_old) || self.places.len() > MAX_SIGHTINGS {
            self.places.pop_front();
        }
    }

    /// How fast it is, with the uncertainty of the slope of a straight fit, of the boxes and of the
    /// calibration; `None` until it has been seen long enough inside the calibrated part.
    pub fn speed(&self, ground: &Ground) -> Option<Speed> {
        let (first, last) = (self.places.front()?, self.places.back()?);
        let count = self.places.len();
        if count < MIN_SIGHTINGS || last.0.secs_since(first.0) < MIN_SPAN_SECS {
            return None;
        }
        let times: Vec<f64> = self
            .places
            .iter()
            .map(|it| it.0.secs_since(first.0))
            .collect();
        let fits = [0, 1].map(|axis| fit(&times, self.places.iter().map(|it| it.1[axis])));
        let slope = fits[0].slope.hypot(fits[1].slope);
        // Both axes share one scatter; each fit has used up two of its places.
        let scatter = (fits[0].squares + fits[1].squares) / (2 * (count - 2)) as f64;
        let place = scatter.sqrt().max(self.noise);
        let of_fit = place * (ALIKE / fits[0].spread).sqrt();
        let uncertainty = COVERAGE * of_fit.hypot(ground.share * slope);
        let factor = ground.unit.per_metre_per_second();
        Some(Speed {
            value: (slope * factor) as f32,
            uncertainty: (uncertainty * factor) as f32,
            unit: ground.unit,
        })
    }
}

struct Fit {
    slope: f64,
    /// Sum of squares left over.
    squares: f64,
    /// Sum of squared distances of the times from their mean, s².
    spread: f64,
}

/// Least squares line of `values` over `times`.
fn fit(times: &[f64], values: impl Iterator<Item = f64>) -> Fit {
    let values: Vec<f64> = values.collect();
    let count = times.len() as f64;
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / count;
    let (mean_time, mean_value) = (mean(times), mean(&values));
    let spread: f64 = times.iter().map(|t| (t - mean_time).powi(2)).sum();
    let pairs = || times.iter().zip(&values);
    let product: f64 = pairs()
        .map(|(t, v)| (t - mean_time) * (v - mean_value))
        .sum();
    let slope = product / spread;
    let left = |(t, v): (&f64, &f64)| (v - mean_value - slope * (t - mean_time)).powi(2);
    Fit {
        slope,
        squares: pairs().map(left).sum(),
        spread,
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::QuadShape;
    use super::*;

    const FRAME: Size = Size {
        width: 1000,
        height: 500,
    };

    /// A road 8 m wide and 40 m long, narrower far away.
    fn road(unit: SpeedUnit) -> Ground {
        let image = [[0.4, 0.2], [0.6, 0.2], [0.9, 0.9], [0.1, 0.9]];
        let plan = CalibrationPlan {
            image: QuadShape::new(&image).unwrap(),
            ground_m: [[0.0, 40.0], [8.0, 40.0], [8.0, 0.0], [0.0, 0.0]],
            unit,
            ground_share: 0.02,
        };
        Ground::new(&plan, FRAME).unwrap()
    }

    /// Where a place on the road is in the picture: the inverse of the mapping under test, which is
    /// checked by `corners_map_to_corners`.
    fn seen_at(ground: &Ground, east: f64, north: f64) -> Coord {
        let inverse = ground.metres_from_px.try_inverse().unwrap();
        let p = inverse * Vector3::new(east, north, 1.0);
        Coord {
            x: p.x / p.z,
            y: p.y / p.z,
        }
    }

    #[test]
    fn a_level_camera_whose_horizon_is_the_top_of_the_picture_is_calibrated() {
        // The edges of the road meet at the top: there the ninth element of the map would be 0.
        let image = [[0.45, 0.2], [0.55, 0.2], [0.7, 0.8], [0.3, 0.8]];
        let ground_m = [[0.0, 20.0], [7.0, 20.0], [7.0, 0.0], [0.0, 0.0]];
        let plan = CalibrationPlan {
            image: QuadShape::new(&image).unwrap(),
            ground_m,
            unit: SpeedUnit::Kmh,
            ground_share: 0.02,
        };
        for (width, height) in [(1920, 1080), (1000, 1000), (640, 360)] {
            let ground = Ground::new(&plan, Size { width, height }).unwrap();
            for ([x, y], expected) in image.into_iter().zip(ground_m) {
                let got = ground.mapped(Coord {
                    x: x * f64::from(width),
                    y: y * f64::from(height),
                });
                let off = (got[0] - expected[0]).hypot(got[1] - expected[1]);
                assert!(off < 1e-6, "{got:?}, not {expected:?}");
            }
        }
    }

    #[test]
    fn corners_map_to_corners_and_the_middle_is_not_in_the_middle() {
        let ground = road(SpeedUnit::Kmh);
        let near = |point: [f64; 2], expected: [f64; 2]| {
            let got = ground.mapped(point.into());
            let off = (got[0] - expected[0]).hypot(got[1] - expected[1]);
            assert!(off < 1e-6, "{got:?}, not {expected:?}");
        };
        near([400.0, 100.0], [0.0, 40.0]);
        near([600.0, 100.0], [8.0, 40.0]);
        near([900.0, 450.0], [8.0, 0.0]);
        near([100.0, 450.0], [0.0, 0.0]);
        // By hand: the road's width in px is 200 at y = 100 and 800 at y = 450, so depth runs with
        // 1/width; halfway (y = 275, width 500) the inverse widths give 40 m · (1/500 − 1/800) /
        // (1/200 − 1/800) = 8 m.
        near([500.0, 275.0], [4.0, 8.0]);
    }

    #[test]
    fn outside_the_calibrated_part_nothing_is_known() {
        let ground = road(SpeedUnit::Kmh);
        assert!(ground.metres(Coord { x: 150.0, y: 120.0 }).is_none());
        assert!(ground.metres(Coord { x: 500.0, y: 470.0 }).is_none());
        assert!(ground.metres(Coord { x: 500.0, y: 300.0 }).is_some());
    }

    /// A car that does 10 m/s up the road, seen at 25 frames per second, its place off by `noise` px.
    fn measured(unit: SpeedUnit, noise: f64) -> Option<Speed> {
        let ground = road(unit);
        let mut random = fastrand::Rng::with_seed(7);
        let mut trail = GroundTrail::default();
        for frame in 0..25_u64 {
            let secs = frame as f64 / 25.0;
            let mut point = seen_at(&ground, 4.0, 5.0 + 10.0 * secs);
            point.x += noise * (random.f64() - 0.5);
            point.y += noise * (random.f64() - 0.5);
            trail.observe(&ground, point, 60.0, Pts(frame * 40_000_000));
        }
        trail.speed(&ground)
    }

    #[test]
    fn ten_metres_per_second_are_36_km_h_and_22_37_mph() {
        let kmh = measured(SpeedUnit::Kmh, 0.0).unwrap();
        assert!((kmh.value - 36.0).abs() < 0.01, "{kmh:?}");
        let mph = measured(SpeedUnit::Mph, 0.0).unwrap();
        assert!((mph.value - 22.369).abs() < 0.01, "{mph:?}");
    }

    #[test]
    fn the_uncertainty_covers_what_noise_does() {
        let noisy = measured(SpeedUnit::Kmh, 2.0).unwrap();
        assert!((noisy.value - 36.0).abs() < noisy.uncertainty, "{noisy:?}");
        assert!(noisy.uncertainty < 12.0, "{noisy:?}");
        // Never better than the calibration: two times 2 % of 36.
        assert!(measured(SpeedUnit::Kmh, 0.0).unwrap().uncertainty > 1.44);
    }

    #[test]
    fn leaving_the_calibrated_part_ends_the_measurement() {
        let ground = road(SpeedUnit::Kmh);
        let mut trail = GroundTrail::default();
        for frame in 0..10_u64 {
            let point = seen_at(&ground, 4.0, 5.0 + frame as f64);
            trail.observe(&ground, point, 60.0, Pts(frame * 100_000_000));
        }
        assert!(trail.speed(&ground).is_some());
        trail.observe(
            &ground,
            Coord { x: 10.0, y: 10.0 },
            60.0,
            Pts(1_000_000_000),
        );
        assert!(trail.speed(&ground).is_none());
    }
}
