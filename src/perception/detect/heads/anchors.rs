//! Heads whose boxes are relative to anchors, before any decoding.

use super::super::{InputPlan, OutputView};
use super::OutputError;
use super::collect::{BoxFormat, Collector};
use super::tensor::{best, find, of_item, sigmoid, table, wrong_shape};

/// Anchor width and height, model pixels.
pub type Anchor = [f32; 2];

/// YOLOv5 and v7 maps: per stride `[A, h, w, 5 + C]` or `[A · (5 + C), h, w]` per picture;
/// centre = (2σ − 0.5 + cell) · stride, size = (2σ)² · anchor.
///
/// Source: the YOLOv5 documentation ("Eliminate grid sensitivity").
#[derive(Debug, Clone)]
pub struct AnchorMaps {
    /// Outputs with the anchors of their cells, finest map first.
    pub maps: Vec<(String, Vec<Anchor>)>,
    /// Number of class scores.
    pub classes: usize,
    /// Whether values still need a sigmoid.
    pub needs_sigmoid: bool,
}

impl AnchorMaps {
    pub fn decode(
        &self,
        outputs: &[OutputView<'_>],
        item: usize,
        input: &InputPlan,
        sink: &mut Collector<'_>,
    ) -> Result<(), OutputError> {
        let k = 5 + self.classes;
        let mut row = 0;
        for (name, anchors) in &self.maps {
            let view = find(outputs, name)?;
            let by_channel = view.shape.len() <= 4 && view.shape.last() != Some(&k);
            let rank = if by_channel { 3 } else { 4 };
            let (shape, data) = of_item(view, item, rank)?;
            let (h, w) = (shape[1], shape[2]);
            let channels = if by_channel {
                shape[0]
            } else {
                shape[0] * shape[3]
            };
            if channels != anchors.len() * k || h == 0 || w == 0 {
                return Err(wrong_shape(
                    view,
                    format!("{} anchors of {k} values per cell", anchors.len()),
                ));
            }
            let stride = [
                input.width as f32 / w as f32,
                input.height as f32 / h as f32,
            ];
            let mut values = vec![0.0; k];
            for (a, anchor) in anchors.iter().enumerate() {
                for cell in 0..h * w {
                    for (i, value) in values.iter_mut().enumerate() {
                        *value = if by_channel {
                            data[(a * k + i) * h * w + cell]
                        } else {
                            data[(a * h * w + cell) * k + i]
                        };
                    }
                    let at = [(cell % w) as f32, (cell / w) as f32];
                    let ltrb_of = |v| from_anchor(v, at, stride, *anchor);
                    self.offer(row, &values, ltrb_of, sink);
                    row += 1;
                }
            }
        }
        Ok(())
    }

    fn offer(
        &self,
        row: usize,
        values: &[f32],
        ltrb_of: impl Fn([f32; 4]) -> [f32; 4],
        sink: &mut Collector<'_>,
    ) {
        let on = |v: f32| if self.needs_sigmoid { sigmoid(v) } else { v };
        let objectness = on(values[4]);
        if objectness < sink.min_confidence() {
            return;
        }
        if let Some((class, score)) = best(&values[5..]) {
            let ltrb = ltrb_of([on(values[0]), on(values[1]), on(values[2]), on(values[3])]);
            sink.offer(row, ltrb, class, objectness * on(score));
        }
    }
}

/// YOLO-FastestV2: `[Σ h·w, A·4 + A + C]` per picture, row by row of each map; the class scores of a
/// cell belong to all its anchors.
///
/// Source: dog-qiuqiu/Yolo-FastestV2, notes on the output of its exporter.
#[derive(Debug, Clone)]
pub struct SharedAnchors {
    /// Name of the output.
    pub output: String,
    /// Strides with the anchors of their cells, finest map first.
    pub maps: Vec<(usize, Vec<Anchor>)>,
    /// Number of class scores.
    pub classes: usize,
}

impl SharedAnchors {
    pub fn decode(
        &self,
        outputs: &[OutputView<'_>],
        item: usize,
        input: &InputPlan,
        sink: &mut Collector<'_>,
    ) -> Result<(), OutputError> {
        let view = find(outputs, &self.output)?;
        let (rows, columns, data) = table(view, item)?;
        let mut next = data.chunks_exact(columns.max(1));
        let expected: usize = self
            .maps
            .iter()
            .map(|(s, _)| super::cells_of(input.width, input.height, *s))
            .sum();
        if rows != expected {
            return Err(wrong_shape(view, format!("{expected} rows per picture")));
        }
        let mut before = 0;
        for (stride, anchors) in &self.maps {
            let count = anchors.len();
            if columns < 5 * count + self.classes {
                return Err(wrong_shape(
                    view,
                    format!("{} columns", 5 * count + self.classes),
                ));
            }
            let w = input.width.div_ceil(*stride);
            for cell in 0..super::cells_of(input.width, input.height, *stride) {
                let Some(row) = next.next() else { break };
                let first = before;
                before += count;
                let Some((class, score)) = best(&row[5 * count..5 * count + self.classes]) else {
                    continue;
                };
                for (a, anchor) in anchors.iter().enumerate() {
                    let confidence = row[4 * count + a] * score;
                    if confidence < sink.min_confidence() {
                        continue;
                    }
                    let v = &row[4 * a..4 * a + 4];
                    let ltrb = from_anchor(
                        [v[0], v[1], v[2], v[3]],
                        [(cell % w) as f32, (cell / w) as f32],
                        [*stride as f32; 2],
                        *anchor,
                    );
                    sink.offer(first + a, ltrb, class, confidence);
                }
            }
        }
        Ok(())
    }
}

/// Box from values in 0..=1 relative to a cell and an anchor.
fn from_anchor(v: [f32; 4], cell: [f32; 2], stride: [f32; 2], anchor: Anchor) -> [f32; 4] {
    BoxFormat::Cxcywh.ltrb(
        [
            (2.0 * v[0] - 0.5 + cell[0]) * stride[0],
            (2.0 * v[1] - 0.5 + cell[1]) * stride[1],
            (2.0 * v[2]).powi(2) * anchor[0],
            (2.0 * v[3]).powi(2) * anchor[1],
        ],
        [1.0, 1.0],
    )
}
