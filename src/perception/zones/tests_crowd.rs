//! Zones that say when they are full, slow, or have a queue.

use std::time::Duration;

use super::tests::{FPS, Tape, car, from_above, middle, one_zone};
use super::*;
use crate::base::Phase;

/// Two cars that stand in the middle.
fn two_cars() -> [TrackSnapshot; 2] {
    [car(1, 400.0, 500.0), car(2, 600.0, 500.0)]
}

#[test]
fn what_has_begun_ends_when_nobody_asks_for_it_any_more() {
    let full = ZonePlan {
        max_occupancy: Some(2),
        ..middle()
    };
    let mut tape = Tape::new(one_zone(full));
    for _ in 0..30 {
        tape.show(&two_cars());
    }
    let occupancy = |tape: &Tape| {
        let told = tape.told();
        told.into_iter().filter(|it| *it == "occupancy").count()
    };
    assert_eq!(occupancy(&tape), 1, "{:?}", tape.told());
    let mut unasked = Zones::new(one_zone(middle()), super::tests::class_id).unwrap();
    unasked.take_over(std::mem::replace(
        &mut tape.zones,
        Zones::new(one_zone(middle()), super::tests::class_id).unwrap(),
    ));
    tape.zones = unasked;
    tape.show(&two_cars());
    assert_eq!(occupancy(&tape), 2, "{:?}", tape.told());
    let last = tape.events.last().unwrap();
    assert!(
        matches!(
            last.kind,
            EventKind::Occupancy {
                phase: Phase::End,
                ..
            }
        ),
        "{last:?}"
    );
}

#[test]
fn too_many_at_once_are_told_when_it_begins_and_when_it_is_over() {
    let zone = ZonePlan {
        max_occupancy: Some(2),
        ..middle()
    };
    let mut tape = Tape::new(one_zone(zone));
    for _ in 0..20 {
        tape.show(&[car(1, 300.0, 500.0), car(2, 600.0, 500.0)]);
    }
    assert_eq!(tape.counts.zones[0].occupancy, 2);
    for _ in 0..20 {
        tape.show(&[car(1, 300.0, 500.0)]);
    }
    let expected = ["zone_entry", "zone_entry", "occupancy", "occupancy"];
    assert_eq!(tape.told(), expected);
    assert_eq!(tape.counts.zones[0].occupancy, 1);
}

#[test]
fn a_queue_is_made_of_those_who_stand() {
    let zone = ZonePlan {
        queue: Some(3),
        ..middle()
    };
    let mut tape = Tape::new(one_zone(zone));
    for step in 0..60_u16 {
        let moving = car(4, 250.0 + 8.0 * f32::from(step), 300.0);
        let standing = [1_u8, 2, 3].map(|n| car(n.into(), 200.0 + 120.0 * f32::from(n), 600.0));
        let all: Vec<TrackSnapshot> = standing.into_iter().chain([moving]).collect();
        tape.show(&all);
    }
    assert_eq!(tape.counts.zones[0].queue, 3);
    assert_eq!(tape.counts.zones[0].occupancy, 4);
    let queue = EventKind::Queue {
        zone: "yard".into(),
        phase: Phase::Begin,
        count: 3,
    };
    assert!(tape.kinds().contains(&queue), "{:?}", tape.kinds());
}

#[test]
fn congestion_is_full_and_slow_at_once() {
    let zone = |speed| ZonePlan {
        congestion: Some(CongestionPlan {
            occupancy: 3,
            speed: SlowSpeed::SizesPerSecond(speed),
            hold: Duration::from_secs(2),
        }),
        ..middle()
    };
    let told = |plan: ZonePlan| {
        let mut tape = Tape::new(one_zone(plan));
        for _ in 0..60 {
            let cars = [1_u8, 2, 3].map(|n| {
                let mut car = car(n.into(), 200.0 + 120.0 * f32::from(n), 600.0);
                // 0.2 of its size per second.
                car.velocity = [20.0, 0.0];
                car
            });
            tape.show(&cars);
        }
        tape.told().contains(&"congestion")
    };
    assert!(told(zone(0.5)));
    assert!(!told(zone(0.1)), "it is fast enough");
}

#[test]
fn congestion_in_km_h_asks_those_on_calibrated_ground() {
    let told = |limit, pixels_per_second: f32| {
        let zone = ZonePlan {
            congestion: Some(CongestionPlan {
                occupancy: 3,
                speed: SlowSpeed::Kmh(limit),
                hold: Duration::from_secs(2),
            }),
            ..middle()
        };
        let mut tape = Tape::new(ZonesPlan {
            calibration: Some(from_above()),
            ..one_zone(zone)
        });
        for step in 0..60_u16 {
            let way = pixels_per_second * f32::from(step) / FPS as f32;
            let cars = [1_u8, 2, 3].map(|n| {
                let mut car = car(n.into(), 230.0 + way, 300.0 + 120.0 * f32::from(n));
                car.velocity = [pixels_per_second, 0.0];
                car
            });
            tape.show(&cars);
        }
        tape.told().contains(&"congestion")
    };
    // 50 px/s are 0.5 m/s are 1.8 km/h.
    assert!(told(2.0, 50.0));
    assert!(!told(1.5, 50.0), "it is fast enough");
}
