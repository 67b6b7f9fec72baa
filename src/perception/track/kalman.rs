//! Where an object is and how it moves: four independent filters of position and velocity.
//!
//! Centre x, centre y, width and height each have a constant-velocity Kalman filter in seconds
//! (Bar-Shalom, Li & Kirubarajan, "Estimation with Applications to Tracking and Navigation", 6.2).
//! The axes are filtered apart because their noises are independent in the usual box filters (SORT,
//! ByteTrack, BoT-SORT), so that an 8 × 8 covariance would be zero between them anyway.

use nalgebra::{Matrix2, Vector2};

use super::CameraWarp;
use crate::base::BBox;

/// Random walk of the position, as share of the object's size, per √second.
///
/// 5 % of the size per frame at 30 fps (ByteTrack), as a density: 0.05 · √30.
const POSITION_WALK: f64 = 0.274;
/// Standard deviation of the acceleration, taken as constant between two frames, in sizes per s².
///
/// Measured: 2.2 is best over sets from 7 to 30 fps. A walk of the velocity (its variance growing
/// with dt, not dt²) cannot be right for both ends of that range.
const ACCELERATION: f64 = 2.2;
/// The size wanders this much less than the position. Measured: 0.5 is best over five sets.
const SIZE_WALK: f64 = 0.5;
/// Standard deviation of a measured edge, as share of the object's size: 1.4 times ByteTrack's 5 %.
const MEASURED: f64 = 0.07;
/// A score of 1 takes this share off the variance of the measurement (NSA, StrongSORT).
const SCORE_TRUST: f64 = 0.5;
/// Standard deviation of a new track's velocity, as share of its size per second: ByteTrack's
/// 10 · 0.625 % per frame at 30 fps.
const NEW_VELOCITY: f64 = 1.875;
/// No side of a box is thought smaller than this, px.
const MIN_SIDE_PX: f64 = 1.0;

/// Position and velocity along one axis.
#[derive(Debug, Clone)]
struct Axis {
    /// Position px, velocity px/s.
    state: Vector2<f64>,
    covariance: Matrix2<f64>,
}

impl Axis {
    fn new(position: f64, position_std: f64, velocity_std: f64) -> Self {
        Self {
            state: Vector2::new(position, 0.0),
            covariance: Matrix2::from_diagonal(&Vector2::new(
                position_std.powi(2),
                velocity_std.powi(2),
            )),
        }
    }

    /// Moves `dt` seconds on. `walk` is the random walk of the position, px per √s, `acceleration`
    /// the standard deviation of the acceleration, px/s² (piecewise constant, Bar-Shalom 6.3.2).
    fn predict(&mut self, dt: f64, walk: f64, acceleration: f64) {
        let motion = Matrix2::new(1.0, dt, 0.0, 1.0);
        self.state = motion * self.state;
        let push = Vector2::new(dt * dt / 2.0, dt) * acceleration;
        let wander = Matrix2::new(walk.powi(2) * dt, 0.0, 0.0, 0.0);
        self.covariance = symmetric(
            motion * self.covariance * motion.transpose() + push * push.transpose() + wander,
        );
    }

    /// Takes a measured position; Joseph's form, which keeps the covariance positive.
    fn update(&mut self, measured: f64, measured_std: f64) {
        let variance = measured_std.powi(2);
        let gain = self.covariance.column(0) / (self.covariance[(0, 0)] + variance);
        self.state += gain * (measured - self.state[0]);
        let keep = Matrix2::new(1.0 - gain[0], 0.0, -gain[1], 1.0);
        self.covariance = symmetric(
            keep * self.covariance * keep.transpose() + gain * gain.transpose() * variance,
        );
    }
}

fn symmetric(matrix: Matrix2<f64>) -> Matrix2<f64> {
    let cross = (matrix[(0, 1)] + matrix[(1, 0)]) / 2.0;
    Matrix2::new(matrix[(0, 0)], cross, cross, matrix[(1, 1)])
}

