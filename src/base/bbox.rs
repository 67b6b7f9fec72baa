//! Axis-aligned boxes in frame pixels.

use serde::{Deserialize, Serialize};

/// A box in continuous frame pixels: left/top inclusive, right/bottom exclusive, y down.
///
/// Valid by construction: all four edges are finite, `right > left` and `bottom > top`. It may lie
/// partly or wholly outside the frame; [`BBox::clip`] cuts it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "[f32; 4]", try_from = "[f32; 4]")]
pub struct BBox {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

impl From<BBox> for [f32; 4] {
    /// Left, top, right, bottom.
    fn from(bbox: BBox) -> Self {
        [bbox.left, bbox.top, bbox.right, bbox.bottom]
    }
}

impl TryFrom<[f32; 4]> for BBox {
    type Error = &'static str;

    /// As [`BBox::from_ltrb`].
    fn try_from([left, top, right, bottom]: [f32; 4]) -> Result<Self, Self::Error> {
        Self::from_ltrb(left, top, right, bottom).ok_or("a box without an area")
    }
}

impl BBox {
    /// A box from its edges, or `None` if an edge is not finite or the box has no area.
    #[must_use]
    pub fn from_ltrb(left: f32, top: f32, right: f32, bottom: f32) -> Option<Self> {
        let finite = [left, top, right, bottom]
            .iter()
            .all(|edge| edge.is_finite());
        (finite && right > left && bottom > top).then_some(Self {
            left,
            top,
            right,
            bottom,
        })
    }

    /// A box from its centre and size, or `None` as for [`BBox::from_ltrb`].
    #[must_use]
    pub fn from_cxcywh(cx: f32, cy: f32, width: f32, height: f32) -> Option<Self> {
        Self::from_ltrb(
            cx - width / 2.0,
            cy - height / 2.0,
            cx + width / 2.0,
            cy + height / 2.0,
        )
    }

    /// Left edge, px.
    #[must_use]
    pub fn left(&self) -> f32 {
        self.left
    }
    /// Top edge, px.
    #[must_use]
    pub fn top(&self) -> f32 {
        self.top
    }
    /// Right edge (exclusive), px.
    #[must_use]
    pub fn right(&self) -> f32 {
        self.right
    }
    /// Bottom edge (exclusive), px.
    #[must_use]
    pub fn bottom(&self) -> f32 {
        self.bottom
    }
    /// Width, px, > 0.
    #[must_use]
    pub fn width(&self) -> f32 {
        self.right - self.left
    }
    /// Height, px, > 0.
    #[must_use]
    pub fn height(&self) -> f32 {
        self.bottom - self.top
    }
    /// Horizontal centre, px.
    #[must_use]
    pub fn cx(&self) -> f32 {
        (self.left + self.right) / 2.0
    }
    /// Vertical centre, px.
    #[must_use]
    pub fn cy(&self) -> f32 {
        (self.top + self.bottom) / 2.0
    }
    /// Area, px².
    #[must_use]
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// Area shared with `other`, px².
    #[must_use]
    pub fn intersection(&self, other: &Self) -> f32 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union, 0..=1, symmetric.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        let shared = self.intersection(other);
        let union = self.area() + other.area() - shared;
        if union > 0.0 {
            (shared / union).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// The part inside a `width` × `height` px frame, or `None` if nothing is.
    #[must_use]
    pub fn clip(&self, width: f32, height: f32) -> Option<Self> {
        Self::from_ltrb(
            self.left.clamp(0.0, width),
            self.top.clamp(0.0, height),
            self.right.clamp(0.0, width),
            self.bottom.clamp(0.0, height),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boxes() -> impl Strategy<Value = BBox> {
        (-2e3f32..2e3, -2e3f32..2e3, 0.1f32..1e3, 0.1f32..1e3)
            .prop_filter_map("degenerate", |(l, t, w, h)| {
                BBox::from_ltrb(l, t, l + w, t + h)
            })
    }

    #[test]
    fn iou_of_half_overlapping_squares_is_one_third() {
        // Two 10×10 squares shifted by 5: shared 50, union 150.
        let a = BBox::from_ltrb(0.0, 0.0, 10.0, 10.0).unwrap();
        let b = BBox::from_ltrb(5.0, 0.0, 15.0, 10.0).unwrap();
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn edges_that_make_no_box_are_refused() {
        assert!(BBox::from_ltrb(0.0, 0.0, 0.0, 1.0).is_none());
        assert!(BBox::from_ltrb(1.0, 0.0, 0.0, 1.0).is_none());
        assert!(BBox::from_ltrb(f32::NAN, 0.0, 1.0, 1.0).is_none());
        assert!(BBox::from_ltrb(0.0, 0.0, f32::INFINITY, 1.0).is_none());
    }

    #[test]
    fn clipping_a_box_outside_the_frame_leaves_nothing() {
        let b = BBox::from_ltrb(-20.0, 5.0, -10.0, 15.0).unwrap();
        assert!(b.clip(100.0, 100.0).is_none());
    }

    proptest! {
        #[test]
        fn iou_is_symmetric_and_bounded(a in boxes(), b in boxes()) {
            let forward = a.iou(&b);
            prop_assert!((0.0..=1.0).contains(&forward));
            prop_assert!((forward - b.iou(&a)).abs() < 1e-6);
            prop_assert!((a.iou(&a) - 1.0).abs() < 1e-5);
        }
    }
}
