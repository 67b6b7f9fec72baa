//! HOTA and IDF1 of gantryd's default on folders of sequences, each in several variants, so that a
//! change of the tracker is judged by more than one film's luck:
//!   cargo run --release --manifest-path tests/benches/trackers/Cargo.toml --bin variants -- \
//!       [--jittered 6] MOT17/val:mot17 MOT17/val:mot17:told KITTI/car:kitti:car crowds
//!
//! The variants are: as filmed, backwards, every second frame, and jittered ones (boxes by 1 % of their
//! size, scores by 0.015, 1 % of the detections left out). A sequence is a folder with det.txt, gt.txt,
//! seqinfo.ini and, for `told`, gmc.txt; `crowds` are the simulated ones of the tracker's tests.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs, thread};

use fastrand::Rng;
use gantryd::app::mot::read_detections;
use gantryd::app::seqinfo::SeqInfo;
use gantryd::base::{BBox, Detection, Pts};
use gantryd::perception::track::{CameraWarp, Step, TrackOptions, Tracker};
use gantryd::tools::evaluate::{Benchmark, Class, Rect, Scores, Track, Truth, evaluate};

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../../../support/crowd.rs"]
mod crowd;

/// Jittered variants where none is said.
const JITTERED: u64 = 2;

/// One sequence in memory; frames are counted from 0.
struct Sequence {
    frames: Vec<Frame>,
    truth: Truth,
}

#[derive(Clone)]
struct Frame {
    number: u64,
    secs: f64,
    detections: Vec<Detection>,
    /// Of the picture since the frame before, where it is told: `a b tx c d ty`.
    warp: Option<[f64; 6]>,
}

fn main() {
    let mut jittered = JITTERED;
    let mut sets = Vec::new();
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--jittered" {
            jittered = args.next().expect("a number").parse().expect("a number");
        } else {
            sets.push(arg);
        }
    }
    println!(
        "{:48} {:>15} {:>19}",
        "HOTA / IDF1", "as filmed", "mean of variants"
    );
    for set in sets {
        let (name, told) = match set.strip_suffix(":told") {
            Some(name) => (name, true),
            None => (set.as_str(), false),
        };
        let sequences = if name == "crowds" {
            crowds(told)
        } else {
            read(name, told)
        };
        let figures = figures(&sequences, jittered);
        let mean =
            |part: usize| figures.iter().map(|it| it[part]).sum::<f64>() / figures.len() as f64;
        let [hota, idf1] = figures[0];
        println!(
            "{set:48} {hota:7.2} /{idf1:6.2} {:11.2} /{:6.2}",
            mean(0),
            mean(1)
        );
    }
}

/// HOTA and IDF1 of each variant, percent.
fn figures(sequences: &[Sequence], jittered: u64) -> Vec<[f64; 2]> {
    let variant = |number: u64| match number {
        0 => sequences
            .iter()
            .map(|it| score(it, it.frames.clone()))
            .collect(),
        1 => sequences
            .iter()
            .map(|it| score(it, backwards(&it.frames)))
            .collect(),
        2 => sequences
            .iter()
            .map(|it| score(it, halved(&it.frames)))
            .collect(),
        seed => (0..)
            .zip(sequences)
            .map(|(place, it): (u64, _)| score(it, shaken(&it.frames, 1000 * seed + place)))
            .collect::<Vec<Scores>>(),
    };
    let figure = |scores: Vec<Scores>| {
        let all = Scores::combine(scores.iter());
        [all.hota.mean().hota, all.identity.idf1()].map(|share| 100.0 * share)
    };
    thread::scope(|scope| {
        let variants = (0..3 + jittered).map(|number| scope.spawn(move || figure(variant(number))));
        let running: Vec<_> = variants.collect();
        running
            .into_iter()
            .map(|it| it.join().expect("no panic"))
            .collect()
    })
}

/// Follows these frames of a sequence and scores what is said of them.
fn score(sequence: &Sequence, frames: Vec<Frame>) -> Scores {
    let mut tracker = Tracker::new(TrackOptions::default());
    let (mut step, mut tracks) = (Step::default(), Vec::new());
    let mut truth = sequence.truth.clone();
    if frames.len() < sequence.frames.len() {
        let first = sequence.frames[0].number;
        truth.boxes.retain(|it| it.frame % 2 == first % 2);
    }
    for frame in frames {
        if let Some(warp) = frame.warp.and_then(CameraWarp::new) {
            tracker.move_camera(warp);
        }
        tracker.step_into(&frame.detections, Pts((frame.secs * 1e9) as u64), &mut step);
        let seen = step.tracks.iter().filter(|it| it.is_present(None));
        tracks.extend(seen.map(|it| Track {
            frame: frame.number,
            id: it.id.0,
            bbox: rect(&it.bbox),
        }));
    }
    evaluate(&truth, &tracks).expect("tracks that can be scored")
}

fn rect(bbox: &BBox) -> Rect {
    let [left, top, right, bottom] =
        [bbox.left(), bbox.top(), bbox.right(), bbox.bottom()].map(f64::from);
    Rect {
        left,
        top,
        right,
        bottom,
    }
}

/// The last frame first; the picture moves back.
fn backwards(frames: &[Frame]) -> Vec<Frame> {
    let end = frames.last().map_or(0.0, |it| it.secs);
    let mut back: Vec<Frame> = frames.iter().rev().cloned().collect();
    for (place, frame) in back.iter_mut().enumerate() {
        frame.secs = end - frame.secs;
        let to_the_next = frames.get(frames.len() - place).and_then(|it| it.warp);
        frame.warp = to_the_next.map(inverse).or(frame.warp.map(|_| STILL));
    }
    back
}

