//! Events to a stream of NATS JetStream, which knows each by its `Nats-Msg-Id` and keeps it once.
//!
//! Subjects: `<topic>.events.<camera>.<type>`, and `<topic>.results.<camera>` (no stream) for results; a dot in a camera's name becomes `_`.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, stream};
use async_nats::{ConnectErrorKind, ConnectOptions, Event};
use rustls::ClientConfig;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::link::{Link, LinkError, Offer, Progress, Transport, WRONG_LOGIN, Work};
use super::spool::Waiting;
use crate::base::Secret;

/// A server that says nothing for this long while something is asked of it is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server is asked this often whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The stream that is made here knows an event again for this long: outages of a link are shorter.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Status with which JetStream says that it cannot answer just now.
const UNAVAILABLE: usize = 503;

/// How to reach a NATS server.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// `nats://host:port` or `tls://host:port`, without credentials.
    pub url: String,
    /// What to trust, with `tls://`.
    pub tls: Option<Arc<ClientConfig>>,
    /// Account.
    pub login: Option<(String, Secret)>,
    /// What every subject begins with.
    pub topic: String,
    /// The stream; made if it is not there.
    pub stream: String,
}

/// A way to a NATS server.
#[derive(Debug)]
pub struct Nats {
    options: NatsOptions,
}

impl Nats {
    /// Will reach the server of `options`.
    #[must_use]
    pub fn new(options: NatsOptions) -> Self {
        Self { options }
    }

    /// What subjects begin with.
    fn prefix(&self) -> String {
        format!("{}.events", self.options.topic.replace('/', "."))
    }

    async fn open(&self) -> Result<Box<dyn Link>, LinkError> {
        let (sender, events) = mpsc::channel(16);
        let mut options = ConnectOptions::new()
            .name("gantryd")
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .ping_interval(KEEP_ALIVE)
            .event_callback(move |event| {
                let sender = sender.clone();
                async move {
                    if matches!(event, Event::Disconnected | Event::Closed) {
                        // A full channel holds the news already.
                        drop(sender.try_send(event));
                    }
                }
            });
        if let Some(config) = &self.options.tls {
            options = options
                .require_tls(true)
                .tls_client_config(ClientConfig::clone(config));
        }
        if let Some((user, password)) = &self.options.login {
            options = options.user_and_password(user.clone(), password.expose().to_owned());
        }
        let runtime = Connection::start()?;
        let url = self.options.url.clone();
        let connecting = runtime.spawn(async move { options.connect(url).await });
        let client = match connecting.await {
            Ok(connected) => connected.map_err(|error| unreached(&error))?,
            Err(error) => return Err(LinkError::Lost(error.to_string())),
        };
        let mut context = jetstream::new(client.clone());
        context.set_timeout(PATIENCE);
        let link = NatsLink {
            client,
            results: format!("{}.results", self.options.topic.replace('/', ".")),
            context,
            events,
            prefix: self.prefix(),
            _connection: runtime,
        };
        self.find_stream(&link.context).await?;
        Ok(Box::new(link))
    }

    async fn find_stream(&self, context: &jetstream::Context) -> Result<(), LinkError> {
        let name = &self.options.stream;
        let config = stream::Config {
            name: name.clone(),
            subjects: vec![format!("{}.>", self.prefix())],
            duplicate_window: REMEMBERED,
            ..stream::Config::default()
        };
        match context.get_or_create_stream(config).await {
            Ok(_) => Ok(()),
            Err(error) if is_passing(&error.kind()) => Err(LinkError::Lost(error.to_string())),
            Err(error) => Err(LinkError::Denied(format!(
                "the stream {name} is not there and cannot be made ({error}); JetStream must be enabled \
                 and this user allowed to make it, or it is made beforehand"
            ))),
        }
    }
}

impl Transport for Nats {
    fn connect(&self) -> Work<'_, Result<Box<dyn Link>, LinkError>> {
        Box::pin(self.open())
    }
}

