//! Where frames come from, from the text a user gives. Credentials are split off and never shown.

use std::fmt;
use std::num::NonZeroU32;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use url::Url;

use super::SourceError;
use crate::base::{
    REDACTED, Secret, Size, UriError, UriParts, hidden_words, redact_text, redact_uri,
    split_credentials,
};

/// How RTP packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Interleaved in the RTSP connection: no loss, passes firewalls.
    #[default]
    Tcp,
    /// UDP only.
    Udp,
    /// UDP first, TCP where nothing arrives.
    Auto,
}

/// An RTSP camera.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspSource {
    /// `rtsp://` or `rtsps://`, without user and password.
    pub uri: Url,
    /// User name, if the camera asks for one.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// How packets travel.
    pub transport: Transport,
    /// Certificate authority (PEM) that signed the camera's certificate; the system's otherwise.
    pub tls_ca_file: Option<PathBuf>,
    /// Accepts any certificate (self-signed, wrong name).
    pub tls_insecure: bool,
}

/// A stream over HTTP: MJPEG multipart, HLS, or a file on a server.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpSource {
    /// `http://` or `https://`, without user and password.
    pub uri: Url,
    /// User name, if the server asks for one.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Certificate authority (PEM) that signed the server's certificate; the system's otherwise.
    pub tls_ca_file: Option<PathBuf>,
    /// Accepts any certificate.
    pub tls_insecure: bool,
}

/// A generated picture, for tests and benchmarks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestSource {
    /// Name of the pattern: `smpte`, `ball`, `snow`, `black`, …
    pub pattern: String,
    /// Size of the picture.
    pub size: Size,
    /// Frames per second.
    pub fps: NonZeroU32,
    /// Ends after so many frames; endless otherwise.
    pub frames: Option<u32>,
    /// Delivers at the pace of `fps` and drops what is not taken, as a camera does.
    pub live: bool,
}

/// Where frames come from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A video file.
    File(PathBuf),
    /// An RTSP camera.
    Rtsp(RtspSource),
    /// A stream over HTTP.
    Http(HttpSource),
    /// A camera at this machine.
    V4l2(PathBuf),
    /// A folder of pictures, in name order.
    Images(PathBuf),
    /// A generated picture.
    Test(TestSource),
}

/// `user:password@` without the scheme that should stand before it.
fn looks_like_credentials(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(before, _)| before.contains(':'))
}

