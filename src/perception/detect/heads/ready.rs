//! One row per finished detection: nothing to decode, nothing to suppress.

use super::super::{InputPlan, OutputView};
use super::OutputError;
use super::collect::{BoxFormat, Collector};
use super::tensor::{find, floats, table, wrong_shape};

/// `[N, K]` per picture, or `[M, K]` for the whole batch with a picture number in each row or a count
/// per picture beside it. N and M may differ from call to call; unused rows have no score or class −1.
///
/// Source: exporters of YOLOv10, YOLO26, YOLOv7 (`--end2end`), Ultralytics (`nms=True`) and
/// PaddleDetection.
#[derive(Debug, Clone)]
pub struct ReadyRows {
    /// Name of the output.
    pub output: String,
    /// Rows per picture, where one tensor holds all pictures without saying whose a row is.
    pub count: Option<String>,
    /// Column of the first of four box numbers.
    pub box_column: usize,
    /// Column of the score.
    pub score_column: usize,
    /// Column of the class.
    pub class_column: usize,
    /// Column of the picture number.
    pub picture_column: Option<usize>,
    /// What the four numbers are.
    pub boxes: BoxFormat,
    /// Whether boxes are parts of the model's input (0..=1).
    pub normalised: bool,
}

impl ReadyRows {
    pub fn decode(
        &self,
        outputs: &[OutputView<'_>],
        item: usize,
        input: &InputPlan,
        sink: &mut Collector<'_>,
    ) -> Result<(), OutputError> {
        let view = find(outputs, &self.output)?;
        let rank = view.shape.len();
        let columns = view.shape.last().copied().unwrap_or(0);
        let needed = 1 + [
            self.box_column + 3,
            self.score_column,
            self.class_column,
            self.picture_column.unwrap_or(0),
        ]
        .into_iter()
        .max()
        .unwrap_or(0);
        if rank < 2 || columns < needed {
            // Some runtimes drop all dimensions when nothing was found.
            if view.shape.contains(&0) {
                return Ok(());
            }
            return Err(wrong_shape(view, format!("rows of {needed} values")));
        }
        // Row of the tensor that comes first here.
        let mut first = 0;
        let data = if self.picture_column.is_some() {
            floats(view, 0, view.shape.iter().product())?
        } else if let Some(count) = &self.count {
            let (from, rows) = self.rows_of(find(outputs, count)?, item)?;
            first = from;
            floats(
                view,
                from.saturating_mul(columns),
                rows.saturating_mul(columns),
            )?
        } else {
            table(view, item)?.2
        };
        let scale = if self.normalised {
            [input.width as f32, input.height as f32]
        } else {
            [1.0, 1.0]
        };
        for (i, row) in data.chunks_exact(columns).enumerate() {
            if self
                .picture_column
                .is_some_and(|column| row[column] != item as f32)
            {
                continue;
            }
            let (score, class) = (row[self.score_column], row[self.class_column]);
            if score < sink.min_confidence() || class < 0.0 {
                continue;
            }
            if !class.is_finite() || class > 65_535.0 {
                sink.reject();
                continue;
            }
            let b = self.box_column;
            let ltrb = self
                .boxes
                .ltrb([row[b], row[b + 1], row[b + 2], row[b + 3]], scale);
            sink.offer(first + i, ltrb, class.round() as usize, score);
        }
        Ok(())
    }

    /// First row and number of rows of picture `item`.
    fn rows_of(&self, count: &OutputView<'_>, item: usize) -> Result<(usize, usize), OutputError> {
        let counts = floats(count, 0, count.shape.iter().product())?;
        let row_count = |v: f32| if v > 0.0 { v as usize } else { 0 };
        match counts.get(..=item) {
            Some([before @ .., own]) => Ok((
                before
                    .iter()
                    .fold(0usize, |sum, &v| sum.saturating_add(row_count(v))),
                row_count(*own),
            )),
            _ => Err(wrong_shape(count, format!("more than {item} counts"))),
        }
    }
}
