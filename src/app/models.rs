//! Models by id or file: finding them, and what `gantryd models` prints.
//!
//! A model's folder is `models/<id>/` with a `manifest.toml` that names its .onnx file.

mod fetch;
mod inspect;
mod list;
mod providers;
mod verify;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};

use comfy_table::presets;
use comfy_table::{ContentArrangement, Table};

use crate::perception::detect::{Manifest, ManifestError, ModelFiles};

pub use fetch::{Checked, FetchError, FetchOptions, Fetched, default_folder, fetch};
pub use inspect::{Inspection, inspect};
pub use list::{Listed, Listing, list};
pub use verify::{Integrity, Verification, verify};

/// The file that makes a folder a model.
const MANIFEST: &str = "manifest.toml";

/// A model that cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No folder has it.
    #[error(
        "model \"{id}\" is not known{hint}; known: {known}{to_fetch}; searched: {searched}; a file of your own goes by its path: --model FILE.onnx, or detect.model = \"FILE.onnx\" in a configuration"
    )]
    UnknownId {
        /// What was asked for.
        id: String,
        /// The nearest known id, as `, did you mean "x"?`, or nothing.
        hint: String,
        /// The ids whose file is there, or `none`.
        known: String,
        /// The ids whose file is not, with the command that gets it, or nothing.
        to_fetch: String,
        /// The folders.
        searched: String,
    },
    /// Its manifest is there, its file is not.
    #[error(
        "model {id}: {path} is missing; gantryd models fetch {id} {gets_it}, or name another: --model ID|FILE.onnx, detect.model in a configuration"
    )]
    NotFetched {
        /// The model.
        id: String,
        /// Where its file should be.
        path: String,
        /// `gets it from URL`, or `tells how it is made`.
        gets_it: String,
    },
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// The models of this user: `$XDG_DATA_HOME/gantryd/models`, usually below `~/.local/share`; `None`
/// without a home.
fn user_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
    let data = set("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&set("HOME")?).join(".local/share")))?;
    Some(data.join("gantryd/models"))
}

/// Folders that may hold models: `$GANTRYD_MODELS`, `./models`, the user's, beside the program, in
/// the source tree the program was built in, and the system's. The first that has a model's file
/// wins, else the first that has its manifest.
#[must_use]
pub fn folders() -> Vec<PathBuf> {
    let named = std::env::var_os("GANTRYD_MODELS").filter(|path| !path.is_empty());
    let program = std::env::current_exe().ok();
    let mut folders: Vec<PathBuf> = named.map(PathBuf::from).into_iter().collect();
    folders.push(PathBuf::from("models"));
    folders.extend(user_folder());
    if let Some(beside) = program.as_deref().and_then(Path::parent) {
        folders.push(beside.join("../share/gantryd/models"));
        // A folder named models alone could be anything; a source tree has a Cargo.toml beside it.
        let trees = beside
            .ancestors()
            .filter(|above| above.join("Cargo.toml").is_file());
        folders.extend(trees.map(|tree| tree.join("models")));
    }
    folders.push(PathBuf::from("/usr/share/gantryd/models"));
    folders.push(PathBuf::from("/var/lib/gantryd/models"));
    folders
}

/// The files of the model that `text` names: a file if it ends in `.onnx` or contains `/`, else an id.
///
/// # Errors
/// [`ModelError`] if there is no such id, or its file or manifest cannot be used.
pub fn resolve(text: &str) -> Result<ModelFiles, ModelError> {
    if text.ends_with(".onnx") || text.contains('/') {
        Ok(by_file(Path::new(text)))
    } else {
        by_id(text, &folders())
    }
}

/// The model in `file`, with the manifest beside it where that one is about this file.
///
/// Whether the file can be used shows when it is opened.
#[must_use]
pub fn by_file(file: &Path) -> ModelFiles {
    let beside = file.with_file_name(MANIFEST);
    let is_about =
        Manifest::read(&beside).is_ok_and(|manifest| manifest.file.file_name() == file.file_name());
    ModelFiles {
        id: file
            .file_name()
            .unwrap_or(file.as_os_str())
            .to_string_lossy()
            .into_owned(),
        onnx: file.to_owned(),
        manifest: is_about.then_some(beside),
    }
}

/// The model `id` in the first of `folders` that has it.
///
/// # Errors
/// [`ModelError`] if none has it, or its file or manifest cannot be used.
pub fn by_id(id: &str, folders: &[PathBuf]) -> Result<ModelFiles, ModelError> {
    let path = manifest_of(id, folders)?;
    let manifest = Manifest::read(&path)?;
    let onnx = manifest.model_path(&path);
    if !onnx.is_file() {
        return Err(ModelError::NotFetched {
            id: id.to_owned(),
            path: onnx.display().to_string(),
            gets_it: manifest.url.map_or_else(
                || "tells how to come by it".to_owned(),
                |url| format!("gets it from {url}"),
            ),
        });
    }
    Ok(ModelFiles {
        id: id.to_owned(),
        onnx,
        manifest: Some(path),
    })
}

