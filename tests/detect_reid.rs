//! Networks that say what a crop looks like. Those here, made by `tests/reference/make_fixtures.py`, give
//! its mean colour, so that every vector is known from the picture.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test ends where its scene cannot be set, and a skipped one has to say so"
)]

mod detect_common;

use std::path::PathBuf;
use std::sync::Arc;

use detect_common::i420;
use gantryd::app::models::inspect;
use gantryd::base::{
    BBox, ClassId, ColorMatrix, ColorRange, Detection, Embedding, Frame, OwnedPlanes, PixelFormat,
    Pixels,
};
use gantryd::perception::detect::{
    DetectError, DetectOptions, Detector, ModelFiles, Provider, Reid, ReidOptions, Runtime,
};

const NAMES: [&str; 2] = ["person", "car"];

fn fixture(name: &str) -> ModelFiles {
    let file = format!("tests/fixtures/models/{name}.onnx");
    ModelFiles::from_onnx(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file))
}

fn options() -> DetectOptions {
    DetectOptions {
        provider: Provider::Cpu,
        ..DetectOptions::default()
    }
}

/// The network, or `None` (said aloud) where ONNX Runtime is absent.
fn open(wanted: &ReidOptions) -> Option<Result<Reid, DetectError>> {
    if let Err(error) = Runtime::load(None) {
        eprintln!("SKIPPED: {error}");
        return None;
    }
    let names = NAMES.map(str::to_owned);
    Some(Reid::open(wanted, &options(), &names))
}

/// Y, U, V of the two halves of the picture, and their R, G, B by BT.601 limited range, worked out apart
/// from the program: 1.164·(Y − 16) + 1.596·(V − 128) and so on.
const LEFT: ([u8; 3], [f32; 3]) = ([100, 90, 170], [164.83, 78.39, 21.08]);
const RIGHT: ([u8; 3], [f32; 3]) = ([60, 170, 110], [22.50, 49.34, 135.97]);

/// 97 × 80 px, the left 48 columns of one colour and the others of another.
fn planes() -> [Vec<u8>; 3] {
    let pick = |is_left: bool, channel: usize| {
        if is_left {
            LEFT.0[channel]
        } else {
            RIGHT.0[channel]
        }
    };
    let plane = |width: usize, height: usize, border: usize, channel: usize| -> Vec<u8> {
        let pixels = (0..width * height).map(|at| pick(at % width < border, channel));
        pixels.collect()
    };
    [
        plane(97, 80, 48, 0),
        plane(49, 40, 24, 1),
        plane(49, 40, 24, 2),
    ]
}

fn as_i420() -> Frame {
    i420(97, 80, &planes().concat())
}

fn as_nv12() -> Frame {
    let [y, u, v] = planes();
    let pairs = u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]).collect();
    let mut frame = as_i420();
    frame.pixels = Pixels {
        format: PixelFormat::Nv12,
        matrix: ColorMatrix::Bt601,
        range: ColorRange::Limited,
        planes: Arc::new(OwnedPlanes(vec![(y, 97), (pairs, 98)])),
    };
    frame
}

fn seen(l: f32, t: f32, r: f32, b: f32, class: u16) -> Detection {
    Detection {
        bbox: BBox::from_ltrb(l, t, r, b).unwrap(),
        class: ClassId(class),
        confidence: 0.9,
        embedding: None,
    }
}

/// A person on each half, inside of it.
fn two() -> Vec<Detection> {
    vec![
        seen(3.0, 5.0, 45.5, 70.0, 0),
        seen(50.0, 2.0, 97.0, 80.0, 0),
    ]
}

/// The unit vector of a colour as the network is fed it.
fn fed(rgb: [f32; 3], network: &str) -> Embedding {
    let values = if network == "reid_nhwc" {
        [rgb[2], rgb[1], rgb[0]]
    } else {
        let (mean, std) = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
        std::array::from_fn(|c| (rgb[c] - mean[c]) / std[c])
    };
    Embedding::new(&values).unwrap()
}

fn assert_alike(found: Option<&Embedding>, expected: &Embedding, what: &str) {
    let similarity = found.and_then(|found| found.similarity(expected)).unwrap();
    // 0.9999 is an angle of less than one degree.
    assert!(similarity > 0.9999, "{what}: {similarity}");
}

