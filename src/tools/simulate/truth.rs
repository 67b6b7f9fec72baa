//! What is true about a frame, and how it is written down.

use std::fmt;

use super::choices::Class;

/// Smallest part of an object that must be seen for it to count.
pub const LEAST_VISIBLE: f32 = 0.25;
/// Smallest width and height of a box that counts, pixels.
pub const LEAST_SIZE: (f32, f32) = (4.0, 8.0);

/// One object of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Never given to another object of the same run.
    pub id: u64,
    /// What it is.
    pub class: Class,
    /// Left, top, right, bottom in pixels: the whole object, also where it is hidden, cut at the
    /// edge of the frame.
    pub ltrb: [f32; 4],
    /// Visible share of what lies in the frame, 0 to 1.
    pub visibility: f32,
}

impl Truth {
    /// May a detector be blamed for missing it?
    #[must_use]
    pub fn counts(&self) -> bool {
        let [left, top, right, bottom] = self.ltrb;
        self.visibility >= LEAST_VISIBLE
            && right - left >= LEAST_SIZE.0
            && bottom - top >= LEAST_SIZE.1
    }

    /// The row for frame `frame` (counted from 1), without the end of the line:
    /// `frame,id,left,top,width,height,confidence,class,visibility`; confidence is 1, or 0 where the
    /// object does not count.
    ///
    /// Source: MOT16 benchmark paper (Milan et al., 2016), section 3.3.
    #[must_use]
    pub fn row(&self, frame: u64) -> impl fmt::Display + use<> {
        let [left, top, right, bottom] = self.ltrb;
        format!(
            "{frame},{},{left:.1},{top:.1},{:.1},{:.1},{},{},{:.3}",
            self.id,
            right - left,
            bottom - top,
            u8::from(self.counts()),
            self.class.number(),
            self.visibility
        )
    }
}
