//! The event files of a camera, and what is in one.

use std::fs::File;
use std::path::{Path, PathBuf};

/// The one that is written to.
const CURRENT: &str = "events.jsonl";

/// The event files in `folder`, newest first, each opened when it is asked for.
///
/// The current one is opened before the others are looked for: one that becomes full meanwhile is there
/// twice then, never not at all.
pub(crate) fn event_files(folder: &Path) -> impl Iterator<Item = (PathBuf, File)> {
    let opened = |path: PathBuf| Some((path.clone(), File::open(path).ok()?));
    let current = opened(folder.join(CURRENT));
    let full = full_files(folder);
    current
        .into_iter()
        .chain(full.into_iter().filter_map(opened))
}

/// The oldest event file in `folder`.
pub(super) fn oldest(folder: &Path) -> Option<PathBuf> {
    let current = folder.join(CURRENT);
    full_files(folder)
        .pop()
        .or_else(|| current.exists().then_some(current))
}

/// The full event files, newest first.
fn full_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut full: Vec<_> = names
        .filter_map(|name| Some((rotated(&name)?, name)))
        .collect();
    full.sort();
    full.reverse();
    full.into_iter()
        .map(|(_, name)| folder.join(name))
        .collect()
}

/// What full event files are sorted by: the moment in the name, and its number for one of several.
fn rotated(name: &str) -> Option<(String, u32)> {
    let stem = name.strip_prefix("events_")?.strip_suffix(".jsonl")?;
    let (stamp, number) = stem.split_once('-').unwrap_or((stem, "0"));
    Some((stamp.to_owned(), number.parse().ok()?))
}
