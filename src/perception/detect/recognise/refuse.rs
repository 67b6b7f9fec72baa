//! What an operator reads when a graph is refused.

use std::fmt::Write;
use std::path::Path;

use super::super::manifest::HeadName;
use super::super::{ExtraRole, Signature};
use super::RecogniseError;
use super::facts::{Facts, STRIDES, known_table};
use super::rows::looks_like_rows;

/// A refusal with everything that was seen and a manifest to start from.
pub fn unknown(path: &Path, signature: &Signature, nearest: String) -> RecogniseError {
    RecogniseError::Unknown {
        path: path.to_path_buf(),
        seen: seen(signature),
        nearest,
        skeleton: skeleton(path, signature),
    }
}

fn seen(signature: &Signature) -> String {
    let list = |tensors: &[super::super::TensorInfo]| -> String {
        let shown: Vec<String> = tensors.iter().take(12).map(ToString::to_string).collect();
        match tensors.len() {
            0 => "none".to_owned(),
            n if n > 12 => format!("{} and {} more", shown.join(", "), n - 12),
            _ => shown.join(", "),
        }
    };
    let mut seen = format!(
        "inputs {}; outputs {}",
        list(&signature.inputs),
        list(&signature.outputs)
    );
    if let Some(task) = signature.metadata.get("task") {
        write!(seen, "; task {task:?}").ok();
    }
    if !signature.producer.is_empty() {
        write!(seen, "; made by {}", signature.producer).ok();
    }
    seen
}

/// Why a model that says what it is for is not for this.
pub fn other_task(facts: &Facts<'_>) -> Option<String> {
    match facts.metadata("task")? {
        "classify" => Some(
            "an Ultralytics classifier: it names whole pictures and gives no boxes; use a model of task \"detect\"".into(),
        ),
        "obb" => Some(
            "an Ultralytics model of turned boxes (task \"obb\"): gantryd tracks upright boxes; use a model of task \"detect\"".into(),
        ),
        "semantic" | "depth" => Some(
            "an Ultralytics model without boxes; use a model of task \"detect\"".into(),
        ),
        _ => None,
    }
}

/// The family that comes closest, and why it does not fit.
pub fn nearest(facts: &Facts<'_>, asked: Option<HeadName>) -> String {
    if let Some(head) = asked {
        let name = toml::Value::try_from(head)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default();
        return format!(
            "head = \"{name}\" is stated in the manifest, but the outputs do not have that layout at {}x{}",
            facts.width, facts.height
        );
    }
    let outputs = facts.outputs();
    if let [output] = outputs {
        match output.dims.as_slice() {
            [_, Some(n)] if *n > 1 => {
                return format!(
                    "a classifier or embedding: one vector of {n} values per picture and no boxes"
                );
            }
            [_, Some(n), Some(1), Some(1)] => {
                return format!("a classifier: one vector of {n} values per picture and no boxes");
            }
            [_, c, Some(h), Some(w)] if h * 4 >= facts.height && w * 4 >= facts.width => {
                let channels = c.map_or("some".to_owned(), |c| c.to_string());
                return format!(
                    "a segmentation model: a map of {h}x{w} with {channels} channels and no boxes"
                );
            }
            _ => {}
        }
    }
    if facts.has_extra(ExtraRole::FrameSizeWh) {
        return "RT-DETR / D-FINE / DEIM: orig_target_sizes is there, but the outputs are not boxes, scores and labels".into();
    }
    if facts.has_extra(ExtraRole::ScaleYx) {
        return "PaddleDetection: scale_factor is there, but no output has rows of 6 (class, score, box)".into();
    }
    if let Some(output) = outputs.iter().find(|o| looks_like_rows(o)) {
        let (a, b) = known_table(output).unwrap_or_default();
        let (n, k) = (a.max(b), a.min(b));
        let mut expected: Vec<String> = STRIDES[..3]
            .iter()
            .map(|strides| format!("{} ({strides:?})", facts.cells(strides)))
            .collect();
        expected.push(format!("{} (with anchors)", 3 * facts.cells(STRIDES[0])));
        return format!(
            "a YOLO head: output {:?} could be {n} candidates of {k} values, but {}x{} pixels give {} candidates; state strides, or the input size, or head = \"end-to-end\" for finished rows",
            output.name,
            facts.width,
            facts.height,
            expected.join(", ")
        );
    }
    "none: no output has the shape of boxes or scores of a known family".into()
}

/// A manifest to fill in, with what is known filled in.
fn skeleton(path: &Path, signature: &Signature) -> String {
    let file = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let input = signature
        .inputs
        .first()
        .map(|i| i.name.clone())
        .unwrap_or_default();
    let lines = [
        format!("file = {}", toml::Value::String(file)),
        format!("head = \"…\"          # {}", HeadName::ALL.join(", ")),
        "classes = [\"…\"]       # names in the order of the model".to_owned(),
        "[input]".to_owned(),
        format!("name = {}", toml::Value::String(input)),
        "width = 640".to_owned(),
        "height = 640".to_owned(),
        "order = \"rgb\"         # rgb, bgr".to_owned(),
        "scale = 255.0         # 255 gives 0..1, 1 leaves 0..255".to_owned(),
        "resize = \"letterbox\"  # letterbox, letterbox-top-left, stretch".to_owned(),
        "[output]".to_owned(),
        "boxes = \"cxcywh\"      # cxcywh, ltrb, tlbr, ltwh".to_owned(),
        "normalised = false    # true where boxes are 0..1".to_owned(),
    ];
    lines
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
