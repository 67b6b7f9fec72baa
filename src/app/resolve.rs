//! From the words of the command line and the configuration to the options of the stages.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::cli::{DetectArgs, SourceArgs};
use super::clips;
use super::config::{
    self, CameraConfig, CameraUri, Config, DetectConfig, ModelRef, RecordConfig, TrackConfig,
    WhenDiskFull,
};
use super::models::{self, ModelError};
use super::pipeline::CameraPlan;
use super::web;
use crate::base::{CameraId, Secret};
use crate::capture::{
    CameraOptions, Codec, Decode, HttpSource, RawRecord, RtspSource, Source, Transport,
};
use crate::perception::detect::{
    DetectOptions, ModelFiles, Provider, ProviderOptions, ReidOptions,
};
use crate::perception::track::TrackOptions;
use crate::perception::zones::ZonesPlan;
use crate::sinks::annotate::{Overlay, Place};
use crate::sinks::record::{EncoderChoice, RecordOptions, RecordPace, RecordTarget};
use crate::sinks::retention::{MinFree, OwnLimits, RetentionOptions};

/// The model where none is named: the one that comes with gantryd.
const DEFAULT_MODEL: &str = "resident-n";

/// The files of the model asked for.
///
/// # Errors
/// [`ModelError`] names the known models.
pub fn model(wanted: Option<&ModelRef>) -> Result<ModelFiles, ModelError> {
    match wanted {
        Some(wanted) => models::resolve(&wanted.to_string()),
        None => models::resolve(DEFAULT_MODEL),
    }
}

/// The re-identification network asked for, everything else about it at its default.
///
/// # Errors
/// [`ModelError`] names the known models.
pub fn reid(wanted: Option<&ModelRef>) -> Result<Option<ReidOptions>, ModelError> {
    let model = wanted.map(|wanted| models::resolve(&wanted.to_string()));
    Ok(model.transpose()?.map(ReidOptions::new))
}

/// The re-identification network of the daemon.
///
/// # Errors
/// [`ModelError`] names the known models.
pub fn reid_from_config(detect: &DetectConfig) -> Result<Option<ReidOptions>, ModelError> {
    let found = reid(detect.reid.as_ref())?;
    Ok(found.map(|default| ReidOptions {
        classes: detect.reid_classes.clone(),
        min_height: detect.reid_min_height_px as f32,
        max_crops: detect.reid_max_crops as usize,
        ..default
    }))
}

/// Providers of a one-shot command.
#[must_use]
pub fn providers(device: u32, cuda_graphs: bool) -> ProviderOptions {
    let mut providers = ProviderOptions::on_device(device);
    providers.cuda.graphs = cuda_graphs;
    providers
}

/// Model options of a one-shot command.
#[must_use]
pub fn detect_from_args(args: &DetectArgs) -> DetectOptions {
    let default = DetectOptions::default();
    let confidence = args.conf.map(|confidence| confidence as f32);
    DetectOptions {
        runtime_library: args.runtime_library.clone(),
        provider: provider(args.provider),
        providers: providers(args.device, args.cuda_graphs),
        intra_threads: non_zero(args.intra_threads.get()),
        input_size: args.input_size,
        tiles: args.tiles,
        zero_copy: args.zero_copy,
        confidence,
        min_confidence: least(default.min_confidence, confidence),
        ..default
    }
}

/// So many cameras the daemon always makes itself ready for.
const FEW_CAMERAS: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");

/// Model options of the daemon.
#[must_use]
pub fn detect_from_config(config: &Config) -> DetectOptions {
    let DetectConfig {
        provider: wanted,
        providers,
        intra_threads,
        input_size,
        max_batch,
        batch_sizes,
        tiles,
        zero_copy,
        confidence,
        min_confidence,
        nms_iou,
        class_map,
        runtime_library,
        ..
    } = &config.detect;
    let default = DetectOptions::default();
    // The model keeps what the least demanding camera wants; each camera filters for itself.
    let cameras = config
        .cameras
        .iter()
        .filter_map(|camera| camera.confidence.set());
    let lowest = cameras.map(|c| c as f32).reduce(f32::min);
    DetectOptions {
        runtime_library: runtime_library.clone().set(),
        provider: provider(*wanted),
        providers: providers.clone(),
        intra_threads: non_zero(*intra_threads),
        input_size: input_size.set(),
        confidence: confidence.set().map(|c| c as f32),
        min_confidence: least(*min_confidence as f32, lowest),
        nms_iou: nms_iou.set().map(|iou| iou as f32),
        class_map: class_map.clone(),
        max_batch: max_batch
            .set()
            .or(batch_sizes.last().copied())
            .map(non_zero),
        // More can be added while it runs.
        cameras: NonZeroUsize::new(config.cameras.len())
            .unwrap_or(NonZeroUsize::MIN)
            .max(FEW_CAMERAS),
        tiles: *tiles,
        zero_copy: *zero_copy,
        batch_sizes: (!batch_sizes.is_empty())
            .then(|| batch_sizes.iter().map(|it| *it as usize).collect()),
        ..default
    }
}

