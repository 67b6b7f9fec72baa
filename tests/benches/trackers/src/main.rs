//! Microseconds per frame of gantryd's tracker and others, on detections of 10, 100 and 1,000 objects
//! that are all seen in every frame. One thread; the median of 100 frames, best of three runs, so that
//! other work on the machine disturbs little.

use std::time::{Duration, Instant};

use gantryd::base::{BBox, ClassId, Detection, Pts};
use gantryd::perception::track::{Step, TrackOptions, Tracker};
use similari::trackers::sort::PositionalMetricType::IoU;
use similari::trackers::sort::metric::DEFAULT_MINIMAL_SORT_CONFIDENCE;
use similari::trackers::sort::simple_api::Sort as SimilariSort;
use similari::utils::bbox::Universal2DBox;
use trackforge::trackers::byte_track::ByteTrack;
use trackforge::trackers::sort::Sort;
use trackforge::trackers::tracktrack::TrackTrack;

const FRAMES: usize = 100;
const RUNS: usize = 3;
const OBJECTS: [usize; 3] = [10, 100, 1000];
/// Width of the picture, px.
const WIDTH: f32 = 1920.0;
/// Frames are shown at 30 fps.
const FRAME_NS: u64 = 33_333_333;

/// Left, top, width, height in px, and the score.
type Seen = ([f32; 4], f32);

/// Objects on a grid that fills the picture, each walking its own way; neighbours overlap a little.
fn film(objects: usize) -> Vec<Vec<Seen>> {
    let mut random = fastrand::Rng::with_seed(1);
    let columns = (objects as f64 * 16.0 / 9.0).sqrt().ceil() as usize;
    let pitch = WIDTH / columns as f32;
    let ways: Vec<[f32; 2]> = (0..objects)
        .map(|_| [random.f32() - 0.5, random.f32() - 0.5])
        .collect();
    let height = 1.2 * pitch;
    let mut frame = |number: usize| {
        let walked = number as f32 * pitch / 150.0;
        let mut object = |index: usize| {
            let mut noise = || 0.04 * height * (random.f32() - 0.5);
            let left = (index % columns) as f32 * pitch + ways[index][0] * walked + noise();
            let top = (index / columns) as f32 * pitch + ways[index][1] * walked + noise();
            let ltwh = [left, top, 0.45 * height + noise(), height + noise()];
            (ltwh, 0.7 + 0.29 * random.f32())
        };
        (0..objects).map(&mut object).collect()
    };
    (0..FRAMES).map(&mut frame).collect()
}

/// The time of a frame: the median of a run, the best of several. `begin` makes a tracker that takes
/// frames and answers how many tracks it shows.
fn time<I>(frames: &[I], begin: impl Fn() -> Box<dyn FnMut(&I) -> usize>) -> (Duration, usize) {
    let (mut best, mut shown) = (Duration::MAX, 0);
    for _ in 0..RUNS {
        let mut step = begin();
        let mut times: Vec<_> = frames
            .iter()
            .map(|frame| {
                let started = Instant::now();
                shown = step(frame);
                started.elapsed()
            })
            .collect();
        times.sort_unstable();
        best = best.min(times[FRAMES / 2]);
    }
    (best, shown)
}

fn gantryd_frames(film: &[Vec<Seen>]) -> Vec<Vec<Detection>> {
    let detection = |&([left, top, width, height], confidence): &Seen| Detection {
        bbox: BBox::from_ltrb(left, top, left + width, top + height).expect("a box with an area"),
        class: ClassId(0),
        confidence,
        embedding: None,
    };
    let frame = |seen: &Vec<Seen>| seen.iter().map(detection).collect();
    film.iter().map(frame).collect()
}

fn gantryd() -> Box<dyn FnMut(&Vec<Detection>) -> usize> {
    let mut tracker = Tracker::new(TrackOptions::default());
    let (mut step, mut pts) = (Step::default(), 0);
    Box::new(move |frame| {
        tracker.step_into(frame, Pts(pts), &mut step);
        pts += FRAME_NS;
        step.tracks.len()
    })
}

/// What trackforge takes: left, top, width, height, score, class.
type Forge = Vec<([f32; 4], f32, i64)>;

fn main() {
    println!("microseconds per frame (tracks shown)");
    print!("{:24}", "objects");
    OBJECTS.iter().for_each(|objects| print!("{objects:>16}"));
    println!();
    let films: Vec<_> = OBJECTS.iter().map(|&objects| film(objects)).collect();
    let row = |name: &str, of: &dyn Fn(&[Vec<Seen>]) -> (Duration, usize)| {
        print!("{name:24}");
        for film in &films {
            let (spent, shown) = of(film);
            print!("{:>10.1} ({shown})", spent.as_secs_f64() * 1e6);
        }
        println!();
    };
    row("gantryd", &|film| time(&gantryd_frames(film), gantryd));
    let forged = |film: &[Vec<Seen>]| -> Vec<Forge> {
        let frame = |seen: &Vec<Seen>| seen.iter().map(|&(ltwh, score)| (ltwh, score, 0)).collect();
        film.iter().map(frame).collect()
    };
    row("trackforge ByteTrack", &|film| {
        time(&forged(film), || {
            let mut tracker = ByteTrack::new(0.5, 30, 0.8, 0.6);
            Box::new(move |frame: &Forge| tracker.update(frame.clone()).len())
        })
    });
    row("trackforge SORT", &|film| {
        time(&forged(film), || {
            let mut tracker = Sort::new(30, 3, 0.3);
            Box::new(move |frame: &Forge| tracker.update(frame.clone()).len())
        })
    });
    row("trackforge TrackTrack", &|film| {
        time(&forged(film), || {
            let mut tracker = TrackTrack::new();
            Box::new(move |frame: &Forge| tracker.update(frame.clone(), &[]).len())
        })
    });
    row("similari SORT", &|film| {
        let frame = |seen: &Vec<Seen>| {
            let bbox = |&([left, top, width, height], score): &Seen| {
                let (cx, cy) = (left + width / 2.0, top + height / 2.0);
                let bbox = Universal2DBox::new_with_confidence(
                    cx,
                    cy,
                    None,
                    width / height,
                    height,
                    score,
                );
                (bbox, None)
            };
            seen.iter().map(bbox).collect::<Vec<_>>()
        };
        let frames: Vec<_> = film.iter().map(frame).collect();
        time(&frames, || {
            let mut tracker =
                SimilariSort::new(1, 10, 30, IoU(0.3), DEFAULT_MINIMAL_SORT_CONFIDENCE, None);
            Box::new(move |frame| tracker.predict(frame).len())
        })
    });
}
