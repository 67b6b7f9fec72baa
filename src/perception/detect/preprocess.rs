//! placeholder
/// The planes of a frame cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "frame of {width}x{height}: plane {plane} is {found} bytes in rows of {stride}, needed are {needed}"
)]
pub struct FrameError {
    /// Columns of the frame.
    pub width: u32,
    /// Rows of the frame.
    pub height: u32,
    /// Number of the plane.
    pub plane: usize,
    /// Its bytes.
    pub found: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes that the size asks for.
    pub needed: usize,
}
