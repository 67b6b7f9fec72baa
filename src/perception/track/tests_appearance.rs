//! What a person watching would expect of the tracker where objects can be told apart by their looks.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::base::{BBox, ClassId, Embedding, TrackId};

const LEN: usize = 32;

/// A look of object `who`: its own direction, and `noise` of a random one.
fn look(who: u64, noise: f32, random: &mut fastrand::Rng) -> Embedding {
    let direction = |random: &mut fastrand::Rng| -> Vec<f32> {
        let values: Vec<f32> = (0..LEN).map(|_| random.f32() - 0.5).collect();
        Embedding::new(&values).unwrap().values().to_vec()
    };
    let own = direction(&mut fastrand::Rng::with_seed(1000 + who));
    let other = direction(random);
    let mixed: Vec<f32> = own.iter().zip(other).map(|(a, b)| a + noise * b).collect();
    Embedding::new(&mixed).unwrap()
}

/// Objects of 40 × 80 px, each with a look of its own.
struct Scene {
    tracker: Tracker,
    random: fastrand::Rng,
    frame: u32,
    /// What each object's looks are like; `None` shows none.
    noise: Option<f32>,
}

const FPS: f64 = 20.0;

impl Scene {
    fn new(noise: Option<f32>) -> Self {
        Self::with(noise, TrackOptions::default())
    }

    fn with(noise: Option<f32>, options: TrackOptions) -> Self {
        Self {
            tracker: Tracker::new(options),
            random: fastrand::Rng::with_seed(9),
            frame: 0,
            noise,
        }
    }

    fn show(&mut self, objects: &[(u64, f32, f32)]) -> Step {
        let detections: Vec<_> = objects
            .iter()
            .map(|&(who, cx, cy)| Detection {
                bbox: BBox::from_cxcywh(cx, cy, 40.0, 80.0).unwrap(),
                class: ClassId(0),
                confidence: 0.9,
                embedding: self.noise.map(|noise| look(who, noise, &mut self.random)),
            })
            .collect();
        let secs = f64::from(self.frame) / FPS;
        self.frame += 1;
        self.tracker.step(&detections, Pts((secs * 1e9) as u64))
    }

    /// Four objects stand apart for `secs`, so that looks are known.
    fn begin(&mut self, secs: f64) -> Step {
        let mut step = Step::default();
        for _ in 0..(secs * FPS) as u32 {
            step = self.show(&STANDING);
        }
        step
    }
}

const STANDING: [(u64, f32, f32); 4] = [
    (1, 100.0, 100.0),
    (2, 300.0, 100.0),
    (3, 100.0, 500.0),
    (4, 900.0, 500.0),
];

fn id_at(step: &Step, cx: f32, cy: f32) -> Option<TrackId> {
    let near = |track: &&crate::base::TrackSnapshot| {
        (track.bbox.cx() - cx).hypot(track.bbox.cy() - cy) < 25.0
    };
    step.tracks.iter().find(near).map(|track| track.id)
}

/// Two walk towards each other, meet, and each goes back where it came from, which their motion does not
/// tell. Ids of both before and after.
fn bounce(noise: Option<f32>) -> [[Option<TrackId>; 2]; 2] {
    let mut scene = Scene::new(noise);
    let step = scene.begin(8.0);
    let before = [id_at(&step, 100.0, 100.0), id_at(&step, 300.0, 100.0)];
    let mut last = Step::default();
    for frame in 1..=50u16 {
        // 4 px per frame for 25 frames, then back: at the middle both are at 200.
        let way = 4.0 * f32::from(if frame <= 25 { frame } else { 50 - frame });
        let mut objects = STANDING;
        objects[0].1 = 100.0 + way;
        objects[1].1 = 300.0 - way;
        last = scene.show(&objects);
    }
    let after = [id_at(&last, 100.0, 100.0), id_at(&last, 300.0, 100.0)];
    [before, after]
}

#[test]
fn two_that_meet_and_turn_back_keep_their_ids_by_their_looks() {
    let [before, after] = bounce(None);
    assert_ne!(before, after, "their places alone should mislead");
    let [before, after] = bounce(Some(0.5));
    assert_eq!(before, after);
}

