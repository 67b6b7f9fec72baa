//! What a person watching would expect of the tracker.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::base::{BBox, ClassId, TrackId, TrackState};

const CAR: ClassId = ClassId(2);
const TRUCK: ClassId = ClassId(7);

/// A 40 × 80 px object.
pub(super) fn seen(cx: f32, cy: f32, confidence: f32) -> Detection {
    Detection {
        bbox: BBox::from_cxcywh(cx, cy, 40.0, 80.0).unwrap(),
        class: CAR,
        confidence,
        embedding: None,
    }
}

pub(super) fn at(secs: f64) -> Pts {
    Pts((secs * 1e9) as u64)
}

/// A tracker fed at a constant rate.
pub(super) struct Film {
    pub(super) tracker: Tracker,
    frame: u64,
    fps: f64,
}

impl Film {
    pub(super) fn new(fps: f64) -> Self {
        Self {
            tracker: Tracker::new(TrackOptions::default()),
            frame: 0,
            fps,
        }
    }

    fn secs(&self) -> f64 {
        self.frame as f64 / self.fps
    }

    pub(super) fn show(&mut self, detections: &[Detection]) -> Step {
        let step = self.tracker.step(detections, at(self.secs()));
        self.frame += 1;
        step
    }
}

/// The ids whose box is nearest to the given point in the last step.
fn id_at(step: &Step, cx: f32, cy: f32) -> Option<TrackId> {
    step.tracks
        .iter()
        .map(|track| ((track.bbox.cx() - cx).hypot(track.bbox.cy() - cy), track.id))
        .filter(|&(distance, _)| distance < 20.0)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, id)| id)
}

#[test]
fn an_object_is_shown_from_its_second_detection() {
    let mut film = Film::new(30.0);
    assert_eq!(film.show(&[seen(100.0, 100.0, 0.9)]).tracks, vec![]);
    let step = film.show(&[seen(101.0, 100.0, 0.9)]);
    assert_eq!(step.tracks.len(), 1);
    assert_eq!(step.tracks[0].id, TrackId(1));
    assert_eq!(step.tracks[0].state, TrackState::Confirmed);
    assert_eq!(step.tracks[0].first_seen, Pts(0));
}

#[test]
fn a_single_false_detection_takes_no_id() {
    let mut film = Film::new(30.0);
    film.show(&[seen(500.0, 500.0, 0.9)]);
    for _ in 0..5 {
        assert!(film.show(&[]).tracks.is_empty());
    }
    film.show(&[seen(100.0, 100.0, 0.9)]);
    let step = film.show(&[seen(100.0, 100.0, 0.9)]);
    assert_eq!(step.tracks[0].id, TrackId(1));
}

#[test]
fn lost_track_keeps_moving_while_hidden() {
    // 8 px per frame at 30 fps, hidden for 20 frames: 160 px, four times the object's width.
    let mut film = Film::new(30.0);
    let place = |frame: u64| 100.0 + 8.0 * frame as f32;
    for frame in 0..40 {
        film.show(&[seen(place(frame), 100.0, 0.9)]);
    }
    for frame in 40..60 {
        let step = film.show(&[]);
        assert_eq!(step.tracks[0].state, TrackState::Coasting);
        assert!((step.tracks[0].bbox.cx() - place(frame)).abs() < 8.0);
        assert!((step.tracks[0].velocity[0] - 240.0).abs() < 12.0);
    }
    let step = film.show(&[seen(place(60), 100.0, 0.9)]);
    assert_eq!(step.tracks.len(), 1);
    assert_eq!(step.tracks[0].id, TrackId(1));
    assert_eq!(step.tracks[0].state, TrackState::Confirmed);
}

