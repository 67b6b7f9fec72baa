//! Material for tests of the detector.

#![expect(clippy::print_stderr, reason = "a skipped test has to say so")]
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test uses a part of this"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gantryd::base::{
    CameraId, ColorMatrix, ColorRange, Frame, FrameMeta, FrameSeq, OwnedPlanes, PixelFormat,
    Pixels, Pts, RunId, Size, UtcSource,
};
use gantryd::perception::detect::{
    DetectError, DetectOptions, Detector, ModelFiles, Provider, Runtime,
};

/// A folder of real material beside the project, or `None` (said aloud) where it is absent.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(folder);
    if path.is_dir() {
        Some(path)
    } else {
        eprintln!("SKIPPED: {} is absent", path.display());
        None
    }
}

/// A detector for `onnx` on the CPU, or `None` (said aloud) where ONNX Runtime is absent.
pub fn detector(onnx: &Path, min_confidence: f32) -> Option<Result<Detector, DetectError>> {
    if let Err(error) = Runtime::load(None) {
        eprintln!("SKIPPED: {error}");
        return None;
    }
    Some(opened(onnx, min_confidence, None))
}

/// The same with an input of (width, height), where ONNX Runtime is known to be there.
pub fn detector_of_size(
    onnx: &Path,
    min_confidence: f32,
    size: (usize, usize),
) -> Result<Detector, DetectError> {
    opened(onnx, min_confidence, Some(size))
}

fn opened(
    onnx: &Path,
    min_confidence: f32,
    input_size: Option<(usize, usize)>,
) -> Result<Detector, DetectError> {
    let model = ModelFiles {
        id: onnx.display().to_string(),
        onnx: onnx.to_path_buf(),
        manifest: None,
    };
    let options = DetectOptions {
        provider: Provider::Cpu,
        min_confidence,
        input_size,
        ..DetectOptions::default()
    };
    Detector::open(&model, &options)
}

/// A frame of limited-range BT.601 I420 planes without padding between rows.
pub fn i420(width: u32, height: u32, bytes: &[u8]) -> Frame {
    let (w, h) = (width as usize, height as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let (y, chroma) = bytes.split_at(w * h);
    let (u, v) = chroma.split_at(cw * ch);
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
        pixels: Pixels {
            format: PixelFormat::I420,
            matrix: ColorMatrix::Bt601,
            range: ColorRange::Limited,
            planes: Arc::new(OwnedPlanes(vec![
                (y.to_vec(), w),
                (u.to_vec(), cw),
                (v.to_vec(), cw),
            ])),
        },
        arrived: Instant::now(),
    }
}
