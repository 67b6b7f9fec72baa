//! Keeps what a camera sent, not re-encoded: a branch beside the decoder that may fail without
//! costing a frame.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use tracing::{debug, info, warn};

use super::branch_end::{descends_from, find, take_off, unlink};
use super::codecs::codec_of;
use super::{CameraOptions, CaptureError, RawRecord};
use crate::base::{CameraId, PipelineText, RawSegment, StreamClock, StreamTime, utc_now};

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
    pause_without_room(entry.upcast_ref(), &segments, raw, &options.clock);
    let (camera, record) = (options.id.clone(), raw.clone());
    let (clock, connection) = (Arc::clone(&options.clock), options.clock.connection());
    segments.connect("format-location-full", false, move |values| {
        let path = segment_path(&camera, &record);
        let first = values.get(2).and_then(|it| it.get::<gst::Sample>().ok());
        let location = path.to_str()?.to_value();
        note_segment(&clock, connection, path, first.as_ref());
        Some(location)
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

/// Notes where a segment that begins with `first` lies.
fn note_segment(clock: &StreamClock, connection: u32, path: PathBuf, first: Option<&gst::Sample>) {
    let time = first.and_then(|sample| {
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        segment.to_running_time(sample.buffer()?.pts()?)
    });
    let start = StreamTime {
        connection,
        time_ns: time.map_or(0, gst::ClockTime::nseconds),
    };
    clock.note_segment(RawSegment {
        path,
        start,
        end_ns: None,
    });
}

/// Keeps pictures from the branch until a key frame comes, and while there is no room for recordings.
/// What comes after that begins with a key frame in a segment of its own.
fn pause_without_room(
    entry: &gst::Pad,
    segments: &gst::Element,
    raw: &RawRecord,
    clock: &Arc<StreamClock>,
) {
    let (room, segments) = (Arc::clone(&raw.room), segments.downgrade());
    let clock = Arc::clone(clock);
    let (has_begun, is_pausing) = (AtomicBool::new(false), AtomicBool::new(true));
    // Not Drop: the binding has released the buffer then, and GStreamer complains of it.
    let left_out = gst::PadProbeReturn::Handled;
    entry.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(buffer) = info.buffer() else {
            return gst::PadProbeReturn::Ok;
        };
        if !room.is_for_recordings() {
            if !is_pausing.swap(true, Ordering::Relaxed) {
                clock.end_segment(running_time(pad, buffer));
            }
            info.data.take();
            return left_out;
        }
        let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if let Some(time_ns) = running_time(pad, buffer).filter(|_| is_key) {
            clock.note_key(time_ns);
        }
        if is_pausing.load(Ordering::Relaxed) {
            if !is_key {
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

/// When a buffer that passes `pad` is shown, ns.
fn running_time(pad: &gst::Pad, buffer: &gst::Buffer) -> Option<u64> {
    let event = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
    Some(segment.to_running_time(buffer.pts()?)?.nseconds())
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
    descends_from(message, BRANCH)
}

/// The segment that `message`, one of the recording, says is closed.
pub(super) fn closed_segment(message: &gst::Message) -> Option<PathBuf> {
    let structure = message.structure()?;
    let is_end = structure.name() == "splitmuxsink-fragment-closed" && is_from_raw(message);
    let location = structure.get::<&str>("location").ok()?;
    is_end.then(|| PathBuf::from(location))
}

/// Removes a segment that holds no picture: one that was ended before its first came.
pub(super) fn remove_empty(path: &Path) {
    match holds_pictures(path) {
        Ok(true) => {}
        Ok(false) => {
            if let Err(error) = std::fs::remove_file(path) {
                debug!(file = %path.display(), %error, "empty raw segment not removed");
            }
        }
        Err(error) => debug!(file = %path.display(), %error, "raw segment not looked at"),
    }
}

/// Does an MP4 hold media data? Looks at its boxes (ISO 14496-12, 4.2): size, type, contents.
fn holds_pictures(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut header = [0; 16];
    loop {
        match file.read_exact(&mut header[..8]) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
        let [a, b, c, d, kind @ ..] = header.first_chunk::<8>().copied().unwrap_or_default();
        let (size, head) = match u32::from_be_bytes([a, b, c, d]) {
            // The size follows, of 64 bits.
            1 => {
                file.read_exact(&mut header[8..])?;
                let size = header.last_chunk::<8>().copied().unwrap_or_default();
                (u64::from_be_bytes(size), 16)
            }
            // To the end of the file.
            0 => return Ok(&kind == b"mdat" && file.read(&mut header)? > 0),
            size => (u64::from(size), 8),
        };
        let contents = size.saturating_sub(head);
        if &kind == b"mdat" && contents > 0 {
            return Ok(true);
        }
        if size < head {
            return Ok(false);
        }
        file.seek_relative(i64::try_from(contents).unwrap_or(i64::MAX))?;
    }
}

/// Takes the recording off; frames go on.
pub(super) fn detach(pipeline: &gst::Pipeline, options: &CameraOptions) {
    options.clock.end_segment(None);
    if take_off(pipeline, BRANCH, &options.id)
        && let Some(last) = options.clock.last_segment()
    {
        remove_empty(&last);
    }
}

/// Hangs the recording onto a stream that is under way: it begins with the next key frame.
///
/// # Errors
/// As [`attach`].
pub(super) fn attach_again(
    pipeline: &gst::Pipeline,
    options: &CameraOptions,
) -> Result<(), CaptureError> {
    let tee = pipeline.by_name("encoded");
    let caps = tee
        .as_ref()
        .and_then(|tee| tee.static_pad("sink")?.current_caps());
    let bin = tee.and_then(|tee| tee.parent()?.downcast::<gst::Bin>().ok());
    match (bin, caps) {
        (Some(bin), Some(caps)) => attach(&bin, &codec_of(&caps), options),
        _ => Err(CaptureError::Pipeline {
            name: "record-raw.gst".to_owned(),
            reason: "nothing is decoded yet".to_owned(),
        }),
    }
}

/// Closes the last segment, so that it plays to its end.
pub(super) fn close(pipeline: &gst::Pipeline, camera: &CameraId) {
    let Some(branch) = find(pipeline, BRANCH) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_media_data_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        let brand: &[u8] = b"\0\0\0\x0cftypisom";
        let none: &[u8] = b"\0\0\0\x08mdat";
        let some: &[u8] = b"\0\0\0\x09mdatx";
        let long: &[u8] = b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x11x";
        for (boxes, holds) in [
            (vec![], false),
            (vec![brand], false),
            (vec![brand, none], false),
            (vec![brand, none, some], true),
            (vec![brand, long], true),
            (vec![b"\0\0\0\x02brok".as_slice()], false),
        ] {
            std::fs::write(&path, boxes.concat()).unwrap();
            assert_eq!(holds_pictures(&path).unwrap(), holds, "{boxes:?}");
        }
        remove_empty(&path);
        assert!(!path.exists());
    }
}
