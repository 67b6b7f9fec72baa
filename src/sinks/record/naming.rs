//! Names of files: never one that exists, never one that leads out of the folder.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::base::{CameraId, UtcNanos};

/// Most names tried for one second of one camera.
const MAX_CLASHES: u32 = 1000;

/// Makes `<camera>_<stamp>.mp4` (empty) and its `.jsonl` in `dir`, which is created if absent. If
/// either exists, `_2`, `_3`, … is added to both.
pub(super) fn create_pair(
    dir: &Path,
    camera: &CameraId,
    start: UtcNanos,
) -> io::Result<(PathBuf, PathBuf, File)> {
    std::fs::create_dir_all(dir)?;
    let stem = format!("{}_{}", file_name_of(camera), start.file_stamp());
    for clash in 1..=MAX_CLASHES {
        let name = match clash {
            1 => stem.clone(),
            more => format!("{stem}_{more}"),
        };
        let video = dir.join(format!("{name}.mp4"));
        let sidecar = dir.join(format!("{name}.jsonl"));
        match create_new(&video) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        }
        match create_new(&sidecar) {
            Ok(file) => return Ok((video, sidecar, file)),
            Err(error) => {
                std::fs::remove_file(&video)?;
                if error.kind() != ErrorKind::AlreadyExists {
                    return Err(error);
                }
            }
        }
    }
    Err(io::Error::new(
        ErrorKind::AlreadyExists,
        format!("{stem}.mp4 and {MAX_CLASHES} names like it exist"),
    ))
}

/// Makes an empty file at `path`, over what is there; its folder is created if absent.
pub(super) fn create(path: &Path) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    File::create(path).map(drop)
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// `path` for the first file, `<stem>-2.<ext>` for the second, …
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    if number <= 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

/// The camera's id with everything that file systems or shells dislike replaced by `_`.
fn file_name_of(camera: &CameraId) -> String {
    let name: String = camera
        .as_str()
        .chars()
        .take(64)
        .map(|symbol| match symbol {
            '.' | '-' => symbol,
            symbol if symbol.is_alphanumeric() => symbol,
            _ => '_',
        })
        .collect();
    name.replace("..", "__")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_cannot_name_its_way_out_of_the_folder() {
        let name = file_name_of(&CameraId::new("../a b/ö:é.1"));
        assert_eq!(name, "___a_b_ö_é.1");
    }

    #[test]
    fn a_clash_gets_a_number_on_both_files() {
        let dir = tempfile::tempdir().unwrap();
        let camera = CameraId::new("gate");
        // 1700000000 s = 2023-11-14T22:13:20Z.
        let start = UtcNanos(1_700_000_000_000_000_000);
        let (first, _, _) = create_pair(dir.path(), &camera, start).unwrap();
        assert!(first.ends_with("gate_20231114T221320Z.mp4"));
        std::fs::write(dir.path().join("gate_20231114T221320Z_2.jsonl"), "kept").unwrap();
        let (third, sidecar, _) = create_pair(dir.path(), &camera, start).unwrap();
        assert!(third.ends_with("gate_20231114T221320Z_3.mp4"));
        assert!(sidecar.ends_with("gate_20231114T221320Z_3.jsonl"));
        assert!(!dir.path().join("gate_20231114T221320Z_2.mp4").exists());
    }

    #[test]
    fn later_files_of_a_one_shot_are_numbered() {
        assert_eq!(numbered(Path::new("o/a.mp4"), 1), Path::new("o/a.mp4"));
        assert_eq!(numbered(Path::new("o/a.mp4"), 3), Path::new("o/a-3.mp4"));
    }
}
