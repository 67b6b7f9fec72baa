//! Results as text: JSON lines and MOT rows in files, events at brokers and webhooks.
//!
//! Belongs here: the wire format, the files it goes to, the spool where events wait and the ways out
//! of the process. The wire has its own structs, so that the types of the frame path can change
//! without changing what others read.

mod backoff;
mod decisions;
mod delivery;
mod envelope;
mod event;
mod filter;
#[cfg(feature = "kafka")]
mod kafka;
mod keeper;
mod line;
mod lines;
mod link;
mod mot;
#[cfg(feature = "mqtt")]
mod mqtt;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "redis")]
mod redis;
mod spool;
mod state;
mod thinner;
#[cfg(any(feature = "mqtt", feature = "nats"))]
mod tls;
#[cfg(feature = "webhook")]
mod webhook;

pub use decisions::{
    ChangeEntry, DECISIONS_SCHEMA_ID, DecisionFrame, DecisionLine, DecisionRunEnd, LimitsEntry,
    NameEntry, PartsEntry, RefusedEntry, RefusedWhy, TrackEntry, decisions_line,
    decisions_run_end_line,
};
pub use delivery::{Delivery, RESULT_QUEUE};
pub use envelope::{envelope, event_id, place, route};
pub use event::{EVENT_SCHEMA_ID, EventFiles, class_name, event_line, event_line_with};
pub use filter::EventFilter;
#[cfg(feature = "kafka")]
pub use kafka::{Kafka, KafkaLogin, KafkaOptions};
pub use keeper::Keeper;
pub use line::{SCHEMA_ID, frame_line, frame_line_of, run_end_line};
pub use lines::{LineFile, PublishError};
pub use link::{Link, LinkError, Offer, Progress, Transport, Work};
pub use mot::{MotRow, mot_row, mot_rows};
#[cfg(feature = "mqtt")]
pub use mqtt::{Mqtt, MqttOptions, MqttVersion};
#[cfg(feature = "nats")]
pub use nats::{Nats, NatsOptions};
#[cfg(feature = "redis")]
pub use redis::{Redis, RedisOptions, RedisSetupError};
pub use spool::{Entry, QueueLimit, Signal, Spool, SpoolError, Waiting};
pub use state::{PlaceState, Places, States, plain};
pub use thinner::Thinner;
#[cfg(any(feature = "mqtt", feature = "nats"))]
pub use tls::{TlsError, client_config};
#[cfg(feature = "webhook")]
pub use webhook::{Webhook, WebhookError, WebhookOptions};
