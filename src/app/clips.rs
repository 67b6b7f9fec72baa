//! The daemon's part in what is kept of events: who makes clips and pictures, and the lines beside raw
//! segments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::config::{CameraConfig, ClipsConfig, Config};
use super::pipeline::{CameraPlan, PipelineOptions, Published};
use super::resolve;
use crate::base::{CameraId, DiskRoom, Metrics, PacketRing, StreamClock};
use crate::sinks::annotate::{Place, Privacy};
use crate::sinks::clips::{ClipDesk, ClipOptions, ClipWriter, EVENT_DELAY, RawLines, Scenery};
use crate::sinks::publish::EventFilter;
use crate::sinks::snapshots::{SnapshotDesk, SnapshotOptions, SnapshotWriter};

/// How often clips are moved on.
const TICK: Duration = Duration::from_millis(100);

/// What is kept of a camera's stream in memory, where clips are made of it.
#[must_use]
pub fn ring(clips: &ClipsConfig) -> Arc<PacketRing> {
    let keep = clips.pre + EVENT_DELAY;
    let max_bytes = u64::from(clips.max_ring_mib) * 1024 * 1024;
    Arc::new(PacketRing::new(keep, max_bytes))
}

/// What a camera tells those who write films.
#[derive(Debug)]
pub struct Tap {
    clock: Arc<StreamClock>,
    ring: Option<Arc<PacketRing>>,
    has_raw: bool,
}

/// The taps of all cameras that are to have clips or raw segments.
#[must_use]
pub fn taps(options: &PipelineOptions, config: &Config) -> BTreeMap<CameraId, Tap> {
    let with_ring = |plan: &CameraPlan| {
        let camera = config.cameras.iter().find(|it| it.id == plan.capture.id);
        // What is kept for live video alone is too short for a clip.
        let makes_clips = camera.is_some_and(|it| resolve::makes_clips(it, config));
        plan.capture.packets.clone().filter(|_| makes_clips)
    };
    let cameras = options.cameras.iter();
    cameras
        .map(|plan| (&plan.capture, with_ring(plan)))
        .filter(|(capture, ring)| ring.is_some() || capture.raw.is_some())
        .map(|(capture, ring)| {
            let tap = Tap {
                clock: Arc::clone(&capture.clock),
                ring,
                has_raw: capture.raw.is_some(),
            };
            (capture.id.clone(), tap)
        })
        .collect()
}

/// The desk of a camera's clips, and what its thread works with.
#[must_use]
pub fn films(
    camera: &CameraConfig,
    config: &Config,
    tap: &Tap,
    classes: &Arc<[String]>,
    room: &Arc<DiskRoom>,
    metrics: &Arc<Metrics>,
) -> (Option<Arc<ClipDesk>>, Films) {
    let desk = tap.ring.as_ref().map(|ring| {
        let options = ClipOptions {
            folder: config.output.folder.join(camera.id.as_str()),
            wanted: filter(&config.clips.events, &config.clips.places),
            before: config.clips.pre,
            after: config.clips.post,
            longest: config.clips.longest,
        };
        ClipDesk::new(
            camera.id.clone(),
            options,
            Arc::clone(ring),
            Arc::clone(&tap.clock),
            Arc::clone(room),
            Arc::clone(metrics),
        )
    });
    let films = Films {
        clips: desk
            .as_ref()
            .map(|desk| ClipWriter::new(Arc::clone(desk), Arc::clone(classes), scenery(camera))),
        raw: tap.has_raw.then(|| {
            RawLines::new(
                camera.id.clone(),
                Arc::clone(&tap.clock),
                Arc::clone(classes),
            )
        }),
    };
    (desk, films)
}

/// What the thread `clip-<n>` of a camera works with.
pub struct Films {
    clips: Option<ClipWriter>,
    raw: Option<RawLines>,
}

impl Films {
    /// Writes clips, and lines beside raw segments, until the channel closes; then ends them.
    pub fn run(mut self, results: &Receiver<Published>) {
        let mut moved_on = Instant::now();
        loop {
            match results.recv_timeout(TICK) {
                Ok(Published::Frame(result)) => {
                    if let Some(raw) = &mut self.raw {
                        raw.note(Arc::clone(&result));
                    }
                    if let Some(clips) = &mut self.clips {
                        clips.note(result);
                    }
                }
                Ok(
                    Published::RunEnded { .. } | Published::Watched { .. } | Published::Gone { .. },
                )
                | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(clips) = &mut self.clips
                && moved_on.elapsed() >= TICK
            {
                clips.tick();
                moved_on = Instant::now();
            }
        }
        if let Some(raw) = self.raw {
            raw.finish();
        }
        if let Some(clips) = self.clips {
            clips.finish();
        }
    }
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

fn filter(events: &[String], places: &[String]) -> EventFilter {
    EventFilter {
        types: events.to_vec(),
        places: places.to_vec(),
        ..EventFilter::default()
    }
}

fn scenery(camera: &CameraConfig) -> Scenery {
    let overlay = resolve::overlay(&camera.zones);
    let named = |places: Vec<Place>| places.into_iter().map(|it| (it.name, it.points)).collect();
    Scenery {
        zones: named(overlay.zones),
        lines: named(overlay.lines),
        outlines: overlay.outlines,
    }
}
