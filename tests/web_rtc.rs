//! Live video of the page: a real camera, a real daemon, a real browser.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![cfg(feature = "webrtc")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/camera_process.rs"]
mod camera_process;
#[path = "support/page.rs"]
mod page;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use browser::Browser;
use page::{PageDaemon, wait_until};
use serde_json::Value;

/// A camera that sends no B-frames, a key frame each second.
const CAMERA: &[&str] = &["--size", "320x240", "--gop", "25"];

/// Is everything here that video needs? Tells what is not.
fn can_show() -> bool {
    gstreamer::init().unwrap();
    let is_there = ["webrtcbin", "nicesink"]
        .iter()
        .all(|name| gstreamer::ElementFactory::find(name).is_some());
    if !is_there {
        eprintln!("SKIPPED: no WebRTC in GStreamer here (apt-get install gstreamer1.0-nice)");
    }
    is_there
}

fn browser() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        eprintln!("SKIPPED: no Chromium with its driver here (apt-get install chromium-driver)");
    }
    browser
}

fn daemon(web: &str) -> PageDaemon {
    PageDaemon::start_with(tempfile::tempdir().unwrap(), web, None, CAMERA)
}

fn video_of(daemon: &PageDaemon) -> Value {
    let cameras = daemon.ask("GET", "/api/v1/cameras", &[], None).json();
    cameras[0]["video"].clone()
}

/// A number that the page keeps of itself; 0 where it has none.
fn number(browser: &Browser, name: &str) -> u64 {
    let text = browser.value(&format!("return document.body.dataset.{name} ?? '0'"));
    text.as_str().unwrap().parse().unwrap()
}

fn mode(browser: &Browser) -> String {
    let mode = browser.value("return document.body.dataset.mode ?? ''");
    mode.as_str().unwrap().to_owned()
}

fn pictures_shown(browser: &Browser) -> u64 {
    let script =
        "return document.getElementById('video').getVideoPlaybackQuality().totalVideoFrames";
    browser.value(script).as_u64().unwrap()
}

/// Waits until video is seen, not merely begun.
fn wait_for_video(browser: &Browser) {
    wait_until("video", || {
        // On a busy machine the page may have given up: it is asked to try again.
        let has_given_up = "return document.body.dataset.noVideo?.startsWith('pictures: no ')";
        if browser.value(has_given_up) == true {
            switch(browser);
            switch(browser);
        }
        browser.value("return document.body.classList.contains('video')") == true
    });
    let before = pictures_shown(browser);
    wait_until("more of it", || pictures_shown(browser) > before + 10);
}

fn switch(browser: &Browser) {
    browser.value("document.getElementById('as-video').click()");
}

/// The value of a line of `/metrics`, 0 where there is none.
fn metric(daemon: &PageDaemon, line: &str) -> u64 {
    let metrics = daemon.metrics();
    let found = metrics.lines().find_map(|it| it.strip_prefix(line));
    found.map_or(0, |value| value.trim().parse().unwrap())
}

const VIEWERS: &str = "gantryd_video_viewers{camera=\"street\"}";

#[test]
fn video_plays_with_its_objects_in_step_and_outlives_the_camera() {
    let (true, Some(browser)) = (can_show(), browser()) else {
        return;
    };
    let mut daemon = daemon("webrtc = true\n");
    wait_until("the camera", || video_of(&daemon)["available"] == true);
    browser.open(&daemon.url("/"));
    wait_for_video(&browser);
    assert_eq!(metric(&daemon, VIEWERS), 1);
    // The ball is white.
    let brightest = "const video = document.getElementById('video'), it = document.createElement('canvas'); \
        it.width = video.videoWidth; it.height = video.videoHeight; \
        const pen = it.getContext('2d'); pen.drawImage(video, 0, 0); \
        return Math.max(...pen.getImageData(0, 0, it.width, it.height).data.filter((_, at) => at % 4 === 0))";
    wait_until("a picture that is not black", || {
        browser.value(brightest).as_u64() > Some(180)
    });
    let size =
        "const it = document.getElementById('video'); return `${it.videoWidth}x${it.videoHeight}`";
    assert_eq!(browser.value(size), "320x240");
    let before = number(&browser, "exact");
    wait_until("results of the very pictures that are shown", || {
        number(&browser, "exact") > before + 3
    });

    daemon.lose_camera(|_| {
        wait_until("the loss is told", || {
            let state = browser.value("return document.getElementById('state').textContent");
            state.as_str().unwrap().starts_with("no picture for")
        });
    });
    let before = pictures_shown(&browser);
    wait_until("video again", || pictures_shown(&browser) > before + 10);
    assert_eq!(mode(&browser), "video");
    let gaps = "gantryd_video_gaps_total{camera=\"street\",reason=\"connection\"}";
    assert!(metric(&daemon, gaps) >= 1, "{}", daemon.metrics());

    switch(&browser);
    wait_until("pictures", || mode(&browser) == "pictures");
    let before = number(&browser, "frames");
    wait_until("more pictures", || number(&browser, "frames") > before + 3);
    wait_until("no viewer", || metric(&daemon, VIEWERS) == 0);
}

