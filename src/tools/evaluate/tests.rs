//! Properties of the metrics; equality with the reference program is in `tests/evaluate.rs`.

use proptest::prelude::*;

use super::*;

/// `objects` walking to the right for `frames` frames, 30 px apart, each unseen now and then.
fn walkers(objects: u64, frames: u64) -> Vec<Track> {
    let mut tracks = Vec::new();
    for frame in 0..frames {
        for id in 0..objects {
            if (frame + 3 * id) % 11 == 10 {
                continue;
            }
            let (left, top) = ((frame * 2 + id * 30) as f64, (id % 3 * 40) as f64);
            let bbox = Rect {
                left,
                top,
                right: left + 20.0,
                bottom: top + 50.0,
            };
            tracks.push(Track { frame, id, bbox });
        }
    }
    tracks
}

fn truth_of(tracks: &[Track]) -> Truth {
    Truth {
        frames: tracks
            .iter()
            .map(|track| track.frame + 1)
            .max()
            .unwrap_or(0),
        boxes: tracks
            .iter()
            .map(|&Track { frame, id, bbox }| TruthBox {
                frame,
                id,
                bbox,
                role: Role::Counted,
            })
            .collect(),
        ..Truth::default()
    }
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn perfect_tracks_score_one_everywhere() {
    let tracks = walkers(5, 40);
    let scores = evaluate(&truth_of(&tracks), &tracks).unwrap();
    for (name, figure) in scores.hota.mean().named() {
        assert!(is_near(figure, 1.0), "{name} {figure}");
    }
    let clear = scores.clear;
    assert!(is_near(clear.mota(), 1.0) && is_near(clear.motp(), 1.0));
    assert_eq!((clear.fne, clear.fp, clear.idsw, clear.mt), (0, 0, 0, 5));
    assert!(is_near(scores.identity.idf1(), 1.0));
}

#[test]
fn nothing_against_nothing_has_scores_too() {
    let scores = evaluate(&Truth::default(), &[]).unwrap();
    assert!(scores.hota.mean().hota <= 0.0);
    assert!(scores.clear.mota() <= 0.0 && scores.identity.idf1() <= 0.0);
}

#[test]
fn tracks_where_nothing_is_are_wrong_and_nothing_more() {
    let tracks = walkers(2, 10);
    let scores = evaluate(&Truth::default(), &tracks).unwrap();
    assert_eq!(scores.hota.counts(0), [0, 0, tracks.len() as u64]);
    assert_eq!(scores.clear.fp, tracks.len() as u64);
    // TrackEval's convention for a sequence with nothing to find.
    assert!(is_near(scores.clear.mota(), 0.0));
    assert_eq!(scores.identity.idfp, tracks.len() as u64);
}

#[test]
fn swapped_ids_lower_the_association_and_leave_the_detection() {
    let truth = walkers(2, 40);
    let mut tracks = truth.clone();
    for track in &mut tracks {
        if track.frame >= 20 {
            track.id = 1 - track.id;
        }
    }
    let scores = evaluate(&truth_of(&truth), &tracks).unwrap();
    let mean = scores.hota.mean();
    assert!(is_near(mean.det_a, 1.0) && is_near(mean.loc_a, 1.0));
    assert!(mean.ass_a < 0.5);
    assert_eq!(scores.clear.idsw, 2);
    assert!(scores.identity.idf1() < 0.6);
}

#[test]
fn an_id_twice_in_a_frame_is_refused() {
    let mut tracks = walkers(2, 3);
    let truth = truth_of(&tracks);
    tracks[1].id = tracks[0].id;
    let error = evaluate(&truth, &tracks).unwrap_err();
    let (whose, frame, id) = (Whose::Tracks, 0, 0);
    assert_eq!(error, EvaluateError::TwiceInFrame { whose, frame, id });
}

#[test]
fn a_frame_with_more_boxes_than_can_be_paired_is_refused() {
    let mut tracks = Vec::new();
    for id in 0..12_000 {
        tracks.push(Track {
            id,
            ..walkers(1, 1)[0]
        });
    }
    let error = evaluate(&truth_of(&tracks), &tracks).unwrap_err();
    assert_eq!(
        error.to_string(),
        "frame 0 (counted from 0) has 12000 true boxes and 12000 tracks, allowed are 134217728 pairs"
    );
}

#[test]
fn a_track_on_an_ignored_box_counts_neither_way() {
    let tracks = walkers(2, 20);
    let mut truth = truth_of(&tracks);
    for bbox in truth.boxes.iter_mut().filter(|bbox| bbox.id == 1) {
        bbox.role = Role::Ignored;
    }
    let scores = evaluate(&truth, &tracks).unwrap();
    assert!(is_near(scores.hota.mean().hota, 1.0));
    assert_eq!((scores.count.truth_ids, scores.count.track_ids), (1, 1));
}

#[test]
fn unmatched_tracks_that_are_low_or_in_a_region_are_taken_out() {
    let tracks = walkers(1, 10);
    let nothing = Truth::default();
    let regions = (0..5).map(|frame| Region {
        frame,
        bbox: Rect {
            left: 0.0,
            top: 0.0,
            right: 500.0,
            bottom: 26.0,
        },
    });
    let inside = Truth {
        regions: regions.collect(),
        ..nothing.clone()
    };
    // 26 of 50 px lie inside in the first five frames.
    assert_eq!(evaluate(&inside, &tracks).unwrap().clear.fp, 5);
    let fp = |min_height_px| {
        let truth = Truth {
            min_height_px: Some(min_height_px),
            ..nothing.clone()
        };
        evaluate(&truth, &tracks).unwrap().clear.fp
    };
    assert_eq!((fp(49.0), fp(50.0)), (10, 0));
}

/// Tracks that follow `walkers` more or less: moved, missed, and with changing ids.
fn followers() -> impl Strategy<Value = Vec<Track>> {
    let truth = walkers(4, 12);
    let changes = prop::collection::vec(
        (-12.0f64..12.0, -20.0f64..20.0, 0u64..6, 0.0f64..1.0),
        truth.len(),
    );
    changes.prop_map(move |changes| {
        let mut tracks: Vec<Track> = Vec::new();
        for (walker, (dx, dy, id, kept)) in truth.iter().zip(changes) {
            let mut track = *walker;
            track.bbox.left += dx;
            track.bbox.right += dx;
            track.bbox.top += dy;
            track.bbox.bottom += dy;
            if kept > 0.6 {
                track.id = id;
            }
            let is_taken = |other: &&Track| (other.frame, other.id) == (track.frame, track.id);
            if kept > 0.1 && !tracks.iter().any(|other| is_taken(&other)) {
                tracks.push(track);
            }
        }
        tracks
    })
}

proptest! {
    #[test]
    fn every_share_is_a_share_and_counts_add_up(tracks in followers()) {
        let truth = truth_of(&walkers(4, 12));
        let scores = evaluate(&truth, &tracks).unwrap();
        let boxes = truth.boxes.len() as u64;
        for index in 0..ALPHAS {
            for (name, figure) in scores.hota.at(index).named() {
                prop_assert!((0.0..=1.0 + 1e-12).contains(&figure), "{} {}", name, figure);
            }
            let [tp, missed, wrong] = scores.hota.counts(index);
            prop_assert_eq!((tp + missed, tp + wrong), (boxes, tracks.len() as u64));
        }
        let Clear { tp, fne, fp, mt, pt, ml, .. } = scores.clear;
        prop_assert_eq!((tp + fne, tp + fp), (boxes, tracks.len() as u64));
        prop_assert_eq!(mt + pt + ml, scores.count.truth_ids);
        prop_assert!(scores.clear.mota() <= 1.0 && scores.clear.mota() <= scores.clear.moda());
        // An id kept for the whole sequence finds no more than one that may change in each frame.
        prop_assert!(scores.identity.idtp <= tp);
    }

    #[test]
    fn other_names_for_the_same_ids_change_nothing(tracks in followers(), shift in 1u64..1000) {
        let truth = truth_of(&walkers(4, 12));
        let mut renamed = tracks.clone();
        for track in &mut renamed {
            track.id = (track.id * 7919 + shift) % 100_003;
        }
        let (before, after) = (evaluate(&truth, &tracks).unwrap(), evaluate(&truth, &renamed).unwrap());
        prop_assert_eq!(before.clear, after.clear);
        prop_assert_eq!(before.identity, after.identity);
        prop_assert!(is_near(before.hota.mean().hota, after.hota.mean().hota));
    }

    #[test]
    fn a_sequence_with_itself_scores_as_alone(tracks in followers()) {
        let truth = truth_of(&walkers(4, 12));
        let one = evaluate(&truth, &tracks).unwrap();
        let two = Scores::combine([&one, &one].into_iter());
        prop_assert!(is_near(one.hota.mean().hota, two.hota.mean().hota));
        prop_assert!(is_near(one.hota.mean().loc_a, two.hota.mean().loc_a));
        prop_assert!(is_near(one.clear.mota(), two.clear.mota()));
        prop_assert!(is_near(one.identity.idf1(), two.identity.idf1()));
        prop_assert_eq!(two.count.frames, 2 * one.count.frames);
    }
}
