//! Families whose graph ends with one list of finished detections.

use super::super::ExtraRole;
use super::super::heads::{BoxFormat, HeadLayout, ReadyRows};
use super::facts::{Facts, is_integer, plain_name, table};
use super::finished::{found, untold};
use super::{Feed, Match};

/// Most rows a finished list has; above it a table is one of candidates.
const MAX_FINISHED_ROWS: usize = 1_000;

/// PaddleDetection: rows class, score, left, top, right, bottom in frame pixels.
pub fn paddle_rows(facts: &Facts<'_>) -> Option<Match> {
    if !facts.has_extra(ExtraRole::ScaleYx) {
        return None;
    }
    let rows = facts
        .outputs()
        .iter()
        .find(|o| !is_integer(o) && matches!(table(o), Some((_, Some(6)))))?;
    let count = facts
        .outputs()
        .iter()
        .find(|o| o.name != rows.name && (is_integer(o) || o.dims.len() == 1));
    let graph = facts.graph();
    let has_nms = graph.has_like("NonMaxSuppression") || graph.has_like("NMS");
    let mut notes = vec!["input scale_factor and rows of 6: PaddleDetection".into()];
    let is_plain = facts.file.contains("plus") || facts.file.contains("rtdetr");
    let (family, feed) = if !has_nms && facts.has_extra(ExtraRole::ModelSizeHw) {
        ("RT-DETR (PaddleDetection)", Feed::UNIT)
    } else if facts.file.contains("pico") || (!is_plain && graph.has_depthwise()) {
        ("PicoDet (NMS inside)", Feed::IMAGENET)
    } else if facts.has_extra(ExtraRole::ModelSizeHw) && !is_plain {
        ("PP-YOLO (NMS inside)", Feed::IMAGENET)
    } else if facts.file.contains("ppyoloe") && !is_plain {
        ("PP-YOLOE (NMS inside)", Feed::IMAGENET)
    } else {
        notes.push(
            "values 0..1 as PP-YOLOE+ takes them; older PP-YOLOE wants ImageNet mean and std (manifest)".into(),
        );
        ("PP-YOLOE+ (NMS inside)", Feed::UNIT)
    };
    let classes = untold(facts, &mut notes);
    let is_batched = count.is_some() || rows.dims.len() >= 3;
    let layout = HeadLayout::Ready(ReadyRows {
        output: rows.name.clone(),
        count: count
            .filter(|_| rows.dims.len() < 3)
            .map(|c| c.name.clone()),
        box_column: 2,
        score_column: 1,
        class_column: 0,
        picture_column: None,
        boxes: BoxFormat::Ltrb,
        normalised: false,
    });
    let mut found = found(facts, family, layout, classes, feed, notes);
    found.frame_pixels = true;
    found.is_batched = is_batched;
    Some(found)
}

/// Whether the graph selects detections; a classifier of six or seven classes does not.
fn selects(facts: &Facts<'_>) -> bool {
    let graph = facts.graph();
    facts.manifest.is_some_and(|m| m.head.is_some())
        || graph.has("TopK")
        || graph.has_like("NonMaxSuppression")
        || graph.has_like("NMS")
}

/// `[M, 7]`: picture, left, top, right, bottom, class, score (YOLOv7 `--end2end`).
pub fn seven_columns(facts: &Facts<'_>) -> Option<Match> {
    let [output] = facts.outputs() else {
        return None;
    };
    let [_, Some(7)] = output.dims.as_slice() else {
        return None;
    };
    if !selects(facts) {
        return None;
    }
    let name = plain_name(&output.name);
    let mut notes = vec!["one list of 7 columns: detections of all pictures".into()];
    let classes = untold(facts, &mut notes);
    let spelt = spelt_columns(&name);
    let (box_column, score_column, class_column, boxes) = match spelt {
        Some(columns) => {
            notes.push(format!("the name of the output tells its columns: {name}"));
            columns
        }
        None if name.contains("flat_predictions") => (1, 5, 6, BoxFormat::Ltrb),
        None => (1, 6, 5, BoxFormat::Ltrb),
    };
    let layout = HeadLayout::Ready(ReadyRows {
        output: output.name.clone(),
        count: None,
        box_column,
        score_column,
        class_column,
        picture_column: Some(0),
        boxes,
        normalised: false,
    });
    Some(found(
        facts,
        "YOLOv7 (NMS inside)",
        layout,
        classes,
        Feed::YOLO,
        notes,
    ))
}

