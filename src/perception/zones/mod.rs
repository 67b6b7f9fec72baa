//! Tracks → counts and events at zones and lines: entries, dwell, crossings, turns, queues, speed.
//!
//! Belongs here: what traffic and logistics people count. Pure: values in, values out; no clock, no
//! hash order. Does not belong here: how objects are followed, and where events go.
//!
//! Objects are judged only in frames in which they were seen; a predicted place decides nothing.

mod catch_up;
mod crowd;
mod ground;
mod line;
mod object;
mod path;
mod plan;
mod settled;
mod shape;
mod snapshot;
mod still;
mod stitch;
mod succession;
mod visit;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_crowd;
#[cfg(test)]
mod tests_snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use geo::{Intersects, Point};

use crate::base::{
    BBox, ClassId, Direction, EndedTrack, Event, EventKind, FrameMeta, ObjectTrace, SceneCounts,
    Size, TrackId, TrackSnapshot, TrackState,
};
pub use catch_up::{Told, ToldKind};
use crowd::{Change, Crowd, Present, Thresholds};
use ground::Ground;
use line::FrameLine;
use object::Object;
pub use plan::{
    Allowed, Anchor, CalibrationPlan, CongestionPlan, ExcludedPlan, LinePlan, SlowSpeed, ZonePlan,
    ZonesPlan,
};
pub use shape::{Arrow, LineShape, PolygonShape, QuadShape, ShapeError, ground_corners};
pub use snapshot::{Carried, ZonesState};
use visit::{FrameZone, Happening, Limits, Sighting, Way};

/// Most objects remembered, hidden ones included; with all places taken no new one is watched.
const MAX_OBJECTS: usize = 4096;

/// What one frame made of the zones and lines.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// What happened, numbered.
    pub events: Vec<Event>,
    /// The counts after it.
    pub counts: Arc<SceneCounts>,
}

/// Watches the zones and lines of one camera. One per camera; events are numbered from 1.
#[derive(Debug)]
pub struct Zones {
    plan: ZonesPlan,
    filters: Filters,
    scene: Option<Scene>,
    /// By order of birth.
    objects: BTreeMap<u64, Object>,
    /// Which object a track is.
    following: BTreeMap<TrackId, u64>,
    next_key: u64,
    crowds: Vec<Crowd>,
    counts: SceneCounts,
    last_number: u64,
    last_frame: Option<FrameMeta>,
}

/// Classes each zone, excluded area and line looks at; `None` looks at all.
#[derive(Debug, Default)]
struct Filters {
    zones: Vec<Option<Vec<ClassId>>>,
    excluded: Vec<Option<Vec<ClassId>>>,
    lines: Vec<Option<Vec<ClassId>>>,
}

fn is_looked_at(filter: &Option<Vec<ClassId>>, class: ClassId) -> bool {
    filter
        .as_ref()
        .is_none_or(|classes| classes.contains(&class))
}

/// The plan on frames of one size, px.
#[derive(Debug)]
struct Scene {
    size: Size,
    zones: Vec<FrameZone>,
    excluded: Vec<geo::Polygon>,
    lines: Vec<FrameLine>,
    ground: Option<Ground>,
}

impl Scene {
    fn new(plan: &ZonesPlan, size: Size) -> Self {
        let zone = |zone: &ZonePlan| FrameZone {
            polygon: zone.polygon.on_frame(size),
            way: zone.way.map(|arrow| Way::new(arrow.on_frame(size))),
        };
        let line = |line: &LinePlan| FrameLine::new(line.line.on_frame(size));
        let calibration = plan.calibration.as_ref();
        Self {
            size,
            zones: plan.zones.iter().map(zone).collect(),
            excluded: plan
                .excluded
                .iter()
                .map(|it| it.polygon.on_frame(size))
                .collect(),
            lines: plan.lines.iter().map(line).collect(),
            ground: calibration.and_then(|plan| Ground::new(plan, size)),
        }
    }
}

/// The events of one frame, and the object that the next ones are about.
struct Outbox<'a> {
    frame: &'a FrameMeta,
    last_number: &'a mut u64,
    events: Vec<Event>,
}

impl Outbox<'_> {
    fn put(&mut self, kind: EventKind, object: Option<ObjectTrace>) {
        *self.last_number += 1;
        self.events.push(Event {
            number: *self.last_number,
            frame: self.frame.clone(),
            kind,
            object,
        });
    }
}

