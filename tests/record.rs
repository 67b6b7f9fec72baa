//! Recording, seen from outside: the files are judged by ffprobe and ffmpeg.

#[path = "support/scene.rs"]
mod scene;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantryd::base::{CameraId, DropReason, FrameResult, Metrics, PixelFormat, Pts, Stage};
use gantryd::sinks::annotate::{AnnotateOptions, Annotator};
use gantryd::sinks::record::{
    EncoderChoice, Pushed, RecordOptions, RecordPace, RecordTarget, Recorder, SegmentInfo,
};
use scene::Scene;

const FRAME_NS: u64 = 40_000_000;

fn has_ffmpeg() -> bool {
    let found = Command::new("ffprobe").arg("-version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: ffprobe is not installed");
    }
    found
}

fn line(result: &FrameResult) -> String {
    format!("{{\"seq\":{}}}", result.meta.seq.0)
}

fn software() -> EncoderChoice {
    EncoderChoice::Named("x264".into())
}

fn recorder_with(options: RecordOptions, metrics: &Arc<Metrics>) -> Recorder {
    let annotator = Annotator::new(AnnotateOptions::default(), scene::classes());
    Recorder::new(
        options,
        CameraId::new("gate"),
        Box::new(line),
        Some(annotator),
        Arc::clone(metrics),
    )
    .unwrap()
}

fn folder(dir: &Path, segment: Duration, bytes: u64) -> RecordOptions {
    let target = RecordTarget::Folder {
        dir: dir.to_owned(),
        segment,
        segment_bytes: NonZeroU64::new(bytes).unwrap(),
    };
    RecordOptions {
        encoder: software(),
        ..RecordOptions::new(target, RecordPace::Lossless)
    }
}

fn hour(dir: &Path) -> RecordOptions {
    folder(dir, Duration::from_secs(3600), u64::MAX)
}

/// PTS of every packet in µs, as ffprobe sees them.
fn packet_pts(file: &Path) -> Vec<u64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_entries"])
        .args(["packet=pts", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.trim_end_matches(',').parse().unwrap())
        .collect()
}

/// Decodes to the end; gives the number of frames.
fn decoded_frames(file: &Path) -> u64 {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    let count = String::from_utf8_lossy(&output.stdout).into_owned();
    count.trim().trim_end_matches(',').parse().unwrap()
}

/// (seq, PTS in µs) of every line.
fn sidecar(file: &Path) -> Vec<(u64, u64)> {
    std::fs::read_to_string(file)
        .unwrap()
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let nanos = value["segment_pts_ns"].as_u64().unwrap();
            assert_eq!(nanos % 1000, 0);
            (value["seq"].as_u64().unwrap(), nanos / 1000)
        })
        .collect()
}

fn assert_frame_exact(segment: &SegmentInfo) -> Vec<(u64, u64)> {
    let lines = sidecar(segment.sidecar.as_ref().unwrap());
    let pts: Vec<u64> = lines.iter().map(|(_, pts)| *pts).collect();
    assert_eq!(packet_pts(&segment.path), pts);
    assert_eq!(pts[0], 0);
    assert_eq!(decoded_frames(&segment.path), segment.frames);
    assert_eq!(segment.failure, None);
    lines
}

#[test]
fn a_recording_decodes_to_the_end_and_its_sidecar_has_the_same_pts() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let mut recorder = recorder_with(hour(dir.path()), &metrics);
    let scene = Scene::new(640, 360, PixelFormat::Nv12);
    for seq in 0..100 {
        // The first PTS of a run need not be 0.
        let pts = Pts(5_000_000_000 + seq * FRAME_NS);
        assert_eq!(recorder.push(&scene.result(seq, pts)), Pushed::Taken);
    }
    let segments = recorder.finish();
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0].frames, 100);
    let lines = assert_frame_exact(&segments[0]);
    let expected: Vec<(u64, u64)> = (0..100).map(|seq| (seq, seq * FRAME_NS / 1000)).collect();
    assert_eq!(lines, expected);
    let name: PathBuf = dir.path().join("gate_20231114T221325Z.mp4");
    assert_eq!(segments[0].path, name);
}

