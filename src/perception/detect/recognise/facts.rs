//! What the rules look at: the image input, the other inputs, the outputs, and the names.

use std::path::Path;

use super::super::graph::Graph;
use super::super::heads::cells_of;
use super::super::manifest::LayoutName;
use super::super::{
    BatchAxis, Dtype, ElementType, ExtraInput, ExtraRole, Layout, Manifest, Signature, TensorInfo,
};
use super::classes::parse_names;
use super::{Feed, Match};

/// Size taken where neither file, metadata nor manifest state one.
const DEFAULT_SIZE: usize = 640;

/// Longest side of an input, px; longer ones are damage, not models.
const MAX_SIDE: usize = 16_384;

/// Sets of strides in use, most common first.
pub const STRIDES: &[&[usize]] = &[
    &[8, 16, 32],
    &[8, 16, 32, 64],
    &[4, 8, 16, 32],
    &[16, 32],
    &[4, 8, 16],
    &[4, 8, 16, 32, 64],
];

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

/// Everything the rules look at.
pub struct Facts<'a> {
    pub signature: &'a Signature,
    pub manifest: Option<&'a Manifest>,
    /// File name, lower case.
    pub file: String,
    pub image: Image,
    pub extra: Vec<ExtraInput>,
    pub width: usize,
    pub height: usize,
    /// Class names stated by manifest or metadata.
    pub names: Option<Vec<String>>,
    pub notes: Vec<String>,
}

impl<'a> Facts<'a> {
    pub fn new(
        path: &Path,
        signature: &'a Signature,
        manifest: Option<&'a Manifest>,
    ) -> Result<Self, Fault> {
        let mut notes = Vec::new();
        let input = image_input(signature, manifest)?;
        let (image, stated) = read_image(input, signature, manifest)?;
        let mut extra = Vec::new();
        for other in signature.inputs.iter().filter(|i| i.name != input.name) {
            extra.push(extra_input(other)?);
        }
        let (width, height) = size(stated, signature, manifest, &mut notes)?;
        let names = names(signature, manifest, &mut notes);
        let file = path
            .file_name()
            .map(|name| name.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        Ok(Self {
            signature,
            manifest,
            file,
            image,
            extra,
            width,
            height,
            names,
            notes,
        })
    }

    pub fn graph(&self) -> &Graph {
        &self.signature.graph
    }

    pub fn outputs(&self) -> &'a [TensorInfo] {
        &self.signature.outputs
    }

    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.signature.metadata.get(key).map(String::as_str)
    }

    pub fn has_extra(&self, role: ExtraRole) -> bool {
        self.extra.iter().any(|extra| extra.role == role)
    }

    /// Whether any output has dimensions that only a run will tell (the batch not counted).
    pub fn has_unknown_outputs(&self) -> bool {
        self.outputs()
            .iter()
            .any(|o| !o.has_shape || o.dims.iter().skip(1).any(Option::is_none))
    }

    /// The output with one of these names (case and a TensorFlow `:0` are ignored).
    pub fn output_named(&self, names: &[&str]) -> Option<&'a TensorInfo> {
        names
            .iter()
            .find_map(|name| self.outputs().iter().find(|o| plain_name(&o.name) == *name))
    }

    /// Strides whose cells number `n`, if any.
    pub fn strides_for(&self, n: usize) -> Option<Vec<usize>> {
        if let Some(strides) = self.manifest.and_then(|m| m.strides.clone()) {
            return (self.cells(&strides) == n).then_some(strides);
        }
        STRIDES
            .iter()
            .find(|strides| self.cells(strides) == n)
            .map(|strides| strides.to_vec())
    }

    /// Number of cells of maps of these strides.
    pub fn cells(&self, strides: &[usize]) -> usize {
        strides
            .iter()
            .map(|&stride| cells_of(self.width, self.height, stride))
            .sum()
    }

    /// Class names for a head of `count` classes.
    pub fn class_names(&self, count: usize, notes: &mut Vec<String>) -> Vec<String> {
        match &self.names {
            Some(names) if names.len() == count => names.clone(),
            Some(names) => {
                notes.push(format!(
                    "{} class names are stated, the head has {count}: the rest is numbered",
                    names.len()
                ));
                (0..count)
                    .map(|i| names.get(i).cloned().unwrap_or_else(|| format!("class{i}")))
                    .collect()
            }
            None => {
                notes.push(if count == super::classes::COCO.len() {
                    "80 classes and no names in the file: taken as COCO".to_owned()
                } else {
                    format!(
                        "no class names in the file: class0 to class{}",
                        count.max(1) - 1
                    )
                });
                super::classes::numbered(count)
            }
        }
    }

    /// The family's feed, corrected by what the graph itself does to its input.
    pub fn feed(&self, feed: Feed, notes: &mut Vec<String>) -> Feed {
        let preamble = self.graph().preamble(&self.image.name);
        let scale = preamble.scale.abs();
        let fixed = |value: f32| Feed {
            mean: [0.0; 3],
            std: [value; 3],
            ..feed
        };
        if scale < 0.1 {
            notes.push("the graph scales 0..255 by itself".into());
            fixed(1.0)
        } else if scale > 1.5 && scale < 10.0 {
            notes.push("the graph applies mean and deviation to 0..1 by itself".into());
            fixed(255.0)
        } else {
            feed
        }
    }

    /// A match with nothing special about it.
    pub fn found(
        &self,
        family: &'static str,
        layout: super::HeadLayout,
        classes: super::Classes,
        feed: Feed,
        mut notes: Vec<String>,
    ) -> Match {
        let names = self.class_names(classes.count, &mut notes);
        let feed = self.feed(feed, &mut notes);
        Match {
            family,
            layout,
            classes,
            names,
            frame_pixels: false,
            nms: true,
            nms_iou: 0.7,
            feed,
            is_batched: true,
            notes,
        }
    }
}