/// For how many frames at 30 fps an object of this score is presumed to be there when it is gone, with
/// something nearer and larger standing `aside` px beside it.
fn presumed_for(score: f32, aside: f32) -> usize {
    let mut film = Film::new(30.0);
    let nearer = Detection {
        bbox: BBox::from_cxcywh(100.0 + aside, 140.0, 80.0, 160.0).unwrap(),
        ..seen(0.0, 0.0, 0.9)
    };
    for _ in 0..30 {
        film.show(&[seen(100.0, 100.0, score), nearer.clone()]);
    }
    let gone = (0..30).map(|_| film.show(std::slice::from_ref(&nearer)));
    let presumed = gone.filter(|step| {
        let mut tracks = step.tracks.iter();
        tracks.any(|track| track.is_presumed && track.is_present(None) && track.bbox.cx() < 110.0)
    });
    presumed.count()
}

#[test]
fn who_was_surely_seen_or_is_hidden_is_presumed_to_be_there_for_a_moment() {
    assert_eq!(presumed_for(0.9, 300.0), 2);
    assert_eq!(presumed_for(0.7, 300.0), 0);
    // Three quarters of it are hidden.
    let hidden = presumed_for(0.7, 30.0);
    assert!((5..=6).contains(&hidden), "{hidden}");
    assert_eq!(presumed_for(0.7, 50.0), 0);
}

/// How a restless object sways, px.
fn sway(frame: u64) -> f32 {
    5.0 * (frame as f32).sin()
}

/// Someone walks, not evenly, is hidden for 25 frames, and comes out where he went in, past what his
/// box can overlap; `size` is that of who comes out. Answers the ids in the last step.
fn out_where_he_went_in(size: [f32; 2], class: ClassId) -> Vec<TrackId> {
    let mut film = Film::new(30.0);
    for frame in 0..40 {
        film.show(&[seen(100.0 + 2.0 * frame as f32 + sway(frame), 100.0, 0.9)]);
    }
    for _ in 0..25 {
        film.show(&[]);
    }
    let [width, height] = size;
    let out = Detection {
        bbox: BBox::from_cxcywh(180.0, 100.0, width, height).unwrap(),
        class,
        ..seen(0.0, 0.0, 0.9)
    };
    film.show(std::slice::from_ref(&out));
    let step = film.show(&[out]);
    let seen = |track: &&TrackSnapshot| track.state == TrackState::Confirmed;
    step.tracks.iter().filter(seen).map(|it| it.id).collect()
}

#[test]
fn who_stops_while_hidden_comes_back_as_the_same() {
    assert_eq!(out_where_he_went_in([40.0, 80.0], CAR), [TrackId(1)]);
}

#[test]
fn a_stranger_of_another_size_or_class_does_not_come_back_as_the_lost_one() {
    assert_eq!(out_where_he_went_in([60.0, 80.0], CAR), [TrackId(2)]);
    assert_eq!(out_where_he_went_in([40.0, 80.0], TRUCK), [TrackId(2)]);
}

#[test]
fn who_comes_back_an_hour_later_or_far_away_is_another_one() {
    let mut film = Film::new(30.0);
    for frame in 0..30 {
        film.show(&[seen(100.0 + sway(frame), 100.0, 0.9)]);
    }
    film.show(&[seen(150.0, 100.0, 0.9)]);
    let hour = at(3600.0);
    let step = film.tracker.step(&[seen(150.0, 100.0, 0.9)], hour);
    assert_eq!(id_at(&step, 150.0, 100.0), Some(TrackId(2)));

    let mut film = Film::new(30.0);
    for frame in 0..30 {
        film.show(&[seen(100.0 + sway(frame), 100.0, 0.9)]);
    }
    for _ in 0..45 {
        film.show(&[]);
    }
    // As uncertain as its place is by now, this is more than its height away.
    film.show(&[seen(200.0, 100.0, 0.9)]);
    let step = film.show(&[seen(200.0, 100.0, 0.9)]);
    assert_eq!(id_at(&step, 200.0, 100.0), Some(TrackId(2)));
}

