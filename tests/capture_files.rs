//! Files and folders: every frame arrives once, and bad files end with words for the operator.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and tells what it skips"
)]

#[path = "support/camera_run.rs"]
mod camera_run;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use camera_run::{CameraRun, made_by, options, read_all, read_all_paced, video};
use gantryd::base::{FrameSeq, Pts, RunEnd, RunId, Size, UtcSource};
use gantryd::capture::{self, Backoff, Source};

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

/// Name, ffmpeg input, ffmpeg output options, size.
type Kind = (
    &'static str,
    &'static str,
    &'static [&'static str],
    (u32, u32),
);

const TESTSRC: &str = "testsrc2=s=320x180:r=25:d=2";

#[test]
fn every_frame_of_every_kind_of_file_arrives_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let kinds: [Kind; 15] = [
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

/// What the operator reads about a file, and why its run ended.
fn fault_of(path: &Path) -> String {
    match CameraRun::start(options(Source::File(path.to_owned()))) {
        Err(error) => error.to_string(),
        Ok(run) => {
            let end = run.ended.recv_timeout(camera_run::PATIENCE).unwrap();
            let (log, _) = run.finish();
            assert_eq!(log.ends, [(RunId(1), RunEnd::Undecodable)]);
            assert_eq!(end.frames, 0);
            end.error.unwrap().to_string()
        }
    }
}

#[test]
fn files_that_are_no_video_are_refused_in_clear_words() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = folder.join("notes.mp4");
    std::fs::write(&text, "not a video at all, just words\n".repeat(50)).unwrap();
    let empty = folder.join("empty.mp4");
    std::fs::write(&empty, b"").unwrap();
    let mut cases = vec![
        (text, "not a video"),
        (empty, "the file is empty (0 bytes)"),
        (folder.join("missing.mp4"), "no such file or folder"),
    ];
    if let Some(audio) = video(folder, "audio.m4a", "sine=d=1", &["-c:a", "aac"]) {
        cases.push((audio, "no video stream in it"));
    }
    if let Some(whole) = video(folder, "whole.mp4", TESTSRC, &["-c:v", "libx264"]) {
        // ffmpeg writes the index (moov) at the end: it is cut off.
        let bytes = std::fs::read(whole).unwrap();
        let cut = folder.join("cut.mp4");
        std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        cases.push((cut, "not a video that can be decoded"));
    }
    let noise = folder.join("noise.mkv");
    std::fs::write(
        &noise,
        (0..60_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect::<Vec<_>>(),
    )
    .unwrap();
    cases.push((noise, "not a video"));
    for (path, words) in cases {
        let fault = fault_of(&path);
        eprintln!("{fault}");
        assert!(fault.starts_with(path.to_str().unwrap()), "{fault}");
        assert!(fault.contains(words), "{fault}, expected {words}");
    }
}

#[test]
fn a_patient_camera_starts_without_its_source_and_names_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.mp4");
    std::fs::write(&empty, b"").unwrap();
    let patient = |source: Source| {
        let mut options = options(source);
        options.patient = true;
        options
    };
    // A file ends for good.
    for (path, reason, words) in [
        (
            folder.path().join("missing.mp4"),
            RunEnd::NotFound,
            "no such file",
        ),
        (empty, RunEnd::Undecodable, "the file is empty"),
    ] {
        let options = patient(Source::File(path));
        assert!(capture::check(&options).is_err());
        let (log, end, _) = read_all(options);
        assert_eq!(log.ends, [(RunId(1), reason)]);
        let text = end.error.unwrap().to_string();
        assert!(text.contains(words), "{text}");
    }
    // A device is tried again.
    let mut device = patient(Source::V4l2(folder.path().join("video0")));
    device.backoff = Some(Backoff {
        first: Duration::from_millis(10),
        longest: Duration::from_millis(10),
    });
    let run = CameraRun::start(device).unwrap();
    run.wait_until("a second try", camera_run::PATIENCE, |log| {
        log.ends.len() >= 2
    });
    let status = run.status.snapshot();
    let (log, _) = run.finish();
    assert_eq!(log.ends[1], (RunId(2), RunEnd::Unreachable));
    assert!(
        status.last_error.unwrap().contains("no such device"),
        "{:?}",
        log.ends
    );
    // Patience does not hide a text that no waiting mends.
    let text = folder.path().join("mine.gst");
    std::fs::write(&text, "filesrc name=source ! nosuchthing name=streams").unwrap();
    let mut broken = patient(Source::File("missing.mp4".into()));
    broken.pipeline = Some(text);
    assert!(CameraRun::start(broken).is_err());
}

