//! The configuration file: read, checked as a whole, resolved.
//!
//! Belongs here: what an operator may write and what it means. A [`Config`] is complete and valid by
//! itself: every default is filled in, every path is resolved against the file's folder. Does not
//! belong here: anything that needs GStreamer, a model or the network to be judged.

#[macro_use]
mod choices;

mod cameras;
mod clips;
mod nearest;
mod perception;
mod privacy;
mod providers;
mod reader;
mod retention;
mod sections;
mod sinks;
mod state;
mod web;
mod words;
mod zones;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use reader::Reader;

use crate::perception::zones::ZonesPlan;

pub use cameras::{CameraConfig, CameraUri, Codec, Credentials, Decode, Transport};
pub use clips::{ClipsConfig, SnapshotsConfig};
pub use perception::{
    DetectConfig, ModelRef, MotionSource, ProofPolicy, Provider, TrackConfig, parse_input_size,
};
pub use retention::{RetentionConfig, WhenDiskFull};
pub use sections::{
    Encoder, Listen, LogConfig, LogFormat, LogLevel, MetricsConfig, OutputConfig, RecordConfig,
    ServiceConfig,
};
pub use sinks::{MqttVersion, Sasl, SinkConfig, SinkKind, SinkUrl};
pub use state::StateConfig;
pub use web::{CertificateFiles, WebConfig};

/// A value that gantryd chooses unless the operator did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auto<T> {
    /// Chosen by gantryd.
    #[default]
    Auto,
    /// Chosen by the operator.
    Set(T),
}

impl<T> Auto<T> {
    /// The operator's choice, if there is one.
    #[must_use]
    pub fn set(self) -> Option<T> {
        match self {
            Self::Auto => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Auto<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Set(value) => value.fmt(f),
        }
    }
}

/// Everything an operator can choose, complete and valid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The cameras, in the order of the file; their ids differ.
    pub cameras: Vec<CameraConfig>,
    /// The detector.
    pub detect: DetectConfig,
    /// The tracker.
    pub track: TrackConfig,
    /// Results as files.
    pub output: OutputConfig,
    /// Brokers and webhooks that are sent events; their names differ.
    pub sinks: Vec<SinkConfig>,
    /// What is remembered over a restart.
    pub state: StateConfig,
    /// Recordings.
    pub record: RecordConfig,
    /// Clips of events.
    pub clips: ClipsConfig,
    /// Pictures of events.
    pub snapshots: SnapshotsConfig,
    /// The metrics and health endpoint.
    pub metrics: MetricsConfig,
    /// The page for people.
    pub web: WebConfig,
    /// Logs.
    pub log: LogConfig,
    /// Start and stop.
    pub service: ServiceConfig,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the key, `cameras[2].stall_secs`.
    pub key: String,
    /// The value and what is allowed.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML; only the first such fault can be told.
    Syntax {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
        /// The line.
        excerpt: String,
    },
    /// Every fault found.
    Faults {
        /// The file.
        file: PathBuf,
        /// In the order of reading; never empty.
        faults: Vec<Fault>,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, .. } => write!(f, "{}: reading the configuration", file.display()),
            Self::Syntax {
                file,
                line,
                column,
                message,
                excerpt,
            } => {
                let file = file.display();
                let indent = " ".repeat(column.saturating_sub(1));
                write!(
                    f,
                    "{file}:{line}:{column}: {message}\n    {excerpt}\n    {indent}^"
                )
            }
            Self::Faults { file, faults } => {
                for (index, fault) in faults.iter().enumerate() {
                    let end = if index == 0 { "" } else { "\n" };
                    write!(f, "{end}{}: {fault}", file.display())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Syntax { .. } | Self::Faults { .. } => None,
        }
    }
}