/// RT-DETR as later Ultralytics releases export it: rows centre, size, score, class, parts of the
/// stretched picture.
pub fn ultralytics_detr_rows(facts: &Facts<'_>) -> Option<Match> {
    let [output] = facts.outputs() else {
        return None;
    };
    let (_, Some(6)) = table(output)? else {
        return None;
    };
    // Two classes make rows of 4 + 2 in the older layout, which has no selection at its end.
    if !facts.is_ultralytics_detr() || !facts.graph().is_behind(&output.name, "TopK", 8) {
        return None;
    }
    let mut notes = vec!["rows of 6 made by RT-DETR of Ultralytics: centre and size, 0..1".into()];
    let classes = untold(facts, &mut notes);
    let layout = HeadLayout::Ready(ReadyRows {
        output: output.name.clone(),
        count: None,
        box_column: 0,
        score_column: 4,
        class_column: 5,
        picture_column: None,
        boxes: BoxFormat::Cxcywh,
        normalised: true,
    });
    Some(found(
        facts,
        "RT-DETR (Ultralytics)",
        layout,
        classes,
        Feed::UNIT,
        notes,
    ))
}

/// Columns of box, score and class where the name spells them, as `batchno_classid_score_x1y1x2y2` does.
///
/// Source: notes on post-processing in the model zoo of PINTO0309.
fn spelt_columns(name: &str) -> Option<(usize, usize, usize, BoxFormat)> {
    let mut next = 0;
    let (mut boxes, mut score, mut class) = (None, None, None);
    for part in name.split('_') {
        let at = next;
        next += 1;
        match part {
            "batchno" | "batchid" if at == 0 => continue,
            "classid" | "classno" => class = Some(at),
            "score" => score = Some(at),
            "x1y1x2y2" => boxes = Some((at, BoxFormat::Ltrb)),
            "y1x1y2x2" => boxes = Some((at, BoxFormat::Tlbr)),
            _ => return None,
        }
        if boxes.is_some_and(|(column, _)| column == at) {
            next += 3;
        }
    }
    let (at, format) = boxes?;
    Some((at, score?, class?, format))
}

/// `[N, 6 …]`: left, top, right, bottom, score, class (YOLOv10, YOLO26, Ultralytics `nms=True`).
pub fn six_columns(facts: &Facts<'_>) -> Option<Match> {
    let is_asked = facts.manifest.is_some_and(|m| m.head.is_some());
    let task = facts.metadata("task").unwrap_or("detect");
    let is_end_to_end = is_asked
        || facts.metadata("end2end").is_some_and(|v| v == "True")
        || facts
            .metadata("args")
            .is_some_and(|args| args.contains("'nms': True"));
    let output = facts.outputs().first()?;
    let (rows, columns) = table(output)?;
    let columns = columns?;
    let has_width = columns == 6 || (is_end_to_end && columns > 6 && task != "detect");
    // By chance the rows can be as many as cells: then the names say that 6 is not 4 + C or 5 + C.
    let is_no_table = facts
        .names
        .as_ref()
        .is_some_and(|names| names.len() + 4 != 6 && names.len() + 5 != 6);
    let is_list = match rows {
        Some(rows) => {
            is_end_to_end
                || is_no_table
                || (rows <= MAX_FINISHED_ROWS
                    && facts.strides_for(rows).is_none()
                    && (rows % 3 != 0 || facts.strides_for(rows / 3).is_none()))
        }
        // How many rows is only known at run time: the graph selects them.
        None => true,
    };
    if !has_width || !is_list || is_integer(output) || !(is_end_to_end || selects(facts)) {
        return None;
    }
    let mut notes = vec!["a list of 6 columns: finished detections, no NMS".into()];
    let classes = untold(facts, &mut notes);
    let layout = HeadLayout::Ready(ReadyRows {
        output: output.name.clone(),
        count: None,
        box_column: 0,
        score_column: 4,
        class_column: 5,
        picture_column: None,
        boxes: BoxFormat::Ltrb,
        normalised: false,
    });
    let mut found = found(
        facts,
        "YOLOv10 / YOLO26 (end-to-end)",
        layout,
        classes,
        Feed::YOLO,
        notes,
    );
    // Ultralytics unrolls its NMS for the batch of the export: later pictures come back empty.
    found.is_batched = output.dims.len() >= 3 && !facts.graph().has("NonMaxSuppression");
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_spelt_in_a_name_are_taken_in_their_order() {
        assert_eq!(
            spelt_columns("batchno_classid_score_x1y1x2y2"),
            Some((3, 2, 1, BoxFormat::Ltrb))
        );
        assert_eq!(
            spelt_columns("batchno_classid_y1x1y2x2_score"),
            Some((2, 6, 1, BoxFormat::Tlbr))
        );
        assert_eq!(spelt_columns("output"), None);
        assert_eq!(spelt_columns("batchno_classid_score"), None);
    }
}
