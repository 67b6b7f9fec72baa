//! `gantryd run` as a service: real cameras, real signals, real files.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test tells by failing, and why it is skipped"
)]

#[path = "support/camera_process.rs"]
mod camera_process;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use camera_process::CameraProcess;
use serde_json::Value;

/// Longest wait for anything; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    path.to_str().unwrap().to_owned()
}

/// A camera that sends the drawn street over and over.
fn street_camera() -> CameraProcess {
    CameraProcess::start(&["--file", &fixture("street.mp4")])
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn lines_of(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A running daemon with its folder, its metrics port and the socket it notifies.
struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
    notified: UnixDatagram,
    told: String,
}

impl Daemon {
    /// Starts with these cameras (id, uri), none of them required, and segments of three seconds.
    fn start(cameras: &[(&str, String)]) -> Self {
        Self::start_with(cameras, "required = false")
    }

    /// The same with this key of each camera.
    fn start_with(cameras: &[(&str, String)], key: &str) -> Self {
        let detect = format!("model = {:?}", fixture("models/shapes.onnx"));
        Self::start_detecting(&detect, cameras, key)
    }

    /// The same with these keys of the detector.
    fn start_detecting(detect: &str, cameras: &[(&str, String)], key: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut text = format!(
            "[detect]\n{detect}\n[output]\nfolder = \"out\"\n[record]\nsegment_secs = 3\nencoder = \"x264\"\n\
             [metrics]\nlisten = \"127.0.0.1:{port}\"\n"
        );
        for (id, uri) in cameras {
            text += &format!(
                "[[cameras]]\nid = {id:?}\nuri = {uri:?}\n{key}\n\
                 [[cameras.lines]]\nname = \"west\"\nline_norm = [[0.25, 0.98], [0.25, 0.02]]\n\
                 [[cameras.zones]]\nname = \"street\"\n\
                 polygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]\n"
            );
        }
        let config = folder.path().join("site.toml");
        std::fs::write(&config, text).unwrap();
        let socket = folder.path().join("notify");
        let notified = UnixDatagram::bind(&socket).unwrap();
        notified
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let child = Command::cargo_bin("gantryd")
            .unwrap()
            .args([
                "run",
                "--config",
                config.to_str().unwrap(),
                "--log-format",
                "json",
            ])
            .env("NOTIFY_SOCKET", &socket)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            folder,
            port,
            notified,
            told: String::new(),
        }
    }

    fn out(&self, camera: &str) -> PathBuf {
        self.folder.path().join("out").join(camera)
    }

    /// Result lines of a camera so far; an unfinished last line is left out.
    fn results(&self, camera: &str) -> Vec<Value> {
        lines_of(&self.out(camera).join("results.jsonl"))
    }

    /// Event lines of a camera so far; an unfinished last line is left out.
    fn events(&self, camera: &str) -> Vec<Value> {
        lines_of(&self.out(camera).join("events.jsonl"))
    }

    fn wait_for_results(&self, camera: &str, count: usize) {
        wait_until(&format!("{count} results of {camera}"), || {
            self.results(camera).len() >= count
        });
    }

    /// Everything systemd was told so far.
    fn told(&mut self) -> &str {
        let mut buffer = [0; 4096];
        while let Ok(size) = self.notified.recv(&mut buffer) {
            self.told += &String::from_utf8_lossy(&buffer[..size]);
            self.told.push('\n');
        }
        &self.told
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Value of a metric, summed over the series of one camera.
    fn metric(&self, name: &str, camera: &str) -> u64 {
        let label = format!("camera=\"{camera}\"");
        let answer = self.get("/metrics");
        let series = answer.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{'))
                && line.contains(&label)
        });
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end; gives the exit status and everything that was logged.
    fn end(&mut self) -> (ExitStatus, String) {
        let mut stderr = self.child.stderr.take().unwrap();
        let reader = std::thread::Builder::new()
            .spawn(move || {
                let mut text = String::new();
                stderr.read_to_string(&mut text).unwrap();
                text
            })
            .unwrap();
        let mut status = None;
        wait_until("the end of the daemon", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), reader.join().unwrap())
    }

    fn recordings(&self, camera: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.out(camera))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "mp4"))
            .collect();
        files.sort();
        files
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// PTS of every frame that ffprobe can decode, in ns; `None` without ffprobe.
fn decoded_pts(path: &Path) -> Option<Vec<u64>> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "frame=pts_time",
        ])
        .args(["-of", "csv=p=0"])
        .arg(path)
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: ffprobe is not installed, recordings are not decoded");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let seconds = text
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok());
    Some(
        seconds
            .map(|seconds| (seconds * 1e9).round() as u64)
            .collect(),
    )
}

