//! Zones that take over from those before them while the camera goes on.
//!
//! What is at the same place for the same classes goes on, also with other thresholds: counts, who is
//! inside, who is about to cross. What is new or elsewhere begins at 0; visits to what is no more end
//! where they were last seen.

use std::collections::BTreeMap;

use super::ground::GroundTrail;
use super::line::LineState;
use super::snapshot::Place;
use super::visit::Visit;
use super::{Outbox, Present, Zones, of_crowd, tell};
use crate::base::Event;

/// For each place of the new plan the index of the same place in the old one.
fn same_places<T>(new: &[T], old: &[T], place: impl Fn(&T) -> Place) -> Vec<Option<usize>> {
    let old: Vec<Place> = old.iter().map(&place).collect();
    let places = new.iter().map(place);
    places
        .map(|place| old.iter().position(|before| *before == place))
        .collect()
}

/// The turns between lines that are the same as before: `before` holds for each line where it was, and
/// `turns` is by where they were.
pub(super) fn turns_between(
    before: &[Option<usize>],
    turns: &BTreeMap<(usize, usize), u64>,
) -> BTreeMap<(usize, usize), u64> {
    let now = |index: usize| before.iter().position(|it| *it == Some(index));
    let pairs = turns.iter();
    pairs
        .filter_map(|(&(from, to), &count)| Some(((now(from)?, now(to)?), count)))
        .collect()
}

impl Zones {
    /// Goes on where `old` is, which watched the same camera up to now. Gives the events of visits that
    /// end because their zone is no longer there, or no longer the same.
    pub fn take_over(&mut self, mut old: Zones) -> Vec<Event> {
        let zones = same_places(&self.plan.zones, &old.plan.zones, Place::of_zone);
        let lines = same_places(&self.plan.lines, &old.plan.lines, Place::of_line);
        let events = old.leave_all_but(&zones);

        for (index, before) in zones.iter().enumerate() {
            if let Some(before) = *before {
                self.counts.zones[index] = old.counts.zones[before];
                self.crowds[index] = old.crowds[before];
            }
        }
        for (index, before) in lines.iter().enumerate() {
            if let Some(before) = *before {
                self.counts.lines[index] = old.counts.lines[before];
            }
        }
        self.counts.turns = turns_between(&lines, &old.counts.turns);
        let is_same_ground = self.plan.calibration == old.plan.calibration;
        for object in old.objects.values_mut() {
            let visit = |(index, before): (usize, &Option<usize>)| {
                let Some(before) = *before else {
                    return Visit::default();
                };
                let mut visit = object.visits[before];
                if self.plan.zones[index].way != old.plan.zones[before].way {
                    visit.turn_around();
                }
                visit
            };
            object.visits = zones.iter().enumerate().map(visit).collect();
            let line = |before: &Option<usize>| {
                before.map_or_else(LineState::default, |it| object.lines[it])
            };
            object.lines = lines.iter().map(line).collect();
            let crossed = object.last_line;
            object.last_line = lines
                .iter()
                .position(|before| before.is_some() && *before == crossed);
            if !is_same_ground {
                object.ground = GroundTrail::default();
            }
        }
        self.objects = old.objects;
        self.following = old.following;
        self.next_key = old.next_key;
        self.last_frame = old.last_frame;
        self.number_after(old.last_number);
        events
    }

