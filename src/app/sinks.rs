//! The sinks of the daemon: from their configuration to a thread each.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use crossbeam_channel::{Receiver, bounded};
use tokio::sync::mpsc;

use super::config::{Config, Fault, SinkConfig};
use super::pipeline::{Outlet, Published, WhenFull};
use super::run::spawn;
use crate::base::{CameraId, DropReason, FrameResult, Metrics, Stage, StopSource, Worker};
use crate::perception::zones::ZonesPlan;
use crate::sinks::publish::{
    Delivery, EventFilter, Keeper, Offer, PlaceState, Places, QueueLimit, RESULT_QUEUE, Spool,
    States, Thinner, Transport, frame_line_of,
};

/// Below the folder of the results: where events wait.
const SPOOL: &str = "spool/events.redb";

/// What feeds the sinks, and their threads.
#[derive(Debug, Default)]
pub struct EventSinks {
    /// `None` without sinks. The sinks end when it is dropped.
    pub keeper: Option<Keeper>,
    /// Where results of frames go, for the sinks that want them.
    pub outlets: Vec<Outlet>,
    /// Where those of cameras go that come while the daemon runs.
    pub newcomers: Vec<Outlet>,
    /// A thread each.
    pub workers: Vec<Worker>,
}

/// Opens the spool and starts a thread for each sink. `numbers` are those of the newest events before
/// this process, by camera.
///
/// # Errors
/// If the spool cannot be opened, or a sink cannot be set up.
pub fn start(
    config: &Config,
    classes: &Arc<[String]>,
    numbers: BTreeMap<CameraId, u64>,
    metrics: &Arc<Metrics>,
    stop: &StopSource,
) -> anyhow::Result<EventSinks> {
    if config.sinks.is_empty() {
        return Ok(EventSinks::default());
    }
    let transports: Vec<Box<dyn Transport>> = config
        .sinks
        .iter()
        .map(|sink| {
            transport(config, sink).with_context(|| format!("setting up the sink {}", sink.name))
        })
        .collect::<anyhow::Result<_>>()?;
    let limits: Vec<QueueLimit> = config.sinks.iter().map(limit).collect();
    let file = config.output.folder.join(SPOOL);
    let spool = Arc::new(Spool::open(&file, &limits, Arc::clone(metrics))?);
    let with_events = config.sinks.iter().filter(|sink| sink.events);
    let filters = with_events.map(|it| (it.name.clone(), filter(it)));
    let keeper = Keeper::new(Arc::clone(&spool), filters.collect(), Arc::clone(metrics))
        .numbered_after(numbers);
    if config.cameras.iter().all(|camera| camera.zones.is_empty()) {
        tracing::warn!("there are sinks but no camera has zones or lines: there will be no events");
    }
    let (mut outlets, mut newcomers, mut workers) = (Vec::new(), Vec::new(), Vec::new());
    for (sink, transport) in config.sinks.iter().zip(transports) {
        let (spool, counted) = (Arc::clone(&spool), Arc::clone(metrics));
        let address = sink.url.shown();
        let mut delivery = Delivery::new(sink.name.clone(), address, spool, transport, counted)
            .with_last_wait(config.service.shutdown_timeout / 3);
        if sink.results_hz > 0.0 || sink.zone_state {
            let (sender, offers) = mpsc::channel(RESULT_QUEUE);
            delivery = delivery.with_results(offers);
            let (outlet_sender, results) = bounded(RESULT_QUEUE);
            let wanted = filter(sink);
            newcomers.push(
                Outlet::new(outlet_sender.clone(), WhenFull::Drop)
                    .only_of(wanted.cameras.iter().cloned().collect()),
            );
            let cameras = config.cameras.iter().map(|camera| camera.id.clone());
            for camera in cameras.filter(|camera| wanted.wants_camera(camera)) {
                outlets.push(Outlet::new(outlet_sender.clone(), WhenFull::Drop).of(camera));
            }
            let offers = Offers {
                thinner: (sink.results_hz > 0.0).then(|| Thinner::new(sink.results_hz)),
                states: sink.zone_state.then(|| States::new(places(config, sink))),
                classes: Arc::clone(classes),
                wanted,
                sender,
                metrics: Arc::clone(metrics),
            };
            workers.push(spawn(
                &format!("res-{}", sink.name),
                move || offers.run(&results),
                stop,
            )?);
        }
        let thread = format!("sink-{}", sink.name);
        workers.push(spawn(&thread, move || delivery.run(), stop)?);
    }
    Ok(EventSinks {
        keeper: Some(keeper),
        outlets,
        newcomers,
        workers,
    })
}

