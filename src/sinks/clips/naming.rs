//! Names of clips: never one that exists.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::base::{CameraId, UtcNanos};

/// Most names tried for one second.
const MAX_CLASHES: u32 = 1000;

/// Makes `<camera>_<yyyymmddThhmmssZ>_clip.mp4` (empty) in `folder`, which is created if absent; if it
/// exists, with `_2`, `_3`, … before `_clip`.
pub(super) fn create(folder: &Path, camera: &CameraId, utc: UtcNanos) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let camera = camera.as_str().replace("..", "__");
    let stem = format!("{camera}_{}", utc.file_stamp());
    for clash in 1..=MAX_CLASHES {
        let path = folder.join(match clash {
            1 => format!("{stem}_clip.mp4"),
            more => format!("{stem}_{more}_clip.mp4"),
        });
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        ErrorKind::AlreadyExists,
        format!("{stem}_clip.mp4 and {MAX_CLASHES} names like it exist"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clash_gets_a_number() {
        let folder = tempfile::tempdir().unwrap();
        // 1700000000 s = 2023-11-14T22:13:20Z.
        let utc = UtcNanos(1_700_000_000_000_000_000);
        let name = |_| {
            let path = create(folder.path(), &CameraId::new("a..b"), utc).unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        let names: Vec<String> = (0..2).map(name).collect();
        assert_eq!(
            names,
            [
                "a__b_20231114T221320Z_clip.mp4",
                "a__b_20231114T221320Z_2_clip.mp4"
            ]
        );
    }
}
