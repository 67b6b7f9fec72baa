//! What is refused before a model is opened: thresholds, batches and sides that cannot be meant.

use super::{BatchAxis, DetectError, InputPlan, ModelFiles, ModelPlan, Signature};

/// Model inputs beyond this are refused before memory is asked for, px per side.
const MAX_SIDE: usize = 8192;

/// Models with a larger fixed batch are refused: every call would compute that many pictures.
const MAX_FIXED_BATCH: usize = 64;

/// A share from 0 to 1.
pub(super) fn check_threshold(option: &'static str, value: f32) -> Result<(), DetectError> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(DetectError::Threshold { option, value })
    }
}

/// gantryd's own networks answer with their best places, at strides 8, 16 and 32: an input too small
/// does not have as many.
pub(super) fn check_places(
    model: &ModelFiles,
    plan: &ModelPlan,
    signature: &Signature,
) -> Result<(), DetectError> {
    let (width, height) = (plan.input.width, plan.input.height);
    let places: usize = [8, 16, 32]
        .map(|stride| (width / stride) * (height / stride))
        .iter()
        .sum();
    let boxes = signature
        .outputs
        .iter()
        .find(|output| output.name == "boxes");
    let answers = boxes.and_then(|boxes| boxes.dims.get(1).copied().flatten());
    match answers.filter(|answers| plan.family == "resident" && *answers > places) {
        None => Ok(()),
        Some(answers) => Err(DetectError::File {
            model: model.id.clone(),
            reason: format!(
                "an input of {width}x{height} has {places} places for objects, the network answers with its best {answers}; choose a larger detect.input_size (--input-size), 128x128 or more"
            ),
        }),
    }
}

/// A batch and sides for which memory can be asked.
pub(super) fn check_input(model: &ModelFiles, input: &InputPlan) -> Result<(), DetectError> {
    if let BatchAxis::Fixed(count) = input.batch
        && count > MAX_FIXED_BATCH
    {
        return Err(DetectError::File {
            model: model.id.clone(),
            reason: format!(
                "input \"{}\" takes exactly {count} pictures at once, allowed are 1 to {MAX_FIXED_BATCH}; export it with a batch of 1 or a dynamic one",
                input.name
            ),
        });
    }
    let sides = 1..=MAX_SIDE;
    if sides.contains(&input.width) && sides.contains(&input.height) {
        return Ok(());
    }
    Err(DetectError::File {
        model: model.id.clone(),
        reason: format!(
            "input \"{}\" is {}x{}, allowed is 1 to {MAX_SIDE} per side; state another size in the manifest",
            input.name, input.width, input.height
        ),
    })
}
