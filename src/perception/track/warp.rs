//! How the whole picture moved from one frame to the next, told from outside.

/// Least and largest stretch of a picture between two frames that is believed.
const STRETCH: std::ops::RangeInclusive<f64> = 0.1..=10.0;
/// Farthest a picture moves between two frames, px.
const FARTHEST_PX: f64 = 1e6;

/// An affine map from pixels of the previous frame to pixels of the current one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CameraWarp {
    linear: [[f64; 2]; 2],
    shift: [f64; 2],
}

impl CameraWarp {
    /// The map `x' = a x + b y + tx, y' = c x + d y + ty` from `[a, b, tx, c, d, ty]`; `None` if it
    /// is no motion of a camera: not finite, mirrored, or stretching more than ten times.
    #[must_use]
    pub fn new([a, b, tx, c, d, ty]: [f64; 6]) -> Option<Self> {
        let warp = Self {
            linear: [[a, b], [c, d]],
            shift: [tx, ty],
        };
        let is_near = tx.abs() <= FARTHEST_PX && ty.abs() <= FARTHEST_PX;
        let is_tame = [a, b, c, d].iter().all(|part| part.abs() <= *STRETCH.end());
        (is_near && is_tame && STRETCH.contains(&warp.stretch())).then_some(warp)
    }

    /// Where a point goes, px.
    pub(super) fn point(&self, point: [f64; 2]) -> [f64; 2] {
        let [x, y] = self.direction(point);
        [x + self.shift[0], y + self.shift[1]]
    }

    /// What becomes of a difference of two points, as a velocity.
    pub(super) fn direction(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        self.linear.map(|row| row[0] * x + row[1] * y)
    }

    /// How much longer lengths become: the root of the determinant, NaN where it is negative.
    pub(super) fn stretch(&self) -> f64 {
        let [[a, b], [c, d]] = self.linear;
        (a * d - b * c).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_with_zoom_does_what_it_says() {
        // x' = -2y + 5, y' = 2x: (3, 4) goes to (-3, 6), lengths double.
        let warp = CameraWarp::new([0.0, -2.0, 5.0, 2.0, 0.0, 0.0]).unwrap();
        assert_eq!(warp.point([3.0, 4.0]), [-3.0, 6.0]);
        assert_eq!(warp.direction([3.0, 4.0]), [-8.0, 6.0]);
        assert!((warp.stretch() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn what_no_camera_does_is_refused() {
        for map in [
            [f64::NAN, 0.0, 0.0, 0.0, 1.0, 0.0],
            [1.0, 0.0, f64::INFINITY, 0.0, 1.0, 0.0],
            [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [100.0, 0.0, 0.0, 0.0, 100.0, 0.0],
        ] {
            assert_eq!(CameraWarp::new(map), None, "{map:?}");
        }
    }
}
