//! Webhooks, against a small HTTP server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};

use crate::daemon::Site;
use crate::outage::{LONG, Receiver, SHORT, firsts, nothing_is_lost};
use crate::{free_port, wait_until};

const SECRET: &str = "a secret of our own";

/// An answer that never comes.
const HANG: u16 = 0;

/// The event is taken, and the answer says that it was not.
const TAKEN_UNTOLD: u16 = 599;

/// A server that takes events, refuses them, or hangs.
pub struct Hook {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    status: AtomicU16,
    taken: Mutex<Vec<String>>,
}

impl Hook {
    pub fn new() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], free_port())),
            shared: Arc::new(Shared {
                status: AtomicU16::new(204),
                taken: Mutex::default(),
            }),
            runtime: None,
        }
    }

    fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::Relaxed);
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn sink(&self) -> String {
        format!("url = \"http://{}/events?token=hunter2\"\n", self.address)
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> StatusCode {
    let status = shared.status.load(Ordering::Relaxed);
    if status == HANG {
        std::future::pending::<()>().await;
    }
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    if let Some(signature) = headers.get("webhook-signature") {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        let signed = format!(
            "{}.{}.{body}",
            text("webhook-id"),
            text("webhook-timestamp")
        );
        mac.update(signed.as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(signature.to_str().unwrap(), expected);
    }
    let envelope: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(envelope["id"], text("webhook-id"));
    if (200..300).contains(&status) || status == TAKEN_UNTOLD {
        shared.taken.lock().unwrap().push(body);
    }
    StatusCode::from_u16(status).unwrap()
}

impl Receiver for Hook {
    fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let router = Router::new()
            .route("/events", post(take))
            .with_state(Arc::clone(&self.shared));
        let socket = std::net::TcpListener::bind(self.address).unwrap();
        socket.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(socket).unwrap();
            axum::serve(listener, router).into_future().await.ok();
        });
        self.runtime = Some(runtime);
    }

    fn stop(&mut self) {
        self.runtime
            .take()
            .unwrap()
            .shutdown_timeout(Duration::from_secs(1));
    }

    fn received(&self) -> Vec<String> {
        self.shared.taken.lock().unwrap().clone()
    }
}

fn outage(outage: Duration) {
    let mut hook = Hook::new();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let keys = format!("secret_file = {:?}\n", secret.to_str().unwrap());
    let mut site = Site::new(&(hook.sink() + &keys));
    nothing_is_lost(&mut hook, &mut site, outage);
    assert!(!site.log().contains("hunter2"), "{}", site.log());
}

#[test]
fn a_webhook_loses_no_event_to_an_outage_and_a_kill() {
    outage(SHORT);
}

#[test]
#[ignore = "takes three minutes"]
fn a_webhook_loses_no_event_to_two_minutes_of_outage_and_a_kill() {
    outage(LONG);
}

#[test]
fn a_webhook_that_fails_or_hangs_gets_everything_later_and_what_it_refuses_is_given_up() {
    let mut hook = Hook::new();
    hook.start();
    hook.answer(500);
    let mut site = Site::new(&(hook.sink() + "timeout_secs = 1\n"));
    site.start();
    site.wait_for_log("the webhook answers 500");
    hook.answer(HANG);
    site.wait_for_log("timeout");
    assert!(hook.received().is_empty());
    hook.answer(204);
    wait_until("everything that waited", || hook.received().len() >= 10);
    hook.answer(422);
    wait_until("a refusal", || {
        site.metric("sink_events_total", Some("refused")) >= 2
    });
    hook.answer(204);
    let before = hook.received().len();
    wait_until("what comes after", || hook.received().len() >= before + 3);
    let refused = site.metric("sink_events_total", Some("refused"));
    site.stop();
    let firsts = firsts(&hook.received());
    let sequences = firsts.iter().map(|it| it["sequence"].as_str().unwrap());
    let sequences: Vec<u64> = sequences.map(|it| it.parse().unwrap()).collect();
    assert!(sequences.is_sorted());
    let missing = sequences.last().unwrap() - sequences.len() as u64;
    assert_eq!(missing, refused, "nothing else is missing: {sequences:?}");
}

#[test]
fn an_event_whose_answer_is_lost_comes_again_the_same_to_the_byte() {
    let mut hook = Hook::new();
    hook.start();
    hook.answer(TAKEN_UNTOLD);
    let mut site = Site::new(&hook.sink());
    site.start();
    wait_until("the first event again and again", || {
        hook.received().len() >= 3
    });
    hook.answer(204);
    wait_until("the others", || firsts(&hook.received()).len() >= 10);
    site.stop();
    let received = hook.received();
    let firsts = firsts(&received);
    assert!(received.len() >= firsts.len() + 2, "duplicates came");
    for (index, envelope) in firsts.iter().enumerate() {
        let expected = format!("{:020}", index + 1);
        assert_eq!(envelope["sequence"], expected.as_str());
    }
}

#[test]
fn sinks_do_not_wait_for_one_another_and_each_has_its_filter() {
    let (mut one, mut other, never) = (Hook::new(), Hook::new(), Hook::new());
    one.start();
    other.start();
    let mut site = Site::new(&format!(
        "url = \"http://{}/\"\n\
         [[sinks]]\nname = \"lines\"\n{}types = [\"line_crossing\"]\nplaces = [\"line-3\", \"line-9\"]\n\
         [[sinks]]\nname = \"cars\"\n{}classes = [\"car\"]\n",
        never.address,
        one.sink(),
        other.sink(),
    ));
    site.start();
    wait_until("events at both", || {
        one.received().len() >= 6 && other.received().len() >= 20
    });
    assert!(
        site.metric("sink_waiting", None) >= 20,
        "the third is not there"
    );
    site.stop();
    let lines = firsts(&one.received());
    assert!(
        lines
            .iter()
            .all(|it| it["type"] == "gantryd.line_crossing.v1")
    );
    for place in ["line-3", "line-9"] {
        assert!(lines.iter().any(|it| it["subject"] == place), "{place}");
    }
    assert!(
        lines
            .iter()
            .all(|it| it["subject"] == "line-3" || it["subject"] == "line-9")
    );
    let cars = firsts(&other.received());
    let class = |it: &serde_json::Value| it["data"]["object"]["class"].as_str().unwrap().to_owned();
    assert!(cars.iter().all(|it| class(it) == "car"));
}

#[test]
fn a_hanging_webhook_does_not_hold_up_the_stop() {
    let mut hook = Hook::new();
    hook.start();
    hook.answer(HANG);
    let mut site = Site::new(&(hook.sink() + "timeout_secs = 120\n"));
    site.start();
    wait_until("events in the spool", || {
        site.metric("sink_waiting", None) >= 2
    });
    let began = std::time::Instant::now();
    site.stop();
    assert!(began.elapsed() < Duration::from_secs(9), "{}", site.log());
    assert!(
        site.log()
            .contains("events wait in the spool for the next start")
    );
}
