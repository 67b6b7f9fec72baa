//! Files that are no detectors, and detectors whose outputs cannot be true. All made here.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail loudly and must say what it skips"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gantryd::base::{
    BBox, CameraId, ColorMatrix, ColorRange, Frame, FrameMeta, FrameSeq, OwnedPlanes, PixelFormat,
    Pixels, Pts, RunId, Size, UtcSource,
};
use gantryd::perception::detect::{
    DetectError, DetectOptions, Detector, ModelFiles, Provider, ProviderOptions,
};

/// The few messages of onnx.proto that a small model needs, as bytes.
mod onnx {
    fn varint(mut value: u64, out: &mut Vec<u8>) {
        while value > 127 {
            out.push((value & 127) as u8 | 128);
            value >>= 7;
        }
        out.push(value as u8);
    }

    pub fn number(field: u64, value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        varint(field << 3, &mut out);
        varint(value, &mut out);
        out
    }

    pub fn bytes(field: u64, value: impl AsRef<[u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        varint(field << 3 | 2, &mut out);
        varint(value.as_ref().len() as u64, &mut out);
        out.extend_from_slice(value.as_ref());
        out
    }

    /// ValueInfoProto of a float tensor.
    pub fn value(name: &str, dims: &[u64]) -> Vec<u8> {
        let shape: Vec<u8> = dims
            .iter()
            .flat_map(|dim| bytes(1, number(1, *dim)))
            .collect();
        let tensor = [number(1, 1), bytes(2, shape)].concat();
        [bytes(1, name), bytes(2, bytes(1, tensor))].concat()
    }

    /// TensorProto of floats.
    pub fn floats(name: &str, dims: &[u64], data: &[f32]) -> Vec<u8> {
        let dims: Vec<u8> = dims.iter().flat_map(|dim| number(1, *dim)).collect();
        let raw: Vec<u8> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        [dims, number(2, 1), bytes(8, name), bytes(9, raw)].concat()
    }

    pub fn node(kind: &str, input: &str, output: &str) -> Vec<u8> {
        [bytes(1, input), bytes(2, output), bytes(4, kind)].concat()
    }

    pub fn model(graph: &[Vec<u8>], metadata: &[(&str, &str)]) -> Vec<u8> {
        let graph = [bytes(2, "g"), graph.concat()].concat();
        let metadata = metadata
            .iter()
            .flat_map(|(key, value)| bytes(14, [bytes(1, key), bytes(2, value)].concat()));
        let mut model = [number(1, 8), bytes(7, graph), bytes(8, number(2, 13))].concat();
        model.extend(metadata);
        model
    }
}

/// A detector with three classes that answers every picture with `data`, `[1, 7, 84]`.
fn constant_detector(data: &[f32]) -> Vec<u8> {
    detector_of(&[1, 3, 64, 64], data)
}

/// The same with an input of this shape.
fn detector_of(images: &[u64], data: &[f32]) -> Vec<u8> {
    onnx::model(
        &[
            onnx::bytes(1, onnx::node("Identity", "answer", "output0")),
            onnx::bytes(5, onnx::floats("answer", &[1, 7, 84], data)),
            onnx::bytes(11, onnx::value("images", images)),
            onnx::bytes(12, onnx::value("output0", &[1, 7, 84])),
        ],
        &[
            ("names", "{0: 'car', 1: 'person', 2: 'dog'}"),
            ("task", "detect"),
            ("stride", "32"),
            ("imgsz", "[64, 64]"),
        ],
    )
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn files(onnx: PathBuf) -> ModelFiles {
    ModelFiles {
        id: onnx.file_name().unwrap().to_string_lossy().into_owned(),
        onnx,
        manifest: None,
    }
}

fn refusal(onnx: PathBuf) -> String {
    let error = Detector::open(&files(onnx), &DetectOptions::default()).unwrap_err();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(one) = cause {
        text = format!("{text}: {one}");
        cause = one.source();
    }
    text
}

fn grey(width: u32, height: u32) -> Frame {
    let (columns, rows) = (width as usize, height as usize);
    let half = columns.div_ceil(2);
    let pixels = Pixels {
        format: PixelFormat::Nv12,
        matrix: ColorMatrix::Bt709,
        range: ColorRange::Limited,
        planes: Arc::new(OwnedPlanes(vec![
            (vec![90; columns * rows], columns),
            (vec![128; 2 * half * rows.div_ceil(2)], 2 * half),
        ])),
    };
    Frame {
        meta: FrameMeta {
            camera: CameraId::new("test"),
            run: RunId(1),
            seq: FrameSeq(0),
            pts: Pts(0),
            utc: None,
            utc_source: UtcSource::Unknown,
            size: Size { width, height },
        },
        pixels,
        arrived: Instant::now(),
    }
}

/// ONNX Runtime is brought by `scripts/setup`; without it only the refusals can be tried.
fn open(onnx: PathBuf, options: &DetectOptions) -> Option<Detector> {
    match Detector::open(&files(onnx), options) {
        Ok(detector) => Some(detector),
        Err(DetectError::Runtime(error)) => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_is_no_model_is_refused_with_its_name_and_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let text = write(
        at,
        "text.onnx",
        b"this is not a model, it is a text about one\n",
    );
    let empty = write(at, "empty.onnx", b"");
    let png = write(
        at,
        "png.onnx",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01",
    );
    let whole = constant_detector(&[0.0; 7 * 84]);
    let cut = write(at, "cut.onnx", &whole[..whole.len() / 2]);
    for (path, part) in [
        (text, "text.onnx"),
        (empty, "is empty"),
        (png, "png.onnx"),
        (cut, "cut.onnx"),
        (at.join("missing.onnx"), "cannot be read"),
        (at.to_owned(), "is a folder"),
    ] {
        let message = refusal(path);
        eprintln!("{message}");
        assert!(message.contains(part), "no \"{part}\" in: {message}");
    }
}

#[test]
fn a_classifier_and_a_grey_input_are_refused_with_what_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = onnx::model(
        &[
            onnx::bytes(1, onnx::node("Identity", "scores", "logits")),
            onnx::bytes(5, onnx::floats("scores", &[1, 1000], &[0.0; 1000])),
            onnx::bytes(11, onnx::value("input", &[1, 3, 224, 224])),
            onnx::bytes(12, onnx::value("logits", &[1, 1000])),
        ],
        &[],
    );
    let message = refusal(write(folder.path(), "classifier.onnx", &classifier));
    eprintln!("{message}");
    assert!(
        message.contains("1000") && message.contains("logits"),
        "{message}"
    );
    let one_channel = onnx::model(
        &[
            onnx::bytes(1, onnx::node("Identity", "answer", "output0")),
            onnx::bytes(5, onnx::floats("answer", &[1, 7, 84], &[0.0; 7 * 84])),
            onnx::bytes(11, onnx::value("images", &[1, 1, 64, 64])),
            onnx::bytes(12, onnx::value("output0", &[1, 7, 84])),
        ],
        &[],
    );
    let message = refusal(write(folder.path(), "grey.onnx", &one_channel));
    eprintln!("{message}");
    assert!(message.contains("images"), "{message}");
}

#[test]
fn outputs_that_cannot_be_true_are_rejected_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = vec![0.0; 7 * 84];
    let mut candidate = |index: usize, cxcywh: [f32; 4], score: f32| {
        for (row, value) in cxcywh.into_iter().enumerate() {
            data[row * 84 + index] = value;
        }
        data[5 * 84 + index] = score;
    };
    candidate(0, [f32::NAN, 32.0, 10.0, 10.0], 0.9);
    candidate(1, [32.0, 32.0, f32::INFINITY, 10.0], 0.9);
    candidate(2, [32.0, 32.0, -10.0, 10.0], 0.9);
    candidate(3, [32_000.0, 32_000.0, 10_000.0, 10_000.0], 0.9);
    candidate(4, [32.0, 32.0, 64_000.0, 64_000.0], 0.9);
    candidate(5, [-40.0, 32.0, 10.0, 10.0], 0.9);
    candidate(6, [32.0, 32.0, 10.0, 10.0], 0.9);
    candidate(7, [32.0, 12.0, 10.0, 10.0], f32::NAN);
    let path = write(folder.path(), "constant.onnx", &constant_detector(&data));
    let Some(mut detector) = open(path, &DetectOptions::default()) else {
        return;
    };
    assert_eq!(detector.class_names(), ["car", "person", "dog"]);
    for frame in [grey(64, 64), grey(1, 1), grey(7680, 4320), grey(63, 17)] {
        let answer = detector.detect(&[&frame]).unwrap().remove(0);
        assert!(answer.rejected >= 6, "{}: {answer:?}", frame.meta.size);
        if frame.meta.size.width == 64 {
            // Centre 32, side 10, frame as large as the model.
            let wanted = BBox::from_ltrb(27.0, 27.0, 37.0, 37.0).unwrap();
            assert_eq!(answer.detections.len(), 1, "{answer:?}");
            assert_eq!(answer.detections[0].bbox, wanted);
            assert_eq!(answer.detections[0].class.0, 1);
        }
    }
}

#[test]
fn a_model_too_large_or_of_too_many_pictures_is_refused_and_a_batch_of_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = [0.0; 7 * 84];
    let model =
        |name: &str, images: [u64; 4]| write(folder.path(), name, &detector_of(&images, &zeros));
    let text = refusal(model("wide.onnx", [1, 3, 64, 16_384]));
    assert!(
        text.contains("wide.onnx") && text.contains("16384x64, allowed is 1 to 8192 per side"),
        "{text}"
    );
    let text = refusal(model("many.onnx", [65, 3, 64, 64]));
    assert!(
        text.contains(
            "takes exactly 65 pictures at once, allowed are 1 to 64; export it with a batch of 1"
        ),
        "{text}"
    );
    // Whatever was asked for, a call has as many pictures as the graph takes.
    let options = DetectOptions {
        max_batch: Some(8.try_into().unwrap()),
        ..DetectOptions::default()
    };
    let Some(mut detector) = open(model("one.onnx", [1, 3, 64, 64]), &options) else {
        return;
    };
    assert_eq!(detector.max_batch(), 1);
    assert_eq!(detector.detect(&[&grey(64, 64)]).unwrap().len(), 1);
}

