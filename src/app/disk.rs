//! The daemon's part in keeping the disk from filling.

use std::sync::Arc;

use super::config::Config;
use super::resolve;
use super::run::spawn;
use crate::base::{DiskRoom, Metrics, RoomLevel, StopSource, Worker, utc_now};
use crate::sinks::retention::{CameraLimits, Retention};

/// Looks after the output folder once, before anything is written there: on a full disk not even the
/// spool could be opened. From then on a thread does, and tells `room` who may write; also gives what
/// changes the limits of cameras.
///
/// # Errors
/// If there is no thread for it.
pub fn look_after(
    config: &Config,
    room: &Arc<DiskRoom>,
    metrics: &Arc<Metrics>,
    stop: &StopSource,
) -> anyhow::Result<(Worker, CameraLimits)> {
    let options = resolve::retention_from_config(config);
    // Where it cannot be made, the look says so, and so does everybody who writes.
    drop(std::fs::create_dir_all(&options.folder));
    let mut retention = Retention::new(options, Arc::clone(room), Arc::clone(metrics));
    retention.tick(std::time::Instant::now(), utc_now());
    let (until, limits) = (stop.stop_flag(), retention.limits());
    let worker = spawn("retention", move || retention.run(&until), stop)?;
    Ok((worker, limits))
}

/// What an operator has to know about the room on the disk, if anything.
#[must_use]
pub fn notice(room: &DiskRoom) -> Option<&'static str> {
    match room.level() {
        RoomLevel::Enough => None,
        RoomLevel::NoRecording => {
            Some("recording is paused: less is free than output.retention.min_free_gb")
        }
        RoomLevel::EventsOnly => Some(
            "recording and results are paused: the disk is all but full, events are still written",
        ),
    }
}
