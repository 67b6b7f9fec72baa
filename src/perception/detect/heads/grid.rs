//! Cells of feature maps, and heads whose boxes are relative to their cell with exponential sizes.

use super::super::OutputView;
use super::OutputError;
use super::collect::{BoxFormat, Collector};
use super::tensor::{best, find, sigmoid, table, wrong_shape};

/// One cell of a feature map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Column.
    pub x: f32,
    /// Row.
    pub y: f32,
    /// Model pixels per cell.
    pub stride: f32,
}

/// Number of cells of one map of a `width` × `height` px input. A last part-cell counts.
#[must_use]
pub fn cells_of(width: usize, height: usize, stride: usize) -> usize {
    width.div_ceil(stride.max(1)) * height.div_ceil(stride.max(1))
}

/// Every cell in the order of exporters: stride by stride, row by row.
#[must_use]
pub fn cells(width: usize, height: usize, strides: &[usize]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &stride in strides {
        for y in 0..height.div_ceil(stride.max(1)) {
            for x in 0..width.div_ceil(stride.max(1)) {
                cells.push(Cell {
                    x: x as f32,
                    y: y as f32,
                    stride: stride as f32,
                });
            }
        }
    }
    cells
}

/// YOLOX without decoding in the graph: `[N, 5 + C]` per picture, one row per cell;
/// centre = (value + cell) · stride, size = e^value · stride, objectness, class scores.
///
/// Source: the YOLOX paper and the post-processing its exporter documents.
#[derive(Debug, Clone)]
pub struct ExpGrid {
    /// Name of the output.
    pub output: String,
    /// Number of class scores.
    pub classes: usize,
    /// Every cell, in row order.
    pub cells: Vec<Cell>,
    /// Whether objectness and class scores still need a sigmoid.
    pub needs_sigmoid: bool,
}

impl ExpGrid {
    pub fn decode(
        &self,
        outputs: &[OutputView<'_>],
        item: usize,
        sink: &mut Collector<'_>,
    ) -> Result<(), OutputError> {
        let view = find(outputs, &self.output)?;
        let (rows, columns, data) = table(view, item)?;
        if rows != self.cells.len() || columns < 5 + self.classes {
            return Err(wrong_shape(
                view,
                format!("[{}, {}] per picture", self.cells.len(), 5 + self.classes),
            ));
        }
        for (i, (row, cell)) in data.chunks_exact(columns).zip(&self.cells).enumerate() {
            let (mut objectness, scores) = (row[4], &row[5..5 + self.classes]);
            if self.needs_sigmoid {
                objectness = sigmoid(objectness);
            }
            if objectness < sink.min_confidence() {
                continue;
            }
            let Some((class, mut score)) = best(scores) else {
                continue;
            };
            if self.needs_sigmoid {
                score = sigmoid(score);
            }
            let confidence = objectness * score;
            if confidence < sink.min_confidence() {
                continue;
            }
            let ltrb = BoxFormat::Cxcywh.ltrb(
                [row[0] + cell.x, row[1] + cell.y, row[2].exp(), row[3].exp()],
                [cell.stride; 2],
            );
            sink.offer(i, ltrb, class, confidence);
        }
        Ok(())
    }
}
