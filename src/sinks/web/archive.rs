//! Events that are no longer in memory, found in the event files of a camera.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rev_lines::RawRevLines;

use super::event_files::{event_files, oldest};
use super::event_part::{Part, event_of};
use super::past::{ANSWER_BYTES, SLACK_NS, Told, Wanted};
use crate::base::UtcNanos;

/// Bytes that one request looks through at most.
const MOST: u64 = 128 * 1024 * 1024;

/// A line is at most about so long: what is looked at of a file to know where it begins.
const HEAD: u64 = 1024 * 1024;

/// Bytes that are read at a time.
const BLOCK: usize = 64 * 1024;

/// What was found in files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Oldest first.
    pub events: Vec<Told>,
    /// Where so much was looked through that the rest is for another request: all that is left has
    /// lower numbers than this.
    pub unread_before: Option<u64>,
}

/// Which of the events in files are asked for.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub wanted: Wanted,
    /// Only lower numbers: what is known already.
    pub below: u64,
    /// The newest so many.
    pub limit: usize,
    /// Bytes of the answer that are taken.
    pub used: usize,
}

/// The newest events in the files of `folder` that are asked for. Numbers fall from one event to the one
/// before it; where they do not, they began anew, and what is older is not looked at.
pub(super) fn search(folder: &Path, asked: &Search) -> Found {
    let wanted = &asked.wanted;
    let mut below = asked.below.min(wanted.before.unwrap_or(u64::MAX));
    let (mut left, mut used) = (MOST, asked.used);
    let mut found = Found::default();
    for (path, file) in event_files(folder) {
        let part = match part_of(file, wanted, below) {
            Ok(Some(part)) => part,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "an event file cannot be read");
                continue;
            }
        };
        for line in RawRevLines::with_capacity(BLOCK, part) {
            let Ok(line) = line else {
                tracing::warn!(file = %path.display(), "an event file cannot be read to its beginning");
                break;
            };
            left = left.saturating_sub(line.len() as u64 + 1);
            if left == 0 {
                found.unread_before = Some(below);
                return found.in_order();
            }
            let Some(event) = event_of(&line).filter(|event| event.number < below) else {
                continue;
            };
            below = event.number;
            let event_utc = event.utc.0;
            if wanted.after.is_some_and(|after| below <= after) {
                return found.in_order();
            }
            if wanted.takes(&event) {
                used += event.line.len();
                if used > ANSWER_BYTES && used > event.line.len() {
                    return found.in_order();
                }
                found.events.push(event);
            }
            if found.events.len() >= asked.limit || below <= 1 {
                return found.in_order();
            }
            let is_before = |from: UtcNanos| event_utc < from.0.saturating_sub(SLACK_NS);
            if wanted.from.is_some_and(is_before) {
                return found.in_order();
            }
        }
    }
    found.in_order()
}

/// The part of a file that what is wanted may be in; `None` if that is none of it.
fn part_of(file: File, wanted: &Wanted, below: u64) -> io::Result<Option<Part>> {
    let Some(span) = Span::of(&file)?.filter(|span| span.may_hold(wanted, below)) else {
        return Ok(None);
    };
    if span.is_anew() {
        return Part::whole(file).map(Some);
    }
    let is_after = |event: &Told, to: UtcNanos| event.utc.0 >= to.0.saturating_add(SLACK_NS);
    let too_late =
        |event: &Told| event.number >= below || wanted.to.is_some_and(|to| is_after(event, to));
    Part::before(file, too_late).map(Some)
}

impl Found {
    fn in_order(mut self) -> Self {
        self.events.reverse();
        self
    }
}

/// First and last event of a file.
struct Span {
    first: (u64, UtcNanos),
    last: (u64, UtcNanos),
}

impl Span {
    /// `None` for a file without an event.
    fn of(file: &File) -> io::Result<Option<Self>> {
        let Some(first) = first_event(file)? else {
            return Ok(None);
        };
        let mut last = None;
        for line in RawRevLines::with_capacity(BLOCK, file) {
            let line = line.map_err(|error| io::Error::other(error.to_string()))?;
            last = event_of(&line);
            if last.is_some() {
                break;
            }
        }
        let of = |event: &Told| (event.number, event.utc);
        Ok(last.map(|last| Self {
            first: of(&first),
            last: of(&last),
        }))
    }

