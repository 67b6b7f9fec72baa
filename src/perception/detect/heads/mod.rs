//! Output tensors → candidate boxes, one file per layout of the tensors.

use super::{InputPlan, OutputView, RawBox};

/// Why the outputs of one inference could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// An output is missing.
    #[error("output {0:?} is missing")]
    Missing(String),
    /// An output has other dimensions than its head needs.
    #[error("output {name:?} is {shape:?}, expected {expected}")]
    Shape {
        /// Name of the output.
        name: String,
        /// Dimensions as they came.
        shape: Vec<usize>,
        /// What was expected.
        expected: String,
    },
    /// The plan needs a dry run first.
    #[error("the layout of the outputs is not known before a dry run")]
    Pending,
}

/// How the outputs of one model are read.
#[derive(Debug, Clone)]
pub enum Head {
    /// Not known before a dry run.
    Pending,
}

impl Head {
    /// Whether a dry run is needed before anything can be decoded.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Pending)
    }

    /// Whether boxes come back in frame pixels rather than in model pixels.
    #[must_use]
    pub fn boxes_in_frame_pixels(&self) -> bool {
        false
    }

    /// Whether duplicates are left in the candidates.
    #[must_use]
    pub fn needs_nms(&self) -> bool {
        true
    }

    /// Appends the candidates of picture `item` of the batch to `out` and returns how many were
    /// rejected because they are NaN, infinite, without area, or absurd.
    ///
    /// # Errors
    /// [`OutputError`] if an output is missing or has the wrong dimensions.
    pub fn decode(
        &self,
        outputs: &[OutputView<'_>],
        item: usize,
        input: &InputPlan,
        min_confidence: f32,
        out: &mut Vec<RawBox>,
    ) -> Result<u64, OutputError> {
        let _ = (outputs, item, input, min_confidence, out);
        Err(OutputError::Pending)
    }
}
