//! `gantryd replay` as its users meet it: files in, a file and numbers out.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its scene cannot be set"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use gantryd::app::replay::{self, FpsSource, ReplayArgs};

/// A folder for one test and the arguments that point into it.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(detections: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("det.txt"), detections).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn args(&self) -> ReplayArgs {
        ReplayArgs {
            dets: self.path("det.txt"),
            out: self.path("out.txt"),
            fps: None,
            size: None,
        }
    }

    fn rows(&self) -> Vec<Vec<f64>> {
        fs::read_to_string(self.path("out.txt"))
            .unwrap()
            .lines()
            .map(|line| {
                line.split(',')
                    .map(|field| field.parse().unwrap())
                    .collect()
            })
            .collect()
    }

    fn error(&self) -> String {
        let folder = self.folder.path().to_str().unwrap().to_owned() + "/";
        let error = replay::run(&self.args()).unwrap_err();
        error.to_string().replace(&folder, "")
    }
}

/// An error with its causes, as the program prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Two objects, one to the right and one down; the second unseen in frames 20..=24.
fn two_objects() -> String {
    let mut text = String::new();
    for frame in 1..=50 {
        let moved = f64::from(frame) * 4.0;
        writeln!(text, "{frame},-1,{},100,60,120,0.90", 50.0 + moved).unwrap();
        if !(20..=24).contains(&frame) {
            writeln!(text, "{frame},-1,500,{},80,60,0.80", 20.0 + moved).unwrap();
        }
    }
    text
}

#[test]
fn two_objects_are_two_ids_for_as_long_as_they_are_seen() {
    let scene = Scene::new(&two_objects());
    let summary = replay::run(&scene.args()).unwrap();
    let rows = scene.rows();
    // Each is believed from its second detection on: 49 rows, and 49 less 5 unseen ones.
    assert_eq!(rows.len(), 49 + 44);
    assert_eq!(summary.rows, 93);
    assert_eq!(
        (summary.frames, summary.detections, summary.ids),
        (50, 95, 2)
    );
    let ids: BTreeSet<_> = rows.iter().map(|row| row[1] as u64).collect();
    assert_eq!(ids, BTreeSet::from([1, 2]));
    for row in &rows {
        // Where the object is: 50 + 4 × frame from the left, or 20 + 4 × frame from the top.
        let truth = if row[1] as u64 == 1 {
            [50.0 + 4.0 * row[0], 100.0, 60.0, 120.0]
        } else {
            [500.0, 20.0 + 4.0 * row[0], 80.0, 60.0]
        };
        for (found, truth) in row[2..6].iter().zip(truth) {
            assert!((found - truth).abs() < 2.0, "{row:?}");
        }
        assert_eq!(row[7..], [-1.0, -1.0, -1.0]);
    }
    assert!(rows.is_sorted_by_key(|row| (row[0] as u64, row[1] as u64)));
}

#[test]
fn the_same_detections_give_the_same_bytes() {
    let scene = Scene::new(&two_objects());
    replay::run(&scene.args()).unwrap();
    let first = fs::read(scene.path("out.txt")).unwrap();
    replay::run(&scene.args()).unwrap();
    assert_eq!(first, fs::read(scene.path("out.txt")).unwrap());
}

#[test]
fn seqinfo_gives_the_rate_and_the_option_overrules_it() {
    let scene = Scene::new(&two_objects());
    let summary = replay::run(&scene.args()).unwrap();
    assert_eq!(summary.fps_source, FpsSource::Assumed);
    assert!(
        summary
            .to_string()
            .contains("30 fps (assumed; --fps says otherwise)")
    );

    let info = "[Sequence]\nname=s\nframeRate=14\nimWidth=1920\nimHeight=1080\n";
    fs::write(scene.path("seqinfo.ini"), info).unwrap();
    let summary = replay::run(&scene.args()).unwrap();
    assert_eq!(summary.fps_source, FpsSource::SeqInfo);
    assert!((summary.fps - 14.0).abs() < 1e-9);

    let summary = replay::run(&ReplayArgs {
        fps: Some(25.0),
        ..scene.args()
    })
    .unwrap();
    assert_eq!(summary.fps_source, FpsSource::Given);
    assert!((summary.fps - 25.0).abs() < 1e-9);
}

