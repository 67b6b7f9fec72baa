//! The sections below `[[cameras]]`.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Auto;
use super::reader::{Section, quoted};

choices! {
    /// What runs the network.
    Provider {
        /// The fastest one that works here; the log says which and why.
        Auto = "auto",
        /// The processor.
        Cpu = "cpu",
        /// NVIDIA CUDA.
        Cuda = "cuda",
        /// NVIDIA TensorRT.
        Tensorrt = "tensorrt",
        /// Intel OpenVINO.
        Openvino = "openvino",
    }
}

choices! {
    /// What encodes recordings.
    Encoder {
        /// Hardware, else x264, else OpenH264.
        Auto = "auto",
        /// NVIDIA.
        Nv = "nv",
        /// Intel and AMD, VA-API.
        Va = "va",
        /// Boards with a V4L2 encoder.
        V4l2 = "v4l2",
        /// x264 on the processor.
        X264 = "x264",
        /// OpenH264 on the processor.
        Openh264 = "openh264",
    }
}

choices! {
    /// Least important line that is logged.
    LogLevel {
        /// Data lost or a person is needed.
        Error = "error",
        /// Something went wrong and was recovered.
        Warn = "warn",
        /// Started, connected, stopped.
        Info = "info",
        /// Per run.
        Debug = "debug",
        /// Per frame.
        Trace = "trace",
    }
}

choices! {
    /// What log lines look like.
    LogFormat {
        /// The journal below systemd, else text.
        Auto = "auto",
        /// Text, coloured on a terminal.
        Pretty = "pretty",
        /// One JSON object per line.
        Json = "json",
        /// Structured entries of the systemd journal.
        Journald = "journald",
    }
}

/// Which model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelRef {
    /// One of the models that come with gantryd, `gantryd models list`.
    Id(String),
    /// An ONNX file.
    File(PathBuf),
}

impl ModelRef {
    /// An id, or a file if it ends in `.onnx` or contains a `/`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.ends_with(".onnx") || text.contains('/') {
            Self::File(PathBuf::from(text))
        } else {
            Self::Id(text.to_owned())
        }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// `[detect]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectConfig {
    /// Which model.
    pub model: ModelRef,
    /// What runs it.
    pub provider: Provider,
    /// Index of the accelerator.
    pub device: u32,
    /// Sessions that run side by side.
    pub workers: Auto<u32>,
    /// Threads inside one session.
    pub intra_threads: u32,
    /// Most pictures in one call of the network.
    pub max_batch: Auto<u32>,
    /// Least confidence of a detection that starts a track; auto asks the model's manifest.
    pub confidence: Auto<f64>,
    /// Least confidence of a detection that is kept at all: it can go on with a track.
    pub min_confidence: f64,
    /// Overlap above which the weaker of two boxes goes; auto asks the model family.
    pub nms_iou: Auto<f64>,
    /// Classes to keep; empty keeps all.
    pub classes: Vec<String>,
    /// The ONNX Runtime library; auto looks in the usual places.
    pub runtime_library: Auto<PathBuf>,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            model: ModelRef::Id("resident-n".to_owned()),
            provider: Provider::Auto,
            device: 0,
            workers: Auto::Auto,
            intra_threads: 1,
            max_batch: Auto::Auto,
            confidence: Auto::Auto,
            min_confidence: 0.1,
            nms_iou: Auto::Auto,
            classes: Vec::new(),
            runtime_library: Auto::Auto,
        }
    }
}

impl DetectConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let s = &mut section;
        let default = Self::default();
        let config = Self {
            model: read_model(s).unwrap_or(default.model),
            provider: s.choice("provider", Provider::ALL, default.provider),
            device: s.integer("device", 0..=63, default.device),
            workers: s.auto_integer("workers", 1..=64),
            intra_threads: s.integer("intra_threads", 1..=64, default.intra_threads),
            max_batch: s.auto_integer("max_batch", 1..=64),
            confidence: s.auto_number("confidence", 0.0..=1.0),
            min_confidence: s.number("min_confidence", 0.0..=1.0, default.min_confidence),
            nms_iou: s.auto_number("nms_iou", 0.0..=1.0),
            classes: s.texts("classes").unwrap_or_default(),
            runtime_library: read_library(s),
        };
        if let Auto::Set(confidence) = config.confidence
            && confidence < config.min_confidence
        {
            let least = config.min_confidence;
            let text = format!("{confidence}, allowed is min_confidence ({least}) to 1");
            section.fault("confidence", text);
        }
        section.finish();
        config
    }
}

fn read_model(section: &mut Section<'_>) -> Option<ModelRef> {
    match ModelRef::parse(&section.text("model")?) {
        ModelRef::File(path) => section.readable("model", &path).map(ModelRef::File),
        id @ ModelRef::Id(_) => Some(id),
    }
}

