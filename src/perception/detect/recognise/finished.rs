//! Families whose graph ends with finished detections: boxes, scores and labels in tensors of their own.

use super::super::heads::{BoxFormat, Classes, HeadLayout, Separate};
use super::super::{ExtraRole, TensorInfo};
use super::classes::{coco, coco_from_category, numbered};
use super::facts::{Facts, is_integer, plain_name};
use super::{Feed, LetterboxAnchor, Match, Resize};

/// Names given to the classes of a head that does not tell how many there are.
const UNTOLD_CLASSES: usize = 256;

/// Classes of a head that does not tell how many there are, labels from 0.
pub fn untold(facts: &Facts<'_>, notes: &mut Vec<String>) -> (Classes, Vec<String>) {
    let names = facts.names.clone().unwrap_or_else(|| {
        notes.push("the graph does not tell its classes: the first 80 taken as COCO".into());
        let mut names = coco();
        names.extend((names.len()..UNTOLD_CLASSES).map(|i| format!("class{i}")));
        names
    });
    (Classes::plain(names.len()), names)
}

/// Classes of a head with labels from 1 (0 is background), by COCO category unless named. Returns the
/// label of the first index too.
fn from_one(
    facts: &Facts<'_>,
    told: Option<usize>,
    notes: &mut Vec<String>,
) -> (Classes, Vec<String>, usize) {
    match (&facts.names, told) {
        (Some(names), _) => (Classes::plain(names.len()), names.clone(), 1),
        (None, Some(count)) if count != 90 => {
            notes.push(format!(
                "{count} classes beside the background, no names in the file"
            ));
            (Classes::plain(count), numbered(count), 1)
        }
        _ => {
            notes.push("labels taken as COCO category numbers (1 person to 90 toothbrush)".into());
            (coco_from_category(0, UNTOLD_CLASSES), coco(), 0)
        }
    }
}

pub fn found(
    facts: &Facts<'_>,
    family: &'static str,
    layout: HeadLayout,
    (classes, names): (Classes, Vec<String>),
    feed: Feed,
    mut notes: Vec<String>,
) -> Match {
    let feed = facts.feed(feed, &mut notes);
    Match {
        family,
        layout,
        classes,
        names,
        frame_pixels: false,
        nms: false,
        nms_iou: 0.7,
        feed,
        is_batched: true,
        notes,
    }
}

/// TensorFlow detection zoo (SSD, EfficientDet, CenterNet, …): `detection_boxes` top, left, bottom,
/// right as parts of the picture, labels from 1.
pub fn tensorflow(facts: &Facts<'_>) -> Option<Match> {
    let boxes = facts.output_named(&["detection_boxes"])?;
    let scores = facts.output_named(&["detection_scores"])?;
    let labels = facts.output_named(&["detection_classes"])?;
    let count = facts.output_named(&["num_detections"]);
    let mut notes = vec!["outputs are named as the TensorFlow detection zoo does".into()];
    let told = facts
        .output_named(&["detection_multiclass_scores", "raw_detection_scores"])
        .and_then(|o| o.dims.last().copied().flatten())
        .and_then(|with_background| with_background.checked_sub(1))
        .filter(|&count| count > 0);
    let (classes, names, first_label) = from_one(facts, told, &mut notes);
    let layout = HeadLayout::Separate(Separate {
        boxes_output: boxes.name.clone(),
        scores_output: Some(scores.name.clone()),
        labels_output: Some(labels.name.clone()),
        count_output: count.map(|c| c.name.clone()),
        boxes: BoxFormat::Tlbr,
        normalised: true,
        first_label,
    });
    Some(found(
        facts,
        "SSD (TensorFlow, post-processing inside)",
        layout,
        (classes, names),
        Feed::BYTES,
        notes,
    ))
}

/// EfficientNMS and relatives: a count beside boxes (left, top, right, bottom), scores and labels.
pub fn counted(facts: &Facts<'_>) -> Option<Match> {
    let count = facts.output_named(&[
        "num_dets",
        "num_detections",
        "num_predictions",
        "num_detection",
        "nmsed_num",
    ])?;
    let boxes = facts.output_named(&[
        "det_boxes",
        "detection_boxes",
        "pred_boxes",
        "bboxes",
        "boxes",
        "nmsed_boxes",
    ])?;
    let scores = facts.output_named(&[
        "det_scores",
        "detection_scores",
        "pred_scores",
        "scores",
        "nmsed_scores",
    ])?;
    let labels = facts.output_named(&[
        "det_classes",
        "detection_classes",
        "det_labels",
        "pred_classes",
        "labels",
        "classes",
        "nmsed_classes",
    ])?;
    let mut notes = vec!["outputs are named as EfficientNMS does".into()];
    let classes = untold(facts, &mut notes);
    let layout = HeadLayout::Separate(Separate {
        boxes_output: boxes.name.clone(),
        scores_output: Some(scores.name.clone()),
        labels_output: Some(labels.name.clone()),
        count_output: Some(count.name.clone()),
        boxes: BoxFormat::Ltrb,
        normalised: false,
        first_label: 0,
    });
    let feed = if facts.file.contains("yolox") {
        Feed::YOLOX
    } else {
        Feed::YOLO
    };
    Some(found(
        facts,
        "YOLO with EfficientNMS",
        layout,
        classes,
        feed,
        notes,
    ))
}