/// The manifest of model `id` in `folders`.
///
/// # Errors
/// [`ModelError::UnknownId`] with the nearest id and all known ones.
fn manifest_of(id: &str, folders: &[PathBuf]) -> Result<PathBuf, ModelError> {
    let manifests = manifests(folders);
    if let Some(path) = manifests.get(id) {
        return Ok(path.clone());
    }
    let near = manifests
        .keys()
        .min_by_key(|known| strsim::levenshtein(known, id));
    let hint = near
        .filter(|known| strsim::levenshtein(known, id) <= 1 + id.len() / 3)
        .map_or_else(String::new, |known| format!(", did you mean \"{known}\"?"));
    let (present, absent): (Vec<_>, Vec<_>) =
        manifests.iter().partition(|(_, path)| has_file(path));
    let ids = |of: &[(&String, &PathBuf)]| {
        let ids: Vec<&str> = of.iter().map(|(id, _)| id.as_str()).collect();
        ids.join(", ")
    };
    let searched: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
    Err(ModelError::UnknownId {
        id: id.to_owned(),
        hint,
        known: if present.is_empty() {
            "none".to_owned()
        } else {
            ids(&present)
        },
        to_fetch: if absent.is_empty() {
            String::new()
        } else {
            format!("; to be had with gantryd models fetch ID: {}", ids(&absent))
        },
        searched: searched.join(", "),
    })
}

/// Whether the file that the manifest at `path` names is there.
fn has_file(path: &Path) -> bool {
    Manifest::read(path).is_ok_and(|manifest| manifest.model_path(path).is_file())
}

/// Manifests by id; the first folder that has the file wins, else the first that has the manifest.
fn manifests(folders: &[PathBuf]) -> BTreeMap<String, PathBuf> {
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
    {
        let Ok(entry) = entry else { continue };
        let manifest = entry.path().join(MANIFEST);
        if let (true, Ok(id)) = (manifest.is_file(), entry.file_name().into_string()) {
            match found.entry(id) {
                Entry::Vacant(entry) => drop(entry.insert(manifest)),
                Entry::Occupied(mut entry) => {
                    if !has_file(entry.get()) && has_file(&manifest) {
                        entry.insert(manifest);
                    }
                }
            }
        }
    }
    found
}

fn first_line(error: &impl fmt::Display) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(folder: &Path, id: &str, manifest: &str, onnx: Option<&[u8]>) {
        let folder = folder.join(id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(MANIFEST), manifest).unwrap();
        if let Some(bytes) = onnx {
            std::fs::write(folder.join("m.onnx"), bytes).unwrap();
        }
    }

    #[test]
    fn the_first_folder_that_has_an_id_wins() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&first, &second] {
            model(folder.path(), "car", "file = \"m.onnx\"\n", Some(b"x"));
        }
        let folders = [first.path().to_owned(), second.path().to_owned()];
        let found = by_id("car", &folders).unwrap();
        assert_eq!(found.onnx, first.path().join("car/m.onnx"));
    }

    #[test]
    fn a_folder_with_the_file_wins_over_an_earlier_one_with_the_manifest_alone() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        model(first.path(), "car", "file = \"m.onnx\"\n", None);
        model(second.path(), "car", "file = \"m.onnx\"\n", Some(b"x"));
        let folders = [first.path().to_owned(), second.path().to_owned()];
        let found = by_id("car", &folders).unwrap();
        assert_eq!(found.onnx, second.path().join("car/m.onnx"));
    }

    #[test]
    fn an_unknown_id_is_answered_with_the_nearest_and_the_places() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path(), "resident-n", "file = \"m.onnx\"\n", None);
        let folders = [folder.path().to_owned()];
        let error = by_id("resident-m", &folders).unwrap_err().to_string();
        for part in [
            "did you mean \"resident-n\"?",
            "known: none; to be had with gantryd models fetch ID: resident-n;",
            "--model FILE.onnx",
            "detect.model = ",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(
            error.contains(&folder.path().display().to_string()),
            "{error}"
        );
    }

    #[test]
    fn a_model_that_was_not_fetched_names_its_url() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "file = \"m.onnx\"\nurl = \"https://example.org/m.onnx\"\n";
        model(folder.path(), "far", manifest, None);
        let folders = [folder.path().to_owned()];
        let error = by_id("far", &folders).unwrap_err().to_string();
        let told = "far/m.onnx is missing; gantryd models fetch far gets it from https://example.org/m.onnx, or name another: --model ID|FILE.onnx, detect.model in a configuration";
        assert!(error.ends_with(told), "{error}");
        assert!(!list(&folders).0[0].present);
        assert!(verify(&folders).is_intact());
    }

    #[test]
    fn a_changed_file_is_found_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        // printf abc | sha256sum
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let manifest = format!("file = \"m.onnx\"\nsha256 = \"{hash}\"\n");
        model(folder.path(), "good", &manifest, Some(b"abc"));
        let folders = [folder.path().to_owned()];
        assert_eq!(verify(&folders).0[0].1, Integrity::Intact);
        model(folder.path(), "bad", &manifest, Some(b"abd"));
        let verification = verify(&folders);
        assert!(!verification.is_intact());
        assert!(verification.to_string().contains("DIFFERS"));
    }

    #[test]
    fn a_file_is_taken_as_it_is_and_its_manifest_with_it() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path(), "m", "file = \"m.onnx\"\n", Some(b"x"));
        let file = folder.path().join("m/m.onnx");
        assert_eq!(
            by_file(&file).manifest,
            Some(folder.path().join("m").join(MANIFEST))
        );
        assert_eq!(by_file(&folder.path().join("m/other.onnx")).manifest, None);
    }
}
