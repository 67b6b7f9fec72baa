//! Recorders for tests, and ffprobe to judge what they wrote.

use std::num::NonZeroU64;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gantryd::base::{CameraId, FrameResult, Metrics};
use gantryd::sinks::annotate::{AnnotateOptions, Annotator};
use gantryd::sinks::record::{
    EncoderChoice, RecordOptions, RecordPace, RecordTarget, Recorder, SegmentInfo,
};

use crate::scene;

pub const FRAME_NS: u64 = 40_000_000;

pub fn has_ffmpeg() -> bool {
    let found = Command::new("ffprobe").arg("-version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: ffprobe is not installed");
    }
    found
}

pub fn line(result: &FrameResult) -> String {
    format!("{{\"seq\":{}}}", result.meta.seq.0)
}

pub fn software() -> EncoderChoice {
    EncoderChoice::Named("x264".into())
}

pub fn recorder_with(options: RecordOptions, metrics: &Arc<Metrics>) -> Recorder {
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

pub fn folder(dir: &Path, segment: Duration, bytes: u64) -> RecordOptions {
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

pub fn hour(dir: &Path) -> RecordOptions {
    folder(dir, Duration::from_secs(3600), u64::MAX)
}

/// PTS of every packet in µs, as ffprobe sees them.
pub fn packet_pts(file: &Path) -> Vec<u64> {
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
pub fn decoded_frames(file: &Path) -> u64 {
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
pub fn sidecar(file: &Path) -> Vec<(u64, u64)> {
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

pub fn assert_frame_exact(segment: &SegmentInfo) -> Vec<(u64, u64)> {
    let lines = sidecar(segment.sidecar.as_ref().unwrap());
    let pts: Vec<u64> = lines.iter().map(|(_, pts)| *pts).collect();
    assert_eq!(packet_pts(&segment.path), pts);
    assert_eq!(pts[0], 0);
    assert_eq!(decoded_frames(&segment.path), segment.frames);
    assert_eq!(segment.failure, None);
    lines
}