#[test]
fn viewers_that_come_and_go_leave_nothing_behind() {
    let (true, Some(browser)) = (can_show(), browser()) else {
        return;
    };
    let daemon = daemon("webrtc = true\n");
    let used = || {
        let count = |what: &str| {
            let folder = format!("/proc/{}/{what}", daemon.id());
            fs::read_dir(folder).unwrap().count()
        };
        (count("task"), count("fd"))
    };
    wait_until("the camera", || video_of(&daemon)["available"] == true);
    browser.open(&daemon.url("/"));
    let cycle = || {
        wait_for_video(&browser);
        switch(&browser);
        wait_until("no viewer", || metric(&daemon, VIEWERS) == 0);
    };
    // What is made once is made in the first.
    for _ in 0..2 {
        cycle();
        switch(&browser);
    }
    cycle();
    let (threads, files) = used();
    for _ in 0..10 {
        switch(&browser);
        cycle();
    }
    let began = Instant::now();
    // Helpers of the runtime and of GStreamer end after being idle for a while.
    let is_flat = || {
        let (now_threads, now_files) = used();
        now_threads <= threads + 3 && now_files <= files + 4
    };
    while !is_flat() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(is_flat(), "{:?} before, {:?} now", (threads, files), used());
}

/// Opens a connection for video in the page and says `words`; `window.told` is what it hears.
fn talk(browser: &Browser, words: &str) {
    browser.value(&format!(
        "window.told = []; window.talk = new WebSocket('ws://' + location.host + '/api/v1/cameras/street/video'); \
         window.talk.onmessage = ({{data}}) => window.told.push(JSON.parse(data)); \
         window.talk.onopen = () => {{ if ({words:?}) window.talk.send({words:?}); }}"
    ));
}

fn reason(browser: &Browser) -> Value {
    browser.value("return window.told.find((it) => it.end)?.end.reason ?? null")
}

#[test]
fn one_viewer_too_many_and_garbage_are_told() {
    let (true, Some(browser)) = (can_show(), browser()) else {
        return;
    };
    let daemon = daemon("webrtc = true\nwebrtc_viewers = 1\n");
    wait_until("the camera", || video_of(&daemon)["available"] == true);
    browser.open(&daemon.url("/"));
    wait_for_video(&browser);
    talk(&browser, "");
    wait_until("a refusal", || reason(&browser) == "limit");
    let text = browser.value("return window.told.find((it) => it.end).end.text");
    assert!(text.as_str().unwrap().contains("webrtc_viewers"), "{text}");
    let refused = "gantryd_video_refused_total{camera=\"street\",reason=\"limit\"}";
    assert_eq!(metric(&daemon, refused), 1, "{}", daemon.metrics());

    switch(&browser);
    wait_until("the place is free", || metric(&daemon, VIEWERS) == 0);
    for words in [
        "hello",
        "{}",
        "{\"answer\": \"v=0\"}",
        "{\"candidate\": \"candidate:1 1 UDP 1 10.0.0.1 9 typ host\", \"line\": 7}",
    ] {
        talk(&browser, words);
        wait_until("an end", || reason(&browser) == "garbage");
        wait_until("the place is free", || metric(&daemon, VIEWERS) == 0);
    }
    // One that never answers does not keep its place.
    talk(&browser, "");
    wait_until("an end", || reason(&browser) == "not_connected");
    let offer = browser.value("return window.told.find((it) => it.offer)?.offer ?? ''");
    assert!(offer.as_str().unwrap().contains("H264/90000"), "{offer}");
    let all = browser.value("return JSON.stringify(window.told)");
    assert!(!all.as_str().unwrap().contains("rtsp:"), "{all}");
}

#[test]
fn what_hides_something_is_never_sent_as_it_is() {
    let (true, Some(browser)) = (can_show(), browser()) else {
        return;
    };
    let daemon = daemon("webrtc = true\n");
    wait_until("the camera", || video_of(&daemon)["available"] == true);
    browser.open(&daemon.url("/"));
    wait_for_video(&browser);
    let file = daemon.file("site.toml");
    let text = fs::read_to_string(&file).unwrap();
    let mask = "[[cameras.masks]]\npolygon_norm = [[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]]\n[web]";
    fs::write(&file, text.replace("[web]", mask)).unwrap();
    let told = Command::new("kill")
        .args(["-HUP", &daemon.id().to_string()])
        .status();
    assert!(told.unwrap().success());
    wait_until("pictures", || mode(&browser) == "pictures");
    wait_until("no viewer", || metric(&daemon, VIEWERS) == 0);
    let before = number(&browser, "frames");
    wait_until("more pictures", || number(&browser, "frames") > before + 3);
    assert_eq!(video_of(&daemon)["reason"], "privacy");
    talk(&browser, "");
    wait_until("a refusal", || reason(&browser) == "privacy");
    let all = browser.value("return JSON.stringify(window.told)");
    assert!(!all.as_str().unwrap().contains("offer"), "{all}");
}

#[test]
fn without_video_there_are_pictures_and_it_is_said_why() {
    if !can_show() {
        return;
    }
    let off = daemon("");
    assert_eq!(video_of(&off)["reason"], "off");
    drop(off);
    let args = ["--codec", "h265", "--size", "320x240"];
    let folder = tempfile::tempdir().unwrap();
    let other = PageDaemon::start_with(folder, "webrtc = true\n", None, &args);
    wait_until("H.265 is noticed", || video_of(&other)["reason"] == "codec");
    let Some(browser) = browser() else {
        return;
    };
    browser.open(&other.url("/"));
    wait_until("pictures", || {
        mode(&browser) == "pictures" && number(&browser, "frames") > 3
    });
    let why = browser.value("return document.body.dataset.noVideo");
    assert!(why.as_str().unwrap().contains("H.264"), "{why}");
}
