//! YOLO heads: one row or column per cell, or per cell and anchor.

use super::super::TensorInfo;
use super::super::heads::{AnchorMaps, BoxFormat, Classes, ExpGrid, HeadLayout, Rows, cells};
use super::super::manifest::HeadName;
use super::distributions::is_undecoded;
use super::facts::{Facts, is_integer, known_table, table};
use super::{Feed, Match};

/// Anchors of YOLOv5 (and YOLOv7-tiny) for COCO, px, strides 8, 16, 32.
const V5_ANCHORS: [[[f32; 2]; 3]; 3] = [
    [[10.0, 13.0], [16.0, 30.0], [33.0, 23.0]],
    [[30.0, 61.0], [62.0, 45.0], [59.0, 119.0]],
    [[116.0, 90.0], [156.0, 198.0], [373.0, 326.0]],
];

/// Anchors of YOLOv7 for COCO, px, strides 8, 16, 32.
const V7_ANCHORS: [[[f32; 2]; 3]; 3] = [
    [[12.0, 16.0], [19.0, 36.0], [40.0, 28.0]],
    [[36.0, 75.0], [76.0, 55.0], [72.0, 146.0]],
    [[142.0, 110.0], [192.0, 243.0], [459.0, 401.0]],
];

/// Mask coefficients per candidate of YOLO segmentation models.
const USUAL_MASK_VALUES: usize = 32;

/// What stands behind the class scores, and of how many classes they are.
struct Width {
    classes: usize,
    has_objectness: bool,
}

/// Values behind the class scores: mask coefficients or key points.
fn extra_values(facts: &Facts<'_>) -> usize {
    let numbers = |text: &str| -> Vec<usize> {
        text.split(|c: char| !c.is_ascii_digit())
            .filter_map(|part| part.parse().ok())
            .collect()
    };
    match facts.metadata("task") {
        Some("pose") => facts
            .metadata("kpt_shape")
            .map(numbers)
            .filter(|shape| shape.len() == 2)
            .map_or(0, |shape| shape[0].saturating_mul(shape[1])),
        Some("segment") => mask_values(facts).unwrap_or(USUAL_MASK_VALUES),
        Some(_) => 0,
        None => mask_values(facts).unwrap_or(0),
    }
}

/// Channels of the prototype masks beside the candidates.
fn mask_values(facts: &Facts<'_>) -> Option<usize> {
    facts
        .outputs()
        .iter()
        .skip(1)
        .find_map(|o| match o.dims.as_slice() {
            [_, Some(c), Some(h), Some(w)]
                if *h == facts.height / 4 && *w == facts.width / 4 && *c <= 64 =>
            {
                Some(*c)
            }
            _ => None,
        })
}

/// RT-DETR as Ultralytics exports it: `[300, 4 + C]`, boxes and scores ready, parts of the picture.
pub fn ultralytics_detr(facts: &Facts<'_>) -> Option<Match> {
    let [output] = facts.outputs() else {
        return None;
    };
    let (n, width) = known_table(output)?;
    let is_named = facts.is_ultralytics_detr();
    let names = facts.names.as_ref()?;
    if width != 4 + names.len() || facts.strides_for(n).is_some() || !(is_named || n == 300) {
        return None;
    }
    let notes = vec![format!(
        "{n} queries of 4 + {} values: RT-DETR by Ultralytics",
        names.len()
    )];
    let layout = HeadLayout::Rows(Rows {
        output: output.name.clone(),
        is_channel_first: false,
        has_objectness: false,
        classes: names.len(),
        boxes: BoxFormat::Cxcywh,
        normalised: true,
    });
    let classes = Classes::plain(names.len());
    let mut found = facts.found("RT-DETR (Ultralytics)", layout, classes, Feed::UNIT, notes);
    found.nms = false;
    Some(found)
}

/// YOLOv5 to v12 and YOLOX: the number of candidates tells which.
pub fn yolo(facts: &Facts<'_>) -> Option<Match> {
    facts
        .outputs()
        .iter()
        .filter(|o| !is_integer(o))
        .find_map(|output| yolo_output(facts, output))
}

