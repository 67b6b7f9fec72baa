//! What the rules look at: the image input, the other inputs, the outputs, and the names.

use std::path::Path;

use super::super::graph::Graph;
use super::super::heads::cells_of;
use super::super::{ElementType, ExtraInput, ExtraRole, Manifest, Signature, TensorInfo};
use super::inputs::{Fault, Image, extra_input, image_input, names, read_image, size};
use super::{Feed, Match};

/// Sets of strides in use, most common first.
pub const STRIDES: &[&[usize]] = &[
    &[8, 16, 32],
    &[8, 16, 32, 64],
    &[4, 8, 16, 32],
    &[16, 32],
    &[4, 8, 16],
    &[4, 8, 16, 32, 64],
];

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
    /// Whether the graph gives a vector per candidate beside the outputs seen here.
    pub has_embeddings: bool,
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
        let (width, height) = size(stated, signature, manifest, &mut notes)?;
        let mut extra = Vec::new();
        for other in signature.inputs.iter().filter(|i| i.name != input.name) {
            extra.push(extra_input(other, width, height)?);
        }
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
            has_embeddings: false,
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

    /// Whether the metadata are those of an RT-DETR by Ultralytics.
    pub fn is_ultralytics_detr(&self) -> bool {
        let is_described = self.metadata("description").is_some_and(|text| {
            let text = text.to_lowercase();
            text.contains("rtdetr") || text.contains("rt-detr")
        });
        is_described || self.metadata("head") == Some("RTDETRDecoder")
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
