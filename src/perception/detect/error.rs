//! Why a model cannot be used.

use crate::card::{CardError, LetterboxError};

use super::{FrameError, ManifestError, OutputError, RecogniseError, RuntimeError, SignatureError};

/// Why a model cannot be opened, or failed on a frame.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// ONNX Runtime cannot be loaded.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The path leads to nothing that could be a model.
    #[error("model {model}: {reason}")]
    File {
        /// Id or file name.
        model: String,
        /// What is wrong with it, and what is wanted.
        reason: String,
    },
    /// The file is no ONNX model.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The graph is no detector that is known.
    #[error(transparent)]
    Recognise(#[from] RecogniseError),
    /// The network cannot be made, or failed.
    #[error("model {model}: {doing}")]
    Network {
        /// Id or file name.
        model: String,
        /// What was being done, and the remedy.
        doing: String,
        /// What ONNX Runtime says.
        #[source]
        source: ort::Error,
    },
    /// A GPU is required, and none of the providers is one.
    #[error(
        "model {model}: detect.require_gpu = true, and none of the providers that may run it is a GPU; name cuda, tensorrt, or openvino with hardware = \"GPU\""
    )]
    NoGpu {
        /// Id or file name.
        model: String,
    },
    /// Frames cannot stay on the card, or no longer.
    #[error("frames on the card (detect.zero_copy)")]
    Card(#[from] LetterboxError),
    /// The outputs are not what the head reads.
    #[error("model {model}: reading the outputs")]
    Output {
        /// Id or file name.
        model: String,
        /// What is wrong with them.
        #[source]
        source: OutputError,
    },
    /// Classes are renamed that the model does not know, or none is left.
    #[error("{place}: {what}")]
    ClassMap {
        /// Where that is written.
        place: &'static str,
        /// What is wrong, with the classes that are known.
        what: String,
    },
    /// A class is asked for that the model does not know.
    #[error("model {model}: no class \"{class}\"{hint}; known: {known}")]
    UnknownClass {
        /// Id or file name.
        model: String,
        /// The class asked for.
        class: String,
        /// The nearest known name, as `, did you mean "car"?`, or nothing.
        hint: String,
        /// The known names.
        known: String,
    },
    /// A threshold is out of range.
    #[error("detect.{option}: {value}, allowed is 0 to 1")]
    Threshold {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        value: f32,
    },
    /// The planes of a frame are shorter than its size says.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl From<CardError> for DetectError {
    fn from(error: CardError) -> Self {
        Self::Card(error.into())
    }
}
