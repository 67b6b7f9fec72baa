//! `gantryd track` from end to end: a real video, a real network, real files.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test tells by failing, and why it is skipped"
)]

#[path = "support/shapes.rs"]
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;

/// Frames of the test video, at 25 per second.
const FRAMES: u64 = 200;
const FPS: u32 = 25;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn video(folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder.join("in")).unwrap();
    let path = folder.join("in/street.mp4");
    shapes::write_video(&path, FRAMES, FPS, None);
    path
}

fn track(arguments: &[&str], input: &Path, out: &Path) -> Output {
    Command::cargo_bin("gantryd")
        .unwrap()
        .arg("track")
        .arg(input)
        .args([
            "--model",
            fixture("models/shapes.onnx").to_str().unwrap(),
            "--out",
        ])
        .arg(out)
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
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

fn ffprobe_frames(path: &Path) -> Option<u64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v:0"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(path)
        .output();
    match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout)
            .trim()
            .trim_end_matches(',')
            .parse()
            .ok(),
        Err(_) => {
            eprintln!("SKIPPED: ffprobe is not installed, the video is not counted");
            None
        }
    }
}

#[test]
fn every_object_keeps_one_identity_behind_the_pole_and_across_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let output = track(&[], &video(folder.path()), folder.path());
    assert!(output.status.success(), "{}", stderr(&output));

    let movers = shapes::movers();
    // How often each identity lay on each object. Where two objects cross, both may count.
    let mut seen_as: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
    let results = lines(&folder.path().join("street.jsonl"));
    let frames: Vec<&Value> = results
        .iter()
        .filter(|line| line["type"] == "frame")
        .collect();
    assert_eq!(frames.len() as u64, FRAMES);
    for (number, frame) in frames.iter().enumerate() {
        assert_eq!(frame["seq"], number);
        let confirmed = |track: &&Value| track["state"] == "confirmed";
        let tracks: Vec<&Value> = frame["tracks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(confirmed)
            .collect();
        for object in shapes::truth(&movers, number as f32 / FPS as f32) {
            let class = shapes::CLASSES[object.class];
            let is_it = |track: &&&Value| {
                track["class"] == class && iou(&object.ltrb, &box_of(track)) > 0.6
            };
            for track in tracks.iter().filter(is_it) {
                let id = track["id"].as_u64().unwrap();
                *seen_as.entry(object.id).or_default().entry(id).or_default() += 1;
            }
        }
    }
    let objects: BTreeSet<u64> = seen_as.keys().copied().collect();
    assert_eq!(objects, movers.iter().map(|mover| mover.id).collect());
    let mut owners = BTreeSet::new();
    for (object, ids) in &seen_as {
        let all: u64 = ids.values().sum();
        let (id, most) = ids.iter().max_by_key(|(_, count)| **count).unwrap();
        assert!(
            most * 10 >= all * 9,
            "object {object} had identities {ids:?}"
        );
        owners.insert(*id);
    }
    let ids: BTreeSet<u64> = seen_as
        .values()
        .flat_map(|ids| ids.keys().copied())
        .collect();
    assert_eq!(ids, owners, "one identity per object: {seen_as:?}");
    assert_eq!(
        owners.len(),
        movers.len(),
        "one identity per object: {seen_as:?}"
    );
    if let Some(frames) = ffprobe_frames(&folder.path().join("street.mp4")) {
        assert_eq!(frames, FRAMES);
    }
    let summary = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "200 of 200 processed, 0 dropped",
        "identities",
        "street.jsonl",
        "street.mot.txt",
    ] {
        assert!(summary.contains(part), "missing {part:?} in\n{summary}");
    }
}

#[test]
fn results_are_the_same_bytes_whatever_the_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let input = video(folder.path());
    let runs = ["1", "2", "5"].map(|workers| {
        let out = folder.path().join(workers);
        let output = track(&["--workers", workers, "--no-video"], &input, &out);
        assert!(output.status.success(), "{}", stderr(&output));
        ["street.jsonl", "street.mot.txt"].map(|name| std::fs::read(out.join(name)).unwrap())
    });
    assert!(runs[0][0].len() > 10_000);
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
}

