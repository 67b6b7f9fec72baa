//! The daemon's part in what is kept of events: the stream that clips are made of, and pictures.

use std::sync::Arc;

use super::config::{ClipsConfig, Config};
use crate::base::{DiskRoom, Metrics, PacketRing};
use crate::sinks::annotate::Privacy;
use crate::sinks::clips::EVENT_DELAY;
use crate::sinks::publish::EventFilter;
use crate::sinks::snapshots::{SnapshotDesk, SnapshotOptions, SnapshotWriter};

/// What is kept of a camera's stream in memory, where clips are made of it.
#[must_use]
pub fn ring(clips: &ClipsConfig) -> Arc<PacketRing> {
    let keep = clips.pre + EVENT_DELAY;
    let max_bytes = u64::from(clips.max_ring_mib) * 1024 * 1024;
    Arc::new(PacketRing::new(keep, max_bytes))
}

/// Who takes the pictures of events, if any are wanted.
#[must_use]
pub fn snapshots(
    config: &Config,
    room: &Arc<DiskRoom>,
    metrics: &Arc<Metrics>,
) -> Option<(SnapshotWriter, Arc<SnapshotDesk>)> {
    let snapshots = &config.snapshots;
    let options = SnapshotOptions {
        folder: config.output.folder.clone(),
        wanted: filter(&snapshots.events, &snapshots.places),
        margin: snapshots.margin as f32,
    };
    if !snapshots.is_on() {
        return None;
    }
    let (writer, desk) = SnapshotWriter::new(options, Arc::clone(room), Arc::clone(metrics));
    for camera in &config.cameras {
        desk.hide(&camera.id, Privacy::new(&camera.privacy));
    }
    Some((writer, desk))
}

/// The events that are wanted of these types and places; all where none are named.
#[must_use]
pub fn filter(events: &[String], places: &[String]) -> EventFilter {
    EventFilter {
        types: events.to_vec(),
        places: places.to_vec(),
        ..EventFilter::default()
    }
}
