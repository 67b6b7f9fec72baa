//! Zones and cameras changed over the page's API, and drawn in a real browser.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/browser.rs"]
mod browser;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use browser::Browser;
use gantryd::app::config::{Config, ConfigError};
use gantryd::app::reload::ConfigFile;
use gantryd::base::{
    CameraId, ConfigChanges, ConfigDesk, ConfigRefusal, ConfigText, Metrics, PasswordFile, Secret,
    StopSource, Worker,
};
use gantryd::sinks::http::Listening;
use gantryd::sinks::web::{
    Access, AccessRules, AccessToken, CameraFacts, Digest, Engine, Hub, PictureOptions, Role,
    VideoOptions, router,
};
use serde_json::{Value, json};

/// Longest wait for anything; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(120);

const TEXT: &str = r#"# The site of the test.

# At the road.
[[cameras]]
id = "street"  # as on the plan
uri = "rtsp://10.0.0.5/secret-path?token=s3cret"
user = "viewer"
password_file = "street.password"

# Where cars wait.
[[cameras.zones]]
name = "bay"
polygon_norm = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.4], [0.1, 0.4]]  # measured
loiter_secs = 60

[[cameras.masks]]
polygon_norm = [[0, 0], [0.1, 0], [0.1, 0.1]]

# How it is watched.
[detect]
min_confidence = 0.2  # low
"#;

/// The configuration in a file, judged by the program's own rules; nothing runs.
#[derive(Debug)]
struct FileDesk(PathBuf);

impl FileDesk {
    fn config(&self, text: &str) -> Result<Config, ConfigRefusal> {
        Config::from_text(text, &self.0).map_err(|error| {
            ConfigRefusal::Invalid(match error {
                ConfigError::Faults { faults, .. } => {
                    faults.iter().map(ToString::to_string).collect()
                }
                other => vec![other.to_string()],
            })
        })
    }
}

impl ConfigDesk for FileDesk {
    fn current(&self) -> Result<ConfigText, ConfigRefusal> {
        let text = std::fs::read_to_string(&self.0)
            .map_err(|error| ConfigRefusal::Failed(error.to_string()))?;
        let revision = Digest::of(&text).written();
        Ok(ConfigText { text, revision })
    }

    fn check(&self, text: &str) -> Result<ConfigChanges, ConfigRefusal> {
        let (old, new) = (self.config(&self.current()?.text)?, self.config(text)?);
        let ids = |one: &Config, other: &Config| -> Vec<String> {
            let is_known = |id: &CameraId| other.cameras.iter().any(|camera| camera.id == *id);
            let ids = one.cameras.iter().map(|camera| &camera.id);
            ids.filter(|id| !is_known(id))
                .map(ToString::to_string)
                .collect()
        };
        let mut changes = ConfigChanges {
            added: ids(&new, &old),
            removed: ids(&old, &new),
            ..ConfigChanges::default()
        };
        for camera in &new.cameras {
            let Some(before) = old.cameras.iter().find(|it| it.id == camera.id) else {
                continue;
            };
            if before.uri != camera.uri {
                changes.reopened.push(camera.id.to_string());
            } else if before != camera {
                changes.adjusted.push(camera.id.to_string());
            }
        }
        Ok(changes)
    }

    fn password_file(
        &self,
        camera: &str,
        password: &Secret,
    ) -> Result<PasswordFile, ConfigRefusal> {
        ConfigFile::new(&self.0).password(camera, password)
    }

    fn apply(&self, text: &str, revision: &str) -> Result<ConfigChanges, ConfigRefusal> {
        if self.current()?.revision != revision {
            return Err(ConfigRefusal::Outdated);
        }
        let changes = self.check(text)?;
        // Whole at any moment, as the real one is: tests read it meanwhile.
        let new = self.0.with_extension("new");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &self.0))
            .map_err(|error| ConfigRefusal::Failed(error.to_string()))?;
        Ok(changes)
    }
}

/// The page over a file, answered until the test ends.
struct Site {
    folder: tempfile::TempDir,
    address: std::net::SocketAddr,
    client: ureq::Agent,
    stop: StopSource,
    _worker: Worker,
}