#[test]
fn only_the_classes_and_frames_asked_for_are_processed() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--classes",
        "truck,person",
        "--max-frames",
        "50",
        "--no-video",
    ];
    let output = track(&arguments, &video(folder.path()), folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let results = lines(&folder.path().join("street.jsonl"));
    let frames: Vec<&Value> = results
        .iter()
        .filter(|line| line["type"] == "frame")
        .collect();
    assert_eq!(frames.len(), 50);
    let classes: BTreeSet<&str> = frames
        .iter()
        .flat_map(|frame| frame["tracks"].as_array().unwrap())
        .map(|track| track["class"].as_str().unwrap())
        .collect();
    assert_eq!(classes, ["person", "truck"].into());
    assert!(!folder.path().join("out/street.mp4").exists());
}

#[test]
fn an_input_is_never_overwritten_by_its_own_output() {
    let folder = tempfile::tempdir().unwrap();
    let input = video(folder.path());
    let before = std::fs::read(&input).unwrap();
    let output = track(&[], &input, input.parent().unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("is an input and would be overwritten; name another --out"),
        "{}",
        stderr(&output)
    );
    assert_eq!(std::fs::read(&input).unwrap(), before);
}

#[test]
fn inputs_of_one_name_do_not_overwrite_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let good = video(folder.path());
    let names = ["a/x.mp4", "b/x.mp4", "c/x-2.mp4"].map(|name| folder.path().join(name));
    for name in &names {
        std::fs::create_dir_all(name.parent().unwrap()).unwrap();
        std::fs::copy(&good, name).unwrap();
    }
    let out = folder.path().join("out");
    let output = Command::cargo_bin("gantryd")
        .unwrap()
        .arg("track")
        .args(&names)
        .args(["--no-video", "--max-frames", "3", "--model"])
        .arg(fixture("models/shapes.onnx"))
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    for name in ["x.jsonl", "x-2.jsonl", "x-2-2.jsonl"] {
        assert_eq!(lines(&out.join(name)).len(), 4, "{name}");
    }
}

#[test]
fn nothing_is_left_in_the_home_folder_and_nobody_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let output = Command::cargo_bin("gantryd")
        .unwrap()
        .args([
            "track",
            &fixture("street.mp4").to_string_lossy(),
            "--no-video",
            "--max-frames",
            "5",
        ])
        .args([
            "--model",
            &fixture("models/shapes.onnx").to_string_lossy(),
            "--out",
        ])
        .arg(folder.path().join("out"))
        .env("HOME", &home)
        .env_remove("XDG_CACHE_HOME")
        .env_remove("ORT_DISABLE_TELEMETRY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    // ONNX Runtime's telemetry keeps a device id and a queue of events below the home folder.
    let left: Vec<String> = files_below(&home)
        .into_iter()
        .filter(|file| !file.contains("gstreamer"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path.display().to_string());
        }
    }
    files
}

#[test]
fn a_live_input_that_never_works_is_told_and_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let uri = format!("rtsp://viewer:S3cr3tPw@127.0.0.1:{nobody}/live");
    let output = track(&[], Path::new(&uri), &folder.path().join("out"));
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("127.0.0.1") && !told.contains("S3cr3tPw"),
        "{told}"
    );

    let output = track(
        &[],
        Path::new("rtsp:/viewer:S3cr3tPw@10.0.0.5/live"),
        folder.path(),
    );
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("looks like a URI") && !told.contains("S3cr3tPw"),
        "{told}"
    );
}

