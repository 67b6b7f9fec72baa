//! Families that give boxes in one tensor and a value for every class in another.

use super::super::heads::{Activation, BoxFormat, Classes, HeadLayout, Scored};
use super::super::{ExtraRole, TensorInfo};
use super::classes::{coco, coco_from_category};
use super::facts::{Facts, is_integer, known_table, plain_name, table};
use super::finished::vision_feed;
use super::{Feed, Match};

/// Values per query of COCO-trained models that keep category numbers.
const COCO_CATEGORIES: usize = 91;

/// DETR family before post-processing: `logits`/`pred_logits`/`labels` and `pred_boxes`/`dets`.
pub fn logits_and_boxes(facts: &Facts<'_>) -> Option<Match> {
    let (scores, boxes) = named_pair(facts).or_else(|| few_queries(facts))?;
    let classes = table(scores)?.1?;
    let mut notes = vec![format!(
        "{:?} and {:?}: boxes and class values of a DETR",
        boxes.name, scores.name
    )];
    let activation = activation(facts, scores, classes, &mut notes);
    let is_rf = plain_name(&boxes.name) == "dets";
    let is_imagenet = is_rf
        || classes == COCO_CATEGORIES
        || classes == COCO_CATEGORIES + 1
        || activation == Activation::Softmax;
    let feed = if is_imagenet {
        notes.push("ImageNet mean and std, as this layout is trained".into());
        Feed::IMAGENET
    } else {
        vision_feed(facts, &mut notes)
    };
    let objects = match activation {
        // The last value is "no object".
        Activation::Softmax => classes - 1,
        _ => classes,
    };
    let names = facts.names.as_ref();
    let (map, known) = if names.is_none() && objects == COCO_CATEGORIES {
        notes.push("91 values per query: COCO category numbers, 80 of them used".into());
        (coco_from_category(0, objects), Some(coco()))
    } else if is_rf && names.is_none_or(|names| names.len() + 1 == objects) && objects > 1 {
        notes.push(
            "RF-DETR keeps one place more than it has classes; the last is background".into(),
        );
        let mut map: Vec<Option<u16>> = (0..objects - 1).map(|i| u16::try_from(i).ok()).collect();
        map.push(None);
        (
            Classes {
                count: objects - 1,
                map: Some(map),
            },
            None,
        )
    } else {
        (Classes::plain(objects), None)
    };
    let layout = HeadLayout::Scored(Scored {
        boxes_output: boxes.name.clone(),
        scores_output: scores.name.clone(),
        is_class_first: false,
        classes,
        boxes: BoxFormat::Cxcywh,
        normalised: true,
        activation,
        every_class: true,
    });
    let family = if activation == Activation::Softmax {
        "DETR / YOLOS (raw)"
    } else if is_rf || (is_imagenet && facts.graph().has_patch_embedding()) {
        "RF-DETR (raw)"
    } else {
        "RT-DETR / D-FINE / DEIM (raw)"
    };
    let mut found = facts.found(family, layout, map, feed, notes);
    if let Some(known) = known {
        found.names = known;
    }
    found.nms = false;
    Some(found)
}

type Pair<'a> = (&'a TensorInfo, &'a TensorInfo);

/// By the names exporters give.
fn named_pair<'a>(facts: &Facts<'a>) -> Option<Pair<'a>> {
    let boxes = facts.output_named(&["pred_boxes", "dets", "boxes"])?;
    let scores =
        facts.output_named(&["logits", "pred_logits", "labels", "scores", "pred_scores"])?;
    let is_pair = !is_integer(scores)
        && boxes.dims.last().copied().flatten().is_none_or(|d| d == 4)
        && scores.dims.len() == boxes.dims.len()
        && boxes.dims.len() >= 2;
    let is_few = known_table(boxes).is_none_or(|(n, _)| facts.strides_for(n).is_none());
    (is_pair && is_few).then_some((scores, boxes))
}

/// Two outputs `[B, Q, 4]` and `[B, Q, C]` with a round number of queries that is no number of cells.
fn few_queries<'a>(facts: &Facts<'a>) -> Option<Pair<'a>> {
    let [a, b] = facts.outputs() else { return None };
    let (boxes, scores) = if table(a)?.1 == Some(4) {
        (a, b)
    } else {
        (b, a)
    };
    let ((n, four), (m, _)) = (known_table(boxes)?, known_table(scores)?);
    let is_pair = four == 4
        && n == m
        && boxes.dims.len() == scores.dims.len()
        && (10..=2000).contains(&n)
        && facts.strides_for(n).is_none()
        && !is_integer(scores);
    (is_pair && facts.graph().has("Softmax")).then_some((scores, boxes))
}

