//! What is kept of events by `gantryd run` with a real camera: clips, pictures, and what
//! `gantryd render` makes of them.

#![expect(clippy::unwrap_used, reason = "a test tells by failing")]

#[path = "support/camera_process.rs"]
mod camera_process;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;
use camera_process::CameraProcess;
use gstreamer::prelude::*;
use gstreamer_video::prelude::*;
use image::RgbImage;
use serde_json::Value;

/// Longest wait for anything; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(120);

const SECOND: u64 = 1_000_000_000;

/// The drawn street has a key frame every second.
const GROUP: u64 = SECOND;

/// Times are rounded in files, and arrive with the jitter of a network.
const SLACK: u64 = SECOND / 10;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn street_camera() -> CameraProcess {
    CameraProcess::start(&["--file", fixture("street.mp4").to_str().unwrap()])
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A daemon with one camera, `gate`.
struct Daemon {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// With these tables before, and these keys of the camera.
    fn start(uri: &str, tables: &str, of_camera: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let text = format!(
            "[detect]\nmodel = {:?}\n[output]\nfolder = \"out\"\n{tables}\n\
             [record]\nsegment_secs = 4\nencoder = \"x264\"\n\
             [metrics]\nlisten = \"127.0.0.1:{port}\"\n\
             [[cameras]]\nid = \"gate\"\nuri = {uri:?}\nannotate = false\n{of_camera}\n\
             [[cameras.lines]]\nname = \"west\"\nline_norm = [[0.25, 0.98], [0.25, 0.02]]\n\
             [[cameras.zones]]\nname = \"street\"\npolygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]\n",
            fixture("models/shapes.onnx")
        );
        let config = folder.path().join("site.toml");
        fs::write(&config, text).unwrap();
        let child = Command::cargo_bin("gantryd")
            .unwrap()
            .args(["run", "--config"])
            .arg(&config)
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            folder,
        }
    }

    fn gate(&self) -> PathBuf {
        self.folder.path().join("out/gate")
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Descriptions of the clips that are complete, oldest first.
    fn clips(&self) -> Vec<Value> {
        clips_in(&self.gate())
    }

    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.gate().join("events.jsonl")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// SIGTERM, and a good end.
    fn stop(mut self) -> tempfile::TempDir {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = self.child.wait().unwrap();
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        assert!(ended.success(), "{log}");
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn clips_in(folder: &Path) -> Vec<Value> {
    let names = names(folder).into_iter();
    let described = names.filter(|name| name.ends_with("_clip.json"));
    described
        .filter_map(|name| serde_json::from_str(&fs::read_to_string(folder.join(name)).ok()?).ok())
        .collect()
}

fn is_whole(clip: &Value) -> bool {
    clip["shortened"].as_array().unwrap().is_empty()
}

/// An encoded picture of a file: its time, whether it is a key frame, and its slices.
struct Sent {
    pts_ns: u64,
    is_key: bool,
    slices: Vec<Vec<u8>>,
}

/// What is in a file, not decoded, taken apart by GStreamer.
fn sent(video: &Path) -> Vec<Sent> {
    let text = "filesrc name=file ! qtdemux ! h264parse \
                ! video/x-h264,stream-format=avc,alignment=au ! appsink name=out sync=false";
    let mut pictures = Vec::new();
    for_each_sample(text, video, |sample| {
        let buffer = sample.buffer().unwrap();
        let segment = sample.segment().unwrap();
        let segment = segment.downcast_ref::<gstreamer::ClockTime>().unwrap();
        let time = segment.to_running_time(buffer.pts().unwrap()).unwrap();
        pictures.push(Sent {
            pts_ns: time.nseconds(),
            is_key: !buffer.flags().contains(gstreamer::BufferFlags::DELTA_UNIT),
            slices: slices(&buffer.map_readable().unwrap()),
        });
    });
    pictures
}

/// The slices (NAL units of type 1 and 5, ITU-T H.264 table 7-1) of a picture, each after its length.
fn slices(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut slices = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (unit, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        if matches!(unit[0] & 0x1f, 1 | 5) {
            slices.push(unit.to_vec());
        }
        bytes = rest;
    }
    slices
}

/// Every decoded picture of an H.264 file.
fn decoded(video: &Path) -> Vec<RgbImage> {
    decoded_by("h264parse ! avdec_h264", video)
}

/// The same by this decoder.
fn decoded_by(decoder: &str, video: &Path) -> Vec<RgbImage> {
    let text = format!(
        "filesrc name=file ! qtdemux ! {decoder} ! videoconvert ! video/x-raw,format=RGB \
         ! appsink name=out sync=false"
    );
    let mut pictures = Vec::new();
    for_each_sample(&text, video, |sample| {
        let info = gstreamer_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
        let frame = gstreamer_video::VideoFrame::from_buffer_readable(
            sample.buffer_owned().unwrap(),
            &info,
        );
        let frame = frame.unwrap();
        let stride = usize::try_from(frame.plane_stride()[0]).unwrap();
        let row = info.width() as usize * 3;
        let rows = frame.plane_data(0).unwrap().chunks(stride);
        let rgb = rows.flat_map(|it| &it[..row]).copied().collect();
        pictures.push(RgbImage::from_raw(info.width(), info.height(), rgb).unwrap());
    });
    pictures
}

/// The same film in H.265, with a key frame every second.
fn transcode(film: &Path, to: &Path) {
    let text = format!(
        "filesrc location={film:?} ! qtdemux ! h264parse ! avdec_h264 ! x265enc \
         speed-preset=ultrafast tune=zerolatency key-int-max=10 bitrate=2000 ! h265parse ! mp4mux \
         ! filesink location={to:?}"
    );
    let pipeline = gstreamer::parse::launch(&text).unwrap();
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    let ends = [gstreamer::MessageType::Eos, gstreamer::MessageType::Error];
    let patience = gstreamer::ClockTime::from_seconds(PATIENCE.as_secs());
    let end = pipeline.bus().unwrap().timed_pop_filtered(patience, &ends);
    pipeline.set_state(gstreamer::State::Null).unwrap();
    let is_whole = end.is_some_and(|it| it.type_() == gstreamer::MessageType::Eos);
    assert!(is_whole, "{} is not written", to.display());
}

fn for_each_sample(text: &str, video: &Path, mut show: impl FnMut(&gstreamer::Sample)) {
    gstreamer::init().unwrap();
    let pipeline = gstreamer::parse::launch(text).unwrap();
    let pipeline = pipeline.downcast::<gstreamer::Pipeline>().unwrap();
    let file = pipeline.by_name("file").unwrap();
    file.set_property("location", video.to_str().unwrap());
    let out = pipeline.by_name("out").unwrap();
    let out = out.downcast::<gstreamer_app::AppSink>().unwrap();
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    while let Ok(sample) = out.pull_sample() {
        show(&sample);
    }
    let bus = pipeline.bus().unwrap();
    let failed = bus.pop_filtered(&[gstreamer::MessageType::Error]);
    pipeline.set_state(gstreamer::State::Null).unwrap();
    assert!(failed.is_none(), "{}: {failed:?}", video.display());
}

/// Standard deviation of the grey levels.
fn spread(picture: &RgbImage) -> f64 {
    let greys = || {
        picture
            .pixels()
            .map(|it| it.0.iter().map(|&c| f64::from(c)).sum::<f64>() / 3.0)
    };
    let count = f64::from(picture.width() * picture.height());
    let mean = greys().sum::<f64>() / count;
    (greys().map(|grey| (grey - mean).powi(2)).sum::<f64>() / count).sqrt()
}

fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    let pixels = a.as_raw().iter().zip(b.as_raw());
    let sum: f64 = pixels.map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.as_raw().len() as f64
}

#[test]
fn a_clip_shows_what_the_camera_sent_before_and_after_its_events() {
    let camera = street_camera();
    let daemon = Daemon::start(
        &camera.uri(),
        "[clips]\nevents = [\"line_crossing\"]\npre_secs = 2\npost_secs = 2\nmax_secs = 12\n\
         [snapshots]\nevents = [\"line_crossing\"]",
        "raw = true",
    );
    // The street sends five crossings in ten seconds: four in two pairs that are closer than 4 s.
    wait_until("a whole clip of several events, and another", || {
        let clips = daemon.clips();
        let whole = clips.iter().filter(|clip| is_whole(clip));
        let shared = whole
            .clone()
            .filter(|clip| clip["events"].as_array().unwrap().len() >= 2);
        shared.count() >= 1 && whole.count() >= 2
    });
    let metrics = daemon.metrics();
    assert!(
        metrics.contains("gantryd_clips_total{camera=\"gate\"}"),
        "{metrics}"
    );
    let (clips, events) = (daemon.clips(), daemon.events());
    let folder = daemon.stop();
    let gate = folder.path().join("out/gate");
    let street = sent(&fixture("street.mp4"));

    let mut whole = 0;
    for clip in clips.iter().filter(|clip| is_whole(clip)) {
        let name = clip["file"].as_str().unwrap();
        let video = gate.join(name);
        let pictures = sent(&video);
        assert!(pictures[0].is_key, "{name} begins with a key frame");
        assert_eq!(clip["pictures"], pictures.len(), "{name}");
        assert_eq!(
            decoded(&video).len(),
            pictures.len(),
            "{name} plays to its end"
        );
        let last = pictures.last().unwrap().pts_ns;

        // Not re-encoded: the slices are those of the street, one picture after the other.
        let place = |it: &Sent| street.iter().position(|known| known.slices == it.slices);
        let places: Vec<usize> = pictures
            .iter()
            .map(|it| place(it).expect("as it was sent"))
            .collect();
        assert!(
            places
                .windows(2)
                .all(|it| it[1] == (it[0] + 1) % street.len()),
            "{places:?}"
        );

        let told = clip["events"].as_array().unwrap();
        assert!(!told.is_empty(), "{name}");
        for event in told {
            assert!(
                events.contains(event),
                "its line is the published one: {event}"
            );
            assert_eq!(event["clip"]["file"], name);
            let at = event["clip"]["pts_ns"].as_u64().unwrap();
            let start = clip["start_pts_ns"].as_i64().unwrap();
            let pts = event["pts_ns"].as_i64().unwrap();
            assert_eq!(start + i64::try_from(at).unwrap(), pts, "{name}");
            assert!(
                last + SLACK >= at + 2 * SECOND,
                "{name} goes on after {at}: {last}"
            );
        }
        let first = told[0]["clip"]["pts_ns"].as_u64().unwrap();
        // A camera that has just begun has no more before an event.
        if clip["start_pts_ns"].as_i64().unwrap() > i64::try_from(GROUP).unwrap() {
            let wanted = 2 * SECOND..=2 * SECOND + GROUP + SLACK;
            assert!(wanted.contains(&first), "{name} begins {first} ns before");
            whole += 1;
        }

        let lines = fs::read_to_string(video.with_extension("jsonl")).unwrap();
        let places: Vec<u64> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|line| line["segment_pts_ns"].as_u64().unwrap())
            .collect();
        assert!(!places.is_empty() && places.windows(2).all(|it| it[0] < it[1]));
        for place in places {
            let nearest = pictures.iter().map(|it| it.pts_ns.abs_diff(place)).min();
            assert!(
                nearest < Some(SECOND / 100),
                "{name}: a line at {place} and no picture"
            );
        }
    }
    assert!(whole >= 1, "{clips:#?}");

    events_name_their_frame_in_the_raw_recording(&gate, &events);
    snapshots_show_the_object(&gate, &events);
    rendering_draws_the_boxes(folder.path(), &gate, &clips);
}

#[test]
fn clips_of_an_h265_camera_are_what_it_sent_and_play_to_their_end() {
    gstreamer::init().unwrap();
    if gstreamer::ElementFactory::find("x265enc").is_none() {
        eprintln!("SKIPPED: no x265enc (apt-get install gstreamer1.0-plugins-bad)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let street = folder.path().join("street265.mp4");
    transcode(&fixture("street.mp4"), &street);
    let camera = CameraProcess::start(&["--codec", "h265", "--file", street.to_str().unwrap()]);
    let daemon = Daemon::start(
        &camera.uri(),
        "[clips]\nevents = [\"line_crossing\"]\npre_secs = 1\npost_secs = 1\nmax_secs = 6\n",
        "raw = true",
    );
    wait_until("two whole clips", || {
        daemon.clips().iter().filter(|clip| is_whole(clip)).count() >= 2
    });
    let clips = daemon.clips();
    let folder = daemon.stop();
    let gate = folder.path().join("out/gate");
    for clip in clips.iter().filter(|clip| is_whole(clip)) {
        let video = gate.join(clip["file"].as_str().unwrap());
        let mut codecs = Vec::new();
        let text = "filesrc name=file ! qtdemux ! h265parse ! appsink name=out sync=false";
        for_each_sample(text, &video, |sample| {
            codecs.push(
                sample
                    .caps()
                    .unwrap()
                    .structure(0)
                    .unwrap()
                    .name()
                    .to_string(),
            );
        });
        assert!(codecs.iter().all(|codec| codec == "video/x-h265"));
        assert_eq!(clip["pictures"], codecs.len(), "{clip}");
        let pictures = decoded_by("h265parse ! avdec_h265", &video);
        assert_eq!(pictures.len(), codecs.len(), "it plays to its end");
        assert!(pictures.iter().all(|picture| spread(picture) > 5.0));
    }
}

/// The picture at the place that `recording` tells is that of the place in the clip.
fn events_name_their_frame_in_the_raw_recording(gate: &Path, events: &[Value]) {
    let mut films: BTreeMap<String, Vec<Sent>> = BTreeMap::new();
    let mut slices_at = |place: &Value| {
        let name = place["file"].as_str()?;
        let at = place["pts_ns"].as_u64()?;
        let film = films
            .entry(name.to_owned())
            .or_insert_with(|| sent(&gate.join(name)));
        let picture = film.iter().min_by_key(|it| it.pts_ns.abs_diff(at))?;
        (picture.pts_ns.abs_diff(at) < SLACK / 5).then(|| picture.slices.clone())
    };
    let (mut named, mut compared) = (0, 0);
    for event in events {
        let recording = &event["recording"];
        if recording.is_null() {
            continue;
        }
        let file = recording["file"].as_str().unwrap();
        assert!(file.ends_with("_raw.mp4"), "{recording}");
        let recorded = slices_at(recording);
        assert!(recorded.is_some(), "no picture at {recording}");
        named += 1;
        // The end of the last clip may not have been written.
        if let Some(shown) = Some(&event["clip"]).filter(|clip| !clip.is_null())
            && gate.join(shown["file"].as_str().unwrap()).exists()
            && let Some(shown) = slices_at(shown)
        {
            assert!(recorded == Some(shown), "{event}");
            compared += 1;
        }
    }
    // The newest group of pictures may be in no segment yet when an event gives up waiting for it.
    assert!(
        named * 10 >= events.len() * 8 && compared >= 3,
        "{named} of {}, {compared}: {events:#?}",
        events.len()
    );
}

/// Frame and object are pictures, and the object is the part of the frame around its box.
fn snapshots_show_the_object(gate: &Path, events: &[Value]) {
    let mut with_object = 0;
    for event in events.iter().filter(|it| it["type"] == "line_crossing") {
        let Some(snapshot) = event["snapshot"].as_object() else {
            continue;
        };
        let open = |name: &Value| {
            let path = gate.join(name.as_str().unwrap());
            image::open(path).unwrap().to_rgb8()
        };
        let frame = open(&snapshot["frame"]);
        assert_eq!(frame.dimensions(), (640, 360));
        assert!(spread(&frame) > 5.0, "the frame is not flat");
        if snapshot["object"].is_null() {
            continue;
        }
        let object = open(&snapshot["object"]);
        let edges: Vec<f64> = event["object"]["box_px"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_f64().unwrap())
            .collect();
        let (width, height) = (edges[2] - edges[0], edges[3] - edges[1]);
        // A fifth more on each side, as far as the frame goes; the picture is of whole pixels.
        assert!(
            f64::from(object.width()) <= width * 1.4 + 12.0,
            "{object:?}"
        );
        assert!(
            f64::from(object.height()) <= height * 1.4 + 12.0,
            "{object:?}"
        );
        assert!(spread(&object) > 5.0, "the object is not flat");
        with_object += 1;
    }
    assert!(with_object >= 2, "{events:#?}");
}

/// A rendering has as many frames as its source; it differs at the boxes and hardly elsewhere.
fn rendering_draws_the_boxes(folder: &Path, gate: &Path, clips: &[Value]) {
    let raw = names(gate)
        .into_iter()
        .find(|name| name.ends_with("_raw.mp4"))
        .unwrap();
    let clip = clips.iter().find(|clip| is_whole(clip)).unwrap()["file"]
        .as_str()
        .unwrap()
        .to_owned();
    for name in [raw, clip] {
        let (source, out) = (gate.join(&name), folder.join("drawn.mp4"));
        let render = |more: &[&str]| {
            let mut command = Command::cargo_bin("gantryd").unwrap();
            command.arg("render").arg(&source).arg("--out").arg(&out);
            command
                .args(["--trail", "0", "--encoder", "x264"])
                .args(more)
                .output()
                .unwrap()
        };
        let done = render(&[]);
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{name}: {told}");
        let (before, after) = (decoded(&source), decoded(&out));
        assert_eq!(before.len(), after.len(), "{name}");

        let lines = fs::read_to_string(source.with_extension("jsonl")).unwrap();
        let lines: BTreeMap<u64, Value> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|line| (line["segment_pts_ns"].as_u64().unwrap(), line))
            .collect();
        let times: Vec<u64> = sent(&source).iter().map(|it| it.pts_ns).collect();
        let mut drawn = 0;
        for (index, (before, after)) in before.iter().zip(&after).enumerate() {
            let time = times[index] - times[0];
            let line = lines
                .range(time.saturating_sub(SLACK / 50)..=time + SLACK / 50)
                .next();
            let Some((_, line)) = line else { continue };
            for track in line["tracks"].as_array().unwrap() {
                let edge = |side: usize| track["box_px"][side].as_f64().unwrap();
                // The lower edge of a box, where no label is; dashed while it is not seen.
                let inside = (5.0..=634.0).contains(&edge(0)) && (5.0..=634.0).contains(&edge(2));
                if track["state"] != "confirmed" || !inside || edge(3) > 350.0 {
                    continue;
                }
                let (x, y) = (((edge(0) + edge(2)) / 2.0) as u32, edge(3) as u32);
                let changed = (y - 2..=y + 2).any(|y| {
                    let (a, b) = (before.get_pixel(x, y), after.get_pixel(x, y));
                    a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 40)
                });
                assert!(changed, "{name}: no box below {track} in frame {index}");
                drawn += 1;
            }
            // The lower right corner has no zone, line or label of this street.
            let corner = |it: &RgbImage| image::imageops::crop_imm(it, 560, 320, 60, 30).to_image();
            assert!(
                difference(&corner(before), &corner(after)) < 12.0,
                "{name}: {index}"
            );
        }
        assert!(drawn > 20, "{name}: {drawn}");

        let refused = render(&[]);
        assert_eq!(refused.status.code(), Some(1));
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains("--force"), "{told}");
        assert!(
            render(&["--force", "--from", "1", "--to", "2"])
                .status
                .success()
        );
        let part = decoded(&out).len();
        assert!(
            (20..=30).contains(&part),
            "{name}: {part} frames in a second"
        );
        fs::remove_file(&out).unwrap();
    }
    let nothing = Command::cargo_bin("gantryd")
        .unwrap()
        .args(["render", fixture("street.mp4").to_str().unwrap()])
        .current_dir(folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(
        told.contains("street.jsonl: no such file") && told.contains("--lines"),
        "{told}"
    );
}

/// The street with nothing but key frames, so that it has many more bytes.
fn heavy_street(folder: &Path) -> PathBuf {
    let path = folder.join("heavy.mp4");
    let text = format!(
        "filesrc location={} ! qtdemux ! h264parse ! avdec_h264 \
         ! x264enc speed-preset=ultrafast pass=quant quantizer=1 key-int-max=1 \
         ! h264parse ! mp4mux ! filesink location={}",
        fixture("street.mp4").display(),
        path.display()
    );
    gstreamer::init().unwrap();
    let pipeline = gstreamer::parse::launch(&text).unwrap();
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    let ends = [gstreamer::MessageType::Eos, gstreamer::MessageType::Error];
    let patience = gstreamer::ClockTime::from_seconds(PATIENCE.as_secs());
    let end = pipeline.bus().unwrap().timed_pop_filtered(patience, &ends);
    pipeline.set_state(gstreamer::State::Null).unwrap();
    assert_eq!(end.unwrap().type_(), gstreamer::MessageType::Eos);
    path
}

#[test]
fn a_camera_that_comes_has_clips_and_one_that_is_opened_anew_goes_on_having_them() {
    let (gate, dock) = (street_camera(), street_camera());
    let tables = "[clips]\nevents = [\"line_crossing\"]\npre_secs = 1\npost_secs = 1\nmax_secs = 4";
    let daemon = Daemon::start(&gate.uri(), tables, "");
    wait_until("a clip of the first stream", || !daemon.clips().is_empty());

    let file = daemon.folder.path().join("site.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, camera) = text.split_at(text.find("[[cameras]]").unwrap());
    let opened_anew = camera.replace("annotate = false", "annotate = false\nlatency_ms = 100");
    let opened_anew = opened_anew.replace("\"street\"", "\"lane\"");
    let new = camera.replace("\"gate\"", "\"dock\"");
    let new = new.replace(&gate.uri(), &dock.uri());
    fs::write(&file, format!("{before}{opened_anew}\n{new}")).unwrap();
    let pid = rustix::process::Pid::from_child(&daemon.child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();

    let dock_folder = daemon.folder.path().join("out/dock");
    wait_until("clips of both new streams", || {
        let of_dock = clips_in(&dock_folder);
        let of_gate = daemon.clips();
        of_dock.iter().any(is_whole) && of_gate.iter().any(|it| it["run"] == 2 && is_whole(it))
    });
    let folder = daemon.stop();
    let gate = clips_in(&folder.path().join("out/gate"));
    let zone_of = |clip: &Value| clip["scenery"]["zones"][0][0].clone();
    for clip in &gate {
        let zone = if clip["run"] == 1 { "street" } else { "lane" };
        assert_eq!(zone_of(clip), zone, "{clip}");
    }
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(!log.contains("only after a restart"), "{log}");
}

#[test]
fn a_ring_that_is_too_small_shortens_clips_and_they_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let heavy = heavy_street(folder.path());
    // In ten seconds: the ring is full after some sixteen, of sixty that are asked for.
    let bytes = fs::metadata(&heavy).unwrap().len();
    assert!(bytes > 500_000, "{bytes}");
    let camera = CameraProcess::start(&["--file", heavy.to_str().unwrap()]);
    let daemon = Daemon::start(
        &camera.uri(),
        "[clips]\nevents = [\"line_crossing\"]\npre_secs = 60\npost_secs = 0\nmax_ring_mib = 1",
        "",
    );
    let counted = "gantryd_clips_shortened_total{camera=\"gate\",reason=\"ring\"}";
    wait_until("a clip that the ring cut short", || {
        daemon.clips().iter().any(|clip| !is_whole(clip))
    });
    assert!(daemon.metrics().contains(counted));
    let clips = daemon.clips();
    let cut = clips.iter().find(|clip| !is_whole(clip)).unwrap();
    assert_eq!(cut["shortened"], serde_json::json!(["ring"]));
    // What was kept of the time before, and what came while it was written: a part of a second each.
    let bytes = cut["bytes"].as_u64().unwrap();
    assert!((500_000..=1_600_000).contains(&bytes), "{bytes}");
    daemon.stop();
}

#[test]
fn a_camera_with_something_to_hide_has_pictures_and_no_clips() {
    let camera = street_camera();
    let tables = "[clips]\nevents = [\"line_crossing\"]\n[snapshots]\nevents = [\"line_crossing\"]";
    let mask = "clips = false\n[cameras.privacy]\nhow = \"fill\"\n\
                [[cameras.masks]]\npolygon_norm = [[0, 0], [1, 0], [1, 1], [0, 1]]";
    let mut refused = Daemon::start(&camera.uri(), tables, &mask.replace("clips = false", ""));
    assert_eq!(refused.child.wait().unwrap().code(), Some(78));
    let log = fs::read_to_string(refused.folder.path().join("log")).unwrap();
    assert!(
        log.contains("cameras[0].clips: true, but") && log.contains("clips = false"),
        "{log}"
    );

    let daemon = Daemon::start(&camera.uri(), tables, mask);
    wait_until("a picture of an event", || {
        names(&daemon.gate())
            .iter()
            .any(|name| name.ends_with("_frame.jpg"))
    });
    let folder = daemon.stop();
    let gate = folder.path().join("out/gate");
    let files = names(&gate);
    assert!(
        !files.iter().any(|name| name.contains("_clip")),
        "{files:?}"
    );
    let frame = files
        .iter()
        .find(|name| name.ends_with("_frame.jpg"))
        .unwrap();
    let frame = image::open(gate.join(frame)).unwrap().to_rgb8();
    assert!(
        spread(&frame) < 1.0,
        "a mask over the whole frame leaves grey"
    );
}