#[test]
fn a_file_cut_in_the_middle_gives_what_it_holds_and_a_named_end() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, args) in [
        (
            "front.mp4",
            ["-c:v", "libx264", "-movflags", "+faststart"].as_slice(),
        ),
        ("cut.mkv", &["-c:v", "libx264"]),
        ("cut.ts", &["-c:v", "libx264"]),
    ] {
        let Some(path) = video(folder, name, "testsrc2=s=320x180:r=25:d=8", args) else {
            return;
        };
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 6 / 10]).unwrap();
        let (log, end, _) = read_all(options(Source::File(path)));
        eprintln!("{name}: {} frames, {end:?}", log.frames.len());
        assert!(
            (80..180).contains(&log.frames.len()),
            "{name}: {}",
            log.frames.len()
        );
        assert!(
            matches!(end.reason, RunEnd::EndOfFile | RunEnd::Undecodable),
            "{end:?}"
        );
        assert_eq!(end.error.is_some(), end.reason == RunEnd::Undecodable);
    }
}

#[test]
fn a_damaged_file_gives_the_same_frames_however_fast_they_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let slow = Duration::from_millis(8);
    for (name, args) in [
        (
            "front.mp4",
            ["-c:v", "libx264", "-movflags", "+faststart"].as_slice(),
        ),
        ("cut.mkv", &["-c:v", "libx264"]),
        ("cut.ts", &["-c:v", "libx264"]),
        ("cut.avi", &["-c:v", "mpeg4"]),
    ] {
        let Some(path) = video(folder, name, "testsrc2=s=160x90:r=25:d=4", args) else {
            return;
        };
        let bytes = std::fs::read(&path).unwrap();
        // Cut in the header, in the first pictures, and in the middle; overwritten from there on.
        for (percent, is_cut) in [5, 20, 57]
            .into_iter()
            .flat_map(|p| [(p, true), (p, false)])
        {
            let mut damaged = bytes.clone();
            let intact = bytes.len() * percent / 100;
            if is_cut {
                damaged.truncate(intact);
            } else {
                damaged[intact..].fill(0xff);
            }
            std::fs::write(&path, damaged).unwrap();
            let read = |pace| {
                let (log, end, _) = read_all_paced(options(Source::File(path.clone())), pace);
                let frames: Vec<_> = log
                    .frames
                    .into_iter()
                    .map(|frame| (frame.meta, frame.checksum))
                    .collect();
                (frames, end.reason, end.error.map(|error| error.to_string()))
            };
            let fast = read(Duration::ZERO);
            let what = format!(
                "{name} {percent} %, {}",
                if is_cut { "cut" } else { "overwritten" }
            );
            eprintln!("{what}: {} frames, {:?}", fast.0.len(), fast.2);
            for pace in [slow, Duration::ZERO, slow] {
                let again = read(pace);
                assert_eq!(again.0.len(), fast.0.len(), "{what}, {pace:?}");
                assert_eq!(again, fast, "{what}, {pace:?}");
            }
        }
    }
}

#[test]
fn what_was_read_before_an_error_is_delivered_however_slowly_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let coding = ["-c:v", "libx264", "-bf", "0"];
    let Some(path) = video(folder, "a.mkv", "testsrc2=s=160x90:r=25:d=4", &coding) else {
        return;
    };
    let broken = |text: &str, pace: Duration| {
        let pipeline = folder.join("broken.gst");
        std::fs::write(&pipeline, text).unwrap();
        let mut options = options(Source::File(path.clone()));
        options.pipeline = Some(pipeline);
        let (log, end, _) = read_all_paced(options, pace);
        assert_eq!(end.reason, RunEnd::Undecodable, "{end:?}");
        let text = end.error.unwrap().to_string();
        assert!(text.contains("damaged"), "{text}");
        log.frames.len()
    };
    for pace in [0, 20, 0, 20].map(Duration::from_millis) {
        // The demuxer fails at picture 40: it ends the stream behind the others.
        let text =
            "filesrc name=source ! matroskademux ! identity error-after=40 ! parsebin name=streams";
        assert_eq!(broken(text, pace), 39, "{pace:?}");
        // The same behind the demuxer's own threads: nobody ends the stream.
        let text = "filesrc name=source ! matroskademux ! queue ! identity error-after=40 ! queue ! parsebin name=streams";
        assert_eq!(broken(text, pace), 39, "{pace:?}");
    }
}

