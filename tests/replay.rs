//! `gantryd replay` as its users meet it: files in, a file and numbers out.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its scene cannot be set"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use gantryd::app::replay::{self, FpsSource, ReplayArgs, ReplayError, ReplaySummary};

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
            gmc: None,
            size: None,
            decisions: false,
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
        let error = run(&self.args()).unwrap_err();
        error.to_string().replace(&folder, "")
    }
}

/// Replays one sequence.
fn run(args: &ReplayArgs) -> Result<ReplaySummary, ReplayError> {
    let mut report = replay::run(args)?;
    assert_eq!(report.sequences.len(), 1);
    Ok(report.sequences.remove(0).1)
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
    let summary = run(&scene.args()).unwrap();
    let rows = scene.rows();
    // Each is believed from its second detection on: 49 rows, and 49 less 5 unseen ones, in the first
    // two of which (0.09 s) it is presumed to be there.
    assert_eq!(rows.len(), 49 + 46);
    assert_eq!(summary.rows, 95);
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
    run(&scene.args()).unwrap();
    let first = fs::read(scene.path("out.txt")).unwrap();
    run(&scene.args()).unwrap();
    assert_eq!(first, fs::read(scene.path("out.txt")).unwrap());
}

#[test]
fn seqinfo_gives_the_rate_and_the_option_overrules_it() {
    let scene = Scene::new(&two_objects());
    let summary = run(&scene.args()).unwrap();
    assert_eq!(summary.fps_source, FpsSource::Assumed);
    assert!(
        summary
            .to_string()
            .contains("30 fps (assumed; --fps says otherwise)")
    );

    let info = "[Sequence]\nname=s\nframeRate=14\nimWidth=1920\nimHeight=1080\n";
    fs::write(scene.path("seqinfo.ini"), info).unwrap();
    let summary = run(&scene.args()).unwrap();
    assert_eq!(summary.fps_source, FpsSource::SeqInfo);
    assert!((summary.fps - 14.0).abs() < 1e-9);

    let summary = run(&ReplayArgs {
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
    let summary = run(&reversed.args()).unwrap();
    assert_eq!((summary.ids, summary.rows), (2, 95));

    // Nothing from frame 3 to frame 20,000,000: not stepped one by one. The object is presumed to be
    // there in two more.
    let gap = Scene::new("1,-1,0,0,9,9,0.9\n2,-1,0,0,9,9,0.9\n20000000,-1,0,0,9,9,0.9\n");
    let summary = run(&gap.args()).unwrap();
    assert_eq!((summary.ids, summary.rows), (1, 3));
    assert!(summary.frames < 2000);
}

#[test]
fn boxes_without_area_and_scores_out_of_range_are_counted() {
    let scene = Scene::new("1,-1,0,0,0,9,0.9\n1,-1,0,0,9,9,7.5\n");
    let summary = run(&scene.args()).unwrap();
    assert_eq!((summary.empty_boxes, summary.cut_scores), (1, 1));
    assert_eq!(summary.detections, 1);
}

#[test]
fn an_empty_file_is_an_empty_result() {
    let scene = Scene::new("");
    let summary = run(&scene.args()).unwrap();
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
    let error = chain(&run(&missing).unwrap_err());
    assert!(
        error.contains("none.txt: cannot read: No such file"),
        "{error}"
    );
    let unwritable = ReplayArgs {
        out: scene.path("no/such/folder/out.txt"),
        ..scene.args()
    };
    let error = chain(&run(&unwritable).unwrap_err());
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

/// A camera that turns by 80 px per frame over objects that stand still, seen in turn.
fn turning_camera() -> (String, String) {
    let (mut dets, mut gmc) = (String::new(), String::new());
    for frame in 1..=40 {
        // To the left and to the right again, so that nothing leaves the picture.
        let step = if frame / 5 % 2 == 0 { 80 } else { -80 };
        writeln!(gmc, "{frame} 1 0 {step} 0 1 0").unwrap();
    }
    let mut shift = 1000;
    for frame in 1..=40 {
        shift += if frame / 5 % 2 == 0 { 80 } else { -80 };
        for object in 0..2 {
            writeln!(
                dets,
                "{frame},-1,{},{},40,90,0.9",
                shift + object * 100,
                100 + object * 7
            )
            .unwrap();
        }
    }
    (dets, gmc)
}

#[test]
fn the_given_camera_motion_is_followed() {
    let (dets, gmc) = turning_camera();
    let scene = Scene::new(&dets);
    fs::write(scene.path("gmc.txt"), gmc).unwrap();
    // Two objects are too few for a vote: without the file each jump is another object.
    let alone = run(&scene.args()).unwrap();
    assert!(alone.ids > 2, "{} ids", alone.ids);
    let args = ReplayArgs {
        gmc: Some(scene.path("gmc.txt")),
        ..scene.args()
    };
    let told = run(&args).unwrap();
    assert_eq!((told.ids, told.rows), (2, 2 * 39));

    fs::write(scene.path("gmc.txt"), "1 1 0 0 0 1 0\n2 1 0\n").unwrap();
    let error = run(&args).unwrap_err().to_string();
    assert!(
        error.contains("gmc.txt:2: 3 fields, 7 are needed"),
        "{error}"
    );
    let error = run(&ReplayArgs {
        out: scene.path("gmc.txt"),
        ..args
    });
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("is a file that is read")
    );
}

#[test]
fn a_folder_of_sequences_is_replayed_into_a_folder() {
    let scene = Scene::new("");
    fs::remove_file(scene.path("det.txt")).unwrap();
    for (name, det) in [("b", "b/det/det.txt"), ("a", "a/det.txt")] {
        let path = scene.path(det);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, two_objects()).unwrap();
        fs::write(scene.path(&format!("{name}/seqinfo.ini")), "frameRate=25\n").unwrap();
    }
    let args = ReplayArgs {
        dets: scene.path(""),
        out: scene.path("results/first"),
        ..scene.args()
    };
    let report = replay::run(&args).unwrap();
    let names: Vec<_> = report
        .sequences
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert!(
        report
            .sequences
            .iter()
            .all(|(_, summary)| summary.rows == 95)
    );
    let rows = |name| fs::read(scene.path(&format!("results/first/{name}.txt"))).unwrap();
    assert_eq!(rows("a"), rows("b"));
    let text = report.to_string();
    assert!(text.contains("2 sequences, 100 frames, 190 rows"), "{text}");
    assert!(
        report.p99 >= report.median && text.contains("p99"),
        "{text}"
    );

    let without = ReplayArgs {
        gmc: Some(scene.path("")),
        ..args.clone()
    };
    let error = replay::run(&without).unwrap_err().to_string();
    assert!(error.contains("no camera motion of a"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let nothing = ReplayArgs {
        dets: empty.path().to_owned(),
        ..args
    };
    let error = replay::run(&nothing).unwrap_err().to_string();
    assert!(error.contains("no sequence in this folder"), "{error}");
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
    let summary = run(&ReplayArgs {
        dets: det,
        ..scene.args()
    })
    .unwrap();
    // The ground truth has 22 people in this half; other trackers give 19 to 23 ids.
    assert!((15..=40).contains(&summary.ids), "{} ids", summary.ids);
    assert!(summary.rows > 2000);
}