#[test]
fn wrong_thresholds_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.onnx", &constant_detector(&[0.0; 7 * 84]));
    let with = |options: DetectOptions| {
        let error = Detector::open(&files(path.clone()), &options).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        with(DetectOptions {
            confidence: Some(1.5),
            ..DetectOptions::default()
        }),
        "detect.confidence: 1.5, allowed is 0 to 1"
    );
}

#[test]
fn a_provider_that_cannot_run_is_an_error_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.onnx", &constant_detector(&[0.0; 7 * 84]));
    if open(path.clone(), &DetectOptions::default()).is_none() {
        return;
    }
    for provider in [Provider::Cuda, Provider::TensorRt, Provider::OpenVino] {
        let options = DetectOptions {
            provider,
            ..DetectOptions::default()
        };
        match Detector::open(&files(path.clone()), &options) {
            // A machine with that hardware.
            Ok(detector) => assert_eq!(detector.report().used, provider),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(provider.as_str()), "{text}");
                assert!(text.contains("detect.provider = \"auto\""), "{text}");
            }
        }
    }
}

#[test]
fn providers_are_tried_in_turn_and_the_cpu_is_no_answer_where_a_gpu_is_required() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.onnx", &constant_detector(&[0.0; 7 * 84]));
    if open(path.clone(), &DetectOptions::default()).is_none() {
        return;
    }
    let order = vec![Provider::TensorRt, Provider::OpenVino, Provider::Cpu];
    let options = |require_gpu| DetectOptions {
        providers: ProviderOptions {
            order: order.clone(),
            require_gpu,
            ..ProviderOptions::default()
        },
        ..DetectOptions::default()
    };
    let report = Detector::open(&files(path.clone()), &options(false)).unwrap();
    let report = report.report();
    // Those before the one that runs are told with what they said.
    let place = order.iter().position(|it| *it == report.used).unwrap();
    let tried: Vec<Provider> = report.tried.iter().map(|(it, _)| *it).collect();
    assert_eq!(tried, order[..place]);
    assert!(
        report
            .tried
            .iter()
            .all(|(it, _)| report.why.contains(it.as_str()))
    );

    match Detector::open(&files(path.clone()), &options(true)) {
        // A machine with that hardware.
        Ok(detector) => assert_eq!(detector.report().used, Provider::TensorRt),
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.contains("tensorrt") && text.contains("detect.require_gpu = false"),
                "{text}"
            );
        }
    }
    let cpu = DetectOptions {
        provider: Provider::Cpu,
        ..options(true)
    };
    let text = Detector::open(&files(path), &cpu).unwrap_err().to_string();
    assert!(
        text.contains("none of the providers that may run it is a GPU"),
        "{text}"
    );
}

