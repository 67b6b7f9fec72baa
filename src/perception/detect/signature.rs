//! What an .onnx file says about itself: inputs, outputs, metadata, and the facts of its graph.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Element type of a tensor in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// 8-bit unsigned.
    U8,
    /// 64-bit signed.
    I64,
    /// 32-bit signed.
    I32,
    /// Anything else, by its ONNX name.
    Other(String),
}

/// One input or output of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: ElementType,
    /// Its dimensions; `None` is symbolic or missing. Empty if the file does not state a shape.
    pub dims: Vec<Option<usize>>,
    /// Whether the file states a shape at all.
    pub has_shape: bool,
}

/// Everything the recogniser looks at.
#[derive(Debug, Clone, Default)]
pub struct Signature {
    /// Graph inputs that are not initialisers.
    pub inputs: Vec<TensorInfo>,
    /// Graph outputs.
    pub outputs: Vec<TensorInfo>,
    /// `metadata_props` of the file.
    pub metadata: BTreeMap<String, String>,
    /// Version of the default operator set.
    pub opset: i64,
    /// Name and version of the exporter.
    pub producer: String,
    /// Number of elements of all initialisers.
    pub parameters: u64,
}

/// Why a file could not be read as an ONNX model.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The file could not be read.
    #[error("model {path}: cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is no ONNX model.
    #[error("model {path}: {what}")]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What was found instead, and what to try.
        what: String,
    },
}

impl Signature {
    /// Reads the signature of the model at `path`; weights are skipped, not loaded.
    ///
    /// # Errors
    /// [`SignatureError`] if the file cannot be read or is not a complete ONNX model.
    pub fn read(path: &Path) -> Result<Self, SignatureError> {
        Err(SignatureError::NotOnnx {
            path: path.to_path_buf(),
            what: "not yet".into(),
        })
    }
}
