//! What `gantryd check` tells about pipelines, devices, classes and encoders.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and tells what it skips"
)]

use std::path::{Path, PathBuf};

use gantryd::app::check::deeper_faults;
use gantryd::app::config::Config;
use gantryd::app::{models, resolve};
use gantryd::perception::detect::{DetectError, Detector};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Faults of a configuration whose folder is that of the project's pipelines, one per line.
fn faults(text: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/site.toml");
    let config = Config::from_text(text, &file).unwrap();
    let faults = deeper_faults(&config);
    faults.iter().map(ToString::to_string).collect()
}

fn has_runtime() -> bool {
    let options = resolve::detect_from_config(&Config::default());
    let files = models::by_file(&fixture("models/shapes.onnx"));
    let is_there = !matches!(
        Detector::open(&files, &options),
        Err(DetectError::Runtime(_))
    );
    if !is_there {
        eprintln!("SKIPPED: no ONNX Runtime here");
    }
    is_there
}

fn site(cameras: &str, rest: &str) -> String {
    let model = fixture("models/shapes.onnx");
    format!("{cameras}\n[detect]\nmodel = {model:?}\n{rest}")
}

const GATE: &str = "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n";
const YARD: &str = "[[cameras]]\nid = \"yard\"\nuri = \"/dev/video-none\"\n";

#[test]
fn a_copy_of_a_built_in_pipeline_is_accepted() {
    if !has_runtime() {
        return;
    }
    let camera = format!("{GATE}pipeline = \"capture-rtsp.gst\"\n");
    let none: [String; 0] = [];
    assert_eq!(faults(&site(&camera, "[record]\nencoder = \"x264\"")), none);
}

#[test]
fn every_fault_is_told_at_once_with_its_key() {
    if !has_runtime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.gst");
    std::fs::write(&own, "videotestsrc ! nosuchelement name=frames").unwrap();
    let cameras = format!(
        "{GATE}pipeline = {own:?}\nclasses = [\"CAR\", \"zeppelin\"]\n\
         [[cameras.lines]]\nname = \"stop\"\nline_norm = [[0.1, 0.5], [0.9, 0.5]]\nclasses = [\"blimp\"]\n\
         {YARD}classes = []\n"
    );
    let found = faults(&site(
        &cameras,
        "classes = [\"airship\"]\n[record]\nencoder = \"nv\"\n",
    ));
    let keys: Vec<&str> = found
        .iter()
        .filter_map(|fault| fault.split(": ").next())
        .collect();
    let expected = [
        "cameras[0].pipeline",
        "cameras[1].uri",
        "detect.classes",
        "cameras[0].classes",
        "cameras[0].\"stop\".classes",
    ];
    assert_eq!(keys[..5], expected, "{found:#?}");
    assert!(found[0].contains("no element \"nosuchelement\""));
    assert!(found[1].contains("/dev/video-none: no such device"));
    assert!(found[3].contains("no class \"zeppelin\""));
    assert!(found[4].contains("no class \"blimp\""));
    // A machine with that hardware has one fault less.
    if gstreamer::ElementFactory::find("nvh264enc").is_none() {
        assert_eq!(keys.get(5), Some(&"record.encoder"), "{found:#?}");
    }
}

#[test]
fn a_pipeline_without_frames_and_a_device_that_is_absent_are_both_told() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.gst");
    std::fs::write(&own, "# nothing\nvideotestsrc ! fakesink").unwrap();
    let found = faults(&site(&format!("{YARD}pipeline = {own:?}\n"), ""));
    assert!(found[0].starts_with("cameras[0].uri: "), "{found:#?}");
    assert!(
        found[1].starts_with("cameras[0].pipeline: ") && found[1].contains("appsink"),
        "{found:#?}"
    );
}