#[test]
fn rows_in_any_order_and_frames_without_detections_are_taken() {
    let mut lines: Vec<_> = two_objects().lines().map(str::to_owned).collect();
    lines.reverse();
    let reversed = Scene::new(&(lines.join("\r\n") + "\n\n# a comment\n"));
    let summary = replay::run(&reversed.args()).unwrap();
    assert_eq!((summary.ids, summary.rows), (2, 93));

    // Nothing from frame 3 to frame 20,000,000: not stepped one by one.
    let gap = Scene::new("1,-1,0,0,9,9,0.9\n2,-1,0,0,9,9,0.9\n20000000,-1,0,0,9,9,0.9\n");
    let summary = replay::run(&gap.args()).unwrap();
    assert_eq!((summary.ids, summary.rows), (1, 1));
    assert!(summary.frames < 2000);
}

#[test]
fn boxes_without_area_and_scores_out_of_range_are_counted() {
    let scene = Scene::new("1,-1,0,0,0,9,0.9\n1,-1,0,0,9,9,7.5\n");
    let summary = replay::run(&scene.args()).unwrap();
    assert_eq!((summary.empty_boxes, summary.cut_scores), (1, 1));
    assert_eq!(summary.detections, 1);
}

#[test]
fn an_empty_file_is_an_empty_result() {
    let scene = Scene::new("");
    let summary = replay::run(&scene.args()).unwrap();
    assert_eq!((summary.frames, summary.rows), (0, 0));
    assert_eq!(scene.rows(), Vec::<Vec<f64>>::new());
}

#[test]
fn bad_rows_are_named_with_their_line() {
    let form = "; a row is frame,id,left,top,width,height,score with frames counted from 1";
    for (row, fault) in [
        ("1,-1,10,20", "4 fields, at least 7 are needed"),
        (
            "1,-1,10,20,x,40,0.9",
            "width is \"x\", which is not a finite number",
        ),
        (
            "1,-1,10,20,inf,40,0.9",
            "width is \"inf\", which is not a finite number",
        ),
        (
            "1,-1,10,20,30,40,NaN",
            "score is \"NaN\", which is not a finite number",
        ),
        (
            "0,-1,10,20,30,40,0.9",
            "frame is \"0\", allowed is a whole number from 1 to 100000000",
        ),
        (
            "1.5,-1,10,20,30,40,0.9",
            "frame is \"1.5\", allowed is a whole number from 1 to 100000000",
        ),
        (
            "1,-1,10,20,-30,40,0.9",
            "the box -30 × 40 at (10, 20) is none",
        ),
    ] {
        let scene = Scene::new(&format!("1,-1,1,1,9,9,0.9\n\n{row}\n"));
        assert_eq!(scene.error(), format!("det.txt:3: {fault}{form}"));
        assert!(
            !scene.path("out.txt").exists(),
            "nothing is written before all is read"
        );
    }
}

#[test]
fn a_file_that_is_no_text_or_one_endless_line_is_refused() {
    let scene = Scene::new("");
    fs::write(scene.path("det.txt"), [0xff, 0xfe, 0x00, 0x41]).unwrap();
    assert!(scene.error().starts_with("det.txt:1: not UTF-8 text"));
    fs::write(scene.path("det.txt"), vec![b'1'; 1 << 20]).unwrap();
    assert!(
        scene
            .error()
            .starts_with("det.txt:1: longer than 4096 bytes")
    );
}

#[test]
fn missing_files_and_folders_are_named() {
    let scene = Scene::new(&two_objects());
    let missing = ReplayArgs {
        dets: scene.path("none.txt"),
        ..scene.args()
    };
    let error = chain(&replay::run(&missing).unwrap_err());
    assert!(
        error.contains("none.txt: cannot read: No such file"),
        "{error}"
    );
    let unwritable = ReplayArgs {
        out: scene.path("no/such/folder/out.txt"),
        ..scene.args()
    };
    let error = chain(&replay::run(&unwritable).unwrap_err());
    assert!(
        error.contains("out.txt: cannot write the tracks: No such file"),
        "{error}"
    );
}

#[test]
fn a_seqinfo_that_cannot_be_is_named_with_the_way_out() {
    let scene = Scene::new(&two_objects());
    fs::write(scene.path("seqinfo.ini"), "frameRate=fast\n").unwrap();
    assert_eq!(
        scene.error(),
        "seqinfo.ini: frameRate is \"fast\", allowed is a number above 0, up to 1000; or give --fps"
    );
}

#[test]
fn real_detections_give_long_tracks() {
    let det =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/mot/mot17-val/MOT17-09/det.txt");
    if !det.exists() {
        eprintln!("SKIPPED: {} is absent", det.display());
        return;
    }
    let scene = Scene::new("");
    let summary = replay::run(&ReplayArgs {
        dets: det,
        ..scene.args()
    })
    .unwrap();
    // The ground truth has 22 people in this half; other trackers give 19 to 23 ids.
    assert!((15..=40).contains(&summary.ids), "{} ids", summary.ids);
    assert!(summary.rows > 2000);
}
