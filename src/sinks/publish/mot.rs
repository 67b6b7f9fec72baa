//! Results in the text format of the MOT Challenge, for scoring.

use std::fmt;

use crate::base::{FrameResult, TrackSnapshot};

/// A row of a result file, without the end of the line; made by [`mot_row`].
#[derive(Debug, Clone, Copy)]
pub struct MotRow<'t> {
    frame: u64,
    track: &'t TrackSnapshot,
}

/// A track as a row, `frame,id,left,top,width,height,confidence,-1,-1,-1`; `frame` is counted
/// from 1.
///
/// Pixels have two digits, the confidence four.
///
/// Source: MOT16 benchmark paper (Milan et al., 2016), section 3.3.
#[must_use]
pub fn mot_row(frame: u64, track: &TrackSnapshot) -> MotRow<'_> {
    MotRow { frame, track }
}

impl fmt::Display for MotRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TrackSnapshot {
            id,
            bbox,
            confidence,
            ..
        } = self.track;
        write!(
            f,
            "{},{},{:.2},{:.2},{:.2},{:.2},{confidence:.4},-1,-1,-1",
            self.frame,
            id.0,
            bbox.left(),
            bbox.top(),
            bbox.width(),
            bbox.height(),
        )
    }
}

/// The rows of one frame: one per object that is present in it, the last without a line break; `None` if
/// there is none.
#[must_use]
pub fn mot_rows(result: &FrameResult) -> Option<String> {
    let frame = result.meta.seq.0 + 1;
    let rows: Vec<String> = result
        .tracks
        .iter()
        .filter(|track| track.is_present(Some(result.meta.size)))
        .map(|track| mot_row(frame, track).to_string())
        .collect();
    (!rows.is_empty()).then(|| rows.join("\n"))
}