impl Source {
    /// A source from what a user writes: a path of a file, folder or `/dev/video…`, `rtsp(s)://`,
    /// `http(s)://`, `file://`, or `test:PATTERN[?size=WxH&fps=N&frames=N&live=1]`.
    ///
    /// # Errors
    /// [`SourceError`] names what is wrong and what is allowed; it never shows a password.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SourceError::Empty);
        }
        if let Some(rest) = text.strip_prefix("test:") {
            return parse_test(rest).map(Self::Test);
        }
        let Some((scheme, _)) = text.split_once("://") else {
            let path = Path::new(text);
            if looks_like_credentials(text) && !path.exists() {
                return Err(SourceError::Uri {
                    shown: REDACTED.to_owned(),
                    reason: "no such file, and it looks like a URI with user and password: rtsp://USER:PASSWORD@HOST/PATH".to_owned(),
                });
            }
            return Ok(Self::from_path(path));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "rtsp" | "rtsps" => {
                let UriParts {
                    uri,
                    user,
                    password,
                } = split_credentials(text)?;
                Ok(Self::Rtsp(RtspSource {
                    uri,
                    user,
                    password,
                    transport: Transport::default(),
                    tls_ca_file: None,
                    tls_insecure: false,
                }))
            }
            "http" | "https" => {
                let UriParts {
                    uri,
                    user,
                    password,
                } = split_credentials(text)?;
                Ok(Self::Http(HttpSource {
                    uri,
                    user,
                    password,
                    tls_ca_file: None,
                    tls_insecure: false,
                }))
            }
            "file" => Url::parse(text)
                .ok()
                .and_then(|url| url.to_file_path().ok())
                .map(|path| Self::from_path(&path))
                .ok_or_else(|| SourceError::Uri {
                    shown: text.to_owned(),
                    reason: "a file URI is file:///absolute/path".to_owned(),
                }),
            other => Err(SourceError::Scheme {
                scheme: other.to_owned(),
            }),
        }
    }

    /// What a path means: a character device is a camera, a folder holds pictures, all else is a
    /// file. A path that is not there is a camera if it is where cameras appear.
    #[must_use]
    pub fn from_path(path: &Path) -> Self {
        match std::fs::metadata(path) {
            Ok(about) if about.file_type().is_char_device() => Self::V4l2(path.to_owned()),
            // The folder of a MOT sequence holds its pictures in img1.
            Ok(about) if about.is_dir() && path.join("img1").is_dir() => {
                Self::Images(path.join("img1"))
            }
            Ok(about) if about.is_dir() => Self::Images(path.to_owned()),
            Err(_) if names_a_camera(path) => Self::V4l2(path.to_owned()),
            _ => Self::File(path.to_owned()),
        }
    }

    /// True if frames come at the pace of the world and are lost when nobody takes them.
    #[must_use]
    pub fn is_live(&self) -> bool {
        match self {
            Self::File(_) | Self::Images(_) => false,
            Self::Rtsp(_) | Self::Http(_) | Self::V4l2(_) => true,
            Self::Test(test) => test.live,
        }
    }

    /// A short name for files made from this source: the stem of a path, the host of a URI.
    #[must_use]
    pub fn stem(&self) -> String {
        let of_path = |path: &Path| {
            path.file_stem()
                .map_or_else(|| "input".to_owned(), |s| s.to_string_lossy().into_owned())
        };
        let name = match self {
            Self::File(path) | Self::V4l2(path) => of_path(path),
            // A MOT sequence is <sequence>/img1: the sequence is the name.
            Self::Images(path) => match path.file_name() {
                Some(name) if name == "img1" => path
                    .parent()
                    .and_then(Path::file_name)
                    .map_or_else(|| of_path(path), |s| s.to_string_lossy().into_owned()),
                _ => of_path(path),
            },
            Self::Rtsp(RtspSource { uri, .. }) | Self::Http(HttpSource { uri, .. }) => {
                let path = uri.path();
                let shown = redact_uri(&format!("path://{path}"));
                let names = shown
                    .trim_start_matches("path://")
                    .split(['/', '&', ';'])
                    .filter(|name| !name.is_empty() && !name.contains(REDACTED));
                let host = uri.host_str().unwrap_or("camera");
                std::iter::once(host)
                    .chain(names)
                    .collect::<Vec<_>>()
                    .join("_")
            }
            Self::Test(test) => format!("test_{}", test.pattern),
        };
        let kept = |c: char| {
            if c.is_alphanumeric() || "._- ".contains(c) {
                c
            } else {
                '_'
            }
        };
        name.chars().map(kept).collect()
    }

    /// Words that must not appear in any text: the password, and tokens in the URI.
    pub(super) fn secrets(&self) -> Vec<String> {
        let (uri, password) = match self {
            Self::Rtsp(RtspSource { uri, password, .. })
            | Self::Http(HttpSource { uri, password, .. }) => (uri, password),
            _ => return Vec::new(),
        };
        let mut words = hidden_words(uri);
        words.extend(password.iter().map(|p| p.expose().to_owned()));
        words.retain(|word| word.len() > 2);
        // Longer ones first, so that a part is not replaced inside the whole.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words
    }

    /// `text` without any secret of this source.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let text = self
            .secrets()
            .iter()
            .fold(text.to_owned(), |text, word| text.replace(word, REDACTED));
        redact_text(&text)
    }
}

/// True for `/dev/video…` and the links that udev makes under `/dev/v4l`.
fn names_a_camera(path: &Path) -> bool {
    path.strip_prefix("/dev").is_ok_and(|rest| {
        let name = rest.to_string_lossy();
        name.starts_with("video") || rest.starts_with("v4l")
    })
}

impl Source {
    /// What tells it from every other source: the whole address, which may hold a secret and is to be shown
    /// nowhere.
    #[must_use]
    pub fn identity(&self) -> Secret {
        match self {
            Self::Rtsp(RtspSource { uri, .. }) | Self::Http(HttpSource { uri, .. }) => {
                Secret::new(uri.as_str())
            }
            other => Secret::new(other.to_string()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::V4l2(path) | Self::Images(path) => {
                write!(f, "{}", path.display())
            }
            Self::Rtsp(RtspSource { uri, .. }) | Self::Http(HttpSource { uri, .. }) => {
                f.write_str(&redact_uri(uri.as_str()))
            }
            Self::Test(test) => write!(f, "test:{}", test.pattern),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

impl fmt::Debug for RtspSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RtspSource({}, {:?})",
            redact_uri(self.uri.as_str()),
            self.transport
        )
    }
}

impl fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpSource({})", redact_uri(self.uri.as_str()))
    }
}

impl From<UriError> for SourceError {
    fn from(UriError { shown, reason }: UriError) -> Self {
        Self::Uri { shown, reason }
    }
}

