//! Keeps what a camera sent, not re-encoded: a branch beside the decoder that may fail without
//! costing a frame.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use tracing::{info, warn};

use super::{CameraOptions, CaptureError, RawRecord};
use crate::base::{CameraId, PipelineText, utc_now};

/// Name of the branch in its pipeline.
const BRANCH: &str = "raw-branch";

/// Codecs that can be kept.
const KEPT: [&str; 2] = ["h264", "h265"];

/// How long the last segment may take to be closed.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Hangs the recording of `options.raw` onto the stream that `decoding`, already started, decodes.
///
/// # Errors
/// [`CaptureError::Pipeline`] if the branch cannot be built; frames are not affected.
pub(super) fn attach(
    decoding: &gst::Bin,
    codec: &str,
    options: &CameraOptions,
) -> Result<(), CaptureError> {
    let Some(raw) = &options.raw else {
        return Ok(());
    };
    let fault = |reason: String| CaptureError::Pipeline {
        name: "record-raw.gst".to_owned(),
        reason,
    };
    if !KEPT.contains(&codec) {
        return Err(fault(format!(
            "raw recording keeps {}, this stream is {codec}",
            KEPT.join(" and ")
        )));
    }
    std::fs::create_dir_all(&raw.folder).map_err(|error| CaptureError::Unreadable {
        path: raw.folder.clone(),
        reason: super::images::describe(&error),
    })?;
    let segment_ns = u64::from(raw.segment_secs.max(1)) * 1_000_000_000;
    let text = PipelineText::new(
        "record-raw.gst",
        include_str!("../../pipelines/record-raw.gst"),
    )
    .fill(&[("segment_ns", &segment_ns.to_string())])?;
    let branch = gst::parse::bin_from_description_with_name(&text, false, BRANCH)
        .map_err(|error| fault(error.to_string()))?;
    let entry = super::description::add_entry(&branch, "raw")
        .ok_or_else(|| fault("it needs an element named raw".to_owned()))?;
    let segments = branch
        .by_name("segments")
        .ok_or_else(|| fault("it needs an element named segments".to_owned()))?;
    pause_without_room(entry.upcast_ref(), &segments, raw);
    let (camera, record) = (options.id.clone(), raw.clone());
    segments.connect("format-location-full", false, move |_| {
        Some(segment_path(&camera, &record).to_str()?.to_value())
    });
    let tee = decoding
        .by_name("encoded")
        .ok_or_else(|| fault("there is no tee named encoded".to_owned()))?;
    decoding
        .add(&branch)
        .map_err(|error| fault(error.to_string()))?;
    tee.link(&branch)
        .map_err(|error| fault(error.to_string()))?;
    branch
        .sync_state_with_parent()
        .map_err(|error| fault(error.to_string()))?;
    Ok(())
}

/// Keeps pictures from the branch while there is no room for recordings. What comes after that begins
/// with a key frame in a segment of its own.
fn pause_without_room(entry: &gst::Pad, segments: &gst::Element, raw: &RawRecord) {
    let (room, segments) = (Arc::clone(&raw.room), segments.downgrade());
    let (has_begun, is_pausing) = (AtomicBool::new(false), AtomicBool::new(false));
    // Not Drop: the binding has released the buffer then, and GStreamer complains of it.
    let left_out = gst::PadProbeReturn::Handled;
    entry.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(buffer) = info.buffer() else {
            return gst::PadProbeReturn::Ok;
        };
        if !room.is_for_recordings() {
            is_pausing.store(true, Ordering::Relaxed);
            info.data.take();
            return left_out;
        }
        if is_pausing.load(Ordering::Relaxed) {
            if buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
                info.data.take();
                return left_out;
            }
            is_pausing.store(false, Ordering::Relaxed);
            if has_begun.load(Ordering::Relaxed)
                && let Some(segments) = segments.upgrade()
            {
                segments.emit_by_name::<()>("split-after", &[]);
            }
        }
        has_begun.store(true, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
}

/// `<camera>_<yyyymmddThhmmssZ>_raw.mp4`, numbered if there is such a file already.
fn segment_path(camera: &CameraId, raw: &RawRecord) -> PathBuf {
    let kept = |c: char| {
        if c.is_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let camera: String = camera.as_str().chars().map(kept).collect();
    let stem = format!("{camera}_{}", utc_now().file_stamp());
    let first = raw.folder.join(format!("{stem}_raw.mp4"));
    if !first.exists() {
        return first;
    }
    (2..)
        .map(|number: u32| raw.folder.join(format!("{stem}-{number}_raw.mp4")))
        .find(|path| !path.exists())
        .unwrap_or(first)
}

/// True if `message` comes from the recording.
pub(super) fn is_from_raw(message: &gst::Message) -> bool {
    message.src().is_some_and(|source| {
        source.name() == BRANCH || {
            let mut parent = source.parent();
            loop {
                match parent {
                    Some(object) if object.name() == BRANCH => break true,
                    Some(object) => parent = object.parent(),
                    None => break false,
                }
            }
        }
    })
}

/// Takes the recording off; frames go on.
pub(super) fn detach(pipeline: &gst::Pipeline, camera: &CameraId, reason: &str) {
    let Some(branch) = find(pipeline) else {
        return;
    };
    warn!(camera = %camera, reason, "raw recording failed and is off for this run, frames go on");
    unlink(&branch);
    branch.set_locked_state(true);
    if let Err(error) = branch.set_state(gst::State::Null) {
        warn!(camera = %camera, %error, "shutting raw recording down");
    }
    if let Some(bin) = branch
        .parent()
        .and_then(|parent| parent.downcast::<gst::Bin>().ok())
    {
        bin.remove(&branch).ok();
    }
}

/// Closes the last segment, so that it plays to its end.
pub(super) fn close(pipeline: &gst::Pipeline, camera: &CameraId) {
    let Some(branch) = find(pipeline) else {
        return;
    };
    unlink(&branch);
    let Some(entry) = branch.static_pad("sink") else {
        return;
    };
    // The segment is closed when the end of the stream has reached the file.
    let (told, closed) = crossbeam_channel::bounded(1);
    let file_pads: Vec<gst::Pad> = branch
        .iterate_recurse()
        .into_iter()
        .flatten()
        .filter(|element| !element.is::<gst::Bin>() && element.num_src_pads() == 0)
        .flat_map(|element| element.sink_pads())
        .collect();
    for pad in file_pads {
        let told = told.clone();
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if info
                .event()
                .is_some_and(|event| event.type_() == gst::EventType::Eos)
            {
                told.try_send(()).ok();
            }
            gst::PadProbeReturn::Ok
        });
    }
    let began = Instant::now();
    entry.send_event(gst::event::Eos::new());
    if closed.recv_timeout(CLOSE_WAIT).is_err() {
        warn!(camera = %camera, "the last raw segment was not closed in time; it plays to its last second");
    } else {
        info!(camera = %camera, took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(0), "raw recording closed");
    }
}

fn find(pipeline: &gst::Pipeline) -> Option<gst::Bin> {
    pipeline.by_name(BRANCH)?.downcast().ok()
}

/// Takes `branch` off its tee; without waiting for a buffer that is on its way.
fn unlink(branch: &gst::Bin) {
    let Some(entry) = branch.static_pad("sink") else {
        return;
    };
    if let Some(exit) = entry.peer() {
        exit.unlink(&entry).ok();
        if let Some(tee) = exit.parent_element() {
            tee.release_request_pad(&exit);
        }
    }
}
