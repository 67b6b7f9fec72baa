//! Files and folders: every frame arrives once, and bad files end with words for the operator.

#[path = "support/camera_run.rs"]
mod camera_run;

use std::path::Path;
use std::process::Command;

use camera_run::{options, read_all, video};
use gantryd::base::{FrameSeq, Pts, RunEnd, RunId, Size, UtcSource};
use gantryd::capture::Source;

/// Presentation times of the frames of a file in seconds, by ffprobe.
fn probed_times(path: &Path) -> Vec<f64> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "frame=pts_time",
            "-of",
            "csv=p=0",
        ])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect()
}

/// Reads `path`; its frames must be those that ffprobe finds, numbered 0.., `size` large.
fn assert_every_frame(path: &Path, size: (u32, u32)) {
    let expected = probed_times(path);
    let (log, end, balance) = read_all(options(Source::File(path.to_owned())));
    let name = path.display();
    assert!(end.error.is_none(), "{name}: {end:?}");
    assert_eq!(end.reason, RunEnd::EndOfFile, "{name}");
    assert_eq!(log.ends, [(RunId(1), RunEnd::EndOfFile)], "{name}");
    assert_eq!(log.frames.len(), expected.len(), "{name}");
    assert_eq!(balance.dropped, 0, "{name}");
    for (index, (frame, time)) in log.frames.iter().zip(&expected).enumerate() {
        let Pts(pts) = frame.meta.pts;
        let expected_pts = (time - expected[0]) * 1e9;
        // Containers round to their own clock, at worst 1 ms (Matroska).
        assert!(
            (pts as f64 - expected_pts).abs() < 1.5e6,
            "{name}: frame {index} at {pts}, expected {expected_pts}"
        );
        assert_eq!(frame.meta.seq, FrameSeq(index as u64));
        assert_eq!(
            (frame.meta.size.width, frame.meta.size.height),
            size,
            "{name}"
        );
    }
    let mut sums: Vec<u64> = log.frames.iter().map(|frame| frame.checksum).collect();
    sums.dedup();
    // One pixel of one colour says nothing.
    let distinct = if size == (1, 1) { 1 } else { expected.len() };
    assert_eq!(sums.len(), distinct, "{name}: a picture came twice");
}

const TESTSRC: &str = "testsrc2=s=320x180:r=25:d=2";

#[test]
fn every_frame_of_every_kind_of_file_arrives_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let kinds: [(&str, &str, &[&str], (u32, u32)); 15] = [
        ("h264.mp4", TESTSRC, &["-c:v", "libx264"], (320, 180)),
        (
            "h264.mkv",
            TESTSRC,
            &["-c:v", "libx264", "-bf", "3"],
            (320, 180),
        ),
        ("h264.ts", TESTSRC, &["-c:v", "libx264"], (320, 180)),
        (
            "h265.mp4",
            TESTSRC,
            &["-c:v", "libx265", "-x265-params", "log-level=error"],
            (320, 180),
        ),
        (
            "vp9.webm",
            TESTSRC,
            &["-c:v", "libvpx-vp9", "-deadline", "realtime"],
            (320, 180),
        ),
        ("mpeg4.avi", TESTSRC, &["-c:v", "mpeg4"], (320, 180)),
        ("mjpeg.avi", TESTSRC, &["-c:v", "mjpeg"], (320, 180)),
        ("gbrp.mp4", TESTSRC, &["-c:v", "libx264rgb"], (320, 180)),
        (
            "yuy2.avi",
            TESTSRC,
            &["-c:v", "rawvideo", "-pix_fmt", "yuyv422"],
            (320, 180),
        ),
        (
            "ten_bit.mp4",
            TESTSRC,
            &["-c:v", "libx264", "-pix_fmt", "yuv420p10le"],
            (320, 180),
        ),
        (
            "yuv444.mp4",
            TESTSRC,
            &["-c:v", "libx264", "-pix_fmt", "yuv444p"],
            (320, 180),
        ),
        (
            "odd.mkv",
            "testsrc2=s=640x360:r=25:d=1,format=rgb24,pad=641:361",
            &["-c:v", "ffv1", "-pix_fmt", "yuv420p"],
            (641, 361),
        ),
        (
            "interlaced.mp4",
            TESTSRC,
            &["-c:v", "libx264", "-flags", "+ildct+ilme"],
            (320, 180),
        ),
        (
            "one_pixel.avi",
            "testsrc2=s=64x64:r=5:d=1,scale=1:1",
            &["-c:v", "rawvideo", "-pix_fmt", "bgr24"],
            (1, 1),
        ),
        (
            "uhd8k.mp4",
            "testsrc2=s=7680x4320:r=5:d=0.6",
            &["-c:v", "libx264", "-preset", "ultrafast"],
            (7680, 4320),
        ),
    ];
    for (name, input, output, size) in kinds {
        if let Some(path) = video(folder, name, input, output) {
            eprintln!("{name}");
            assert_every_frame(&path, size);
        }
    }
}
