//! Distances from a cell to the four edges, each given as a distribution over whole strides.

use super::super::OutputView;
use super::OutputError;
use super::collect::Collector;
use super::grid::Cell;
use super::tensor::{Floats, best, find, sigmoid, table, wrong_shape};

/// Most bins per edge; real models have 8 (NanoDet, PicoDet) to 17.
const MAX_BINS: usize = 64;

/// The tensors of one stride, or of all of them in one.
#[derive(Debug, Clone)]
pub struct DistributionLevel {
    /// Name of the class scores, `[N, C]`.
    pub scores_output: String,
    /// Name of the distributions, `[N, 4 · bins]`; the same as `scores_output` where one tensor
    /// `[N, C + 4 · bins]` holds both.
    pub boxes_output: String,
    /// Cells in row order.
    pub cells: Vec<Cell>,
}

/// NanoDet and PicoDet: edge = centre ∓ stride · Σ bin · softmax(bins).
///
/// Source: Generalized Focal Loss (Li et al. 2020), and the deployment notes of both families.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// One per stride, or one for all.
    pub levels: Vec<DistributionLevel>,
    /// Number of class scores.
    pub classes: usize,
    /// Bins per edge.
    pub bins: usize,
    /// Where a cell's centre is, in cells: 0.5, or 0 for NanoDet-Plus.
    pub centre: f32,
    /// Whether class scores still need a sigmoid.
    pub needs_sigmoid: bool,
}

impl Distribution {
    pub fn decode(
        &self,
        outputs: &[OutputView<'_>],
        item: usize,
        sink: &mut Collector<'_>,
    ) -> Result<(), OutputError> {
        let mut before = 0;
        for level in &self.levels {
            let n = level.cells.len();
            let joined = level.scores_output == level.boxes_output;
            let need = |name: &str, width: usize| -> Result<(usize, Floats<'_>), OutputError> {
                let view = find(outputs, name)?;
                let (rows, columns, data) = table(view, item)?;
                if rows != n || columns < width {
                    return Err(wrong_shape(view, format!("[{n}, {width}] per picture")));
                }
                Ok((columns, data))
            };
            let edges = 4 * self.bins;
            if joined {
                let (width, data) = need(&level.scores_output, self.classes + edges)?;
                for (i, (row, cell)) in data.chunks_exact(width).zip(&level.cells).enumerate() {
                    let (scores, bins) = row.split_at(self.classes);
                    self.offer(before + i, scores, &bins[..edges], *cell, sink);
                }
            } else {
                let (score_width, scores) = need(&level.scores_output, self.classes)?;
                let (box_width, boxes) = need(&level.boxes_output, edges)?;
                for (i, ((s, b), cell)) in scores
                    .chunks_exact(score_width)
                    .zip(boxes.chunks_exact(box_width))
                    .zip(&level.cells)
                    .enumerate()
                {
                    self.offer(before + i, &s[..self.classes], &b[..edges], *cell, sink);
                }
            }
            before += n;
        }
        Ok(())
    }

    fn offer(
        &self,
        row: usize,
        scores: &[f32],
        bins: &[f32],
        cell: Cell,
        sink: &mut Collector<'_>,
    ) {
        let Some((class, mut score)) = best(scores) else {
            return;
        };
        if self.needs_sigmoid {
            score = sigmoid(score);
        }
        if score < sink.min_confidence() {
            return;
        }
        let cx = (cell.x + self.centre) * cell.stride;
        let cy = (cell.y + self.centre) * cell.stride;
        let edge = |i: usize| expected_bin(&bins[i * self.bins..(i + 1) * self.bins]) * cell.stride;
        sink.offer(
            row,
            [cx - edge(0), cy - edge(1), cx + edge(2), cy + edge(3)],
            class,
            score,
        );
    }
}

/// Expected index under softmax; a single value stands for itself.
fn expected_bin(bins: &[f32]) -> f32 {
    if let [distance] = bins {
        return *distance;
    }
    let bins = &bins[..bins.len().min(MAX_BINS)];
    let top = bins.iter().copied().fold(f32::MIN, f32::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (i, &bin) in bins.iter().enumerate() {
        let weight = (bin - top).exp();
        sum += weight;
        weighted += weight * i as f32;
    }
    weighted / sum
}
