//! Which input takes the picture, of what size, what the other inputs want, and the class names.

use super::super::heads::cells_of;
use super::super::manifest::LayoutName;
use super::super::{
    BatchAxis, Dtype, ElementType, ExtraInput, ExtraRole, Layout, Manifest, Signature, TensorInfo,
};
use super::classes::parse_names;
use super::facts::plain_name;

/// Size taken where neither file, metadata nor manifest state one.
const DEFAULT_SIZE: usize = 640;

/// Longest side of an input, px; longer ones are damage, not models.
const MAX_SIDE: usize = 16_384;

/// Why there are no facts to speak of.
pub enum Fault {
    /// The graph does not take pictures as a detector does.
    NotPictures(String),
    /// The manifest contradicts the file.
    Manifest(String),
}

/// The image input.
pub struct Image {
    pub name: String,
    pub layout: Layout,
    pub dtype: Dtype,
    pub batch: BatchAxis,
}

pub fn image_input<'a>(
    signature: &'a Signature,
    manifest: Option<&Manifest>,
) -> Result<&'a TensorInfo, Fault> {
    if let Some(name) = manifest.and_then(|m| m.input.name.as_ref()) {
        return signature
            .inputs
            .iter()
            .find(|input| input.name == *name)
            .ok_or_else(|| {
                let have: Vec<&str> = signature.inputs.iter().map(|i| i.name.as_str()).collect();
                Fault::Manifest(format!("input.name: {name:?}, the file has {have:?}"))
            });
    }
    let is_picture = |input: &&TensorInfo| {
        matches!(
            input.dtype,
            ElementType::F32 | ElementType::F16 | ElementType::U8
        ) && (!input.has_shape || matches!(input.dims.len(), 3 | 4))
    };
    let sounds_like_one = |input: &&TensorInfo| {
        let name = plain_name(&input.name);
        ["image", "pixel", "input", "data", "x"]
            .iter()
            .any(|word| name.contains(word))
    };
    let pictures: Vec<&TensorInfo> = signature.inputs.iter().filter(is_picture).collect();
    pictures
        .iter()
        .copied()
        .find(|input| sounds_like_one(input) && input.has_shape)
        .or_else(|| pictures.first().copied())
        .ok_or_else(|| {
            Fault::NotPictures(
                "none: no input is a float or byte tensor of 3 or 4 dimensions, so it takes no pictures".into(),
            )
        })
}

/// Width and height as far as the file states them.
pub type Stated = (Option<usize>, Option<usize>);

pub fn read_image(
    input: &TensorInfo,
    signature: &Signature,
    manifest: Option<&Manifest>,
) -> Result<(Image, Stated), Fault> {
    let dtype = match input.dtype {
        ElementType::F32 => Dtype::F32,
        ElementType::F16 => Dtype::F16,
        ElementType::U8 => Dtype::U8,
        _ => {
            return Err(Fault::NotPictures(format!(
                "none: image input {input} has no type gantryd can fill"
            )));
        }
    };
    let any = [None; 4];
    let (batch, axes): (BatchAxis, [Option<usize>; 3]) = match input.dims.as_slice() {
        [b, x, y, z] => (b.map_or(BatchAxis::Dynamic, BatchAxis::Fixed), [*x, *y, *z]),
        [x, y, z] => (BatchAxis::Absent, [*x, *y, *z]),
        _ => (BatchAxis::Dynamic, [any[0], any[1], any[2]]),
    };
    let stated = manifest.and_then(|m| m.input.layout);
    let layout = match (stated, axes) {
        (Some(LayoutName::Nchw), _) => Layout::Nchw,
        (Some(LayoutName::Nhwc), _) => Layout::Nhwc,
        (None, [Some(3), _, _]) => Layout::Nchw,
        (None, [_, _, Some(3)]) => Layout::Nhwc,
        (None, [None, _, None]) => {
            let is_tf = signature.producer.contains("tf2onnx") || dtype == Dtype::U8;
            if is_tf { Layout::Nhwc } else { Layout::Nchw }
        }
        (None, [None, _, _]) => Layout::Nchw,
        (None, [_, _, None]) => Layout::Nhwc,
        _ => {
            return Err(Fault::NotPictures(format!(
                "none: input {input} has no axis of 3 colours"
            )));
        }
    };
    let (channels, height, width) = match layout {
        Layout::Nchw => (axes[0], axes[1], axes[2]),
        Layout::Nhwc => (axes[2], axes[0], axes[1]),
    };
    if channels.is_some_and(|c| c != 3) {
        return Err(Fault::Manifest(format!(
            "input.layout: the axis of colours of {input} is not 3"
        )));
    }
    if batch == BatchAxis::Fixed(0) {
        return Err(Fault::NotPictures(format!("none: input {input} is empty")));
    }
    let image = Image {
        name: input.name.clone(),
        layout,
        dtype,
        batch,
    };
    Ok((image, (width, height)))
}

