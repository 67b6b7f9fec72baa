//! Events at real brokers and webhooks: lost connections, killed daemons, wrong passwords.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test tells by failing, and why it is skipped"
)]

#[path = "../support/camera_process.rs"]
mod camera_process;
mod daemon;
#[cfg(feature = "kafka")]
mod kafka;
mod mqtt;
mod nats;
mod outage;
mod redis;
mod server;
#[cfg(feature = "kafka")]
mod soak;
mod tls;
mod webhook;

use std::time::{Duration, Instant};

/// Longest wait for anything; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(90);

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Is `program` there? Says so if not.
fn is_installed(program: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let is_there = folders
        .into_iter()
        .any(|folder| folder.join(program).exists());
    if !is_there {
        eprintln!("SKIPPED: {program} is not installed (scripts/setup --tests, package {package})");
    }
    is_there
}
