//! `gantryd tune` as its users meet it: labelled data in, a table, a verdict and a snippet out.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its scene cannot be set"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::CommandCargoExt;
use gantryd::tools::video::{Mp4, Shape};

/// A folder of sequences for one test.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    /// Sequences of walkers whose scores lie above `score`, in the layout of the benchmarks.
    fn walkers(sequences: u64, frames: u64, score: f64) -> Self {
        let scene = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for number in 0..sequences {
            let (dets, truth) = walkers(number, frames, score);
            scene.write(&format!("data/{number}/det.txt"), &dets);
            scene.write(&format!("data/{number}/gt.txt"), &truth);
            scene.write(&format!("data/{number}/seqinfo.ini"), "frameRate=10\n");
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Exit code, stdout and stderr of gantryd, run in the folder.
    fn gantryd(&self, line: &str) -> (i32, String, String) {
        let output = Command::cargo_bin("gantryd")
            .unwrap()
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .env_remove("GANTRYD_CONFIG")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// What is printed about a command that cannot be done.
    fn error(&self, line: &str) -> String {
        let (code, out, error) = self.gantryd(line);
        assert_ne!(code, 0, "{out}");
        error.trim_end().to_owned()
    }
}

/// Rows of detections and of truth: four walkers that are missed now and then.
fn walkers(seed: u64, frames: u64, score: f64) -> (String, String) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let starts: Vec<(f64, f64)> = (0..4)
        .map(|_| (100.0 * rng.f64(), 4.0 * rng.f64()))
        .collect();
    let (mut dets, mut truth) = (String::new(), String::new());
    for frame in 1..=frames {
        for (id, (start, speed)) in (1..).zip(&starts) {
            let (left, top) = (start + speed * frame as f64, 90.0 * f64::from(id));
            writeln!(truth, "{frame},{id},{left:.1},{top:.1},20,50,1").unwrap();
            if rng.f64() < 0.9 {
                let score = score + 0.1 * rng.f64();
                writeln!(dets, "{frame},-1,{left:.1},{top:.1},20,50,{score:.3}").unwrap();
            }
        }
    }
    (dets, truth)
}

#[test]
fn a_site_of_low_scores_gets_its_thresholds_and_they_can_be_used() {
    let scene = Scene::walkers(3, 50, 0.2);
    let line = "tune --dets data --gt data --trials 20 --write track.toml";
    let (code, out, error) = scene.gantryd(line);
    assert_eq!(code, 0, "{error}");
    assert!(out.starts_with("3 sequences, each held out once in 3 folds; 20 trials per search"));
    assert!(out.contains("\ntake it: +"), "{out}");
    assert!(out.contains(", more than its spread"), "{out}");
    let written = fs::read_to_string(scene.path("track.toml")).unwrap();
    let track = written.parse::<toml::Table>().unwrap();
    let new = track["track"]["new"].as_float().unwrap();
    assert!(new < 0.31, "{written}");
    assert!(written.starts_with("# gantryd tune for HOTA, 3 sequences, 20 trials, seed 1\n"));

    let again = scene.gantryd(line);
    assert_eq!(again.1, out, "the same input and seed, the same result");
}

#[test]
fn a_configuration_is_begun_with_and_its_lines_are_named() {
    let scene = Scene::walkers(3, 50, 0.2);
    scene.write(
        "site.toml",
        "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n\n[track]\nnew = 0.6 # ours\n",
    );
    let (code, out, error) =
        scene.gantryd("tune --dets data --gt data --trials 20 --config site.toml");
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("HOTA now"), "{out}");
    assert!(
        out.contains("\nsite.toml: line 6: new = 0.6 → new = 0."),
        "{out}"
    );
    assert!(
        out.contains("\nsite.toml: below line 5, [track]: add high = 0."),
        "{out}"
    );
    let config = fs::read_to_string(scene.path("site.toml")).unwrap();
    assert!(config.contains("new = 0.6 # ours"), "it is only told");
}

