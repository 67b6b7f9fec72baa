//! `[[sinks]]`: brokers and webhooks that are sent events.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::CameraConfig;
use super::cameras::{Credentials, read_credentials, read_password};
use super::reader::Section;
use super::words::quoted;
use crate::base::{EventKind, Secret, redact_uri};
use crate::sinks::publish::plain;

choices! {
    /// Version of the MQTT protocol.
    MqttVersion {
        /// 3.1.1.
        V3 = "3.1.1",
        /// 5.
        V5 = "5",
    }
}

choices! {
    /// How a login at Kafka is proven.
    Sasl {
        /// The password is sent as it is.
        Plain = "plain",
        /// SCRAM with SHA-256.
        Scram256 = "scram-sha-256",
        /// SCRAM with SHA-512.
        Scram512 = "scram-sha-512",
    }
}

/// What a sink is, by the scheme of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkKind {
    /// `kafka://`, `kafkas://`.
    Kafka,
    /// `mqtt://`, `mqtts://`.
    Mqtt,
    /// `nats://`, `tls://`.
    Nats,
    /// `redis://`, `rediss://`.
    Redis,
    /// `http://`, `https://`.
    Webhook,
}

/// Each scheme, what it is, and whether this program was built with it.
const SCHEMES: [(&str, SinkKind, bool); 10] = [
    ("kafka", SinkKind::Kafka, cfg!(feature = "kafka")),
    ("kafkas", SinkKind::Kafka, cfg!(feature = "kafka-tls")),
    ("mqtt", SinkKind::Mqtt, cfg!(feature = "mqtt")),
    ("mqtts", SinkKind::Mqtt, cfg!(feature = "mqtt")),
    ("nats", SinkKind::Nats, cfg!(feature = "nats")),
    ("tls", SinkKind::Nats, cfg!(feature = "nats")),
    ("redis", SinkKind::Redis, cfg!(feature = "redis")),
    ("rediss", SinkKind::Redis, cfg!(feature = "redis")),
    ("http", SinkKind::Webhook, cfg!(feature = "webhook")),
    ("https", SinkKind::Webhook, cfg!(feature = "webhook")),
];

/// Everything but a webhook.
const BROKERS: [SinkKind; 4] = [
    SinkKind::Kafka,
    SinkKind::Mqtt,
    SinkKind::Nats,
    SinkKind::Redis,
];

/// Keys that mean something to some sinks only.
const KEYS_OF: [(&str, &[SinkKind]); 11] = [
    ("topic", &BROKERS),
    ("results_hz", &BROKERS),
    ("sasl", &[SinkKind::Kafka]),
    ("zone_state", &[SinkKind::Mqtt]),
    ("home_assistant", &[SinkKind::Mqtt]),
    ("mqtt_version", &[SinkKind::Mqtt]),
    ("client_id", &[SinkKind::Mqtt, SinkKind::Kafka]),
    ("stream", &[SinkKind::Nats]),
    ("max_len", &[SinkKind::Redis]),
    ("secret_file", &[SinkKind::Webhook]),
    ("timeout_secs", &[SinkKind::Webhook]),
];

/// Longest name, and longest first part of topics, characters.
const NAME_CHARS: usize = 64;

/// Schemes that ask for TLS.
const TLS_SCHEMES: [&str; 5] = ["kafkas", "mqtts", "tls", "rediss", "https"];

/// Address of a sink. Prints as scheme, host and port: anything in the path of a webhook may be a
/// token.
#[derive(Clone, PartialEq, Eq)]
pub struct SinkUrl(pub Url);

impl SinkUrl {
    /// What people may see of it.
    #[must_use]
    pub fn shown(&self) -> String {
        origin_of(self.0.as_str())
    }
}

impl fmt::Debug for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown(), f)
    }
}

/// `https://user:pw@host:8443/token?x` → `https://***@host:8443/…`; works for what is no URL too.
fn origin_of(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return redact_uri(text);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (place, path) = rest.split_at(end);
    let host = match place.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => place.to_owned(),
    };
    let more = if path.len() > 1 { "/…" } else { path };
    format!("{scheme}://{host}{more}")
}

