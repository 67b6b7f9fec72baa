//! What a camera's event file says that its state does not.
//!
//! After a kill the file may be a moment ahead of the state: no number is given twice, and nothing that
//! it tells is counted again.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use crate::base::{Direction, TrackId};
use crate::perception::zones::{Told, ToldKind};

/// The end of the file that is looked at, bytes: a line has a few thousand.
const TAIL: u64 = 256 * 1024;

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

/// The events in whole lines of `path` that are numbered above `number`, in order.
pub fn told_after(path: &Path, number: u64) -> Vec<Told> {
    let Some(tail) = tail_of(path) else {
        return Vec::new();
    };
    let whole = tail.rfind('\n').map_or("", |end| &tail[..end]);
    let words = whole
        .lines()
        .filter_map(|line| serde_json::from_str::<EventWords>(line).ok());
    words
        .filter(|event| event.number > number)
        .map(EventWords::told)
        .collect()
}

/// The number in the last whole line of `path`; 0 without one.
pub fn newest_in(path: &Path) -> u64 {
    tail_of(path).map_or(0, |tail| {
        let mut lines = tail.rsplit('\n');
        // What follows the last line break is not whole.
        lines.next();
        let numbered = lines.find_map(|line| serde_json::from_str::<Numbered>(line).ok());
        numbered.map_or(0, |line| line.number)
    })
}

fn tail_of(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
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
        let told = told_after(&path, 3);
        let what: Vec<&ToldKind> = told.iter().map(|it| &it.what).collect();
        let crossing = ToldKind::Crossing("gate".to_owned(), Direction::Out);
        let turn = ToldKind::Turn("a".to_owned(), "gate".to_owned());
        assert_eq!(what, [&crossing, &turn, &ToldKind::Other]);
        assert_eq!(told[0].tracks, [TrackId(5), TrackId(7)]);
        assert_eq!(told_after(&path, 6), []);
        assert_eq!(told_after(&folder.path().join("none"), 0), []);
    }

    #[test]
    fn the_last_whole_line_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        assert_eq!(newest_in(&path), 0);
        let number_of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            newest_in(&path)
        };
        assert_eq!(number_of(""), 0);
        assert_eq!(number_of("{\"number\":7}\n{\"number\":8,\"x\":[]}\n"), 8);
        assert_eq!(number_of("{\"number\":7}\n{\"number\":8"), 7);
        assert_eq!(number_of("no line of ours\n"), 0);
        let long = format!(
            "{{\"number\":1}}\n{}\n{{\"number\":2}}\n",
            "x".repeat(300_000)
        );
        assert_eq!(number_of(&long), 2);
    }
}
