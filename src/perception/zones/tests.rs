//! What a person who counts by hand would expect, rule by rule.

use std::convert::Infallible;
use std::time::Duration;

use super::*;
use crate::base::{CameraId, EndReason, FrameSeq, Phase, Pts, RunId, SpeedUnit, UtcSource};

pub(super) const CAR: ClassId = ClassId(2);
const PERSON: ClassId = ClassId(0);

/// Ten frames per second, so that times are easy to read.
pub(super) const FPS: u64 = 10;

const FRAME: Size = Size {
    width: 1000,
    height: 1000,
};

pub(super) fn class_id(name: &str) -> Result<ClassId, Infallible> {
    Ok(if name == "person" { PERSON } else { CAR })
}

pub(super) fn frame(seq: u64) -> FrameMeta {
    FrameMeta {
        camera: CameraId::new("gate"),
        run: RunId(1),
        seq: FrameSeq(seq),
        pts: Pts(seq * 1_000_000_000 / FPS),
        utc: None,
        utc_source: UtcSource::Unknown,
        size: FRAME,
    }
}

/// A car 100 × 100 px large that stands on the ground at (x, y).
pub(super) fn car(id: u64, x: f32, y: f32) -> TrackSnapshot {
    TrackSnapshot {
        id: TrackId(id),
        class: CAR,
        class_share: 0.9,
        confidence: 0.8,
        bbox: BBox::from_ltrb(x - 50.0, y - 100.0, x + 50.0, y).unwrap(),
        velocity: [0.0, 0.0],
        state: TrackState::Confirmed,
        first_seen: Pts(0),
        last_seen: Pts(0),
        is_presumed: false,
        before_run: std::time::Duration::ZERO,
    }
}

/// A tape of frames that is played into zones.
pub(super) struct Tape {
    pub(super) zones: Zones,
    pub(super) seq: u64,
    pub(super) events: Vec<Event>,
    pub(super) counts: Arc<SceneCounts>,
}

impl Tape {
    pub(super) fn new(plan: ZonesPlan) -> Self {
        Self {
            zones: Zones::new(plan, class_id).unwrap(),
            seq: 0,
            events: Vec::new(),
            counts: Arc::default(),
        }
    }

    pub(super) fn show(&mut self, tracks: &[TrackSnapshot]) {
        self.show_ending(tracks, &[]);
    }

    /// A frame after which the tracks `ended` are no more.
    pub(super) fn show_ending(&mut self, tracks: &[TrackSnapshot], ended: &[u64]) {
        let mut tracks = tracks.to_vec();
        let now = frame(self.seq).pts;
        for track in &mut tracks {
            if track.first_seen == Pts(0) {
                // A track is shown from its second detection on.
                track.first_seen = Pts(now.0.saturating_sub(1_000_000_000 / FPS));
            }
            track.last_seen = now;
        }
        let ended: Vec<EndedTrack> = ended
            .iter()
            .map(|id| EndedTrack {
                id: TrackId(*id),
                reason: EndReason::Lost,
            })
            .collect();
        let observed = self.zones.observe(&frame(self.seq), &tracks, &ended);
        self.events.extend(observed.events);
        self.counts = observed.counts;
        self.seq += 1;
    }

    /// One object that goes straight from one place to another in so many frames.
    pub(super) fn drive(&mut self, id: u64, from: (f32, f32), to: (f32, f32), frames: u16) {
        for step in 0..frames {
            let part = f32::from(step) / f32::from(frames - 1);
            let place = |a: f32, b: f32| a + part * (b - a);
            let mut car = car(id, place(from.0, to.0), place(from.1, to.1));
            let per_second = FPS as f32 / f32::from(frames - 1);
            car.velocity = [(to.0 - from.0) * per_second, (to.1 - from.1) * per_second];
            self.show(&[car]);
        }
    }

    pub(super) fn told(&self) -> Vec<&'static str> {
        self.events
            .iter()
            .map(|event| event.kind.as_str())
            .collect()
    }

    pub(super) fn kinds(&self) -> Vec<EventKind> {
        self.events.iter().map(|event| event.kind.clone()).collect()
    }
}