impl Zones {
    /// Zones in which nothing has happened. `class_id` finds classes by their names.
    ///
    /// # Errors
    /// The first name that `class_id` does not know.
    pub fn new<E>(
        plan: ZonesPlan,
        class_id: impl Fn(&str) -> Result<ClassId, E>,
    ) -> Result<Self, E> {
        let ids = |names: &[String]| match names {
            [] => Ok(None),
            names => names
                .iter()
                .map(|name| class_id(name))
                .collect::<Result<_, E>>()
                .map(Some),
        };
        let filters = Filters {
            zones: plan
                .zones
                .iter()
                .map(|it| ids(&it.classes))
                .collect::<Result<_, E>>()?,
            excluded: plan
                .excluded
                .iter()
                .map(|it| ids(&it.classes))
                .collect::<Result<_, E>>()?,
            lines: plan
                .lines
                .iter()
                .map(|it| ids(&it.classes))
                .collect::<Result<_, E>>()?,
        };
        Ok(Self {
            filters,
            scene: None,
            objects: BTreeMap::new(),
            following: BTreeMap::new(),
            next_key: 0,
            crowds: vec![Crowd::default(); plan.zones.len()],
            counts: SceneCounts {
                zones: vec![Default::default(); plan.zones.len()],
                lines: vec![Default::default(); plan.lines.len()],
                turns: BTreeMap::new(),
                speeds: Vec::new(),
            },
            last_number: 0,
            last_frame: None,
            plan,
        })
    }

    /// Number of the last event, 0 before the first.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// Numbers events above `number` from now on, of zones that watched this camera before.
    pub fn number_after(&mut self, number: u64) {
        self.last_number = self.last_number.max(number);
    }

