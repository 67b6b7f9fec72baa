//! One file: a pipeline of its own from the first frame to the last.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::base::{Metrics, PipelineText, Pixels, Stage, thread_cpu_time};
use crate::sinks::annotate::Canvas;

use super::copy::{Copier, Shape};
use super::encoder::Encoder;
use super::gate::{Failure, Gate, Room};
use super::sidecar::Sidecar;

const RECORD: &str = include_str!("../../../pipelines/record-mp4.gst");
const TRIAL: &str = include_str!("../../../pipelines/encode-trial.gst");

/// Stream time from one key frame to the next: seeking is that fine, and so is the loss after a
/// damaged fragment.
const KEY_FRAME_EVERY_NS: u64 = 2_000_000_000;

/// How long the only frame of a file is shown.
const USUAL_INTERVAL_NS: u64 = 40_000_000;

/// How long the last frame of a file is shown at most.
const LONGEST_LAST_NS: u64 = 1_000_000_000;

/// Where a segment goes.
#[derive(Debug)]
pub(super) enum Output {
    /// To a file, its lines to a sidecar.
    File {
        path: PathBuf,
        sidecar: Option<std::fs::File>,
    },
    /// Nowhere: the encoder is only tried.
    Nowhere,
}

/// What the streaming thread counts.
#[derive(Debug, Default)]
struct Counts {
    frames: AtomicU64,
    bytes: AtomicU64,
    last_pts_ns: AtomicU64,
}

/// A closed segment, as far as the pipeline knows.
#[derive(Debug)]
pub(super) struct Closed {
    pub frames: u64,
    pub bytes: u64,
    pub last_pts_ns: u64,
    pub failure: Option<Failure>,
}

/// An open file that takes frames.
pub(super) struct Segment {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    copier: Copier,
    gate: Arc<Gate>,
    counts: Arc<Counts>,
    lines: Arc<Mutex<Sidecar>>,
    next_key_ns: u64,
}

impl Drop for Segment {
    fn drop(&mut self) {
        // Joins the streaming threads; a pipeline dropped while playing would leak them.
        stop(&self.pipeline);
    }
}

impl Segment {
    /// Starts a pipeline. With `metrics`, each encoded frame counts as work of [`Stage::Record`].
    pub(super) fn open(
        encoder: &Encoder,
        shape: Shape,
        output: Output,
        metrics: Option<Arc<Metrics>>,
    ) -> Result<Self, String> {
        gst::init().map_err(|error| format!("GStreamer does not start: {error}"))?;
        let (name, text) = match output {
            Output::File { .. } => ("record-mp4.gst", RECORD),
            Output::Nowhere => ("encode-trial.gst", TRIAL),
        };
        let encoder_text = encoder.fill(shape.coded_size())?;
        let text = PipelineText::new(name, text)
            .fill(&[("encoder", &encoder_text)])
            .map_err(|error| error.to_string())?;
        let pipeline = parse(&text)?;
        let source = named(&pipeline, "record")?
            .downcast::<gst_app::AppSrc>()
            .map_err(|_other| format!("{name}: `record` is not an appsrc"))?;
        let copier = Copier::new(shape).map_err(|error| error.to_string())?;
        source.set_caps(Some(copier.caps()));
        let file = match output {
            Output::File { path, sidecar } => {
                named(&pipeline, "file")?.set_property("location", location(&path)?);
                sidecar
            }
            Output::Nowhere => None,
        };
        let segment = Self {
            pipeline,
            source,
            copier,
            gate: Arc::default(),
            counts: Arc::default(),
            lines: Arc::new(Mutex::new(Sidecar::new(file))),
            next_key_ns: KEY_FRAME_EVERY_NS,
        };
        segment.watch_bus()?;
        segment.watch_queue()?;
        segment.watch_encoded(metrics)?;
        if segment.pipeline.set_state(gst::State::Playing).is_err() {
            let failure = segment.gate.failure();
            return Err(failure.map_or_else(|| "does not start".to_owned(), |it| it.text));
        }
        Ok(segment)
    }

