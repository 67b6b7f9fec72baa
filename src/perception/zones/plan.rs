//! What is to be watched, in normalised coordinates: valid by construction, sized at run time.

use std::sync::Arc;
use std::time::Duration;

use geo::Coord;

use super::shape::{Arrow, LineShape, PolygonShape, QuadShape};
use crate::base::{BBox, SpeedUnit};

/// Which point of a box stands for the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anchor {
    /// Where it touches the ground in most views.
    #[default]
    BottomCenter,
    /// For cameras that look straight down, or where the feet are hidden.
    Center,
    /// For heads above a counter or a queue.
    TopCenter,
}

impl Anchor {
    /// The point, frame pixels.
    pub(super) fn of(self, bbox: &BBox) -> Coord {
        let y = match self {
            Self::BottomCenter => bbox.bottom(),
            Self::Center => bbox.cy(),
            Self::TopCenter => bbox.top(),
        };
        Coord {
            x: bbox.cx().into(),
            y: y.into(),
        }
    }
}

/// Everything that is watched in the picture of one camera.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ZonesPlan {
    /// Areas in which objects are watched; names differ, also from those of lines.
    pub zones: Vec<ZonePlan>,
    /// Areas in which objects are not looked at.
    pub excluded: Vec<ExcludedPlan>,
    /// Lines at which objects are counted.
    pub lines: Vec<LinePlan>,
    /// Where the picture shows which ground.
    pub calibration: Option<CalibrationPlan>,
}

impl ZonesPlan {
    /// Is there nothing to watch?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty() && self.lines.is_empty() && self.calibration.is_none()
    }

    /// The class names that filters mention, each with the name of its zone or line.
    pub fn class_filters(&self) -> impl Iterator<Item = (&str, &[String])> {
        let zones = self.zones.iter().map(|it| (&it.name, &it.classes));
        let excluded = self.excluded.iter().map(|it| (&it.name, &it.classes));
        let lines = self.lines.iter().map(|it| (&it.name, &it.classes));
        let all = zones.chain(excluded).chain(lines);
        all.map(|(name, classes)| (&**name, classes.as_slice()))
    }
}

/// An area and what is noticed in it. A threshold that is absent raises no event.
#[derive(Debug, Clone, PartialEq)]
pub struct ZonePlan {
    /// Its name in events and metrics.
    pub name: Arc<str>,
    /// Where it is.
    pub polygon: PolygonShape,
    /// Names of the classes that count; empty counts all.
    pub classes: Vec<String>,
    /// Which point of the box must be inside.
    pub anchor: Anchor,
    /// An object that is inside for longer loiters.
    pub loiter: Option<Duration>,
    /// An object that stands still for longer has stopped.
    pub stop: Option<Duration>,
    /// So many objects at once are too many.
    pub max_occupancy: Option<u32>,
    /// So many standing objects are a queue.
    pub queue: Option<u32>,
    /// When it is congested.
    pub congestion: Option<CongestionPlan>,
    /// The way objects should go.
    pub way: Option<Arrow>,
}

impl ZonePlan {
    /// A zone that counts entries, exits and occupancy of all classes and raises no alarm.
    #[must_use]
    pub fn new(name: &str, polygon: PolygonShape) -> Self {
        Self {
            name: Arc::from(name),
            polygon,
            classes: Vec::new(),
            anchor: Anchor::default(),
            loiter: None,
            stop: None,
            max_occupancy: None,
            queue: None,
            congestion: None,
            way: None,
        }
    }
}

/// Full and slow, for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CongestionPlan {
    /// At least so many objects inside.
    pub occupancy: u32,
    /// Their mean speed is at most this.
    pub speed: SlowSpeed,
    /// Both for so long.
    pub hold: Duration,
}

/// What is slow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SlowSpeed {
    /// km/h over calibrated ground; objects outside of it are not asked.
    Kmh(f64),
    /// Own sizes (mean of width and height of the box) per second, without calibration.
    SizesPerSecond(f64),
}

/// An area in which objects are not looked at: foliage, a screen, the neighbour's ground.
#[derive(Debug, Clone, PartialEq)]
pub struct ExcludedPlan {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub polygon: PolygonShape,
    /// Names of the classes it is meant for; empty is all.
    pub classes: Vec<String>,
    /// Which point of the box must be inside.
    pub anchor: Anchor,
}

/// A line and what is counted at it.
#[derive(Debug, Clone, PartialEq)]
pub struct LinePlan {
    /// Its name in events and metrics.
    pub name: Arc<str>,
    /// Where it is. Seen from its first point, `in` goes to the right-hand side.
    pub line: LineShape,
    /// Names of the classes that count; empty counts all.
    pub classes: Vec<String>,
    /// Which point of the box must go over it.
    pub anchor: Anchor,
    /// Which way is allowed; the other raises an event besides being counted.
    pub allowed: Allowed,
    /// How far beyond the line an object must be to have crossed, in its own sizes (mean of width
    /// and height of its box).
    pub hysteresis: f64,
}

impl LinePlan {
    /// Hysteresis that a few percent of jitter of a detector's boxes do not overcome.
    pub const HYSTERESIS: f64 = 0.1;

    /// A line that counts all classes both ways.
    #[must_use]
    pub fn new(name: &str, line: LineShape) -> Self {
        Self {
            name: Arc::from(name),
            line,
            classes: Vec::new(),
            anchor: Anchor::default(),
            allowed: Allowed::default(),
            hysteresis: Self::HYSTERESIS,
        }
    }
}

/// Which way over a line is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allowed {
    /// Both.
    #[default]
    Both,
    /// Only to the right-hand side.
    In,
    /// Only to the left-hand side.
    Out,
}

/// Four points of the picture and where they are on the ground.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationPlan {
    /// Corners in the picture.
    pub image: QuadShape,
    /// The same corners on the ground, m, in any axes.
    pub ground_m: [[f64; 2]; 4],
    /// Unit of published speeds.
    pub unit: SpeedUnit,
    /// How well distances on the ground are known, share of the distance (one standard deviation).
    pub ground_share: f64,
}
