//! The number of the newest event that is in a camera's event file.
//!
//! After a kill the file may be a moment ahead of the state; no number is given twice for that.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

/// The end of the file that is looked at, bytes: a line has a few thousand.
const TAIL: u64 = 256 * 1024;

#[derive(Deserialize)]
struct Numbered {
    number: u64,
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