fn yolo_output(facts: &Facts<'_>, output: &TensorInfo) -> Option<Match> {
    let (a, b) = known_table(output)?;
    let asked = facts.manifest.and_then(|m| m.head);
    let is_cells = |n: usize| facts.strides_for(n).is_some();
    let is_anchors = |n: usize| n.is_multiple_of(3) && is_cells(n / 3);
    let is_ultralytics = facts.metadata("stride").is_some() && facts.names.is_some();
    // [K, N]: only families without objectness are exported this way.
    if is_cells(b) && a >= 5 && !(is_cells(a) && a > b) {
        return Some(anchor_free(facts, output, true, a, b));
    }
    if is_anchors(a) && b >= 6 && asked != Some(HeadName::YoloV8) {
        return anchored(facts, output, a, b);
    }
    if is_cells(a) && b >= 5 {
        return Some(by_cell(facts, output, a, b));
    }
    // A number of candidates that fits no strides: the names must fit all the better.
    let classes = facts.names.as_ref()?.len();
    let width = 4 + classes + extra_values(facts);
    let is_task = matches!(facts.metadata("task"), Some("detect" | "segment" | "pose"));
    if (is_ultralytics && is_task) || asked == Some(HeadName::YoloV8) {
        if a == width && b > a {
            return Some(anchor_free(facts, output, true, a, b));
        }
        if b == width && a > b {
            return Some(anchor_free(facts, output, false, b, a));
        }
    }
    if asked == Some(HeadName::YoloV5) && b == width + 1 {
        return anchored(facts, output, a, b);
    }
    None
}

/// `[N, K]` with one row per cell: YOLOX and YOLOv6 have objectness, transposed YOLOv8 has not.
fn by_cell(facts: &Facts<'_>, output: &TensorInfo, n: usize, k: usize) -> Match {
    let coco = super::classes::COCO.len();
    let has_objectness = match (facts.manifest.and_then(|m| m.head), &facts.names) {
        (Some(head), _) => head != HeadName::YoloV8,
        (None, Some(names)) if names.len() + 4 == k => false,
        (None, Some(names)) if names.len() + 5 == k => true,
        // Five values leave no room for objectness and a class.
        _ if k == 5 => false,
        _ if k == coco + 5 => true,
        _ if k == coco + 4 => false,
        _ => {
            facts.graph().is_behind(&output.name, "Exp", 6)
                || is_undecoded(facts, &output.name)
                || facts.graph().joins_a_constant(&output.name)
        }
    };
    if !has_objectness {
        return anchor_free(facts, output, false, k, n);
    }
    let classes = k - 5;
    let strides = facts.strides_for(n).unwrap_or_default();
    let asked = facts.manifest.and_then(|m| m.head);
    let mut notes = vec![format!(
        "{n} rows of 5 + {classes}: one per cell of strides {strides:?}, with objectness"
    )];
    let graph = facts.graph();
    // Integer convolutions scale their sums, which looks like arithmetic on boxes.
    let is_raw = (asked == Some(HeadName::YoloX) && !graph.is_behind(&output.name, "Exp", 6))
        || is_undecoded(facts, &output.name)
        || graph.has("ConvInteger") && !graph.is_behind(&output.name, "Exp", 6);
    if is_raw {
        notes.push("no arithmetic behind the convolutions: boxes are relative to cells".into());
        let makers = graph.makers(&output.name);
        let needs_sigmoid = !makers.is_empty()
            && !makers.iter().any(|op| op.contains("Sigmoid"))
            && !graph.is_behind(&output.name, "Sigmoid", 1);
        let layout = HeadLayout::ExpGrid(ExpGrid {
            output: output.name.clone(),
            classes,
            cells: cells(facts.width, facts.height, &strides),
            needs_sigmoid,
        });
        let mut found = facts.found("YOLOX", layout, Classes::plain(classes), Feed::YOLOX, notes);
        found.nms_iou = 0.45;
        return found;
    }
    let is_exp = graph.is_behind(&output.name, "Exp", 6);
    let (family, feed) = if is_exp || asked == Some(HeadName::YoloX) {
        notes.push("boxes are decoded in the graph (Exp near its end): YOLOX".into());
        ("YOLOX (decoded)", Feed::YOLOX)
    } else {
        notes.push("boxes are decoded in the graph without Exp: YOLOv6".into());
        ("YOLOv6", Feed::YOLO)
    };
    let layout = rows(
        output,
        false,
        &Width {
            classes,
            has_objectness: true,
        },
    );
    let mut found = facts.found(family, layout, Classes::plain(classes), feed, notes);
    found.nms_iou = 0.45;
    found.is_batched = output.dims.len() > 2;
    found
}

fn rows(output: &TensorInfo, is_channel_first: bool, width: &Width) -> HeadLayout {
    HeadLayout::Rows(Rows {
        output: output.name.clone(),
        is_channel_first,
        has_objectness: width.has_objectness,
        classes: width.classes,
        boxes: BoxFormat::Cxcywh,
        normalised: false,
    })
}

