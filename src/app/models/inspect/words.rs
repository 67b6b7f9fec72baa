//! What an inspection found, for people.

use std::collections::BTreeMap;

use crate::perception::detect::{
    BatchAxis, ChannelOrder, ClassMap, Cost, DetectError, Dtype, InputPlan, Layout,
    LetterboxAnchor, ModelPlan, Residual, Resize,
};

/// A count in three digits and more, `0.523 G`, `77`; a unit may follow.
pub(super) fn amount(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} "),
        10_000..100_000_000 => format!("{:.3} M", count as f64 / 1e6),
        _ => format!("{:.3} G", count as f64 / 1e9),
    }
}

/// Cost of one picture, for people.
pub(super) fn cost(cost: &Cost, size: Option<[u64; 2]>) -> String {
    let at = size.map_or_else(String::new, |[w, h]| format!(" at {w}x{h}"));
    let left = if cost.left_out.is_empty() {
        String::new()
    } else {
        let all: usize = cost.left_out.values().sum();
        let kinds = cost.left_out.iter().map(|(op, n)| format!("{op} {n}"));
        let kinds: Vec<String> = kinds.collect();
        format!("; left out {all}: {}", kinds.join(", "))
    };
    format!(
        "{}MACs ({}FLOPs){at}, {} convolutions and products{left}",
        amount(cost.macs),
        amount(cost.macs.saturating_mul(2)),
        cost.counted
    )
}

/// Residual blocks, for people.
pub(super) fn residual(residual: &Residual) -> String {
    if residual.blocks == 0 {
        return "no blocks".to_owned();
    }
    let blocks = residual.blocks;
    let blocks = if blocks == 1 {
        "1 block".to_owned()
    } else {
        format!("{blocks} blocks")
    };
    format!(
        "{blocks} ({} with convolutions): {} with an unbroken identity path, {} by projection; longest chain without anything between two sums: {}",
        residual.convolutional,
        residual.identity,
        residual.blocks - residual.identity,
        residual.longest_chain
    )
}

/// How a frame becomes the input of the model, for people.
pub(super) fn picture(input: &InputPlan) -> String {
    let fit = match input.resize {
        Resize::Stretch => "stretched".to_owned(),
        Resize::Letterbox { anchor, pad } => {
            let place = match anchor {
                LetterboxAnchor::Center => "in the middle",
                LetterboxAnchor::TopLeft => "at the top left",
            };
            format!("letterboxed {place} of grey {pad}")
        }
    };
    let dtype = match input.dtype {
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        Dtype::U8 => "uint8",
    };
    let layout = match input.layout {
        Layout::Nchw => "NCHW",
        Layout::Nhwc => "NHWC",
    };
    let order = match input.order {
        ChannelOrder::Rgb => "RGB",
        ChannelOrder::Bgr => "BGR",
    };
    let batch = match input.batch {
        BatchAxis::Fixed(pictures) => format!("batch of {pictures}"),
        BatchAxis::Dynamic => "batch of any size".to_owned(),
        BatchAxis::Absent => "no batch axis".to_owned(),
    };
    let (width, height) = (input.width, input.height);
    let (mean, std) = (input.mean, input.std);
    format!(
        "{width}x{height}, {fit}, {order}, (value - {mean:?}) / {std:?}, {dtype}, {layout}, {batch}"
    )
}

/// Metadata can hold whole documents.
pub(super) fn shortened(value: &str) -> String {
    const LONGEST: usize = 200;
    let line = value.replace('\n', " ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    let start: String = line.chars().take(LONGEST).collect();
    format!("{start}…")
}

/// What becomes of the model's classes without a word of the configuration, for people.
pub(super) fn class_map(
    model: &str,
    plan: &ModelPlan,
    stated: &BTreeMap<String, String>,
) -> Result<String, DetectError> {
    let map = ClassMap::new(model, &plan.classes, stated, &BTreeMap::new())?;
    let changes = map.changes(&plan.classes);
    let changes = changes.map(|(class, name)| match name {
        Some(name) => format!("{class} → {name}"),
        None => format!("{class} dropped"),
    });
    let changes: Vec<String> = changes.collect();
    Ok(if changes.is_empty() {
        "every class keeps its name".to_owned()
    } else {
        changes.join(", ")
    })
}
