//! The file of one camera: written whole or not at all, and read with suspicion.
//!
//! ```text
//! "gantryst" | version, u32 LE | SHA-256 of the rest, 32 bytes | the rest: a CameraState in postcard
//! ```
//! postcard (its wire format is a written specification) keeps a look of 512 numbers in 2 KiB, where
//! JSON would need 6.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::{CameraId, Pts, Size, UtcNanos};
use crate::perception::track::TrackerState;
use crate::perception::zones::ZonesState;

/// The form of [`CameraState`]. To be raised whenever it, or anything in it, changes.
pub const VERSION: u32 = 3;

const MAGIC: &[u8; 8] = b"gantryst";
const HEAD: usize = MAGIC.len() + 4 + 32;

/// A larger file is none of ours: the limits of what is in a snapshot end far below.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Files that were set aside, per camera; the oldest goes.
const MAX_BAD: u32 = 3;

/// Everything that is remembered of a camera.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CameraState {
    /// Its id.
    pub camera: String,
    /// Stands for its address.
    pub source: [u8; 32],
    /// Stands for the models and their classes.
    pub model: [u8; 32],
    /// The newest run.
    pub run: u32,
    /// When the newest frame arrived, by the clock of this machine.
    pub arrived: UtcNanos,
    /// The time of that frame, as tracker and zones count it: on over the ends of runs.
    pub scene: Pts,
    /// Size of that frame.
    pub size: Size,
    pub tracker: TrackerState,
    pub zones: Option<ZonesState>,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    #[error("{0} bytes are more than gantryd ever writes ({MAX_BYTES})")]
    TooLarge(u64),
    #[error("it does not begin as a state of gantryd does")]
    Foreign,
    #[error("its form is version {0}, this gantryd reads version {VERSION}")]
    Version(u32),
    #[error("its checksum is wrong: it was cut off or changed")]
    Checksum,
    #[error("its content cannot be read")]
    Content(#[source] postcard::Error),
    #[error("its content contradicts itself")]
    Unsound,
    #[error("it is of camera {0}")]
    OtherCamera(String),
    #[error("the camera has another uri now")]
    OtherSource,
}

/// The folder of the states.
#[derive(Debug, Clone)]
pub struct StateFolder(pub PathBuf);

impl StateFolder {
    /// The file of a camera, whose id is made for file names.
    pub fn path(&self, camera: &CameraId) -> PathBuf {
        self.0.join(format!("{camera}.state"))
    }

    /// What is remembered of `camera`; `None` without a file.
    ///
    /// # Errors
    /// Why the file is not to be used.
    pub fn read(
        &self,
        camera: &CameraId,
        source: &[u8; 32],
    ) -> Result<Option<CameraState>, StateError> {
        let Some(bytes) = read_file(&self.path(camera))? else {
            return Ok(None);
        };
        let state = decode(&bytes)?;
        if state.camera != camera.as_str() {
            return Err(StateError::OtherCamera(state.camera));
        }
        if state.source != *source {
            return Err(StateError::OtherSource);
        }
        Ok(Some(state))
    }

    /// Writes the state of a camera: first beside the old one, then in its place.
    ///
    /// # Errors
    /// What the disk says. The old file is left as it was.
    pub fn write(&self, camera: &CameraId, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let path = self.path(camera);
        let beside = path.with_extension("state.tmp");
        let written = write_all(&beside, bytes).and_then(|()| fs::rename(&beside, &path));
        if let Err(error) = written {
            // Half a file is of no use, and takes room where there may be none.
            drop(fs::remove_file(&beside));
            return Err(error);
        }
        File::open(&self.0)?.sync_all()
    }

