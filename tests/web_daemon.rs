//! A zone drawn in a real browser over the live picture of a real daemon, which counts there at once.

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
use page::{PageDaemon, wait_until};

#[test]
fn a_zone_drawn_over_the_live_picture_counts_at_once() {
    let Some(browser) = Browser::start() else {
        eprintln!("SKIPPED: no Chromium with its driver here (apt-get install chromium-driver)");
        return;
    };
    let daemon = PageDaemon::start("# by hand\n");
    let camera = || daemon.ask("GET", "/api/v1/cameras", &[], None).json()[0].clone();
    wait_until("results", || camera()["processed"].as_u64() > Some(0));
    let events = || {
        let path = "/api/v1/cameras/street/events?after=0&limit=50";
        daemon.ask("GET", path, &[], None).json()
    };
    assert_eq!(
        events().as_array().unwrap().len(),
        0,
        "nothing is counted yet"
    );

    browser.open(&daemon.url("/"));
    wait_until("the button", || {
        browser.value(
            "return document.getElementById('edit')?.hidden === false && location.hash !== ''",
        ) == true
    });
    let click = |id: &str| browser.value(&format!("document.getElementById('{id}').click()"));
    click("edit");
    wait_until("the sheet", || {
        browser.value("return document.getElementById('sheet').getBoundingClientRect().width > 100")
            == true
    });
    click("new-zone");
    let sheet = browser.value(
        "const box = document.getElementById('sheet').getBoundingClientRect(); \
         return [box.left, box.top, box.width, box.height]",
    );
    let [left, top, width, height] = [0, 1, 2, 3].map(|side| sheet[side].as_f64().unwrap());
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
    click("save");

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
}
