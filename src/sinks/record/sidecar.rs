//! The lines that go with a file, written when their frame has been encoded.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::time::Instant;

/// Most frames an encoder may hold back; beyond that the oldest is given up.
const MAX_PENDING: usize = 1024;

/// A frame that went to the encoder.
#[derive(Debug)]
struct Pending {
    pts_ns: u64,
    line: String,
    pushed: Instant,
}

/// Frames on their way through the encoder, and the file their lines go to.
#[derive(Debug)]
pub(super) struct Sidecar {
    file: Option<File>,
    pending: VecDeque<Pending>,
}

impl Sidecar {
    /// Without `file` nothing is written.
    pub(super) fn new(file: Option<File>) -> Self {
        Self {
            file,
            pending: VecDeque::new(),
        }
    }

    pub(super) fn is_written(&self) -> bool {
        self.file.is_some()
    }

    /// A frame goes to the encoder.
    pub(super) fn pushed(&mut self, pts_ns: u64, line: String) {
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending {
            pts_ns,
            line,
            pushed: Instant::now(),
        });
    }

    /// The frame with this PTS came out: its line is written. Gives when it was pushed, `None` for
    /// a frame never pushed. Lines of frames that the encoder left out are left out too.
    pub(super) fn encoded(&mut self, pts_ns: u64) -> io::Result<Option<Instant>> {
        while let Some(pending) = self.pending.front() {
            if pending.pts_ns > pts_ns {
                break;
            }
            let Some(pending) = self.pending.pop_front() else {
                break;
            };
            if pending.pts_ns == pts_ns {
                if let Some(file) = &mut self.file {
                    file.write_all(with_pts(&pending.line, pts_ns).as_bytes())?;
                }
                return Ok(Some(pending.pushed));
            }
        }
        Ok(None)
    }
}

/// The line with `"segment_pts_ns"` as its last member, and a line end.
fn with_pts(line: &str, pts_ns: u64) -> String {
    let body = line.trim_end().strip_suffix('}').unwrap_or(line);
    let comma = if body.trim_end().ends_with('{') {
        ""
    } else {
        ","
    };
    format!("{body}{comma}\"segment_pts_ns\":{pts_ns}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pts_becomes_the_last_member() {
        assert_eq!(with_pts("{\"a\":1}", 5), "{\"a\":1,\"segment_pts_ns\":5}\n");
        assert_eq!(with_pts("{}", 5), "{\"segment_pts_ns\":5}\n");
    }

    #[test]
    fn a_frame_the_encoder_left_out_has_no_line() {
        let mut path = tempfile::NamedTempFile::new().unwrap();
        let mut sidecar = Sidecar::new(Some(path.reopen().unwrap()));
        for pts in [0, 40, 80] {
            sidecar.pushed(pts, format!("{{\"n\":{pts}}}"));
        }
        assert!(sidecar.encoded(0).unwrap().is_some());
        assert!(sidecar.encoded(80).unwrap().is_some());
        assert!(sidecar.encoded(120).unwrap().is_none());
        let mut text = String::new();
        io::Read::read_to_string(path.as_file_mut(), &mut text).unwrap();
        assert_eq!(
            text,
            "{\"n\":0,\"segment_pts_ns\":0}\n{\"n\":80,\"segment_pts_ns\":80}\n"
        );
    }
}
