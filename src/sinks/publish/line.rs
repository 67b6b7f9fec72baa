//! The published JSON line, version 1 (`config/result.schema.json` is its JSON Schema).

use serde::Serialize;

use crate::base::{CameraId, FrameResult, Pts, RunEnd, RunId, TrackSnapshot};

/// Value of `schema` in every line; changes when a reader would have to.
pub const SCHEMA_ID: &str = "gantryd.result.v1";

#[derive(Serialize)]
struct FrameLine<'a> {
    schema: &'static str,
    r#type: &'static str,
    camera: &'a str,
    run: u32,
    seq: u64,
    pts_ns: u64,
    utc: Option<String>,
    utc_source: &'static str,
    width: u32,
    height: u32,
    /// Said only where it is false: a detector that looks at every frame has nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    detected: Option<bool>,
    detections: usize,
    tracks: Vec<TrackLine<'a>>,
    ended: Vec<EndedLine>,
}

#[derive(Serialize)]
struct TrackLine<'a> {
    id: u64,
    class: &'a str,
    class_id: u16,
    confidence: f64,
    box_px: [f64; 4],
    velocity_px_s: [f64; 2],
    state: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    presumed: bool,
    age_ns: u64,
    unseen_ns: u64,
}

#[derive(Serialize)]
struct EndedLine {
    id: u64,
    reason: &'static str,
}

#[derive(Serialize)]
struct RunEndLine<'a> {
    schema: &'static str,
    r#type: &'static str,
    camera: &'a str,
    run: u32,
    reason: &'static str,
    ended: Vec<EndedLine>,
}

/// One frame's result as a JSON line, without the line break. `classes` are the model's names.
///
/// Boxes are left, top, right, bottom in frame pixels to 0.01 px, velocities px/s to 0.01,
/// confidences to 0.0001. The text depends on the result alone, so equal results give equal bytes.
#[must_use]
pub fn frame_line(result: &FrameResult, classes: &[String]) -> String {
    frame_line_of(result, classes, &[])
}

/// As [`frame_line`], with the tracks of these classes alone; with all where none are named.
#[must_use]
pub fn frame_line_of(result: &FrameResult, classes: &[String], wanted: &[String]) -> String {
    let is_wanted =
        |line: &TrackLine<'_>| wanted.is_empty() || wanted.iter().any(|it| it == line.class);
    let meta = &result.meta;
    let line = FrameLine {
        schema: SCHEMA_ID,
        r#type: "frame",
        camera: meta.camera.as_str(),
        run: meta.run.0,
        seq: meta.seq.0,
        pts_ns: meta.pts.0,
        utc: meta.utc.map(|utc| utc.to_string()),
        utc_source: meta.utc_source.as_str(),
        width: meta.size.width,
        height: meta.size.height,
        detected: (!result.is_detected).then_some(false),
        detections: result.detections,
        tracks: result
            .tracks
            .iter()
            .map(|track| track_line(track, result, classes))
            .filter(is_wanted)
            .collect(),
        ended: result.ended.iter().map(ended_line).collect(),
    };
    to_json(&line)
}

/// The end of a camera's run as a JSON line, without the line break.
#[must_use]
pub fn run_end_line(
    camera: &CameraId,
    run: RunId,
    reason: RunEnd,
    ended: &[crate::base::EndedTrack],
) -> String {
    to_json(&RunEndLine {
        schema: SCHEMA_ID,
        r#type: "run_end",
        camera: camera.as_str(),
        run: run.0,
        reason: reason.as_str(),
        ended: ended.iter().map(ended_line).collect(),
    })
}

fn track_line<'a>(
    track: &TrackSnapshot,
    result: &FrameResult,
    classes: &'a [String],
) -> TrackLine<'a> {
    let now = result.meta.pts;
    TrackLine {
        id: track.id.0,
        class: classes
            .get(usize::from(track.class.0))
            .map_or("unknown", String::as_str),
        class_id: track.class.0,
        confidence: rounded(track.confidence, 1e4),
        box_px: [
            track.bbox.left(),
            track.bbox.top(),
            track.bbox.right(),
            track.bbox.bottom(),
        ]
        .map(|edge| rounded(edge, 1e2)),
        velocity_px_s: track.velocity.map(|v| rounded(v, 1e2)),
        state: track.state.as_str(),
        presumed: track.is_presumed,
        age_ns: age_ns(track, now),
        unseen_ns: now.0.saturating_sub(track.last_seen.0),
    }
}

