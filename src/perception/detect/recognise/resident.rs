//! gantryd's own head, and the vectors that any head may give beside its boxes.

use std::borrow::Cow;

use super::super::heads::{Activation, BoxFormat, Classes, HeadLayout, Scored};
use super::super::manifest::HeadName;
use super::super::{ElementType, Signature, TensorInfo};
use super::facts::{Facts, plain_name, table};
use super::{Feed, Match};
use crate::base::Embedding;

/// Names under which exporters give the vectors.
const EMBEDDINGS: [&str; 2] = ["embeddings", "embedding"];

/// What the metadata entry `head` of gantryd's own models says.
const OWN_HEAD: &str = "resident";

/// The output with a vector per candidate, `[B, N, D]`, if there is one beside others.
pub fn embeddings(signature: &Signature) -> Option<&TensorInfo> {
    let is_vectors = |output: &&TensorInfo| {
        let is_long = |d: usize| (1..=Embedding::MAX_LEN).contains(&d);
        EMBEDDINGS.contains(&plain_name(&output.name).as_str())
            && matches!(output.dtype, ElementType::F32 | ElementType::F16)
            && (!output.has_shape || matches!(output.dims.len(), 2 | 3))
            && output.dims.last().copied().flatten().is_none_or(is_long)
    };
    let found = signature.outputs.iter().find(is_vectors)?;
    (signature.outputs.len() > 1).then_some(found)
}

/// The signature as the rules of the families see it: without the vectors.
pub fn without_embeddings(signature: &Signature) -> Cow<'_, Signature> {
    let Some(found) = embeddings(signature) else {
        return Cow::Borrowed(signature);
    };
    let mut rest = signature.clone();
    rest.outputs.retain(|output| output.name != found.name);
    Cow::Owned(rest)
}

/// Whether the number of vectors can be that of the candidates: where both are stated, they agree.
pub fn are_rows_of(vectors: &TensorInfo, outputs: &[TensorInfo]) -> bool {
    let Some(rows) = table(vectors).and_then(|(rows, _)| rows) else {
        return true;
    };
    outputs.iter().any(|output| {
        !output.has_shape || output.dims.iter().any(|dim| dim.is_none_or(|n| n == rows))
    })
}

/// gantryd's own head: `boxes` `[B, N, 4]`, left, top, right, bottom in model pixels, and `scores`
/// `[B, N, C]`, 0..=1, one candidate per object. RGB 0..1 in a centred letterbox.
///
/// Told by the vectors beside them, by `head = "resident"` in the metadata, or by a manifest; without
/// any of these, the two names alone could be another family's.
pub fn resident(facts: &Facts<'_>) -> Option<Match> {
    let is_own = facts.has_embeddings
        || facts.metadata("head") == Some(OWN_HEAD)
        || facts.manifest.and_then(|m| m.head) == Some(HeadName::Resident);
    if !is_own {
        return None;
    }
    let boxes = facts.output_named(&["boxes"])?;
    let scores = facts.output_named(&["scores"])?;
    if facts.outputs().len() != 2 || boxes.dims.len() != 3 || scores.dims.len() != 3 {
        return None;
    }
    let (rows, columns) = table(boxes)?;
    let (score_rows, classes) = table(scores)?;
    let classes = classes?;
    let is_pair = columns == Some(4) && rows.zip(score_rows).is_none_or(|(a, b)| a == b);
    if !is_pair {
        return None;
    }
    let notes = vec![format!(
        "\"boxes\" and \"scores\" of {classes} classes, one candidate per object: gantryd's own head"
    )];
    let layout = HeadLayout::Scored(Scored {
        boxes_output: boxes.name.clone(),
        scores_output: scores.name.clone(),
        is_class_first: false,
        classes,
        boxes: BoxFormat::Ltrb,
        normalised: false,
        activation: Activation::None,
        every_class: false,
    });
    let classes = Classes::plain(classes);
    let mut found = facts.found("resident", layout, classes, Feed::YOLO, notes);
    found.nms = false;
    Some(found)
}
