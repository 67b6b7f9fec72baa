//! What cannot be provoked from outside: encoders that fail in the field.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::encoder::Encoder;
use super::*;
use crate::base::{
    CameraId, ColorMatrix, ColorRange, Frame, FrameMeta, FrameSeq, Metrics, OwnedPlanes,
    PixelFormat, Pixels, Pts, RunId, Size, Timings, UtcSource,
};

fn grey(seq: u64) -> FrameResult {
    let meta = FrameMeta {
        camera: CameraId::new("gate"),
        run: RunId(1),
        seq: FrameSeq(seq),
        pts: Pts(seq * 40_000_000),
        utc: None,
        utc_source: UtcSource::Unknown,
        size: Size {
            width: 64,
            height: 48,
        },
    };
    let frame = Frame {
        meta: meta.clone(),
        pixels: Pixels {
            format: PixelFormat::Nv12,
            matrix: ColorMatrix::Bt709,
            range: ColorRange::Limited,
            planes: Arc::new(OwnedPlanes(vec![
                (vec![90; 64 * 48], 64),
                (vec![128; 64 * 24], 64),
            ])),
        },
        arrived: Instant::now(),
    };
    FrameResult {
        meta,
        is_detected: true,
        detections: 0,
        tracks: Vec::new(),
        ended: Vec::new(),
        counts: None,
        decisions: None,
        private: Vec::new(),
        timings: Timings::default(),
        frame: Some(Arc::new(frame)),
    }
}

fn recorder(file: &Path, broken: &str) -> Recorder {
    let target = RecordTarget::File(file.to_owned());
    let options = RecordOptions {
        encoder: EncoderChoice::Named("x264".into()),
        ..RecordOptions::new(target, RecordPace::Lossless)
    };
    let camera = CameraId::new("gate");
    let mut recorder = Recorder::new(
        options,
        camera,
        Box::new(|_| String::new()),
        None,
        Metrics::new(),
    )
    .unwrap();
    recorder
        .encoders
        .push_front(Encoder::of_text("broken", broken));
    recorder
}

/// Pushes until frames are taken by the second encoder, then ends the file.
fn assert_replaced(broken: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clip.mp4");
    let mut recorder = recorder(&file, broken);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut seq = 0;
    while recorder.encoder() != "x264" {
        assert!(
            Instant::now() < deadline,
            "the broken encoder is still in use"
        );
        recorder.push(&grey(seq));
        seq += 1;
    }
    for seq in seq..seq + 10 {
        assert_eq!(recorder.push(&grey(seq)), Pushed::Taken);
    }
    assert_eq!(recorder.failure(), None);
    let segments = recorder.finish();
    let good = segments.last().unwrap();
    assert_eq!(
        (good.path.as_path(), &good.failure),
        (file.as_path(), &None)
    );
    assert!(good.frames >= 10);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_encoder_that_fails_at_its_first_frame_is_replaced() {
    assert_replaced("identity error-after=1 ! x264enc");
}

#[test]
fn an_encoder_whose_element_is_missing_is_replaced() {
    assert_replaced("no-such-encoder-element");
}
