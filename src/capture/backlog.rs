//! Keeps a live stream from falling behind: where the decoder is slower than the camera, encoded
//! pictures are left out up to a key frame, so that none is decoded without what it builds on.

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;

/// Encoded pictures of a live stream that may wait for the decoder: a stutter is bridged, more
/// would be delay.
pub(super) const LONGEST: Duration = Duration::from_secs(2);

/// The same by number, for streams without times; the queue itself holds more and never blocks.
const MOST: u32 = 120;

/// Room of the queue before the decoder of a live network stream.
pub(super) const QUEUE_FRAMES: u32 = 2 * MOST;

/// Leaves pictures out before `queue` while it holds too much; `on_left_out` is told of each.
pub(super) fn bound(queue: &gst::Element, on_left_out: impl Fn() + Send + Sync + 'static) {
    let Some(pad) = queue.static_pad("sink") else {
        return;
    };
    let queue = queue.downgrade();
    let is_skipping = std::sync::atomic::AtomicBool::new(false);
    let is_skipping = move |is_key: bool, is_full: bool| {
        use std::sync::atomic::Ordering::Relaxed;
        let skips = is_full || (is_skipping.load(Relaxed) && !is_key);
        is_skipping.store(skips, Relaxed);
        skips
    };
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let (Some(queue), Some(buffer)) = (queue.upgrade(), info.buffer()) else {
            return gst::PadProbeReturn::Ok;
        };
        let waiting_ns: u64 = queue.property("current-level-time");
        let is_full = u128::from(waiting_ns) >= LONGEST.as_nanos()
            || queue.property::<u32>("current-level-buffers") >= MOST;
        let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if is_skipping(is_key, is_full) {
            on_left_out();
            // Not Drop: the binding has released the buffer then, and GStreamer complains of it.
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use gstreamer_app as gst_app;

    use super::*;

    #[test]
    fn a_stuck_decoder_costs_whole_groups_and_no_more_than_two_seconds() {
        const PICTURES: u64 = 500;
        const GROUP: u64 = 25;
        gst::init().unwrap();
        let text = format!(
            "appsrc name=in format=time max-buffers=0 max-bytes=0 caps=video/x-h264 \
             ! queue name=decode max-size-buffers={QUEUE_FRAMES} max-size-bytes=0 max-size-time=0 \
             ! appsink name=out sync=false max-buffers=1"
        );
        let pipeline = gst::parse::launch(&text)
            .unwrap()
            .downcast::<gst::Pipeline>()
            .unwrap();
        let left_out = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&left_out);
        bound(&pipeline.by_name("decode").unwrap(), move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let [source, sink] = ["in", "out"].map(|name| pipeline.by_name(name).unwrap());
        let source = source.downcast::<gst_app::AppSrc>().unwrap();
        let sink = sink.downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let push = |numbers: std::ops::Range<u64>| {
            for number in numbers {
                let mut buffer = gst::Buffer::with_size(8).unwrap();
                let fields = buffer.get_mut().unwrap();
                fields.set_pts(gst::ClockTime::from_mseconds(40 * number));
                if number % GROUP != 0 {
                    fields.set_flags(gst::BufferFlags::DELTA_UNIT);
                }
                source.push_buffer(buffer).unwrap();
            }
        };
        let number_of =
            |sample: gst::Sample| sample.buffer().unwrap().pts().unwrap().mseconds() / 40;
        // Nobody takes a picture: the queue fills, the rest is left out without blocking.
        push(0..PICTURES);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while source.current_level_buffers() > 0 {
            assert!(std::time::Instant::now() < deadline);
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let mut taken = vec![number_of(sink.pull_sample().unwrap())];
        // The decoder works again; its stream goes on with a key frame.
        while let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(300)) {
            taken.push(number_of(sample));
        }
        push(PICTURES - 5..PICTURES + 1);
        taken.push(number_of(sink.pull_sample().unwrap()));
        // The queue measures from the last picture that left it: only now does the gap not count.
        push(PICTURES + 1..PICTURES + GROUP);
        source.end_of_stream().unwrap();
        while let Ok(sample) = sink.pull_sample() {
            taken.push(number_of(sample));
        }
        pipeline.set_state(gst::State::Null).unwrap();
        // 2 s of 40 ms, and one each in appsink and in the hands of the queue.
        let before = taken
            .iter()
            .take_while(|number| **number < PICTURES)
            .count();
        assert!((50..=54).contains(&before), "{taken:?}");
        assert_eq!(
            taken[before..],
            (PICTURES..PICTURES + GROUP).collect::<Vec<_>>()
        );
        let pushed = PICTURES + GROUP + 5;
        assert_eq!(
            left_out.load(Ordering::Relaxed),
            pushed - taken.len() as u64
        );
    }
}
