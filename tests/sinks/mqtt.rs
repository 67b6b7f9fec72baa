//! MQTT, against mosquitto.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt3::{AsyncClient, Event, MqttOptions, Packet, QoS};

use crate::daemon::Site;
use crate::outage::{LONG, Receiver, SHORT, firsts, nothing_is_lost};
use crate::server::Server;
use crate::{free_port, is_installed, wait_until};

/// mosquitto, and a subscriber that keeps its session.
pub struct Mosquitto {
    pub server: Server,
    heard: Arc<Mutex<Vec<(String, String)>>>,
    login: Option<(&'static str, &'static str)>,
    _subscriber: Option<tokio::runtime::Runtime>,
}

impl Mosquitto {
    pub fn new(more: &str, login: Option<(&'static str, &'static str)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = folder.path().join("mosquitto.conf");
        let place = folder.path().display();
        let anonymous = login.is_none();
        let text = format!(
            "listener {port} 127.0.0.1\npersistence true\npersistence_location {place}/\n\
             allow_anonymous {anonymous}\nmax_queued_messages 0\nuser root\n{}",
            more.replace("FOLDER", &place.to_string())
        );
        std::fs::write(&config, text).unwrap();
        let args = ["-c", config.to_str().unwrap()];
        let server = Server::new("mosquitto", &args, port, folder);
        Self {
            server,
            heard: Arc::default(),
            login,
            _subscriber: None,
        }
    }

    fn subscribe(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut options = MqttOptions::new("listener", ("127.0.0.1", self.server.port));
        options.set_clean_session(false);
        options.set_max_packet_size(1 << 20, 1 << 20);
        if let Some((user, password)) = self.login {
            options.set_credentials(user, password);
        }
        let (client, mut events) = AsyncClient::builder(options).capacity(16).build();
        let heard = Arc::clone(&self.heard);
        runtime.spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        client.try_subscribe("#", QoS::AtLeastOnce).unwrap();
                    }
                    Ok(Event::Incoming(Packet::Publish(it))) => {
                        let text = String::from_utf8(it.payload.to_vec()).unwrap();
                        let topic = String::from_utf8(it.topic.to_vec()).unwrap();
                        heard.lock().unwrap().push((topic, text));
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        self._subscriber = Some(runtime);
    }

    fn last(&self, topic: &str) -> Option<String> {
        let heard = self.heard.lock().unwrap();
        let found = heard.iter().rev().find(|(name, _)| name == topic);
        found.map(|(_, text)| text.clone())
    }
}

impl Receiver for Mosquitto {
    fn start(&mut self) {
        self.server.start();
        if self._subscriber.is_none() {
            self.subscribe();
        }
    }

    fn stop(&mut self) {
        self.server.stop();
    }

    fn received(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let events = heard
            .iter()
            .filter(|(topic, _)| topic.starts_with("plant/7/events/gate"));
        events.map(|(_, text)| text.clone()).collect()
    }
}

pub fn sink(port: u16, version: &str) -> String {
    format!(
        "url = \"mqtt://127.0.0.1:{port}\"\ntopic = \"plant/7\"\nmqtt_version = \"{version}\"\n"
    )
}

fn outage(version: &str, outage: Duration) {
    if !is_installed("mosquitto", "mosquitto") {
        return;
    }
    let mut broker = Mosquitto::new("", None);
    let mut site = Site::new(&sink(broker.server.port, version));
    nothing_is_lost(&mut broker, &mut site, outage);
    let status = broker.last("plant/7/status");
    assert_eq!(status.as_deref(), Some("offline"), "told at the stop");
}

#[test]
fn mqtt_5_loses_no_event_to_an_outage_and_a_kill() {
    outage("5", SHORT);
}

#[test]
fn mqtt_3_1_1_loses_no_event_to_an_outage_and_a_kill() {
    outage("3.1.1", SHORT);
}

#[test]
#[ignore = "takes three minutes"]
fn mqtt_loses_no_event_to_two_minutes_of_outage_and_a_kill() {
    outage("5", LONG);
}

#[test]
fn a_broker_that_is_not_there_at_the_start_is_waited_for_and_a_death_is_told_by_the_last_will() {
    if !is_installed("mosquitto", "mosquitto") {
        return;
    }
    let mut broker = Mosquitto::new("", None);
    let mut site = Site::new(&sink(broker.server.port, "5"));
    site.start();
    site.wait_for_log("the sink takes no events; they wait in the spool");
    wait_until("events in the spool", || {
        site.metric("sink_waiting", None) >= 5
    });
    assert_eq!(site.metric("sink_connected", None), 0);
    broker.start();
    wait_until("the spool to be emptied", || broker.received().len() >= 5);
    assert_eq!(site.metric("sink_connected", None), 1);
    wait_until("online", || {
        broker.last("plant/7/status").as_deref() == Some("online")
    });
    site.kill();
    wait_until("the last will", || {
        broker.last("plant/7/status").as_deref() == Some("offline")
    });
}