    /// Ends every visit to a zone that is not among `kept`.
    fn leave_all_but(&mut self, kept: &[Option<usize>]) -> Vec<Event> {
        let Some(frame) = self.last_frame.clone() else {
            return Vec::new();
        };
        // These may have taken over from others, or from before a restart, and seen no frame yet.
        self.set_scene(frame.size);
        let Some(scene) = &self.scene else {
            return Vec::new();
        };
        let mut number = self.last_number;
        let mut out = Outbox {
            frame: &frame,
            last_number: &mut number,
            events: Vec::new(),
        };
        let gone = |index: &usize| !kept.contains(&Some(*index));
        let gone: Vec<usize> = (0..self.plan.zones.len()).filter(gone).collect();
        for object in self.objects.values_mut() {
            for &index in &gone {
                let mut happenings = Vec::new();
                let at = object.last_seen;
                object.visits[index].leave(at, &mut |happening| happenings.push(happening));
                tell(
                    &self.plan,
                    scene,
                    &mut self.counts,
                    object,
                    index,
                    happenings,
                    &mut out,
                );
            }
        }
        for index in gone {
            let plan = &self.plan.zones[index];
            let crowd = &mut self.crowds[index];
            crowd.finish(&mut |change| out.put(of_crowd(plan, change, &Present::default()), None));
        }
        let events = out.events;
        self.last_number = number;
        events
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LinePlan, ZonePlan, ZonesPlan};
    use super::*;
    use crate::base::{
        BBox, CameraId, ClassId, EventKind, FrameMeta, FrameSeq, Pts, RunId, Size, TrackId,
        TrackSnapshot, TrackState, UtcSource,
    };
    use crate::perception::zones::{LineShape, PolygonShape};

    /// Frames come 25 times a second.
    const STEP_NS: u64 = 40_000_000;

    fn line(name: &str, x: f64) -> LinePlan {
        LinePlan::new(name, LineShape::new(&[[x, 1.0], [x, 0.0]]).unwrap())
    }

    fn zone(name: &str, left: f64, right: f64) -> ZonePlan {
        let corners = [[left, 0.0], [right, 0.0], [right, 1.0], [left, 1.0]];
        ZonePlan::new(name, PolygonShape::new(&corners).unwrap())
    }

    fn zones(zones: Vec<ZonePlan>, lines: Vec<LinePlan>) -> Zones {
        let plan = ZonesPlan {
            zones,
            lines,
            ..ZonesPlan::default()
        };
        Zones::new(plan, |_| Ok::<_, ()>(ClassId(0))).unwrap()
    }

    /// One object whose box is centred at `x` of a frame of 1000 px.
    fn see(zones: &mut Zones, seq: u64, x: f32) -> Vec<Event> {
        let frame = FrameMeta {
            camera: CameraId::new("gate"),
            run: RunId(1),
            seq: FrameSeq(seq),
            pts: Pts(seq * STEP_NS),
            utc: None,
            utc_source: UtcSource::Unknown,
            size: Size {
                width: 1000,
                height: 400,
            },
        };
        let track = TrackSnapshot {
            id: TrackId(7),
            class: ClassId(0),
            class_share: 1.0,
            confidence: 0.9,
            bbox: BBox::from_ltrb(x - 20.0, 180.0, x + 20.0, 220.0).unwrap(),
            velocity: [0.0, 0.0],
            state: TrackState::Confirmed,
            first_seen: Pts(0),
            last_seen: frame.pts,
            is_presumed: false,
            before_run: std::time::Duration::ZERO,
        };
        zones.observe(&frame, &[track], &[]).events
    }

    /// The object goes from `from` to `to` in steps of 10 px; gives what happened and the next number.
    fn go(zones: &mut Zones, seq: u64, from: u16, to: u16) -> (Vec<Event>, u64) {
        let steps = (from..=to).step_by(10);
        let mut events = Vec::new();
        let mut next = seq;
        for x in steps {
            events.extend(see(zones, next, x.into()));
            next += 1;
        }
        (events, next)
    }