fn read_library(section: &mut Section<'_>) -> Auto<PathBuf> {
    match section.text("runtime_library") {
        Some(text) if text != "auto" => section
            .readable("runtime_library", Path::new(&text))
            .map_or(Auto::Auto, Auto::Set),
        _ => Auto::Auto,
    }
}

/// `[track]`; what is auto follows from the model and the frame rate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrackConfig {
    /// How long a hidden object is remembered, s.
    pub memory_secs: Auto<f64>,
    /// Detections until a track is believed.
    pub confirm_hits: Auto<u32>,
    /// Detections at least this confident are matched first.
    pub high: Auto<f64>,
    /// Detections below this are not matched at all.
    pub low: Auto<f64>,
    /// Detections at least this confident start a track.
    pub new: Auto<f64>,
}

impl TrackConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let s = &mut section;
        let config = Self {
            memory_secs: s.auto_number("memory_secs", 0.0..=600.0),
            confirm_hits: s.auto_integer("confirm_hits", 1..=100),
            high: s.auto_number("high", 0.0..=1.0),
            low: s.auto_number("low", 0.0..=1.0),
            new: s.auto_number("new", 0.0..=1.0),
        };
        if let (Auto::Set(low), Auto::Set(high)) = (config.low, config.high)
            && low > high
        {
            section.fault("low", format!("{low}, allowed is 0 to high ({high})"));
        }
        section.finish();
        config
    }
}

/// `[output]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputConfig {
    /// Where results and recordings go, one folder per camera below it.
    pub folder: PathBuf,
    /// Write JSON lines.
    pub jsonl: bool,
    /// Write MOT text.
    pub mot: bool,
    /// Size at which a results file is closed and the next begun, MiB.
    pub rotate_mib: u32,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("out"),
            jsonl: true,
            mot: false,
            rotate_mib: 256,
        }
    }
}

impl OutputConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let config = Self {
            folder: section.path_or("folder", &default.folder),
            jsonl: section.boolean("jsonl", default.jsonl),
            mot: section.boolean("mot", default.mot),
            rotate_mib: section.integer("rotate_mib", 1..=65_536, default.rotate_mib),
        };
        section.finish();
        config
    }
}

/// `[record]`.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordConfig {
    /// Record at all; each camera says what (`annotate`, `raw`).
    pub enabled: bool,
    /// Longest segment.
    pub segment: Duration,
    /// Largest segment, MiB.
    pub segment_mib: u32,
    /// What encodes.
    pub encoder: Encoder,
    /// Length of the trail behind each object.
    pub trail: Duration,
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            segment: Duration::from_secs(600),
            segment_mib: 512,
            encoder: Encoder::Auto,
            trail: Duration::from_secs(2),
        }
    }
}

impl RecordConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let config = Self {
            enabled: section.boolean("enabled", default.enabled),
            segment: section.secs("segment_secs", 2.0..=86_400.0, default.segment),
            segment_mib: section.integer("segment_mib", 1..=65_536, default.segment_mib),
            encoder: section.choice("encoder", Encoder::ALL, default.encoder),
            trail: section.secs("trail_secs", 0.0..=60.0, default.trail),
        };
        section.finish();
        config
    }
}

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// At this address.
    At(SocketAddr),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

/// `[metrics]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Address of `/metrics`, `/healthz` and `/readyz`.
    pub listen: Listen,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: Listen::At(SocketAddr::from(([127, 0, 0, 1], 9464))),
        }
    }
}

impl MetricsConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let listen = match section.text("listen") {
            None => default.listen,
            Some(text) if text == "off" => Listen::Off,
            Some(text) => text.parse().map(Listen::At).unwrap_or_else(|_| {
                let allowed = "address:port (\"127.0.0.1:9464\", \"[::]:9464\") or \"off\"";
                section.fault("listen", format!("{}, allowed is {allowed}", quoted(&text)));
                default.listen
            }),
        };
        section.finish();
        Self { listen }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// Least important line that is logged; `RUST_LOG` overrides it.
    pub level: LogLevel,
    /// What lines look like.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Auto,
        }
    }
}

impl LogConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let config = Self {
            level: section.choice("level", LogLevel::ALL, default.level),
            format: section.choice("format", LogFormat::ALL, default.format),
        };
        section.finish();
        config
    }
}

/// `[service]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Ready after this long even if a required camera has not delivered.
    pub startup_timeout: Duration,
    /// An orderly stop takes at most this long.
    pub shutdown_timeout: Duration,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            startup_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl ServiceConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let config = Self {
            startup_timeout: section.secs(
                "startup_timeout_secs",
                1.0..=600.0,
                default.startup_timeout,
            ),
            shutdown_timeout: section.secs(
                "shutdown_timeout_secs",
                1.0..=80.0,
                default.shutdown_timeout,
            ),
        };
        section.finish();
        config
    }
}
