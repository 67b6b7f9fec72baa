//! The files in `config/` say what the program does, and each bad configuration gets its text.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeSet;
use std::path::Path;

use gantryd::app::config::{CameraConfig, CameraUri, Config};
use gantryd::base::CameraId;
use gantryd::perception::track::TrackOptions;
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../config/example.toml");
const MINIMAL: &str = include_str!("../config/minimal.toml");

/// Faults of `text` as a file `site.toml` in a folder with `files`, without the folder's name.
fn faults(text: &str, files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let file = folder.path().join("site.toml");
    std::fs::write(&file, text).unwrap();
    let error = Config::load(&file).unwrap_err().to_string();
    let prefix = format!("{}/", folder.path().display());
    error.replace(&prefix, "")
}

fn camera(rest: &str) -> String {
    format!("[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n{rest}")
}

#[test]
fn the_example_holds_the_defaults() {
    let config = Config::from_text(EXAMPLE, Path::new("example.toml")).unwrap();
    let uri = CameraUri::Rtsp("rtsp://10.0.0.5:554/stream1".parse().unwrap());
    let mut expected = Config {
        cameras: vec![CameraConfig::new(CameraId::new("gate"), uri)],
        ..Config::default()
    };
    // Resolved against the folder of example.toml, which is "" here.
    expected.output.folder = "out".into();
    assert_eq!(config, expected);
}

#[test]
fn the_example_names_every_key_there_is_and_no_other() {
    let mut section = String::new();
    let mut named = BTreeSet::new();
    for line in EXAMPLE.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = bare.strip_prefix('[').filter(|it| it.ends_with(']')) {
            let list = if name.starts_with('[') { "[]" } else { "" };
            let path = name.trim_matches(['[', ']']);
            let path = path.replace("cameras.", "cameras[].");
            section = format!(
                "{}{list}",
                path.replace("detect.providers.", "detect.providers[].")
            );
            named.insert(section.trim_end_matches("[]").to_owned());
        }
        let is_key = |key: &str| {
            !key.is_empty()
                && key
                    .chars()
                    .all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        if let Some((key, _)) = bare.split_once(" = ").filter(|(key, _)| is_key(key)) {
            named.insert(format!("{section}.{key}"));
        }
    }
    assert_eq!(named, Config::known_keys());
}

#[test]
fn providers_are_tried_in_their_order_each_with_its_settings() {
    let detect = |keys: &str| {
        let text = format!("[detect]\n{keys}\n{}", camera(""));
        Config::from_text(&text, Path::new("etc/site.toml"))
            .unwrap()
            .detect
    };
    let list = detect(
        "require_gpu = true\nproviders = [\
         { tensorrt = { device = 1, fp16 = true, cache_folder = \"engines\" } }, \
         { openvino = { hardware = \"GPU\", threads = 3 } }, \
         { cuda = { memory_limit_mib = 2048, tf32 = false, graphs = true } }, { cpu = {} }]",
    );
    assert_eq!(list.runs_on(), "tensorrt or openvino or cuda or cpu");
    let providers = list.providers;
    use gantryd::perception::detect::Provider::{Cpu, Cuda, OpenVino, TensorRt};
    assert_eq!(providers.order, [TensorRt, OpenVino, Cuda, Cpu]);
    assert!(providers.require_gpu && providers.tensorrt.fp16);
    assert_eq!(providers.tensorrt.device, 1);
    assert_eq!(
        providers.tensorrt.cache.as_deref(),
        Some(Path::new("etc/engines"))
    );
    assert_eq!(providers.cuda.memory_limit, Some(2 << 30));
    assert!(!providers.cuda.tf32 && providers.cuda.graphs);
    assert_eq!(providers.openvino.hardware.as_deref(), Some("GPU"));
    assert_eq!(providers.openvino.threads.map(Into::into), Some(3_usize));
    let short = detect("provider = \"cuda\"\ndevice = 2").providers;
    assert_eq!((short.cuda.device, short.tensorrt.device), (2, 2));
}

