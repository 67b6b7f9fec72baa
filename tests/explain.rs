//! `gantryd explain` on replays whose story is known.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its scene cannot be set"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use gantryd::app::explain::{self, ExplainArgs, Explanation, Moment, MomentKind};
use gantryd::app::replay::{self, ReplayArgs};

/// Replays these detections at 25 fps into `out.txt` of a new folder.
fn replayed(detections: &str, decisions: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dets = folder.path().join("walk.txt");
    fs::write(&dets, detections).unwrap();
    replay::run(&ReplayArgs {
        dets,
        out: folder.path().join("out.txt"),
        gmc: None,
        fps: Some(25.0),
        size: None,
        decisions,
    })
    .unwrap();
    folder
}

fn args(results: PathBuf, track: Option<u64>, frame: Option<u64>) -> ExplainArgs {
    ExplainArgs {
        results,
        track,
        frame,
        json: false,
        video: None,
        strip: None,
    }
}

fn life(folder: &Path, track: u64) -> Vec<Moment> {
    let explained = explain::run(&args(folder.join("out.txt"), Some(track), None)).unwrap();
    match explained {
        Explanation::Track(story) => story.moments,
        Explanation::Frame(_) => panic!("a track was asked for"),
    }
}

fn kinds(moments: &[Moment]) -> Vec<(MomentKind, u64, u64)> {
    let kind = |moment: &Moment| (moment.kind, moment.frame, moment.to_frame);
    moments.iter().map(kind).collect()
}

fn error(args: &ExplainArgs, folder: &Path) -> String {
    let error = explain::run(args).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.display()), "")
}

/// One object to the right; another one downwards that is not detected in frames 20 to 24.
fn hidden() -> String {
    let mut text = String::new();
    for frame in 1..=40 {
        let moved = f64::from(frame) * 4.0;
        writeln!(text, "{frame},-1,{},100,60,120,0.90", 50.0 + moved).unwrap();
        if !(20..=24).contains(&frame) {
            writeln!(text, "{frame},-1,900,{},80,60,0.80", 20.0 + moved).unwrap();
        }
    }
    text
}

/// One object that jumps down by three quarters of its height in frame 20.
fn jumping() -> String {
    let mut text = String::new();
    for frame in 1..=100 {
        let top = if frame < 20 { 100 } else { 190 };
        writeln!(text, "{frame},-1,300,{top},60,120,0.90").unwrap();
    }
    text
}

/// A walker who passes behind a standing one and is not detected meanwhile.
fn passing() -> String {
    let mut text = String::new();
    for frame in 1..=60 {
        let left = f64::from(frame) * 6.0;
        writeln!(text, "{frame},-1,200,100,60,120,0.95").unwrap();
        if (left - 200.0).abs() > 40.0 {
            writeln!(text, "{frame},-1,{left},96,60,120,0.85").unwrap();
        }
    }
    text
}

#[test]
fn a_hidden_object_is_born_confirmed_coasts_and_recovers() {
    use MomentKind::{Born, Coasted, Confirmed, Ended, Recovered};
    let folder = replayed(&hidden(), true);
    let moments = life(folder.path(), 2);
    assert_eq!(
        kinds(&moments),
        [
            (Born, 1, 1),
            (Confirmed, 2, 2),
            (Coasted, 20, 24),
            (Recovered, 25, 25),
            (Ended, 40, 40)
        ]
    );
    assert_eq!(
        moments[0].text,
        "box 1 (score 0.80, 80x60 at 900,24) was nobody's; from 0.62 on one starts a track"
    );
    assert!(
        moments[2].text.contains("no box near in 5"),
        "{}",
        moments[2].text
    );
    // Frame 25 is six frame times, 0.24 s, after frame 19.
    assert!(
        moments[3].text.starts_with("after 0.24 s: box 1 "),
        "{}",
        moments[3].text
    );
    assert_eq!(moments[4].text, "the run ended");
    // The other object's life holds nothing but its beginning and end.
    assert_eq!(life(folder.path(), 1).len(), 3);
}

