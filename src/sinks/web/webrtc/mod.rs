//! What a camera sends, to browsers as it is: who may look, what goes when, and the talk with each.
//!
//! Belongs here: one viewer's connection. Does not belong here: what is kept of a stream
//! ([`crate::base::PacketRing`]), and pictures that are made here (`picture`).

mod feed;
#[cfg(feature = "webrtc")]
mod peer;
#[cfg(feature = "webrtc")]
mod show;
mod viewer;
mod words;

use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::hub::CameraFacts;
use crate::base::{PacketRing, StreamClock, VideoEnd};

pub(super) use viewer::{LONGEST_MESSAGE, Viewer};

/// The elements that are needed, and the package of each.
#[cfg(feature = "webrtc")]
const NEEDS: &str = include_str!("../../../../pipelines/webrtc-needs.txt");

/// How live video is shown.
#[derive(Debug, Clone, Default)]
pub struct VideoOptions {
    /// It is.
    pub is_on: bool,
    /// Browsers that may have it at a time.
    pub most_viewers: u32,
    /// Who tells this machine's address as seen from outside, `stun://host:port`.
    pub stun: Option<String>,
}

/// What a camera sends, and where that lies in time.
#[derive(Debug, Clone)]
pub struct VideoTap {
    /// The newest of it.
    pub ring: Arc<PacketRing>,
    /// Where its runs are.
    pub clock: Arc<StreamClock>,
}

/// What viewers of live video share.
#[derive(Debug)]
pub(super) struct Video {
    options: VideoOptions,
    places: Arc<Semaphore>,
    missing: OnceLock<Option<String>>,
}

impl Video {
    pub fn new(options: VideoOptions) -> Self {
        let most = usize::try_from(options.most_viewers).unwrap_or(0);
        let video = Self {
            options,
            places: Arc::new(Semaphore::new(most)),
            missing: OnceLock::new(),
        };
        if video.options.is_on
            && let Some(reason) = video.missing()
        {
            tracing::warn!(reason, "no live video, the page shows pictures");
        }
        video
    }

    /// Why nobody can look at what a camera sends now.
    pub fn refusal(&self, facts: &CameraFacts) -> Option<VideoEnd> {
        if !self.options.is_on || cfg!(not(feature = "webrtc")) {
            return Some(VideoEnd::Off);
        }
        if self.missing().is_some() {
            return Some(VideoEnd::Missing);
        }
        if facts.privacy.is_some() {
            return Some(VideoEnd::Privacy);
        }
        let sent = facts.video.as_ref().and_then(|tap| tap.ring.sent());
        match sent {
            None => Some(VideoEnd::NoStream),
            Some(sent) if !sent.format.starts_with("video/x-h264") => Some(VideoEnd::Codec),
            Some(sent) if sent.is_reordered => Some(VideoEnd::Reordered),
            Some(_) => None,
        }
    }

    /// A place for one viewer, if there is one.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// The end in words that say what can be done.
    pub fn told(&self, end: VideoEnd) -> String {
        let text = match end {
            VideoEnd::Left => "the viewer went",
            VideoEnd::Off if cfg!(not(feature = "webrtc")) => {
                "this gantryd was built without the feature webrtc"
            }
            VideoEnd::Off => "live video is off; webrtc = true in [web] switches it on",
            VideoEnd::Missing => return self.missing().unwrap_or_default().to_owned(),
            VideoEnd::Privacy => {
                "the camera has privacy rules, and what it sends shows what they hide"
            }
            VideoEnd::NoStream => "nothing comes from the camera that can be shown as it is sent",
            VideoEnd::Codec => {
                "the camera sends no H.264; browsers take nothing else from a camera, set it to H.264"
            }
            VideoEnd::Reordered => {
                "the camera sends B-frames, which live video cannot have; switch them off in the camera"
            }
            VideoEnd::Limit => {
                let most = self.options.most_viewers;
                return format!("{most} viewers look already; webrtc_viewers in [web] allows more");
            }
            VideoEnd::Session => "the session has ended",
            VideoEnd::Gone => "the camera is no longer watched",
            VideoEnd::NotConnected => {
                "no connection for video came about; a firewall may stop UDP between here and the browser"
            }
            VideoEnd::Vanished => "nothing was heard of the viewer for seconds",
            VideoEnd::Slow => "the viewer does not take what is sent",
            VideoEnd::Garbage => "what the viewer said is no answer",
            VideoEnd::Failed => "GStreamer could not go on; the log says why",
        };
        text.to_owned()
    }

    /// What is not installed.
    #[cfg(feature = "webrtc")]
    fn missing(&self) -> Option<&str> {
        let look = || {
            if let Err(error) = gstreamer::init() {
                return Some(format!("GStreamer does not start: {error}"));
            }
            let rows = NEEDS.lines().filter(|line| !line.starts_with('#'));
            let mut needs = rows.filter_map(|row| row.split_once(char::is_whitespace));
            let (element, package) =
                needs.find(|(name, _)| gstreamer::ElementFactory::find(name).is_none())?;
            let package = package.trim();
            Some(format!(
                "GStreamer has no {element}; apt-get install {package}"
            ))
        };
        self.missing.get_or_init(look).as_deref()
    }

    #[cfg(not(feature = "webrtc"))]
    fn missing(&self) -> Option<&str> {
        self.missing.get_or_init(|| None).as_deref()
    }
}