#[test]
fn a_variable_frame_rate_and_the_last_frame_survive() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let mut recorder = recorder_with(hour(dir.path()), &metrics);
    let scene = Scene::new(320, 240, PixelFormat::I420);
    // Intervals of 7, 33, 120 ms and one pause of 90 s, in nanoseconds that are no whole microseconds.
    let intervals = [
        7_000_123,
        33_333_333,
        120_000_001,
        90_000_000_777u64,
        41_666_667,
    ];
    let mut pts = 0;
    let mut expected = Vec::new();
    for (seq, interval) in (0..50).zip(intervals.iter().cycle()) {
        assert_eq!(recorder.push(&scene.result(seq, Pts(pts))), Pushed::Taken);
        expected.push((seq, pts / 1000));
        pts += interval;
    }
    let segments = recorder.finish();
    assert_eq!(assert_frame_exact(&segments[0]), expected);
}

#[test]
fn odd_and_tiny_pictures_are_recorded_with_the_last_column_repeated() {
    if !has_ffmpeg() {
        return;
    }
    for format in [PixelFormat::Nv12, PixelFormat::I420] {
        for ((width, height), coded) in [
            ((851, 479), "852,480"),
            ((641, 360), "642,360"),
            ((1, 1), "16,16"),
            ((17, 3), "18,16"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let metrics = Metrics::new();
            let mut recorder = recorder_with(hour(dir.path()), &metrics);
            let scene = Scene::new(width, height, format);
            for seq in 0..5 {
                let result = scene.result(seq, Pts(seq * FRAME_NS));
                assert_eq!(recorder.push(&result), Pushed::Taken);
            }
            let segments = recorder.finish();
            assert_frame_exact(&segments[0]);
            let size = Command::new("ffprobe")
                .args(["-v", "error", "-show_entries", "stream=width,height"])
                .args(["-of", "csv=p=0"])
                .arg(&segments[0].path)
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&size.stdout).trim(), coded);
        }
    }
}

#[test]
fn a_new_segment_begins_after_its_time_and_every_frame_is_in_one() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let options = folder(dir.path(), Duration::from_secs(2), u64::MAX);
    let mut recorder = recorder_with(options, &metrics);
    let scene = Scene::new(320, 240, PixelFormat::Nv12);
    for seq in 0..120 {
        let result = scene.result(seq, Pts(seq * FRAME_NS));
        assert_eq!(recorder.push(&result), Pushed::Taken);
    }
    let mut segments = recorder.finish();
    segments.sort_by(|a, b| a.path.cmp(&b.path));
    // 25 fps: 50 frames in 2 s.
    let frames: Vec<u64> = segments.iter().map(|segment| segment.frames).collect();
    assert_eq!(frames, [50, 50, 20]);
    let mut seqs = Vec::new();
    for segment in &segments {
        seqs.extend(assert_frame_exact(segment).iter().map(|(seq, _)| *seq));
    }
    assert_eq!(seqs, (0..120).collect::<Vec<u64>>());
}

#[test]
fn a_new_segment_begins_when_the_bytes_are_reached() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let limit = 60_000;
    let options = folder(dir.path(), Duration::from_secs(3600), limit);
    let mut recorder = recorder_with(options, &metrics);
    let scene = Scene::new(640, 360, PixelFormat::Nv12);
    for seq in 0..150 {
        recorder.push(&scene.result(seq, Pts(seq * FRAME_NS)));
    }
    let segments = recorder.finish();
    assert!(segments.len() >= 3, "{segments:?}");
    assert_eq!(segments.iter().map(|it| it.frames).sum::<u64>(), 150);
    for segment in &segments {
        assert_frame_exact(segment);
        // At most the queue larger: 3 frames and the one in the encoder, of some 15 kB at the most.
        assert!(segment.bytes < limit + 60_000, "{segment:?}");
    }
}