/// Exactly boxes, scores and labels, in any order.
fn three<'a>(facts: &Facts<'a>) -> Option<(&'a TensorInfo, &'a TensorInfo, &'a TensorInfo)> {
    let boxes = facts.output_named(&["boxes", "bboxes"]).or_else(|| {
        let mut with_four = facts
            .outputs()
            .iter()
            .filter(|o| !is_integer(o) && o.dims.len() >= 2 && o.dims.last() == Some(&Some(4)));
        with_four.next().filter(|_| with_four.next().is_none())
    })?;
    let labels = facts
        .output_named(&["labels", "classes", "class_ids"])
        .or_else(|| facts.outputs().iter().find(|o| is_integer(o)))?;
    let scores = facts.output_named(&["scores", "score"]).or_else(|| {
        facts
            .outputs()
            .iter()
            .find(|o| o.name != boxes.name && o.name != labels.name && !is_integer(o))
    })?;
    // One number per box: [N] or [B, N]. A third axis would be a score for every class.
    let is_list =
        |o: &TensorInfo| !o.has_shape || o.dims.len() <= 2 || o.dims.last() == Some(&Some(1));
    (is_list(scores)
        && is_list(labels)
        && boxes.name != scores.name
        && boxes.name != labels.name
        && scores.name != labels.name
        && boxes.dims.last().copied().flatten().is_none_or(|d| d == 4))
    .then_some((boxes, scores, labels))
}

/// `labels, boxes, scores` of RT-DETR, D-FINE, DEIM (with `orig_target_sizes`), torchvision and the
/// ONNX zoo (without).
pub fn boxes_scores_labels(facts: &Facts<'_>) -> Option<Match> {
    let (boxes, scores, labels) = three(facts)?;
    let separate = |boxes_are: BoxFormat, normalised: bool, first_label: usize| {
        HeadLayout::Separate(Separate {
            boxes_output: boxes.name.clone(),
            scores_output: Some(scores.name.clone()),
            labels_output: Some(labels.name.clone()),
            count_output: None,
            boxes: boxes_are,
            normalised,
            first_label,
        })
    };
    let is_batched = boxes.dims.len() != 2;
    let mut notes = Vec::new();
    if facts.has_extra(ExtraRole::FrameSizeWh) || facts.has_extra(ExtraRole::FrameSizeHw) {
        notes.push("boxes, scores, labels and the size of the frame as input: DETR family".into());
        let told = told_by_divisor(facts, &labels.name);
        let (classes, names) = match (&facts.names, told) {
            (None, Some(91)) => (coco_from_category(0, 91), coco()),
            (None, Some(count)) => {
                notes.push(format!(
                    "{count} classes by the arithmetic behind the labels"
                ));
                (Classes::plain(count), numbered(count))
            }
            _ => untold(facts, &mut notes),
        };
        let feed = vision_feed(facts, &mut notes);
        let layout = separate(BoxFormat::Ltrb, false, 0);
        let mut found = found(
            facts,
            "DETR (deployed)",
            layout,
            (classes, names),
            feed,
            notes,
        );
        found.family = detr_family(facts);
        found.frame_pixels = true;
        found.is_batched = is_batched;
        return Some(found);
    }
    if plain_name(&boxes.name) == "bboxes" {
        notes.push("bboxes, labels, scores: SSD of the ONNX zoo, labels from 1".into());
        let layout = separate(BoxFormat::Ltrb, true, 1);
        let classes = untold(facts, &mut notes);
        return Some(found(
            facts,
            "SSD (post-processing inside)",
            layout,
            classes,
            Feed::IMAGENET,
            notes,
        ));
    }
    let (family, classes, names, first_label, feed) = if is_caffe_rcnn(facts) {
        notes.push("RoiAlign, and pictures taken as they are: R-CNN of maskrcnn-benchmark".into());
        let (classes, names) = untold(facts, &mut notes);
        ("R-CNN (ONNX model zoo)", classes, names, 1, CAFFE_FEED)
    } else {
        notes.push("boxes, scores and labels without a size input: torchvision".into());
        let (classes, names, first_label) = from_one(facts, None, &mut notes);
        let feed = Feed {
            resize: torchvision_resize(facts),
            ..Feed::UNIT
        };
        let family = "SSD or R-CNN (torchvision)";
        (family, classes, names, first_label, feed)
    };
    let layout = separate(BoxFormat::Ltrb, false, first_label);
    let mut found = found(facts, family, layout, (classes, names), feed, notes);
    found.is_batched = is_batched;
    Some(found)
}

