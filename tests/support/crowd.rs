//! A simulated crowd under a shaking camera: what a detector would see, and the exact truth beside it.
//!
//! Objects walk, turn, hide each other and pass behind pillars; the camera sways, pans and drops
//! frames. Everything follows from the seed.

use fastrand::Rng;
use gantryd::base::{BBox, ClassId, Detection, Pts, TrackSnapshot, TrackState};
use gantryd::perception::track::{CameraWarp, Step, TrackOptions, Tracker};
use gantryd::tools::evaluate::{Rect, Role, Scores, Track, Truth, TruthBox, evaluate};

/// Width and height of the picture, px.
pub const SIZE: [f64; 2] = [1920.0, 1080.0];

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Objects in view at once.
    pub objects: usize,
    /// Length, seconds.
    pub secs: f64,
    /// Frames per second before any is dropped.
    pub fps: f64,
    /// Standard deviation of the camera's jump from frame to frame, px.
    pub shake_px: f64,
    /// Share of the frames that are dropped; one in ten of these takes the next half second along.
    pub dropped: f64,
    /// Where the chances come from.
    pub seed: u64,
}

/// One frame: its time, what a detector sees, what is there, and how the camera moved.
#[derive(Debug, Clone)]
pub struct SceneFrame {
    /// Seconds since the beginning.
    pub secs: f64,
    /// Left, top, right, bottom in px, and the score.
    pub detections: Vec<([f64; 4], f64)>,
    /// Identity, and left, top, right, bottom in px.
    pub truth: Vec<(u64, [f64; 4])>,
    /// The shift of the picture since the last frame that was not dropped, px.
    pub shift: [f64; 2],
}

/// Shaking cameras that drop frames over crowds: objects, frames per second, shake in px, share of
/// the frames that are dropped.
const SHAKEN: [(usize, f64, f64, f64); 6] = [
    (10, 30.0, 12.0, 0.1),
    (10, 12.0, 20.0, 0.0),
    (30, 25.0, 10.0, 0.3),
    (30, 10.0, 15.0, 0.1),
    (100, 15.0, 12.0, 0.1),
    (300, 20.0, 6.0, 0.1),
];

/// Crowds under shaking cameras.
pub fn shaken() -> Vec<(Scenario, Vec<SceneFrame>)> {
    let scenes = (1..).zip(SHAKEN);
    let scenario = |(seed, (objects, fps, shake_px, dropped))| Scenario {
        objects,
        secs: if objects > 100 { 4.0 } else { 12.0 },
        fps,
        shake_px,
        dropped,
        seed,
    };
    let drawn = scenes.map(scenario).map(|it| (it, frames(&it)));
    drawn.collect()
}

struct Object {
    id: u64,
    /// Middle of the lower edge on the ground, px of the unshaken picture.
    foot: [f64; 2],
    /// Heights per second.
    velocity: [f64; 2],
    wanted: [f64; 2],
    height: f64,
    aspect: f64,
    /// How the detector's score for it differs from others'.
    temper: f64,
    /// Seconds that it goes on unseen by the detector.
    blind_secs: f64,
}

impl Object {
    fn new(id: u64, rng: &mut Rng, scale: f64, inside: bool) -> Self {
        let depth = rng.f64();
        let height = scale * (40.0 + 160.0 * depth);
        let y = 250.0 + 800.0 * depth;
        let x = if inside {
            SIZE[0] * rng.f64()
        } else if rng.bool() {
            -0.3 * height
        } else {
            SIZE[0] + 0.3 * height
        };
        let speed = (0.2 + 0.9 * rng.f64()) * if x > SIZE[0] / 2.0 { -1.0 } else { 1.0 };
        let speed = if inside && rng.bool() { -speed } else { speed };
        let wanted = [speed, 0.1 * normal(rng)];
        Self {
            id,
            foot: [x, y],
            velocity: wanted,
            wanted,
            height,
            aspect: 0.33 + 0.15 * rng.f64(),
            temper: 0.05 * normal(rng),
            blind_secs: 0.0,
        }
    }

    fn walk(&mut self, dt: f64, rng: &mut Rng) {
        if rng.f64() < 0.15 * dt {
            self.wanted = [
                (0.2 + 0.9 * rng.f64()) * normal(rng).signum(),
                0.15 * normal(rng),
            ];
        }
        if rng.f64() < 0.1 * dt {
            self.wanted = [0.0, 0.0];
        }
        for axis in 0..2 {
            let pull = (self.wanted[axis] - self.velocity[axis]) * (2.0 * dt).min(1.0);
            self.velocity[axis] += pull + 0.25 * dt.sqrt() * normal(rng);
            self.foot[axis] += self.velocity[axis] * self.height * dt;
        }
        self.foot[1] = self.foot[1].clamp(200.0, SIZE[1] + 20.0);
        self.blind_secs = (self.blind_secs - dt).max(0.0);
        if rng.f64() < 0.05 * dt {
            self.blind_secs = 0.2 + 0.8 * rng.f64();
        }
    }