#[test]
fn another_size_or_run_begins_another_segment() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let mut recorder = recorder_with(hour(dir.path()), &metrics);
    let small = Scene::new(320, 240, PixelFormat::Nv12);
    let large = Scene::new(640, 480, PixelFormat::Nv12);
    let mut again = large.clone();
    again.run = gantryd::base::RunId(2);
    for (scene, from) in [(&small, 0), (&large, 10), (&again, 0)] {
        for seq in from..from + 10 {
            let result = scene.result(seq, Pts(seq * FRAME_NS));
            assert_eq!(recorder.push(&result), Pushed::Taken);
        }
    }
    let segments = recorder.finish();
    assert_eq!(segments.len(), 3);
    for segment in &segments {
        assert_eq!(segment.frames, 10);
        assert_frame_exact(segment);
    }
}

#[test]
fn a_one_shot_is_one_file_without_sidecar_even_over_a_new_run() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out/clip.mp4");
    let options = RecordOptions {
        encoder: software(),
        ..RecordOptions::new(RecordTarget::File(file.clone()), RecordPace::Lossless)
    };
    let metrics = Metrics::new();
    let mut recorder = recorder_with(options, &metrics);
    let first = Scene::new(320, 240, PixelFormat::Nv12);
    let mut second = first.clone();
    second.run = gantryd::base::RunId(2);
    for scene in [&first, &second] {
        for seq in 0..10 {
            recorder.push(&scene.result(seq, Pts(seq * FRAME_NS)));
        }
    }
    let segments = recorder.finish();
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0].path, file);
    assert_eq!(segments[0].sidecar, None);
    let expected: Vec<u64> = (0..20).map(|seq| seq * FRAME_NS / 1000).collect();
    assert_eq!(packet_pts(&file), expected);
    assert_eq!(decoded_frames(&file), 20);
    assert_eq!(
        std::fs::read_dir(dir.path().join("out")).unwrap().count(),
        1
    );
}

/// Mounts a small disk, or says why it cannot.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("SKIPPED: cannot mount a tmpfs here (not root?)");
        }
        mounted.then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .output()
            .unwrap();
    }
}

fn dropped(metrics: &Metrics, reason: DropReason) -> u64 {
    metrics.results_dropped(&CameraId::new("gate"), Stage::Record, reason)
}

/// Pushes frames until `done`, for at most 30 s.
fn push_until(
    recorder: &mut Recorder,
    scene: &Scene,
    seq: &mut u64,
    what: &str,
    mut done: impl FnMut(&mut Recorder, Pushed) -> bool,
) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let pushed = recorder.push(&scene.result(*seq, Pts(*seq * FRAME_NS)));
        *seq += 1;
        if done(recorder, pushed) {
            return;
        }
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
    }
}

