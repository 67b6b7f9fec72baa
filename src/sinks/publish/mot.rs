//! Results in the text format of the MOT Challenge, for scoring.

use std::path::Path;

use super::{JsonlFile, PublishError};
use crate::base::{FrameResult, TrackState};

/// A file of MOT rows: `frame,id,left,top,width,height,confidence,-1,-1,-1`, frames from 1, one
/// row per confirmed track that was seen in the frame.
///
/// Source: MOT16 benchmark paper (Milan et al., 2016), section 3.3.
#[derive(Debug)]
pub struct MotFile(JsonlFile);

impl MotFile {
    /// A new file; one that is there already is replaced.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, PublishError> {
        JsonlFile::create(path).map(Self)
    }

    /// Appends the rows of one frame.
    ///
    /// # Errors
    /// If the system refuses to take them.
    pub fn write(&mut self, result: &FrameResult) -> Result<(), PublishError> {
        let frame = result.meta.seq.0 + 1;
        let seen = |track: &&crate::base::TrackSnapshot| track.state == TrackState::Confirmed;
        for track in result.tracks.iter().filter(seen) {
            let b = &track.bbox;
            self.0.write_line(&format!(
                "{frame},{},{:.2},{:.2},{:.2},{:.2},{:.4},-1,-1,-1",
                track.id.0,
                b.left(),
                b.top(),
                b.width(),
                b.height(),
                track.confidence
            ))?;
        }
        Ok(())
    }

    /// Hands everything written so far to the system.
    ///
    /// # Errors
    /// If the system refuses to take it.
    pub fn flush(&mut self) -> Result<(), PublishError> {
        self.0.flush()
    }
}
