//! Bytes into `<file>.part`: from a server, going on where a part ends, or from a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, ResponseExt, http};

use super::FetchError;
use super::part::{CHUNK_BYTES, Got, Part, PartOf, fill};
use crate::app::progress::Progress;
use crate::base::redact_text;

/// A server that sends nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// Connections in a row that bring nothing new until the download is given up.
const MAX_VAIN_TRIES: u32 = 4;

/// Longest file that is taken; the largest detectors have a tenth of it.
const MAX_BYTES: u64 = 8 << 30;

/// One file on its way.
pub(super) struct Download<'a> {
    pub(super) id: &'a str,
    pub(super) part: PathBuf,
    /// Whether a SHA-256 will tell if two halves do not belong together.
    pub(super) is_pinned: bool,
    pub(super) retry_wait: Duration,
}

/// How one connection ended.
enum Ended {
    /// The file is whole.
    Whole,
    /// More is to come, but not over this connection.
    Lost(String),
}

impl Download<'_> {
    /// Copies `file`.
    pub(super) fn copy(&self, file: &Path, progress: &mut Progress) -> Result<Got, FetchError> {
        let mut copy = || -> io::Result<Got> {
            let mut from = File::open(file)?;
            let total = from.metadata()?.len();
            let mut part = Part::open(&self.part)?;
            PartOf::forget(&self.part)?;
            part.restart()?;
            let mut buffer = vec![0; CHUNK_BYTES];
            loop {
                let read = fill(&mut from, &mut buffer)?;
                if read == 0 {
                    return part.finish();
                }
                part.add(&buffer[..read])?;
                progress.update(part.bytes, Some(total));
            }
        };
        copy().map_err(|source| self.io_error(file, source))
    }

    /// Downloads `url`, over as many connections as it takes.
    pub(super) fn download(&self, url: &str, progress: &mut Progress) -> Result<Got, FetchError> {
        let agent = agent();
        let mut part =
            Part::open(&self.part).map_err(|source| self.io_error(&self.part, source))?;
        if !self.is_beginning_of(url) {
            part.restart()
                .map_err(|source| self.io_error(&self.part, source))?;
        }
        let mut furthest = part.bytes;
        let mut vain_tries = 0;
        loop {
            match self.connection(&agent, url, &mut part, progress)? {
                Ended::Whole => {
                    let got = part.finish();
                    let got = got.map_err(|source| self.io_error(&self.part, source))?;
                    PartOf::forget(&self.part)
                        .map_err(|source| self.io_error(&self.part, source))?;
                    return Ok(got);
                }
                Ended::Lost(what) => {
                    vain_tries = if part.bytes > furthest {
                        0
                    } else {
                        vain_tries + 1
                    };
                    furthest = furthest.max(part.bytes);
                    if vain_tries >= MAX_VAIN_TRIES {
                        return Err(FetchError::Network {
                            id: self.id.to_owned(),
                            from: redact_text(url),
                            what,
                            kept: part.bytes,
                        });
                    }
                    if !self.is_beginning_of(url) {
                        part.restart()
                            .map_err(|source| self.io_error(&self.part, source))?;
                    }
                    tracing::info!(model = self.id, %what, kept = part.bytes, "connection lost, going on");
                    sleep(self.retry_wait * vain_tries);
                }
            }
        }
    }

    /// One connection: asks for what is missing and takes what comes.
    fn connection(
        &self,
        agent: &Agent,
        url: &str,
        part: &mut Part,
        progress: &mut Progress,
    ) -> Result<Ended, FetchError> {
        let io_error = |source| self.io_error(&self.part, source);
        let mut request = agent.get(url);
        if part.bytes > 0 {
            request = request.header("Range", format!("bytes={}-", part.bytes));
            if let Some(etag) = PartOf::read(&self.part).and_then(|known| known.etag) {
                request = request.header("If-Range", etag);
            }
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) if is_hopeless(&error) => {
                return Err(FetchError::From {
                    id: self.id.to_owned(),
                    from: redact_text(url),
                    what: told(&error),
                });
            }
            Err(error) => return Ok(Ended::Lost(error.to_string())),
        };
        let status = response.status().as_u16();
        let range = content_range(response.headers());
        let total = match (status, range) {
            (206, Some((Some(start), total))) if start == part.bytes => total,
            // A server that knows no ranges, or whose file changed, sends it from the beginning.
            (200, _) => {
                part.restart().map_err(io_error)?;
                response.body().content_length()
            }
            (416, Some((None, Some(total)))) if total == part.bytes => return Ok(Ended::Whole),
            (206 | 416, _) => {
                part.restart().map_err(io_error)?;
                return Ok(Ended::Lost(
                    "the server's file is another one now".to_owned(),
                ));
            }
            (408 | 425 | 429 | 500..=599, _) => {
                return Ok(Ended::Lost(format!("the server answers {status}")));
            }
            _ => {
                return Err(FetchError::Status {
                    id: self.id.to_owned(),
                    from: redact_text(&response.get_uri().to_string()),
                    status,
                });
            }
        };
        if part.bytes == 0 {
            let etag = response
                .headers()
                .get("etag")
                .and_then(|tag| tag.to_str().ok());
            // A weak tag does not promise the same bytes.
            let etag = etag.filter(|tag| !tag.starts_with("W/")).map(str::to_owned);
            let url = url.to_owned();
            PartOf { url, etag }.note(&self.part).map_err(io_error)?;
        }
        self.take(response.into_body().into_reader(), total, part, progress)
    }

    fn take(
        &self,
        mut body: impl Read,
        total: Option<u64>,
        part: &mut Part,
        progress: &mut Progress,
    ) -> Result<Ended, FetchError> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let read = match body.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Ended::Lost(error.to_string())),
            };
            if read == 0 {
                return Ok(match total {
                    Some(total) if part.bytes < total => Ended::Lost(format!(
                        "the connection ended after {} of {total} bytes",
                        part.bytes
                    )),
                    _ => Ended::Whole,
                });
            }
            if part.bytes + read as u64 > MAX_BYTES {
                return Err(FetchError::From {
                    id: self.id.to_owned(),
                    from: "the source".to_owned(),
                    what: format!(
                        "sends more than {} GiB, which no model has",
                        MAX_BYTES >> 30
                    ),
                });
            }
            part.add(&buffer[..read])
                .map_err(|source| self.io_error(&self.part, source))?;
            progress.update(part.bytes, total);
        }
    }

    /// Deletes what arrived.
    pub(super) fn discard(&self) -> io::Result<()> {
        PartOf::forget(&self.part)?;
        std::fs::remove_file(&self.part)
    }

    /// Is the part the beginning of what `url` holds? Without a tag or a SHA-256 nobody could tell.
    fn is_beginning_of(&self, url: &str) -> bool {
        PartOf::read(&self.part)
            .is_some_and(|known| known.url == url && (known.etag.is_some() || self.is_pinned))
    }

    fn io_error(&self, path: &Path, source: io::Error) -> FetchError {
        FetchError::Io {
            id: self.id.to_owned(),
            path: path.display().to_string(),
            source,
        }
    }
}

