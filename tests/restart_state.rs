//! What the daemon remembers of a camera: over a stop, a kill and a lost connection, with objects that
//! stand and one that creeps.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/camera_process.rs"]
mod camera_process;
#[path = "support/shapes.rs"]
#[expect(dead_code, reason = "the truth is for other tests")]
mod shapes;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use camera_process::CameraProcess;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use shapes::Mover;

/// Longest wait for anything; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// A car and a person that stand, and a car that creeps down the picture: 7 px/s, an eighth of its size.
/// After 42 s of 60 it leaves, far later than any test looks.
fn scene() -> &'static Path {
    static SCENE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SCENE.get_or_init(|| {
        let mover = |id, class, start, velocity| Mover {
            id,
            class,
            start,
            velocity,
        };
        let movers = [
            mover(1, 1, (460.0, 80.0), (0.0, 0.0)),
            mover(2, 0, (520.0, 250.0), (0.0, 0.0)),
            mover(3, 1, (150.0, 40.0), (0.0, 7.0)),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scene.mp4");
        shapes::write_scene(&path, &movers, 600, 10, None);
        (folder, path)
    });
    path
}

/// The scene as a camera that shows what is there now, however often it is started.
struct Camera {
    process: Option<CameraProcess>,
    port: u16,
    since: String,
}

impl Camera {
    fn start() -> Self {
        scene();
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let mut camera = Self {
            process: None,
            port: free_port(),
            since: since.to_string(),
        };
        camera.come();
        camera
    }

    fn come(&mut self) {
        let file = scene().to_str().unwrap();
        let port = self.port.to_string();
        let args = ["--file", file, "--since", &self.since, "--port", &port];
        self.process = Some(CameraProcess::start(&args));
    }

    fn go(&mut self) {
        self.process.take().unwrap().kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A folder in which daemons run one after the other.
struct Site {
    folder: tempfile::TempDir,
    port: u16,
    camera_port: u16,
}

struct Daemon {
    child: Child,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Site {
    fn new(camera: &Camera) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
            camera_port: camera.port,
        }
    }

    /// Starts the daemon; `zone` is added to its zone.
    fn start(&self, zone: &str) -> Daemon {
        self.start_with("every_secs = 1", zone)
    }

    fn start_with(&self, state: &str, zone: &str) -> Daemon {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/shapes.onnx");
        let (port, camera) = (self.port, self.camera_port);
        let text = format!(
            "[detect]\nmodel = {model:?}\n[output]\nfolder = \"out\"\n[record]\nenabled = false\n\
             [state]\n{state}\n[metrics]\nlisten = \"127.0.0.1:{port}\"\n\
             [[cameras]]\nid = \"gate\"\nuri = \"rtsp://127.0.0.1:{camera}/cam\"\n\
             [[cameras.lines]]\nname = \"lane\"\nline_norm = [[0.1, 0.2], [0.4, 0.2]]\n\
             [[cameras.zones]]\nname = \"yard\"\npolygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]\n{zone}"
        );
        let config = self.folder.path().join("site.toml");
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(self.log()).unwrap();
        let child = Command::cargo_bin("gantryd")
            .unwrap()
            .args(["run", "--log-format", "json", "--config"])
            .arg(&config)
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Daemon { child }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap()
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("out/state/gate.state")
    }

    /// Whole lines of a file of the camera so far.
    fn lines(&self, name: &str) -> Vec<Value> {
        let path = self.folder.path().join("out/gate").join(name);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines();
        // After a kill the next daemon goes on behind half a line.
        lines
            .filter_map(|it| serde_json::from_str(it).ok())
            .collect()
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        let mut events = self.lines("events.jsonl");
        events.retain(|event| event["type"] == kind);
        events
    }

    /// Number of the newest run with a result.
    fn run(&self) -> u64 {
        let mut frames = self.lines("results.jsonl");
        // Attempts to connect are runs too.
        frames.retain(|line| line["type"] == "frame");
        frames
            .last()
            .map_or(0, |frame| frame["run"].as_u64().unwrap())
    }

    /// Results of a run in which three objects were seen.
    fn settled(&self, run: u64) -> Vec<Value> {
        let mut results = self.lines("results.jsonl");
        let is_seen = |track: &Value| track["state"] == "confirmed";
        results.retain(|line| {
            let tracks = line["tracks"].as_array();
            let seen = tracks.map_or(0, |all| all.iter().filter(|it| is_seen(it)).count());
            line["run"] == run && seen == 3
        });
        results
    }

    fn wait_settled(&self, run: u64) -> Vec<Value> {
        wait_until(&format!("three objects in run {run}"), || {
            self.settled(run).len() >= 30
        });
        self.settled(run)
    }

    /// Sum of the series of a metric; 0 while nobody answers.
    fn metric(&self, name: &str) -> u64 {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return 0;
        };
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        if stream.write_all(request.as_bytes()).is_err()
            || stream.read_to_string(&mut answer).is_err()
        {
            return 0;
        }
        let is_it = |line: &&str| {
            line.strip_prefix(name)
                .is_some_and(|it| it.starts_with('{'))
        };
        let values = answer.lines().filter(is_it);
        values
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// Waits for a state on the disk that knows everything that happened until now: the one after next,
    /// since the next may have been left already.
    fn wait_written(&self) {
        let before = self.metric("gantryd_state_snapshots_total");
        wait_until("a state on the disk", || {
            self.metric("gantryd_state_snapshots_total") >= before + 2
        });
    }
}

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) {
        wait_until("the end of the daemon", || {
            self.child.try_wait().unwrap().is_some()
        });
    }
}

