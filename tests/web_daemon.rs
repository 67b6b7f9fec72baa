//! A real daemon changed in a real browser: a zone drawn over the live picture counts there at once, and
//! a camera comes, changes and goes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test tells by failing, and why it is skipped"
)]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/camera_process.rs"]
mod camera_process;
#[path = "support/page.rs"]
mod page;

use browser::Browser;
use camera_process::CameraProcess;
use page::{PageDaemon, fixture, wait_until};
use serde_json::Value;

fn browser() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        eprintln!("SKIPPED: no Chromium with its driver here (apt-get install chromium-driver)");
    }
    browser
}

/// Presses where a person would: in the middle of what can be seen.
fn press(browser: &Browser, id: &str) {
    let button = format!("document.getElementById('{id}')");
    wait_until(&format!("{id} can be pressed"), || {
        browser.value(&format!(
            "const it = {button}; return Boolean(it) && !it.disabled && it.offsetParent !== null"
        )) == true
    });
    let place = browser.value(&format!(
        "const it = {button}; it.scrollIntoView({{ block: 'center' }}); \
         const box = it.getBoundingClientRect(); \
         return [box.left + box.width / 2, box.top + box.height / 2]"
    ));
    let [x, y] = [0, 1].map(|side| place[side].as_f64().unwrap());
    browser.drag("mouse", &[[x, y]]);
}

#[test]
fn a_zone_drawn_over_the_live_picture_counts_at_once() {
    let Some(browser) = browser() else {
        return;
    };
    let daemon = PageDaemon::start("# by hand\n");
    let camera = || daemon.ask("GET", "/api/v1/cameras", &[], None).json()[0].clone();
    wait_until("results", || camera()["processed"].as_u64() > Some(0));
    let events = || {
        let path = "/api/v1/cameras/street/events?after=0&limit=50";
        daemon.ask("GET", path, &[], None).json()
    };
    assert_eq!(events(), Value::Array(Vec::new()), "nothing is counted yet");

    browser.open(&daemon.url("/"));
    wait_until("the live picture", || {
        browser.value("return Number(document.body.dataset.frames ?? 0) > 0") == true
    });
    press(&browser, "edit");
    press(&browser, "new-zone");
    let sheet = browser.value(
        "const it = document.getElementById('sheet'); it.scrollIntoView({ block: 'center' }); \
         const box = it.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]",
    );
    let [left, top, width, height] = [0, 1, 2, 3].map(|side| sheet[side].as_f64().unwrap());
    assert!(width > 100.0 && height > 50.0, "{sheet}");
    // Most of the picture, and the first corner again.
    for [x, y] in [
        [0.05, 0.05],
        [0.95, 0.05],
        [0.95, 0.95],
        [0.05, 0.95],
        [0.05, 0.05],
    ] {
        browser.drag("mouse", &[[left + x * width, top + y * height]]);
    }
    wait_until("the zone", || {
        browser.value("return Number(document.body.dataset.shapes ?? 0)") == 1
    });
    press(&browser, "save");

    wait_until("an entry into the zone", || {
        let events = events();
        let mut events = events.as_array().unwrap().iter();
        events.any(|event| event["type"] == "zone_entry" && event["run"] == 1)
    });
    let text = std::fs::read_to_string(daemon.file("site.toml")).unwrap();
    assert!(
        text.contains("[[cameras.zones]]") && text.contains("# by hand"),
        "{text}"
    );
    assert_eq!(camera()["zones"].as_array().unwrap().len(), 1);
    // Nobody loads the page again.
    wait_until(
        "the event in the list, on the timeline and in the chart",
        || {
            browser.value(
            "return document.querySelector('#events li')?.textContent.includes('zone 1') === true \
             && document.querySelectorAll('#timeline .mark').length > 0 \
             && Number(document.body.dataset.series ?? 0) > 0",
        ) == true
        },
    );
}

#[test]
fn a_camera_comes_changes_and_goes_over_the_page() {
    let Some(browser) = browser() else {
        return;
    };
    let daemon = PageDaemon::start("");
    let street = fixture("street.mp4");
    let asks = ["--user", "viewer", "--password", "hunter2"];
    let second = CameraProcess::start(&[&["--file", &street][..], &asks[..]].concat());
    let cameras = || daemon.ask("GET", "/api/v1/cameras", &[], None).json();
    let text = || std::fs::read_to_string(daemon.file("site.toml")).unwrap();
    let fill = |key: &str, value: &str| {
        browser.value(&format!(
            "const it = document.querySelector('[data-key={key}]') ?? document.getElementById('{key}'); \
             it.value = '{value}'; it.dispatchEvent(new Event('change'))"
        ));
    };
    let told = |part: &str| {
        browser
            .value("return document.getElementById('camera-told').textContent")
            .as_str()
            .is_some_and(|told| told.contains(part))
    };
    browser.open(&daemon.url("/"));
    press(&browser, "manage");
    fill("camera-which", "");
    fill("camera-id", "yard");
    fill("uri", "rtsp://viewer:hunter2@192.0.2.1/live");
    press(&browser, "camera-try");
    wait_until("the refusal", || told("no credentials in a URI"));
    assert!(!told("hunter2"), "what is secret is not told again");
    fill("uri", &second.uri());
    fill("user", "viewer");
    fill("password", "hunter2");
    press(&browser, "camera-try");
    wait_until("it would be taken", || told("Would be taken"));
    assert_eq!(cameras().as_array().unwrap().len(), 1, "only tried");
    press(&browser, "camera-save");
    wait_until("pictures of the new camera in the browser", || {
        browser.value(
            "return location.hash === '#yard' && Number(document.body.dataset.frames ?? 0) > 0",
        ) == true
    });
    assert!(
        text().contains("id = \"yard\"") && !text().contains("hunter2"),
        "{}",
        text()
    );
    let shown = browser.value("return document.documentElement.outerHTML");
    assert!(
        !shown.as_str().unwrap().contains("hunter2"),
        "nowhere in the page"
    );

    press(&browser, "manage");
    fill("latency_ms", "100");
    press(&browser, "camera-save");
    wait_until("the change in the file", || {
        text().contains("latency_ms = 100")
    });
    wait_until("the page anew", || {
        browser.value("return !document.getElementById('camera-dialog').open") == true
    });

    press(&browser, "manage");
    browser.value("window.confirm = () => true");
    press(&browser, "camera-remove");
    wait_until("it is gone", || cameras().as_array().unwrap().len() == 1);
    assert!(!text().contains("yard"), "{}", text());
}
