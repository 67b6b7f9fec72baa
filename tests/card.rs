//! Frames in the memory of a card, with real GStreamer and a driver of the tests (`fixtures/card/`).

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stderr, reason = "what is skipped is said aloud")]

#[path = "support/card.rs"]
mod card;

#[path = "detect_common/mod.rs"]
mod detect_common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt;
use card::TestDriver;
use gantryd::base::{Frame, OwnedPlanes, PixelFormat};
use gantryd::card::Card;
use gantryd::perception::detect::{DetectOptions, Detector, ModelFiles, Provider, Runtime};

/// Longest wait for a process; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(120);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// GStreamer's plugin for NVIDIA may be missing: it is not free of patents everywhere.
fn has_plugin() -> bool {
    gstreamer::init().unwrap();
    let plugin = gstreamer::Registry::get().find_plugin("nvcodec");
    if plugin.is_none() {
        eprintln!("SKIPPED: GStreamer has no plugin nvcodec here (gstreamer1.0-plugins-bad)");
    }
    plugin.is_some()
}

/// A site of one camera that sends the drawn street once; its frames lie on the card, or on the host.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(on_card: bool, tables: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let to_card = if on_card {
            "! cudaupload ! video/x-raw(memory:CUDAMemory)"
        } else {
            ""
        };
        let pipeline = format!(
            "filesrc location={} ! qtdemux ! h264parse ! avdec_h264 max-threads=1 ! videoconvert \
             ! video/x-raw,format=NV12 {to_card} ! appsink name=frames sync=false max-buffers=1",
            fixture("street.mp4").display()
        );
        std::fs::write(folder.path().join("street.gst"), pipeline).unwrap();
        let config = format!(
            "[detect]\nmodel = {:?}\nzero_copy = {on_card}\ngive_up_secs = 2\n[output]\nfolder = \"out\"\n\
             [metrics]\nlisten = \"off\"\n{tables}\n\
             [[cameras]]\nid = \"street\"\nuri = {:?}\npipeline = \"street.gst\"\n",
            fixture("models/shapes.onnx"),
            fixture("street.mp4"),
        );
        std::fs::write(folder.path().join("site.toml"), config).unwrap();
        Self { folder }
    }

    /// Runs it to its end; the card is in that state.
    fn run(&self, driver: Option<&TestDriver>, state: &str) -> Output {
        let mut command = Command::cargo_bin("gantryd").unwrap();
        command
            .args(["run", "--config", "site.toml"])
            .current_dir(self.folder.path())
            .env("GST_REGISTRY", self.folder.path().join("registry"))
            .env("GANTRYD_TEST_CARD", state)
            .env(
                "GANTRYD_TEST_CARD_REPORT",
                self.folder.path().join("report"),
            );
        if let Some(driver) = driver {
            command.env("LD_LIBRARY_PATH", driver.folder());
        }
        finished(command)
    }

    /// What the driver counted.
    fn report(&self) -> BTreeMap<String, u64> {
        let text = std::fs::read_to_string(self.folder.path().join("report")).unwrap();
        text.lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(name, count)| (name.to_owned(), count.parse().unwrap()))
            .collect()
    }

    fn results(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("out/street/results.jsonl")).unwrap()
    }

    /// The only film, as bytes.
    fn film(&self) -> Vec<u8> {
        let folder = self.folder.path().join("out/street");
        let mut films = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "mp4"));
        let film = films.next().unwrap();
        assert_eq!(films.next(), None);
        std::fs::read(film).unwrap()
    }
}

/// What became of a command; one that hangs is killed, and has no status then.
fn finished(command: Command) -> Output {
    let mut command = assert_cmd::Command::from_std(command);
    command.timeout(PATIENCE).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const NO_FILM: &str = "[record]\nenabled = false\n[track]\ncamera_motion = \"boxes\"";

#[test]
fn the_kernel_is_what_its_source_gives_and_every_card_takes_it() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv-kernels/bin/python");
    if !python.exists() {
        eprintln!("SKIPPED: no compilers of GPU code here (scripts/setup --kernels)");
        return;
    }
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/kernels.py"))
        .arg("--check")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let cards = String::from_utf8_lossy(&output.stdout);
    for card in ["sm_75", "sm_90", "sm_120"] {
        assert!(cards.contains(card), "{cards}");
    }
}

