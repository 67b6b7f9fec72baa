//! NanoDet, PicoDet, FastestDet and YOLO-FastestV2.

use super::super::TensorInfo;
use super::super::heads::{
    Classes, Distribution, DistributionLevel, FastestGrid, HeadLayout, SharedAnchors, cells,
    cells_of,
};
use super::super::manifest::HeadName;
use super::facts::{Facts, is_integer, known_table, plain_name};
use super::{Feed, Match};

/// Bins per edge in NanoDet and PicoDet (reg_max 7).
const USUAL_BINS: usize = 8;

/// COCO anchors published with YOLO-FastestV2, pixels at 352×352.
const FASTEST_V2_ANCHORS: [[[f32; 2]; 3]; 2] = [
    [[12.64, 19.39], [37.88, 51.48], [55.71, 138.31]],
    [[126.91, 78.23], [131.57, 214.55], [279.92, 258.87]],
];

fn asked(facts: &Facts<'_>) -> Option<HeadName> {
    facts.manifest.and_then(|m| m.head)
}

/// A pair of outputs per stride: `[N, C]` scores and `[N, 4 · bins]` distances.
pub fn per_stride(facts: &Facts<'_>) -> Option<Match> {
    let tables: Vec<(&TensorInfo, usize, usize)> = facts
        .outputs()
        .iter()
        .filter(|o| !is_integer(o))
        .filter_map(|o| known_table(o).map(|(n, width)| (o, n, width)))
        .collect();
    if tables.len() < 4 || tables.len() != facts.outputs().len() || !tables.len().is_multiple_of(2)
    {
        return None;
    }
    let mut counts: Vec<usize> = tables.iter().map(|t| t.1).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts.dedup();
    let all_strides: &[usize] = &[4, 8, 16, 32, 64, 128];
    let mut levels = Vec::new();
    let (mut classes, mut bins) = (None, None);
    let mut strides = Vec::new();
    for n in counts {
        let pair: Vec<_> = tables.iter().filter(|t| t.1 == n).collect();
        let [a, b] = pair.as_slice() else {
            return None;
        };
        let stride = *all_strides
            .iter()
            .find(|&&stride| cells_of(facts.width, facts.height, stride) == n)?;
        let (scores, boxes) = if is_distances(facts, a, b) {
            (b, a)
        } else {
            (a, b)
        };
        if !boxes.2.is_multiple_of(4)
            || classes.is_some_and(|c| c != scores.2)
            || bins.is_some_and(|bin| bin != boxes.2 / 4)
        {
            return None;
        }
        classes = Some(scores.2);
        bins = Some(boxes.2 / 4);
        strides.push(stride);
        levels.push(DistributionLevel {
            scores_output: scores.0.name.clone(),
            boxes_output: boxes.0.name.clone(),
            cells: cells(facts.width, facts.height, &[stride]),
        });
    }
    let (classes, bins) = (classes?, bins?);
    let first = &levels.first()?.scores_output;
    let mut notes = vec![format!(
        "pairs of {classes} scores and 4x{bins} distances at strides {strides:?}"
    )];
    let needs_sigmoid = needs_sigmoid(facts, first, &mut notes);
    let is_nano = match asked(facts) {
        Some(head) => head == HeadName::NanoDet,
        None => {
            facts.file.contains("nanodet")
                || levels
                    .iter()
                    .any(|l| plain_name(&l.boxes_output).starts_with("dis_pred"))
                || (strides.len() == 3 && !facts.signature.producer.contains("addle"))
        }
    };
    let (family, feed) = if is_nano {
        nanodet_feed(strides.len(), &mut notes)
    } else {
        ("PicoDet", Feed::IMAGENET)
    };
    let layout = HeadLayout::Distribution(Distribution {
        levels,
        classes,
        bins,
        centre: if is_nano && strides.len() > 3 {
            0.0
        } else {
            0.5
        },
        needs_sigmoid,
    });
    let mut found = facts.found(family, layout, Classes::plain(classes), feed, notes);
    found.nms_iou = 0.6;
    Some(found)
}

/// Whether `a`, not `b`, holds distances: by name, else by width, else by what makes them.
fn is_distances(
    facts: &Facts<'_>,
    a: &(&TensorInfo, usize, usize),
    b: &(&TensorInfo, usize, usize),
) -> bool {
    let by_name = |t: &TensorInfo| {
        let name = plain_name(&t.name);
        ["dis_pred", "reg", "bbox", "dist"]
            .iter()
            .any(|word| name.contains(word))
    };
    match (by_name(a.0), by_name(b.0)) {
        (true, false) => return true,
        (false, true) => return false,
        _ => {}
    }
    match (a.2.is_multiple_of(4), b.2.is_multiple_of(4)) {
        (true, false) => return true,
        (false, true) => return false,
        _ => {}
    }
    let is_score = |t: &TensorInfo| facts.graph().makers(&t.name).contains("Sigmoid");
    match (is_score(a.0), is_score(b.0)) {
        (true, false) => return false,
        (false, true) => return true,
        _ => {}
    }
    a.2 == 4 * USUAL_BINS && b.2 != 4 * USUAL_BINS
}

fn needs_sigmoid(facts: &Facts<'_>, scores: &str, notes: &mut Vec<String>) -> bool {
    let makers = facts.graph().makers(scores);
    // Older PicoDet takes the root of a product of two sigmoids.
    let is_done = ["Sigmoid", "HardSigmoid", "Softmax", "Sqrt"]
        .iter()
        .any(|op| makers.contains(op));
    notes.push(if is_done {
        "class scores leave the graph through a sigmoid".into()
    } else {
        "class scores need a sigmoid: the graph does not end with one".into()
    });
    !is_done
}

