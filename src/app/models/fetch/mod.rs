//! `gantryd models fetch`: a model's file from where its manifest says, checked and put in place whole.

mod download;
mod error;
mod part;
mod place;
mod source;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::verify::sha256;
use super::{ModelError, manifest_of};
use crate::app::progress::Progress;
use crate::perception::detect::{Manifest, Signature};
use download::Download;
use source::{Origin, source};

pub use error::FetchError;
pub use place::default_folder;

/// What is noted beside a fetched file.
const NOTE: &str = "fetched.toml";

/// Licences under which weights may be used without asking anybody, as SPDX names them.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC-BY-4.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Zlib",
];

/// What to fetch, and how.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Where manifests are looked for, first wins.
    pub folders: Vec<PathBuf>,
    /// URL, folder or file to take it from instead of the manifest's URL.
    pub from: Option<String>,
    /// Folder that gets `<id>/`; must be among `folders` to be found again.
    pub to: PathBuf,
    /// The licence that the user has read and accepts.
    pub accepted_licence: Option<String>,
    /// Wait before a lost connection is tried again; longer each time in vain.
    pub retry_wait: Duration,
}

/// How a fetched file compares with its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It is the file that the manifest means.
    ByManifest,
    /// It is the file that was fetched before; the manifest states no SHA-256.
    ByNote,
    /// Nothing says which file it should be; its SHA-256 is noted from now on.
    Noted,
    /// It was put there by hand, and nothing says which file it should be.
    Unstated,
}

/// A model whose file is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The model.
    pub id: String,
    /// Its file.
    pub path: PathBuf,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// What `sha256` was compared with.
    pub checked: Checked,
    /// Whether it was there before.
    pub was_there: bool,
    /// Licence of the weights.
    pub licence: Option<String>,
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, path, mib) = (
            &self.id,
            self.path.display(),
            self.bytes as f64 / 1024.0 / 1024.0,
        );
        let done = if self.was_there {
            "already there"
        } else {
            "fetched"
        };
        writeln!(f, "{id}: {done}, {path}, {mib:.1} MiB")?;
        let checked = match self.checked {
            Checked::ByManifest => "as the manifest says".to_owned(),
            Checked::Unstated => "nothing states which it should be".to_owned(),
            Checked::ByNote => format!("as noted in {NOTE} when it was fetched"),
            Checked::Noted => format!(
                "the manifest states none to compare with; noted in {NOTE}, gantryd models verify compares from now on"
            ),
        };
        writeln!(f, "sha256   {} ({checked})", self.sha256)?;
        let licence = self.licence.as_deref().unwrap_or("not stated");
        write!(f, "licence  {licence}")
    }
}

/// What is known of a file without a SHA-256 in its manifest: the one it had when it was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Note {
    /// Where the file came from.
    from: String,
    /// Its length, bytes.
    bytes: u64,
    /// Its SHA-256, lower-case hex.
    pub(super) sha256: String,
}

impl Note {
    /// The note beside `onnx`, if there is one.
    pub(super) fn beside(onnx: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(onnx.with_file_name(NOTE)).ok()?;
        toml::from_str(&text).ok()
    }
}

/// Gets the file of model `id`, unless the right one is there.
///
/// The bytes are collected in `<file>.part`, hashed on the way, and renamed to their name only when
/// they are whole, on disk, and what the manifest says. A part that is left is gone on with.
///
/// # Errors
/// [`FetchError`]; [`FetchError::is_temporary`] tells whether to try again.
pub fn fetch(id: &str, options: &FetchOptions) -> Result<Fetched, FetchError> {
    let manifest_path = manifest_of(id, &options.folders)?;
    let manifest = Manifest::read(&manifest_path).map_err(ModelError::from)?;
    let io_error = |path: &Path| {
        let (id, path) = (id.to_owned(), path.display().to_string());
        move |source| FetchError::Io { id, path, source }
    };
    let target = place::target(id, &manifest, &options.to)?;
    for there in [&target, &manifest.model_path(&manifest_path)] {
        if let Some(found) = right_file(id, &manifest, there).map_err(io_error(there))? {
            return Ok(found);
        }
    }
    check_licence(id, &manifest, options)?;
    let source = source(id, &manifest, options.from.as_deref())?;
    let folder = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(io_error(folder))?;
    let mut progress = Progress::of_bytes(id);
    let download = Download {
        id,
        part: place::part_of(&target),
        is_pinned: manifest.sha256.is_some(),
        retry_wait: options.retry_wait,
    };
    let done = match &source {
        Origin::Url(url) => download.download(url, &mut progress),
        Origin::File(file) => download.copy(file, &mut progress),
    };
    progress.finish();
    let got = done?;
    let from = source.to_string();
    let refuse = |error: FetchError| {
        // What is refused must not be gone on with.
        match download.discard() {
            Ok(()) => error,
            Err(source) => io_error(&download.part)(source),
        }
    };
    let checked = match &manifest.sha256 {
        Some(stated) if !stated.eq_ignore_ascii_case(&got.sha256) => {
            return Err(refuse(FetchError::WrongHash {
                id: id.to_owned(),
                from,
                found: got.sha256,
                stated: stated.clone(),
            }));
        }
        Some(_) => Checked::ByManifest,
        None => {
            if let Err(source) = Signature::read(&download.part) {
                let id = id.to_owned();
                return Err(refuse(FetchError::NotAModel { id, from, source }));
            }
            Checked::Noted
        }
    };
    let note = Note {
        from,
        bytes: got.bytes,
        sha256: got.sha256.clone(),
    };
    place::put(&download.part, &target, &manifest_path, &note).map_err(io_error(&target))?;
    Ok(Fetched {
        id: id.to_owned(),
        path: target,
        bytes: got.bytes,
        sha256: got.sha256,
        checked,
        was_there: false,
        licence: manifest.licence,
    })
}

fn check_licence(id: &str, manifest: &Manifest, options: &FetchOptions) -> Result<(), FetchError> {
    let Some(licence) = &manifest.licence else {
        return Ok(());
    };
    let is_free = PERMISSIVE
        .iter()
        .any(|free| free.eq_ignore_ascii_case(licence));
    let accepted = options.accepted_licence.as_ref();
    if is_free || accepted.is_some_and(|name| name.eq_ignore_ascii_case(licence)) {
        return Ok(());
    }
    let from = options.from.as_ref();
    let from = from.map_or_else(String::new, |from| format!(" --from {from}"));
    Err(FetchError::Licence {
        again: format!("gantryd models fetch {id}{from} --accept-licence {licence}"),
        id: id.to_owned(),
        licence: licence.clone(),
        source_of: manifest.source.clone().unwrap_or_default(),
    })
}

/// The file at `path` if it is the right one; one that contradicts the manifest or the note is not.
fn right_file(id: &str, manifest: &Manifest, path: &Path) -> io::Result<Option<Fetched>> {
    let length = match std::fs::metadata(path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = sha256(path)?;
    let (stated, checked) = match (&manifest.sha256, Note::beside(path)) {
        (Some(stated), _) => (stated.clone(), Checked::ByManifest),
        (None, Some(note)) => (note.sha256, Checked::ByNote),
        // Somebody put it there; nothing says that it is wrong.
        (None, None) => (found.clone(), Checked::Unstated),
    };
    Ok(stated.eq_ignore_ascii_case(&found).then(|| Fetched {
        id: id.to_owned(),
        path: path.to_owned(),
        bytes: length,
        sha256: found,
        checked,
        was_there: true,
        licence: manifest.licence.clone(),
    }))
}