#[test]
fn a_file_that_ends_early_is_processed_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.mkv");
    let remux = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-i",
            &fixture("street.mp4").to_string_lossy(),
            "-c",
            "copy",
        ])
        .arg(&whole)
        .status();
    if !remux.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: ffmpeg is not installed, no file is cut off");
        return;
    }
    let bytes = std::fs::read(&whole).unwrap();
    let cut = folder.path().join("cut.mkv");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    for (input, is_cut) in [(whole, false), (cut, true)] {
        let output = track(&["--no-video"], &input, &folder.path().join("out"));
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(
            stderr(&output).contains("pictures end long before"),
            is_cut,
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn an_unknown_class_is_refused_with_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = track(
        &["--classes", "trucks"],
        &video(folder.path()),
        &folder.path().join("out"),
    );
    assert_eq!(output.status.code(), Some(78));
    let told = stderr(&output);
    assert!(
        told.contains("no class \"trucks\", did you mean \"truck\"?"),
        "{told}"
    );
}

#[test]
fn an_input_that_is_no_video_is_told_and_leaves_earlier_results_alone() {
    let folder = tempfile::tempdir().unwrap();
    let good = video(folder.path());
    let whole = std::fs::read(&good).unwrap();
    let files: [(&str, &[u8]); 3] = [
        ("text.mp4", b"this is not a video, whatever its name says\n"),
        ("empty.mp4", b""),
        ("headless.mp4", &whole[whole.len() / 3..whole.len() / 2]),
    ];
    for (name, bytes) in files {
        let input = folder.path().join(name);
        std::fs::write(&input, bytes).unwrap();
        let results = input.with_extension("jsonl");
        std::fs::write(&results, "earlier\n").unwrap();
        let output = track(&[], &input, folder.path());
        assert_eq!(output.status.code(), Some(1), "{name}: {}", stderr(&output));
        let told = stderr(&output);
        assert!(told.contains(name), "{told}");
        assert!(!told.contains("panicked"), "{told}");
        assert_eq!(std::fs::read_to_string(&results).unwrap(), "earlier\n");
    }
    let output = track(&[], &folder.path().join("absent.mp4"), folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("absent.mp4"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn one_bad_input_does_not_keep_the_others_from_being_processed() {
    let folder = tempfile::tempdir().unwrap();
    let good = video(folder.path());
    let bad = folder.path().join("bad.mp4");
    std::fs::write(&bad, "no video").unwrap();
    let output = Command::cargo_bin("gantryd")
        .unwrap()
        .arg("track")
        .args([&bad, &good])
        .args(["--no-video", "--max-frames", "10", "--model"])
        .arg(fixture("models/shapes.onnx"))
        .arg("--out")
        .arg(folder.path().join("out"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("bad.mp4"), "{}", stderr(&output));
    assert_eq!(lines(&folder.path().join("out/street.jsonl")).len(), 11);
}

#[test]
fn a_model_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let input = video(folder.path());
    let shapes = std::fs::read(fixture("models/shapes.onnx")).unwrap();
    let files: [(&str, &[u8]); 3] = [
        ("text.onnx", b"not a model\n"),
        ("empty.onnx", b""),
        ("half.onnx", &shapes[..shapes.len() / 2]),
    ];
    for (name, bytes) in files {
        let model = folder.path().join(name);
        std::fs::write(&model, bytes).unwrap();
        let output = Command::cargo_bin("gantryd")
            .unwrap()
            .args([
                "track",
                input.to_str().unwrap(),
                "--model",
                model.to_str().unwrap(),
            ])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(78), "{name}: {told}");
        assert!(told.contains(name.trim_end_matches(".onnx")), "{told}");
    }
}

#[test]
fn an_output_folder_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = track(&[], &video(folder.path()), Path::new("/dev/null/out"));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("creating the output folder /dev/null/out"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_missing_runtime_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let input = video(folder.path());
    let output = Command::cargo_bin("gantryd")
        .unwrap()
        .args([
            "track",
            input.to_str().unwrap(),
            "--model",
            fixture("models/shapes.onnx").to_str().unwrap(),
        ])
        .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = stderr(&output);
    assert!(!output.status.success());
    assert!(
        told.contains("/nowhere/libonnxruntime.so") && told.contains("scripts/setup"),
        "{told}"
    );
}

/// Lines left and right of the pole, and a zone that takes in the whole street.
const STREET: &str = r#"
    [[lines]]
    name = "west"
    line_norm = [[0.25, 0.98], [0.25, 0.02]]
    [[lines]]
    name = "east"
    line_norm = [[0.75, 0.98], [0.75, 0.02]]
    classes = ["car", "truck"]
    direction = "in"
    [[zones]]
    name = "street"
    polygon_norm = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    [calibration]
    image_norm = [[0.05, 0.05], [0.95, 0.05], [0.95, 0.95], [0.05, 0.95]]
    ground_m = [[0, 0], [57.6, 0], [57.6, 32.4], [0, 32.4]]
"#;

/// When a mover crosses the column `x` (shares of the width) to the right (1) or left (-1), s; the
/// bottom centre of its box goes over it.
fn crosses(mover: &shapes::Mover, x: f32) -> Option<(f32, i8)> {
    let centre = |secs: f32| {
        let [left, _, right, _] = shapes::truth(std::slice::from_ref(mover), secs)[0].ltrb;
        (left + right) / 2.0 - x * shapes::SIZE.0 as f32
    };
    let last = FRAMES as f32 / FPS as f32;
    let (first, end) = (centre(0.0), centre(last));
    (first * end < 0.0).then(|| (last * first / (first - end), if end > 0.0 { 1 } else { -1 }))
}

#[test]
fn crossings_are_counted_as_by_hand_and_every_event_obeys_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let zones = folder.path().join("street.toml");
    std::fs::write(&zones, STREET).unwrap();
    let input = video(folder.path());
    let output = track(&["--zones", zones.to_str().unwrap()], &input, folder.path());
    assert!(output.status.success(), "{}", stderr(&output));

    let schema = include_str!("../config/event.schema.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let events = lines(&folder.path().join("street.events.jsonl"));
    for (index, event) in events.iter().enumerate() {
        assert!(validator.is_valid(event), "{event}");
        assert_eq!(event["number"], index + 1, "numbered without a gap");
        // Every event says where its frame is in the annotated video: its PTS counts from the first.
        assert_eq!(event["recording"]["file"], "street.mp4", "{event}");
        assert_eq!(event["recording"]["pts_ns"], event["pts_ns"], "{event}");
    }

    for (name, x, classes) in [("west", 0.25, 0..3), ("east", 0.75, 1..3)] {
        let mut expected: Vec<(i64, &str)> = Vec::new();
        for mover in shapes::movers() {
            if let Some((secs, side)) =
                crosses(&mover, x).filter(|_| classes.contains(&mover.class))
            {
                // Seen upwards, the right-hand side is in.
                expected.push(((secs * 1e9) as i64, if side > 0 { "in" } else { "out" }));
            }
        }
        expected.sort_unstable();
        let of_line = |event: &&Value| event["type"] == "line_crossing" && event["line"] == name;
        let counted: Vec<(i64, &str)> = events
            .iter()
            .filter(of_line)
            .map(|event| {
                (
                    event["pts_ns"].as_i64().unwrap(),
                    event["direction"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            counted.len(),
            expected.len(),
            "{name}: {counted:?}, {expected:?}"
        );
        for ((at, direction), (truth, side)) in counted.iter().zip(&expected) {
            assert_eq!(direction, side, "{name}");
            let late = (at - truth) as f64 / 1e9;
            assert!((0.0..1.0).contains(&late), "{name}: {late} s late");
        }
    }
    let speed = events
        .iter()
        .filter(|event| event["type"] == "line_crossing" && event["object"]["class"] == "car")
        .map(|event| &event["object"]["speed"])
        .next()
        .unwrap();
    // A car does 110 px/s; 576 px of the width are 57.6 m: 11 m/s = 39.6 km/h.
    let (value, uncertainty) = (
        speed["value"].as_f64().unwrap(),
        speed["uncertainty"].as_f64().unwrap(),
    );
    assert!(
        (value - 39.6).abs() < uncertainty && uncertainty < 8.0,
        "{speed}"
    );
    let summary = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "line west",
        "line east",
        "zone street",
        "street.events.jsonl",
    ] {
        assert!(summary.contains(part), "missing {part:?} in\n{summary}");
    }
}

#[test]
fn events_are_the_same_bytes_whatever_the_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let zones = folder.path().join("street.toml");
    std::fs::write(&zones, STREET).unwrap();
    let input = video(folder.path());
    let runs = ["1", "3"].map(|workers| {
        let out = folder.path().join(workers);
        let arguments = ["--workers", workers, "--zones", zones.to_str().unwrap()];
        let output = track(&arguments, &input, &out);
        assert!(output.status.success(), "{}", stderr(&output));
        std::fs::read(out.join("street.events.jsonl")).unwrap()
    });
    assert!(runs[0].len() > 1000);
    assert_eq!(runs[0], runs[1]);
}

#[test]
fn bad_zones_are_refused_with_every_fault() {
    let folder = tempfile::tempdir().unwrap();
    let zones = folder.path().join("bad.toml");
    let text = "[[lines]]\nname = \"a\"\nline_norm = [[0.5, 0.5], [0.5, 0.5]]\n\
                [[zones]]\nname = \"a\"\npolygon_norm = [[0.1, 0.1], [0.9, 0.1]]\n";
    std::fs::write(&zones, text).unwrap();
    let input = video(folder.path());
    let output = track(&["--zones", zones.to_str().unwrap()], &input, folder.path());
    assert_eq!(output.status.code(), Some(78));
    let told = stderr(&output);
    for part in [
        "zones[0].polygon_norm: 2 points, a polygon needs at least 3",
        "lines[0].name: \"a\" is the name of zones[0] too",
        "lines[0].line_norm: both points are the same",
    ] {
        assert!(told.contains(part), "missing {part:?} in\n{told}");
    }
    assert!(!folder.path().join("street.mp4").exists());
}
