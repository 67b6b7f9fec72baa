//! The published event line, version 1 (`config/event.schema.json` is its JSON Schema).

use serde::Serialize;

use crate::base::{ClassId, Event, EventKind, ObjectTrace, PathPoint, Pictured, Recorded, Speed};

use super::line::{rounded, to_json};

/// Value of `schema` in every event; changes when a reader would have to.
pub const EVENT_SCHEMA_ID: &str = "gantryd.event.v1";

#[derive(Serialize)]
struct EventLine<'a> {
    schema: &'static str,
    r#type: &'static str,
    camera: &'a str,
    number: u64,
    run: u32,
    seq: u64,
    pts_ns: u64,
    utc: Option<String>,
    utc_source: &'static str,
    #[serde(flatten)]
    kind: KindLine<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<ObjectLine<'a>>,
    recording: Option<RecordingLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<RecordingLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotLine<'a>>,
}

/// What differs from kind to kind.
#[derive(Serialize)]
#[serde(untagged)]
enum KindLine<'a> {
    Crossing {
        line: &'a str,
        direction: &'static str,
    },
    Turn {
        from: &'a str,
        to: &'a str,
    },
    Zone {
        zone: &'a str,
    },
    Dwell {
        zone: &'a str,
        dwell_ns: u64,
    },
    Stopped {
        zone: &'a str,
        phase: &'static str,
        still_ns: u64,
    },
    WrongWay {
        place: &'a str,
    },
    Crowd {
        zone: &'a str,
        phase: &'static str,
        count: u32,
    },
}

#[derive(Serialize)]
struct ObjectLine<'a> {
    tracks: Vec<u64>,
    class: &'a str,
    class_id: u16,
    class_share: f64,
    confidence: f64,
    sightings: u32,
    box_px: [f64; 4],
    speed: Option<SpeedLine>,
    path: Vec<PointLine>,
}

#[derive(Serialize)]
struct SpeedLine {
    value: f64,
    uncertainty: f64,
    unit: &'static str,
}

#[derive(Serialize)]
struct PointLine {
    pts_ns: u64,
    x_px: f64,
    y_px: f64,
}

#[derive(Serialize)]
struct RecordingLine<'a> {
    file: &'a str,
    pts_ns: u64,
}

#[derive(Serialize)]
struct SnapshotLine<'a> {
    frame: &'a str,
    object: Option<&'a str>,
}

/// The files that show an event, as far as there are any.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventFiles<'a> {
    /// Where its frame is in a recording.
    pub recorded: Option<&'a Recorded>,
    /// Where its frame is in a clip.
    pub clip: Option<&'a Recorded>,
    /// Its pictures.
    pub pictured: Option<&'a Pictured>,
}

/// [`event_line_with`] of an event that at most a recording shows.
#[must_use]
pub fn event_line(event: &Event, classes: &[String], recorded: Option<&Recorded>) -> String {
    let files = EventFiles {
        recorded,
        ..EventFiles::default()
    };
    event_line_with(event, classes, files)
}

/// One event as a JSON line, without the line break. `classes` are the model's names.
///
/// Pixels to 0.01, shares and confidences to 0.0001, speeds to 0.1. The text depends on the event and
/// its files alone.
#[must_use]
pub fn event_line_with(event: &Event, classes: &[String], files: EventFiles<'_>) -> String {
    let frame = &event.frame;
    to_json(&EventLine {
        schema: EVENT_SCHEMA_ID,
        r#type: event.kind.as_str(),
        camera: frame.camera.as_str(),
        number: event.number,
        run: frame.run.0,
        seq: frame.seq.0,
        pts_ns: frame.pts.0,
        utc: frame.utc.map(|utc| utc.to_string()),
        utc_source: frame.utc_source.as_str(),
        kind: kind_line(&event.kind),
        object: event.object.as_ref().map(|it| object_line(it, classes)),
        recording: files.recorded.map(recording_line),
        clip: files.clip.map(recording_line),
        snapshot: files.pictured.map(|it| SnapshotLine {
            frame: &it.frame,
            object: it.object.as_deref(),
        }),
    })
}

