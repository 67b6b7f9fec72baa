//! FastestDet: one map, one box per cell, no anchors.

use super::super::{InputPlan, OutputView};
use super::OutputError;
use super::collect::{BoxFormat, Collector};
use super::tensor::{find, of_item, sigmoid, wrong_shape};

/// `[5 + C, h, w]` per picture: objectness, four box values, class scores.
/// Confidence = objectness^0.6 · class^0.4; centre = (cell + tanh) / map; size = sigmoid, both parts of
/// the model's input.
///
/// Source: dog-qiuqiu/FastestDet, post-processing of its exporter's test script.
#[derive(Debug, Clone)]
pub struct FastestGrid {
    /// Name of the output.
    pub output: String,
    /// Number of class scores.
    pub classes: usize,
}

impl FastestGrid {
    pub fn decode(
        &self,
        outputs: &[OutputView<'_>],
        item: usize,
        input: &InputPlan,
        sink: &mut Collector<'_>,
    ) -> Result<(), OutputError> {
        let view = find(outputs, &self.output)?;
        let (shape, data) = of_item(view, item, 3)?;
        let (channels, h, w) = (shape[0], shape[1], shape[2]);
        if channels != 5 + self.classes {
            return Err(wrong_shape(view, format!("{} channels", 5 + self.classes)));
        }
        let plane = h * w;
        for cell in 0..plane {
            let at = |channel: usize| data[channel * plane + cell];
            let objectness = at(0).powf(0.6);
            if objectness < sink.min_confidence() {
                continue;
            }
            let mut best = (0, f32::MIN);
            let mut has_nan = false;
            for class in 0..self.classes {
                let score = at(5 + class);
                has_nan |= score.is_nan();
                if score > best.1 {
                    best = (class, score);
                }
            }
            if has_nan {
                sink.reject();
                continue;
            }
            let confidence = objectness * best.1.powf(0.4);
            let ltrb = BoxFormat::Cxcywh.ltrb(
                [
                    ((cell % w) as f32 + at(1).tanh()) / w as f32,
                    ((cell / w) as f32 + at(2).tanh()) / h as f32,
                    sigmoid(at(3)),
                    sigmoid(at(4)),
                ],
                [input.width as f32, input.height as f32],
            );
            sink.offer(cell, ltrb, best.0, confidence);
        }
        Ok(())
    }
}
