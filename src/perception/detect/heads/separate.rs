//! Finished detections whose boxes, scores and labels come in tensors of their own.

use super::super::{InputPlan, OutputView};
use super::OutputError;
use super::collect::{BoxFormat, Collector};
use super::tensor::{find, floats, of_item, table, wrong_shape};

/// Boxes `[N, 4]`, scores `[N]`, labels `[N]` per picture, and perhaps how many of them count.
///
/// Source: exporters of RT-DETR, D-FINE, DEIM, the TensorFlow detection zoo, torchvision, MMDetection,
/// and of EfficientNMS.
#[derive(Debug, Clone)]
pub struct Separate {
    /// Name of the boxes, `[N, 4]`, or `[N, 5]` with the score last.
    pub boxes_output: String,
    /// Name of the scores; absent if they are the fifth column of the boxes.
    pub scores_output: Option<String>,
    /// Name of the labels; absent if there is one class.
    pub labels_output: Option<String>,
    /// Name of the number of valid detections.
    pub count_output: Option<String>,
    /// What the four numbers are.
    pub boxes: BoxFormat,
    /// Whether boxes are parts of the model's input (0..=1).
    pub normalised: bool,
    /// Label of the first class.
    pub first_label: usize,
}

impl Separate {
    pub fn decode(
        &self,
        outputs: &[OutputView<'_>],
        item: usize,
        input: &InputPlan,
        sink: &mut Collector<'_>,
    ) -> Result<(), OutputError> {
        let view = find(outputs, &self.boxes_output)?;
        let (mut rows, columns, boxes) = table(view, item)?;
        let needed = if self.scores_output.is_some() { 4 } else { 5 };
        if columns < needed {
            return Err(wrong_shape(view, format!("[N, {needed}] per picture")));
        }
        let column = |name: &Option<String>| -> Result<_, OutputError> {
            let Some(name) = name else { return Ok(None) };
            let view = find(outputs, name)?;
            // [N], or [N, 1] as some exporters leave it.
            let rank = if view.shape.len() > 2 && view.shape.last() == Some(&1) {
                2
            } else {
                1
            };
            let (shape, data) = of_item(view, item, rank)?;
            if shape[0] != rows {
                return Err(wrong_shape(view, format!("{rows} values, one per box")));
            }
            Ok(Some(data))
        };
        let scores = column(&self.scores_output)?;
        let labels = column(&self.labels_output)?;
        if let Some(name) = &self.count_output {
            let count = find(outputs, name)?;
            let counts = floats(count, 0, count.shape.iter().product())?;
            match counts.get(item) {
                Some(&valid) if valid >= 0.0 => rows = rows.min(valid as usize),
                Some(_) => rows = 0,
                None => return Err(wrong_shape(count, format!("more than {item} counts"))),
            }
        }
        let scale = if self.normalised {
            [input.width as f32, input.height as f32]
        } else {
            [1.0, 1.0]
        };
        for (i, b) in boxes.chunks_exact(columns).take(rows).enumerate() {
            let score = scores.as_ref().map_or_else(|| b[4], |scores| scores[i]);
            if score < sink.min_confidence() {
                continue;
            }
            let label = labels
                .as_ref()
                .map_or(self.first_label as f32, |labels| labels[i]);
            let class = label.round() - self.first_label as f32;
            // Label −1 fills up unused places; 0 is background where labels begin at 1.
            if class < 0.0 {
                continue;
            }
            if !class.is_finite() || class > 65_535.0 {
                sink.reject();
                continue;
            }
            let ltrb = self.boxes.ltrb([b[0], b[1], b[2], b[3]], scale);
            sink.offer(i, ltrb, class as usize, score);
        }
        Ok(())
    }
}
