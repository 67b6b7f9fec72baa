//! Who looks at the live video of the page, and what that lost, for exposition.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::CameraId;
use super::metrics::CameraLabel;

/// Why a viewer has no video, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoEnd {
    /// It went.
    Left,
    /// Video is switched off, or this gantryd was built without.
    Off,
    /// An element of GStreamer is missing.
    Missing,
    /// The camera has privacy rules or masks: what it sends shows what is hidden.
    Privacy,
    /// The camera sends nothing that is kept: it is away, or a file.
    NoStream,
    /// The camera sends something other than H.264.
    Codec,
    /// The camera sends pictures in another order than they are shown in.
    Reordered,
    /// As many viewers as are allowed look already.
    Limit,
    /// Its session ended.
    Session,
    /// The camera is no longer watched.
    Gone,
    /// No connection for media came about.
    NotConnected,
    /// It has not been heard of for seconds.
    Vanished,
    /// It does not take what is sent.
    Slow,
    /// It said something that is no answer.
    Garbage,
    /// GStreamer could not go on.
    Failed,
}

impl VideoEnd {
    /// The name used in metrics and in what the browser is told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Off => "off",
            Self::Missing => "missing",
            Self::Privacy => "privacy",
            Self::NoStream => "no_stream",
            Self::Codec => "codec",
            Self::Reordered => "reordered",
            Self::Limit => "limit",
            Self::Session => "session",
            Self::Gone => "gone",
            Self::NotConnected => "not_connected",
            Self::Vanished => "vanished",
            Self::Slow => "slow",
            Self::Garbage => "garbage",
            Self::Failed => "failed",
        }
    }
}

/// Why a viewer's video has a gap, or begins anew at a key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoGap {
    /// This machine was too slow to hand the packets on.
    Late,
    /// The connection to the camera ended and another began.
    Connection,
    /// The browser lost something and asked for a key frame.
    Asked,
}

impl VideoGap {
    /// The name used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Connection => "connection",
            Self::Asked => "asked",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    camera: String,
    reason: &'static str,
}

/// Counters of the live video.
#[derive(Debug, Default)]
pub struct VideoMetrics {
    viewers: Family<CameraLabel, Gauge>,
    packets: Family<CameraLabel, Counter>,
    refused: Family<ReasonLabels, Counter>,
    ended: Family<ReasonLabels, Counter>,
    gaps: Family<ReasonLabels, Counter>,
    dropped: Family<ReasonLabels, Counter>,
}

impl VideoMetrics {
    /// Fresh counters, all 0, in `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "video_viewers",
            "Browsers with live video now",
            metrics.viewers.clone(),
        );
        registry.register(
            "video_packets",
            "Pictures handed to viewers of live video, as the camera sent them",
            metrics.packets.clone(),
        );
        registry.register(
            "video_refused",
            "Viewers who got no live video",
            metrics.refused.clone(),
        );
        registry.register(
            "video_ended",
            "Live videos that ended",
            metrics.ended.clone(),
        );
        registry.register(
            "video_gaps",
            "Live videos that began anew at a key frame",
            metrics.gaps.clone(),
        );
        registry.register(
            "video_packets_dropped",
            "Pictures that a viewer of live video did not get",
            metrics.dropped.clone(),
        );
        metrics
    }

    /// A viewer more, or one less.
    pub fn viewer(&self, camera: &CameraId, is_there: bool) {
        let viewers = self.viewers.get_or_create(&CameraLabel::of(camera));
        if is_there {
            viewers.inc();
        } else {
            viewers.dec();
        }
    }

    /// Counts pictures handed to a viewer.
    pub fn packets(&self, camera: &CameraId, count: u64) {
        self.packets
            .get_or_create(&CameraLabel::of(camera))
            .inc_by(count);
    }

    /// Counts a viewer who gets no video.
    pub fn refused(&self, camera: &CameraId, reason: VideoEnd) {
        let labels = reasons(camera, reason.as_str());
        self.refused.get_or_create(&labels).inc();
    }

    /// Counts a video that ended.
    pub fn ended(&self, camera: &CameraId, reason: VideoEnd) {
        let labels = reasons(camera, reason.as_str());
        self.ended.get_or_create(&labels).inc();
    }

    /// Counts a video that begins anew, and the pictures that it missed.
    pub fn gap(&self, camera: &CameraId, reason: VideoGap, missed: u64) {
        let labels = reasons(camera, reason.as_str());
        self.gaps.get_or_create(&labels).inc();
        self.dropped.get_or_create(&labels).inc_by(missed);
    }
}

fn reasons(camera: &CameraId, reason: &'static str) -> ReasonLabels {
    ReasonLabels {
        camera: camera.as_str().to_owned(),
        reason,
    }
}