#[test]
fn an_object_that_jumped_out_of_its_gate_is_told_as_a_split() {
    let folder = replayed(&jumping(), true);
    let moments = life(folder.path(), 1);
    let split = moments
        .iter()
        .find(|moment| moment.kind == MomentKind::Split);
    let split = split.unwrap();
    assert_eq!(split.frame, 20);
    // 30 of 120 rows shared: IoU 30 / 210.
    assert!(
        split.text.starts_with("#2 began on box 0 "),
        "{}",
        split.text
    );
    assert!(split.text.contains("IoU 0.14"), "{}", split.text);
    let coasted = moments
        .iter()
        .find(|moment| moment.kind == MomentKind::Coasted);
    let text = &coasted.unwrap().text;
    assert!(text.contains("below the gate in "), "{text}");
    assert!(text.contains("not above the gate 0.05"), "{text}");
    let last = moments.last().unwrap();
    assert_eq!(last.kind, MomentKind::Ended);
    assert!(last.text.starts_with("lost: "), "{}", last.text);
}

#[test]
fn a_box_that_went_to_another_track_is_told_with_both_bids() {
    let folder = replayed(&passing(), true);
    let moments = life(folder.path(), 2);
    let coasted = moments
        .iter()
        .find(|moment| moment.kind == MomentKind::Coasted);
    let coasted = coasted.unwrap();
    assert!(
        coasted.text.contains("taken by another track in "),
        "{}",
        coasted.text
    );
    assert!(
        coasted.text.contains("went to #1 at 0.9"),
        "{}",
        coasted.text
    );
    let frame = coasted.best_frame;
    let results = folder.path().join("out.txt");
    let whole = explain::run(&args(results.clone(), None, Some(frame))).unwrap();
    let whole = whole.to_string();
    assert!(
        whole.contains("#1 is given box 0 ") && whole.contains("#2 is not seen"),
        "{whole}"
    );
    let own = explain::run(&args(results, Some(2), Some(frame)))
        .unwrap()
        .to_string();
    assert!(
        own.contains("#2 is not seen") && !own.contains("#1 is given"),
        "{own}"
    );
}

#[test]
fn recording_changes_no_track_and_gives_the_same_bytes_again() {
    let read = |folder: &tempfile::TempDir, name| fs::read(folder.path().join(name)).unwrap();
    for detections in [hidden(), jumping(), passing()] {
        let (with, again) = (replayed(&detections, true), replayed(&detections, true));
        let without = replayed(&detections, false);
        assert!(read(&with, "out.txt") == read(&without, "out.txt"));
        assert!(!without.path().join("out.decisions.jsonl").exists());
        let log = "out.decisions.jsonl";
        assert!(read(&with, log) == read(&again, log));
    }
}

