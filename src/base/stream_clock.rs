//! Where the runs of a camera lie in the time of its connections: what came before the decoder has no
//! run and no PTS yet.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Pts, RunId};

/// Runs whose place is remembered: an event tells of a run that is over at most a few seconds later.
const MAX_RUNS: usize = 16;

/// Raw segments whose beginning is remembered.
const MAX_SEGMENTS: usize = 16;

/// A moment of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamTime {
    /// The connection, counted from 1; times compare only inside one.
    pub connection: u32,
    /// Running time of the connection, ns.
    pub time_ns: u64,
}

/// A raw segment that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawSegment {
    /// Its file.
    pub path: PathBuf,
    /// When its first picture is shown: 0 of the file.
    pub start: StreamTime,
}

/// Told by capture, asked by those who write films.
#[derive(Debug, Default)]
pub struct StreamClock {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connection: u32,
    /// Run, its connection, and the running time at which its PTS is 0.
    runs: VecDeque<(RunId, u32, i128)>,
    segments: VecDeque<RawSegment>,
}

impl StreamClock {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection begins.
    pub fn begin_connection(&self) {
        self.lock().connection += 1;
    }

    /// The connection under way.
    #[must_use]
    pub fn connection(&self) -> u32 {
        self.lock().connection
    }

    /// A frame of `run` with this PTS is shown at this running time.
    pub fn note_run(&self, run: RunId, pts: Pts, time_ns: u64) {
        let mut state = self.lock();
        if state.runs.back().is_some_and(|(known, ..)| *known == run) {
            return;
        }
        let (connection, origin) = (state.connection, i128::from(time_ns) - i128::from(pts.0));
        state.runs.push_back((run, connection, origin));
        if state.runs.len() > MAX_RUNS {
            state.runs.pop_front();
        }
    }

    /// When a frame was, in its connection.
    #[must_use]
    pub fn time_of(&self, run: RunId, pts: Pts) -> Option<StreamTime> {
        let state = self.lock();
        let (_, connection, origin) = state.runs.iter().find(|(known, ..)| *known == run)?;
        let time_ns = u64::try_from(i128::from(pts.0) + origin).ok()?;
        Some(StreamTime {
            connection: *connection,
            time_ns,
        })
    }

    /// The PTS in `run` of a moment; negative before its first frame.
    #[must_use]
    pub fn pts_of(&self, run: RunId, time_ns: u64) -> Option<i64> {
        let state = self.lock();
        let (.., origin) = state.runs.iter().find(|(known, ..)| *known == run)?;
        i64::try_from(i128::from(time_ns) - origin).ok()
    }

    /// A raw segment begins.
    pub fn note_segment(&self, segment: RawSegment) {
        let mut state = self.lock();
        state.segments.push_back(segment);
        if state.segments.len() > MAX_SEGMENTS {
            state.segments.pop_front();
        }
    }

    /// The file of the raw segment that was begun last.
    #[must_use]
    pub fn last_segment(&self) -> Option<PathBuf> {
        let state = self.lock();
        state.segments.back().map(|segment| segment.path.clone())
    }

    /// The raw segment that shows a moment, and whether a later one has begun.
    #[must_use]
    pub fn segment_at(&self, moment: StreamTime) -> Option<(RawSegment, bool)> {
        let state = self.lock();
        let is_begun = |it: &&RawSegment| {
            it.start.connection == moment.connection && it.start.time_ns <= moment.time_ns
        };
        let segment = state.segments.iter().rev().find(is_begun)?;
        let is_last = state.segments.back() == Some(segment);
        Some((segment.clone(), !is_last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_in_their_connection() {
        let clock = StreamClock::default();
        clock.begin_connection();
        clock.note_run(RunId(1), Pts(0), 500);
        clock.note_run(RunId(1), Pts(5), 77);
        clock.begin_connection();
        clock.note_run(RunId(2), Pts(0), 300);
        let at = |connection, time_ns| {
            Some(StreamTime {
                connection,
                time_ns,
            })
        };
        assert_eq!(clock.time_of(RunId(1), Pts(1000)), at(1, 1500));
        assert_eq!(clock.time_of(RunId(2), Pts(1000)), at(2, 1300));
        assert_eq!(clock.time_of(RunId(3), Pts(0)), None);
        assert_eq!(clock.pts_of(RunId(2), 100), Some(-200));
    }

    #[test]
    fn a_moment_belongs_to_the_segment_that_began_last() {
        let clock = StreamClock::default();
        let segment = |name: &str, connection, time_ns| RawSegment {
            path: name.into(),
            start: StreamTime {
                connection,
                time_ns,
            },
        };
        clock.note_segment(segment("a", 1, 0));
        clock.note_segment(segment("b", 1, 100));
        let found = |connection, time_ns| {
            let moment = StreamTime {
                connection,
                time_ns,
            };
            let found = clock.segment_at(moment);
            found.map(|(it, is_over)| (it.path.display().to_string(), is_over))
        };
        assert_eq!(found(1, 99), Some(("a".to_owned(), true)));
        assert_eq!(found(1, 100), Some(("b".to_owned(), false)));
        assert_eq!(found(2, 100), None);
    }
}