/// What `input`, which is not the picture of `width`×`height`, wants.
pub fn extra_input(input: &TensorInfo, width: usize, height: usize) -> Result<ExtraInput, Fault> {
    let name = plain_name(&input.name);
    let role = match name.as_str() {
        "orig_target_sizes" | "orig_target_size" | "orig_sizes" | "orig_size" | "target_sizes"
        | "original_sizes" => ExtraRole::FrameSizeWh,
        "image_shape" | "orig_shape" | "ori_shape" => ExtraRole::FrameSizeHw,
        "im_shape" => ExtraRole::ModelSizeHw,
        "scale_factor" => ExtraRole::ScaleYx,
        "pixel_mask" => {
            let stated = match input.dims.as_slice() {
                [.., h, w] => (*w, *h),
                _ => (None, None),
            };
            ExtraRole::PixelMask {
                width: stated.0.unwrap_or(width).min(MAX_SIDE),
                height: stated.1.unwrap_or(height).min(MAX_SIDE),
            }
        }
        _ => {
            return Err(Fault::NotPictures(format!(
                "a detector with a second input, but {input} is none that gantryd can fill (orig_target_sizes, image_shape, im_shape, scale_factor, pixel_mask)"
            )));
        }
    };
    let is_int64 = match input.dtype {
        ElementType::I64 => true,
        ElementType::F32 => false,
        _ => {
            return Err(Fault::NotPictures(format!(
                "a detector with a second input, but {input} is neither int64 nor float32"
            )));
        }
    };
    Ok(ExtraInput {
        name: input.name.clone(),
        role,
        is_int64,
    })
}

pub fn size(
    (width, height): Stated,
    signature: &Signature,
    manifest: Option<&Manifest>,
    notes: &mut Vec<String>,
) -> Result<(usize, usize), Fault> {
    let asked = manifest.map_or((None, None), |m| (m.input.width, m.input.height));
    for (key, asked, stated) in [("width", asked.0, width), ("height", asked.1, height)] {
        if let (Some(asked), Some(stated)) = (asked, stated)
            && asked != stated
        {
            return Err(Fault::Manifest(format!(
                "input.{key}: {asked} is asked for, but the file takes {stated} alone; leave it out, or is it the wrong .onnx?"
            )));
        }
    }
    let (width, height) = (width.or(asked.0), height.or(asked.1));
    for side in [width, height].into_iter().flatten() {
        if !(1..=MAX_SIDE).contains(&side) {
            return Err(Fault::NotPictures(format!(
                "none: an input side of {side} px is not from 1 to {MAX_SIDE}"
            )));
        }
    }
    if let (Some(width), Some(height)) = (width, height) {
        return Ok((width, height));
    }
    let imgsz: Vec<usize> = signature
        .metadata
        .get("imgsz")
        .map(|text| {
            text.split(|c: char| !c.is_ascii_digit())
                .filter_map(|part| part.parse().ok())
                .filter(|size| (32..=8192).contains(size))
                .collect()
        })
        .unwrap_or_default();
    let (from, w, h) = match imgsz.as_slice() {
        [h, w] => ("metadata imgsz", *w, *h),
        [s] => ("metadata imgsz", *s, *s),
        _ => match square_from_outputs(signature) {
            Some(s) => ("the number of candidates", s, s),
            None => ("the usual size", DEFAULT_SIZE, DEFAULT_SIZE),
        },
    };
    let (width, height) = (width.unwrap_or(w), height.unwrap_or(h));
    notes.push(format!(
        "the input has no fixed size: {width}x{height} from {from} (detect.input_size, --input-size or a manifest may set another)"
    ));
    Ok((width, height))
}

/// Side of the square input whose cells number as many as some output has rows.
fn square_from_outputs(signature: &Signature) -> Option<usize> {
    let counts: Vec<usize> = signature
        .outputs
        .iter()
        .flat_map(|o| o.dims.iter().flatten().copied())
        .collect();
    (64..=2048).step_by(32).find(|&side| {
        let cells: usize = [8, 16, 32].iter().map(|&s| cells_of(side, side, s)).sum();
        counts.iter().any(|&n| n == cells || n == 3 * cells)
    })
}

pub fn names(
    signature: &Signature,
    manifest: Option<&Manifest>,
    notes: &mut Vec<String>,
) -> Option<Vec<String>> {
    if let Some(names) = manifest.and_then(|m| m.classes.clone()) {
        notes.push(format!("{} class names from the manifest", names.len()));
        return Some(names);
    }
    for key in ["names", "class_names", "classes", "labels", "id2label"] {
        if let Some(names) = signature
            .metadata
            .get(key)
            .and_then(|text| parse_names(text))
        {
            notes.push(format!("{} class names from metadata {key:?}", names.len()));
            return Some(names);
        }
    }
    None
}
