//! Half an hour of everything at once: four cameras, every kind of sink, recordings, clips, pictures,
//! state, a viewer, and again and again something of it dies. Memory, threads and open files stay flat,
//! the frame balance closes, and every event arrives everywhere.
//!
//! `cargo test --release --test sinks -- --ignored --nocapture half_an_hour`
//! GANTRYD_SOAK_MINUTES sets another length, GANTRYD_SOAK_BINARY another program, GANTRYD_SOAK_OUT a
//! folder for the samples and the plot.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;

use crate::camera_process::CameraProcess;
use crate::kafka::Cluster;
use crate::mqtt::Mosquitto;
use crate::nats::NatsServer;
use crate::outage::{Receiver, firsts};
use crate::redis::RedisServer;
use crate::webhook::Hook;
use crate::{free_port, is_installed, wait_until};

const CAMERAS: usize = 4;

/// A camera is away for so long, and a broker.
const CAMERA_AWAY: Duration = Duration::from_secs(6);
const BROKER_AWAY: Duration = Duration::from_secs(15);

/// From one death to the next.
const CALM: Duration = Duration::from_secs(10);

/// Longest time to read what a broker has.
const READING: Duration = Duration::from_secs(60);

/// From one sample to the next.
const SAMPLE: Duration = Duration::from_secs(5);

/// What grows by less than this over half the time does not grow: the allocator's own ups and downs.
const FLAT_MIB: f64 = 24.0;

/// One look at the process.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at_s: f64,
    memory_mib: f64,
    threads: f64,
    files: f64,
    received: f64,
    ended: f64,
}

/// The values of all series of a metric, added up.
fn sum(metrics: &str, name: &str) -> f64 {
    let is_it = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    let values = metrics.lines().filter(is_it);
    values
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

struct Soak {
    folder: tempfile::TempDir,
    metrics_port: u16,
    web_port: u16,
    child: Option<Child>,
    began: Instant,
    samples: Vec<Sample>,
}

impl Soak {
    fn start(cameras: &[CameraProcess], sinks: &str) -> Self {
        let (metrics_port, web_port) = (free_port(), free_port());
        let folder = tempfile::tempdir().unwrap();
        let model = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/models/shapes.onnx"
        );
        let mut text = format!(
            "[detect]\nmodel = {model:?}\n\
             [output]\njsonl = true\nrotate_mib = 16\n\
             [output.retention]\nmax_size_gb = 0.3\nclips_max_size_gb = 0.1\n\
             [record]\nsegment_secs = 60\n\
             [clips]\nevents = [\"line_crossing\"]\nplaces = [\"line-1\"]\n\
             [snapshots]\nevents = [\"line_crossing\"]\n\
             [metrics]\nlisten = \"127.0.0.1:{metrics_port}\"\n\
             [web]\nlisten = \"127.0.0.1:{web_port}\"\n{sinks}"
        );
        for (index, camera) in cameras.iter().enumerate() {
            let number = index + 1;
            write!(
                text,
                "[[cameras]]\nid = \"gate-{number}\"\nuri = {:?}\nraw = {}\n\
                 [[cameras.zones]]\nname = \"street\"\npolygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]\n",
                camera.uri(),
                number % 2 == 0,
            )
            .unwrap();
            for line in 1..=3 {
                let x = f64::from(line) / 4.0;
                write!(
                    text,
                    "[[cameras.lines]]\nname = \"line-{line}\"\nline_norm = [[{x:.3}, 0.98], [{x:.3}, 0.02]]\n"
                )
                .unwrap();
            }
        }
        let config = folder.path().join("site.toml");
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = match std::env::var_os("GANTRYD_SOAK_BINARY") {
            Some(program) => Command::new(program),
            None => Command::cargo_bin("gantryd").unwrap(),
        };
        let child = command
            .args(["run", "--log-format", "json", "--config"])
            .arg(config)
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Self {
            folder,
            metrics_port,
            web_port,
            child: Some(child),
            began: Instant::now(),
            samples: Vec::new(),
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn metrics(&self) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics_port)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .ok()?;
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn sample(&mut self) {
        let Some(metrics) = self.metrics() else {
            return;
        };
        let of = |name| sum(&metrics, name);
        let sample = Sample {
            at_s: self.began.elapsed().as_secs_f64(),
            memory_mib: of("process_resident_memory_bytes") / f64::from(1 << 20),
            threads: of("process_threads"),
            files: of("process_open_fds"),
            received: of("gantryd_frames_received_total"),
            ended: of("gantryd_frames_processed_total") + of("gantryd_frames_dropped_total"),
        };
        self.samples.push(sample);
    }

    /// Samples until `until`.
    fn rest(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            assert!(
                self.child.as_mut().unwrap().try_wait().unwrap().is_none(),
                "it ended: {}",
                self.log()
            );
            self.sample();
            let left = end.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(SAMPLE));
        }
    }

    /// Somebody looks at a camera, forgets it, and looks again.
    fn look(&self) {
        let number = self.samples.len() % CAMERAS + 1;
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.web_port)) else {
            return;
        };
        let path = format!("/api/v1/cameras/gate-{number}/live.mjpeg");
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        if stream.write_all(request.as_bytes()).is_ok() {
            let mut some = [0; 100_000];
            stream.read_exact(&mut some).ok();
        }
    }

    /// Event lines of a camera, all files of it.
    fn events(&self, camera: &str) -> Vec<Value> {
        let folder = self.folder.path().join("out").join(camera);
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with("events") && name.ends_with(".jsonl")
            })
            .collect();
        files.sort();
        let text: String = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Soak {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
        if std::thread::panicking() {
            let log = self.log();
            let end = log.char_indices().nth_back(6000).map_or(0, |(at, _)| at);
            eprintln!("{}", &log[end..]);
        }
    }
}

