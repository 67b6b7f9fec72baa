//! Boxes in double precision, as scoring needs them.

/// A box in frame pixels, y down, right and bottom exclusive, in double precision.
///
/// Scores are compared with those of other programs digit by digit, which single precision
/// ([`crate::base::BBox`]) does not allow. A box without area overlaps nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Left edge, px.
    pub left: f64,
    /// Top edge, px.
    pub top: f64,
    /// Right edge, px.
    pub right: f64,
    /// Bottom edge, px.
    pub bottom: f64,
}

impl Rect {
    /// Height, px.
    #[must_use]
    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }

    fn area(&self) -> f64 {
        (self.right - self.left) * (self.bottom - self.top)
    }

    fn intersection(&self, other: &Self) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union, 0..=1.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f64 {
        let (area, other_area) = (self.area(), other.area());
        let shared = self.intersection(other);
        let union = area + other_area - shared;
        if area <= f64::EPSILON || other_area <= f64::EPSILON || union <= f64::EPSILON {
            0.0
        } else {
            shared / union
        }
    }

    /// Part of this box that lies inside `region`, 0..=1.
    #[must_use]
    pub fn share_inside(&self, region: &Self) -> f64 {
        let area = self.area();
        if area <= f64::EPSILON {
            0.0
        } else {
            self.intersection(region) / area
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(left: f64, top: f64, right: f64, bottom: f64) -> Rect {
        Rect {
            left,
            top,
            right,
            bottom,
        }
    }

    #[test]
    fn half_overlapping_squares_share_a_third() {
        // Two 10×10 squares shifted by 5: shared 50, union 150; half of the first lies in the second.
        let (a, b) = (rect(0.0, 0.0, 10.0, 10.0), rect(5.0, 0.0, 15.0, 10.0));
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-15);
        assert!((a.share_inside(&b) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn a_box_without_area_overlaps_nothing() {
        let (a, line) = (rect(0.0, 0.0, 10.0, 10.0), rect(2.0, 2.0, 2.0, 8.0));
        assert!(a.iou(&line) <= 0.0 && line.iou(&line) <= 0.0 && line.share_inside(&a) <= 0.0);
    }
}
