//! The life of a recording: open, rotate, fail, come back.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use tracing::{debug, error, info, warn};

use crate::base::{
    CameraId, DiskRoom, DropReason, Frame, FrameResult, Metrics, Recorded, Stage, StageTimer,
    Worker, WorkerEnd,
};
use crate::sinks::annotate::{Annotator, Overlay, Privacy};

use super::copy::Shape;
use super::encoder::{self, Encoder};
use super::gate::{Failure, Room};
use super::open::Open;
use super::outage::Outage;
use super::{
    LineWriter, Pushed, RecordError, RecordOptions, RecordPace, RecordTarget, SegmentInfo,
};

/// Frames that may wait for the encoder of a live recording; one more is dropped.
const LIVE_QUEUE: usize = 8;

/// Frames that may wait for the encoder when no frame may be lost.
const LOSSLESS_QUEUE: usize = 3;

/// An encoder that took no frame for this long will take none.
const ENCODER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait for a file to be finished and its pipeline to be taken down.
const JOIN_TIMEOUT: Duration = Duration::from_secs(16);

/// Files being finished at a time; while there are more, no new one begins.
const MAX_CLOSING: usize = 4;

/// Finished files remembered for [`Recorder::finished_segments`].
const MAX_FINISHED: usize = 256;

/// A failure is over when this much has been recorded again: several fragments are on the disk.
const RECOVERED_AFTER_NS: u64 = 5_000_000_000;

/// Records the annotated pictures of one camera.
pub struct Recorder {
    options: RecordOptions,
    camera: CameraId,
    line: LineWriter,
    annotator: Option<Annotator>,
    metrics: Arc<Metrics>,
    room: Arc<DiskRoom>,
    pub(super) encoders: VecDeque<Encoder>,
    open: Option<Open>,
    /// Files begun, for the names of a one-shot's.
    begun: u32,
    outage: Option<Outage>,
    /// Where the frame pushed last is.
    last_place: Option<Recorded>,
    closing: Vec<Worker>,
    closed_sender: Sender<SegmentInfo>,
    closed: Receiver<SegmentInfo>,
    finished: VecDeque<SegmentInfo>,
}

impl Recorder {
    /// A recorder whose encoder has been tried; the first file is opened at the first frame.
    ///
    /// `line` writes the sidecar's lines; without `annotator` the pictures stay as they are.
    ///
    /// # Errors
    /// [`RecordError::NoEncoder`].
    pub fn new(
        options: RecordOptions,
        camera: CameraId,
        line: LineWriter,
        annotator: Option<Annotator>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RecordError> {
        let encoders = encoder::choose(&options)?;
        let (closed_sender, closed) = bounded(MAX_CLOSING + 1);
        Ok(Self {
            options,
            camera,
            line,
            annotator,
            metrics,
            room: Arc::default(),
            encoders,
            open: None,
            begun: 0,
            outage: None,
            last_place: None,
            closing: Vec::new(),
            closed_sender,
            closed,
            finished: VecDeque::new(),
        })
    }

    /// Records only while `room` has some for recordings.
    #[must_use]
    pub fn with_room(mut self, room: Arc<DiskRoom>) -> Self {
        self.room = room;
        self
    }

    /// Draws and hides otherwise from the next picture on.
    pub fn redraw(&mut self, overlay: Overlay, privacy: Option<Privacy>) {
        if let Some(annotator) = self.annotator.take() {
            self.annotator = Some(annotator.with_overlay(overlay).with_privacy(privacy));
        }
    }

    /// Name of the encoder in use: `x264`, say.
    #[must_use]
    pub fn encoder(&self) -> &'static str {
        self.encoders.front().map_or("none", |encoder| encoder.name)
    }

    /// Copies the picture of `result`, draws on the copy and hands it to the encoder.
    ///
    /// A frame that is not recorded is counted as a dropped result of [`Stage::Record`].
    pub fn push(&mut self, result: &FrameResult) -> Pushed {
        if let Some(annotator) = &mut self.annotator {
            annotator.observe(result);
        }
        self.last_place = None;
        match self.record(result) {
            Ok(()) => Pushed::Taken,
            Err(reason) => {
                self.metrics
                    .result_dropped(&self.camera, Stage::Record, reason);
                Pushed::Dropped(reason)
            }
        }
    }

    /// Where the frame pushed last is on its way to; `None` if it is not recorded.
    #[must_use]
    pub fn last_place(&self) -> Option<&Recorded> {
        self.last_place.as_ref()
    }