fn sidecar_pts(recording: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(recording.with_extension("jsonl")).unwrap();
    let pts = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["segment_pts_ns"]
            .as_u64()
            .unwrap()
    };
    text.lines().map(pts).collect()
}

#[test]
fn a_service_follows_its_cameras_and_stops_with_everything_in_order() {
    let (gate, yard) = (street_camera(), street_camera());
    let mut daemon = Daemon::start(&[
        ("gate", gate.uri()),
        ("yard", yard.uri()),
        ("dead", format!("rtsp://127.0.0.1:{}/cam", free_port())),
    ]);
    daemon.wait_for_results("gate", 150);
    daemon.wait_for_results("yard", 150);
    assert!(daemon.told().contains("READY=1"), "{}", daemon.told());
    assert!(daemon.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(daemon.metric("gantryd_frames_received_total", "gate") >= 150);
    assert!(daemon.metric("gantryd_runs_total", "dead") >= 1);
    assert!(daemon.metric("gantryd_line_crossings_total", "gate") >= 1);
    assert!(daemon.metric("gantryd_zone_entries_total", "gate") >= 2);
    assert!(daemon.metric("gantryd_zone_occupancy", "gate") >= 1);
    assert_eq!(daemon.metric("gantryd_events_dropped_total", "gate"), 0);

    let began = Instant::now();
    daemon.signal(rustix::process::Signal::TERM);
    let (status, log) = daemon.end();
    assert!(status.success(), "{status}: {log}");
    assert!(began.elapsed() < Duration::from_secs(12), "{log}");
    assert!(daemon.told().contains("STOPPING=1"));

    let schema = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("config/result.schema.json"),
    );
    let schema =
        jsonschema::validator_for(&serde_json::from_str(&schema.unwrap()).unwrap()).unwrap();
    let event_schema = include_str!("../config/event.schema.json");
    let event_schema =
        jsonschema::validator_for(&serde_json::from_str(event_schema).unwrap()).unwrap();
    for camera in ["gate", "yard"] {
        let events = daemon.events(camera);
        for (index, event) in events.iter().enumerate() {
            assert!(event_schema.is_valid(event), "{event}");
            assert_eq!(event["number"], index + 1, "{camera}: no event is lost");
        }
        let is_crossing = |event: &&Value| event["type"] == "line_crossing";
        let crossing = events.iter().find(is_crossing).unwrap();
        let recording = &crossing["recording"];
        // Everything is recorded here, and the first crossing comes when segments have begun.
        let file = recording["file"].as_str().unwrap();
        let pts = recording["pts_ns"].as_u64().unwrap();
        let noted = sidecar_pts(&daemon.out(camera).join(file));
        assert!(noted.contains(&pts), "{recording} in {noted:?}");
        let results = daemon.results(camera);
        for line in &results {
            assert!(schema.is_valid(line), "{line}");
        }
        assert_eq!(results.last().unwrap()["type"], "run_end");
        assert_eq!(results.last().unwrap()["reason"], "stopped");
        let seen = |line: &Value| {
            line["tracks"]
                .as_array()
                .is_some_and(|tracks| !tracks.is_empty())
        };
        assert!(results.iter().any(seen), "no track in {camera}");
        let recordings = daemon.recordings(camera);
        assert!(recordings.len() >= 2, "segments of 3 s: {recordings:?}");
        for recording in &recordings {
            let Some(decoded) = decoded_pts(recording) else {
                return;
            };
            let noted: Vec<u64> = sidecar_pts(recording)
                .iter()
                .map(|ns| ns / 1000 * 1000)
                .collect();
            assert_eq!(decoded, noted, "{}", recording.display());
        }
    }
}

