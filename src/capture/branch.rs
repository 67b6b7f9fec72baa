//! What hangs behind a source: picks the first video stream, builds its decoder, and hands every
//! decoded sample to the outlet. All of it runs on GStreamer's streaming threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use tracing::warn;

use super::codecs::{chain_for, codec_of, is_turned, is_video, is_wanted};
use super::description::{decode_bin, is_bursty};
use super::frames::running_time;
use super::outlet::{Delivery, Outlet};
use super::session::SessionEvent;
use super::{CameraOptions, CaptureError, Source, StatusHandle, backlog, packets, raw};
use crate::base::UtcNanos;

/// Threads of a software decoder of a live source: frame threads would each hold a frame back.
const LIVE_THREADS: u32 = 1;

/// Encoded pictures that may wait for the decoder of a source that waits.
const QUEUE_FRAMES: u32 = 8;

/// Threads of a software decoder of a file.
const FILE_THREADS: u32 = 2;

/// A picture on its way for longer has a time that is not to be believed.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// One connection's decoding, shared by the callbacks of its pipeline.
pub(super) struct Branch {
    options: CameraOptions,
    outlet: Arc<Outlet>,
    status: StatusHandle,
    events: Sender<SessionEvent>,
    recorded: Arc<AtomicBool>,
    linked: AtomicBool,
    has_first: AtomicBool,
    /// Number of the RTSP stream that was chosen.
    selected: Mutex<Option<u32>>,
}

