//! What is in zones and went over lines, told when it changes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::line::to_json;
use crate::base::{CameraId, FrameMeta, FrameResult, LineCount, Pts, RunId, ZoneCount};

/// A place is told of at most this often.
const AT_MOST_EVERY: u64 = 1_000_000_000;

/// A place is told of again after this time though nothing changed: a broker may have forgotten it.
const AT_LEAST_EVERY: u64 = 60 * AT_MOST_EVERY;

/// Names of a camera's zones and lines, in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// Zones.
    pub zones: Vec<String>,
    /// Lines.
    pub lines: Vec<String>,
}

/// The state of one place, to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceState {
    /// The zone or line.
    pub place: String,
    /// What is in the zone; `None` for a line.
    count: Option<ZoneCount>,
    /// JSON: `occupancy`, `queue`, `entries` and `exits` of a zone, `in` and `out` of a line.
    pub text: String,
    at: (RunId, Pts),
}

#[derive(Serialize)]
struct ZoneLine {
    occupancy: u32,
    queue: u32,
    entries: u64,
    exits: u64,
}

#[derive(Serialize)]
struct CrossingLine {
    r#in: u64,
    out: u64,
}

/// Knows what was told of every place.
#[derive(Debug, Default)]
pub struct States {
    places: BTreeMap<CameraId, Places>,
    told: BTreeMap<(CameraId, String), PlaceState>,
}

impl States {
    /// The states of `places`.
    #[must_use]
    pub fn new(places: BTreeMap<CameraId, Places>) -> Self {
        Self {
            places,
            told: BTreeMap::new(),
        }
    }

    /// The places of a camera are others from now on, or it is gone for good.
    pub fn replace(&mut self, camera: &CameraId, places: Option<Places>) {
        let is_known = |name: &String| {
            let places = places.as_ref();
            places.is_some_and(|it| it.zones.contains(name) || it.lines.contains(name))
        };
        self.told
            .retain(|(of, name), _| of != camera || is_known(name));
        match places {
            Some(places) => self.places.insert(camera.clone(), places),
            None => self.places.remove(camera),
        };
    }

    /// What is to be told after a frame; [`States::told`] says that it was.
    #[must_use]
    pub fn due(&self, result: &FrameResult) -> Vec<PlaceState> {
        let camera = &result.meta.camera;
        let (Some(places), Some(counts)) = (self.places.get(camera), &result.counts) else {
            return Vec::new();
        };
        let at = (result.meta.run, result.meta.pts);
        let zones = places.zones.iter().zip(&counts.zones);
        let lines = places.lines.iter().zip(&counts.lines);
        let zones = zones.map(|(place, count)| zone_state(place, *count, at));
        let lines = lines.map(|(place, count)| PlaceState {
            place: place.clone(),
            count: None,
            text: line_text(count),
            at,
        });
        zones
            .chain(lines)
            .filter(|state| self.is_due(&result.meta, &state.place, &state.text))
            .collect()
    }

    /// What is to be told when a camera goes away: nobody knows of anything in its zones any more.
    #[must_use]
    pub fn emptied(&self, camera: &CameraId) -> Vec<PlaceState> {
        let told = self.told.iter().filter(|((of, _), _)| of == camera);
        told.filter_map(|(_, state)| {
            let count = state.count?;
            let empty = ZoneCount {
                occupancy: 0,
                queue: 0,
                ..count
            };
            (empty != count).then(|| zone_state(&state.place, empty, state.at))
        })
        .collect()
    }

    /// `state` was handed over.
    pub fn told(&mut self, camera: &CameraId, state: PlaceState) {
        let key = (camera.clone(), state.place.clone());
        self.told.insert(key, state);
    }

    fn is_due(&self, frame: &FrameMeta, place: &str, text: &str) -> bool {
        let Some(told) = self.told.get(&(frame.camera.clone(), place.to_owned())) else {
            return true;
        };
        let (run, pts) = told.at;
        let passed = frame.pts.0.saturating_sub(pts.0);
        run != frame.run
            || passed >= AT_LEAST_EVERY
            || (told.text != text && passed >= AT_MOST_EVERY)
    }
}

fn zone_state(place: &str, count: ZoneCount, at: (RunId, Pts)) -> PlaceState {
    PlaceState {
        place: place.to_owned(),
        count: Some(count),
        text: zone_text(&count),
        at,
    }
}

