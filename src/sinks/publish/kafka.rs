//! Events to a topic of Kafka, `<topic>.events`, by an idempotent producer: one record each, its key is
//! the camera, so that those of a camera stay in order. Results of frames go to `<topic>.results`.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use tokio::sync::watch;

use super::link::{Link, LinkError, Offer, Progress, Transport, WRONG_LOGIN, Work};
use super::spool::Waiting;
use crate::base::Secret;

/// Brokers that do not answer for this long while something is asked of them are lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks whether the topic is there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Events and results that the client holds at most; events alone are never more than a batch.
const MOST_HELD: &str = "1000";

/// How a login is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaLogin {
    /// The password is sent as it is.
    Plain,
    /// SCRAM with SHA-256.
    Scram256,
    /// SCRAM with SHA-512.
    Scram512,
}

/// How to reach a Kafka cluster.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// A broker, `host:port`; it names the others.
    pub broker: String,
    /// Encrypted.
    pub is_tls: bool,
    /// Trust these authorities (PEM) instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Account.
    pub login: Option<(String, Secret)>,
    /// How it is proven.
    pub login_by: KafkaLogin,
    /// Name of this client.
    pub client_id: String,
    /// What names of topics begin with.
    pub topic: String,
}

/// A way to a Kafka cluster.
#[derive(Debug)]
pub struct Kafka {
    options: KafkaOptions,
}

impl Kafka {
    /// Will reach the cluster of `options`.
    #[must_use]
    pub fn new(options: KafkaOptions) -> Self {
        Self { options }
    }

    fn topic(&self, of: &str) -> String {
        format!("{}.{of}", self.options.topic.replace('/', "."))
    }

    /// <https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md>
    fn settings(&self) -> ClientConfig {
        let options = &self.options;
        let mut settings = ClientConfig::new();
        settings
            .set("bootstrap.servers", &options.broker)
            .set("client.id", &options.client_id)
            .set("enable.idempotence", "true")
            // An event never becomes too old: this link gives up, and the next begins with it.
            .set("message.timeout.ms", "0")
            .set("socket.timeout.ms", PATIENCE.as_millis().to_string())
            .set("socket.keepalive.enable", "true")
            .set("queue.buffering.max.messages", MOST_HELD)
            // The partition that a Java client chooses for the key.
            .set("partitioner", "murmur2_random");
        let protocol = match (options.is_tls, &options.login) {
            (false, None) => "plaintext",
            (true, None) => "ssl",
            (false, Some(_)) => "sasl_plaintext",
            (true, Some(_)) => "sasl_ssl",
        };
        settings.set("security.protocol", protocol);
        if let Some(file) = &options.ca_file {
            settings.set("ssl.ca.location", file.to_string_lossy());
        }
        if let Some((user, password)) = &options.login {
            let mechanism = match options.login_by {
                KafkaLogin::Plain => "PLAIN",
                KafkaLogin::Scram256 => "SCRAM-SHA-256",
                KafkaLogin::Scram512 => "SCRAM-SHA-512",
            };
            settings
                .set("sasl.mechanism", mechanism)
                .set("sasl.username", user)
                .set("sasl.password", password.expose());
        }
        settings
    }

    async fn open(&self) -> Result<Box<dyn Link>, LinkError> {
        let (ear, trouble) = watch::channel(None);
        let producer: FutureProducer<Ear> = self
            .settings()
            .create_with_context(Ear {
                trouble: ear,
                reason: Mutex::default(),
            })
            .map_err(|error| LinkError::Denied(error.to_string()))?;
        let link = KafkaLink {
            producer: producer.clone(),
            trouble: trouble.clone(),
            events: self.topic("events"),
            results: self.topic("results"),
            offered: VecDeque::new(),
        };
        let topic = link.events.clone();
        let looking = tokio::task::spawn_blocking(move || find(&producer, &topic, &trouble));
        match looking.await {
            Ok(found) => found?,
            Err(error) => return Err(LinkError::Lost(error.to_string())),
        }
        Ok(Box::new(link))
    }
}