    /// Numbers began anew inside of the file, so that they tell nothing of what is between.
    fn is_anew(&self) -> bool {
        self.last.0 < self.first.0
    }

    fn may_hold(&self, wanted: &Wanted, below: u64) -> bool {
        let (earliest, latest) = (
            self.first.1.min(self.last.1).0.saturating_sub(SLACK_NS),
            self.first.1.max(self.last.1).0.saturating_add(SLACK_NS),
        );
        let is_in_reach =
            self.first.0 < below && wanted.after.is_none_or(|after| self.last.0 > after);
        (self.is_anew() || is_in_reach)
            && wanted.from.is_none_or(|from| latest >= from.0)
            && wanted.to.is_none_or(|to| earliest < to.0)
    }
}

fn first_event(mut file: &File) -> io::Result<Option<Told>> {
    file.rewind()?;
    let lines = BufReader::new(file.take(HEAD)).split(b'\n');
    for line in lines {
        let event = event_of(&line?);
        if event.is_some() {
            return Ok(event);
        }
    }
    Ok(None)
}

/// The oldest event in the files of a camera, looked up again when its file is another.
#[derive(Debug, Clone, Default)]
pub(super) struct Oldest {
    file: Option<(PathBuf, u64)>,
    event: Option<(u64, UtcNanos)>,
}

impl Oldest {
    /// Looks whether it is still the same file.
    pub fn look(&mut self, folder: &Path) {
        let inode = |path: &Path| Some(path.metadata().ok()?.ino());
        let is_same = |(path, known): &(PathBuf, u64)| inode(path) == Some(*known);
        if self.event.is_some() && self.file.as_ref().is_some_and(is_same) {
            return;
        }
        let found = oldest(folder).and_then(|path| Some((inode(&path)?, path)));
        self.event = found.as_ref().and_then(|(_, path)| {
            let event = first_event(&File::open(path).ok()?).ok()??;
            Some((event.number, event.utc))
        });
        self.file = found.map(|(inode, path)| (path, inode));
    }

    /// Its number and when it was.
    pub fn event(&self) -> Option<(u64, UtcNanos)> {
        self.event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events `numbers`, one a minute, of which every tenth is a turn.
    fn lines(numbers: std::ops::Range<u64>) -> String {
        let line = |n: u64| {
            let (day, hour, minute) = (1 + n / 1440, n / 60 % 24, n % 60);
            let kind = if n.is_multiple_of(10) {
                "turn"
            } else {
                "zone_entry"
            };
            format!(
                "{{\"number\":{n},\"type\":\"{kind}\",\"zone\":\"yard\",\"utc\":\"2026-03-{day:02}T{hour:02}:{minute:02}:00.000000000Z\"}}\n"
            )
        };
        numbers.map(line).collect()
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("events_20260302T000000Z.jsonl", &lines(1..1000));
        write("events_20260303T000000Z.jsonl", &lines(1000..2000));
        write("events.jsonl", &lines(2000..2500));
        folder
    }

    fn all(limit: usize) -> Search {
        Search {
            wanted: Wanted::default(),
            below: u64::MAX,
            limit,
            used: 0,
        }
    }

    fn numbers(found: &Found) -> Vec<u64> {
        found.events.iter().map(|event| event.number).collect()
    }

    fn moment(text: &str) -> Option<UtcNanos> {
        UtcNanos::parse(text)
    }

    #[test]
    fn the_newest_below_what_is_known_are_found_over_files() {
        let folder = folder();
        let mut asked = all(600);
        asked.below = 2100;
        let found = search(folder.path(), &asked);
        assert_eq!(numbers(&found), (1500..2100).collect::<Vec<_>>());
        assert_eq!(found.unread_before, None);
        asked.wanted.after = Some(2097);
        assert_eq!(numbers(&search(folder.path(), &asked)), [2098, 2099]);
        (asked.wanted.after, asked.wanted.before) = (Some(998), Some(1001));
        assert_eq!(numbers(&search(folder.path(), &asked)), [999, 1000]);
    }

    #[test]
    fn what_is_far_back_in_a_large_file_is_found_and_a_search_that_breaks_off_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let filler = "x".repeat(100_000);
        let mut file = File::create(folder.path().join("events.jsonl")).unwrap();
        // 200 MB: more than one request looks through.
        for n in 1..=2000 {
            let line =
                format!("{{\"number\":{n},\"type\":\"turn\",\"utc\":null,\"x\":\"{filler}\"}}\n");
            std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
        }
        let mut asked = all(2);
        asked.below = 100;
        assert_eq!(numbers(&search(folder.path(), &asked)), [98, 99]);
        asked.below = u64::MAX;
        asked.wanted.place = Some("nowhere".to_owned());
        let broken_off = search(folder.path(), &asked);
        let before = broken_off.unread_before.unwrap();
        assert!(
            broken_off.events.is_empty() && (600..800).contains(&before),
            "{before}"
        );
        asked.below = before;
        assert_eq!(search(folder.path(), &asked), Found::default());
    }

