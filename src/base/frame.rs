//! A decoded picture and what is known about it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{CameraId, Flight, FrameSeq, Pts, RunId, UtcNanos};

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Where the UTC time of a frame comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UtcSource {
    /// The camera's own clock, from RTCP sender reports (RFC 3550).
    Rtcp,
    /// The clock of this machine when the frame arrived.
    Arrival,
    /// The creation time stored in the file (or given by the user) plus PTS.
    Media,
    /// Not known: a file without a creation time.
    Unknown,
}

impl UtcSource {
    /// The name used in published results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rtcp => "rtcp",
            Self::Arrival => "arrival",
            Self::Media => "media",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known about a frame besides its pixels. `(camera, run, seq)` is its key.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameMeta {
    /// The camera it came from.
    pub camera: CameraId,
    /// The connection it came over.
    pub run: RunId,
    /// Its number among all frames received from that camera.
    pub seq: FrameSeq,
    /// Stream time.
    pub pts: Pts,
    /// Capture time, where known.
    pub utc: Option<UtcNanos>,
    /// Where `utc` comes from.
    pub utc_source: UtcSource,
    /// Size of the picture.
    pub size: Size,
}

/// Layout of 8-bit 4:2:0 planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Plane 0: Y. Plane 1: U and V interleaved, `ceil(w/2)` pairs × `ceil(h/2)` rows.
    Nv12,
    /// Plane 0: Y. Planes 1 and 2: U and V, each `ceil(w/2)` × `ceil(h/2)`.
    I420,
}

impl PixelFormat {
    /// Number of planes.
    #[must_use]
    pub fn planes(self) -> usize {
        match self {
            Self::Nv12 => 2,
            Self::I420 => 3,
        }
    }
}

/// Y'CbCr matrix the planes were made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColorMatrix {
    /// ITU-R BT.601.
    Bt601,
    /// ITU-R BT.709.
    Bt709,
}

/// Value range of the planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColorRange {
    /// Y 16..=235, C 16..=240.
    Limited,
    /// 0..=255.
    Full,
}

/// One plane: rows of `stride` bytes; the last row may be shorter than `stride`.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// The bytes, from the first of the first row.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// Memory that holds the planes of a picture, wherever it is mapped.
pub trait Planes: Send + Sync {
    /// Plane `index` (< [`PixelFormat::planes`]).
    fn plane(&self, index: usize) -> Plane<'_>;

    /// What holds them on an accelerator (`card::Surface`), where they lie there; then
    /// [`Planes::plane`] copies them to the host, once.
    fn on_card(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }
}

/// Planes in ordinary memory.
#[derive(Debug, Clone)]
pub struct OwnedPlanes(pub Vec<(Vec<u8>, usize)>);

impl Planes for OwnedPlanes {
    fn plane(&self, index: usize) -> Plane<'_> {
        let (data, stride) = &self.0[index];
        Plane {
            data,
            stride: *stride,
        }
    }
}

/// The picture itself; never changed once captured.
#[derive(Clone)]
pub struct Pixels {
    /// Layout of the planes.
    pub format: PixelFormat,
    /// Matrix of the planes.
    pub matrix: ColorMatrix,
    /// Range of the planes.
    pub range: ColorRange,
    /// The memory.
    pub planes: Arc<dyn Planes>,
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {:?}", self.format, self.matrix, self.range)
    }
}

/// A decoded frame. Travels as `Arc<Frame>`.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What is known about it.
    pub meta: FrameMeta,
    /// The picture.
    pub pixels: Pixels,
    /// When it came, on the monotonic clock of this machine: from an RTSP or V4L2 camera before jitter
    /// buffer, queue and decoder, from another source when it left the decoder. For ages only.
    pub arrived: Instant,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunEnd {
    /// A file was read to its end.
    EndOfFile,
    /// A live source said that the stream is over.
    EndOfStream,
    /// No frame for longer than `stall_secs`.
    Stalled,
    /// The host refused the connection or could not be found.
    Unreachable,
    /// Connected, but nothing answered in time.
    NoAnswer,
    /// The connection broke.
    ConnectionLost,
    /// The source refused the user or the password.
    Unauthorized,
    /// The source has no such stream.
    NotFound,
    /// The size or format of the picture changed.
    FormatChanged,
    /// PTS went back or jumped ahead.
    TimeJump,
    /// The stream cannot be decoded, or holds no video.
    Undecodable,
    /// gantryd was asked to stop.
    Stopped,
}

impl RunEnd {
    /// Those that nobody asked for.
    pub(super) const FAULTS: [Self; 10] = [
        Self::EndOfStream,
        Self::Stalled,
        Self::Unreachable,
        Self::NoAnswer,
        Self::ConnectionLost,
        Self::Unauthorized,
        Self::NotFound,
        Self::FormatChanged,
        Self::TimeJump,
        Self::Undecodable,
    ];

    /// The name used in metrics, logs and published results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EndOfFile => "end_of_file",
            Self::EndOfStream => "end_of_stream",
            Self::Stalled => "stalled",
            Self::Unreachable => "unreachable",
            Self::NoAnswer => "no_answer",
            Self::ConnectionLost => "connection_lost",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::FormatChanged => "format_changed",
            Self::TimeJump => "time_jump",
            Self::Undecodable => "undecodable",
            Self::Stopped => "stopped",
        }
    }
}

/// A frame on its way to the detector, with the receipt that keeps the frame balance closed.
#[derive(Debug)]
pub struct Captured {
    /// The frame.
    pub frame: Arc<Frame>,
    /// Its receipt: must end as processed or dropped.
    pub flight: Flight,
}

/// What a camera sends down the frame path, in order.
#[derive(Debug)]
pub enum FromCamera {
    /// A decoded frame.
    Frame(Captured),
    /// The run is over; no further frame of it follows.
    RunEnded {
        /// The camera.
        camera: CameraId,
        /// The run that is over.
        run: RunId,
        /// Why.
        reason: RunEnd,
    },
}
