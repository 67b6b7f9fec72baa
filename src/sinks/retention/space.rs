//! How much room a disk has.

use std::io;
use std::path::Path;

/// Room on a disk, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// That an ordinary user may still use.
    pub free: u64,
    /// In all.
    pub total: u64,
}

/// Asks how much room there is.
pub type SpaceProbe = Box<dyn Fn() -> io::Result<Space> + Send>;

/// Room on the disk that `folder` is on.
///
/// # Errors
/// If the folder cannot be reached.
pub fn room_on(folder: &Path) -> io::Result<Space> {
    let disk = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Ok(Space {
        free: bytes(disk.f_bavail),
        total: bytes(disk.f_blocks),
    })
}