fn camera(port: Option<u16>) -> CameraProcess {
    let film = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/street.mp4");
    let port = port.unwrap_or(0).to_string();
    CameraProcess::start(&["--file", film, "--port", &port])
}

#[test]
#[ignore = "takes half an hour"]
fn half_an_hour_of_everything_with_deaths_is_flat_and_loses_nothing() {
    if !["mosquitto", "nats-server", "redis-server"]
        .iter()
        .all(|it| is_installed(it, it))
    {
        return;
    }
    let minutes = std::env::var("GANTRYD_SOAK_MINUTES").map_or(30.0, |it| it.parse().unwrap());
    let length = Duration::from_secs_f64(minutes * 60.0);
    let mut cameras: Vec<CameraProcess> = (0..CAMERAS).map(|_| camera(None)).collect();
    let mut brokers: Vec<(&str, Box<dyn Receiver>)> = Vec::new();
    let mut sinks = String::new();
    let mut add = |name: &'static str, receiver: Box<dyn Receiver>, keys: &str| {
        sinks += &format!("[[sinks]]\nname = {name:?}\nspool_mib = 256\n{keys}");
        brokers.push((name, receiver));
    };
    let mqtt = Mosquitto::new("autosave_interval 5\n", None);
    let keys = crate::mqtt::sink(mqtt.server.port, "5") + "results_hz = 2\nzone_state = true\n";
    add("mqtt", Box::new(mqtt), &keys);
    let nats = NatsServer::new(&[]);
    let keys = crate::nats::sink(nats.server.port) + "results_hz = 2\n";
    add("nats", Box::new(nats), &keys);
    let redis = RedisServer::new(&["--requirepass", "right"]);
    let password = redis.server.file("password");
    std::fs::write(&password, "right\n").unwrap();
    let keys = crate::redis::with_password(redis.server.port, &password);
    add("redis", Box::new(redis), &keys);
    let kafka = Cluster::new("plant.7.events");
    let keys = kafka.sink();
    add("kafka", Box::new(kafka), &keys);
    let hook = Hook::new();
    let keys = hook.sink();
    add("hook", Box::new(hook), &keys);
    for (_, broker) in &mut brokers {
        broker.start();
    }

    let mut soak = Soak::start(&cameras, &sinks);
    let mut turn = 0;
    while soak.began.elapsed() < length {
        soak.rest(CALM);
        soak.look();
        let index = turn % CAMERAS;
        let port = cameras[index].port;
        cameras.remove(index).kill();
        soak.rest(CAMERA_AWAY);
        cameras.insert(index, camera(Some(port)));
        soak.rest(CALM);
        let index = turn % brokers.len();
        brokers[index].1.stop();
        soak.rest(BROKER_AWAY);
        brokers[index].1.start();
        turn += 1;
    }
    // No more frames; what is under way ends, and what waits is delivered.
    cameras.into_iter().for_each(CameraProcess::kill);
    wait_until("everything delivered", || {
        let metrics = soak.metrics().unwrap_or_default();
        metrics.contains("gantryd_sink_waiting")
            && sum(&metrics, "gantryd_sink_waiting") == 0.0
            && sum(&metrics, "gantryd_frames_in_flight") == 0.0
    });
    let metrics = soak.metrics().unwrap();
    let mut child = soak.child.take().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");

    keep(&soak);
    let written = (1..=CAMERAS).map(|number| soak.events(&format!("gate-{number}")));
    let written: Vec<Vec<Value>> = written.collect();
    eprintln!(
        "{turn} cameras and {turn} brokers died in {minutes} min; {:.0} frames, {} events",
        sum(&metrics, "gantryd_frames_received_total"),
        written.iter().map(Vec::len).sum::<usize>(),
    );
    let all: usize = written.iter().map(Vec::len).sum();
    for (name, broker) in &brokers {
        // A reader may lag behind its broker on a busy machine.
        let began = Instant::now();
        let mut received = broker.received();
        while received.len() < all && began.elapsed() < READING {
            received = broker.received();
        }
        nothing_is_missing(name, &received, &written);
    }
    let of = |name| sum(&metrics, name);
    let ended = of("gantryd_frames_processed_total") + of("gantryd_frames_dropped_total");
    assert_eq!(
        of("gantryd_frames_received_total"),
        ended,
        "the balance closes"
    );
    let counted = |words: &str| {
        let lines = metrics.lines().filter(|line| line.contains(words));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum::<f64>()
    };
    assert_eq!(counted("reason=\"unaccounted\""), 0.0, "{metrics}");
    assert_eq!(of("gantryd_events_dropped_total"), 0.0);
    for lost in ["dropped_full", "dropped_unwritten", "refused"] {
        assert_eq!(counted(&format!("step=\"{lost}\"")), 0.0, "{metrics}");
    }
    is_flat(&soak.samples);
}

