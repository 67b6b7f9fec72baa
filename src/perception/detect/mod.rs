//! Frame → detections: preprocess → infer → decode → suppress.
//!
//! A model's file is read once ([`Signature`]), recognised ([`recognise`]) into a [`ModelPlan`], and
//! from then on every frame is fed and read as the plan says.

mod graph;
mod heads;
mod manifest;
mod onnx_proto;
mod plan;
mod recognise;
mod signature;
mod suppress;
mod wire;

pub use graph::{Graph, Node, Preamble};
pub use heads::{Head, OutputError};
pub use manifest::{
    ActivationName, BoxName, HeadName, LayoutName, Manifest, ManifestError, ManifestInput,
    ManifestOutput, OrderName, ResizeName,
};
pub use plan::{
    BatchAxis, ChannelOrder, Dtype, ExtraInput, ExtraRole, InputPlan, Layout, LetterboxAnchor,
    OutputView, RawBox, Resize, TensorData,
};
pub use recognise::{ModelPlan, RecogniseError, plan as recognise};
pub use signature::{ElementType, Signature, SignatureError, TensorInfo};
pub use suppress::{MAX_CANDIDATES, Suppressor};