#[test]
fn a_usual_detector_keeps_the_defaults_and_the_snippet_sets_nothing() {
    // Walkers far apart that are seen well: nothing to gain.
    let scene = Scene::walkers(3, 50, 0.85);
    let (code, out, _) =
        scene.gantryd("tune --dets data --gt data --trials 15 --for idf1 --write track.toml");
    assert_eq!(code, 0);
    assert!(out.contains("\nkeep the defaults: "), "{out}");
    let written = fs::read_to_string(scene.path("track.toml")).unwrap();
    let table = written.parse::<toml::Table>().unwrap();
    assert!(table["track"].as_table().unwrap().is_empty(), "{written}");
}

#[test]
fn what_is_in_use_scores_as_replay_and_eval_say() {
    let scene = Scene::walkers(2, 60, 0.5);
    let (_, out, _) = scene.gantryd("tune --dets data --gt data --trials 1");
    scene.gantryd("replay --dets data --out tracks");
    for number in 0..2 {
        let line = format!("eval --gt data/{number}/gt.txt --tracks tracks/{number}.txt");
        let (_, scored, _) = scene.gantryd(&line);
        let hota = scored.lines().last().unwrap();
        let hota: f64 = hota.split_whitespace().nth(1).unwrap().parse().unwrap();
        let row = out.lines().find(|row| {
            let mut words = row.split_whitespace();
            words.next() == Some(&(number + 1).to_string())
                && words.next() == Some(&number.to_string())
        });
        let in_use = row.unwrap().split_whitespace().nth(2).unwrap();
        let in_use: f64 = in_use.parse().unwrap();
        // Rows of tracks have their boxes to a hundredth of a pixel.
        assert!((hota - in_use).abs() < 0.1, "{hota} {in_use}");
    }
}

