//! A file of lines, rotated by size.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::base::{causes, utc_now};

/// A result file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("writing {path}")]
pub struct PublishError {
    /// The file.
    pub path: PathBuf,
    /// Entries that were given to the file and are not in it: those that waited in memory, and the
    /// one that was being written.
    pub lost: u64,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// How long a line may wait in memory before it is handed to the system.
const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// Bytes that wait in memory at most, beyond one entry.
const BUFFER_BYTES: usize = 32 * 1024;

/// A file that lines are appended to. With a size limit, a full file is renamed to
/// `<stem>_<UTC>.<extension>` and a new one begun.
///
/// The lines wait in a buffer of its own, so that each is known to be in the file or lost.
#[derive(Debug)]
pub struct LineFile {
    path: PathBuf,
    file: File,
    waiting: Vec<u8>,
    /// Where each waiting entry ends.
    ends: Vec<usize>,
    bytes: u64,
    max_bytes: Option<u64>,
    flushed: Instant,
}

impl LineFile {
    /// A new file; one that is there already is replaced.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, PublishError> {
        let file = File::create(path).map_err(|source| failed(path, 0, source))?;
        Ok(Self::over(path, file, 0, None))
    }

    /// Goes on with the file that is there, rotating it at `max_bytes`. A last line without an end
    /// (the power went, the disk was full) gets one, so that it spoils no other.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn append(path: &Path, max_bytes: u64) -> Result<Self, PublishError> {
        let (file, bytes) = open_append(path).map_err(|source| failed(path, 0, source))?;
        Ok(Self::over(path, file, bytes, Some(max_bytes)))
    }

    fn over(path: &Path, file: File, bytes: u64, max_bytes: Option<u64>) -> Self {
        Self {
            path: path.to_owned(),
            file,
            waiting: Vec::new(),
            ends: Vec::new(),
            bytes,
            max_bytes,
            flushed: Instant::now(),
        }
    }

    /// Appends one entry: a line, or several that belong together; the last has no line break.
    ///
    /// # Errors
    /// If the system refuses to take it (disk full, say), with the entries that are lost.
    pub fn write(&mut self, entry: &str) -> Result<(), PublishError> {
        let size = entry.len() as u64 + 1;
        let is_full = |max| self.bytes > 0 && self.bytes + size > max;
        if self.max_bytes.is_some_and(is_full) {
            self.rotate()?;
        }
        self.waiting.extend_from_slice(entry.as_bytes());
        self.waiting.push(b'\n');
        self.ends.push(self.waiting.len());
        self.bytes += size;
        if self.waiting.len() >= BUFFER_BYTES || self.flushed.elapsed() >= FLUSH_AFTER {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands everything written so far to the system.
    ///
    /// # Errors
    /// If the system refuses to take it, with the entries that are lost.
    pub fn flush(&mut self) -> Result<(), PublishError> {
        self.flushed = Instant::now();
        let (taken, result) = write_some(&mut self.file, &self.waiting);
        let lost = self.ends.iter().filter(|end| **end > taken).count() as u64;
        if result.is_err() {
            self.cut_back(taken);
        }
        // What the system refused is not kept: memory is bounded, and it has been counted.
        self.waiting.clear();
        self.ends.clear();
        result.map_err(|source| failed(&self.path, lost, source))
    }

    /// Takes half an entry off the end of the file: the first `taken` waiting bytes are in it.
    fn cut_back(&mut self, taken: usize) {
        let whole = self.ends.iter().rev().find(|end| **end <= taken);
        let whole = whole.copied().unwrap_or(0);
        self.bytes -= (self.waiting.len() - whole) as u64;
        if whole < taken
            && let Err(error) = self.file.set_len(self.bytes)
        {
            // It gets an end of its own when the file is opened again.
            tracing::debug!(path = %self.path.display(), %error, "half an entry stays");
        }
    }

    /// Makes room for one more entry, which is lost too if this fails.
    fn rotate(&mut self) -> Result<(), PublishError> {
        self.flush().map_err(|error| PublishError {
            lost: error.lost + 1,
            ..error
        })?;
        let full = rotated_name(&self.path);
        std::fs::rename(&self.path, &full).map_err(|source| failed(&full, 1, source))?;
        let (file, bytes) =
            open_append(&self.path).map_err(|source| failed(&self.path, 1, source))?;
        (self.file, self.bytes) = (file, bytes);
        Ok(())
    }
}

impl Drop for LineFile {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!(
                error = causes(&error),
                lost = error.lost,
                "the last lines are lost"
            );
        }
    }
}