/// A name without the `:0` of TensorFlow and without case.
pub fn plain_name(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name).to_lowercase()
}

/// Rows and columns of an output per picture: `[B, r, c]`, `[1, 1, r, c]` or `[r, c]`.
pub fn table(output: &TensorInfo) -> Option<(Option<usize>, Option<usize>)> {
    match output.dims.as_slice() {
        [_, rows, columns] | [rows, columns] => Some((*rows, *columns)),
        [_, Some(1), rows, columns] => Some((*rows, *columns)),
        _ => None,
    }
}

/// As [`table`], both known.
pub fn known_table(output: &TensorInfo) -> Option<(usize, usize)> {
    match table(output)? {
        (Some(rows), Some(columns)) => Some((rows, columns)),
        _ => None,
    }
}

/// Whether an output is whole numbers.
pub fn is_integer(output: &TensorInfo) -> bool {
    matches!(output.dtype, ElementType::I64 | ElementType::I32)
}

fn image_input<'a>(
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
type Stated = (Option<usize>, Option<usize>);

fn read_image(
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

fn extra_input(input: &TensorInfo) -> Result<ExtraInput, Fault> {
    let name = plain_name(&input.name);
    let role = match name.as_str() {
        "orig_target_sizes" | "orig_target_size" | "orig_sizes" | "orig_size" | "target_sizes"
        | "original_sizes" => ExtraRole::FrameSizeWh,
        "image_shape" | "orig_shape" | "ori_shape" => ExtraRole::FrameSizeHw,
        "im_shape" => ExtraRole::ModelSizeHw,
        "scale_factor" => ExtraRole::ScaleYx,
        _ => {
            return Err(Fault::NotPictures(format!(
                "a detector with a second input, but {input} is none that gantryd can fill (orig_target_sizes, image_shape, im_shape, scale_factor)"
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

fn size(
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
                "input.{key}: {asked} in the manifest, {stated} in the file; wrong .onnx?"
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
        "the input has no fixed size: {width}x{height} from {from} (a manifest may set input.width and input.height)"
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

fn names(
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
