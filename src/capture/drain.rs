//! After an error in a recording: what was read before it still becomes frames, or their number
//! would depend on how fast they are taken.

use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::outlet::Outlet;

/// How often it is asked whether anything moves.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Ticks without a working thread after which nothing will come.
const IDLE_TICKS: u32 = 3;

/// Without a frame for so long, and nothing waiting for the decoder, the source is dry.
const QUIET: Duration = Duration::from_secs(1);

/// Without a frame for so long the decoder is stuck.
const LONGEST: Duration = Duration::from_secs(10);

/// Watches a pipeline run dry.
#[derive(Debug)]
pub(super) struct Drain {
    quiet_since: Instant,
    idle_ticks: u32,
    has_ended: bool,
}

impl Drain {
    pub fn new() -> Self {
        Self {
            quiet_since: Instant::now(),
            idle_ticks: 0,
            has_ended: false,
        }
    }

    /// True once no frame will come any more; to be asked every [`TICK`].
    ///
    /// Elements that fail end the stream behind what they passed on; where none does, it is ended
    /// here, so that parser and decoder give what they hold back.
    pub fn is_dry(&mut self, pipeline: &gst::Pipeline, outlet: &Outlet) -> bool {
        self.idle_ticks = if is_read(pipeline) {
            0
        } else {
            self.idle_ticks + 1
        };
        if self.idle_ticks >= IDLE_TICKS {
            return true;
        }
        // While a frame waits for room, the last one came just now.
        if let Some(last) = outlet.last_frame() {
            self.quiet_since = self.quiet_since.max(last);
        }
        let quiet = self.quiet_since.elapsed();
        let is_quiet = quiet >= QUIET && waiting(pipeline) == 0;
        if is_quiet && !self.has_ended {
            self.has_ended = true;
            self.quiet_since = Instant::now();
            return !end_stream(pipeline);
        }
        is_quiet || quiet >= LONGEST
    }
}

/// Pictures that wait for the decoder.
fn waiting(pipeline: &gst::Pipeline) -> u32 {
    pipeline
        .by_name("decode")
        .filter(|queue| queue.has_property_with_type("current-level-buffers", u32::static_type()))
        .map_or(0, |queue| queue.property("current-level-buffers"))
}

/// Ends the stream before the decoder; false if there is none or it has ended.
fn end_stream(pipeline: &gst::Pipeline) -> bool {
    pipeline
        .by_name("entry")
        .and_then(|entry| entry.static_pad("sink"))
        .is_some_and(|pad| pad.send_event(gst::event::Eos::new()))
}

/// True while any thread of the pipeline works.
pub(super) fn is_read(pipeline: &gst::Pipeline) -> bool {
    pipeline
        .iterate_recurse()
        .into_iter()
        .flatten()
        .flat_map(|element| element.pads())
        .any(|pad| pad.task_state() == gst::TaskState::Started)
}
