//! The description of a clip (`.json`) and the lines of its frames (`.jsonl`).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;

use super::desk::Wanted;
use super::film::Film;
use crate::base::{CameraId, ClipLoss};

/// Value of `schema` in every description; changes when a reader would have to.
pub const CLIP_SCHEMA_ID: &str = "gantryd.clip.v1";

/// What is drawn over the pictures of a camera: corners and ends as shares of the frame.
#[derive(Debug, Clone, PartialEq, Default, Serialize, serde::Deserialize)]
pub struct Scenery {
    /// Name and corners of each zone.
    pub zones: Vec<(String, Vec<[f32; 2]>)>,
    /// Name and ends of each line.
    pub lines: Vec<(String, Vec<[f32; 2]>)>,
    /// Excluded areas and calibrated ground.
    pub outlines: Vec<Vec<[f32; 2]>>,
}

#[derive(Serialize)]
struct ClipLine<'a> {
    schema: &'static str,
    camera: &'a str,
    file: &'a str,
    run: u32,
    /// PTS in that run of the moment that is 0 in the file; negative before its first frame.
    start_pts_ns: Option<i64>,
    start_utc: Option<String>,
    duration_ns: u64,
    pictures: u64,
    bytes: u64,
    /// Why it shows less than asked for.
    shortened: Vec<&'static str>,
    events: Vec<&'a RawValue>,
    scenery: &'a Scenery,
}

/// What is said of a clip besides what its desk knows.
pub(super) struct Told<'a> {
    pub camera: &'a CameraId,
    pub start_pts_ns: Option<i64>,
    pub shortened: &'a [ClipLoss],
    pub scenery: &'a Scenery,
}

/// Writes the description beside the clip.
pub(super) fn write(clip: &Wanted, film: &Film, told: &Told<'_>) -> io::Result<()> {
    let events: Result<Vec<&RawValue>, _> = clip
        .events
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect();
    let line = ClipLine {
        schema: CLIP_SCHEMA_ID,
        camera: told.camera.as_str(),
        file: &clip.name,
        run: clip.run.0,
        start_pts_ns: told.start_pts_ns,
        start_utc: clip.start_utc.map(|utc| utc.to_string()),
        duration_ns: film.last_ns.saturating_sub(clip.start.time_ns),
        pictures: film.pictures,
        bytes: film.bytes,
        shortened: told.shortened.iter().map(|it| it.as_str()).collect(),
        events: events?,
        scenery: told.scenery,
    };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    std::fs::write(super::sidecar_of(&clip.path), text)
}

/// Writes the lines of a clip's frames beside it.
pub(super) fn write_lines(clip: &Path, lines: impl Iterator<Item = String>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(clip.with_extension("jsonl"))?);
    for line in lines {
        file.write_all(line.as_bytes())?;
    }
    file.flush()
}

/// A published line with its frame's PTS in the film as its last member, and a line end.
pub(super) fn with_pts(line: &str, pts_ns: u64) -> String {
    let body = line.trim_end().strip_suffix('}').unwrap_or(line);
    format!("{body},\"segment_pts_ns\":{pts_ns}}}\n")
}