#[test]
fn what_is_wrong_with_batches_is_told() {
    let told = |keys: &str| faults(&format!("[detect]\n{keys}\n{}", camera("")), &[]);
    for (keys, expected) in [
        (
            "batch_sizes = [4, 1]",
            "detect.batch_sizes: [4, 1], allowed are numbers that rise",
        ),
        (
            "batch_sizes = [0, 1]",
            "allowed is a list of whole numbers, 1 to 64 each",
        ),
        (
            "batch_sizes = 4",
            "detect.batch_sizes: 4, allowed is a list",
        ),
        (
            "max_batch = 8\nbatch_sizes = [1, 4]",
            "the last must be max_batch (8)",
        ),
        ("max_wait_ms = 2000", "detect.max_wait_ms: 2000, allowed is"),
    ] {
        let text = told(keys);
        assert!(text.contains(expected), "{keys}: {text}");
    }
}

#[test]
fn what_is_wrong_with_providers_is_told() {
    let told = |keys: &str| faults(&format!("[detect]\n{keys}\n{}", camera("")), &[]);
    for (keys, expected) in [
        (
            "providers = []",
            "detect.providers: empty, allowed are tables of cpu, cuda, tensorrt, openvino",
        ),
        ("providers = [{}]", "names no provider"),
        (
            "providers = [{ cuda = {}, cpu = {} }]",
            "detect.providers[0].cuda: is the second provider in one entry",
        ),
        (
            "providers = [{ cpu = {} }, { cpu = {} }]",
            "detect.providers[1].cpu: is there twice",
        ),
        (
            "providers = [{ cude = {} }]",
            "detect.providers[0].cude: unknown key, did you mean cuda?",
        ),
        (
            "providers = [{ cuda = { fp16 = true } }]",
            "detect.providers[0].cuda.fp16: unknown key",
        ),
        (
            "providers = [{ cuda = { memory_limit_mib = 1 } }]",
            "detect.providers[0].cuda.memory_limit_mib: 1, allowed is",
        ),
        (
            "provider = \"cuda\"\nproviders = [{ cuda = {} }]",
            "detect.provider: providers says that too",
        ),
        (
            "provider = \"cpu\"\nrequire_gpu = true",
            "detect.require_gpu: true, and no provider is a GPU",
        ),
        (
            "require_gpu = true\nproviders = [{ openvino = {} }, { cpu = {} }]",
            "detect.require_gpu: true, and no provider is a GPU",
        ),
    ] {
        let text = told(keys);
        assert!(text.contains(expected), "{keys}: {text}");
    }
}

#[test]
fn a_sink_is_read_with_its_secrets_hidden() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["broker.password", "webhook.secret"] {
        std::fs::write(folder.path().join(name), "hunter2\n").unwrap();
    }
    let text = camera(
        "[[sinks]]\nname = \"room\"\nurl = \"mqtts://broker.example\"\nuser = \"gantryd\"\n\
         password_file = \"broker.password\"\ncameras = [\"gate\"]\ntypes = [\"turn\"]\n\
         [[sinks]]\nname = \"hook\"\nurl = \"https://h/services/hunter2?token=hunter2\"\nsecret_file = \"webhook.secret\"\n",
    );
    let config = Config::from_text(&text, &folder.path().join("site.toml")).unwrap();
    let [room, hook] = config.sinks.as_slice() else {
        panic!("{:?}", config.sinks);
    };
    assert_eq!(
        (room.client_id.as_str(), room.topic.as_str()),
        ("gantryd-room", "gantryd")
    );
    assert_eq!(room.types, ["turn"]);
    assert_eq!(hook.secret.as_ref().unwrap().expose(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

#[test]
fn an_authority_without_encryption_and_names_that_become_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), "").unwrap();
    let text = camera(
        "[[cameras.zones]]\nname = \"exit A\"\npolygon_norm = [[0, 0], [1, 0], [1, 1]]\n\
         [[cameras.zones]]\nname = \"exit.A\"\npolygon_norm = [[0, 0], [1, 0], [1, 1]]\n\
         [[sinks]]\nname = \"room\"\nurl = \"mqtt://h\"\ntls_ca_file = \"ca.pem\"\nzone_state = true\n",
    );
    let error = Config::from_text(&text, &folder.path().join("site.toml")).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("sinks[0].tls_ca_file: nothing is encrypted with mqtt://"),
        "{told}"
    );
    assert!(
        told.contains("sinks[0].zone_state: \"exit A\" and \"exit.A\" of gate both become exit_A"),
        "{told}"
    );
}