#[test]
fn frames_on_the_card_give_the_same_results_and_none_comes_back() {
    let (Some(driver), true) = (TestDriver::build(), has_plugin()) else {
        return;
    };
    let (on_card, on_host) = (Site::new(true, NO_FILM), Site::new(false, NO_FILM));
    for site in [&on_card, &on_host] {
        let output = site.run(Some(&driver), "");
        assert!(output.status.success(), "{}", told(&output));
    }
    let results = on_card.results();
    assert!(results.lines().count() > 200, "{results}");
    assert_eq!(results, on_host.results());
    let report = on_card.report();
    assert!(report["launches"] >= 250, "{report:?}");
    assert_eq!(report["downloads"], 0, "a picture came back: {report:?}");
    // A few surfaces of 640 x 360, the tensor and the taps; nothing that grows with the 250 frames.
    assert!(report["most_bytes"] < 16 << 20, "{report:?}");
}

#[test]
fn a_camera_on_the_host_beside_one_on_the_card_leaves_that_one_there() {
    let (Some(driver), true) = (TestDriver::build(), has_plugin()) else {
        return;
    };
    let site = Site::new(true, NO_FILM);
    let path = site.folder.path().join("site.toml");
    let yard = format!(
        "[[cameras]]\nid = \"yard\"\nuri = {:?}\ndecode = \"software\"\n",
        fixture("street.mp4")
    );
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text + &yard).unwrap();
    let output = site.run(Some(&driver), "");
    assert!(output.status.success(), "{}", told(&output));
    let report = site.report();
    assert!(report["launches"] >= 250, "{report:?}");
    assert_eq!(report["downloads"], 0, "a picture came back: {report:?}");
    assert_eq!(site.results(), {
        let alone = Site::new(false, NO_FILM);
        assert!(alone.run(None, "").status.success());
        alone.results()
    });
}

#[test]
fn who_draws_on_a_frame_gets_a_copy_of_the_very_picture() {
    let (Some(driver), true) = (TestDriver::build(), has_plugin()) else {
        return;
    };
    let film = "[record]\nencoder = \"x264\"\n[track]\ncamera_motion = \"image\"";
    let (on_card, on_host) = (Site::new(true, film), Site::new(false, film));
    for site in [&on_card, &on_host] {
        let output = site.run(Some(&driver), "");
        assert!(output.status.success(), "{}", told(&output));
    }
    assert_eq!(on_card.results(), on_host.results());
    let (film, expected) = (on_card.film(), on_host.film());
    assert_eq!(film.len(), expected.len());
    let others = film.iter().zip(&expected).filter(|(a, b)| a != b).count();
    // The containers say when they were made, three times each.
    assert!(film.len() > 10_000 && others <= 24, "{others} other bytes");
    let report = on_card.report();
    // Once per frame, however many look at it.
    assert_eq!(report["downloads"], 250, "{report:?}");
}

#[test]
fn a_card_that_cannot_be_used_is_refused_with_the_remedy() {
    let (Some(driver), true) = (TestDriver::build(), has_plugin()) else {
        return;
    };
    for (driver, state, words) in [
        (
            None,
            "",
            [
                "no NVIDIA driver here (libcuda.so.1)",
                "detect.zero_copy = false",
            ],
        ),
        (
            Some(&driver),
            "none",
            ["CUDA_ERROR_NO_DEVICE", "no card is visible to this process"],
        ),
        (
            Some(&driver),
            "old",
            [
                "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
                "the driver is older than CUDA 11.8",
            ],
        ),
    ] {
        let output = Site::new(true, NO_FILM).run(driver, state);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(78), "{state}: {told}");
        for words in words {
            assert!(told.contains(words), "{state}: {told}");
        }
    }
}

#[test]
fn a_card_that_is_full_or_gone_ends_the_daemon_and_does_not_hang_it() {
    let (Some(driver), true) = (TestDriver::build(), has_plugin()) else {
        return;
    };
    for (state, words) in [
        ("full", "is the card full?"),
        ("lost:40", "CUDA_ERROR_LAUNCH_FAILED"),
    ] {
        let output = Site::new(true, NO_FILM).run(Some(&driver), state);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(1), "{state}: {told}");
        assert!(told.contains(words), "{state}: {told}");
    }
}

#[test]
fn memory_of_another_context_is_told_before_the_kernel_reads_it() {
    let (Some(driver), true) = (TestDriver::build(), has_plugin()) else {
        return;
    };
    let site = Site::new(true, NO_FILM);
    let output = site.run(Some(&driver), "foreign");
    let told = told(&output);
    assert!(told.contains("lies on another card than 0"), "{told}");
    assert_eq!(site.report()["launches"], 0);
}