    /// Names of the zones, in the order of the counts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.plan.zones.iter().map(|zone| &*zone.name)
    }

    /// Takes in what the tracker made of a frame: living tracks and those that ended, in id order.
    ///
    /// Frames come in order; one whose PTS is before the last counts as no time passed.
    pub fn observe(
        &mut self,
        frame: &FrameMeta,
        tracks: &[TrackSnapshot],
        ended: &[EndedTrack],
    ) -> Observed {
        self.set_scene(frame.size);
        let mut number = self.last_number;
        let mut out = Outbox {
            frame,
            last_number: &mut number,
            events: Vec::new(),
        };
        self.adopt(frame, tracks);
        for track in tracks.iter().filter(is_seen) {
            self.see(track, &mut out);
        }
        self.part_with(frame, ended, &mut out);
        self.look_around(tracks, &mut out);
        let events = out.events;
        self.last_number = number;
        self.last_frame = Some(frame.clone());
        Observed {
            events,
            counts: Arc::new(self.counts.clone()),
        }
    }

    fn set_scene(&mut self, size: Size) {
        if self.scene.as_ref().is_none_or(|scene| scene.size != size) {
            self.scene = Some(Scene::new(&self.plan, size));
        }
    }

    /// Ends every visit because the camera's run is over; counts and numbers go on in the next run.
    pub fn end_run(&mut self) -> Vec<Event> {
        let frame = self.last_frame.take();
        frame.map_or_else(Vec::new, |frame| self.end_at(&frame))
    }

    /// As [`Zones::end_run`], with everything told of `frame`.
    pub fn end_at(&mut self, frame: &FrameMeta) -> Vec<Event> {
        if self.scene.is_none() {
            self.set_scene(frame.size);
        }
        let mut number = self.last_number;
        let mut out = Outbox {
            frame,
            last_number: &mut number,
            events: Vec::new(),
        };
        for (_, object) in std::mem::take(&mut self.objects) {
            self.finish(object, &mut out);
        }
        self.following.clear();
        let nobody = Present::default();
        for (plan, crowd) in self.plan.zones.iter().zip(&mut self.crowds) {
            crowd.finish(&mut |change| out.put(of_crowd(plan, change, &nobody), None));
        }
        let events = out.events;
        self.last_number = number;
        events
    }

    /// Finds out which object each track is that was not there before: one that was hidden, or a new
    /// one. Of several that fit the nearest pair comes first, of equally near ones the older.
    fn adopt(&mut self, frame: &FrameMeta, tracks: &[TrackSnapshot]) {
        let is_new = |track: &&TrackSnapshot| !self.following.contains_key(&track.id);
        let fresh: Vec<&TrackSnapshot> = tracks.iter().filter(is_seen).filter(is_new).collect();
        if fresh.is_empty() {
            return;
        }
        let seen: BTreeSet<TrackId> = tracks.iter().filter(is_seen).map(|it| it.id).collect();
        let mut pairs = Vec::new();
        for (key, object) in &self.objects {
            if seen.contains(&object.track()) {
                continue;
            }
            for track in &fresh {
                if let Some(distance) = stitch::distance(object, track, frame.size) {
                    pairs.push((distance, *key, track.id));
                }
            }
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        for (_, key, track) in pairs {
            let Some(object) = self.objects.get_mut(&key) else {
                continue;
            };
            if self.following.contains_key(&track) || seen.contains(&object.track()) {
                continue;
            }
            self.following.remove(&object.track());
            object.continue_as(track);
            self.following.insert(track, key);
        }
        for track in fresh {
            if self.following.contains_key(&track.id) || self.objects.len() >= MAX_OBJECTS {
                continue;
            }
            let (lines, zones) = (self.plan.lines.len(), self.plan.zones.len());
            let object = Object::new(track, frame.pts, lines, zones);
            self.objects.insert(self.next_key, object);
            self.following.insert(track.id, self.next_key);
            self.next_key += 1;
        }
    }

    /// Takes in one object that was seen in this frame.
    fn see(&mut self, track: &TrackSnapshot, out: &mut Outbox<'_>) {
        let Some(scene) = &self.scene else { return };
        let key = self.following.get(&track.id);
        let Some(object) = key.and_then(|key| self.objects.get_mut(key)) else {
            return;
        };
        let now = out.frame.pts.max(object.last_seen);
        object.see(track, scene.ground.as_ref(), now);
        let is_excluded = is_excluded(&self.plan, &self.filters, scene, &track.bbox, track.class);

        for (index, plan) in self.plan.lines.iter().enumerate() {
            if is_excluded || !is_looked_at(&self.filters.lines[index], object.class) {
                continue;
            }
            let (anchor, size) = (plan.anchor.of(&object.bbox), object.size());
            let line = &scene.lines[index];
            if let Some(direction) =
                object.lines[index].observe(line, anchor, size, plan.hysteresis)
            {
                let counts = &mut self.counts;
                count_crossing(&self.plan, scene, counts, object, index, direction, out);
            }
        }
        for (index, plan) in self.plan.zones.iter().enumerate() {
            let is_watched = !is_excluded && is_looked_at(&self.filters.zones[index], object.class);
            let seen = Sighting {
                anchor: is_watched.then(|| plan.anchor.of(&object.bbox)),
                size: object.size(),
                still_since: object.still.since,
                now,
            };
            let limits = Limits {
                loiter: plan.loiter,
                stop: plan.stop,
            };
            let mut happenings = Vec::new();
            let zone = &scene.zones[index];
            object.visits[index].observe(zone, limits, seen, &mut |it| happenings.push(it));
            tell(
                &self.plan,
                scene,
                &mut self.counts,
                object,
                index,
                happenings,
                out,
            );
        }
    }

    /// Lets go of objects that are hidden for too long to be continued by another track.
    fn part_with(&mut self, frame: &FrameMeta, ended: &[EndedTrack], out: &mut Outbox<'_>) {
        for track in ended {
            if let Some(object) = self.following.remove(&track.id)
                && let Some(object) = self.objects.get_mut(&object)
            {
                object.has_ended = true;
            }
        }
        let is_over =
            |_: &u64, object: &mut Object| object.has_ended && stitch::is_over(object, frame.pts);
        let over: Vec<Object> = self
            .objects
            .extract_if(.., is_over)
            .map(|(_, it)| it)
            .collect();
        for object in over {
            self.finish(object, out);
        }
    }

    /// The object is never seen again: what it was last seen doing counts, and its visits end with
    /// its last sighting.
    fn finish(&mut self, mut object: Object, out: &mut Outbox<'_>) {
        let Some(scene) = &self.scene else { return };
        let at = object.last_seen;
        for index in 0..self.plan.lines.len() {
            if let Some(direction) = object.lines[index].finish() {
                let counts = &mut self.counts;
                count_crossing(
                    &self.plan,
                    scene,
                    counts,
                    &mut object,
                    index,
                    direction,
                    out,
                );
            }
        }
        for index in 0..self.plan.zones.len() {
            let mut happenings = Vec::new();
            object.visits[index].leave(at, &mut |happening| happenings.push(happening));
            tell(
                &self.plan,
                scene,
                &mut self.counts,
                &object,
                index,
                happenings,
                out,
            );
        }
    }

    /// Counts who is where, as far as they are followed in this frame, and judges each zone.
    fn look_around(&mut self, tracks: &[TrackSnapshot], out: &mut Outbox<'_>) {
        let now = out.frame.pts;
        let ground = self.scene.as_ref().and_then(|scene| scene.ground.as_ref());
        let mut present = vec![Present::default(); self.plan.zones.len()];
        self.counts.speeds.clear();
        for track in tracks {
            let key = self.following.get(&track.id);
            let Some(object) = key.and_then(|key| self.objects.get(key)) else {
                continue;
            };
            let speed = ground.and_then(|ground| object.ground.speed(ground));
            for (visit, present) in object.visits.iter().zip(&mut present) {
                if visit.is_inside() {
                    present.add(object, speed, now);
                }
            }
            if let (Some(speed), true) = (speed, is_seen(&track)) {
                self.counts.speeds.push((track.id, speed));
            }
        }
        for (index, plan) in self.plan.zones.iter().enumerate() {
            let present = &present[index];
            self.counts.zones[index].occupancy = present.occupancy;
            self.counts.zones[index].queue = present.queue;
            let thresholds = Thresholds {
                occupancy: plan.max_occupancy,
                queue: plan.queue,
                congestion: plan.congestion,
            };
            self.crowds[index].observe(&thresholds, present, now, &mut |change| {
                out.put(of_crowd(plan, change, present), None);
            });
        }
    }
}

