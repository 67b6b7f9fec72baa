//! A model, ready to look at frames.

use std::time::Duration;

use crate::base::{Detection, Frame};

use super::session::ProviderReport;
use super::{DetectError, DetectOptions, InputPlan, ModelFiles};

/// Time spent on one frame in one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageTime {
    /// Wall time.
    pub wall: Duration,
    /// CPU time of the calling thread; threads of the runtime itself are not in it.
    pub cpu: Duration,
}

/// What was seen in one frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FrameDetections {
    /// Detections in frame pixels, clipped to the frame, best first, ties in a fixed order.
    pub detections: Vec<Detection>,
    /// Boxes of the model that cannot be true (not finite, inside out, far off the frame).
    pub rejected: u64,
    /// Planes → tensor.
    pub preprocess: StageTime,
    /// The network; the share of one frame where several were computed together.
    pub inference: StageTime,
    /// Tensors → detections.
    pub decode: StageTime,
}

/// A model, ready to look at frames. One owner, one thread.
#[derive(Debug)]
pub struct Detector {
    input: InputPlan,
    classes: Vec<String>,
    report: ProviderReport,
    confidence: f32,
    max_batch: usize,
}

impl Detector {
    /// Loads the model, recognises its head and runs it once on an empty picture.
    ///
    /// # Errors
    /// [`DetectError`] if ONNX Runtime, the model or the provider cannot be used.
    pub fn open(model: &ModelFiles, _options: &DetectOptions) -> Result<Self, DetectError> {
        Err(DetectError::File {
            model: model.id.clone(),
            reason: "models cannot be opened yet".to_owned(),
        })
    }

    /// Looks at `frames`, any number, in calls of at most [`Detector::max_batch`] pictures.
    ///
    /// # Errors
    /// [`DetectError`] if a frame's planes are too short or the network fails.
    pub fn detect(&mut self, frames: &[&Frame]) -> Result<Vec<FrameDetections>, DetectError> {
        Ok(frames.iter().map(|_| FrameDetections::default()).collect())
    }

    /// Names of the classes, by [`crate::base::ClassId`].
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// What computes the network, and why.
    #[must_use]
    pub fn report(&self) -> &ProviderReport {
        &self.report
    }

    /// How a frame becomes the input of the model.
    #[must_use]
    pub fn input(&self) -> &InputPlan {
        &self.input
    }

    /// Pictures that one call of the network takes.
    #[must_use]
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// Score from which a detection starts a track; weaker ones are for the tracker's second stage.
    #[must_use]
    pub fn confidence(&self) -> f32 {
        self.confidence
    }
}
