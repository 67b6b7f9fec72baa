//! Candidate boxes → detections: what the model said is checked, mapped to the frame and ordered.

use crate::base::{BBox, ClassId, Detection, Size};

use super::heads::EmbeddingRows;
use super::{ClassMap, OutputError, Placement, RawBox, Suppressor};

/// Rounding in a network's last layer can lift a score this much above 1.
const SCORE_SLACK: f32 = 1e-3;

/// What is kept of the candidates of one picture.
#[derive(Debug)]
pub(super) struct Keep {
    /// Score from which a box is kept.
    pub(super) min_confidence: f32,
    /// Overlap from which the weaker box goes; `None` for heads without duplicates.
    pub(super) nms_iou: Option<f32>,
    /// Whether the model gives boxes in frame pixels.
    pub(super) in_frame_pixels: bool,
    /// What becomes of the model's classes.
    pub(super) map: ClassMap,
    /// How many classes the model has; one beyond does not exist.
    pub(super) classes: usize,
    /// Detections per frame.
    pub(super) max_detections: usize,
}

impl Keep {
    /// Detections from candidates, best first, and how many candidates cannot be true: a class that
    /// does not exist, a score that is not in 0..=1, a box that is not finite, has no area, lies off
    /// the frame, or reaches out of it by more than the frame's own size. What is left is given its
    /// vector of `embeddings`.
    ///
    /// # Errors
    /// [`OutputError`] if there is no vector for one of them.
    pub(super) fn detections(
        &self,
        boxes: &mut Vec<RawBox>,
        placement: &Placement,
        suppressor: &mut Suppressor,
        embeddings: Option<&EmbeddingRows<'_>>,
    ) -> Result<(Vec<Detection>, u64), OutputError> {
        let before = boxes.len();
        boxes.retain_mut(|one| {
            let is_known = usize::from(one.class) < self.classes;
            let is_score = (0.0..=1.0 + SCORE_SLACK).contains(&one.confidence);
            one.confidence = one.confidence.min(1.0);
            if !self.in_frame_pixels {
                one.ltrb = placement.frame_from_model(one.ltrb);
            }
            is_known && is_score && is_plausible(one.ltrb, placement.frame)
        });
        let mut rejected = (before - boxes.len()) as u64;
        // Before duplicates are looked for: two classes that become one have common duplicates.
        boxes.retain_mut(|one| match self.map.of(one.class) {
            Some(class) if one.confidence >= self.min_confidence => {
                one.class = class;
                true
            }
            _ => false,
        });
        rejected += match self.nms_iou {
            Some(iou) => suppressor.suppress(boxes, iou, self.max_detections),
            None => suppressor.best_first(boxes, self.max_detections),
        };
        let mut detections = Vec::with_capacity(boxes.len());
        for one in boxes.iter() {
            let Some(mut detection) = detection(one, placement.frame) else {
                continue;
            };
            if let Some(embeddings) = embeddings {
                detection.embedding = embeddings.get(one.row)?;
            }
            detections.push(detection);
        }
        detections.sort_by(order);
        Ok((detections, rejected))
    }
}

/// Can this be an object in the frame? Networks do place edges a little outside of it.
fn is_plausible(ltrb: [f32; 4], frame: Size) -> bool {
    let (width, height) = (frame.width as f32, frame.height as f32);
    let [left, top, right, bottom] = ltrb;
    let Some(bbox) = BBox::from_ltrb(left, top, right, bottom) else {
        return false;
    };
    let reaches_far =
        left < -width || top < -height || right > 2.0 * width || bottom > 2.0 * height;
    !reaches_far && bbox.clip(width, height).is_some()
}

fn detection(one: &RawBox, frame: Size) -> Option<Detection> {
    let [left, top, right, bottom] = one.ltrb;
    let bbox = BBox::from_ltrb(left, top, right, bottom)?;
    Some(Detection {
        bbox: bbox.clip(frame.width as f32, frame.height as f32)?,
        class: ClassId(one.class),
        confidence: one.confidence,
        embedding: None,
    })
}

