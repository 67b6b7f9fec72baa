//! Signature (and manifest) → plan: which family a graph belongs to, and how to feed and read it.
//!
//! Belongs here: what exporters of each family write into a file. Does not belong here: what the
//! numbers of a head mean (`heads`).

mod classes;
mod distributions;
mod facts;
mod finished;
mod inputs;
mod listed;
mod overrides;
mod queries;
mod refuse;
mod reid;
mod resident;
mod rows;

use std::path::{Path, PathBuf};

pub use reid::{ReidPlan, reid};

use super::heads::{Classes, HeadLayout};
use super::{
    BatchAxis, ChannelOrder, Dtype, Head, HeadName, InputPlan, LetterboxAnchor, Manifest, Resize,
    Signature,
};
use facts::Facts;

pub use classes::coco;

/// How to feed a model and how to read it.
#[derive(Debug, Clone)]
pub struct ModelPlan {
    /// Frame → image tensor.
    pub input: InputPlan,
    /// Output tensors → boxes.
    pub head: Head,
    /// Names by class index.
    pub classes: Vec<String>,
    /// Name of the family, for people.
    pub family: &'static str,
    /// IoU above which the weaker of two boxes of one class is a duplicate.
    pub nms_iou: f32,
    /// What was decided, and from what.
    pub notes: Vec<String>,
    /// What `complete` needs to decide again.
    from: Box<(PathBuf, Signature, Option<Manifest>)>,
}

/// Why a graph is refused.
#[derive(Debug, thiserror::Error)]
pub enum RecogniseError {
    /// No family fits.
    #[error(
        "model {path}: not a detector gantryd knows\n  seen: {seen}\n  nearest: {nearest}\n  to use it anyway, fill in a manifest.toml beside it:\n{skeleton}"
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Inputs and outputs as the file states them.
        seen: String,
        /// The nearest family, and why it does not fit.
        nearest: String,
        /// A manifest to fill in.
        skeleton: String,
    },
    /// The graph makes no vectors of pictures of single objects.
    #[error("model {path}: no re-identification network: {why}")]
    NotReid {
        /// The file.
        path: PathBuf,
        /// What it is or lacks.
        why: String,
    },
    /// The manifest contradicts the file.
    #[error("model {path}: {what}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Which key, and what the file says.
        what: String,
    },
}

/// Colours, scale and fit that a family was trained with.
#[derive(Debug, Clone, Copy)]
struct Feed {
    order: ChannelOrder,
    mean: [f32; 3],
    std: [f32; 3],
    resize: Resize,
}

const CENTRED: Resize = Resize::Letterbox {
    anchor: LetterboxAnchor::Center,
    pad: 114,
};

impl Feed {
    /// RGB 0..=1, centred letterbox, grey 114: YOLOv5 and everything after it.
    const YOLO: Self = Self {
        order: ChannelOrder::Rgb,
        mean: [0.0; 3],
        std: [255.0; 3],
        resize: CENTRED,
    };
    /// BGR 0..=255, picture at the top left, grey 114.
    const YOLOX: Self = Self {
        order: ChannelOrder::Bgr,
        mean: [0.0; 3],
        std: [1.0; 3],
        resize: Resize::Letterbox {
            anchor: LetterboxAnchor::TopLeft,
            pad: 114,
        },
    };
    /// RGB 0..=1, stretched: RT-DETR, D-FINE, DEIM.
    const UNIT: Self = Self {
        order: ChannelOrder::Rgb,
        mean: [0.0; 3],
        std: [255.0; 3],
        resize: Resize::Stretch,
    };
    /// RGB, ImageNet mean and deviation, stretched: DETR, RF-DETR, PicoDet, PP-YOLO.
    const IMAGENET: Self = Self {
        order: ChannelOrder::Rgb,
        mean: [123.675, 116.28, 103.53],
        std: [58.395, 57.12, 57.375],
        resize: Resize::Stretch,
    };
    /// RGB 0..=255, stretched: graphs that scale by themselves.
    const BYTES: Self = Self {
        order: ChannelOrder::Rgb,
        mean: [0.0; 3],
        std: [1.0; 3],
        resize: Resize::Stretch,
    };
    /// BGR 0..=1, stretched: FastestDet, YOLO-FastestV2.
    const FASTEST: Self = Self {
        order: ChannelOrder::Bgr,
        ..Self::UNIT
    };
    /// BGR, ImageNet mean and deviation as NanoDet writes them.
    const NANODET: Self = Self {
        order: ChannelOrder::Bgr,
        mean: [103.53, 116.28, 123.675],
        std: [57.375, 57.12, 58.395],
        resize: Resize::Letterbox {
            anchor: LetterboxAnchor::Center,
            pad: 0,
        },
    };
}

