//! Redis streams, against redis-server.

use std::time::Duration;

use redis::streams::StreamRangeReply;

use crate::daemon::Site;
use crate::outage::{LONG, Receiver, SHORT, nothing_is_lost};
use crate::server::Server;
use crate::{free_port, is_installed, wait_until};

/// redis-server that keeps what it has acknowledged.
pub struct RedisServer {
    pub server: Server,
}

impl RedisServer {
    pub fn new(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let port_text = port.to_string();
        let place = folder.path().to_str().unwrap().to_owned();
        let mut args = vec!["--port", &port_text, "--bind", "127.0.0.1", "--dir", &place];
        args.extend([
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ]);
        args.extend(more);
        Self {
            server: Server::new("redis-server", &args, port, folder),
        }
    }
}

impl Receiver for RedisServer {
    fn start(&mut self) {
        self.server.start();
    }

    fn stop(&mut self) {
        self.server.stop();
    }

    fn received(&self) -> Vec<String> {
        let address = format!("redis://:right@127.0.0.1:{}", self.server.port);
        let client = redis::Client::open(address).unwrap();
        // The server may still be reading its file.
        let Ok(mut connection) = client.get_connection() else {
            return Vec::new();
        };
        let entries: StreamRangeReply = redis::cmd("XRANGE")
            .arg("plant:7:events")
            .arg("-")
            .arg("+")
            .query(&mut connection)
            .unwrap_or_default();
        let text =
            |name: &str, entry: &redis::streams::StreamId| entry.get::<String>(name).unwrap();
        for entry in &entries.ids {
            assert!(text("event", entry).contains(&text("id", entry)));
            assert!(text("route", entry).starts_with("gate"));
        }
        entries.ids.iter().map(|it| text("event", it)).collect()
    }
}

fn sink(port: u16) -> String {
    format!("url = \"redis://127.0.0.1:{port}\"\ntopic = \"plant/7\"\n")
}

pub fn with_password(port: u16, file: &std::path::Path) -> String {
    let file = file.to_str().unwrap();
    sink(port) + &format!("user = \"default\"\npassword_file = {file:?}\n")
}

fn outage(outage: Duration) {
    if !is_installed("redis-server", "redis-server") {
        return;
    }
    let mut server = RedisServer::new(&["--requirepass", "right"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "right\n").unwrap();
    let mut site = Site::new(&with_password(server.server.port, &file));
    nothing_is_lost(&mut server, &mut site, outage);
}

#[test]
fn redis_loses_no_event_to_an_outage_and_a_kill() {
    outage(SHORT);
}

#[test]
#[ignore = "takes three minutes"]
fn redis_loses_no_event_to_two_minutes_of_outage_and_a_kill() {
    outage(LONG);
}

#[test]
fn redis_tells_a_wrong_password_with_the_remedy() {
    if !is_installed("redis-server", "redis-server") {
        return;
    }
    let mut server = RedisServer::new(&["--requirepass", "right"]);
    server.start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "wrong\n").unwrap();
    let mut site = Site::new(&with_password(server.server.port, &file));
    site.start();
    site.wait_for_log("the server refuses user and password; check user and password_file");
    wait_until("events in the spool", || {
        site.metric("sink_waiting", None) >= 5
    });
    site.kill();
    std::fs::write(&file, "right\n").unwrap();
    site.start();
    wait_until("what waited", || server.received().len() >= 5);
    site.stop();
}

#[test]
fn redis_that_is_not_there_is_told_and_waited_for() {
    let port = free_port();
    let mut site = Site::new(&sink(port));
    site.start();
    site.wait_for_log("the sink takes no events; they wait in the spool");
    wait_until("events in the spool", || {
        site.metric("sink_waiting", None) >= 5
    });
    site.stop();
}
