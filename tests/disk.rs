//! `gantryd run` on a small disk that fills: recording pauses, everything else goes on, and it
//! records again when there is room.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test tells by failing, and why it is skipped"
)]

#[path = "support/camera_process.rs"]
mod camera_process;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use camera_process::CameraProcess;
use serde_json::Value;

/// Longest wait for anything; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(90);

const MB: u64 = 1_000_000;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A disk of 32 MB.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32000000", "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("SKIPPED: cannot mount a tmpfs here (not root?)");
        }
        mounted.then(|| Self(dir))
    }

    fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(self.0.path()).unwrap();
        disk.f_bavail * disk.f_frsize
    }

    /// Another program takes all but so many bytes.
    fn fill_but(&self, left: u64) {
        let size = self.free().saturating_sub(left);
        let ballast = vec![1; usize::try_from(size).unwrap()];
        let mut file = fs::File::options()
            .create(true)
            .append(true)
            .open(self.ballast())
            .unwrap();
        // A disk that is full before the end is as good.
        file.write_all(&ballast).ok();
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .output()
            .ok();
    }
}

/// A daemon with one camera, `gate`, that writes onto the disk.
struct Daemon {
    child: Child,
    port: u16,
    gate: PathBuf,
    log: PathBuf,
    config: PathBuf,
    _folder: tempfile::TempDir,
}

impl Daemon {
    fn start(disk: &SmallDisk, uri: &str, retention: &str, raw: bool) -> Self {
        Self::start_on(disk.0.path(), uri, retention, raw)
    }

    fn start_on(disk: &Path, uri: &str, retention: &str, raw: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = disk.join("out");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let text = format!(
            "[detect]\nmodel = {:?}\n[output]\nfolder = {out:?}\nrotate_mib = 1\n\
             [output.retention]\n{retention}\n\
             [record]\nsegment_secs = 2\nencoder = \"x264\"\n\
             [metrics]\nlisten = \"127.0.0.1:{port}\"\n\
             [[cameras]]\nid = \"gate\"\nuri = {uri:?}\nraw = {raw}\n\
             [[cameras.lines]]\nname = \"west\"\nline_norm = [[0.25, 0.98], [0.25, 0.02]]\n\
             [[cameras.zones]]\nname = \"street\"\npolygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]\n",
            fixture("models/shapes.onnx")
        );
        let config = folder.path().join("site.toml");
        fs::write(&config, text).unwrap();
        let log = folder.path().join("log");
        let child = Command::cargo_bin("gantryd")
            .unwrap()
            .args(["run", "--log-format", "json", "--config"])
            .arg(&config)
            .stderr(fs::File::create(&log).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            gate: out.join("gate"),
            log,
            config,
            _folder: folder,
        }
    }

    /// More lines at the end of the configuration, taken while it runs.
    fn reload_with(&self, lines: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        fs::write(&self.config, text + lines).unwrap();
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sum over all series whose line holds `label`.
    fn metric(&self, name: &str, label: &str) -> u64 {
        let answer = self.get("/metrics");
        let is_wanted = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
        };
        answer
            .lines()
            .filter(is_wanted)
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    fn processed(&self) -> u64 {
        self.metric("gantryd_frames_processed_total", "gate")
    }

    /// Names of the recordings, raw ones too.
    fn recordings(&self) -> BTreeSet<String> {
        fs::read_dir(&self.gate)
            .map(|entries| {
                let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
                names.filter(|name| name.ends_with(".mp4")).collect()
            })
            .unwrap_or_default()
    }

    fn logged(&self, text: &str) -> usize {
        fs::read_to_string(&self.log).unwrap().matches(text).count()
    }

    fn events(&self) -> Vec<u64> {
        let text = fs::read_to_string(self.gate.join("events.jsonl")).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["number"].as_u64();
        whole.lines().map(|line| number(line).unwrap()).collect()
    }

    fn stop(&mut self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut status = None;
        wait_until("the end of the daemon", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().success()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Frames that can be decoded, with a decoder that complains about nothing; `None` without ffprobe.
fn decodable(path: &Path) -> Option<u64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(path)
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: ffprobe is not installed, recordings are not decoded");
        return None;
    };
    // Where a raw recording goes on, pictures between two others may refer to one before the pause.
    let complaints = String::from_utf8_lossy(&output.stderr);
    let mut serious = complaints
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.contains("co located POCs unavailable"));
    assert_eq!(serious.next(), None, "{}", path.display());
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.trim().trim_end_matches(',').parse().unwrap_or(0))
}

