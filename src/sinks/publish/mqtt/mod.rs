//! Events to an MQTT broker, version 3.1.1 or 5, quality of service 1.
//!
//! Topics: `<topic>/events/<camera>/<type>` for events, `<topic>/results/<camera>` for results
//! (quality of service 0), `<topic>/state/<camera>/<place>` (retained) for counts, `<topic>/status` (retained) for `online` and
//! `offline`; the latter is the last will too.

mod discovery;
mod driver;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::delivery::BATCH;
use super::link::{Link, LinkError, Offer, Progress, Transport, Work};
use super::spool::Waiting;
use super::state::{Places, plain};
use crate::base::{CameraId, Secret};
use driver::{Client, Told};

/// A broker that says nothing for this long while something is asked of it is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// A broker is asked this often whether it is still there.
const KEEP_ALIVE_SECS: u16 = 10;

/// Largest event, bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What a client tells, at most, before it is heard.
const TOLD: usize = 4 * BATCH;

/// Version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MqttVersion {
    /// 3.1.1: every broker speaks it; one that refuses an event does not say so.
    V3,
    /// 5.
    V5,
}

/// How to reach a broker.
#[derive(Debug, Clone)]
pub struct MqttOptions {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// With TLS, if there is a configuration for it.
    pub tls: Option<Arc<ClientConfig>>,
    /// Account.
    pub login: Option<(String, Secret)>,
    /// Version of the protocol.
    pub version: MqttVersion,
    /// Name of this client; the broker knows no two of one name.
    pub client_id: String,
    /// What every topic begins with.
    pub topic: String,
    /// Zones and lines that Home Assistant is told of.
    pub announced: BTreeMap<CameraId, Places>,
}

/// A way to an MQTT broker.
#[derive(Debug)]
pub struct Mqtt {
    options: MqttOptions,
}

impl Mqtt {
    /// Will reach the broker of `options`.
    #[must_use]
    pub fn new(options: MqttOptions) -> Self {
        Self { options }
    }

    fn status_topic(&self) -> String {
        format!("{}/status", self.options.topic)
    }