#[test]
fn ids_that_went_over_to_the_wrong_objects_are_given_back() {
    // Nobody is looked at while two meet and turn back, so that their places mislead.
    let mut scene = Scene::new(Some(0.5));
    let step = scene.begin(8.0);
    let places = [(100.0, 100.0), (300.0, 100.0)];
    let ids = |step: &Step| places.map(|(cx, cy)| id_at(step, cx, cy));
    let before = ids(&step);
    scene.noise = None;
    let mut last = Step::default();
    for frame in 1..=50u16 {
        let way = 4.0 * f32::from(if frame <= 25 { frame } else { 50 - frame });
        let mut objects = STANDING;
        objects[0].1 = 100.0 + way;
        objects[1].1 = 300.0 - way;
        last = scene.show(&objects);
    }
    assert_eq!(ids(&last), [before[1], before[0]]);
    scene.noise = Some(0.5);
    let last = scene.begin(2.0);
    assert_eq!(ids(&last), before);
    assert_eq!(last.tracks.len(), 4);
    assert_eq!(scene.tracker.last_id, 4, "nobody needed a new id");
}

#[test]
fn an_object_that_changes_its_look_keeps_its_id() {
    let mut scene = Scene::new(Some(0.5));
    let before = id_at(&scene.begin(8.0), 300.0, 100.0);
    let mut objects = STANDING;
    objects[1].0 = 55;
    let mut last = Step::default();
    for _ in 0..200 {
        last = scene.show(&objects);
    }
    assert_eq!(id_at(&last, 300.0, 100.0), before);
    assert_eq!(scene.tracker.last_id, 4);
}

/// Object 2 is hidden for `secs` and comes back 150 px further down. Its id before and after, and whether
/// it was said to have ended.
fn hidden(
    noise: Option<f32>,
    secs: f64,
    options: TrackOptions,
) -> (Option<TrackId>, Option<TrackId>, bool) {
    let mut scene = Scene::with(noise, options);
    let step = scene.begin(8.0);
    let before = id_at(&step, 300.0, 100.0);
    let mut ended = Vec::new();
    let mut objects = STANDING.to_vec();
    objects.remove(1);
    for _ in 0..(secs * FPS) as u32 {
        ended.extend(scene.show(&objects).ended);
    }
    objects.push((2, 300.0, 250.0));
    let mut last = Step::default();
    for _ in 0..5 {
        last = scene.show(&objects);
        ended.extend(last.ended.iter().copied());
    }
    let has_ended = ended.iter().any(|track| Some(track.id) == before);
    (before, id_at(&last, 300.0, 250.0), has_ended)
}

#[test]
fn a_long_hidden_object_that_comes_back_elsewhere_keeps_its_id_by_its_look() {
    for secs in [1.0, 8.0] {
        let (before, after, _) = hidden(None, secs, TrackOptions::default());
        assert!(after.is_some());
        assert_ne!(before, after, "{secs}: its place alone should not tell");
        let (before, after, has_ended) = hidden(Some(0.5), secs, TrackOptions::default());
        assert_eq!(before, after, "{secs}");
        assert!(!has_ended, "{secs}: ended and yet alive");
    }
}

#[test]
fn beyond_the_memory_of_looks_an_object_ends_and_a_return_is_a_new_one() {
    let options = TrackOptions {
        lost_with_appearance: Duration::from_secs(5),
        ..TrackOptions::default()
    };
    let (before, after, has_ended) = hidden(Some(0.5), 8.0, options);
    assert_ne!(before, after);
    assert!(has_ended);
    // None at all: as without looks.
    let options = TrackOptions {
        lost_with_appearance: Duration::ZERO,
        ..TrackOptions::default()
    };
    let (before, after, has_ended) = hidden(Some(0.5), 8.0, options);
    assert!(before != after && has_ended);
}

#[test]
fn a_stranger_where_somebody_was_lost_gets_an_id_of_its_own() {
    let mut scene = Scene::new(Some(0.5));
    let before = id_at(&scene.begin(8.0), 300.0, 100.0);
    let mut objects = STANDING.to_vec();
    objects.remove(1);
    for _ in 0..60 {
        scene.show(&objects);
    }
    objects.push((77, 300.0, 100.0));
    let mut last = Step::default();
    for _ in 0..5 {
        last = scene.show(&objects);
    }
    let after = id_at(&last, 300.0, 100.0);
    assert!(after.is_some() && after != before);
}

