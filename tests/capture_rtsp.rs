//! Against a real RTSP server on loopback: codecs, transports, passwords, TLS, and every way a
//! camera can be lost.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and tells what it skips"
)]

#[path = "support/camera_process.rs"]
mod camera_process;
#[path = "support/camera_run.rs"]
mod camera_run;

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use camera_process::CameraProcess;
use camera_run::{CameraRun, PATIENCE, made_by, options};
use gantryd::base::{RunEnd, RunId, UtcSource};
use gantryd::capture::{
    CameraOptions, CameraState, Codec, RawRecord, RtspSource, Source, Transport,
};

/// Options for the camera at `port`, patient for five seconds.
fn at(port: u16) -> CameraOptions {
    from(&format!("rtsp://127.0.0.1:{port}/cam"), |_| {})
}

fn from(uri: &str, change: impl FnOnce(&mut RtspSource)) -> CameraOptions {
    let Ok(Source::Rtsp(mut rtsp)) = Source::parse(uri) else {
        panic!("{uri}");
    };
    change(&mut rtsp);
    let mut options = options(Source::Rtsp(rtsp));
    options.latency_ms = 100;
    options.connect_secs = 5.0;
    options
}

/// Runs until 20 frames came and checks that they are those of one clean run.
fn assert_frames_arrive(options: CameraOptions, codec: &str) {
    let run = CameraRun::start(options).unwrap();
    run.wait_until(codec, PATIENCE, |log| log.frames.len() >= 20);
    let status = run.status.snapshot();
    assert_eq!(status.state, CameraState::Running);
    assert_eq!(status.codec.as_deref(), Some(codec));
    assert!(status.decoder.is_some());
    let (log, _) = run.finish();
    assert_eq!(log.ends, [(RunId(1), RunEnd::Stopped)]);
    for pair in log.frames.windows(2) {
        assert!(pair[0].meta.pts < pair[1].meta.pts);
        assert!(pair[0].meta.utc.is_some());
    }
}

/// The first run of a camera that is not tried again: why it ended, what the operator reads, and
/// how long it took.
fn first_end(mut options: CameraOptions) -> (RunEnd, String, Duration) {
    options.backoff = None;
    let began = Instant::now();
    let run = CameraRun::start(options).unwrap();
    let end = run.ended.recv_timeout(PATIENCE).unwrap();
    let took = began.elapsed();
    let (log, _) = run.finish();
    assert_eq!(log.ends.last().unwrap().1, end.reason);
    (
        end.reason,
        end.error.map(|error| error.to_string()).unwrap_or_default(),
        took,
    )
}

#[test]
fn every_codec_arrives_over_tcp_and_udp() {
    for codec in ["h264", "h265", "mjpeg"] {
        let camera = CameraProcess::start(&["--codec", codec]);
        for transport in [Transport::Tcp, Transport::Udp, Transport::Auto] {
            eprintln!("{codec} {transport:?}");
            let options = from(&camera.uri(), |rtsp| rtsp.transport = transport);
            assert_frames_arrive(options, codec);
        }
    }
}

#[test]
fn ages_count_from_the_arrival_at_the_machine_and_not_from_the_decoder() {
    let camera = CameraProcess::start(&["--codec", "h264"]);
    let run = CameraRun::start(at(camera.port)).unwrap();
    run.wait_until("frames", PATIENCE, |log| log.frames.len() >= 60);
    let (log, _) = run.finish();
    // The first ones come in a bunch. Of the others the times on this machine are as far apart as those
    // of the stream are, however the decoder and the machine stutter.
    let frames = &log.frames[20..];
    let first = &frames[0];
    let mut off_ms: Vec<f64> = frames
        .iter()
        .map(|it| {
            let came = it.arrived.duration_since(first.arrived).as_secs_f64();
            let sent = (it.meta.pts.0 - first.meta.pts.0) as f64 / 1e9;
            (came - sent).abs() * 1e3
        })
        .collect();
    off_ms.sort_by(f64::total_cmp);
    assert!(off_ms[off_ms.len() / 2] < 1.0, "{off_ms:?}");
}

