//! Stream time → time in the file.

use crate::base::{FrameMeta, Pts, RunId};

/// Time between the last frame of a run and the first of the next one in the same file.
const JOINT_NS: u64 = 40_000_000;

/// A gap longer than this is not stored as a gap: a sample of an MP4 with microsecond ticks lasts
/// at most 2³² µs = 71 min.
const MAX_GAP_NS: u64 = 3_600_000_000_000;

/// Maps the PTS of frames to those in the file: first frame 0, microseconds, strictly rising.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    run: RunId,
    /// Stream PTS that is 0 in the file.
    origin: i128,
    last_stream: Pts,
    last_file: Option<u64>,
}

impl Timeline {
    pub(super) fn starting_at(meta: &FrameMeta) -> Self {
        Self {
            run: meta.run,
            origin: i128::from(meta.pts.0),
            last_stream: meta.pts,
            last_file: None,
        }
    }

    /// Does this frame follow the last one: same run, not back in time, no gap too long to store?
    pub(super) fn is_continued_by(&self, meta: &FrameMeta) -> bool {
        meta.run == self.run
            && meta.pts >= self.last_stream
            && meta.pts.0 - self.last_stream.0 <= MAX_GAP_NS
    }

    /// PTS of this frame in the file, ns (a multiple of 1000). A frame that does not continue the
    /// last one is put right behind it.
    pub(super) fn file_pts(&mut self, meta: &FrameMeta) -> u64 {
        if self.last_file.is_none() || !self.is_continued_by(meta) {
            let next = self.last_file.map_or(0, |last| last + JOINT_NS);
            self.origin = i128::from(meta.pts.0) - i128::from(next);
            self.run = meta.run;
        }
        self.last_stream = meta.pts;
        let pts = u64::try_from(i128::from(meta.pts.0) - self.origin).unwrap_or(0);
        let micros = (pts / 1000).max(self.last_file.map_or(0, |last| last / 1000 + 1));
        self.last_file = Some(micros * 1000);
        micros * 1000
    }

    /// Length of the file if it ended with this frame.
    pub(super) fn length_with(&self, meta: &FrameMeta) -> u64 {
        u64::try_from(i128::from(meta.pts.0) - self.origin).unwrap_or(0)
    }
}
