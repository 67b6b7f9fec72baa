//! Where an object is and how it moves: four independent filters of position and velocity.
//!
//! Centre x, centre y, width and height each have a constant-velocity Kalman filter in seconds
//! (Bar-Shalom, Li & Kirubarajan, "Estimation with Applications to Tracking and Navigation", 6.2).
//! The axes are filtered apart because their noises are independent in the usual box filters (SORT,
//! ByteTrack, BoT-SORT), so that an 8 × 8 covariance would be zero between them anyway. They are kept
//! side by side in arrays, so that one pass serves all four.

use serde::{Deserialize, Serialize};

use super::CameraWarp;
use crate::base::BBox;

/// Centre x, centre y, width, height.
const AXES: usize = 4;
/// The size wanders this much less than the position. Measured, see docs/tracking.md.
const SIZE_WALK: f64 = 0.5;
/// How much of the walk each axis has.
const WALK: [f64; AXES] = [1.0, 1.0, SIZE_WALK, SIZE_WALK];
/// Random walk of the position, as share of the object's size, per √second. Measured; ByteTrack's
/// 5 % per frame at 30 fps would be 0.27.
const POSITION_WALK: f64 = 0.18;
/// Standard deviation of the acceleration, taken as constant between two frames, in sizes per s².
///
/// Measured over sets from 7 to 30 fps. A walk of the velocity (its variance growing with dt, not
/// dt²) cannot be right for both ends of that range.
const ACCELERATION: f64 = 2.7;
/// Standard deviation of a measured edge, as share of the object's size: 1.4 times ByteTrack's 5 %.
const MEASURED: f64 = 0.07;
/// A score of 1 takes this share off the variance of the measurement (NSA, StrongSORT; measured).
const SCORE_TRUST: f64 = 0.7;
/// How much of an object something nearer hides, to the fourth, times this is added to the variance: the
/// detection of a half hidden object is one of what is left of it, or of what hides it. Measured.
const COVERED: f64 = 10.0;
/// Standard deviation of a new track's velocity, as share of its size per second: ByteTrack's
/// 10 · 0.625 % per frame at 30 fps.
const NEW_VELOCITY: f64 = 1.875;
/// No side of a box is thought smaller than this, px.
const MIN_SIDE_PX: f64 = 1.0;

/// Weight of the newest detection in the agitation. Measured.
const AGITATION_GAIN: f64 = 0.2;
/// A single detection counts as no more than this many times what was expected, so that one wrong
/// box does not make a track lose its way: three standard deviations, squared.
const AGITATION_SEEN: f32 = 9.0;
/// Least and largest agitation.
const AGITATION: [f64; 2] = [0.1, 4.0];

/// Weight of the newest pair of surprises in their correlation.
const ECHO_GAIN: f32 = 0.05;
/// A surprise counts for no more than this many standard deviations there.
const ECHO_SEEN: f32 = 3.0;

/// How each surprise follows from the one before: 0 for the noise that the filter is made for, above it
/// when the filter lags behind, below when it follows the noise of the detector (Mehra 1970).
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Echo {
    /// Along both axes, standard deviations.
    last: [f32; 2],
    /// Running means of the product of two in a row, and of the square.
    product: f32,
    square: f32,
}

impl Default for Echo {
    fn default() -> Self {
        Self {
            last: [0.0; 2],
            product: 0.0,
            square: 1.0,
        }
    }
}

impl Echo {
    fn add(&mut self, surprise: [f32; 2]) {
        let seen = surprise.map(|one| one.clamp(-ECHO_SEEN, ECHO_SEEN));
        let product = (seen[0] * self.last[0] + seen[1] * self.last[1]) / 2.0;
        let square = (seen[0] * seen[0] + seen[1] * seen[1]) / 2.0;
        self.product += ECHO_GAIN * (product - self.product);
        self.square += ECHO_GAIN * (square - self.square);
        self.last = seen;
    }

    /// -1..=1.
    fn correlation(&self) -> f32 {
        (self.product / self.square.max(f32::EPSILON)).clamp(-1.0, 1.0)
    }
}

