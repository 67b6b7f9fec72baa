//! What the cameras of a plan show: the user's film, or one that is made for it.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::app::signals::Signals;
use crate::app::simulate::{self, SimulateArgs};

/// Length of the film that is made, in seconds.
const SECS: f64 = 4.0;

/// The place that is filmed, its number, and the size of the pictures.
const PLACE: (&str, u64, (u32, u32)) = ("junction", 14, (1920, 1080));

/// Pictures per second where the user names none: what cameras are usually set to for counting.
pub const USUAL_FPS: NonZeroU32 = NonZeroU32::new(15).expect("15 is not 0");

/// Films a junction into `folder`, with progress.
///
/// # Errors
/// If it cannot be written, or the user stopped it.
pub fn simulated(folder: &Path, fps: NonZeroU32, signals: &Signals) -> anyhow::Result<PathBuf> {
    let (scene, seed, size) = PLACE;
    let out = folder.join("junction.mp4");
    let mut args = SimulateArgs::of_film(scene, seed, SECS, out.clone(), folder.join("gt.txt"));
    args.size = Some(size);
    args.fps = fps;
    simulate::film(&args, signals)?;
    if signals.came() {
        bail!("stopped before anything was measured");
    }
    Ok(out)
}
