//! A real browser, driven as W3C WebDriver says: Chromium behind its own driver.

#![allow(dead_code, reason = "each test program uses its part")]
#![allow(
    clippy::allow_attributes,
    reason = "expect() would fire where all is used"
)]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long the driver may take to answer at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Browsers of one test program run one after the other: each decodes and draws in software.
static TURN: Mutex<()> = Mutex::new(());

/// A headless browser with one window; ends with the test.
pub struct Browser {
    _turn: MutexGuard<'static, ()>,
    driver: Child,
    session: String,
}

impl Browser {
    /// `None` where the browser or its driver is not installed.
    pub fn start() -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let address = format!("http://127.0.0.1:{port}");
        let began = Instant::now();
        while ureq::get(format!("{address}/status")).call().is_err() {
            assert!(began.elapsed() < PATIENCE, "the driver does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments}
        }}});
        let Ok(mut made) = ureq::post(format!("{address}/session")).send_json(&wanted) else {
            driver.kill().ok();
            driver.wait().ok();
            return None;
        };
        let made: Value = made.body_mut().read_json().unwrap();
        let id = made["value"]["sessionId"].as_str().unwrap();
        let session = format!("{address}/session/{id}");
        Some(Self {
            _turn: turn,
            driver,
            session,
        })
    }

    /// Loads a page.
    pub fn open(&self, url: &str) {
        self.tell("url", &json!({ "url": url }));
    }

    /// What the body of a function gives in the page.
    pub fn value(&self, script: &str) -> Value {
        self.tell("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Presses at the first place in the window, CSS pixels, moves through the others, and lets go.
    /// `kind` is mouse, touch or pen.
    pub fn drag(&self, kind: &str, places: &[[f64; 2]]) {
        let go = |[x, y]: &[f64; 2]| {
            json!({"type": "pointerMove", "duration": 50, "origin": "viewport",
                   "x": x.round() as i64, "y": y.round() as i64})
        };
        let mut steps = vec![go(&places[0]), json!({"type": "pointerDown", "button": 0})];
        steps.extend(places[1..].iter().map(go));
        steps.push(json!({"type": "pointerUp", "button": 0}));
        let pointer = json!({"type": "pointer", "id": kind,
                             "parameters": {"pointerType": kind}, "actions": steps});
        self.tell("actions", &json!({"actions": [pointer]}));
    }

    /// Presses these keys one after the other; names of special ones are code points of WebDriver.
    pub fn press(&self, keys: &[&str]) {
        let steps: Vec<Value> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": steps});
        self.tell("actions", &json!({"actions": [keyboard]}));
    }

    /// Makes the window so large, CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        self.tell("window/rect", &json!({"width": width, "height": height}));
    }

    /// The system prefers `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.tell(
            "goog/cdp/execute",
            &json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": [feature]}}),
        );
    }

    fn tell(&self, what: &str, words: &Value) -> Value {
        let mut answer = ureq::post(format!("{}/{what}", self.session))
            .send_json(words)
            .unwrap();
        let mut answer: Value = answer.body_mut().read_json().unwrap();
        answer["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        ureq::delete(&self.session).call().ok();
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