/// The estimate of one object's box and motion.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BoxFilter {
    /// Centre x, centre y, width, height, px.
    position: [f64; AXES],
    /// px/s.
    velocity: [f64; AXES],
    covariance: [Covariance; AXES],
    /// How much less steadily than usual the centre moves: mean of the squared surprises in standard
    /// deviations (Mehra 1970, "On the identification of variances and adaptive Kalman filtering").
    /// The process noise of the centre is multiplied with it: a walker's is below 1, a dancer's above.
    agitation: f64,
    /// Of the centre, and of the size.
    echo: [Echo; 2],
}

/// Covariance of position and velocity along one axis; symmetric.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Covariance {
    position: f64,
    cross: f64,
    velocity: f64,
}

impl Covariance {
    /// Moves `dt` seconds on. `walk` is the variance of the position's walk, px² per s,
    /// `acceleration` the variance of the acceleration, px²/s⁴ (piecewise constant, Bar-Shalom 6.3.2).
    fn predict(&mut self, dt: f64, walk: f64, acceleration: f64) {
        let half = dt * dt / 2.0;
        self.position +=
            dt * (2.0 * self.cross + dt * self.velocity) + half * half * acceleration + walk * dt;
        self.cross += dt * self.velocity + half * dt * acceleration;
        self.velocity += dt * dt * acceleration;
    }

    /// Takes a measured position of this variance, and answers how much of a surprise position and
    /// velocity take over. Joseph's form, which keeps the covariance positive.
    fn update(&mut self, variance: f64) -> [f64; 2] {
        let expected = self.position + variance;
        let gain = [self.position / expected, self.cross / expected];
        let keep = 1.0 - gain[0];
        let position = keep * keep * self.position + gain[0] * gain[0] * variance;
        let cross = keep * (self.cross - gain[1] * self.position) + gain[0] * gain[1] * variance;
        // Never less than goes with the two others: after hours unseen the exact value drowns in
        // rounding.
        let velocity = self.velocity - gain[1] * self.cross;
        let velocity = velocity
            .max(cross * cross / position)
            .max(f64::MIN_POSITIVE);
        *self = Self {
            position,
            cross,
            velocity,
        };
        gain
    }

    /// Takes off what a measurement of this expected variance told, by its gains.
    fn reduce(&mut self, gain: [f64; 2], expected: f64) {
        self.position = (self.position - gain[0] * gain[0] * expected).max(f64::MIN_POSITIVE);
        self.cross -= gain[0] * gain[1] * expected;
        // Never less than goes with the two others, as in `update`.
        self.velocity = (self.velocity - gain[1] * gain[1] * expected)
            .max(self.cross * self.cross / self.position)
            .max(f64::MIN_POSITIVE);
    }

    fn stretch(&mut self, squared: f64) {
        self.position *= squared;
        self.cross *= squared;
        self.velocity *= squared;
    }
}

/// Where an object was, and how well that was known.
#[derive(Debug)]
pub(super) struct Origin {
    position: [f64; AXES],
    covariance: [Covariance; AXES],
}

impl BoxFilter {
    /// An object first seen at `bbox`, its motion unknown.
    pub fn new(bbox: &BBox) -> Self {
        let measured = measurement(bbox);
        let sizes = sizes_of(&measured);
        Self {
            position: measured,
            velocity: [0.0; AXES],
            covariance: std::array::from_fn(|axis| Covariance {
                position: (2.0 * MEASURED * sizes[axis]).powi(2),
                cross: 0.0,
                velocity: (NEW_VELOCITY * sizes[axis] * WALK[axis]).powi(2),
            }),
            agitation: 1.0,
            echo: [Echo::default(); 2],
        }
    }

    /// Moves `dt` seconds on (≥ 0). An unseen object keeps its size: `is_seen` is false.
    pub fn predict(&mut self, dt: f64, is_seen: bool) {
        if !is_seen {
            self.velocity[2] = 0.0;
            self.velocity[3] = 0.0;
        }
        let sizes = sizes_of(&self.position);
        let noise = [self.agitation, self.agitation, 1.0, 1.0];
        for axis in 0..AXES {
            self.position[axis] += dt * self.velocity[axis];
            let scale = (WALK[axis] * sizes[axis]).powi(2) * noise[axis];
            self.covariance[axis].predict(
                dt,
                POSITION_WALK.powi(2) * scale,
                ACCELERATION.powi(2) * scale,
            );
        }
    }

