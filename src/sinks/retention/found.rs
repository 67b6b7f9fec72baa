//! What is in the output folder. No link is followed below it, and no other disk looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use tracing::debug;

use super::names;
use crate::base::UtcNanos;

/// A file that was written to within this time is not finished, whoever writes it.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// The folder of a camera, held open: what is deleted is in this one, whatever its path leads to by
/// then.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    open: OwnedFd,
}

/// A recording or clip with its sidecars, a picture, or a file of results or events.
#[derive(Debug)]
pub(super) struct Unit {
    folder: Rc<Folder>,
    files: Vec<FoundFile>,
    /// The camera whose folder it is in.
    pub camera: String,
    /// Kept of an event: a clip, or a picture.
    pub is_of_event: bool,
    /// A full file of events, which has a limit of its own.
    pub is_events: bool,
    /// When it was last written to.
    pub modified: UtcNanos,
    /// Not finished, or open in this process.
    pub is_in_use: bool,
    /// Somebody has marked it to be kept for good.
    pub is_kept: bool,
}

#[derive(Debug)]
struct FoundFile {
    name: String,
    bytes: u64,
    /// Device and inode.
    id: (u64, u64),
}

/// Everything that may be deleted some day.
#[derive(Debug)]
pub(super) struct Found {
    /// Oldest first.
    pub units: Vec<Unit>,
}

impl Unit {
    /// Of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Path and size of each file, the recording before its sidecar.
    pub fn files(&self) -> impl Iterator<Item = (PathBuf, u64)> {
        let path = |file: &FoundFile| self.folder.path.join(&file.name);
        self.files.iter().map(move |file| (path(file), file.bytes))
    }

    /// Deletes one of [`Unit::files`], by its place there. `Ok(false)`: it is gone already.
    pub fn delete(&self, place: usize) -> io::Result<bool> {
        let Some(file) = self.files.get(place) else {
            return Ok(false);
        };
        match rustix::fs::unlinkat(&self.folder.open, file.name.as_str(), AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is in `output`, seen at `now`.
///
/// # Errors
/// If the folder, or the list of this process's open files, cannot be read.
pub(super) fn scan(output: &Path, now: UtcNanos) -> io::Result<Found> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let base = rustix::fs::openat(CWD, output, flags, Mode::empty())?;
    let disk = rustix::fs::fstat(&base)?.st_dev;
    let mut units = BTreeMap::new();
    for entry in Dir::read_from(&base)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if !names::is_camera(name) {
            continue;
        }
        let folder = match rustix::fs::openat(&base, name, flags | OFlags::NOFOLLOW, Mode::empty())
        {
            Ok(open) => Folder {
                path: output.join(name),
                open,
            },
            // A file, a link, or not ours to read.
            Err(error) => {
                debug!(name, %error, "not a camera's folder");
                continue;
            }
        };
        if rustix::fs::fstat(&folder.open)?.st_dev == disk {
            scan_camera(name, Rc::new(folder), &mut units)?;
        }
    }
    // Looked at last: a file that was made meanwhile is in no list above.
    let open = open_files()?;
    let mut units: Vec<Unit> = units.into_values().collect();
    for unit in &mut units {
        let is_fresh = now.0.abs_diff(unit.modified.0) < nanos(SETTLED_AFTER);
        unit.is_in_use = is_fresh || unit.files.iter().any(|file| open.contains(&file.id));
    }
    // Stable: those of one moment stay in the order of their names.
    units.sort_by_key(|unit| unit.modified);
    Ok(Found { units })
}

fn scan_camera(
    camera: &str,
    folder: Rc<Folder>,
    units: &mut BTreeMap<(String, String), Unit>,
) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in Dir::read_from(&folder.open)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        kept.extend(names::kept_by(camera, name).map(str::to_owned));
        let is_events = names::is_full_events(camera, name);
        let Some(name_of_unit) = names::unit_of(camera, name).or(is_events.then_some(name)) else {
            continue;
        };
        let stat = match rustix::fs::statat(&folder.open, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            continue;
        }
        let modified = UtcNanos(
            i64::try_from(i128::from(stat.st_mtime) * 1_000_000_000)
                .unwrap_or(i64::MAX)
                .saturating_add(i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
        );
        let unit = units
            .entry((camera.to_owned(), name_of_unit.to_owned()))
            .or_insert_with(|| Unit {
                folder: Rc::clone(&folder),
                files: Vec::new(),
                camera: camera.to_owned(),
                is_of_event: names::is_of_event(name_of_unit),
                is_events,
                modified,
                is_in_use: true,
                is_kept: false,
            });
        unit.modified = unit.modified.max(modified);
        unit.files.push(FoundFile {
            name: name.to_owned(),
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            id: (stat.st_dev, stat.st_ino),
        });
        // "mp4" before "jsonl".
        unit.files.sort_by(|a, b| b.name.cmp(&a.name));
    }
    for name in kept {
        if let Some(unit) = units.get_mut(&(camera.to_owned(), name)) {
            unit.is_kept = true;
        }
    }
    Ok(())
}

/// Device and inode of everything that this process has open: what it writes is among them.
fn open_files() -> io::Result<BTreeSet<(u64, u64)>> {
    let mut open = BTreeSet::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        // Closed meanwhile, like the list itself: then it is not open.
        if let Ok(file) = std::fs::metadata(entry?.path()) {
            open.insert((file.dev(), file.ino()));
        }
    }
    Ok(open)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
