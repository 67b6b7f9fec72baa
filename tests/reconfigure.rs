//! A configuration that changes while `gantryd run` goes on: real cameras, real signals, real files.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/camera_process.rs"]
mod camera_process;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use camera_process::CameraProcess;
use gantryd::app::config::Config;
use gantryd::app::films::FilmMakers;
use gantryd::app::pipeline::Newcomers;
use gantryd::app::recorders::Recorders;
use gantryd::app::reload::{ConfigFile, Desk, DeskParts, Watched};
use gantryd::app::run;
use gantryd::base::{ConfigDesk, ConfigRefusal, Event, Metrics};
use gantryd::sinks::retention::CameraLimits;
use gantryd::{CameraId, EventOutlet, Outlet, Pipeline, Published, StopSource, WhenFull};
use serde_json::Value;

/// Longest wait for anything; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// Frames of the street come 25 times a second.
const STEP_NS: u64 = 40_000_000;

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

/// A camera of the file, with a line at `line_x` and a zone.
fn camera(id: &str, uri: &str, line_x: f64) -> String {
    format!(
        "[[cameras]]\nid = {id:?}\nuri = {uri:?}\nconnect_secs = 5\n\
         [[cameras.lines]]\nname = \"west\"\nline_norm = [[{line_x}, 0.98], [{line_x}, 0.02]]\n\
         [[cameras.zones]]\nname = \"street\"\n\
         polygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]\n"
    )
}

/// A running daemon, its folder, its metrics port and the socket it notifies.
struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
    page_port: u16,
    /// Everything systemd was told so far.
    told: Arc<Mutex<String>>,
}

