//! `gantryd doctor`: what this machine has, what it lacks, and the command that brings it.

mod elements;
mod embedded;
mod gpu;
mod machine;
mod tune;

use std::io::{self, Write};
use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets};
use gstreamer as gst;

use super::cli::{DoctorArgs, Exit};
use super::config::Config;
use crate::perception::detect::Runtime;
use elements::{codec_rows, elements_in, remedy};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Something cannot be used, or is slow.
    Warn,
    /// gantryd cannot do its main job.
    Fail,
}

impl Verdict {
    /// As shown in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// How bad it is.
    pub verdict: Verdict,
    /// What there is.
    pub found: String,
    /// What to do; empty if nothing.
    pub remedy: String,
}

impl Finding {
    fn ok(subject: &str, found: String) -> Self {
        Self::new(subject, Verdict::Ok, found, String::new())
    }

    fn warn(subject: &str, found: String, remedy: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Warn, found, remedy.into())
    }

    fn fail(subject: &str, found: String, remedy: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Fail, found, remedy.into())
    }

    fn new(subject: &str, verdict: Verdict, found: String, remedy: String) -> Self {
        let subject = subject.to_owned();
        Self {
            subject,
            verdict,
            found,
            remedy,
        }
    }
}

/// What the other parts know about themselves.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'p> {
    /// The ONNX Runtime that was loaded (version and place), or why none could be, with the remedy.
    pub runtime: &'p Result<String, String>,
    /// Name and text of each file in `pipelines/`.
    pub pipelines: &'p [(&'p str, &'p str)],
    /// Where results go.
    pub output: &'p Path,
}

/// What each kind of pipeline is for, by the beginning of its file's name; a missing element is a
/// failure where `is_essential`.
const FEATURES: &[(&str, &str, bool)] = &[
    ("capture-decode", "frames", true),
    ("capture-file", "video files", true),
    ("capture-rtsp", "RTSP cameras", true),
    ("capture-http", "HTTP streams", false),
    ("capture-v4l2", "local cameras", false),
    ("capture-images", "image folders", false),
    ("record-mp4", "recording", false),
    ("record-raw", "raw recording", false),
    ("clip-mp4", "clips of events", false),
    ("webrtc-h264", "live video", false),
];

/// Demuxers and parsers that GStreamer picks by itself: no pipeline names them.
const CONTAINERS: &[&str] = &[
    "qtdemux",
    "matroskademux",
    "avidemux",
    "flvdemux",
    "tsdemux",
];

/// Elements that `rtspsrc` makes by itself.
const RTSP_HELPERS: &[&str] = &["rtpjitterbuffer", "udpsrc"];

/// Elements that `webrtcbin` makes by itself.
const WEBRTC_HELPERS: &[&str] = &["dtlssrtpenc", "nicesink", "srtpenc"];

/// Looks at everything, prints the table on stdout and tells how to end.
///
/// # Errors
/// If the configuration that was named cannot be read or stdout does not take the table.
pub fn run(args: &DoctorArgs) -> anyhow::Result<Exit> {
    let config = match &args.config {
        Some(file) => Config::load(file)?,
        None => Config::default(),
    };
    let library = args.runtime_library.clone();
    let library = library.or(config.detect.runtime_library.set());
    if args.gpu {
        return gpu::run(args, library, &mut io::stdout());
    }
    if args.tune {
        return tune::run(args, library, &mut io::stdout());
    }
    let findings = examine(Parts {
        runtime: &runtime(library.as_deref()),
        pipelines: embedded::PIPELINES,
        output: &config.output.folder,
    });
    Ok(report(&findings, &mut io::stdout())?)
}