#[test]
fn digest_and_basic_passwords_are_accepted() {
    for auth in ["digest", "basic"] {
        let camera =
            CameraProcess::start(&["--user", "op", "--password", "s@cret word", "--auth", auth]);
        let uri = format!("rtsp://op:s%40cret%20word@127.0.0.1:{}/cam", camera.port);
        assert_frames_arrive(from(&uri, |_| {}), "h264");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_stream_are_named_and_shown_to_nobody() {
    let camera = CameraProcess::start(&["--user", "op", "--password", "right"]);
    let uri = format!(
        "rtsp://op:wr0ngword@127.0.0.1:{}/cam?token=hush-hush",
        camera.port
    );
    let (reason, text, _) = first_end(from(&uri, |_| {}));
    assert_eq!(reason, RunEnd::Unauthorized, "{text}");
    assert!(
        !text.contains("wr0ngword") && !text.contains("hush"),
        "{text}"
    );
    assert!(text.contains("user or password refused"), "{text}");

    let camera = CameraProcess::start(&[]);
    let uri = format!("rtsp://127.0.0.1:{}/nothing", camera.port);
    let (reason, text, _) = first_end(from(&uri, |_| {}));
    assert_eq!(reason, RunEnd::NotFound, "{text}");
}

#[test]
fn tls_is_checked_against_the_authority_given() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    let (cert_text, key_text) = (cert.to_str().unwrap(), key.to_str().unwrap());
    if !made_by(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            key_text,
            "-out",
            cert_text,
        ],
    ) {
        return;
    }
    let both = folder.path().join("both.pem");
    let text = std::fs::read_to_string(&key).unwrap() + &std::fs::read_to_string(&cert).unwrap();
    std::fs::write(&both, text).unwrap();
    let camera = CameraProcess::start(&["--cert", both.to_str().unwrap()]);
    let uri = format!("rtsps://127.0.0.1:{}/cam", camera.port);
    assert_frames_arrive(from(&uri, |rtsp| rtsp.tls_insecure = true), "h264");
    assert_frames_arrive(
        from(&uri, |rtsp| rtsp.tls_ca_file = Some(cert.clone())),
        "h264",
    );
    let (reason, text, _) = first_end(from(&uri, |_| {}));
    assert_eq!(reason, RunEnd::Unreachable, "{text}");
    assert!(text.contains("certificate"), "{text}");
}