fn parse_test(rest: &str) -> Result<TestSource, SourceError> {
    let (pattern, query) = rest.split_once('?').unwrap_or((rest, ""));
    let fault = |reason: &str| SourceError::Uri {
        shown: format!("test:{rest}"),
        reason: reason.to_owned(),
    };
    let mut source = TestSource {
        pattern: if pattern.is_empty() { "smpte" } else { pattern }.to_owned(),
        size: Size {
            width: 1280,
            height: 720,
        },
        fps: NonZeroU32::MIN.saturating_add(24),
        frames: None,
        live: false,
    };
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let number = || value.parse::<u32>().ok();
        match key {
            "size" => {
                source.size = value
                    .split_once('x')
                    .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)))
                    .filter(|&(width, height)| width > 0 && height > 0)
                    .map(|(width, height)| Size { width, height })
                    .ok_or_else(|| fault("size is WIDTHxHEIGHT"))?;
            }
            "fps" => {
                source.fps = number()
                    .and_then(NonZeroU32::new)
                    .ok_or_else(|| fault("fps is a whole number above 0"))?;
            }
            "frames" => {
                source.frames = Some(number().ok_or_else(|| fault("frames is a whole number"))?);
            }
            "live" => source.live = value == "1" || value == "true",
            _ => return Err(fault("known keys are size, fps, frames, live")),
        }
    }
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_look_alike_where_secrets_are_hidden_are_told_apart() {
        let of = |text: &str| Source::parse(text).unwrap();
        let (one, other) = (of("http://nvr/stream?id=3"), of("http://nvr/stream?id=4"));
        assert_eq!(one.to_string(), other.to_string());
        assert_ne!(one.identity().expose(), other.identity().expose());
    }

    fn rtsp(text: &str) -> RtspSource {
        match Source::parse(text) {
            Ok(Source::Rtsp(source)) => source,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn credentials_leave_the_uri_and_are_never_shown() {
        let source = rtsp("rtsp://admin:s%40cret@10.0.0.5:554/ch1?token=abcdef");
        assert_eq!(source.uri.as_str(), "rtsp://10.0.0.5:554/ch1?token=abcdef");
        assert_eq!(source.user.as_deref(), Some("admin"));
        assert_eq!(source.password.as_ref().map(Secret::expose), Some("s@cret"));
        let source = Source::Rtsp(source);
        for text in [format!("{source}"), format!("{source:?}")] {
            assert!(
                !text.contains("s@cret") && !text.contains("abcdef"),
                "{text}"
            );
        }
        assert_eq!(
            source.redact("login s@cret at ?token=abcdef"),
            "login *** at ?***"
        );
    }

    #[test]
    fn a_password_that_breaks_the_uri_is_explained_without_showing_it() {
        for text in [
            "rtsp://admin:pa#ss@cam/1",
            "rtsp://admin:pa/ss@cam/1",
            "rtsp://admin:12345?6ss@cam/1",
        ] {
            match Source::parse(text) {
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("%23") && !text.contains("ss@"), "{text}");
                }
                Ok(source) => panic!("{source}"),
            }
        }
    }

    #[test]
    fn a_password_in_the_path_is_shown_nowhere() {
        let text = "rtsp://10.0.0.5:554/user=admin&password=hunter2&channel=1&stream=0.sdp?";
        let source = Source::parse(text).unwrap();
        let message = "no /user=admin&password=hunter2&channel=1&stream=0.sdp at 10.0.0.5";
        for shown in [
            source.to_string(),
            format!("{source:?}"),
            source.stem(),
            source.redact(message),
            source.redact("hunter2"),
        ] {
            assert!(
                !shown.contains("hunter2") && !shown.contains("admin"),
                "{shown}"
            );
        }
        assert_eq!(source.stem(), "10.0.0.5_channel_1_stream_0.sdp");
    }

    #[test]
    fn what_a_user_writes_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        assert!(matches!(Source::parse("a/b.mp4"), Ok(Source::File(_))));
        assert!(
            matches!(Source::parse("file:///a/b.mp4"), Ok(Source::File(p)) if p == Path::new("/a/b.mp4"))
        );
        assert!(matches!(Source::parse("/dev/video0"), Ok(Source::V4l2(_))));
        assert!(matches!(Source::parse(folder), Ok(Source::Images(_))));
        // Absent cameras stay cameras; a file in a memory file system is a file.
        for device in ["/dev/video987", "/dev/v4l/by-id/usb-cam", "/dev/null"] {
            let source = Source::parse(device);
            assert!(matches!(source, Ok(Source::V4l2(_))), "{source:?}");
        }
        let file = Source::parse("/dev/shm/x.mp4");
        assert!(matches!(file, Ok(Source::File(_))), "{file:?}");
        assert!(matches!(
            Source::parse("RTSPS://cam/1"),
            Ok(Source::Rtsp(_))
        ));
        assert!(matches!(
            Source::parse("https://cam/x.m3u8"),
            Ok(Source::Http(_))
        ));
        let test = Source::parse("test:ball?size=320x240&fps=10&frames=7").unwrap();
        assert!(matches!(test, Source::Test(t) if t.frames == Some(7) && t.size.width == 320));
    }

    #[test]
    fn an_unknown_scheme_is_refused_with_the_known_ones() {
        let error = Source::parse("rtmp://cam/1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "rtmp:// is not a scheme that gantryd reads; known: rtsp, rtsps, http, https, file, test:PATTERN, or a path"
        );
    }

    #[test]
    fn names_for_output_files_come_from_the_source() {
        assert_eq!(Source::parse("/x/people.mp4").unwrap().stem(), "people");
        assert_eq!(
            Source::parse("rtsp://u:p@10.0.0.5:554/a/b").unwrap().stem(),
            "10.0.0.5_a_b"
        );
        assert_eq!(
            Source::Images(PathBuf::from("/m/MOT17-02/img1")).stem(),
            "MOT17-02"
        );
    }
}
