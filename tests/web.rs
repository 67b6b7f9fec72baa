//! The page of `gantryd run`: a real camera, a real daemon, a real browser.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/camera_process.rs"]
mod camera_process;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use browser::Browser;
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

fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(soon(is_so), "waited in vain: {what}");
}

/// Whether it is so before the patience is over.
fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    true
}

/// A running daemon with a page.
struct Daemon {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
    _camera: CameraProcess,
}

impl Daemon {
    /// One camera, `street`, which sends the drawn street over and over, with a line and a zone.
    fn start() -> Self {
        let camera = CameraProcess::start(&["--file", &fixture("street.mp4")]);
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let text = format!(
            "[detect]\nmodel = {:?}\n[record]\nenabled = false\n[metrics]\nlisten = \"off\"\n\
             [web]\nlisten = \"127.0.0.1:{port}\"\nmax_width_px = 480\n\
             [[cameras]]\nid = \"street\"\nuri = {:?}\n\
             [[cameras.lines]]\nname = \"west\"\nline_norm = [[0.25, 0.98], [0.25, 0.02]]\n\
             [[cameras.lines]]\nname = \"east\"\nline_norm = [[0.7, 0.98], [0.7, 0.02]]\n\
             [[cameras.zones]]\nname = \"road\"\n\
             polygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]\n",
            fixture("models/shapes.onnx"),
            camera.uri()
        );
        let config = folder.path().join("site.toml");
        std::fs::write(&config, text).unwrap();
        let child = Command::cargo_bin("gantryd")
            .unwrap()
            .args(["run", "--config", config.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self {
            child,
            port,
            _folder: folder,
            _camera: camera,
        };
        wait_until("a picture", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
                && daemon.get("/api/v1/cameras/street/snapshot.jpg").0 == 200
        });
        daemon
    }

    /// Status and body.
    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let host = format!("Host: 127.0.0.1:{}", self.port);
        ask(self.port, &format!("GET {path} HTTP/1.1\r\n{host}\r\n"))
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}");
        serde_json::from_slice(&body).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Status and body of the answer to a request whose head lacks its last line.
fn ask(port: u16, head: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
    (status, answer.split_off(end + 4))
}

#[test]
fn the_api_tells_what_the_cameras_see_and_keeps_others_out() {
    let daemon = Daemon::start();
    let cameras = daemon.json("/api/v1/cameras");
    let camera = &cameras[0];
    assert_eq!(camera["id"], "street");
    assert_eq!(camera["lines"][0]["name"], "west");
    assert_eq!(camera["zones"][0]["points"].as_array().unwrap().len(), 4);
    let text = cameras.to_string();
    assert!(!text.contains("rtsp"), "no address of a camera: {text}");

    let (_, jpeg) = daemon.get("/api/v1/cameras/street/snapshot.jpg");
    let picture = image::load_from_memory(&jpeg).unwrap();
    assert_eq!(picture.width(), 480, "scaled down");

    wait_until("a crossing", || {
        let events = daemon.json("/api/v1/cameras/street/events");
        let events = events.as_array().unwrap();
        events.iter().any(|event| event["type"] == "line_crossing")
    });
    wait_until("a turn", || {
        let so_far = daemon.json("/api/v1/cameras/street/counts");
        let crossed = |line: usize| so_far["counts"]["lines"][line]["in"].as_u64();
        assert_eq!(so_far["camera"], "street");
        let turn = &so_far["counts"]["turns"][0];
        turn["count"].as_u64() >= Some(1) && crossed(0).is_some() && crossed(1).is_some()
    });
    let minutes = daemon.json("/api/v1/cameras/street/minutes");
    let minutes = minutes.as_array().unwrap();
    assert!(minutes.iter().any(|row| row["place"] == "west"));
    let newest = daemon.json("/api/v1/cameras/street/events?limit=1");
    let number = newest[0]["number"].as_u64().unwrap();
    let later = format!("/api/v1/cameras/street/events?after={number}&limit=1");
    for event in daemon.json(&later).as_array().unwrap() {
        assert!(event["number"].as_u64().unwrap() > number);
    }

    let (status, text) = daemon.get("/api/v1/cameras/gate/events");
    let text = String::from_utf8(text).unwrap();
    assert_eq!(
        (status, &*text),
        (404, "no camera \"gate\"; there are: street\n")
    );
    for path in [
        "/../site.toml",
        "/%2e%2e/site.toml",
        "/page.js/../../site.toml",
    ] {
        assert_eq!(daemon.get(path).0, 404, "{path}");
    }
    let rebound = ask(daemon.port, "GET / HTTP/1.1\r\nHost: evil.example\r\n");
    assert_eq!(rebound.0, 403);
    let foreign = format!(
        "GET /api/v1/cameras HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nOrigin: http://evil.example\r\n",
        daemon.port
    );
    assert_eq!(ask(daemon.port, &foreign).0, 403);
    let put = format!(
        "PUT /api/v1/cameras HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 9\r\n",
        daemon.port
    );
    let (status, text) = ask(daemon.port, &put);
    let text = String::from_utf8(text).unwrap();
    assert!(status == 403 && text.contains("X-CSRF-Token"), "{text}");
}

#[test]
fn mjpeg_goes_on_and_clients_that_misbehave_disturb_nobody() {
    let daemon = Daemon::start();
    let connect = || TcpStream::connect(("127.0.0.1", daemon.port)).unwrap();
    let host = format!("Host: 127.0.0.1:{}\r\n", daemon.port);

    // Garbage instead of WebSocket frames.
    let mut garbage = connect();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    write!(
        garbage,
        "GET /api/v1/cameras/street/live HTTP/1.1\r\n{host}{upgrade}"
    )
    .unwrap();
    garbage.write_all(&[0xff; 4096]).ok();

    // Two hundred that look at the stream and never read.
    let silent: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = connect();
            write!(
                stream,
                "GET /api/v1/cameras/street/live.mjpeg HTTP/1.1\r\n{host}\r\n"
            )
            .unwrap();
            stream
        })
        .collect();

    let mut stream = connect();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /api/v1/cameras/street/live.mjpeg HTTP/1.1\r\n{host}\r\n"
    )
    .unwrap();
    let (mut seen, mut piece) = (Vec::new(), [0; 65536]);
    let pictures = |seen: &[u8]| {
        let marks = seen.windows(2).filter(|pair| *pair == [0xff, 0xd8]);
        marks.count()
    };
    while pictures(&seen) < 5 {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "the stream ended after {} bytes", seen.len());
        seen.extend_from_slice(&piece[..count]);
    }
    let before = daemon.json("/api/v1/cameras")[0]["processed"].as_u64();
    wait_until("frames go on", || {
        daemon.json("/api/v1/cameras")[0]["processed"].as_u64() > before
    });
    drop(silent);
}