#[test]
fn inspection_tells_a_network_for_re_identification_by_its_vectors() {
    let told = inspect(fixture("reid_nchw"), None, &DetectOptions::default());
    let told = told.unwrap();
    assert!(told.is_usable());
    let text = told.to_string();
    for part in ["family      re-identification", "reid ="] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn each_crop_is_the_part_of_the_frame_below_its_box() {
    for name in ["reid_nchw", "reid_nhwc", "reid_batch_of_one"] {
        for (layout, frame) in [("I420", as_i420()), ("NV12", as_nv12())] {
            let Some(reid) = open(&ReidOptions::new(fixture(name))) else {
                return;
            };
            let mut detections = two();
            let count = reid.unwrap().describe(&frame, &mut detections).unwrap();
            assert_eq!((count.described, count.skipped, count.unusable), (2, 0, 0));
            for (detection, rgb) in detections.iter().zip([LEFT.1, RIGHT.1]) {
                let what = format!("{name} {layout}");
                assert_alike(detection.embedding.as_ref(), &fed(rgb, name), &what);
            }
        }
    }
}

#[test]
fn crops_go_together_where_the_network_really_takes_several() {
    let batch = |name| Some(open(&ReidOptions::new(fixture(name)))?.unwrap().max_batch());
    let Some(together) = batch("reid_nchw") else {
        return;
    };
    assert!(together > 1);
    assert_eq!(batch("reid_nhwc"), Some(1));
    assert_eq!(batch("reid_batch_of_one"), Some(1));
}

#[test]
fn only_persons_of_some_height_are_looked_at_and_only_so_many() {
    let mut wanted = ReidOptions::new(fixture("reid_nchw"));
    wanted.max_crops = 2;
    let Some(reid) = open(&wanted) else {
        return;
    };
    let mut detections = vec![
        seen(0.0, 0.0, 30.0, 60.0, 1),
        seen(0.0, 0.0, 30.0, 40.0, 0),
        seen(0.0, 0.0, 30.0, 50.0, 0),
        seen(0.0, 0.0, 30.0, 60.0, 0),
        seen(0.0, 0.0, 30.0, 70.0, 0),
    ];
    let count = reid.unwrap().describe(&as_i420(), &mut detections).unwrap();
    let described: Vec<bool> = detections.iter().map(|d| d.embedding.is_some()).collect();
    assert_eq!(described, [false, false, true, true, false]);
    assert_eq!((count.described, count.skipped), (2, 1));
}

#[test]
fn a_frame_shorter_than_it_says_is_an_error() {
    let Some(reid) = open(&ReidOptions::new(fixture("reid_nchw"))) else {
        return;
    };
    let mut frame = as_i420();
    frame.meta.size.height = 200;
    let error = reid.unwrap().describe(&frame, &mut two()).unwrap_err();
    assert!(matches!(error, DetectError::Frame(_)), "{error}");
}

#[test]
fn what_is_no_such_network_is_refused_with_the_reason() {
    for (name, reason) in [
        ("yolov8", "no output is one vector"),
        ("text_model", "takes no pictures"),
        ("rtdetr", "a second input \"orig_target_sizes\""),
    ] {
        let Some(result) = open(&ReidOptions::new(fixture(name))) else {
            return;
        };
        let error = result.unwrap_err().to_string();
        assert!(error.contains("no re-identification network"), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    let mut wanted = ReidOptions::new(fixture("reid_nchw"));
    wanted.classes = vec!["bicycle".to_owned()];
    if let Some(result) = open(&wanted) {
        assert!(matches!(result, Err(DetectError::UnknownClass { .. })));
    }
}

#[test]
fn the_detector_hands_its_boxes_on_unless_it_says_itself_what_they_look_like() {
    if let Err(error) = Runtime::load(None) {
        eprintln!("SKIPPED: {error}");
        return;
    }
    let detect = |name: &str, renamed: &[(&str, &str)]| {
        let mut options = options();
        let renamed = renamed
            .iter()
            .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        options.class_map = renamed.collect();
        let mut reid = ReidOptions::new(fixture("reid_nchw"));
        reid.min_height = 1.0;
        options.reid = Some(reid);
        let mut detector = Detector::open(&fixture(name), &options).unwrap();
        let lens: Vec<Option<usize>> = detector.detect(&[&as_i420()]).unwrap()[0]
            .detections
            .iter()
            .map(|one| one.embedding.as_ref().map(|look| look.values().len()))
            .collect();
        lens
    };
    // A is a car, B a person.
    assert_eq!(detect("yolov8", &[]), [None, Some(3)]);
    assert_eq!(detect("resident", &[]), [Some(16), Some(16)]);
    // What is called a person is looked at, whatever the model calls it.
    let exchanged = [("car", "person"), ("person", "car")];
    assert_eq!(detect("yolov8", &exchanged), [Some(3), None]);
}
