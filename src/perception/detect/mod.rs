//! Frame → detections: preprocess → infer → decode → suppress.
//!
//! Belongs here: everything that knows ONNX Runtime or model pixels. Does not belong here: threads,
//! queues, and what becomes of the detections.

mod colour;
mod detector;
mod error;
mod letterbox;
mod options;
mod plan;
mod preprocess;
mod runtime;
mod session;
mod taps;

pub use detector::{Detector, FrameDetections, StageTime};
pub use error::DetectError;
pub use letterbox::Placement;
pub use options::{
    DEFAULT_CONFIDENCE, DEFAULT_MAX_BATCH, DEFAULT_MAX_DETECTIONS, DEFAULT_MIN_CONFIDENCE,
    DEFAULT_NMS_IOU, DetectOptions, ModelFiles, Provider, UnknownProvider,
};
pub use plan::{
    BatchAxis, ChannelOrder, Dtype, ExtraInput, ExtraRole, InputPlan, Layout, LetterboxAnchor,
    OutputView, RawBox, Resize, TensorData,
};
pub use preprocess::{Element, FrameError, Padding, Preprocessor};
pub use runtime::{Runtime, RuntimeError};
pub use session::ProviderReport;