/// From left to right at this height (0..=1): `in` is downwards.
pub(super) fn across(name: &str, y: f64) -> LinePlan {
    LinePlan::new(name, LineShape::new(&[[0.1, y], [0.9, y]]).unwrap())
}

/// The middle of the frame, 200..800 px.
pub(super) fn middle() -> ZonePlan {
    let corners = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]];
    ZonePlan::new("yard", PolygonShape::new(&corners).unwrap())
}

pub(super) fn one_line(line: LinePlan) -> ZonesPlan {
    ZonesPlan {
        lines: vec![line],
        ..ZonesPlan::default()
    }
}

pub(super) fn one_zone(zone: ZonePlan) -> ZonesPlan {
    ZonesPlan {
        zones: vec![zone],
        ..ZonesPlan::default()
    }
}

/// 100 px are 1 m, seen from straight above.
pub(super) fn from_above() -> CalibrationPlan {
    CalibrationPlan {
        image: QuadShape::new(&[[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]).unwrap(),
        ground_m: [[0.0, 0.0], [8.0, 0.0], [8.0, 8.0], [0.0, 8.0]],
        unit: SpeedUnit::Kmh,
        ground_share: 0.02,
    }
}

fn secs(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[test]
fn a_crossing_carries_its_evidence() {
    let mut tape = Tape::new(one_line(across("stop", 0.5)));
    tape.drive(7, (500.0, 300.0), (500.0, 700.0), 21);
    assert_eq!(tape.told(), ["line_crossing"]);
    let event = &tape.events[0];
    assert_eq!(event.number, 1);
    // 20 px per frame: at 500 in frame 10, beyond by a tenth of its size at 520 in frame 11 (10 px
    // would do), seen there again in frame 12.
    assert_eq!(event.frame.seq, FrameSeq(12));
    let object = event.object.as_ref().unwrap();
    assert_eq!(object.tracks, [TrackId(7)]);
    assert_eq!((object.class, object.sightings), (CAR, 13));
    assert!((object.confidence - 0.8).abs() < 1e-6 && (object.class_share - 0.9).abs() < 1e-6);
    let first = object.path.first().unwrap();
    let last = object.path.last().unwrap();
    assert_eq!((first.y, last.y), (300.0, 540.0));
    assert_eq!(tape.counts.lines[0].ins, 1);
    assert_eq!(tape.counts.lines[0].outs, 0);
}

#[test]
fn a_jittering_object_on_the_line_counts_at_most_once() {
    let mut random = fastrand::Rng::with_seed(11);
    for object in 0..50 {
        let mut tape = Tape::new(one_line(across("stop", 0.5)));
        for _ in 0..600 {
            // Up to 30 % of its size to either side.
            let off = 60.0 * (random.f32() - 0.5);
            tape.show(&[car(1, 500.0, 500.0 + off)]);
        }
        let crossings = tape.told().len();
        assert!(crossings <= 1, "object {object}: {crossings}");
    }
}

#[test]
fn an_id_that_breaks_before_the_line_is_stitched_and_counts_once() {
    let mut tape = Tape::new(one_line(across("stop", 0.5)));
    tape.drive(1, (500.0, 300.0), (500.0, 460.0), 9);
    // Hidden for 0.8 s at 200 px/s; the old track ends while it is.
    for frame in 0..8 {
        let ended: &[u64] = if frame == 5 { &[1] } else { &[] };
        tape.show_ending(&[], ended);
    }
    tape.drive(2, (500.0, 620.0), (500.0, 800.0), 10);
    assert_eq!(tape.told(), ["line_crossing"]);
    let object = tape.events[0].object.as_ref().unwrap();
    assert_eq!(object.tracks, [TrackId(1), TrackId(2)]);
}

#[test]
fn an_id_that_breaks_behind_the_line_is_not_counted_again() {
    let mut tape = Tape::new(one_line(across("stop", 0.5)));
    tape.drive(1, (500.0, 300.0), (500.0, 540.0), 13);
    tape.show_ending(&[], &[1]);
    // Its first box is a bit back, above the line again.
    tape.drive(2, (500.0, 495.0), (500.0, 800.0), 16);
    assert_eq!(tape.told(), ["line_crossing"]);
}

#[test]
fn two_tracks_that_take_turns_at_one_object_count_once() {
    let mut tape = Tape::new(one_line(across("stop", 0.5)));
    tape.drive(1, (500.0, 300.0), (500.0, 400.0), 6);
    tape.show(&[]);
    tape.drive(2, (500.0, 440.0), (500.0, 460.0), 2);
    tape.drive(1, (500.0, 480.0), (500.0, 540.0), 4);
    tape.drive(2, (500.0, 560.0), (500.0, 600.0), 3);
    assert_eq!(tape.told(), ["line_crossing"]);
    assert_eq!(tape.counts.lines[0].ins, 1);
}

#[test]
fn what_has_gone_out_of_the_picture_is_not_continued() {
    let mut tape = Tape::new(one_zone(middle()));
    tape.drive(1, (800.0, 500.0), (950.0, 500.0), 10);
    tape.show_ending(&[], &[1]);
    tape.show(&[car(2, 950.0, 510.0)]);
    tape.show(&[car(2, 950.0, 510.0)]);
    assert_eq!(tape.zones.objects.len(), 2);
}

#[test]
fn another_object_that_appears_elsewhere_is_not_stitched() {
    let mut tape = Tape::new(one_line(across("stop", 0.5)));
    tape.drive(1, (300.0, 300.0), (300.0, 460.0), 9);
    tape.show_ending(&[], &[1]);
    tape.drive(2, (700.0, 620.0), (700.0, 800.0), 10);
    assert_eq!(tape.told(), [] as [&str; 0]);
}

#[test]
fn a_predicted_place_crosses_nothing() {
    let mut tape = Tape::new(one_line(across("stop", 0.5)));
    tape.drive(1, (500.0, 300.0), (500.0, 460.0), 9);
    for step in 1..10 {
        let mut coasting = car(1, 500.0, 460.0 + 20.0 * step as f32);
        coasting.state = TrackState::Coasting;
        tape.show(&[coasting]);
    }
    // It had stopped behind something.
    tape.drive(1, (500.0, 465.0), (500.0, 470.0), 5);
    assert_eq!(tape.told(), [] as [&str; 0]);
}

#[test]
fn only_the_classes_of_the_filter_count() {
    let people = LinePlan {
        classes: vec!["person".to_owned()],
        ..across("people", 0.5)
    };
    let mut tape = Tape::new(one_line(people));
    tape.drive(1, (500.0, 300.0), (500.0, 700.0), 21);
    assert_eq!(tape.told(), [] as [&str; 0]);
}

#[test]
fn the_wrong_way_over_a_line_is_counted_and_told() {
    let one_way = LinePlan {
        allowed: Allowed::In,
        ..across("one way", 0.5)
    };
    let mut tape = Tape::new(one_line(one_way));
    tape.drive(1, (500.0, 700.0), (500.0, 300.0), 21);
    assert_eq!(tape.told(), ["line_crossing", "wrong_way"]);
    assert_eq!(tape.counts.lines[0].outs, 1);
}

#[test]
fn two_lines_one_after_the_other_are_a_turn() {
    let plan = ZonesPlan {
        lines: vec![across("north", 0.3), across("south", 0.7)],
        ..ZonesPlan::default()
    };
    let mut tape = Tape::new(plan);
    tape.drive(1, (500.0, 150.0), (500.0, 900.0), 31);
    assert_eq!(tape.told(), ["line_crossing", "line_crossing", "turn"]);
    let turn = EventKind::Turn {
        from: "north".into(),
        to: "south".into(),
    };
    assert_eq!(tape.kinds()[2], turn);
}

#[test]
fn a_visit_has_an_entry_a_dwell_and_an_exit() {
    let mut tape = Tape::new(one_zone(middle()));
    // 50 px per frame: inside from y = 200 (frame 3) to y = 800 (frame 15).
    tape.drive(1, (500.0, 50.0), (500.0, 950.0), 19);
    assert_eq!(tape.told(), ["zone_entry", "zone_exit"]);
    let EventKind::Exit { dwell, .. } = tape.kinds()[1] else {
        panic!("{:?}", tape.kinds());
    };
    assert!((secs(dwell) - 1.3).abs() < 0.11, "{dwell:?}");
    assert_eq!(
        (tape.counts.zones[0].entries, tape.counts.zones[0].exits),
        (1, 1)
    );
}

#[test]
fn standing_on_the_border_is_no_coming_and_going() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut tape = Tape::new(one_zone(middle()));
    for _ in 0..600 {
        tape.show(&[car(1, 500.0, 200.0 + 16.0 * (random.f32() - 0.5))]);
    }
    assert!(tape.told().len() <= 1, "{:?}", tape.told());
}

#[test]
fn the_visit_of_an_object_that_is_lost_ends_where_it_was_last_seen() {
    let mut tape = Tape::new(one_zone(middle()));
    for _ in 0..11 {
        tape.show(&[car(1, 500.0, 500.0)]);
    }
    tape.show_ending(&[], &[1]);
    assert_eq!(
        tape.told(),
        ["zone_entry"],
        "it may yet go on as another track"
    );
    for _ in 0..50 {
        tape.show(&[]);
    }
    assert_eq!(tape.told(), ["zone_entry", "zone_exit"]);
    let EventKind::Exit { dwell, .. } = tape.kinds()[1] else {
        panic!();
    };
    // Seen in frames 0 to 10.
    assert_eq!(dwell, Duration::from_secs(1));
}

#[test]
fn loitering_is_told_once_per_visit() {
    let zone = ZonePlan {
        loiter: Some(Duration::from_secs(3)),
        ..middle()
    };
    let mut tape = Tape::new(one_zone(zone));
    for step in 0..80_u16 {
        // To and fro, never standing.
        let x = 500.0 + 100.0 * f32::from(step % 4);
        tape.show(&[car(1, x, 500.0)]);
    }
    assert_eq!(tape.told(), ["zone_entry", "loitering"]);
    // Inside from frame 0 on; 3 s are frame 30.
    assert_eq!(tape.events[1].frame.seq, FrameSeq(30));
}

#[test]
fn a_stopped_object_is_told_and_so_is_its_going_on() {
    let zone = ZonePlan {
        stop: Some(Duration::from_secs(2)),
        ..middle()
    };
    let mut tape = Tape::new(one_zone(zone));
    tape.drive(1, (300.0, 500.0), (500.0, 500.0), 11);
    for _ in 0..30 {
        tape.show(&[car(1, 503.0, 498.0)]);
    }
    tape.drive(1, (520.0, 500.0), (700.0, 500.0), 10);
    assert_eq!(tape.told(), ["zone_entry", "stopped", "stopped"]);
    let EventKind::Stopped { phase, still, .. } = tape.kinds()[2] else {
        panic!();
    };
    assert_eq!(phase, Phase::End);
    assert!((secs(still) - 3.2).abs() < 0.3, "{still:?}");
}

#[test]
fn going_against_the_way_of_a_zone_is_told_once() {
    let down = Arrow::new(&[[0.5, 0.2], [0.5, 0.8]]).unwrap();
    let zone = ZonePlan {
        way: Some(down),
        ..middle()
    };
    let mut tape = Tape::new(one_zone(zone.clone()));
    tape.drive(1, (500.0, 750.0), (500.0, 300.0), 20);
    assert_eq!(tape.told(), ["zone_entry", "wrong_way"]);
    let mut tape = Tape::new(one_zone(zone));
    tape.drive(1, (500.0, 300.0), (500.0, 750.0), 20);
    assert_eq!(tape.told(), ["zone_entry"]);
}

#[test]
fn what_has_begun_ends_with_the_run() {
    let zone = ZonePlan {
        max_occupancy: Some(1),
        ..middle()
    };
    let mut tape = Tape::new(one_zone(zone));
    for _ in 0..20 {
        tape.show(&[car(1, 300.0, 500.0)]);
    }
    let kinds: Vec<EventKind> = tape.zones.end_run().into_iter().map(|it| it.kind).collect();
    let over = EventKind::Occupancy {
        zone: "yard".into(),
        phase: Phase::End,
        count: 0,
    };
    assert_eq!(kinds.last(), Some(&over), "{kinds:?}");
    assert_eq!(kinds.len(), 2);
}

#[test]
fn a_zone_asks_the_anchor_and_the_class_that_it_says() {
    let told = |zone: ZonePlan| {
        let mut tape = Tape::new(one_zone(zone));
        for _ in 0..5 {
            // Feet below the zone, centre in it; a car.
            tape.show(&[car(1, 500.0, 840.0)]);
        }
        tape.told()
    };
    let by = |anchor| ZonePlan { anchor, ..middle() };
    let of = |class: &str| ZonePlan {
        classes: vec![class.to_owned()],
        ..by(Anchor::Center)
    };
    let nothing: [&str; 0] = [];
    assert_eq!(told(by(Anchor::BottomCenter)), nothing);
    assert_eq!(told(by(Anchor::Center)), ["zone_entry"]);
    assert_eq!(told(by(Anchor::TopCenter)), ["zone_entry"]);
    assert_eq!(told(of("car")), ["zone_entry"]);
    assert_eq!(told(of("person")), nothing);
}

#[test]
fn a_line_is_crossed_by_the_anchor_that_it_says() {
    let crossings = |anchor| {
        let line = LinePlan {
            anchor,
            ..across("stop", 0.5)
        };
        let mut tape = Tape::new(one_line(line));
        // Feet from 300 to 560: its centre ends at 510, its top at 460.
        tape.drive(1, (500.0, 300.0), (500.0, 560.0), 21);
        tape.told().len()
    };
    assert_eq!(crossings(Anchor::BottomCenter), 1);
    assert_eq!(crossings(Anchor::TopCenter), 0);
}

#[test]
fn what_is_in_an_excluded_area_is_not_looked_at() {
    let corners = [[0.4, 0.4], [0.6, 0.4], [0.6, 0.6], [0.4, 0.6]];
    let plan = ZonesPlan {
        zones: vec![middle()],
        excluded: vec![ExcludedPlan {
            name: "tree".into(),
            polygon: PolygonShape::new(&corners).unwrap(),
            classes: Vec::new(),
            anchor: Anchor::default(),
        }],
        ..ZonesPlan::default()
    };
    let mut tape = Tape::new(plan);
    for _ in 0..20 {
        tape.show(&[car(1, 500.0, 500.0), car(2, 300.0, 300.0)]);
    }
    assert_eq!(tape.told(), ["zone_entry"]);
    assert_eq!(tape.counts.zones[0].occupancy, 1);
}

#[test]
fn a_crossing_on_calibrated_ground_has_a_speed() {
    let plan = ZonesPlan {
        calibration: Some(from_above()),
        ..one_line(across("stop", 0.5))
    };
    let mut tape = Tape::new(plan);
    // 200 px/s = 2 m/s = 7.2 km/h.
    tape.drive(1, (500.0, 300.0), (500.0, 700.0), 21);
    let speed = tape.events[0].object.as_ref().unwrap().speed.unwrap();
    assert!((speed.value - 7.2).abs() < 0.05, "{speed:?}");
    assert!(
        speed.uncertainty > 0.2 && speed.uncertainty < 2.0,
        "{speed:?}"
    );
    assert_eq!(tape.counts.speeds.len(), 1);
}

#[test]
fn the_end_of_a_run_ends_every_visit_and_the_numbers_go_on() {
    let mut tape = Tape::new(one_zone(middle()));
    for _ in 0..5 {
        tape.show(&[car(1, 500.0, 500.0)]);
    }
    let events = tape.zones.end_run();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.number, event.kind.as_str()))
        .collect();
    assert_eq!(told, [(2, "zone_exit")]);
    assert_eq!(tape.zones.end_run(), []);
    tape.show(&[car(2, 500.0, 500.0)]);
    tape.show(&[car(2, 500.0, 500.0)]);
    assert_eq!(tape.events.last().unwrap().number, 3);
}

#[test]
fn zones_follow_the_size_of_the_picture() {
    let mut zones = Zones::new(one_line(across("stop", 0.5)), class_id).unwrap();
    let mut crossings = 0;
    for seq in 0..20 {
        let small = FrameMeta {
            size: Size {
                width: 500,
                height: 500,
            },
            ..frame(seq)
        };
        // Crosses half the height of the small picture, not that of the large one.
        let track = car(1, 250.0, 150.0 + 20.0 * seq as f32);
        crossings += zones.observe(&small, &[track], &[]).events.len();
    }
    assert_eq!(crossings, 1);
}
