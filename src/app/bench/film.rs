//! What the cameras of a plan show: the user's film, or one that is made for it.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Pictures per second where the user names none: what cameras are usually set to for counting.
pub const USUAL_FPS: NonZeroU32 = NonZeroU32::new(15).expect("15 is not 0");

/// Name of the film.
pub const NAME: &str = "junction.mp4";

/// What is filmed: place, its number, size and seconds.
const FILM: [&str; 7] = [
    "junction",
    "--seed",
    "14",
    "--size",
    "1920x1080",
    "--seconds",
    "4",
];

/// Films a junction into `folder`, with progress, in a process of its own: what filming needs is no
/// part of what is measured.
///
/// # Errors
/// If it cannot be written, or the user stopped it.
pub fn simulated(folder: &Path, fps: NonZeroU32) -> anyhow::Result<PathBuf> {
    let out = folder.join(NAME);
    let program = std::env::current_exe().context("finding this program")?;
    let status = Command::new(program)
        .arg("simulate")
        .args(FILM)
        .args(["--fps", &fps.to_string(), "--out"])
        .arg(&out)
        .stdin(Stdio::null())
        .status()
        .context("filming a junction")?;
    if !status.success() || !out.is_file() {
        bail!("no film was made");
    }
    Ok(out)
}
