//! What happened at the zones and lines of a camera.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BBox, ClassId, FrameMeta, Pts, TrackId};

/// Something that was counted or noticed, with all that is needed to check it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Counted from 1 per camera, without gaps: a missing number is a lost event. Goes on after a restart
    /// where the camera is remembered.
    pub number: u64,
    /// The frame in which it was decided.
    pub frame: FrameMeta,
    /// What happened.
    pub kind: EventKind,
    /// Whose doing it was; absent where it is about a zone as a whole.
    pub object: Option<ObjectTrace>,
}

/// What happened. Names are those of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// An object went over a line.
    Crossing {
        /// The line.
        line: Arc<str>,
        /// To which side.
        direction: Direction,
    },
    /// An object that had crossed one line has crossed the next.
    Turn {
        /// The line before.
        from: Arc<str>,
        /// The line now.
        to: Arc<str>,
    },
    /// An object came into a zone, or appeared there.
    Entry {
        /// The zone.
        zone: Arc<str>,
    },
    /// An object left a zone, or was last seen there.
    Exit {
        /// The zone.
        zone: Arc<str>,
        /// How long it was there.
        dwell: Duration,
    },
    /// An object has been in a zone for longer than allowed; once per visit.
    Loitering {
        /// The zone.
        zone: Arc<str>,
        /// How long it has been there.
        dwell: Duration,
    },
    /// An object stands still in a zone, or no longer does.
    Stopped {
        /// The zone.
        zone: Arc<str>,
        /// Begin or end.
        phase: Phase,
        /// How long it has stood.
        still: Duration,
    },
    /// An object goes against the way of a zone (once per visit) or of a line.
    WrongWay {
        /// The zone or line.
        place: Arc<str>,
    },
    /// At least as many objects as configured are in a zone, or no longer are.
    Occupancy {
        /// The zone.
        zone: Arc<str>,
        /// Begin or end.
        phase: Phase,
        /// Objects in it now.
        count: u32,
    },
    /// At least as many objects as configured stand in a zone, or no longer do.
    Queue {
        /// The zone.
        zone: Arc<str>,
        /// Begin or end.
        phase: Phase,
        /// Objects that stand there now.
        count: u32,
    },
    /// A zone is full and slow, or no longer is.
    Congestion {
        /// The zone.
        zone: Arc<str>,
        /// Begin or end.
        phase: Phase,
        /// Objects in it now.
        count: u32,
    },
}

impl EventKind {
    /// Every name used in published events and metrics.
    pub const NAMES: [&'static str; 10] = [
        "line_crossing",
        "turn",
        "zone_entry",
        "zone_exit",
        "loitering",
        "stopped",
        "wrong_way",
        "occupancy",
        "queue",
        "congestion",
    ];

    /// The name used in published events and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Crossing { .. } => "line_crossing",
            Self::Turn { .. } => "turn",
            Self::Entry { .. } => "zone_entry",
            Self::Exit { .. } => "zone_exit",
            Self::Loitering { .. } => "loitering",
            Self::Stopped { .. } => "stopped",
            Self::WrongWay { .. } => "wrong_way",
            Self::Occupancy { .. } => "occupancy",
            Self::Queue { .. } => "queue",
            Self::Congestion { .. } => "congestion",
        }
    }
}

/// To which side of a line. Seen from its first point towards its second, `in` goes to the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Direction {
    /// To the right-hand side.
    In,
    /// To the left-hand side.
    Out,
}

impl Direction {
    /// The name used in published events and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// Whether a state begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It begins.
    Begin,
    /// It is over.
    End,
}

impl Phase {
    /// The name used in published events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::End => "end",
        }
    }
}

/// An object over time, as the evidence of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectTrace {
    /// The tracks it was followed as, oldest first: more than one where an id broke and was
    /// continued.
    pub tracks: Vec<TrackId>,
    /// Its class by the vote of its detections.
    pub class: ClassId,
    /// Share of the vote that this class has, 0..=1.
    pub class_share: f32,
    /// Mean score of its detections, 0..=1.
    pub confidence: f32,
    /// Frames in which it was seen.
    pub sightings: u32,
    /// Where it was last seen, frame pixels.
    pub bbox: BBox,
    /// Its way in this run, oldest first: thinned to a few dozen points, the last is the newest sighting.
    /// Of an object that was last seen before the run only that sighting is left, at PTS 0.
    pub path: Vec<PathPoint>,
    /// How fast it was, where the ground is calibrated.
    pub speed: Option<Speed>,
}

/// Where an object stood on the ground (bottom centre of its box).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PathPoint {
    /// When.
    pub pts: Pts,
    /// From the left, frame pixels.
    pub x: f32,
    /// From the top, frame pixels.
    pub y: f32,
}

/// Speed over ground with its expanded uncertainty (coverage factor 2, about 95 %).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// In `unit`, ≥ 0.
    pub value: f32,
    /// In `unit`: the true speed lies within `value` ± this, about 19 times out of 20.
    pub uncertainty: f32,
    /// Unit of both.
    pub unit: SpeedUnit,
}

/// Unit of a published speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SpeedUnit {
    /// Kilometres per hour.
    #[default]
    Kmh,
    /// Miles per hour.
    Mph,
}

impl SpeedUnit {
    /// The name used in published events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kmh => "km/h",
            Self::Mph => "mph",
        }
    }

    /// How much of this unit 1 m/s is.
    #[must_use]
    pub fn per_metre_per_second(self) -> f64 {
        match self {
            Self::Kmh => 3.6,
            // International mile: 1609.344 m.
            Self::Mph => 3600.0 / 1609.344,
        }
    }
}

/// Running counts of a camera's zones and lines at one frame, in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SceneCounts {
    /// One per zone.
    pub zones: Vec<ZoneCount>,
    /// One per line.
    pub lines: Vec<LineCount>,
    /// The origin-destination matrix: how many objects crossed line `.0` and as their next one line
    /// `.1`, as indices into `lines`. Pairs that never were are not in it.
    pub turns: BTreeMap<(usize, usize), u64>,
    /// How fast the objects in the calibrated part of the picture are, in id order.
    pub speeds: Vec<(TrackId, Speed)>,
}

/// What is and was in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ZoneCount {
    /// Objects in it now.
    pub occupancy: u32,
    /// Of these, objects that stand.
    pub queue: u32,
    /// Entries so far.
    pub entries: u64,
    /// Exits so far.
    pub exits: u64,
}

/// What went over a line so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LineCount {
    /// Crossings to the right-hand side.
    pub ins: u64,
    /// Crossings to the left-hand side.
    pub outs: u64,
}
