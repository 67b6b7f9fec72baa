//! One connection of a camera: start, watch, name the end, shut down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use gstreamer as gst;
use gstreamer::prelude::*;
use tracing::{debug, info, warn};

use super::branch::Branch;
use super::check::{check_medium, reason_of};
use super::description::source_pipeline;
use super::drain::{self, Drain, is_read};
use super::ending::{NO_VIDEO, Progress, Report, forward};
use super::outlet::{Outlet, UtcRule};
use super::raw_retry::{RawRetry, RawStep};
use super::reach::{Door, SeenDoor};
use super::{CameraOptions, CaptureError, StatusHandle, packets, raw};
use crate::base::{RunEnd, Stop};
use crate::card::Card;

/// Messages of one connection that may wait; more are of no use, the first decides.
const EVENTS: usize = 64;

/// How long an error may take to reach the bus after a state change failed.
const ERROR_WAIT: Duration = Duration::from_secs(2);

/// Pictures may end so much before the announced length without a word.
const CUT_OFF_SLACK: Duration = Duration::from_millis(500);

/// The longest sleep of the watch.
const TICK: Duration = Duration::from_millis(500);

/// A file that nobody reads any more for so many ticks has failed without a word: an error that a
/// demuxer reports in the instant it is plugged in can be lost.
const IDLE_TICKS: u32 = 3;

/// What the streaming threads and the bus tell the session.
#[derive(Debug)]
pub(super) enum SessionEvent {
    /// GStreamer gave up.
    Error(Report),
    /// Something is wrong, it goes on.
    Warning(String),
    /// The stream is over.
    EndOfStream,
    /// A video stream was found and its decoder built.
    VideoFound,
    /// The raw recording failed; frames go on.
    RawFailed(String),
    /// The packets for clips cannot be kept; frames go on.
    PacketsFailed(String),
    /// A stream that is no video was found.
    OtherFound,
    /// Video was found that is coded in this way, not as `codec` says.
    OtherCodec(String),
    /// Decoding cannot be built.
    Fault(CaptureError),
    /// All streams are known and none is video.
    NoVideo,
    /// The first frame came.
    FirstFrame,
    /// As many frames as wanted came.
    Enough,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub reason: RunEnd,
    /// What went wrong, for the operator.
    pub error: Option<CaptureError>,
    /// At least one frame came.
    pub had_frames: bool,
    /// As many frames as wanted came.
    pub enough: bool,
    /// The host answers again, but this connection was begun before and would notice late.
    pub is_back: bool,
}

/// Everything one connection works with.
pub(super) struct Session<'a> {
    options: &'a CameraOptions,
    door: SeenDoor<'a>,
    outlet: &'a Arc<Outlet>,
    status: &'a StatusHandle,
    stop: &'a Stop,
    started: Instant,
    progress: Progress,
    video_since: Option<Instant>,
    /// Frames come from a medium with an end: EOS is its end, not a loss.
    recorded: Arc<AtomicBool>,
    warning: Option<String>,
    /// How the video is coded that `codec` does not want.
    other_codec: Option<String>,
    raw_retry: RawRetry,
}

/// Runs one connection until it ends.
pub(super) fn run(
    options: &CameraOptions,
    door: SeenDoor<'_>,
    outlet: &Arc<Outlet>,
    status: &StatusHandle,
    stop: &Stop,
) -> Ended {
    let live = options.source.is_live();
    let session = Session {
        options,
        door,
        outlet,
        status,
        stop,
        started: Instant::now(),
        progress: Progress {
            live,
            ..Progress::default()
        },
        video_since: None,
        recorded: Arc::new(AtomicBool::new(!live)),
        warning: None,
        other_codec: None,
        raw_retry: RawRetry::default(),
    };
    session.run()
}

