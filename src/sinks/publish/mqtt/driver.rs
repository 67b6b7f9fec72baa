//! The two versions of the protocol behind one face.

use rumqttc::v5::mqttbytes::QoS as QoS5;
use rumqttc::v5::mqttbytes::v5 as packets5;
use rumqttc::{QoS, v5};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{KEEP_ALIVE, MAX_BYTES, Mqtt, MqttVersion, PATIENCE};
use crate::sinks::publish::delivery::BATCH;
use crate::sinks::publish::link::LinkError;

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
#[derive(Debug)]
pub(super) enum Client {
    V3(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

impl Client {
    pub(super) async fn publish(
        &self,
        topic: String,
        qos: QoS,
        is_retained: bool,
        payload: &str,
    ) -> Result<(), LinkError> {
        let payload = payload.as_bytes().to_vec();
        let result = match self {
            Self::V3(client) => client
                .publish(topic, qos, is_retained, payload)
                .await
                .map_err(|error| error.to_string()),
            Self::V5(client) => {
                let qos = match qos {
                    QoS::AtMostOnce => QoS5::AtMostOnce,
                    QoS::AtLeastOnce | QoS::ExactlyOnce => QoS5::AtLeastOnce,
                };
                client
                    .publish(topic, qos, is_retained, payload)
                    .await
                    .map_err(|error| error.to_string())
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
pub(super) fn start(mqtt: &Mqtt, told: mpsc::Sender<Told>) -> (Client, JoinHandle<()>) {
    match mqtt.options.version {
        MqttVersion::V3 => {
            let (client, events) = rumqttc::AsyncClient::new(options3(mqtt), REQUESTS);
            (Client::V3(client), tokio::spawn(drive3(events, told)))
        }
        MqttVersion::V5 => {
            let (client, events) = v5::AsyncClient::new(options5(mqtt), REQUESTS);
            (Client::V5(client), tokio::spawn(drive5(events, told)))
        }
    }
}

fn options3(mqtt: &Mqtt) -> rumqttc::MqttOptions {
    let it = &mqtt.options;
    let mut options = rumqttc::MqttOptions::new(&it.client_id, &it.host, it.port);
    options.set_transport(mqtt.socket());
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_session(true);
    options.set_max_packet_size(MAX_BYTES, MAX_BYTES);
    options.set_inflight(BATCH as u16);
    options.set_last_will(rumqttc::LastWill::new(
        mqtt.status_topic(),
        "offline",
        QoS::AtLeastOnce,
        true,
    ));
    if let Some((user, password)) = &it.login {
        options.set_credentials(user, password.expose());
    }
    options
}

fn options5(mqtt: &Mqtt) -> v5::MqttOptions {
    let it = &mqtt.options;
    let mut options = v5::MqttOptions::new(&it.client_id, &it.host, it.port);
    options.set_transport(mqtt.socket());
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_start(true);
    options.set_connection_timeout(PATIENCE.as_secs());
    options.set_outgoing_inflight_upper_limit(BATCH as u16);
    options.set_last_will(packets5::LastWill::new(
        mqtt.status_topic(),
        "offline",
        QoS5::AtLeastOnce,
        true,
        None,
    ));
    if let Some((user, password)) = &it.login {
        options.set_credentials(user, password.expose());
    }
    options
}

async fn drive3(mut events: rumqttc::EventLoop, told: mpsc::Sender<Told>) {
    use rumqttc::{Event, Outgoing, Packet};
    events
        .network_options
        .set_connection_timeout(PATIENCE.as_secs());
    loop {
        let news = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => Told::Connected,
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

async fn drive5(mut events: v5::EventLoop, told: mpsc::Sender<Told>) {
    use rumqttc::Outgoing;
    use v5::Event;
    use v5::mqttbytes::v5::Packet;
    loop {
        let news = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => Told::Connected,
            Ok(Event::Outgoing(Outgoing::Publish(id))) => Told::Sent(id),
            Ok(Event::Incoming(Packet::PubAck(ack))) => {
                Told::Answered(ack.pkid, answer(ack.reason))
            }
            Ok(Event::Incoming(_) | Event::Outgoing(_)) => continue,
            Err(error) => Told::Ended(fault5(&error)),
        };
        let is_over = matches!(news, Told::Ended(_));
        if told.send(news).await.is_err() || is_over {
            return;
        }
    }
}

fn answer(reason: packets5::PubAckReason) -> Result<(), LinkError> {
    use packets5::PubAckReason as Reason;
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

const WRONG_LOGIN: &str =
    "the broker refuses user and password; check user and password_file of the sink";

fn fault3(error: &rumqttc::ConnectionError) -> LinkError {
    use rumqttc::ConnectReturnCode as Code;
    use rumqttc::ConnectionError as Error;
    match error {
        Error::ConnectionRefused(Code::BadUserNamePassword | Code::NotAuthorized) => {
            LinkError::Denied(WRONG_LOGIN.to_owned())
        }
        Error::ConnectionRefused(Code::RefusedProtocolVersion) => LinkError::Denied(
            "the broker does not speak MQTT 3.1.1; mqtt_version = \"5\" may help".to_owned(),
        ),
        Error::MqttState(rumqttc::StateError::Deserialization(
            rumqttc::mqttbytes::Error::OutgoingPacketTooLarge { .. },
        )) => LinkError::Refused(error.to_string()),
        other => LinkError::Lost(other.to_string()),
    }
}

fn fault5(error: &v5::ConnectionError) -> LinkError {
    use packets5::ConnectReturnCode as Code;
    use v5::ConnectionError as Error;
    let code = match error {
        Error::ConnectionRefused(code) => *code,
        Error::MqttState(v5::StateError::ConnFail { reason }) => *reason,
        Error::MqttState(v5::StateError::OutgoingPacketTooLarge { .. }) => {
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