/// The estimate of one object's box and motion.
#[derive(Debug, Clone)]
pub(super) struct BoxFilter {
    cx: Axis,
    cy: Axis,
    width: Axis,
    height: Axis,
}

impl BoxFilter {
    /// An object first seen at `bbox`, its motion unknown.
    pub fn new(bbox: &BBox) -> Self {
        let (width, height) = (f64::from(bbox.width()), f64::from(bbox.height()));
        let axis = |position: f32, size: f64, scale: f64| {
            Axis::new(
                f64::from(position),
                2.0 * MEASURED * size,
                NEW_VELOCITY * size * scale,
            )
        };
        Self {
            cx: axis(bbox.cx(), width, 1.0),
            cy: axis(bbox.cy(), height, 1.0),
            width: axis(bbox.width(), width, SIZE_WALK),
            height: axis(bbox.height(), height, SIZE_WALK),
        }
    }

    /// Moves `dt` seconds on (≥ 0). An unseen object keeps its size: `is_seen` is false.
    pub fn predict(&mut self, dt: f64, is_seen: bool) {
        if !is_seen {
            self.width.state[1] = 0.0;
            self.height.state[1] = 0.0;
        }
        let (width, height) = self.size();
        let move_on = |axis: &mut Axis, size: f64| {
            axis.predict(dt, POSITION_WALK * size, ACCELERATION * size);
        };
        move_on(&mut self.cx, width);
        move_on(&mut self.cy, height);
        move_on(&mut self.width, SIZE_WALK * width);
        move_on(&mut self.height, SIZE_WALK * height);
    }

    /// Moves the estimate `step` px; what is known of its motion stays.
    pub fn shift(&mut self, step: [f32; 2]) {
        self.cx.state[0] += f64::from(step[0]);
        self.cy.state[0] += f64::from(step[1]);
    }

    /// Moves, turns and stretches the estimate as the whole picture did. Sides stay upright and
    /// stretch alike; what is known of a part is known as well after.
    pub fn warp(&mut self, warp: &CameraWarp) {
        for order in 0..2 {
            let pair = [self.cx.state[order], self.cy.state[order]];
            let [x, y] = match order {
                0 => warp.point(pair),
                _ => warp.direction(pair),
            };
            (self.cx.state[order], self.cy.state[order]) = (x, y);
        }
        let stretch = warp.stretch();
        self.width.state *= stretch;
        self.height.state *= stretch;
        for axis in [
            &mut self.cx,
            &mut self.cy,
            &mut self.width,
            &mut self.height,
        ] {
            axis.covariance *= stretch * stretch;
        }
    }

    /// Takes the box of a detection with this confidence, 0..=1.
    pub fn update(&mut self, bbox: &BBox, confidence: f32) {
        let (width, height) = self.size();
        let trust = (1.0 - SCORE_TRUST * f64::from(confidence)).sqrt() * MEASURED;
        self.cx.update(f64::from(bbox.cx()), trust * width);
        self.cy.update(f64::from(bbox.cy()), trust * height);
        self.width.update(f64::from(bbox.width()), trust * width);
        self.height.update(f64::from(bbox.height()), trust * height);
    }

    /// The estimated box, or `None` where single precision cannot hold it.
    pub fn bbox(&self) -> Option<BBox> {
        let (width, height) = self.size();
        BBox::from_cxcywh(
            self.cx.state[0] as f32,
            self.cy.state[0] as f32,
            width as f32,
            height as f32,
        )
    }

    /// Velocity of the centre, px/s.
    pub fn velocity(&self) -> [f32; 2] {
        [self.cx.state[1] as f32, self.cy.state[1] as f32]
    }