#[test]
fn every_fault_of_a_sink_is_told_with_what_is_allowed() {
    let text = camera(
        "[[sinks]]\nname = \"room\"\nurl = \"mqtt://u:hunter2@h\"\n\
         [[sinks]]\nname = \"room\"\nurl = \"amqp://h\"\n\
         [[sinks]]\nname = \"hook\"\nurl = \"http://h/x\"\ntopic = \"x\"\ncameras = [\"yard\"]\n\
         types = [\"boom\"]\nplaces = [\"door\"]\nevents = false\ntimeout_secs = 0\n\
         [[sinks]]\nname = \"log\"\nurl = \"kafka://h\"\nsasl = \"plain\"\nstream = \"s\"\n",
    );
    assert_eq!(
        faults(&text, &[]),
        "site.toml: sinks[0].url: \"mqtt://***@h\", no credentials in an address: use user and password_file\n\
         site.toml: sinks[1].name: \"room\" is the name of another sink too, each needs its own\n\
         site.toml: sinks[1].url: \"amqp://h\", allowed is kafka://, kafkas://, mqtt://, mqtts://, nats://, tls://, redis://, rediss://, http://, https:// with a host\n\
         site.toml: sinks[2].topic: means nothing to a sink with http://\n\
         site.toml: sinks[2].cameras: \"yard\", allowed are gate\n\
         site.toml: sinks[2].types: \"boom\", allowed are line_crossing, turn, zone_entry, zone_exit, loitering, stopped, wrong_way, occupancy, queue, congestion\n\
         site.toml: sinks[2].places: \"door\", but there are none\n\
         site.toml: sinks[2].events: false, and nothing else is sent: remove the sink, or set results_hz\n\
         site.toml: sinks[2].timeout_secs: 0, allowed is 1 to 120\n\
         site.toml: sinks[3].stream: means nothing to a sink with kafka://\n\
         site.toml: sinks[3].sasl: says how to log in, but there are no user and password_file"
    );
}

#[test]
fn the_keys_that_are_commented_out_work_once_they_are_not() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["gate.password", "ca.pem", "my-camera.gst"] {
        std::fs::write(folder.path().join(name), "hunter2\n").unwrap();
    }
    // The keys of a sink are for different kinds of sinks: not all at once.
    let uncommented: Vec<&str> = EXAMPLE
        .lines()
        .take_while(|line| *line != "# [[sinks]]")
        .map(|line| {
            let commented = ["user", "password_file", "tls_ca_file", "pipeline"]
                .iter()
                .any(|key| line.starts_with(&format!("# {key} = ")));
            if commented { &line[2..] } else { line }
        })
        .collect();
    let file = folder.path().join("site.toml");
    let config = Config::from_text(&uncommented.join("\n"), &file).unwrap();
    let camera = &config.cameras[0];
    let credentials = camera.credentials.as_ref().unwrap();
    assert_eq!(credentials.user, "viewer");
    assert_eq!(credentials.password.expose(), "hunter2");
    assert_eq!(camera.tls_ca_file, Some(folder.path().join("ca.pem")));
    assert_eq!(camera.pipeline, Some(folder.path().join("my-camera.gst")));
    assert!(!format!("{config:?}").contains("hunter2"));
}

/// The part of the example that shows zones, lines and a calibration, with its comments taken off
/// and, of the keys of which one is enough, only those that end in `kept`.
fn example_of_zones(kept: &str, dropped: &str) -> String {
    let from = EXAMPLE.find("# frame_px").unwrap();
    let to = EXAMPLE.find("\n[detect]").unwrap();
    let is_kept = |line: &&str| {
        let (key, _) = line.split_once(" = ").unwrap_or((line, ""));
        let is_key = key
            .chars()
            .all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit());
        let is_there = line.contains(" = ") && is_key || line.starts_with('[');
        is_there
            && (!key.ends_with(dropped) || key == "frame_px")
            && key != "congestion_sizes_per_sec"
    };
    let bare = EXAMPLE[from..to]
        .lines()
        .filter_map(|line| line.strip_prefix("# "));
    let text: Vec<&str> = bare.filter(is_kept).collect();
    assert!(text.join("\n").contains(kept));
    text.join("\n")
}

