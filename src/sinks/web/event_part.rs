//! The beginning of an event file, up to where what is asked for ends: found without reading the rest.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::past::Told;

/// The place is known to so many bytes; what is between is read and passed over.
const NEAR_ENOUGH: u64 = 64 * 1024;

/// A line is at most about so long.
const LONGEST_LINE: u64 = 1024 * 1024;

/// A file as if it ended earlier.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    at: u64,
    end: u64,
}

impl Part {
    /// Up to the first event that is `too_late`: those after it are so too.
    pub fn before(file: File, too_late: impl Fn(&Told) -> bool) -> io::Result<Self> {
        let (mut known, mut end) = (0, file.metadata()?.len());
        while end - known > NEAR_ENOUGH {
            let middle = known + (end - known) / 2;
            match event_after(&file, middle)? {
                Some(event) if !too_late(&event) => known = middle,
                _ => end = middle,
            }
        }
        let end = end + rest_of_line(&file, end)?;
        Self::up_to(file, end)
    }

    /// The whole file as it is now.
    pub fn whole(file: File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Self::up_to(file, end)
    }

    fn up_to(mut file: File, end: u64) -> io::Result<Self> {
        file.rewind()?;
        Ok(Self { file, at: 0, end })
    }
}

/// The first event that begins after `place`.
fn event_after(file: &File, place: u64) -> io::Result<Option<Told>> {
    let mut lines = BufReader::new(from(file, place)?);
    let mut line = Vec::new();
    // Half a line, most likely.
    lines.read_until(b'\n', &mut line)?;
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if let Some(event) = event_of(&line) {
            return Ok(Some(event));
        }
    }
}

/// Bytes from `place` to the end of the line that it lies in.
fn rest_of_line(file: &File, place: u64) -> io::Result<u64> {
    let mut rest = Vec::new();
    let length = BufReader::new(from(file, place)?).read_until(b'\n', &mut rest)?;
    Ok(length as u64)
}

fn from(mut file: &File, place: u64) -> io::Result<impl Read> {
    file.seek(SeekFrom::Start(place))?;
    Ok(file.take(LONGEST_LINE))
}

/// The event of a line, with its line end or without.
pub(super) fn event_of(line: &[u8]) -> Option<Told> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    Told::of(std::str::from_utf8(line).ok()?)
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.at);
        let read = self.file.by_ref().take(left).read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::End(offset) => self.end.checked_add_signed(offset).map(SeekFrom::Start),
            other => Some(other),
        };
        let beyond = || io::Error::new(io::ErrorKind::InvalidInput, "before the beginning");
        self.at = self.file.seek(to.ok_or_else(beyond)?)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_ends_near_the_place_and_with_a_whole_line() {
        let mut file = tempfile::tempfile().unwrap();
        let filler = "x".repeat(500);
        let line = |n: u64| {
            let wrong = if n.is_multiple_of(7) {
                "no event\n"
            } else {
                ""
            };
            format!("{wrong}{{\"number\":{n},\"type\":\"turn\",\"utc\":null,\"x\":\"{filler}\"}}\n")
        };
        let text: String = (1..4000).map(line).collect();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        for below in [1, 2, 77, 2000, 3999, 9999] {
            let part = Part::before(file.try_clone().unwrap(), |it| it.number >= below).unwrap();
            let mut read = Vec::new();
            BufReader::new(part).read_to_end(&mut read).unwrap();
            assert!(read.is_empty() || read.ends_with(b"\n"));
            let numbers = read.split(|byte| *byte == b'\n').filter_map(event_of);
            let last = numbers.map(|event| event.number).max().unwrap_or(0);
            let wanted = (below - 1).min(3999);
            let spare = NEAR_ENOUGH / 500 + 2;
            assert!((wanted..=wanted + spare).contains(&last), "{below}: {last}");
        }
    }
}
