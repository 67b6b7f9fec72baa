//! Recording, seen from outside: the files are judged by ffprobe and ffmpeg.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says when it skips"
)]

#[path = "support/recording.rs"]
mod recording;
#[path = "support/scene.rs"]
mod scene;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use gantryd::base::{CameraId, Metrics, PixelFormat, Pts};
use gantryd::sinks::record::{
    EncoderChoice, Pushed, RecordOptions, RecordPace, RecordTarget, Recorder,
};
use recording::{
    FRAME_NS, assert_frame_exact, decoded_frames, folder, has_ffmpeg, hour, line, packet_pts,
    recorder_with, software,
};
use scene::Scene;

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
