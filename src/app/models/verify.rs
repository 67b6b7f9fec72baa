//! `gantryd models verify`.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::fetch::Note;
use super::{first_line, manifests, table};
use crate::perception::detect::Manifest;

/// What a model's file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// As its manifest says.
    Intact,
    /// Another file.
    Differs {
        /// SHA-256 in the manifest, or noted when it was fetched.
        stated: String,
        /// SHA-256 of the file.
        found: String,
    },
    /// Not there; the model has to be fetched before it can be used.
    Missing,
    /// The manifest states no SHA-256 and none was noted when the file was fetched.
    NotStated,
    /// File or manifest cannot be read.
    Unreadable(String),
}

/// What `gantryd models verify` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification(pub Vec<(String, Integrity)>);

impl Verification {
    /// Whether no file contradicts its manifest; missing files do not.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.0.iter().all(|(_, integrity)| {
            matches!(
                integrity,
                Integrity::Intact | Integrity::Missing | Integrity::NotStated
            )
        })
    }
}

/// Compares every model's file in `folders` with the SHA-256 in its manifest.
#[must_use]
pub fn verify(folders: &[PathBuf]) -> Verification {
    let all = manifests(folders).into_iter();
    Verification(
        all.map(|(id, manifest)| (id, integrity(&manifest)))
            .collect(),
    )
}

fn integrity(path: &Path) -> Integrity {
    let manifest = match Manifest::read(path) {
        Ok(manifest) => manifest,
        Err(error) => return Integrity::Unreadable(first_line(&error)),
    };
    let onnx = manifest.model_path(path);
    if !onnx.is_file() {
        return Integrity::Missing;
    }
    let noted = || Note::beside(&onnx).map(|note| note.sha256);
    let Some(stated) = manifest.sha256.or_else(noted) else {
        return Integrity::NotStated;
    };
    match sha256(&onnx) {
        Ok(found) if found.eq_ignore_ascii_case(&stated) => Integrity::Intact,
        Ok(found) => Integrity::Differs { stated, found },
        Err(error) => Integrity::Unreadable(format!("{}: {error}", onnx.display())),
    }
}

/// SHA-256 of a file, lower-case hex.
pub(super) fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            let digest = hasher.finalize();
            return Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&buffer[..read]);
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table();
        for (id, integrity) in &self.0 {
            let text = match integrity {
                Integrity::Intact => "intact".to_owned(),
                Integrity::Differs { stated, found } => {
                    format!(
                        "DIFFERS: sha256 is {found}, it should be {stated}; gantryd models fetch {id} gets it again"
                    )
                }
                Integrity::Missing => "missing".to_owned(),
                Integrity::NotStated => "not checked: the manifest states no sha256".to_owned(),
                Integrity::Unreadable(why) => format!("UNREADABLE: {why}"),
            };
            table.add_row([id.clone(), text]);
        }
        write!(f, "{}", table.trim_fmt())
    }
}