#[test]
fn a_broker_that_freezes_is_given_up_and_gets_everything_when_it_goes_on() {
    if !is_installed("mosquitto", "mosquitto") {
        return;
    }
    let mut broker = Mosquitto::new("", None);
    broker.start();
    let mut site = Site::new(&sink(broker.server.port, "5"));
    site.start();
    wait_until("the first events", || broker.received().len() >= 10);
    broker.server.freeze();
    site.wait_for_log("the broker has not answered for 20 s");
    let waiting = site.metric("sink_waiting", None);
    assert!(waiting >= 20, "{waiting} events wait");
    broker.server.thaw();
    let before = broker.received().len();
    let enough = before + usize::try_from(waiting).unwrap();
    wait_until("what waited", || firsts(&broker.received()).len() >= enough);
    site.stop();
    for (index, envelope) in firsts(&broker.received()).iter().enumerate() {
        let expected = format!("{:020}", index + 1);
        assert_eq!(envelope["sequence"], expected.as_str());
    }
}

#[test]
fn results_come_at_the_rate_that_was_asked_for() {
    if !is_installed("mosquitto", "mosquitto") {
        return;
    }
    let mut broker = Mosquitto::new("", None);
    broker.start();
    let mut site = Site::new(&(sink(broker.server.port, "5") + "results_hz = 5\n"));
    site.start();
    let results = |broker: &Mosquitto| -> Vec<serde_json::Value> {
        let heard = broker.heard.lock().unwrap();
        let results = heard
            .iter()
            .filter(|(topic, _)| topic == "plant/7/results/gate");
        results
            .map(|(_, text)| serde_json::from_str(text).unwrap())
            .collect()
    };
    wait_until("results", || results(&broker).len() >= 25);
    site.stop();
    let schema = serde_json::from_str(include_str!("../../config/result.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let results = results(&broker);
    assert!(results.iter().all(|it| schema.is_valid(it)));
    let pts = |it: &serde_json::Value| it["pts_ns"].as_u64().unwrap();
    for pair in results.windows(2) {
        let is_new_run = pair[0]["run"] != pair[1]["run"];
        let gap = pts(&pair[1]).saturating_sub(pts(&pair[0]));
        assert!(is_new_run || gap >= 200_000_000, "{gap} ns");
    }
    assert!(broker.received().len() >= 5, "events come as well");
}

#[test]
fn results_have_the_tracks_of_the_wanted_classes_alone() {
    if !is_installed("mosquitto", "mosquitto") {
        return;
    }
    let mut broker = Mosquitto::new("", None);
    broker.start();
    let keys = "events = false\nresults_hz = 10\nclasses = [\"car\"]\n";
    let mut site = Site::new(&(sink(broker.server.port, "5") + keys));
    site.start();
    let classes = || -> Vec<String> {
        let heard = broker.heard.lock().unwrap();
        let results = heard
            .iter()
            .filter(|(topic, _)| topic == "plant/7/results/gate");
        let lines =
            results.map(|(_, text)| serde_json::from_str::<serde_json::Value>(text).unwrap());
        let tracks = lines.flat_map(|line| line["tracks"].as_array().unwrap().clone());
        tracks
            .map(|track| track["class"].as_str().unwrap().to_owned())
            .collect()
    };
    wait_until("cars", || classes().len() >= 60);
    site.stop();
    assert!(classes().iter().all(|class| class == "car"));
}

#[test]
fn results_come_though_nothing_is_counted() {
    if !is_installed("mosquitto", "mosquitto") {
        return;
    }
    let mut broker = Mosquitto::new("", None);
    broker.start();
    let mut site = Site::new(&(sink(broker.server.port, "5") + "results_hz = 5\n"));
    site.forget_places();
    site.start();
    // Longer than a sink that was told to end would take.
    wait_until("results over more than five seconds", || {
        let heard = broker.heard.lock().unwrap();
        let of_gate = |(topic, _): &&(String, String)| topic == "plant/7/results/gate";
        heard.iter().filter(of_gate).count() >= 40
    });
    site.stop();
    assert!(broker.received().is_empty(), "and no event");
}

#[test]
fn home_assistant_is_told_of_every_zone_and_line_and_their_counts_are_kept() {
    if !is_installed("mosquitto", "mosquitto") {
        return;
    }
    let mut broker = Mosquitto::new("", None);
    broker.start();
    let mut site = Site::new(&(sink(broker.server.port, "5") + "home_assistant = true\n"));
    site.start();
    let config = "homeassistant/sensor/gantryd-room/gantryd-room_gate_street_occupancy/config";
    wait_until("the sensor", || broker.last(config).is_some());
    let sensor: serde_json::Value = serde_json::from_str(&broker.last(config).unwrap()).unwrap();
    let topic = sensor["state_topic"].as_str().unwrap();
    let state = |name: &str| {
        let text = broker.last(topic).unwrap_or_default();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        value[name].as_u64().unwrap_or(0)
    };
    wait_until("a visit", || {
        state("entries") >= 2 && state("occupancy") >= 1
    });
    wait_until("a crossing", || {
        let text = broker.last("plant/7/state/gate/line-8").unwrap_or_default();
        text.contains("\"in\":1") || text.contains("\"out\":1")
    });
    site.stop();
    // Who comes later is told what was told last.
    let kept = retained(broker.server.port, topic);
    assert_eq!(kept, broker.last(topic), "{topic}");
    assert!(retained(broker.server.port, config).is_some(), "{config}");
    assert_eq!(retained(broker.server.port, "plant/7/events/#"), None);
}

/// What the broker keeps at `topic` for those who come, within a second.
fn retained(port: u16, topic: &str) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listen = async {
        let options = MqttOptions::new("late", ("127.0.0.1", port));
        let (client, mut events) = AsyncClient::builder(options).capacity(16).build();
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    client.try_subscribe(topic, QoS::AtLeastOnce).unwrap();
                }
                Ok(Event::Incoming(Packet::Publish(it))) if it.retain => {
                    return String::from_utf8(it.payload.to_vec()).unwrap();
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(1), listen)
            .await
            .ok()
    })
}