/// One `[[sinks]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkConfig {
    /// Names it in metrics and the log, and its events in the spool.
    pub name: String,
    /// What it is.
    pub kind: SinkKind,
    /// Its address.
    pub url: SinkUrl,
    /// Account.
    pub credentials: Option<Credentials>,
    /// Trust these authorities instead of the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// What topics begin with.
    pub topic: String,
    /// Send events.
    pub events: bool,
    /// Cameras whose events it wants; empty for all.
    pub cameras: Vec<String>,
    /// Types of events it wants; empty for all.
    pub types: Vec<String>,
    /// Classes of objects it wants; empty for all.
    pub classes: Vec<String>,
    /// Zones and lines it wants; empty for all.
    pub places: Vec<String>,
    /// Results of frames per second and camera; 0 for events alone.
    pub results_hz: f64,
    /// Keep the counts of zones and lines at the broker.
    pub zone_state: bool,
    /// Tell Home Assistant of them.
    pub home_assistant: bool,
    /// Most that may wait for it on the disk, MiB.
    pub spool_mib: u32,
    /// Version of MQTT.
    pub mqtt_version: MqttVersion,
    /// How a login at Kafka is proven.
    pub sasl: Sasl,
    /// Name of the client at MQTT and Kafka.
    pub client_id: String,
    /// Stream of a NATS server.
    pub stream: String,
    /// About as many entries are kept in a Redis stream; 0 keeps all.
    pub max_len: u32,
    /// What a webhook's requests are signed with.
    pub secret: Option<Secret>,
    /// Longest time for one request to a webhook.
    pub timeout: Duration,
}

/// All sinks; `cameras` are those they may name.
pub(super) fn read_all(sections: Vec<Section<'_>>, cameras: &[CameraConfig]) -> Vec<SinkConfig> {
    let mut names = BTreeSet::new();
    let mut sinks = Vec::new();
    for mut section in sections {
        let name = read_name(&mut section);
        if let Some(name) = &name
            && !names.insert(name.clone())
        {
            let text = format!("{name:?} is the name of another sink too, each needs its own");
            section.fault("name", text);
        }
        let sink = read_sink(&mut section, name, cameras);
        section.finish();
        sinks.extend(sink);
    }
    sinks
}

fn read_sink(
    section: &mut Section<'_>,
    name: Option<String>,
    cameras: &[CameraConfig],
) -> Option<SinkConfig> {
    let address = read_url(section);
    if let Some((url, kind)) = &address {
        for (key, kinds) in KEYS_OF {
            if section.has(key) && !kinds.contains(kind) {
                let text = format!("means nothing to a sink with {}://", url.scheme());
                section.fault(key, text);
            }
        }
    }
    let all_cameras = cameras;
    let known_cameras: Vec<&str> = cameras.iter().map(|camera| camera.id.as_str()).collect();
    let known_places = places_of(cameras);
    let topic = section
        .text("topic")
        .unwrap_or_else(|| "gantryd".to_owned());
    let is_topic = topic.len() <= NAME_CHARS
        && !topic.contains(['+', '#', ' ', '*', '>'])
        && topic.split('/').all(|part| !part.is_empty());
    if !is_topic {
        let allowed =
            "words with / between them, without + # * > and blanks, 64 characters at most";
        section.fault(
            "topic",
            format!("{}, allowed are {allowed}", quoted(&topic)),
        );
    }
    let default_client = format!("gantryd-{}", name.as_deref().unwrap_or_default());
    let client_id = section.text("client_id").unwrap_or(default_client);
    let stream = section
        .text("stream")
        .unwrap_or_else(|| "gantryd".to_owned());
    if stream.contains(['.', ' ', '*', '>', '/', '\\']) {
        let allowed = "a name without . * > / \\ and blanks";
        section.fault(
            "stream",
            format!("{}, allowed is {allowed}", quoted(&stream)),
        );
    }
    let max_len = section.integer("max_len", 0..=u32::MAX, 0);
    let secret = section
        .existing_file("secret_file")
        .and_then(|file| read_password(section, "secret_file", &file));
    let (default_spool, default_timeout) = (64, Duration::from_secs(10));
    let credentials = read_credentials(section);
    let tls_ca_file = section.existing_file("tls_ca_file");
    if let Some((url, _)) = &address
        && section.was_given("tls_ca_file")
        && !TLS_SCHEMES.contains(&url.scheme())
    {
        let text = format!(
            "nothing is encrypted with {}://, use kafkas, mqtts, tls (NATS), rediss or https, or remove it",
            url.scheme()
        );
        section.fault("tls_ca_file", text);
    }
    let cameras = known_words(section, "cameras", &known_cameras);
    let types = known_words(section, "types", &EventKind::NAMES);
    let classes = section.texts("classes").unwrap_or_default();
    let places = known_words(section, "places", &known_places);
    let results_hz = section.number("results_hz", 0.0..=60.0, 0.0);
    let events = section.boolean("events", true);
    let home_assistant = section.boolean("home_assistant", false);
    let zone_state = section.boolean("zone_state", home_assistant);
    if zone_state {
        for camera in all_cameras {
            fault_of_alike(section, camera);
        }
    }
    if !events && results_hz <= 0.0 && !zone_state {
        section.fault(
            "events",
            "false, and nothing else is sent: remove the sink, or set results_hz",
        );
    }
    let spool_mib = section.integer("spool_mib", 1..=65_536, default_spool);
    let sasl = section.choice("sasl", Sasl::ALL, Sasl::Plain);
    if section.was_given("sasl") && credentials.is_none() {
        section.fault(
            "sasl",
            "says how to log in, but there are no user and password_file",
        );
    }
    if sasl != Sasl::Plain && !cfg!(feature = "kafka-tls") {
        section.fault(
            "sasl",
            "this gantryd was built without SCRAM, use \"plain\"",
        );
    }
    let mqtt_version = section.choice("mqtt_version", MqttVersion::ALL, MqttVersion::V5);
    let timeout = section.secs("timeout_secs", 1.0..=120.0, default_timeout);
    let (url, kind) = address?;
    Some(SinkConfig {
        name: name?,
        kind,
        url: SinkUrl(url),
        credentials,
        tls_ca_file,
        topic,
        events,
        cameras,
        types,
        classes,
        places,
        results_hz,
        zone_state,
        home_assistant,
        spool_mib,
        mqtt_version,
        sasl,
        client_id,
        stream,
        max_len,
        secret,
        timeout,
    })
}

