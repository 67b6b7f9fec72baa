//! What detections look like, where the detector does not say: crops of them through a network of their
//! own.

use std::num::NonZeroUsize;

use ort::session::Session;

use super::heads::EmbeddingRows;
use super::preprocess::Region;
use super::recognise::ReidPlan;
use super::tensors::{Inputs, shapes, views};
use super::{
    BatchAxis, DetectError, DetectOptions, Manifest, ModelFiles, OutputView, Provider,
    ProviderReport, Runtime, Signature, TensorData, class_called, recognise, session,
};
use crate::base::{BBox, ClassId, Detection, Embedding, Frame, Size};

/// Classes that are looked at where none are named, as far as the detector knows them:
/// re-identification networks are trained on persons.
const USUAL_CLASSES: [&str; 2] = ["person", "pedestrian"];

/// Least height of a crop where none is stated, px: smaller ones are blurs, 256 rows made of them.
pub const DEFAULT_REID_MIN_HEIGHT: f32 = 48.0;

/// Crops per call where nobody says another number.
const CROPS_PER_CALL: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");

/// Crops per frame where no number is stated.
pub const DEFAULT_REID_MAX_CROPS: usize = 16;

/// How detections are looked at by a network of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct ReidOptions {
    /// The network.
    pub model: ModelFiles,
    /// What computes it; `None` is asked for as the detector's.
    pub provider: Option<Provider>,
    /// Names of the classes to look at; empty looks at persons.
    pub classes: Vec<String>,
    /// Detections less high are passed over, frame px.
    pub min_height: f32,
    /// Crops per frame, the best detections first; the others are passed over and counted.
    pub max_crops: usize,
}

impl ReidOptions {
    /// This network, everything else at its default.
    #[must_use]
    pub fn new(model: ModelFiles) -> Self {
        Self {
            model,
            provider: None,
            classes: Vec::new(),
            min_height: DEFAULT_REID_MIN_HEIGHT,
            max_crops: DEFAULT_REID_MAX_CROPS,
        }
    }
}

/// What became of the detections of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReidCount {
    /// Detections that were given a vector.
    pub described: u64,
    /// Detections that were passed over because the frame had more than
    /// [`ReidOptions::max_crops`].
    pub skipped: u64,
    /// Crops whose vector has no direction.
    pub unusable: u64,
}

/// A re-identification network, ready to look at crops. One owner, one thread.
#[derive(Debug)]
pub struct Reid {
    model: String,
    session: Session,
    inputs: Inputs,
    plan: ReidPlan,
    report: ProviderReport,
    max_batch: usize,
    classes: Vec<ClassId>,
    min_height: f32,
    max_crops: usize,
}

impl Reid {
    /// Loads the network and runs it on empty pictures. `known` are the detector's classes.
    ///
    /// # Errors
    /// [`DetectError`] if ONNX Runtime, the network, the provider or a class cannot be used.
    pub fn open(
        options: &ReidOptions,
        detect: &DetectOptions,
        known: &[String],
    ) -> Result<Self, DetectError> {
        let model = &options.model;
        let classes = classes(&options.classes, known, &model.id)?;
        model.check()?;
        let signature = Signature::read(&model.onnx)?;
        let manifest = model.manifest.as_deref().map(Manifest::read).transpose()?;
        let plan = recognise::reid(&model.onnx, &signature, manifest.as_ref())?;
        super::limits::check_input(model, &plan.input)?;
        let runtime = Runtime::load(detect.runtime_library.as_deref())?;
        let mut inputs = Inputs::new(&plan.input, &signature);
        inputs.reserve(1);
        let asked = DetectOptions {
            provider: options.provider.unwrap_or(detect.provider),
            reid: None,
            ..detect.clone()
        };
        let (session, report) =
            session::open(runtime, model, &asked, session::Purpose::Work, |session| {
                inputs.run(session, 1).map(drop)
            })?;
        let mut reid = Self {
            model: model.id.clone(),
            session,
            inputs,
            plan,
            report,
            max_batch: 1,
            classes,
            min_height: options.min_height,
            max_crops: options.max_crops,
        };
        reid.run(1, |vectors| vectors.get(0).map(drop))?;
        reid.max_batch = reid.usable_batch(detect.max_batch.unwrap_or(CROPS_PER_CALL));
        Ok(reid)
    }

    /// Pictures per call: exporters mark axes as dynamic that are not.
    fn usable_batch(&mut self, wished: NonZeroUsize) -> usize {
        match self.plan.input.batch {
            BatchAxis::Absent => 1,
            BatchAxis::Fixed(pictures) => pictures.max(1),
            BatchAxis::Dynamic => {
                self.inputs.reserve(2);
                let two = self.run(2, |vectors| vectors.get(1).map(drop));
                if two.is_ok() { wished.get() } else { 1 }
            }
        }
    }