/// Hands results and states that are due to the sink's thread; a sink that is not ready for a result
/// never gets it.
struct Offers {
    thinner: Option<Thinner>,
    states: Option<States>,
    classes: Arc<[String]>,
    /// Of which classes and places.
    wanted: EventFilter,
    sender: mpsc::Sender<Offer>,
    metrics: Arc<Metrics>,
}

impl Offers {
    /// Until the pipeline ends.
    fn run(mut self, results: &Receiver<Published>) {
        for item in results {
            match item {
                Published::Frame(result) => {
                    self.tell_result(&result);
                    self.tell_states(&result.meta.camera, |states| states.due(&result));
                }
                Published::RunEnded { camera, .. } => {
                    self.tell_states(&camera, |states| states.emptied(&camera));
                }
                Published::Watched { camera, scene } => {
                    self.replace(&camera, Some(places_of(&scene.zones, &self.wanted)));
                }
                Published::Gone { camera } => self.replace(&camera, None),
            }
        }
    }

    /// Zones that are no more are told of as empty.
    fn replace(&mut self, camera: &CameraId, places: Option<Places>) {
        let is_kept = |name: &str| {
            let places = places.as_ref();
            places.is_some_and(|it| it.zones.iter().any(|kept| kept == name))
        };
        self.tell_states(camera, |states| {
            let mut gone = states.emptied(camera);
            gone.retain(|state| !is_kept(&state.place));
            gone
        });
        if let Some(states) = &mut self.states {
            states.replace(camera, places);
        }
    }

    fn tell_result(&mut self, result: &FrameResult) {
        let camera = &result.meta.camera;
        let thinner = self.thinner.as_mut();
        if !thinner.is_some_and(|thinner| thinner.wants(&result.meta)) {
            return;
        }
        let offer = Offer {
            camera: camera.clone(),
            place: None,
            text: frame_line_of(result, &self.classes, &self.wanted.classes),
        };
        if self.sender.try_send(offer).is_err() {
            self.metrics
                .result_dropped(camera, Stage::Publish, DropReason::SinkSlow);
        }
    }

    /// A state that does not pass is tried again with the next frame.
    fn tell_states(&mut self, camera: &CameraId, due: impl Fn(&States) -> Vec<PlaceState>) {
        let Some(states) = &mut self.states else {
            return;
        };
        for state in due(states) {
            let offer = Offer {
                camera: camera.clone(),
                place: Some(state.place.clone()),
                text: state.text.clone(),
            };
            if self.sender.try_send(offer).is_err() {
                return;
            }
            states.told(camera, state);
        }
    }
}

/// Zones and lines of the cameras that `sink` wants.
fn places(config: &Config, sink: &SinkConfig) -> BTreeMap<CameraId, Places> {
    let wanted = filter(sink);
    let cameras = config.cameras.iter();
    cameras
        .filter(|camera| wanted.wants_camera(&camera.id))
        .map(|camera| (camera.id.clone(), places_of(&camera.zones, &wanted)))
        .collect()
}

/// Names of the zones and lines of a plan that are wanted.
fn places_of(plan: &ZonesPlan, wanted: &EventFilter) -> Places {
    let of = |names: &mut dyn Iterator<Item = String>| {
        let kept = names.filter(|name| wanted.wants_place(name));
        kept.collect()
    };
    Places {
        zones: of(&mut plan.zones.iter().map(|it| it.name.to_string())),
        lines: of(&mut plan.lines.iter().map(|it| it.name.to_string())),
    }
}

/// What is wrong with sinks, as far as their files tell.
#[must_use]
pub fn faults(config: &Config) -> Vec<Fault> {
    let sinks = config.sinks.iter().enumerate();
    sinks
        .filter_map(|(index, sink)| {
            let error = transport(config, sink).err()?;
            Some(Fault {
                key: format!("sinks[{index}]"),
                text: format!("{error:#}"),
            })
        })
        .collect()
}

fn limit(sink: &SinkConfig) -> QueueLimit {
    QueueLimit {
        sink: sink.name.clone(),
        max_bytes: u64::from(sink.spool_mib) * 1024 * 1024,
    }
}

fn filter(sink: &SinkConfig) -> EventFilter {
    EventFilter {
        cameras: sink.cameras.iter().map(|id| CameraId::new(id)).collect(),
        types: sink.types.clone(),
        classes: sink.classes.clone(),
        places: sink.places.clone(),
    }
}

