//! What Home Assistant is told, so that it shows zones and lines by itself.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::CameraId;
use crate::sinks::publish::line::to_json;
use crate::sinks::publish::state::{Places, plain};

/// Where Home Assistant listens unless it was told otherwise.
const PREFIX: &str = "homeassistant";

#[derive(Serialize)]
struct Sensor<'a> {
    name: String,
    unique_id: &'a str,
    state_topic: String,
    value_template: String,
    state_class: &'static str,
    availability_topic: String,
    device: Device,
}

#[derive(Serialize)]
struct Device {
    identifiers: [String; 1],
    name: String,
    manufacturer: &'static str,
}

/// Topic and text of each sensor: occupancy and queue of every zone, crossings of every line.
pub(super) fn sensors(
    topic: &str,
    client_id: &str,
    places: &BTreeMap<CameraId, Places>,
) -> Vec<(String, String)> {
    let mut sensors = Vec::new();
    for (camera, places) in places {
        for (names, values, class) in [
            (&places.zones, ["occupancy", "queue"], "measurement"),
            (&places.lines, ["in", "out"], "total_increasing"),
        ] {
            for place in names {
                for value in values {
                    sensors.push(sensor(topic, client_id, camera, place, value, class));
                }
            }
        }
    }
    sensors
}

fn sensor(
    topic: &str,
    client_id: &str,
    camera: &CameraId,
    place: &str,
    value: &str,
    state_class: &'static str,
) -> (String, String) {
    let (node, object) = (plain(client_id), plain(camera.as_str()));
    let id = format!("{node}_{object}_{}_{value}", plain(place));
    let text = to_json(&Sensor {
        name: format!("{place} {value}"),
        unique_id: &id,
        state_topic: format!("{topic}/state/{camera}/{}", plain(place)),
        value_template: format!("{{{{ value_json['{value}'] }}}}"),
        state_class,
        availability_topic: format!("{topic}/status"),
        device: Device {
            identifiers: [format!("{node}_{object}")],
            name: format!("gantryd {camera}"),
            manufacturer: "gantryd",
        },
    });
    (format!("{PREFIX}/sensor/{node}/{id}/config"), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_and_line_has_its_sensors() {
        let places = Places {
            zones: vec!["exit A".to_owned()],
            lines: vec!["stop".to_owned()],
        };
        let places = BTreeMap::from([(CameraId::new("gate"), places)]);
        let sensors = sensors("plant/7", "gantryd-room", &places);
        let (topic, text) = &sensors[0];
        assert_eq!(
            topic,
            "homeassistant/sensor/gantryd-room/gantryd-room_gate_exit_A_occupancy/config"
        );
        assert_eq!(
            text,
            r#"{"name":"exit A occupancy","unique_id":"gantryd-room_gate_exit_A_occupancy","state_topic":"plant/7/state/gate/exit_A","value_template":"{{ value_json['occupancy'] }}","state_class":"measurement","availability_topic":"plant/7/status","device":{"identifiers":["gantryd-room_gate"],"name":"gantryd gate","manufacturer":"gantryd"}}"#
        );
        assert_eq!(sensors.len(), 4);
    }
}