#[test]
fn a_closed_port_is_unreachable_at_once() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (reason, text, took) = first_end(at(port));
    assert_eq!(reason, RunEnd::Unreachable, "{text}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn another_codec_than_wanted_and_an_unknown_host_are_told_with_the_remedy() {
    let camera = CameraProcess::start(&["--codec", "h265"]);
    let mut options = at(camera.port);
    options.codec = Codec::H264;
    let (reason, text, _) = first_end(options);
    assert_eq!(reason, RunEnd::Undecodable, "{text}");
    for part in ["codec = \"h264\"", "sends h265", "codec = \"auto\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // RFC 6761: a name below .invalid never resolves.
    let (reason, text, _) = first_end(from("rtsp://gate.invalid/cam", |_| {}));
    assert_eq!(reason, RunEnd::Unreachable, "{text}");
    assert!(text.contains("gate.invalid has no address"), "{text}");
}

#[test]
fn a_host_that_never_answers_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = at(listener.local_addr().unwrap().port());
    options.connect_secs = 2.0;
    let (reason, text, took) = first_end(options);
    assert_eq!(reason, RunEnd::NoAnswer, "{text}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_host_that_was_dark_is_back_within_three_seconds() {
    let dark = DarkHost::start();
    let port_text = dark.port.to_string();
    let mut options = from(&format!("rtsp://localhost:{port_text}/cam"), |_| {});
    options.connect_secs = 3.0;
    let run = CameraRun::start(options).unwrap();
    // The second wait and the third connection are begun while nothing answers.
    run.wait_until("two ends", PATIENCE, |log| log.ends.len() >= 2);
    let known = run.status.clone();
    run.wait_until("the third try", PATIENCE, |_| {
        known.snapshot().state == CameraState::Waiting
    });
    drop(dark);
    let _camera = CameraProcess::start(&["--port", &port_text]);
    let back = Instant::now();
    run.wait_until("the return", PATIENCE, |log| !log.frames.is_empty());
    let took = back.elapsed();
    let (log, _) = run.finish();
    eprintln!("back after {took:?}, {:?}", log.ends);
    assert_eq!(log.ends[0].1, RunEnd::NoAnswer, "{:?}", log.ends);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// A port that swallows every request for a connection, as a host that is switched off does.
struct DarkHost {
    port: u16,
    _full: TcpListener,
}

impl DarkHost {
    /// Linux drops requests once the queue of those not yet accepted is full.
    fn start() -> Self {
        let full = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = full.local_addr().unwrap();
        while TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok() {}
        Self {
            port: address.port(),
            _full: full,
        }
    }
}

#[test]
fn a_frozen_camera_has_stalled_within_its_limit() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let camera = CameraProcess::start(&["--freeze-after", "20"]);
        let mut options = from(&camera.uri(), |rtsp| rtsp.transport = transport);
        options.stall_secs = 2.0;
        options.backoff = None;
        let run = CameraRun::start(options).unwrap();
        run.wait_until("the end", PATIENCE, |log| !log.ends.is_empty());
        let ended = Instant::now();
        let (log, _) = run.finish();
        assert_eq!(log.ends, [(RunId(1), RunEnd::Stalled)]);
        let silent = ended - log.frames.last().unwrap().arrived;
        assert!((1.9..3.0).contains(&silent.as_secs_f64()), "{silent:?}");
    }
}

#[test]
fn a_new_size_begins_a_new_run() {
    let camera = CameraProcess::start(&["--switch-size-after", "20"]);
    let run = CameraRun::start(at(camera.port)).unwrap();
    run.wait_until("the smaller size", PATIENCE, |log| {
        log.frames
            .last()
            .is_some_and(|frame| frame.meta.size.width == 160)
    });
    let (log, _) = run.finish();
    assert_eq!(log.ends[0], (RunId(1), RunEnd::FormatChanged));
    for frame in &log.frames {
        let expected = if frame.meta.run == RunId(1) { 320 } else { 160 };
        assert_eq!(frame.meta.size.width, expected);
    }
}

#[test]
fn capture_times_become_those_of_the_camera() {
    let camera = CameraProcess::start(&[]);
    let run = CameraRun::start(at(camera.port)).unwrap();
    run.wait_until("a sender report", PATIENCE, |log| {
        log.frames
            .last()
            .is_some_and(|frame| frame.meta.utc_source == UtcSource::Rtcp)
    });
    let (log, _) = run.finish();
    let frame = log.frames.last().unwrap();
    let age = gantryd::base::utc_now().0 - frame.meta.utc.unwrap().0;
    // Camera and test share a clock: the frame was taken within the last seconds.
    assert!((0..5_000_000_000).contains(&age), "{age} ns");
    assert_eq!(log.frames[0].meta.utc_source, UtcSource::Arrival);
}

