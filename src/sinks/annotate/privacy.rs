//! What must not be seen: objects of some classes and areas of the picture, hidden before anything is
//! drawn, written or shown.

use geo::{Coord, Intersects, LineString, Polygon, Rect as GeoRect};

use super::canvas::{OPAQUE, Rect};
use super::{Canvas, Yuv};
use crate::base::{FrameResult, Size};

/// Share of its size by which an object's box is hidden beyond its edges.
const MARGIN: f32 = 0.1;

/// Blocks over the narrower side of an object: nobody is recognised by so few.
const BLOCKS: i32 = 4;

/// Smallest block, px.
const LEAST_BLOCK: i32 = 8;

/// Blocks over the width of the picture, in an area.
const AREA_BLOCKS: u32 = 32;

/// Middle grey without colour.
const GREY: Yuv = Yuv {
    y: 126,
    u: 128,
    v: 128,
};

/// How something is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hide {
    /// Coarse blocks of its mean colour: that something is there can be seen, not what.
    #[default]
    Pixelate,
    /// Grey.
    Fill,
}

/// What is hidden in the pictures of a camera.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PrivacyRules {
    /// Names of the classes whose objects are hidden.
    pub classes: Vec<String>,
    /// Corners of areas that are hidden, shares of the frame.
    pub areas: Vec<Vec<[f32; 2]>>,
    /// How.
    pub how: Hide,
}

impl PrivacyRules {
    /// Is nothing hidden?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty() && self.areas.is_empty()
    }
}

/// Hides what the rules of a camera name.
#[derive(Debug, Clone)]
pub struct Privacy {
    areas: Vec<Vec<[f32; 2]>>,
    how: Hide,
}

impl Privacy {
    /// By these rules; `None` if they hide nothing.
    #[must_use]
    pub fn new(rules: &PrivacyRules) -> Option<Self> {
        (!rules.is_empty()).then(|| Self {
            areas: rules.areas.clone(),
            how: rules.how,
        })
    }

    /// Hides it on a copy of the picture that `result` is about: the areas, and what the result says
    /// is private.
    pub fn hide(&self, canvas: &mut Canvas<'_>, result: &FrameResult) {
        for area in &self.areas {
            for block in blocks_of(area, canvas.size()) {
                self.cover(canvas, block);
            }
        }
        for bbox in &result.private {
            let (dx, dy) = (bbox.width() * MARGIN, bbox.height() * MARGIN);
            let rect = Rect {
                left: even(bbox.left() - dx),
                top: even(bbox.top() - dy),
                right: even(bbox.right() + dx) + 2,
                bottom: even(bbox.bottom() + dy) + 2,
            };
            let side = (rect.width().min(rect.height()) / BLOCKS).max(LEAST_BLOCK) & !1;
            for block in split(rect, side) {
                self.cover(canvas, block);
            }
        }
    }

    fn cover(&self, canvas: &mut Canvas<'_>, block: Rect) {
        let color = match self.how {
            Hide::Pixelate => canvas.mean(block),
            Hide::Fill => Some(GREY),
        };
        if let Some(color) = color {
            canvas.fill(block, color, OPAQUE);
        }
    }
}

/// Down to an even pixel, so that whole chroma samples are covered.
fn even(edge: f32) -> i32 {
    (edge.floor() as i32) & !1
}

/// The blocks of a rectangle, the last of a row and column cut at its edge.
fn split(rect: Rect, side: i32) -> impl Iterator<Item = Rect> {
    let steps = move |from: i32, to: i32| (from..to).step_by(usize::try_from(side).unwrap_or(1));
    steps(rect.top, rect.bottom).flat_map(move |top| {
        steps(rect.left, rect.right).map(move |left| Rect {
            left,
            top,
            right: (left + side).min(rect.right),
            bottom: (top + side).min(rect.bottom),
        })
    })
}

