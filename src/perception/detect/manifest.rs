//! `models/<id>/manifest.toml`: states or overrides what the recogniser finds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use super::class_name_fault;
use super::recognise::coco;

/// A model's manifest. Every key but `file` is optional; what is absent is recognised from the file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The .onnx file, relative to the manifest.
    pub file: PathBuf,
    /// Name to show.
    pub name: Option<String>,
    /// SHA-256 of the file, hex.
    pub sha256: Option<String>,
    /// Where the file can be had.
    pub url: Option<String>,
    /// Length of the file, bytes.
    pub bytes: Option<u64>,
    /// How the file is made, where nobody offers it.
    pub export: Option<String>,
    /// Licence of the weights.
    pub licence: Option<String>,
    /// Where model and figures come from.
    pub source: Option<String>,
    /// Layout of the outputs, where the graph does not tell or tells wrongly.
    pub head: Option<HeadName>,
    /// Class names by index: a list, or `"coco"` for the 80 of COCO in their usual order.
    #[serde(default, deserialize_with = "class_list")]
    pub classes: Option<Vec<String>>,
    /// Strides of the feature maps, finest first.
    pub strides: Option<Vec<usize>>,
    /// Per stride: width and height of each anchor, model pixels.
    pub anchors: Option<Vec<Vec<[f32; 2]>>>,
    /// IoU above which the weaker of two boxes of one class is a duplicate, 0..=1.
    pub nms_iou: Option<f32>,
    /// What classes are called in results, by what the model calls them; `""` drops a class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub class_map: BTreeMap<String, String>,
    /// How to feed the model.
    #[serde(default)]
    pub input: ManifestInput,
    /// How to read boxes and scores.
    #[serde(default)]
    pub output: ManifestOutput,
}

/// Table `[input]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestInput {
    /// Name of the image input.
    pub name: Option<String>,
    /// Columns.
    pub width: Option<usize>,
    /// Rows.
    pub height: Option<usize>,
    /// Order of the axes.
    pub layout: Option<LayoutName>,
    /// Order of the colours.
    pub order: Option<OrderName>,
    /// Values are divided by this before `mean` and `std` (255 gives 0..=1).
    pub scale: Option<f32>,
    /// Subtracted after `scale`, per channel in the model's order.
    pub mean: Option<[f32; 3]>,
    /// Divided by after `mean`, per channel.
    pub std: Option<[f32; 3]>,
    /// How a frame is fitted.
    pub resize: Option<ResizeName>,
    /// Grey value of the padding, 0..=255.
    pub pad: Option<u8>,
}

/// Table `[output]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestOutput {
    /// What the four numbers of a box are.
    pub boxes: Option<BoxName>,
    /// Whether boxes are parts of the model's input (0..=1).
    pub normalised: Option<bool>,
    /// Whether boxes are frame pixels already.
    pub frame_pixels: Option<bool>,
    /// What turns class values into scores.
    pub activation: Option<ActivationName>,
    /// Whether duplicates have to be suppressed.
    pub nms: Option<bool>,
    /// Label of the first class (1 where 0 is background).
    pub first_label: Option<usize>,
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }
        impl $name {
            /// Every name there is.
            pub const ALL: &'static [&'static str] = &[$($text),+];
        }
    };
}

