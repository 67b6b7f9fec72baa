//! The decision log, version 1: one JSON line per frame (docs/explain.md).
//!
//! Written compactly: what is empty is left out, boxes are named by their place in the frame's list,
//! and pairs that nothing spoke against have no breakdown. Read again by `gantryd explain`.

use serde::{Deserialize, Serialize};

use super::line::{rounded, to_json};
use crate::base::{
    AffinityParts, BBox, CameraId, CameraMotion, Choice, EndedTrack, FrameDecisions,
    IdentityChange, Pts, RefusalReason, RunId, TrackName,
};

/// Value of `schema` in every line; changes when a reader would have to.
pub const DECISIONS_SCHEMA_ID: &str = "gantryd.decisions.v1";

/// One line of a decision log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DecisionLine {
    /// One frame.
    Frame(Box<DecisionFrame>),
    /// The run is over, and with it every track.
    RunEnd(DecisionRunEnd),
}

impl DecisionLine {
    /// Which version it is of.
    #[must_use]
    pub fn schema(&self) -> &str {
        match self {
            Self::Frame(frame) => &frame.schema,
            Self::RunEnd(end) => &end.schema,
        }
    }
}

/// What was decided in one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionFrame {
    /// [`DECISIONS_SCHEMA_ID`].
    pub schema: String,
    /// The camera or input.
    pub camera: String,
    /// Unbroken connections are counted from 1.
    pub run: u32,
    /// `seq` of the results, or the frame number of a replay.
    pub frame: u64,
    /// Stream time, ns.
    pub pts_ns: u64,
    /// What was asked for in this frame.
    pub limits: LimitsEntry,
    /// How far the whole picture jumped, px, (x, y), by the vote of the tracks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera_px: Option<[f64; 2]>,
    /// Whether the motion of the picture was told from outside.
    #[serde(default, skip_serializing_if = "is_false")]
    pub camera_told: bool,
    /// Detections that took part, best first: left, top, right, bottom (px), score, class number.
    pub boxes: Vec<BoxEntry>,
    /// The tracks that lived before this frame.
    pub tracks: Vec<TrackEntry>,
    /// Started tracks: number of the birth, place of the box.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub births: Vec<(u64, u32)>,
    /// Strong boxes that started no track: place of the box, the track they lie on, IoU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covered: Vec<(u32, NameEntry, f64)>,
    /// What became of identities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeEntry>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRunEnd {
    /// [`DECISIONS_SCHEMA_ID`].
    pub schema: String,
    /// The camera or input.
    pub camera: String,
    /// The run that is over.
    pub run: u32,
    /// Ids of the tracks that ended with it.
    pub ended: Vec<u64>,
}

/// Scores and affinities asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LimitsEntry {
    /// Least affinity with a believed track.
    pub gate: f64,
    /// Least affinity with a track without id.
    pub tentative_gate: f64,
    /// Scores below are weak.
    pub high: f64,
    /// Least score that starts a track.
    pub new: f64,
    /// Weak boxes are for tracks unseen for no longer than this, seconds.
    pub weak_secs: f64,
    /// Lost tracks are remembered this long, seconds.
    pub memory_secs: f64,
}

/// Left, top, right, bottom (px), score, class number.
pub type BoxEntry = (f64, f64, f64, f64, f64, u16);

/// A track: its id, or before it has one the number of its birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameEntry {
    /// Its id.
    Id(u64),
    /// Number of its birth.
    New(u64),
}

/// One track in one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackEntry {
    /// Which one.
    #[serde(flatten)]
    pub name: NameEntry,
    /// The box it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#box: Option<u32>,
    /// Affinity of that pair, that of looks included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<f64>,
    /// Breakdown of the affinity by place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartsEntry>,
    /// Other boxes above the gate: place, affinity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<(u32, f64)>,
    /// Seconds unseen, of a track that was not given a box now or not in the frame before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_secs: Option<f64>,
    /// Where it was expected, left, top, right, bottom (px), of a track that was given no box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<[f64; 4]>,
    /// The nearest box and why it was not to be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedEntry>,
}

/// The nearest box and why it was not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RefusedEntry {
    /// Its place.
    pub r#box: u32,
    /// Why.
    pub why: RefusedWhy,
    /// IoU with where the track was expected.
    pub iou: f64,
    /// Breakdown of what it would have been worth.
    pub parts: PartsEntry,
}

/// Why a box was not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedWhy {
    /// Does not overlap.
    Apart,
    /// Another track's.
    Taken,
    /// Too weak for a track unseen for so long.
    Weak,
    /// Affinity below the gate.
    Gate,
    /// Looks like another object.
    Look,
}

/// What made an affinity; the sum of the first less all the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PartsEntry {
    /// IoU × overlap of the heights × √score.
    pub overlap: f64,
    /// Less, for another height than its usual one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub height: f64,
    /// Less, for another score than usual.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub score: f64,
    /// Less, for being unseen.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unseen: f64,
    /// Less, for another class.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub class: f64,
    /// Less, for a weak score.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weak: f64,
}