    /// Errors and the end arrive on streaming threads and only set flags.
    fn watch_bus(&self) -> Result<(), String> {
        let gate = Arc::clone(&self.gate);
        let bus = self.pipeline.bus().ok_or("the pipeline has no bus")?;
        bus.set_sync_handler(move |_, message| {
            match message.view() {
                gst::MessageView::Error(error) => gate.fail(failure_of(error)),
                gst::MessageView::Eos(_) => gate.end(),
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
        Ok(())
    }

    fn watch_queue(&self) -> Result<(), String> {
        let gate = Arc::clone(&self.gate);
        let pad = pad(self.source.upcast_ref())?;
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            gate.left();
            gst::PadProbeReturn::Ok
        });
        Ok(())
    }

    /// Counts what comes out of the encoder and writes its line.
    fn watch_encoded(&self, metrics: Option<Arc<Metrics>>) -> Result<(), String> {
        let counts = Arc::clone(&self.counts);
        let lines = Arc::clone(&self.lines);
        let gate = Arc::clone(&self.gate);
        let cpu_before = Mutex::new(Duration::ZERO);
        let pad = pad(&named(&self.pipeline, "parse")?)?;
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let Some(buffer) = info.buffer_mut() else {
                return gst::PadProbeReturn::Ok;
            };
            counts.frames.fetch_add(1, Ordering::Relaxed);
            let bytes = u64::try_from(buffer.size()).unwrap_or(0);
            counts.bytes.fetch_add(bytes, Ordering::Relaxed);
            let Some(pts) = running_time(pad, buffer) else {
                return gst::PadProbeReturn::Ok;
            };
            let before = counts.last_pts_ns.swap(pts.nseconds(), Ordering::Relaxed);
            // Only for the last frame of a file does this matter, all others last until the next
            // one; without a duration players would not show it.
            let interval = match pts.nseconds().saturating_sub(before) {
                0 => USUAL_INTERVAL_NS,
                interval => interval.min(LONGEST_LAST_NS),
            };
            buffer
                .make_mut()
                .set_duration(gst::ClockTime::from_nseconds(interval));
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            match lines.encoded(pts.nseconds()) {
                Ok(Some(pushed)) => {
                    if let Some(metrics) = &metrics {
                        let cpu = thread_cpu_time();
                        let mut before = cpu_before.lock().unwrap_or_else(PoisonError::into_inner);
                        let spent = cpu.saturating_sub(*before);
                        *before = cpu;
                        metrics.stage(Stage::Record, pushed.elapsed(), spent);
                    }
                }
                Ok(None) => {}
                Err(error) => gate.fail(Failure::of_file(format!("writing the sidecar: {error}"))),
            }
            gst::PadProbeReturn::Ok
        });
        Ok(())
    }

    pub(super) fn shape(&self) -> Shape {
        self.copier.shape()
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.gate.failure()
    }

    /// Encoded bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    /// Encoded frames so far.
    pub(super) fn frames(&self) -> u64 {
        self.counts.frames.load(Ordering::Relaxed)
    }

    /// PTS of the newest encoded frame.
    pub(super) fn encoded_until_ns(&self) -> u64 {
        self.counts.last_pts_ns.load(Ordering::Relaxed)
    }

    pub(super) fn writes_lines(&self) -> bool {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_written()
    }

    pub(super) fn wait_room(&self, limit: usize, timeout: Duration) -> Room {
        self.gate.wait_room(limit, timeout)
    }

    pub(super) fn copy(
        &self,
        pixels: &Pixels,
        draw: impl FnOnce(&mut Canvas<'_>),
    ) -> Option<gst::Buffer> {
        self.copier.copy(pixels, draw)
    }

    /// Hands a copy to the encoder; does not wait.
    pub(super) fn push(
        &mut self,
        mut buffer: gst::Buffer,
        pts_ns: u64,
        line: String,
    ) -> Result<(), String> {
        if pts_ns >= self.next_key_ns {
            self.next_key_ns = pts_ns + KEY_FRAME_EVERY_NS;
            let event = gst_video::DownstreamForceKeyUnitEvent::builder()
                .all_headers(true)
                .build();
            // Refused: the next key frame comes later, nothing else.
            let _taken: bool = self.source.send_event(event);
        }
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(pts_ns));
        }
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pushed(pts_ns, line);
        self.gate.entered();
        self.source
            .push_buffer(buffer)
            .map(|_success| ())
            .map_err(|error| match self.gate.failure() {
                Some(failure) => failure.text,
                None => format!("the pipeline takes no more frames ({error})"),
            })
    }

    /// Finishes the file: end of stream, waits for it at most `timeout`, stops the pipeline.
    pub(super) fn close(self, timeout: Duration) -> Closed {
        let started = Instant::now();
        if self.gate.failure().is_none() {
            if let Err(error) = self.source.end_of_stream() {
                self.gate
                    .fail(Failure::of_file(format!("ending the file: {error}")));
            } else if !self.gate.wait_end(timeout) {
                let secs = started.elapsed().as_secs();
                self.gate.fail(Failure::of_file(format!(
                    "the file was not finished within {secs} s"
                )));
            }
        }
        stop(&self.pipeline);
        Closed {
            frames: self.frames(),
            bytes: self.bytes(),
            last_pts_ns: self.encoded_until_ns(),
            failure: self.gate.failure(),
        }
    }
}

fn stop(pipeline: &gst::Pipeline) {
    if let Err(error) = pipeline.set_state(gst::State::Null) {
        tracing::debug!(%error, "recording pipeline does not stop cleanly");
    }
}

fn parse(text: &str) -> Result<gst::Pipeline, String> {
    let mut context = gst::ParseContext::new();
    let parsed = gst::parse::launch_full(text, Some(&mut context), gst::ParseFlags::FATAL_ERRORS);
    let missing = context.missing_elements();
    if !missing.is_empty() {
        return Err(format!("no element {} is installed", missing.join(", ")));
    }
    parsed
        .map_err(|error| error.to_string())?
        .downcast::<gst::Pipeline>()
        .map_err(|_other| "not a pipeline".to_owned())
}

fn named(pipeline: &gst::Pipeline, name: &str) -> Result<gst::Element, String> {
    pipeline
        .by_name(name)
        .ok_or_else(|| format!("no element is named `{name}`"))
}

fn pad(element: &gst::Element) -> Result<gst::Pad, String> {
    element
        .static_pad("src")
        .ok_or_else(|| format!("`{}` has no source pad", element.name()))
}

fn location(path: &Path) -> Result<&str, String> {
    path.to_str()
        .ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

/// PTS in the file: encoders may shift theirs, together with the segment.
fn running_time(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    let event = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
    segment.to_running_time(buffer.pts()?)
}

/// The error of an element: its words, the last line of its details, and who is to blame.
fn failure_of(message: &gst::message::Error) -> Failure {
    let error = message.error();
    let debug = message.debug();
    let detail = debug
        .as_deref()
        .and_then(|debug| debug.lines().next_back())
        .filter(|line| !line.contains("gst"));
    let text = match detail {
        Some(detail) => format!("{error} ({detail})"),
        None => error.to_string(),
    };
    Failure {
        text,
        encoder: !error.is::<gst::ResourceError>(),
    }
}