impl Transport for Kafka {
    fn connect(&self) -> Work<'_, Result<Box<dyn Link>, LinkError>> {
        Box::pin(self.open())
    }
}

/// Waits until the cluster is reached and has the topic; brokers that may make it by themselves do.
fn find(
    producer: &FutureProducer<Ear>,
    topic: &str,
    trouble: &watch::Receiver<Option<LinkError>>,
) -> Result<(), LinkError> {
    let began = Instant::now();
    let mut absent = None;
    while began.elapsed() < PATIENCE {
        let asked = producer.client().fetch_metadata(Some(topic), LOOK_AGAIN);
        if let Some(trouble) = trouble.borrow().clone() {
            return Err(trouble);
        }
        let Ok(cluster) = asked else { continue };
        let code = match cluster.topics().iter().find(|it| it.name() == topic) {
            None => RDKafkaErrorCode::UnknownTopicOrPartition,
            Some(found) => match found.error() {
                None if !found.partitions().is_empty() => return Ok(()),
                None => RDKafkaErrorCode::LeaderNotAvailable,
                Some(code) => code.into(),
            },
        };
        let error = fault(code, topic);
        if matches!(error, LinkError::Denied(_)) {
            return Err(error);
        }
        absent = Some(code);
        std::thread::sleep(LOOK_AGAIN);
    }
    Err(match absent {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => LinkError::Denied(format!(
            "the topic {topic} is not there, and the brokers do not make it: create it, with its \
             partitions and copies, or allow auto.create.topics.enable"
        )),
        Some(code) => LinkError::Lost(format!("the topic {topic}: {code}")),
        None => LinkError::Lost("the brokers do not answer".to_owned()),
    })
}

/// Hears what the client says of its connections: what ends the link, first of all what needs a person.
struct Ear {
    trouble: watch::Sender<Option<LinkError>>,
    /// Why a broker was not reached, the newest.
    reason: Mutex<String>,
}

impl ClientContext for Ear {
    fn log(&self, _level: RDKafkaLogLevel, place: &str, text: &str) {
        tracing::debug!(place, text, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        let heard = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication) => LinkError::Denied(WRONG_LOGIN.to_owned()),
            Some(RDKafkaErrorCode::SSL) => LinkError::Denied(format!("TLS: {reason}")),
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                let last = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
                LinkError::Lost(format!("no broker is reached: {last}"))
            }
            // One broker of several, perhaps: told when all are gone.
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve,
            ) => {
                // Without how long it took, which is another each time.
                let text = reason.split(" (after ").next().unwrap_or_default();
                let mut last = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
                text.clone_into(&mut last);
                return;
            }
            _ => LinkError::Lost(reason.to_owned()),
        };
        self.trouble.send_if_modified(|trouble| {
            let is_news = !matches!(trouble, Some(LinkError::Denied(_)));
            if is_news {
                *trouble = Some(heard);
            }
            is_news
        });
    }
}

struct KafkaLink {
    producer: FutureProducer<Ear>,
    trouble: watch::Receiver<Option<LinkError>>,
    events: String,
    results: String,
    /// Answers to results that are under way, oldest first; no more than the client holds.
    offered: VecDeque<DeliveryFuture>,
}

impl KafkaLink {
    /// Why a result that was offered before is not taken, once for each; nobody waits for the others.
    fn refused_offer(&mut self) -> Option<LinkError> {
        while let Some(answer) = self.offered.front_mut() {
            let answer = answer.now_or_never()?;
            self.offered.pop_front();
            if let Ok(Err((error, _))) = answer {
                return Some(LinkError::Refused(error.to_string()));
            }
        }
        None
    }