    /// Moves the estimate `step` px; what is known of its motion stays.
    pub fn shift(&mut self, step: [f32; 2]) {
        self.position[0] += f64::from(step[0]);
        self.position[1] += f64::from(step[1]);
    }

    /// Moves, turns and stretches the estimate as the whole picture did. Sides stay upright and
    /// stretch alike; what is known of a part is known as well after.
    pub fn warp(&mut self, warp: &CameraWarp) {
        let [x, y, ..] = self.position;
        let [vx, vy, ..] = self.velocity;
        [self.position[0], self.position[1]] = warp.point([x, y]);
        [self.velocity[0], self.velocity[1]] = warp.direction([vx, vy]);
        let stretch = warp.stretch();
        for axis in 2..AXES {
            self.position[axis] *= stretch;
            self.velocity[axis] *= stretch;
        }
        for covariance in &mut self.covariance {
            covariance.stretch(stretch * stretch);
        }
    }

    /// What a displacement is measured from: where it is before [`BoxFilter::predict`].
    pub fn origin(&self) -> Origin {
        Origin {
            position: self.position,
            covariance: self.covariance,
        }
    }

    /// Takes how far it went since `origin`, px, each axis with the standard deviation of the
    /// measurement. What is not known of where it was then stays unknown: many small steps seen do not
    /// make a place certain.
    ///
    /// The measurement is p(now) − p(then), whose covariance with the state follows from the prediction:
    /// var = P − P₀ − 2 dt C₀, cov with the position = var + dt C₀, with the velocity = C − C₀.
    pub fn displace(
        &mut self,
        origin: &Origin,
        dt: f64,
        step: [f64; AXES],
        deviation: [f64; AXES],
    ) {
        for axis in 0..AXES {
            let (now, then) = (&mut self.covariance[axis], origin.covariance[axis]);
            let shared = dt * then.cross;
            let varies = (now.position - then.position - 2.0 * shared).max(0.0);
            let expected = varies + deviation[axis].powi(2);
            if expected <= 0.0 {
                continue;
            }
            let gain = [
                (varies + shared) / expected,
                (now.cross - then.cross) / expected,
            ];
            let off = origin.position[axis] + step[axis] - self.position[axis];
            self.position[axis] += gain[0] * off;
            self.velocity[axis] += gain[1] * off;
            now.reduce(gain, expected);
        }
    }

    /// Stands still from here on, as far as is known; how well that is known stays.
    pub fn stand(&mut self) {
        self.velocity = [0.0; AXES];
    }

    /// Its size, px: the mean of width and height.
    pub fn size(&self) -> f64 {
        let [width, height, ..] = sizes_of(&self.position);
        (width + height) / 2.0
    }

    /// Standard deviation of the centre as share of the size, the larger of both axes.
    pub fn doubt(&self) -> f64 {
        let sizes = sizes_of(&self.position);
        let share = |axis: usize| self.covariance[axis].position.sqrt() / sizes[axis];
        share(0).max(share(1))
    }

    /// Takes the box of a detection with this confidence, 0..=1, of which something nearer hides the
    /// share `cover`, 0..=1.
    pub fn update(&mut self, bbox: &BBox, confidence: f32, cover: f32) {
        let measured = measurement(bbox);
        let sizes = sizes_of(&self.position);
        let covered = 1.0 + COVERED * f64::from(cover).powi(4);
        let trust = (1.0 - SCORE_TRUST * f64::from(confidence)) * MEASURED.powi(2) * covered;
        let mut surprise = [0f32; AXES];
        for axis in 0..AXES {
            let variance = trust * sizes[axis] * sizes[axis];
            let off = measured[axis] - self.position[axis];
            let expected = self.covariance[axis].position + variance;
            surprise[axis] = off as f32 / (expected as f32).sqrt();
            let gain = self.covariance[axis].update(variance);
            self.position[axis] += gain[0] * off;
            self.velocity[axis] += gain[1] * off;
        }
        let [x, y, width, height] = surprise;
        self.echo[0].add([x, y]);
        self.echo[1].add([width, height]);
        let seen = f64::from((x * x).min(AGITATION_SEEN) + (y * y).min(AGITATION_SEEN)) / 2.0;
        let [least, most] = AGITATION;
        self.agitation += AGITATION_GAIN * (seen - self.agitation);
        self.agitation = self.agitation.clamp(least, most);
    }

