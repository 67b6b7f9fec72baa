//! What a daemon remembers: over a restart, a kill and a lost camera objects that stand go on as the
//! same, and nothing is counted or numbered twice.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/camera_process.rs"]
mod camera_process;
#[expect(dead_code, reason = "the truth is for other tests")]
#[path = "support/shapes.rs"]
mod shapes;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use camera_process::CameraProcess;
use serde_json::Value;

/// Longest wait for anything; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(90);

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A folder with a configuration and a film of four objects that stand still.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // One picture, sent again and again: a car and three persons.
        shapes::write_video(&folder.path().join("still.mp4"), 1, 10, None);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn camera(&self, port: u16) -> CameraProcess {
        let film = self.path("still.mp4");
        let port = port.to_string();
        CameraProcess::start(&["--file", film.to_str().unwrap(), "--port", &port])
    }

    fn configure(&self, camera: &CameraProcess) {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/shapes.onnx");
        let text = format!(
            "[detect]\nmodel = {:?}\n[output]\nfolder = \"out\"\n[record]\nenabled = false\n\
             [metrics]\nlisten = \"off\"\n[state]\nevery_secs = 1\ncontinue_secs = 600\n\
             [[cameras]]\nid = \"yard\"\nuri = {:?}\n\
             [[cameras.zones]]\nname = \"all\"\npolygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]\n",
            model.to_str().unwrap(),
            camera.uri()
        );
        std::fs::write(self.path("site.toml"), text).unwrap();
    }

    fn start(&self) -> Daemon {
        let child = Command::cargo_bin("gantryd")
            .unwrap()
            .args(["run", "--log-format", "json", "--config"])
            .arg(self.path("site.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Daemon { child }
    }

    fn lines(&self, file: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("out/yard").join(file)).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// Ids in the newest result of a run, if it has any.
    fn newest(&self) -> Option<(u64, BTreeSet<u64>)> {
        let results = self.lines("results.jsonl");
        let newest = results
            .iter()
            .rev()
            .find(|line| line["tracks"].is_array())?;
        let ids = newest["tracks"].as_array()?.iter();
        Some((
            newest["run"].as_u64()?,
            ids.map(|it| it["id"].as_u64().unwrap()).collect(),
        ))
    }

    /// Waits for a result with four objects in a run later than `run`.
    fn four_after(&self, run: u64) -> (u64, BTreeSet<u64>) {
        let mut found = None;
        wait_until("a result with four objects", || {
            found = self
                .newest()
                .filter(|(now, ids)| *now > run && ids.len() == 4);
            found.is_some()
        });
        found.unwrap()
    }

    fn entries(&self) -> usize {
        let events = self.lines("events.jsonl");
        events
            .iter()
            .filter(|it| it["type"] == "zone_entry")
            .count()
    }

    fn assert_numbers_go_on(&self) {
        let events = self.lines("events.jsonl");
        let numbers: Vec<u64> = events
            .iter()
            .map(|it| it["number"].as_u64().unwrap())
            .collect();
        let wanted: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, wanted, "each number once, in order");
    }

    fn states(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.path("out/state")).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

struct Daemon {
    child: Child,
}

impl Daemon {
    /// Ends it with this signal; gives what it logged.
    fn end(mut self, signal: rustix::process::Signal) -> String {
        let mut stderr = self.child.stderr.take().unwrap();
        let reader = std::thread::Builder::new()
            .spawn(move || {
                let mut text = String::new();
                stderr.read_to_string(&mut text).unwrap();
                text
            })
            .unwrap();
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
        self.child.wait().unwrap();
        reader.join().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn after_a_restart_and_after_a_kill_objects_go_on_and_nothing_counts_twice() {
    let site = Site::new();
    let camera = site.camera(0);
    site.configure(&camera);

    let daemon = site.start();
    let (first_run, ids) = site.four_after(0);
    wait_until("four entries", || site.entries() == 4);
    daemon.end(rustix::process::Signal::TERM);

    let daemon = site.start();
    let (second_run, again) = site.four_after(first_run);
    assert_eq!(again, ids, "after a restart");
    // What was written since must be on the disk before the kill: a state is left every second.
    let state = site.path("out/state/yard.state");
    let written = || std::fs::metadata(&state).unwrap().modified().unwrap();
    let before = written();
    wait_until("a newer state", || written() > before);
    daemon.end(rustix::process::Signal::KILL);

    let daemon = site.start();
    let (_, again) = site.four_after(second_run);
    assert_eq!(again, ids, "after a kill");
    daemon.end(rustix::process::Signal::TERM);

    assert_eq!(site.entries(), 4, "nobody came in twice");
    site.assert_numbers_go_on();
    assert_eq!(site.states(), ["yard.state"]);
}

#[test]
fn a_camera_that_was_away_shows_the_same_objects_when_it_is_back() {
    let site = Site::new();
    let camera = site.camera(0);
    let port = camera.port;
    site.configure(&camera);
    let daemon = site.start();
    let (first_run, ids) = site.four_after(0);
    wait_until("four entries", || site.entries() == 4);
    camera.kill();
    let _camera = site.camera(port);
    let (_, again) = site.four_after(first_run);
    assert_eq!(again, ids);
    daemon.end(rustix::process::Signal::TERM);
    assert_eq!(site.entries(), 4, "nobody came in twice");
    site.assert_numbers_go_on();
}

#[test]
fn a_state_that_is_spoilt_is_set_aside_with_a_warning() {
    let site = Site::new();
    let camera = site.camera(0);
    site.configure(&camera);
    let daemon = site.start();
    let (first_run, _) = site.four_after(0);
    wait_until("four entries", || site.entries() == 4);
    daemon.end(rustix::process::Signal::TERM);

    let state = site.path("out/state/yard.state");
    let mut bytes = std::fs::read(&state).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&state, bytes).unwrap();

    let daemon = site.start();
    wait_until("eight entries", || site.entries() == 8);
    let log = daemon.end(rustix::process::Signal::TERM);
    let warning = log
        .lines()
        .find(|line| line.contains("set aside"))
        .unwrap_or_else(|| panic!("no warning in {log}"));
    assert!(
        warning.contains("yard.state") && warning.contains("checksum"),
        "{warning}"
    );
    assert!(first_run > 0);
    // Event numbers go on all the same: the event file tells the last one.
    site.assert_numbers_go_on();
    assert_eq!(site.states(), ["yard.state", "yard.state.bad1"]);
}