/// Twelve walkers whose lanes cross, some hidden at times.
fn crowd(noise: Option<f32>, seed: u64) -> Vec<Step> {
    let mut scene = Scene::new(noise);
    let mut random = fastrand::Rng::with_seed(seed);
    let walkers: Vec<_> = (0..12)
        .map(|_| {
            let mut any = |span: f32| span * random.f32();
            (any(900.0), any(400.0), any(8.0) - 4.0, any(2.0) - 1.0)
        })
        .collect();
    let steps = (0..600).map(|frame| {
        let objects: Vec<_> = (0u64..)
            .zip(&walkers)
            .filter(|_| random.u8(0..20) > 0)
            .map(|(who, &(x, y, vx, vy))| {
                let time = frame as f32;
                let (x, y) = (
                    (x + vx * time).rem_euclid(900.0),
                    (y + vy * time).rem_euclid(400.0),
                );
                (who, x + 50.0, y + 50.0)
            })
            .collect();
        scene.show(&objects)
    });
    steps.collect()
}

#[test]
fn looks_that_say_nothing_change_nothing() {
    // Noise a thousand times the object's own direction: every look is a random one.
    assert_eq!(crowd(Some(1000.0), 3), crowd(None, 3));
}

#[test]
fn looks_that_tell_need_fewer_ids() {
    let ids = |steps: Vec<Step>| -> usize {
        let all = steps.iter().flat_map(|step| &step.tracks);
        all.map(|track| track.id).collect::<BTreeSet<_>>().len()
    };
    let (with, without) = (ids(crowd(Some(0.5), 3)), ids(crowd(None, 3)));
    assert!(with < without, "{with} with looks, {without} without");
}

#[test]
fn looks_break_no_promise_about_ids_and_order() {
    let steps = crowd(Some(0.8), 5);
    assert_eq!(
        steps,
        crowd(Some(0.8), 5),
        "the same input, the same answer"
    );
    let mut ended: BTreeSet<TrackId> = BTreeSet::new();
    for step in &steps {
        assert!(step.tracks.is_sorted_by_key(|track| track.id));
        assert!(step.tracks.iter().all(|track| !ended.contains(&track.id)));
        let mut shown = BTreeSet::new();
        assert!(step.tracks.iter().all(|track| shown.insert(track.id)));
        for track in &step.ended {
            assert!(ended.insert(track.id), "{:?} ended twice", track.id);
        }
    }
}

#[test]
fn remembered_looks_are_bounded_and_the_oldest_ends_first() {
    let options = TrackOptions {
        max_dormant: 10,
        lost_with_appearance: Duration::from_secs(3600),
        ..TrackOptions::default()
    };
    let mut scene = Scene::with(Some(0.3), options);
    scene.begin(8.0);
    let mut ended = Vec::new();
    // Somebody new walks past every second.
    for who in 100..200u64 {
        for frame in 0..20u16 {
            let mut objects = STANDING.to_vec();
            objects.push((who, 500.0 + 5.0 * f32::from(frame), 300.0));
            ended.extend(scene.show(&objects).ended);
            assert!(scene.tracker.appearance.dormant.len() <= 10);
        }
    }
    assert!(ended.len() > 50, "{}", ended.len());
    assert!(ended.is_sorted_by_key(|track| track.id));
    let all: Vec<_> = scene.tracker.end_run();
    assert!(
        all.len() >= 14,
        "dormant ones end with the run: {}",
        all.len()
    );
}

#[test]
fn vectors_of_two_lengths_do_no_harm() {
    let mut tracker = Tracker::new(TrackOptions::default());
    for frame in 0..100u64 {
        let values = vec![1.0; if frame % 2 == 0 { 8 } else { 16 }];
        let detection = Detection {
            bbox: BBox::from_cxcywh(100.0, 100.0, 40.0, 80.0).unwrap(),
            class: ClassId(0),
            confidence: 0.9,
            embedding: Embedding::new(&values),
        };
        let step = tracker.step(&[detection], Pts(frame * 50_000_000));
        assert!(step.tracks.iter().all(|track| track.id == TrackId(1)));
    }
}