/// Each event of the files came, and those of a camera in order.
fn nothing_is_missing(sink: &str, received: &[String], written: &[Vec<Value>]) {
    let mut by_camera: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for envelope in firsts(received) {
        let camera = envelope["data"]["camera"].as_str().unwrap().to_owned();
        by_camera.entry(camera).or_default().push(envelope);
    }
    for (index, events) in written.iter().enumerate() {
        let camera = format!("gate-{}", index + 1);
        let came = by_camera.remove(&camera).unwrap_or_default();
        assert!(!events.is_empty(), "{camera} saw nothing");
        let numbers = |it: &Value| it["sequence"].as_str().unwrap().parse::<usize>().unwrap();
        let numbers: BTreeSet<usize> = came.iter().map(numbers).collect();
        let missing: Vec<usize> = (1..=events.len())
            .filter(|number| !numbers.contains(number))
            .collect();
        assert!(
            missing.is_empty(),
            "{sink}, {camera}: {missing:?} of {}",
            events.len()
        );
        assert_eq!(came.len(), events.len(), "{sink}, {camera}");
        for (number, (envelope, event)) in came.iter().zip(events).enumerate() {
            let expected = format!("{:020}", number + 1);
            assert_eq!(envelope["sequence"], expected.as_str(), "{sink}, {camera}");
            assert_eq!(envelope["data"], *event, "{sink}, {camera}");
        }
    }
    eprintln!(
        "{sink}: {} messages, every event among them",
        received.len()
    );
}

/// After a third of the time nothing grows.
fn is_flat(samples: &[Sample]) {
    let warm = samples.len() / 3;
    let half = warm + (samples.len() - warm) / 2;
    let median = |range: &[Sample], of: fn(&Sample) -> f64| {
        let mut values: Vec<f64> = range.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    for (name, of, most) in [
        (
            "memory, MiB",
            (|it| it.memory_mib) as fn(&Sample) -> f64,
            FLAT_MIB,
        ),
        ("threads", |it| it.threads, 2.0),
        ("open files", |it| it.files, 4.0),
    ] {
        let before = median(&samples[warm..half], of);
        let after = median(&samples[half..], of);
        eprintln!("{name}: {before:.1} in the second third, {after:.1} in the last");
        assert!(
            after <= before + most,
            "{name} grew from {before} to {after}"
        );
    }
}

/// The samples as CSV, and drawn.
fn keep(soak: &Soak) {
    let Some(folder) = std::env::var_os("GANTRYD_SOAK_OUT").map(PathBuf::from) else {
        return;
    };
    let mut csv = "seconds,memory_mib,threads,open_files,frames_received,frames_ended\n".to_owned();
    for it in &soak.samples {
        writeln!(
            csv,
            "{:.1},{:.2},{},{},{},{}",
            it.at_s, it.memory_mib, it.threads, it.files, it.received, it.ended
        )
        .unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("soak.csv"), csv).unwrap();
    std::fs::write(folder.join("soak.svg"), drawing(&soak.samples)).unwrap();
}

/// Name, colour, figure.
type Curve = (&'static str, &'static str, fn(&Sample) -> f64);

/// Three curves over the time, each from 0 to its largest.
fn drawing(samples: &[Sample]) -> String {
    let last = samples.last().map_or(1.0, |it| it.at_s);
    let mut svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 470\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        .to_owned();
    let curves: [Curve; 3] = [
        ("memory, MiB", "#0072b2", |it| it.memory_mib),
        ("threads", "#d55e00", |it| it.threads),
        ("open files", "#009e73", |it| it.files),
    ];
    for (index, (name, colour, of)) in curves.iter().enumerate() {
        let top = 30 + index * 145;
        let most = samples.iter().map(of).fold(1.0, f64::max);
        let points: Vec<String> = samples
            .iter()
            .map(|it| {
                let (x, y) = (it.at_s / last * 640.0, 100.0 - of(it) / most * 100.0);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        writeln!(
            svg,
            "<g transform=\"translate(70 {top})\"><text y=\"-8\">{name}</text>\
             <rect width=\"640\" height=\"100\" fill=\"none\" stroke=\"#999\"/>\
             <text x=\"-6\" y=\"10\" text-anchor=\"end\">{most:.0}</text>\
             <text x=\"-6\" y=\"100\" text-anchor=\"end\">0</text>\
             <text x=\"640\" y=\"116\" text-anchor=\"end\">{:.0} min</text>\
             <polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/></g>",
            last / 60.0,
            points.join(" ")
        )
        .unwrap();
    }
    svg + "</svg>\n"
}
