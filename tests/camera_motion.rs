//! The motion of the camera from the picture: a simulated camera that shakes, with exact boxes.

use gantryd::base::{BBox, ClassId, Detection, Plane, Pts, Size, TrackState};
use gantryd::perception::motion::MotionEstimator;
use gantryd::perception::track::{CameraWarp, TrackOptions, Tracker};
use gantryd::tools::simulate::{Daytime, Options, Picture, SceneKind, Simulation, Weather};

/// BT.601 luma of a picture.
fn luma(picture: &Picture) -> Vec<u8> {
    let grey = |rgb: &[u8]| {
        let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(f32::from);
        (0.299 * r + 0.587 * g + 0.114 * b).round() as u8
    };
    picture.rgb.chunks_exact(3).map(grey).collect()
}

/// Each truth as a detection, and its id.
fn seen(picture: &Picture) -> Vec<(u64, Detection)> {
    picture
        .truths
        .iter()
        .filter(|truth| truth.counts())
        .filter_map(|truth| {
            let [l, t, r, b] = truth.ltrb;
            let detection = Detection {
                bbox: BBox::from_ltrb(l, t, r, b)?,
                class: ClassId(0),
                confidence: 0.9,
                embedding: None,
            };
            Some((truth.id, detection))
        })
        .collect()
}

/// Share of the sightings in which an object has the id it had at its last sighting.
fn kept(pictures: &[Picture], from_image: bool, vote: bool) -> f64 {
    let mut tracker = Tracker::new(TrackOptions {
        vote_on_camera: vote,
        ..TrackOptions::default()
    });
    let mut motion = MotionEstimator::default();
    let mut last = std::collections::BTreeMap::new();
    let (mut same, mut all) = (0, 0);
    for (number, picture) in (0..).zip(pictures) {
        let (width, height) = picture.size;
        let (data, size) = (luma(picture), Size { width, height });
        let stride = width as usize;
        let map = motion.step(
            Plane {
                data: &data,
                stride,
            },
            size,
        );
        if from_image && let Some(warp) = map.and_then(CameraWarp::new) {
            tracker.move_camera(warp);
        }
        let seen = seen(picture);
        let detections: Vec<Detection> = seen.iter().map(|(_, one)| one.clone()).collect();
        let step = tracker.step(&detections, Pts(number * 66_666_667));
        motion.choose_points(step.tracks.iter().map(|track| track.bbox));
        for (truth, detection) in &seen {
            let shown = step
                .tracks
                .iter()
                .filter(|track| track.state == TrackState::Confirmed)
                .map(|track| (track.bbox.iou(&detection.bbox), track.id))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|best| best.0 > 0.5);
            let id = shown.map(|best| best.1);
            if let Some(before) = last.insert(*truth, id) {
                all += 1;
                same += u32::from(id.is_some() && id == before);
            }
        }
    }
    assert!(all > 20, "{all} sightings");
    f64::from(same) / f64::from(all)
}

#[test]
fn a_shaken_camera_over_few_objects_keeps_ids_by_its_picture() {
    let mut simulation = Simulation::new(&Options {
        scene: SceneKind::Junction,
        seed: 3,
        size: (320, 180),
        weather: Weather::Overcast,
        time: Daytime::Day,
        density: 0.4,
        shake: 14.0,
        spread: 0.0,
        lens: None,
    });
    let pictures = simulation.pictures(30, 1.0 / 15.0);
    let off = kept(&pictures, false, false);
    let boxes = kept(&pictures, false, true);
    let image = kept(&pictures, true, true);
    assert!(image > off + 0.05, "off {off}, image {image}");
    assert!(image >= boxes, "boxes {boxes}, image {image}");
}
