//! `gantryd check`: everything that can be known to be wrong before a start.

mod deeper;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{Table, presets};

use super::cli::Exit;
use super::config::{CameraConfig, Config, ConfigError, Fault, Listen};
use super::{sinks, web};
use crate::sinks::http::{GREETING, Listening};
use crate::sinks::web::PAGE_TITLE;

pub use deeper::deeper_faults;
pub(super) use deeper::{camera_faults, class_faults};

/// How long a stranger at our port may take to say who it is.
const GREETING_WAIT: Duration = Duration::from_millis(500);

/// Checks `file`, writes every fault or a summary to `out`, and tells how to end.
///
/// `more` adds the faults that need GStreamer or the model; it is asked only if the file itself is
/// valid.
///
/// # Errors
/// If `out` does not take the text.
pub fn check(
    file: &Path,
    more: impl FnOnce(&Config) -> Vec<Fault>,
    out: &mut impl Write,
) -> io::Result<Exit> {
    let checked = Config::load(file).and_then(|config| {
        let mut faults = surroundings(&config);
        faults.extend(more(&config));
        if faults.is_empty() {
            return Ok(config);
        }
        let file = file.to_owned();
        Err(ConfigError::Faults { file, faults })
    });
    match checked {
        Ok(config) => {
            write!(out, "{}", summary(&config))?;
            writeln!(out, "{}: nothing is wrong", file.display())?;
            Ok(Exit::Done)
        }
        Err(error) => {
            writeln!(out, "{}", told(&error))?;
            Ok(Exit::Config)
        }
    }
}

/// The error with its cause, as shown to the operator.
#[must_use]
pub fn told(error: &ConfigError) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Faults of the places that a valid configuration names: the folder, the port, the sinks' files.
#[must_use]
pub fn surroundings(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut note = |key: String, text: String| faults.push(Fault { key, text });
    if let Err(fault) = writable(&config.output.folder) {
        note(fault.key, fault.text);
    }
    if let Err(error) = web::certificate(&config.web) {
        note("web.tls_cert_file".to_owned(), error.to_string());
    }
    let ports = [
        ("metrics.listen", config.metrics.listen, false),
        (
            "web.listen",
            config.web.listen,
            config.web.certificate.is_some(),
        ),
    ];
    for (key, listen, is_tls) in ports {
        if let Listen::At(address) = listen
            && let Err(error) = Listening::bind(key, address)
            && !(error.is_in_use() && is_gantryd(address, is_tls))
        {
            note(key.to_owned(), error.to_string());
        }
    }
    faults.extend(sinks::faults(config));
    faults
}

/// Can `run` begin with the folder of results? A full disk keeps it from nothing: room may come.
///
/// # Errors
/// What is wrong with it, and what is allowed.
pub fn check_folder(config: &Config) -> Result<(), Fault> {
    match writable(&config.output.folder) {
        Err(fault) if !fault.is_full => Err(Fault {
            key: fault.key,
            text: fault.text,
        }),
        _ => Ok(()),
    }
}

/// What is wrong with the folder of results.
#[derive(Debug)]
struct FolderFault {
    key: String,
    text: String,
    is_full: bool,
}

/// Can files be made in `folder`, or the folder itself if it is not there yet?
fn writable(folder: &Path) -> Result<(), FolderFault> {
    let fault = |text, is_full| FolderFault {
        key: "output.folder".to_owned(),
        text,
        is_full,
    };
    let shown = folder.display();
    let existing = folder
        .ancestors()
        .map(|ancestor| {
            if ancestor == Path::new("") {
                Path::new(".")
            } else {
                ancestor
            }
        })
        .find(|ancestor| ancestor.exists())
        .unwrap_or(Path::new("/"));
    if !existing.is_dir() {
        let text = format!(
            "{shown}: {} is a file, allowed is a folder",
            existing.display()
        );
        return Err(fault(text, false));
    }
    // Only a real file tells: permissions say nothing of a read-only or full disk.
    let trial = existing.join(format!(".gantryd-check-{}", std::process::id()));
    let made = std::fs::File::create_new(&trial).and_then(|mut file| file.write_all(b"?"));
    let removed = std::fs::remove_file(&trial);
    made.and(removed).map_err(|error| {
        let (place, reason) = (existing.display(), error.kind());
        let text = format!("{shown}: no file can be made in {place} ({reason}), allowed is a folder this user may write to");
        let is_full = matches!(
            reason,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        fault(text, is_full)
    })
}

/// Is it another gantryd that holds the port? An operator checks a new configuration while the old
/// one is running.
fn is_gantryd(address: SocketAddr, is_tls: bool) -> bool {
    let tls = ureq::tls::TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        // Only a greeting is asked for, and nothing is told.
        .disable_verification(true)
        .build();
    let agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(GREETING_WAIT))
        .build()
        .new_agent();
    let scheme = if is_tls { "https" } else { "http" };
    let Ok(answer) = agent.get(format!("{scheme}://{address}/")).call() else {
        return false;
    };
    let mut text = Vec::new();
    let read = answer
        .into_body()
        .into_reader()
        .take(4096)
        .read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    read.is_ok() && (text == GREETING || text.contains(PAGE_TITLE))
}

