//! Boxes in one tensor and a score for every class in another.

use super::super::{InputPlan, OutputView};
use super::OutputError;
use super::collect::{BoxFormat, Collector};
use super::tensor::{best, find, sigmoid, table, wrong_shape};

/// What turns a class value into a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing: it is one.
    None,
    /// Each class by itself.
    Sigmoid,
    /// All classes together; the last is "no object".
    Softmax,
}

/// Boxes `[N, 4]` and scores `[N, C]` or `[C, N]` per picture.
///
/// With `every_class`, each (box, class) pair is a candidate, as the post-processing of the DETR
/// family has it (top k over all pairs); else only the best class of a box.
///
/// Source: exporters of DETR, RT-DETR, D-FINE, DEIM, RF-DETR (raw form), YOLO-NAS, PP-YOLOE.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Name of the boxes.
    pub boxes_output: String,
    /// Name of the scores.
    pub scores_output: String,
    /// Whether the scores are `[C, N]`.
    pub is_class_first: bool,
    /// Number of scores per box.
    pub classes: usize,
    /// What the four numbers are.
    pub boxes: BoxFormat,
    /// Whether boxes are parts of the model's input (0..=1).
    pub normalised: bool,
    /// What turns values into scores.
    pub activation: Activation,
    /// Whether a box may come out once per class.
    pub every_class: bool,
}

impl Scored {
    pub fn decode(
        &self,
        outputs: &[OutputView<'_>],
        item: usize,
        input: &InputPlan,
        sink: &mut Collector<'_>,
    ) -> Result<(), OutputError> {
        let boxes_view = find(outputs, &self.boxes_output)?;
        let scores_view = find(outputs, &self.scores_output)?;
        let (n, columns, boxes) = table(boxes_view, item)?;
        let (rows, width, scores) = table(scores_view, item)?;
        if columns != 4 {
            return Err(wrong_shape(boxes_view, "[N, 4] per picture"));
        }
        let expected = if self.is_class_first {
            (self.classes, n)
        } else {
            (n, self.classes)
        };
        if (rows, width) != expected {
            return Err(wrong_shape(
                scores_view,
                format!("[{}, {}] per picture", expected.0, expected.1),
            ));
        }
        let scale = if self.normalised {
            [input.width as f32, input.height as f32]
        } else {
            [1.0, 1.0]
        };
        let mut gathered = vec![0.0; self.classes];
        for (i, b) in boxes.chunks_exact(4).enumerate() {
            let values = if self.is_class_first {
                for (c, value) in gathered.iter_mut().enumerate() {
                    *value = scores[c * n + i];
                }
                gathered.as_slice()
            } else {
                &scores[i * self.classes..(i + 1) * self.classes]
            };
            let ltrb = self.boxes.ltrb([b[0], b[1], b[2], b[3]], scale);
            self.offer(i, ltrb, values, sink);
        }
        Ok(())
    }

    fn offer(&self, row: usize, ltrb: [f32; 4], values: &[f32], sink: &mut Collector<'_>) {
        match self.activation {
            Activation::Softmax => {
                let (_, objects) = values.split_last().unwrap_or((&0.0, &[]));
                if let Some((class, value)) = best(objects) {
                    let sum: f32 = values.iter().map(|v| (v - value).exp()).sum();
                    // e^value / Σ e^v; a sum of infinity is a score of 0.
                    sink.offer(row, ltrb, class, 1.0 / sum);
                }
            }
            activation => {
                let score = |value: f32| match activation {
                    Activation::Sigmoid => sigmoid(value),
                    _ => value,
                };
                if self.every_class {
                    for (class, &value) in values.iter().enumerate() {
                        sink.offer(row, ltrb, class, score(value));
                    }
                } else if let Some((class, value)) = best(values) {
                    sink.offer(row, ltrb, class, score(value));
                }
            }
        }
    }
}