#[test]
fn a_wrong_password_is_told_with_the_remedy_and_the_right_one_delivers_what_waited() {
    if !is_installed("mosquitto", "mosquitto") || !is_installed("mosquitto_passwd", "mosquitto") {
        return;
    }
    let mut broker = Mosquitto::new(
        "password_file FOLDER/accounts\n",
        Some(("gantryd", "right")),
    );
    let accounts = broker.server.file("accounts");
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&accounts)
        .args(["gantryd", "right"])
        .status();
    assert!(made.unwrap().success());
    broker.start();
    let keys = "user = \"gantryd\"\npassword_file = \"password\"\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "wrong\n").unwrap();
    let keys = keys.replace("\"password\"", &format!("{:?}", file.to_str().unwrap()));
    for version in ["3.1.1", "5"] {
        std::fs::write(&file, "wrong\n").unwrap();
        let mut site = Site::new(&(sink(broker.server.port, version) + &keys));
        site.start();
        site.wait_for_log("the server refuses user and password; check user and password_file");
        wait_until("events in the spool", || {
            site.metric("sink_waiting", None) >= 5
        });
        assert!(!site.log().contains("wrong"), "{}", site.log());
        site.kill();
        std::fs::write(&file, "right\n").unwrap();
        let before = broker.received().len();
        site.start();
        wait_until("what waited", || broker.received().len() >= before + 5);
        site.stop();
    }
}

#[test]
fn mqtts_trusts_the_named_authority_and_no_other() {
    if !is_installed("mosquitto", "mosquitto") || !is_installed("openssl", "openssl") {
        return;
    }
    let mut broker = Mosquitto::new(
        "certfile FOLDER/server.pem\nkeyfile FOLDER/server.key\n",
        None,
    );
    let folder = broker.server.folder.path().to_owned();
    let openssl = |args: &str| {
        let status = std::process::Command::new("openssl")
            .args(args.split(' '))
            .current_dir(&folder)
            .stderr(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success(), "openssl {args}");
    };
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2");
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names",
    );
    broker.server.start();
    let url = format!("url = \"mqtts://localhost:{}\"\n", broker.server.port);
    let mut site = Site::new(&url);
    site.start();
    site.wait_for_log("the sink takes no events; they wait in the spool");
    site.kill();
    let authority = folder.join("ca.pem");
    site.configure(&format!(
        "{url}tls_ca_file = {:?}\n",
        authority.to_str().unwrap()
    ));
    site.start();
    wait_until("acknowledged events", || {
        site.metric("sink_events_total", Some("acknowledged")) >= 5
    });
    site.stop();
}