    fn bbox(&self) -> [f64; 4] {
        let half = self.height * self.aspect / 2.0;
        let [x, y] = self.foot;
        [x - half, y - self.height, x + half, y]
    }
}

/// Draws the frames of a scenario.
pub fn frames(scenario: &Scenario) -> Vec<SceneFrame> {
    let mut rng = Rng::with_seed(scenario.seed);
    // A crowd of a thousand is seen from farther away than ten people are.
    let scale = (60.0 / scenario.objects as f64).sqrt().clamp(0.2, 1.0);
    let mut objects: Vec<Object> = (1..=scenario.objects as u64)
        .map(|id| Object::new(id, &mut rng, scale, true))
        .collect();
    let mut last_id = scenario.objects as u64;
    let pillars: Vec<[f64; 2]> = (0..3)
        .map(|_| {
            let left = SIZE[0] * rng.f64();
            [left, left + 60.0 * scale + 50.0]
        })
        .collect();
    let mut last_camera = [0.0; 2];
    let mut frames = Vec::new();
    let dt = 1.0 / scenario.fps;
    let mut skip_until = 0.0;
    for number in 0..(scenario.secs * scenario.fps) as u64 {
        let secs = number as f64 * dt;
        for object in &mut objects {
            object.walk(dt, &mut rng);
            let is_gone = object.foot[0] < -0.5 * object.height
                || object.foot[0] > SIZE[0] + 0.5 * object.height;
            if is_gone {
                last_id += 1;
                *object = Object::new(last_id, &mut rng, scale, false);
            }
        }
        let shake: [f64; 2] = std::array::from_fn(|_| scenario.shake_px * normal(&mut rng));
        let pan = [120.0 * (0.5 * secs).sin(), 20.0 * (0.9 * secs).sin()];
        let camera = if scenario.shake_px > 0.0 {
            [pan[0] + shake[0], pan[1] + shake[1]]
        } else {
            [0.0; 2]
        };
        if rng.f64() < scenario.dropped {
            if rng.f64() < 0.1 {
                skip_until = secs + 0.5;
            }
            continue;
        }
        if secs < skip_until {
            continue;
        }
        let shift = [camera[0] - last_camera[0], camera[1] - last_camera[1]];
        last_camera = camera;
        let shift = if frames.is_empty() { [0.0; 2] } else { shift };
        frames.push(look(secs, &objects, &pillars, camera, shift, &mut rng));
    }
    frames
}

/// What detector and truth say of one frame.
fn look(
    secs: f64,
    objects: &[Object],
    pillars: &[[f64; 2]],
    camera: [f64; 2],
    shift: [f64; 2],
    rng: &mut Rng,
) -> SceneFrame {
    let mut frame = SceneFrame {
        secs,
        detections: Vec::new(),
        truth: Vec::new(),
        shift,
    };
    let mut order: Vec<&Object> = objects.iter().collect();
    order.sort_by(|a, b| b.foot[1].total_cmp(&a.foot[1]).then(a.id.cmp(&b.id)));
    let mut nearer: Vec<[f64; 4]> = Vec::new();
    let mut strong: Vec<[f64; 4]> = Vec::new();
    for object in order {
        let bbox = object.bbox();
        let moved = [
            bbox[0] + camera[0],
            bbox[1] + camera[1],
            bbox[2] + camera[0],
            bbox[3] + camera[1],
        ];
        let area = (bbox[2] - bbox[0]) * (bbox[3] - bbox[1]);
        let inside = shared(&moved, &[0.0, 0.0, SIZE[0], SIZE[1]]) / area;
        let covered = nearer
            .iter()
            .map(|other| shared(&bbox, other) / area)
            .fold(0.0, f64::max);
        let behind = pillars
            .iter()
            .map(|p| shared(&bbox, &[p[0], 0.0, p[1], SIZE[1]]) / area)
            .fold(0.0, f64::max);
        nearer.push(bbox);
        if inside < 0.3 {
            continue;
        }
        frame.truth.push((object.id, moved));
        let visible = (1.0 - covered.max(behind)) * inside;
        let score =
            0.1 + 0.88 * (visible / 0.75).min(1.0).powf(0.7) + object.temper + 0.06 * normal(rng);
        let is_missed = rng.f64() < 0.03 || object.blind_secs > 0.0 || visible < 0.2;
        if is_missed || score < 0.1 {
            continue;
        }
        let spread = 0.03 + 0.05 * (1.0 - visible);
        let (width, height) = (bbox[2] - bbox[0], bbox[3] - bbox[1]);
        let seen = [
            moved[0] + spread * width * normal(rng),
            moved[1] + spread * height * normal(rng),
            moved[2] + spread * width * normal(rng),
            moved[3] + spread * height * normal(rng),
        ];
        if seen[2] <= seen[0]
            || seen[3] <= seen[1]
            || strong.iter().any(|other| iou(other, &seen) > 0.7)
        {
            continue;
        }
        strong.push(seen);
        frame.detections.push((seen, score.clamp(0.1, 0.98)));
    }
    for _ in 0..(objects.len() / 10 + 2) {
        // Mostly weak, seldom strong.
        let score = 0.1 + 0.6 * rng.f64().powi(3);
        if rng.f64() < 0.5 {
            let height = 30.0 + 100.0 * rng.f64();
            let (x, y) = (SIZE[0] * rng.f64(), SIZE[1] * rng.f64());
            frame
                .detections
                .push(([x, y, x + 0.4 * height, y + height], score));
        }
    }
    frame
}

