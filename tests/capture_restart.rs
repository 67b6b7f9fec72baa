//! A camera that is killed and comes back, again and again, leaves nothing behind. Alone in its
//! program, because it counts the threads and the memory of the process.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and tells what it measured"
)]

#[path = "support/camera_process.rs"]
mod camera_process;
#[path = "support/camera_run.rs"]
mod camera_run;

use std::time::{Duration, Instant};

use camera_process::CameraProcess;
use camera_run::{CameraRun, PATIENCE, options};
use gantryd::base::RunEnd;
use gantryd::capture::{CameraOptions, Source};

fn camera_options(uri: &str) -> CameraOptions {
    let mut options = options(Source::parse(uri).unwrap());
    options.latency_ms = 100;
    options.connect_secs = 5.0;
    options
}

/// Threads and resident memory of this process.
fn footprint() -> (usize, u64) {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let rss = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap();
    (threads, rss)
}

#[test]
fn a_camera_killed_twenty_times_is_back_within_three_seconds_each_time() {
    const KILLS: usize = 20;
    /// Frames that show that a connection works.
    const HEALTHY: usize = 5;
    let mut camera = CameraProcess::start(&["--gop", "10"]);
    let port = camera.port;
    let port_text = port.to_string();
    let run = CameraRun::start(camera_options(&camera.uri())).unwrap();
    run.wait_until("the first frames", PATIENCE, |log| {
        log.frames.len() >= HEALTHY
    });
    let mut slowest = Duration::ZERO;
    let mut before = (0, 0);
    for kill in 0..KILLS {
        camera.kill();
        let known = run.log.lock().unwrap().ends.len();
        run.wait_until("the loss", PATIENCE, |log| log.ends.len() > known);
        let frames = run.frames();
        camera = CameraProcess::start(&["--gop", "10", "--port", &port_text]);
        let back = Instant::now();
        run.wait_until("the return", PATIENCE, |log| log.frames.len() > frames);
        slowest = slowest.max(back.elapsed());
        run.wait_until("healthy", PATIENCE, |log| {
            log.frames.len() >= frames + HEALTHY
        });
        if kill == 2 {
            before = footprint();
        }
    }
    let after = footprint();
    eprintln!("slowest return {slowest:?}, threads and KiB {before:?} -> {after:?}");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    // This test program runs nothing else: what is left over is left by capture.
    assert_eq!(after.0, before.0, "threads");
    assert!(after.1 < before.1 + 8_000, "{before:?} -> {after:?}");
    let (log, balance) = run.finish();
    assert_eq!(balance.unaccounted, 0);
    assert!(log.ends.len() > KILLS);
    let lost = |reason| {
        matches!(
            reason,
            RunEnd::ConnectionLost | RunEnd::EndOfStream | RunEnd::Unreachable
        )
    };
    assert!(
        log.ends[..log.ends.len() - 1]
            .iter()
            .all(|(_, reason)| lost(*reason)),
        "{:?}",
        log.ends
    );
    for pair in log.ends.windows(2) {
        assert_eq!(pair[1].0.0, pair[0].0.0 + 1, "every run ends once");
    }
}
