//! An event on its way to a broker or webhook: a CloudEvents 1.0 envelope around the event line.

use serde::Serialize;
use serde_json::value::RawValue;

use super::event::EVENT_SCHEMA_ID;
use super::line::to_json;
use crate::base::{Event, EventKind};

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: String,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    sequence: String,
    datacontenttype: &'static str,
    dataschema: &'static str,
    data: &'a RawValue,
}

/// The id of an event, the same whenever it is sent: `instance` is the spool's word, `sequence`
/// counts the events of the camera, restarts included.
#[must_use]
pub fn event_id(event: &Event, instance: &str, sequence: u64) -> String {
    format!("{instance}-{}-{sequence}", event.frame.camera)
}

/// The text that is sent, the same each time. `line` is the event line, which becomes `data`.
///
/// # Panics
/// If `line` is no JSON.
#[must_use]
pub fn envelope(event: &Event, id: &str, sequence: u64, line: &str) -> String {
    let camera = &event.frame.camera;
    to_json(&Envelope {
        specversion: "1.0",
        id,
        source: format!("gantryd/{camera}"),
        r#type: format!("gantryd.{}.v1", event.kind.as_str()),
        subject: place(&event.kind),
        time: event.frame.utc.map(|utc| utc.to_string()),
        // The sequence extension of CloudEvents is text that sorts; 20 digits hold every u64.
        sequence: format!("{sequence:020}"),
        datacontenttype: "application/json",
        dataschema: EVENT_SCHEMA_ID,
        data: serde_json::from_str(line).expect("event lines are JSON"),
    })
}

/// What a sink's topic ends with, `gate/line_crossing`.
#[must_use]
pub fn route(event: &Event) -> String {
    format!("{}/{}", event.frame.camera, event.kind.as_str())
}

/// The zone or line an event is about; of a turn, the line that was crossed last.
#[must_use]
pub fn place(kind: &EventKind) -> &str {
    match kind {
        EventKind::Crossing { line, .. } => line,
        EventKind::Turn { to, .. } => to,
        EventKind::WrongWay { place } => place,
        EventKind::Entry { zone }
        | EventKind::Exit { zone, .. }
        | EventKind::Loitering { zone, .. }
        | EventKind::Stopped { zone, .. }
        | EventKind::Occupancy { zone, .. }
        | EventKind::Queue { zone, .. }
        | EventKind::Congestion { zone, .. } => zone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{CameraId, FrameMeta, FrameSeq, Pts, RunId, Size, UtcNanos, UtcSource};
    use crate::sinks::publish::event_line;

    fn event(utc: Option<UtcNanos>) -> Event {
        Event {
            number: 3,
            frame: FrameMeta {
                camera: CameraId::new("gate"),
                run: RunId(1),
                seq: FrameSeq(7),
                pts: Pts(5),
                utc,
                utc_source: UtcSource::Rtcp,
                size: Size {
                    width: 640,
                    height: 360,
                },
            },
            kind: EventKind::Occupancy {
                zone: "yard".into(),
                phase: crate::base::Phase::Begin,
                count: 4,
            },
            object: None,
        }
    }

    #[test]
    fn the_envelope_obeys_the_published_schema() {
        let schema =
            serde_json::from_str(include_str!("../../../config/event.schema.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for utc in [None, Some(UtcNanos(1_700_000_000_000_000_000))] {
            let event = event(utc);
            let line = event_line(&event, &[], None);
            let id = event_id(&event, "0123456789abcdef", 42);
            let text = envelope(&event, &id, 42, &line);
            let value = serde_json::from_str(&text).unwrap();
            assert!(validator.is_valid(&value), "{text}");
            assert_eq!(value["id"], "0123456789abcdef-gate-42");
            assert_eq!(value["type"], "gantryd.occupancy.v1");
            assert_eq!(value["subject"], "yard");
            assert_eq!(value["sequence"], "00000000000000000042");
            let broken = serde_json::from_str(&text.replace("specversion", "version")).unwrap();
            assert!(!validator.is_valid(&broken));
        }
        assert_eq!(route(&event(None)), "gate/occupancy");
    }
}