    fn size(&self) -> (f64, f64) {
        (
            self.width.state[0].max(MIN_SIDE_PX),
            self.height.state[0].max(MIN_SIDE_PX),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn square(cx: f32) -> BBox {
        BBox::from_cxcywh(cx, 100.0, 40.0, 40.0).unwrap()
    }

    #[test]
    fn a_steady_motion_is_learnt_and_kept() {
        // 300 px/s seen at 30 fps for 2 s, then 0.5 s unseen: the true centre is 600 + 150.
        let mut filter = BoxFilter::new(&square(0.0));
        for frame in 1..=60 {
            filter.predict(1.0 / 30.0, true);
            filter.update(&square(10.0 * frame as f32), 0.9);
        }
        assert!((filter.velocity()[0] - 300.0).abs() < 3.0);
        for _ in 0..15 {
            filter.predict(1.0 / 30.0, false);
        }
        assert!((filter.bbox().unwrap().cx() - 750.0).abs() < 4.0);
    }

    #[test]
    fn a_confident_detection_pulls_harder() {
        let pulled = |confidence| {
            let mut filter = BoxFilter::new(&square(0.0));
            filter.predict(1.0 / 30.0, true);
            filter.update(&square(10.0), confidence);
            filter.bbox().unwrap().cx()
        };
        assert!(pulled(0.95) > pulled(0.3));
    }

    #[test]
    fn an_unseen_object_keeps_its_size() {
        let mut filter = BoxFilter::new(&square(0.0));
        for frame in 1..=10 {
            let side = 40.0 + 4.0 * frame as f32;
            filter.predict(0.1, true);
            filter.update(&BBox::from_cxcywh(0.0, 0.0, side, side).unwrap(), 0.9);
        }
        let before = filter.bbox().unwrap();
        filter.predict(1.0, false);
        assert!((filter.bbox().unwrap().width() - before.width()).abs() < 1e-3);
    }

    #[test]
    fn a_turned_and_zoomed_picture_takes_the_motion_along() {
        // 300 px/s to the right; then a quarter turn with zoom 2, x' = -2y, y' = 2x.
        let mut filter = BoxFilter::new(&square(0.0));
        for frame in 1..=60 {
            filter.predict(1.0 / 30.0, true);
            filter.update(&square(10.0 * frame as f32), 0.9);
        }
        filter.warp(&CameraWarp::new([0.0, -2.0, 0.0, 2.0, 0.0, 0.0]).unwrap());
        let bbox = filter.bbox().unwrap();
        assert!((bbox.cx() + 200.0).abs() < 1.0 && (bbox.cy() - 1200.0).abs() < 4.0);
        assert!((bbox.width() - 80.0).abs() < 1.0);
        let [vx, vy] = filter.velocity();
        assert!(vx.abs() < 3.0 && (vy - 600.0).abs() < 6.0);
    }

    proptest! {
        #[test]
        fn covariance_stays_symmetric_and_positive(
            steps in prop::collection::vec(
                (0.0f64..100.0, prop::option::of((-1e6f32..1e6, 1e-3f32..1e6, 0.0f32..=1.0))), 1..60)
        ) {
            let mut filter = BoxFilter::new(&square(0.0));
            for (dt, seen) in steps {
                filter.predict(dt, seen.is_some());
                if let Some((centre, side, score)) = seen {
                    let bbox = BBox::from_cxcywh(centre, centre, side, side);
                    filter.update(&bbox.unwrap_or(square(0.0)), score);
                }
                for axis in [&filter.cx, &filter.cy, &filter.width, &filter.height] {
                    let p = &axis.covariance;
                    prop_assert!(axis.state.iter().chain(p.iter()).all(|value| value.is_finite()));
                    prop_assert_eq!(p[(0, 1)].to_bits(), p[(1, 0)].to_bits());
                    // Positive: both variances, and the correlation within ±1 up to rounding.
                    prop_assert!(p[(0, 0)] > 0.0 && p[(1, 1)] > 0.0);
                    let product = p[(0, 0)] * p[(1, 1)];
                    prop_assert!(p[(0, 1)].powi(2) <= product * (1.0 + 1e-9));
                }
            }
        }
    }
}