impl Config {
    /// The configuration in `file`.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault at once.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::load_with_text(file).map(|(config, _)| config)
    }

    /// As [`Config::load`], with the text that it is in.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault at once.
    pub fn load_with_text(file: &Path) -> Result<(Self, String), ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read {
            file: file.to_owned(),
            source,
        })?;
        let config = Self::from_text(&text, file)?;
        Ok((config, text))
    }

    /// The configuration in `text`; `file` names it in errors and gives the folder for its paths.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault at once.
    pub fn from_text(text: &str, file: &Path) -> Result<Self, ConfigError> {
        read_text(text, file, Self::read)
    }

    /// Every key there is, as `cameras[].id`.
    #[must_use]
    pub fn known_keys() -> BTreeSet<String> {
        let one = |table: toml::Table| toml::Value::Array(vec![table.into()]);
        let camera = toml::Table::from_iter([
            ("masks".to_owned(), one(toml::Table::new())),
            ("zones".to_owned(), one(toml::Table::new())),
            ("lines".to_owned(), one(toml::Table::new())),
            ("calibration".to_owned(), toml::Table::new().into()),
        ]);
        let one_camera = one(camera);
        let web = toml::Table::from_iter([
            ("users".to_owned(), one(toml::Table::new())),
            ("tokens".to_owned(), one(toml::Table::new())),
        ]);
        let detect = toml::Table::from_iter([("providers".to_owned(), one(toml::Table::new()))]);
        let table = toml::Table::from_iter([
            ("cameras".to_owned(), one_camera),
            ("sinks".to_owned(), one(toml::Table::new())),
            ("web".to_owned(), web.into()),
            ("detect".to_owned(), detect.into()),
        ]);
        let reader = Reader::default();
        // The faults (a camera without id and uri) do not matter here.
        drop(Self::read(&reader, table));
        reader.into_parts().1
    }

    fn read(reader: &Reader, table: toml::Table) -> Self {
        let mut root = reader.root(table);
        let cameras = root.children("cameras");
        let detect = DetectConfig::read(root.child("detect"));
        let cameras = cameras::read_all(&root, cameras, &detect);
        let sinks = sinks::read_all(root.children("sinks"), &cameras);
        let config = Self {
            clips: ClipsConfig::read(root.child("clips"), &cameras),
            snapshots: SnapshotsConfig::read(root.child("snapshots"), &cameras),
            cameras,
            sinks,
            track: TrackConfig::read(root.child("track")),
            output: OutputConfig::read(root.child("output")),
            state: StateConfig::read(root.child("state")),
            record: RecordConfig::read(root.child("record")),
            metrics: MetricsConfig::read(root.child("metrics")),
            web: WebConfig::read(root.child("web")),
            log: LogConfig::read(root.child("log")),
            service: ServiceConfig::read(root.child("service")),
            detect,
        };
        for (key, text) in contradictions(&config) {
            root.fault(key, text);
        }
        for (key, text) in clips::contradictions(&config.clips, &config.cameras) {
            root.fault(&key, text);
        }
        for (key, text) in privacy::contradictions(&config.detect, &config.cameras) {
            root.fault(&key, text);
        }
        root.finish();
        config
    }
}

/// The zones and lines in `file`, which holds nothing else: for a one-shot command.
///
/// # Errors
/// [`ConfigError`] with every fault at once.
pub fn load_zones(file: &Path) -> Result<ZonesPlan, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read {
        file: file.to_owned(),
        source,
    })?;
    read_text(&text, file, |reader, table| {
        let mut root = reader.root(table);
        let frame = root.size("frame_px");
        let plan = zones::read(&mut root, frame);
        root.finish();
        plan
    })
}

/// What `read` makes of `text`, if it notes no fault.
fn read_text<T>(
    text: &str,
    file: &Path,
    read: impl FnOnce(&Reader, toml::Table) -> T,
) -> Result<T, ConfigError> {
    let table = text
        .parse::<toml::Table>()
        .map_err(|error| syntax_error(text, file, &error))?;
    let reader = Reader::new(file.parent().unwrap_or(Path::new("")));
    let value = read(&reader, table);
    let faults = reader.into_parts().0;
    if faults.is_empty() {
        return Ok(value);
    }
    Err(ConfigError::Faults {
        file: file.to_owned(),
        faults,
    })
}

/// Thresholds of `[track]` that a `confidence` would override: a confidence of the operator's is
/// what an object needs to be tracked.
fn contradictions(config: &Config) -> Vec<(&'static str, String)> {
    let general = config.detect.confidence.set();
    let mut confidences: Vec<(String, f64)> = general
        .map(|value| ("detect.confidence".to_owned(), value))
        .into_iter()
        .collect();
    for (index, camera) in config.cameras.iter().enumerate() {
        if camera.confidence != config.detect.confidence
            && let Some(value) = camera.confidence.set()
        {
            confidences.push((format!("cameras[{index}].confidence"), value));
        }
    }
    let track = &config.track;
    let mut faults = Vec::new();
    for (name, value) in &confidences {
        let differs = |mine: &f64| mine.total_cmp(value).is_ne();
        let is_above = |mine: &f64| mine > value;
        for (key, mine) in [
            ("track.high", track.high.set().filter(differs)),
            ("track.new", track.new.set().filter(differs)),
            ("track.low", track.low.set().filter(is_above)),
        ] {
            let Some(mine) = mine else { continue };
            let text = format!(
                "{mine} and {name} = {value} say different things, keep one: confidence is what an object needs to be tracked"
            );
            faults.push((key, text));
        }
    }
    faults
}