fn recording_line(place: &Recorded) -> RecordingLine<'_> {
    RecordingLine {
        file: &place.file,
        pts_ns: place.pts_ns,
    }
}

fn kind_line(kind: &EventKind) -> KindLine<'_> {
    let nanos =
        |duration: &std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    match kind {
        EventKind::Crossing { line, direction } => KindLine::Crossing {
            line,
            direction: direction.as_str(),
        },
        EventKind::Turn { from, to } => KindLine::Turn { from, to },
        EventKind::Entry { zone } => KindLine::Zone { zone },
        EventKind::Exit { zone, dwell } | EventKind::Loitering { zone, dwell } => KindLine::Dwell {
            zone,
            dwell_ns: nanos(dwell),
        },
        EventKind::Stopped { zone, phase, still } => KindLine::Stopped {
            zone,
            phase: phase.as_str(),
            still_ns: nanos(still),
        },
        EventKind::WrongWay { place } => KindLine::WrongWay { place },
        EventKind::Occupancy { zone, phase, count }
        | EventKind::Queue { zone, phase, count }
        | EventKind::Congestion { zone, phase, count } => KindLine::Crowd {
            zone,
            phase: phase.as_str(),
            count: *count,
        },
    }
}

fn object_line<'a>(object: &ObjectTrace, classes: &'a [String]) -> ObjectLine<'a> {
    let bbox = &object.bbox;
    ObjectLine {
        tracks: object.tracks.iter().map(|id| id.0).collect(),
        class: class_name(object.class, classes),
        class_id: object.class.0,
        class_share: rounded(object.class_share, 1e4),
        confidence: rounded(object.confidence, 1e4),
        sightings: object.sightings,
        box_px: [bbox.left(), bbox.top(), bbox.right(), bbox.bottom()]
            .map(|edge| rounded(edge, 1e2)),
        speed: object.speed.map(speed_line),
        path: object.path.iter().map(point_line).collect(),
    }
}

/// The name of a class; `unknown` for an index the model does not have.
#[must_use]
pub fn class_name(class: ClassId, classes: &[String]) -> &str {
    classes
        .get(usize::from(class.0))
        .map_or("unknown", String::as_str)
}

fn speed_line(speed: Speed) -> SpeedLine {
    SpeedLine {
        value: rounded(speed.value, 1e1),
        uncertainty: rounded(speed.uncertainty, 1e1),
        unit: speed.unit.as_str(),
    }
}