impl Site {
    fn open(rules: AccessRules, has_desk: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.toml");
        std::fs::write(&file, TEXT).unwrap();
        std::fs::write(folder.path().join("street.password"), "hunter2\n").unwrap();
        let desk = has_desk.then(|| Arc::new(FileDesk(file)) as Arc<dyn ConfigDesk>);
        let facts = CameraFacts {
            id: CameraId::new("street"),
            zones: Vec::new(),
            lines: Vec::new(),
            outlines: Vec::new(),
            privacy: None,
            video: None,
        };
        let options = PictureOptions {
            max_width: 320,
            fps: 10.0,
        };
        let classes = Arc::from(["person".to_owned(), "car".to_owned()]);
        let (out, engine) = (Path::new("out"), Engine::default());
        let hub = Hub::new(
            vec![facts],
            classes,
            Metrics::new(),
            options,
            out,
            engine,
            VideoOptions::default(),
        );
        let rules = AccessRules {
            session_idle: PATIENCE,
            session_longest: PATIENCE,
            ..rules
        };
        let router = router(hub, Access::new(rules).unwrap(), desk);
        let stop = StopSource::default();
        let listening = Listening::bind("web.listen", "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listening.address();
        let worker = listening
            .serve("web", router, stop.stop_flag(), |_| {})
            .unwrap();
        let client = ureq::Agent::config_builder()
            // The daemon closes what was idle for a while, which a busy machine reaches.
            .max_idle_connections(0)
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        Self {
            folder,
            address,
            client,
            stop,
            _worker: worker,
        }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("site.toml")
    }

    fn config(&self) -> Config {
        Config::from_text(&self.text(), Path::new(&self.file())).unwrap()
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Value) {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            String::new()
        } else {
            request = request.header("Content-Type", "application/json");
            body.to_string()
        };
        let mut answer = self.client.run(request.body(body).unwrap()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let words = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (answer.status().as_u16(), words)
    }

    /// As the operator of the machine itself, with the revision that is there now.
    fn change(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let revision = self.get("cameras/street/config").1["revision"].clone();
        let revision = revision.as_str().unwrap_or("none").to_owned();
        self.change_from(&revision, method, path, body)
    }

    fn change_from(&self, revision: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let session = self.get("session").1;
        let csrf = session["csrf"].as_str().unwrap();
        let revision = format!("\"{revision}\"");
        self.ask(
            method,
            path,
            &[("X-CSRF-Token", csrf), ("If-Match", &revision)],
            body,
        )
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, &[], &Value::Null)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

fn bay() -> Value {
    json!({"name": "bay", "loiter_secs": 60,
           "polygon_norm": [[0.1, 0.1], [0.4, 0.1], [0.4, 0.4], [0.1, 0.4]]})
}

#[test]
fn zones_are_read_tried_and_saved_with_comments_kept() {
    let site = Site::open(AccessRules::default(), true);
    let (status, read) = site.get("cameras/street/config");
    assert_eq!(status, 200, "{read}");
    assert_eq!(read["zones"], json!([bay()]));
    assert_eq!(read["masks"].as_array().unwrap().len(), 1);
    assert_eq!(read["classes"], json!(["person", "car"]));
    for word in ["rtsp", "s3cret", "viewer", "password"] {
        assert!(!read.to_string().contains(word), "{word} in {read}");
    }
    assert_eq!(site.get("cameras/gate/config").0, 404);

    let line = json!({"name": "stop", "line_norm": [[0.2, 0.6], [0.8, 0.6]], "direction": "in"});
    let both = json!({"zones": [bay()], "lines": [line]});
    let (status, tried) = site.change("POST", "cameras/street/zones?dry_run=true", &both);
    assert_eq!(
        (status, &tried["changes"]["adjusted"]),
        (200, &json!(["street"])),
        "{tried}"
    );
    assert_eq!(site.text(), TEXT, "only tried");
    assert_eq!(site.change("POST", "cameras/street/zones", &both).0, 400);

    let (status, saved) = site.change("PUT", "cameras/street/zones", &both);
    assert_eq!((status, &saved["dry_run"]), (200, &json!(false)), "{saved}");
    let added = "\n[[cameras.lines]]\ndirection = \"in\"\nline_norm = [[0.2, 0.6], [0.8, 0.6]]\nname = \"stop\"\n";
    assert!(site.text().contains(added), "{}", site.text());
    assert_eq!(site.text().replacen(added, "", 1), TEXT);
    assert_eq!(
        saved["revision"],
        site.get("cameras/street/config").1["revision"]
    );
}

#[test]
fn a_change_that_is_wrong_late_or_not_allowed_changes_nothing() {
    let site = Site::open(AccessRules::default(), true);
    let revision = site.get("cameras/street/config").1["revision"].clone();
    let crossed = json!({"name": "x", "polygon_norm": [[0, 0], [1, 1], [1, 0], [0, 1]]});
    let wrong = json!({"zones": [bay(), crossed], "lines": [{"name": "bay", "line_norm": [[0, 0], [1, 1]], "speed": 1}]});
    for (method, query) in [("PUT", ""), ("POST", "?dry_run=true")] {
        let (status, told) = site.change(method, &format!("cameras/street/zones{query}"), &wrong);
        assert_eq!(status, 422, "{told}");
        let faults = told["faults"].as_array().unwrap();
        let about = |list: &str, index: u64, word: &str| {
            faults.iter().any(|it| {
                it["list"] == list
                    && it["index"] == index
                    && it["text"].as_str().unwrap().contains(word)
            })
        };
        assert!(about("zones", 1, "polygon_norm: "), "{told}");
        assert!(about("lines", 0, "is the name of"), "{told}");
        assert!(about("lines", 0, "speed: unknown key"), "{told}");
    }
    let good = json!({"zones": [], "lines": []});
    let csrf = site.get("session").1["csrf"].clone();
    let without = [("X-CSRF-Token", csrf.as_str().unwrap())];
    assert_eq!(
        site.ask("PUT", "cameras/street/zones", &without, &good).0,
        428
    );
    assert_eq!(
        site.ask("PUT", "cameras/street/zones", &[("If-Match", "x")], &good)
            .0,
        403
    );
    assert_eq!(site.text(), TEXT);

    std::fs::write(site.file(), format!("{TEXT}# edited by hand\n")).unwrap();
    let (status, told) = site.change_from(
        revision.as_str().unwrap(),
        "PUT",
        "cameras/street/zones",
        &good,
    );
    assert_eq!(status, 409, "{told}");
    assert!(
        told["faults"][0]["text"]
            .as_str()
            .unwrap()
            .contains("load it again")
    );
    assert!(site.text().ends_with("# edited by hand\n") && site.text().contains("bay"));

    let token = |name: &str, role| AccessToken {
        name: Arc::from(name),
        role,
        digest: Digest::of(name),
    };
    let rules = AccessRules {
        tokens: vec![
            token("viewer", Role::Viewer),
            token("operator", Role::Operator),
        ],
        ..AccessRules::default()
    };
    let site = Site::open(rules, true);
    let looks = ("Authorization", "Bearer viewer");
    let (status, read) = site.ask("GET", "cameras/street/config", &[looks], &Value::Null);
    assert_eq!(status, 200);
    let revision = read["revision"].as_str().unwrap();
    let put = |who| {
        site.ask(
            "PUT",
            "cameras/street/zones",
            &[who, ("If-Match", revision)],
            &good,
        )
        .0
    };
    assert_eq!(put(looks), 403);
    assert_eq!(
        site.ask(
            "DELETE",
            "cameras/street",
            &[looks, ("If-Match", revision)],
            &Value::Null
        )
        .0,
        403
    );
    assert_eq!(put(("Authorization", "Bearer operator")), 200);
    let session = site.ask("GET", "session", &[looks], &Value::Null).1;
    assert_eq!(session["can_edit"], false);

    let site = Site::open(AccessRules::default(), false);
    assert_eq!(site.get("cameras/street/config").0, 404);
    assert_eq!(site.get("session").1["can_edit"], false);
}

#[test]
fn cameras_come_change_and_go_and_no_secret_leaves() {
    let site = Site::open(AccessRules::default(), true);
    let yard = json!({"id": "yard", "uri": "rtsp://10.0.0.9/live?token=k3y", "latency_ms": 100});
    let (status, tried) = site.change("POST", "cameras?dry_run=true", &yard);
    assert_eq!(
        (status, &tried["changes"]["added"]),
        (200, &json!(["yard"])),
        "{tried}"
    );
    let (status, made) = site.change("POST", "cameras", &yard);
    assert!(
        status == 200 && !made.to_string().contains("10.0.0.9"),
        "{made}"
    );
    assert_eq!(site.config().cameras.len(), 2);
    assert!(
        site.text().contains("# How it is watched.\n[detect]"),
        "{}",
        site.text()
    );

    let (status, twice) = site.change("POST", "cameras", &yard);
    assert_eq!(status, 422);
    assert!(!twice.to_string().contains("k3y"), "{twice}");
    let (status, changed) = site.change(
        "PUT",
        "cameras/yard",
        &json!({"latency_ms": null, "raw": true}),
    );
    assert_eq!(
        (status, &changed["changes"]["adjusted"]),
        (200, &json!(["yard"])),
        "{changed}"
    );
    assert_eq!(site.config().cameras[1].latency, Duration::from_millis(200));

    for (path, words) in [
        ("cameras/street", json!({"uri": "rtsp://evil.example/live"})),
        (
            "cameras/yard",
            json!({"password_file": "street.password", "user": "x"}),
        ),
        ("cameras/yard", json!({"uri": "file:///etc/passwd"})),
        ("cameras/yard", json!({"tls_insecure": true})),
        (
            "cameras/yard",
            json!({"uri": "rtsp://u:hunter2@10.0.0.9/live"}),
        ),
        ("cameras/yard", json!({"zones": []})),
    ] {
        let before = site.text();
        let (status, told) = site.change("PUT", path, &words);
        assert_eq!(status, 422, "{path} {words}: {told}");
        assert!(!told.to_string().contains("hunter2"), "{told}");
        assert_eq!(site.text(), before);
    }
    // A password is kept in a file of its own, is never told, and may go to a new address with it.
    let passwords = || {
        let files = std::fs::read_dir(site.file().parent().unwrap()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|it| it.starts_with("yard-")).collect();
        names.sort();
        names
    };
    let before = site.text();
    for words in [
        json!({"user": "v"}),
        json!({"user": "v", "password": ""}),
        json!({"user": "v", "password": "hunter2\nx"}),
        json!({"password": "hunter2"}),
        json!({"user": "v", "password": "hunter2", "latency_ms": -1}),
    ] {
        let (status, told) = site.change("PUT", "cameras/yard", &words);
        assert_eq!(status, 422, "{words}: {told}");
        assert!(!told.to_string().contains("hunter2"), "{told}");
        assert!(site.text() == before && passwords().is_empty(), "{words}");
    }
    let words = json!({"user": "v", "password": "hunter2"});
    let (status, tried) = site.change("PUT", "cameras/yard?dry_run=true", &words);
    assert_eq!(status, 200, "{tried}");
    assert!(
        site.text() == before && passwords().is_empty(),
        "only tried"
    );
    let (status, made) = site.change("PUT", "cameras/yard", &words);
    assert!(
        status == 200 && !made.to_string().contains("hunter2"),
        "{made}"
    );
    let kept = passwords();
    assert_eq!(kept.len(), 1);
    let text = std::fs::read_to_string(site.file().with_file_name(&kept[0])).unwrap();
    assert_eq!(text, "hunter2\n");
    assert!(
        site.text()
            .contains(&format!("password_file = \"{}\"", kept[0]))
            && !site.text().contains("hunter2"),
        "{}",
        site.text()
    );
    let moved = json!({"uri": "rtsp://10.0.0.10/live", "password": "another"});
    assert_eq!(site.change("PUT", "cameras/yard", &moved).0, 200);
    let credentials = site.config().cameras[1].credentials.clone().unwrap();
    assert_eq!(credentials.user, "v");
    assert_eq!(credentials.password.expose(), "another");

    let (status, gone) = site.change("DELETE", "cameras/yard", &Value::Null);
    assert_eq!(
        (status, &gone["changes"]["removed"]),
        (200, &json!(["yard"])),
        "{gone}"
    );
    assert_eq!(site.text(), TEXT);
    assert_eq!(site.change("DELETE", "cameras/yard", &Value::Null).0, 404);
    assert_eq!(
        site.change("DELETE", "cameras/street", &Value::Null).0,
        422,
        "the last one"
    );
}

/// Asks until it is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

struct Editor<'b> {
    page: &'b Browser,
}

impl Editor<'_> {
    fn open<'b>(page: &'b Browser, site: &Site) -> Editor<'b> {
        page.open(&format!("http://{}/", site.address));
        wait_until("the button", || {
            page.value(
                "return document.getElementById('edit')?.hidden === false && location.hash !== ''",
            ) == true
        });
        let editor = Editor { page };
        editor.click("edit");
        wait_until("the zones", || editor.shapes() == 1);
        editor
    }

    fn click(&self, id: &str) {
        self.page
            .value(&format!("document.getElementById('{id}').click()"));
    }

    fn shapes(&self) -> u64 {
        let count = self
            .page
            .value("return Number(document.body.dataset.shapes ?? 0)");
        count.as_u64().unwrap()
    }

    /// Where shares of the frame are in the window.
    fn places(&self, shares: &[[f64; 2]]) -> Vec<[f64; 2]> {
        let of_sheet = "const box = document.getElementById('sheet').getBoundingClientRect(); \
                        return [box.left, box.top, box.width, box.height]";
        let sheet = self.page.value(of_sheet);
        let [left, top, width, height] = [0, 1, 2, 3].map(|side| sheet[side].as_f64().unwrap());
        let place = |[x, y]: &[f64; 2]| [left + x * width, top + y * height];
        shares.iter().map(place).collect()
    }

    fn told(&self) -> String {
        let text = self
            .page
            .value("return document.getElementById('editor-told').textContent");
        text.as_str().unwrap().to_owned()
    }

    fn is_on(&self, id: &str) -> bool {
        self.page
            .value(&format!("return document.getElementById('{id}').disabled"))
            == false
    }

    fn set(&self, selector: &str, value: &str) {
        self.page.value(&format!(
            "const field = document.querySelector({selector:?}); field.value = {value:?}; \
             field.dispatchEvent(new Event('change'))"
        ));
    }
}

