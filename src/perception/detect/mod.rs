//! Frame → detections: preprocess → infer → decode → suppress.

mod plan;

pub use plan::{
    BatchAxis, ChannelOrder, Dtype, ExtraInput, ExtraRole, InputPlan, Layout, LetterboxAnchor,
    OutputView, RawBox, Resize, TensorData,
};