#[test]
fn of_two_who_come_back_the_nearer_one_is_the_lost_one() {
    let mut film = Film::new(30.0);
    for frame in 0..30 {
        film.show(&[seen(100.0 + sway(frame), 100.0, 0.9)]);
    }
    for _ in 0..30 {
        film.show(&[]);
    }
    let both = [seen(20.0, 100.0, 0.9), seen(150.0, 100.0, 0.9)];
    film.show(&both);
    let step = film.show(&both);
    assert_eq!(id_at(&step, 150.0, 100.0), Some(TrackId(1)));
    assert_eq!(id_at(&step, 20.0, 100.0), Some(TrackId(2)));
}

#[test]
fn a_lost_track_ends_after_the_memory_and_its_id_is_not_used_again() {
    let mut film = Film::new(10.0);
    for _ in 0..5 {
        film.show(&[seen(100.0, 100.0, 0.9)]);
    }
    let mut ended = Vec::new();
    for _ in 0..30 {
        ended.extend(film.show(&[]).ended);
    }
    let lost = EndedTrack {
        id: TrackId(1),
        reason: EndReason::Lost,
    };
    assert_eq!(ended, vec![lost]);
    film.show(&[seen(100.0, 100.0, 0.9)]);
    let step = film.show(&[seen(100.0, 100.0, 0.9)]);
    assert_eq!(step.tracks[0].id, TrackId(2));
}

/// Two objects pass each other on neighbouring lanes, 6 px per frame at 30 fps each.
fn crossing(
    every: u64,
    fps: f64,
    dropped: impl Fn(u64) -> bool,
) -> Vec<(Option<TrackId>, Option<TrackId>)> {
    let mut tracker = Tracker::new(TrackOptions::default());
    let mut ids = Vec::new();
    for frame in (0..90).step_by(every as usize) {
        if dropped(frame) {
            continue;
        }
        let (right, left) = (100.0 + 6.0 * frame as f32, 640.0 - 6.0 * frame as f32);
        let detections = [seen(right, 100.0, 0.9), seen(left, 130.0, 0.8)];
        let step = tracker.step(&detections, at(frame as f64 / fps));
        ids.push((id_at(&step, right, 100.0), id_at(&step, left, 130.0)));
    }
    ids
}

fn assert_steady(ids: &[(Option<TrackId>, Option<TrackId>)]) {
    let believed: BTreeSet<_> = ids
        .iter()
        .copied()
        .filter(|pair| pair.0.is_some() && pair.1.is_some())
        .collect();
    assert_eq!(believed.len(), 1, "ids changed: {believed:?}");
    assert!(
        ids.iter()
            .skip(1)
            .all(|pair| pair.0.is_some() && pair.1.is_some())
    );
}

#[test]
fn crossing_objects_keep_their_ids() {
    assert_steady(&crossing(1, 30.0, |_| false));
}

#[test]
fn half_the_frame_rate_keeps_ids() {
    assert_steady(&crossing(2, 30.0, |_| false));
}

#[test]
fn dropped_frames_keep_ids() {
    // Every third frame, and six in a row in the middle of the crossing.
    assert_steady(&crossing(1, 30.0, |frame| {
        frame % 3 == 2 || (42..48).contains(&frame)
    }));
}

#[test]
fn a_camera_gap_shorter_than_the_memory_keeps_ids() {
    assert_steady(&crossing(1, 30.0, |frame| (50..80).contains(&frame)));
}

#[test]
fn a_gap_longer_than_the_memory_ends_everything_and_begins_anew() {
    let mut film = Film::new(30.0);
    for _ in 0..10 {
        film.show(&[seen(100.0, 100.0, 0.9)]);
    }
    film.frame += 30 * 3600;
    let step = film.show(&[seen(700.0, 400.0, 0.9)]);
    assert_eq!(step.ended.len(), 1);
    assert!(step.tracks.is_empty());
}