/// `[4 + C …, N]` or `[N, 4 + C …]` without objectness.
fn anchor_free(
    facts: &Facts<'_>,
    output: &TensorInfo,
    is_channel_first: bool,
    k: usize,
    n: usize,
) -> Match {
    let told = facts.names.as_ref().map(Vec::len).filter(|&c| c + 4 <= k);
    let extra = extra_values(facts);
    let classes = match told {
        Some(classes) => classes,
        None => k.saturating_sub(4 + extra).max(1),
    };
    let mut notes = vec![format!(
        "{n} candidates of 4 + {classes}{}, no objectness",
        if k > 4 + classes {
            format!(" + {} unused", k - 4 - classes)
        } else {
            String::new()
        }
    )];
    if let Some(task @ ("segment" | "pose")) = facts.metadata("task") {
        notes.push(format!("task {task:?}: only the boxes are used"));
    }
    let width = Width {
        classes,
        has_objectness: false,
    };
    let layout = rows(output, is_channel_first, &width);
    let mut found = facts.found(
        "YOLOv8 / v9 / 11 / 12",
        layout,
        Classes::plain(classes),
        Feed::YOLO,
        notes,
    );
    found.is_batched = output.dims.len() > 2;
    found
}

/// `[N, 5 + C …]`, three anchors per cell.
fn anchored(facts: &Facts<'_>, output: &TensorInfo, n: usize, k: usize) -> Option<Match> {
    let told = facts.names.as_ref().map(Vec::len).filter(|&c| c + 5 <= k);
    let classes = told.or_else(|| k.checked_sub(5 + extra_values(facts)))?;
    if classes == 0 {
        return None;
    }
    let notes = vec![format!(
        "{n} rows of 5 + {classes}: three anchors per cell, with objectness"
    )];
    let width = Width {
        classes,
        has_objectness: true,
    };
    let layout = rows(output, false, &width);
    let classes = Classes::plain(classes);
    let mut found = facts.found("YOLOv5 / v7", layout, classes, Feed::YOLO, notes);
    found.nms_iou = 0.45;
    found.is_batched = output.dims.len() > 2;
    Some(found)
}

/// YOLOv5 and v7 exported without their decoding part: `[3, h, w, 5 + C]` or `[3 · (5 + C), h, w]`.
pub fn anchor_maps(facts: &Facts<'_>) -> Option<Match> {
    let mut maps: Vec<(&TensorInfo, usize, usize)> = Vec::new();
    for output in facts.outputs().iter().filter(|o| !is_integer(o)) {
        let (k, h) = match output.dims.as_slice() {
            [_, Some(3), Some(h), Some(_), Some(k)] => (*k, *h),
            [_, Some(channels), Some(h), Some(_)] if channels.is_multiple_of(3) => {
                (channels / 3, *h)
            }
            _ => continue,
        };
        if k > 5 && h > 0 {
            maps.push((output, k, facts.height.div_ceil(h)));
        }
    }
    maps.sort_by_key(|map| map.2);
    let strides: Vec<usize> = maps.iter().map(|map| map.2).collect();
    let k = maps.first()?.1;
    let stated = facts.manifest.and_then(|m| m.anchors.clone());
    if maps.iter().any(|map| map.1 != k)
        || stated
            .as_ref()
            .map_or(strides != [8, 16, 32], |a| a.len() != maps.len())
    {
        return None;
    }
    let mut notes = vec![format!(
        "maps of 3 anchors x {k} values at strides {strides:?}, not decoded"
    )];
    let anchors = stated.unwrap_or_else(|| {
        let is_v7 = facts.file.contains("yolov7") && !facts.file.contains("tiny");
        let (name, anchors) = if is_v7 {
            ("YOLOv7", V7_ANCHORS)
        } else {
            ("YOLOv5", V5_ANCHORS)
        };
        notes.push(format!(
            "anchors {name} publishes for COCO; state your own as `anchors` in a manifest"
        ));
        anchors.iter().map(|level| level.to_vec()).collect()
    });
    let makers = facts.graph().makers(&maps[0].0.name);
    let layout = HeadLayout::AnchorMaps(AnchorMaps {
        maps: maps
            .iter()
            .map(|map| map.0.name.clone())
            .zip(anchors)
            .collect(),
        classes: k - 5,
        needs_sigmoid: !makers.contains("Sigmoid"),
    });
    let classes = Classes::plain(k - 5);
    let mut found = facts.found("YOLOv5 / v7 (raw maps)", layout, classes, Feed::YOLO, notes);
    found.nms_iou = 0.45;
    Some(found)
}

/// Whether an output could be candidates of a YOLO at another input size, for messages.
pub fn looks_like_rows(output: &TensorInfo) -> bool {
    matches!(table(output), Some((Some(a), Some(b))) if a.max(b) >= 300 && a.min(b) >= 5)
}
