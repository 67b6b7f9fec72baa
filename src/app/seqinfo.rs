//! What a `seqinfo.ini` beside a sequence says.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::Size;

/// Highest frame rate that is believed, frames per second.
const MAX_FPS: f64 = 1000.0;
/// Frames a sequence may have: 38 days at 30 fps.
const MAX_FRAMES: u64 = 100_000_000;

/// An entry that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {key} is {text:?}, allowed is {allowed}; or {remedy}")]
pub struct SeqInfoError {
    /// Which file.
    pub path: PathBuf,
    /// Which entry.
    pub key: &'static str,
    /// What stands there.
    pub text: String,
    /// What may stand there.
    pub allowed: &'static str,
    /// What can be done instead of correcting it.
    pub remedy: &'static str,
}

/// The `seqinfo.ini` of a sequence in MOT layout; without one, nothing is known.
#[derive(Debug)]
pub struct SeqInfo {
    path: PathBuf,
    text: String,
}

impl SeqInfo {
    /// The one in the folder of `file` or, as in the benchmarks' own layout
    /// (`SEQUENCE/det/det.txt`, `SEQUENCE/gt/gt.txt`), the one above.
    #[must_use]
    pub fn beside(file: &Path) -> Self {
        file.ancestors()
            .skip(1)
            .take(2)
            .find_map(|folder| {
                let path = folder.join("seqinfo.ini");
                let text = fs::read_to_string(&path).ok()?;
                Some(Self { path, text })
            })
            .unwrap_or(Self {
                path: PathBuf::new(),
                text: String::new(),
            })
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case(key).then(|| value.trim())
        })
    }

    fn error(
        &self,
        key: &'static str,
        text: &str,
        allowed: &'static str,
        remedy: &'static str,
    ) -> SeqInfoError {
        SeqInfoError {
            path: self.path.clone(),
            key,
            text: text.to_owned(),
            allowed,
            remedy,
        }
    }

    /// Frames per second.
    ///
    /// # Errors
    /// An entry that is no such rate.
    pub fn fps(&self) -> Result<Option<f64>, SeqInfoError> {
        let Some(text) = self.value("frameRate") else {
            return Ok(None);
        };
        parse_fps(text)
            .map(Some)
            .map_err(|allowed| self.error("frameRate", text, allowed, "give --fps"))
    }

    /// Size of the frames.
    ///
    /// # Errors
    /// Entries that are no size.
    pub fn size(&self) -> Result<Option<Size>, SeqInfoError> {
        let (Some(width), Some(height)) = (self.value("imWidth"), self.value("imHeight")) else {
            return Ok(None);
        };
        parse_size(&format!("{width}x{height}"))
            .map(Some)
            .map_err(|allowed| self.error("imWidth, imHeight", width, allowed, "give --size"))
    }

    /// Number of frames.
    ///
    /// # Errors
    /// An entry that is no such number.
    pub fn frames(&self) -> Result<Option<u64>, SeqInfoError> {
        let Some(text) = self.value("seqLength") else {
            return Ok(None);
        };
        text.parse()
            .ok()
            .filter(|frames| (1..=MAX_FRAMES).contains(frames))
            .map(Some)
            .ok_or_else(|| {
                let allowed = "a whole number from 1 to 100000000";
                self.error("seqLength", text, allowed, "leave the entry out")
            })
    }
}

/// A frame rate, frames per second.
///
/// # Errors
/// What is allowed.
pub fn parse_fps(text: &str) -> Result<f64, &'static str> {
    text.parse()
        .ok()
        .filter(|&fps| fps > 0.0 && fps <= MAX_FPS)
        .ok_or("a number above 0, up to 1000")
}

/// A size in pixels.
///
/// # Errors
/// What is allowed.
pub fn parse_size(text: &str) -> Result<Size, &'static str> {
    let side = |text: &str| text.trim().parse().ok().filter(|&side: &u32| side > 0);
    text.split_once(['x', 'X'])
        .and_then(|(width, height)| {
            Some(Size {
                width: side(width)?,
                height: side(height)?,
            })
        })
        .ok_or("WIDTHxHEIGHT in whole pixels, as 1920x1080")
}
