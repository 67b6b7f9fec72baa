//! Every model in `../shared/models` on the pictures in `../shared/images`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail loudly and must say what it skips"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gantryd::base::{
    BBox, CameraId, ColorMatrix, ColorRange, Detection, Frame, FrameMeta, FrameSeq, OwnedPlanes,
    PixelFormat, Pixels, Pts, RunId, Size, UtcSource,
};
use gantryd::perception::detect::{DetectOptions, Detector, FrameDetections, ModelFiles};
use gstreamer::prelude::*;
use gstreamer_video::VideoFrameExt;

fn shared(inside: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(inside);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there", path.display());
    None
}

fn frame(size: Size, pixels: Pixels) -> Frame {
    Frame {
        meta: FrameMeta {
            camera: CameraId::new("test"),
            run: RunId(1),
            seq: FrameSeq(0),
            pts: Pts(0),
            utc: None,
            utc_source: UtcSource::Unknown,
            size,
        },
        pixels,
        arrived: Instant::now(),
    }
}

/// A picture as an I420 frame, converted by GStreamer.
fn picture(path: &Path) -> Frame {
    gstreamer::init().unwrap();
    let text = format!(
        "filesrc location=\"{}\" ! pngdec ! videoconvert ! \
         video/x-raw,format=I420,colorimetry=bt601 ! appsink name=out sync=false",
        path.display()
    );
    let pipeline = gstreamer::parse::launch(&text).unwrap();
    let bin = pipeline.clone().downcast::<gstreamer::Pipeline>().unwrap();
    let sink = bin.by_name("out").unwrap();
    let sink = sink.downcast::<gstreamer_app::AppSink>().unwrap();
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    let sample = sink.pull_sample().unwrap();
    let info = gstreamer_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
    let buffer = sample.buffer().unwrap();
    let mapped = gstreamer_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).unwrap();
    let planes = (0..3)
        .map(|plane| {
            let stride = mapped.plane_stride()[plane as usize] as usize;
            (mapped.plane_data(plane).unwrap().to_vec(), stride)
        })
        .collect();
    let size = Size {
        width: info.width(),
        height: info.height(),
    };
    drop(mapped);
    pipeline.set_state(gstreamer::State::Null).unwrap();
    let pixels = Pixels {
        format: PixelFormat::I420,
        matrix: ColorMatrix::Bt601,
        range: ColorRange::Limited,
        planes: Arc::new(OwnedPlanes(planes)),
    };
    frame(size, pixels)
}

fn files(onnx: &Path) -> ModelFiles {
    ModelFiles {
        id: onnx.file_name().unwrap().to_string_lossy().into_owned(),
        onnx: onnx.to_owned(),
        manifest: None,
    }
}

fn open(onnx: &Path, options: &DetectOptions) -> Detector {
    Detector::open(&files(onnx), options)
        .unwrap_or_else(|error| panic!("{}: {error}", onnx.display()))
}

fn models() -> Vec<PathBuf> {
    let Some(folder) = shared("models") else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).unwrap();
    let mut models: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    models.retain(|path| path.extension().is_some_and(|kind| kind == "onnx"));
    models.sort();
    models
}

/// Outline of the person in `intel-person-f300`, read off the picture by eye, to a few pixels.
const PERSON: [f32; 4] = [382.0, 4.0, 543.0, 383.0];

#[test]
fn every_shared_model_sees_the_person_and_sees_it_the_same_twice() {
    let Some(images) = shared("images") else {
        return;
    };
    let picture = picture(&images.join("intel-person-f300.png"));
    let [left, top, right, bottom] = PERSON;
    let person = BBox::from_ltrb(left, top, right, bottom).unwrap();
    for onnx in models() {
        let mut detector = open(&onnx, &DetectOptions::default());
        let first = detector.detect(&[&picture]).unwrap().remove(0);
        let again = detector.detect(&[&picture]).unwrap().remove(0);
        assert_eq!(first.detections, again.detections, "{}", onnx.display());

        let best = &first.detections[0];
        let class = &detector.class_names()[usize::from(best.class.0)];
        let iou = best.bbox.iou(&person);
        eprintln!(
            "{}: {} {class} {:.2}, IoU {iou:.2}, {} detections, {} rejected, on {}",
            onnx.file_name().unwrap().to_string_lossy(),
            detector.plan().family,
            best.confidence,
            first.detections.len(),
            first.rejected,
            detector.report(),
        );
        assert_eq!(class, "person", "{}", onnx.display());
        assert!(best.confidence > 0.7 && iou > 0.85, "{best:?}");
    }
}

#[test]
fn a_batch_sees_what_single_frames_see_whatever_their_sizes() {
    let Some(images) = shared("images") else {
        return;
    };
    let pictures: Vec<Frame> = ["intel-person-f300", "intel-pbc-gif-f20", "intel-car-f150"]
        .into_iter()
        .map(|name| picture(&images.join(format!("{name}.png"))))
        .collect();
    let frames: Vec<&Frame> = pictures.iter().collect();
    for onnx in models() {
        let mut detector = open(&onnx, &DetectOptions::default());
        let together = detector.detect(&frames).unwrap();
        assert_eq!(together.len(), frames.len());
        eprintln!("{}: batch {}", onnx.display(), detector.max_batch());
        for (frame, together) in frames.iter().zip(&together) {
            let alone = detector.detect(&[frame]).unwrap().remove(0);
            let strong = |answer: &FrameDetections| -> Vec<Detection> {
                let all = answer.detections.iter().cloned();
                all.filter(|one| one.confidence >= 0.3).collect()
            };
            let (alone, together) = (strong(&alone), strong(together));
            assert_eq!(alone.len(), together.len(), "{}", onnx.display());
            // Kernels for other batch sizes add up in another order: the last digits differ.
            for (alone, together) in alone.iter().zip(&together) {
                assert!(alone.bbox.iou(&together.bbox) > 0.99);
                assert!((alone.confidence - together.confidence).abs() < 1e-3);
            }
        }
    }
}