fn ids(line: &Value) -> BTreeSet<u64> {
    let tracks = line["tracks"].as_array().unwrap();
    tracks
        .iter()
        .map(|track| track["id"].as_u64().unwrap())
        .collect()
}

fn age_secs(line: &Value) -> f64 {
    let tracks = line["tracks"].as_array().unwrap();
    let ages = tracks.iter().map(|track| track["age_ns"].as_f64().unwrap());
    ages.fold(0.0, f64::max) / 1e9
}

/// A moment of the day, s.
fn clock(line: &Value) -> f64 {
    let utc = line["utc"].as_str().unwrap();
    let part = |range: std::ops::Range<usize>| utc[range].parse::<f64>().unwrap();
    part(11..13) * 3600.0 + part(14..16) * 60.0 + part(17..29)
}

/// Seconds from one line to a later one, over midnight too.
fn secs_between(first: &Value, then: &Value) -> f64 {
    (clock(then) - clock(first)).rem_euclid(86_400.0)
}

/// What must hold when a run goes on from another: the same three objects, and nothing counted twice.
fn assert_went_on(site: &Site, before: &Value, after: &Value) {
    assert_eq!(ids(after), ids(before), "{before} {after}");
    // Known since before: as old as the clock says, but for what a restart rounds.
    let older = age_secs(after) - age_secs(before);
    let passed = secs_between(before, after);
    assert!(
        (older - passed).abs() < 2.0,
        "{older} s older after {passed} s"
    );
    let entries = site.events("zone_entry");
    assert_eq!(entries.len(), 3, "{entries:?}");
    assert_eq!(site.events("zone_exit").len(), 0);
    let crossings = site.events("line_crossing");
    assert!(crossings.len() <= 1, "{crossings:?}");
    let events = site.lines("events.jsonl");
    let numbers: Vec<u64> = events
        .iter()
        .map(|it| it["number"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected);
}

fn run_ends(site: &Site) -> Vec<Value> {
    let mut ends = site.lines("results.jsonl");
    ends.retain(|line| line["type"] == "run_end");
    ends
}

#[test]
fn after_a_stop_and_after_a_kill_everything_goes_on() {
    let camera = Camera::start();
    let site = Site::new(&camera);
    let mut daemon = site.start("");
    let first = site.wait_settled(1);
    wait_until("three entries", || site.events("zone_entry").len() == 3);
    daemon.signal(Signal::TERM);
    daemon.wait();
    // Nothing has ended: it may go on.
    assert_eq!(run_ends(&site)[0]["ended"], serde_json::json!([]));

    let mut daemon = site.start("");
    let second = site.wait_settled(2);
    assert_went_on(&site, first.last().unwrap(), &second[0]);
    wait_until("the gauge", || site.metric("gantryd_zone_occupancy") == 3);
    assert_eq!(site.metric("gantryd_tracks_continued_total"), 3);
    site.wait_written();
    daemon.signal(Signal::KILL);
    daemon.wait();
    let second = site.settled(2);

    // Whoever has been there for a second loiters, by its clock from before both ends.
    let mut daemon = site.start("loiter_secs = 1\n");
    let third = site.wait_settled(3);
    assert_went_on(&site, second.last().unwrap(), &third[0]);
    wait_until("three that loiter", || site.events("loitering").len() >= 3);
    for loitering in site.events("loitering") {
        let object = &loitering["object"]["tracks"];
        let entries = site.events("zone_entry");
        let entry = entries.iter().find(|it| &it["object"]["tracks"] == object);
        let dwell = loitering["dwell_ns"].as_f64().unwrap() / 1e9;
        let passed = secs_between(entry.unwrap(), &loitering);
        assert!((dwell - passed).abs() < 2.0, "{dwell} s after {passed} s");
        let path = loitering["object"]["path"].as_array().unwrap();
        assert!(
            path.iter()
                .all(|point| point["pts_ns"].as_u64() <= loitering["pts_ns"].as_u64())
        );
    }
    daemon.signal(Signal::TERM);
    daemon.wait();
    assert_eq!(site.events("zone_exit").len(), 0);
}

#[test]
fn a_camera_that_comes_back_goes_on() {
    let mut camera = Camera::start();
    let site = Site::new(&camera);
    let daemon = site.start("");
    let first = site.wait_settled(1);
    wait_until("three entries", || site.events("zone_entry").len() == 3);
    camera.go();
    wait_until("the end of the run", || !run_ends(&site).is_empty());
    camera.come();
    wait_until("the next run", || site.run() > 1);
    let second = site.wait_settled(site.run());
    assert_went_on(&site, first.last().unwrap(), &second[0]);
    assert_eq!(run_ends(&site)[0]["ended"], serde_json::json!([]));
    drop(daemon);
}

#[test]
fn a_state_that_cannot_be_used_is_set_aside_and_the_daemon_starts() {
    let camera = Camera::start();
    let site = Site::new(&camera);
    let mut daemon = site.start("");
    let first = site.wait_settled(1);
    wait_until("three entries", || site.events("zone_entry").len() == 3);
    daemon.signal(Signal::TERM);
    daemon.wait();
    let bytes = std::fs::read(site.state()).unwrap();
    std::fs::write(site.state(), &bytes[..bytes.len() / 2]).unwrap();
    let newest = site.lines("events.jsonl").len() as u64;

    let mut daemon = site.start("");
    wait_until("three more entries", || {
        site.events("zone_entry").len() == 6
    });
    let logged = site.logged();
    let warning = logged.lines().find(|it| it.contains("set aside")).unwrap();
    assert!(warning.contains("gate.state"), "{warning}");
    assert!(warning.contains("its checksum is wrong"), "{warning}");
    assert!(warning.contains("WARN"), "{warning}");
    let aside = site.state().with_extension("state.bad1");
    assert_eq!(std::fs::read(aside).unwrap(), &bytes[..bytes.len() / 2]);
    // Counted anew, but no number is given twice.
    let events = site.lines("events.jsonl");
    assert_eq!(events[newest as usize]["number"], newest + 1);
    daemon.signal(Signal::TERM);
    daemon.wait();
    // And what was written at the end is good again.
    assert_ne!(
        std::fs::read(site.state()).unwrap(),
        &bytes[..bytes.len() / 2]
    );
    drop(first);
}

#[test]
fn a_camera_that_stays_away_is_given_up() {
    let mut camera = Camera::start();
    let site = Site::new(&camera);
    let daemon = site.start_with("every_secs = 1\ncontinue_secs = 2", "");
    site.wait_settled(1);
    wait_until("three entries", || site.events("zone_entry").len() == 3);
    camera.go();
    wait_until("three exits", || site.events("zone_exit").len() == 3);
    for exit in site.events("zone_exit") {
        assert_eq!(exit["run"], 1, "{exit}");
    }
    // They end with the first frame after it, and what is there then is new.
    camera.come();
    wait_until("the next run", || site.run() > 1);
    let last = site.wait_settled(site.run());
    assert_eq!(ids(&last[0]), BTreeSet::from([4, 5, 6]));
    let mut frames = site.lines("results.jsonl");
    frames.retain(|line| line["type"] == "frame" && line["run"] != 1);
    assert_eq!(frames[0]["ended"].as_array().unwrap().len(), 3);
    drop(daemon);
}

#[test]
fn switched_off_every_run_ends_its_tracks_and_nothing_is_kept() {
    let camera = Camera::start();
    let site = Site::new(&camera);
    let mut daemon = site.start_with("enabled = false", "");
    site.wait_settled(1);
    wait_until("three entries", || site.events("zone_entry").len() == 3);
    daemon.signal(Signal::TERM);
    daemon.wait();
    let ended = run_ends(&site)[0]["ended"].clone();
    assert_eq!(ended.as_array().unwrap().len(), 3, "{ended}");
    assert_eq!(site.events("zone_exit").len(), 3);
    assert!(!site.state().parent().unwrap().exists());
}

#[test]
fn a_break_too_long_ends_objects_and_counts_go_on() {
    let camera = Camera::start();
    let site = Site::new(&camera);
    let mut daemon = site.start_with("every_secs = 1\ncontinue_secs = 0", "");
    site.wait_settled(1);
    wait_until("three entries", || site.events("zone_entry").len() == 3);
    daemon.signal(Signal::TERM);
    daemon.wait();
    let mut daemon = site.start_with("every_secs = 1\ncontinue_secs = 0", "");
    let second = site.wait_settled(2);
    assert_eq!(ids(&second[0]), BTreeSet::from([4, 5, 6]));
    let mut frames = site.lines("results.jsonl");
    frames.retain(|line| line["run"] == 2);
    let told = frames[0]["ended"].as_array().unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|it| (it["id"].as_u64().unwrap(), &it["reason"]))
        .collect();
    let over = Value::from("run_ended");
    assert_eq!(told, [(1, &over), (2, &over), (3, &over)]);
    let events = site.lines("events.jsonl");
    let numbers: Vec<u64> = events
        .iter()
        .map(|it| it["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    daemon.signal(Signal::TERM);
    daemon.wait();
}

#[test]
fn a_folder_that_takes_no_state_harms_nothing() {
    let camera = Camera::start();
    let site = Site::new(&camera);
    let out = site.folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("state"), "a file where the folder should be").unwrap();
    let mut daemon = site.start("");
    site.wait_settled(1);
    wait_until("failures", || {
        site.metric("gantryd_state_failures_total") >= 2
    });
    wait_until("three entries", || site.events("zone_entry").len() == 3);
    daemon.signal(Signal::TERM);
    daemon.wait();
    let logged = site.logged();
    let warnings = logged.lines().filter(|it| it.contains("cannot be written"));
    assert_eq!(warnings.count(), 1, "{logged}");
}