/// How many bytes the file took, and why not all of them.
fn write_some(file: &mut File, bytes: &[u8]) -> (usize, std::io::Result<()>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match file.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(ErrorKind::WriteZero.into())),
            Ok(count) => taken += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

/// A name beside `path` that is not taken: `<stem>_<UTC>[-n].<extension>`.
fn rotated_name(path: &Path) -> PathBuf {
    let part =
        |text: Option<&std::ffi::OsStr>| text.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, extension) = (part(path.file_stem()), part(path.extension()));
    let stamp = utc_now().file_stamp();
    let mut name = path.with_file_name(format!("{stem}_{stamp}.{extension}"));
    let mut number = 1;
    while name.exists() {
        name = path.with_file_name(format!("{stem}_{stamp}-{number}.{extension}"));
        number += 1;
    }
    name
}

/// The file, ready for a new line, and its length.
fn open_append(path: &Path) -> std::io::Result<(File, u64)> {
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)?;
    let bytes = file.metadata()?.len();
    let mut last = [b'\n'];
    if bytes > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last == [b'\n'] {
        return Ok((file, bytes));
    }
    file.write_all(b"\n")?;
    Ok((file, bytes + 1))
}

fn failed(path: &Path, lost: u64, source: std::io::Error) -> PublishError {
    PublishError {
        path: path.to_owned(),
        lost,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_no_line_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.jsonl");
        let mut file = LineFile::append(&path, 25).unwrap();
        for number in 0..10 {
            file.write(&format!("{{\"n\":{number}}}")).unwrap();
        }
        file.flush().unwrap();

        let mut lines = Vec::new();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            assert!(text.len() <= 25);
            lines.extend(text.lines().map(str::to_owned));
        }
        lines.sort();
        let expected: Vec<String> = (0..10).map(|n| format!("{{\"n\":{n}}}")).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let mut file = LineFile::create(Path::new("/dev/full")).unwrap();
        file.write("{}").unwrap();
        let error = file.flush().unwrap_err();
        assert_eq!(error.to_string(), "writing /dev/full");
        assert_eq!(error.lost, 1);
        assert_eq!(error.source.kind(), std::io::ErrorKind::StorageFull);
    }

    #[test]
    fn every_entry_that_waited_for_a_full_disk_is_counted_once() {
        let mut file = LineFile::create(Path::new("/dev/full")).unwrap();
        let mut lost = 0;
        for _ in 0..1000 {
            // Two lines of 100 bytes are one entry: they fill the buffer several times.
            let line = "x".repeat(100);
            if let Err(error) = file.write(&format!("{line}\n{line}")) {
                lost += error.lost;
            }
        }
        lost += file.flush().map_or_else(|error| error.lost, |()| 0);
        assert_eq!(lost, 1000);
        assert!(file.flush().is_ok(), "nothing is counted twice");
    }

    #[test]
    fn half_a_line_at_the_end_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.jsonl");
        std::fs::write(&path, "{\"n\":1}\n{\"n\":").unwrap();
        let mut file = LineFile::append(&path, 1000).unwrap();
        file.write("{\"n\":3}").unwrap();
        drop(file);
        let mut file = LineFile::append(&path, 1000).unwrap();
        file.write("{\"n\":4}").unwrap();
        drop(file);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"n\":1}\n{\"n\":\n{\"n\":3}\n{\"n\":4}\n"
        );
    }
}
