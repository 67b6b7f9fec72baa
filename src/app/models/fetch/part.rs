//! `<file>.part`: what has arrived so far, and of which file it is the beginning.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::place::with_ending;

/// Bytes read at once.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// What arrived.
pub(super) struct Got {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Held until the file has its name, so that nobody else begins it anew.
    pub(super) _lock: File,
}

/// Which file a part is the beginning of.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct PartOf {
    pub(super) url: String,
    pub(super) etag: Option<String>,
}

impl PartOf {
    /// What is noted about the part at `part`.
    pub(super) fn read(part: &Path) -> Option<Self> {
        toml::from_str(&std::fs::read_to_string(note_of(part)).ok()?).ok()
    }

    /// Notes it beside the part at `part`.
    pub(super) fn note(&self, part: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        std::fs::write(note_of(part), text)
    }

    /// Removes the note, if there is one.
    pub(super) fn forget(part: &Path) -> io::Result<()> {
        match std::fs::remove_file(note_of(part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn note_of(part: &Path) -> PathBuf {
    with_ending(part, "toml")
}

/// An open part and what is in it.
pub(super) struct Part {
    file: File,
    pub(super) bytes: u64,
    hasher: Sha256,
}

impl Part {
    /// The part as it was left, hashed anew; nobody else may write to it meanwhile.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other(
                    "another gantryd is fetching this model; wait for it",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The other one may have been done between opening and locking, and the file have its name by now.
        let (held, named) = (file.metadata()?, std::fs::metadata(path)?);
        if (held.dev(), held.ino()) != (named.dev(), named.ino()) {
            return Err(io::Error::other(
                "another gantryd has just fetched this model; run this again",
            ));
        }
        let mut hasher = Sha256::new();
        let mut bytes = 0;
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let read = fill(&mut file, &mut buffer)?;
            if read == 0 {
                return Ok(Self {
                    file,
                    bytes,
                    hasher,
                });
            }
            hasher.update(&buffer[..read]);
            bytes += read as u64;
        }
    }

    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.bytes = 0;
        self.hasher = Sha256::new();
        Ok(())
    }

    pub(super) fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<Got> {
        self.file.sync_all()?;
        let digest = self.hasher.finalize();
        Ok(Got {
            bytes: self.bytes,
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            _lock: self.file,
        })
    }
}

/// Reads until `buffer` is full or the end.
pub(super) fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
