//! Families without a file of their own: small graphs with their real signatures, made by
//! `tests/reference/make_fixtures.py`. Each sees object A (class 1, 0.9) and B (class 0, 0.6) at known
//! model pixels; what they are in a frame of 192×144 is worked out here by hand.

mod detect_common;

use std::path::{Path, PathBuf};

use detect_common::{detector, i420};
use gantryd::perception::detect::{
    ChannelOrder, DetectError, DetectOptions, Detector, FrameDetections, ModelFiles, Provider,
    RecogniseError, Signature, recognise,
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/models")
        .join(format!("{name}.onnx"))
}

type Ltrb = [f32; 4];

/// Model 96×96, frame 192×144. A is 8,16,24,48 and B 32,8,56,40 in model pixels.
///
/// Centred letterbox: scale 0.5, the picture is 96×72 with 12 rows of padding above:
/// x · 2, (y − 12) · 2; B begins 8 px above the frame and is clipped.
const CENTRED: [Ltrb; 2] = [[16.0, 8.0, 48.0, 72.0], [64.0, 0.0, 112.0, 56.0]];
/// Letterbox at the top left: x · 2, y · 2.
const TOP_LEFT: [Ltrb; 2] = [[16.0, 32.0, 48.0, 96.0], [64.0, 16.0, 112.0, 80.0]];
/// Each axis by itself: x · 2, y · 1.5.
const STRETCHED: [Ltrb; 2] = [[16.0, 24.0, 48.0, 72.0], [64.0, 12.0, 112.0, 60.0]];

fn open(name: &str) -> Option<Detector> {
    Some(detector(&fixture(name), 0.1)?.unwrap_or_else(|error| panic!("{name}: {error:?}")))
}

fn see(detector: &mut Detector) -> FrameDetections {
    let mut planes = vec![16; 192 * 144];
    planes.resize(192 * 144 * 3 / 2, 128);
    let frame = i420(192, 144, &planes);
    detector.detect(&[&frame]).expect("a whole frame").remove(0)
}

fn assert_sees(name: &str, family: &str, expected: [Ltrb; 2], classes: [&str; 2]) {
    let Some(mut detector) = open(name) else {
        return;
    };
    assert_eq!(detector.plan().family, family, "{name}");
    let seen = see(&mut detector);
    assert_eq!(
        seen.rejected,
        0,
        "{name}: {:?} {:?}",
        seen.detections,
        detector.plan()
    );
    let found = &seen.detections;
    assert_eq!(found.len(), 2, "{name}: {found:?}");
    for ((detection, ltrb), (class, confidence)) in found
        .iter()
        .zip(expected)
        .zip(classes.into_iter().zip([0.9, 0.6]))
    {
        let b = detection.bbox;
        for (edge, expected) in [b.left(), b.top(), b.right(), b.bottom()].iter().zip(ltrb) {
            // Half precision has steps of 1/16 at 64..128 px, the graph some rounding of its own.
            assert!(
                (edge - expected).abs() < 0.1,
                "{name}: {b:?}, expected {ltrb:?}"
            );
        }
        let named = &detector.class_names()[usize::from(detection.class.0)];
        assert_eq!(named, class, "{name}");
        assert!(
            (detection.confidence - confidence).abs() < 2e-3,
            "{name}: {detection:?}"
        );
    }
}

#[test]
fn yolov5_rows_have_objectness() {
    assert_sees("yolov5", "YOLOv5 / v7", CENTRED, ["car", "person"]);
}

#[test]
fn yolov7_end_to_end_rows_name_their_picture() {
    assert_sees(
        "yolov7_end2end",
        "YOLOv7 (NMS inside)",
        CENTRED,
        ["bicycle", "person"],
    );
}

#[test]
fn yolox_with_decoding_inside_is_not_decoded_twice() {
    assert_sees(
        "yolox_decoded",
        "YOLOX (decoded)",
        TOP_LEFT,
        ["bicycle", "person"],
    );
}