fn shared(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0)
}

fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let area = |r: &[f64; 4]| (r[2] - r[0]) * (r[3] - r[1]);
    let both = shared(a, b);
    both / (area(a) + area(b) - both)
}

/// A draw from the normal distribution (Box and Muller 1958).
pub fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

impl SceneFrame {
    /// What a detector says of it.
    pub fn detections(&self) -> Vec<Detection> {
        let detection = |(ltrb, score): &([f64; 4], f64)| {
            let [left, top, right, bottom] = ltrb.map(|edge| edge as f32);
            Some(Detection {
                bbox: BBox::from_ltrb(left, top, right, bottom)?,
                class: ClassId(0),
                confidence: *score as f32,
                embedding: None,
            })
        };
        self.detections.iter().filter_map(detection).collect()
    }
}

/// What is said of the frames, which are named by their place; the tracker is told the camera's motion
/// where `told`.
pub fn follow(frames: &[SceneFrame], told: bool) -> Vec<Track> {
    follow_where(frames, told, |track| track.is_present(None))
}

/// As [`follow`], where objects are seen in the frame and not just presumed to be there.
pub fn follow_seen(frames: &[SceneFrame]) -> Vec<Track> {
    follow_where(frames, false, |track| track.state == TrackState::Confirmed)
}

fn follow_where(
    frames: &[SceneFrame],
    told: bool,
    is_said: impl Fn(&TrackSnapshot) -> bool,
) -> Vec<Track> {
    let mut tracker = Tracker::new(TrackOptions::default());
    let mut step = Step::default();
    let mut tracks = Vec::new();
    for (number, frame) in (0..).zip(frames) {
        if told {
            let [x, y] = frame.shift;
            tracker.move_camera(CameraWarp::new([1.0, 0.0, x, 0.0, 1.0, y]).unwrap());
        }
        let pts = Pts((frame.secs * 1e9) as u64);
        tracker.step_into(&frame.detections(), pts, &mut step);
        let said = step.tracks.iter().filter(|track| is_said(track));
        tracks.extend(said.map(|track| Track {
            frame: number,
            id: track.id.0,
            bbox: Rect {
                left: track.bbox.left().into(),
                top: track.bbox.top().into(),
                right: track.bbox.right().into(),
                bottom: track.bbox.bottom().into(),
            },
        }));
    }
    tracks
}

/// Scores tracks against the truth of the frames.
pub fn score(frames: &[SceneFrame], tracks: &[Track]) -> Scores {
    evaluate(&truth(frames), tracks).unwrap()
}

/// The truth of the frames, which are named by their place.
pub fn truth(frames: &[SceneFrame]) -> Truth {
    let boxes = (0..).zip(frames).flat_map(|(number, frame)| {
        let truth = frame.truth.iter();
        truth.map(move |&(id, [left, top, right, bottom])| TruthBox {
            frame: number,
            id,
            bbox: Rect {
                left,
                top,
                right,
                bottom,
            },
            role: Role::Counted,
        })
    });
    Truth {
        frames: frames.len() as u64,
        boxes: boxes.collect(),
        ..Truth::default()
    }
}
