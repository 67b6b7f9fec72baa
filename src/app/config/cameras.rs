//! `[[cameras]]`: where pictures come from.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::reader::Section;
use super::words::quoted;
use super::{Auto, DetectConfig, privacy, retention, zones};
use crate::base::{CameraId, Secret, redact_uri};
use crate::perception::zones::ZonesPlan;
use crate::sinks::annotate::PrivacyRules;
use crate::sinks::retention::OwnLimits;

choices! {
    /// How RTP reaches us.
    Transport {
        /// Inside the RTSP connection: no loss, passes firewalls.
        Tcp = "tcp",
        /// Datagrams: less delay, lossy.
        Udp = "udp",
        /// UDP if datagrams arrive, else TCP.
        Auto = "auto",
    }
}

choices! {
    /// What the camera sends.
    Codec {
        /// As announced by the camera.
        Auto = "auto",
        /// H.264 / AVC.
        H264 = "h264",
        /// H.265 / HEVC.
        H265 = "h265",
        /// Motion JPEG.
        Mjpeg = "mjpeg",
    }
}

choices! {
    /// Which decoder turns it into pictures.
    Decode {
        /// The best one there is: hardware first.
        Auto = "auto",
        /// NVIDIA.
        Nvdec = "nvdec",
        /// Intel and AMD, VA-API.
        Va = "va",
        /// Boards with a stateless or stateful V4L2 decoder.
        V4l2 = "v4l2",
        /// The processor.
        Software = "software",
    }
}

/// Where a camera is found. Prints without credentials.
#[derive(Clone, PartialEq, Eq)]
pub enum CameraUri {
    /// `rtsp://` or `rtsps://`.
    Rtsp(Url),
    /// `http://` or `https://`: MJPEG or HLS.
    Http(Url),
    /// A V4L2 device, `/dev/video0`.
    Device(PathBuf),
    /// A video file.
    File(PathBuf),
}

impl fmt::Display for CameraUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtsp(url) | Self::Http(url) => f.write_str(&redact_uri(url.as_str())),
            Self::Device(path) | Self::File(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Debug for CameraUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a camera wants to know before it talks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account.
    pub user: String,
    /// Its password, read from `password_file`.
    pub password: Secret,
}

/// One camera, complete and valid.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraConfig {
    /// Its name in results, files and metrics.
    pub id: CameraId,
    /// Where it is found.
    pub uri: CameraUri,
    /// How to log in, if it asks.
    pub credentials: Option<Credentials>,
    /// How RTP reaches us.
    pub transport: Transport,
    /// Authorities to trust instead of the system's, PEM.
    pub tls_ca_file: Option<PathBuf>,
    /// Any certificate will do.
    pub tls_insecure: bool,
    /// What it sends.
    pub codec: Codec,
    /// Which decoder.
    pub decode: Decode,
    /// The operator's own pipeline text.
    pub pipeline: Option<PathBuf>,
    /// Jitter buffer.
    pub latency: Duration,
    /// A run without a frame for this long has stalled.
    pub stall: Duration,
    /// A connection without a first frame for this long has failed.
    pub connect: Duration,
    /// Readiness waits for its first frame.
    pub is_required: bool,
    /// Classes to keep; empty keeps all.
    pub classes: Vec<String>,
    /// Least confidence of a detection that starts a track.
    pub confidence: Auto<f64>,
    /// Record it with boxes drawn.
    pub annotate: bool,
    /// Record what the camera sends, not re-encoded.
    pub raw: bool,
    /// Make clips of its events, where `[clips]` says of which; live cameras alone.
    pub clips: bool,
    /// Wait for the detector instead of dropping frames.
    pub lossless: bool,
    /// What is counted in its picture.
    pub zones: ZonesPlan,
    /// What is hidden in it before anything is written or shown.
    pub privacy: PrivacyRules,
    /// Limits of its own for what is kept.
    pub retention: OwnLimits,
}

impl CameraConfig {
    /// A camera with every default.
    #[must_use]
    pub fn new(id: CameraId, uri: CameraUri) -> Self {
        Self {
            id,
            credentials: None,
            transport: Transport::Tcp,
            tls_ca_file: None,
            tls_insecure: false,
            codec: Codec::Auto,
            decode: Decode::Auto,
            pipeline: None,
            latency: Duration::from_millis(200),
            stall: Duration::from_secs(5),
            connect: Duration::from_secs(10),
            is_required: true,
            classes: Vec::new(),
            confidence: Auto::Auto,
            annotate: true,
            raw: false,
            clips: true,
            lossless: matches!(uri, CameraUri::File(_)),
            zones: ZonesPlan::default(),
            privacy: PrivacyRules::default(),
            retention: OwnLimits::default(),
            uri,
        }
    }
}

/// Stands for a camera's faulty value, so that reading can go on to the next key.
const PLACEHOLDER: &str = "invalid";

/// Longest camera id: it becomes part of file names.
const ID_CHARS: usize = 64;

/// Every camera; faults of the list as a whole are noted at `root`.
pub(super) fn read_all(
    root: &Section<'_>,
    sections: Vec<Section<'_>>,
    detect: &DetectConfig,
) -> Vec<CameraConfig> {
    if sections.is_empty() {
        root.fault("cameras", "none, at least one [[cameras]] is needed");
    }
    let mut first_with = HashMap::new();
    let mut cameras = Vec::with_capacity(sections.len());
    for mut section in sections {
        let id = read_id(&mut section);
        if let Some(id) = &id {
            let path = section.path().to_owned();
            if let Some(first) = first_with.get(id) {
                let text = format!("{id:?} is the id of {first} too, each camera needs its own");
                section.fault("id", text);
            } else {
                first_with.insert(id.clone(), path);
            }
        }
        let name = CameraId::new(id.as_deref().unwrap_or(PLACEHOLDER));
        cameras.push(read_camera(section, name, detect));
    }
    cameras
}

