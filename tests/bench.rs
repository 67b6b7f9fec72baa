//! `gantryd bench --plan`: a film served as cameras, more and more of them through the whole path.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![cfg(feature = "rtsp-server")]

#[expect(dead_code, reason = "the truth is for other tests")]
#[path = "support/shapes.rs"]
mod shapes;

use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/shapes.onnx")
}

fn bench(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::cargo_bin("gantryd")
        .unwrap()
        .arg("bench")
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_plan_tries_cameras_until_they_no_longer_hold_and_tells_where_the_time_goes() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("street.mp4");
    shapes::write_video(&film, 50, 10, None);
    let (json, svg) = (
        folder.path().join("plan.json"),
        folder.path().join("plan.svg"),
    );
    let model = model();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (code, stdout, stderr) = bench(&[
        &path(&film),
        "--plan",
        "--video",
        "--max-cameras",
        "2",
        "--seconds",
        "3",
        "--model",
        &path(&model),
        "--json",
        &path(&json),
        "--svg",
        &path(&svg),
    ]);
    assert_eq!(code, Some(0), "{stderr}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let plan = &report["plans"][0];
    let trials = plan["trials"].as_array().unwrap();
    assert!((1..=2).contains(&trials.len()), "{stdout}");

    // Whatever the machine can do, the words and the numbers agree.
    let (limit, missing) = (&plan["limits"]["age_ms"], &plan["limits"]["missing"]);
    for (number, trial) in (1..).zip(trials) {
        assert_eq!(trial["cameras"], number);
        let is_kept = trial["age_ms"]["p95"].as_f64() <= limit.as_f64()
            && trial["missing"].as_f64() <= missing.as_f64();
        let broken = trial["broken"].as_str().unwrap();
        assert!(
            is_kept == broken.is_empty() || broken.contains("not every camera"),
            "{trial}"
        );
        assert!(trial["fps"].as_f64().unwrap() > 1.0, "{trial}");
        let ages = ["p50", "p95", "p99"].map(|part| trial["age_ms"][part].as_f64().unwrap());
        assert!(ages[0] > 0.0 && ages.is_sorted(), "{trial}");
        for work in [
            "decode",
            "detect: preprocess",
            "detect: network",
            "detect: heads",
            "encode",
        ] {
            assert!(
                trial["cpu_ms"][work].as_f64().unwrap() > 0.0,
                "{work} in {trial}"
            );
        }
    }
    let held = trials.iter().filter(|it| it["broken"] == "").count();
    assert_eq!(plan["carries"], held);
    assert!(
        stdout.contains(&format!("This machine carries {held} of these cameras")),
        "{stdout}"
    );
    assert!(stdout.contains("What binds: "), "{stdout}");
    // Ten pictures a second of the film's own size, as the film has them.
    assert_eq!(plan["cameras"], "640x360 H.264 at 10 fps");
    let drawing = std::fs::read_to_string(&svg).unwrap();
    assert!(drawing.contains("p95 age") && drawing.trim_end().ends_with("</svg>"));
}

#[test]
fn what_cannot_be_planned_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("nothing.mp4");
    std::fs::write(&nothing, "no video").unwrap();
    let of = |arguments: &[&str]| {
        let (code, _, stderr) = bench(arguments);
        (code, stderr)
    };

    let (code, stderr) = of(&[nothing.to_str().unwrap(), "--plan"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("nothing.mp4: "), "{stderr}");

    let (code, stderr) = of(&["rtsp://user:word@127.0.0.1:1/cam", "--plan"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("--fps") && !stderr.contains("word"),
        "{stderr}"
    );

    let missing = folder.path().join("away/plan.json");
    let (code, stderr) = of(&["--plan", "--json", missing.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("folder does not exist"), "{stderr}");

    for alone in [
        ["--json", "plan.json"],
        ["--max-age", "9"],
        ["--codec", "both"],
    ] {
        assert_eq!(of(&alone).0, Some(2), "{alone:?} without --plan");
    }
    assert_eq!(of(&["--plan", "--streams", "2"]).0, Some(2));
}