    #[test]
    fn time_type_and_place_narrow_what_is_found() {
        let folder = folder();
        let mut asked = all(100);
        asked.wanted.from = moment("2026-03-01T00:30:00Z");
        asked.wanted.to = moment("2026-03-01T01:30:00Z");
        assert_eq!(
            numbers(&search(folder.path(), &asked)),
            (30..90).collect::<Vec<_>>()
        );
        asked.wanted.kinds = vec!["turn".to_owned()];
        let found = search(folder.path(), &asked);
        assert_eq!(numbers(&found), [30, 40, 50, 60, 70, 80]);
        asked.wanted.place = Some("gate".to_owned());
        assert!(numbers(&search(folder.path(), &asked)).is_empty());
    }

    #[test]
    fn numbers_that_began_anew_end_the_search_and_damage_is_passed_over() {
        let folder = folder();
        let path = folder.path().join("events.jsonl");
        let damaged = format!("{{\"num\u{0}\n{}no event\n{{\"number\":4,\"ty", lines(1..4));
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(numbers(&search(folder.path(), &all(100))), [1, 2, 3]);
        // Numbers of before in the same file.
        std::fs::write(&path, lines(1900..2000) + &lines(1..700)).unwrap();
        let mut before = all(3);
        before.below = 501;
        assert_eq!(numbers(&search(folder.path(), &before)), [498, 499, 500]);
        std::fs::write(&path, [0xff, 0xfe, b'\n']).unwrap();
        assert_eq!(numbers(&search(folder.path(), &all(1))), [1999]);
        assert_eq!(search(Path::new("/none"), &all(1)), Found::default());
    }

    #[test]
    fn an_answer_is_bounded_in_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let long = |n: u64| {
            let text = "x".repeat(ANSWER_BYTES / 3);
            format!("{{\"number\":{n},\"type\":\"turn\",\"utc\":null,\"x\":\"{text}\"}}\n")
        };
        let text: String = (1..6).map(long).collect();
        std::fs::write(folder.path().join("events.jsonl"), text).unwrap();
        assert_eq!(numbers(&search(folder.path(), &all(9))), [4, 5]);
        let mut asked = all(9);
        asked.used = 2 * ANSWER_BYTES / 3;
        assert!(numbers(&search(folder.path(), &asked)).is_empty());
    }

    #[test]
    fn the_oldest_event_follows_its_files() {
        let folder = folder();
        let mut oldest = Oldest::default();
        oldest.look(folder.path());
        assert_eq!(oldest.event().map(|it| it.0), Some(1));
        std::fs::remove_file(folder.path().join("events_20260302T000000Z.jsonl")).unwrap();
        oldest.look(folder.path());
        assert_eq!(oldest.event().map(|it| it.0), Some(1000));
        std::fs::remove_file(folder.path().join("events_20260303T000000Z.jsonl")).unwrap();
        oldest.look(folder.path());
        assert_eq!(oldest.event().map(|it| it.0), Some(2000));
        std::fs::remove_file(folder.path().join("events.jsonl")).unwrap();
        oldest.look(folder.path());
        assert_eq!(oldest.event(), None);
    }
}