fn zone_text(count: &ZoneCount) -> String {
    to_json(&ZoneLine {
        occupancy: count.occupancy,
        queue: count.queue,
        entries: count.entries,
        exits: count.exits,
    })
}

fn line_text(count: &LineCount) -> String {
    to_json(&CrossingLine {
        r#in: count.ins,
        out: count.outs,
    })
}

/// A name as one level of a topic and as an identifier: letters, digits, `-` and `_`.
#[must_use]
pub fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let chars = name.chars().map(|c| if is_plain(c) { c } else { '_' });
    chars.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{FrameSeq, SceneCounts, Size, Timings, UtcSource};
    use std::sync::Arc;

    fn result(run: u32, millis: u64, occupancy: u32) -> FrameResult {
        let zone = ZoneCount {
            occupancy,
            ..ZoneCount::default()
        };
        FrameResult {
            meta: FrameMeta {
                camera: CameraId::new("gate"),
                run: RunId(run),
                seq: FrameSeq(0),
                pts: Pts(millis * 1_000_000),
                utc: None,
                utc_source: UtcSource::Unknown,
                size: Size {
                    width: 640,
                    height: 360,
                },
            },
            is_detected: true,
            detections: 0,
            tracks: Vec::new(),
            ended: Vec::new(),
            counts: Some(Arc::new(SceneCounts {
                zones: vec![zone],
                lines: Vec::new(),
                turns: BTreeMap::new(),
                speeds: Vec::new(),
            })),
            decisions: None,
            private: Vec::new(),
            timings: Timings::default(),
            frame: None,
        }
    }

    #[test]
    fn a_place_is_told_of_when_it_changes_and_now_and_then() {
        let camera = CameraId::new("gate");
        let places = Places {
            zones: vec!["yard".to_owned()],
            lines: Vec::new(),
        };
        let mut states = States::new(BTreeMap::from([(camera.clone(), places)]));
        let mut tell = |run, millis, occupancy| {
            let due = states.due(&result(run, millis, occupancy));
            let texts: Vec<String> = due.iter().map(|it| it.text.clone()).collect();
            for state in due {
                states.told(&camera, state);
            }
            texts
        };
        let two = r#"{"occupancy":2,"queue":0,"entries":0,"exits":0}"#;
        assert_eq!(tell(1, 0, 2), [two]);
        assert!(tell(1, 5_000, 2).is_empty(), "nothing changed");
        assert_eq!(tell(1, 6_000, 3).len(), 1);
        assert!(tell(1, 6_500, 2).is_empty(), "too soon");
        assert_eq!(tell(1, 7_000, 2), [two]);
        assert_eq!(tell(1, 67_000, 2), [two], "a minute later");
        assert_eq!(tell(2, 0, 2), [two], "a new run");
    }

    #[test]
    fn a_camera_that_goes_away_leaves_its_zones_empty() {
        let camera = CameraId::new("gate");
        let places = Places {
            zones: vec!["yard".to_owned()],
            lines: Vec::new(),
        };
        let mut states = States::new(BTreeMap::from([(camera.clone(), places)]));
        assert!(states.emptied(&camera).is_empty(), "nothing was told yet");
        for state in states.due(&result(1, 0, 3)) {
            states.told(&camera, state);
        }
        let empty = states.emptied(&camera).remove(0);
        assert!(
            empty.text.starts_with("{\"occupancy\":0,"),
            "{}",
            empty.text
        );
        states.told(&camera, empty);
        assert!(states.emptied(&camera).is_empty(), "told once");
    }

    #[test]
    fn places_that_are_replaced_are_told_of_in_their_new_order() {
        let camera = CameraId::new("gate");
        let places = |zone: &str| Places {
            zones: vec![zone.to_owned()],
            lines: Vec::new(),
        };
        let mut states = States::new(BTreeMap::new());
        assert!(states.due(&result(1, 0, 3)).is_empty(), "not known yet");
        states.replace(&camera, Some(places("yard")));
        for state in states.due(&result(1, 0, 3)) {
            states.told(&camera, state);
        }
        states.replace(&camera, Some(places("dock")));
        assert!(states.emptied(&camera).is_empty(), "the yard is forgotten");
        assert_eq!(states.due(&result(1, 100, 3))[0].place, "dock");
        states.replace(&camera, None);
        assert!(states.due(&result(1, 200, 3)).is_empty());
    }

    #[test]
    fn names_become_one_level_of_a_topic() {
        assert_eq!(plain("exit A/2 #north"), "exit_A_2__north");
    }
}