/// Version and place of the ONNX Runtime, or why there is none.
fn runtime(library: Option<&Path>) -> Result<String, String> {
    match Runtime::load(library) {
        Ok(runtime) => {
            let place = runtime.library().display();
            Ok(format!("{} from {place}", runtime.version()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Looks at everything; takes well under a second.
#[must_use]
pub fn examine(parts: Parts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match gst::init() {
        Err(error) => findings.push(Finding::fail(
            "GStreamer",
            error.to_string(),
            "apt-get install libgstreamer1.0-0 gstreamer1.0-plugins-base",
        )),
        Ok(()) => {
            let exists = |element: &str| gst::ElementFactory::find(element).is_some();
            findings.push(version());
            findings.extend(features(parts.pipelines, exists));
            findings.extend(codecs(parts.pipelines, exists));
            findings.push(encoders(parts.pipelines, exists));
            findings.push(tls());
        }
    }
    findings.push(match parts.runtime {
        Ok(text) => Finding::ok("ONNX Runtime", text.clone()),
        Err(text) => Finding::fail(
            "ONNX Runtime",
            text.clone(),
            "scripts/setup fetches it; or name the library in ORT_DYLIB_PATH",
        ),
    });
    findings.extend(machine::examine(parts.output));
    findings
}

/// Writes the table and tells how to end: [`Exit::Runtime`] if anything failed.
///
/// # Errors
/// If `out` does not take it.
pub fn report(findings: &[Finding], out: &mut impl Write) -> io::Result<Exit> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["", "what", "found", "remedy"]);
    for finding in findings {
        table.add_row([
            finding.verdict.as_str(),
            &finding.subject,
            &finding.found,
            &finding.remedy,
        ]);
    }
    writeln!(out, "{table}")?;
    let worst = findings.iter().map(|finding| finding.verdict).max();
    let (text, exit) = match worst {
        Some(Verdict::Fail) => (
            "something essential is missing: see FAIL above",
            Exit::Runtime,
        ),
        Some(Verdict::Warn) => (
            "gantryd works here, but see what is marked warn",
            Exit::Done,
        ),
        _ => ("everything is there", Exit::Done),
    };
    writeln!(out, "{text}")?;
    Ok(exit)
}

fn version() -> Finding {
    let (major, minor, micro, _) = gst::version();
    let shown = format!("{major}.{minor}.{micro}");
    if (major, minor) < (1, 22) {
        let remedy = "gantryd needs 1.22: Debian 12, Ubuntu 23.04 or newer";
        return Finding::fail("GStreamer", shown, remedy);
    }
    Finding::ok("GStreamer", shown)
}

fn features(pipelines: &[(&str, &str)], exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (prefix, subject, is_essential) in FEATURES {
        let texts = pipelines
            .iter()
            .filter(|(name, _)| name.starts_with(prefix));
        let mut needed: Vec<String> = texts.flat_map(|(_, text)| elements_in(text)).collect();
        if needed.is_empty() {
            continue;
        }
        if *prefix == "capture-rtsp" {
            needed.extend(RTSP_HELPERS.iter().map(ToString::to_string));
        }
        if *prefix == "webrtc-h264" {
            needed.extend(WEBRTC_HELPERS.iter().map(ToString::to_string));
        }
        findings.push(all_of(subject, &needed, *is_essential, &exists));
    }
    let containers: Vec<String> = CONTAINERS.iter().map(ToString::to_string).collect();
    findings.push(all_of("containers", &containers, false, &exists));
    findings
}

fn all_of(
    subject: &str,
    needed: &[String],
    is_essential: bool,
    exists: impl Fn(&str) -> bool,
) -> Finding {
    let names = needed.iter().map(String::as_str);
    let missing: Vec<&str> = names.filter(|element| !exists(element)).collect();
    if missing.is_empty() {
        return Finding::ok(subject, needed.join(" "));
    }
    let found = format!("without {}", missing.join(" "));
    if is_essential {
        Finding::fail(subject, found, remedy(missing))
    } else {
        Finding::warn(subject, found, remedy(missing))
    }
}

/// One finding per codec (H.264 is essential), and one about hardware decoders.
fn codecs(pipelines: &[(&str, &str)], exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let Some((_, text)) = pipelines
        .iter()
        .find(|(name, _)| name.starts_with("codecs"))
    else {
        return Vec::new();
    };
    // What cameras send; the table also tells what to do with anything else a file may hold.
    let sent = codec_rows(text).filter(|row| row.what == "depay");
    let names: Vec<&str> = sent.map(|row| row.codec).collect();
    let mut findings = Vec::new();
    let mut hardware = Vec::new();
    for codec in names {
        let (mut missing, mut software, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for row in codec_rows(text).filter(|row| row.codec == codec) {
            let elements = elements_in(row.text);
            let here = elements.iter().all(|element| exists(element));
            match row.what {
                "caps" | "rtp" => {}
                "depay" | "parse" | "film" if here => {}
                "depay" | "parse" | "film" => missing.extend(elements),
                "software" if here => software.extend(elements),
                "software" => absent.extend(elements),
                _ if here => hardware.extend(elements),
                _ => {}
            }
        }
        if software.is_empty() {
            // The first possibility is the one to install.
            missing.extend(absent.into_iter().take(1));
        }
        let subject = format!("{codec} decoder");
        findings.push(if missing.is_empty() {
            Finding::ok(&subject, software.join(" "))
        } else {
            let found = format!("without {}", missing.join(" "));
            let fix = remedy(missing.iter().map(String::as_str));
            let verdict = if codec == "h264" {
                Verdict::Fail
            } else {
                Verdict::Warn
            };
            Finding::new(&subject, verdict, found, fix)
        });
    }
    let found = if hardware.is_empty() {
        "none".to_owned()
    } else {
        hardware.join(" ")
    };
    findings.push(Finding::ok("hardware decoders", found));
    findings
}

/// Any one encoder will do.
fn encoders(pipelines: &[(&str, &str)], exists: impl Fn(&str) -> bool) -> Finding {
    let mut here = Vec::new();
    for (name, text) in pipelines {
        let Some(encoder) = name.strip_prefix("encode-") else {
            continue;
        };
        let encoder = encoder.trim_end_matches(".gst");
        let elements = elements_in(text);
        // `encode-trial` takes its encoder from elsewhere.
        if encoder != "trial" && elements.iter().all(|element| exists(element)) {
            here.push(encoder);
        }
    }
    if here.is_empty() {
        let found = "none: no annotated video".to_owned();
        return Finding::warn("encoders", found, remedy(["x264enc"]));
    }
    Finding::ok("encoders", here.join(" "))
}

/// rtsps and https need a TLS backend of GLib's, which is found at run time.
fn tls() -> Finding {
    let mut folders: Vec<std::path::PathBuf> = ["/usr/lib/gio/modules", "/usr/lib64/gio/modules"]
        .map(Into::into)
        .into();
    let architectures = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    folders.extend(architectures.map(|entry| entry.path().join("gio/modules")));
    let backends = ["libgiognutls.so", "libgioopenssl.so"];
    let found = folders
        .iter()
        .flat_map(|folder| backends.iter().map(|name| folder.join(name)))
        .find(|path| path.exists());
    match found {
        Some(path) => Finding::ok("TLS (rtsps, https)", path.display().to_string()),
        None => Finding::warn(
            "TLS (rtsps, https)",
            "no backend".to_owned(),
            "apt-get install glib-networking",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPELINES: &[(&str, &str)] = &[
        (
            "capture-file.gst",
            "filesrc name=source ! parsebin name=streams",
        ),
        ("capture-rtsp.gst", "rtspsrc name=source"),
        ("encode-x264.gst", "x264enc tune=zerolatency"),
        ("encode-trial.gst", "appsrc ! {encoder} ! fakesink"),
        (
            "codecs.txt",
            "h264 depay rtph264depay\nh264 nvdec nvh264dec\nh264 software avdec_h264 max-threads=1\n\
             h264 software openh264dec\nmjpeg depay rtpjpegdepay\nmjpeg software jpegdec\nraw software identity\n",
        ),
    ];

    fn row<'f>(findings: &'f [Finding], subject: &str) -> &'f Finding {
        findings
            .iter()
            .find(|finding| finding.subject == subject)
            .unwrap()
    }

    #[test]
    fn a_missing_plugin_is_named_with_its_package() {
        let found = features(PIPELINES, |element| element != "rtspsrc");
        let rtsp = row(&found, "RTSP cameras");
        assert_eq!(rtsp.verdict, Verdict::Fail);
        assert_eq!(rtsp.found, "without rtspsrc");
        assert_eq!(rtsp.remedy, "apt-get install gstreamer1.0-plugins-good");
        assert_eq!(row(&found, "video files").verdict, Verdict::Ok);
    }

    #[test]
    fn one_software_decoder_is_enough() {
        let found = codecs(PIPELINES, |element| {
            !["avdec_h264", "nvh264dec"].contains(&element)
        });
        assert_eq!(row(&found, "h264 decoder").found, "openh264dec");
        assert_eq!(row(&found, "hardware decoders").found, "none");
        let found = codecs(PIPELINES, |_| false);
        let h264 = row(&found, "h264 decoder");
        assert_eq!(h264.verdict, Verdict::Fail);
        assert_eq!(
            h264.remedy,
            "apt-get install gstreamer1.0-libav gstreamer1.0-plugins-good"
        );
        assert_eq!(row(&found, "mjpeg decoder").verdict, Verdict::Warn);
    }

    #[test]
    fn without_an_encoder_one_is_offered() {
        assert_eq!(encoders(PIPELINES, |_| true).found, "x264");
        let none = encoders(PIPELINES, |_| false);
        assert_eq!(none.remedy, "apt-get install gstreamer1.0-plugins-ugly");
    }

    #[test]
    fn the_table_ends_with_1_only_if_something_failed() {
        let folder = tempfile::tempdir().unwrap();
        let told = |runtime: &Result<String, String>| {
            let mut out = Vec::new();
            let parts = Parts {
                runtime,
                pipelines: PIPELINES,
                output: folder.path(),
            };
            let exit = report(&examine(parts), &mut out).unwrap();
            (exit, String::from_utf8(out).unwrap())
        };
        let (exit, text) = told(&Err("libonnxruntime.so: not found".to_owned()));
        assert_eq!(exit, Exit::Runtime);
        assert!(
            text.contains("FAIL") && text.contains("ORT_DYLIB_PATH"),
            "{text}"
        );
        let (_, text) = told(&Ok("1.31.1".to_owned()));
        assert!(
            text.contains("GStreamer") && text.contains("processor"),
            "{text}"
        );
    }
}