#[test]
fn another_card_than_the_first_is_named_with_the_way_to_it() {
    let site = Site::new(true, NO_FILM);
    let path = site.folder.path().join("site.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("[detect]\n", "[detect]\ndevice = 1\n")).unwrap();
    let output = site.run(None, "");
    assert_eq!(output.status.code(), Some(78));
    let told = told(&output);
    assert!(told.contains("CUDA_VISIBLE_DEVICES=1"), "{told}");
}

/// Loads the driver of the tests: whoever opens `libcuda.so.1` in this process from now on gets it.
fn in_process(driver: &TestDriver) -> libloading::Library {
    #[expect(unsafe_code, reason = "a library of the tests, without constructors")]
    // SAFETY: as the reason says.
    unsafe {
        libloading::Library::new(driver.folder().join("libcuda.so.1")).unwrap()
    }
}

#[test]
fn any_mix_of_frames_parts_and_inputs_is_seen_as_on_the_host() {
    let (Some(driver), Ok(_)) = (TestDriver::build(), Runtime::load(None)) else {
        eprintln!("SKIPPED: no ONNX Runtime or no C++ compiler here");
        return;
    };
    let _driver = in_process(&driver);
    let (width, height) = (192, 144);
    let frames: Vec<Frame> = [40, 90, 150, 210, 120]
        .iter()
        .map(|grey| nv12(width, height, *grey))
        .collect();
    let card = Card::open(0).unwrap();
    let sent = |frame: &Frame| {
        let surface = card.upload(frame.meta.size, &frame.pixels.planes).unwrap();
        let mut sent = frame.clone();
        sent.pixels.planes = Arc::new(surface);
        sent
    };
    // Without batches and with any, NHWC, f16, bytes with a map of pixels, sizes of the frame beside the picture.
    for name in [
        "yolov8",
        "yolov8_batchless",
        "yolov8_nhwc",
        "yolov8_f16",
        "dfine",
        "ssd_tensorflow",
        "detr_of_three",
        "resident",
    ] {
        for tiles in ["off", "2x2"] {
            let options = DetectOptions {
                provider: Provider::Cpu,
                min_confidence: 0.05,
                tiles: tiles.parse().unwrap(),
                batch_sizes: Some(vec![1, 4]),
                max_batch: Some(4.try_into().unwrap()),
                ..DetectOptions::default()
            };
            let model = ModelFiles::from_onnx(&fixture(&format!("models/{name}.onnx")));
            let open = |zero_copy| {
                Detector::open(
                    &model,
                    &DetectOptions {
                        zero_copy,
                        ..options.clone()
                    },
                )
                .unwrap_or_else(|error| panic!("{name}: {error:?}"))
            };
            let (mut on_host, mut on_card) = (open(false), open(true));
            for lies_on_card in [
                [true; 5],
                [true, false, true, true, false],
                [false; 5],
                [true; 5],
            ] {
                let mixed: Vec<Frame> = frames
                    .iter()
                    .zip(lies_on_card)
                    .map(|(frame, on_card)| if on_card { sent(frame) } else { frame.clone() })
                    .collect();
                let see = |detector: &mut Detector, frames: &[Frame]| -> Vec<_> {
                    let frames: Vec<&Frame> = frames.iter().collect();
                    let seen = detector.detect(&frames).unwrap();
                    seen.into_iter()
                        .map(|it| (it.detections, it.rejected))
                        .collect()
                };
                let (expected, found) = (see(&mut on_host, &frames), see(&mut on_card, &mixed));
                assert!(expected.iter().any(|(seen, _)| !seen.is_empty()), "{name}");
                assert_eq!(found, expected, "{name}, tiles {tiles}, {lies_on_card:?}");
            }
        }
    }
}

/// A picture of NV12 planes with rows that differ.
fn nv12(width: u32, height: u32, grey: u8) -> Frame {
    let (w, h) = (width as usize, height as usize);
    let luma = (0..w * h)
        .map(|at| grey.wrapping_add((at / w % 7) as u8 * 9 + (at % 5) as u8))
        .collect();
    let chroma = (0..w * h / 2)
        .map(|at| 128_u8.wrapping_add((at % 11) as u8))
        .collect();
    let mut frame = detect_common::i420(width, height, &vec![grey; w * h * 3 / 2]);
    frame.pixels.format = PixelFormat::Nv12;
    frame.pixels.planes = Arc::new(OwnedPlanes(vec![(luma, w), (chroma, w)]));
    frame
}

/// `gantryd track` of a drawn picture, on the card or on the host.
fn track(driver: &TestDriver, folder: &Path, zero_copy: bool) -> Output {
    let mut command = Command::cargo_bin("gantryd").unwrap();
    command
        .args(["track", "test:smpte", "--max-frames", "20", "--no-video"])
        .args(["--decode", "nvdec", "--conf", "0.05", "--out", "out"])
        .arg("--model")
        .arg(fixture("models/yolov8.onnx"))
        .current_dir(folder)
        .env("GST_REGISTRY", folder.join("registry"))
        .env("GANTRYD_TEST_CARD_REPORT", folder.join("report"))
        .env("LD_LIBRARY_PATH", driver.folder());
    if zero_copy {
        command.arg("--zero-copy");
    }
    finished(command)
}

#[test]
fn a_source_that_is_decoded_on_the_card_goes_through_the_pipeline_of_cards() {
    let (Some(driver), true) = (TestDriver::build(), has_plugin()) else {
        return;
    };
    let results = [true, false].map(|zero_copy| {
        let folder = tempfile::tempdir().unwrap();
        let output = track(&driver, folder.path(), zero_copy);
        assert!(output.status.success(), "{}", told(&output));
        let report = std::fs::read_to_string(folder.path().join("report"));
        let is_drawn_there = report.is_ok_and(|text| text.contains("launches 20\n"));
        assert_eq!(is_drawn_there, zero_copy);
        let out = folder.path().join("out");
        let mut files = std::fs::read_dir(out).unwrap().map(|it| it.unwrap().path());
        let results = files.find(|it| it.extension().is_some_and(|it| it == "jsonl"));
        std::fs::read_to_string(results.unwrap()).unwrap()
    });
    let seen = |line: &str| !line.contains("\"detections\":0");
    assert!(
        results[0]
            .lines()
            .filter(|line| line.contains("\"type\":\"frame\""))
            .all(seen)
    );
    // The moments of a drawn source are those of the run.
    let [on_card, on_host] = results.map(|text| {
        let lines = text.lines().map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["utc"].take();
            line
        });
        lines.collect::<Vec<_>>()
    });
    assert!(on_card.len() >= 20);
    assert_eq!(on_card, on_host);
}