fn nanodet_feed(strides: usize, notes: &mut Vec<String>) -> (&'static str, Feed) {
    if strides > 3 {
        notes.push("four strides: NanoDet-Plus, stretched, cell corners".into());
        let feed = Feed {
            resize: super::Resize::Stretch,
            ..Feed::NANODET
        };
        ("NanoDet-Plus", feed)
    } else {
        ("NanoDet", Feed::NANODET)
    }
}

/// One output `[N, C + 4 · bins]` for all strides (NanoDet-Plus, later NanoDet).
pub fn joined(facts: &Facts<'_>) -> Option<Match> {
    let [output] = facts.outputs() else {
        return None;
    };
    let (n, width) = known_table(output)?;
    let strides = facts.strides_for(n)?;
    let edges = 4 * USUAL_BINS;
    let classes = width.checked_sub(edges).filter(|&c| c > 0)?;
    let is_named = facts
        .names
        .as_ref()
        .is_some_and(|names| names.len() == classes);
    let is_nano = asked(facts) == Some(HeadName::NanoDet)
        || facts.file.contains("nanodet")
        || is_named
        || classes == super::classes::COCO.len()
        || (strides.as_slice() == [8, 16, 32, 64] && is_undecoded(facts, &output.name));
    if !is_nano {
        return None;
    }
    let mut notes = vec![format!(
        "one row of {classes} scores and 4x{USUAL_BINS} distances per cell, strides {strides:?}"
    )];
    let needs_sigmoid = needs_sigmoid(facts, &output.name, &mut notes);
    let (family, feed) = nanodet_feed(strides.len(), &mut notes);
    let layout = HeadLayout::Distribution(Distribution {
        levels: vec![DistributionLevel {
            scores_output: output.name.clone(),
            boxes_output: output.name.clone(),
            cells: cells(facts.width, facts.height, &strides),
        }],
        classes,
        bins: USUAL_BINS,
        centre: if strides.len() > 3 { 0.0 } else { 0.5 },
        needs_sigmoid,
    });
    let mut found = facts.found(family, layout, Classes::plain(classes), feed, notes);
    found.nms_iou = 0.6;
    Some(found)
}

/// Whether an output comes straight from convolutions, without arithmetic on boxes.
pub fn is_undecoded(facts: &Facts<'_>, output: &str) -> bool {
    let makers = facts.graph().makers(output);
    !makers.is_empty()
        && makers.iter().all(|op| {
            matches!(
                *op,
                "Conv" | "Sigmoid" | "BatchNormalization" | "QLinearConv" | "QLinearSigmoid"
            )
        })
}

/// YOLO-FastestV2: `[Σ cells, 15 + C]` at strides 16 and 32.
pub fn yolo_fastest_v2(facts: &Facts<'_>) -> Option<Match> {
    let [output] = facts.outputs() else {
        return None;
    };
    let (n, width) = known_table(output)?;
    let strides = facts
        .manifest
        .and_then(|m| m.strides.clone())
        .unwrap_or_else(|| vec![16, 32]);
    if n != facts.cells(&strides) {
        return None;
    }
    let stated = facts.manifest.and_then(|m| m.anchors.clone());
    let is_stated = stated.is_some();
    let anchors = stated.unwrap_or_else(|| FASTEST_V2_ANCHORS.iter().map(|l| l.to_vec()).collect());
    if anchors.len() != strides.len() {
        return None;
    }
    let per_cell = anchors.first()?.len();
    let classes = width.checked_sub(5 * per_cell).filter(|&c| c > 0)?;
    let is_named = facts
        .names
        .as_ref()
        .is_some_and(|names| names.len() == classes);
    let fits = asked(facts).is_some()
        || is_named
        || output.dims.len() == 2
        || classes == super::classes::COCO.len();
    if !fits {
        return None;
    }
    let mut notes = vec![format!(
        "{n} cells of strides {strides:?} with {per_cell} anchors each"
    )];
    if !is_stated {
        notes.push("anchors published for COCO; state your own as `anchors` in a manifest".into());
    }
    let layout = HeadLayout::SharedAnchors(SharedAnchors {
        output: output.name.clone(),
        maps: strides.into_iter().zip(anchors).collect(),
        classes,
    });
    let mut found = facts.found(
        "YOLO-FastestV2",
        layout,
        Classes::plain(classes),
        Feed::FASTEST,
        notes,
    );
    found.nms_iou = 0.45;
    found.is_batched = output.dims.len() > 2;
    Some(found)
}

/// FastestDet: one map `[5 + C, h, w]` at stride 16.
pub fn fastest_det(facts: &Facts<'_>) -> Option<Match> {
    let [output] = facts.outputs() else {
        return None;
    };
    let (channels, h, w) = match output.dims.as_slice() {
        [_, Some(c), Some(h), Some(w)] | [Some(c), Some(h), Some(w)] => (*c, *h, *w),
        _ => return None,
    };
    let classes = channels.checked_sub(5).filter(|&c| c > 0)?;
    let is_map = h == facts.height.div_ceil(16) && w == facts.width.div_ceil(16);
    let makers = facts.graph().makers(&output.name);
    let ends_alike = makers.contains("Sigmoid") && makers.contains("Softmax");
    if !(is_map && (ends_alike || asked(facts).is_some())) {
        return None;
    }
    let notes = vec![format!("one map of {channels} channels at stride 16")];
    let layout = HeadLayout::FastestGrid(FastestGrid {
        output: output.name.clone(),
        classes,
    });
    let mut found = facts.found(
        "FastestDet",
        layout,
        Classes::plain(classes),
        Feed::FASTEST,
        notes,
    );
    found.nms_iou = 0.45;
    Some(found)
}