names! {
    /// Layouts of outputs, by the family best known for them.
    HeadName {
        /// `[N, 5 + C]`, decoded, with objectness.
        YoloV5 = "yolov5",
        /// `[N, 5 + C]`, relative to cells.
        YoloX = "yolox",
        /// `[4 + C, N]` or `[N, 4 + C]`, decoded.
        YoloV8 = "yolov8",
        /// `[N, 6]`: left, top, right, bottom, score, class.
        EndToEnd = "end-to-end",
        /// Class logits and boxes in two tensors.
        Detr = "detr",
        /// Boxes, scores and labels in tensors of their own.
        Separate = "separate",
        /// Distribution heads of NanoDet.
        NanoDet = "nanodet",
        /// Distribution heads of PicoDet.
        PicoDet = "picodet",
        /// `[5 + C, h, w]` of FastestDet.
        FastestDet = "fastestdet",
        /// Rows of YOLO-FastestV2.
        YoloFastestV2 = "yolo-fastestv2",
        /// Maps of YOLOv5 and v7 before decoding.
        YoloV5Raw = "yolov5-raw",
        /// Rows class, score, left, top, right, bottom of PaddleDetection.
        Paddle = "paddle",
        /// gantryd's own: boxes, scores and what each candidate looks like.
        Resident = "resident",
    }
}
names! {
    /// Order of the axes of the image.
    LayoutName {
        /// `[batch, channel, row, column]`.
        Nchw = "nchw",
        /// `[batch, row, column, channel]`.
        Nhwc = "nhwc",
    }
}
names! {
    /// Order of the colours.
    OrderName {
        /// Red first.
        Rgb = "rgb",
        /// Blue first.
        Bgr = "bgr",
    }
}
names! {
    /// How a frame is fitted.
    ResizeName {
        /// Aspect ratio kept, padding on both sides.
        Letterbox = "letterbox",
        /// Aspect ratio kept, padding right and below.
        LetterboxTopLeft = "letterbox-top-left",
        /// Each axis by itself.
        Stretch = "stretch",
    }
}
names! {
    /// What the four numbers of a box are.
    BoxName {
        /// Centre, width, height.
        Cxcywh = "cxcywh",
        /// Left, top, right, bottom.
        Ltrb = "ltrb",
        /// Top, left, bottom, right.
        Tlbr = "tlbr",
        /// Left, top, width, height.
        Ltwh = "ltwh",
    }
}
names! {
    /// What turns class values into scores.
    ActivationName {
        /// They are scores.
        None = "none",
        /// Each by itself.
        Sigmoid = "sigmoid",
        /// All together, the last is "no object".
        Softmax = "softmax",
    }
}

/// A list of names, or the name of a list that everybody knows.
fn class_list<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Vec<String>>, D::Error> {
    let written = toml::Value::deserialize(reader)?;
    let names = match &written {
        toml::Value::String(set) if set == "coco" => Some(coco()),
        toml::Value::Array(names) => names
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    names.map(Some).ok_or_else(|| {
        serde::de::Error::custom(format!("{written}, allowed is a list of names or \"coco\""))
    })
}

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file could not be read.
    #[error("manifest {path}: cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The text is not a manifest.
    #[error("manifest {path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Key, value, and what is allowed.
        what: String,
    },
}