#[test]
fn class_flicker_keeps_the_id_and_the_stronger_class() {
    let mut film = Film::new(30.0);
    let mut ids = BTreeSet::new();
    for frame in 0..60 {
        let mut detection = seen(100.0 + 3.0 * frame as f32, 100.0, 0.9);
        if frame % 3 == 0 {
            detection.class = TRUCK;
            detection.confidence = 0.7;
        }
        for track in film.show(&[detection]).tracks {
            ids.insert(track.id);
            if frame > 5 {
                assert_eq!(track.class, CAR);
            }
        }
    }
    assert_eq!(ids.len(), 1);
}

#[test]
fn one_object_seen_as_two_classes_is_one_track() {
    let mut film = Film::new(30.0);
    let mut ids = BTreeSet::new();
    for frame in 0..30 {
        let as_car = seen(100.0 + 3.0 * frame as f32, 100.0, 0.9);
        let as_truck = Detection {
            class: TRUCK,
            confidence: 0.7,
            ..as_car.clone()
        };
        let detections = if frame == 0 {
            vec![as_car]
        } else {
            vec![as_car, as_truck]
        };
        ids.extend(film.show(&detections).tracks.iter().map(|track| track.id));
    }
    assert_eq!(ids.len(), 1);
}

#[test]
fn two_classes_that_take_turns_on_one_object_are_one_track() {
    let mut film = Film::new(30.0);
    let mut ids = BTreeSet::new();
    for frame in 0..60 {
        // 40 × 80 in 45 × 92: IoU 3200 / 4140 = 0.77.
        let as_car = seen(100.0 + 3.0 * frame as f32, 100.0, 0.8);
        let as_truck = Detection {
            bbox: BBox::from_cxcywh(as_car.bbox.cx(), 100.0, 45.0, 92.0).unwrap(),
            class: TRUCK,
            confidence: if frame % 2 == 0 { 0.9 } else { 0.7 },
            embedding: None,
        };
        let step = film.show(&[as_car, as_truck]);
        ids.extend(step.tracks.iter().map(|track| track.id));
    }
    assert_eq!(ids.len(), 1);
}

#[test]
fn low_scores_carry_a_track_but_start_none() {
    let mut film = Film::new(30.0);
    for frame in 0..60 {
        let confidence = if frame < 10 { 0.9 } else { 0.2 };
        let step = film.show(&[
            seen(100.0 + 4.0 * frame as f32, 100.0, confidence),
            seen(600.0, 400.0, 0.2),
        ]);
        if frame > 0 {
            assert_eq!(step.tracks.len(), 1);
            assert_eq!(step.tracks[0].id, TrackId(1));
            assert_eq!(step.tracks[0].state, TrackState::Confirmed);
        }
    }
}

#[test]
fn a_detector_that_scores_low_is_followed_too() {
    // Nothing reaches the default 0.65; the scale is learnt within half a second.
    let mut film = Film::new(30.0);
    let mut shown = 0;
    for frame in 0..60 {
        let confidence = if frame % 2 == 0 { 0.55 } else { 0.45 };
        let step = film.show(&[seen(100.0 + 4.0 * frame as f32, 100.0, confidence)]);
        assert!(step.tracks.iter().all(|track| track.id == TrackId(1)));
        shown += step.tracks.len();
    }
    assert!(shown >= 45, "shown in {shown} of 60 frames");
}

#[test]
fn thresholds_that_shall_stand_do() {
    let mut tracker = Tracker::new(TrackOptions {
        follow_scores: false,
        ..TrackOptions::default()
    });
    for frame in 0..60 {
        let step = tracker.step(&[seen(100.0, 100.0, 0.6)], at(f64::from(frame) / 30.0));
        assert!(step.tracks.is_empty());
    }
}

#[test]
fn weak_noise_starts_nothing_however_long() {
    let mut film = Film::new(30.0);
    for _ in 0..300 {
        assert!(film.show(&[seen(100.0, 100.0, 0.35)]).tracks.is_empty());
    }
}

