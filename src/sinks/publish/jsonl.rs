//! A file of JSON lines, rotated by size.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::base::utc_now;

/// A result file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("writing {path}")]
pub struct PublishError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// How long a line may wait in memory before it is handed to the system.
const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// A file that lines are appended to. With a size limit, a full file is renamed to
/// `<stem>_<UTC>.jsonl` and a new one begun.
#[derive(Debug)]
pub struct JsonlFile {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    max_bytes: Option<u64>,
    flushed: Instant,
}

impl JsonlFile {
    /// A new file; one that is there already is replaced.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, PublishError> {
        let file = File::create(path).map_err(|source| failed(path, source))?;
        Ok(Self::over(path, file, 0, None))
    }

    /// Goes on with the file that is there, rotating it at `max_bytes`.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn append(path: &Path, max_bytes: u64) -> Result<Self, PublishError> {
        let file = open_append(path)?;
        let bytes = file
            .metadata()
            .map_err(|source| failed(path, source))?
            .len();
        Ok(Self::over(path, file, bytes, Some(max_bytes)))
    }

    fn over(path: &Path, file: File, bytes: u64, max_bytes: Option<u64>) -> Self {
        Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            bytes,
            max_bytes,
            flushed: Instant::now(),
        }
    }

    /// Appends one line; `line` has no line break.
    ///
    /// # Errors
    /// If the system refuses to take it (disk full, say).
    pub fn write_line(&mut self, line: &str) -> Result<(), PublishError> {
        let size = line.len() as u64 + 1;
        if self
            .max_bytes
            .is_some_and(|max| self.bytes > 0 && self.bytes + size > max)
        {
            self.rotate()?;
        }
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|source| failed(&self.path, source))?;
        self.bytes += size;
        if self.flushed.elapsed() >= FLUSH_AFTER {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands everything written so far to the system.
    ///
    /// # Errors
    /// If the system refuses to take it.
    pub fn flush(&mut self) -> Result<(), PublishError> {
        self.flushed = Instant::now();
        self.file
            .flush()
            .map_err(|source| failed(&self.path, source))
    }

    fn rotate(&mut self) -> Result<(), PublishError> {
        self.flush()?;
        let full = rotated_name(&self.path);
        std::fs::rename(&self.path, &full).map_err(|source| failed(&full, source))?;
        self.file = BufWriter::new(open_append(&self.path)?);
        self.bytes = 0;
        Ok(())
    }
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

fn open_append(path: &Path) -> Result<File, PublishError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: std::io::Error) -> PublishError {
    PublishError {
        path: path.to_owned(),
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
        let mut file = JsonlFile::append(&path, 25).unwrap();
        for number in 0..10 {
            file.write_line(&format!("{{\"n\":{number}}}")).unwrap();
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
        let mut file = JsonlFile::create(Path::new("/dev/full")).unwrap();
        file.write_line("{}").unwrap();
        let error = file.flush().unwrap_err();
        assert_eq!(error.to_string(), "writing /dev/full");
        assert_eq!(error.source.kind(), std::io::ErrorKind::StorageFull);
    }
}
