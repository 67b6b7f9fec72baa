//! The page's part of the daemon: a thread that hears results and events for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, never, select, tick};

use super::config::{CameraConfig, Config, WebConfig};
use super::pipeline::{PipelineOptions, Published, Scene};
use super::resolve;
use super::run::spawn;
use crate::base::{CameraId, Event, Metrics, PacketRing, StopSource, Worker};
use crate::perception::zones::ZonesPlan;
use crate::sinks::annotate::{Place, Privacy, PrivacyRules};
use crate::sinks::http::{Certificate, CertificateError};
use crate::sinks::publish::event_line;
use crate::sinks::web::{
    CameraFacts, Engine, Hub, PictureOptions, SAMPLE_EVERY, Shape, VideoOptions, VideoTap,
};

/// Results that may wait for the page; only the newest of a camera is ever shown.
pub const RESULT_QUEUE: usize = 8;

/// What a viewer's task may be late by without missing anything.
const RING_KEEPS: Duration = Duration::from_millis(500);

/// Most that is kept in memory of a camera for live video.
const RING_BYTES: u64 = 16 * 1024 * 1024;

/// What the page shows to be believed, if it speaks TLS.
///
/// # Errors
/// [`CertificateError`] names the file and the remedy.
pub fn certificate(web: &WebConfig) -> Result<Option<Arc<Certificate>>, CertificateError> {
    let files = web.certificate.as_ref();
    files
        .map(|files| Certificate::load(&files.cert, &files.key))
        .transpose()
}

/// The page of a configuration, not yet told anything.
#[must_use]
pub fn hub(
    config: &Config,
    streams: BTreeMap<CameraId, VideoTap>,
    classes: &Arc<[String]>,
    metrics: &Arc<Metrics>,
    engine: Engine,
) -> Arc<Hub> {
    let facts = |camera: &CameraConfig| {
        let video = streams.get(&camera.id).cloned();
        facts(&camera.id, &camera.zones, &camera.privacy, video)
    };
    let web = &config.web;
    let options = PictureOptions {
        max_width: web.max_width,
        fps: web.fps,
    };
    Hub::new(
        config.cameras.iter().map(facts).collect(),
        Arc::clone(classes),
        Arc::clone(metrics),
        options,
        &config.output.folder,
        engine,
        VideoOptions {
            is_on: web.shows_video(),
            most_viewers: web.webrtc_viewers,
            stun: web.stun.clone(),
        },
    )
}

/// What is kept of what a camera sends where only the page shows it: the newest group of pictures, and
/// the one before as long as a viewer may still be taking from it.
#[must_use]
pub fn ring() -> Arc<PacketRing> {
    Arc::new(PacketRing::new(RING_KEEPS, RING_BYTES))
}

/// What the live cameras send, where that is kept.
#[must_use]
pub fn streams(options: &PipelineOptions) -> BTreeMap<CameraId, VideoTap> {
    let plans = options.cameras.iter();
    plans
        .filter_map(|plan| Some((plan.capture.id.clone(), tap(&plan.scene())?)))
        .collect()
}

fn tap(scene: &Scene) -> Option<VideoTap> {
    let (ring, clock) = scene.packets.clone()?;
    Some(VideoTap { ring, clock })
}

/// Opens the event files of all cameras, before anything is written there, and has a thread read back
/// what was told before the start.
///
/// # Errors
/// If there is no thread for it.
pub fn recall(hub: &Arc<Hub>, stop: &StopSource) -> anyhow::Result<Worker> {
    let (histories, told, until) = (hub.histories(), Arc::clone(hub), stop.stop_flag());
    let read = move || {
        for (camera, history) in histories {
            if until.is_stopped() {
                return;
            }
            told.recall(&camera, history);
        }
    };
    spawn("web-past", read, stop)
}

/// What the page knows of a camera that is watched so.
fn facts(
    camera: &CameraId,
    zones: &ZonesPlan,
    privacy: &PrivacyRules,
    video: Option<VideoTap>,
) -> CameraFacts {
    let overlay = resolve::overlay(zones);
    let named = |places: Vec<Place>| {
        let shape = |it: Place| Shape {
            name: it.name,
            points: it.points,
        };
        places.into_iter().map(shape).collect()
    };
    let nameless = |points| Shape {
        name: String::new(),
        points,
    };
    CameraFacts {
        id: camera.clone(),
        zones: named(overlay.zones),
        lines: named(overlay.lines),
        outlines: overlay.outlines.into_iter().map(nameless).collect(),
        privacy: Privacy::new(privacy).map(Arc::new),
        video,
    }
}

/// Tells the page everything that comes until both channels are closed.
pub fn run(
    hub: &Hub,
    mut results: Receiver<Published>,
    mut events: Receiver<Event>,
    classes: &[String],
) {
    let (mut has_results, mut has_events) = (true, true);
    let ticks = tick(SAMPLE_EVERY);
    hub.sample();
    while has_results || has_events {
        select! {
            recv(results) -> item => match item {
                Ok(Published::Frame(result)) => hub.show(result),
                Ok(Published::RunEnded { .. }) => {}
                Ok(Published::Watched { camera, scene }) => {
                    hub.watch(facts(
                        &camera,
                        &scene.zones,
                        &scene.privacy,
                        tap(&scene),
                    ));
                }
                Ok(Published::Gone { camera }) => hub.forget(&camera),
                Err(_) => (has_results, results) = (false, never()),
            },
            recv(ticks) -> _ => hub.sample(),
            recv(events) -> event => match event {
                Ok(event) => hub.note(&event, &event_line(&event, classes, None)),
                Err(_) => (has_events, events) = (false, never()),
            },
        }
    }
}
