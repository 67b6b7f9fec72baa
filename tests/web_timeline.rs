//! Events over time, with picture and clip: over the API of a real daemon, and in a real browser.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/camera_process.rs"]
mod camera_process;
#[path = "support/page.rs"]
mod page;

use std::fs;
use std::path::Path;
use std::time::Duration;

use browser::Browser;
use gantryd::base::{UtcNanos, utc_now};
use page::{PageDaemon, wait_until};
use serde_json::{Value, json};

const STREET: &str = "/api/v1/cameras/street";

const CLIP: &str = "street_20260301T080000Z_clip.mp4";
const PICTURE: &str = "street_20260301T080000Z_3_frame.jpg";

/// The moment so many minutes ago.
fn ago(minutes: i64) -> String {
    UtcNanos(utc_now().0 - minutes * 60_000_000_000).to_string()
}

/// What a daemon of before left: five events over the last hour, the last line broken off; of the files
/// that they name a picture and two clips are there, one of them under way.
fn left_behind() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let street = folder.path().join("out/street");
    fs::create_dir_all(&street).unwrap();
    let entry = |number: u64, minutes: i64, clip: Value, snapshot: Value| {
        let line = json!({
            "schema": "gantryd.event.v1", "type": "zone_entry", "camera": "street", "number": number,
            "run": 1, "seq": number, "pts_ns": 1, "utc": ago(minutes), "utc_source": "arrival",
            "zone": "yard", "recording": null, "clip": clip, "snapshot": snapshot,
        });
        format!("{line}\n")
    };
    let clip = |file: &str| json!({"file": file, "pts_ns": 500_000_000});
    let picture = |file: &str| json!({"frame": file, "object": null});
    fs::write(
        street.join("events_20260301T080000Z.jsonl"),
        entry(1, 50, Value::Null, Value::Null),
    )
    .unwrap();
    let crossing = json!({
        "type": "line_crossing", "camera": "street", "number": 2, "run": 1, "seq": 2, "pts_ns": 1,
        "utc": ago(40), "line": "gate", "direction": "out", "recording": null,
    });
    let lines = [
        format!("{crossing}\n"),
        entry(3, 30, clip(CLIP), picture(PICTURE)),
        entry(
            4,
            20,
            clip("street_20260301T090000Z_clip.mp4"),
            picture("../../site.toml"),
        ),
        entry(5, 10, clip("../../../etc/passwd"), Value::Null),
        "{\"type\":\"zone_entry\",\"number\":6,\"ut".to_owned(),
    ];
    fs::write(street.join("events.jsonl"), lines.concat()).unwrap();
    fs::write(street.join(CLIP), "ABCDEFGH".repeat(32)).unwrap();
    fs::write(described(&street), "{\"duration_ns\":4000000000}").unwrap();
    fs::write(street.join(PICTURE), "a picture").unwrap();
    let under_way = fs::File::create(street.join("street_20260301T090000Z_clip.mp4")).unwrap();
    // Nobody knows how long the test takes: it is written to for an hour from now.
    let later = fs::metadata(&street).unwrap().modified().unwrap() + Duration::from_secs(3600);
    under_way.set_modified(later).unwrap();
    folder
}

fn described(street: &Path) -> std::path::PathBuf {
    street.join(CLIP).with_extension("json")
}

fn numbers(events: &Value) -> Vec<u64> {
    let events = events.as_array().unwrap().iter();
    events
        .map(|event| event["number"].as_u64().unwrap())
        .collect()
}