/// What still has to be done to class values: nothing where the graph ends with it.
fn activation(
    facts: &Facts<'_>,
    scores: &TensorInfo,
    classes: usize,
    notes: &mut Vec<String>,
) -> Activation {
    let makers = facts.graph().makers(&scores.name);
    if makers.contains("Sigmoid") || makers.contains("Softmax") {
        notes.push("scores are ready: the graph ends with sigmoid or softmax".into());
        Activation::None
    } else if is_softmax(facts, classes) {
        notes.push(format!(
            "{classes} values per query: softmax with a last \"no object\", as in DETR"
        ));
        Activation::Softmax
    } else {
        Activation::Sigmoid
    }
}

/// Whether class values share one softmax with "no object": DETR, YOLOS and Table Transformer. Later
/// families judge every class by itself, and refine the boxes of selected or deformable queries.
fn is_softmax(facts: &Facts<'_>, classes: usize) -> bool {
    let told = facts.names.as_ref().map(Vec::len);
    if told == Some(classes) || classes < 2 {
        return false;
    }
    let graph = facts.graph();
    let is_later = ["TopK", "GridSample", "Log"].iter().any(|op| graph.has(op));
    classes == COCO_CATEGORIES + 1 || (graph.has("Softmax") && !is_later)
}

/// Two outputs with one row per cell: boxes left, top, right, bottom and class scores (YOLO-NAS,
/// PP-YOLOE without NMS, DAMO-YOLO).
pub fn dense_pair(facts: &Facts<'_>) -> Option<Match> {
    let outputs: Vec<&TensorInfo> = facts
        .outputs()
        .iter()
        .filter(|o| known_table(o).is_some() && !is_integer(o))
        .collect();
    for boxes in &outputs {
        let Some((n, 4)) = known_table(boxes) else {
            continue;
        };
        if facts.strides_for(n).is_none() {
            continue;
        }
        for scores in outputs.iter().filter(|o| o.name != boxes.name) {
            let (rows, columns) = known_table(scores)?;
            let is_class_first = columns == n && rows != n;
            if !(is_class_first || rows == n) {
                continue;
            }
            let classes = if is_class_first { rows } else { columns };
            return Some(dense(facts, boxes, scores, is_class_first, classes));
        }
    }
    None
}

fn dense(
    facts: &Facts<'_>,
    boxes: &TensorInfo,
    scores: &TensorInfo,
    is_class_first: bool,
    classes: usize,
) -> Match {
    let mut notes = vec![format!(
        "{:?} and {:?}: one decoded box and {classes} scores per cell",
        boxes.name, scores.name
    )];
    let is_paddle = facts.has_extra(ExtraRole::ScaleYx)
        || facts.signature.producer.to_lowercase().contains("paddle");
    let (family, feed) = if is_paddle && facts.graph().has_depthwise() {
        ("PicoDet (without NMS)", Feed::IMAGENET)
    } else if is_paddle {
        ("PP-YOLOE (without NMS)", Feed::UNIT)
    } else if facts.file.contains("damo") {
        ("DAMO-YOLO", Feed::BYTES)
    } else {
        notes.push("RGB 0..1 in a centred letterbox, as YOLO-NAS is validated".into());
        ("YOLO-NAS", Feed::YOLO)
    };
    let makers = facts.graph().makers(&scores.name);
    // Boxes are decoded, so scores will be too, unless they come straight from a convolution.
    let is_ready = makers.is_empty() || makers.iter().any(|op| !matches!(*op, "Conv" | "Add"));
    let layout = HeadLayout::Scored(Scored {
        boxes_output: boxes.name.clone(),
        scores_output: scores.name.clone(),
        is_class_first,
        classes,
        boxes: BoxFormat::Ltrb,
        normalised: false,
        activation: if is_ready {
            Activation::None
        } else {
            Activation::Sigmoid
        },
        every_class: false,
    });
    let mut found = facts.found(family, layout, Classes::plain(classes), feed, notes);
    found.frame_pixels = facts.has_extra(ExtraRole::ScaleYx);
    found
}
