//! `[[cameras.zones]]`, `[[cameras.lines]]` and `[cameras.calibration]`; the same at the top of a
//! file for `gantryd track --zones`.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use super::reader::Section;
use super::words::quoted;
use crate::base::SpeedUnit;
use crate::perception::zones::{
    Allowed, Anchor, Arrow, CalibrationPlan, CongestionPlan, ExcludedPlan, LinePlan, LineShape,
    PolygonShape, QuadShape, SlowSpeed, ZonePlan, ZonesPlan, ground_corners,
};

const ANCHORS: &[(&str, Anchor)] = &[
    ("bottom_center", Anchor::BottomCenter),
    ("center", Anchor::Center),
    ("top_center", Anchor::TopCenter),
];

const DIRECTIONS: &[(&str, Allowed)] = &[
    ("both", Allowed::Both),
    ("in", Allowed::In),
    ("out", Allowed::Out),
];

const UNITS: &[(&str, SpeedUnit)] = &[("kmh", SpeedUnit::Kmh), ("mph", SpeedUnit::Mph)];

/// Longest name of a zone or line: it is drawn, and a label of metrics.
const NAME_CHARS: usize = 64;

/// Most zones, and most lines, of one camera.
const MOST: usize = 64;

/// Longest threshold, s: a day.
const LONGEST_SECS: f64 = 86_400.0;

/// What a congested zone is slower than where nothing is said: an object takes two seconds for its
/// own length.
const SLOW_SIZES: f64 = 0.5;

/// How well distances on the ground are known where nothing is said, percent.
const GROUND_PERCENT: f64 = 3.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Include,
    Exclude,
}

const KINDS: &[(&str, Kind)] = &[("include", Kind::Include), ("exclude", Kind::Exclude)];

/// The zones, lines and calibration that `section` has; `frame` is the size that pixels belong to.
pub(super) fn read(section: &mut Section<'_>, frame: Option<[f64; 2]>) -> ZonesPlan {
    let mut names = Names::default();
    let mut plan = ZonesPlan::default();
    let zones = section.children("zones");
    let lines = section.children("lines");
    for (key, count) in [("zones", zones.len()), ("lines", lines.len())] {
        if count > MOST {
            section.fault(key, format!("{count}, allowed are at most {MOST}"));
        }
    }
    let is_calibrated = section.has("calibration");
    let calibration = section.child("calibration");
    if is_calibrated {
        plan.calibration = read_calibration(calibration, frame);
    }
    for zone in zones {
        read_zone(zone, frame, is_calibrated, &mut names, &mut plan);
    }
    for line in lines {
        plan.lines.extend(read_line(line, frame, &mut names));
    }
    plan
}

/// Names that are taken, and by what.
#[derive(Debug, Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn read(&mut self, section: &mut Section<'_>) -> Arc<str> {
        let Some(name) = section.text("name") else {
            section.fault_if_absent("name", "missing, every zone and line needs one");
            return Arc::from("");
        };
        let is_plain = |c: char| !c.is_control() && c != '"' && c != '\\';
        if name.chars().count() > NAME_CHARS || !name.chars().all(is_plain) {
            let allowed = format!("at most {NAME_CHARS} characters without \" and \\");
            section.fault("name", format!("{}, allowed are {allowed}", quoted(&name)));
        }
        let path = section.path().to_owned();
        match self.0.get(&name) {
            Some(first) => section.fault(
                "name",
                format!(
                    "{} is the name of {first} too, each zone and line needs its own",
                    quoted(&name)
                ),
            ),
            None => drop(self.0.insert(name.clone(), path)),
        }
        Arc::from(name)
    }
}

fn read_zone(
    mut section: Section<'_>,
    frame: Option<[f64; 2]>,
    is_calibrated: bool,
    names: &mut Names,
    plan: &mut ZonesPlan,
) {
    let s = &mut section;
    let name = names.read(s);
    let kind = s.choice("kind", KINDS, Kind::Include);
    let polygon = shape(s, ["polygon_norm", "polygon_px"], frame, PolygonShape::new);
    if polygon.is_none() {
        s.fault_if_none_of(
            ["polygon_norm", "polygon_px"],
            "missing, a zone needs its corners, polygon_norm = [[0.1, 0.5], [0.9, 0.5], [0.9, 0.9]]",
        );
    }
    let classes = s.texts("classes").unwrap_or_default();
    let anchor = s.choice("anchor", ANCHORS, Anchor::default());
    let secs = |s: &mut Section<'_>, key| {
        let secs = s.number_if_given(key, 0.1..=LONGEST_SECS)?;
        Some(Duration::from_secs_f64(secs))
    };
    let loiter = secs(s, "loiter_secs");
    let stop = secs(s, "stop_secs");
    let max_occupancy = s.integer_if_given("max_occupancy", 1..=1000);
    let queue = s.integer_if_given("queue_length", 1..=1000);
    let congestion = read_congestion(s, is_calibrated);
    let way = shape(s, ["way_norm", "way_px"], frame, Arrow::new);
    if kind == Kind::Exclude {
        for key in [
            "loiter_secs",
            "stop_secs",
            "max_occupancy",
            "queue_length",
            "congestion_occupancy",
            "way_norm",
            "way_px",
        ] {
            if s.was_given(key) {
                s.fault(
                    key,
                    "nothing is looked at in a zone of kind \"exclude\", remove one of the two",
                );
            }
        }
    }
    section.finish();
    let Some(polygon) = polygon else { return };
    match kind {
        Kind::Include => plan.zones.push(ZonePlan {
            name,
            polygon,
            classes,
            anchor,
            loiter,
            stop,
            max_occupancy,
            queue,
            congestion,
            way,
        }),
        Kind::Exclude => plan.excluded.push(ExcludedPlan {
            name,
            polygon,
            classes,
            anchor,
        }),
    }
}