#[test]
fn what_is_seen_in_tiles_is_told_where_it_is_in_the_frame() {
    let folder = tempfile::tempdir().unwrap();
    // A car in the middle of whatever picture it is shown: centre, size, and the score of each class.
    let mut told = [0.0; 7 * 84];
    for (row, value) in [32.0, 32.0, 20.0, 16.0, 0.9].into_iter().enumerate() {
        told[84 * row] = value;
    }
    let path = write(folder.path(), "m.onnx", &constant_detector(&told));
    let see = |tiles: &str, width, height| {
        let options = DetectOptions {
            tiles: tiles.parse().unwrap(),
            ..DetectOptions::default()
        };
        let mut detector = open(path.clone(), &options)?;
        let seen = detector.detect(&[&grey(width, height)]).unwrap().remove(0);
        let boxes = seen.detections.iter().map(|it| it.bbox);
        Some(
            boxes
                .map(|it| [it.left(), it.top(), it.right(), it.bottom()])
                .collect::<Vec<_>>(),
        )
    };
    let Some(whole) = see("off", 640, 320) else {
        return;
    };
    let tile = see("off", 356, 320).unwrap();
    assert_eq!((whole.len(), tile.len()), (1, 1));
    // Two tiles of 356 columns, the second from 284 on.
    let [left, top, right, bottom] = tile[0];
    let mut expected = vec![
        whole[0],
        tile[0],
        [left + 284.0, top, right + 284.0, bottom],
    ];
    let mut found = see("2x1", 640, 320).unwrap();
    let from_the_left = |a: &[f32; 4], b: &[f32; 4]| a[0].total_cmp(&b[0]);
    expected.sort_by(from_the_left);
    found.sort_by(from_the_left);
    assert_eq!(found, expected);
}

#[test]
fn a_frame_with_short_planes_is_an_error_and_the_next_frame_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.onnx", &constant_detector(&[0.0; 7 * 84]));
    let Some(mut detector) = open(path, &DetectOptions::default()) else {
        return;
    };
    let mut short = grey(64, 64);
    short.meta.size.height = 128;
    assert!(matches!(
        detector.detect(&[&short]),
        Err(DetectError::Frame(_))
    ));
    assert_eq!(detector.detect(&[&grey(64, 64)]).unwrap().len(), 1);
}