    /// The estimated box, or `None` where single precision cannot hold it.
    pub fn bbox(&self) -> Option<BBox> {
        let [width, height, ..] = sizes_of(&self.position);
        BBox::from_cxcywh(
            self.position[0] as f32,
            self.position[1] as f32,
            width as f32,
            height as f32,
        )
    }

    /// How far the centre of a box is from where the object is expected, in standard deviations.
    pub fn apart(&self, bbox: &BBox) -> f64 {
        let (measured, sizes) = (measurement(bbox), sizes_of(&self.position));
        let squared = |axis: usize| {
            let variance = self.covariance[axis].position + (MEASURED * sizes[axis]).powi(2);
            (measured[axis] - self.position[axis]).powi(2) / variance
        };
        (squared(0) + squared(1)).sqrt()
    }

    /// How the surprises of the centre and of the size follow from each other, -1..=1: near 1 where the
    /// estimate lags behind the detections, near 0 or below where these jump about it.
    pub fn lag(&self) -> [f32; 2] {
        self.echo.map(|echo| echo.correlation())
    }

    /// The estimated height, px.
    pub fn height(&self) -> f64 {
        sizes_of(&self.position)[3]
    }

    /// Velocity of the centre, px/s.
    pub fn velocity(&self) -> [f32; 2] {
        [self.velocity[0] as f32, self.velocity[1] as f32]
    }
}

fn measurement(bbox: &BBox) -> [f64; AXES] {
    [bbox.cx(), bbox.cy(), bbox.width(), bbox.height()].map(f64::from)
}

