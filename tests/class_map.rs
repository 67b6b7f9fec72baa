//! A model's classes become those of its manifest, of the configuration, and the usual ones: in results,
//! in filters, and in what `check` and `inspect` say.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed unwrap is a failed test, and a skipped one has to say so"
)]

#[path = "support/shapes.rs"]
#[expect(dead_code, reason = "the video is used, what it shows is not")]
mod shapes;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use gantryd::app::check::deeper_faults;
use gantryd::app::config::Config;
use gantryd::app::models::{by_file, inspect};
use gantryd::app::resolve;
use gantryd::perception::detect::{DetectError, DetectOptions, Detector};
use serde_json::Value;

/// Copies the model for drawn shapes into `folder`; it calls its classes as another data set would.
fn model(folder: &Path, class_map: &str) -> PathBuf {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/shapes.onnx");
    let onnx = folder.join("shapes.onnx");
    std::fs::copy(fixture, &onnx).unwrap();
    let manifest = format!(
        "file = \"shapes.onnx\"\nclasses = [\"pedestrian\", \"car\", \"lorry\"]\n{class_map}"
    );
    std::fs::write(folder.join("manifest.toml"), manifest).unwrap();
    onnx
}

const ONE_VEHICLE: &str = "[class_map]\ncar = \"vehicle\"\nlorry = \"vehicle\"\n";

fn has_runtime(onnx: &Path) -> bool {
    let opened = Detector::open(&by_file(onnx), &DetectOptions::default());
    let is_there = !matches!(opened, Err(DetectError::Runtime(_)));
    if !is_there {
        eprintln!("SKIPPED: no ONNX Runtime here");
    }
    is_there
}

fn track(onnx: &Path, folder: &Path, classes: &[&str]) -> Output {
    let video = folder.join("street.mp4");
    if !video.exists() {
        shapes::write_video(&video, 60, 25, None);
    }
    Command::cargo_bin("gantryd")
        .unwrap()
        .args(["track", "--no-video", "--model"])
        .arg(onnx)
        .arg("--out")
        .arg(folder.join("out"))
        .args(classes)
        .arg(video)
        .output()
        .unwrap()
}

/// Class and number of every track in the results.
fn seen(folder: &Path) -> BTreeSet<(String, u64)> {
    let text = std::fs::read_to_string(folder.join("out/street.jsonl")).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let frames = lines.filter(|line| line["type"] == "frame");
    let mut seen = BTreeSet::new();
    for frame in frames {
        for track in frame["tracks"].as_array().unwrap() {
            let class = track["class"].as_str().unwrap().to_owned();
            seen.insert((class, track["class_id"].as_u64().unwrap()));
        }
    }
    seen
}

#[test]
fn results_and_filters_carry_the_mapped_names() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = model(folder.path(), ONE_VEHICLE);
    if !has_runtime(&onnx) {
        return;
    }
    let (person, vehicle) = (("person".to_owned(), 0), ("vehicle".to_owned(), 1));
    let output = track(&onnx, folder.path(), &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        seen(folder.path()),
        BTreeSet::from([person, vehicle.clone()])
    );

    let output = track(&onnx, folder.path(), &["--classes", "vehicle"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(seen(folder.path()), BTreeSet::from([vehicle]));

    let output = track(&onnx, folder.path(), &["--classes", "zeppelin"]);
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("no class \"zeppelin\"; known: person, vehicle"),
        "{told}"
    );
}

#[test]
fn a_dropped_class_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = model(folder.path(), "[class_map]\npedestrian = \"\"\n");
    if !has_runtime(&onnx) {
        return;
    }
    let output = track(&onnx, folder.path(), &[]);
    assert!(output.status.success(), "{output:?}");
    let expected = [("car".to_owned(), 0), ("truck".to_owned(), 1)];
    assert_eq!(seen(folder.path()), BTreeSet::from(expected));
}

#[test]
fn the_configuration_comes_before_the_manifest_and_its_mistakes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = model(folder.path(), ONE_VEHICLE);
    if !has_runtime(&onnx) {
        return;
    }
    let config = |detect: &str| {
        let text = format!(
            "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\nannotate = false\n\
             [detect]\nmodel = {onnx:?}\n{detect}"
        );
        Config::from_text(&text, &folder.path().join("site.toml")).unwrap()
    };
    let good = config("class_map = { car = \"car\" }\nclasses = [\"vehicle\", \"car\"]");
    let none: [String; 0] = [];
    let faults = |config: &Config| -> Vec<String> {
        deeper_faults(config)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(faults(&good), none);
    let options = resolve::detect_from_config(&good);
    let detector = Detector::open(&by_file(&onnx), &options).unwrap();
    assert_eq!(detector.class_names(), ["person", "car", "vehicle"]);

    let told = faults(&config("class_map = { lory = \"truck\" }"));
    assert_eq!(told.len(), 1, "{told:?}");
    for part in [
        "detect.class_map: ",
        "no class \"lory\", did you mean \"lorry\"?",
    ] {
        assert!(told[0].contains(part), "{part} in {told:?}");
    }
}

#[test]
fn inspect_prints_the_map() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = model(folder.path(), ONE_VEHICLE);
    let told = inspect(by_file(&onnx), None, &DetectOptions::default())
        .unwrap()
        .to_string();
    assert!(
        told.contains("class map   pedestrian → person, car → vehicle, lorry → vehicle"),
        "{told}"
    );
}
