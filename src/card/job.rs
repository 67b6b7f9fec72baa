//! What the kernel is told of one picture, and what is checked before it is told.

use crate::base::Size;

use super::Surface;

/// Two neighbouring pixels of a plane on one axis: the first, the second, and the weight of the second,
/// 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct AxisTap {
    /// The left or upper one.
    pub first: u32,
    /// The right or lower one, or the first again.
    pub second: u32,
    /// Weight of the second.
    pub weight: f32,
}

/// Which pixels of a plane make the pixels of the picture: one tap per column, one per row. The second of
/// a column is the next pixel, or the same where the plane is one pixel wide.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaneTaps {
    /// Per column of the picture.
    pub columns: Vec<AxisTap>,
    /// Per row of the picture.
    pub rows: Vec<AxisTap>,
}

/// Taps that would read beside their plane, or another picture than the surface holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the taps do not fit a part of {part} px at {left}, {top} of a frame of {frame}")]
pub struct TapsError {
    /// The part of the frame.
    pub part: Size,
    /// Its first column.
    pub left: u32,
    /// Its first row.
    pub top: u32,
    /// The frame.
    pub frame: Size,
}

impl PlaneTaps {
    /// Do all taps lie in a plane of so many pixels?
    pub(super) fn fit(&self, width: u32, height: u32) -> bool {
        let next = if width > 1 { 1 } else { 0 };
        let columns = self
            .columns
            .iter()
            .all(|tap| tap.second == tap.first.saturating_add(next) && tap.second < width);
        let rows = self
            .rows
            .iter()
            .all(|tap| tap.first < height && tap.second < height);
        columns && rows
    }
}

/// One channel of the model as a function of Y, U and V, 0..=255:
/// `clamp(y·Y + u·U + v·V + offset, low, high)`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Channel {
    /// Factor of Y.
    pub y: f32,
    /// Factor of U.
    pub u: f32,
    /// Factor of V.
    pub v: f32,
    /// Added.
    pub offset: f32,
    /// Smallest value.
    pub low: f32,
    /// Largest value.
    pub high: f32,
}

/// A picture for one slot of the tensor.
#[derive(Debug, Clone, Copy)]
pub struct PictureOnCard<'a> {
    /// The frame.
    pub surface: &'a Surface,
    /// First column of the part that is shown, even.
    pub left: u32,
    /// First row of it, even.
    pub top: u32,
    /// Its columns and rows.
    pub part: Size,
    /// First column and row of the picture in the input of the model; columns and rows are those of the
    /// taps.
    pub at: [u32; 2],
    /// The channels, in the order of the model.
    pub channels: [Channel; 3],
}

/// `Plane` of `letterbox.cu`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct PlaneOfJob {
    pub data: u64,
    pub columns: u64,
    pub weights: u64,
    pub rows: u64,
    pub pitch: u32,
    pub right: u32,
}

/// `Job` of `letterbox.cu`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Job {
    pub luma: PlaneOfJob,
    pub chroma: PlaneOfJob,
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
    pub channels: [Channel; 3],
}

/// `Layout` of `letterbox.cu`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Layout {
    pub width: u32,
    pub height: u32,
    pub channel_step: u32,
    pub pixel_step: u32,
    pub padding: [f32; 3],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_those_of_the_kernel() {
        // letterbox.cu: Plane is 4 pointers and 2 numbers, Job 2 planes, 4 numbers and 18 floats.
        assert_eq!(size_of::<PlaneOfJob>(), 40);
        assert_eq!(size_of::<Job>(), 168);
        assert_eq!(std::mem::offset_of!(Job, channels), 96);
        assert_eq!(size_of::<Layout>(), 28);
        assert_eq!(size_of::<AxisTap>(), 12);
    }

    #[test]
    fn taps_beside_the_plane_are_found() {
        let tap = |first, second| AxisTap {
            first,
            second,
            weight: 0.5,
        };
        let taps = |column, row| PlaneTaps {
            columns: vec![column],
            rows: vec![row],
        };
        assert!(taps(tap(2, 3), tap(1, 1)).fit(4, 2));
        assert!(!taps(tap(3, 4), tap(1, 1)).fit(4, 2), "right of it");
        assert!(!taps(tap(2, 3), tap(1, 2)).fit(4, 2), "below it");
        assert!(!taps(tap(1, 3), tap(0, 1)).fit(4, 2), "no neighbours");
        assert!(taps(tap(0, 0), tap(0, 0)).fit(1, 1), "a single pixel");
    }
}