/// Best first; equal scores by class, then from left to right and top to bottom.
pub(super) fn order(a: &Detection, b: &Detection) -> std::cmp::Ordering {
    b.confidence
        .total_cmp(&a.confidence)
        .then(a.class.cmp(&b.class))
        .then(a.bbox.left().total_cmp(&b.bbox.left()))
        .then(a.bbox.top().total_cmp(&b.bbox.top()))
        .then(a.bbox.right().total_cmp(&b.bbox.right()))
        .then(a.bbox.bottom().total_cmp(&b.bbox.bottom()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const FRAME: Size = Size {
        width: 200,
        height: 100,
    };

    fn keep_of(classes: &[&str]) -> Keep {
        let classes: Vec<String> = classes.iter().map(ToString::to_string).collect();
        let none = BTreeMap::new();
        Keep {
            map: ClassMap::new("m", &classes, &none, &none).unwrap(),
            min_confidence: 0.1,
            nms_iou: None,
            in_frame_pixels: false,
            classes: classes.len(),
            max_detections: 300,
        }
    }

    fn keep() -> Keep {
        keep_of(&["a", "b", "c"])
    }

    /// The frame at half size in the upper half of a 100 × 100 input.
    fn placement() -> Placement {
        Placement {
            left: 0,
            top: 0,
            width: 100,
            height: 50,
            frame: FRAME,
        }
    }

    fn raw(ltrb: [f32; 4], class: u16, confidence: f32) -> RawBox {
        RawBox {
            ltrb,
            class,
            confidence,
            row: 0,
        }
    }

    fn detect(boxes: &[RawBox]) -> (Vec<Detection>, u64) {
        let mut boxes = boxes.to_vec();
        keep()
            .detections(&mut boxes, &placement(), &mut Suppressor::default(), None)
            .unwrap()
    }

    #[test]
    fn boxes_come_back_in_frame_pixels_and_inside_the_frame() {
        let (found, rejected) = detect(&[raw([-5.0, 10.0, 20.0, 60.0], 1, 0.5)]);
        // Twice the size: −10, 20, 40, 120; cut at 0 and at 100.
        let bbox = BBox::from_ltrb(0.0, 20.0, 40.0, 100.0).unwrap();
        assert_eq!((found[0].bbox, rejected), (bbox, 0));
    }

    #[test]
    fn what_cannot_be_true_is_rejected_and_counted() {
        let good = [10.0, 10.0, 20.0, 20.0];
        let (found, rejected) = detect(&[
            raw([f32::NAN, 0.0, 1.0, 1.0], 0, 0.9),
            raw([0.0, 0.0, f32::INFINITY, 1.0], 0, 0.9),
            raw([20.0, 20.0, 10.0, 10.0], 0, 0.9),
            raw([5.0, 5.0, 5.0, 9.0], 0, 0.9),
            raw([150.0, 10.0, 160.0, 20.0], 0, 0.9),
            raw([10_000.0, 10_000.0, 20_000.0, 20_000.0], 0, 0.9),
            raw([-10_000.0, -10_000.0, 20_000.0, 20_000.0], 0, 0.9),
            raw(good, 0, f32::NAN),
            raw(good, 0, 900.0),
            raw(good, 0, -0.5),
            raw(good, 77, 0.9),
        ]);
        assert_eq!((found.len(), rejected), (0, 11));
    }

    #[test]
    fn classes_that_become_one_share_it_and_their_duplicates() {
        let keep = Keep {
            nms_iou: Some(0.5),
            ..keep_of(&["bench", "pedestrian", "people"])
        };
        let mut boxes = vec![
            raw([10.0, 10.0, 20.0, 20.0], 2, 0.6),
            raw([10.0, 10.0, 20.0, 21.0], 1, 0.8),
        ];
        let (found, rejected) = keep
            .detections(&mut boxes, &placement(), &mut Suppressor::default(), None)
            .unwrap();
        assert_eq!(keep.map.names(), ["bench", "person"]);
        assert_eq!((found.len(), rejected), (1, 0));
        assert_eq!((found[0].class, found[0].confidence), (ClassId(1), 0.8));
    }

    #[test]
    fn weak_boxes_go_without_being_counted() {
        let good = [10.0, 10.0, 20.0, 20.0];
        let (found, rejected) = detect(&[raw(good, 0, 0.05)]);
        assert_eq!((found.len(), rejected), (0, 0));
    }

    #[test]
    fn equal_scores_have_one_order_whatever_order_they_came_in() {
        let boxes = [
            raw([30.0, 10.0, 40.0, 20.0], 0, 0.5),
            raw([10.0, 10.0, 20.0, 20.0], 1, 0.5),
            raw([10.0, 30.0, 20.0, 40.0], 0, 0.5),
            raw([10.0, 10.0, 20.0, 20.0], 0, 0.5),
        ];
        let mut reversed = boxes;
        reversed.reverse();
        assert_eq!(detect(&boxes), detect(&reversed));
        assert_eq!(detect(&boxes).0[0].bbox.top(), 20.0);
    }
}
