//! The simulated camera from outside: what is written, and that it can be read again.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and tells what it skips"
)]

#[path = "support/camera_run.rs"]
mod camera_run;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use assert_cmd::Command;
use camera_run::{CameraRun, options, read_all};
use gantryd::app::mot;
use gantryd::capture::{RtspSource, Source};
use gantryd::tools::simulate::{Class, Dataset, Daytime, Options, SceneKind, Simulation, Weather};

/// A debug build renders slowly: the camera over RTSP may take so long to show some pictures.
const PATIENCE: Duration = Duration::from_secs(90);

fn small(scene: SceneKind, seed: u64) -> Options {
    Options {
        scene,
        seed,
        size: (160, 90),
        weather: Weather::Overcast,
        time: Daytime::Day,
        density: 0.5,
        shake: 1.0,
        spread: 0.0,
        lens: None,
    }
}

fn simulate(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gantryd"))
        .arg("simulate")
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), error)
}

#[test]
fn the_same_seed_gives_the_same_pictures_and_truth_on_any_number_of_threads() {
    let options = small(SceneKind::Junction, 4);
    let mut one = Simulation::new(&options);
    let mut single = Vec::new();
    for _ in 0..2 {
        single.push(one.picture());
        one.advance(0.2);
    }
    let side_by_side = Simulation::new(&options).pictures(2, 0.2);
    assert!(single == side_by_side);
    let other = Simulation::new(&small(SceneKind::Junction, 5)).picture();
    assert!(other.rgb != single[0].rgb);
}

#[test]
fn every_place_shows_its_classes() {
    let wanted = [
        (SceneKind::Junction, Class::Car),
        (SceneKind::Motorway, Class::Truck),
        (SceneKind::Warehouse, Class::Forklift),
        (SceneKind::Square, Class::Person),
    ];
    for (scene, class) in wanted {
        let seen = (1..4).any(|seed| {
            let mut simulation = Simulation::new(&Options {
                density: 1.0,
                ..small(scene, seed)
            });
            let picture = simulation.picture();
            let darkest = picture.rgb.iter().min();
            let brightest = picture.rgb.iter().max();
            assert!(darkest < brightest, "{scene:?}: a picture of one colour");
            for truth in &picture.truths {
                let [left, top, right, bottom] = truth.ltrb;
                assert!(0.0 <= left && left < right && right <= 160.0, "{truth:?}");
                assert!(0.0 <= top && top < bottom && bottom <= 90.0, "{truth:?}");
                assert!((0.0..=1.0).contains(&truth.visibility), "{truth:?}");
            }
            picture.truths.iter().any(|truth| truth.class == class)
        });
        assert!(seen, "no {class:?} in {scene:?}");
    }
}

