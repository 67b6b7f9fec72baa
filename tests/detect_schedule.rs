//! Frames that the detector does not look at: fewer looks, the same identities, nothing lost.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/shapes.rs"]
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use gantryd::base::{LookReason, TrackState};
use gantryd::perception::schedule::DetectSchedule;
use gantryd::{
    CameraId, CameraOptions, CameraPlan, ModelFiles, Pipeline, PipelineOptions, Published, Source,
};
use serde_json::Value;

const FRAMES: u64 = 150;
const FPS: u32 = 25;

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/shapes.onnx")
}

fn street(folder: &Path) -> PathBuf {
    let path = folder.join("street.mp4");
    shapes::write_video(&path, FRAMES, FPS, None);
    path
}

fn camera(id: &str, source: &str) -> CameraPlan {
    let mut options = CameraOptions::new(CameraId::new(id), Source::parse(source).unwrap());
    // A generated live picture that is over is not tried again.
    options.backoff = None;
    CameraPlan::new(options)
}

/// What a pipeline made of its cameras.
struct Run {
    /// Number of each frame and whether the detector looked at it, by camera and in order.
    frames: BTreeMap<CameraId, Vec<(u64, bool)>>,
    metrics: std::sync::Arc<gantryd::Metrics>,
}

fn run(cameras: Vec<CameraPlan>, schedule: DetectSchedule, workers: usize) -> Run {
    let mut options = PipelineOptions::new(cameras, ModelFiles::from_onnx(&model()));
    options.workers = NonZeroUsize::new(workers);
    options.batch = NonZeroUsize::new(2);
    options.schedule = schedule;
    let pipeline = Pipeline::start(options).unwrap();
    let mut frames: BTreeMap<CameraId, Vec<(u64, bool)>> = BTreeMap::new();
    for item in pipeline.results() {
        if let Published::Frame(result) = item {
            let of_camera = frames.entry(result.meta.camera.clone()).or_default();
            of_camera.push((result.meta.seq.0, result.is_detected));
            if !result.is_detected {
                assert_eq!(result.detections, 0);
                for track in &result.tracks {
                    let is_seen = track.last_seen == result.meta.pts;
                    assert!(
                        !is_seen && track.state != TrackState::Tentative,
                        "{track:?}"
                    );
                }
            }
        }
    }
    let metrics = std::sync::Arc::clone(pipeline.metrics());
    let late = pipeline
        .join_until(Instant::now() + Duration::from_secs(30))
        .unwrap();
    assert!(late.is_empty(), "{late:?}");
    Run { frames, metrics }
}

/// Every frame is accounted for: as looked at or carried, or as dropped.
fn assert_balanced(run: &Run, id: &CameraId) {
    let balance = run.metrics.balance(id);
    let looks = run.metrics.looks().of(id);
    assert_eq!(balance.received, balance.processed + balance.dropped);
    assert_eq!((balance.in_flight, balance.unaccounted), (0, 0));
    assert_eq!(balance.processed, looks.detected + looks.carried);
    let frames = run.frames.get(id).map_or(&[][..], Vec::as_slice);
    let detected = frames
        .iter()
        .filter(|(_, is_detected)| *is_detected)
        .count() as u64;
    assert_eq!(
        (frames.len() as u64, detected),
        (balance.processed, looks.detected)
    );
    let reasons: u64 = run.metrics.looks().reasons(id).iter().map(|it| it.1).sum();
    assert_eq!(reasons, looks.detected);
}

fn track(video: &Path, out: &Path, schedule: Option<&str>, workers: &str) -> String {
    let mut command = Command::cargo_bin("gantryd").unwrap();
    command
        .arg("track")
        .arg(video)
        .args(["--no-video", "--workers", workers, "--model"])
        .arg(model())
        .arg("--out")
        .arg(out);
    if let Some(schedule) = schedule {
        command.args(["--detect-every", schedule]);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    std::fs::read_to_string(out.join("street.jsonl")).unwrap()
}

fn looked_at(results: &str) -> usize {
    let lines = results
        .lines()
        .filter(|line| line.contains("\"type\":\"frame\""));
    lines
        .filter(|line| !line.contains("\"detected\":false"))
        .count()
}

#[test]
fn without_the_option_every_frame_is_looked_at_and_nothing_is_said_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let video = street(folder.path());
    let plain = track(&video, &folder.path().join("a"), None, "2");
    let named = track(&video, &folder.path().join("b"), Some("1"), "1");
    assert_eq!(plain, named);
    assert!(!plain.contains("\"detected\":"));
    assert_eq!(looked_at(&plain), FRAMES as usize);
}

