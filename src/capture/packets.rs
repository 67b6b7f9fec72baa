//! Keeps the newest of what a camera sent for clips and live video: a branch beside the decoder that may fail without
//! costing a frame.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use tracing::warn;

use super::branch_end::{descends_from, take_off};
use super::{CameraOptions, CaptureError, codecs};
use crate::base::{CameraId, Packet, PacketRing, PipelineText};

/// Name of the branch in its pipeline.
const BRANCH: &str = "clip-branch";

/// Name of its text.
const TEXT: &str = "capture-packets.gst";

/// Fills the ring of `options` from the stream that `decoding`, already started, decodes.
///
/// # Errors
/// [`CaptureError::Pipeline`] if the branch cannot be built; frames are not affected.
pub(super) fn attach(
    decoding: &gst::Bin,
    codec: &str,
    options: &CameraOptions,
) -> Result<(), CaptureError> {
    let Some(ring) = &options.packets else {
        return Ok(());
    };
    let fault = |reason: String| CaptureError::Pipeline {
        name: TEXT.to_owned(),
        reason,
    };
    let film = codecs::film(codec).ok_or_else(|| {
        fault(format!(
            "clips and live video need h264 or h265, this stream is {codec}"
        ))
    })?;
    let text = PipelineText::new(TEXT, include_str!("../../pipelines/capture-packets.gst"))
        .fill(&[("film", film)])?;
    let branch = gst::parse::bin_from_description_with_name(&text, false, BRANCH)
        .map_err(|error| fault(error.to_string()))?;
    super::description::add_entry(&branch, "clip")
        .ok_or_else(|| fault("it needs an element named clip".to_owned()))?;
    let sink = branch
        .by_name("packets")
        .and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
        .ok_or_else(|| fault("it needs an appsink named packets".to_owned()))?;
    sink.set_callbacks(taker(Arc::clone(ring), options.clock.connection()));
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
        .map_err(|error| fault(error.to_string()))
}

/// Puts every picture into the ring; one without a time cannot be placed and is left out.
fn taker(ring: Arc<PacketRing>, connection: u32) -> gst_app::AppSinkCallbacks {
    let mut format: Option<(gst::Caps, Arc<str>)> = None;
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().or(Err(gst::FlowError::Eos))?;
            let is_known = |(caps, _): &&(gst::Caps, Arc<str>)| {
                sample.caps().is_some_and(|now| *now == **caps)
            };
            if format.as_ref().filter(is_known).is_none() {
                let caps = sample.caps_owned();
                format = caps.map(|caps| (caps.clone(), Arc::from(caps.to_string())));
            }
            if let Some((_, format)) = &format
                && let Some(packet) = packet(&sample, connection, format)
            {
                ring.push(packet);
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

fn packet(sample: &gst::Sample, connection: u32, format: &Arc<str>) -> Option<Packet> {
    let buffer = sample.buffer()?;
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let time = segment.to_running_time(buffer.pts()?)?.nseconds();
    let decode = buffer.dts().and_then(|dts| segment.to_running_time(dts));
    let bytes = buffer.map_readable().ok()?;
    Some(Packet {
        number: 0,
        connection,
        time_ns: time,
        decode_ns: decode.map_or(time, |decode| decode.nseconds().min(time)),
        is_key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
        format: Arc::clone(format),
        data: Arc::from(bytes.as_slice()),
    })
}

/// True if `message` comes from this branch.
pub(super) fn is_from_packets(message: &gst::Message) -> bool {
    descends_from(message, BRANCH)
}

/// Takes the branch off; frames go on.
pub(super) fn detach(pipeline: &gst::Pipeline, camera: &CameraId, reason: &str) {
    if take_off(pipeline, BRANCH, camera) {
        warn!(camera = %camera, reason, "no clips and no live video in this run, frames go on");
    }
}