#[test]
fn after_a_kill_every_finished_fragment_plays() {
    let gate = street_camera();
    let mut daemon = Daemon::start(&[("gate", gate.uri())]);
    daemon.wait_for_results("gate", 200);
    daemon.signal(rustix::process::Signal::KILL);
    daemon.end();
    let recordings = daemon.recordings("gate");
    for (number, recording) in recordings.iter().enumerate() {
        let Some(decoded) = decoded_pts(recording) else {
            return;
        };
        let is_last = number + 1 == recordings.len();
        // Fragments are a second long; the last file may have been younger than that.
        let noted = sidecar_pts(recording).len();
        let lost = noted.saturating_sub(decoded.len());
        assert!(
            lost <= if is_last { 40 } else { 0 },
            "{}: {lost} of {noted}",
            recording.display()
        );
    }
    let all: usize = recordings
        .iter()
        .filter_map(|path| decoded_pts(path))
        .map(|pts| pts.len())
        .sum();
    assert!(all >= 120, "only {all} frames can be read");
}

#[test]
fn a_camera_that_comes_back_goes_on_with_a_new_run_and_no_id_stands_for_another_object() {
    let gate = street_camera();
    let port = gate.port.to_string();
    let daemon = Daemon::start(&[("gate", gate.uri())]);
    daemon.wait_for_results("gate", 50);
    gate.kill();
    wait_until("the end of the run", || {
        daemon
            .results("gate")
            .iter()
            .any(|line| line["type"] == "run_end")
    });
    let before = daemon.results("gate").len();
    let _back = CameraProcess::start(&["--file", &fixture("street.mp4"), "--port", &port]);
    daemon.wait_for_results("gate", before + 50);

    let results = daemon.results("gate");
    // Class of each id.
    let seen_in = |run: u64| -> BTreeMap<u64, String> {
        let frames = results
            .iter()
            .filter(|line| line["type"] == "frame" && line["run"] == run);
        let tracks = frames.flat_map(|frame| frame["tracks"].as_array().unwrap());
        let of = |track: &Value| (track["id"].as_u64().unwrap(), track["class"].to_string());
        tracks.map(of).collect()
    };
    let last_run = results.last().unwrap()["run"].as_u64().unwrap();
    assert!(last_run >= 2);
    let (before, after) = (seen_in(1), seen_in(last_run));
    let newest_before = *before.keys().next_back().unwrap();
    for (id, class) in &after {
        // What may go on goes on as what it was (tests/restart_state.rs); the rest is new.
        match before.get(id) {
            Some(was) => assert_eq!(class, was, "id {id}"),
            None => assert!(*id > newest_before, "{id} was somebody else's"),
        }
    }
    assert!(after.keys().any(|id| *id > newest_before), "nobody is new");
    let sequence: Vec<u64> = results
        .iter()
        .filter_map(|line| line["seq"].as_u64())
        .collect();
    assert!(
        sequence.windows(2).all(|pair| pair[0] < pair[1]),
        "numbering goes on"
    );
}

#[test]
fn readiness_and_metrics_tell_of_a_camera_that_is_away() {
    let gate = street_camera();
    let port = gate.port.to_string();
    let daemon = Daemon::start_with(&[("gate", gate.uri())], "required = true");
    daemon.wait_for_results("gate", 5);
    let readiness = || daemon.get("/readyz");
    let delivers = || {
        daemon
            .get("/metrics")
            .contains("gantryd_camera_delivering{camera=\"gate\"} 1")
    };
    wait_until("readiness", || readiness().contains("200 OK") && delivers());
    gate.kill();
    wait_until("the loss is told", || {
        let told = readiness();
        told.contains("503") && told.contains("no picture from gate") && !delivers()
    });
    let _back = CameraProcess::start(&["--file", &fixture("street.mp4"), "--port", &port]);
    wait_until("the return is told", || {
        readiness().contains("200 OK") && delivers()
    });
}