/// Tracker options of the daemon.
#[must_use]
pub fn track_from_config(track: &TrackConfig, record_decisions: bool) -> TrackOptions {
    let mut options = TrackOptions {
        record_decisions,
        vote_on_camera: track.camera_motion != config::MotionSource::Off,
        ..TrackOptions::default()
    };
    let set = |place: &mut f32, value: config::Auto<f64>| {
        if let Some(value) = value.set() {
            *place = value as f32;
        }
    };
    set(&mut options.high_score, track.high);
    set(&mut options.low_score, track.low);
    set(&mut options.new_track_score, track.new);
    // Thresholds that were chosen by hand stand.
    options.follow_scores = track.high.set().is_none() && track.new.set().is_none();
    if let Some(secs) = track.memory_secs.set() {
        options.memory = Duration::from_secs_f64(secs);
    }
    if let Some(secs) = track.appearance_memory_secs.set() {
        options.lost_with_appearance = Duration::from_secs_f64(secs);
    }
    if let Some(hits) = track.confirm_hits.set() {
        options.confirm_hits = hits;
    }
    options
}

/// An input of a one-shot command as a camera.
///
/// # Errors
/// If the password file cannot be read.
pub fn camera_from_args(
    id: CameraId,
    mut source: Source,
    args: &SourceArgs,
    max_frames: Option<NonZeroU64>,
) -> Result<CameraOptions, std::io::Error> {
    let credentials = match (&args.user, &args.password_file) {
        (Some(user), Some(file)) => Some((user.clone(), read_password(file)?)),
        _ => None,
    };
    add_access(
        &mut source,
        credentials,
        transport(args.transport),
        args.tls_ca_file.as_deref(),
        args.tls_insecure,
    );
    let mut options = CameraOptions::new(id, source);
    options.decode = decode(args.decode);
    options.max_frames = max_frames.map(NonZeroU64::get);
    options.give_up_unseen = true;
    Ok(options)
}

/// A configured camera.
#[must_use]
pub fn camera_from_config(camera: &CameraConfig, config: &Config) -> CameraPlan {
    let mut source = match &camera.uri {
        CameraUri::Rtsp(uri) => Source::Rtsp(RtspSource {
            uri: uri.clone(),
            user: None,
            password: None,
            transport: Transport::default(),
            tls_ca_file: None,
            tls_insecure: false,
        }),
        CameraUri::Http(uri) => Source::Http(HttpSource {
            uri: uri.clone(),
            user: None,
            password: None,
            tls_ca_file: None,
            tls_insecure: false,
        }),
        CameraUri::Device(path) | CameraUri::File(path) => Source::from_path(path),
    };
    let credentials = camera.credentials.as_ref();
    add_access(
        &mut source,
        credentials.map(|c| (c.user.clone(), c.password.clone())),
        transport(camera.transport),
        camera.tls_ca_file.as_deref(),
        camera.tls_insecure,
    );
    let mut capture = CameraOptions::new(camera.id.clone(), source);
    capture.decode = decode(camera.decode);
    let detect = &config.detect;
    capture.card = detect.zero_copy.then_some(detect.providers.cuda.device);
    capture.codec = codec(camera.codec);
    capture.pipeline.clone_from(&camera.pipeline);
    capture.latency_ms = u32::try_from(camera.latency.as_millis()).unwrap_or(u32::MAX);
    capture.stall_secs = camera.stall.as_secs_f64();
    capture.connect_secs = camera.connect.as_secs_f64();
    capture.lossless = camera.lossless;
    capture.required = camera.is_required;
    capture.patient = true;
    let folder = config.output.folder.join(camera.id.as_str());
    capture.raw = (camera.raw && config.record.enabled).then(|| RawRecord {
        folder,
        room: Arc::default(),
        segment_secs: u32::try_from(config.record.segment.as_secs()).unwrap_or(u32::MAX),
    });
    let makes_clips = config.clips.is_on() && camera.clips;
    capture.packets = match (makes_clips, config.web.shows_video()) {
        _ if !capture.source.is_live() => None,
        (true, _) => Some(clips::ring(&config.clips)),
        (false, true) => Some(web::ring()),
        (false, false) => None,
    };
    CameraPlan {
        capture,
        classes: camera.classes.clone(),
        confidence: camera.confidence.set().map(|c| c as f32),
        zones: camera.zones.clone(),
        privacy: camera.privacy.clone(),
    }
}

/// Zones, lines and the calibrated ground, as they are drawn.
#[must_use]
pub fn overlay(plan: &ZonesPlan) -> Overlay {
    let place = |name: &str, points: Vec<[f32; 2]>| Place {
        name: name.to_owned(),
        points,
    };
    let zones = plan.zones.iter();
    let lines = plan.lines.iter();
    let excluded = plan.excluded.iter();
    let ground = plan.calibration.iter();
    Overlay {
        zones: zones
            .map(|it| place(&it.name, it.polygon.corners()))
            .collect(),
        lines: lines
            .map(|it| place(&it.name, it.line.points().to_vec()))
            .collect(),
        outlines: excluded
            .map(|it| it.polygon.corners())
            .chain(ground.map(|it| it.image.corners().to_vec()))
            .collect(),
    }
}