impl Session<'_> {
    fn run(mut self) -> Ended {
        let utc = if self.progress.live {
            UtcRule::Live
        } else {
            UtcRule::Media(self.options.start_utc)
        };
        let run = self.outlet.open(self.options.lossless, utc);
        let _run = tracing::error_span!("run", number = run.0).entered();
        debug!(source = %self.options.source, "opening");
        let (sender, events) = bounded(EVENTS);
        let pipeline = match self.build(&sender) {
            Ok(pipeline) => pipeline,
            Err(error) => {
                self.outlet.close();
                let reason = reason_of(&error, &self.options.source);
                return self.ended(reason, Some(error));
            }
        };
        let mut ended = match pipeline.set_state(gst::State::Playing) {
            Ok(_) => self.watch(&events, &pipeline),
            Err(_) => self.after_refusal(&events),
        };
        self.outlet.close();
        raw::close(&pipeline, &self.options.id);
        if let Err(error) = pipeline.set_state(gst::State::Null) {
            warn!(%error, "shutting the pipeline down");
        }
        if let Some(bus) = pipeline.bus() {
            bus.unset_sync_handler();
        }
        if self.options.raw.is_some()
            && let Some(last) = self.options.clock.last_segment()
        {
            raw::remove_empty(&last);
        }
        ended.had_frames = self.outlet.last_frame().is_some();
        ended
    }

    /// Takes the raw recording off until it is tried again.
    fn raw_failed(&mut self, pipeline: &gst::Pipeline, reason: &str) {
        let camera = &self.options.id;
        raw::detach(pipeline, self.options);
        if self.raw_retry.failed(Instant::now()) {
            warn!(%camera, reason, "raw recording failed, frames go on; it is tried again when there is room");
        } else {
            debug!(%camera, reason, "raw recording still fails");
        }
    }

    /// Tries a raw recording that failed again, if it is time.
    fn retry_raw(&mut self, pipeline: &gst::Pipeline) {
        let Some(raw) = &self.options.raw else {
            return;
        };
        let camera = &self.options.id;
        match self
            .raw_retry
            .step(Instant::now(), raw.room.is_for_recordings())
        {
            RawStep::Wait => {}
            RawStep::Recovered => info!(%camera, "raw recording works again"),
            RawStep::Try => {
                if let Err(error) = raw::attach_again(pipeline, self.options) {
                    self.raw_failed(pipeline, &error.to_string());
                }
            }
        }
    }

    fn build(&self, events: &Sender<SessionEvent>) -> Result<gst::Pipeline, CaptureError> {
        check_medium(&self.options.source)?;
        let pipeline = source_pipeline(self.options)?;
        if let Some(device) = self.options.card {
            pipeline.set_context(&Card::open(device)?.gst_context()?);
        }
        let bus = pipeline.bus().ok_or_else(|| CaptureError::Pipeline {
            name: self.options.id.to_string(),
            reason: "it has no bus".to_owned(),
        })?;
        let sender = events.clone();
        bus.set_sync_handler(move |_, message| {
            forward(message, &sender);
            gst::BusSyncReply::Drop
        });
        let branch = Branch::new(
            self.options.clone(),
            Arc::clone(self.outlet),
            self.status.clone(),
            events.clone(),
            Arc::clone(&self.recorded),
        );
        branch.attach(&pipeline)?;
        Ok(pipeline)
    }

    /// Playing was refused: the reason is on its way over the bus.
    fn after_refusal(&mut self, events: &Receiver<SessionEvent>) -> Ended {
        let deadline = Instant::now() + ERROR_WAIT;
        while let Ok(event) = events.recv_deadline(deadline) {
            if let Some(ended) = self.handle(event) {
                return ended;
            }
        }
        let reason = if self.progress.live {
            RunEnd::Unreachable
        } else {
            RunEnd::Undecodable
        };
        self.failed(reason, "the pipeline does not start".to_owned())
    }

    fn watch(&mut self, events: &Receiver<SessionEvent>, pipeline: &gst::Pipeline) -> Ended {
        let mut idle_ticks = 0;
        let [told, told_too] = self.stop.channels();
        loop {
            let wait = match self.overdue() {
                Ok(left) => left.min(TICK),
                Err(ended) => return *ended,
            };
            self.retry_raw(pipeline);
            if !self.progress.has_stream && self.door.is_missed() {
                let mut ended = self.failed(RunEnd::NoAnswer, "it was away and is back".to_owned());
                ended.is_back = true;
                return ended;
            }
            select! {
                recv(events) -> event => match event {
                    Ok(SessionEvent::RawFailed(reason)) => self.raw_failed(pipeline, &reason),
                    Ok(SessionEvent::PacketsFailed(reason)) => packets::detach(pipeline, &self.options.id, &reason),
                    Ok(SessionEvent::Error(report)) if self.recorded.load(Ordering::Acquire) => {
                        return self.drain(report, events, pipeline);
                    }
                    Ok(event) => if let Some(ended) = self.handle(event) {
                        return ended;
                    },
                    Err(_) => {}
                },
                recv(told) -> _ => return self.ended(RunEnd::Stopped, None),
                recv(told_too) -> _ => return self.ended(RunEnd::Stopped, None),
                default(wait) => if self.recorded.load(Ordering::Acquire) {
                    idle_ticks = if is_read(pipeline) { 0 } else { idle_ticks + 1 };
                    if idle_ticks == IDLE_TICKS {
                        return self.gone_quiet();
                    }
                }
            }
        }
    }

    /// Lets what was read before an error become frames, then names that error.
    fn drain(
        &mut self,
        report: Report,
        events: &Receiver<SessionEvent>,
        pipeline: &gst::Pipeline,
    ) -> Ended {
        let mut drain = Drain::new();
        let [told, told_too] = self.stop.channels();
        loop {
            select! {
                recv(events) -> event => match event {
                    // The first error is the cause of all others.
                    Ok(SessionEvent::Error(_)) | Err(_) => {}
                    Ok(SessionEvent::EndOfStream | SessionEvent::NoVideo) => break,
                    Ok(SessionEvent::RawFailed(reason)) => self.raw_failed(pipeline, &reason),
                    Ok(SessionEvent::PacketsFailed(reason)) => packets::detach(pipeline, &self.options.id, &reason),
                    Ok(event) => if let Some(ended) = self.handle(event) {
                        return ended;
                    },
                },
                recv(told) -> _ => return self.ended(RunEnd::Stopped, None),
                recv(told_too) -> _ => return self.ended(RunEnd::Stopped, None),
                default(drain::TICK) => if drain.is_dry(pipeline, self.outlet) {
                    break;
                }
            }
        }
        self.after_error(&report)
    }

    /// Time left until the source counts as silent, or the end if it is.
    fn overdue(&self) -> Result<Duration, Box<Ended>> {
        if !self.progress.live {
            return Ok(TICK);
        }
        let stall = Duration::from_secs_f64(self.options.stall_secs.clamp(0.1, 3600.0));
        let connect = Duration::from_secs_f64(self.options.connect_secs.clamp(0.1, 3600.0));
        let (since, allowed) = match (self.outlet.last_frame(), self.video_since) {
            (Some(last), _) => (last, stall),
            // A decoder waits for the next key frame, which can take long.
            (None, Some(found)) => (found, stall.max(connect)),
            (None, None) => (self.started, connect),
        };
        let left = allowed.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Ok(left);
        }
        let secs = allowed.as_secs_f64();
        Err(Box::new(match self.video_since {
            Some(_) if self.outlet.last_frame().is_none() => self.failed(
                RunEnd::Stalled,
                format!(
                    "connected, but no picture within {secs} s: decoding begins with a key frame; let \
                     the camera send one every 1 to 2 s, or raise connect_secs"
                ),
            ),
            Some(_) => self.failed(RunEnd::Stalled, format!("no frame for {secs} s")),
            None => self.failed(RunEnd::NoAnswer, format!("no answer within {secs} s")),
        }))
    }

    /// Acts on one event; gives the end if it is one.
    fn handle(&mut self, event: SessionEvent) -> Option<Ended> {
        match event {
            SessionEvent::Error(report) => Some(self.after_error(&report)),
            SessionEvent::RawFailed(_) | SessionEvent::PacketsFailed(_) => None,
            SessionEvent::Warning(text) => {
                debug!(
                    detail = self.options.source.redact(&text),
                    "GStreamer warning"
                );
                self.warning = Some(text);
                None
            }
            SessionEvent::EndOfStream => Some(self.at_end_of_stream()),
            SessionEvent::VideoFound => {
                self.progress.has_stream = true;
                self.progress.has_video = true;
                self.video_since = Some(Instant::now());
                None
            }
            SessionEvent::OtherFound => {
                self.progress.has_stream = true;
                None
            }
            SessionEvent::OtherCodec(codec) => {
                self.other_codec = Some(codec);
                None
            }
            SessionEvent::Fault(error) => Some(self.ended(RunEnd::Undecodable, Some(error))),
            SessionEvent::NoVideo => {
                self.progress.has_stream = true;
                let words = self.wrong_codec().unwrap_or_else(|| NO_VIDEO.to_owned());
                Some(self.failed(RunEnd::Undecodable, words))
            }
            SessionEvent::FirstFrame => {
                let status = self.status.snapshot();
                info!(
                    source = %self.options.source,
                    codec = status.codec,
                    decoder = status.decoder,
                    size = status.size.map(|size| size.to_string()),
                    after_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "frames arrive"
                );
                None
            }
            SessionEvent::Enough => {
                let mut ended = self.ended(RunEnd::Stopped, None);
                ended.enough = true;
                Some(ended)
            }
        }
    }

    fn after_error(&mut self, report: &Report) -> Ended {
        self.progress.has_frame = self.outlet.last_frame().is_some();
        let (mut reason, mut words) = report.classify(self.progress);
        if self.options.card.is_some() && report.text.contains("buffer pool") {
            words += "; decoded frames stay on the card (detect.zero_copy): is the card full?";
        } else if self.options.card.is_some() && report.debug.contains("not-negotiated") {
            words += "; only 8-bit 4:2:0 video can stay on the card (detect.zero_copy): decode = \"software\" takes this camera over the host";
        }
        if reason == RunEnd::Unreachable {
            words = self.door.door().and_then(Door::words).unwrap_or(words);
        }
        if let Some(wrong) = self.wrong_codec() {
            (reason, words) = (RunEnd::Undecodable, wrong);
        }
        debug!(
            detail = self.options.source.redact(&report.debug),
            "GStreamer error"
        );
        self.failed(reason, words)
    }

    /// The words for video that is there, but not as `codec` says.
    fn wrong_codec(&self) -> Option<String> {
        let sent = self
            .other_codec
            .as_ref()
            .filter(|_| !self.progress.has_video)?;
        let wanted = self.options.codec.as_str();
        Some(format!(
            "codec = \"{wanted}\" is wanted, but the camera sends {sent}; set codec = \"auto\" to take \
             it, or the camera to {wanted}"
        ))
    }

    fn gone_quiet(&self) -> Ended {
        let words = match self.progress {
            Progress {
                has_video: true, ..
            } => "damaged, cannot be decoded any further",
            Progress {
                has_stream: true, ..
            } => NO_VIDEO,
            _ => "not a video that can be decoded",
        };
        self.failed(RunEnd::Undecodable, words.to_owned())
    }

    fn at_end_of_stream(&self) -> Ended {
        let had_frames = self.outlet.last_frame().is_some();
        if self.recorded.load(Ordering::Acquire) {
            self.warn_if_cut_off();
            return match (self.progress.has_video, had_frames) {
                (_, true) => self.ended(RunEnd::EndOfFile, None),
                (true, false) => self.failed(
                    RunEnd::Undecodable,
                    "no picture in it could be decoded".to_owned(),
                ),
                (false, false) => self.failed(RunEnd::Undecodable, NO_VIDEO.to_owned()),
            };
        }
        // A server that dies over TCP gives a warning and then the end of the stream.
        match &self.warning {
            Some(warning) => self.failed(
                RunEnd::ConnectionLost,
                format!("the connection broke: {warning}"),
            ),
            None => self.failed(
                RunEnd::EndOfStream,
                "the source ended the stream".to_owned(),
            ),
        }
    }

    /// A file that is cut off often ends like a whole one: only its announced length tells.
    fn warn_if_cut_off(&self) {
        let (last, announced) = (self.outlet.last_time(), self.status.snapshot().duration);
        let Some(announced) = announced else {
            return;
        };
        // Sound may go on a little longer than the pictures.
        if last + CUT_OFF_SLACK < announced.mul_f64(0.95) {
            warn!(
                source = %self.options.source,
                ends_at_secs = last.as_secs_f64(),
                announced_secs = announced.as_secs_f64(),
                "pictures end long before the announced length: is the file cut off or damaged?"
            );
        }
    }

    fn failed(&self, reason: RunEnd, words: String) -> Ended {
        let error = CaptureError::Stream {
            source_name: self.options.source.to_string(),
            reason: self.options.source.redact(&words),
        };
        self.ended(reason, Some(error))
    }

    fn ended(&self, reason: RunEnd, error: Option<CaptureError>) -> Ended {
        Ended {
            reason,
            error,
            had_frames: false,
            enough: false,
            is_back: false,
        }
    }
}