impl PartsEntry {
    /// The affinity by place.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.overlap - self.height - self.score - self.unseen - self.class - self.weak
    }
}

/// What became of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum ChangeEntry {
    /// A birth got an id.
    Confirmed {
        /// Number of the birth.
        new: u64,
        /// Its id.
        id: u64,
    },
    /// A birth was not seen again.
    Dropped {
        /// Number of the birth.
        new: u64,
    },
    /// A birth turned out to be a lost object.
    FoundAgain {
        /// Number of the birth.
        new: u64,
        /// The lost one.
        id: u64,
    },
    /// Two identities were exchanged.
    Exchanged {
        /// One.
        id: u64,
        /// The other.
        with: u64,
    },
    /// A lost object is remembered by its look alone.
    Dormant {
        /// Which one.
        id: u64,
    },
    /// A track is over.
    Ended {
        /// Which one.
        id: u64,
        /// Why, as in the results.
        reason: String,
        /// What it was a duplicate of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<u64>,
    },
}

/// One frame's decisions as a JSON line, without the line break. `frame` is the number readers know
/// it by.
///
/// Boxes to 0.1 px, scores and affinities to 0.0001, seconds to 0.001. Equal decisions give equal
/// bytes.
#[must_use]
pub fn decisions_line(
    camera: &CameraId,
    run: RunId,
    frame: u64,
    pts: Pts,
    decisions: &FrameDecisions,
) -> String {
    let limits = &decisions.limits;
    let (camera_px, camera_told) = match decisions.camera {
        CameraMotion::Still => (None, false),
        CameraMotion::Voted(step) => (Some(step.map(|part| rounded(part, 1e1))), false),
        CameraMotion::Told => (None, true),
    };
    let tracks = decisions.tracks.iter().map(|track| {
        let is_seen = track.given.is_some();
        let unseen = rounded(track.unseen_secs as f32, 1e3);
        TrackEntry {
            name: name(&track.track),
            r#box: track.given.map(|choice| choice.place),
            affinity: track.given.map(|choice| unit(choice.affinity)),
            parts: track.parts.as_ref().map(parts),
            others: track.others.iter().map(choice).collect(),
            unseen_secs: (!is_seen || !track.was_seen).then_some(unseen),
            at: (!is_seen).then(|| edges(&track.expected)),
            refused: track.refusal.as_ref().map(|refusal| RefusedEntry {
                r#box: refusal.place,
                why: why(refusal.reason),
                iou: unit(refusal.iou),
                parts: parts(&refusal.parts),
            }),
        }
    });
    to_json(&DecisionLine::Frame(Box::new(DecisionFrame {
        schema: DECISIONS_SCHEMA_ID.to_owned(),
        camera: camera.as_str().to_owned(),
        run: run.0,
        frame,
        pts_ns: pts.0,
        limits: LimitsEntry {
            gate: unit(limits.gate),
            tentative_gate: unit(limits.tentative_gate),
            high: unit(limits.high_score),
            new: unit(limits.new_track_score),
            weak_secs: rounded(limits.second_chance_secs as f32, 1e3),
            memory_secs: rounded(limits.memory_secs as f32, 1e3),
        },
        camera_px,
        camera_told,
        boxes: decisions
            .boxes
            .iter()
            .map(|seen| {
                let [left, top, right, bottom] = edges(&seen.bbox);
                (left, top, right, bottom, unit(seen.score), seen.class.0)
            })
            .collect(),
        tracks: tracks.collect(),
        births: decisions
            .births
            .iter()
            .map(|birth| (birth.birth, birth.place))
            .collect(),
        covered: decisions
            .covered
            .iter()
            .map(|covered| (covered.place, name(&covered.by), unit(covered.iou)))
            .collect(),
        changes: decisions.changes.iter().map(change).collect(),
    })))
}

