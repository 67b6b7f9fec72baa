//! The two versions of the protocol behind one face.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{KEEP_ALIVE_SECS, MAX_BYTES, Mqtt, MqttVersion, PATIENCE};
use crate::base::causes;
use crate::sinks::publish::delivery::BATCH;
use crate::sinks::publish::link::{LinkError, WRONG_LOGIN};

/// Requests that may wait for the event loop.
const REQUESTS: usize = BATCH + 8;

/// What happens on a connection.
#[derive(Debug)]
pub(super) enum Told {
    /// The broker lets us in.
    Connected,
    /// A packet of this id went out.
    Sent(u16),
    /// The broker has it, or refuses it.
    Answered(u16, Result<(), LinkError>),
    /// The connection is over.
    Ended(LinkError),
}

/// Takes what is to be sent.
pub(super) enum Client {
    V3(mqtt3::AsyncClient),
    V5(mqtt5::AsyncClient),
}

impl Client {
    /// Hands over a message; `is_asked` has the broker acknowledge it (quality of service 1, else 0).
    pub(super) async fn publish(
        &self,
        topic: String,
        is_asked: bool,
        is_retained: bool,
        payload: &str,
    ) -> Result<(), LinkError> {
        let result = match self {
            Self::V3(client) => {
                let quality = if is_asked {
                    mqtt3::QoS::AtLeastOnce
                } else {
                    mqtt3::QoS::AtMostOnce
                };
                let options = mqtt3::PublishOptions::new(quality).retain(is_retained);
                let published = client.publish(topic, payload, options).await;
                published.map_err(|error| error.to_string())
            }
            Self::V5(client) => {
                let quality = if is_asked {
                    mqtt5::QoS::AtLeastOnce
                } else {
                    mqtt5::QoS::AtMostOnce
                };
                let options = mqtt5::PublishOptions::new(quality).retain(is_retained);
                let published = client.publish(topic, payload, options).await;
                published.map_err(|error| error.to_string())
            }
        };
        result.map_err(LinkError::Lost)
    }

    pub(super) async fn disconnect(&self) -> Result<(), LinkError> {
        let result = match self {
            Self::V3(client) => client.disconnect().await.map_err(|it| it.to_string()),
            Self::V5(client) => client.disconnect().await.map_err(|it| it.to_string()),
        };
        result.map_err(LinkError::Lost)
    }
}

/// Starts one connection; it ends for good when it breaks.
pub(super) fn start(
    mqtt: &Mqtt,
    told: mpsc::Sender<Told>,
) -> Result<(Client, JoinHandle<()>), LinkError> {
    match mqtt.options.version {
        MqttVersion::V3 => {
            let builder = mqtt3::AsyncClient::builder(options3(mqtt)).capacity(REQUESTS);
            let (client, events) = builder.try_build().map_err(|it| unfit(&it))?;
            Ok((Client::V3(client), tokio::spawn(drive3(events, told))))
        }
        MqttVersion::V5 => {
            let builder = mqtt5::AsyncClient::builder(options5(mqtt)).capacity(REQUESTS);
            let (client, events) = builder.try_build().map_err(|it| unfit(&it))?;
            Ok((Client::V5(client), tokio::spawn(drive5(events, told))))
        }
    }
}

fn unfit(error: &dyn std::error::Error) -> LinkError {
    LinkError::Denied(format!(
        "the client takes no such options: {}",
        causes(error)
    ))
}