fn read_congestion(s: &mut Section<'_>, is_calibrated: bool) -> Option<CongestionPlan> {
    let occupancy = s.integer_if_given("congestion_occupancy", 1..=1000);
    let kmh = s.number_if_given("congestion_kmh", 0.0..=300.0);
    let sizes = s.number_if_given("congestion_sizes_per_sec", 0.0..=100.0);
    let hold = s.secs(
        "congestion_secs",
        0.0..=LONGEST_SECS,
        Duration::from_secs(10),
    );
    for key in [
        "congestion_kmh",
        "congestion_sizes_per_sec",
        "congestion_secs",
    ] {
        if s.was_given(key) && !s.was_given("congestion_occupancy") {
            s.fault(
                key,
                "given without congestion_occupancy, the number of objects that makes it full",
            );
        }
    }
    let speed = match (kmh, sizes) {
        (Some(_), Some(_)) => {
            s.fault(
                "congestion_sizes_per_sec",
                "given with congestion_kmh, keep one",
            );
            return None;
        }
        (Some(_), None) if !is_calibrated => {
            s.fault(
                "congestion_kmh",
                "there is no calibration that tells km/h, add one or use congestion_sizes_per_sec",
            );
            return None;
        }
        (Some(kmh), None) => SlowSpeed::Kmh(kmh),
        (None, sizes) => SlowSpeed::SizesPerSecond(sizes.unwrap_or(SLOW_SIZES)),
    };
    Some(CongestionPlan {
        occupancy: occupancy?,
        speed,
        hold,
    })
}

fn read_line(
    mut section: Section<'_>,
    frame: Option<[f64; 2]>,
    names: &mut Names,
) -> Option<LinePlan> {
    let s = &mut section;
    let name = names.read(s);
    let line = shape(s, ["line_norm", "line_px"], frame, LineShape::new);
    if line.is_none() {
        s.fault_if_none_of(
            ["line_norm", "line_px"],
            "missing, a line needs its two points, line_norm = [[0.1, 0.5], [0.9, 0.5]]",
        );
    }
    let classes = s.texts("classes").unwrap_or_default();
    let anchor = s.choice("anchor", ANCHORS, Anchor::default());
    let allowed = s.choice("direction", DIRECTIONS, Allowed::default());
    let hysteresis = s.number("hysteresis", 0.0..=2.0, LinePlan::HYSTERESIS);
    section.finish();
    Some(LinePlan {
        name,
        line: line?,
        classes,
        anchor,
        allowed,
        hysteresis,
    })
}

fn read_calibration(mut section: Section<'_>, frame: Option<[f64; 2]>) -> Option<CalibrationPlan> {
    let s = &mut section;
    let image = shape(s, ["image_norm", "image_px"], frame, QuadShape::new);
    if image.is_none() {
        s.fault_if_none_of(
            ["image_norm", "image_px"],
            "missing, a calibration needs four corners in the picture, clockwise",
        );
    }
    let ground = s.points("ground_m");
    let ground_m = ground.and_then(|corners| noted(s, "ground_m", ground_corners(&corners)));
    if ground_m.is_none() {
        s.fault_if_absent(
            "ground_m",
            "missing, a calibration needs where the same four corners are on the ground, in metres",
        );
    }
    let unit = s.choice("unit", UNITS, SpeedUnit::default());
    let percent = s.number("uncertainty_percent", 0.0..=50.0, GROUND_PERCENT);
    section.finish();
    Some(CalibrationPlan {
        image: image?,
        ground_m: ground_m?,
        unit,
        ground_share: percent / 100.0,
    })
}

/// A shape from its points, given as shares of the frame or in pixels of a picture of size `frame`.
pub(super) fn shape<T, E: Display>(
    s: &mut Section<'_>,
    [norm, px]: [&'static str; 2],
    frame: Option<[f64; 2]>,
    make: impl Fn(&[[f64; 2]]) -> Result<T, E>,
) -> Option<T> {
    let in_norm = s.points(norm);
    let in_px = s.points(px);
    if s.was_given(norm) && s.was_given(px) {
        s.fault(px, format!("given with {norm}, keep one"));
        return None;
    }
    if let Some(points) = in_norm {
        return noted(s, norm, make(&points));
    }
    let points = in_px?;
    let Some([width, height]) = frame else {
        s.fault(
            px,
            format!(
                "pixels of which picture? Give the camera frame_px = [width, height] of the picture they were measured on, or use {norm}"
            ),
        );
        return None;
    };
    let is_outside = |[x, y]: &[f64; 2]| !(0.0..=width).contains(x) || !(0.0..=height).contains(y);
    if let Some(index) = points.iter().position(is_outside) {
        let ([x, y], number) = (points[index], index + 1);
        s.fault(
            px,
            format!(
                "point {number} ({x}, {y}) lies outside the frame, allowed is 0 to {width} from the left and 0 to {height} from the top (frame_px)"
            ),
        );
        return None;
    }
    let shares: Vec<[f64; 2]> = points
        .iter()
        .map(|[x, y]| [x / width, y / height])
        .collect();
    noted(s, px, make(&shares))
}

/// The value, or a fault of `key`.
fn noted<T, E: Display>(s: &Section<'_>, key: &str, made: Result<T, E>) -> Option<T> {
    made.map_err(|error| s.fault(key, error.to_string())).ok()
}