/// Everything plays and holds something; of a raw segment that a pause or the stop ended before its
/// first picture nothing is left behind.
fn assert_playable(daemon: &Daemon) {
    for name in daemon.recordings() {
        if let Some(frames) = decodable(&daemon.gate.join(&name)) {
            assert!(frames > 0, "{name} holds nothing");
        }
    }
}

#[test]
fn a_disk_that_fills_pauses_recording_alone_and_it_resumes_with_a_fresh_segment() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let camera = CameraProcess::start(&["--file", fixture("street.mp4").to_str().unwrap()]);
    // Nobody listens at port 9: every event waits in the spool, on the same disk.
    let retention = "min_free_gb = 0.008\nwhen_full = \"pause\"\n\
                     [[sinks]]\nname = \"room\"\nurl = \"http://127.0.0.1:9/\"";
    let mut daemon = Daemon::start(&disk, &camera.uri(), retention, true);
    wait_until("two segments and two raw ones", || {
        let names = daemon.recordings();
        let raw = names
            .iter()
            .filter(|name| name.ends_with("_raw.mp4"))
            .count();
        raw >= 2 && names.len() - raw >= 2
    });
    assert!(daemon.get("/healthz").ends_with("ok\n"));

    disk.fill_but(6 * MB);
    wait_until("the pause", || {
        daemon.metric("gantryd_recording_paused", "") == 1
    });
    assert!(
        daemon
            .get("/healthz")
            .ends_with("ok\nrecording is paused: less is free than output.retention.min_free_gb\n")
    );
    // Whatever was on its way is in its file.
    let label = "reason=\"disk_low\"";
    wait_until("dropped pictures", || {
        daemon.metric("gantryd_results_dropped_total", label) >= 10
    });
    let (paused, processed) = (daemon.recordings(), daemon.processed());
    let events = daemon.events().len();
    wait_until("100 more frames", || daemon.processed() >= processed + 100);
    wait_until("more events", || daemon.events().len() > events);
    assert_eq!(
        daemon.recordings(),
        paused,
        "nothing is recorded or deleted"
    );

    // Even on a disk that takes nothing at all no event is lost: it waits.
    disk.fill_but(0);
    wait_until("results pause", || {
        daemon.metric("gantryd_results_paused", "") == 1
    });
    let processed = daemon.processed();
    wait_until("100 more frames", || daemon.processed() >= processed + 100);
    wait_until("a spool that the disk takes no event for", || {
        daemon.logged("events are held in memory until the disk takes them") == 1
    });

    fs::remove_file(disk.ballast()).unwrap();
    wait_until("events on the disk again", || {
        daemon.logged("events are on the disk again") == 1
    });
    wait_until("recording again", || {
        daemon.metric("gantryd_recording_paused", "") == 0
    });
    wait_until("fresh segments, raw ones too", || {
        let fresh: Vec<String> = daemon.recordings().difference(&paused).cloned().collect();
        let raw = fresh
            .iter()
            .filter(|name| name.ends_with("_raw.mp4"))
            .count();
        raw >= 2 && fresh.len() - raw >= 2
    });
    assert_eq!(
        daemon.metric("gantryd_frames_dropped_total", "unaccounted"),
        0
    );
    assert_eq!(daemon.metric("gantryd_recording_pauses_total", ""), 1);
    assert_eq!(daemon.metric("gantryd_events_dropped_total", "gate"), 0);
    let sink_events = |step: &str| daemon.metric("gantryd_sink_events_total", step);
    assert!(sink_events("spooled") >= 5);
    assert_eq!(sink_events("dropped_unwritten"), 0);
    wait_until("all that was spooled to wait", || {
        daemon.metric("gantryd_sink_waiting", "room") == sink_events("spooled")
    });
    assert_eq!(
        daemon.metric("gantryd_retention_deleted_files_total", ""),
        0
    );

    assert!(daemon.stop());
    assert_eq!(daemon.logged("CRITICAL"), 0);
    assert_eq!(daemon.logged("recording pauses until"), 1, "told once");
    assert_eq!(daemon.logged("recording goes on"), 1, "told once");
    assert_playable(&daemon);
    let events = daemon.events();
    let all: Vec<u64> = (1..=events.len() as u64).collect();
    assert_eq!(events, all, "no event is lost or written twice");
}