fn read_name(section: &mut Section<'_>) -> Option<String> {
    let Some(name) = section.text("name") else {
        section.fault_if_absent(
            "name",
            "missing, every sink needs one, name = \"control-room\"",
        );
        return None;
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.len() <= NAME_CHARS && name.chars().all(is_plain) {
        return Some(name);
    }
    let allowed = "letters a-z, digits, - _ . and at most 64 of them";
    section.fault("name", format!("{}, allowed are {allowed}", quoted(&name)));
    None
}

/// Zones and lines whose states would have one topic.
fn fault_of_alike(section: &Section<'_>, camera: &CameraConfig) {
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    let zones = camera.zones.zones.iter().map(|zone| &*zone.name);
    for name in zones.chain(camera.zones.lines.iter().map(|line| &*line.name)) {
        if let Some(other) = taken.insert(plain(name), name) {
            let topic = plain(name);
            let text = format!(
                "{other:?} and {name:?} of {} both become {topic} in a topic, rename one",
                camera.id
            );
            section.fault("zone_state", text);
        }
    }
}

fn read_url(section: &mut Section<'_>) -> Option<(Url, SinkKind)> {
    let Some(text) = section.text("url") else {
        section.fault_if_absent(
            "url",
            "missing, every sink needs one, url = \"mqtt://host\"",
        );
        return None;
    };
    let shown = format!("{:?}", origin_of(&text));
    if text.contains('@') {
        let text = format!("{shown}, no credentials in an address: use user and password_file");
        section.fault("url", text);
        return None;
    }
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let known = SCHEMES.iter().find(|(name, ..)| *name == scheme);
    match (known, Url::parse(&text)) {
        (Some((_, kind, true)), Ok(url)) if url.host_str().is_some_and(|it| !it.is_empty()) => {
            Some((url, *kind))
        }
        (Some((_, _, false)), _) => {
            let text = format!("{shown}, this gantryd was built without {scheme}://");
            section.fault("url", text);
            None
        }
        (Some(_), Err(error)) => {
            section.fault("url", format!("{shown}, {error}"));
            None
        }
        _ => {
            let schemes: Vec<String> = SCHEMES.iter().map(|(it, ..)| format!("{it}://")).collect();
            let allowed = format!("{} with a host", schemes.join(", "));
            section.fault("url", format!("{shown}, allowed is {allowed}"));
            None
        }
    }
}

/// Names of all zones and lines.
pub(super) fn places_of(cameras: &[CameraConfig]) -> Vec<&str> {
    let plans = cameras.iter().map(|camera| &camera.zones);
    plans
        .flat_map(|plan| {
            let zones = plan.zones.iter().map(|zone| &*zone.name);
            zones.chain(plan.lines.iter().map(|line| &*line.name))
        })
        .collect()
}

/// A list whose words must be among the `known`.
pub(super) fn known_words(
    section: &mut Section<'_>,
    key: &'static str,
    known: &[&str],
) -> Vec<String> {
    let words = section.texts(key).unwrap_or_default();
    for word in &words {
        if !known.contains(&word.as_str()) {
            let text = match known {
                [] => format!("{}, but there are none", quoted(word)),
                _ => format!("{}, allowed are {}", quoted(word), known.join(", ")),
            };
            section.fault(key, text);
        }
    }
    words
}
