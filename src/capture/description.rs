//! Fills a text of `pipelines/`, parses it and sets its source; credentials go to the source
//! element as properties and are in no text.

use std::path::Path;

use gio::prelude::*;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::images::{ImageList, describe};
use super::source::{HttpSource, RtspSource, Transport};
use super::{CameraOptions, CaptureError, Codec, Source};
use crate::base::PipelineText;
use crate::base::Secret;

/// Endings of paths on a server that hold a file or a play list, not an endless stream.
const RECORDED_ENDINGS: [&str; 9] = [
    ".m3u8", ".mpd", ".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m4v",
];

/// The pipeline of a source, not yet started; decoding is added once its streams are known.
///
/// # Errors
/// [`CaptureError`] for a text that cannot be used and for a missing element.
pub(super) fn source_pipeline(options: &CameraOptions) -> Result<gst::Pipeline, CaptureError> {
    let pipeline = parsed_pipeline(options)?;
    if let Some(source) = pipeline.by_name("source") {
        set_source(&source, &options.source)?;
    }
    Ok(pipeline)
}

/// [`source_pipeline`] of no source in particular.
///
/// # Errors
/// As [`source_pipeline`], of the text alone.
pub(super) fn parsed_pipeline(options: &CameraOptions) -> Result<gst::Pipeline, CaptureError> {
    let (name, text) = source_text(options)?;
    let element = gst::parse::launch(&text).map_err(|error| parse_fault(&name, &error))?;
    match element.downcast::<gst::Pipeline>() {
        Ok(pipeline) => Ok(pipeline),
        // A text of one element is parsed as that element.
        Err(element) => {
            let pipeline = gst::Pipeline::new();
            pipeline
                .add(&element)
                .map_err(|error| CaptureError::Pipeline {
                    name: name.clone(),
                    reason: error.to_string(),
                })?;
            Ok(pipeline)
        }
    }
}

/// The part between one stream of the source and the frames.
///
/// # Errors
/// As [`source_pipeline`].
pub(super) fn decode_bin(
    depay: &str,
    decoder: &str,
    queue_frames: u32,
    sync: bool,
    on_card: bool,
) -> Result<gst::Bin, CaptureError> {
    let (name, text) = if on_card {
        (
            "capture-decode-card.gst",
            include_str!("../../pipelines/capture-decode-card.gst"),
        )
    } else {
        (
            "capture-decode.gst",
            include_str!("../../pipelines/capture-decode.gst"),
        )
    };
    let text = PipelineText::new(name, text).fill(&[
        ("depay", depay),
        ("decoder", decoder),
        ("queue_frames", &queue_frames.to_string()),
        ("sync", if sync { "true" } else { "false" }),
    ])?;
    let bin = gst::parse::bin_from_description(&text, false)
        .map_err(|error| parse_fault(name, &error))?;
    if add_entry(&bin, "entry").is_some() {
        Ok(bin)
    } else {
        Err(CaptureError::Pipeline {
            name: name.to_owned(),
            reason: "it needs an element named entry".to_owned(),
        })
    }
}

/// Makes the sink of the element `name` the way into `bin`. Not left to the parser: it would open
/// every loose end, also those of elements that link themselves later.
pub(super) fn add_entry(bin: &gst::Bin, name: &str) -> Option<gst::GhostPad> {
    let pad = bin.by_name(name)?.static_pad("sink")?;
    let ghost = gst::GhostPad::builder_with_target(&pad)
        .ok()?
        .name("sink")
        .build();
    bin.add_pad(&ghost).ok()?;
    Some(ghost)
}

/// Turns a fault of the parser into our words.
fn parse_fault(name: &str, error: &gst::glib::Error) -> CaptureError {
    let text = error.message();
    match text.split('"').nth(1) {
        Some(element) if error.matches(gst::ParseError::NoSuchElement) => {
            CaptureError::ElementMissing {
                element: element.to_owned(),
            }
        }
        _ => CaptureError::Pipeline {
            name: name.to_owned(),
            reason: text.to_owned(),
        },
    }
}

/// Name and filled text of the source's part.
fn source_text(options: &CameraOptions) -> Result<(String, String), CaptureError> {
    let (name, embedded) = match &options.source {
        Source::File(_) => (
            "capture-file.gst",
            include_str!("../../pipelines/capture-file.gst"),
        ),
        Source::Rtsp(_) => (
            "capture-rtsp.gst",
            include_str!("../../pipelines/capture-rtsp.gst"),
        ),
        Source::Http(_) => (
            "capture-http.gst",
            include_str!("../../pipelines/capture-http.gst"),
        ),
        Source::V4l2(_) => (
            "capture-v4l2.gst",
            include_str!("../../pipelines/capture-v4l2.gst"),
        ),
        Source::Images(_) => (
            "capture-images.gst",
            include_str!("../../pipelines/capture-images.gst"),
        ),
        Source::Test(_) => (
            "capture-test.gst",
            include_str!("../../pipelines/capture-test.gst"),
        ),
    };
    let (name, text) = match &options.pipeline {
        Some(path) => (path.display().to_string(), PipelineText::from_file(path)?),
        None => (name.to_owned(), PipelineText::new(name, embedded)),
    };
    let values = values(options);
    let values: Vec<(&str, &str)> = values
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    Ok((name, text.fill(&values)?))
}

