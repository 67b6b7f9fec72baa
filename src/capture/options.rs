//! What a camera is asked to do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Source;
use crate::base::{CameraId, DiskRoom, PacketRing, StreamClock, UtcNanos};

/// Who decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decode {
    /// The first that exists here: NVIDIA, VA-API, V4L2, then software.
    #[default]
    Auto,
    /// NVIDIA's decoder.
    Nvdec,
    /// VA-API (Intel, AMD).
    Va,
    /// A V4L2 decoder (Raspberry Pi, Rockchip, …).
    V4l2,
    /// The processor.
    Software,
}

impl Decode {
    /// The name used in configuration and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Nvdec => "nvdec",
            Self::Va => "va",
            Self::V4l2 => "v4l2",
            Self::Software => "software",
        }
    }
}

/// How the pictures of a live source are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// Whatever the source announces.
    #[default]
    Auto,
    /// H.264 / AVC only.
    H264,
    /// H.265 / HEVC only.
    H265,
    /// Motion JPEG only.
    Mjpeg,
}

impl Codec {
    /// The name used in configuration, `pipelines/codecs.txt` and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Mjpeg => "mjpeg",
        }
    }
}

/// Waits between two runs of a live source: doubling from `first` to `longest`, with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure, and after every run that was healthy.
    pub first: Duration,
    /// Never longer than this; also the wait after a refused password.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        }
    }
}

/// Keeps what the camera sent (H.264 and H.265), not decoded and not re-encoded, as
/// `<camera>_<yyyymmddThhmmssZ>_raw.mp4`.
#[derive(Debug, Clone)]
pub struct RawRecord {
    /// Where the segments go.
    pub folder: PathBuf,
    /// Length of one segment.
    pub segment_secs: u32,
    /// Segments are written only while it has some for recordings.
    pub room: Arc<DiskRoom>,
}

/// What a camera is asked to do.
#[derive(Debug, Clone)]
pub struct CameraOptions {
    /// Its name in results, metrics and logs.
    pub id: CameraId,
    /// Where its frames come from.
    pub source: Source,
    /// Who decodes.
    pub decode: Decode,
    /// Number of the card in whose memory frames stay that its decoder made; `None` copies them to the host.
    pub card: Option<u32>,
    /// Restricts a live source to one codec.
    pub codec: Codec,
    /// Threads of a software decoder; default 1 for live (more add latency), 2 for files.
    pub decode_threads: Option<u32>,
    /// The user's own pipeline. It holds either `appsink name=frames`, which gets decoded I420 or
    /// NV12 pictures, or an element `name=streams` (else `name=source`) whose pads are encoded
    /// streams, of which the first video is decoded. An element `name=source` gets the location,
    /// user and password of the source.
    pub pipeline: Option<PathBuf>,
    /// Jitter buffer of a network source, ms.
    pub latency_ms: u32,
    /// A live source without a frame for so long has stalled, s.
    pub stall_secs: f64,
    /// A live source must answer within this time, s.
    pub connect_secs: f64,
    /// Frames of a lossless source that may wait for the detector.
    pub queue_frames: usize,
    /// Waits for the detector instead of dropping frames.
    pub lossless: bool,
    /// Ends after so many frames.
    pub max_frames: Option<u64>,
    /// UTC of the first frame of a file; taken from the file otherwise.
    pub start_utc: Option<UtcNanos>,
    /// How a live source is tried again; `None` gives up after the first run.
    pub backoff: Option<Backoff>,
    /// Keeps the encoded stream.
    pub raw: Option<RawRecord>,
    /// Keeps the newest of the encoded stream (H.264 and H.265) for clips.
    pub packets: Option<Arc<PacketRing>>,
    /// Is told where runs and raw segments lie in the time of their connection.
    pub clock: Arc<StreamClock>,
    /// The daemon is ready only when this camera delivers.
    pub required: bool,
    /// A source that cannot be read is a run that ends, not a camera that does not start: the other
    /// cameras of a daemon go on, and a device is tried again as any live source is.
    pub patient: bool,
    /// Gives up when a live source fails before its first frame ever: for one-shot commands, whose
    /// user is there to read why.
    pub give_up_unseen: bool,
    /// Runs that there were before a restart: the first one now has the next number.
    pub runs_before: u32,
    /// Reads a file again and again, each time as a new run (for benchmarks).
    pub repeat: bool,
}

impl CameraOptions {
    /// The defaults for `source`: a file is lossless and read once, a live source drops and is
    /// tried again for ever.
    #[must_use]
    pub fn new(id: CameraId, source: Source) -> Self {
        let live = source.is_live();
        Self {
            id,
            source,
            decode: Decode::default(),
            card: None,
            codec: Codec::default(),
            decode_threads: None,
            pipeline: None,
            latency_ms: 200,
            stall_secs: 5.0,
            connect_secs: 10.0,
            queue_frames: 4,
            lossless: !live,
            max_frames: None,
            start_utc: None,
            backoff: live.then(Backoff::default),
            raw: None,
            packets: None,
            clock: Arc::default(),
            required: true,
            patient: false,
            give_up_unseen: false,
            runs_before: 0,
            repeat: false,
        }
    }
}