fn point_line(point: &PathPoint) -> PointLine {
    PointLine {
        pts_ns: point.pts.0,
        x_px: rounded(point.x, 1e2),
        y_px: rounded(point.y, 1e2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{
        BBox, CameraId, Direction, FrameMeta, FrameSeq, Phase, Pts, RunId, Size, SpeedUnit,
        TrackId, UtcNanos, UtcSource,
    };
    use std::time::Duration;

    fn event(kind: EventKind) -> Event {
        Event {
            number: 12,
            frame: FrameMeta {
                camera: CameraId::new("gate"),
                run: RunId(2),
                seq: FrameSeq(7),
                pts: Pts(2_000_000_000),
                utc: Some(UtcNanos(1_700_000_000_000_000_000)),
                utc_source: UtcSource::Rtcp,
                size: Size {
                    width: 640,
                    height: 360,
                },
            },
            kind,
            object: Some(ObjectTrace {
                tracks: vec![TrackId(5), TrackId(9)],
                class: ClassId(1),
                class_share: 0.95,
                confidence: 0.876_54,
                sightings: 31,
                bbox: BBox::from_ltrb(1.234, 2.0, 30.0, 40.0).unwrap(),
                path: vec![PathPoint {
                    pts: Pts(1_900_000_000),
                    x: 15.5,
                    y: 40.0,
                }],
                speed: Some(Speed {
                    value: 42.04,
                    uncertainty: 3.06,
                    unit: SpeedUnit::Kmh,
                }),
            }),
        }
    }

    fn crossing() -> EventKind {
        EventKind::Crossing {
            line: "stop".into(),
            direction: Direction::In,
        }
    }

    #[test]
    fn an_event_line_holds_every_field_with_its_unit() {
        let recorded = Recorded {
            file: "gate_20231114T221318Z.mp4".into(),
            pts_ns: 40_000_000,
        };
        let classes = ["person".to_owned(), "car".to_owned()];
        assert_eq!(
            event_line(&event(crossing()), &classes, Some(&recorded)),
            r#"{"schema":"gantryd.event.v1","type":"line_crossing","camera":"gate","number":12,"run":2,"seq":7,"pts_ns":2000000000,"utc":"2023-11-14T22:13:20.000000000Z","utc_source":"rtcp","line":"stop","direction":"in","object":{"tracks":[5,9],"class":"car","class_id":1,"class_share":0.95,"confidence":0.8765,"sightings":31,"box_px":[1.23,2.0,30.0,40.0],"speed":{"value":42.0,"uncertainty":3.1,"unit":"km/h"},"path":[{"pts_ns":1900000000,"x_px":15.5,"y_px":40.0}]},"recording":{"file":"gate_20231114T221318Z.mp4","pts_ns":40000000}}"#
        );
    }

    #[test]
    fn every_kind_of_event_obeys_the_published_schema() {
        let schema =
            serde_json::from_str(include_str!("../../../config/event.schema.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let zone = || "yard".into();
        let (phase, count) = (Phase::Begin, 3);
        let long = Duration::from_secs(3);
        let kinds = [
            crossing(),
            EventKind::Turn {
                from: "north".into(),
                to: "south".into(),
            },
            EventKind::Entry { zone: zone() },
            EventKind::Exit {
                zone: zone(),
                dwell: long,
            },
            EventKind::Loitering {
                zone: zone(),
                dwell: long,
            },
            EventKind::Stopped {
                zone: zone(),
                phase: Phase::End,
                still: long,
            },
            EventKind::WrongWay { place: zone() },
            EventKind::Occupancy {
                zone: zone(),
                phase,
                count,
            },
            EventKind::Queue {
                zone: zone(),
                phase,
                count,
            },
            EventKind::Congestion {
                zone: zone(),
                phase,
                count,
            },
        ];
        for kind in kinds {
            let mut event = event(kind);
            let is_of_a_zone = matches!(
                event.kind,
                EventKind::Occupancy { .. }
                    | EventKind::Queue { .. }
                    | EventKind::Congestion { .. }
            );
            if is_of_a_zone {
                event.object = None;
            }
            let line = event_line(&event, &[], None);
            let problems: Vec<String> = validator
                .iter_errors(&serde_json::from_str(&line).unwrap())
                .map(|error| error.to_string())
                .collect();
            assert!(problems.is_empty(), "{line}: {problems:?}");
        }
        let clip = Recorded {
            file: "gate_20231114T221318Z_clip.mp4".into(),
            pts_ns: 5,
        };
        let pictured = Pictured {
            frame: "gate_20231114T221320Z_12_frame.jpg".into(),
            object: None,
        };
        let files = EventFiles {
            recorded: None,
            clip: Some(&clip),
            pictured: Some(&pictured),
        };
        let line = event_line_with(&event(crossing()), &[], files);
        assert!(
            line.ends_with(
                r#""recording":null,"clip":{"file":"gate_20231114T221318Z_clip.mp4","pts_ns":5},"snapshot":{"frame":"gate_20231114T221320Z_12_frame.jpg","object":null}}"#
            ),
            "{line}"
        );
        assert!(validator.is_valid(&serde_json::from_str(&line).unwrap()));
        for (field, wrong) in [("\"line\"", "\"zone\""), ("\"number\"", "\"event\"")] {
            let broken = event_line(&event(crossing()), &[], None).replace(field, wrong);
            assert!(!validator.is_valid(&serde_json::from_str(&broken).unwrap()));
        }
    }
}
