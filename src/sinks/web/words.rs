//! What the API says, as JSON.

use serde::Serialize;

use super::hub::{CameraFacts, Hub, Shape, View};
use crate::base::{FrameResult, SceneCounts, TrackSnapshot, VideoEnd};

/// A camera: what is drawn over its picture, and how it is doing.
#[derive(Serialize)]
pub(super) struct CameraWords<'a> {
    id: &'a str,
    zones: Vec<ShapeWords<'a>>,
    lines: Vec<ShapeWords<'a>>,
    outlines: Vec<ShapeWords<'a>>,
    fps: f64,
    /// Seconds since the newest result; absent before the first.
    age_s: Option<f64>,
    received: u64,
    processed: u64,
    dropped: u64,
    in_flight: u64,
    /// Events before this moment are in the event files alone; absent where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_known_from: Option<String>,
    video: VideoWords,
}

/// Whether what it sends can be looked at as it is, and if not why.
#[derive(Serialize)]
struct VideoWords {
    available: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Serialize)]
struct ShapeWords<'a> {
    name: &'a str,
    points: &'a [[f32; 2]],
}

/// A frame: its objects in frame pixels, and the counts so far.
#[derive(Serialize)]
pub(super) struct FrameWords<'a> {
    camera: &'a str,
    run: u32,
    seq: u64,
    pts_ns: u64,
    utc: Option<String>,
    /// Seconds since the result came: a camera that is away shows its last picture.
    age_s: f64,
    width: u32,
    height: u32,
    tracks: Vec<TrackWords<'a>>,
    counts: Option<CountWords<'a>>,
}

/// What was counted up to the newest frame.
#[derive(Serialize)]
pub(super) struct SoFarWords<'a> {
    camera: &'a str,
    utc: Option<String>,
    /// Seconds since that frame came.
    age_s: f64,
    counts: Option<CountWords<'a>>,
}

#[derive(Serialize)]
struct TrackWords<'a> {
    id: u64,
    class: &'a str,
    confidence: f32,
    box_px: [f32; 4],
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<String>,
}

#[derive(Serialize)]
struct CountWords<'a> {
    zones: Vec<ZoneWords<'a>>,
    lines: Vec<LineWords<'a>>,
    turns: Vec<TurnWords<'a>>,
}

#[derive(Serialize)]
struct ZoneWords<'a> {
    name: &'a str,
    occupancy: u32,
    queue: u32,
    entries: u64,
    exits: u64,
}

#[derive(Serialize)]
struct LineWords<'a> {
    name: &'a str,
    r#in: u64,
    out: u64,
}

/// Objects that crossed one line and the other next.
#[derive(Serialize)]
struct TurnWords<'a> {
    from: &'a str,
    to: &'a str,
    count: u64,
}

/// Counts of one minute at one place.
#[derive(Serialize)]
pub(super) struct MinuteWords {
    /// Start of the minute, seconds since 1970 UTC.
    start_s: u64,
    place: String,
    /// `in`, `out`, or `entries` of a zone.
    what: &'static str,
    count: u32,
}

pub(super) fn camera<'a>(facts: &'a CameraFacts, hub: &Hub) -> CameraWords<'a> {
    let shapes = |shapes: &'a [Shape]| -> Vec<ShapeWords<'a>> {
        let words = |shape: &'a Shape| ShapeWords {
            name: &shape.name,
            points: &shape.points,
        };
        shapes.iter().map(words).collect()
    };
    let balance = hub.metrics.balance(&facts.id);
    let (fps, age_s) = hub.rate(facts.id.as_str()).unwrap_or_default();
    CameraWords {
        id: facts.id.as_str(),
        zones: shapes(&facts.zones),
        lines: shapes(&facts.lines),
        outlines: shapes(&facts.outlines),
        fps,
        age_s,
        received: balance.received,
        processed: balance.processed,
        dropped: balance.dropped,
        in_flight: balance.in_flight,
        events_known_from: hub
            .events_known_from(facts.id.as_str())
            .map(|utc| utc.to_string()),
        video: video(facts, hub),
    }
}