#[test]
fn a_rotated_file_stands_upright() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Left half black, right half white.
    let Some(plain) = video(
        folder,
        "plain.mp4",
        "color=black:s=160x90:r=5:d=1,drawbox=x=80:y=0:w=80:h=90:color=white:t=fill",
        &["-c:v", "libx264"],
    ) else {
        return;
    };
    let rotated = folder.join("rotated.mp4");
    // A display matrix of 180°: what was right is shown left.
    if !made_by(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-display_rotation",
            "180",
            "-i",
            plain.to_str().unwrap(),
            "-c",
            "copy",
            rotated.to_str().unwrap(),
        ],
    ) {
        return;
    }
    let quarter = folder.join("quarter.mp4");
    assert!(made_by(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-display_rotation",
            "90",
            "-i",
            plain.to_str().unwrap(),
            "-c",
            "copy",
            quarter.to_str().unwrap()
        ]
    ));
    let halves = |path: &Path| read_all(options(Source::File(path.to_owned()))).0.frames[2].clone();
    let seen = halves(&plain).halves;
    assert!(seen[0] < 40.0 && seen[1] > 200.0, "{seen:?}");
    let seen = halves(&rotated).halves;
    assert!(seen[0] > 200.0 && seen[1] < 40.0, "{seen:?}");
    let seen = halves(&quarter);
    assert_eq!(
        seen.meta.size,
        Size {
            width: 90,
            height: 160
        }
    );
}

#[test]
fn a_variable_rate_keeps_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let frames_kept = "testsrc2=s=320x180:r=30:d=4,select='not(mod(n\\,7))+not(mod(n\\,3))'";
    if let Some(path) = video(
        folder.path(),
        "vfr.mp4",
        frames_kept,
        &["-c:v", "libx264", "-fps_mode", "vfr"],
    ) {
        assert_every_frame(&path, (320, 180));
    }
}

#[test]
fn the_same_file_twice_gives_the_same_bytes_and_times() {
    let folder = tempfile::tempdir().unwrap();
    let Some(path) = video(
        folder.path(),
        "a.mp4",
        TESTSRC,
        &[
            "-c:v",
            "libx264",
            "-metadata",
            "creation_time=2023-11-14T22:13:20Z",
        ],
    ) else {
        return;
    };
    let read = || {
        let (log, _, _) = read_all(options(Source::File(path.clone())));
        log.frames
            .into_iter()
            .map(|frame| (frame.meta, frame.checksum))
            .collect::<Vec<_>>()
    };
    let (first, second) = (read(), read());
    assert_eq!(first, second);
    // 1 700 000 000 s after 1970; the third frame is 80 ms later.
    assert_eq!(
        first[2].0.utc.map(|utc| utc.0),
        Some(1_700_000_000_080_000_000)
    );
    assert_eq!(first[2].0.utc_source, UtcSource::Media);
}

#[test]
fn a_folder_of_pictures_is_a_video_at_the_rate_of_its_seqinfo() {
    for ending in ["jpg", "png"] {
        let folder = tempfile::tempdir().unwrap();
        let pictures = folder.path().join("img1");
        std::fs::create_dir(&pictures).unwrap();
        std::fs::write(
            folder.path().join("seqinfo.ini"),
            "[Sequence]\nframeRate=10\n",
        )
        .unwrap();
        if video(
            &pictures,
            &format!("%06d.{ending}"),
            TESTSRC,
            &["-frames:v", "12"],
        )
        .is_none()
        {
            return;
        }
        let (log, end, _) = read_all(options(Source::parse(pictures.to_str().unwrap()).unwrap()));
        assert!(end.error.is_none(), "{end:?}");
        let times: Vec<u64> = log.frames.iter().map(|frame| frame.meta.pts.0).collect();
        let expected: Vec<u64> = (0..12).map(|index| index * 100_000_000).collect();
        assert_eq!(times, expected, "{ending}");
        assert_eq!(log.frames[0].meta.utc_source, UtcSource::Unknown);
    }
}