#[test]
fn a_dead_camera_costs_the_others_nothing() {
    // These number their pictures evenly, however late they send them: a step is a frame that is lost.
    let street = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/street.mp4");
    let cameras: Vec<_> = (0..4)
        .map(|_| CameraProcess::start(&["--file", street]))
        .collect();
    let runs: Vec<_> = cameras
        .iter()
        .map(|camera| {
            // What is asked is whether capture loses frames, not whether this test keeps up.
            let mut options = at(camera.port);
            options.lossless = true;
            CameraRun::start(options).unwrap()
        })
        .collect();
    for run in &runs {
        run.wait_until("frames of all", PATIENCE, |log| log.frames.len() >= 60);
    }
    let mut cameras = cameras;
    cameras.remove(0).kill();
    runs[0].wait_until("the loss", PATIENCE, |log| !log.ends.is_empty());
    let counts: Vec<usize> = runs.iter().map(CameraRun::frames).collect();
    for (run, count) in runs.iter().zip(&counts).skip(1) {
        run.wait_until("three seconds more", PATIENCE, |log| {
            log.frames.len() >= count + 75
        });
    }
    for (index, run) in runs.into_iter().enumerate() {
        let (log, balance) = run.finish();
        if index > 0 {
            assert_eq!(log.ends, [(RunId(1), RunEnd::Stopped)]);
            assert_eq!(balance.dropped, 0, "camera {index}");
            for pair in log.frames.windows(2) {
                let step = pair[1].meta.pts.secs_since(pair[0].meta.pts);
                // 25 frames per second: a missing frame would be a step of 80 ms. A stream begins with a
                // burst, whose times are put right in its first seconds.
                let is_settled = pair[0].meta.pts.0 > 2_000_000_000;
                assert!(!is_settled || step < 0.06, "camera {index}: step {step}");
            }
        }
    }
}

#[test]
fn stop_ends_every_state_of_a_camera_at_once() {
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    let camera = CameraProcess::start(&[]);
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for port in [frozen.local_addr().unwrap().port(), camera.port, closed] {
        let run = CameraRun::start(at(port)).unwrap();
        let known = run.status.clone();
        run.wait_until("it has begun", PATIENCE, |_| known.snapshot().run.is_some());
        let began = Instant::now();
        run.finish();
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
}

/// Pictures in a file that can be decoded, by ffprobe.
fn decodable(path: &std::path::Path) -> usize {
    let output = std::process::Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "csv=p=0",
        ])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap_or(0)
}

#[test]
fn what_the_camera_sent_is_kept_in_segments_that_play() {
    for codec in ["h264", "h265"] {
        let camera = CameraProcess::start(&["--gop", "10", "--codec", codec]);
        let folder = tempfile::tempdir().unwrap();
        let mut options = at(camera.port);
        options.raw = Some(RawRecord {
            room: Default::default(),
            folder: folder.path().join("raw"),
            segment_secs: 1,
        });
        let run = CameraRun::start(options).unwrap();
        run.wait_until("three seconds", PATIENCE, |log| log.frames.len() >= 75);
        let (log, _) = run.finish();
        let mut segments: Vec<_> = std::fs::read_dir(folder.path().join("raw"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        segments.sort();
        assert!(segments.len() >= 3, "{segments:?}");
        let pictures: Vec<usize> = segments.iter().map(|path| decodable(path)).collect();
        eprintln!("{codec}: {pictures:?} of {}", log.frames.len());
        let sum: usize = pictures.iter().sum();
        assert!(pictures.iter().all(|count| *count > 0), "{pictures:?}");
        assert!(
            sum + 3 >= log.frames.len(),
            "{pictures:?} of {}",
            log.frames.len()
        );
    }
}

#[test]
fn a_raw_recording_that_fails_costs_no_frame() {
    let camera = CameraProcess::start(&["--gop", "10"]);
    let folder = tempfile::tempdir().unwrap();
    let taken_away = folder.path().join("raw");
    // A folder that cannot be made, and one that is gone when the next segment begins.
    for folder in ["/dev/full", taken_away.to_str().unwrap()] {
        let mut options = at(camera.port);
        options.lossless = true;
        options.raw = Some(RawRecord {
            room: Default::default(),
            folder: folder.into(),
            segment_secs: 1,
        });
        let run = CameraRun::start(options).unwrap();
        run.wait_until("frames", PATIENCE, |log| log.frames.len() >= 10);
        std::fs::remove_dir_all(&taken_away).ok();
        run.wait_until("more frames", PATIENCE, |log| log.frames.len() >= 80);
        let (log, balance) = run.finish();
        assert_eq!(log.ends, [(RunId(1), RunEnd::Stopped)]);
        assert_eq!(balance.dropped, 0);
    }
}