/// The end of a run as a line of the decision log, without the line break.
#[must_use]
pub fn decisions_run_end_line(camera: &CameraId, run: RunId, ended: &[EndedTrack]) -> String {
    to_json(&DecisionLine::RunEnd(DecisionRunEnd {
        schema: DECISIONS_SCHEMA_ID.to_owned(),
        camera: camera.as_str().to_owned(),
        run: run.0,
        ended: ended.iter().map(|track| track.id.0).collect(),
    }))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_zero(value: &f64) -> bool {
    value.abs() <= 0.0
}

fn unit(value: f32) -> f64 {
    rounded(value, 1e4)
}

fn edges(bbox: &BBox) -> [f64; 4] {
    [bbox.left(), bbox.top(), bbox.right(), bbox.bottom()].map(|edge| rounded(edge, 1e1))
}

fn name(track: &TrackName) -> NameEntry {
    match track.id {
        Some(id) => NameEntry::Id(id.0),
        None => NameEntry::New(track.birth),
    }
}

fn choice(choice: &Choice) -> (u32, f64) {
    (choice.place, unit(choice.affinity))
}

fn parts(parts: &AffinityParts) -> PartsEntry {
    PartsEntry {
        overlap: unit(parts.overlap),
        height: unit(parts.height),
        score: unit(parts.score),
        unseen: unit(parts.unseen),
        class: unit(parts.class),
        weak: unit(parts.weak),
    }
}

fn why(reason: RefusalReason) -> RefusedWhy {
    match reason {
        RefusalReason::Apart => RefusedWhy::Apart,
        RefusalReason::Taken => RefusedWhy::Taken,
        RefusalReason::Weak => RefusedWhy::Weak,
        RefusalReason::Gate => RefusedWhy::Gate,
        RefusalReason::Look => RefusedWhy::Look,
    }
}

fn change(change: &IdentityChange) -> ChangeEntry {
    match *change {
        IdentityChange::Confirmed { birth, id } => ChangeEntry::Confirmed {
            new: birth,
            id: id.0,
        },
        IdentityChange::Dropped { birth } => ChangeEntry::Dropped { new: birth },
        IdentityChange::FoundAgain { birth, id } => ChangeEntry::FoundAgain {
            new: birth,
            id: id.0,
        },
        IdentityChange::Exchanged { id, with } => ChangeEntry::Exchanged {
            id: id.0,
            with: with.0,
        },
        IdentityChange::Dormant { id } => ChangeEntry::Dormant { id: id.0 },
        IdentityChange::Ended { id, reason, of } => ChangeEntry::Ended {
            id: id.0,
            reason: reason.as_str().to_owned(),
            of: of.map(|of| of.0),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{
        Birth, ClassId, Covered, DecisionLimits, EndReason, Refusal, SeenBox, TrackDecision,
        TrackId,
    };

    fn seen(left: f32, score: f32) -> SeenBox {
        SeenBox {
            bbox: BBox::from_ltrb(left, 20.0, left + 30.0, 80.04).unwrap(),
            score,
            class: ClassId(2),
        }
    }

    fn decisions() -> FrameDecisions {
        let track = |id| TrackName {
            id: Some(TrackId(id)),
            birth: 9,
        };
        let parts = AffinityParts {
            overlap: 0.5,
            height: 0.0,
            score: 0.01,
            unseen: 0.0,
            class: 0.0,
            weak: 0.1,
        };
        let plain = TrackDecision {
            track: track(4),
            expected: seen(10.0, 0.9).bbox,
            unseen_secs: 0.04,
            was_seen: true,
            given: Some(Choice {
                place: 0,
                affinity: 0.876_54,
            }),
            parts: None,
            others: Vec::new(),
            refusal: None,
        };
        FrameDecisions {
            limits: DecisionLimits {
                gate: 0.05,
                tentative_gate: 0.1,
                high_score: 0.5,
                new_track_score: 0.62,
                second_chance_secs: 0.25,
                memory_secs: 2.0,
            },
            camera: CameraMotion::Voted([3.0, -1.26]),
            boxes: vec![seen(10.0, 0.9), seen(99.96, 0.7)],
            tracks: vec![
                plain.clone(),
                TrackDecision {
                    track: track(5),
                    given: None,
                    refusal: Some(Refusal {
                        place: 1,
                        reason: RefusalReason::Gate,
                        iou: 0.25,
                        parts,
                    }),
                    ..plain
                },
            ],
            births: vec![Birth {
                birth: 10,
                place: 1,
            }],
            covered: vec![Covered {
                place: 1,
                by: track(4),
                iou: 0.5,
            }],
            changes: vec![IdentityChange::Ended {
                id: TrackId(3),
                reason: EndReason::Duplicate,
                of: Some(TrackId(4)),
            }],
        }
    }

    #[test]
    fn a_line_is_compact_and_reads_back_as_it_was() {
        let (camera, frame) = (CameraId::new("gate"), 7);
        let line = decisions_line(&camera, RunId(1), frame, Pts(280_000_000), &decisions());
        assert_eq!(
            line,
            r#"{"type":"frame","schema":"gantryd.decisions.v1","camera":"gate","run":1,"frame":7,"pts_ns":280000000,"limits":{"gate":0.05,"tentative_gate":0.1,"high":0.5,"new":0.62,"weak_secs":0.25,"memory_secs":2.0},"camera_px":[3.0,-1.3],"boxes":[[10.0,20.0,40.0,80.0,0.9,2],[100.0,20.0,130.0,80.0,0.7,2]],"tracks":[{"id":4,"box":0,"affinity":0.8765},{"id":5,"unseen_secs":0.04,"at":[10.0,20.0,40.0,80.0],"refused":{"box":1,"why":"gate","iou":0.25,"parts":{"overlap":0.5,"score":0.01,"weak":0.1}}}],"births":[[10,1]],"covered":[[1,{"id":4},0.5]],"changes":[{"what":"ended","id":3,"reason":"duplicate","of":4}]}"#
        );
        let read: DecisionLine = serde_json::from_str(&line).unwrap();
        assert_eq!(to_json(&read), line);
    }
}