fn read_id(section: &mut Section<'_>) -> Option<String> {
    let Some(id) = section.text("id") else {
        section.fault_if_absent("id", "missing, every camera needs a name, id = \"gate\"");
        return None;
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if id.len() <= ID_CHARS && id.chars().all(is_plain) && !id.starts_with('.') {
        return Some(id);
    }
    let allowed = "letters a-z, digits, - _ . and at most 64 of them (it names files)";
    section.fault("id", format!("{}, allowed are {allowed}", quoted(&id)));
    None
}

fn read_camera(mut section: Section<'_>, id: CameraId, detect: &DetectConfig) -> CameraConfig {
    let s = &mut section;
    let uri = read_uri(s).unwrap_or_else(|| CameraUri::File(PathBuf::from(PLACEHOLDER)));
    let default = CameraConfig::new(id, uri);
    let frame = s.size("frame_px");
    let camera = CameraConfig {
        credentials: read_credentials(s),
        transport: s.choice("transport", Transport::ALL, default.transport),
        tls_ca_file: s.existing_file("tls_ca_file"),
        tls_insecure: s.boolean("tls_insecure", default.tls_insecure),
        codec: s.choice("codec", Codec::ALL, default.codec),
        decode: s.choice("decode", Decode::ALL, default.decode),
        pipeline: s.existing_file("pipeline"),
        latency: Duration::from_millis(s.integer("latency_ms", 0..=10_000, 200).into()),
        stall: s.secs("stall_secs", 1.0..=600.0, default.stall),
        connect: s.secs("connect_secs", 1.0..=600.0, default.connect),
        is_required: s.boolean("required", default.is_required),
        classes: s.texts("classes").unwrap_or_else(|| detect.classes.clone()),
        confidence: match s.auto_number("confidence", 0.0..=1.0) {
            Auto::Auto => detect.confidence,
            own => own,
        },
        annotate: s.boolean("annotate", default.annotate),
        raw: s.boolean("raw", default.raw),
        clips: s.boolean("clips", default.clips),
        lossless: s.boolean("lossless", default.lossless),
        zones: zones::read(s, frame),
        privacy: privacy::read(s, frame),
        retention: retention::read_own(s.child("retention")),
        ..default
    };
    if camera.raw && !camera.privacy.is_empty() {
        let text =
            "true, but what the camera sends cannot be hidden in; remove it, or privacy and masks";
        section.fault("raw", text);
    }
    section.finish();
    camera
}

fn read_uri(section: &mut Section<'_>) -> Option<CameraUri> {
    let Some(text) = section.text("uri") else {
        section.fault_if_absent(
            "uri",
            "missing, every camera needs one, uri = \"rtsp://host/path\"",
        );
        return None;
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        if text.starts_with("/dev/") {
            return Some(CameraUri::Device(PathBuf::from(text)));
        }
        return section
            .readable("uri", Path::new(&text))
            .map(CameraUri::File);
    };
    let url = Url::parse(&text);
    // A raw @ is user and password, or a password that spoils the rest; a path has %40 for it.
    let has_user = rest.contains('@');
    if has_user {
        let shown = quoted(&text);
        let text = format!("{shown}, no credentials in a URI: use user and password_file");
        section.fault("uri", text);
        return None;
    }
    match (scheme, url) {
        ("rtsp" | "rtsps", Ok(url)) if url.has_host() => Some(CameraUri::Rtsp(url)),
        ("http" | "https", Ok(url)) if url.has_host() => Some(CameraUri::Http(url)),
        ("file", Ok(url)) if url.to_file_path().is_ok() => {
            let path = url.to_file_path().unwrap_or_default();
            section.readable("uri", &path).map(CameraUri::File)
        }
        ("rtsp" | "rtsps" | "http" | "https" | "file", Err(error)) => {
            section.fault("uri", format!("{}, {error}", quoted(&text)));
            None
        }
        _ => {
            let allowed =
                "rtsp://, rtsps://, http://, https:// with a host, a file or /dev/video<n>";
            section.fault("uri", format!("{}, allowed is {allowed}", quoted(&text)));
            None
        }
    }
}

/// `user` and `password_file`: both or none.
pub(super) fn read_credentials(section: &mut Section<'_>) -> Option<Credentials> {
    let has_file = section.has("password_file");
    let user = section.text("user");
    let password = section
        .existing_file("password_file")
        .and_then(|file| read_password(section, "password_file", &file));
    match (&user, has_file) {
        (Some(_), false) => section.fault("user", "given without password_file, both are needed"),
        (None, true) => section.fault("password_file", "given without user, both are needed"),
        _ => {}
    }
    Some(Credentials {
        user: user?,
        password: password?,
    })
}

/// The first line of the file: editors end it with a newline that is not part of the password.
pub(super) fn read_password(section: &Section<'_>, key: &str, file: &Path) -> Option<Secret> {
    let shown = file.display();
    match std::fs::read_to_string(file) {
        Ok(text) => match text.lines().next() {
            Some(password) if !password.is_empty() => Some(Secret::new(password)),
            _ => {
                let what = key.trim_end_matches("_file");
                let text = format!("{shown} is empty, allowed is the {what} in its first line");
                section.fault(key, text);
                None
            }
        },
        Err(error) => {
            section.fault(key, format!("{shown}: {error}"));
            None
        }
    }
}
