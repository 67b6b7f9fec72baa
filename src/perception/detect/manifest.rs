//! `models/<id>/manifest.toml`: states or overrides what the recogniser finds.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A model's manifest. Every key but `file` is optional; what is absent is recognised from the file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The .onnx file, relative to the manifest.
    pub file: PathBuf,
    /// Name to show.
    pub name: Option<String>,
    /// SHA-256 of the file, hex.
    pub sha256: Option<String>,
    /// Where the file can be had.
    pub url: Option<String>,
    /// Licence of the weights.
    pub licence: Option<String>,
    /// Where model and figures come from.
    pub source: Option<String>,
}

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file could not be read.
    #[error("manifest {path}: cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The text is not a manifest.
    #[error("manifest {path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Key, value, and what is allowed.
        what: String,
    },
}

impl Manifest {
    /// Reads and checks the manifest at `path`.
    ///
    /// # Errors
    /// [`ManifestError`] names the key, the value and what is allowed.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path).map_err(|source| ManifestError::Io {
            path: path.to_path_buf(),
            source,
        })?;
        toml::from_str(&text).map_err(|error| ManifestError::Invalid {
            path: path.to_path_buf(),
            what: error.to_string(),
        })
    }

    /// The model file, resolved against the folder of the manifest at `manifest_path`.
    #[must_use]
    pub fn model_path(&self, manifest_path: &Path) -> PathBuf {
        manifest_path
            .parent()
            .unwrap_or(Path::new("."))
            .join(&self.file)
    }
}
