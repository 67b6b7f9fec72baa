//! What can be said of a source before it is opened, and whose fault it is.

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::description::{parsed_pipeline, source_pipeline};
use super::images::describe;
use super::{CameraOptions, CaptureError, Source};
use crate::base::RunEnd;

/// Checks a camera as far as that is possible without opening a stream.
///
/// # Errors
/// [`CaptureError::Unreadable`] for a file, folder or device that is missing, empty or closed to
/// us; [`CaptureError`] for what the installation lacks and for a pipeline text that cannot be used.
pub fn check(options: &CameraOptions) -> Result<(), CaptureError> {
    check_installation(options)?;
    check_medium(&options.source)?;
    source_pipeline(options).map(drop)
}

/// The part of [`check`] that no waiting mends and that would fail for any source of this kind.
///
/// # Errors
/// As [`check`], without [`CaptureError::Unreadable`].
pub(super) fn check_installation(options: &CameraOptions) -> Result<(), CaptureError> {
    gst::init().map_err(CaptureError::Init)?;
    let pipeline = parsed_pipeline(options)?;
    let usable = ["frames", "streams", "source"]
        .iter()
        .any(|name| pipeline.by_name(name).is_some());
    if usable {
        return Ok(());
    }
    Err(CaptureError::Pipeline {
        name: options
            .pipeline
            .as_deref()
            .map_or_else(String::new, |path| path.display().to_string()),
        reason: "it needs an appsink with name=frames, or an element with name=streams whose pads are encoded streams".to_owned(),
    })
}

/// Looks for the file or device of a source; a folder is listed when it is opened.
///
/// # Errors
/// [`CaptureError::Unreadable`] for one that is missing, empty or closed to us.
pub(super) fn check_medium(source: &Source) -> Result<(), CaptureError> {
    match source {
        Source::File(path) => check_file(path),
        Source::V4l2(path) if !path.exists() => Err(CaptureError::Unreadable {
            path: path.clone(),
            reason: "no such device".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The end of a run that could not begin for `error`.
pub(super) fn reason_of(error: &CaptureError, source: &Source) -> RunEnd {
    match (error, source) {
        (CaptureError::Unreadable { .. }, source) if source.is_live() => RunEnd::Unreachable,
        (CaptureError::Unreadable { path, .. }, _) if !path.exists() => RunEnd::NotFound,
        _ => RunEnd::Undecodable,
    }
}

fn check_file(path: &Path) -> Result<(), CaptureError> {
    let fault = |reason: String| CaptureError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let about = std::fs::metadata(path).map_err(|error| fault(describe(&error)))?;
    std::fs::File::open(path).map_err(|error| fault(describe(&error)))?;
    if about.is_file() && about.len() == 0 {
        return Err(fault("the file is empty (0 bytes)".to_owned()));
    }
    Ok(())
}
