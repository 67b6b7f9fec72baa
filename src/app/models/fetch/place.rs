//! Where a model's file goes, and how it gets its name.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::super::{MANIFEST, user_folder};
use super::{FetchError, NOTE, Note};
use crate::perception::detect::Manifest;

/// Models of the service, if it is installed.
const SERVICE_FOLDER: &str = "/var/lib/gantryd/models";

/// Where models go unless the user says so: `$GANTRYD_MODELS`; the service's folder where there is a
/// service and this user may write to it; else the user's own. Never the folder of a source tree.
///
/// `None` if there is no home.
#[must_use]
pub fn default_folder() -> Option<PathBuf> {
    let named = std::env::var_os("GANTRYD_MODELS").filter(|path| !path.is_empty());
    if let Some(named) = named {
        return Some(named.into());
    }
    let service = Path::new(SERVICE_FOLDER);
    let may_write =
        |folder: &Path| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    if may_write(service) || (!service.exists() && service.parent().is_some_and(may_write)) {
        return Some(service.to_owned());
    }
    user_folder()
}

/// The place of the file of model `id` below `folder`.
///
/// A manifest of somebody else's must not be able to write elsewhere.
pub(super) fn target(id: &str, manifest: &Manifest, folder: &Path) -> Result<PathBuf, FetchError> {
    let is_inside = |path: &Path| {
        path.components()
            .all(|part| matches!(part, Component::Normal(_)))
    };
    if !is_inside(&manifest.file) || !is_inside(Path::new(id)) {
        return Err(FetchError::NoSource {
            id: id.to_owned(),
            what: format!(
                "file = {:?} lies outside of the model's folder; name a file in it",
                manifest.file
            ),
        });
    }
    Ok(folder.join(id).join(&manifest.file))
}

/// Where the bytes are collected.
pub(super) fn part_of(target: &Path) -> PathBuf {
    with_ending(target, "part")
}

/// `path` with `.ending` after its name.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// Gives the finished part its name, with manifest and note beside it.
///
/// The order matters: whoever finds the file finds a manifest that is about it.
pub(super) fn put(part: &Path, target: &Path, manifest: &Path, note: &Note) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let beside = folder.join(MANIFEST);
    let is_same = std::fs::canonicalize(&beside)
        .is_ok_and(|there| std::fs::canonicalize(manifest).is_ok_and(|from| from == there));
    if !is_same {
        write_whole(&beside, &std::fs::read(manifest)?)?;
    }
    write_note(target, note)?;
    std::fs::rename(part, target)?;
    sync_folder(folder)
}

/// Notes beside `onnx` what it is.
pub(super) fn write_note(onnx: &Path, note: &Note) -> io::Result<()> {
    let text = toml::to_string(note).map_err(io::Error::other)?;
    write_whole(&onnx.with_file_name(NOTE), text.as_bytes())
}

/// Writes a file that is either whole or not there.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = with_ending(path, "new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

/// Makes sure that what is in `folder` is so after a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