    /// Puts the file of a camera out of the way, for people to look at; gives its new name.
    ///
    /// # Errors
    /// What the disk says.
    pub fn set_aside(&self, camera: &CameraId) -> io::Result<PathBuf> {
        let name = |number: u32| self.0.join(format!("{camera}.state.bad{number}"));
        for number in (1..MAX_BAD).rev() {
            match fs::rename(name(number), name(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(self.path(camera), name(1))?;
        Ok(name(1))
    }
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateError::Read(error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(StateError::Read)?;
    let size = bytes.len() as u64;
    if size > MAX_BYTES {
        return Err(StateError::TooLarge(size));
    }
    Ok(Some(bytes))
}

fn write_all(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // What persons look like, as vectors, is for nobody else.
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The bytes of a file.
///
/// # Errors
/// Never for what a camera can hold; what postcard says otherwise.
pub fn encode(state: &CameraState) -> Result<Vec<u8>, postcard::Error> {
    let content = postcard::to_stdvec(state)?;
    let mut bytes = Vec::with_capacity(HEAD + content.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&Sha256::digest(&content));
    bytes.extend_from_slice(&content);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<CameraState, StateError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(StateError::Foreign)?;
    let (version, rest) = rest.split_first_chunk().ok_or(StateError::Checksum)?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(StateError::Version(version));
    }
    let (checksum, content) = rest.split_first_chunk::<32>().ok_or(StateError::Checksum)?;
    if Sha256::digest(content).as_slice() != checksum {
        return Err(StateError::Checksum);
    }
    let (state, left): (CameraState, &[u8]) =
        postcard::take_from_bytes(content).map_err(StateError::Content)?;
    let is_sound =
        state.tracker.is_sound() && state.zones.as_ref().is_none_or(ZonesState::is_sound);
    if !is_sound || !left.is_empty() {
        return Err(StateError::Unsound);
    }
    Ok(state)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::perception::track::{TrackOptions, Tracker};

    pub fn state(camera: &str, run: u32) -> CameraState {
        CameraState {
            camera: camera.to_owned(),
            source: [1; 32],
            model: [2; 32],
            run,
            arrived: UtcNanos(1_700_000_000_000_000_000),
            scene: Pts(5),
            size: Size {
                width: 640,
                height: 360,
            },
            tracker: Tracker::new(TrackOptions::default()).state(),
            zones: None,
        }
    }

    fn folder() -> (tempfile::TempDir, StateFolder, CameraId) {
        let folder = tempfile::tempdir().unwrap();
        let states = StateFolder(folder.path().join("state"));
        (folder, states, CameraId::new("gate"))
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else_is_left_there() {
        let (_folder, states, gate) = folder();
        assert!(states.read(&gate, &[1; 32]).unwrap().is_none());
        for run in 1..4 {
            let bytes = encode(&state("gate", run)).unwrap();
            states.write(&gate, &bytes).unwrap();
        }
        let read = states.read(&gate, &[1; 32]).unwrap().unwrap();
        assert_eq!((read.run, read.scene), (3, Pts(5)));
        assert_eq!(fs::read_dir(&states.0).unwrap().count(), 1);
    }

    #[test]
    fn every_fault_of_a_file_is_found() {
        let (_folder, states, gate) = folder();
        let good = encode(&state("gate", 1)).unwrap();
        let refused = |bytes: &[u8]| {
            states.write(&gate, bytes).unwrap();
            states.read(&gate, &[1; 32]).unwrap_err().to_string()
        };
        let checksum = "its checksum is wrong: it was cut off or changed";
        for length in [8, 11, 12, 40, HEAD, good.len() - 1] {
            assert_eq!(refused(&good[..length]), checksum, "{length}");
        }
        for place in [12, 43, HEAD, good.len() - 1] {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            assert_eq!(refused(&bad), checksum, "{place}");
        }
        assert_eq!(refused(b""), "it does not begin as a state of gantryd does");
        let mut newer = good.clone();
        newer[8] = 9;
        assert_eq!(
            refused(&newer),
            "its form is version 9, this gantryd reads version 3"
        );
        let other = encode(&state("yard", 1)).unwrap();
        assert_eq!(refused(&other), "it is of camera yard");
        let elsewhere = CameraState {
            source: [7; 32],
            ..state("gate", 1)
        };
        let elsewhere = encode(&elsewhere).unwrap();
        assert_eq!(refused(&elsewhere), "the camera has another uri now");
    }

    #[test]
    fn what_is_set_aside_is_bounded_and_the_newest_is_kept() {
        let (_folder, states, gate) = folder();
        for number in 1..=6u8 {
            states.write(&gate, &[number]).unwrap();
            let aside = states.set_aside(&gate).unwrap();
            assert_eq!(fs::read(aside).unwrap(), [number]);
        }
        let kept =
            |number: u32| fs::read(states.0.join(format!("gate.state.bad{number}"))).unwrap();
        assert_eq!([kept(1), kept(2), kept(3)], [[6], [5], [4]]);
        assert_eq!(fs::read_dir(&states.0).unwrap().count(), 3);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let (_folder, states, gate) = folder();
        states.write(&gate, b"old").unwrap();
        // A folder where the file beside should be: nothing can be created there.
        fs::create_dir(states.0.join("gate.state.tmp")).unwrap();
        states.write(&gate, b"new").unwrap_err();
        assert_eq!(fs::read(states.path(&gate)).unwrap(), b"old");
    }
}
