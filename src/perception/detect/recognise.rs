//! Signature (and manifest) → plan: which family a graph belongs to, and how to feed and read it.

use std::path::{Path, PathBuf};

use super::{Head, InputPlan, Manifest, Signature};

/// How to feed a model and how to read it.
#[derive(Debug, Clone)]
pub struct ModelPlan {
    /// Frame → image tensor.
    pub input: InputPlan,
    /// Output tensors → boxes.
    pub head: Head,
    /// Names by class index.
    pub classes: Vec<String>,
    /// Name of the family, for people.
    pub family: &'static str,
    /// IoU above which the weaker of two boxes of one class is a duplicate.
    pub nms_iou: f32,
    /// What was decided, and from what.
    pub notes: Vec<String>,
    /// What `complete` needs to decide again.
    pub(super) from: Box<(PathBuf, Signature, Option<Manifest>)>,
}

/// Why a graph is refused.
#[derive(Debug, thiserror::Error)]
pub enum RecogniseError {
    /// No family fits.
    #[error(
        "model {path}: not a detector gantryd knows\n  seen: {seen}\n  nearest: {nearest}\n  to use it anyway, fill in a manifest:\n{skeleton}"
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Inputs and outputs as the file states them.
        seen: String,
        /// The nearest family, and why it does not fit.
        nearest: String,
        /// A manifest to fill in.
        skeleton: String,
    },
    /// The manifest contradicts the file.
    #[error("model {path}: {what}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Which key, and what the file says.
        what: String,
    },
}

/// Decides how to feed and read the model at `path` (used for messages and name hints only).
///
/// # Errors
/// [`RecogniseError`] if no family fits, or the manifest contradicts the file.
pub fn plan(
    path: &Path,
    signature: &Signature,
    manifest: Option<&Manifest>,
) -> Result<ModelPlan, RecogniseError> {
    let _ = (signature, manifest);
    Err(RecogniseError::Manifest {
        path: path.to_path_buf(),
        what: "not yet".into(),
    })
}

impl ModelPlan {
    /// Whether the file does not state enough about its outputs: run one grey picture through the
    /// model as [`ModelPlan::input`] says, then call [`ModelPlan::complete`].
    #[must_use]
    pub fn needs_dry_run(&self) -> bool {
        self.head.is_pending()
    }

    /// The plan with the output shapes of a dry run taken as known. Shapes come in graph order.
    /// Also worth calling when nothing is pending: it refuses a model whose outputs are not what
    /// its file states.
    ///
    /// # Errors
    /// As [`plan`].
    pub fn complete(self, shapes: &[(&str, &[usize])]) -> Result<Self, RecogniseError> {
        let (path, mut signature, manifest) = *self.from;
        for (name, shape) in shapes {
            if let Some(output) = signature.outputs.iter_mut().find(|o| o.name == *name) {
                output.dims = shape.iter().map(|&d| Some(d)).collect();
                output.has_shape = true;
            }
        }
        plan(&path, &signature, manifest.as_ref())
    }
}