    fn kinds(events: &[Event]) -> Vec<&'static str> {
        events.iter().map(|event| event.kind.as_str()).collect()
    }

    #[test]
    fn what_is_the_same_goes_on_and_what_is_new_begins_at_0() {
        let mut old = zones(
            vec![zone("west", 0.0, 0.9)],
            vec![line("a", 0.3), line("b", 0.5)],
        );
        let (before, next) = go(&mut old, 0, 100, 600);
        assert_eq!(before.last().unwrap().number, 4, "{before:?}");
        assert_eq!((old.counts.lines[0].ins, old.counts.lines[1].ins), (1, 1));
        assert_eq!(old.counts.turns, [((0, 1), 1)].into());

        // b is moved, a stands where it stood but comes second, c is new.
        let mut new = zones(
            vec![zone("west", 0.0, 0.9)],
            vec![line("b", 0.7), line("a", 0.3), line("c", 0.8)],
        );
        assert!(new.take_over(old).is_empty());
        assert_eq!((new.counts.lines[0].ins, new.counts.lines[1].ins), (0, 1));
        assert_eq!(new.counts.turns, BTreeMap::new());
        assert_eq!(new.counts.zones[0].entries, 1);

        let (after, _) = go(&mut new, next, 610, 850);
        // The object is inside still: no second entry. It turns from no line that is gone.
        assert_eq!(kinds(&after), ["line_crossing", "line_crossing", "turn"]);
        assert_eq!(after[0].number, 5);
        assert_eq!((new.counts.lines[0].ins, new.counts.lines[2].ins), (1, 1));
        assert_eq!(new.counts.turns, [((0, 2), 1)].into());
        assert_eq!(new.counts.zones[0].entries, 1);
        let trace = after[0].object.as_ref().unwrap();
        assert_eq!(
            trace.path.first().unwrap().pts,
            Pts(0),
            "it is the same object"
        );
    }

    #[test]
    fn other_thresholds_change_no_count_and_nobody_comes_in_again() {
        let mut old = zones(vec![zone("yard", 0.0, 0.9)], vec![line("a", 0.3)]);
        let (before, next) = go(&mut old, 0, 100, 500);
        assert_eq!(kinds(&before), ["zone_entry", "line_crossing"]);
        let mut yard = zone("yard", 0.0, 0.9);
        yard.loiter = Some(std::time::Duration::from_secs(3600));
        let mut a = line("a", 0.3);
        a.hysteresis = 0.2;
        let mut new = zones(vec![yard], vec![a]);
        assert!(new.take_over(old).is_empty());
        assert_eq!(new.counts.zones[0].entries, 1);
        assert_eq!(new.counts.lines[0].ins, 1);
        let (after, _) = go(&mut new, next, 510, 700);
        assert!(after.is_empty(), "{after:?}");
    }

    #[test]
    fn a_way_that_is_turned_around_is_asked_from_where_everybody_is() {
        let way = |from: f64, to: f64| {
            let mut yard = zone("yard", 0.0, 0.9);
            yard.way = Some(LineShape::new(&[[from, 0.5], [to, 0.5]]).unwrap());
            yard
        };
        let mut old = zones(vec![way(0.1, 0.9)], Vec::new());
        let (before, next) = go(&mut old, 0, 100, 500);
        assert_eq!(kinds(&before), ["zone_entry"]);
        let mut new = zones(vec![way(0.9, 0.1)], Vec::new());
        assert!(new.take_over(old).is_empty());
        // It stands, which is no going back; then it goes on, which is against the new way.
        assert!(see(&mut new, next, 500.0).is_empty());
        let (after, _) = go(&mut new, next + 1, 510, 700);
        assert_eq!(kinds(&after), ["wrong_way"]);
    }

    #[test]
    fn visits_to_a_zone_that_is_changed_end_and_begin_anew() {
        let mut old = zones(vec![zone("yard", 0.0, 0.9)], Vec::new());
        let (before, next) = go(&mut old, 0, 300, 500);
        assert_eq!(kinds(&before), ["zone_entry"]);
        let mut new = zones(vec![zone("yard", 0.1, 0.9)], Vec::new());
        let ended = new.take_over(old);
        assert_eq!(kinds(&ended), ["zone_exit"]);
        assert_eq!(ended[0].number, 2);
        assert!(matches!(&ended[0].kind, EventKind::Exit { zone, .. } if &**zone == "yard"));
        assert_eq!(new.counts.zones[0].entries, 0);
        let (after, _) = go(&mut new, next, 510, 700);
        assert_eq!(kinds(&after), ["zone_entry"]);
        assert_eq!(after[0].number, 3);
    }

    #[test]
    fn a_second_change_before_the_next_frame_ends_visits_too() {
        let mut old = zones(vec![zone("yard", 0.0, 0.9)], Vec::new());
        go(&mut old, 0, 300, 500);
        let mut same = zones(vec![zone("yard", 0.0, 0.9)], vec![line("a", 0.3)]);
        assert!(same.take_over(old).is_empty());
        let mut none = zones(Vec::new(), Vec::new());
        assert_eq!(kinds(&none.take_over(same)), ["zone_exit"]);
    }
}
