//! What the zones of a camera remember, as a value: for a restart, and for a time in which nobody
//! watched.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::crowd::Crowd;
use super::line::LineState;
use super::object::Object;
use super::plan::{Anchor, LinePlan, ZonePlan};
use super::succession::turns_between;
use super::visit::Visit;
use super::{Outbox, Zones};
use crate::base::{EndedTrack, Event, FrameMeta, LineCount, TrackId, ZoneCount};

/// Most objects in a snapshot: of more, those seen last.
const MAX_OBJECTS: usize = 1024;

/// An object slower than this stood, in sizes of its own per second.
const STANDING: f64 = 0.1;

/// Everything that [`Zones`] know, but their plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZonesState {
    last_number: u64,
    zones: Vec<ZoneCounts>,
    lines: Vec<LineCounts>,
    /// By index of the line before and of the line after.
    turns: BTreeMap<(usize, usize), u64>,
    /// Where the picture shows which ground, in words; other words make speeds begin anew.
    calibration: String,
    objects: Vec<Object>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ZoneCounts {
    place: Place,
    count: ZoneCount,
    crowd: Crowd,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LineCounts {
    place: Place,
    count: LineCount,
}

/// What decides who is in a zone, or crosses a line: where it is the same, counts go on, whatever its
/// thresholds are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    name: String,
    /// Normalised.
    points: Vec<[f32; 2]>,
    classes: Vec<String>,
    anchor: u8,
}

impl Place {
    pub fn of_zone(plan: &ZonePlan) -> Self {
        Self {
            name: plan.name.to_string(),
            points: plan.polygon.corners(),
            classes: plan.classes.clone(),
            anchor: number_of(plan.anchor),
        }
    }

    pub fn of_line(plan: &LinePlan) -> Self {
        Self {
            name: plan.name.to_string(),
            points: plan.line.points().to_vec(),
            classes: plan.classes.clone(),
            anchor: number_of(plan.anchor),
        }
    }
}

fn number_of(anchor: Anchor) -> u8 {
    match anchor {
        Anchor::BottomCenter => 0,
        Anchor::Center => 1,
        Anchor::TopCenter => 2,
    }
}

/// What became of a state that was restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// Names of zones and lines that are not the same as before: their counts begin anew.
    pub changed: Vec<String>,
}

/// Where each place of the plan was in the state; `None` if it was not there, or another.
fn places_before(
    now: impl Iterator<Item = Place>,
    before: &[Place],
    changed: &mut Vec<String>,
) -> Vec<Option<usize>> {
    now.map(|place| {
        let found = before.iter().position(|it| *it == place);
        if found.is_none() && before.iter().any(|it| it.name == place.name) {
            changed.push(place.name);
        }
        found
    })
    .collect()
}

impl ZonesState {
    /// Number of the newest event in it.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// Is it one that zones can have been in? Guards against a file that is whole but wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_line = |index: usize| index < self.lines.len();
        let are_lines = |(from, to): &(usize, usize)| is_line(*from) && is_line(*to);
        self.turns.keys().all(are_lines)
            && self.objects.iter().all(|object| {
                object.is_sound()
                    && object.visits.len() == self.zones.len()
                    && object.lines.len() == self.lines.len()
                    && object.last_line.is_none_or(|it| it < self.lines.len())
            })
    }

    /// Objects begin anew, and with them what is going on in a zone as a whole; counts and numbers go on.
    pub fn forget_objects(&mut self) {
        self.objects.clear();
        for zone in &mut self.zones {
            zone.crowd = Crowd::default();
        }
    }
}

impl Zones {
    /// What they know now, at most as much as a snapshot holds.
    #[must_use]
    pub fn state(&self) -> ZonesState {
        let mut objects: Vec<&Object> = self.objects.values().collect();
        let surplus = objects.len().saturating_sub(MAX_OBJECTS);
        if surplus > 0 {
            let mut seen: Vec<_> = objects.iter().map(|it| it.last_seen).collect();
            seen.sort_unstable();
            let first = seen[surplus];
            objects.retain(|it| it.last_seen >= first);
            objects.truncate(MAX_OBJECTS);
        }
        let zones = self.plan.zones.iter().zip(&self.counts.zones);
        let lines = self.plan.lines.iter().zip(&self.counts.lines);
        ZonesState {
            last_number: self.last_number,
            zones: zones
                .zip(&self.crowds)
                .map(|((plan, count), crowd)| ZoneCounts {
                    place: Place::of_zone(plan),
                    count: *count,
                    crowd: *crowd,
                })
                .collect(),
            lines: lines
                .map(|(plan, count)| LineCounts {
                    place: Place::of_line(plan),
                    count: *count,
                })
                .collect(),
            turns: self.counts.turns.clone(),
            calibration: self.calibration_in_words(),
            objects: objects.into_iter().cloned().collect(),
        }
    }

