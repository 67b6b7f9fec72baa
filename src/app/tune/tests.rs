//! Cross-validation on made-up crowds: what it may see, and what it comes to.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::labelled::{SeenFrame, steady};
use super::*;
use crate::base::{BBox, ClassId, Detection};
use crate::tools::evaluate::{Rect, Role, Truth, TruthBox};

const FPS: f64 = 10.0;
const FRAMES: u64 = 60;

/// Six walkers who are missed now and then, with scores around `score`, and false alarms far below.
fn walkers(seed: u64, score: f32) -> Sequence {
    let mut rng = fastrand::Rng::with_seed(seed);
    let starts: Vec<(f32, f32, f32)> = (0..6)
        .map(|_| {
            let speed = 2.0 + 4.0 * rng.f32();
            (300.0 * rng.f32(), 200.0 * rng.f32(), speed)
        })
        .collect();
    let mut boxes = Vec::new();
    let mut seen = Vec::new();
    for frame in 0..FRAMES {
        let mut detections = Vec::new();
        let mut see = |left: f32, top: f32, confidence: f32| {
            detections.push(Detection {
                bbox: BBox::from_ltrb(left, top, left + 20.0, top + 50.0).unwrap(),
                class: ClassId(0),
                confidence,
                embedding: None,
            });
        };
        for (id, (left, top, speed)) in starts.iter().enumerate() {
            let left = left + speed * frame as f32;
            let (l, t) = (f64::from(left), f64::from(*top));
            boxes.push(TruthBox {
                frame,
                id: id as u64,
                bbox: Rect {
                    left: l,
                    top: t,
                    right: l + 20.0,
                    bottom: t + 50.0,
                },
                role: Role::Counted,
            });
            if rng.f32() < 0.85 {
                see(left + rng.f32(), *top + rng.f32(), score + 0.1 * rng.f32());
            }
        }
        see(400.0 * rng.f32(), 300.0, 0.1 + 0.05 * rng.f32());
        seen.push((frame, detections));
    }
    Sequence {
        name: format!("walkers-{seed}"),
        fps: FPS,
        size: None,
        seen: steady(seen.into_iter(), FPS),
        truth: Truth {
            frames: FRAMES,
            boxes,
            ..Truth::default()
        },
    }
}

fn crowd(count: u64, score: f32) -> Vec<Sequence> {
    (0..count).map(|seed| walkers(seed, score)).collect()
}

fn plan() -> Plan {
    Plan {
        objective: Objective::Hota,
        trials: NonZeroUsize::new(20).unwrap(),
        folds: 3,
        seed: 1,
        threads: NonZeroUsize::MIN,
    }
}

struct Silent;

impl Watch for Silent {
    fn progress(&mut self, _done: u64, _total: u64) {}
}

fn validated(sequences: &[Sequence], plan: &Plan) -> Outcome {
    let space = Space::new(TrackConfig::default());
    cross_validate(sequences, &space, plan, &|| false, &mut Silent).unwrap()
}

#[test]
fn a_seed_gives_the_same_outcome_on_any_number_of_threads() {
    let sequences = crowd(4, 0.3);
    let one = validated(&sequences, &plan());
    let threads = NonZeroUsize::new(5).unwrap();
    assert_eq!(one, validated(&sequences, &Plan { threads, ..plan() }));
    let other = validated(&sequences, &Plan { seed: 2, ..plan() });
    assert_ne!(one, other, "another seed, another search");
}

#[test]
fn what_a_fold_holds_out_changes_nothing_of_what_it_chooses() {
    let mut sequences = crowd(3, 0.3);
    let before = validated(&sequences, &plan());
    // Other labels and other detections: everybody is somebody else, and stands elsewhere.
    let held_out = before.folds[1].held_out.clone();
    for at in &held_out {
        for bbox in &mut sequences[*at].truth.boxes {
            bbox.id = bbox.id * 100 + bbox.frame / 5;
            bbox.bbox.right += 9.0;
        }
        let seen: &mut Vec<SeenFrame> = &mut sequences[*at].seen;
        seen.iter_mut()
            .step_by(2)
            .for_each(|frame| frame.detections.clear());
    }
    let after = validated(&sequences, &plan());
    assert_eq!(before.folds[1].chosen, after.folds[1].chosen);
    assert_ne!(before.folds[1].tuned, after.folds[1].tuned);
    assert_ne!(before.folds[1].in_use, after.folds[1].in_use);
    // The others were told of it; what they hold out is as it was.
    assert_eq!(before.folds[0].in_use, after.folds[0].in_use);
    assert_eq!(before.folds[2].in_use, after.folds[2].in_use);
}

#[test]
fn every_sequence_is_held_out_once() {
    let outcome = validated(&crowd(5, 0.8), &Plan { folds: 2, ..plan() });
    let mut held_out: Vec<usize> = Vec::new();
    for fold in &outcome.folds {
        held_out.extend(&fold.held_out);
    }
    held_out.sort_unstable();
    assert_eq!(held_out, [0, 1, 2, 3, 4]);
    assert_eq!(outcome.folds.len(), 2);
}

#[test]
fn a_detector_of_low_scores_is_gained_from() {
    // Below 0.39, the lowest threshold the tracker comes down to by itself, nobody is ever tracked.
    let outcome = validated(&crowd(4, 0.25), &plan());
    let gains = outcome.folds.iter().map(|fold| fold.gain(Objective::Hota));
    let gain = Gain::of(&gains.collect::<Vec<_>>()).unwrap();
    let verdict = Verdict::on(gain, outcome.chosen != Setting::default());
    assert!(verdict.is_take() && gain.mean > 50.0, "{verdict:?} {gain}");
    let (_, new) = outcome.chosen.scores.unwrap();
    assert!(new <= 34, "{new}");
}

#[test]
fn a_stopped_search_gives_the_best_so_far() {
    let sequences = crowd(3, 0.3);
    let space = Space::new(TrackConfig::default());
    let asked = AtomicUsize::new(0);
    // Each job asks once before it is begun; the first round has three.
    let stop_after = |jobs: usize| {
        asked.store(0, Ordering::Relaxed);
        let is_stopped = || asked.fetch_add(1, Ordering::Relaxed) >= jobs;
        cross_validate(&sequences, &space, &plan(), &is_stopped, &mut Silent)
    };
    let outcome = stop_after(30).unwrap();
    assert!(outcome.was_stopped);
    assert!((1..20).contains(&outcome.trials), "{}", outcome.trials);
    assert_eq!(outcome.folds.len(), 3);
    let error = stop_after(1).unwrap_err();
    assert!(matches!(error, TuneError::StoppedAtOnce), "{error}");
}
