//! Every model in `../shared/models` on the pictures in `../shared/images`, and files that are no
//! detectors at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gantryd::base::{
    CameraId, ColorMatrix, ColorRange, Frame, FrameMeta, FrameSeq, OwnedPlanes, PixelFormat,
    Pixels, Pts, RunId, Size, UtcSource,
};
use gantryd::perception::detect::{DetectOptions, Detector, ModelFiles};
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

fn grey(width: u32, height: u32) -> Frame {
    let (columns, rows) = (width as usize, height as usize);
    let half = columns.div_ceil(2);
    let chroma = (vec![128; half * rows.div_ceil(2)], half);
    let pixels = Pixels {
        format: PixelFormat::I420,
        matrix: ColorMatrix::Bt709,
        range: ColorRange::Limited,
        planes: Arc::new(OwnedPlanes(vec![
            (vec![90; columns * rows], columns),
            chroma.clone(),
            chroma,
        ])),
    };
    frame(Size { width, height }, pixels)
}

fn files(onnx: &Path) -> ModelFiles {
    ModelFiles {
        id: onnx.file_name().unwrap().to_string_lossy().into_owned(),
        onnx: onnx.to_owned(),
        manifest: None,
    }
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

#[test]
fn every_shared_model_runs_and_sees_the_same_thing_twice() {
    let Some(images) = shared("images") else {
        return;
    };
    let pictures: Vec<(&str, Frame)> = ["intel-person-f300", "intel-car-f150", "intel-pbc-gif-f20"]
        .into_iter()
        .map(|name| (name, picture(&images.join(format!("{name}.png")))))
        .collect();
    for onnx in models() {
        let mut detector = Detector::open(&files(&onnx), &DetectOptions::default())
            .unwrap_or_else(|error| panic!("{}: {error}", onnx.display()));
        eprintln!(
            "{} {} on {} batch {} {:?}",
            onnx.display(),
            detector.plan().family,
            detector.report(),
            detector.max_batch(),
            detector.plan().input
        );
        for (name, picture) in &pictures {
            let first = detector.detect(&[picture]).unwrap().remove(0);
            let names = detector.class_names().to_vec();
            for one in first.detections.iter().filter(|one| one.confidence >= 0.25) {
                eprintln!(
                    "  {name} {} {:.2} {:?}",
                    names[usize::from(one.class.0)],
                    one.confidence,
                    one.bbox
                );
            }
            eprintln!(
                "  {name}: {} detections, {} rejected, {:?} {:?} {:?}",
                first.detections.len(),
                first.rejected,
                first.preprocess.cpu,
                first.inference.cpu,
                first.decode.cpu
            );
            let again = detector.detect(&[picture]).unwrap().remove(0);
            assert_eq!(first.detections, again.detections);
        }
    }
}
