//! Where an object is and how it moves: four independent filters of position and velocity.
//!
//! Centre x, centre y, width and height each have a constant-velocity Kalman filter in seconds
//! (Bar-Shalom, Li & Kirubarajan, "Estimation with Applications to Tracking and Navigation", 6.2).
//! The axes are filtered apart because their noises are independent in the usual box filters (SORT,
//! ByteTrack, BoT-SORT), so that an 8 × 8 covariance would be zero between them anyway.

use nalgebra::{Matrix2, Vector2};

use crate::base::BBox;

/// Random walk of the position, as share of the object's size, per √second.
///
/// 5 % of the size per frame at 30 fps (ByteTrack), as a density: 0.05 · √30.
const POSITION_WALK: f64 = 0.274;
/// Random walk of the velocity, as share of the object's size per second, per √second.
///
/// 0.7 · 0.625 % of the size per frame² at 30 fps, as a density: 0.0044 · 30 · √30.
const VELOCITY_WALK: f64 = 0.72;
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

    /// Moves `dt` seconds on; the walks are standard deviations per √second.
    fn predict(&mut self, dt: f64, position_walk: f64, velocity_walk: f64) {
        let motion = Matrix2::new(1.0, dt, 0.0, 1.0);
        self.state = motion * self.state;
        let drift = velocity_walk.powi(2);
        let cross = drift * dt * dt / 2.0;
        let noise = Matrix2::new(
            position_walk.powi(2) * dt + drift * dt.powi(3) / 3.0,
            cross,
            cross,
            drift * dt,
        );
        self.covariance = symmetric(motion * self.covariance * motion.transpose() + noise);
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
        self.cx
            .predict(dt, POSITION_WALK * width, VELOCITY_WALK * width);
        self.cy
            .predict(dt, POSITION_WALK * height, VELOCITY_WALK * height);
        let (position, velocity) = (POSITION_WALK * SIZE_WALK, VELOCITY_WALK * SIZE_WALK);
        self.width.predict(dt, position * width, velocity * width);
        self.height
            .predict(dt, position * height, velocity * height);
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
