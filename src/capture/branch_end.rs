//! How a branch beside the decoder is told from the rest, and taken off.

use gstreamer as gst;
use gstreamer::prelude::*;
use tracing::warn;

use crate::base::CameraId;

/// True if `message` comes from the branch of this name.
pub(super) fn descends_from(message: &gst::Message, branch: &str) -> bool {
    message.src().is_some_and(|source| {
        let mut object = Some(source.clone());
        while let Some(it) = object {
            if it.name() == branch {
                return true;
            }
            object = it.parent();
        }
        false
    })
}

/// The branch of this name, while it is there.
pub(super) fn find(pipeline: &gst::Pipeline, branch: &str) -> Option<gst::Bin> {
    pipeline.by_name(branch)?.downcast().ok()
}

/// Takes the branch of this name off its tee and out of the pipeline; false if there is none.
pub(super) fn take_off(pipeline: &gst::Pipeline, branch: &str, camera: &CameraId) -> bool {
    let Some(branch) = find(pipeline, branch) else {
        return false;
    };
    unlink(&branch);
    branch.set_locked_state(true);
    if let Err(error) = branch.set_state(gst::State::Null) {
        warn!(camera = %camera, branch = %branch.name(), %error, "shutting a branch down");
    }
    if let Some(bin) = branch
        .parent()
        .and_then(|parent| parent.downcast::<gst::Bin>().ok())
    {
        bin.remove(&branch).ok();
    }
    true
}

/// Takes `branch` off its tee; without waiting for a buffer that is on its way.
pub(super) fn unlink(branch: &gst::Bin) {
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
