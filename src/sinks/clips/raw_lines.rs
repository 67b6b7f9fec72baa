//! The lines that go with raw segments: `<segment>.jsonl` beside `<segment>.mp4`, so that boxes can be
//! drawn on it later.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use super::sidecar::with_pts;
use crate::base::{CameraId, FrameResult, RawSegment, StreamClock, StreamTime};
use crate::sinks::publish::frame_line;

/// A segment is begun when its first group of pictures is whole: which one a frame is in is certain
/// after this time, in a stream with key frames that often.
const SETTLED_AFTER_NS: u64 = 15_000_000_000;

/// Results that may wait for their segment.
const MAX_PENDING: usize = 2000;

/// Writes the lines of one camera's raw segments; belongs to one thread.
pub struct RawLines {
    camera: CameraId,
    clock: Arc<StreamClock>,
    classes: Arc<[String]>,
    pending: VecDeque<Arc<FrameResult>>,
    open: Option<(PathBuf, BufWriter<File>)>,
    has_failed: bool,
}

impl RawLines {
    /// Will write what `clock` says belongs to a segment of `camera`; `classes` are the model's names.
    #[must_use]
    pub fn new(camera: CameraId, clock: Arc<StreamClock>, classes: Arc<[String]>) -> Self {
        Self {
            camera,
            clock,
            classes,
            pending: VecDeque::new(),
            open: None,
            has_failed: false,
        }
    }

    /// Takes a result; its line is written once it is certain which segment its frame is in.
    pub fn note(&mut self, result: Arc<FrameResult>) {
        let newest = self.time_of(&result);
        self.pending.push_back(result);
        while let Some(first) = self.pending.front() {
            let Some(time) = self.time_of(first) else {
                self.pending.pop_front();
                continue;
            };
            let found = self.clock.segment_at(time);
            let is_old = newest.is_none_or(|newest| {
                newest.connection != time.connection
                    || newest.time_ns.saturating_sub(time.time_ns) > SETTLED_AFTER_NS
            });
            let is_over = found.as_ref().is_some_and(|(_, is_over)| *is_over);
            if !is_over && !is_old && self.pending.len() <= MAX_PENDING {
                break;
            }
            self.write_first(found.map(|(segment, _)| segment), time);
        }
        self.flush();
    }

    /// Writes the lines of what waits.
    pub fn finish(mut self) {
        while let Some(first) = self.pending.front() {
            match self.time_of(first) {
                Some(time) => {
                    let found = self.clock.segment_at(time);
                    self.write_first(found.map(|(segment, _)| segment), time);
                }
                None => drop(self.pending.pop_front()),
            }
        }
        self.flush();
    }

    fn write_first(&mut self, segment: Option<RawSegment>, time: StreamTime) {
        let (Some(result), Some(segment)) = (self.pending.pop_front(), segment) else {
            return;
        };
        let line = frame_line(&result, &self.classes);
        let pts_ns = time.time_ns.saturating_sub(segment.start.time_ns);
        let written = self.file(&segment.path).and_then(|file| {
            file.map_or(Ok(()), |it| {
                it.write_all(with_pts(&line, pts_ns).as_bytes())
            })
        });
        self.outcome(written);
    }

    /// The file beside a segment; `None` where there is no such segment (any more).
    fn file(&mut self, segment: &Path) -> io::Result<Option<&mut BufWriter<File>>> {
        let is_open = self.open.as_ref().is_some_and(|(path, _)| path == segment);
        if !is_open {
            self.flush();
            self.open = None;
            if !segment.exists() {
                return Ok(None);
            }
            let path = segment.with_extension("jsonl");
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            self.open = Some((segment.to_owned(), BufWriter::new(file)));
        }
        Ok(self.open.as_mut().map(|(_, file)| file))
    }

    fn flush(&mut self) {
        let flushed = self.open.as_mut().map_or(Ok(()), |(_, file)| file.flush());
        self.outcome(flushed);
    }

    /// A failure is told once, until it works again.
    fn outcome(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) => self.has_failed &= self.open.is_none(),
            Err(error) => {
                self.open = None;
                if !std::mem::replace(&mut self.has_failed, true) {
                    warn!(camera = %self.camera, %error,
                        "lines beside raw segments are lost until they can be written again");
                }
            }
        }
    }

    fn time_of(&self, result: &FrameResult) -> Option<StreamTime> {
        self.clock.time_of(result.meta.run, result.meta.pts)
    }
}