#[test]
fn as_many_frames_as_wanted_and_no_more() {
    let mut options = options(Source::parse("test:ball?size=320x240&frames=50").unwrap());
    options.max_frames = Some(7);
    let (log, end, balance) = read_all(options);
    assert_eq!((log.frames.len(), end.frames, balance.received), (7, 7, 7));
    assert!(end.error.is_none(), "{end:?}");
}

#[test]
fn a_pipeline_of_the_users_own_delivers_frames() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.gst");
    std::fs::write(&path, "# mine\nvideotestsrc num-buffers=9 ! video/x-raw,format=NV12,width=64,height=48 ! appsink name=frames sync=false\n").unwrap();
    let mut mine = options(Source::parse("test:").unwrap());
    mine.pipeline = Some(path.clone());
    let (log, _, _) = read_all(mine.clone());
    assert_eq!(log.frames.len(), 9);
    std::fs::write(&path, "videotestsrc ! nosuchthing ! appsink name=frames").unwrap();
    let error = CameraRun::start(mine).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("\"nosuchthing\"") && error.contains("install"),
        "{error}"
    );
}

/// Serves `folder` over HTTP, and at `/mjpeg` its pictures as multipart, until it is dropped.
struct HttpServer {
    port: u16,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl HttpServer {
    fn start(folder: &Path) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (stopped, folder) = (std::sync::Arc::clone(&stop), folder.to_owned());
        std::thread::Builder::new()
            .spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if stopped.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    let folder = folder.clone();
                    std::thread::Builder::new()
                        .spawn(move || drop(answer(stream, &folder)))
                        .unwrap();
                }
            })
            .unwrap();
        Self { port, stop }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        drop(std::net::TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn answer(mut stream: std::net::TcpStream, folder: &Path) -> std::io::Result<()> {
    use std::io::{BufRead, Write};
    let mut reader = std::io::BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let name = request
        .split(' ')
        .nth(1)
        .unwrap_or("/")
        .trim_start_matches('/')
        .to_owned();
    if name == "mjpeg" {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n",
        )?;
        for index in (1..=10).cycle() {
            let picture = std::fs::read(folder.join(format!("{index:06}.jpg")))?;
            write!(
                stream,
                "--next\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                picture.len()
            )?;
            stream.write_all(&picture)?;
            stream.write_all(b"\r\n")?;
            // The pace of a camera, which is what is played here.
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        return Ok(());
    }
    match std::fs::read(folder.join(name)) {
        Ok(bytes) => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            )?;
            stream.write_all(&bytes)
        }
        Err(_) => stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    }
}

#[test]
fn mjpeg_and_hls_and_files_come_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = video(folder, "%06d.jpg", TESTSRC, &["-frames:v", "10"]).is_some()
        && video(
            folder,
            "a.mp4",
            TESTSRC,
            &["-c:v", "libx264", "-movflags", "+faststart"],
        )
        .is_some()
        && video(
            folder,
            "list.m3u8",
            TESTSRC,
            &[
                "-c:v",
                "libx264",
                "-g",
                "25",
                "-hls_time",
                "1",
                "-hls_list_size",
                "0",
            ],
        )
        .is_some();
    if !made {
        return;
    }
    let server = HttpServer::start(folder);
    let at = |name: &str| {
        options(Source::parse(&format!("http://127.0.0.1:{}/{name}", server.port)).unwrap())
    };
    let run = CameraRun::start(at("mjpeg")).unwrap();
    run.wait_until("MJPEG", camera_run::PATIENCE, |log| log.frames.len() >= 20);
    assert_eq!(run.status.snapshot().codec.as_deref(), Some("mjpeg"));
    let (log, _) = run.finish();
    assert_eq!(log.ends, [(RunId(1), RunEnd::Stopped)]);
    assert!(
        log.frames
            .windows(2)
            .all(|pair| pair[0].meta.pts < pair[1].meta.pts)
    );

    // Recordings have an end, and every frame of them counts.
    for name in ["a.mp4", "list.m3u8"] {
        let (log, end, balance) = read_all(at(name));
        assert_eq!(end.reason, RunEnd::EndOfFile, "{name}: {end:?}");
        assert_eq!((log.frames.len(), balance.dropped), (50, 0), "{name}");
    }
    let mut once = at("nothing.mp4");
    once.backoff = None;
    let (_, end, _) = read_all(once);
    assert_eq!(end.reason, RunEnd::NotFound, "{end:?}");
}
