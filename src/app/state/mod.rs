//! What the daemon remembers of a live camera over a lost connection and over a restart.
//!
//! Belongs here: the file of a camera, the thread that writes it, and the step from one run to the
//! next. Does not belong here: what a tracker or zones know; they give and take their states as values.
//!
//! ```text
//! track thread ── Past ── newest wins, one place per camera ──▶ `state` thread ── temp, fsync, rename
//! ```

mod file;
mod memory;
mod numbers;
mod on_disk;
mod past;
mod writer;

use std::sync::Arc;

use super::config::Config;
use super::run::spawn;
use crate::base::{Metrics, StopSource, Worker};
use crate::perception::detect::{DetectOptions, ModelFiles};

pub use memory::{Memory, MemoryOptions};
pub use on_disk::EventsOnDisk;
pub use past::{Entered, Past};

/// Below the folder of the results: where states are.
const FOLDER: &str = "state";

/// The memory of a configuration and the thread that writes it; `None` if it is switched off.
///
/// # Errors
/// If the thread cannot be started.
pub fn remember(
    config: &Config,
    files: &ModelFiles,
    detect: &DetectOptions,
    classes: &[String],
    on_disk: &EventsOnDisk,
    metrics: &Arc<Metrics>,
    stop: &StopSource,
) -> anyhow::Result<Option<(Memory, Worker)>> {
    let wanted = &config.state;
    if !wanted.enabled {
        return Ok(None);
    }
    let options = MemoryOptions {
        folder: config.output.folder.join(FOLDER),
        events: config.output.events.then(|| config.output.folder.clone()),
        on_disk: on_disk.clone(),
        every: wanted.every,
        reach: wanted.reach,
    };
    let (memory, write) = Memory::new(options, files, detect, classes, metrics);
    let worker = spawn("state", write, stop)?;
    Ok(Some((memory, worker)))
}
