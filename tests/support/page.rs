//! A daemon with a page, one real camera, and what speaks HTTP with it.

#![allow(dead_code, reason = "each test program uses its part")]
#![allow(
    clippy::allow_attributes,
    reason = "expect() would fire where all is used"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;

use super::camera_process::CameraProcess;

/// Longest wait for anything; reached only when a test fails.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    path.to_str().unwrap().to_owned()
}

pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// A client that takes every status as an answer; over TLS it trusts `root` (PEM) alone.
pub fn client(root: Option<&[u8]>) -> ureq::Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ureq::tls::TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
    if let Some(pem) = root {
        let root = ureq::tls::Certificate::from_pem(pem).unwrap();
        tls = tls.root_certs(ureq::tls::RootCerts::new_with_certs(&[root]));
    }
    ureq::Agent::config_builder()
        // The daemon closes what was idle for a while, which a busy machine reaches.
        .max_idle_connections(0)
        .tls_config(tls.build())
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .new_agent()
}

/// Status, headers and body.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A running `gantryd run` with the camera `street`, which sends the drawn street over and over.
pub struct PageDaemon {
    child: Child,
    pub port: u16,
    pub metrics_port: u16,
    pub folder: tempfile::TempDir,
    pub client: ureq::Agent,
    scheme: &'static str,
    camera: Option<CameraProcess>,
    camera_args: Vec<String>,
}

impl PageDaemon {
    /// On 127.0.0.1 with `web` as further lines of `[web]`.
    pub fn start(web: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), web, None)
    }

    /// The same with files in `folder`; with `root` over TLS.
    pub fn start_in(folder: tempfile::TempDir, web: &str, root: Option<&[u8]>) -> Self {
        Self::start_with(folder, web, root, &["--file", &fixture("street.mp4")])
    }

    /// The same with a camera that was started so.
    pub fn start_with(
        folder: tempfile::TempDir,
        web: &str,
        root: Option<&[u8]>,
        camera_args: &[&str],
    ) -> Self {
        Self::start_beside(folder, web, root, camera_args, None)
    }

    /// The same where libraries are looked for in a folder first.
    pub fn start_beside(
        folder: tempfile::TempDir,
        web: &str,
        root: Option<&[u8]>,
        camera_args: &[&str],
        libraries: Option<&std::path::Path>,
    ) -> Self {
        let camera = CameraProcess::start(camera_args);
        let (port, metrics_port) = (free_port(), free_port());
        let text = format!(
            "[detect]\nmodel = {:?}\n[record]\nenabled = false\n\
             [metrics]\nlisten = \"127.0.0.1:{metrics_port}\"\n\
             [[cameras]]\nid = \"street\"\nuri = {:?}\n\
             [web]\nlisten = \"127.0.0.1:{port}\"\nmax_width_px = 320\n{web}",
            fixture("models/shapes.onnx"),
            camera.uri()
        );
        let config = folder.path().join("site.toml");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::cargo_bin("gantryd").unwrap();
        if let Some(libraries) = libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let child = command
            .args(["run", "--config", config.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self {
            child,
            port,
            metrics_port,
            client: client(root),
            scheme: if root.is_some() { "https" } else { "http" },
            folder,
            camera_args: camera_args.iter().map(|it| (*it).to_owned()).collect(),
            camera: Some(camera),
        };
        wait_until("an answer", || {
            let asked = daemon.client.get(daemon.url("/page.css")).call();
            asked.is_ok_and(|answer| answer.status() == 200)
        });
        daemon
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The camera is away for a moment, then there again at the same address.
    pub fn lose_camera(&mut self, meanwhile: impl FnOnce(&Self)) {
        let camera = self.camera.take().unwrap();
        let port = camera.port.to_string();
        camera.kill();
        meanwhile(self);
        let mut args: Vec<&str> = self.camera_args.iter().map(String::as_str).collect();
        args.extend(["--port", &port]);
        self.camera = Some(CameraProcess::start(&args));
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.port)
    }

    /// The answer to a request with these headers, and with a body of JSON if there is one.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        request(&self.client, method, &self.url(path), headers, body)
    }

    /// The answer to a log-in.
    pub fn log_in(&self, name: &str, password: &str) -> Answer {
        let words = serde_json::json!({ "name": name, "password": password });
        self.ask("POST", "/api/v1/login", &[], Some(&words))
    }

    /// Cookie and CSRF token of a new session.
    pub fn session(&self, name: &str, password: &str) -> (String, String) {
        let answer = self.log_in(name, password);
        assert_eq!(answer.status, 204, "{}", answer.text);
        let cookie = answer.header("set-cookie");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let session = self.ask("GET", "/api/v1/session", &[("Cookie", &cookie)], None);
        let csrf = session.json()["csrf"].as_str().unwrap().to_owned();
        (cookie, csrf)
    }

    /// What `/metrics` says.
    pub fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics_port);
        request(&self.client, "GET", &url, &[], None).text
    }

    /// The status of what is sent as it is, and everything after.
    pub fn raw(&self, head: &str) -> (u16, String) {
        let mut stream = self.connect();
        write!(stream, "{head}").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.get(9..12).and_then(|it| it.parse().ok());
        (status.unwrap_or(0), text)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for PageDaemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The answer to one request.
pub fn request(
    client: &ureq::Agent,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = match body {
        Some(body) => {
            let request = request.header("Content-Type", "application/json");
            client.run(request.body(body.to_string()).unwrap())
        }
        None => client.run(request.body(String::new()).unwrap()),
    };
    let answer = answer.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let (parts, mut body) = answer.into_parts();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text: body.read_to_string().unwrap(),
    }
}
