//! What no tracker should be shown, and what it must withstand.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::tests::{Film, at, seen};
use super::*;
use crate::base::{BBox, ClassId, TrackId};

#[test]
fn time_that_stands_still_or_goes_back_does_no_harm() {
    let mut tracker = Tracker::new(TrackOptions::default());
    for secs in [5.0, 5.0, 5.0, 1.0, 1.1, 1.1, 0.0, 0.1] {
        let step = tracker.step(&[seen(100.0, 100.0, 0.9)], at(secs));
        assert!(step.tracks.iter().all(|track| track.id == TrackId(1)));
    }
    assert_eq!(tracker.step(&[], at(0.2)).tracks.len(), 1);
}

#[test]
fn ten_thousand_detections_are_bounded_and_counted() {
    let mut film = Film::new(30.0);
    let mut random = fastrand::Rng::with_seed(7);
    let options = TrackOptions::default();
    for _ in 0..3 {
        let detections: Vec<_> = (0..10_000)
            .map(|_| {
                seen(
                    random.f32() * 2000.0,
                    random.f32() * 1000.0,
                    0.7 + 0.3 * random.f32(),
                )
            })
            .collect();
        let step = film.show(&detections);
        assert_eq!(step.ignored, 10_000 - options.max_detections);
        assert!(film.tracker.tracks.len() <= options.max_tracks);
    }
}

/// Frames of noise: boxes of all sizes, any score, any class, time that jumps.
fn noise(random: &mut fastrand::Rng) -> (Vec<Detection>, f64) {
    let count = random.usize(0..12);
    let detections = (0..count)
        .filter_map(|_| {
            let side = 10f32.powf(random.f32() * 4.0 - 1.0);
            Some(Detection {
                bbox: BBox::from_cxcywh(
                    random.f32() * 2000.0 - 500.0,
                    random.f32() * 1000.0,
                    side,
                    side * (0.3 + random.f32()),
                )?,
                class: ClassId(random.u16(0..6)),
                confidence: random.f32(),
                embedding: None,
            })
        })
        .collect();
    let dt = match random.u8(0..100) {
        0 => -3.0,
        1 => 0.0,
        2 => 3600.0,
        _ => 0.2 * random.f64(),
    };
    (detections, dt)
}

#[test]
fn a_million_frames_of_noise_grow_nothing_and_repeat_no_id() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut tracker = Tracker::new(TrackOptions::default());
    let mut secs: f64 = 10.0;
    let mut ended: BTreeSet<TrackId> = BTreeSet::new();
    let mut newest = 0;
    for _ in 0..1_000_000 {
        let (detections, dt) = noise(&mut random);
        secs = (secs + dt).max(0.0);
        let step = tracker.step(&detections, at(secs));
        for track in &step.tracks {
            assert!(!ended.contains(&track.id), "{:?} came back", track.id);
            assert!(track.velocity.iter().all(|v| v.is_finite()));
            newest = newest.max(track.id.0);
        }
        assert!(step.tracks.is_sorted_by_key(|track| track.id));
        assert!(step.ended.is_sorted_by_key(|track| track.id));
        for track in step.ended {
            assert!(ended.insert(track.id), "{:?} ended twice", track.id);
        }
        assert!(tracker.tracks.len() <= 2000);
    }
    let alive = tracker.end_run().len();
    assert_eq!(
        ended.len() + alive,
        newest as usize,
        "ids are dense and each ends once"
    );
}