impl Manifest {
    /// Reads and checks the manifest at `path`.
    ///
    /// # Errors
    /// [`ManifestError`] names the key, the value and what is allowed.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path).map_err(|source| ManifestError::Io {
            path: path.to_path_buf(),
            source,
        })?;
        Self::parse(&text).map_err(|what| ManifestError::Invalid {
            path: path.to_path_buf(),
            what,
        })
    }

    /// A manifest from its text.
    ///
    /// # Errors
    /// Key, value, and what is allowed; every fault of the values at once.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let faults = manifest.faults();
        if faults.is_empty() {
            Ok(manifest)
        } else {
            Err(faults.join("; "))
        }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |is_good: bool, fault: String| {
            if !is_good {
                faults.push(fault);
            }
        };
        check(
            !self.file.as_os_str().is_empty(),
            "file: empty, must name an .onnx file".into(),
        );
        if let Some(sha256) = &self.sha256 {
            check(
                sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit()),
                format!("sha256: {sha256:?}, must be 64 hexadecimal digits"),
            );
        }
        for (key, size) in [("width", self.input.width), ("height", self.input.height)] {
            if let Some(size) = size {
                check(
                    (32..=8192).contains(&size),
                    format!("input.{key}: {size}, must be 32 to 8192"),
                );
            }
        }
        if let Some(scale) = self.input.scale {
            check(
                scale.is_finite() && scale > 0.0,
                format!("input.scale: {scale}, must be above 0"),
            );
        }
        if let Some(mean) = self.input.mean {
            check(
                mean.iter().all(|v| v.is_finite()),
                format!("input.mean: {mean:?}, must be finite"),
            );
        }
        if let Some(std) = self.input.std {
            check(
                std.iter().all(|v| v.is_finite() && *v > 0.0),
                format!("input.std: {std:?}, must be above 0"),
            );
        }
        if let Some(iou) = self.nms_iou {
            check(
                (0.0..=1.0).contains(&iou),
                format!("nms_iou: {iou}, must be 0 to 1"),
            );
        }
        if let Some(classes) = &self.classes {
            check(
                !classes.is_empty() && classes.len() <= usize::from(u16::MAX),
                format!("classes: {} names, must be 1 to 65535", classes.len()),
            );
        }
        for (class, name) in &self.class_map {
            if let Some(fault) = class_name_fault(name) {
                check(false, format!("class_map.{class}: {fault}"));
            }
        }
        if let Some(strides) = &self.strides {
            check(
                !strides.is_empty() && strides.iter().all(|s| (1..=1024).contains(s)),
                format!("strides: {strides:?}, each must be 1 to 1024"),
            );
        }
        if let Some(anchors) = &self.anchors {
            check(
                anchors.iter().all(|level| !level.is_empty())
                    && anchors
                        .iter()
                        .flatten()
                        .flatten()
                        .all(|v| v.is_finite() && *v > 0.0),
                "anchors: each stride needs pairs of width and height above 0".into(),
            );
        }
        faults
    }

    /// The model file, resolved against the folder of the manifest at `manifest_path`.
    #[must_use]
    pub fn model_path(&self, manifest_path: &Path) -> PathBuf {
        manifest_path
            .parent()
            .unwrap_or(Path::new("."))
            .join(&self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_with_everything_reads_back_the_same() {
        let text = r#"
            file = "model.onnx"
            head = "yolo-fastestv2"
            classes = ["person", "car"]
            strides = [16, 32]
            anchors = [[[12.6, 19.4]], [[131.6, 214.6]]]
            nms_iou = 0.5
            [class_map]
            lorry = "truck"
            bench = ""
            [input]
            width = 352
            order = "bgr"
            scale = 255.0
            mean = [0.485, 0.456, 0.406]
            resize = "letterbox-top-left"
            [output]
            boxes = "tlbr"
            activation = "softmax"
        "#;
        let manifest = Manifest::parse(text).unwrap();
        let again = Manifest::parse(&toml::to_string(&manifest).unwrap()).unwrap();
        assert_eq!(manifest, again);
        assert_eq!(manifest.head, Some(HeadName::YoloFastestV2));
    }

    #[test]
    fn an_unknown_key_is_named_with_those_allowed() {
        let error = Manifest::parse("file = \"m.onnx\"\n[input]\nwidht = 640\n").unwrap_err();
        assert!(
            error.contains("widht") && error.contains("width"),
            "{error}"
        );
    }

    #[test]
    fn a_well_known_list_of_classes_is_called_by_its_name() {
        let classes = |text: &str| {
            let manifest = Manifest::parse(&format!("file = \"m.onnx\"\nclasses = {text}\n"))?;
            Ok::<_, String>(manifest.classes.unwrap_or_default())
        };
        let coco = classes("\"coco\"").unwrap();
        assert_eq!((coco.len(), coco[2].as_str()), (80, "car"));
        assert_eq!(classes("[\"a\"]").unwrap(), ["a"]);
        let error = classes("\"kitti\"").unwrap_err();
        let told = "\"kitti\", allowed is a list of names or \"coco\"";
        assert!(error.contains(told), "{error}");
    }

    #[test]
    fn an_unknown_head_is_named_with_those_allowed() {
        let error = Manifest::parse("file = \"m.onnx\"\nhead = \"yolov99\"\n").unwrap_err();
        assert!(
            error.contains("yolov99") && error.contains("end-to-end"),
            "{error}"
        );
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let error = Manifest::parse(
            "file = \"m.onnx\"\nsha256 = \"12\"\nnms_iou = 2.0\n[input]\nwidth = 0\nstd = [0, 1, 1]\n",
        )
        .unwrap_err();
        for key in ["sha256", "nms_iou", "input.width", "input.std"] {
            assert!(error.contains(key), "{key} in {error}");
        }
    }
}
