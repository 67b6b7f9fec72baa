//! `[output]`, `[record]`, `[metrics]`, `[log]` and `[service]`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::reader::Section;
use super::retention::RetentionConfig;
use super::words::quoted;

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

/// `[output]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputConfig {
    /// Where results and recordings go, one folder per camera below it.
    pub folder: PathBuf,
    /// Write JSON lines.
    pub jsonl: bool,
    /// Write MOT text.
    pub mot: bool,
    /// Write why the tracker decided as it did, for `gantryd explain`.
    pub decisions: bool,
    /// Write the events of zones and lines.
    pub events: bool,
    /// Size at which a results file is closed and the next begun, MiB.
    pub rotate_mib: u32,
    /// How long recordings and results are kept.
    pub retention: RetentionConfig,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("out"),
            jsonl: true,
            mot: false,
            decisions: false,
            events: true,
            rotate_mib: 256,
            retention: RetentionConfig::default(),
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
            decisions: section.boolean("decisions", default.decisions),
            events: section.boolean("events", default.events),
            rotate_mib: section.integer("rotate_mib", 1..=65_536, default.rotate_mib),
            retention: RetentionConfig::read(section.child("retention")),
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
        let listen = read_listen(&mut section, default.listen);
        section.finish();
        Self { listen }
    }
}

/// `listen`: an address or off.
pub(super) fn read_listen(section: &mut Section<'_>, default: Listen) -> Listen {
    match section.text("listen") {
        None => default,
        Some(text) if text == "off" => Listen::Off,
        Some(text) => text.parse().map(Listen::At).unwrap_or_else(|_| {
            let allowed = "address:port (\"127.0.0.1:9464\", \"[::]:9464\") or \"off\"";
            section.fault("listen", format!("{}, allowed is {allowed}", quoted(&text)));
            default
        }),
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
