//! Which input takes the picture, and how large it is taken to be.

use crate::perception::detect::{Layout, ModelPlan, Signature, TensorInfo};

/// Width and height where neither file, plan nor caller name one, px: what most detectors take.
const DEFAULT_SIZE: (u64, u64) = (640, 640);

/// The image input for one picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ImageInput {
    /// Its name in the graph; empty if nothing looks like a picture.
    pub(super) name: String,
    /// Its dimensions, all of them known.
    pub(super) dims: Vec<u64>,
    /// Its width and height, px.
    pub(super) size: Option<[u64; 2]>,
}

/// The image input with what the file leaves open taken from `asked` (width, height), else from `plan`.
///
/// # Errors
/// If `asked` is not the size that the file states; the text has value and remedy.
pub(super) fn image_input(
    signature: &Signature,
    plan: Option<&ModelPlan>,
    asked: Option<(u32, u32)>,
) -> Result<ImageInput, String> {
    let looks_like_one = |input: &&TensorInfo| matches!(input.dims.len(), 3 | 4);
    let input = match plan {
        Some(plan) => signature.inputs.iter().find(|i| i.name == plan.input.name),
        None => signature.inputs.iter().find(looks_like_one),
    };
    let Some(input) = input else {
        return Ok(ImageInput::default());
    };
    let rank = if input.has_shape { input.dims.len() } else { 4 };
    let is_nhwc = plan.map_or_else(
        || matches!(input.dims.last(), Some(Some(1 | 3 | 4))),
        |plan| plan.input.layout == Layout::Nhwc,
    );
    let Some(height_at) = (if is_nhwc {
        rank.checked_sub(3)
    } else {
        rank.checked_sub(2)
    }) else {
        return Ok(ImageInput::default());
    };
    let stated = |at: usize| input.dims.get(at).copied().flatten().map(|dim| dim as u64);
    let (height, width) = (stated(height_at), stated(height_at + 1));
    if let Some((w, h)) = asked {
        let fits = |stated: Option<u64>, asked: u32| stated.is_none_or(|s| s == u64::from(asked));
        if !fits(width, w) || !fits(height, h) {
            let edge = |edge: Option<u64>| edge.map_or("any".to_owned(), |edge| edge.to_string());
            return Err(format!(
                "--size {w}x{h}: the input {:?} is {}x{} in the file, leave --size out",
                input.name,
                edge(width),
                edge(height)
            ));
        }
    }
    let planned = plan.map(|plan| (plan.input.width as u64, plan.input.height as u64));
    let asked = asked.map(|(w, h)| (u64::from(w), u64::from(h)));
    let (open_width, open_height) = asked.or(planned).unwrap_or(DEFAULT_SIZE);
    let (width, height) = (width.unwrap_or(open_width), height.unwrap_or(open_height));
    let mut dims = vec![1; rank];
    dims[if is_nhwc {
        height_at + 2
    } else {
        height_at - 1
    }] = 3;
    for (at, dim) in dims.iter_mut().enumerate() {
        *dim = stated(at).unwrap_or(*dim);
    }
    (dims[height_at], dims[height_at + 1]) = (height, width);
    Ok(ImageInput {
        name: input.name.clone(),
        dims,
        size: Some([width, height]),
    })
}