#[cfg_attr(
    not(feature = "mqtt"),
    expect(unused_variables, reason = "MQTT alone announces zones")
)]
fn transport(config: &Config, sink: &SinkConfig) -> anyhow::Result<Box<dyn Transport>> {
    match sink.kind {
        #[cfg(feature = "kafka")]
        super::config::SinkKind::Kafka => Ok(kafka(sink)),
        #[cfg(feature = "mqtt")]
        super::config::SinkKind::Mqtt => mqtt(config, sink),
        #[cfg(feature = "nats")]
        super::config::SinkKind::Nats => nats(sink),
        #[cfg(feature = "redis")]
        super::config::SinkKind::Redis => redis(sink),
        #[cfg(feature = "webhook")]
        super::config::SinkKind::Webhook => webhook(sink),
        #[cfg(not(all(
            feature = "kafka",
            feature = "mqtt",
            feature = "nats",
            feature = "redis",
            feature = "webhook"
        )))]
        _ => anyhow::bail!("this gantryd was built without {}://", sink.url.0.scheme()),
    }
}

#[cfg(feature = "kafka")]
fn kafka(sink: &SinkConfig) -> Box<dyn Transport> {
    use super::config::Sasl;
    use crate::sinks::publish::{Kafka, KafkaLogin, KafkaOptions};
    let is_tls = sink.url.0.scheme() == "kafkas";
    let host = sink.url.0.host_str().unwrap_or_default();
    let port = sink
        .url
        .0
        .port()
        .unwrap_or(if is_tls { 9093 } else { 9092 });
    Box::new(Kafka::new(KafkaOptions {
        broker: format!("{host}:{port}"),
        is_tls,
        ca_file: sink.tls_ca_file.clone(),
        login: login(sink),
        login_by: match sink.sasl {
            Sasl::Plain => KafkaLogin::Plain,
            Sasl::Scram256 => KafkaLogin::Scram256,
            Sasl::Scram512 => KafkaLogin::Scram512,
        },
        client_id: sink.client_id.clone(),
        topic: sink.topic.clone(),
    }))
}

#[cfg(feature = "mqtt")]
fn mqtt(config: &Config, sink: &SinkConfig) -> anyhow::Result<Box<dyn Transport>> {
    use super::config::MqttVersion as Version;
    use crate::sinks::publish::{Mqtt, MqttOptions, MqttVersion, client_config};
    let is_tls = sink.url.0.scheme() == "mqtts";
    let tls = is_tls.then(|| client_config(sink.tls_ca_file.as_deref()));
    Ok(Box::new(Mqtt::new(MqttOptions {
        host: sink.url.0.host_str().unwrap_or_default().to_owned(),
        port: sink
            .url
            .0
            .port()
            .unwrap_or(if is_tls { 8883 } else { 1883 }),
        tls: tls.transpose()?,
        login: login(sink),
        version: match sink.mqtt_version {
            Version::V3 => MqttVersion::V3,
            Version::V5 => MqttVersion::V5,
        },
        client_id: sink.client_id.clone(),
        topic: sink.topic.clone(),
        announced: if sink.home_assistant {
            places(config, sink)
        } else {
            BTreeMap::new()
        },
    })))
}

#[cfg(feature = "nats")]
fn nats(sink: &SinkConfig) -> anyhow::Result<Box<dyn Transport>> {
    use crate::sinks::publish::{Nats, NatsOptions, client_config};
    let is_tls = sink.url.0.scheme() == "tls";
    let tls = is_tls.then(|| client_config(sink.tls_ca_file.as_deref()));
    Ok(Box::new(Nats::new(NatsOptions {
        url: sink.url.0.to_string(),
        tls: tls.transpose()?,
        login: login(sink),
        topic: sink.topic.clone(),
        stream: sink.stream.clone(),
    })))
}

#[cfg(feature = "redis")]
fn redis(sink: &SinkConfig) -> anyhow::Result<Box<dyn Transport>> {
    use crate::sinks::publish::{Redis, RedisOptions};
    Ok(Box::new(Redis::new(&RedisOptions {
        url: sink.url.0.clone(),
        login: login(sink),
        ca_file: sink.tls_ca_file.clone(),
        topic: sink.topic.clone(),
        max_len: sink.max_len,
    })?))
}

#[cfg(feature = "webhook")]
fn webhook(sink: &SinkConfig) -> anyhow::Result<Box<dyn Transport>> {
    use crate::sinks::publish::{Webhook, WebhookOptions};
    Ok(Box::new(Webhook::new(WebhookOptions {
        url: sink.url.0.clone(),
        login: login(sink),
        secret: sink.secret.clone(),
        timeout: sink.timeout,
        ca_file: sink.tls_ca_file.clone(),
    })?))
}

#[cfg(any(
    feature = "kafka",
    feature = "mqtt",
    feature = "nats",
    feature = "redis",
    feature = "webhook"
))]
fn login(sink: &SinkConfig) -> Option<(String, crate::base::Secret)> {
    let credentials = sink.credentials.as_ref();
    credentials.map(|it| (it.user.clone(), it.password.clone()))
}