#[test]
fn the_oldest_recordings_make_room_and_recording_never_stops() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let camera = CameraProcess::start(&["--file", fixture("street.mp4").to_str().unwrap()]);
    let retention = "min_free_gb = 0.001\nwhen_full = \"delete\"";
    let mut daemon = Daemon::start(&disk, &camera.uri(), retention, false);
    wait_until("recordings that are 10 s old", || {
        daemon.recordings().len() >= 12
    });
    let before = daemon.recordings();
    // A little less than the reserve is free: what is finished makes up for it.
    disk.fill_but(MB - 20_000);
    let by_space = || daemon.metric("gantryd_retention_deleted_files_total", "space");
    wait_until("deleted files", || by_space() > 0);
    let left = daemon.recordings();
    let oldest = before.first().unwrap();
    assert!(!left.contains(oldest), "{before:?} {left:?}");
    wait_until("recording goes on", || {
        daemon.recordings().difference(&left).count() >= 2
    });
    assert_eq!(daemon.metric("gantryd_recording_pauses_total", ""), 0);
    let deleted = usize::try_from(by_space()).unwrap();
    assert!(daemon.stop());
    assert!(daemon.logged("deleted, as [output.retention] says") >= deleted);
    assert_playable(&daemon);
}

#[test]
fn a_limit_that_comes_with_a_reload_counts_and_the_camera_stays_open() {
    let disk = tempfile::tempdir().unwrap();
    let camera = CameraProcess::start(&["--file", fixture("street.mp4").to_str().unwrap()]);
    let mut daemon = Daemon::start_on(disk.path(), &camera.uri(), "min_free_gb = 0", true);
    let bytes = || -> u64 {
        let sizes = daemon.recordings().into_iter();
        sizes
            .map(|name| fs::metadata(daemon.gate.join(name)).unwrap().len())
            .sum()
    };
    wait_until("recordings that are 10 s old, and 2 MB", || {
        daemon.recordings().len() >= 16 && bytes() > 2_000_000
    });
    let before = daemon.recordings();
    assert_eq!(
        daemon.metric("gantryd_retention_deleted_files_total", ""),
        0
    );
    daemon.reload_with("[cameras.retention]\nmax_size_gb = 0.001\n");
    wait_until("deleted files", || {
        assert_eq!(daemon.logged("the configuration is refused"), 0);
        daemon.metric("gantryd_retention_deleted_files_total", "size") > 0
    });
    assert!(!daemon.recordings().contains(before.first().unwrap()));
    assert_eq!(daemon.metric("gantryd_camera_reconnects_total", "gate"), 0);
    let now = daemon.recordings();
    wait_until("recording goes on", || {
        daemon.recordings().difference(&now).count() >= 2
    });
    assert!(daemon.stop());
    assert_playable(&daemon);
}