#[test]
fn events_of_before_are_found_by_time_type_and_place_with_their_files() {
    let daemon = PageDaemon::start_in(left_behind(), "", None);
    let get = |path: &str| daemon.ask("GET", &format!("{STREET}/{path}"), &[], None);
    wait_until("the events of before", || {
        numbers(&get("events").json()).len() == 5
    });
    for (query, expected) in [
        ("limit=2", vec![4, 5]),
        ("after=3", vec![4, 5]),
        ("before=4&limit=2", vec![2, 3]),
        ("type=line_crossing,turn", vec![2]),
        ("place=yard&limit=3", vec![3, 4, 5]),
    ] {
        assert_eq!(
            numbers(&get(&format!("events?{query}")).json()),
            expected,
            "{query}"
        );
    }
    let span = format!("events?from={}&to={}", ago(45), ago(25));
    assert_eq!(numbers(&get(&span).json()), [2, 3]);
    let wrong = get("events?from=yesterday");
    assert!(
        wrong.status == 400 && wrong.text.contains("2026-03-01T08:00:00Z"),
        "{}",
        wrong.text
    );
    assert_eq!(get("events/3").json()["clip"]["file"], CLIP);
    wait_until("the counts of before", || {
        let minutes = get("minutes").json();
        let row = |what: &str| {
            let mut rows = minutes.as_array().unwrap().iter();
            rows.any(|row| row["what"] == what && row["count"] == 1)
        };
        row("out") && row("entries")
    });

    // The file, a part of it, and nothing where it is known already.
    let whole = get("events/3/clip.mp4");
    assert_eq!(
        (whole.status, whole.header("content-type")),
        (200, "video/mp4")
    );
    assert_eq!(whole.header("content-length"), "256");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert_eq!(whole.header("cache-control"), "private, no-cache");
    let part = |range: &str| {
        let path = format!("{STREET}/events/3/clip.mp4");
        daemon.ask("GET", &path, &[("Range", range)], None)
    };
    let middle = part("bytes=64-66");
    assert_eq!((middle.status, &*middle.text), (206, "ABC"));
    assert_eq!(middle.header("content-range"), "bytes 64-66/256");
    assert_eq!(part("bytes=900-").status, 416);
    let tag = whole.header("etag");
    let path = format!("{STREET}/events/3/clip.mp4");
    let known = daemon.ask("GET", &path, &[("If-None-Match", tag)], None);
    assert_eq!((known.status, &*known.text), (304, ""));
    let picture = get("events/3/frame.jpg");
    assert_eq!(
        (picture.status, picture.header("content-type")),
        (200, "image/jpeg")
    );
    assert_eq!(get("events/3/object.jpg").status, 404);

    // Under way, never made, not ours, unknown.
    let under_way = get("events/4/clip.mp4");
    assert_eq!(
        (under_way.status, under_way.header("retry-after")),
        (409, "2")
    );
    for (path, reason) in [
        ("events/1/clip.mp4", "no clip was made of event 1"),
        ("events/4/frame.jpg", "no picture was made of event 4"),
        ("events/5/clip.mp4", "no clip was made of event 5"),
        ("events/77/clip.mp4", "no event 77 here"),
        ("events/77", "no event 77 here"),
    ] {
        let answer = get(path);
        assert!(
            answer.status == 404 && answer.text.contains(reason),
            "{path}: {}",
            answer.text
        );
    }

    let films = get("recordings?kind=clip").json();
    assert_eq!(films.as_array().unwrap().len(), 2, "{films}");
    assert_eq!(films[0]["file"], CLIP);
    assert_eq!(films[0]["begin"], "2026-03-01T08:00:00.000000000Z");
    assert_eq!(
        (&films[0]["length_s"], &films[0]["bytes"]),
        (&json!(4.0), &json!(256))
    );
    assert_eq!(
        (&films[0]["complete"], &films[1]["complete"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(get("recordings?kind=raw").json(), json!([]));
    assert_eq!(get(&format!("recordings/{CLIP}")).status, 200);
    let is_kept = || get("recordings?kind=clip").json()[0]["kept"] == true;
    let word = daemon.ask("GET", "/api/v1/session", &[], None).json();
    let word = word["csrf"].as_str().unwrap_or_default().to_owned();
    let mark = |method: &str, file: &str| {
        let path = format!("{STREET}/recordings/{file}/keep");
        daemon
            .ask(method, &path, &[("X-CSRF-Token", &word)], None)
            .status
    };
    assert!(!is_kept());
    for _ in 0..2 {
        assert_eq!(mark("PUT", CLIP), 204);
        assert!(is_kept());
    }
    for _ in 0..2 {
        assert_eq!(mark("DELETE", CLIP), 204);
        assert!(!is_kept());
    }
    for file in [
        "street_20300301T080000Z_clip.mp4",
        "events.jsonl",
        "..%2f..%2fsite.toml",
    ] {
        assert_eq!(mark("PUT", file), 404, "{file}");
    }
    for file in [
        "..%2f..%2fsite.toml",
        "%2e%2e%2fstreet%2fstreet_20260301T080000Z_clip.mp4",
        "../../../../../../etc/passwd",
        "events.jsonl",
        "street_20260301T080000Z_clip.json",
        "street_20260301T080000Z_3_frame.jpg",
    ] {
        let head = format!(
            "GET {STREET}/recordings/{file} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
            daemon.port
        );
        let (status, text) = daemon.raw(&head);
        assert!(
            status == 404 && !text.contains("[detect]"),
            "{file}: {text}"
        );
    }
    // A link is not followed.
    let street = daemon.file("out/street");
    let link = street.join("street_20260302T080000Z.mp4");
    std::os::unix::fs::symlink(daemon.file("site.toml"), link).unwrap();
    assert_eq!(get("recordings/street_20260302T080000Z.mp4").status, 404);

    // What retention has deleted is told.
    fs::remove_file(street.join(CLIP)).unwrap();
    let gone = get("events/3/clip.mp4");
    assert!(
        gone.status == 404 && gone.text.contains("no longer on the disk"),
        "{}",
        gone.text
    );
}

#[test]
fn events_that_are_no_longer_in_memory_are_found_in_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let street = folder.path().join("out/street");
    fs::create_dir_all(&street).unwrap();
    // One a minute, 6,200 of them, in two files.
    let event = |number: i64| {
        let clip = if number == 3 {
            json!({"file": CLIP, "pts_ns": 5})
        } else {
            Value::Null
        };
        let line = json!({
            "type": "zone_entry", "camera": "street", "number": number, "utc": ago(6200 - number),
            "zone": if number == 40 { "ramp" } else { "yard" }, "clip": clip,
        });
        format!("{line}\n")
    };
    let write = |name: &str, numbers: std::ops::Range<i64>| {
        fs::write(street.join(name), numbers.map(event).collect::<String>()).unwrap();
    };
    write("events_20260301T080000Z.jsonl", 1..3000);
    write("events.jsonl", 3000..6201);
    fs::write(street.join(CLIP), "film").unwrap();
    fs::write(described(&street), "{}").unwrap();
    let daemon = PageDaemon::start_in(folder, "", None);
    let get = |path: &str| daemon.ask("GET", &format!("{STREET}/{path}"), &[], None);
    // What is in memory is counted by minute.
    wait_until("the events of before", || {
        get("minutes").json().as_array().unwrap().len() >= 1000
    });
    let found = |query: &str| numbers(&get(&format!("events?{query}")).json());
    assert_eq!(found("limit=2"), [6199, 6200]);
    assert_eq!(
        found("before=1200&limit=3"),
        [1197, 1198, 1199],
        "on the disk alone"
    );
    for end in [1250, 5250] {
        let over_both = found(&format!("before={end}&limit=100"));
        assert_eq!(over_both, (end - 100..end).collect::<Vec<_>>());
    }
    assert_eq!(found("place=ramp"), [40]);
    let span = format!("from={}&to={}", ago(6190), ago(6186));
    assert_eq!(found(&span), [11, 12, 13, 14]);
    assert_eq!(get("events/7").json()["number"], 7);
    assert_eq!(get("events/3/clip.mp4").text, "film");
    assert_eq!(get("events/9999").status, 404);
    let known = || {
        let cameras = daemon.ask("GET", "/api/v1/cameras", &[], None).json();
        cameras[0]["events_known_from"].clone()
    };
    assert_eq!(known(), Value::Null, "none is missing");
    fs::remove_file(daemon.file("out/street/events_20260301T080000Z.jsonl")).unwrap();
    // Event 3000 is on the disk, what is in memory is younger.
    wait_until("the oldest event to be another", || {
        known() == json!(utc_of(&daemon, 3000))
    });
    assert!(found("place=ramp").is_empty());
}

/// When event `number` was, as the daemon tells it.
fn utc_of(daemon: &PageDaemon, number: u64) -> String {
    let path = format!("{STREET}/events/{number}");
    let event = daemon.ask("GET", &path, &[], None).json();
    event["utc"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn health_is_told_with_its_history() {
    let sinks = "[[sinks]]\nname = \"room\"\nurl = \"mqtt://127.0.0.1:9\"\n";
    let daemon = PageDaemon::start(sinks);
    let get = |path: &str| {
        daemon
            .ask("GET", &format!("/api/v1/{path}"), &[], None)
            .json()
    };
    let rows = |told: &Value| told.as_array().map_or(0, Vec::len);
    wait_until("samples of the camera", || {
        rows(&get("cameras/street/health")) >= 2
    });
    let samples = get("cameras/street/health?last=60");
    let mut newest = samples.as_array().unwrap().iter();
    assert!(newest.any(|it| it["fps"].as_f64() > Some(0.0)), "{samples}");
    let system = get("system?last=60");
    assert!(rows(&system["history"]) >= 1, "{system}");
    assert_eq!(system["detector"]["provider"], "cpu");
    assert!(system["gpus"].is_array(), "{system}");
    let process = &system["process"];
    for key in ["cpu_percent", "memory_bytes", "threads", "open_files"] {
        assert!(process[key].as_f64() > Some(0.0), "{key}: {system}");
    }
    assert!(system["disk"]["free_bytes"].as_u64() > Some(0), "{system}");
    let sink = &system["sinks"][0];
    assert_eq!(
        (&sink["name"], &sink["connected"]),
        (&json!("room"), &json!(false))
    );
    assert!(sink["since"].as_str().unwrap().ends_with('Z'), "{sink}");
    assert!(
        get("system").get("history").is_none(),
        "only where it is asked for"
    );
}

/// The newest crossing of `west` that has both: a busy machine makes no picture of some.
/// NVIDIA cards are told of by their driver's library, here one of our own (`fixtures/nvml.c`).
#[test]
fn cards_are_told_of_at_the_page_and_at_metrics() {
    let libraries = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nvml.c");
    let built = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(libraries.path().join("libnvidia-ml.so.1"))
        .arg(source)
        .status();
    assert!(built.unwrap().success());
    let daemon = PageDaemon::start_beside(
        tempfile::tempdir().unwrap(),
        "",
        None,
        &["--file", "tests/fixtures/street.mp4"],
        Some(libraries.path()),
    );
    let system = || {
        daemon
            .ask("GET", "/api/v1/system?last=60", &[], None)
            .json()
    };
    wait_until("a sample", || {
        !system()["gpus"].as_array().unwrap().is_empty()
    });
    let system = system();
    let (three, eight) = (3_u64 << 30, 8_u64 << 30);
    let cards = json!([
        {"index": 0, "name": "Card A", "busy_percent": 42, "memory_used_bytes": three,
         "memory_total_bytes": eight, "celsius": 61},
        {"index": 1, "name": "Card B", "busy_percent": 0, "memory_used_bytes": three,
         "memory_total_bytes": eight, "celsius": null},
    ]);
    assert_eq!(system["gpus"], cards);
    assert_eq!(system["history"][0]["gpus"], cards);
    let metrics = daemon.metrics();
    for line in [
        "gantryd_gpu_busy_ratio{gpu=\"0\",name=\"Card A\"} 0.42",
        "gantryd_gpu_memory_used_bytes{gpu=\"1\",name=\"Card B\"} 3221225472",
        "gantryd_gpu_memory_total_bytes{gpu=\"0\",name=\"Card A\"} 8589934592",
        "gantryd_gpu_temperature_celsius{gpu=\"0\",name=\"Card A\"} 61",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(
        !metrics.contains("temperature_celsius{gpu=\"1\""),
        "not told, so not claimed"
    );
    let Some(browser) = Browser::start() else {
        eprintln!("SKIPPED: no Chromium with its driver here (apt-get install chromium-driver)");
        return;
    };
    browser.open(&daemon.url("/"));
    browser.value("document.getElementById('health-panel').open = true");
    wait_until("the charts of the cards", || {
        let told = browser.value("return document.getElementById('health-panel').textContent");
        let told = told.as_str().unwrap_or_default().to_owned();
        told.contains("GPU 0") && told.contains("42 %") && told.contains("Card A, 61 °C")
    });
}

fn with_picture_and_clip(daemon: &PageDaemon) -> Value {
    let path = format!("{STREET}/events?type=line_crossing&place=west");
    let mut found = Value::Null;
    wait_until("an event with a picture and a clip", || {
        let events = daemon.ask("GET", &path, &[], None).json();
        let mut newest_first = events.as_array().unwrap().iter().rev();
        let event = newest_first.find(|it| it["clip"].is_object() && it["snapshot"].is_object());
        found = event.cloned().unwrap_or_default();
        found.is_object()
    });
    found
}

#[test]
fn the_timeline_shows_an_event_with_its_picture_and_a_clip_that_plays() {
    let Some(browser) = Browser::start() else {
        eprintln!("SKIPPED: no Chromium with its driver here (apt-get install chromium-driver)");
        return;
    };
    let daemon = PageDaemon::start(
        "[clips]\nevents = [\"line_crossing\"]\npre_secs = 1\npost_secs = 1\nmax_secs = 4\n\
         [snapshots]\nevents = [\"line_crossing\"]\n\
         [[cameras.lines]]\nname = \"west\"\nline_norm = [[0.25, 0.98], [0.25, 0.02]]\n\
         [[cameras.zones]]\nname = \"road\"\npolygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]\n",
    );
    browser.open(&daemon.url("/"));
    let is = |script: &str| browser.value(script) == true;
    let marks = "[...document.querySelectorAll('#timeline .mark')]";
    wait_until("a mark of a crossing", || {
        is(&format!(
            "return {marks}.some((it) => it.textContent.includes('crossed west') || \
             it.textContent.includes('× Crossing'))"
        ))
    });
    // One type alone.
    let choose = |id: &str, value: &str| {
        browser.value(&format!(
            "const it = document.getElementById('{id}'); it.value = '{value}'; \
             it.dispatchEvent(new Event('change'))"
        ));
    };
    choose("timeline-type", "line_crossing");
    let lanes = "return [...document.querySelectorAll('#timeline .type')].map((it) => it.textContent).join()";
    assert_eq!(browser.value(lanes), "Crossing");
    choose("timeline-place", "road");
    assert_eq!(browser.value(&format!("return {marks}.length")), 0);
    choose("timeline-place", "west");

    // By keyboard, as without a mouse.
    let open_newest = || {
        wait_until("a mark", || is(&format!("return {marks}.length > 0")));
        browser.value("document.getElementById('timeline').focus()");
        browser.press(&["\u{e010}", "\u{e007}"]);
        wait_until("the event", || {
            is("return document.getElementById('event').open")
        });
    };
    open_newest();
    let title = browser.value("return document.getElementById('event-title').textContent");
    assert!(title.as_str().unwrap().contains("crossed west"), "{title}");
    let event = with_picture_and_clip(&daemon);
    let walk_to_it = || {
        let shown = "return [...document.querySelectorAll('#event-facts dd')].at(-1).textContent";
        wait_until("the event that has all", || {
            let number: u64 = browser.value(shown).as_str().unwrap().parse().unwrap();
            let wanted = event["number"].as_u64().unwrap();
            let towards = if number > wanted { "earlier" } else { "later" };
            if number != wanted {
                browser.value(&format!(
                    "document.getElementById('event-{towards}').click()"
                ));
            }
            number == wanted
        });
    };
    walk_to_it();
    wait_until("the pictures", || {
        is(
            "const all = [...document.querySelectorAll('.pictures img')]; \
            return all.length > 0 && all.every((it) => it.complete && it.naturalWidth > 10)",
        )
    });
    let facts = "return document.getElementById('event-facts').innerText";
    let facts = browser.value(facts);
    assert!(facts.as_str().unwrap().contains("west"), "{facts}");
    wait_until("the clip", || {
        is("return (document.querySelector('#event video')?.readyState ?? 0) >= 2")
    });
    browser.value("document.querySelector('#event video').play()");
    let time = || {
        browser
            .value("return document.querySelector('#event video').currentTime")
            .as_f64()
    };
    wait_until("the clip plays", || time() > Some(0.3));
    let error = browser.value("return document.querySelector('#event video').error?.message ?? ''");
    assert_eq!(error, "");

    // It is kept for good at the press of a button.
    let film = event["clip"]["file"].as_str().unwrap();
    let mark = daemon.file("out/street").join(film).with_extension("keep");
    for is_kept in [true, false] {
        wait_until("the button", || {
            let wanted = if is_kept {
                "Keep for good"
            } else {
                "Kept for good"
            };
            let text = "return document.getElementById('event-keep')?.textContent ?? ''";
            browser.value(text) == wanted
        });
        browser.value("document.getElementById('event-keep').click()");
        wait_until("the mark", || mark.exists() == is_kept);
    }

    // What retention deletes meanwhile is told instead.
    let folder = daemon.file("out/street");
    fs::remove_file(folder.join(event["clip"]["file"].as_str().unwrap())).unwrap();
    fs::remove_file(folder.join(event["snapshot"]["frame"].as_str().unwrap())).unwrap();
    browser.press(&["\u{e00c}"]);
    wait_until("it is closed", || {
        is("return !document.getElementById('event').open")
    });
    // A browser does not load again what it has shown on the same page.
    browser.open(&daemon.url("/"));
    open_newest();
    walk_to_it();
    wait_until("why there is no clip and no picture", || {
        is(
            "return document.getElementById('event-media').innerText.split('no longer on the disk').length === 3",
        )
    });
}