fn options3(mqtt: &Mqtt) -> mqtt3::MqttOptions {
    use mqtt3::{LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
    let it = &mqtt.options;
    let mut options = MqttOptions::new(&it.client_id, (it.host.clone(), it.port));
    if let Some(config) = &it.tls {
        let config = TlsConfiguration::Rustls(config.clone());
        options.set_transport(Transport::tls_with_config(config));
    }
    options.set_keep_alive(KEEP_ALIVE_SECS);
    options.set_clean_session(true);
    options.set_max_packet_size(MAX_BYTES, MAX_BYTES);
    options.set_inflight(BATCH as u16);
    let topic = mqtt.status_topic();
    options.set_last_will(LastWill::new(topic, "offline", QoS::AtLeastOnce, true));
    if let Some((user, password)) = &it.login {
        options.set_credentials(user, password.expose().as_bytes().to_vec());
    }
    options
}

fn options5(mqtt: &Mqtt) -> mqtt5::MqttOptions {
    use mqtt5::{LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
    let it = &mqtt.options;
    let mut options = MqttOptions::new(&it.client_id, (it.host.clone(), it.port));
    if let Some(config) = &it.tls {
        let config = TlsConfiguration::Rustls(config.clone());
        options.set_transport(Transport::tls_with_config(config));
    }
    options.set_keep_alive(KEEP_ALIVE_SECS);
    options.set_clean_start(true);
    options.set_connect_timeout(PATIENCE);
    options.set_outgoing_inflight_upper_limit(BATCH as u16);
    let topic = mqtt.status_topic();
    options.set_last_will(LastWill::new(
        topic,
        "offline",
        QoS::AtLeastOnce,
        true,
        None,
    ));
    if let Some((user, password)) = &it.login {
        options.set_credentials(user, password.expose().as_bytes().to_vec());
    }
    options
}

async fn drive3(mut events: mqtt3::EventLoop, told: mpsc::Sender<Told>) {
    use mqtt3::{Event, Outgoing, Packet};
    loop {
        let news = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => Told::Connected,
            // Quality of service 0: nobody waits for it.
            Ok(Event::Outgoing(Outgoing::Publish(0))) => continue,
            Ok(Event::Outgoing(Outgoing::Publish(id))) => Told::Sent(id),
            Ok(Event::Incoming(Packet::PubAck(ack))) => Told::Answered(ack.pkid, Ok(())),
            Ok(Event::Incoming(_) | Event::Outgoing(_)) => continue,
            Err(error) => Told::Ended(fault3(&error)),
        };
        let is_over = matches!(news, Told::Ended(_));
        if told.send(news).await.is_err() || is_over {
            return;
        }
    }
}

async fn drive5(mut events: mqtt5::EventLoop, told: mpsc::Sender<Told>) {
    use mqtt5::{Event, Outgoing, Packet};
    loop {
        let news = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => Told::Connected,
            // Quality of service 0: nobody waits for it.
            Ok(Event::Outgoing(Outgoing::Publish(0))) => continue,
            Ok(Event::Outgoing(Outgoing::Publish(id))) => Told::Sent(id),
            Ok(Event::Incoming(Packet::PubAck(ack))) => {
                Told::Answered(ack.pkid, answer(ack.reason))
            }
            Ok(Event::Incoming(_) | Event::Outgoing(_) | Event::Auth(_)) => continue,
            Err(error) => Told::Ended(fault5(&error)),
        };
        let is_over = matches!(news, Told::Ended(_));
        if told.send(news).await.is_err() || is_over {
            return;
        }
    }
}

fn answer(reason: mqtt5::PubAckReason) -> Result<(), LinkError> {
    use mqtt5::PubAckReason as Reason;
    match reason {
        Reason::Success | Reason::NoMatchingSubscribers => Ok(()),
        Reason::NotAuthorized => Err(LinkError::Denied(
            "the broker does not let this user publish below the topic; its access list must allow it"
                .to_owned(),
        )),
        Reason::TopicNameInvalid | Reason::PayloadFormatInvalid => Err(LinkError::Refused(
            format!("the broker refuses the event: {reason:?}"),
        )),
        Reason::UnspecifiedError
        | Reason::ImplementationSpecificError
        | Reason::PacketIdentifierInUse
        | Reason::QuotaExceeded => Err(LinkError::Lost(format!(
            "the broker does not take the event now: {reason:?}"
        ))),
    }
}

fn fault3(error: &mqtt3::ConnectionError) -> LinkError {
    use mqtt3::ConnectReturnCode as Code;
    use mqtt3::ConnectionError as Error;
    match error {
        Error::ConnectionRefused(Code::BadUserNamePassword | Code::NotAuthorized) => {
            LinkError::Denied(WRONG_LOGIN.to_owned())
        }
        Error::ConnectionRefused(Code::RefusedProtocolVersion) => LinkError::Denied(
            "the broker does not speak MQTT 3.1.1; mqtt_version = \"5\" may help".to_owned(),
        ),
        other => LinkError::Lost(other.to_string()),
    }
}

fn fault5(error: &mqtt5::ConnectionError) -> LinkError {
    use mqtt5::ConnectReturnCode as Code;
    use mqtt5::ConnectionError as Error;
    let code = match error {
        Error::ConnectionRefused(code) => *code,
        Error::MqttState(mqtt5::StateError::ConnFail { reason }) => *reason,
        Error::MqttState(mqtt5::StateError::OutgoingPacketTooLarge { .. }) => {
            return LinkError::Refused(error.to_string());
        }
        other => return LinkError::Lost(other.to_string()),
    };
    match code {
        Code::BadUserNamePassword | Code::NotAuthorized | Code::Banned => {
            LinkError::Denied(WRONG_LOGIN.to_owned())
        }
        Code::UnsupportedProtocolVersion | Code::RefusedProtocolVersion => LinkError::Denied(
            "the broker does not speak MQTT 5; mqtt_version = \"3.1.1\" may help".to_owned(),
        ),
        other => LinkError::Lost(format!("the broker refuses the connection: {other:?}")),
    }
}