#[test]
fn the_same_film_gives_the_same_bytes_however_many_workers_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let video = street(folder.path());
    for schedule in ["adaptive", "4"] {
        let once = track(&video, &folder.path().join("a"), Some(schedule), "1");
        let again = track(&video, &folder.path().join("b"), Some(schedule), "3");
        assert!(once == again, "{schedule}: results differ");
        let looks = looked_at(&once);
        assert!(looks < FRAMES as usize / 2, "{schedule}: {looks} looks");
    }
}

#[test]
fn objects_keep_their_ids_over_frames_that_nobody_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let video = street(folder.path());
    let movers = shapes::movers();
    for schedule in ["adaptive", "4"] {
        let results = track(&video, &folder.path().join(schedule), Some(schedule), "1");
        let mut ids: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
        let (mut all, mut found) = (0, 0);
        let frames = results
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let frames = frames.filter(|line: &Value| line["type"] == "frame");
        for (number, frame) in frames.enumerate() {
            if frame["detected"] != false {
                continue;
            }
            for object in shapes::truth(&movers, number as f32 / FPS as f32) {
                all += 1;
                let class = shapes::CLASSES[object.class];
                let same = frame["tracks"].as_array().unwrap().iter().find(|track| {
                    track["class"] == class
                        && track["state"] == "confirmed"
                        && iou(&object.ltrb, &box_of(track)) > 0.5
                });
                if let Some(track) = same {
                    found += 1;
                    let id = track["id"].as_u64().unwrap();
                    *ids.entry(object.id).or_default().entry(id).or_default() += 1;
                }
            }
        }
        // What is missing: objects are confirmed by looks, and there are fewer at the beginning.
        assert!(found * 3 >= all * 2, "{schedule}: {found} of {all} found");
        let mut owners = BTreeSet::new();
        for (object, ids) in &ids {
            let sum: u64 = ids.values().sum();
            let (id, most) = ids.iter().max_by_key(|(_, count)| **count).unwrap();
            assert!(
                most * 10 >= sum * 9,
                "{schedule}: object {object} was {ids:?}"
            );
            assert!(owners.insert(*id), "{schedule}: {id} was two objects");
        }
    }
}

fn box_of(track: &Value) -> [f32; 4] {
    let edges = track["box_px"].as_array().unwrap();
    [0, 1, 2, 3].map(|edge| edges[edge].as_f64().unwrap() as f32)
}

fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |r: &[f32; 4]| (r[2] - r[0]) * (r[3] - r[1]);
    width * height / (area(a) + area(b) - width * height)
}

#[test]
fn a_still_scene_costs_a_look_per_second() {
    let cameras = vec![camera("still", "test:black?size=640x360&fps=30&frames=120")];
    let run = run(cameras, DetectSchedule::Adaptive, 1);
    let id = CameraId::new("still");
    assert_balanced(&run, &id);
    let looked: Vec<u64> = run.frames[&id]
        .iter()
        .filter(|it| it.1)
        .map(|it| it.0)
        .collect();
    // 4 s: the first frame, then at 1, 2 and 3 s.
    assert_eq!(looked, [0, 30, 60, 90]);
    let reasons = [
        (LookReason::First.as_str(), 1),
        (LookReason::Heartbeat.as_str(), 3),
    ];
    assert_eq!(run.metrics.looks().reasons(&id), reasons);
}

#[test]
fn an_interval_counts_the_frames_of_each_camera_and_keeps_their_order() {
    let cameras = vec![
        camera("a", "test:ball?size=320x180&fps=30&frames=100"),
        camera("b", "test:ball?size=640x360&fps=30&frames=70"),
    ];
    let of = NonZeroU32::new(5).unwrap();
    let run = run(cameras, DetectSchedule::Interval(of), 3);
    for (id, count) in [("a", 100u64), ("b", 70)] {
        let id = CameraId::new(id);
        assert_balanced(&run, &id);
        let expected: Vec<(u64, bool)> = (0..count).map(|seq| (seq, seq % 5 == 0)).collect();
        assert_eq!(run.frames[&id], expected);
    }
}

#[test]
fn a_live_camera_too_fast_for_the_detector_stays_balanced() {
    for schedule in [
        DetectSchedule::Adaptive,
        DetectSchedule::Interval(NonZeroU32::new(2).unwrap()),
    ] {
        let cameras = vec![
            camera("fast", "test:ball?size=640x360&fps=600&frames=900&live=1"),
            camera("slow", "test:ball?size=320x180&fps=10&frames=20&live=1"),
        ];
        let run = run(cameras, schedule, 1);
        for id in ["fast", "slow"] {
            let id = CameraId::new(id);
            assert_balanced(&run, &id);
            let numbers = run.frames[&id].windows(2);
            assert!(
                numbers.into_iter().all(|pair| pair[0].0 < pair[1].0),
                "in order"
            );
        }
    }
}
