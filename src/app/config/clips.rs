//! `[clips]` and `[snapshots]`: what is kept of an event besides its line.

use std::time::Duration;

use super::CameraConfig;
use super::reader::Section;
use super::sinks::{known_words, places_of};
use crate::base::EventKind;

/// `[clips]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipsConfig {
    /// Types of events that get a clip; empty for none.
    pub events: Vec<String>,
    /// Zones and lines whose events do; empty for all.
    pub places: Vec<String>,
    /// From so long before an event.
    pub pre: Duration,
    /// To so long after it.
    pub post: Duration,
    /// Longest clip of events that follow one another.
    pub longest: Duration,
    /// Most that is kept in memory of each camera's stream, MiB.
    pub max_ring_mib: u32,
}

impl Default for ClipsConfig {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            places: Vec::new(),
            pre: Duration::from_secs(5),
            post: Duration::from_secs(5),
            longest: Duration::from_secs(120),
            max_ring_mib: 32,
        }
    }
}

impl ClipsConfig {
    /// `cameras` have the zones and lines that may be named.
    pub(super) fn read(mut section: Section<'_>, cameras: &[CameraConfig]) -> Self {
        let default = Self::default();
        let config = Self {
            events: known_words(&mut section, "events", &EventKind::NAMES),
            places: known_words(&mut section, "places", &places_of(cameras)),
            pre: section.secs("pre_secs", 0.0..=120.0, default.pre),
            post: section.secs("post_secs", 0.0..=600.0, default.post),
            longest: section.secs("max_secs", 1.0..=3600.0, default.longest),
            max_ring_mib: section.integer("max_ring_mib", 1..=4096, default.max_ring_mib),
        };
        let least = config.pre + config.post;
        if config.longest < least {
            let text = format!(
                "{} is less than pre_secs + post_secs = {}, one event alone needs that",
                config.longest.as_secs_f64(),
                least.as_secs_f64()
            );
            section.fault("max_secs", text);
        }
        section.finish();
        config
    }

    /// Are any made?
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.events.is_empty()
    }
}

/// `[snapshots]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotsConfig {
    /// Types of events that get pictures; empty for none.
    pub events: Vec<String>,
    /// Zones and lines whose events do; empty for all.
    pub places: Vec<String>,
    /// How much of the surroundings the picture of an object shows on each side, share of its size.
    pub margin: f64,
}

impl Default for SnapshotsConfig {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            places: Vec::new(),
            margin: 0.2,
        }
    }
}

impl SnapshotsConfig {
    /// `cameras` have the zones and lines that may be named.
    pub(super) fn read(mut section: Section<'_>, cameras: &[CameraConfig]) -> Self {
        let default = Self::default();
        let config = Self {
            events: known_words(&mut section, "events", &EventKind::NAMES),
            places: known_words(&mut section, "places", &places_of(cameras)),
            margin: section.number("margin", 0.0..=5.0, default.margin),
        };
        section.finish();
        config
    }

    /// Are any taken?
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.events.is_empty()
    }
}

/// Cameras whose clips would show what must not be seen, and the words for it.
pub(super) fn contradictions(
    clips: &ClipsConfig,
    cameras: &[CameraConfig],
) -> Vec<(String, String)> {
    let shows = |camera: &CameraConfig| clips.is_on() && camera.clips && !camera.privacy.is_empty();
    let cameras = cameras.iter().enumerate();
    cameras
        .filter(|(_, camera)| shows(camera))
        .map(|(index, _)| {
            let text = "true, but a clip is what the camera sends, which cannot be hidden in; set \
                        clips = false for this camera, or remove privacy and masks";
            (format!("cameras[{index}].clips"), text.to_owned())
        })
        .collect()
}
