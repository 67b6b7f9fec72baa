//! Zones that are stopped and go on.

use std::collections::BTreeSet;
use std::time::Duration;

use super::tests::{Tape, across, car, frame, middle};
use super::*;
use crate::base::EndReason;

fn plan() -> ZonesPlan {
    ZonesPlan {
        zones: vec![ZonePlan {
            loiter: Some(Duration::from_secs(20)),
            stop: Some(Duration::from_secs(15)),
            ..middle()
        }],
        lines: vec![across("first", 0.3), across("second", 0.6)],
        ..ZonesPlan::default()
    }
}

/// What a daemon does that is stopped and started again, with this plan.
fn restarted(tape: &Tape, plan: ZonesPlan, living: &[u64]) -> (Tape, Carried) {
    let bytes = postcard::to_stdvec(&tape.zones.state()).unwrap();
    let state: ZonesState = postcard::from_bytes(&bytes).unwrap();
    assert!(state.is_sound());
    let mut next = Tape::new(plan);
    let living: BTreeSet<TrackId> = living.iter().map(|id| TrackId(*id)).collect();
    let carried = next.zones.restore(state, &living);
    next.seq = tape.seq;
    (next, carried)
}

/// A car that stands in the zone for five seconds, after it came over the first line.
fn parked() -> Tape {
    let mut tape = Tape::new(plan());
    tape.drive(7, (500.0, 150.0), (500.0, 500.0), 21);
    for _ in 0..50 {
        tape.show(&[car(7, 500.0, 500.0)]);
    }
    assert_eq!(tape.told(), ["zone_entry", "line_crossing"]);
    tape
}

/// `secs` in which nobody watches.
fn absent(tape: &mut Tape, secs: u64, ended: &[u64]) {
    tape.seq += 10 * secs;
    let ended: Vec<EndedTrack> = ended
        .iter()
        .map(|id| EndedTrack {
            id: TrackId(*id),
            reason: EndReason::RunEnded,
        })
        .collect();
    let first = frame(tape.seq);
    let events = tape.zones.pass_absence(&first, secs as f64, &ended);
    tape.events.extend(events);
}

#[test]
fn restored_without_a_gap_they_tell_what_zones_tell_that_were_not_stopped() {
    let mut unbroken = parked();
    let (mut stopped, carried) = restarted(&unbroken, plan(), &[7]);
    assert_eq!(carried, Carried::default());
    unbroken.events.clear();
    for tape in [&mut unbroken, &mut stopped] {
        for _ in 0..150 {
            tape.show(&[car(7, 500.0, 500.0)]);
        }
        tape.drive(7, (500.0, 500.0), (500.0, 950.0), 25);
        tape.show_ending(&[], &[7]);
        (0..50).for_each(|_| tape.show(&[]));
    }
    assert_eq!(
        unbroken.told(),
        [
            "stopped",
            "loitering",
            "stopped",
            "line_crossing",
            "turn",
            "zone_exit"
        ]
    );
    assert_eq!(stopped.events, unbroken.events);
    assert_eq!(stopped.counts, unbroken.counts);
}

#[test]
fn a_standing_object_does_not_enter_again_and_its_dwell_goes_on() {
    let (mut tape, _) = restarted(&parked(), plan(), &[7]);
    absent(&mut tape, 30, &[]);
    tape.show(&[car(7, 500.0, 500.0)]);
    assert_eq!(tape.counts.zones[0].occupancy, 1);
    assert_eq!(
        (tape.counts.zones[0].entries, tape.counts.lines[0].ins),
        (1, 1)
    );
    // Inside since before, for more than 30 s: it loiters and stands at once.
    assert_eq!(tape.told(), ["loitering", "stopped"]);
    let EventKind::Loitering { dwell, .. } = &tape.events[0].kind else {
        panic!("{:?}", tape.events[0]);
    };
    // Its feet came over the border, at 200 px, in frame 3; it was last seen in frame 70, 30 s before.
    assert!((36.0..37.5).contains(&dwell.as_secs_f64()), "{dwell:?}");
    assert_eq!(tape.events[0].number, 3);
}

#[test]
fn an_id_that_breaks_in_the_absence_is_still_the_same_object() {
    let (mut tape, _) = restarted(&parked(), plan(), &[7]);
    absent(&mut tape, 30, &[]);
    // Its track is awaited but not found; a new one begins a quarter of its size beside.
    for step in 0..30 {
        let ended: &[u64] = if step == 20 { &[7] } else { &[] };
        tape.show_ending(&[car(9, 525.0, 510.0)], ended);
    }
    assert_eq!(
        (tape.counts.zones[0].entries, tape.counts.zones[0].exits),
        (1, 0)
    );
    assert_eq!(tape.counts.zones[0].occupancy, 1);
}

#[test]
fn what_is_gone_after_the_absence_leaves_with_its_last_sight() {
    let (mut tape, _) = restarted(&parked(), plan(), &[7]);
    absent(&mut tape, 100, &[7]);
    assert_eq!(tape.told(), ["zone_exit"]);
    let EventKind::Exit { dwell, .. } = &tape.events[0].kind else {
        panic!("{:?}", tape.events[0]);
    };
    assert!((6.0..7.5).contains(&dwell.as_secs_f64()), "{dwell:?}");
    tape.show(&[]);
    assert_eq!(
        (tape.counts.zones[0].exits, tape.counts.zones[0].occupancy),
        (1, 0)
    );
    assert_eq!(tape.zones.objects.len(), 0);
}

