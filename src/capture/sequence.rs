//! Numbers the frames of a camera and divides them into runs; pure, so that every odd clock can
//! be tried.

use crate::base::{FrameSeq, PixelFormat, Pts, RunEnd, RunId, Size};

/// A step ahead longer than this is a jump of the source's clock, not a slow camera. Recorders
/// that write only on motion leave gaps of seconds inside one file.
const LONGEST_GAP_NS: u64 = 10_000_000_000;

/// A step back longer than this is a restart of the source's clock; shorter ones are frames that
/// a decoder or a careless muxer put out of order.
const LONGEST_STEP_BACK_NS: u64 = 1_000_000_000;

/// Where a frame out of order is put: so long after the one before.
const NUDGE_NS: u64 = 1_000_000;

/// Step of frames without times where the stream announces no rate: 25 per second.
const DEFAULT_STEP_NS: u64 = 40_000_000;

/// Size and layout of a picture.
pub(super) type Shape = (Size, PixelFormat);

/// What is known about a frame before it is numbered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived {
    /// Time in the stream, if it has one.
    pub time_ns: Option<u64>,
    /// Announced time between two frames, if any.
    pub step_ns: Option<u64>,
    /// Size and layout.
    pub shape: Shape,
}

/// The place of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its run.
    pub run: RunId,
    /// Its number.
    pub seq: FrameSeq,
    /// Its time since the run began.
    pub pts: Pts,
    /// Set if this frame ended the run before its own, and why.
    pub ended: Option<(RunId, RunEnd)>,
}

/// How far a camera's runs and frames are numbered: one that is opened anew goes on from there.
#[derive(Debug, Clone, Default)]
pub struct Numbering(pub(super) Sequence);

/// Numbers frames and runs of one camera over its whole life.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequence {
    run: u32,
    next_seq: u64,
    origin_ns: u64,
    last: Option<(u64, Shape)>,
}

impl Sequence {
    /// Numbers on after so many runs.
    pub fn after(runs: u32) -> Self {
        Self {
            run: runs,
            ..Self::default()
        }
    }

    /// Begins the next run and gives its number.
    pub fn begin_run(&mut self) -> RunId {
        self.run = self.run.saturating_add(1);
        self.last = None;
        RunId(self.run)
    }

    /// The run that was begun last.
    pub fn run(&self) -> RunId {
        RunId(self.run)
    }

    /// Frames numbered so far.
    pub fn frames(&self) -> u64 {
        self.next_seq
    }

    /// The place of the next frame. A new shape or a jump in time begins a new run.
    pub fn place(&mut self, frame: Arrived) -> Place {
        let step = frame.step_ns.unwrap_or(DEFAULT_STEP_NS);
        let mut ended = None;
        let time = match self.last {
            None => {
                self.origin_ns = frame.time_ns.unwrap_or(0);
                self.origin_ns
            }
            Some((last, shape)) => {
                let time = frame.time_ns.unwrap_or(last + step);
                let reason = if shape != frame.shape {
                    Some(RunEnd::FormatChanged)
                } else if time > last + LONGEST_GAP_NS.max(3 * step)
                    || time + LONGEST_STEP_BACK_NS < last
                {
                    Some(RunEnd::TimeJump)
                } else {
                    None
                };
                if let Some(reason) = reason {
                    ended = Some((self.run(), reason));
                    self.begin_run();
                    self.origin_ns = time;
                    time
                } else {
                    time.max(last + NUDGE_NS)
                }
            }
        };
        self.last = Some((time, frame.shape));
        let seq = FrameSeq(self.next_seq);
        self.next_seq += 1;
        Place {
            run: self.run(),
            seq,
            pts: Pts(time - self.origin_ns),
            ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HD: Shape = (
        Size {
            width: 1280,
            height: 720,
        },
        PixelFormat::I420,
    );
    const SD: Shape = (
        Size {
            width: 640,
            height: 360,
        },
        PixelFormat::I420,
    );
    const SECOND: u64 = 1_000_000_000;

    fn at(time_ns: impl Into<Option<u64>>, shape: Shape) -> Arrived {
        Arrived {
            time_ns: time_ns.into(),
            step_ns: Some(SECOND / 10),
            shape,
        }
    }

    fn begun() -> Sequence {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.begin_run(), RunId(1));
        sequence
    }

    #[test]
    fn times_count_from_the_first_frame_of_the_run() {
        let mut sequence = begun();
        assert_eq!(sequence.place(at(7 * SECOND, HD)).pts, Pts(0));
        let second = sequence.place(at(8 * SECOND, HD));
        assert_eq!(
            (second.pts, second.seq, second.ended),
            (Pts(SECOND), FrameSeq(1), None)
        );
    }

    #[test]
    fn a_new_size_is_a_new_run_and_the_numbers_go_on() {
        let mut sequence = begun();
        sequence.place(at(0, HD));
        let place = sequence.place(at(SECOND, SD));
        assert_eq!(place.ended, Some((RunId(1), RunEnd::FormatChanged)));
        assert_eq!(
            (place.run, place.seq, place.pts),
            (RunId(2), FrameSeq(1), Pts(0))
        );
    }

    #[test]
    fn a_clock_that_restarts_or_leaps_is_a_new_run() {
        let mut sequence = begun();
        sequence.place(at(60 * SECOND, HD));
        assert_eq!(
            sequence.place(at(0, HD)).ended,
            Some((RunId(1), RunEnd::TimeJump))
        );
        assert_eq!(
            sequence.place(at(11 * SECOND, HD)).ended,
            Some((RunId(2), RunEnd::TimeJump))
        );
        assert_eq!(sequence.place(at(20 * SECOND, HD)).ended, None);
    }

    #[test]
    fn frames_out_of_order_or_without_time_still_go_forward() {
        let mut sequence = begun();
        sequence.place(at(SECOND, HD));
        let swapped = sequence.place(at(SECOND - SECOND / 2, HD));
        assert_eq!((swapped.pts, swapped.ended), (Pts(NUDGE_NS), None));
        let timeless = sequence.place(at(None, HD));
        assert_eq!(timeless.pts, Pts(NUDGE_NS + SECOND / 10));
    }

    #[test]
    fn a_slide_show_slower_than_the_gap_is_no_jump() {
        let mut sequence = begun();
        let slow = |time_ns| Arrived {
            time_ns: Some(time_ns),
            step_ns: Some(30 * SECOND),
            shape: HD,
        };
        sequence.place(slow(0));
        assert_eq!(sequence.place(slow(30 * SECOND)).ended, None);
    }
}
