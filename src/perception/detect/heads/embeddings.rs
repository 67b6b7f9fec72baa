//! The vectors that some heads give beside their boxes: what each candidate looks like.

use super::super::OutputView;
use super::OutputError;
use super::tensor::{find, floats, wrong_shape};
use crate::base::Embedding;

/// The vectors of one picture: `[N, D]`, row `n` for candidate `n` of the boxes.
///
/// From `[B, N, D]`; a tensor `[M, D]` belongs to a head whose rows are those of all pictures.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingRows<'a> {
    view: OutputView<'a>,
    /// Elements before the first row.
    start: usize,
    rows: usize,
    /// D.
    width: usize,
}

impl<'a> EmbeddingRows<'a> {
    /// The rows of picture `item` in the output called `name`.
    ///
    /// # Errors
    /// [`OutputError`] if there is no such output or picture.
    pub fn of_item(
        outputs: &[OutputView<'a>],
        name: &str,
        item: usize,
    ) -> Result<Self, OutputError> {
        let view = *find(outputs, name)?;
        let (pictures, rows, width) = match *view.shape {
            [pictures, rows, width] => (pictures, rows, width),
            // Without an axis of pictures there is one picture.
            [rows, width] => (1, rows, width),
            _ => return Err(wrong_shape(&view, "[B, N, D]")),
        };
        if item >= pictures || width == 0 || width > Embedding::MAX_LEN {
            let most = Embedding::MAX_LEN;
            return Err(wrong_shape(
                &view,
                format!("[B, N, D] with more than {item} pictures and D from 1 to {most}"),
            ));
        }
        let start = if view.shape.len() == 3 {
            item * rows * width
        } else {
            0
        };
        Ok(Self {
            view,
            start,
            rows,
            width,
        })
    }

    /// The vector of the candidate in `row`, or `None` if its values have no direction.
    ///
    /// # Errors
    /// [`OutputError::Shape`] if there are fewer rows than candidates.
    pub fn get(&self, row: u32) -> Result<Option<Embedding>, OutputError> {
        let row = row as usize;
        if row >= self.rows {
            return Err(wrong_shape(
                &self.view,
                format!("a row for each candidate, one of which is number {row}"),
            ));
        }
        let values = floats(&self.view, self.start + row * self.width, self.width)?;
        Ok(Embedding::new(&values))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::TensorData;
    use super::*;

    fn view<'a>(shape: &'a [usize], data: &'a [f32]) -> [OutputView<'a>; 1] {
        [OutputView {
            name: "embeddings",
            shape,
            data: TensorData::F32(data),
        }]
    }

    #[test]
    fn each_picture_has_rows_of_its_own() {
        let data = [1.0, 0.0, 0.0, 1.0, 0.6, 0.8, 0.8, 0.6];
        let outputs = view(&[2, 2, 2], &data);
        let values = |item, row| {
            let rows = EmbeddingRows::of_item(&outputs, "embeddings", item).unwrap();
            rows.get(row).unwrap().unwrap().values().to_vec()
        };
        assert_eq!(values(0, 1), [0.0, 1.0]);
        assert_eq!(values(1, 0), [0.6, 0.8]);
    }

    #[test]
    fn a_missing_row_picture_or_axis_is_an_error() {
        let data = [1.0, 0.0];
        let flat = view(&[2], &data);
        assert!(EmbeddingRows::of_item(&flat, "embeddings", 0).is_err());
        let outputs = view(&[1, 1, 2], &data);
        assert!(EmbeddingRows::of_item(&outputs, "embeddings", 1).is_err());
        assert!(EmbeddingRows::of_item(&outputs, "other", 0).is_err());
        let rows = EmbeddingRows::of_item(&outputs, "embeddings", 0).unwrap();
        assert!(rows.get(1).is_err());
    }

    #[test]
    fn a_row_without_direction_is_none() {
        let outputs = view(&[1, 1, 2], &[0.0, 0.0]);
        let rows = EmbeddingRows::of_item(&outputs, "embeddings", 0).unwrap();
        assert_eq!(rows.get(0).unwrap(), None);
    }
}