/// Mean brightness of the live canvas, and a sum that any change of its pixels changes.
const PIXELS: &str = "const c = document.getElementById('live'); \
    const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; \
    let sum = 0, mix = 0; for (let i = 0; i < p.length; i += 4) { sum += p[i] + p[i + 1] + p[i + 2]; \
    mix = (mix * 31 + p[i]) % 1000003; } return `${sum / p.length} ${mix}`";

#[test]
fn a_browser_shows_moving_pictures_counts_and_events() {
    let Some(page) = Browser::start() else {
        eprintln!("SKIPPED: no Chromium with its driver here (apt-get install chromium-driver)");
        return;
    };
    let daemon = Daemon::start();
    page.open(&format!("http://127.0.0.1:{}/", daemon.port));
    let number = |script: &str| page.value(script).as_f64().unwrap_or(0.0);
    let pixels = || page.value(PIXELS);
    wait_until("ten frames in the browser", || {
        number("return Number(document.body.dataset.frames ?? 0)") >= 10.0
    });
    let first = pixels();
    wait_until("another picture", || pixels() != first);
    let state = page.value("return document.getElementById('state').textContent");
    assert_eq!(state, "");
    wait_until("an event in the list", || {
        number("return document.querySelectorAll('#events li').length") >= 1.0
    });
    wait_until("a series in the chart", || {
        number("return Number(document.body.dataset.series ?? 0)") >= 1.0
    });
    wait_until("objects in the picture", || {
        number("return Number(document.body.dataset.objects ?? 0)") >= 1.0
    });
    let counts = page.value("return document.getElementById('counts').innerText");
    let counts = counts.as_str().unwrap();
    assert!(
        counts.contains("west") && counts.contains("road"),
        "{counts}"
    );
    wait_until("a turn in the matrix", || {
        let cells = "return [...document.querySelectorAll('#turns th, #turns tbody td')].map((it) => it.innerText)";
        let cells = page.value(cells);
        let Some([goals @ .., count]) = cells.as_array().map(Vec::as_slice) else {
            return false;
        };
        let names: Vec<&str> = goals.iter().filter_map(Value::as_str).collect();
        names.contains(&"west") && names.contains(&"east") && count.as_str() != Some("")
    });

    // Without the picture only what is drawn over it is left.
    let brightness = || {
        let text = pixels();
        let mean = text.as_str().unwrap().split(' ').next().unwrap().to_owned();
        mean.parse::<f64>().unwrap()
    };
    let with_picture = brightness();
    page.value("document.querySelector('[data-layer=picture]').click()");
    wait_until("a dark canvas", || brightness() < with_picture / 2.0);
}