    fn record(&mut self, result: &FrameResult) -> Result<(), DropReason> {
        self.collect_closed();
        let frame = result.frame.as_ref().ok_or(DropReason::Unusable)?;
        self.notice_failure()?;
        self.notice_room()?;
        if let Some(open) = &self.open
            && self.is_full(open, frame)
        {
            self.retire();
        }
        if self.open.is_none() {
            self.begin(frame)?;
        }
        self.wait_room()?;
        self.put(frame, result)
    }

    /// Ends a segment whose pipeline has failed; no frame is taken before the pause is over.
    fn notice_failure(&mut self) -> Result<(), DropReason> {
        let failure = self.open.as_ref().and_then(|open| open.segment.failure());
        if let Some(failure) = failure {
            self.break_off(failure);
        }
        match &self.outage {
            Some(outage) if !outage.may_retry() => Err(DropReason::SinkFailed),
            _ => Ok(()),
        }
    }

    /// Ends the open segment when there is no more room; the next frame after that begins a new one.
    fn notice_room(&mut self) -> Result<(), DropReason> {
        if self.room.is_for_recordings() {
            return Ok(());
        }
        self.retire();
        Err(DropReason::DiskLow)
    }

    /// Must this frame begin a new file?
    fn is_full(&self, open: &Open, frame: &Frame) -> bool {
        if open.segment.shape() != Shape::of(frame) {
            return true;
        }
        match &self.options.target {
            RecordTarget::File(_) => false,
            RecordTarget::Folder {
                segment,
                segment_bytes,
                ..
            } => {
                !open.timeline.is_continued_by(&frame.meta)
                    || u128::from(open.timeline.length_with(&frame.meta)) >= segment.as_nanos()
                    || open.segment.bytes() >= NonZeroU64::get(*segment_bytes)
            }
        }
    }

    /// Opens the next file, with the next encoder if this one does not start.
    fn begin(&mut self, frame: &Frame) -> Result<(), DropReason> {
        self.wait_for_closing()?;
        while let Some(encoder) = self.encoders.front() {
            let (target, metrics) = (&self.options.target, Arc::clone(&self.metrics));
            match Open::begin(
                target,
                &self.camera,
                self.begun + 1,
                frame,
                encoder,
                metrics,
            ) {
                Ok(open) => {
                    debug!(camera = %self.camera, file = %open.path.display(), "segment begun");
                    self.begun += 1;
                    self.open = Some(open);
                    return Ok(());
                }
                Err(failure) => {
                    if !self.take_next_encoder(&failure) {
                        self.pause(failure.text);
                        break;
                    }
                }
            }
        }
        Err(DropReason::SinkFailed)
    }

    /// Gives up the encoder if it is to blame and there is another one.
    fn take_next_encoder(&mut self, failure: &Failure) -> bool {
        if !failure.encoder || self.encoders.len() < 2 {
            return false;
        }
        let refused = self.encoders.pop_front().map_or("none", |it| it.name);
        warn!(camera = %self.camera, encoder = refused, next = self.encoder(),
            error = failure.text, "encoder failed, taking the next");
        true
    }

    /// Too many files are being finished: a live recording drops frames, another one waits.
    fn wait_for_closing(&mut self) -> Result<(), DropReason> {
        while self.closing.len() >= MAX_CLOSING {
            if self.options.pace == RecordPace::Live {
                return Err(DropReason::EncoderSlow);
            }
            let oldest = self.closing.remove(0);
            self.join(oldest, Instant::now() + JOIN_TIMEOUT);
            self.collect_closed();
        }
        Ok(())
    }

    fn join(&self, worker: Worker, deadline: Instant) {
        match worker.join_until(deadline) {
            WorkerEnd::Finished => {}
            end => error!(camera = %self.camera, ?end, "a file was not finished"),
        }
    }

    fn wait_room(&mut self) -> Result<(), DropReason> {
        let Some(open) = &self.open else {
            return Err(DropReason::SinkFailed);
        };
        let (limit, timeout) = match self.options.pace {
            RecordPace::Live => (LIVE_QUEUE, Duration::ZERO),
            RecordPace::Lossless => (LOSSLESS_QUEUE, ENCODER_TIMEOUT),
        };
        match (open.segment.wait_room(limit, timeout), self.options.pace) {
            (Room::Free, _) => Ok(()),
            (Room::Full, RecordPace::Live) => Err(DropReason::EncoderSlow),
            (Room::Full, RecordPace::Lossless) => {
                self.break_off(Failure::of_file(format!(
                    "the encoder took no frame for {} s",
                    ENCODER_TIMEOUT.as_secs()
                )));
                Err(DropReason::SinkFailed)
            }
            (Room::Failed, _) => {
                let failure = open.segment.failure();
                self.break_off(
                    failure.unwrap_or_else(|| Failure::of_file("the pipeline failed".to_owned())),
                );
                Err(DropReason::SinkFailed)
            }
        }
    }