#[test]
fn yolov8_in_every_dress() {
    let family = "YOLOv8 / v9 / 11 / 12";
    assert_sees("yolov8", family, CENTRED, ["car", "person"]);
    assert_sees("yolov8_seg", family, CENTRED, ["car", "person"]);
    for name in [
        "yolov8_transposed",
        "yolov8_nhwc",
        "yolov8_f16",
        "yolov8_batchless",
    ] {
        assert_sees(name, family, CENTRED, ["bicycle", "person"]);
    }
}

#[test]
fn yolov10_rows_are_finished() {
    let family = "YOLOv10 / YOLO26 (end-to-end)";
    assert_sees("yolov10", family, CENTRED, ["bicycle", "person"]);
}

#[test]
fn rtdetr_rows_of_ultralytics_are_parts_of_the_stretched_picture() {
    let family = "RT-DETR (Ultralytics)";
    assert_sees("ultralytics_rtdetr", family, STRETCHED, ["car", "person"]);
}

#[test]
fn nms_unrolled_for_one_picture_gets_one_picture_at_a_time() {
    let Some(mut detector) = open("yolov8_nms_dynamic") else {
        return;
    };
    let mut planes = vec![16; 192 * 144];
    planes.resize(192 * 144 * 3 / 2, 128);
    let frame = i420(192, 144, &planes);
    let seen = detector.detect(&[&frame, &frame]).expect("whole frames");
    let counts: Vec<usize> = seen.iter().map(|s| s.detections.len()).collect();
    assert_eq!(counts, [2, 2]);
}

#[test]
fn detr_outputs_come_in_any_order() {
    let family = "RT-DETR / D-FINE / DEIM (deployed)";
    assert_sees("rtdetr", family, STRETCHED, ["bicycle", "person"]);
    assert_sees(
        "dfine",
        "D-FINE (deployed)",
        STRETCHED,
        ["bicycle", "person"],
    );
}

#[test]
fn detr_shares_a_softmax_with_no_object_and_gets_its_mask() {
    let family = "DETR / YOLOS (raw)";
    assert_sees("detr_of_three", family, STRETCHED, ["class1", "class0"]);
}

#[test]
fn raw_detr_gets_its_sigmoid() {
    let family = "RT-DETR / D-FINE / DEIM (raw)";
    assert_sees(
        "detr_logits_pred_boxes",
        family,
        STRETCHED,
        ["bicycle", "person"],
    );
}

#[test]
fn rf_detr_numbers_coco_categories_and_keeps_a_place_for_nothing() {
    assert_sees("rfdetr", "RF-DETR (raw)", STRETCHED, ["bicycle", "person"]);
    assert_sees(
        "rfdetr_3_classes",
        "RF-DETR (raw)",
        STRETCHED,
        ["class1", "class0"],
    );
}

#[test]
fn tensorflow_boxes_are_top_left_bottom_right_and_labels_begin_at_one() {
    let family = "SSD (TensorFlow, post-processing inside)";
    assert_sees("ssd_tensorflow", family, STRETCHED, ["bicycle", "person"]);
}

#[test]
fn paddle_boxes_are_divided_by_the_scale_factor() {
    assert_sees(
        "ppyoloe_plus_nms",
        "PP-YOLOE+ (NMS inside)",
        STRETCHED,
        ["bicycle", "person"],
    );
}

#[test]
fn efficient_nms_counts_its_detections() {
    let family = "YOLO with EfficientNMS";
    assert_sees("yolo_efficient_nms", family, CENTRED, ["bicycle", "person"]);
}

#[test]
fn nanodet_plus_measures_from_the_corner_of_a_cell() {
    assert_sees(
        "nanodet_plus",
        "NanoDet-Plus",
        STRETCHED,
        ["class1", "class0"],
    );
}

#[test]
fn maps_without_decoding_get_their_anchors() {
    assert_sees(
        "yolov5_raw",
        "YOLOv5 / v7 (raw maps)",
        CENTRED,
        ["car", "person"],
    );
}

