//! Every detector in ../shared/models is recognised as what it is.

mod detect_common;

use detect_common::shared;
use gantryd::perception::detect::{ChannelOrder, LetterboxAnchor, Resize, Signature, recognise};

/// File, family, colours, std of channel 0, fit, size, whether duplicates are left, whether boxes are
/// frame pixels. From ../shared/README.md and the families' own documentation.
type Row = (
    &'static str,
    &'static str,
    ChannelOrder,
    f32,
    Resize,
    usize,
    bool,
    bool,
);

const CENTRED: Resize = Resize::Letterbox {
    anchor: LetterboxAnchor::Center,
    pad: 114,
};

#[rustfmt::skip]
const EXPECTED: &[Row] = &[
    ("yolox_nano_416_kazuhito", "YOLOX", ChannelOrder::Bgr, 1.0, Resize::Letterbox { anchor: LetterboxAnchor::TopLeft, pad: 114 }, 416, true, false),
    ("deimv2_hgnetv2_femto_coco", "DEIM (deployed)", ChannelOrder::Rgb, 255.0, Resize::Stretch, 416, false, true),
    ("deimv2_femto_raw_logits_boxes", "RT-DETR / D-FINE / DEIM (raw)", ChannelOrder::Rgb, 255.0, Resize::Stretch, 416, false, false),
    ("nanodet_m_320_kazuhito", "NanoDet", ChannelOrder::Bgr, 57.375, Resize::Letterbox { anchor: LetterboxAnchor::Center, pad: 0 }, 320, true, false),
    ("picodet_s_320_coco", "PicoDet", ChannelOrder::Rgb, 58.395, Resize::Stretch, 320, true, false),
    ("FastestDet", "FastestDet", ChannelOrder::Bgr, 255.0, Resize::Stretch, 352, true, false),
    ("yolo-fastestv2_352", "YOLO-FastestV2", ChannelOrder::Bgr, 255.0, Resize::Stretch, 352, true, false),
    ("yolov8n_int8_lamri", "YOLOv8 / v9 / 11 / 12", ChannelOrder::Rgb, 255.0, CENTRED, 640, true, false),
    ("yolo11n_int8_droneeye", "YOLOv8 / v9 / 11 / 12", ChannelOrder::Rgb, 255.0, CENTRED, 320, true, false),
    ("yolo26n_int8", "YOLOv10 / YOLO26 (end-to-end)", ChannelOrder::Rgb, 255.0, CENTRED, 640, false, false),
];

#[test]
fn every_shared_model_is_recognised() {
    let Some(models) = shared("models") else {
        return;
    };
    for (file, family, order, std, resize, size, nms, frame_pixels) in EXPECTED {
        let path = models.join(format!("{file}.onnx"));
        let signature = Signature::read(&path).unwrap();
        let plan = recognise(&path, &signature, None).unwrap();
        eprintln!("{file}: {} {:?}", plan.family, plan.notes);
        assert_eq!(plan.family, *family, "{file}");
        assert_eq!(plan.input.order, *order, "{file}");
        assert_eq!(plan.input.std[0], *std, "{file}");
        assert_eq!(plan.input.resize, *resize, "{file}");
        assert_eq!(
            (plan.input.width, plan.input.height),
            (*size, *size),
            "{file}"
        );
        assert_eq!(plan.head.needs_nms(), *nms, "{file}");
        assert_eq!(plan.head.boxes_in_frame_pixels(), *frame_pixels, "{file}");
        assert_eq!(&plan.classes[..3], ["person", "bicycle", "car"], "{file}");
        assert!(!plan.needs_dry_run(), "{file}");
    }
}
