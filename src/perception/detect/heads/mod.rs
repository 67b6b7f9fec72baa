//! Output tensors → candidate boxes, one file per layout of the tensors.
//!
//! Belongs here: what the numbers of a head mean. Does not belong here: how a head is recognised
//! (`recognise`), and what happens to the boxes afterwards (`suppress`, and the way back to the frame).

mod anchors;
mod collect;
mod distribution;
mod embeddings;
mod fastest;
mod grid;
mod ready;
mod rows;
mod scored;
mod separate;
mod tensor;

pub use anchors::{AnchorMaps, SharedAnchors};
pub use collect::{BoxFormat, Classes};
pub use distribution::{Distribution, DistributionLevel};
pub use embeddings::EmbeddingRows;
pub use fastest::FastestGrid;
pub use grid::{ExpGrid, cells, cells_of};
pub use ready::ReadyRows;
pub use rows::Rows;
pub use scored::{Activation, Scored};
pub use separate::Separate;

use super::{InputPlan, OutputView, RawBox};
use collect::Collector;

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
pub struct Head {
    pub(super) layout: HeadLayout,
    pub(super) classes: Classes,
    pub(super) frame_pixels: bool,
    pub(super) nms: bool,
    /// Output with a vector per candidate.
    pub(super) embeddings: Option<String>,
}

/// The layouts there are.
#[derive(Debug, Clone)]
pub enum HeadLayout {
    /// Not known before a dry run.
    Pending,
    /// One row (or column) per candidate, box decoded, class scores beside it.
    Rows(Rows),
    /// YOLOX: as rows, box relative to its cell.
    ExpGrid(ExpGrid),
    /// One row per finished detection.
    Ready(ReadyRows),
    /// Finished detections, box, score and label in tensors of their own.
    Separate(Separate),
    /// Boxes in one tensor, a score for every class in another.
    Scored(Scored),
    /// NanoDet and PicoDet: distances to the edges as distributions.
    Distribution(Distribution),
    /// YOLOv5 and v7 without the decoding part: one map per stride, three anchors per cell.
    AnchorMaps(AnchorMaps),
    /// YOLO-FastestV2: three anchors per cell that share the class scores.
    SharedAnchors(SharedAnchors),
    /// FastestDet: one box per cell of one map.
    FastestGrid(FastestGrid),
}

impl Head {
    /// Whether a dry run is needed before anything can be decoded.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.layout, HeadLayout::Pending)
    }

    /// Whether boxes come back in frame pixels rather than in model pixels.
    #[must_use]
    pub fn boxes_in_frame_pixels(&self) -> bool {
        self.frame_pixels
    }

    /// The output that says what each candidate looks like, `[B, N, D]`, if there is one.
    #[must_use]
    pub fn embeddings_output(&self) -> Option<&str> {
        self.embeddings.as_deref()
    }

    /// Whether duplicates are left in the candidates.
    #[must_use]
    pub fn needs_nms(&self) -> bool {
        self.nms
    }

    /// Appends the candidates of picture `item` of the batch to `out` (at most
    /// [`super::MAX_CANDIDATES`] × 2, the best) and returns how many at or above `min_confidence` were
    /// rejected because they are NaN, infinite, without area, absurdly large, or of no known class.
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
        let mut collector =
            Collector::new(out, &self.classes, input, self.frame_pixels, min_confidence);
        let sink = &mut collector;
        match &self.layout {
            HeadLayout::Pending => Err(OutputError::Pending),
            HeadLayout::Rows(head) => head.decode(outputs, item, input, sink),
            HeadLayout::ExpGrid(head) => head.decode(outputs, item, sink),
            HeadLayout::Ready(head) => head.decode(outputs, item, input, sink),
            HeadLayout::Separate(head) => head.decode(outputs, item, input, sink),
            HeadLayout::Scored(head) => head.decode(outputs, item, input, sink),
            HeadLayout::Distribution(head) => head.decode(outputs, item, sink),
            HeadLayout::AnchorMaps(head) => head.decode(outputs, item, input, sink),
            HeadLayout::SharedAnchors(head) => head.decode(outputs, item, input, sink),
            HeadLayout::FastestGrid(head) => head.decode(outputs, item, input, sink),
        }?;
        Ok(collector.rejected())
    }
}