impl Daemon {
    /// Starts with these cameras.
    fn start(cameras: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, page_port) = (free_port(), free_port());
        let text = file_of(port, page_port, cameras);
        std::fs::write(folder.path().join("site.toml"), text).unwrap();
        let socket = folder.path().join("notify");
        let told = hear(&socket);
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::cargo_bin("gantryd")
            .unwrap()
            .args(["run", "--log-format", "json", "--config"])
            .arg(folder.path().join("site.toml"))
            .env("NOTIFY_SOCKET", &socket)
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            folder,
            port,
            page_port,
            told,
        }
    }

    /// Puts these cameras into the file and says so.
    fn change(&self, cameras: &[String]) {
        self.write(&file_of(self.port, self.page_port, cameras));
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("site.toml"), text).unwrap();
        self.hang_up();
    }

    fn hang_up(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    fn lines(&self, camera: &str, name: &str) -> Vec<Value> {
        lines_of(&self.folder.path().join("out").join(camera).join(name))
    }

    /// Result lines of a camera so far.
    fn results(&self, camera: &str) -> Vec<Value> {
        self.lines(camera, "results.jsonl")
    }

    fn wait_for_more(&self, camera: &str, count: usize) {
        let wanted = self.results(camera).len() + count;
        wait_until(&format!("{wanted} results of {camera}"), || {
            self.results(camera).len() >= wanted
        });
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn wait_for_log(&self, text: &str) {
        let began = Instant::now();
        while !self.log().contains(text) {
            assert!(began.elapsed() < PATIENCE, "no {text:?} in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().clone()
    }

    fn get(port: u16, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn metrics(&self) -> String {
        Self::get(self.port, "/metrics")
    }

    /// Does the page know this camera?
    fn is_on_page(&self, camera: &str) -> bool {
        let cameras = Self::get(self.page_port, "/api/v1/cameras");
        assert!(cameras.starts_with("HTTP/1.1 200"), "{cameras}");
        cameras.contains(&format!("\"id\":{camera:?}"))
    }

    /// Sum of the series of a metric that hold `label`.
    fn metric(&self, name: &str, label: &str) -> u64 {
        let answer = self.metrics();
        let series = answer.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{'))
                && line.contains(label)
        });
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    fn wait_for_metric(&self, name: &str, label: &str, value: u64) {
        wait_until(
            &format!("{name}{{{label}}} {value}\n{}", self.log()),
            || self.metric(name, label) == value,
        );
    }

    /// Names of its threads that begin with one of ours.
    fn threads(&self) -> BTreeSet<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let names = tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names
            .map(|name| name.trim().to_owned())
            .filter(|name| name.starts_with("cap-") || name.starts_with("annot-"))
            .collect()
    }

    /// Everything that came of a camera is one run, and no frame was lost on the way to its number.
    fn assert_undisturbed(&self, camera: &str) {
        let results = self.results(camera);
        let value = |line: &Value, key: &str| line[key].as_u64().unwrap();
        for pair in results.windows(2) {
            assert_eq!(pair[1]["type"], "frame", "{camera}: {}", pair[1]);
            assert_eq!(pair[1]["run"], pair[0]["run"], "{camera}: {}", pair[1]);
            // A busy machine passes frames over; each of them has its number.
            let is_later = value(&pair[1], "seq") > value(&pair[0], "seq");
            assert!(is_later, "{camera}: {}", pair[1]);
            // Not one that the camera sent is missing between two; a stream begins with a burst.
            let passed = |key: &str| value(&pair[1], key) - value(&pair[0], key);
            let off = passed("pts_ns").abs_diff(passed("seq") * STEP_NS);
            let is_settled = value(&pair[0], "pts_ns") > 2_000_000_000;
            assert!(
                !is_settled || off < STEP_NS / 2,
                "{camera}: {} to {}",
                pair[0],
                pair[1]
            );
        }
        let (first, last) = (&results[0], &results[results.len() - 1]);
        let passed = |key: &str| value(last, key) - value(first, key);
        // A stream begins with a burst, and its clock is followed with some jitter.
        let missing = passed("pts_ns").abs_diff(passed("seq") * STEP_NS);
        assert!(missing < 1_000_000_000, "{camera}: {first} to {last}");
        assert_eq!(self.metric("gantryd_runs_total", &label(camera)), 0);
        let unaccounted = "reason=\"unaccounted\"";
        assert_eq!(self.metric("gantryd_frames_dropped_total", unaccounted), 0);
    }

    /// Every frame of a camera that went has ended somewhere.
    fn assert_settled(&self, camera: &str) {
        let of = |name: &str| self.metric(name, &label(camera));
        assert_eq!(of("gantryd_frames_in_flight"), 0);
        let ended = of("gantryd_frames_processed_total") + of("gantryd_frames_dropped_total");
        assert_eq!(
            of("gantryd_frames_received_total"),
            ended,
            "{}",
            self.metrics()
        );
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Hears what is told at a socket as systemd does, at once, until nobody asks for it any more.
fn hear(socket: &Path) -> Arc<Mutex<String>> {
    let notified = UnixDatagram::bind(socket).unwrap();
    let patience = Some(Duration::from_millis(100));
    notified.set_read_timeout(patience).unwrap();
    let told = Arc::<Mutex<String>>::default();
    let heard = Arc::downgrade(&told);
    let listen = move || {
        let mut buffer = [0; 4096];
        while let Some(told) = heard.upgrade() {
            if let Ok(size) = notified.recv(&mut buffer) {
                let mut told = told.lock().unwrap();
                *told += &String::from_utf8_lossy(&buffer[..size]);
                told.push('\n');
            }
        }
    };
    std::thread::Builder::new().spawn(listen).unwrap();
    told
}

fn label(camera: &str) -> String {
    format!("camera=\"{camera}\"")
}

fn file_of(port: u16, page_port: u16, cameras: &[String]) -> String {
    format!(
        "[detect]\nmodel = {:?}\n[output]\nfolder = \"out\"\n[record]\nsegment_secs = 3\nencoder = \"x264\"\n\
         [metrics]\nlisten = \"127.0.0.1:{port}\"\n\
         [web]\nlisten = \"127.0.0.1:{page_port}\"\n{}",
        fixture("models/shapes.onnx"),
        cameras.concat()
    )
}

/// Every id that a frame of these result lines shows.
fn ids(results: &[Value]) -> BTreeSet<u64> {
    let frames = results.iter().filter(|line| line["type"] == "frame");
    let tracks = frames.flat_map(|frame| frame["tracks"].as_array().unwrap());
    tracks.map(|track| track["id"].as_u64().unwrap()).collect()
}

/// Event numbers are 1, 2, 3, … whatever happened to the camera.
fn assert_numbered(events: &[Value]) {
    assert!(!events.is_empty());
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["number"], index + 1, "{event}");
    }
}

#[test]
fn a_camera_comes_and_goes_and_comes_back_while_the_others_go_on() {
    let (gate, yard, dock) = (street_camera(), street_camera(), street_camera());
    let gate_text = camera("gate", &gate.uri(), 0.25);
    let yard_text = camera("yard", &yard.uri(), 0.25);
    let dock_text = camera("dock", &dock.uri(), 0.25);
    let mut daemon = Daemon::start(&[gate_text.clone(), yard_text.clone()]);
    daemon.wait_for_more("gate", 40);
    daemon.wait_for_more("yard", 40);
    wait_until("READY", || daemon.told().contains("READY=1"));

    daemon.change(&[gate_text.clone(), yard_text.clone(), dock_text.clone()]);
    daemon.wait_for_more("dock", 60);
    wait_until("dock on the page", || daemon.is_on_page("dock"));
    daemon.wait_for_metric("gantryd_config_changes_total", "outcome=\"applied\"", 1);
    assert_eq!(daemon.metric("gantryd_camera_watched", &label("dock")), 1);
    wait_until("RELOADING and READY", || {
        let told = daemon.told();
        let reloading = told.find("RELOADING=1\nMONOTONIC_USEC=");
        reloading.is_some_and(|at| told[at..].contains("READY=1"))
    });
    daemon.wait_for_more("gate", 20);
    daemon.wait_for_more("yard", 20);
    daemon.assert_undisturbed("gate");
    daemon.assert_undisturbed("yard");
    wait_until("an event of the new camera", || {
        !daemon.lines("dock", "events.jsonl").is_empty()
    });
    let three: BTreeSet<String> = ["cap-0", "cap-1", "cap-2", "annot-0", "annot-1", "annot-2"]
        .map(str::to_owned)
        .into();
    assert_eq!(daemon.threads(), three);

    daemon.change(&[gate_text.clone(), dock_text.clone()]);
    daemon.wait_for_metric("gantryd_camera_watched", &label("yard"), 0);
    wait_until("the threads of yard end", || {
        !daemon.threads().contains("cap-1") && !daemon.threads().contains("annot-1")
    });
    daemon.assert_settled("yard");
    wait_until("yard off the page", || !daemon.is_on_page("yard"));
    assert!(daemon.is_on_page("gate"));
    wait_until("the end of the run", || {
        let results = daemon.results("yard");
        results
            .last()
            .is_some_and(|last| last["type"] == "run_end" && last["reason"] == "stopped")
    });
    let of_yard = |kind: &str| {
        let events = daemon.lines("yard", "events.jsonl").into_iter();
        events.filter(|event| event["type"] == kind).count()
    };
    assert!(of_yard("zone_entry") > 0);
    wait_until("whoever was in yard's zone has left", || {
        of_yard("zone_entry") == of_yard("zone_exit")
    });
    let before = daemon.results("yard");
    daemon.wait_for_more("gate", 20);
    daemon.wait_for_more("dock", 20);
    daemon.assert_undisturbed("gate");
    daemon.assert_undisturbed("dock");

    daemon.change(&[gate_text, dock_text, yard_text]);
    wait_until("yard is back", || {
        let results = daemon.results("yard");
        !ids(&results[before.len()..]).is_empty()
    });
    let results = daemon.results("yard");
    let after = &results[before.len()..];
    assert_eq!(after[0]["run"], 2, "{}", after[0]);
    let last_seq = before.iter().rev().find_map(|line| line["seq"].as_u64());
    assert!(after[0]["seq"].as_u64() > last_seq, "{}", after[0]);
    assert!(
        ids(after).first() > ids(&before).last(),
        "ids are never used twice"
    );
    daemon.wait_for_more("gate", 20);
    daemon.assert_undisturbed("gate");
    for camera in ["gate", "yard", "dock"] {
        assert_numbered(&daemon.lines(camera, "events.jsonl"));
    }
    let pid = rustix::process::Pid::from_child(&daemon.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    wait_until("the end", || daemon.child.try_wait().unwrap().is_some());
    let status = daemon.child.wait().unwrap();
    assert!(status.success(), "{status}: {}", daemon.log());
}

#[test]
fn a_camera_at_another_address_is_opened_anew_and_its_numbering_goes_on() {
    let (gate, yard, other) = (street_camera(), street_camera(), street_camera());
    let yard_text = camera("yard", &yard.uri(), 0.25);
    let daemon = Daemon::start(&[camera("gate", &gate.uri(), 0.25), yard_text.clone()]);
    daemon.wait_for_more("gate", 60);
    daemon.wait_for_more("yard", 20);
    // The recording of the other camera ends, and begins again, while its frames go on.
    let unrecorded = yard_text.replace("connect_secs", "annotate = false\nconnect_secs");
    daemon.change(&[camera("gate", &gate.uri(), 0.25), unrecorded]);
    wait_until("the recorder ends", || {
        !daemon.threads().contains("annot-1")
    });
    daemon.change(&[camera("gate", &gate.uri(), 0.25), yard_text.clone()]);
    wait_until("a recorder begins", || daemon.threads().contains("annot-2"));

    daemon.change(&[camera("gate", &other.uri(), 0.25), yard_text]);
    daemon.wait_for_log("\"reopened\":\"gate\"");
    // Nobody listens there any more: what comes now is of the other.
    gate.kill();
    wait_until("ids of the new run", || {
        let results = daemon.results("gate");
        let end = results.iter().position(|line| line["type"] == "run_end");
        end.is_some_and(|end| !ids(&results[end..]).is_empty())
    });
    let results = daemon.results("gate");
    let end = results
        .iter()
        .position(|line| line["type"] == "run_end")
        .unwrap();
    assert_eq!(results[end]["reason"], "stopped");
    let (before, after) = (&results[..end], &results[end + 1..]);
    assert_eq!(after[0]["run"], 2, "{}", after[0]);
    assert!(after[0]["seq"].as_u64() > before[end - 1]["seq"].as_u64());
    assert!(
        ids(after).first() > ids(before).last(),
        "ids are never used twice"
    );
    assert!(
        results[end + 1..]
            .iter()
            .all(|line| line["type"] == "frame")
    );
    daemon.wait_for_more("yard", 20);
    daemon.assert_undisturbed("yard");
    assert_numbered(&daemon.lines("gate", "events.jsonl"));
}

#[test]
fn what_is_wrong_is_refused_with_its_reason_and_all_go_on() {
    let (gate, yard) = (street_camera(), street_camera());
    let good = [
        camera("gate", &gate.uri(), 0.25),
        camera("yard", &yard.uri(), 0.25),
    ];
    let daemon = Daemon::start(&good);
    daemon.wait_for_more("gate", 20);
    daemon.wait_for_more("yard", 20);

    let refused = |count| {
        daemon.wait_for_metric("gantryd_config_changes_total", "outcome=\"refused\"", count);
    };
    // The new line of gate is fine; the change is made as a whole or not at all.
    let wrong_key = "[service]\nshutdown_timeout_secs = 0\n".to_owned();
    daemon.change(&[camera("gate", &gate.uri(), 0.5), good[1].clone(), wrong_key]);
    refused(1);
    daemon.wait_for_log("service.shutdown_timeout_secs: 0, allowed is 1 to 80");
    daemon.wait_for_log("everything goes on as it was");

    daemon.write("[[cameras]]\nid = gate\n");
    refused(2);
    daemon.wait_for_log("line 2, column 6: string values must be quoted");

    let missing = camera(
        "dock",
        &format!("rtsp://127.0.0.1:{}/cam", free_port()),
        0.25,
    );
    daemon.change(&[camera("gate", &gate.uri(), 0.5), good[1].clone(), missing]);
    refused(3);
    daemon.wait_for_log("camera dock at rtsp://127.0.0.1");
    assert_eq!(daemon.metric("gantryd_camera_watched", &label("dock")), 0);
    assert!(!daemon.threads().contains("cap-2"));

    daemon.change(&[
        good[0].clone(),
        good[1].clone(),
        "[log]\nlevel = \"debug\"\n".to_owned(),
    ]);
    let unchanged = |count| {
        let label = "outcome=\"unchanged\"";
        daemon.wait_for_metric("gantryd_config_changes_total", label, count);
    };
    unchanged(1);
    daemon.wait_for_log("\"keys\":\"log.level\"");
    daemon.change(&good);
    unchanged(2);
    std::fs::remove_file(daemon.folder.path().join("site.toml")).unwrap();
    daemon.hang_up();
    refused(4);
    daemon.wait_for_log("site.toml: reading it: No such file or directory");

    daemon.wait_for_more("gate", 20);
    daemon.wait_for_more("yard", 20);
    daemon.assert_undisturbed("gate");
    daemon.assert_undisturbed("yard");
}

/// A frame path and its desk, in this process.
struct InProcess {
    desk: Desk,
    pipeline: Option<Pipeline>,
    results: crossbeam_channel::Receiver<Published>,
    events: crossbeam_channel::Receiver<Event>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl InProcess {
    fn start(cameras: &str) -> Self {
        Self::start_with(cameras, "every")
    }

    fn start_with(cameras: &str, schedule: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.toml");
        let text = format!(
            "{cameras}[detect]\nmodel = {:?}\nschedule = {schedule:?}\n[record]\nenabled = false\n",
            fixture("models/shapes.onnx")
        );
        std::fs::write(&path, &text).unwrap();
        let config = Config::load(&path).unwrap();
        let (metrics, stop) = (Metrics::new(), StopSource::default());
        let (sender, results) = crossbeam_channel::bounded(10_000);
        let (event_sender, events) = crossbeam_channel::bounded(10_000);
        let outlet = |id: &CameraId| Outlet::new(sender.clone(), WhenFull::Drop).of(id.clone());
        let event_outlet =
            |id: &CameraId| EventOutlet::new(event_sender.clone(), WhenFull::Drop, id.clone());
        let all = || config.cameras.iter().map(|camera| &camera.id);
        let prepared = Pipeline::prepare(run::options(&config).unwrap()).unwrap();
        let classes = prepared.class_names();
        let mut pipeline = prepared
            .with_event_outlets(all().map(event_outlet).collect())
            .changeable(Newcomers {
                results: all().take(1).map(outlet).collect(),
                events: all().take(1).map(event_outlet).collect(),
            })
            .start(
                all().map(outlet).collect(),
                Arc::clone(&metrics),
                stop.clone(),
            )
            .unwrap();
        let room = Arc::default();
        let desk = Desk::new(DeskParts {
            file: ConfigFile::new(&path),
            text,
            changes: pipeline.take_changes().unwrap(),
            recorders: Arc::new(Recorders::new(&config, &classes, &metrics, &room, &stop)),
            films: Arc::new(FilmMakers::new(&config, &classes, &metrics, &room, &stop)),
            limits: CameraLimits::default(),
            watched: Watched::new(&config.cameras, &metrics),
            classes,
            model: "shapes".to_owned(),
            metrics,
            room,
            config,
        });
        Self {
            desk,
            pipeline: Some(pipeline),
            results,
            events,
            path,
            _folder: folder,
        }
    }

    /// Waits for a result that `is_wanted`, and gives everything up to it.
    fn results_until(&self, is_wanted: impl Fn(&Published) -> bool) -> Vec<Published> {
        let mut all = Vec::new();
        loop {
            all.push(self.results.recv_timeout(PATIENCE).unwrap());
            if is_wanted(&all[all.len() - 1]) {
                return all;
            }
        }
    }

    /// Waits for an event at this place.
    fn event_at(&self, place: &str) -> Event {
        loop {
            let event = self.events.recv_timeout(PATIENCE).unwrap();
            if format!("{:?}", event.kind).contains(&format!("{place:?}")) {
                return event;
            }
        }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        let pipeline = self.pipeline.take().unwrap();
        pipeline.stop_source().stop();
        let late = pipeline.join_until(Instant::now() + Duration::from_secs(20));
        if !std::thread::panicking() {
            assert_eq!(late.unwrap(), Vec::<String>::new());
        }
    }
}

#[test]
fn a_line_is_moved_at_the_desk_while_the_run_goes_on() {
    let gate = street_camera();
    let daemon = InProcess::start(&camera("gate", &gate.uri(), 0.25));
    let first = daemon.event_at("west");
    let before = daemon.desk.current().unwrap();

    let text = before
        .text
        .replace("\"west\"", "\"middle\"")
        .replace("0.25", "0.5");
    let checked = daemon.desk.check(&text).unwrap();
    assert_eq!(checked.adjusted, ["gate"]);
    assert_eq!(
        daemon.desk.current().unwrap(),
        before,
        "a check changes nothing"
    );
    assert_eq!(daemon.desk.apply(&text, &before.revision).unwrap(), checked);
    assert_eq!(std::fs::read_to_string(&daemon.path).unwrap(), text);

    let crossing = daemon.event_at("middle");
    assert_eq!(crossing.frame.run, first.frame.run);
    assert!(crossing.number > first.number);
    let seen = daemon.results_until(
        |item| matches!(item, Published::Frame(result) if result.meta.seq >= crossing.frame.seq),
    );
    let is_notice = |item: &&Published| matches!(item, Published::Watched { .. });
    assert_eq!(seen.iter().filter(is_notice).count(), 1);
    let at = seen
        .iter()
        .position(|it| matches!(it, Published::Watched { .. }))
        .unwrap();
    // The same objects, by the same ids, before and after: the tracker went on.
    let ids = |items: &[Published]| -> BTreeSet<u64> {
        let tracks = items.iter().filter_map(|item| match item {
            Published::Frame(result) => Some(result.tracks.iter().map(|track| track.id.0)),
            _ => None,
        });
        tracks.flatten().collect()
    };
    let (old, new) = seen.split_at(at);
    let is_frame = |item: &&Published| matches!(item, Published::Frame(_));
    let last_old = old.iter().rfind(is_frame).unwrap();
    let first_new = new.iter().find(is_frame).unwrap();
    let of = |item: &Published| ids(std::slice::from_ref(item));
    let both: Vec<u64> = of(last_old).intersection(&of(first_new)).copied().collect();
    assert!(!both.is_empty(), "{last_old:?} and then {first_new:?}");
    for item in &seen {
        assert!(
            !matches!(item, Published::RunEnded { .. }),
            "the stream was not opened again"
        );
    }
    // The zone stands as it stood: its count goes on.
    let entries = |items: &[Published]| {
        let counts = items.iter().rev().find_map(|item| match item {
            Published::Frame(result) => result.counts.clone(),
            _ => None,
        });
        counts.unwrap().zones[0].entries
    };
    assert!(entries(&seen) >= entries(old).max(1));

    let outdated = daemon.desk.apply(&before.text, &before.revision);
    assert_eq!(outdated.unwrap_err(), ConfigRefusal::Outdated);
}

#[test]
fn a_camera_that_gives_no_frame_leaves_the_file_and_the_daemon_as_they_were() {
    let gate = street_camera();
    let daemon = InProcess::start(&camera("gate", &gate.uri(), 0.25));
    daemon.event_at("west");
    let before = daemon.desk.current().unwrap();
    let gone = format!("rtsp://127.0.0.1:{}/cam", free_port());

    let text = format!("{}{}", camera("dock", &gone, 0.5), before.text);
    assert_eq!(
        daemon.desk.check(&text).unwrap().added,
        ["dock"],
        "it opens nothing"
    );
    match daemon.desk.apply(&text, &before.revision).unwrap_err() {
        ConfigRefusal::Camera(told) => {
            assert!(
                told.starts_with("camera dock at its address: it gave no frame")
                    && !told.contains(&gone),
                "{told}"
            );
        }
        other => panic!("{other:?}"),
    }
    let moved = before.text.replace(&gate.uri(), &gone);
    let refusal = daemon.desk.apply(&moved, &before.revision).unwrap_err();
    assert!(matches!(refusal, ConfigRefusal::Camera(_)), "{refusal:?}");
    let unknown = before
        .text
        .replace("connect_secs = 5", "classes = [\"unicorn\"]");
    match daemon.desk.apply(&unknown, &before.revision).unwrap_err() {
        ConfigRefusal::Invalid(faults) => {
            assert!(faults[0].starts_with("cameras[0].classes: "), "{faults:?}")
        }
        other => panic!("{other:?}"),
    }

    assert_eq!(daemon.desk.current().unwrap(), before);
    let seen = daemon.results.try_iter().collect::<Vec<_>>();
    let more = daemon.results_until(|item| matches!(item, Published::Frame(_)));
    for item in seen.iter().chain(&more) {
        assert!(matches!(item, Published::Frame(_)), "{item:?}");
    }
}

#[test]
fn a_camera_that_comes_is_looked_at_as_the_schedule_says() {
    let (gate, dock) = (street_camera(), street_camera());
    let daemon = InProcess::start_with(&camera("gate", &gate.uri(), 0.25), "adaptive");
    daemon.event_at("west");
    let before = daemon.desk.current().unwrap();
    let text = format!("{}{}", camera("dock", &dock.uri(), 0.5), before.text);
    assert_eq!(
        daemon.desk.apply(&text, &before.revision).unwrap().added,
        ["dock"]
    );
    for is_wanted in [true, false] {
        daemon.results_until(|item| {
            let Published::Frame(result) = item else {
                return false;
            };
            result.meta.camera.as_str() == "dock" && result.is_detected == is_wanted
        });
    }
    let now = daemon.desk.current().unwrap();
    let removed = daemon.desk.apply(&before.text, &now.revision).unwrap();
    assert_eq!(removed.removed, ["dock"]);
    daemon.results_until(|item| matches!(item, Published::Gone { .. }));
}