#[test]
fn a_folder_that_takes_no_results_keeps_the_service_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("site.toml");
    let text = format!(
        "[[cameras]]\nid = \"a\"\nuri = \"rtsp://127.0.0.1:1/x\"\n[detect]\nmodel = {:?}\n\
         [metrics]\nlisten = \"off\"\n[output]\nfolder = \"/proc/self/task/out\"\n",
        fixture("models/shapes.onnx")
    );
    std::fs::write(&config, text).unwrap();
    let output = Command::cargo_bin("gantryd")
        .unwrap()
        .args(["run", "--config", config.to_str().unwrap()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("output.folder: /proc/self/task/out: no file can be made in"),
        "{told}"
    );
}

#[test]
fn a_port_that_is_taken_keeps_the_service_from_starting_and_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("site.toml");
    let text = format!(
        "[[cameras]]\nid = \"a\"\nuri = \"rtsp://127.0.0.1:1/x\"\n[detect]\nmodel = {:?}\n[metrics]\nlisten = \"{address}\"\n",
        fixture("models/shapes.onnx")
    );
    std::fs::write(&config, text).unwrap();
    let output = Command::cargo_bin("gantryd")
        .unwrap()
        .args(["run", "--config", config.to_str().unwrap()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains(&format!("{address}: another program listens there")),
        "{told}"
    );
}

#[test]
fn no_credential_is_ever_logged() {
    let camera = CameraProcess::start(&["--user", "viewer", "--password", "tr0ub4dor"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pw"), "wr0ngw0rd\n").unwrap();
    let config = folder.path().join("site.toml");
    let text = format!(
        "[[cameras]]\nid = \"a\"\nuri = \"{}?token=s3cr3t\"\nuser = \"viewer\"\npassword_file = \"pw\"\n\
         [detect]\nmodel = {:?}\n[metrics]\nlisten = \"off\"\n",
        camera.uri(),
        fixture("models/shapes.onnx")
    );
    std::fs::write(&config, text).unwrap();
    let mut child = Command::cargo_bin("gantryd")
        .unwrap()
        .args([
            "run",
            "--config",
            config.to_str().unwrap(),
            "--log-level",
            "trace",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut log = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&log).contains("unauthorized") {
        let size = stderr.read(&mut piece).unwrap();
        assert!(size > 0, "{}", String::from_utf8_lossy(&log));
        log.extend_from_slice(&piece[..size]);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = String::from_utf8_lossy(&log).into_owned();
    assert!(
        !log.contains("wr0ngw0rd") && !log.contains("s3cr3t"),
        "{log}"
    );
}

#[test]
fn a_detector_that_works_no_more_is_opened_anew_and_then_ends_the_daemon() {
    let camera = street_camera();
    // It refuses every picture that has a bright place, as all of the street do.
    let model = fixture("models/failing.onnx");
    let detect = format!("model = {model:?}\ngive_up_secs = 4\nworkers = 1");
    let mut daemon = Daemon::start_detecting(&detect, &[("gate", camera.uri())], "");
    let (status, log) = daemon.end();
    // Not 78, after which systemd would leave it alone.
    assert_eq!(status.code(), Some(1), "{log}");
    let told = |text: &str| log.matches(text).count();
    assert_eq!(
        told("the detector does not work any more, it is opened anew"),
        3,
        "{log}"
    );
    assert!(told("detection failed, frames are dropped") >= 1, "{log}");
    // Its reason is told with it, and not once more for each of the hundred frames.
    let reasons = told("indices element out of data bounds");
    assert!((1..10).contains(&reasons), "{log}");
    assert_eq!(
        told("the detector failed for 4 s and could not be opened anew (detect.give_up_secs)"),
        1,
        "{log}"
    );
    let results = daemon.results("gate");
    assert!(
        results.iter().all(|it| it["type"] != "frame"),
        "{results:?}"
    );
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let camera = street_camera();
    let mut child = Command::cargo_bin("gantryd")
        .unwrap()
        .args([
            "track",
            &camera.uri(),
            "--model",
            &fixture("models/shapes.onnx"),
            "--no-video",
        ])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("results", || {
        let folder = std::fs::read_dir(folder.path().join("out"));
        folder.is_ok_and(|entries| entries.count() > 0)
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    // Two that are handled at the same moment on two cores are one. An orderly end takes much longer.
    std::thread::sleep(Duration::from_millis(5));
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let mut status = None;
    wait_until("the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(130));
}
