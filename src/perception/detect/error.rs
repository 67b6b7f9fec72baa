//! Why a model cannot be used.

use super::runtime::RuntimeError;

/// Why a model cannot be opened, or failed on a frame.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// ONNX Runtime cannot be loaded.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The file is no model.
    #[error("model {model}: {reason}")]
    File {
        /// Id or file name.
        model: String,
        /// What is wrong with it.
        reason: String,
    },
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
    /// A class is asked for that the model does not know.
    #[error("model {model}: no class \"{class}\"{hint}, known: {known}")]
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
    #[error("{option}: {value}, allowed is {allowed}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        value: f32,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The planes of a frame are shorter than its size says.
    #[error(transparent)]
    Frame(#[from] super::preprocess::FrameError),
}