    async fn open(&self) -> Result<Box<dyn Link>, LinkError> {
        let (sender, told) = mpsc::channel(TOLD);
        let (client, driver) = driver::start(self, sender)?;
        let mut link = MqttLink {
            client,
            told,
            driver,
            topic: self.options.topic.clone(),
            under_way: VecDeque::new(),
            has_offers: false,
        };
        link.connected().await?;
        let options = &self.options;
        for (topic, text) in
            discovery::sensors(&options.topic, &options.client_id, &options.announced)
        {
            match link.keep(topic, &text).await {
                Ok(()) => {}
                // Events do not depend on what Home Assistant shows.
                Err(LinkError::Denied(reason)) => {
                    let client = &options.client_id;
                    tracing::warn!(
                        client,
                        reason,
                        "Home Assistant is not told of zones and lines"
                    );
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        link.say("online").await?;
        Ok(Box::new(link))
    }
}

impl Transport for Mqtt {
    fn connect(&self) -> Work<'_, Result<Box<dyn Link>, LinkError>> {
        Box::pin(self.open())
    }
}

/// An open connection. The client's event loop runs as a task of the sink's thread, so that nothing
/// it does is ever cut off halfway.
struct MqttLink {
    client: Client,
    told: mpsc::Receiver<Told>,
    driver: JoinHandle<()>,
    topic: String,
    /// Packet ids in the order of sending, and whether each is acknowledged.
    under_way: VecDeque<(u16, bool)>,
    /// Results or states went out since the last acknowledgement.
    has_offers: bool,
}

impl Drop for MqttLink {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl MqttLink {
    async fn connected(&mut self) -> Result<(), LinkError> {
        loop {
            match self.hear().await? {
                Told::Connected => return Ok(()),
                Told::Ended(error) => return Err(error),
                Told::Sent(_) | Told::Answered(..) => {}
            }
        }
    }

    /// Tells everybody who asks, now and later, how it stands with gantryd.
    async fn say(&mut self, status: &str) -> Result<(), LinkError> {
        self.keep(format!("{}/status", self.topic), status).await
    }

    /// Has the broker keep a text for everybody who asks later.
    async fn keep(&mut self, topic: String, text: &str) -> Result<(), LinkError> {
        self.publish(topic, true, text).await?;
        self.await_answers(1, &mut Progress::default()).await
    }

    /// The client takes nothing more while its connection is stuck.
    async fn publish(&self, topic: String, is_kept: bool, text: &str) -> Result<(), LinkError> {
        let published = self.client.publish(topic, true, is_kept, text);
        match tokio::time::timeout(PATIENCE, published).await {
            Ok(published) => published,
            Err(_elapsed) => Err(silent()),
        }
    }

    async fn send(&mut self, batch: &[Waiting], progress: &mut Progress) -> Result<(), LinkError> {
        for event in batch {
            let topic = format!("{}/events/{}", self.topic, event.route);
            self.publish(topic, false, &event.text).await?;
            progress.sent += 1;
        }
        self.await_answers(batch.len(), progress).await
    }

    /// Waits until the `count` packets sent last are acknowledged.
    async fn await_answers(
        &mut self,
        count: usize,
        progress: &mut Progress,
    ) -> Result<(), LinkError> {
        self.under_way.clear();
        while progress.acknowledged < count {
            match self.hear().await? {
                Told::Connected => {}
                Told::Sent(id) => self.under_way.push_back((id, false)),
                Told::Answered(id, answer) => {
                    let is_it = |(known, is_done): &&mut (u16, bool)| *known == id && !*is_done;
                    if let Some((_, is_done)) = self.under_way.iter_mut().find(is_it) {
                        *is_done = true;
                    }
                    let is_first = self.under_way.front().is_some_and(|(_, is_done)| *is_done);
                    match answer {
                        // A fault of an event behind others is met again when they are through.
                        // Behind it others are on their way, whose answers are not to be taken for those
                        // of a later event.
                        Err(LinkError::Refused(reason)) if count > 1 => {
                            return Err(LinkError::Lost(reason));
                        }
                        Err(error) if is_first => return Err(error),
                        Err(error) => return Err(LinkError::Lost(error.to_string())),
                        Ok(()) => {}
                    }
                    while let Some((_, true)) = self.under_way.front() {
                        self.under_way.pop_front();
                        progress.acknowledged += 1;
                    }
                }
                // With others on the way it need not be this event that is at fault: tried again
                // alone, it shows.
                Told::Ended(LinkError::Refused(reason)) if count > 1 || self.has_offers => {
                    return Err(LinkError::Lost(reason));
                }
                Told::Ended(error) => return Err(error),
            }
        }
        self.has_offers = false;
        Ok(())
    }

    async fn hear(&mut self) -> Result<Told, LinkError> {
        match tokio::time::timeout(PATIENCE, self.told.recv()).await {
            Ok(Some(told)) => Ok(told),
            Ok(None) => Err(LinkError::Lost("the connection ended".to_owned())),
            Err(_elapsed) => Err(silent()),
        }
    }
}

fn silent() -> LinkError {
    let secs = PATIENCE.as_secs();
    LinkError::Lost(format!("the broker has not answered for {secs} s"))
}

impl Link for MqttLink {
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
            self.has_offers = true;
            let (camera, topic) = (&offer.camera, &self.topic);
            let (topic, is_retained) = match &offer.place {
                None => (format!("{topic}/results/{camera}"), false),
                Some(place) => (format!("{topic}/state/{camera}/{}", plain(place)), true),
            };
            self.client
                .publish(topic, false, is_retained, &offer.text)
                .await
        })
    }

    fn broken(&mut self) -> Work<'_, LinkError> {
        Box::pin(async {
            loop {
                match self.told.recv().await {
                    Some(Told::Ended(error)) => return error,
                    Some(_) => {}
                    None => return LinkError::Lost("the connection ended".to_owned()),
                }
            }
        })
    }

    fn close(mut self: Box<Self>) -> Work<'static, ()> {
        Box::pin(async move {
            // The broker says it instead if this does not reach it.
            if self.say("offline").await.is_ok() && self.client.disconnect().await.is_ok() {
                self.broken().await;
            }
        })
    }
}