#[test]
fn boxes_and_scores_of_every_cell_come_in_either_order() {
    assert_sees("yolo_nas", "YOLO-NAS", CENTRED, ["bicycle", "person"]);
    if let Some(detector) = open("yolo_nas") {
        // Its own predict() reads pictures as RGB and does not turn the channels.
        assert_eq!(detector.plan().input.order, ChannelOrder::Rgb);
    }
    let family = "PP-YOLOE (without NMS)";
    assert_sees(
        "ppyoloe_plus_no_nms",
        family,
        STRETCHED,
        ["bicycle", "person"],
    );
}

#[test]
fn an_objectness_that_is_always_one_is_no_class() {
    assert_sees("yolov6", "YOLOv6", CENTRED, ["class1", "class0"]);
}

/// Row `row` of the vectors of the fixtures: 0.6 in place `row` and 0.8 in place `row` + 5 of 16.
fn vector(row: usize) -> Vec<f32> {
    let mut values = vec![0.0; 16];
    values[row % 16] = 0.6;
    values[(row + 5) % 16] = 0.8;
    values
}

fn vectors_of(seen: &FrameDetections) -> Vec<Vec<f32>> {
    let vectors = seen.detections.iter().map(|one| one.embedding.as_ref());
    vectors
        .map(|one| one.expect("a vector").values().to_vec())
        .collect()
}

#[test]
fn our_own_head_gives_boxes_and_what_each_looks_like() {
    assert_sees("resident", "resident", CENTRED, ["car", "person"]);
    let end_to_end = "YOLOv10 / YOLO26 (end-to-end)";
    assert_sees(
        "resident_end_to_end",
        end_to_end,
        CENTRED,
        ["car", "person"],
    );
    for name in ["resident", "resident_end_to_end"] {
        let Some(mut detector) = open(name) else {
            return;
        };
        // A is candidate 11 and B candidate 3, bit for bit.
        assert_eq!(
            vectors_of(&see(&mut detector)),
            [vector(11), vector(3)],
            "{name}"
        );
    }
}

#[test]
fn each_picture_of_a_batch_has_vectors_of_its_own() {
    if open("resident").is_none() {
        return;
    }
    let options = DetectOptions {
        provider: Provider::Cpu,
        max_batch: Some(2.try_into().expect("2 is not 0")),
        ..DetectOptions::default()
    };
    let files = ModelFiles::from_onnx(&fixture("resident"));
    let mut detector = Detector::open(&files, &options).expect("it opens for two pictures");
    assert_eq!(detector.max_batch(), 2);
    let mut planes = vec![16; 192 * 144];
    planes.resize(192 * 144 * 3 / 2, 128);
    let frame = i420(192, 144, &planes);
    let seen = detector.detect(&[&frame, &frame]).expect("whole frames");
    assert_eq!(vectors_of(&seen[0]), [vector(11), vector(3)]);
    let turned = |row: usize| vector(row).into_iter().map(|v| -v).collect::<Vec<f32>>();
    assert_eq!(vectors_of(&seen[1]), [turned(11), turned(3)]);
}

#[test]
fn a_call_that_is_filled_up_sees_what_an_exact_one_sees() {
    if open("resident").is_none() {
        return;
    }
    let files = ModelFiles::from_onnx(&fixture("resident"));
    let [mut exact, mut filled] = [None, Some(vec![1, 4])].map(|batch_sizes| {
        let options = DetectOptions {
            provider: Provider::Cpu,
            batch_sizes,
            max_batch: Some(4.try_into().expect("4 is not 0")),
            ..DetectOptions::default()
        };
        Detector::open(&files, &options).expect("it opens for four pictures")
    });
    assert_eq!(filled.max_batch(), 4);
    let mut planes = vec![16; 192 * 144];
    planes.resize(192 * 144 * 3 / 2, 128);
    let frame = i420(192, 144, &planes);
    for count in [1, 3, 4, 6] {
        let frames = vec![&frame; count];
        // The exact one in calls of the same pictures.
        let expected: Vec<_> = frames
            .chunks(4)
            .flat_map(|frames| exact.detect(frames).expect("whole frames"))
            .map(|seen| seen.detections)
            .collect();
        let seen = filled.detect(&frames).expect("whole frames");
        let seen: Vec<_> = seen.into_iter().map(|seen| seen.detections).collect();
        assert_eq!(seen, expected, "{count} frames");
    }
}

