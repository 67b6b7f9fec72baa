//! Frame → detections: preprocess → infer → decode → suppress.
//!
//! A model's file is read once ([`Signature`]), recognised ([`recognise`]) into a [`ModelPlan`], and
//! from then on every frame is fed and read as the plan says ([`Detector`]).
//!
//! Belongs here: everything that knows ONNX Runtime or model pixels. Does not belong here: threads,
//! queues, and what becomes of the detections.

mod cache;
mod class_map;
mod classes;
mod colour;
mod detections;
mod detector;
mod error;
mod graph;
mod heads;
mod letterbox;
mod limits;
mod manifest;
mod network;
mod on_card;
mod onnx_proto;
mod options;
mod plan;
mod preprocess;
mod proof;
mod providers;
mod recognise;
mod reid;
mod remedy;
mod runtime;
mod sample;
mod session;
mod signature;
mod structure;
mod suppress;
mod taps;
mod tensors;
mod tiles;
mod wire;

pub use class_map::{ClassMap, MAX_CLASS_NAME, class_name_fault, usual_class};
pub use classes::class_called;
pub use detector::{Detector, FrameDetections, StageTime};
pub use error::DetectError;
pub use graph::{Graph, Node, Preamble, Stored};
pub use heads::{Head, OutputError};
pub use letterbox::Placement;
pub use manifest::{
    ActivationName, BoxName, HeadName, LayoutName, Manifest, ManifestError, ManifestInput,
    ManifestOutput, OrderName, ResizeName,
};
pub use options::{
    DEFAULT_CONFIDENCE, DEFAULT_MAX_DETECTIONS, DEFAULT_MIN_CONFIDENCE, DetectOptions, ModelFiles,
    Provider, UnknownProvider,
};
pub use plan::{
    BatchAxis, ChannelOrder, Dtype, ExtraInput, ExtraRole, InputPlan, Layout, LetterboxAnchor,
    OutputView, RawBox, Resize, TensorData,
};
pub use preprocess::{Element, FrameError, Padding, Preprocessor};
pub use proof::{Proof, Rate, prove};
pub use providers::{CudaOptions, OpenVinoOptions, ProviderOptions, TensorRtOptions};
pub use recognise::{
    ModelPlan, RecogniseError, ReidPlan, plan as recognise, reid as recognise_reid,
};
pub use reid::{DEFAULT_REID_MAX_CROPS, DEFAULT_REID_MIN_HEIGHT, Reid, ReidCount, ReidOptions};
pub use runtime::{Runtime, RuntimeError};
pub use session::{ProviderReport, try_provider};
pub use signature::{ElementType, Signature, SignatureError, TensorInfo};
pub use structure::{Cost, Residual, Structure, Weights};
pub use suppress::{MAX_CANDIDATES, Suppressor};
pub use tiles::{MAX_TILES, Tiles, UnknownTiles};