    /// Copy, draw, push.
    fn put(&mut self, frame: &Frame, result: &FrameResult) -> Result<(), DropReason> {
        let Some(open) = &mut self.open else {
            return Err(DropReason::SinkFailed);
        };
        let mut timer = StageTimer::start();
        let annotator = &mut self.annotator;
        let copy = open.segment.copy(&frame.pixels, |canvas| {
            if let Some(annotator) = annotator {
                annotator.draw(canvas, result);
            }
        });
        let buffer = copy.ok_or(DropReason::Unusable)?;
        let (wall, cpu) = timer.lap();
        self.metrics.stage(Stage::Annotate, wall, cpu);
        let pts_ns = open.timeline.file_pts(&frame.meta);
        let line = if open.segment.writes_lines() {
            (self.line)(result)
        } else {
            String::new()
        };
        if let Err(text) = open.segment.push(buffer, pts_ns, line) {
            let failure = open.segment.failure();
            self.break_off(failure.unwrap_or_else(|| Failure::of_file(text)));
            return Err(DropReason::SinkFailed);
        }
        self.last_place = Some(Recorded {
            file: Arc::clone(&open.name),
            pts_ns,
        });
        if open.segment.encoded_until_ns() >= RECOVERED_AFTER_NS
            && let Some(outage) = self.outage.take()
        {
            info!(camera = %self.camera, after = outage.text, "recording again");
        }
        Ok(())
    }

    /// Ends the open file after a failure. Another encoder is tried at once if this one never
    /// worked; otherwise recording pauses.
    fn break_off(&mut self, failure: Failure) {
        let Some(open) = &self.open else {
            return;
        };
        let never_worked = open.segment.frames() == 0;
        let text = format!("{}: {}", open.path.display(), failure.text);
        self.retire();
        if never_worked && self.take_next_encoder(&failure) {
            // A one-shot's next file takes the same name: the empty one must be gone first.
            if matches!(self.options.target, RecordTarget::File(_))
                && let Some(worker) = self.closing.pop()
            {
                self.join(worker, Instant::now() + JOIN_TIMEOUT);
                self.begun = self.begun.saturating_sub(1);
            }
            return;
        }
        self.pause(text);
    }

    /// No frame is recorded for a while: 1 s, doubling to 60 s while it goes on failing. A one-shot
    /// is not tried again: its file would have a hole.
    fn pause(&mut self, text: String) {
        if self.outage.is_none() {
            error!(camera = %self.camera, error = text, "recording stopped");
        } else {
            debug!(camera = %self.camera, error = text, "recording still fails");
        }
        let retried = matches!(self.options.target, RecordTarget::Folder { .. });
        self.outage = Some(Outage::after(self.outage.as_ref(), text, retried));
    }

    /// Hands the open file to a thread that finishes it.
    fn retire(&mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        let sender = self.closed_sender.clone();
        let camera = self.camera.clone();
        let path = open.path.clone();
        let work = move || {
            let info = open.close(&camera);
            // Room for every file that may be closing, so this never waits.
            drop(sender.try_send(info));
        };
        match Worker::spawn("record-close", work, |_panic| {}) {
            Ok(worker) => self.closing.push(worker),
            Err(error) => {
                error!(camera = %self.camera, file = %path.display(), %error, "file not finished: no thread");
            }
        }
    }

    fn collect_closed(&mut self) {
        while let Ok(info) = self.closed.try_recv() {
            self.keep(info);
        }
        self.closing.retain(|worker| !worker.is_finished());
    }

    fn keep(&mut self, info: SegmentInfo) {
        if self.finished.len() >= MAX_FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(info);
    }

    /// Why nothing is being recorded at the moment, if so.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.outage.as_ref().map(|outage| outage.text.as_str())
    }

    /// The segments finished since the last call (the newest 256 of them).
    pub fn finished_segments(&mut self) -> Vec<SegmentInfo> {
        self.collect_closed();
        self.finished.drain(..).collect()
    }

    /// Ends the current file, waits (at most 16 s) for all files to be finished, and gives those
    /// not yet taken by [`Recorder::finished_segments`].
    #[must_use]
    pub fn finish(mut self) -> Vec<SegmentInfo> {
        self.finish_within(JOIN_TIMEOUT)
    }

    fn finish_within(&mut self, timeout: Duration) -> Vec<SegmentInfo> {
        let deadline = Instant::now() + timeout;
        self.retire();
        for worker in std::mem::take(&mut self.closing) {
            self.join(worker, deadline);
        }
        self.finished_segments()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.open.is_some() || !self.closing.is_empty() {
            drop(self.finish_within(JOIN_TIMEOUT));
        }
    }
}