impl Branch {
    pub fn new(
        options: CameraOptions,
        outlet: Arc<Outlet>,
        status: StatusHandle,
        events: Sender<SessionEvent>,
        recorded: Arc<AtomicBool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            options,
            outlet,
            status,
            events,
            recorded,
            linked: AtomicBool::new(false),
            has_first: AtomicBool::new(false),
            selected: Mutex::new(None),
        })
    }

    /// Hangs the callbacks onto `pipeline`.
    ///
    /// # Errors
    /// [`CaptureError::Pipeline`] if it has neither frames nor streams.
    pub fn attach(self: &Arc<Self>, pipeline: &gst::Pipeline) -> Result<(), CaptureError> {
        let branch = Arc::clone(self);
        pipeline.connect_deep_element_added(move |_, _, element| branch.look_at(element));
        if let Some(sink) = pipeline.by_name("frames") {
            self.linked.store(true, Ordering::Release);
            self.tell(SessionEvent::VideoFound);
            return self.take_frames(&sink);
        }
        let streams = pipeline
            .by_name("streams")
            .or_else(|| pipeline.by_name("source"))
            .ok_or_else(|| self.fault("it has no element named frames, streams or source"))?;
        if glib::subclass::SignalId::lookup("select-stream", streams.type_()).is_some() {
            let branch = Arc::clone(self);
            streams.connect("select-stream", false, move |values| {
                let number = values.get(1).and_then(|value| value.get::<u32>().ok());
                let caps = values
                    .get(2)
                    .and_then(|value| value.get::<gst::Caps>().ok());
                Some(branch.selects(number?, &caps?).to_value())
            });
        }
        let (branch, target) = (Arc::clone(self), pipeline.downgrade());
        streams.connect_pad_added(move |_, pad| {
            if let Some(pipeline) = target.upgrade() {
                branch.on_pad(&pipeline, pad);
            }
        });
        let branch = Arc::clone(self);
        streams.connect_no_more_pads(move |_| {
            if !branch.linked.load(Ordering::Acquire) {
                branch.tell(SessionEvent::NoVideo);
            }
        });
        Ok(())
    }

    fn fault(&self, reason: &str) -> CaptureError {
        CaptureError::Pipeline {
            name: self.options.id.to_string(),
            reason: reason.to_owned(),
        }
    }

    fn tell(&self, event: SessionEvent) {
        // When full, what decides the end is in it already.
        drop(self.events.try_send(event));
    }

    /// Takes the first wanted stream that an RTSP source announces; it may ask again.
    fn selects(&self, number: u32, caps: &gst::Caps) -> bool {
        let mut selected = self.selected.lock().unwrap_or_else(PoisonError::into_inner);
        if selected.is_none() && is_wanted(caps, self.options.codec) {
            *selected = Some(number);
        }
        self.tell_other_codec(caps);
        *selected == Some(number)
    }

    fn tell_other_codec(&self, caps: &gst::CapsRef) {
        if is_video(caps) && !is_wanted(caps, self.options.codec) {
            self.tell(SessionEvent::OtherCodec(codec_of(caps)));
        }
    }

    fn on_pad(&self, pipeline: &gst::Pipeline, pad: &gst::Pad) {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let wanted = if self.is_live() {
            is_wanted(&caps, self.options.codec)
        } else {
            is_video(&caps)
        };
        if !wanted {
            self.tell_other_codec(&caps);
            return self.tell(SessionEvent::OtherFound);
        }
        if self.linked.swap(true, Ordering::AcqRel) {
            return;
        }
        match self.link(pipeline, pad, &caps) {
            Ok(()) => self.tell(SessionEvent::VideoFound),
            Err(error) => self.tell(SessionEvent::Fault(error)),
        }
    }

    fn is_live(&self) -> bool {
        self.options.source.is_live()
    }

    fn link(
        &self,
        pipeline: &gst::Pipeline,
        pad: &gst::Pad,
        caps: &gst::Caps,
    ) -> Result<(), CaptureError> {
        let default = if self.is_live() {
            LIVE_THREADS
        } else {
            FILE_THREADS
        };
        let threads = self.options.decode_threads.unwrap_or(default);
        let on_card = self.options.card.is_some() && !is_turned(pad);
        let chain = chain_for(caps, self.options.decode, threads, on_card)?;
        self.status.update(|status| {
            status.codec = Some(codec_of(caps));
            status.decoder = None;
            status.decode = Some(chain.family);
        });
        // A camera does not wait; all others do, or (V4L2) leave out whole pictures by themselves.
        let is_bounded = matches!(self.options.source, Source::Rtsp(_)) && !self.options.lossless;
        let bin = decode_bin(
            &chain.depay,
            &chain.decoder,
            if is_bounded {
                backlog::QUEUE_FRAMES
            } else {
                QUEUE_FRAMES
            },
            is_bursty(&self.options.source),
            chain.on_card,
        )?;
        let sink = bin
            .by_name("frames")
            .ok_or_else(|| self.fault("no appsink named frames"))?;
        self.take_frames(&sink)?;
        if let (true, Some(queue)) = (is_bounded, bin.by_name("decode")) {
            let outlet = Arc::clone(&self.outlet);
            backlog::bound(&queue, move || outlet.count_left_out());
        }
        pipeline
            .add(&bin)
            .map_err(|error| self.fault(&error.to_string()))?;
        let entry = bin
            .static_pad("sink")
            .ok_or_else(|| self.fault("decoding has no entry"))?;
        bin.sync_state_with_parent()
            .map_err(|error| self.fault(&error.to_string()))?;
        if let Err(error) = raw::attach(&bin, &chain.codec, &self.options) {
            self.tell(SessionEvent::Warning(error.to_string()));
            warn!(camera = %self.options.id, %error, "raw recording is off, frames go on");
        }
        if let Err(error) = packets::attach(&bin, &chain.codec, &self.options) {
            self.tell(SessionEvent::Warning(error.to_string()));
            warn!(camera = %self.options.id, %error, "events have no clips, frames go on");
        }
        pad.link(&entry)
            .map_err(|error| self.fault(&format!("{error} between stream and decoder")))?;
        Ok(())
    }

    /// Hands the samples of `sink` to the outlet.
    fn take_frames(&self, sink: &gst::Element) -> Result<(), CaptureError> {
        let sink = sink
            .downcast_ref::<gst_app::AppSink>()
            .ok_or_else(|| self.fault("the element named frames is no appsink"))?;
        let taker = Taker {
            outlet: Arc::clone(&self.outlet),
            status: self.status.clone(),
            events: self.events.clone(),
            recorded: Arc::clone(&self.recorded),
            source: self.options.source.clone(),
            start_utc: self.options.start_utc,
            has_first: false,
        };
        sink.set_callbacks(taker.callbacks());
        Ok(())
    }

    /// Notes which element decodes, and keeps a decoder that was found by rank on few threads.
    fn look_at(&self, element: &gst::Element) {
        let Some(factory) = element.factory() else {
            return;
        };
        let class = factory.klass();
        if !class.starts_with("Codec/Decoder/") || class.contains("Audio") {
            return;
        }
        self.status
            .update(|status| status.decoder = Some(factory.name().to_string()));
        if self.has_first.swap(true, Ordering::AcqRel) {
            return;
        }
        if element.has_property_with_type("max-threads", i32::static_type())
            && element.property::<i32>("max-threads") == 0
        {
            let default = if self.is_live() {
                LIVE_THREADS
            } else {
                FILE_THREADS
            };
            let threads = self.options.decode_threads.unwrap_or(default);
            element.set_property("max-threads", i32::try_from(threads).unwrap_or(1));
        }
    }
}

