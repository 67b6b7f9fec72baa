//! What is private is in no recording: a whole run of the daemon over a film, decoded again.

#![expect(
    clippy::print_stderr,
    reason = "a test tells by failing, and why it is skipped"
)]

use std::path::Path;
use std::time::Duration;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// Luma of every frame of a film, scaled to 160x90, one after the other.
fn decoded(film: &Path) -> Option<Vec<u8>> {
    let output = std::process::Command::new("ffmpeg")
        .args(["-loglevel", "error", "-i"])
        .arg(film)
        .args([
            "-vf",
            "scale=160:90",
            "-pix_fmt",
            "gray",
            "-f",
            "rawvideo",
            "-",
        ])
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: no ffmpeg to look into the recording (apt-get install ffmpeg)");
        return None;
    };
    Some(output.stdout)
}

#[test]
fn what_is_behind_a_mask_is_in_no_frame_of_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("site.toml");
    let text = format!(
        "[detect]\nmodel = \"{FIXTURES}/models/shapes.onnx\"\n\
         [output]\nfolder = \"out\"\n[record]\nencoder = \"x264\"\ntrail_secs = 0\n\
         [metrics]\nlisten = \"off\"\n\
         [[cameras]]\nid = \"street\"\nuri = \"{FIXTURES}/street.mp4\"\n\
         [cameras.privacy]\nhow = \"fill\"\n\
         [[cameras.masks]]\npolygon_norm = [[0, 0], [0.33, 0], [0.33, 1], [0, 1]]\n"
    );
    std::fs::write(&config, text).unwrap();
    assert_cmd::Command::cargo_bin("gantryd")
        .unwrap()
        .args(["run", "--config", config.to_str().unwrap()])
        .timeout(Duration::from_secs(120))
        .assert()
        .success();
    let films: Vec<_> = std::fs::read_dir(folder.path().join("out/street"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "mp4"))
        .collect();
    assert_eq!(films.len(), 1, "{films:?}");
    let (Some(hidden), Some(source)) = (
        decoded(&films[0]),
        decoded(Path::new(&format!("{FIXTURES}/street.mp4"))),
    ) else {
        return;
    };
    // Boxes and labels are drawn over what is hidden: most of the area is grey, in every frame.
    let grey_share = |frame: &[u8], columns: std::ops::Range<usize>| {
        let rows = (30..80).map(|row| &frame[row * 160..][columns.clone()]);
        let pixels: Vec<u8> = rows.flatten().copied().collect();
        let grey = pixels.iter().filter(|level| level.abs_diff(128) <= 12);
        grey.count() as f64 / pixels.len() as f64
    };
    let frames = hidden.as_chunks::<{ 160 * 90 }>().0;
    assert!(frames.len() > 50, "{} frames", frames.len());
    for frame in frames {
        assert!(grey_share(frame, 2..48) > 0.7);
        assert!(grey_share(frame, 70..158) < 0.5, "the rest stays");
    }
    let source = source.as_chunks::<{ 160 * 90 }>().0;
    assert!(source.iter().all(|frame| grey_share(frame, 2..48) < 0.5));
}