#[test]
fn the_end_of_a_run_ends_all_and_the_numbers_go_on() {
    let mut film = Film::new(30.0);
    for _ in 0..3 {
        film.show(&[seen(100.0, 100.0, 0.9), seen(300.0, 100.0, 0.9)]);
    }
    let ended: Vec<_> = film.tracker.end_run();
    assert_eq!(
        ended
            .iter()
            .map(|track| (track.id.0, track.reason))
            .collect::<Vec<_>>(),
        [(1, EndReason::RunEnded), (2, EndReason::RunEnded)]
    );
    film.frame = 0;
    film.show(&[seen(100.0, 100.0, 0.9)]);
    let step = film.show(&[seen(100.0, 100.0, 0.9)]);
    assert_eq!(step.tracks[0].id, TrackId(3));
    assert_eq!(step.tracks.len(), 1);
}

#[test]
fn a_hidden_object_does_not_take_the_detection_of_a_visible_one() {
    // A walks in front of B, who stands; only A is seen while they overlap.
    let mut film = Film::new(30.0);
    let mut ids: BTreeMap<&str, BTreeSet<TrackId>> = BTreeMap::new();
    for frame in 0..100 {
        let walker = 100.0 + 4.0 * frame as f32;
        let hidden = (walker - 300.0).abs() < 30.0;
        let mut detections = vec![seen(walker, 110.0, 0.9)];
        if !hidden {
            detections.push(seen(300.0, 100.0, 0.9));
        }
        let step = film.show(&detections);
        if frame > 1 && !hidden && (walker - 300.0).abs() > 45.0 {
            ids.entry("walker")
                .or_default()
                .extend(id_at(&step, walker, 110.0));
            ids.entry("stander")
                .or_default()
                .extend(id_at(&step, 300.0, 100.0));
        }
    }
    assert_eq!(ids["walker"].len(), 1);
    assert_eq!(ids["stander"].len(), 1);
}

#[test]
fn a_shaking_camera_breaks_no_ids() {
    // Five walkers in a camera that jumps by up to 60 px, 1.5 times their width, in every frame.
    let mut film = Film::new(30.0);
    let mut random = fastrand::Rng::with_seed(17);
    let mut ids = BTreeSet::new();
    for frame in 0..120 {
        let mut jump = || 120.0 * (random.f32() - 0.5);
        let (dx, dy) = if frame < 20 {
            (0.0, 0.0)
        } else {
            (jump(), jump())
        };
        let detections: Vec<_> = (0..5u8)
            .map(|lane| {
                let lane = f32::from(lane);
                let walked = (lane - 2.0) * frame as f32;
                seen(
                    300.0 + 170.0 * lane + walked + dx,
                    200.0 + 90.0 * lane + dy,
                    0.9,
                )
            })
            .collect();
        let step = film.show(&detections);
        ids.extend(step.tracks.iter().map(|track| track.id));
        if frame > 0 {
            assert_eq!(step.tracks.len(), 5, "frame {frame}");
        }
    }
    assert_eq!(ids.len(), 5);
}

#[test]
fn objects_that_move_apart_are_no_moving_camera() {
    // Four stand, one runs: the four must stay where they are.
    let mut film = Film::new(30.0);
    for frame in 0..40 {
        let mut detections: Vec<_> = (0..4u8)
            .map(|place| seen(100.0 + 150.0 * f32::from(place), 100.0, 0.9))
            .collect();
        detections.push(seen(100.0 + 15.0 * frame as f32, 300.0, 0.9));
        let step = film.show(&detections);
        for track in step.tracks.iter().filter(|track| track.bbox.cy() < 200.0) {
            assert!((track.bbox.cx() - 100.0).rem_euclid(150.0) < 1.0 || frame < 2);
            assert!(track.velocity[0].abs() < 5.0);
        }
    }
}