    /// Gives detections of `frame` that have no vector yet one of their crop's. They are taken in
    /// their order, which is best first.
    ///
    /// # Errors
    /// [`DetectError`] if the frame's planes are too short or the network fails.
    pub fn describe(
        &mut self,
        frame: &Frame,
        detections: &mut [Detection],
    ) -> Result<ReidCount, DetectError> {
        let mut count = ReidCount::default();
        let mut crops: Vec<(usize, Region)> = detections
            .iter()
            .enumerate()
            .filter(|(_, one)| self.is_wanted(one))
            .filter_map(|(index, one)| Some((index, region_of(&one.bbox, frame.meta.size)?)))
            .collect();
        count.skipped = crops.len().saturating_sub(self.max_crops) as u64;
        crops.truncate(self.max_crops);
        for together in crops.chunks(self.max_batch) {
            self.inputs.reserve(together.len());
            for (slot, (_, region)) in together.iter().enumerate() {
                self.inputs.write_part(slot, frame, *region)?;
            }
            let mut looks: Vec<Option<Embedding>> = Vec::with_capacity(together.len());
            self.run(together.len(), |vectors| {
                for row in 0..together.len() as u32 {
                    looks.push(vectors.get(row)?);
                }
                Ok(())
            })?;
            for ((index, _), look) in together.iter().zip(looks) {
                count.described += u64::from(look.is_some());
                count.unusable += u64::from(look.is_none());
                detections[*index].embedding = look;
            }
        }
        Ok(count)
    }

    fn is_wanted(&self, detection: &Detection) -> bool {
        detection.embedding.is_none()
            && detection.bbox.height() >= self.min_height
            && self.classes.contains(&detection.class)
    }

    /// Runs the network on the first `pictures` slots and hands on its vectors.
    fn run(
        &mut self,
        pictures: usize,
        mut take: impl FnMut(&EmbeddingRows<'_>) -> Result<(), super::OutputError>,
    ) -> Result<(), DetectError> {
        let failed = |source| DetectError::Network {
            model: self.model.clone(),
            doing: "running the re-identification network".to_owned(),
            source,
        };
        let outputs = self
            .inputs
            .run(&mut self.session, pictures)
            .map_err(failed)?;
        let shapes = shapes(&outputs);
        let views = views(&outputs, &shapes).map_err(failed)?;
        let (view, shape) = flat(&views, &self.plan.output);
        let output = [OutputView {
            shape: &shape,
            ..view
        }];
        EmbeddingRows::of_item(&output, &self.plan.output, 0)
            .and_then(|rows| take(&rows))
            .map_err(|source| DetectError::Output {
                model: self.model.clone(),
                source,
            })
    }

    /// How the network is fed and read.
    #[must_use]
    pub fn plan(&self) -> &ReidPlan {
        &self.plan
    }

    /// What computes the network, and why.
    #[must_use]
    pub fn report(&self) -> &ProviderReport {
        &self.report
    }

    /// Crops that one call of the network takes.
    #[must_use]
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }
}

/// The output called `name` as a table of one vector per picture, without axes of one.
fn flat<'a>(views: &[OutputView<'a>], name: &str) -> (OutputView<'a>, Vec<usize>) {
    let empty = OutputView {
        name: "",
        shape: &[],
        data: TensorData::F32(&[]),
    };
    let view = views.iter().find(|view| view.name == name).copied();
    let view = view.unwrap_or(empty);
    let pictures = view.shape.first().copied().unwrap_or(0);
    let values: usize = view.shape.iter().skip(1).product();
    (view, vec![pictures, values])
}

/// The classes to look at: those named, or the usual ones that the detector knows.
fn classes(names: &[String], known: &[String], model: &str) -> Result<Vec<ClassId>, DetectError> {
    if !names.is_empty() {
        let ids = names
            .iter()
            .map(|name| class_called(name.trim(), known, model));
        return ids.collect();
    }
    let mut usual: Vec<ClassId> = USUAL_CLASSES
        .iter()
        .filter_map(|name| class_called(name, known, model).ok())
        .collect();
    // Two names may have become one class.
    usual.dedup();
    if usual.is_empty() {
        // Says which classes there are.
        class_called(USUAL_CLASSES[0], known, model)?;
    }
    Ok(usual)
}

/// The whole pixels that a box touches, from even columns and rows, which chroma has pixels for; `None`
/// where nothing of it lies in the frame.
fn region_of(bbox: &BBox, frame: Size) -> Option<Region> {
    let inside = bbox.clip(frame.width as f32, frame.height as f32)?;
    let from = |edge: f32| edge.floor() as u32 & !1;
    let (left, top) = (from(inside.left()), from(inside.top()));
    let right = (inside.right().ceil() as u32).min(frame.width);
    let bottom = (inside.bottom().ceil() as u32).min(frame.height);
    (right > left && bottom > top).then(|| Region {
        left,
        top,
        size: Size {
            width: right - left,
            height: bottom - top,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Size = Size {
        width: 101,
        height: 60,
    };

    fn region(l: f32, t: f32, r: f32, b: f32) -> Option<(u32, u32, u32, u32)> {
        let found = region_of(&BBox::from_ltrb(l, t, r, b).unwrap(), FRAME)?;
        Some((found.left, found.top, found.size.width, found.size.height))
    }

    #[test]
    fn a_crop_begins_at_even_pixels_and_ends_inside_the_frame() {
        assert_eq!(region(11.5, 7.2, 20.1, 30.0), Some((10, 6, 11, 24)));
        assert_eq!(region(-5.0, -5.0, 300.0, 300.0), Some((0, 0, 101, 60)));
        assert_eq!(region(100.2, 59.5, 110.0, 70.0), Some((100, 58, 1, 2)));
        assert_eq!(region(200.0, 0.0, 210.0, 10.0), None);
    }

    #[test]
    fn persons_are_looked_at_unless_others_are_named() {
        let known = ["car".to_owned(), "person".to_owned()];
        assert_eq!(classes(&[], &known, "m").unwrap(), [ClassId(1)]);
        assert_eq!(classes(&known[..1], &known, "m").unwrap(), [ClassId(0)]);
        let error = classes(&[], &known[..1], "m").unwrap_err().to_string();
        assert_eq!(error, "model m: no class \"person\"; known: car");
    }
}
