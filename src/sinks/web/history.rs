//! Events from before the start, read back from the event files of a camera.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::past::{EVENTS, Told};

/// Most that is read back per camera, bytes; a line has one or two thousand.
const MOST: u64 = 16 * 1024 * 1024;

/// The event files of a camera as they were at the start: what is written from then on is told.
#[derive(Debug, Default)]
pub struct History {
    /// Newest first, with their lengths.
    files: Vec<(File, u64)>,
}

impl History {
    /// What is in `folder`, the camera's; empty where there is nothing to read.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Self::default();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut full: Vec<_> = names
            .filter_map(|name| Some((rotated(&name)?, name)))
            .collect();
        full.sort();
        full.reverse();
        let names = full.into_iter().map(|(_, name)| name);
        let mut left = MOST;
        let mut files = Vec::new();
        for name in std::iter::once("events.jsonl".to_owned()).chain(names) {
            if left == 0 {
                break;
            }
            let Ok(file) = File::open(folder.join(name)) else {
                continue;
            };
            let Ok(length) = file.metadata().map(|it| it.len()) else {
                continue;
            };
            left = left.saturating_sub(length);
            files.push((file, length));
        }
        Self { files }
    }

    /// The newest events, oldest first: as many as are kept, and as fit into what is read. What is no
    /// event is left out; a last line may be cut off.
    pub(super) fn read(self) -> Vec<Told> {
        let (mut left, mut newest) = (MOST, Vec::new());
        for (file, length) in self.files {
            if left == 0 || newest.len() >= EVENTS {
                break;
            }
            let start = length.saturating_sub(left);
            left -= length - start;
            match tail(file, start, length) {
                Ok(text) => {
                    let lines = text.rsplit('\n').filter_map(Told::of);
                    newest.extend(lines.take(EVENTS - newest.len()));
                }
                Err(error) => tracing::warn!(%error, "events of before are not read back"),
            }
        }
        newest.reverse();
        newest
    }
}

fn tail(mut file: File, start: u64, length: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length - start).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What full event files are sorted by: the moment in the name, and its number for one of several.
fn rotated(name: &str) -> Option<(String, u32)> {
    let stem = name.strip_prefix("events_")?.strip_suffix(".jsonl")?;
    let (stamp, number) = stem.split_once('-').unwrap_or((stem, "0"));
    Some((stamp.to_owned(), number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: std::ops::Range<u64>) -> String {
        let line = |n| format!("{{\"number\":{n},\"type\":\"turn\",\"utc\":null}}\n");
        numbers.map(line).collect()
    }

    fn read(folder: &Path) -> Vec<u64> {
        let told = History::in_folder(folder).read();
        told.iter().map(|event| event.number).collect()
    }

    #[test]
    fn the_newest_are_read_back_in_order_over_full_files_and_a_cut_off_line() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert!(read(folder.path()).is_empty());
        assert!(read(&folder.path().join("none")).is_empty());
        write("events_20260301T080000Z.jsonl", &lines(1..3));
        write("events_20260301T080000Z-1.jsonl", &lines(3..5));
        write("events_20260301T080000Z-10.jsonl", &lines(5..7));
        write("events_20260302T080000Z.jsonl", &lines(7..9));
        write("events_old.txt", "no event file");
        write("results.jsonl", &lines(90..91));
        let half = format!(
            "{}no event\n{}{{\"number\":99,\"ty",
            lines(9..10),
            lines(10..11)
        );
        write("events.jsonl", &half);
        assert_eq!(read(folder.path()), (1..11).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_written_later_is_not_read_and_no_more_than_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let many = EVENTS as u64 + 50;
        std::fs::write(&path, lines(0..many)).unwrap();
        let history = History::in_folder(folder.path());
        std::fs::write(&path, lines(0..many + 7)).unwrap();
        let told = history.read();
        assert_eq!(told.len(), EVENTS);
        assert_eq!(told.last().map(|event| event.number), Some(many - 1));
    }
}
