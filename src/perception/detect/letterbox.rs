//! Where the picture of a frame lies inside the input of the model. Pure geometry.

use crate::base::Size;

use super::{InputPlan, LetterboxAnchor, Resize};

/// Where the picture of a frame lies inside the input of the model.
///
/// The edges of the picture are whole model pixels, as every model family resizes first and pads
/// then; so each axis has a scale of its own that differs from the common one by less than one pixel
/// over the whole picture, and boxes are mapped by what really happened to the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// First column of the picture, model px.
    pub left: usize,
    /// First row of the picture, model px.
    pub top: usize,
    /// Columns of the picture, model px, ≥ 1.
    pub width: usize,
    /// Rows of the picture, model px, ≥ 1.
    pub height: usize,
    /// Size of the frame, each ≥ 1.
    pub frame: Size,
}

impl Placement {
    /// Where a frame of `frame` px lies in the input that `plan` describes.
    ///
    /// Sizes are rounded to the nearest pixel (Ultralytics `LetterBox`; YOLOX truncates, at most one
    /// pixel less). An odd rest of the padding goes right and below, as Ultralytics'
    /// `round(d / 2 − 0.1)` does. A side that would vanish keeps one pixel.
    #[must_use]
    pub fn new(plan: &InputPlan, frame: Size) -> Self {
        let frame = Size {
            width: frame.width.max(1),
            height: frame.height.max(1),
        };
        let Resize::Letterbox { anchor, .. } = plan.resize else {
            return Self {
                left: 0,
                top: 0,
                width: plan.width,
                height: plan.height,
                frame,
            };
        };
        let (frame_width, frame_height) = (f64::from(frame.width), f64::from(frame.height));
        let scale = (plan.width as f64 / frame_width).min(plan.height as f64 / frame_height);
        let side = |length: f64, limit: usize| ((length * scale).round() as usize).clamp(1, limit);
        let width = side(frame_width, plan.width);
        let height = side(frame_height, plan.height);
        let (left, top) = match anchor {
            LetterboxAnchor::Center => ((plan.width - width) / 2, (plan.height - height) / 2),
            LetterboxAnchor::TopLeft => (0, 0),
        };
        Self {
            left,
            top,
            width,
            height,
            frame,
        }
    }

    /// Model px per frame px, (x, y).
    #[must_use]
    pub fn scale(&self) -> (f64, f64) {
        (
            self.width as f64 / f64::from(self.frame.width),
            self.height as f64 / f64::from(self.frame.height),
        )
    }

    /// Edges in frame pixels from edges (left, top, right, bottom) in model pixels.
    #[must_use]
    pub fn frame_from_model(&self, [left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
        let (scale_x, scale_y) = self.scale();
        let x = |edge: f32| ((f64::from(edge) - self.left as f64) / scale_x) as f32;
        let y = |edge: f32| ((f64::from(edge) - self.top as f64) / scale_y) as f32;
        [x(left), y(top), x(right), y(bottom)]
    }

    /// Edges in model pixels from edges (left, top, right, bottom) in frame pixels.
    #[must_use]
    pub fn model_from_frame(&self, [left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
        let (scale_x, scale_y) = self.scale();
        let x = |edge: f32| (f64::from(edge) * scale_x + self.left as f64) as f32;
        let y = |edge: f32| (f64::from(edge) * scale_y + self.top as f64) as f32;
        [x(left), y(top), x(right), y(bottom)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BatchAxis, ChannelOrder, Dtype, Layout};
    use super::*;
    use proptest::prelude::*;

    fn plan(width: usize, height: usize, resize: Resize) -> InputPlan {
        InputPlan {
            name: "images".into(),
            layout: Layout::Nchw,
            dtype: Dtype::F32,
            width,
            height,
            batch: BatchAxis::Fixed(1),
            order: ChannelOrder::Rgb,
            mean: [0.0; 3],
            std: [255.0; 3],
            resize,
            extra: Vec::new(),
        }
    }

    fn letterbox(anchor: LetterboxAnchor) -> Resize {
        Resize::Letterbox { anchor, pad: 114 }
    }

    fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    #[test]
    fn full_hd_in_a_square_has_140_rows_above_and_below() {
        // 1920 → 640 is 1/3, 1080 / 3 = 360, (640 − 360) / 2 = 140.
        let at = Placement::new(
            &plan(640, 640, letterbox(LetterboxAnchor::Center)),
            size(1920, 1080),
        );
        assert_eq!((at.left, at.top, at.width, at.height), (0, 140, 640, 360));
        assert_eq!(
            at.frame_from_model([0.0, 140.0, 640.0, 500.0]),
            [0.0, 0.0, 1920.0, 1080.0]
        );
    }

    #[test]
    fn an_odd_rest_goes_below() {
        // 100 × 75 in 100 × 100: 25 rows of padding, round(12.5 − 0.1) = 12 above, 13 below.
        let at = Placement::new(
            &plan(100, 100, letterbox(LetterboxAnchor::Center)),
            size(100, 75),
        );
        assert_eq!((at.top, at.height), (12, 75));
    }

    #[test]
    fn a_line_keeps_one_pixel() {
        let at = Placement::new(
            &plan(640, 640, letterbox(LetterboxAnchor::TopLeft)),
            size(10_000, 1),
        );
        assert_eq!((at.left, at.top, at.width, at.height), (0, 0, 640, 1));
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_place(
            frame_width in 1u32..8000,
            frame_height in 1u32..8000,
            model_width in 1usize..1300,
            model_height in 1usize..1300,
            kind in 0..3,
            edges in proptest::array::uniform4(-0.5f32..1.5),
        ) {
            let resize = match kind {
                0 => Resize::Stretch,
                1 => letterbox(LetterboxAnchor::Center),
                _ => letterbox(LetterboxAnchor::TopLeft),
            };
            let at = Placement::new(&plan(model_width, model_height, resize), size(frame_width, frame_height));
            prop_assert!(at.left + at.width <= model_width && at.top + at.height <= model_height);
            let (w, h) = (frame_width as f32, frame_height as f32);
            let there = [edges[0] * w, edges[1] * h, edges[2] * w, edges[3] * h];
            let back = at.frame_from_model(at.model_from_frame(there));
            // f32 keeps 24 bits of a model coordinate that can be 1300 px from 0 where the frame is 1 px.
            let (scale_x, scale_y) = at.scale();
            let tolerance = [1300.0 / scale_x, 1300.0 / scale_y].map(|reach| (reach * 4e-7) as f32);
            for i in 0..4 {
                let limit = tolerance[i % 2].max(1e-6 * w.max(h)).max(1e-3);
                prop_assert!((back[i] - there[i]).abs() <= limit, "{back:?} {there:?}");
            }
        }
    }
}