fn age_ns(track: &TrackSnapshot, now: Pts) -> u64 {
    let before_run = u64::try_from(track.before_run.as_nanos()).unwrap_or(u64::MAX);
    let in_run = now.0.saturating_sub(track.first_seen.0);
    in_run.saturating_add(before_run)
}

fn ended_line(ended: &crate::base::EndedTrack) -> EndedLine {
    EndedLine {
        id: ended.id.0,
        reason: ended.reason.as_str(),
    }
}

/// `value` to `1 / steps`; −0 becomes 0.
pub(super) fn rounded(value: f32, steps: f64) -> f64 {
    (f64::from(value) * steps).round() / steps + 0.0
}

pub(super) fn to_json(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("lines hold only strings, integers and finite numbers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{
        BBox, ClassId, EndReason, EndedTrack, FrameMeta, FrameSeq, Size, Timings, TrackId,
        TrackState, UtcNanos, UtcSource,
    };

    fn result() -> FrameResult {
        FrameResult {
            meta: FrameMeta {
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
            is_detected: true,
            detections: 3,
            tracks: vec![TrackSnapshot {
                id: TrackId(5),
                class: ClassId(1),
                class_share: 1.0,
                confidence: 0.876_54,
                bbox: BBox::from_ltrb(1.234, 2.0, 30.0, 40.0).unwrap(),
                velocity: [-0.001, 12.345],
                state: TrackState::Coasting,
                first_seen: Pts(500_000_000),
                last_seen: Pts(1_900_000_000),
                is_presumed: true,
                before_run: std::time::Duration::ZERO,
            }],
            ended: vec![EndedTrack {
                id: TrackId(4),
                reason: EndReason::Lost,
            }],
            counts: None,
            decisions: None,
            private: Vec::new(),
            timings: Timings::default(),
            frame: None,
        }
    }

    #[test]
    fn a_frame_line_holds_every_field_with_its_unit() {
        let line = frame_line(&result(), &["person".into(), "car".into()]);
        assert_eq!(
            line,
            r#"{"schema":"gantryd.result.v1","type":"frame","camera":"gate","run":2,"seq":7,"pts_ns":2000000000,"utc":"2023-11-14T22:13:20.000000000Z","utc_source":"rtcp","width":640,"height":360,"detections":3,"tracks":[{"id":5,"class":"car","class_id":1,"confidence":0.8765,"box_px":[1.23,2.0,30.0,40.0],"velocity_px_s":[0.0,12.35],"state":"coasting","presumed":true,"age_ns":1500000000,"unseen_ns":100000000}],"ended":[{"id":4,"reason":"lost"}]}"#
        );
    }

    #[test]
    fn a_frame_that_was_not_looked_at_says_so() {
        let mut carried = result();
        assert!(!frame_line(&carried, &[]).contains("detected\""));
        carried.is_detected = false;
        let line: serde_json::Value = serde_json::from_str(&frame_line(&carried, &[])).unwrap();
        assert_eq!(line["detected"], false);
    }

    #[test]
    fn lines_obey_the_published_schema() {
        let schema =
            serde_json::from_str(include_str!("../../../config/result.schema.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mut unknown_class = result();
        unknown_class.tracks[0].class = ClassId(99);
        unknown_class.meta.utc = None;
        unknown_class.is_detected = false;
        unknown_class.meta.utc_source = UtcSource::Unknown;
        let end = run_end_line(&CameraId::new("gate"), RunId(1), RunEnd::Stalled, &[]);
        for line in [
            frame_line(&result(), &[]),
            frame_line(&unknown_class, &[]),
            end,
        ] {
            let value = serde_json::from_str(&line).unwrap();
            assert!(validator.is_valid(&value), "{line}");
        }
        let broken = frame_line(&result(), &[]).replace("\"pts_ns\"", "\"pts\"");
        assert!(!validator.is_valid(&serde_json::from_str(&broken).unwrap()));
    }
}