#[test]
fn the_example_of_zones_works_in_shares_and_in_pixels() {
    let shares = example_of_zones("_norm", "_px");
    let config = Config::from_text(&camera(&shares), Path::new("site.toml")).unwrap();
    let in_shares = &config.cameras[0].zones;
    assert_eq!((in_shares.zones.len(), in_shares.lines.len()), (1, 1));
    assert!(in_shares.calibration.is_some());
    let pixels = example_of_zones("_px", "_norm");
    let config = Config::from_text(&camera(&pixels), Path::new("site.toml")).unwrap();
    // The example says the same twice.
    assert_eq!(&config.cameras[0].zones, in_shares);
}

#[test]
fn every_fault_of_zones_and_lines_is_told_at_once_with_its_remedy() {
    let text = r#"
        [[cameras.zones]]
        name = "bow tie"
        polygon_norm = [[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]]
        [[cameras.zones]]
        name = "two points"
        polygon_norm = [[0.1, 0.1], [0.9, 0.1]]
        [[cameras.zones]]
        name = "outside"
        polygon_norm = [[0.1, 0.1], [1.9, 0.1], [0.5, 0.9]]
        [[cameras.zones]]
        name = "pixels"
        polygon_px = [[10, 10], [600, 10], [300, 300]]
        [[cameras.zones]]
        name = "outside"
        kind = "exclude"
        polygon_norm = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]
        loiter_secs = 5
        [[cameras.zones]]
        name = "slow"
        polygon_norm = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]
        congestion_occupancy = 3
        congestion_kmh = 10
        ancor = "center"
        [[cameras.lines]]
        name = "point"
        line_norm = [[0.5, 0.5], [0.5, 0.5]]
        [[cameras.lines]]
        line_norm = [[0.5, 0.5], [0.5, 0.9], [0.1, 0.1]]
        direction = "inwards"
    "#;
    let told = faults(&camera(text), &[]);
    let expected = [
        "zones[0].polygon_norm: sides 2 and 4 cross or touch, list the corners in order around the polygon",
        "zones[1].polygon_norm: 2 points, a polygon needs at least 3",
        "zones[2].polygon_norm: point 2 (1.9, 0.1) lies outside the frame, allowed is 0 to 1 from the left and from the top",
        "zones[3].polygon_px: pixels of which picture? Give the camera frame_px = [width, height] of the picture they were measured on, or use polygon_norm",
        "zones[4].name: \"outside\" is the name of cameras[0].zones[2] too, each zone and line needs its own",
        "zones[4].loiter_secs: nothing is looked at in a zone of kind \"exclude\", remove one of the two",
        "zones[5].congestion_kmh: there is no calibration that tells km/h, add one or use congestion_sizes_per_sec",
        "zones[5].ancor: unknown key, did you mean anchor?",
        "lines[0].line_norm: both points are the same, a line needs a length: move one of them",
        "lines[1].name: missing, every zone and line needs one",
        "lines[1].line_norm: 3 points, a line has exactly 2",
        "lines[1].direction: \"inwards\", allowed is one of both, in, out",
    ];
    let lines: Vec<&str> = told
        .lines()
        .map(|line| line.strip_prefix("site.toml: cameras[0].").unwrap())
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_calibration_that_decides_nothing_is_refused() {
    let calibration = |image: &str, ground: &str| {
        format!(
            "frame_px = [1000, 500]\n[cameras.calibration]\nimage_px = {image}\nground_m = {ground}\n"
        )
    };
    let good = "[[100, 100], [900, 100], [900, 400], [100, 400]]";
    for (image, ground, expected) in [
        (
            "[[100, 100], [500, 100], [900, 100], [100, 400]]",
            good,
            "image_px: points 1, 2, 3 lie in a row, a calibration needs four corners of an area: move one of them",
        ),
        (
            "[[100, 100], [1100, 100], [900, 400], [100, 400]]",
            good,
            "image_px: point 2 (1100, 100) lies outside the frame, allowed is 0 to 1000 from the left and 0 to 500 from the top (frame_px)",
        ),
        (
            good,
            "[[0, 0], [8, 40], [8, 0], [0, 40]]",
            "ground_m: the points are not in order around a convex quadrilateral, list its corners clockwise",
        ),
        (
            good,
            "[[0, 0], [8, 40], [8, 0]]",
            "ground_m: 3 points, a calibration needs exactly 4",
        ),
    ] {
        assert_eq!(
            faults(&camera(&calibration(image, ground)), &[]),
            format!("site.toml: cameras[0].calibration.{expected}")
        );
    }
}