/// What a configuration means, in a few lines.
#[must_use]
pub fn summary(config: &Config) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "camera",
        "source",
        "decode",
        "classes",
        "confidence",
        "records",
        "counts at",
    ]);
    for camera in &config.cameras {
        table.add_row([
            camera.id.to_string(),
            camera.uri.to_string(),
            camera.decode.to_string(),
            classes(camera),
            camera.confidence.to_string(),
            recorded(config, camera).to_owned(),
            counted(camera),
        ]);
    }
    let detect = &config.detect;
    let output = &config.output;
    let mut text = format!("{table}\n");
    let formats = match (output.jsonl, output.mot) {
        (true, true) => "JSON lines and MOT text",
        (true, false) => "JSON lines",
        (false, true) => "MOT text",
        (false, false) => "no results",
    };
    let decisions = if output.decisions {
        ", with the tracker's decisions,"
    } else {
        ""
    };
    for (name, value) in [
        ("model", format!("{} on {}", detect.model, detect.runs_on())),
        (
            "results",
            format!("{formats}{decisions} in {}", output.folder.display()),
        ),
        ("metrics", config.metrics.listen.to_string()),
        (
            "log",
            format!("{}, {}", config.log.level, config.log.format),
        ),
    ] {
        text.push_str(&format!("{name:<8} {value}\n"));
    }
    for sink in &config.sinks {
        let address = sink.url.shown();
        text.push_str(&format!("{:<8} {}: {address}\n", "sink", sink.name));
    }
    text
}

fn classes(camera: &CameraConfig) -> String {
    if camera.classes.is_empty() {
        return "all".to_owned();
    }
    camera.classes.join(", ")
}

fn recorded(config: &Config, camera: &CameraConfig) -> &'static str {
    match (config.record.enabled, camera.annotate, camera.raw) {
        (false, _, _) | (true, false, false) => "nothing",
        (true, true, false) => "annotated",
        (true, false, true) => "raw",
        (true, true, true) => "annotated, raw",
    }
}

/// `2 zones, 1 line`.
fn counted(camera: &CameraConfig) -> String {
    let of = |count: usize, one: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {one}s")),
    };
    let zones = of(camera.zones.zones.len(), "zone");
    let lines = of(camera.zones.lines.len(), "line");
    let parts: Vec<String> = zones.into_iter().chain(lines).collect();
    if parts.is_empty() {
        return "nothing".to_owned();
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn checked(folder: &Path, text: &str) -> (Exit, String) {
        let file = folder.join("site.toml");
        std::fs::write(&file, text).unwrap();
        let mut out = Vec::new();
        let exit = check(&file, |_| Vec::new(), &mut out).unwrap();
        (exit, String::from_utf8(out).unwrap())
    }

    const CAMERA: &str = "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n";

    #[test]
    fn a_good_configuration_is_summed_up() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "{CAMERA}classes = [\"car\", \"bus\"]\n\
             [[cameras.lines]]\nname = \"stop\"\nline_norm = [[0.1, 0.5], [0.9, 0.5]]\n\
             [metrics]\nlisten = \"off\"\n"
        );
        let (exit, out) = checked(folder.path(), &text);
        assert_eq!(exit, Exit::Done, "{out}");
        for part in [
            "gate",
            "rtsp://10.0.0.5/live",
            "car, bus",
            "annotated",
            "1 line",
            "nothing is wrong",
        ] {
            assert!(out.contains(part), "missing {part} in\n{out}");
        }
    }

    #[test]
    fn faults_of_the_surroundings_are_told_together() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("taken"), "a file").unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let text = format!(
            "{CAMERA}[output]\nfolder = \"taken/out\"\n\
             [metrics]\nlisten = \"{address}\"\n"
        );
        let (exit, out) = checked(folder.path(), &text);
        assert_eq!(exit, Exit::Config);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2, "{out}");
        assert!(lines[0].contains("site.toml: output.folder: ") && lines[0].contains("is a file"));
        assert!(lines[1].contains(": metrics.listen: ") && lines[1].contains("another program"));
    }

    #[test]
    fn a_running_gantryd_does_not_make_its_own_port_a_fault() {
        let stop = crate::base::StopSource::default();
        let listening = Listening::bind("metrics.listen", "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listening.address();
        let endpoint = crate::sinks::http::Endpoint {
            metrics: crate::base::Metrics::new(),
            health: Box::new(|| Ok(())),
            readiness: Box::new(|| Ok(())),
            notice: Box::new(|| None),
        };
        let router = crate::sinks::http::router(endpoint);
        let worker = listening
            .serve("http", router, stop.stop_flag(), |_| {})
            .unwrap();
        assert!(is_gantryd(address, false));
        stop.stop();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        assert_eq!(
            worker.join_until(deadline),
            crate::base::WorkerEnd::Finished
        );
    }

    #[test]
    fn a_folder_nobody_may_write_to_is_named() {
        // /proc takes no files, not even from root.
        let error = writable(&PathBuf::from("/proc/self/task/out")).unwrap_err();
        assert!(
            error
                .text
                .starts_with("/proc/self/task/out: no file can be made in"),
            "{}",
            error.text
        );
    }

    #[test]
    fn a_missing_file_is_told_with_its_cause() {
        let mut out = Vec::new();
        let exit = check(Path::new("/nowhere/site.toml"), |_| Vec::new(), &mut out).unwrap();
        assert_eq!(exit, Exit::Config);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("/nowhere/site.toml: reading the configuration: No such file"));
    }
}