#[test]
fn vectors_beside_another_family_follow_their_boxes_through_suppression() {
    let family = "YOLOv8 / v9 / 11 / 12";
    assert_sees("yolov8_embeddings", family, CENTRED, ["car", "person"]);
    let Some(mut detector) = open("yolov8_embeddings") else {
        return;
    };
    // The stronger A is candidate 2, B candidate 0; half precision has 11 bits.
    for (found, expected) in vectors_of(&see(&mut detector))
        .iter()
        .zip([vector(2), vector(0)])
    {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
    }
}

#[test]
fn vectors_that_are_no_rows_of_the_candidates_are_left_aside_and_told() {
    // 20 candidates and 5 vectors, which the run at the start tells.
    let Some(mut detector) = open("resident_too_few_vectors") else {
        return;
    };
    let seen = see(&mut detector);
    assert_eq!(seen.detections.len(), 2);
    assert!(seen.detections.iter().all(|one| one.embedding.is_none()));
    let notes = &detector.plan().notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("[1, 5, 16] is left aside")),
        "{notes:?}"
    );
}

#[test]
fn boxes_and_scores_alone_are_our_own_only_where_something_says_so() {
    // The same graph without its mark and its vectors, as another exporter might name its outputs.
    let path = fixture("resident_too_few_vectors");
    let mut signature = Signature::read(&path).expect("a graph");
    let family = |signature: &Signature| {
        let plan = recognise(Path::new("x.onnx"), signature, None);
        plan.map(|plan| plan.family).unwrap_or("none")
    };
    assert_eq!(family(&signature), "resident");
    signature
        .outputs
        .retain(|output| output.name != "embeddings");
    assert_eq!(family(&signature), "resident");
    signature.metadata.remove("head");
    assert_ne!(family(&signature), "resident");
}

#[test]
fn mmdetection_keeps_the_score_beside_the_box() {
    assert_sees("mmdet", "MMDetection", TOP_LEFT, ["bicycle", "person"]);
}

#[test]
fn mmdetection_files_tell_their_colours_by_name() {
    let signature = Signature::read(&fixture("mmdet")).expect("a graph");
    let input = |name: &str| {
        recognise(Path::new(name), &signature, None)
            .expect(name)
            .input
    };
    // The configurations of the models: RTMDet BGR with ImageNet mean, YOLOX BGR as it is, others RGB.
    let (rtmdet, yolox, other) = (
        input("rtmdet_s.onnx"),
        input("yolox_s.onnx"),
        input("end2end.onnx"),
    );
    assert_eq!((rtmdet.order, rtmdet.mean[0]), (ChannelOrder::Bgr, 103.53));
    assert_eq!((yolox.order, yolox.mean[0]), (ChannelOrder::Bgr, 0.0));
    assert_eq!((other.order, other.mean[0]), (ChannelOrder::Rgb, 123.675));
}

#[test]
fn rcnn_keeps_the_shape_of_the_picture() {
    let torchvision = "SSD or R-CNN (torchvision)";
    let zoo = "R-CNN (ONNX model zoo)";
    assert_sees(
        "rcnn_torchvision",
        torchvision,
        TOP_LEFT,
        ["bicycle", "person"],
    );
    assert_sees("rcnn_zoo", zoo, TOP_LEFT, ["bicycle", "person"]);
    let Some(detector) = open("rcnn_zoo") else {
        return;
    };
    let input = &detector.plan().input;
    assert_eq!(input.order, ChannelOrder::Bgr);
    assert_eq!((input.mean[0], input.std[0]), (102.9801, 1.0));
}