fn syntax_error(text: &str, file: &Path, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let excerpt = text[line_start..].lines().next().unwrap_or_default();
    ConfigError::Syntax {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: error.message().replace('\n', ", "),
        excerpt: crate::base::redact_text(excerpt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::CameraId;

    fn faults_of(text: &str) -> String {
        let file = Path::new("site.toml");
        Config::from_text(text, file).unwrap_err().to_string()
    }

    fn camera(rest: &str) -> String {
        format!("[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n{rest}")
    }

    #[test]
    fn two_lines_are_enough_and_the_rest_is_default() {
        let config = Config::from_text(&camera(""), Path::new("site.toml")).unwrap();
        let uri = CameraUri::Rtsp("rtsp://10.0.0.5/live".parse().unwrap());
        let expected = Config {
            cameras: vec![CameraConfig::new(CameraId::new("gate"), uri)],
            ..Config::default()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let text = camera("stall_secs = 0\ntransport = \"quic\"\n[metrics]\nlisten = \"host:x\"");
        assert_eq!(
            faults_of(&text),
            "site.toml: cameras[0].transport: \"quic\", allowed is one of tcp, udp, auto\n\
             site.toml: cameras[0].stall_secs: 0, allowed is 1 to 600\n\
             site.toml: metrics.listen: \"host:x\", allowed is address:port \
             (\"127.0.0.1:9464\", \"[::]:9464\") or \"off\""
        );
    }

    #[test]
    fn what_is_hidden_needs_every_frame_looked_at() {
        let text = "[detect]\nschedule = \"adaptive\"\n".to_owned()
            + &camera("[cameras.privacy]\nclasses = [\"person\"]\n");
        let told = faults_of(&text);
        assert!(
            told.contains("cameras[0].privacy.classes: person can be hidden only in frames")
                && told.contains("schedule = \"every\""),
            "{told}"
        );
        let masked = text.replace(
            "[cameras.privacy]\nclasses = [\"person\"]",
            "[[cameras.masks]]\npolygon_norm = [[0, 0], [1, 0], [1, 1]]",
        );
        Config::from_text(&masked, Path::new("site.toml")).unwrap();
        let every = text.replace("adaptive", "every");
        Config::from_text(&every, Path::new("site.toml")).unwrap();
    }

    #[test]
    fn a_syntax_fault_shows_line_column_and_excerpt() {
        let text = "[log]\nlevel = info\n";
        let shown = faults_of(text);
        assert!(shown.starts_with("site.toml:2:9: "), "{shown}");
        assert!(
            shown.ends_with("\n    level = info\n            ^"),
            "{shown}"
        );
    }

    #[test]
    fn a_credential_in_a_uri_is_refused_and_not_printed() {
        let text = "[[cameras]]\nid = \"a\"\nuri = \"rtsp://admin:hunter2@10.0.0.5/live\"\n";
        assert_eq!(
            faults_of(text),
            "site.toml: cameras[0].uri: \"rtsp://***@10.0.0.5/live\", \
             no credentials in a URI: use user and password_file"
        );
    }

    #[test]
    fn a_camera_takes_classes_and_confidence_from_detect() {
        let text = camera("[detect]\nclasses = [\"car\"]\nconfidence = 0.4\n");
        let config = Config::from_text(&text, Path::new("site.toml")).unwrap();
        assert_eq!(config.cameras[0].classes, ["car"]);
        assert_eq!(config.cameras[0].confidence, Auto::Set(0.4));
    }

    #[test]
    fn paths_are_seen_from_the_folder_of_the_file() {
        let config = Config::from_text(&camera(""), Path::new("/etc/gantryd/site.toml")).unwrap();
        assert_eq!(config.output.folder, Path::new("/etc/gantryd/out"));
    }
}
