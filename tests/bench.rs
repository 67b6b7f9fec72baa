//! `gantryd bench --plan`: a film served as cameras, more and more of them through the whole path.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![cfg(feature = "rtsp-server")]

#[expect(dead_code, reason = "the truth is for other tests")]
#[path = "support/shapes.rs"]
mod shapes;

use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// A camera of a process of its own, which is given back with it.
fn camera(film: &Path) -> (KillOnDrop, String) {
    let program = assert_cmd::cargo::cargo_bin("gantryd");
    let mut child = std::process::Command::new("sh")
        .args(["-c", "ulimit -Sn 64 && exec \"$0\" \"$@\""])
        .arg(program)
        .args(["simulate", "--until-eof", "--play"])
        .arg(film)
        .args(["--rtsp", "127.0.0.1:0/cam"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.map(Result::unwrap).find(|it| it.starts_with("rtsp"));
    (KillOnDrop(child), address.unwrap())
}

struct KillOnDrop(std::process::Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Hands one connection at a time on to `port`, and hangs up on all others; gives its own port.
#[expect(
    clippy::disallowed_methods,
    reason = "the threads end with the connections"
)]
fn one_at_a_time(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let busy = Arc::new(AtomicBool::new(false));
    std::thread::spawn(move || {
        for client in listener.incoming().map(Result::unwrap) {
            if busy.swap(true, Ordering::SeqCst) {
                continue;
            }
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                drop(std::io::copy(&mut from, &mut to));
                drop(to.shutdown(Shutdown::Both));
            });
            let busy = Arc::clone(&busy);
            std::thread::spawn(move || {
                let (mut from, mut to) = (server, client);
                drop(std::io::copy(&mut from, &mut to));
                drop(to.shutdown(Shutdown::Both));
                busy.store(false, Ordering::SeqCst);
            });
        }
    });
    own
}

#[test]
fn a_camera_that_does_not_come_breaks_its_trial_and_not_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let (film, json) = (
        folder.path().join("street.mp4"),
        folder.path().join("plan.json"),
    );
    shapes::write_video(&film, 50, 10, None);
    let (camera, address) = camera(&film);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", camera.0.id())).unwrap();
    let files = limits.lines().find(|it| it.starts_with("Max open files"));
    let numbers: Vec<&str> = files.unwrap().split_whitespace().collect();
    assert_eq!(
        numbers[3], numbers[4],
        "as many files as are allowed: {limits}"
    );

    let port = address
        .split(':')
        .nth(2)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let port = one_at_a_time(port.parse().unwrap());
    let (code, stdout, stderr) = bench(&[
        &format!("rtsp://127.0.0.1:{port}/cam"),
        "--plan",
        "--fps",
        "10",
        "--cameras",
        "2,1",
        "--max-age",
        "5000",
        "--seconds",
        "2",
        "--model",
        model().to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
    ]);
    assert_eq!(code, Some(0), "{stderr}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let plan = &report["plans"][0];
    let trials = plan["trials"].as_array().unwrap();
    let numbers: Vec<_> = trials.iter().map(|it| it["cameras"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2)], "{stdout}");
    let broken = trials[1]["broken"].as_str().unwrap();
    assert!(broken.contains(&format!("127.0.0.1:{port}")), "{broken}");
    assert!(stdout.contains("It breaks at 2: "), "{stdout}");
    assert_eq!(plan["carries"], 1);
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