#[test]
fn torchvision_labels_are_categories_and_its_outputs_have_no_batch() {
    let family = "SSD or R-CNN (torchvision)";
    assert_sees("torchvision", family, STRETCHED, ["bicycle", "person"]);
}

#[test]
fn shapes_that_only_a_run_tells_are_waited_for() {
    let path = fixture("yolov5_dynamic");
    let signature = Signature::read(&path).unwrap();
    let plan = recognise(&path, &signature, None).unwrap();
    assert!(plan.needs_dry_run());
    assert_eq!((plan.input.width, plan.input.height), (640, 640));
    let plan = plan.complete(&[("output0", &[1, 25_200, 8])]).unwrap();
    assert_eq!(plan.family, "YOLOv5 / v7");
    assert_eq!(plan.classes, ["person", "car", "dog"]);
    if let Some(detector) = open("yolov5_dynamic") {
        assert_eq!(detector.plan().family, "YOLOv5 / v7");
    }
}

#[test]
fn values_that_are_no_boxes_are_counted_and_the_others_stay() {
    let Some(mut detector) = open("hostile_values") else {
        return;
    };
    let seen = see(&mut detector);
    assert_eq!(seen.detections.len(), 2, "{:?}", seen.detections);
    assert_eq!(seen.rejected, 7);
}

#[test]
fn a_thousandfold_number_of_rows_is_bounded() {
    let Some(mut detector) = open("hostile_thousandfold") else {
        return;
    };
    let seen = see(&mut detector);
    assert!(!seen.detections.is_empty() && seen.detections.len() <= 300);
}

fn refusal(name: &str) -> String {
    let path = fixture(name);
    let signature = Signature::read(&path).expect("an ONNX model");
    let error = recognise(&path, &signature, None)
        .and_then(|plan| plan.complete(&[]))
        .expect_err("no detector");
    assert!(matches!(error, RecogniseError::Unknown { .. }), "{name}");
    error.to_string()
}

#[test]
fn graphs_that_are_no_detectors_are_refused_with_a_reason_and_a_skeleton() {
    for (name, reason) in [
        ("classifier", "a classifier"),
        ("classifier_of_6", "a classifier"),
        ("segmentation", "a segmentation model"),
        ("text_model", "takes no pictures"),
        ("wrong_size", "96x96 pixels give 189"),
    ] {
        let text = refusal(name);
        assert!(text.contains(reason), "{name}: {text}");
        assert!(
            text.contains("head = ") && text.contains("seen: inputs"),
            "{text}"
        );
        if let Some(result) = detector(&fixture(name), 0.1) {
            assert!(
                matches!(result, Err(DetectError::Recognise(_))),
                "{name}: {result:?}"
            );
        }
    }
}

#[test]
fn a_damaged_model_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.onnx");
    for name in ["yolov8", "ppyoloe_plus_nms"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= if at % 2 == 0 { 0xff } else { 0x01 };
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(signature) = Signature::read(&path) {
                let _plan = recognise(&path, &signature, None);
            }
        }
    }
}

#[test]
fn files_that_are_no_models_are_refused_by_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(fixture("yolov8")).unwrap();
    for (bytes, reason) in [
        (b"just some text\nand more\n".to_vec(), "a text file"),
        (Vec::new(), "an empty file"),
        (whole[..whole.len() / 2].to_vec(), "complete ONNX model"),
        (b"PK\x03\x04rest".to_vec(), "zip archive"),
        (vec![0xff; 4096], "no ONNX model"),
        (vec![0; 4096], "no ONNX model"),
        (
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            "git lfs pull",
        ),
    ] {
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, &bytes).unwrap();
        let text = Signature::read(&path).unwrap_err().to_string();
        assert!(text.contains(reason), "{reason}: {text}");
    }
    // Cut anywhere, a model is refused or still whole enough to read; it never panics.
    for cut in 0..whole.len() {
        let path = folder.path().join("cut.onnx");
        std::fs::write(&path, &whole[..cut]).unwrap();
        if let Ok(signature) = Signature::read(&path) {
            let _plan = recognise(&path, &signature, None);
        }
    }
}
