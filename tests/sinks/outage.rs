//! What is asked of every transport: the other side is gone for a while, the daemon is killed
//! meanwhile, and yet every event arrives, in order, under one id.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::Site;
use crate::wait_until;

/// Outage of the tests that run always.
pub const SHORT: Duration = Duration::from_secs(8);

/// Outage of the tests that are asked for.
pub const LONG: Duration = Duration::from_secs(120);

/// The other side.
pub trait Receiver {
    fn start(&mut self);
    fn stop(&mut self);
    /// Every envelope that came, in the order of arrival.
    fn received(&self) -> Vec<String>;
}

/// Stops the other side for `outage`, kills the daemon in the middle of it, and looks at what
/// arrived.
pub fn nothing_is_lost(receiver: &mut dyn Receiver, site: &mut Site, outage: Duration) {
    receiver.start();
    site.start();
    wait_until("the first events", || receiver.received().len() >= 20);

    receiver.stop();
    let began = Instant::now();
    wait_until("events in the spool", || {
        site.metric("sink_waiting", None) >= 10
    });
    while began.elapsed() < outage / 2 {
        std::thread::sleep(Duration::from_millis(50));
    }
    site.kill();
    site.start();
    wait_until("a spool that goes on", || {
        site.metric("sink_events_total", Some("spooled")) >= 10
    });
    while began.elapsed() < outage {
        std::thread::sleep(Duration::from_millis(50));
    }
    let waiting = site.metric("sink_waiting", None);
    receiver.start();
    wait_until("everything to be delivered", || {
        site.metric("sink_events_total", Some("acknowledged")) >= waiting
            && site.metric("sink_waiting", None) < 5
    });
    // The counters are there, and none of them is of a loss.
    assert!(site.metric("sink_events_total", Some("spooled")) > 0);
    assert_eq!(site.metric("sink_events_total", Some("dropped_full")), 0);
    site.stop();
    let written = site.events();
    let newest = written.last().unwrap();
    wait_until("the newest event to come", || {
        let received = receiver.received();
        received
            .iter()
            .any(|it| serde_json::from_str::<Value>(it).unwrap()["data"] == *newest)
    });
    judge(&receiver.received(), &written);
    eprintln!(
        "{} s outage: {} events waited, {} messages came for {} events",
        outage.as_secs(),
        waiting,
        receiver.received().len(),
        firsts(&receiver.received()).len()
    );
}

/// The first of each id, in the order of arrival; duplicates must be the same to the byte.
pub fn firsts(received: &[String]) -> Vec<Value> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut firsts = Vec::new();
    for text in received {
        let value: Value = serde_json::from_str(text).unwrap();
        let id = value["id"].as_str().unwrap().to_owned();
        if let Some(first) = seen.insert(id, text) {
            assert_eq!(first, text, "a duplicate is the same to the byte");
        } else {
            firsts.push(value);
        }
    }
    firsts
}

fn judge(received: &[String], written: &[Value]) {
    let schema = serde_json::from_str(include_str!("../../config/event.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let firsts = firsts(received);
    for (index, envelope) in firsts.iter().enumerate() {
        assert!(schema.is_valid(envelope), "{envelope}");
        let expected = format!("{:020}", index + 1);
        assert_eq!(
            envelope["sequence"],
            expected.as_str(),
            "in order, none missing"
        );
    }
    assert!(written.len() >= 40, "{} events are few", written.len());
    for event in written {
        let is_it = |envelope: &&Value| envelope["data"] == *event;
        assert!(firsts.iter().any(|it| is_it(&it)), "never arrived: {event}");
    }
}
