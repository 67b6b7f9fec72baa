//! One row (or column) per candidate: box, perhaps objectness, class scores, perhaps more.

use super::super::{InputPlan, OutputView};
use super::OutputError;
use super::collect::{BoxFormat, Collector};
use super::tensor::{best, find, table, wrong_shape};

/// Candidates worked on at once where the class scores lie far apart.
const BLOCK: usize = 128;

/// `[N, K]` or `[K, N]` per picture; K = 4 + (1 if objectness) + classes + extra.
///
/// Boxes are model pixels (or 0..=1 if `normalised`), scores 0..=1; with objectness the confidence is
/// objectness × class score.
///
/// Source: exporters of YOLOv5, v6, v7, v8, v9, v11, v12, and of YOLOX with decoding in the graph.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Name of the output.
    pub output: String,
    /// Whether the tensor is `[K, N]`.
    pub is_channel_first: bool,
    /// Whether column 4 is objectness.
    pub has_objectness: bool,
    /// Number of class scores.
    pub classes: usize,
    /// What columns 0..4 are.
    pub boxes: BoxFormat,
    /// Whether boxes are parts of the model's input (0..=1).
    pub normalised: bool,
}

impl Rows {
    pub fn decode(
        &self,
        outputs: &[OutputView<'_>],
        item: usize,
        input: &InputPlan,
        sink: &mut Collector<'_>,
    ) -> Result<(), OutputError> {
        let view = find(outputs, &self.output)?;
        let (rows, columns, data) = table(view, item)?;
        let first_class = 4 + usize::from(self.has_objectness);
        let width = if self.is_channel_first { rows } else { columns };
        if width < first_class + self.classes {
            return Err(wrong_shape(
                view,
                format!("{} values per candidate", first_class + self.classes),
            ));
        }
        let scale = if self.normalised {
            [input.width as f32, input.height as f32]
        } else {
            [1.0, 1.0]
        };
        if self.is_channel_first {
            self.decode_columns(&data, columns, first_class, scale, sink);
        } else {
            for (i, row) in data.chunks_exact(columns).enumerate() {
                let objectness = if self.has_objectness { row[4] } else { 1.0 };
                if objectness < sink.min_confidence() {
                    continue;
                }
                if let Some((class, score)) = best(&row[first_class..first_class + self.classes]) {
                    let ltrb = self.boxes.ltrb([row[0], row[1], row[2], row[3]], scale);
                    sink.offer(i, ltrb, class, objectness * score);
                }
            }
        }
        Ok(())
    }

    /// `[K, N]`: goes class by class over blocks of candidates, so that memory is read in order.
    fn decode_columns(
        &self,
        data: &[f32],
        n: usize,
        first_class: usize,
        scale: [f32; 2],
        sink: &mut Collector<'_>,
    ) {
        for start in (0..n).step_by(BLOCK) {
            let len = BLOCK.min(n - start);
            let (mut score, mut class) = ([f32::MIN; BLOCK], [0u16; BLOCK]);
            let mut has_nan = [false; BLOCK];
            for c in 0..self.classes {
                let at = (first_class + c) * n + start;
                let c = u16::try_from(c).unwrap_or(u16::MAX);
                for i in 0..len {
                    let value = data[at + i];
                    has_nan[i] |= value.is_nan();
                    if value > score[i] {
                        score[i] = value;
                        class[i] = c;
                    }
                }
            }
            for i in 0..len {
                if has_nan[i] {
                    sink.reject();
                    continue;
                }
                let at = |row: usize| data[row * n + start + i];
                let objectness = if self.has_objectness { at(4) } else { 1.0 };
                let confidence = objectness * score[i];
                if confidence < sink.min_confidence() {
                    continue;
                }
                let ltrb = self.boxes.ltrb([at(0), at(1), at(2), at(3)], scale);
                sink.offer(start + i, ltrb, usize::from(class[i]), confidence);
            }
        }
    }
}
