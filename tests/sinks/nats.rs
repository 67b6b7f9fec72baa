//! NATS JetStream, against nats-server.

use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream;

use crate::daemon::Site;
use crate::outage::{LONG, Receiver, SHORT, firsts, nothing_is_lost};
use crate::server::Server;
use crate::{free_port, is_installed, wait_until};

/// nats-server, and what its stream holds.
pub struct NatsServer {
    pub server: Server,
    runtime: tokio::runtime::Runtime,
}

impl NatsServer {
    pub fn new(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let port_text = port.to_string();
        let store = folder.path().to_str().unwrap().to_owned();
        let mut args = vec!["-js", "-a", "127.0.0.1", "-p", &port_text, "-sd", &store];
        args.extend(more);
        Self {
            server: Server::new("nats-server", &args, port, folder),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn messages(&self) -> Vec<(String, String)> {
        let options =
            ConnectOptions::new().user_and_password("gantryd".to_owned(), "right".to_owned());
        self.messages_by(options)
    }

    /// What the stream holds, by subject, as a client with these options reads it.
    pub fn messages_by(&self, options: ConnectOptions) -> Vec<(String, String)> {
        let address = format!("localhost:{}", self.server.port);
        self.runtime.block_on(async move {
            let client = options.connect(address).await.unwrap();
            let context = jetstream::new(client);
            let Ok(stream) = context.get_stream("plant").await else {
                return Vec::new();
            };
            let newest = stream.get_info().await.unwrap().state.last_sequence;
            let mut messages = Vec::new();
            for number in 1..=newest {
                let message = stream.get_raw_message(number).await.unwrap();
                let text = String::from_utf8(message.payload.to_vec()).unwrap();
                messages.push((message.subject.to_string(), text));
            }
            messages
        })
    }
}

impl Receiver for NatsServer {
    fn start(&mut self) {
        self.server.start();
    }

    fn stop(&mut self) {
        self.server.stop();
    }

    fn received(&self) -> Vec<String> {
        self.messages().into_iter().map(|(_, text)| text).collect()
    }
}

pub fn sink(port: u16) -> String {
    format!("url = \"nats://127.0.0.1:{port}\"\nstream = \"plant\"\ntopic = \"plant/7\"\n")
}

fn outage(outage: Duration) {
    if !is_installed("nats-server", "nats-server") {
        return;
    }
    let mut server = NatsServer::new(&[]);
    let mut site = Site::new(&sink(server.server.port));
    nothing_is_lost(&mut server, &mut site, outage);
    let messages = server.messages();
    let is_ours = |(subject, _): &(String, String)| subject.starts_with("plant.7.events.gate.");
    assert!(messages.iter().all(is_ours));
    let ids = firsts(&server.received()).len();
    assert_eq!(ids, messages.len(), "the stream keeps each event once");
}

#[test]
fn nats_loses_no_event_to_an_outage_and_a_kill() {
    outage(SHORT);
}

#[test]
#[ignore = "takes three minutes"]
fn nats_loses_no_event_to_two_minutes_of_outage_and_a_kill() {
    outage(LONG);
}

#[test]
fn nats_tells_a_wrong_password_with_the_remedy() {
    if !is_installed("nats-server", "nats-server") {
        return;
    }
    let mut server = NatsServer::new(&["--user", "gantryd", "--pass", "right"]);
    server.start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "wrong\n").unwrap();
    let keys = format!(
        "user = \"gantryd\"\npassword_file = {:?}\n",
        file.to_str().unwrap()
    );
    let mut site = Site::new(&(sink(server.server.port) + &keys));
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
fn nats_that_is_not_there_is_told_and_waited_for() {
    let port = free_port();
    let mut site = Site::new(&sink(port));
    site.start();
    site.wait_for_log("the sink takes no events; they wait in the spool");
    wait_until("events in the spool", || {
        site.metric("sink_waiting", None) >= 5
    });
    site.stop();
}