#[test]
fn the_minimal_file_is_valid_next_to_its_video_and_model() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["demo.mp4", "model.onnx"] {
        std::fs::write(folder.path().join(name), "not looked into").unwrap();
    }
    let config = Config::from_text(MINIMAL, &folder.path().join("minimal.toml")).unwrap();
    assert!(config.cameras[0].lossless, "a file is read without loss");
}

#[test]
fn the_minimal_file_alone_says_what_is_missing() {
    assert_eq!(
        faults(MINIMAL, &[]),
        "site.toml: detect.model: model.onnx: no such file, allowed is a file that can be read\n\
         site.toml: cameras[0].uri: demo.mp4: no such file, allowed is a file that can be read"
    );
}

#[test]
fn the_values_that_the_example_gives_for_auto_are_those_of_the_tracker() {
    let options = TrackOptions::default();
    let said = |text: String| assert!(EXAMPLE.contains(&text), "{text}");
    said(format!(
        "\"auto\" ({}) or 0 to 600",
        options.memory.as_secs()
    ));
    said(format!("\"auto\" ({}) or 1 to 100", options.confirm_hits));
    said(format!("auto: {}, and down to", options.high_score));
    said(format!("\"auto\" ({}) or 0 to 1", options.low_score));
    // Lowered by 37 % at the most: 0.5 → 0.3, 0.62 → 0.39.
    said(format!(
        "\"auto\" ({}, down to 0.39)",
        options.new_track_score
    ));
}

