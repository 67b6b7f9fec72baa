//! What a camera's event files say that its state does not.
//!
//! After a kill they may be a moment ahead of the state: no number is given twice, and nothing that they
//! tell is counted again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use crate::base::{Direction, TrackId};
use crate::perception::zones::{Told, ToldKind};
use crate::sinks::web::event_files;

/// The end of a file that is looked at first, bytes: a line has a few thousand.
const WINDOW: u64 = 256 * 1024;

/// Most that is read back of all files, bytes: much more than is told between two states.
const MOST: u64 = 64 << 20;

#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

/// What is read of an event line.
#[derive(Deserialize)]
struct EventWords {
    number: u64,
    r#type: String,
    line: Option<String>,
    direction: Option<String>,
    from: Option<String>,
    to: Option<String>,
    zone: Option<String>,
    object: Option<ObjectWords>,
}

#[derive(Deserialize)]
struct ObjectWords {
    tracks: Vec<u64>,
}

impl EventWords {
    fn told(self) -> Told {
        let what = match (self.r#type.as_str(), self.line, self.zone) {
            ("line_crossing", Some(line), _) => match self.direction.as_deref() {
                Some("in") => ToldKind::Crossing(line, Direction::In),
                Some("out") => ToldKind::Crossing(line, Direction::Out),
                _ => ToldKind::Other,
            },
            ("zone_entry", _, Some(zone)) => ToldKind::Entry(zone),
            ("zone_exit", _, Some(zone)) => ToldKind::Exit(zone),
            ("loitering", _, Some(zone)) => ToldKind::Loitering(zone),
            _ => match (self.from, self.to) {
                (Some(from), Some(to)) => ToldKind::Turn(from, to),
                _ => ToldKind::Other,
            },
        };
        let tracks = self.object.map(|it| it.tracks).unwrap_or_default();
        Told {
            number: self.number,
            tracks: tracks.into_iter().map(TrackId).collect(),
            what,
        }
    }
}

/// The events in the event files of `folder` that are numbered above `number`, in order; of more than
/// [`MOST`] bytes the newest.
pub fn told_after(folder: &Path, number: u64) -> Vec<Told> {
    let mut newer = BTreeMap::new();
    let mut left = MOST;
    for (path, mut file) in event_files(folder) {
        let mut window = WINDOW;
        let is_all = loop {
            let (lines, begins) = match whole_lines(&mut file, window.min(left)) {
                Ok(read) => read,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot be read: counts go on without what it tells");
                    return newer.into_values().collect();
                }
            };
            let words = lines.lines().map(serde_json::from_str::<EventWords>);
            let events: Vec<EventWords> = words.filter_map(Result::ok).collect();
            let reaches_back = events.iter().any(|event| event.number <= number);
            let is_last_look = reaches_back || begins || window >= left;
            if is_last_look {
                left = left.saturating_sub(lines.len() as u64);
                let events = events.into_iter().filter(|event| event.number > number);
                newer.extend(events.map(|event| (event.number, event.told())));
                break reaches_back;
            }
            window *= 4;
        };
        if is_all {
            break;
        }
        if left == 0 {
            tracing::warn!(path = %path.display(), most_mib = MOST >> 20, "more was told since the state was written than is read back: counts go on without the oldest of it");
            break;
        }
    }
    newer.into_values().collect()
}

/// The number in the last whole line of the event files of `folder`; 0 without one.
pub fn newest_in(folder: &Path) -> u64 {
    event_files(folder)
        .find_map(|(_, mut file)| {
            let (lines, _) = whole_lines(&mut file, WINDOW).ok()?;
            let mut newest_first = lines.lines().rev();
            newest_first.find_map(|line| serde_json::from_str::<Numbered>(line).ok())
        })
        .map_or(0, |line| line.number)
}