/// A client with the system's certificates and the proxies of the environment (`ALL_PROXY`,
/// `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
fn agent() -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .tls_config(tls)
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("gantryd/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// Is the server somebody that this machine does not trust?
fn is_distrusted(error: &ureq::Error) -> bool {
    let ureq::Error::Io(error) = error else {
        return false;
    };
    let tls = error.get_ref().and_then(|cause| cause.downcast_ref());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

/// The error, and the remedy where there is one.
fn told(error: &ureq::Error) -> String {
    if is_distrusted(error) {
        return format!(
            "{error}; if the authority is your own (a company's proxy), add it to the system's, or name its PEM file in SSL_CERT_FILE"
        );
    }
    error.to_string()
}

/// Will the same request fail for ever?
fn is_hopeless(error: &ureq::Error) -> bool {
    is_distrusted(error)
        || matches!(
            error,
            ureq::Error::BadUri(_)
                | ureq::Error::Http(_)
                | ureq::Error::InvalidProxyUrl
                | ureq::Error::TooManyRedirects
                | ureq::Error::RedirectFailed
        )
}

/// First byte and total of `Content-Range`, `bytes 100-199/200` or `bytes */200`.
fn content_range(headers: &http::HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let text = headers.get("content-range")?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range
        .split_once('-')
        .and_then(|(start, _)| start.parse().ok());
    Some((start, total.parse().ok()))
}