#[test]
fn each_bad_value_is_told_with_what_is_allowed() {
    for (text, expected) in [
        (
            camera("stall_secs = 0"),
            "cameras[0].stall_secs: 0, allowed is 1 to 600",
        ),
        (
            camera("stall_secs = \"five\""),
            "cameras[0].stall_secs: \"five\", allowed is a number, 1 to 600",
        ),
        (
            camera("latency_ms = -1"),
            "cameras[0].latency_ms: -1, allowed is 0 to 10000",
        ),
        (
            camera("raw = 1"),
            "cameras[0].raw: 1, allowed is true or false",
        ),
        (
            camera("decode = \"gpu\""),
            "cameras[0].decode: \"gpu\", allowed is one of auto, nvdec, va, v4l2, software",
        ),
        (
            camera("[detect]\nworkers = 0"),
            "detect.workers: 0, allowed is \"auto\" or a whole number, 1 to 64",
        ),
        (
            camera("[detect]\nconfidence = 0.05"),
            "detect.confidence: 0.05, allowed is min_confidence (0.1) to 1",
        ),
        (
            camera("[detect]\nclass_map = [\"van\"]"),
            "detect.class_map: a list, allowed is a table of texts, { lorry = \"truck\" }",
        ),
        (
            camera("[detect.class_map]\nvan = \" car\""),
            "detect.class_map.van: \" car\", allowed is a name of at most 64 characters without \
             spaces around it, or \"\" to drop the class",
        ),
        (
            camera("[track]\nlow = 0.7\nhigh = 0.5"),
            "track.low: 0.7, allowed is 0 to high (0.5)",
        ),
        (
            camera("[metrics]\nlisten = \"127.0.0.1:99999\""),
            "metrics.listen: \"127.0.0.1:99999\", allowed is address:port \
             (\"127.0.0.1:9464\", \"[::]:9464\") or \"off\"",
        ),
        (
            camera("raw = true\n[cameras.privacy]\nclasses = [\"person\"]"),
            "cameras[0].raw: true, but what the camera sends cannot be hidden in; remove it, or \
             privacy and masks",
        ),
        (
            camera("[cameras.privacy]\nclasses = [\"person\"]\n[clips]\nevents = [\"turn\"]"),
            "cameras[0].clips: true, but a clip is what the camera sends, which cannot be hidden in; \
             set clips = false for this camera, or remove privacy and masks",
        ),
        (
            camera("[clips]\npre_secs = 4\npost_secs = 8\nmax_secs = 10"),
            "clips.max_secs: 10 is less than pre_secs + post_secs = 12, one event alone needs that",
        ),
        (
            camera("[snapshots]\nplaces = [\"yard\"]"),
            "snapshots.places: \"yard\", but there are none",
        ),
        (
            camera("[cameras.retention]\nmax_age_day = 3"),
            "cameras[0].retention.max_age_day: unknown key, did you mean max_age_days?",
        ),
        (
            camera("[[cameras.masks]]\npolygon_norm = [[0, 0], [1, 1]]"),
            "cameras[0].masks[0].polygon_norm: 2 points, a polygon needs at least 3",
        ),
        (
            camera("[web]\nlisten = \"0.0.0.0:8780\"\nplain_http = true"),
            "web.listen: \"0.0.0.0:8780\" can be reached from outside and there are no accounts; make \
             one with gantryd web user NAME, or listen on 127.0.0.1 (docs/web.md)",
        ),
        (camera("[web]\nfps = 0"), "web.fps: 0, allowed is 0.2 to 60"),
        (
            camera("anotate = true"),
            "cameras[0].anotate: unknown key, did you mean annotate?",
        ),
        (
            camera("[detekt]"),
            "detekt: unknown key, did you mean detect?",
        ),
        (
            camera("[detect]\nmodle = \"x\""),
            "detect.modle: unknown key, did you mean model?",
        ),
        (
            "detect = 3\n".to_owned() + &camera(""),
            "detect: 3, allowed is a table, [detect]",
        ),
        (
            String::new(),
            "cameras: none, at least one [[cameras]] is needed",
        ),
        (
            "[[cameras]]\nid = \"a b\"\nuri = \"rtsp://h/x\"".to_owned(),
            "cameras[0].id: \"a b\", allowed are letters a-z, digits, - _ . \
             and at most 64 of them (it names files)",
        ),
        (
            "[[cameras]]\nid = \"a\"".to_owned(),
            "cameras[0].uri: missing, every camera needs one, uri = \"rtsp://host/path\"",
        ),
    ] {
        assert_eq!(
            faults(&text, &[]),
            format!("site.toml: {expected}"),
            "{text}"
        );
    }
}

#[test]
fn a_threshold_that_a_confidence_would_override_is_refused() {
    let told = faults(
        &(camera("confidence = 0.4\n")
            + "[[cameras]]\nid = \"yard\"\nuri = \"rtsp://10.0.0.6/live\"\n\
               [detect]\nconfidence = 0.3\n[track]\nhigh = 0.4\nlow = 0.35\n"),
        &[],
    );
    let why = "say different things, keep one: confidence is what an object needs to be tracked";
    assert_eq!(
        told,
        format!(
            "site.toml: track.high: 0.4 and detect.confidence = 0.3 {why}\n\
             site.toml: track.low: 0.35 and detect.confidence = 0.3 {why}"
        )
    );
    let told = faults(
        &(camera("confidence = 0.4\n") + "[track]\nnew = 0.7\n"),
        &[],
    );
    assert_eq!(
        told,
        format!("site.toml: track.new: 0.7 and cameras[0].confidence = 0.4 {why}")
    );
    // Saying the same twice, or only one of them, is no fault.
    for rest in [
        "confidence = 0.4\n[track]\nhigh = 0.4\nnew = 0.4\nlow = 0.1\n",
        "[track]\nhigh = 0.6\nnew = 0.7\n",
    ] {
        Config::from_text(&camera(rest), Path::new("site.toml")).unwrap();
    }
}

#[test]
fn two_cameras_with_one_id_are_both_named() {
    let text = camera("") + &camera("");
    assert_eq!(
        faults(&text, &[]),
        "site.toml: cameras[1].id: \"gate\" is the id of cameras[0] too, each camera needs its own"
    );
}