#[test]
fn what_is_not_there_is_named_with_the_remedy() {
    let folder = replayed(&hidden(), false);
    let (path, results) = (folder.path(), folder.path().join("out.txt"));
    assert_eq!(
        error(&args(results.clone(), Some(1), None), path),
        "out.txt: recorded without decisions, there is no out.decisions.jsonl; record again with \
         --decisions (track, replay) or output.decisions = true (run)"
    );
    let nowhere = error(&args(path.join("no.jsonl"), Some(1), None), path);
    assert!(
        nowhere.starts_with("no.jsonl: no such file or folder"),
        "{nowhere}"
    );
    let folder = replayed(&hidden(), true);
    let (path, results) = (folder.path(), folder.path().join("out.txt"));
    assert_eq!(
        error(&args(results.clone(), Some(7), None), path),
        "out.decisions.jsonl: no track 7 in 40 frames; there are 1 to 2"
    );
    assert_eq!(
        error(&args(results.clone(), None, Some(0)), path),
        "out.decisions.jsonl: no frame 0; there are 1 to 40"
    );
    let log = path.join("out.decisions.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replace("decisions.v1", "decisions.v9")).unwrap();
    // The first line of another version parses; what it says is not trusted.
    let other = error(&args(results.clone(), Some(1), None), path);
    assert!(
        other.contains("schema is \"gantryd.decisions.v9\""),
        "{other}"
    );
    fs::write(&log, "frame,id\n1,2\n").unwrap();
    let none = error(&args(results, Some(1), None), path);
    assert!(
        none.starts_with("out.decisions.jsonl:1: no line of a decision log"),
        "{none}"
    );
}

#[test]
fn a_log_that_is_being_written_is_told_as_far_as_it_goes() {
    let folder = replayed(&hidden(), true);
    let log = folder.path().join("out.decisions.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let half = format!("{}\n{}", lines[..30].join("\n"), &lines[30][..50]);
    fs::write(&log, half).unwrap();
    let moments = life(folder.path(), 2);
    assert_eq!(moments.last().unwrap().kind, MomentKind::Alive);
    assert_eq!(moments.last().unwrap().frame, 30);
}

#[test]
fn of_appended_recordings_the_last_one_with_the_track_is_told() {
    let folder = replayed(&hidden(), true);
    let log = folder.path().join("out.decisions.jsonl");
    let first = fs::read_to_string(&log).unwrap();
    let other = fs::read_to_string(
        replayed(&jumping(), true)
            .path()
            .join("out.decisions.jsonl"),
    );
    fs::write(&log, first + &other.unwrap()).unwrap();
    let moments = life(folder.path(), 1);
    assert!(
        moments
            .iter()
            .any(|moment| moment.kind == MomentKind::Split)
    );
}

#[test]
fn a_strip_shows_the_track_where_it_was() {
    // The fixture street.mp4 has 640x360 pixels; a replay's frame 1 is the video's first.
    let folder = replayed(&hidden(), true);
    let strip = folder.path().join("strip.png");
    let street = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/street.mp4");
    let with = ExplainArgs {
        video: Some(street.clone()),
        strip: Some(strip.clone()),
        ..args(folder.path().join("out.txt"), Some(1), None)
    };
    let explained = explain::run(&with).unwrap();
    let Explanation::Track(story) = &explained else {
        panic!("a track was asked for");
    };
    // Born and confirmed are shown; at the end of the run there is no place.
    assert_eq!(story.pictures, [0, 1]);
    assert!(explained.to_string().contains("born         [1] box 0"));
    let picture = image::open(&strip).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (404, 200));
    // The box is 120 of 192 px high: its line begins at 36 / 192 of 200 px, row 37.5.
    let line = picture.get_pixel(100, 38);
    assert_eq!(line.0, [80, 220, 100]);
    let dark = picture.get_pixel(201, 100);
    assert_eq!(dark.0, [0, 0, 0]);

    let mut long = String::new();
    for frame in 400..=402 {
        writeln!(long, "{frame},-1,100,100,60,120,0.90").unwrap();
    }
    let folder = replayed(&long, true);
    let with = ExplainArgs {
        results: folder.path().join("out.txt"),
        ..with
    };
    let error = explain::run(&with).unwrap_err().to_string();
    assert!(
        error.contains("frame 401 is to be shown; name the file that was tracked"),
        "{error}"
    );
}

#[test]
fn the_command_prints_a_timeline_and_json() {
    let folder = replayed(&hidden(), true);
    let run = |more: &[&str]| {
        let mut command = Command::cargo_bin("gantryd").unwrap();
        command.arg("explain").arg(folder.path()).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&["--track", "2"]);
    assert!(
        text.contains("    0.760 s        20-24  coasted      "),
        "{text}"
    );
    let value: serde_json::Value = serde_json::from_str(&run(&["--track", "2", "--json"])).unwrap();
    assert_eq!(value["schema"], "gantryd.explain.v1");
    assert_eq!(value["moments"][2]["kind"], "coasted");
    let value: serde_json::Value =
        serde_json::from_str(&run(&["--frame", "22", "--json"])).unwrap();
    assert_eq!(value["frame"]["tracks"][1]["unseen_secs"], 0.12);
}

#[test]
fn results_made_again_without_decisions_leave_no_log_of_the_earlier_ones() {
    let folder = replayed(&hidden(), true);
    let log = folder.path().join("out.decisions.jsonl");
    assert!(log.exists());
    replay::run(&ReplayArgs {
        dets: folder.path().join("walk.txt"),
        out: folder.path().join("out.txt"),
        gmc: None,
        fps: Some(25.0),
        size: None,
        decisions: false,
    })
    .unwrap();
    assert!(!log.exists());
}

#[test]
fn a_full_log_that_was_put_away_is_explained_by_its_name() {
    let folder = replayed(&hidden(), true);
    let full = folder.path().join("out.decisions_20260301T120000Z.jsonl");
    fs::rename(folder.path().join("out.decisions.jsonl"), &full).unwrap();
    for named in [full.clone(), folder.path().to_owned()] {
        let explained = explain::run(&args(named, Some(1), None)).unwrap();
        assert!(matches!(explained, Explanation::Track(story) if !story.moments.is_empty()));
    }
}