fn video(facts: &CameraFacts, hub: &Hub) -> VideoWords {
    let refusal = hub.video.refusal(facts);
    VideoWords {
        available: refusal.is_none(),
        reason: refusal.map(VideoEnd::as_str),
        text: refusal.map(|end| hub.video.told(end)),
    }
}

pub(super) fn frame<'a>(
    result: &'a FrameResult,
    age_s: f64,
    facts: &'a CameraFacts,
    classes: &'a [String],
) -> FrameWords<'a> {
    let meta = &result.meta;
    let counts = result.counts.as_deref();
    FrameWords {
        camera: meta.camera.as_str(),
        run: meta.run.0,
        seq: meta.seq.0,
        pts_ns: meta.pts.0,
        utc: meta.utc.map(|utc| utc.to_string()),
        age_s,
        width: meta.size.width,
        height: meta.size.height,
        tracks: result
            .tracks
            .iter()
            .map(|it| track(it, counts, classes))
            .collect(),
        counts: counts.map(|counts| count(counts, facts)),
    }
}

pub(super) fn so_far(view: &View) -> SoFarWords<'_> {
    let (meta, facts) = (&view.result.meta, &view.facts);
    let counts = view.result.counts.as_deref();
    SoFarWords {
        camera: meta.camera.as_str(),
        utc: meta.utc.map(|utc| utc.to_string()),
        age_s: view.came.elapsed().as_secs_f64(),
        counts: counts.map(|counts| count(counts, facts)),
    }
}

fn track<'a>(
    track: &TrackSnapshot,
    counts: Option<&SceneCounts>,
    classes: &'a [String],
) -> TrackWords<'a> {
    let bbox = &track.bbox;
    let speeds = counts.map_or(&[][..], |counts| &counts.speeds);
    let speed = speeds.iter().find(|(id, _)| *id == track.id);
    TrackWords {
        id: track.id.0,
        class: classes
            .get(usize::from(track.class.0))
            .map_or("unknown", String::as_str),
        confidence: track.confidence,
        box_px: [bbox.left(), bbox.top(), bbox.right(), bbox.bottom()],
        state: track.state.as_str(),
        speed: speed.map(|(_, speed)| {
            format!(
                "{:.0} ± {:.0} {}",
                speed.value,
                speed.uncertainty,
                speed.unit.as_str()
            )
        }),
    }
}

fn count<'a>(counts: &SceneCounts, facts: &'a CameraFacts) -> CountWords<'a> {
    let zones = facts.zones.iter().zip(&counts.zones);
    let lines = facts.lines.iter().zip(&counts.lines);
    CountWords {
        zones: zones
            .map(|(shape, count)| ZoneWords {
                name: &shape.name,
                occupancy: count.occupancy,
                queue: count.queue,
                entries: count.entries,
                exits: count.exits,
            })
            .collect(),
        lines: lines
            .map(|(shape, count)| LineWords {
                name: &shape.name,
                r#in: count.ins,
                out: count.outs,
            })
            .collect(),
        turns: counts
            .turns
            .iter()
            .filter_map(|(&(from, to), &count)| {
                Some(TurnWords {
                    from: &facts.lines.get(from)?.name,
                    to: &facts.lines.get(to)?.name,
                    count,
                })
            })
            .collect(),
    }
}

/// Counts of the `last` minutes, or of all that are kept, as rows, oldest first.
pub(super) fn minutes(hub: &Hub, id: &str, last: Option<u64>) -> Option<Vec<MinuteWords>> {
    let minutes = hub.minutes(id, last)?.into_iter();
    let rows = minutes.flat_map(|(minute, counts)| {
        counts
            .into_iter()
            .map(move |((place, what), count)| MinuteWords {
                start_s: minute * 60,
                place: place.to_string(),
                what,
                count,
            })
    });
    Some(rows.collect())
}