#[test]
fn without_the_library_that_hands_surfaces_over_the_start_is_refused() {
    let Some(driver) = TestDriver::build() else {
        return;
    };
    std::fs::write(driver.folder().join("libgstcuda-1.0.so.0"), "none").unwrap();
    let output = Site::new(true, NO_FILM).run(Some(&driver), "");
    let told = told(&output);
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(
        told.contains("GStreamer has no CUDA library here"),
        "{told}"
    );
}

#[test]
fn what_onnxruntime_says_without_cuda_driver_or_card_is_told_with_the_remedy() {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(runtime), Some(cuda), Some(driver)) = (
        folder("GANTRYD_TEST_ORT_GPU"),
        folder("GANTRYD_TEST_CUDA"),
        TestDriver::build(),
    ) else {
        eprintln!(
            "SKIPPED: GANTRYD_TEST_ORT_GPU (libonnxruntime.so with CUDA) and GANTRYD_TEST_CUDA (folders of CUDA 13's and cuDNN's libraries, as in LD_LIBRARY_PATH) are not set"
        );
        return;
    };
    let with_driver = format!("{}:{}", cuda.display(), driver.folder().display());
    for (libraries, cuda_of_driver, state, words) in [
        ("", "", "", "CUDA's own libraries are missing"),
        (
            cuda.to_str().unwrap(),
            "",
            "",
            "the NVIDIA driver is not installed",
        ),
        (
            &with_driver,
            "12080",
            "",
            "the driver is older than this CUDA needs",
        ),
        (&with_driver, "13020", "none", "the driver sees no card"),
    ] {
        let mut command = Command::cargo_bin("gantryd").unwrap();
        command
            .args(["doctor", "--gpu", "--runtime-library"])
            .arg(&runtime)
            .arg("--model")
            .arg(fixture("models/yolov8.onnx"))
            .env("LD_LIBRARY_PATH", libraries)
            .env("GANTRYD_TEST_CARD_CUDA", cuda_of_driver)
            .env("GANTRYD_TEST_CARD", state);
        let output = finished(command);
        assert!(!output.status.success());
        let told = told(&output);
        assert!(told.contains(words), "{libraries} {state}: {told}");
    }
}
