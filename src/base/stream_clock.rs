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

/// Key frames whose moment is remembered.
const MAX_KEYS: usize = 64;

/// Groups of pictures are taken to be no longer than this.
const LONGEST_GROUP_NS: u64 = 15_000_000_000;

/// Times are rounded on the way to a file.
const ROUNDED_NS: u64 = 100_000_000;

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
    /// From when on it shows nothing, running time, ns, where it was broken off.
    pub end_ns: Option<u64>,
}

/// Where a moment is in the raw recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawPlace {
    /// In this file, so many ns after its first picture.
    In(PathBuf, u64),
    /// In none: nothing was written then.
    Nowhere,
    /// That is told by what comes next, of the latest when another segment has begun: this many have.
    Untold(u64),
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
    /// Raw segments that were begun so far.
    begun: u64,
    /// Key frames that went to the raw recording: connection and running time.
    keys: VecDeque<(u32, u64)>,
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
        state.begun += 1;
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

    /// Nothing more is written to the raw segment that was begun last: from a moment on, or from one
    /// that is not known.
    pub fn end_segment(&self, at_ns: Option<u64>) {
        if let Some(last) = self.lock().segments.back_mut() {
            let end = at_ns.unwrap_or(last.start.time_ns);
            last.end_ns = Some(last.end_ns.map_or(end, |known| known.min(end)));
        }
    }

    /// A key frame of the connection under way goes to the raw recording.
    pub fn note_key(&self, time_ns: u64) {
        let mut state = self.lock();
        let connection = state.connection;
        state.keys.push_back((connection, time_ns));
        if state.keys.len() > MAX_KEYS {
            state.keys.pop_front();
        }
    }

    /// Where a moment is in the raw recording, whose segments become `length_ns` long. A segment ends
    /// before the group of pictures that would make it longer, so it is begun when that is whole.
    #[must_use]
    pub fn raw_place(&self, moment: StreamTime, length_ns: u64) -> RawPlace {
        let state = self.lock();
        let begun = |it: &&RawSegment| {
            it.start.connection == moment.connection && it.start.time_ns <= moment.time_ns
        };
        let untold = RawPlace::Untold(state.begun);
        let Some(segment) = state.segments.iter().rev().find(begun) else {
            return untold;
        };
        if segment.end_ns.is_some_and(|end| moment.time_ns >= end) {
            return RawPlace::Nowhere;
        }
        let start = segment.start.time_ns;
        let offset = moment.time_ns - start;
        let is_last = state.segments.back() == Some(segment);
        let later = |(connection, time_ns): &&(u32, u64)| {
            *connection == moment.connection && *time_ns > moment.time_ns
        };
        let group_ends = match state.keys.iter().find(later) {
            Some((_, time_ns)) => time_ns - start + ROUNDED_NS,
            None => offset + state.longest_group(moment.connection),
        };
        if is_last && group_ends > length_ns {
            return untold;
        }
        RawPlace::In(segment.path.clone(), offset)
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

impl State {
    /// The longest group of pictures seen of late; a guess on the safe side where none was seen.
    fn longest_group(&self, connection: u32) -> u64 {
        let of_it = self.keys.iter().filter(|(of, _)| *of == connection);
        let times: Vec<u64> = of_it.map(|(_, time_ns)| *time_ns).collect();
        let groups = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        groups.max().map_or(LONGEST_GROUP_NS, |it| it + ROUNDED_NS)
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
            end_ns: None,
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

    #[test]
    fn a_moment_is_in_a_raw_segment_once_no_later_one_can_have_it() {
        const S: u64 = 1_000_000_000;
        let clock = StreamClock::default();
        clock.begin_connection();
        let begin = |name: &str, secs: u64| {
            clock.note_segment(RawSegment {
                path: name.into(),
                start: StreamTime {
                    connection: 1,
                    time_ns: secs * S,
                },
                end_ns: None,
            });
        };
        let place = |secs: u64| {
            let moment = StreamTime {
                connection: 1,
                time_ns: secs * S,
            };
            match clock.raw_place(moment, 60 * S) {
                RawPlace::In(path, at) => format!("{} {}", path.display(), at / S),
                RawPlace::Nowhere => "nowhere".to_owned(),
                RawPlace::Untold(_) => "untold".to_owned(),
            }
        };
        assert_eq!(place(1), "untold", "the first group is not whole");
        begin("a", 1);
        assert_eq!(place(1), "a 0");
        assert_eq!(place(40), "a 39");
        assert_eq!(place(50), "untold", "its group may not fit any more");
        clock.note_key(55 * S);
        assert_eq!(place(50), "a 49");
        clock.note_key(57 * S);
        assert_eq!(place(57), "a 56", "groups are of 2 s");
        clock.note_key(62 * S);
        assert_eq!(
            place(58),
            "untold",
            "a segment of its own is about to begin"
        );
        begin("b", 55);
        assert_eq!(
            (place(58), place(54)),
            ("b 3".to_owned(), "a 53".to_owned())
        );
        clock.end_segment(Some(70 * S));
        assert_eq!(
            (place(69), place(70)),
            ("b 14".to_owned(), "nowhere".to_owned())
        );
        clock.end_segment(None);
        assert_eq!(place(69), "nowhere");
        begin("c", 90);
        assert_eq!(
            (place(91), place(80)),
            ("c 1".to_owned(), "nowhere".to_owned())
        );
    }
}