fn halved(frames: &[Frame]) -> Vec<Frame> {
    let kept = (0..frames.len()).step_by(2).map(|place| {
        let before = place.checked_sub(1).and_then(|it| frames[it].warp);
        let mut frame = frames[place].clone();
        frame.warp = frame
            .warp
            .map(|warp| before.map_or(warp, |before| then(before, warp)));
        frame
    });
    kept.collect()
}

fn shaken(frames: &[Frame], seed: u64) -> Vec<Frame> {
    let mut rng = Rng::with_seed(seed);
    let mut frames = frames.to_vec();
    for detection in frames.iter_mut().map(|it| &mut it.detections) {
        detection.retain_mut(|it| {
            let (width, height) = (it.bbox.width(), it.bbox.height());
            let mut off = |size: f32| 0.01 * size * crowd::normal(&mut rng) as f32;
            let ltrb = [
                it.bbox.left() + off(width),
                it.bbox.top() + off(height),
                it.bbox.right() + off(width),
                it.bbox.bottom() + off(height),
            ];
            let [left, top, right, bottom] = ltrb;
            it.bbox = BBox::from_ltrb(left, top, right, bottom).unwrap_or(it.bbox);
            let score = it.confidence + 0.015 * crowd::normal(&mut rng) as f32;
            it.confidence = score.clamp(0.01, 1.0);
            rng.f32() >= 0.01
        });
    }
    frames
}

const STILL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

fn inverse([a, b, tx, c, d, ty]: [f64; 6]) -> [f64; 6] {
    let det = a * d - b * c;
    let [ia, ib, ic, id] = [d / det, -b / det, -c / det, a / det];
    [ia, ib, -(ia * tx + ib * ty), ic, id, -(ic * tx + id * ty)]
}

fn then(first: [f64; 6], second: [f64; 6]) -> [f64; 6] {
    let [a, b, tx, c, d, ty] = first;
    let [e, f, ux, g, h, uy] = second;
    [
        e * a + f * c,
        e * b + f * d,
        e * tx + f * ty + ux,
        g * a + h * c,
        g * b + h * d,
        g * tx + h * ty + uy,
    ]
}

/// `FOLDER:FORMAT[:CLASS]`.
fn read(name: &str, told: bool) -> Vec<Sequence> {
    let mut parts = name.split(':');
    let folder = parts.next().unwrap_or_default();
    let format = match parts.next() {
        Some("mot15") => Benchmark::Mot15,
        Some("mot20") => Benchmark::Mot20,
        Some("dancetrack") => Benchmark::DanceTrack,
        Some("kitti") => Benchmark::Kitti,
        _ => Benchmark::Mot17,
    };
    let class = parts.next();
    let classes = format.classes().iter();
    let class = classes
        .copied()
        .find(|it| class.is_none_or(|class| it.to_string() == class));
    let class = class.expect("a class of the format");
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut folders: Vec<_> = entries.flatten().map(|it| it.path()).collect();
    folders.retain(|it| it.join("det.txt").exists());
    folders.sort();
    folders
        .iter()
        .map(|it| sequence(it, format, class, told))
        .collect()
}

fn sequence(folder: &Path, format: Benchmark, class: Class, told: bool) -> Sequence {
    let path = folder.join("det.txt");
    let info = SeqInfo::beside(&path);
    let fps = info.fps().expect("a frame rate").unwrap_or(30.0);
    let text = fs::read_to_string(folder.join("gt.txt")).expect("gt.txt");
    let rows = format.read_truth(&text, None).expect("a truth");
    let length = info.frames().expect("a length").unwrap_or(rows.frames());
    let mut found: BTreeMap<u64, Vec<Detection>> = read_detections(&path)
        .expect("detections")
        .frames
        .into_iter()
        .map(|it| (it.number - 1, it.detections))
        .collect();
    let warps = if told {
        warps(&folder.join("gmc.txt"))
    } else {
        BTreeMap::new()
    };
    let first = found.keys().next().copied().unwrap_or(0);
    let frame = |number: u64| Frame {
        number,
        secs: number as f64 / fps,
        detections: found.remove(&number).unwrap_or_default(),
        warp: told.then(|| warps.get(&number).copied().unwrap_or(STILL)),
    };
    Sequence {
        frames: (first..length).map(frame).collect(),
        truth: rows.of_class(class, length),
    }
}

fn warps(path: &Path) -> BTreeMap<u64, [f64; 6]> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let row = |line: &str| {
        let numbers: Vec<f64> = line.split_whitespace().flat_map(str::parse).collect();
        Some((numbers[0] as u64 - 1, numbers[1..].try_into().ok()?))
    };
    text.lines().filter_map(row).collect()
}

fn crowds(told: bool) -> Vec<Sequence> {
    let sequence = |(_, frames): (crowd::Scenario, Vec<crowd::SceneFrame>)| Sequence {
        truth: crowd::truth(&frames),
        frames: (0..)
            .zip(&frames)
            .map(|(number, frame)| Frame {
                number,
                secs: frame.secs,
                detections: frame.detections(),
                warp: told.then_some([1.0, 0.0, frame.shift[0], 0.0, 1.0, frame.shift[1]]),
            })
            .collect(),
    };
    crowd::shaken().into_iter().map(sequence).collect()
}