/// BGR 0..255 less the mean of the Caffe models, picture at the top left.
///
/// Source: notes beside Faster R-CNN and Mask R-CNN in the ONNX model zoo.
const CAFFE_FEED: Feed = Feed {
    order: super::ChannelOrder::Bgr,
    mean: [102.9801, 115.9465, 122.7717],
    std: [1.0; 3],
    resize: TOP_LEFT,
};

const TOP_LEFT: Resize = Resize::Letterbox {
    anchor: LetterboxAnchor::TopLeft,
    pad: 114,
};

/// R-CNN without the mean and deviation that torchvision puts into its graphs.
fn is_caffe_rcnn(facts: &Facts<'_>) -> bool {
    let graph = facts.graph();
    let preamble = graph.preamble(&facts.image.name);
    graph.has("RoiAlign") && preamble.scale == 1.0 && preamble.offset == 0.0
}

/// torchvision stretches for SSD only (softmax over fixed boxes); R-CNN, RetinaNet and FCOS keep the
/// shape of the picture and pad right and below.
fn torchvision_resize(facts: &Facts<'_>) -> Resize {
    let graph = facts.graph();
    if graph.has("RoiAlign") || (graph.has("Sigmoid") && !graph.has("Softmax")) {
        TOP_LEFT
    } else {
        Resize::Stretch
    }
}

/// Class count from the division that splits (query, class) numbers.
fn told_by_divisor(facts: &Facts<'_>, labels: &str) -> Option<usize> {
    let divisors = facts.graph().divisors_behind(labels, 8);
    let mut plausible = divisors.into_iter().filter(|&d| d > 1);
    let first = plausible.next()?;
    plausible
        .next()
        .is_none()
        .then(|| usize::try_from(first).ok())
        .flatten()
}

/// 0..1 for convolutional backbones of the DETR family, ImageNet for vision transformers.
pub fn vision_feed(facts: &Facts<'_>, notes: &mut Vec<String>) -> Feed {
    if facts.graph().has_patch_embedding() {
        notes.push("a vision transformer: ImageNet mean and std".into());
        Feed::IMAGENET
    } else {
        Feed::UNIT
    }
}

fn detr_family(facts: &Facts<'_>) -> &'static str {
    for (hint, family) in [
        ("deim", "DEIM (deployed)"),
        ("dfine", "D-FINE (deployed)"),
        ("d-fine", "D-FINE (deployed)"),
        ("rfdetr", "RF-DETR (deployed)"),
        ("rf-detr", "RF-DETR (deployed)"),
    ] {
        if facts.file.contains(hint) {
            return family;
        }
    }
    "RT-DETR / D-FINE / DEIM (deployed)"
}

/// MMDetection: `dets` left, top, right, bottom, score and whole-number `labels`.
pub fn mmdet(facts: &Facts<'_>) -> Option<Match> {
    let dets = facts.output_named(&["dets"])?;
    let labels = facts.output_named(&["labels"]).filter(|o| is_integer(o))?;
    if dets.dims.last().copied().flatten().is_some_and(|d| d != 5) {
        return None;
    }
    let mut notes = vec!["dets of 5 columns and whole-number labels: MMDetection".into()];
    let feed = mmdet_feed(facts, &mut notes);
    let classes = untold(facts, &mut notes);
    let layout = HeadLayout::Separate(Separate {
        boxes_output: dets.name.clone(),
        scores_output: None,
        labels_output: Some(labels.name.clone()),
        count_output: None,
        boxes: BoxFormat::Ltrb,
        normalised: false,
        first_label: 0,
    });
    let mut found = found(facts, "MMDetection", layout, classes, feed, notes);
    found.is_batched = dets.dims.len() >= 3;
    Some(found)
}

/// Nearly every configuration keeps the shape of the picture and pads right and below.
fn mmdet_feed(facts: &Facts<'_>, notes: &mut Vec<String>) -> Feed {
    let (like, feed) = if facts.file.contains("yolox") {
        ("YOLOX", Feed::YOLOX)
    } else if facts.file.contains("rtmdet") {
        let resize = TOP_LEFT;
        (
            "RTMDet",
            Feed {
                resize,
                ..Feed::NANODET
            },
        )
    } else {
        let resize = TOP_LEFT;
        (
            "ImageNet",
            Feed {
                resize,
                ..Feed::IMAGENET
            },
        )
    };
    notes.push(format!(
        "mean, std and colours of {like} by the name of the file; state others in a manifest"
    ));
    feed
}