/// The whole lines in the last `window` bytes of a file, and whether these are all of it.
fn whole_lines(file: &mut File, window: u64) -> std::io::Result<(String, bool)> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(window);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(window).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let end = text.rfind('\n').map_or(0, |at| at + 1);
    // The first line may have begun before.
    let begin = match from {
        0 => 0,
        _ => text.find('\n').map_or(end, |at| at + 1),
    };
    Ok((text[begin..end].to_owned(), from == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_newer_than_the_state_is_read_from_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let text = concat!(
            r#"{"number":3,"type":"zone_entry","zone":"yard","object":{"tracks":[7]}}"#,
            "\n",
            r#"{"number":4,"type":"line_crossing","line":"gate","direction":"out","object":{"tracks":[5,7]}}"#,
            "\n",
            r#"{"number":5,"type":"turn","from":"a","to":"gate","object":{"tracks":[7]}}"#,
            "\n",
            r#"{"number":6,"type":"queue","zone":"yard","phase":"begin","object":null}"#,
            "\n",
            r#"{"number":7,"type":"zone_exit","zone":"ya"#,
        );
        std::fs::write(&path, text).unwrap();
        let told = told_after(folder.path(), 3);
        let what: Vec<&ToldKind> = told.iter().map(|it| &it.what).collect();
        let crossing = ToldKind::Crossing("gate".to_owned(), Direction::Out);
        let turn = ToldKind::Turn("a".to_owned(), "gate".to_owned());
        assert_eq!(what, [&crossing, &turn, &ToldKind::Other]);
        assert_eq!(told[0].tracks, [TrackId(5), TrackId(7)]);
        assert_eq!(told_after(folder.path(), 6), []);
        assert_eq!(told_after(&folder.path().join("none"), 0), []);
    }

    #[test]
    fn the_last_whole_line_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        assert_eq!(newest_in(folder.path()), 0);
        let number_of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            newest_in(folder.path())
        };
        assert_eq!(number_of(""), 0);
        assert_eq!(number_of("{\"number\":7}\n{\"number\":8,\"x\":[]}\n"), 8);
        assert_eq!(number_of("{\"number\":7}\n{\"number\":8"), 7);
        assert_eq!(number_of("no line of ours\n"), 0);
        // The file was full a moment ago, and nothing is in the new one yet.
        let full = folder.path().join("events_20261127T010203Z.jsonl");
        std::fs::write(&full, "{\"number\":11}\n{\"number\":12}\n").unwrap();
        assert_eq!(number_of(""), 12);
        assert_eq!(number_of("{\"number\":13"), 12);
        let long = format!(
            "{{\"number\":1}}\n{}\n{{\"number\":2}}\n",
            "x".repeat(300_000)
        );
        assert_eq!(number_of(&long), 2);
    }

    #[test]
    fn what_is_newer_is_found_over_full_files_and_many_lines() {
        let folder = tempfile::tempdir().unwrap();
        let lines = |numbers: std::ops::Range<u64>| {
            let fill = "x".repeat(1000);
            let line = |number| {
                format!(
                    "{{\"number\":{number},\"type\":\"zone_entry\",\"zone\":\"yard\",\"fill\":\"{fill}\"}}\n"
                )
            };
            numbers.map(line).collect::<String>()
        };
        for (name, numbers) in [
            ("events_20261127T010203Z.jsonl", 1..1000),
            ("events_20261127T010203Z-1.jsonl", 1000..1010),
            ("events_20261127T020304Z.jsonl", 1010..3000),
            ("events.jsonl", 3000..3100),
        ] {
            std::fs::write(folder.path().join(name), lines(numbers)).unwrap();
        }
        for last in [0, 500, 999, 1005, 2999, 3050, 3099] {
            let numbers: Vec<u64> = told_after(folder.path(), last)
                .iter()
                .map(|it| it.number)
                .collect();
            let expected: Vec<u64> = (last + 1..3100).collect();
            assert_eq!(numbers, expected, "after {last}");
        }
    }
}
