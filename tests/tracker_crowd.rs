//! The tracker in simulated crowds: shaking cameras, any frame rate, dropped frames, hidden objects.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its scene cannot be set"
)]

#[path = "support/crowd.rs"]
mod crowd;

use crowd::{Scenario, SceneFrame, follow, follow_seen, score};
use gantryd::tools::evaluate::{Scores, Track};

/// HOTA over all the shaken crowds.
fn shaken(told: bool) -> f64 {
    let crowds = crowd::shaken();
    let scored: Vec<Scores> = crowds
        .iter()
        .map(|(_, frames)| score(frames, &follow(frames, told)))
        .collect();
    Scores::combine(scored.iter()).hota.mean().hota
}

#[test]
fn a_shaken_crowd_is_followed_with_the_motion_told_and_nearly_as_well_without() {
    let (told, alone) = (shaken(true), shaken(false));
    assert!(told > 0.75, "told: {told}");
    assert!(alone > told - 0.04, "alone: {alone}, told: {told}");
}

/// Thirty people before a still camera at 60 fps.
fn still() -> Vec<SceneFrame> {
    crowd::frames(&Scenario {
        objects: 30,
        secs: 20.0,
        fps: 60.0,
        shake_px: 0.0,
        dropped: 0.0,
        seed: 8,
    })
}

/// HOTA of the frames chosen, followed alone, and of the same frames out of all. What is seen counts: who
/// is missed is presumed to be there for a time, which is more frames at a higher rate.
fn alone_and_of_all(frames: &[SceneFrame], is_chosen: impl Fn(usize) -> bool) -> [f64; 2] {
    let numbers: Vec<usize> = (0..frames.len())
        .filter(|&number| is_chosen(number))
        .collect();
    let chosen: Vec<SceneFrame> = numbers
        .iter()
        .map(|&number| frames[number].clone())
        .collect();
    let place = |track: &Track| numbers.binary_search(&(track.frame as usize)).ok();
    let of_all: Vec<Track> = follow_seen(frames)
        .into_iter()
        .filter_map(|track| {
            let frame = place(&track)? as u64;
            Some(Track { frame, ..track })
        })
        .collect();
    [follow_seen(&chosen), of_all].map(|tracks| score(&chosen, &tracks).hota.mean().hota)
}

#[test]
fn the_frame_rate_changes_little() {
    let frames = still();
    // 30, 15, 10 and 5 fps. What may be lost is what happens between frames: at 5 fps people move up
    // to two thirds of their width from one to the next.
    for (every, most_lost) in [(2, 0.03), (4, 0.04), (6, 0.06), (12, 0.09)] {
        let [alone, of_all] = alone_and_of_all(&frames, |number| number % every == 0);
        eprintln!("every {every}: {:+.1}", 100.0 * (alone - of_all));
        assert!(
            alone > of_all - most_lost,
            "every {every}: {alone}, of all: {of_all}"
        );
    }
}

#[test]
fn frames_dropped_at_random_change_little() {
    let frames = still();
    let mut random = fastrand::Rng::with_seed(9);
    let kept: Vec<bool> = frames.iter().map(|_| random.f32() > 0.4).collect();
    let [alone, of_all] = alone_and_of_all(&frames, |number| kept[number]);
    assert!(alone > of_all - 0.04, "{alone}, of all: {of_all}");
}