/// What is told about a zone as a whole.
fn of_crowd(plan: &ZonePlan, change: Change, present: &Present) -> EventKind {
    let zone = Arc::clone(&plan.name);
    match change {
        Change::Occupancy(phase) => EventKind::Occupancy {
            zone,
            phase,
            count: present.occupancy,
        },
        Change::Queue(phase) => EventKind::Queue {
            zone,
            phase,
            count: present.queue,
        },
        Change::Congestion(phase) => EventKind::Congestion {
            zone,
            phase,
            count: present.occupancy,
        },
    }
}

fn is_seen(track: &&TrackSnapshot) -> bool {
    track.state == TrackState::Confirmed
}

fn is_excluded(
    plan: &ZonesPlan,
    filters: &Filters,
    scene: &Scene,
    bbox: &BBox,
    class: ClassId,
) -> bool {
    let areas = plan
        .excluded
        .iter()
        .zip(&scene.excluded)
        .zip(&filters.excluded);
    areas.into_iter().any(|((plan, polygon), filter)| {
        is_looked_at(filter, class) && polygon.intersects(&Point(plan.anchor.of(bbox)))
    })
}

/// Counts that `object` has crossed line `index`, and what follows from it.
fn count_crossing(
    plan: &ZonesPlan,
    scene: &Scene,
    counts: &mut SceneCounts,
    object: &mut Object,
    index: usize,
    direction: Direction,
    out: &mut Outbox<'_>,
) {
    let line = &plan.lines[index];
    let trace = object.trace(scene.ground.as_ref());
    let (count, allowed) = match direction {
        Direction::In => (&mut counts.lines[index].ins, line.allowed != Allowed::Out),
        Direction::Out => (&mut counts.lines[index].outs, line.allowed != Allowed::In),
    };
    *count += 1;
    let name = || Arc::clone(&line.name);
    let crossing = EventKind::Crossing {
        line: name(),
        direction,
    };
    out.put(crossing, Some(trace.clone()));
    if !allowed {
        out.put(EventKind::WrongWay { place: name() }, Some(trace.clone()));
    }
    if let Some(before) = object.last_line.replace(index) {
        *counts.turns.entry((before, index)).or_default() += 1;
        let turn = EventKind::Turn {
            from: Arc::clone(&plan.lines[before].name),
            to: name(),
        };
        out.put(turn, Some(trace));
    }
}

/// Counts and tells what `object` does at zone `index`.
fn tell(
    plan: &ZonesPlan,
    scene: &Scene,
    counts: &mut SceneCounts,
    object: &Object,
    index: usize,
    happenings: Vec<Happening>,
    out: &mut Outbox<'_>,
) {
    for happening in happenings {
        let zone = Arc::clone(&plan.zones[index].name);
        let kind = match happening {
            Happening::Entry => {
                counts.zones[index].entries += 1;
                EventKind::Entry { zone }
            }
            Happening::Exit { dwell } => {
                counts.zones[index].exits += 1;
                EventKind::Exit { zone, dwell }
            }
            Happening::Loitering { dwell } => EventKind::Loitering { zone, dwell },
            Happening::Stopped { phase, still } => EventKind::Stopped { zone, phase, still },
            Happening::WrongWay => EventKind::WrongWay { place: zone },
        };
        out.put(kind, Some(object.trace(scene.ground.as_ref())));
    }
}