/// The runtime of one connection. The client connects again for itself and then sends what it still
/// holds, perhaps behind what a later connection has sent; so it ends with its link.
struct Connection(Option<Runtime>);

impl Connection {
    fn start() -> Result<Self, LinkError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sink-nats")
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => Ok(Self(Some(runtime))),
            Err(error) => Err(LinkError::Lost(format!("no thread for it: {error}"))),
        }
    }

    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        match &self.0 {
            Some(runtime) => runtime.spawn(work),
            None => tokio::spawn(work),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct NatsLink {
    client: async_nats::Client,
    results: String,
    context: jetstream::Context,
    events: mpsc::Receiver<Event>,
    prefix: String,
    _connection: Connection,
}

impl NatsLink {
    async fn send(&mut self, batch: &[Waiting], progress: &mut Progress) -> Result<(), LinkError> {
        let mut answers = Vec::with_capacity(batch.len());
        for event in batch {
            let message = PublishMessage::build()
                .payload(event.text.clone().into())
                .message_id(&event.id);
            let subject = subject(&self.prefix, &event.route);
            let sending =
                tokio::time::timeout(PATIENCE, self.context.send_publish(subject, message));
            let Ok(sent) = sending.await else {
                return Err(LinkError::Lost("the client takes no more".to_owned()));
            };
            match sent {
                Ok(answer) => answers.push(answer),
                // Those before it are asked about first.
                Err(error) if answers.is_empty() => return Err(refusal(&error)),
                Err(_) => break,
            }
            progress.sent += 1;
        }
        let sent = answers.len();
        for answer in answers {
            tokio::select! {
                answer = answer => answer.map_err(|error| refusal(&error))?,
                _ = self.events.recv() => return Err(LinkError::Lost(GONE.to_owned())),
            };
            progress.acknowledged += 1;
        }
        if sent < batch.len() {
            return Err(LinkError::Lost("the client takes no more".to_owned()));
        }
        Ok(())
    }
}

const GONE: &str = "the connection ended";

fn subject(prefix: &str, route: &str) -> String {
    let (camera, kind) = route.split_once('/').unwrap_or((route, "event"));
    format!("{prefix}.{}.{kind}", camera.replace('.', "_"))
}

fn unreached(error: &async_nats::ConnectError) -> LinkError {
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            LinkError::Denied(WRONG_LOGIN.to_owned())
        }
        _ => LinkError::Lost(error.to_string()),
    }
}

/// Whether a fault of finding a stream goes away by itself: a server that starts or elects a leader.
fn is_passing(kind: &CreateStreamErrorKind) -> bool {
    match kind {
        CreateStreamErrorKind::TimedOut
        | CreateStreamErrorKind::Response
        | CreateStreamErrorKind::ResponseParse => true,
        CreateStreamErrorKind::JetStream(error) => error.code() == UNAVAILABLE,
        _ => false,
    }
}

fn refusal(error: &PublishError) -> LinkError {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => LinkError::Refused(error.to_string()),
        PublishErrorKind::StreamNotFound => LinkError::Denied(
            "no stream takes the subject; does the stream of the sink hold <topic>.events.>?"
                .to_owned(),
        ),
        _ => LinkError::Lost(error.to_string()),
    }
}

impl Link for NatsLink {
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
            let camera = offer.camera.as_str().replace('.', "_");
            let subject = format!("{}.{camera}", self.results);
            let published = self
                .client
                .publish(subject, offer.text.clone().into())
                .await;
            published.map_err(|error| LinkError::Lost(error.to_string()))
        })
    }

    fn broken(&mut self) -> Work<'_, LinkError> {
        Box::pin(async {
            self.events.recv().await;
            LinkError::Lost(GONE.to_owned())
        })
    }

    fn close(self: Box<Self>) -> Work<'static, ()> {
        // Everything is acknowledged: there is nothing to flush.
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_with_dots_in_its_name_is_one_token_of_the_subject() {
        assert_eq!(
            subject("gantryd.events", "gate.2/line_crossing"),
            "gantryd.events.gate_2.line_crossing"
        );
    }
}
