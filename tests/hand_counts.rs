//! What a person counted in real films, written down before gantryd saw them (docs/zones.md). Needs the
//! films and a detector that lie beside the project; skipped where they are not.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test tells by failing, and why it is skipped"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;

fn beside(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(file);
    if !path.exists() {
        eprintln!("SKIPPED: ../shared/{file} is not there");
    }
    path.exists().then_some(path)
}

/// Events of a film, watched with `zones`.
fn events(film: &Path, model: &str, zones: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zones.toml");
    std::fs::write(&file, zones).unwrap();
    let done = Command::cargo_bin("gantryd")
        .unwrap()
        .arg("track")
        .arg(film)
        .args(["--model", model, "--no-video", "--zones"])
        .arg(file)
        .arg("--out")
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let stem = film.file_stem().unwrap().to_str().unwrap();
    let text = std::fs::read_to_string(folder.path().join(format!("{stem}.events.jsonl"))).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn count(events: &[Value], key: &str, value: &str) -> usize {
    events.iter().filter(|event| event[key] == value).count()
}

#[test]
fn four_cars_from_above_two_each_way() {
    let Some(film) = beside("videos/car-detection.mp4") else {
        return;
    };
    let line = "[[lines]]\nname = \"middle\"\nline_norm = [[0.0, 0.5], [1.0, 0.5]]\n";
    let events = events(&film, "resident-n", line);
    assert_eq!(count(&events, "direction", "in"), 2, "{events:?}");
    assert_eq!(count(&events, "direction", "out"), 2, "{events:?}");
}

#[test]
fn six_persons_come_to_a_table_and_leave() {
    let Some(film) = beside("videos/one-by-one-person-detection.mp4") else {
        return;
    };
    let zone = "[[zones]]\nname = \"table\"\n\
                polygon_norm = [[0.4, 0.6], [0.75, 0.6], [0.75, 1.0], [0.4, 1.0]]\n";
    let events = events(&film, "resident-n", zone);
    assert_eq!(count(&events, "type", "zone_entry"), 6, "{events:?}");
    assert_eq!(count(&events, "type", "zone_exit"), 6, "{events:?}");
}

#[test]
fn sixteen_cars_on_two_lanes() {
    let (Some(film), Some(model)) = (
        beside("videos/traffic.mp4"),
        beside("models/yolo11n_int8_droneeye.onnx"),
    ) else {
        return;
    };
    let line = "[[lines]]\nname = \"near-lanes\"\nline_norm = [[0.65, 0.38], [0.65, 0.98]]\n";
    let events = events(&film, model.to_str().unwrap(), line);
    assert_eq!(count(&events, "direction", "out"), 16, "{events:?}");
    assert_eq!(count(&events, "direction", "in"), 0, "{events:?}");
}