/// What a rule found.
#[derive(Debug, Clone)]
struct Match {
    family: &'static str,
    layout: HeadLayout,
    classes: Classes,
    names: Vec<String>,
    frame_pixels: bool,
    nms: bool,
    nms_iou: f32,
    feed: Feed,
    /// Whether the outputs tell the pictures of a batch apart.
    is_batched: bool,
    notes: Vec<String>,
}

/// A rule looks at the facts and says which family it is, if any.
type Rule = fn(&Facts<'_>) -> Option<Match>;

/// Every rule with the head names that ask for it. The first match wins: names and operations before
/// bare shapes.
const RULES: &[(&[HeadName], Rule)] = &[
    (&[HeadName::Resident], resident::resident),
    (&[HeadName::Separate], finished::tensorflow),
    (&[HeadName::Separate], finished::counted),
    (&[HeadName::Paddle], listed::paddle_rows),
    (&[HeadName::Separate], finished::boxes_scores_labels),
    (&[HeadName::Separate], finished::mmdet),
    (&[HeadName::Detr], queries::logits_and_boxes),
    (&[HeadName::EndToEnd], listed::seven_columns),
    (&[HeadName::EndToEnd], listed::ultralytics_detr_rows),
    (&[HeadName::EndToEnd], listed::six_columns),
    (
        &[HeadName::NanoDet, HeadName::PicoDet],
        distributions::per_stride,
    ),
    (&[HeadName::NanoDet], distributions::joined),
    (&[HeadName::YoloFastestV2], distributions::yolo_fastest_v2),
    (&[HeadName::FastestDet], distributions::fastest_det),
    (&[HeadName::YoloV8], rows::ultralytics_detr),
    (&[HeadName::Detr, HeadName::YoloV8], queries::dense_pair),
    (
        &[HeadName::YoloV5, HeadName::YoloX, HeadName::YoloV8],
        rows::yolo,
    ),
    (&[HeadName::YoloV5Raw], rows::anchor_maps),
];

/// Decides how to feed and read the model at `path` (used for messages and name hints only).
///
/// # Errors
/// [`RecogniseError`] if no family fits, or the manifest contradicts the file.
pub fn plan(
    path: &Path,
    signature: &Signature,
    manifest: Option<&Manifest>,
) -> Result<ModelPlan, RecogniseError> {
    let refused = |nearest: String| refuse::unknown(path, signature, nearest);
    let rest = resident::without_embeddings(signature);
    let mut facts = Facts::new(path, &rest, manifest).map_err(|error| match error {
        inputs::Fault::NotPictures(nearest) => refused(nearest),
        inputs::Fault::Manifest(what) => RecogniseError::Manifest {
            path: path.to_path_buf(),
            what,
        },
    })?;
    facts.has_embeddings = resident::embeddings(signature).is_some();
    if let Some(why) = refuse::other_task(&facts) {
        return Err(refused(why));
    }
    let asked = manifest.and_then(|m| m.head);
    let found = RULES
        .iter()
        .filter(|(names, _)| asked.is_none_or(|asked| names.contains(&asked)))
        .find_map(|(_, rule)| rule(&facts));
    let mut found = match found {
        Some(found) => found,
        None if facts.has_unknown_outputs() => pending(&facts),
        None => return Err(refused(refuse::nearest(&facts, asked))),
    };
    overrides::apply(&mut found, &facts).map_err(|what| RecogniseError::Manifest {
        path: path.to_path_buf(),
        what,
    })?;
    let mut plan = assemble(found, &facts, path);
    plan.add_embeddings(signature);
    Ok(plan)
}

/// A plan good enough to run the model once and see the shapes of its outputs.
fn pending(facts: &Facts<'_>) -> Match {
    Match {
        family: "not known yet",
        layout: HeadLayout::Pending,
        classes: Classes::plain(0),
        names: Vec::new(),
        frame_pixels: false,
        nms: false,
        nms_iou: 0.7,
        feed: Feed::YOLO,
        is_batched: true,
        notes: vec![format!(
            "the file does not state the shapes of its outputs: a dry run at {}x{} will",
            facts.width, facts.height
        )],
    }
}

fn assemble(mut found: Match, facts: &Facts<'_>, path: &Path) -> ModelPlan {
    let mut notes = facts.notes.clone();
    notes.append(&mut found.notes);
    let image = &facts.image;
    let feed = found.feed;
    let (mean, std) = if image.dtype == Dtype::U8 {
        ([0.0; 3], [1.0; 3])
    } else {
        (feed.mean, feed.std)
    };
    let batch = match image.batch {
        BatchAxis::Dynamic if !found.is_batched => {
            notes.push("outputs do not tell pictures apart: one picture per call".into());
            BatchAxis::Fixed(1)
        }
        batch => batch,
    };
    ModelPlan {
        input: InputPlan {
            name: image.name.clone(),
            layout: image.layout,
            dtype: image.dtype,
            width: facts.width,
            height: facts.height,
            batch,
            order: feed.order,
            mean,
            std,
            resize: feed.resize,
            extra: facts.extra.clone(),
        },
        head: Head {
            layout: found.layout,
            classes: found.classes,
            frame_pixels: found.frame_pixels,
            nms: found.nms,
            embeddings: None,
        },
        classes: found.names,
        family: found.family,
        nms_iou: found.nms_iou,
        notes,
        from: Box::new((
            path.to_path_buf(),
            facts.signature.clone(),
            facts.manifest.cloned(),
        )),
    }
}

impl ModelPlan {
    /// Takes note of the vectors that the whole `signature` gives beside the boxes.
    fn add_embeddings(&mut self, signature: &Signature) {
        let Some(vectors) = resident::embeddings(signature) else {
            return;
        };
        if resident::are_rows_of(vectors, &self.from.1.outputs) {
            let len = vectors.dims.last().copied().flatten();
            let values = len.map_or("?".to_owned(), |len| len.to_string());
            self.notes.push(format!(
                "{:?}: what each candidate looks like, {values} values",
                vectors.name
            ));
            self.head.embeddings = Some(vectors.name.clone());
        } else {
            self.notes.push(format!(
                "{vectors} is left aside: no other output has as many rows"
            ));
        }
        self.from.1 = signature.clone();
    }

    /// Whether the file does not state enough about its outputs: run one grey picture through the
    /// model as [`ModelPlan::input`] says, then call [`ModelPlan::complete`].
    #[must_use]
    pub fn needs_dry_run(&self) -> bool {
        self.head.is_pending()
    }

    /// The plan with the output shapes of a dry run (one picture) taken as known.
    ///
    /// # Errors
    /// As [`plan`], and if the shapes still do not tell.
    pub fn complete(self, shapes: &[(&str, &[usize])]) -> Result<Self, RecogniseError> {
        let (path, mut signature, manifest) = *self.from;
        for (name, shape) in shapes {
            if let Some(output) = signature.outputs.iter_mut().find(|o| o.name == *name) {
                output.dims = shape.iter().map(|&dim| Some(dim)).collect();
                output.has_shape = true;
            }
        }
        let complete = plan(&path, &signature, manifest.as_ref())?;
        if complete.needs_dry_run() {
            let nearest = "the shapes of some outputs are not known even after a run".to_owned();
            return Err(refuse::unknown(&path, &signature, nearest));
        }
        Ok(complete)
    }
}