#[test]
fn a_full_disk_pauses_recording_and_spares_what_is_on_it() {
    if !has_ffmpeg() {
        return;
    }
    let Some(disk) = SmallDisk::mount("size=1m") else {
        return;
    };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 400_000]).unwrap();
    let metrics = Metrics::new();
    let options = RecordOptions {
        quality: 10,
        ..hour(disk.0.path())
    };
    let mut recorder = recorder_with(options, &metrics);
    let scene = Scene::new(640, 360, PixelFormat::Nv12);
    let mut seq = 0;
    let failed = Pushed::Dropped(DropReason::SinkFailed);
    push_until(&mut recorder, &scene, &mut seq, "disk full", |_, pushed| {
        pushed == failed
    });
    let text = recorder.failure().unwrap().to_owned();
    assert!(text.contains("gate_20231114T22"), "{text}");
    assert!(text.to_lowercase().contains("no space left"), "{text}");
    assert_eq!(dropped(&metrics, DropReason::SinkFailed), 1);

    let mut first = Vec::new();
    push_until(
        &mut recorder,
        &scene,
        &mut seq,
        "segment closed",
        |recorder, pushed| {
            assert_eq!(pushed, failed);
            first.extend(recorder.finished_segments());
            !first.is_empty()
        },
    );
    assert!(first[0].failure.is_some());
    // What had been finished before the disk was full still decodes.
    assert!(packet_pts(&first[0].path).len() >= 25, "{first:?}");

    std::fs::remove_file(&ballast).unwrap();
    std::fs::remove_file(&first[0].path).unwrap();
    push_until(
        &mut recorder,
        &scene,
        &mut seq,
        "recording again",
        |recorder, pushed| pushed == Pushed::Taken && recorder.failure().is_none(),
    );
    let segments = recorder.finish();
    assert_frame_exact(segments.last().unwrap());
}

#[test]
fn a_read_only_disk_is_reported_with_its_path() {
    let Some(disk) = SmallDisk::mount("size=1m,ro") else {
        return;
    };
    assert_cannot_record(disk.0.path(), "Read-only file system");
}

#[test]
fn a_folder_that_cannot_be_made_is_reported_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert_cannot_record(&file.join("below"), "Not a directory");
}

fn assert_cannot_record(folder: &Path, why: &str) {
    let metrics = Metrics::new();
    let mut recorder = recorder_with(hour(folder), &metrics);
    let scene = Scene::new(320, 240, PixelFormat::Nv12);
    for seq in 0..3 {
        let pushed = recorder.push(&scene.result(seq, Pts(seq * FRAME_NS)));
        assert_eq!(pushed, Pushed::Dropped(DropReason::SinkFailed));
    }
    let text = recorder.failure().unwrap().to_owned();
    assert!(
        text.contains(folder.to_str().unwrap()) && text.contains(why),
        "{text}"
    );
    assert_eq!(dropped(&metrics, DropReason::SinkFailed), 3);
    assert_eq!(recorder.finish(), []);
}

#[test]
fn a_folder_that_vanished_is_made_again_for_the_next_segment() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let folder_path = dir.path().join("videos");
    let metrics = Metrics::new();
    let options = folder(&folder_path, Duration::from_secs(1), u64::MAX);
    let mut recorder = recorder_with(options, &metrics);
    let scene = Scene::new(320, 240, PixelFormat::Nv12);
    for seq in 0..40 {
        if seq == 10 {
            std::fs::remove_dir_all(&folder_path).unwrap();
        }
        let result = scene.result(seq, Pts(seq * FRAME_NS));
        assert_eq!(recorder.push(&result), Pushed::Taken);
    }
    let segments = recorder.finish();
    let second = segments
        .iter()
        .find(|segment| segment.path.exists())
        .unwrap();
    assert_eq!(assert_frame_exact(second).len(), 15);
}

#[test]
fn a_live_recording_drops_and_counts_what_the_encoder_cannot_take() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let options = RecordOptions {
        pace: RecordPace::Live,
        preset: "veryslow".into(),
        ..hour(dir.path())
    };
    let mut recorder = recorder_with(options, &metrics);
    let scene = Scene::new(1280, 720, PixelFormat::Nv12);
    let result = scene.result(0, Pts(0));
    let mut taken = 0;
    for seq in 0..300 {
        let mut result = result.clone();
        // Same picture: pushing must be much faster than encoding.
        let mut frame = (**result.frame.as_ref().unwrap()).clone();
        result.meta.seq = gantryd::base::FrameSeq(seq);
        frame.meta.pts = Pts(seq * FRAME_NS);
        result.frame = Some(Arc::new(frame));
        match recorder.push(&result) {
            Pushed::Taken => taken += 1,
            Pushed::Dropped(reason) => assert_eq!(reason, DropReason::EncoderSlow),
        }
    }
    let slow = dropped(&metrics, DropReason::EncoderSlow);
    assert!(slow > 0, "the encoder kept up; nothing was shown");
    assert_eq!(taken + slow, 300);
    let segments = recorder.finish();
    assert_eq!(segments[0].frames, taken);
    assert_eq!(assert_frame_exact(&segments[0]).len() as u64, taken);
}

