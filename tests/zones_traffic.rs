//! Counts of simulated traffic against exact truth: through the tracker, with boxes that jitter,
//! detections that are missed, objects hidden at the line for longer than the tracker remembers,
//! queues on the line, and some that turn round before it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed unwrap is a failed test, and the figures are worth a line"
)]

use std::convert::Infallible;

use gantryd::base::{
    BBox, CameraId, ClassId, Detection, Direction, Event, EventKind, FrameMeta, FrameSeq, Pts,
    RunId, Size, UtcSource,
};
use gantryd::perception::track::{TrackOptions, Tracker};
use gantryd::perception::zones::{LinePlan, LineShape, Zones, ZonesPlan};

const FRAME: Size = Size {
    width: 1920,
    height: 1080,
};
const FPS: f64 = 20.0;
/// The line goes from the top to the bottom here, px.
const LINE_X: f64 = 960.0;
/// Lanes, from the top; every second one goes to the left.
const LANES: usize = 8;
/// Objects of each lane.
const PER_LANE: usize = 20;

/// What an object does on its way.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Goes through at its speed.
    Straight,
    /// Stands on the line for a while.
    Waits,
    /// Turns round before the line.
    TurnsBack,
}

struct Mover {
    lane: usize,
    class: ClassId,
    width: f64,
    height: f64,
    starts: f64,
    /// px/s, along its lane.
    speed: f64,
    way: Way,
    waits: f64,
    /// Hidden while its way is within these, px along the lane.
    hidden: Option<(f64, f64)>,
}

impl Mover {
    /// px along its lane since it came in; negative and beyond the frame it is not there.
    fn along(&self, secs: f64) -> f64 {
        let time = secs - self.starts;
        match self.way {
            Way::Straight => self.speed * time,
            Way::Waits => {
                let arrives = LINE_X / self.speed;
                if time < arrives {
                    self.speed * time
                } else {
                    self.speed * (time - self.waits).max(arrives)
                }
            }
            Way::TurnsBack => {
                let turns = (LINE_X - 150.0) / self.speed;
                self.speed
                    * if time < turns {
                        time
                    } else {
                        2.0 * turns - time
                    }
            }
        }
    }

    fn goes_left(&self) -> bool {
        self.lane % 2 == 1
    }

    /// Where it is: centre, px.
    fn centre(&self, secs: f64) -> (f64, f64) {
        let along = self.along(secs);
        let x = if self.goes_left() {
            f64::from(FRAME.width) - along
        } else {
            along
        };
        (x, 120.0 + 120.0 * self.lane as f64)
    }

    /// When it is on the line, if it crosses.
    fn crosses_at(&self) -> Option<f64> {
        match self.way {
            Way::Straight => Some(self.starts + LINE_X / self.speed),
            // Somewhere while it stands there.
            Way::Waits => Some(self.starts + LINE_X / self.speed + self.waits / 2.0),
            Way::TurnsBack => None,
        }
    }
}

/// One lane after the other, each object with enough room behind the one before.
fn traffic(random: &mut fastrand::Rng) -> Vec<Mover> {
    let mut movers = Vec::new();
    for lane in 0..LANES {
        let mut starts = 5.0 * random.f64();
        // All of a lane have about one speed, so that none runs into another.
        let lane_speed = 120.0 + 240.0 * random.f64();
        for _ in 0..PER_LANE {
            let way = match random.u32(0..10) {
                0 => Way::Waits,
                1 => Way::TurnsBack,
                _ => Way::Straight,
            };
            let waits = if way == Way::Waits { 6.0 } else { 0.0 };
            let is_hidden = way == Way::Straight && random.u32(0..3) == 0;
            // From a fraction of a second to more than the two seconds that the tracker remembers.
            let stretch = lane_speed * (0.3 + 2.7 * random.f64());
            let from = LINE_X - stretch * random.f64();
            let speed = lane_speed * (0.97 + 0.06 * random.f64());
            movers.push(Mover {
                lane,
                class: ClassId(if random.u32(0..5) == 0 { 7 } else { 2 }),
                width: 100.0 + 60.0 * random.f64(),
                height: 60.0 + 20.0 * random.f64(),
                starts,
                speed,
                way,
                waits,
                hidden: is_hidden.then_some((from, from + stretch)),
            });
            let turns_back = way == Way::TurnsBack;
            let clear = if turns_back {
                2.0 * LINE_X / speed
            } else {
                waits
            };
            starts += clear + 420.0 / speed + 4.0 * random.f64();
        }
    }
    movers
}

/// What a detector makes of it: jitter of 2 % of the size, scores that vary, one in ten missed and
/// four in ten near the line.
fn detect(movers: &[Mover], secs: f64, random: &mut fastrand::Rng) -> Vec<Detection> {
    let mut detections = Vec::new();
    for mover in movers {
        let along = mover.along(secs);
        let (x, y) = mover.centre(secs);
        if along <= 0.0 || secs < mover.starts || !(0.0..f64::from(FRAME.width)).contains(&x) {
            continue;
        }
        let is_near = (along - LINE_X).abs() < 200.0;
        let missed = random.f64() < if is_near { 0.4 } else { 0.1 };
        let is_hidden = mover
            .hidden
            .is_some_and(|(from, to)| (from..to).contains(&along));
        if missed || is_hidden {
            continue;
        }
        let mut jitter = |size: f64| 0.02 * size * normal(random);
        let (dx, dy) = (jitter(mover.width), jitter(mover.height));
        let (width, height) = (
            mover.width + jitter(mover.width),
            mover.height + jitter(mover.height),
        );
        let whole = BBox::from_cxcywh(
            (x + dx) as f32,
            (y + dy) as f32,
            width as f32,
            height as f32,
        );
        let in_frame = whole.and_then(|bbox| bbox.clip(1920.0, 1080.0));
        let Some(bbox) = in_frame else { continue };
        detections.push(Detection {
            bbox,
            class: mover.class,
            confidence: 0.55 + 0.4 * random.f32(),
            embedding: None,
        });
    }
    // A false box somewhere, now and then.
    if random.u32(0..10) == 0 {
        let (x, y) = (1920.0 * random.f32(), 1080.0 * random.f32());
        detections.push(Detection {
            bbox: BBox::from_cxcywh(x, y, 80.0, 60.0).unwrap(),
            class: ClassId(2),
            confidence: 0.7,
            embedding: None,
        });
    }
    detections
}