#[test]
fn zones_drawn_in_a_browser_land_in_the_file() {
    let Some(page) = Browser::start() else {
        eprintln!("SKIPPED: no Chromium with its driver here (apt-get install chromium-driver)");
        return;
    };
    let site = Site::open(AccessRules::default(), true);
    let editor = Editor::open(&page, &site);
    assert!(!editor.is_on("save"), "nothing has changed yet");

    // A zone by mouse: three corners, and the first again.
    editor.click("new-zone");
    for corner in editor.places(&[[0.5, 0.5], [0.9, 0.5], [0.9, 0.9], [0.5, 0.5]]) {
        page.drag("mouse", &[corner]);
    }
    wait_until("the zone", || editor.shapes() == 2);
    editor.set("#shape-name", "forecourt");
    editor.set("[data-field=loiter_secs]", "30");
    editor.set("[data-field=classes]", "car, person");

    // A corner dragged over the border: seen at once, and not to be saved.
    let way = editor.places(&[[0.1, 0.4], [0.1, 0.4], [0.6, 0.2]]);
    page.value("document.querySelector('#shapes button').click()");
    page.drag("mouse", &way);
    let faults = "return document.querySelector('#shapes .fault')?.textContent ?? ''";
    wait_until("the fault", || {
        page.value(faults) == "its border crosses itself"
    });
    assert!(!editor.is_on("save"));
    editor.click("undo");
    wait_until("no fault", || page.value(faults) == "");
    assert!(editor.is_on("save"));

    // A line by keyboard alone: two ends, the second 10 % to the right and 1 ‰ below.
    editor.click("new-line");
    page.press(&[" "]);
    page.press(&["\u{E014}"; 10]);
    page.press(&["\u{E015}", "\u{E015}", " "]);
    wait_until("the line", || editor.shapes() == 3);
    editor.set("[data-field=direction]", "in");

    editor.click("try");
    wait_until("the trial", || {
        editor.told().starts_with("Would be taken. street goes on")
    });
    assert_eq!(site.text(), TEXT, "only tried");
    editor.click("save");
    wait_until("the file", || site.text() != TEXT);
    wait_until("the answer", || editor.told().starts_with("Saved."));

    let text = site.text();
    for kept in [
        "# The site of the test.",
        "# as on the plan",
        "# Where cars wait.",
        "# measured",
        "# How it is watched.",
        "# low",
    ] {
        assert!(text.contains(kept), "{kept} is gone from\n{text}");
    }
    let written: toml::Table = text.parse().unwrap();
    let zone = &written["cameras"][0]["zones"][1];
    assert_eq!(zone["name"].as_str(), Some("forecourt"));
    assert_eq!(zone["loiter_secs"].as_integer(), Some(30));
    let corners = zone["polygon_norm"].as_array().unwrap();
    for (corner, expected) in corners.iter().zip([[0.5, 0.5], [0.9, 0.5], [0.9, 0.9]]) {
        for side in [0, 1] {
            let value = &corner[side];
            let value = value
                .as_float()
                .or(value.as_integer().map(|it| it as f64))
                .unwrap();
            // A pixel of the window is less than 1 % of the picture.
            assert!((value - expected[side]).abs() < 0.01, "{corner:?}");
        }
    }
    assert_eq!(corners.len(), 3);
    let line = &written["cameras"][0]["lines"][0];
    assert_eq!(line["direction"].as_str(), Some("in"));
    assert_eq!(line["line_norm"].to_string(), "[[0.5, 0.5], [0.6, 0.52]]");
    let config = site.config();
    assert_eq!(config.cameras[0].zones.zones.len(), 2);

    // Somebody else was faster: told, and nothing lost but the own change.
    std::fs::write(site.file(), format!("{text}# by hand\n")).unwrap();
    page.value("document.querySelector('#shapes button').click()");
    editor.click("delete-shape");
    editor.click("save");
    wait_until("the refusal", || editor.told().contains("load it again"));
    assert!(site.text().ends_with("# by hand\n"));
    editor.click("reload");
    wait_until("all three", || editor.shapes() == 3);
}