/// What the placeholders of a source's text stand for.
fn values(options: &CameraOptions) -> Vec<(&'static str, String)> {
    let whole_connect_secs = options.connect_secs.ceil().clamp(1.0, 3600.0) as u32;
    let mut values = vec![
        ("latency_ms", options.latency_ms.to_string()),
        ("connect_secs", whole_connect_secs.to_string()),
        (
            "connect_us",
            (u64::from(whole_connect_secs) * 1_000_000).to_string(),
        ),
    ];
    match &options.source {
        Source::Rtsp(rtsp) => {
            let (protocols, udp_timeout_us) = match rtsp.transport {
                Transport::Tcp => ("tcp", 0),
                Transport::Udp => ("udp+udp-mcast", 0),
                // How long UDP may bring nothing before TCP is tried.
                Transport::Auto => ("tcp+udp-mcast+udp", 3_000_000),
            };
            values.push(("protocols", protocols.to_owned()));
            values.push(("udp_timeout_us", udp_timeout_us.to_string()));
        }
        Source::Http(http) => values.push(("live", (!is_recorded(http)).to_string())),
        Source::V4l2(_) => {
            let caps = match options.codec {
                Codec::Auto => "video/x-raw;image/jpeg;video/x-h264;video/x-h265",
                Codec::H264 => "video/x-h264",
                Codec::H265 => "video/x-h265",
                Codec::Mjpeg => "image/jpeg",
            };
            values.push(("caps", caps.to_owned()));
        }
        Source::Test(test) => {
            values.push(("pattern", test.pattern.clone()));
            values.push(("live", test.live.to_string()));
            let frames = test.frames.map_or(-1, i64::from);
            values.push(("frames", frames.to_string()));
            values.push(("width", test.size.width.to_string()));
            values.push(("height", test.size.height.to_string()));
            values.push(("fps", test.fps.to_string()));
        }
        Source::File(_) | Source::Images(_) => {}
    }
    values
}

/// True if the path names a file or a play list.
fn is_recorded(http: &HttpSource) -> bool {
    let path = http.uri.path().to_ascii_lowercase();
    RECORDED_ENDINGS.iter().any(|ending| path.ends_with(ending))
}

/// True if frames of this source come in bursts and must be paced by the clock.
pub(super) fn is_bursty(source: &Source) -> bool {
    matches!(source, Source::Http(http) if is_recorded(http))
}

fn set_source(element: &gst::Element, source: &Source) -> Result<(), CaptureError> {
    match source {
        Source::File(path) => set_path(element, "location", path),
        Source::V4l2(path) => set_path(element, "device", path),
        Source::Images(path) => {
            if let Some(feed) = element.downcast_ref::<gst_app::AppSrc>() {
                ImageList::of_folder(path)?.feed(feed);
            }
            Ok(())
        }
        Source::Rtsp(rtsp) => {
            set(element, "location", rtsp.uri.as_str());
            set_login(element, rtsp.user.as_deref(), rtsp.password.as_ref());
            set_tls(element, rtsp)
        }
        Source::Http(http) => {
            set(element, "location", http.uri.as_str());
            set_login(element, http.user.as_deref(), http.password.as_ref());
            if let Some(path) = &http.tls_ca_file {
                set_path(element, "ssl-ca-file", path)?;
            }
            if http.tls_insecure && element.has_property("ssl-strict") {
                element.set_property("ssl-strict", false);
            }
            Ok(())
        }
        Source::Test(_) => Ok(()),
    }
}

/// Sets a text property if the element (which may be the user's own) has it.
fn set(element: &gst::Element, property: &str, value: &str) {
    if element.has_property_with_type(property, String::static_type()) {
        element.set_property(property, value);
    }
}

fn set_path(element: &gst::Element, property: &str, path: &Path) -> Result<(), CaptureError> {
    let text = path.to_str().ok_or_else(|| CaptureError::Unreadable {
        path: path.to_owned(),
        reason: "its name is not UTF-8".to_owned(),
    })?;
    set(element, property, text);
    Ok(())
}

fn set_login(element: &gst::Element, user: Option<&str>, password: Option<&Secret>) {
    if let Some(user) = user {
        set(element, "user-id", user);
    }
    if let Some(password) = password {
        set(element, "user-pw", password.expose());
    }
}

fn set_tls(element: &gst::Element, rtsp: &RtspSource) -> Result<(), CaptureError> {
    if rtsp.tls_insecure && element.has_property("tls-validation-flags") {
        element.set_property("tls-validation-flags", gio::TlsCertificateFlags::empty());
    }
    let Some(path) = &rtsp.tls_ca_file else {
        return Ok(());
    };
    let fault = |reason: String| CaptureError::Unreadable {
        path: path.clone(),
        reason,
    };
    // GIO wants an absolute path.
    let absolute = path
        .canonicalize()
        .map_err(|error| fault(describe(&error)))?;
    let database = gio::TlsFileDatabase::new(&absolute)
        .map_err(|error| fault(format!("not a certificate authority in PEM: {error}")))?;
    if element.has_property("tls-database") {
        element.set_property("tls-database", database.upcast::<gio::TlsDatabase>());
    }
    Ok(())
}