/// How a configured camera's annotated picture is recorded: live cameras never wait.
#[must_use]
pub fn record_from_config(record: &RecordConfig, dir: &Path, lossless: bool) -> RecordOptions {
    let bytes = u64::from(record.segment_mib) * 1024 * 1024;
    let target = RecordTarget::Folder {
        dir: dir.to_owned(),
        segment: record.segment,
        segment_bytes: NonZeroU64::new(bytes).unwrap_or(NonZeroU64::MAX),
    };
    let pace = if lossless {
        RecordPace::Lossless
    } else {
        RecordPace::Live
    };
    let mut options = RecordOptions::new(target, pace);
    options.encoder = encoder(record.encoder);
    options
}

/// What is kept of recordings and results, and of events.
#[must_use]
pub fn retention_from_config(config: &Config) -> RetentionOptions {
    let output = &config.output;
    let retention = &output.retention;
    RetentionOptions {
        clips: retention.clips,
        events_max_age: retention.events_max_age,
        cameras: own_limits(&config.cameras),
        deletes_clips: !retention.keep_clips,
        folder: output.folder.clone(),
        max_age: retention.max_age,
        max_bytes: retention.max_bytes,
        min_free: retention
            .min_free
            .set()
            .map_or(MinFree::Auto, MinFree::Bytes),
        deletes_for_space: retention.when_full == WhenDiskFull::Delete,
    }
}

/// The cameras that have limits of their own.
#[must_use]
pub fn own_limits(cameras: &[CameraConfig]) -> BTreeMap<String, OwnLimits> {
    let own = cameras.iter();
    own.filter(|camera| camera.retention != OwnLimits::default())
        .map(|camera| (camera.id.as_str().to_owned(), camera.retention))
        .collect()
}

/// The recorder's word for an encoder.
#[must_use]
pub fn encoder(choice: config::Encoder) -> EncoderChoice {
    match choice {
        config::Encoder::Auto => EncoderChoice::Auto,
        named => EncoderChoice::Named(named.as_str().to_owned()),
    }
}

/// The capture stage's word for a decoder.
#[must_use]
pub fn decode(choice: config::Decode) -> Decode {
    match choice {
        config::Decode::Auto => Decode::Auto,
        config::Decode::Nvdec => Decode::Nvdec,
        config::Decode::Va => Decode::Va,
        config::Decode::V4l2 => Decode::V4l2,
        config::Decode::Software => Decode::Software,
    }
}

fn codec(choice: config::Codec) -> Codec {
    match choice {
        config::Codec::Auto => Codec::Auto,
        config::Codec::H264 => Codec::H264,
        config::Codec::H265 => Codec::H265,
        config::Codec::Mjpeg => Codec::Mjpeg,
    }
}

fn transport(choice: config::Transport) -> Transport {
    match choice {
        config::Transport::Tcp => Transport::Tcp,
        config::Transport::Udp => Transport::Udp,
        config::Transport::Auto => Transport::Auto,
    }
}

pub(super) fn provider(choice: config::Provider) -> Provider {
    match choice {
        config::Provider::Auto => Provider::Auto,
        config::Provider::Cpu => Provider::Cpu,
        config::Provider::Cuda => Provider::Cuda,
        config::Provider::Tensorrt => Provider::TensorRt,
        config::Provider::Openvino => Provider::OpenVino,
    }
}

/// What a network source needs beyond its URI; credentials in the URI itself stay unless others
/// are given.
fn add_access(
    source: &mut Source,
    credentials: Option<(String, Secret)>,
    wanted: Transport,
    ca_file: Option<&Path>,
    insecure: bool,
) {
    let (user, password, tls_ca_file, tls_insecure) = match source {
        Source::Rtsp(rtsp) => {
            rtsp.transport = wanted;
            (
                &mut rtsp.user,
                &mut rtsp.password,
                &mut rtsp.tls_ca_file,
                &mut rtsp.tls_insecure,
            )
        }
        Source::Http(http) => (
            &mut http.user,
            &mut http.password,
            &mut http.tls_ca_file,
            &mut http.tls_insecure,
        ),
        _ => return,
    };
    if let Some((name, secret)) = credentials {
        *user = Some(name);
        *password = Some(secret);
    }
    *tls_ca_file = ca_file.map(Path::to_owned);
    *tls_insecure = insecure;
}

/// The first line of a password file.
fn read_password(file: &Path) -> Result<Secret, std::io::Error> {
    let text = std::fs::read_to_string(file)?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}

fn least(min_confidence: f32, confidence: Option<f32>) -> f32 {
    confidence.map_or(min_confidence, |confidence| confidence.min(min_confidence))
}

fn non_zero(count: u32) -> NonZeroUsize {
    NonZeroU32::new(count)
        .and_then(|count| NonZeroUsize::try_from(count).ok())
        .unwrap_or(NonZeroUsize::MIN)
}