/// Takes samples from the appsink of one connection.
struct Taker {
    outlet: Arc<Outlet>,
    status: StatusHandle,
    events: Sender<SessionEvent>,
    recorded: Arc<AtomicBool>,
    source: Source,
    start_utc: Option<UtcNanos>,
    has_first: bool,
}

impl Taker {
    fn callbacks(mut self) -> gst_app::AppSinkCallbacks {
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| self.take(sink))
            .build()
    }

    fn take(&mut self, sink: &gst_app::AppSink) -> Result<gst::FlowSuccess, gst::FlowError> {
        let sample = sink.pull_sample().or(Err(gst::FlowError::Eos))?;
        let is_first = !std::mem::replace(&mut self.has_first, true);
        if is_first {
            self.before_first(sink);
        }
        let delivery = self.outlet.deliver(&sample, self.waited(sink, &sample));
        if is_first {
            drop(self.events.try_send(SessionEvent::FirstFrame));
        }
        match delivery {
            Delivery::Done => Ok(gst::FlowSuccess::Ok),
            Delivery::Last => {
                drop(self.events.try_send(SessionEvent::Enough));
                Err(gst::FlowError::Eos)
            }
            Delivery::Closed => Err(gst::FlowError::Flushing),
        }
    }

    /// How long ago the picture of a camera came to this machine: through the jitter buffer, the queue and
    /// the decoder. Other sources do not stamp pictures with the time at which they came.
    fn waited(&self, sink: &gst_app::AppSink, sample: &gst::Sample) -> Duration {
        if !matches!(self.source, Source::Rtsp(_) | Source::V4l2(_)) {
            return Duration::ZERO;
        }
        let came = sample.buffer().and_then(|it| running_time(sample, it));
        let now = sink.current_running_time().map(gst::ClockTime::nseconds);
        let waited = came
            .zip(now)
            .map_or(0, |(came, now)| now.saturating_sub(came));
        Some(Duration::from_nanos(waited))
            .filter(|it| *it <= LONGEST_WAIT)
            .unwrap_or_default()
    }

    /// What is known only when the first picture is there: length and creation time.
    fn before_first(&self, sink: &gst_app::AppSink) {
        let duration = sink
            .query_duration::<gst::ClockTime>()
            .filter(|d| !d.is_zero());
        self.status.update(|status| {
            status.duration = duration.map(|d| Duration::from_nanos(d.nseconds()));
        });
        match self.source {
            // A recording on a server: every frame of it counts, at its own pace.
            Source::Http(_) if duration.is_some() => {
                self.recorded.store(true, Ordering::Release);
                sink.set_property("sync", false);
                self.outlet
                    .set_recorded(self.start_utc.or_else(|| creation_time(sink)));
            }
            Source::File(_) => {
                self.outlet
                    .set_recorded_utc(self.start_utc.or_else(|| creation_time(sink)));
            }
            _ => {}
        }
    }
}

/// The creation time that the container holds, from the tags that came with the stream.
fn creation_time(sink: &gst_app::AppSink) -> Option<UtcNanos> {
    let pad = sink.static_pad("sink")?;
    let mut found = None;
    pad.sticky_events_foreach(|event| {
        if let gst::EventView::Tag(tag) = event.view() {
            let time = tag
                .tag()
                .get::<gst::tags::DateTime>()
                .map(|value| value.get());
            found = found.or_else(|| time.and_then(|time| utc_of(&time)));
        }
        std::ops::ControlFlow::Continue(gst::EventForeachAction::Keep)
    });
    found
}

fn utc_of(time: &gst::DateTime) -> Option<UtcNanos> {
    if !time.has_time() {
        return None;
    }
    let time = time.to_g_date_time().ok()?;
    let nanos = i64::from(time.microsecond()).checked_mul(1000)?;
    time.to_unix()
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
        .map(UtcNanos)
}
