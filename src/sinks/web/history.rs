//! Events from before the start, read back from the event files of a camera.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::event_files::event_files;
use super::past::Told;

/// Most that is read back per camera, bytes; a line has one or two thousand.
const MOST: u64 = 16 * 1024 * 1024;

/// Events that are read back per camera: they are counted by the minute, and the newest kept.
const RECALLED: usize = 5000;

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
        let mut left = MOST;
        let mut files = Vec::new();
        for (_, file) in event_files(folder) {
            if left == 0 {
                break;
            }
            let Ok(length) = file.metadata().map(|it| it.len()) else {
                continue;
            };
            left = left.saturating_sub(length);
            files.push((file, length));
        }
        Self { files }
    }

    /// The newest events, oldest first: as many as are counted, and as fit into what is read. What is no
    /// event is left out; a last line may be cut off.
    pub(super) fn read(self) -> Vec<Told> {
        let (mut left, mut newest) = (MOST, Vec::new());
        for (file, length) in self.files {
            if left == 0 || newest.len() >= RECALLED {
                break;
            }
            let start = length.saturating_sub(left);
            left -= length - start;
            match tail(file, start, length) {
                Ok(text) => {
                    let lines = text.rsplit('\n').filter_map(Told::of);
                    newest.extend(lines.take(RECALLED - newest.len()));
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
        let many = RECALLED as u64 + 50;
        std::fs::write(&path, lines(0..many)).unwrap();
        let history = History::in_folder(folder.path());
        std::fs::write(&path, lines(0..many + 7)).unwrap();
        let told = history.read();
        assert_eq!(told.len(), RECALLED);
        assert_eq!(told.last().map(|event| event.number), Some(many - 1));
    }
}