/// The blocks that an area touches.
fn blocks_of(area: &[[f32; 2]], size: Size) -> Vec<Rect> {
    let [width, height] = [size.width, size.height].map(f64::from);
    let corner = |&[x, y]: &[f32; 2]| Coord {
        x: f64::from(x) * width,
        y: f64::from(y) * height,
    };
    let ring: LineString = area.iter().map(corner).collect();
    let polygon = Polygon::new(ring, Vec::new());
    let side = i32::try_from(size.width / AREA_BLOCKS).unwrap_or(i32::MAX);
    let picture = Rect {
        left: 0,
        top: 0,
        right: i32::try_from(size.width).unwrap_or(i32::MAX),
        bottom: i32::try_from(size.height).unwrap_or(i32::MAX),
    };
    let touches = |block: &Rect| {
        let at = |x: i32, y: i32| Coord {
            x: f64::from(x),
            y: f64::from(y),
        };
        let (first, last) = (at(block.left, block.top), at(block.right, block.bottom));
        polygon.intersects(&GeoRect::new(first, last))
    };
    split(picture, side.max(LEAST_BLOCK) & !1)
        .filter(touches)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{
        BBox, CameraId, ColorMatrix, ColorRange, FrameMeta, FrameSeq, Pts, RunId, Timings,
        UtcSource,
    };
    use crate::sinks::annotate::{Chroma, PlaneMut};
    use std::collections::BTreeSet;

    const SIZE: Size = Size {
        width: 320,
        height: 180,
    };

    fn result() -> FrameResult {
        FrameResult {
            meta: FrameMeta {
                camera: CameraId::new("gate"),
                run: RunId(1),
                seq: FrameSeq(0),
                pts: Pts(0),
                utc: None,
                utc_source: UtcSource::Unknown,
                size: SIZE,
            },
            is_detected: true,
            detections: 2,
            tracks: Vec::new(),
            ended: Vec::new(),
            counts: None,
            decisions: None,
            private: vec![BBox::from_ltrb(60.0, 50.0, 100.0, 130.0).unwrap()],
            timings: Timings::default(),
            frame: None,
        }
    }

    /// Luma of a noisy picture after hiding, and of the same before.
    fn hidden(rules: &PrivacyRules, planar: bool) -> [Vec<u8>; 2] {
        let (w, h) = (SIZE.width as usize, SIZE.height as usize);
        let noise =
            |count: usize| -> Vec<u8> { (0..count).map(|i| (i * 7919 % 251) as u8).collect() };
        let (before, mut luma) = (noise(w * h), noise(w * h));
        let (mut u, mut v) = (noise(w * h / 2), noise(w * h / 4));
        let plane = |data, stride| PlaneMut { data, stride };
        let chroma = if planar {
            Chroma::Planar(plane(&mut u, w / 2), plane(&mut v, w / 2))
        } else {
            Chroma::Interleaved(plane(&mut u, w))
        };
        let mut canvas = Canvas::new(
            SIZE,
            ColorMatrix::Bt709,
            ColorRange::Limited,
            plane(&mut luma, w),
            chroma,
        );
        let privacy = Privacy::new(rules).unwrap();
        privacy.hide(&mut canvas, &result());
        [luma, before]
    }

    fn part(luma: &[u8], columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> Vec<u8> {
        let width = SIZE.width as usize;
        let row = |row: usize| &luma[row * width + columns.start..row * width + columns.end];
        rows.flat_map(row).copied().collect()
    }

    #[test]
    fn what_is_private_becomes_a_few_blocks_and_the_rest_stays() {
        let rules = PrivacyRules {
            classes: vec!["person".to_owned()],
            ..PrivacyRules::default()
        };
        for planar in [true, false] {
            let [luma, before] = hidden(&rules, planar);
            let levels: BTreeSet<u8> = part(&luma, 60..100, 50..130).into_iter().collect();
            assert!(levels.len() <= 60, "{} levels", levels.len());
            let beside = |luma: &[u8]| part(luma, 200..240, 50..130);
            assert_eq!(beside(&luma), beside(&before));
            let row = part(&luma, 68..76, 80..81);
            assert!(row.windows(2).filter(|pair| pair[0] != pair[1]).count() <= 1);
        }
    }

    #[test]
    fn an_area_is_grey_to_beyond_its_edges() {
        let rules = PrivacyRules {
            areas: vec![vec![[0.0, 0.0], [0.5, 0.0], [0.0, 1.0]]],
            how: Hide::Fill,
            ..PrivacyRules::default()
        };
        let [luma, before] = hidden(&rules, false);
        for (x, y) in [(0, 0), (158, 0), (0, 179), (78, 88), (40, 130)] {
            assert_eq!(part(&luma, x..x + 1, y..y + 1), [GREY.y], "{x} {y}");
        }
        let right = |luma: &[u8]| part(luma, 180..320, 0..180);
        assert_eq!(right(&luma), right(&before));
    }

    #[test]
    fn no_rules_cost_nothing() {
        assert!(Privacy::new(&PrivacyRules::default()).is_none());
    }
}