    fn calibration_in_words(&self) -> String {
        format!("{:?}", self.plan.calibration)
    }

    /// Goes on where zones were that were in this state. Of a zone or line that is not the same as
    /// before, counts and visits begin anew. `living` are the tracks that are still followed: what was
    /// followed as another can go on only as a new one.
    pub fn restore(&mut self, state: ZonesState, living: &BTreeSet<TrackId>) -> Carried {
        let mut carried = Carried::default();
        let zones_before: Vec<Place> = state.zones.iter().map(|it| it.place.clone()).collect();
        let lines_before: Vec<Place> = state.lines.iter().map(|it| it.place.clone()).collect();
        let zones = self.plan.zones.iter().map(Place::of_zone);
        let zones = places_before(zones, &zones_before, &mut carried.changed);
        let lines = self.plan.lines.iter().map(Place::of_line);
        let lines = places_before(lines, &lines_before, &mut carried.changed);
        for (index, before) in zones.iter().enumerate() {
            if let Some(before) = before.and_then(|it| state.zones.get(it)) {
                self.counts.zones[index] = before.count;
                self.crowds[index] = before.crowd;
            }
        }
        for (index, before) in lines.iter().enumerate() {
            if let Some(before) = before.and_then(|it| state.lines.get(it)) {
                self.counts.lines[index] = before.count;
            }
        }
        self.counts.turns = turns_between(&lines, &state.turns);
        let is_same_ground = state.calibration == self.calibration_in_words();
        self.objects.clear();
        self.following.clear();
        for mut object in state.objects {
            let visits = |it: &Option<usize>| it.and_then(|it| object.visits.get(it)).copied();
            let visits: Vec<Visit> = zones
                .iter()
                .map(|it| visits(it).unwrap_or_default())
                .collect();
            let stands = |it: &Option<usize>| it.and_then(|it| object.lines.get(it)).copied();
            let stands: Vec<LineState> = lines
                .iter()
                .map(|it| stands(it).unwrap_or_default())
                .collect();
            let last_line = object
                .last_line
                .and_then(|last| lines.iter().position(|it| *it == Some(last)));
            (object.visits, object.lines, object.last_line) = (visits, stands, last_line);
            if !is_same_ground {
                object.ground = super::ground::GroundTrail::default();
            }
            if !living.contains(&object.track()) {
                object.has_ended = true;
            }
            if !object.has_ended {
                self.following.insert(object.track(), self.next_key);
            }
            self.objects.insert(self.next_key, object);
            self.next_key += 1;
        }
        self.number_after(state.last_number);
        carried
    }

    /// Nobody watched for `secs` until `frame`, the first of a new run. Tracks that `ended` meanwhile are
    /// parted with as ever; of the other objects the time does not count as hidden.
    pub fn pass_absence(
        &mut self,
        frame: &FrameMeta,
        secs: f64,
        ended: &[EndedTrack],
    ) -> Vec<Event> {
        self.set_scene(frame.size);
        let mut number = self.last_number;
        let mut out = Outbox {
            frame,
            last_number: &mut number,
            events: Vec::new(),
        };
        self.part_with(frame, ended, &mut out);
        for object in self.objects.values_mut().filter(|it| !it.has_ended) {
            object.unwatched_secs += secs;
            if object.sizes_per_second() <= STANDING {
                object.velocity = [0.0; 2];
            }
        }
        let events = out.events;
        self.last_number = number;
        events
    }
}

/// A point as two numbers.
pub(super) mod coord {
    use geo::Coord;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(point: &Coord, serializer: S) -> Result<S::Ok, S::Error> {
        [point.x, point.y].serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Coord, D::Error> {
        let [x, y] = <[f64; 2]>::deserialize(deserializer)?;
        Ok(Coord { x, y })
    }
}
