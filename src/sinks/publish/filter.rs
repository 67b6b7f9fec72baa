//! Which events a sink is sent.

use super::envelope::place;
use crate::base::{CameraId, Event};

/// Which events a sink wants; an empty list wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Cameras.
    pub cameras: Vec<CameraId>,
    /// Types of events, `line_crossing`.
    pub types: Vec<String>,
    /// Classes of the object; an event about a zone as a whole has none and passes.
    pub classes: Vec<String>,
    /// Zones and lines.
    pub places: Vec<String>,
}

impl EventFilter {
    /// Is `event` wanted? `class` is the name of its object's class.
    #[must_use]
    pub fn wants(&self, event: &Event, class: Option<&str>) -> bool {
        self.wants_camera(&event.frame.camera)
            && holds(&self.types, event.kind.as_str())
            && self.wants_place(place(&event.kind))
            && class.is_none_or(|class| holds(&self.classes, class))
    }

    /// Is anything at this zone or line wanted?
    #[must_use]
    pub fn wants_place(&self, place: &str) -> bool {
        holds(&self.places, place)
    }

    /// Is anything of `camera` wanted?
    #[must_use]
    pub fn wants_camera(&self, camera: &CameraId) -> bool {
        self.cameras.is_empty() || self.cameras.contains(camera)
    }
}

fn holds(list: &[String], word: &str) -> bool {
    list.is_empty() || list.iter().any(|it| it == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{EventKind, FrameMeta, FrameSeq, Pts, RunId, Size, UtcSource};

    fn entry(zone: &str) -> Event {
        Event {
            number: 1,
            frame: FrameMeta {
                camera: CameraId::new("gate"),
                run: RunId(1),
                seq: FrameSeq(0),
                pts: Pts(0),
                utc: None,
                utc_source: UtcSource::Unknown,
                size: Size {
                    width: 640,
                    height: 360,
                },
            },
            kind: EventKind::Entry { zone: zone.into() },
            object: None,
        }
    }

    #[test]
    fn every_list_must_hold_the_event_and_an_empty_one_holds_all() {
        let all = EventFilter::default();
        assert!(all.wants(&entry("yard"), Some("car")));
        let words = |word: &str| vec![word.to_owned()];
        let filter = EventFilter {
            cameras: vec![CameraId::new("gate")],
            types: words("zone_entry"),
            classes: words("car"),
            places: words("yard"),
        };
        assert!(filter.wants(&entry("yard"), Some("car")));
        assert!(
            filter.wants(&entry("yard"), None),
            "about the zone as a whole"
        );
        assert!(!filter.wants(&entry("yard"), Some("person")));
        assert!(!filter.wants(&entry("street"), Some("car")));
        let other = EventFilter {
            types: words("turn"),
            ..filter.clone()
        };
        assert!(!other.wants(&entry("yard"), Some("car")));
        let elsewhere = EventFilter {
            cameras: vec![CameraId::new("yard")],
            ..filter
        };
        assert!(!elsewhere.wants(&entry("yard"), Some("car")));
    }
}