#[test]
fn a_film_has_its_frames_and_the_truth_is_read_as_mot_text() {
    let folder = tempfile::tempdir().unwrap();
    let (film, truth) = (folder.path().join("film.mp4"), folder.path().join("gt.txt"));
    let (code, error) = simulate(&[
        "square",
        "--size",
        "160x90",
        "--fps",
        "10",
        "--seconds",
        "0.5",
        "--seed",
        "3",
        "--out",
        film.to_str().unwrap(),
        "--gt",
        truth.to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{error}");
    let (log, ..) = read_all(options(Source::parse(film.to_str().unwrap()).unwrap()));
    assert_eq!(log.frames.len(), 5);
    let read = mot::read_detections(&truth).unwrap();
    assert_eq!(read.frames.last().unwrap().number, 5);
    assert_eq!(read.empty_boxes, 0);
    let classes = read
        .frames
        .iter()
        .flat_map(|frame| &frame.detections)
        .map(|d| d.class.0);
    assert!(classes.into_iter().all(|class| (1..=8).contains(&class)));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing half-written stays: {left:?}");
}

fn dataset(folder: &Path, images: u64) -> serde_json::Value {
    let set = Dataset {
        scene: Some(SceneKind::Square),
        weather: None,
        time: None,
        seed: 9,
        size: (128, 72),
        images,
        density: 0.5,
        spread: 1.0,
        lens: None,
    };
    set.write(folder, |_done| true).unwrap();
    let text = std::fs::read_to_string(folder.join("annotations.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_data_set_is_coco_and_begins_alike_however_long_it_is() {
    let (long, short) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let all = dataset(long.path(), 6);
    dataset(short.path(), 2);
    for name in ["000001.jpg", "000002.jpg"] {
        let read = |folder: &Path| std::fs::read(folder.join("images").join(name)).unwrap();
        assert!(read(long.path()) == read(short.path()), "{name}");
    }
    let list = |key: &str| all[key].as_array().unwrap().clone();
    let names: Vec<_> = list("categories")
        .iter()
        .map(|c| c["name"].clone())
        .collect();
    assert_eq!(
        names,
        [
            "person",
            "bicycle",
            "motorcycle",
            "car",
            "van",
            "truck",
            "bus",
            "forklift"
        ]
    );
    let images = list("images");
    assert_eq!(images.len(), 6);
    let mut tracks = BTreeSet::new();
    for annotation in list("annotations") {
        let image = annotation["image_id"].as_u64().unwrap();
        assert!((1..=6).contains(&image));
        let video = images[image as usize - 1]["video_id"].as_u64().unwrap();
        assert!(tracks.insert((image, annotation["track_id"].as_u64().unwrap())));
        assert_eq!(annotation["track_id"].as_u64().unwrap() / 1_000_000, video);
        let side = |i: usize| annotation["bbox"][i].as_f64().unwrap();
        assert!(side(0) >= 0.0 && side(0) + side(2) <= 128.0 && side(1) + side(3) <= 72.0);
        assert!((annotation["area"].as_f64().unwrap() - side(2) * side(3)).abs() < 1.0);
    }
    assert!(!tracks.is_empty());
}

#[test]
fn what_cannot_be_written_is_told_and_nothing_asked_for_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let inside = blocked.join("x");
    let inside = inside.to_str().unwrap();
    let small = ["--size", "64x64", "--seconds", "0.1"];
    for output in ["--out", "--gt", "--dataset"] {
        let (code, error) = simulate(&[&small[..], &[output, inside]].concat());
        assert_eq!(code, 1, "{output}: {error}");
        assert!(error.contains(inside), "{output}: {error}");
        assert!(!error.contains("panicked"), "{output}: {error}");
    }
    assert_eq!(simulate(&["junction"]).0, 2);
    assert_eq!(simulate(&["moon", "--gt", "x"]).0, 2);
    assert_eq!(simulate(&["--rtsp", "nowhere"]).0, 2);
}

/// A limit on the size of files stands in for a full disk: both fail while the film is under way.
#[test]
fn a_film_for_which_there_is_no_room_ends_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.mp4");
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" simulate square --density 0.2 --size 160x96 --seconds 8 --out \"$1\"";
    let output = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_gantryd")])
        .arg(&film)
        .timeout(Duration::from_secs(400))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("film.mp4"), "{error}");
    assert!(!film.exists());
}

/// Ends the camera with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn cameras_over_rtsp_are_seen_by_our_own_capture() {
    let mut server = Server(
        std::process::Command::new(env!("CARGO_BIN_EXE_gantryd"))
            .args([
                "simulate",
                "square",
                "--size",
                "160x90",
                "--fps",
                "5",
                "--density",
                "0.2",
            ])
            .args(["--rtsp", "127.0.0.1:0/a", "--rtsp", "127.0.0.1:0/b"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let uris: Vec<String> = lines.take(2).map(|line| line.unwrap()).collect();
    assert!(
        uris[0].ends_with("/a") && uris[1].ends_with("/b"),
        "{uris:?}"
    );
    for uri in uris {
        let Ok(Source::Rtsp(source)) = Source::parse(&uri) else {
            panic!("{uri}");
        };
        let source: RtspSource = source;
        let mut options = options(Source::Rtsp(source));
        options.connect_secs = 20.0;
        let run = CameraRun::start(options).unwrap();
        run.wait_until(&uri, PATIENCE, |log| log.frames.len() >= 4);
        let (log, _) = run.finish();
        let sums: BTreeSet<u64> = log.frames.iter().map(|frame| frame.checksum).collect();
        assert!(sums.len() > 1, "the picture stands still");
        assert_eq!(log.frames[0].meta.size.width, 160);
    }
}
