//! Recording when things go wrong: full disk, read-only disk, slow encoder, kill -9.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says when it skips"
)]

#[path = "support/recording.rs"]
mod recording;
#[path = "support/scene.rs"]
mod scene;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantryd::base::{CameraId, DropReason, Metrics, PixelFormat, Pts, Stage};
use gantryd::sinks::record::{ENCODER_THREAD, Pushed, RecordOptions, RecordPace, Recorder};
use recording::{
    FRAME_NS, assert_frame_exact, decoded_frames, folder, has_ffmpeg, hour, packet_pts,
    recorder_with, sidecar,
};
use scene::Scene;

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
    let Some(disk) = SmallDisk::mount("size=4m") else {
        return;
    };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 3_400_000]).unwrap();
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

/// Threads that encode or finish files, and files of `dir` that are open, in this process.
fn in_use(dir: &Path) -> (usize, usize) {
    let threads = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter(|task| {
            let name = std::fs::read_to_string(task.as_ref().unwrap().path().join("comm"));
            name.is_ok_and(|name| name.trim() == ENCODER_THREAD || name.trim() == "record-close")
        });
    let files = std::fs::read_dir("/proc/self/fd").unwrap().filter(|link| {
        let target = std::fs::read_link(link.as_ref().unwrap().path());
        target.is_ok_and(|target| target.starts_with(dir))
    });
    (threads.count(), files.count())
}

#[test]
#[ignore = "counts threads: runs alone, in a process of its own"]
fn rotates_alone() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let options = folder(dir.path(), Duration::from_millis(200), u64::MAX);
    let mut recorder = recorder_with(options, &metrics);
    let scene = Scene::new(320, 240, PixelFormat::Nv12);
    let mut most = (0, 0);
    let mut segments = 0;
    for seq in 0..300 {
        let result = scene.result(seq, Pts(seq * FRAME_NS));
        assert_eq!(recorder.push(&result), Pushed::Taken);
        let (threads, files) = in_use(dir.path());
        most = (most.0.max(threads), most.1.max(files));
        segments += recorder.finished_segments().len();
    }
    segments += recorder.finish().len();
    assert_eq!(segments, 60);
    // One open and at most four being finished, each with a file and a sidecar.
    assert!((2..=10).contains(&most.1), "{most:?}");
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!((1..=5 * (cores + 2)).contains(&most.0), "{most:?}");
    // GLib keeps up to two idle threads for the next pipeline (g_thread_pool_set_max_unused_threads);
    // one that is ending may still be seen for a moment.
    let began = Instant::now();
    while {
        let (threads, files) = in_use(dir.path());
        threads > 2 || files > 0
    } && began.elapsed() < Duration::from_secs(20)
    {
        std::thread::yield_now();
    }
    let (threads, files) = in_use(dir.path());
    assert!(
        threads <= 2 && files == 0,
        "{threads} threads, {files} files"
    );
}

#[test]
fn sixty_segments_leave_no_threads_and_no_open_file_behind() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "rotates_alone", "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
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