    async fn send(&mut self, batch: &[Waiting], progress: &mut Progress) -> Result<(), LinkError> {
        let mut answers = Vec::with_capacity(batch.len());
        for event in batch {
            let camera = event.route.split('/').next().unwrap_or_default();
            let record = FutureRecord::to(&self.events)
                .key(camera)
                .payload(&event.text)
                .headers(headers(event));
            match self.producer.send_result(record) {
                Ok(answer) => answers.push(answer),
                // Those before it are asked about first.
                Err((error, _)) if answers.is_empty() => return Err(refusal(&error, &self.events)),
                Err(_) => break,
            }
            progress.sent += 1;
        }
        let sent = answers.len();
        for answer in answers {
            let waiting = tokio::time::timeout(PATIENCE, answer);
            let answer = tokio::select! {
                answer = waiting => answer,
                error = ended(&mut self.trouble) => return Err(error),
            };
            match answer {
                Ok(Ok(Ok(_))) => progress.acknowledged += 1,
                Ok(Ok(Err((error, _)))) => return Err(refusal(&error, &self.events)),
                Ok(Err(_)) => return Err(LinkError::Lost("the client ended".to_owned())),
                Err(_) => {
                    let text = "the brokers acknowledge nothing";
                    return Err(LinkError::Lost(text.to_owned()));
                }
            }
        }
        if sent < batch.len() {
            return Err(LinkError::Lost("the client takes no more".to_owned()));
        }
        Ok(())
    }
}

/// The structured mode of CloudEvents in Kafka, with what a reader wants before it parses.
fn headers(event: &Waiting) -> OwnedHeaders {
    let header = |key, value| Header {
        key,
        value: Some(value),
    };
    OwnedHeaders::new_with_capacity(3)
        .insert(header("content-type", "application/cloudevents+json"))
        .insert(header("id", event.id.as_str()))
        .insert(header("route", event.route.as_str()))
}

async fn ended(trouble: &mut watch::Receiver<Option<LinkError>>) -> LinkError {
    match trouble.wait_for(Option::is_some).await {
        Ok(heard) => heard.clone(),
        Err(_) => None,
    }
    .unwrap_or_else(|| LinkError::Lost("the client ended".to_owned()))
}

fn refusal(error: &KafkaError, topic: &str) -> LinkError {
    match error.rdkafka_error_code() {
        Some(code) => fault(code, topic),
        None => LinkError::Lost(error.to_string()),
    }
}

fn fault(code: RDKafkaErrorCode, topic: &str) -> LinkError {
    match code {
        RDKafkaErrorCode::MessageSizeTooLarge
        | RDKafkaErrorCode::InvalidMessage
        | RDKafkaErrorCode::InvalidMessageSize
        | RDKafkaErrorCode::InvalidRecord => LinkError::Refused(code.to_string()),
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed => LinkError::Denied(format!(
            "the brokers do not let this user write to {topic} (idempotent): {code}"
        )),
        RDKafkaErrorCode::InvalidTopic => LinkError::Denied(format!(
            "{topic} is no name for a topic; choose another topic"
        )),
        _ => LinkError::Lost(code.to_string()),
    }
}

impl Link for KafkaLink {
    fn is_proven(&self) -> bool {
        true
    }

    fn deliver<'a>(
        &'a mut self,
        batch: &'a [Waiting],
        progress: &'a mut Progress,
    ) -> Work<'a, Result<(), LinkError>> {
        Box::pin(self.send(batch, progress))
    }

    fn offer<'a>(&'a mut self, offer: &'a Offer) -> Work<'a, Result<(), LinkError>> {
        Box::pin(async move {
            let record = FutureRecord::to(&self.results)
                .key(offer.camera.as_str())
                .payload(&offer.text);
            match self.producer.send_result(record) {
                Ok(answer) => self.offered.push_back(answer),
                Err((error, _)) => return Err(refusal(&error, &self.results)),
            }
            self.refused_offer().map_or(Ok(()), Err)
        })
    }

    fn broken(&mut self) -> Work<'_, LinkError> {
        Box::pin(ended(&mut self.trouble))
    }

    fn close(self: Box<Self>) -> Work<'static, ()> {
        // Everything is acknowledged: there is nothing to flush.
        Box::pin(std::future::ready(()))
    }
}