/// About normal, variance 1 (Irwin–Hall with twelve terms).
fn normal(random: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

fn count(movers: &[Mover], random: &mut fastrand::Rng) -> (Vec<Event>, u64) {
    let line = LineShape::new(&[[0.5, 0.98], [0.5, 0.02]]).unwrap();
    let plan = ZonesPlan {
        // Seen from the bottom up, `in` goes to the right.
        lines: vec![LinePlan::new("gate", line)],
        ..ZonesPlan::default()
    };
    let mut zones = Zones::new(plan, |_| Ok::<_, Infallible>(ClassId(0))).unwrap();
    let mut tracker = Tracker::new(TrackOptions::default());
    let longest = |mover: &Mover| mover.starts + 2000.0 / mover.speed + mover.waits;
    let end = movers.iter().map(longest).fold(0.0, f64::max) + 5.0;
    let mut events = Vec::new();
    let mut ids = 0;
    for seq in 0..(end * FPS) as u64 {
        let secs = seq as f64 / FPS;
        let pts = Pts((secs * 1e9) as u64);
        let step = tracker.step(&detect(movers, secs, random), pts);
        ids = step
            .tracks
            .iter()
            .map(|it| it.id.0)
            .chain([ids])
            .max()
            .unwrap();
        let meta = FrameMeta {
            camera: CameraId::new("gate"),
            run: RunId(1),
            seq: FrameSeq(seq),
            pts,
            utc: None,
            utc_source: UtcSource::Unknown,
            size: FRAME,
        };
        events.extend(zones.observe(&meta, &step.tracks, &step.ended).events);
    }
    events.extend(zones.end_run());
    (events, ids)
}

/// Crossings that have no event and events that have no crossing: one belongs to the other if
/// direction and lane are the same and the times fit.
fn mistakes(movers: &[Mover], events: &[Event]) -> (usize, usize) {
    let mut left: Vec<&Event> = events.iter().collect();
    let mut missed = 0;
    for mover in movers {
        let Some(at) = mover.crosses_at() else {
            continue;
        };
        let expected = if mover.goes_left() {
            Direction::Out
        } else {
            Direction::In
        };
        let is_its = |event: &&Event| {
            let EventKind::Crossing { direction, .. } = &event.kind else {
                return false;
            };
            let bbox = event.object.as_ref().unwrap().bbox;
            let off = event.frame.pts.0 as f64 / 1e9 - at;
            *direction == expected
                && (f64::from(bbox.cy()) - mover.centre(at).1).abs() < 40.0
                && (-4.0..4.0).contains(&off)
        };
        let off = |event: &Event| (event.frame.pts.0 as f64 / 1e9 - at).abs();
        let fitting = left.iter().enumerate().filter(|(_, event)| is_its(event));
        let nearest = fitting.min_by(|a, b| off(a.1).total_cmp(&off(b.1)));
        match nearest.map(|(index, _)| index) {
            Some(index) => {
                left.remove(index);
            }
            None => {
                missed += 1;
                let hidden = mover
                    .hidden
                    .map_or(0.0, |(from, to)| (to - from) / mover.speed);
                let (lane, speed) = (mover.lane, mover.speed);
                eprintln!(
                    "missed at {at:.1} s, lane {lane}, {speed:.0} px/s, hidden {hidden:.1} s"
                );
            }
        }
    }
    (missed, left.len())
}

#[test]
fn counts_are_within_one_percent_of_the_truth() {
    let (mut truth, mut counted, mut missed, mut extra) = (0, 0, 0, 0);
    for seed in 1..=8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let movers = traffic(&mut random);
        let (events, ids) = count(&movers, &mut random);
        let crossings: Vec<Event> = events
            .into_iter()
            .filter(|event| matches!(event.kind, EventKind::Crossing { .. }))
            .collect();
        let expected = movers.iter().filter(|it| it.crosses_at().is_some()).count();
        let stitched = crossings
            .iter()
            .filter(|event| event.object.as_ref().unwrap().tracks.len() > 1)
            .count();
        let (without, alone) = mistakes(&movers, &crossings);
        eprintln!(
            "seed {seed}: {expected} crossings of {} objects, {} counted ({without} missed, {alone} too many); {ids} ids, {stitched} crossings stitched",
            movers.len(),
            crossings.len()
        );
        truth += expected;
        counted += crossings.len();
        missed += without;
        extra += alone;
    }
    eprintln!("{truth} crossings, {counted} counted, {missed} missed, {extra} too many");
    assert!(truth > 1000);
    assert!(
        counted.abs_diff(truth) * 100 <= truth,
        "{counted} counted of {truth}"
    );
    // Mistakes that cancel out in the sum are mistakes all the same.
    assert!(
        (missed + extra) * 100 <= truth,
        "{missed} missed, {extra} too many of {truth}"
    );
}

#[test]
fn the_same_traffic_gives_the_same_events() {
    let run = || {
        let mut random = fastrand::Rng::with_seed(42);
        let movers = traffic(&mut random);
        count(&movers, &mut random).0
    };
    assert_eq!(run(), run());
}