#[test]
fn a_zone_that_changed_begins_anew_and_the_others_go_on() {
    let mut changed = plan();
    let corners = [[0.1, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]];
    changed.zones[0].polygon = PolygonShape::new(&corners).unwrap();
    changed.lines.swap(0, 1);
    let (mut tape, carried) = restarted(&parked(), changed, &[7]);
    assert_eq!(carried.changed, ["yard"]);
    (0..3).for_each(|_| tape.show(&[car(7, 500.0, 500.0)]));
    // It is in the new zone, and over the line that is the second now.
    assert_eq!(tape.counts.zones[0].entries, 1);
    assert_eq!((tape.counts.lines[0].ins, tape.counts.lines[1].ins), (0, 1));
    assert_eq!(tape.told(), ["zone_entry"]);
    assert_eq!(tape.events[0].number, 3);
    tape.drive(7, (500.0, 500.0), (500.0, 950.0), 25);
    let turn = tape.events.iter().find(|it| it.kind.as_str() == "turn");
    assert_eq!(
        turn.map(|it| it.kind.clone()),
        Some(EventKind::Turn {
            from: "first".into(),
            to: "second".into()
        })
    );
    // first stands second now.
    assert_eq!(tape.counts.turns, [((1, 0), 1)].into());
    let mut swapped = plan();
    swapped.lines.swap(0, 1);
    let (mut tape, _) = restarted(&tape, swapped, &[7]);
    tape.show(&[]);
    assert_eq!(tape.counts.turns, [((1, 0), 1)].into());
    let (mut tape, _) = restarted(&tape, plan(), &[7]);
    tape.show(&[]);
    assert_eq!(tape.counts.turns, [((0, 1), 1)].into());
}

#[test]
fn what_was_told_after_the_snapshot_is_not_told_again() {
    let mut killed = Tape::new(plan());
    killed.drive(7, (500.0, 100.0), (500.0, 150.0), 3);
    // The snapshot is of here; what follows is told before the kill.
    let (mut next, _) = restarted(&killed, plan(), &[7]);
    let known = next.zones.last_number();
    killed.drive(7, (500.0, 160.0), (500.0, 700.0), 28);
    assert_eq!(
        killed.told(),
        ["zone_entry", "line_crossing", "line_crossing", "turn"]
    );
    let told: Vec<Told> = killed
        .events
        .iter()
        .map(|event| Told {
            number: event.number,
            tracks: event.object.as_ref().unwrap().tracks.clone(),
            what: match &event.kind {
                EventKind::Entry { zone } => ToldKind::Entry(zone.to_string()),
                EventKind::Crossing { line, direction } => {
                    ToldKind::Crossing(line.to_string(), *direction)
                }
                EventKind::Turn { from, to } => ToldKind::Turn(from.to_string(), to.to_string()),
                _ => ToldKind::Other,
            },
        })
        .collect();
    assert!(told.iter().all(|it| it.number > known));
    next.zones.catch_up(&told);
    next.seq = killed.seq;
    absent(&mut next, 2, &[]);
    (0..5).for_each(|_| next.show(&[car(7, 500.0, 700.0)]));
    assert_eq!(next.told(), [""; 0]);
    let counts = |tape: &Tape| (tape.counts.zones[0].entries, tape.counts.lines.clone());
    assert_eq!(counts(&next), counts(&killed));
    assert_eq!(next.counts.turns, killed.counts.turns);
    // And it goes on from there: out of the zone, with the next number.
    next.drive(7, (500.0, 710.0), (500.0, 950.0), 14);
    assert_eq!(next.told(), ["zone_exit"]);
    assert_eq!(next.events[0].number, told.last().unwrap().number + 1);
    // What is known already changes nothing.
    let before = next.counts.clone();
    next.zones.catch_up(&told);
    next.show(&[]);
    assert_eq!(next.counts.lines, before.lines);
}

#[test]
fn a_threshold_that_changed_changes_no_count() {
    let mut changed = plan();
    changed.zones[0].max_occupancy = Some(3);
    let (_, carried) = restarted(&parked(), changed, &[7]);
    assert_eq!(carried, Carried::default());
}

#[test]
fn an_object_whose_track_is_not_known_any_more_does_not_stay_for_ever() {
    let (mut tape, _) = restarted(&parked(), plan(), &[]);
    absent(&mut tape, 5, &[]);
    tape.show(&[]);
    assert_eq!(tape.told(), ["zone_exit"]);
    assert_eq!(tape.zones.objects.len(), 0);
}

#[test]
fn a_snapshot_is_bounded() {
    let mut tape = Tape::new(plan());
    let crowd: Vec<TrackSnapshot> = (0..3000u16)
        .map(|id| {
            car(
                u64::from(id) + 1,
                f32::from(id % 60) * 15.0,
                f32::from(id / 60) * 15.0,
            )
        })
        .collect();
    (0..3).for_each(|_| tape.show(&crowd));
    let state = tape.zones.state();
    let bytes = postcard::to_stdvec(&state).unwrap();
    assert!(bytes.len() < 1_000_000, "{} bytes", bytes.len());
    let (next, _) = restarted(&tape, plan(), &[]);
    assert_eq!(next.zones.objects.len(), 1024);
}