#[test]
fn writing_decisions_down_changes_none() {
    let mut random = fastrand::Rng::with_seed(5);
    let [mut plain, mut recording] = [false, true].map(|record_decisions| {
        Tracker::new(TrackOptions {
            record_decisions,
            ..TrackOptions::default()
        })
    });
    let mut secs: f64 = 10.0;
    for _ in 0..5_000 {
        let (detections, dt) = noise(&mut random);
        secs = (secs + dt).max(0.0);
        let lived = recording.tracks.len();
        let steps = [&mut plain, &mut recording].map(|one| one.step(&detections, at(secs)));
        assert_eq!(steps[0], steps[1]);
        let record = recording.decisions().unwrap();
        assert_eq!(
            record.tracks.len(),
            lived,
            "one decision for each track that lived"
        );
        let given: Vec<_> = record
            .tracks
            .iter()
            .filter_map(|track| track.given)
            .collect();
        let places: BTreeSet<u32> = given.iter().map(|choice| choice.place).collect();
        assert_eq!(places.len(), given.len(), "a box is given once");
    }
    assert_eq!(plain.decisions(), None);
}

#[test]
fn the_same_input_gives_the_same_answer() {
    let run = || {
        let mut random = fastrand::Rng::with_seed(3);
        let mut tracker = Tracker::new(TrackOptions::default());
        (0..300)
            .map(|frame| tracker.step(&noise(&mut random).0, at(frame as f64 / 30.0)))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn the_order_of_detections_does_not_matter() {
    let mut random = fastrand::Rng::with_seed(5);
    let (mut one, mut other) = (Film::new(30.0), Film::new(30.0));
    for _ in 0..300 {
        let (mut detections, _) = noise(&mut random);
        let a = one.show(&detections);
        detections.reverse();
        assert_eq!(a, other.show(&detections));
    }
}

/// Anything a detector, a stream or a camera mount could give in one frame.
fn any_frame() -> impl Strategy<Value = (Vec<Detection>, f64, Option<[f64; 6]>)> {
    let edge = prop_oneof![-3e3f32..3e3, -1e30f32..1e30, Just(f32::MAX), Just(0.0f32)];
    let side = prop_oneof![1f32..500.0, 1e-30f32..1.0, 1f32..1e30];
    let score = prop_oneof![
        0f32..=1.0,
        Just(f32::NAN),
        Just(f32::INFINITY),
        Just(1e7f32),
        Just(-1.0f32)
    ];
    let detection = (edge.clone(), edge, side.clone(), side, score, 0..4u16).prop_filter_map(
        "no box",
        |(left, top, width, height, confidence, class)| {
            Some(Detection {
                bbox: BBox::from_ltrb(left, top, left + width, top + height)?,
                class: ClassId(class),
                confidence,
                embedding: None,
            })
        },
    );
    let dt = prop_oneof![0f64..0.2, Just(0.0), -5f64..0.0, Just(7200.0)];
    let turn = [
        -0.1..0.1,
        -0.1..0.1,
        -50f64..50.0,
        -0.1..0.1,
        -0.1..0.1,
        -50f64..50.0,
    ];
    let warp = turn.prop_map(|[a, b, tx, c, d, ty]| [1.0 + a, b, tx, c, 1.0 + d, ty]);
    (
        prop::collection::vec(detection, 0..12),
        dt,
        prop::option::of(warp),
    )
}

proptest! {
    #[test]
    fn whatever_comes_ids_are_unique_and_numbers_are_numbers(
        frames in prop::collection::vec(any_frame(), 1..40)
    ) {
        let mut tracker = Tracker::new(TrackOptions::default());
        let (mut secs, mut ended) = (100.0f64, BTreeSet::new());
        for (detections, dt, warp) in frames {
            secs = (secs + dt).max(0.0);
            if let Some(warp) = warp.and_then(CameraWarp::new) {
                tracker.move_camera(warp);
            }
            let step = tracker.step(&detections, at(secs));
            prop_assert!(step.tracks.windows(2).all(|pair| pair[0].id < pair[1].id));
            for track in &step.tracks {
                prop_assert!(!ended.contains(&track.id));
                prop_assert!(track.bbox.width() > 0.0 && track.bbox.height() > 0.0);
                prop_assert!(track.velocity.iter().all(|part| !part.is_nan()));
            }
            ended.extend(step.ended.iter().map(|track| track.id));
        }
    }
}
