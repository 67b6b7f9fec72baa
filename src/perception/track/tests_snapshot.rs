//! A tracker that is stopped and goes on.

use std::time::Duration;

use super::*;
use crate::base::{BBox, ClassId, Embedding, TrackState};

const CAR: ClassId = ClassId(2);
const VAN: ClassId = ClassId(7);
const ALLOWED: Absence = Absence {
    standing: Duration::from_secs(60),
    moving: Duration::from_secs(15),
};

fn at(secs: f64) -> Pts {
    Pts((secs * 1e9) as u64)
}

fn seen(class: ClassId, x: f32, y: f32) -> Detection {
    Detection {
        bbox: BBox::from_cxcywh(x, y, 60.0, 40.0).unwrap(),
        class,
        confidence: 0.9,
        embedding: None,
    }
}

/// The picture at `secs`: one car stands, one moves 12 px/s (0.24 sizes), one 300 px/s. With looks of
/// their own, and jitter that differs from frame to frame but not from call to call.
fn picture(secs: f64) -> Vec<Detection> {
    let wobble = ((secs * 7.3).sin() * 0.8) as f32;
    let secs = secs as f32;
    let mut all = vec![
        seen(CAR, 200.0 + wobble, 300.0 - wobble),
        seen(CAR, 500.0 + 12.0 * secs, 200.0 + wobble),
        seen(CAR, 300.0 * secs, 500.0),
    ];
    for (number, one) in (0u8..).zip(&mut all) {
        let angle = f32::from(number) * 1.4 + wobble / 10.0;
        one.embedding = Embedding::new(&[angle.cos(), angle.sin(), 0.1]);
    }
    all
}

/// A tracker that has watched the picture for four seconds at 10 fps; the last frame is at 3.9 s.
fn watched() -> Tracker {
    let mut tracker = Tracker::new(TrackOptions::default());
    for frame in 0..40 {
        let secs = f64::from(frame) / 10.0;
        tracker.step(&picture(secs), at(secs));
    }
    tracker
}

fn restored(tracker: &Tracker) -> Tracker {
    let bytes = postcard::to_stdvec(&tracker.state()).unwrap();
    let state: TrackerState = postcard::from_bytes(&bytes).unwrap();
    assert!(state.is_sound());
    let mut other = Tracker::new(TrackOptions::default());
    other.restore(state);
    other
}

fn seen_ids(step: &Step) -> Vec<u64> {
    let seen = step.tracks.iter();
    seen.filter(|track| track.state == TrackState::Confirmed)
        .map(|track| track.id.0)
        .collect()
}

#[test]
fn restored_without_a_gap_it_goes_on_exactly_as_one_that_was_not_stopped() {
    let mut unbroken = watched();
    let mut stopped = restored(&unbroken);
    for frame in 40..120 {
        let secs = f64::from(frame) / 10.0;
        let mut detections = picture(secs);
        if frame % 9 < 3 {
            detections.remove(1);
        }
        assert_eq!(
            stopped.step(&detections, at(secs)),
            unbroken.step(&detections, at(secs)),
            "at {secs} s"
        );
    }
}

#[test]
fn standing_and_slow_objects_keep_their_ids_over_an_absence() {
    let mut tracker = restored(&watched());
    // Eight seconds later the fast one is far away.
    let ended = tracker.pass_absence(at(11.9), &ALLOWED);
    assert_eq!(ended.iter().map(|it| it.id.0).collect::<Vec<_>>(), [3]);
    let mut now = picture(11.9);
    now.truncate(2);
    let step = tracker.step(&now, at(11.9));
    assert_eq!(seen_ids(&step), [1, 2]);
    assert_eq!(tracker.gone_on(), 2);
    assert_eq!(step.tracks[0].first_seen, at(0.0));
}

#[test]
fn another_object_at_the_place_is_not_taken_for_the_one_before() {
    let mut tracker = restored(&watched());
    tracker.pass_absence(at(11.9), &ALLOWED);
    // A van where the car stood, and a car half a length from where the slow one is awaited.
    let now = [seen(VAN, 200.0, 300.0), seen(CAR, 643.0 + 40.0, 200.0)];
    let mut last = Step::default();
    for frame in 0..30 {
        last = tracker.step(&now, at(11.9 + f64::from(frame) / 10.0));
    }
    assert_eq!(seen_ids(&last), [4, 5]);
    assert_eq!(tracker.gone_on(), 0);
}

#[test]
fn a_gap_too_long_ends_everything_and_numbers_go_on() {
    let mut tracker = restored(&watched());
    let ended = tracker.pass_absence(at(3.9 + 61.0), &ALLOWED);
    let ids: Vec<u64> = ended.iter().map(|it| it.id.0).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert!(ended.iter().all(|it| it.reason == EndReason::RunEnded));
    tracker.step(&picture(0.0), at(65.0));
    assert_eq!(seen_ids(&tracker.step(&picture(0.1), at(65.1))), [4, 5, 6]);
}

#[test]
fn only_what_stands_waits_for_long() {
    let mut tracker = restored(&watched());
    let ended = tracker.pass_absence(at(3.9 + 30.0), &ALLOWED);
    let ids: Vec<u64> = ended.iter().map(|it| it.id.0).collect();
    assert_eq!(ids, [2, 3]);
    assert_eq!(seen_ids(&tracker.step(&picture(0.0)[..1], at(33.9))), [1]);
}

#[test]
fn what_is_not_seen_again_is_lost_in_its_time() {
    let mut tracker = watched();
    tracker.pass_absence(at(8.9), &ALLOWED);
    let mut lost = Vec::new();
    for frame in 0..30 {
        let step = tracker.step(&[], at(8.9 + f64::from(frame) / 10.0));
        lost.extend(step.ended.into_iter().map(|it| (it.id.0, it.reason)));
    }
    assert_eq!(lost, [(1, EndReason::Lost), (2, EndReason::Lost)]);
}

#[test]
fn a_snapshot_is_bounded() {
    let mut tracker = Tracker::new(TrackOptions::default());
    let crowd: Vec<Detection> = (0..1500u16)
        .map(|number| {
            let (x, y) = (f32::from(number % 50), f32::from(number / 50));
            Detection {
                embedding: Embedding::new(&[f32::from(number + 1), 1.0, 2.0]),
                ..seen(CAR, 100.0 * x, 100.0 * y)
            }
        })
        .collect();
    for frame in 0..4 {
        tracker.step(&crowd, at(f64::from(frame) / 10.0));
    }
    let state = tracker.state();
    assert_eq!(state.ids().count(), 1024);
    let bytes = postcard::to_stdvec(&state).unwrap();
    assert!(bytes.len() < 1_000_000, "{} bytes", bytes.len());
    assert!(state.is_sound());
}

#[test]
fn a_state_that_contradicts_itself_is_not_sound() {
    let numbers = |state: &TrackerState| postcard::to_stdvec(state).unwrap();
    let mut bytes = numbers(&watched().state());
    // The first number is the newest id given; three were.
    assert_eq!(bytes[0], 3);
    bytes[0] = 2;
    let state: TrackerState = postcard::from_bytes(&bytes).unwrap();
    assert!(!state.is_sound());
}