#[test]
fn missing_files_are_told_with_their_place() {
    let text = camera(
        "user = \"viewer\"\npassword_file = \"gone\"\ntls_ca_file = \"gone.pem\"\n\
         pipeline = \"gone.gst\"\n[detect]\nmodel = \"gone.onnx\"\n",
    );
    let told = faults(&text, &[]);
    let mut keys: Vec<&str> = told
        .lines()
        .map(|line| line.split(": ").nth(1).unwrap())
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "cameras[0].password_file",
            "cameras[0].pipeline",
            "cameras[0].tls_ca_file",
            "detect.model",
        ]
    );
    assert!(
        told.contains("gone.gst: no such file, allowed is a file that can be read"),
        "{told}"
    );
}

#[test]
fn half_a_login_is_refused() {
    assert_eq!(
        faults(&camera("user = \"viewer\""), &[]),
        "site.toml: cameras[0].user: given without password_file, both are needed"
    );
    assert_eq!(
        faults(
            &camera("user = \"viewer\"\npassword_file = \"pw\""),
            &[("pw", "\n")]
        ),
        "site.toml: cameras[0].password_file: pw is empty, allowed is the password in its first line"
    );
}

#[test]
fn bad_uris_are_told_without_credentials() {
    for (uri, expected) in [
        (
            "rtsp://admin:hunter2@10.0.0.5/live",
            "\"rtsp://***@10.0.0.5/live\", no credentials in a URI: use user and password_file",
        ),
        (
            "rtsp://admin:hunt/er2@10.0.0.5/live",
            "\"rtsp://***@10.0.0.5/live\", no credentials in a URI: use user and password_file",
        ),
        (
            "rtsp://10.0.0.5:99999/live",
            "\"rtsp://10.0.0.5:99999/live\", invalid port number",
        ),
        (
            "ftp://10.0.0.5/x.mp4?password=hunter2",
            "\"ftp://10.0.0.5/x.mp4?***\", allowed is rtsp://, rtsps://, http://, https:// \
             with a host, a file or /dev/video<n>",
        ),
        (
            "gone.mp4",
            "gone.mp4: no such file, allowed is a file that can be read",
        ),
    ] {
        let text = format!("[[cameras]]\nid = \"gate\"\nuri = \"{uri}\"\n");
        let told = faults(&text, &[]);
        assert_eq!(told, format!("site.toml: cameras[0].uri: {expected}"));
        assert!(!told.contains("hunter2") && !told.contains("er2"), "{told}");
    }
    // Where a file belongs.
    let text = "[detect]\nmodel = \"rtsp://u:hunter2@h/x?token=hunter2\"\n";
    let told = faults(text, &[]);
    assert!(
        told.contains("detect.model: ") && !told.contains("hunter2"),
        "{told}"
    );
}

#[test]
fn a_file_that_is_not_toml_shows_where() {
    assert_eq!(
        faults("[log]\nlevel = \"info\n", &[])
            .lines()
            .next()
            .unwrap(),
        "site.toml:2:14: invalid basic string, expected `\"`"
    );
}

/// Pieces that are put together at random: keys, values, secrets and garbage.
const PIECES: [&str; 24] = [
    "[[cameras]]\n",
    "[detect]\n",
    "[detect",
    "[metrics]\n",
    "[a.b]\n",
    "id = ",
    "uri = ",
    "user = ",
    "model = ",
    "stall_secs = ",
    "workers = ",
    "listen = ",
    "classes = ",
    "\"rtsp://u:HUNTER2@h/x?token=HUNTER2\"\n",
    "\"rtsp://u:HUNTER2@h/x\" = 1\n",
    "rtsp://u:HUNTER2@h\n",
    "\"gate\"\n",
    "\"auto\"\n",
    "1\n",
    "-9223372036854775808\n",
    "nan\n",
    "1e308\n",
    "[\"car\", 3]\n",
    "1979-05-27T07:32:00Z\n\u{1F980}",
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_text_makes_the_reader_panic_or_print_a_credential(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..24),
    ) {
        if let Err(error) = Config::from_text(&pieces.concat(), Path::new("site.toml")) {
            let told = format!("{error}\n{error:?}");
            prop_assert!(!told.contains("HUNTER2"), "{}", told);
        }
    }
}
