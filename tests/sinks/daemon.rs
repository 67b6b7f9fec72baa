//! A daemon that films a street and sends what happens there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;

use crate::camera_process::CameraProcess;
use crate::{free_port, wait_until};

/// The configuration and the folder of a daemon, whether it runs or not.
pub struct Site {
    pub folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
    /// Films the street over and over.
    camera: CameraProcess,
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    path.to_str().unwrap().to_owned()
}

impl Site {
    /// A site whose only sink, `room`, has the keys in `sink`. Files named there lie in its folder.
    pub fn new(sink: &str) -> Self {
        let camera = CameraProcess::start(&["--file", &fixture("street.mp4")]);
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
            child: None,
            camera,
        };
        site.configure(sink);
        site
    }

    /// Another sink, from the next start on.
    pub fn configure(&self, sink: &str) {
        let mut text = format!(
            "[detect]\nmodel = {:?}\n[output]\njsonl = false\n[record]\nenabled = false\n\
             [metrics]\nlisten = \"127.0.0.1:{}\"\n[[sinks]]\nname = \"room\"\n{sink}\n\
             [[cameras]]\nid = \"gate\"\nuri = {:?}\n\
             [[cameras.zones]]\nname = \"street\"\npolygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]\n",
            fixture("models/shapes.onnx"),
            self.port,
            self.camera.uri(),
        );
        // Many lines make many events.
        for number in 1..=16 {
            let x = f64::from(number) / 17.0;
            text += &format!(
                "[[cameras.lines]]\nname = \"line-{number}\"\nline_norm = [[{x:.3}, 0.98], [{x:.3}, 0.02]]\n"
            );
        }
        std::fs::write(self.folder.path().join("site.toml"), text).unwrap();
    }

    /// Nothing is counted any more, from the next start on.
    pub fn forget_places(&self) {
        let file = self.folder.path().join("site.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let (kept, _) = text.split_once("[[cameras.zones]]").unwrap();
        std::fs::write(file, kept).unwrap();
    }

    pub fn start(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let config = self.folder.path().join("site.toml");
        let child = Command::cargo_bin("gantryd")
            .unwrap()
            .args(["run", "--log-format", "json", "--config"])
            .arg(config)
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM; waits for the end, which must be a good one.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn wait_for_log(&self, words: &str) {
        wait_until(&format!("{words:?} in the log"), || {
            self.log().contains(words)
        });
    }

    /// Everything that is measured; nothing while nobody answers.
    fn metrics(&self) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return String::new();
        };
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        let asked = stream.write_all(request.as_bytes());
        match asked.and_then(|()| stream.read_to_string(&mut answer)) {
            Ok(_) => answer,
            Err(_) => String::new(),
        }
    }

    /// Results that the sink dropped for this reason.
    pub fn results_dropped(&self, reason: &str) -> u64 {
        let labels = ["stage=\"publish\"", &format!("reason=\"{reason}\"")];
        let answer = self.metrics();
        let lines = answer.lines().filter(|line| {
            line.starts_with("gantryd_results_dropped_total{")
                && labels.iter().all(|label| line.contains(label))
        });
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// Value of a metric of the sink, 0 while there is none; `step` is that of `sink_events`.
    pub fn metric(&self, name: &str, step: Option<&str>) -> u64 {
        let answer = self.metrics();
        let step = step.map(|step| format!("step=\"{step}\""));
        let line = answer.lines().find(|line| {
            line.starts_with(&format!("gantryd_{name}{{"))
                && line.contains("sink=\"room\"")
                && step
                    .as_ref()
                    .is_none_or(|step| line.contains(step.as_str()))
        });
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Whole lines of the camera's event file.
    pub fn events(&self) -> Vec<Value> {
        let file = self.folder.path().join("out/gate/events.jsonl");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}
