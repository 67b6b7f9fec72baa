//! The event file of a daemon's camera: what the disk does not take is held until it does.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::base::{CameraId, causes};
use crate::sinks::publish::{LineFile, PublishError};

/// Lines that are held in memory while the disk takes none.
const MAX_HELD: usize = 1024;

/// A file that failed is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// A file that nothing was written to for so long is closed.
const IDLE_AFTER: Duration = Duration::from_secs(60);

/// Opened when there is something to write, rotated by size, tried again after a failure.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    max_bytes: u64,
    file: Option<LineFile>,
    /// What the system has not taken yet, oldest first.
    held: VecDeque<String>,
    failed: Option<Instant>,
    /// When it last took a line.
    written: Instant,
}

impl EventFile {
    pub(super) fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self {
            path,
            max_bytes,
            file: None,
            held: VecDeque::new(),
            failed: None,
            written: Instant::now(),
        }
    }

    /// Is nothing held, and was nothing written for long? It can go then, and be made anew for the next
    /// line.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.written.elapsed() > IDLE_AFTER
    }

    /// Takes a line; [`EventFile::flush`] writes it.
    pub(super) fn add(&mut self, line: String) {
        self.held.push_back(line);
        self.written = Instant::now();
    }

    /// Writes what is held, unless the disk refused it a moment ago. Gives how many lines are lost:
    /// the oldest of those that are too many to be held.
    pub(super) fn flush(&mut self, camera: &CameraId) -> u64 {
        let is_pausing = |since: Instant| since.elapsed() < RETRY_AFTER;
        if !self.held.is_empty() && !self.failed.is_some_and(is_pausing) {
            self.write(camera);
        }
        let surplus = self.held.len().saturating_sub(MAX_HELD);
        self.held.drain(..surplus);
        surplus as u64
    }

    /// Writes what is held for the last time. Gives how many lines are lost.
    pub(super) fn close(&mut self, camera: &CameraId) -> u64 {
        self.failed = None;
        self.flush(camera) + self.held.drain(..).count() as u64
    }

    fn write(&mut self, camera: &CameraId) {
        let (passed, written) = self.pass_on();
        let path = self.path.display();
        match written {
            Ok(()) => {
                self.held.clear();
                if self.failed.take().is_some() {
                    tracing::warn!(%camera, %path, "events are written to their file again");
                }
            }
            Err(error) => {
                let lost = usize::try_from(error.lost).unwrap_or(usize::MAX);
                self.held.drain(..passed.saturating_sub(lost));
                if self.failed.is_none() {
                    let (held, error) = (self.held.len(), causes(&error));
                    tracing::error!(%camera, error, held, most = MAX_HELD,
                        "events are held in memory until their file takes them; the oldest beyond the most are lost");
                }
                self.file = None;
                self.failed = Some(Instant::now());
            }
        }
    }

    /// Hands what is held to the file; tells how many lines were handed over.
    fn pass_on(&mut self) -> (usize, Result<(), PublishError>) {
        let mut passed = 0;
        let file = match self.file.take().map_or_else(|| self.open(), Ok) {
            Ok(file) => self.file.insert(file),
            Err(error) => return (passed, Err(error)),
        };
        for line in &self.held {
            passed += 1;
            if let Err(error) = file.write(line) {
                return (passed, Err(error));
            }
        }
        (passed, file.flush())
    }

    fn open(&self) -> Result<LineFile, PublishError> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| PublishError {
                path: folder.to_owned(),
                lost: 0,
                source,
            })?;
        }
        LineFile::append(&self.path, self.max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera() -> CameraId {
        CameraId::new("gate")
    }

    #[test]
    fn what_cannot_be_written_is_written_later_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate").join("events.jsonl");
        // Where the folder should be there is a file.
        std::fs::write(folder.path().join("gate"), "").unwrap();
        let mut file = EventFile::new(path.clone(), 1 << 20);
        for number in 0..3 {
            file.add(number.to_string());
            assert_eq!(file.flush(&camera()), 0);
        }
        std::fs::remove_file(folder.path().join("gate")).unwrap();
        file.add("3".to_owned());
        assert_eq!(file.close(&camera()), 0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n1\n2\n3\n");
    }

    #[test]
    fn memory_is_bounded_and_what_is_lost_is_told() {
        let mut file = EventFile::new("/dev/full".into(), 1 << 20);
        let mut lost = 0;
        for number in 0..MAX_HELD + 10 {
            file.add(number.to_string());
            lost += file.flush(&camera());
        }
        assert_eq!(lost, 10);
        assert_eq!(file.held.front().unwrap(), "10", "the oldest are lost");
        assert_eq!(file.close(&camera()), MAX_HELD as u64);
    }

    #[test]
    fn a_full_disk_loses_and_doubles_no_event() {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: a full disk needs the right to mount a tmpfs");
            return;
        }
        let ballast = folder.path().join("ballast");
        let path = folder.path().join("events.jsonl");
        std::fs::write(&ballast, vec![1; 900_000]).unwrap();
        let mut file = EventFile::new(path.clone(), 1 << 30);
        let line = |number: usize| format!("{number} {}", "x".repeat(1000));
        // About 120 kB are left: some 120 lines.
        for number in 0..400 {
            file.add(line(number));
            assert_eq!(file.flush(&camera()), 0);
        }
        assert!(file.failed.is_some() && file.held.len() > 200);
        std::fs::remove_file(&ballast).unwrap();
        let lost = file.close(&camera());
        let text = std::fs::read_to_string(&path).unwrap();
        let umount = std::process::Command::new("umount")
            .arg("-l")
            .arg(folder.path())
            .status();
        assert!(umount.unwrap().success());
        assert_eq!(lost, 0);
        let expected: Vec<String> = (0..400).map(line).collect();
        assert!(text.lines().eq(expected.iter().map(String::as_str)));
    }
}