/// How many pixels of the canvas somebody drew on: without the picture it is black or clear.
const DRAWN: &str = "const c = document.getElementById('live'); \
    const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; \
    let drawn = 0; for (let i = 0; i < p.length; i += 4) \
    if (p[i + 3] > 0 && p[i] + p[i + 1] + p[i + 2] > 60) drawn += 1; return drawn";

#[test]
fn layers_are_switched_off_and_stay_so_and_the_page_is_light_or_dark_and_fits_a_phone() {
    let Some(page) = Browser::start() else {
        eprintln!("SKIPPED: no Chromium with its driver here (apt-get install chromium-driver)");
        return;
    };
    let daemon = Daemon::start();
    let address = format!("http://127.0.0.1:{}/", daemon.port);
    page.open(&address);
    let objects = "return Number(document.body.dataset.objects ?? 0)";
    wait_until("objects in the picture", || {
        page.value(objects).as_f64() >= Some(1.0)
    });
    let switch = |layer: &str| {
        page.value(&format!(
            "document.querySelector('[data-layer={layer}]').click()"
        ));
    };
    let drawn = || page.value(DRAWN).as_f64().unwrap();
    // Objects come and go: each layer is looked for until it shows.
    let layers = ["boxes", "labels", "trails", "zones"];
    switch("picture");
    for layer in layers {
        switch(layer);
    }
    wait_until("nothing drawn", || drawn() == 0.0);
    page.open(&address);
    wait_until("objects once more", || {
        page.value(objects).as_f64() >= Some(1.0)
    });
    assert_eq!(drawn(), 0.0, "they stay off when the page is loaded again");
    for layer in layers {
        switch(layer);
        wait_until(layer, || drawn() > 20.0);
        switch(layer);
        wait_until("nothing drawn", || drawn() == 0.0);
    }

    let colour = "return getComputedStyle(document.body).backgroundColor";
    let brightness = |scheme: &str| -> f64 {
        page.prefer(scheme);
        let told = page.value(colour);
        let digits = told
            .as_str()
            .unwrap()
            .replace(|c: char| !c.is_ascii_digit(), " ");
        digits
            .split_whitespace()
            .map(|it| it.parse::<f64>().unwrap())
            .sum()
    };
    let (dark, light) = (brightness("dark"), brightness("light"));
    assert!(dark < 150.0 && light > 600.0, "dark {dark}, light {light}");

    // A phone: nothing has to be pushed sideways, however long a name, a path or a word is.
    page.resize(500, 900);
    let overflow = "const page = document.documentElement, wide = page.clientWidth; \
        for (const it of document.querySelectorAll('main dd, main td, #events li')) it.textContent += 'x'.repeat(200); \
        return page.scrollWidth === wide ? '' : [...document.querySelectorAll('main *')] \
        .filter((it) => it.getBoundingClientRect().right > wide).map((it) => it.outerHTML.slice(0, 200)).join('\\n')";
    let mut wider = String::new();
    let fits = || {
        wider = page.value(overflow).as_str().unwrap().to_owned();
        wider.is_empty()
    };
    assert!(soon(fits), "wider than the window:\n{wider}");
}