#[test]
fn one_long_sequence_is_held_out_in_parts() {
    let scene = Scene::walkers(1, 310, 0.2);
    let line = "tune --dets data/0/det.txt --gt data/0/gt.txt --trials 15";
    let (code, out, error) = scene.gantryd(line);
    assert_eq!(code, 0, "{error}");
    for part in ["0 1–103", "0 104–206", "0 207–310"] {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[test]
fn too_little_data_and_wrong_data_are_told_with_the_remedy() {
    let scene = Scene::walkers(2, 30, 0.5);
    scene.write("none.txt", "");
    scene.write("hidden.txt", "1,1,0,0,5,5,0\n");
    let error = scene.error("tune --dets data/0/det.txt --gt data/0/gt.txt");
    assert_eq!(
        error,
        "gantryd: 0 is 3.0 s long, which is too short to hold a part out: at least 20 s are needed, or a \
         second sequence (a folder for --dets and --gt)"
    );
    let error = scene.error("tune --dets data/0/det.txt --gt hidden.txt");
    assert_eq!(
        error,
        "gantryd: --gt hidden.txt: no row that counts as all in plain; label objects with confidence 1, or \
         name what the file holds with --format and --score"
    );
    let error = scene.error("tune --dets none.txt --gt data/0/gt.txt");
    assert_eq!(
        error,
        "gantryd: --dets none.txt: no detection; the tracker has nothing to follow"
    );
    let error = scene.error("tune --dets data --gt data/0/gt.txt");
    assert!(
        error.contains("is one file, but --dets has 2 sequences"),
        "{error}"
    );
    fs::remove_file(scene.path("data/1/gt.txt")).unwrap();
    let error = scene.error("tune --dets data --gt data");
    assert!(
        error.contains("--gt data: no truth of 1, which --dets has"),
        "{error}"
    );
    let error = scene.error("tune --dets data --gt data --format kitti");
    assert!(
        error.contains(
            "--format kitti scores car and pedestrian, each for itself; name one with --score car"
        ),
        "{error}"
    );
    let error = scene.error("tune --dets data --gt data --score dog");
    assert!(
        error.contains("--score dog: plain scores class numbers"),
        "{error}"
    );
}

#[test]
fn a_part_in_which_nothing_is_labelled_is_told() {
    let scene = Scene::walkers(1, 310, 0.5);
    let truth = fs::read_to_string(scene.path("data/0/gt.txt")).unwrap();
    let early = truth.lines().filter(|row| {
        let frame: u64 = row.split(',').next().unwrap().parse().unwrap();
        frame <= 100
    });
    scene.write("data/0/gt.txt", &early.collect::<Vec<_>>().join("\n"));
    let error = scene.error("tune --dets data/0/det.txt --gt data/0/gt.txt");
    assert!(
        error.contains("0 104–206: nothing is labelled in this part"),
        "{error}"
    );
    assert!(error.contains("--folds 3"), "{error}");
}

#[test]
fn options_without_effect_and_lost_inputs_are_refused() {
    let scene = Scene::walkers(2, 30, 0.5);
    let error = scene.error("tune --dets data --gt data --conf 0.4");
    assert!(
        error.contains("--conf 0.4: the confidence that starts a track is searched"),
        "{error}"
    );
    scene.write(
        "site.toml",
        "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n[detect]\nconfidence = 0.4\n",
    );
    let error = scene.error("tune --dets data --gt data --config site.toml");
    assert!(
        error.contains("site.toml: detect.confidence: 0.4 stands before track.high and track.new"),
        "{error}"
    );
    let error = scene.error("tune --dets data --gt data --config site.toml --write site.toml");
    assert!(
        error.contains("--write site.toml is a file that is read"),
        "{error}"
    );
    for usage in [
        "tune",
        "tune --dets data",
        "tune --simulate junction --gt data",
        "tune --dets data --gt data --folds 1",
        "tune --dets data --gt data --trials 0",
        "tune --dets data --gt data --video a.mp4",
    ] {
        assert_eq!(scene.gantryd(usage).0, 2, "{usage}");
    }
}

/// A film of two coloured shapes that go to and fro, and its truth: what the detector of the tests knows.
fn film(video: &Path, gt: &Path, frames: u64) {
    /// A car of the detector's, px.
    const EXTENT: (usize, usize) = (72, 40);
    let size = (640, 360);
    let mut film = Mp4::create(video, Shape { size, fps: 8 }).unwrap();
    let mut truth = String::new();
    for frame in 1..=frames {
        let mut rgb = vec![110; (size.0 * size.1 * 3) as usize];
        let phase = (frame % 80) as usize;
        for (id, top) in [(1, 60), (2, 220)] {
            let left = 20 + 6 * phase.min(80 - phase) + 40 * id;
            let row = format!("{frame},{id},{left},{top},{},{},1", EXTENT.0, EXTENT.1);
            writeln!(truth, "{row}").unwrap();
            for y in top..top + EXTENT.1 {
                for x in left..left + EXTENT.0 {
                    let at = (y * size.0 as usize + x) * 3;
                    rgb[at..at + 3].copy_from_slice(&[0, 255, 0]);
                }
            }
        }
        film.push(&rgb).unwrap();
    }
    film.finish().unwrap();
    fs::write(gt, truth).unwrap();
}

#[test]
fn a_labelled_film_is_looked_at_once_and_judged() {
    let scene = Scene::walkers(0, 0, 0.0);
    film(&scene.path("shapes.mp4"), &scene.path("gt.txt"), 168);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/shapes.onnx");
    let line = format!(
        "tune --video shapes.mp4 --gt gt.txt --model {} --trials 5",
        model.display()
    );
    let (code, out, error) = scene.gantryd(&line);
    assert_eq!(code, 0, "{error}");
    let row = out.lines().find(|row| row.contains("shapes 1–84"));
    let hota = row.unwrap().split_whitespace().nth(3).unwrap();
    let hota: f64 = hota.parse().unwrap();
    assert!(hota > 60.0, "the detector's boxes reach the tracker: {out}");
    assert!(out.contains("\nkeep the defaults: "), "{out}");

    let longer = fs::read_to_string(scene.path("gt.txt")).unwrap() + "900,1,0,0,5,5,1\n";
    scene.write("gt.txt", &longer);
    let error = scene.error(&line);
    assert!(
        error.contains("--gt gt.txt: a row in frame 900, but shapes.mp4 has 168 frames"),
        "{error}"
    );
}