#[test]
fn on_a_phone_a_finger_moves_a_corner() {
    let Some(page) = Browser::start() else {
        eprintln!("SKIPPED: no Chromium with its driver here (apt-get install chromium-driver)");
        return;
    };
    page.resize(500, 800);
    let site = Site::open(AccessRules::default(), true);
    let editor = Editor::open(&page, &site);
    let is_wider = "return document.documentElement.scrollWidth > innerWidth";
    assert_eq!(page.value(is_wider), false, "nothing beside the window");
    page.value("document.querySelector('#shapes button').click()");
    // A finger is not exact: 3 % beside the corner.
    page.drag(
        "touch",
        &editor.places(&[[0.39, 0.41], [0.5, 0.5], [0.6, 0.7]]),
    );
    wait_until("something to save", || editor.is_on("save"));
    editor.click("save");
    wait_until("the file", || site.text() != TEXT);
    let zones = &site.config().cameras[0].zones.zones;
    let moved: toml::Table = site.text().parse().unwrap();
    let corner = &moved["cameras"][0]["zones"][0]["polygon_norm"][2];
    let [x, y] = [0, 1].map(|side| corner[side].as_float().unwrap());
    assert!((x - 0.6).abs() < 0.02 && (y - 0.7).abs() < 0.02, "{corner}");
    assert!(zones.len() == 1 && site.text().contains("# measured"));
}
