//! Camera motion from a file: how the picture moved from each frame to the next.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::perception::track::CameraWarp;

/// Most bytes of a file that are read.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// Numbers of a row.
const FIELDS: usize = 7;

/// What is wrong with a file of camera motion.
#[derive(Debug, thiserror::Error)]
pub enum GmcError {
    /// The file cannot be read, or is no text.
    #[error("{path}: cannot read the camera motion")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A row is not what the format allows.
    #[error(
        "{path}:{line}: {fault}; a row is frame a b tx c d ty: x' = a x + b y + tx, y' = c x + d y + ty"
    )]
    Row {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        fault: String,
    },
}

/// The motion of the picture to each frame from the one before; frames are counted from 1.
///
/// # Errors
/// A file that cannot be read, or its first bad row.
pub fn read(path: &Path) -> Result<BTreeMap<u64, CameraWarp>, GmcError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text))
        .map_err(|source| GmcError::Read {
            path: path.to_owned(),
            source,
        })?;
    let mut warps = BTreeMap::new();
    for (index, row) in text.lines().enumerate() {
        let row_error = |fault| GmcError::Row {
            path: path.to_owned(),
            line: index + 1,
            fault,
        };
        let row = row.trim();
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        let (frame, warp) = parse(row).map_err(row_error)?;
        if warps.insert(frame, warp).is_some() {
            return Err(row_error(format!("frame {frame} has a second row")));
        }
    }
    Ok(warps)
}

fn parse(row: &str) -> Result<(u64, CameraWarp), String> {
    let fields: Vec<&str> = row
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|field| !field.is_empty())
        .collect();
    if fields.len() != FIELDS {
        return Err(format!("{} fields, {FIELDS} are needed", fields.len()));
    }
    let frame = fields[0].strip_suffix(".0").unwrap_or(fields[0]);
    let frame = frame
        .parse()
        .ok()
        .filter(|frame| *frame >= 1)
        .ok_or_else(|| format!("frame is {:?}, allowed is a whole number from 1", fields[0]))?;
    let mut map = [0.0; FIELDS - 1];
    for (number, text) in map.iter_mut().zip(&fields[1..]) {
        *number = text
            .parse()
            .map_err(|_not_a_number| format!("{text:?} is not a number"))?;
    }
    let warp = CameraWarp::new(map).ok_or_else(|| {
        "no motion of a camera: it must be finite, not mirror, and not stretch more than ten times"
            .to_owned()
    })?;
    Ok((frame, warp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<BTreeMap<u64, CameraWarp>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gmc.txt");
        std::fs::write(&path, text).unwrap();
        let shown = |error: GmcError| {
            let folder = folder.path().display().to_string() + "/";
            error.to_string().replace(&folder, "")
        };
        read(&path).map_err(shown)
    }

    #[test]
    fn rows_are_read_apart_by_blanks_or_commas() {
        let warps = read_text("1 1 0 0 0 1 0\n\n# still\n2,1,0,3.5,0,1,-2\n").unwrap();
        assert_eq!(warps.len(), 2);
        assert_eq!(
            warps[&2],
            CameraWarp::new([1.0, 0.0, 3.5, 0.0, 1.0, -2.0]).unwrap()
        );
    }

    #[test]
    fn faults_are_named_with_their_line() {
        for (text, fault) in [
            ("1 1 0 0 0 1\n", "gmc.txt:1: 6 fields, 7 are needed"),
            ("0 1 0 0 0 1 0\n", "gmc.txt:1: frame is \"0\", allowed is"),
            (
                "1 1 0 0 0 1 0\n2 1 0 x 0 1 0\n",
                "gmc.txt:2: \"x\" is not a number",
            ),
            (
                "1 1 0 0 0 1 0\n1 1 0 0 0 1 0\n",
                "gmc.txt:2: frame 1 has a second row",
            ),
            ("1 0 0 0 0 0 0\n", "gmc.txt:1: no motion of a camera"),
            ("1 nan 0 0 0 1 0\n", "gmc.txt:1: no motion of a camera"),
        ] {
            let error = read_text(text).unwrap_err();
            assert!(error.starts_with(fault), "{error}");
        }
    }
}