const KILLED_DIR: &str = "GANTRYD_TEST_KILLED_DIR";

/// Not a test of its own: the process that is killed.
#[test]
#[ignore = "the child of what_was_finished_before_a_kill_plays"]
fn records_until_killed() {
    let Ok(dir) = std::env::var(KILLED_DIR) else {
        return;
    };
    let metrics = Metrics::new();
    let mut recorder = recorder_with(hour(Path::new(&dir)), &metrics);
    let scene = Scene::new(640, 360, PixelFormat::Nv12);
    for seq in 0.. {
        recorder.push(&scene.result(seq, Pts(seq * FRAME_NS)));
    }
}

#[test]
fn what_was_finished_before_a_kill_plays() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "records_until_killed", "--ignored"])
        .env(KILLED_DIR, dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let stem = dir.path().join("gate_20231114T221320Z");
    let sidecar_file = stem.with_extension("jsonl");
    let deadline = Instant::now() + Duration::from_secs(60);
    // Kill it in the midst of its work: after 400 lines, 16 s of video.
    while std::fs::read_to_string(&sidecar_file).map_or(0, |text| text.lines().count()) < 400 {
        assert!(Instant::now() < deadline, "the child records nothing");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let file = stem.with_extension("mp4");
    let text = std::fs::read_to_string(&sidecar_file).unwrap();
    let encoded = text.matches('\n').count() as u64;
    let readable = decoded_frames(&file);
    // A fragment is 1 s = 25 frames; 1.5 s allows for the one being written.
    assert!(
        readable + 38 >= encoded,
        "{readable} of {encoded} frames play"
    );
    let whole = &text[..=text.rfind('\n').unwrap()];
    std::fs::write(&sidecar_file, whole).unwrap();
    let lines = sidecar(&sidecar_file);
    let pts: Vec<u64> = lines.iter().map(|(_, pts)| *pts).collect();
    let in_file = packet_pts(&file);
    assert_eq!(in_file, pts[..in_file.len()]);
}

#[test]
fn an_encoder_that_is_not_there_is_refused_with_what_was_tried() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = |name: &str| {
        let options = RecordOptions {
            encoder: EncoderChoice::Named(name.into()),
            ..hour(dir.path())
        };
        let camera = CameraId::new("gate");
        let made = Recorder::new(options, camera, Box::new(line), None, Metrics::new());
        made.err().map(|error| error.to_string())
    };
    let text = refusal("theora").unwrap();
    assert!(
        text.contains("theora") && text.contains("x264, openh264"),
        "{text}"
    );
    if let Some(text) = refusal("nv") {
        assert!(text.contains("nv"), "{text}");
    }
}

#[test]
fn openh264_and_auto_record_as_well() {
    if !has_ffmpeg() {
        return;
    }
    for choice in [EncoderChoice::Auto, EncoderChoice::Named("openh264".into())] {
        let dir = tempfile::tempdir().unwrap();
        let options = RecordOptions {
            encoder: choice,
            ..hour(dir.path())
        };
        let metrics = Metrics::new();
        let mut recorder = recorder_with(options, &metrics);
        let scene = Scene::new(640, 360, PixelFormat::Nv12);
        for seq in 0..60 {
            let result = scene.result(seq, Pts(seq * FRAME_NS));
            assert_eq!(recorder.push(&result), Pushed::Taken);
        }
        let segments = recorder.finish();
        assert_eq!(segments[0].frames, 60);
        assert_frame_exact(&segments[0]);
    }
}