/// What each axis is measured by: the width those along x, the height those along y.
fn sizes_of(position: &[f64; AXES]) -> [f64; AXES] {
    let (width, height) = (position[2].max(MIN_SIDE_PX), position[3].max(MIN_SIDE_PX));
    [width, height, width, height]
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
            filter.update(&square(10.0 * frame as f32), 0.9, 0.0);
        }
        assert!((filter.velocity()[0] - 300.0).abs() < 3.0);
        for _ in 0..15 {
            filter.predict(1.0 / 30.0, false);
        }
        assert!((filter.bbox().unwrap().cx() - 750.0).abs() < 4.0);
    }

    #[test]
    fn a_displacement_seen_is_followed_and_makes_no_place_certain() {
        // Believed to stand; the picture shows 8 px per frame for 10 frames: 80 px, 240 px/s.
        let mut filter = BoxFilter::new(&square(0.0));
        for _ in 0..20 {
            filter.predict(1.0 / 30.0, true);
            filter.update(&square(0.0), 0.9, 0.0);
        }
        let known = filter.doubt();
        for _ in 0..10 {
            let origin = filter.origin();
            filter.predict(1.0 / 30.0, true);
            filter.displace(&origin, 1.0 / 30.0, [8.0, 0.0, 0.0, 0.0], [0.4; 4]);
        }
        // Some lag is left of the calm before: a quarter of its size at most.
        assert!((filter.bbox().unwrap().cx() - 80.0).abs() < 10.0);
        // The velocity follows more slowly than the place.
        assert!((100.0..300.0).contains(&filter.velocity()[0]));
        assert!(filter.doubt() > known);
        // Without the picture it is known far less well.
        let mut blind = BoxFilter::new(&square(0.0));
        for _ in 0..20 {
            blind.predict(1.0 / 30.0, true);
            blind.update(&square(0.0), 0.9, 0.0);
        }
        (0..10).for_each(|_| blind.predict(1.0 / 30.0, true));
        assert!(blind.doubt() > 1.5 * filter.doubt());
    }

    #[test]
    fn a_confident_detection_pulls_harder() {
        let pulled = |confidence| {
            let mut filter = BoxFilter::new(&square(0.0));
            filter.predict(1.0 / 30.0, true);
            filter.update(&square(10.0), confidence, 0.0);
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
            filter.update(&BBox::from_cxcywh(0.0, 0.0, side, side).unwrap(), 0.9, 0.0);
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
            filter.update(&square(10.0 * frame as f32), 0.9, 0.0);
        }
        filter.warp(&CameraWarp::new([0.0, -2.0, 0.0, 2.0, 0.0, 0.0]).unwrap());
        let bbox = filter.bbox().unwrap();
        assert!((bbox.cx() + 200.0).abs() < 1.0 && (bbox.cy() - 1200.0).abs() < 4.0);
        assert!((bbox.width() - 80.0).abs() < 1.0);
        let [vx, vy] = filter.velocity();
        assert!(vx.abs() < 3.0 && (vy - 600.0).abs() < 6.0);
    }

    #[test]
    fn a_restless_object_is_followed_more_closely_than_a_steady_one() {
        // Both are seen 10 px to the right of where they were; one has been jumping to and fro.
        let followed = |jump: f32| {
            let mut filter = BoxFilter::new(&square(0.0));
            for frame in 0..40 {
                filter.predict(1.0 / 30.0, true);
                let side = if frame % 2 == 0 { jump } else { -jump };
                filter.update(&square(side), 0.9, 0.0);
            }
            let before = filter.bbox().unwrap().cx();
            filter.predict(1.0 / 30.0, true);
            filter.update(&square(before + 10.0), 0.9, 0.0);
            filter.bbox().unwrap().cx() - before
        };
        assert!(followed(12.0) > followed(0.5) + 1.0);
    }

    #[test]
    fn a_covered_detection_pulls_the_estimate_less() {
        let pulled = |cover| {
            let mut filter = BoxFilter::new(&square(0.0));
            for _ in 0..10 {
                filter.predict(1.0 / 30.0, true);
                filter.update(&square(0.0), 0.9, 0.0);
            }
            filter.predict(1.0 / 30.0, true);
            filter.update(&square(10.0), 0.9, cover);
            filter.bbox().unwrap().cx()
        };
        assert!(pulled(1.0) < pulled(0.5) && pulled(0.5) < pulled(0.0));
        assert!(pulled(1.0) < 0.2 * pulled(0.0), "{}", pulled(1.0));
    }

    #[test]
    fn the_lag_tells_a_turn_from_noise() {
        let lag = |place: fn(f64) -> f64| {
            let mut filter = BoxFilter::new(&square(0.0));
            for frame in 1..=90 {
                filter.predict(1.0 / 30.0, true);
                filter.update(&square(place(f64::from(frame)) as f32), 0.9, 0.0);
            }
            filter.lag()
        };
        let swings = lag(|frame| 40.0 * (frame / 8.0).sin());
        let jumps = lag(|frame| if frame % 2.0 == 0.0 { 3.0 } else { -3.0 });
        assert!(swings[0] > 0.2, "{swings:?}");
        assert!(jumps[0] < 0.0, "{jumps:?}");
        assert!([swings[1], jumps[1]].iter().all(|size| size.abs() < 1e-6));
    }

    proptest! {
        #[test]
        fn covariance_stays_symmetric_and_positive(
            steps in prop::collection::vec(
                (0.0f64..20_000.0, prop::option::of((-1e6f32..1e6, 1e-3f32..1e6, 0.0f32..=1.0, 0.0f32..=1.0))), 1..60)
        ) {
            let mut filter = BoxFilter::new(&square(0.0));
            for (dt, seen) in steps {
                filter.predict(dt, seen.is_some());
                if let Some((centre, side, score, cover)) = seen {
                    let bbox = BBox::from_cxcywh(centre, centre, side, side);
                    filter.update(&bbox.unwrap_or(square(0.0)), score, cover);
                }
                prop_assert!(filter.lag().iter().all(|lag| (-1.0..=1.0).contains(lag)));
                prop_assert!(filter.position.iter().chain(&filter.velocity).all(|value| value.is_finite()));
                for p in &filter.covariance {
                    prop_assert!([p.position, p.cross, p.velocity].iter().all(|value| value.is_finite()));
                    // Positive: both variances, and the correlation within ±1 up to rounding.
                    prop_assert!(p.position > 0.0 && p.velocity > 0.0);
                    prop_assert!(p.cross.powi(2) <= p.position * p.velocity * (1.0 + 1e-9));
                }
            }
        }
    }
}
