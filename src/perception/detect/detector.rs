//! A model, ready to look at frames.

use std::time::Duration;

use ort::session::Session;

use crate::base::{Detection, Frame, StageTimer};
use crate::card::Card;

use super::detections::Keep;
use super::heads::EmbeddingRows;
use super::limits::{check_input, check_places, check_threshold};
use super::network::{Maker, Network};
use super::on_card::OnCard;
use super::preprocess::Region;
use super::proof;
use super::session::{self, FixedDim, ProviderReport};
use super::tensors::{Inputs, shapes};
use super::tiles::Merged;
use super::{
    BatchAxis, ClassMap, DEFAULT_CONFIDENCE, DetectError, DetectOptions, Head, Manifest,
    ModelFiles, ModelPlan, OutputError, OutputView, Provider, RawBox, Reid, ReidCount, Runtime,
    Signature, Suppressor, Tiles, recognise,
};

/// Time spent on one frame in one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageTime {
    /// Wall time.
    pub wall: Duration,
    /// CPU time of the calling thread; threads of the runtime itself are not in it.
    pub cpu: Duration,
}

impl StageTime {
    fn lap(timer: &mut StageTimer, frames: usize) -> Self {
        let (wall, cpu) = timer.lap();
        let share = u32::try_from(frames.max(1)).unwrap_or(u32::MAX);
        Self {
            wall: wall / share,
            cpu: cpu / share,
        }
    }
}

/// What was seen in one frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FrameDetections {
    /// Detections in frame pixels, clipped to the frame, best first, ties in a fixed order.
    pub detections: Vec<Detection>,
    /// Boxes of the model that cannot be true (not finite, inside out, far off the frame).
    pub rejected: u64,
    /// Planes → tensor.
    pub preprocess: StageTime,
    /// The network; the share of one frame where several were computed together.
    pub inference: StageTime,
    /// Tensors → detections.
    pub decode: StageTime,
    /// Crops → what they look like, where a network of its own says so.
    pub reid: StageTime,
    /// What that network did.
    pub reid_count: ReidCount,
}

/// A model, ready to look at frames. One owner, one thread.
#[derive(Debug)]
pub struct Detector {
    model: String,
    network: Network,
    inputs: Inputs,
    plan: ModelPlan,
    keep: Keep,
    suppressor: Suppressor,
    boxes: Vec<RawBox>,
    report: ProviderReport,
    confidence: f32,
    max_batch: usize,
    tiles: Tiles,
    reid: Option<Reid>,
}

impl Detector {
    /// Loads the model, recognises its head and runs it on empty pictures, so that the first frame
    /// finds everything warm and a model that cannot run is refused now.
    ///
    /// # Errors
    /// [`DetectError`] if ONNX Runtime, the model, the provider or an option cannot be used.
    pub fn open(model: &ModelFiles, options: &DetectOptions) -> Result<Self, DetectError> {
        let confidence = options.confidence.unwrap_or(DEFAULT_CONFIDENCE);
        check_threshold("confidence", confidence)?;
        check_threshold("min_confidence", options.min_confidence)?;
        check_threshold("nms_iou", options.nms_iou.unwrap_or(0.0))?;
        model.check()?;
        let signature = Signature::read(&model.onnx)?;
        let mut manifest = model.manifest.as_deref().map(Manifest::read).transpose()?;
        if let Some((width, height)) = options.input_size {
            let input = &mut manifest.get_or_insert_default().input;
            (input.width, input.height) = (Some(width), Some(height));
        }
        let plan = recognise(&model.onnx, &signature, manifest.as_ref())?;
        check_input(model, &plan.input)?;
        check_places(model, &plan, &signature)?;

        let runtime = Runtime::load(options.runtime_library.as_deref())?;
        let mut inputs = Inputs::new(&plan.input, &signature);
        inputs.reserve(1);
        let mut first_run = Vec::new();
        // Where it runs is known then; `make_forms` makes it anew for the numbers of pictures of its calls.
        let purpose = session::Purpose::Trial;
        let (session, report) = session::open(runtime, model, options, purpose, |session| {
            let outputs = inputs.run(session, 1)?;
            first_run = outputs
                .keys()
                .map(ToOwned::to_owned)
                .zip(shapes(&outputs))
                .collect();
            Ok(())
        })?;
        let seen: Vec<(&str, &[usize])> = first_run
            .iter()
            .map(|(name, shape)| (name.as_str(), shape.as_slice()))
            .collect();
        // The shapes of the run may have told the family, and with it colours, fit and classes.
        let plan = plan.complete(&seen)?;
        let mut inputs = Inputs::new(&plan.input, &signature);
        inputs.reserve(1);

        let stated = manifest.map(|m| m.class_map).unwrap_or_default();
        let map = ClassMap::new(&model.id, &plan.classes, &stated, &options.class_map)?;
        // Classes that become one leave duplicates even of a head that selects by itself.
        let has_duplicates = plan.head.needs_nms() || map.joins();
        let keep = Keep {
            map,
            min_confidence: options.min_confidence.min(confidence),
            nms_iou: has_duplicates.then(|| options.nms_iou.unwrap_or(plan.nms_iou)),
            in_frame_pixels: plan.head.boxes_in_frame_pixels(),
            classes: plan.classes.len(),
            max_detections: options.max_detections,
        };
        let mut detector = Self {
            model: model.id.clone(),
            network: Network::of(session, &plan.input.name),
            inputs,
            plan,
            keep,
            suppressor: Suppressor::default(),
            boxes: Vec::new(),
            report,
            confidence,
            max_batch: 1,
            tiles: options.tiles,
            reid: None,
        };
        detector.max_batch = match detector.plan.input.batch {
            BatchAxis::Absent => 1,
            BatchAxis::Fixed(pictures) => pictures.max(1),
            BatchAxis::Dynamic => options.batch_on(detector.report.used),
        };
        let provider = detector.report.used;
        let has_forms =
            provider == Provider::Cuda || provider == Provider::Cpu && detector.max_batch == 1;
        if has_forms {
            let maker = Maker {
                model,
                provider,
                options,
                has: &|op| signature.graph.has(op),
            };
            detector.make_forms(&maker)?;
        } else {
            if detector.max_batch > 1 && !detector.takes(2) {
                detector.max_batch = 1;
            }
            detector.get_ready(options)?;
        }
        if options.zero_copy {
            let (card, stays) = options.providers.card(detector.report.used);
            let input = &detector.plan.input;
            let on_card = OnCard::open(card, input, stays)?;
            Card::check_surfaces()?;
            detector.inputs.use_card(on_card);
        }
        // A detector that says itself what things look like needs no second network.
        if let (Some(reid), None) = (&options.reid, detector.plan.head.embeddings_output()) {
            // Its classes are those that detections carry, which the map may have renumbered.
            detector.reid = Some(Reid::open(reid, options, detector.keep.map.names())?);
        }
        Ok(detector)
    }

    /// On a card each number of pictures has a form of the network of its own, and on the CPU one picture, if
    /// never more are asked for. They are made now: the first frame of a camera finds everything ready.
    fn make_forms(&mut self, maker: &Maker<'_>) -> Result<(), DetectError> {
        let is_dynamic = self.plan.input.batch == BatchAxis::Dynamic;
        let mut sizes = if is_dynamic {
            sizes_up_to(self.max_batch, maker.options)
        } else {
            vec![self.max_batch]
        };
        if is_dynamic && sizes[0] != 1 {
            // What there is where nothing else runs; left out where it is not needed.
            sizes.insert(0, 1);
        }
        let mut made = Vec::new();
        // The largest first: what fits all is then there. One that the card has no room for is left out.
        for &pictures in sizes.iter().rev() {
            if pictures == 1 && !made.is_empty() && !is_wanted(1, maker.options) {
                continue;
            }
            self.inputs.reserve(pictures);
            match self.network.make(maker, &mut self.inputs, pictures) {
                Ok(()) if !is_dynamic || pictures == 1 || self.takes(pictures) => {
                    made.insert(0, pictures);
                }
                // Exporters mark axes as dynamic that are not.
                Ok(()) => self.network.leave_out(pictures),
                Err(error) if pictures > 1 && is_dynamic => {
                    tracing::warn!(model = %self.model, pictures, %error,
                        "the network does not run on so many pictures at once: they go in smaller calls");
                }
                Err(source) => {
                    let (model, provider) = (maker.model, maker.provider);
                    return Err(session::failed(model, provider, maker.options, source));
                }
            }
        }
        self.max_batch = made.last().copied().unwrap_or(1);
        if is_dynamic {
            self.inputs.fill_up_to(made);
        }
        self.network.keep_forms_alone();
        Ok(())
    }

    /// An accelerator gets ready for each number of pictures when it first sees it, which may take
    /// seconds: it sees them all now.
    fn get_ready(&mut self, options: &DetectOptions) -> Result<(), DetectError> {
        if self.max_batch == 1 || self.plan.input.batch != BatchAxis::Dynamic {
            return Ok(());
        }
        let is_accelerator = options.providers.is_accelerator(self.report.used);
        if options.batch_sizes.is_none() && !is_accelerator {
            return Ok(());
        }
        let mut sizes = sizes_up_to(self.max_batch, options);
        // The largest first: what fits all is then there. One that the card has no room for is left out.
        for pictures in sizes.clone().into_iter().rev().filter(|_| is_accelerator) {
            self.inputs.reserve(pictures);
            let Err(error) = self.network.run(&self.inputs, pictures).map(drop) else {
                continue;
            };
            if sizes.len() == 1 {
                return Err(DetectError::Network {
                    model: self.model.clone(),
                    doing: format!("running the network on {pictures} pictures at once"),
                    source: error,
                });
            }
            tracing::warn!(model = %self.model, pictures, %error,
                "the network does not run on so many pictures at once: they go in smaller calls");
            sizes.retain(|size| *size != pictures);
        }
        self.max_batch = sizes.last().copied().unwrap_or(1);
        self.inputs.fill_up_to(sizes);
        Ok(())
    }

    /// Records the CUDA graphs of calls that have one: ONNX Runtime keeps them per thread, so this is for the
    /// thread that is going to call [`Detector::detect`], at a time when nobody else asks for memory of the card.
    ///
    /// # Errors
    /// [`DetectError::Network`] if a call does not run; then no other call of this detector may.
    pub fn record_graphs(&mut self) -> Result<(), DetectError> {
        self.network
            .record_graphs()
            .map_err(|source| DetectError::Network {
                model: self.model.clone(),
                doing: "recording it as a CUDA graph (graphs = false of the provider cuda goes without)"
                    .to_owned(),
                source,
            })
    }

    /// Does the network really take so many pictures? Exporters mark axes as dynamic that are not.
    fn takes(&mut self, pictures: usize) -> bool {
        self.inputs.reserve(pictures);
        let Ok(outputs) = self.network.run(&self.inputs, pictures) else {
            return false;
        };
        let shapes = outputs.shapes();
        let Ok(views) = outputs.views(&shapes) else {
            return false;
        };
        let (last, mut boxes) = (pictures - 1, Vec::new());
        let decoded = decode(
            &self.plan,
            &views,
            last,
            self.keep.min_confidence,
            &mut boxes,
        );
        decoded.is_ok() && embedding_rows(&self.plan, &views, last).is_ok()
    }

    /// Looks at `frames`, any number, in calls of at most [`Detector::max_batch`] pictures; one
    /// answer per frame, in order.
    ///
    /// # Errors
    /// [`DetectError`] if a frame's planes are too short or the network fails.
    pub fn detect(&mut self, frames: &[&Frame]) -> Result<Vec<FrameDetections>, DetectError> {
        let parts = frames
            .iter()
            .map(|frame| self.tiles.regions(frame.meta.size));
        let parts: Vec<Vec<Region>> = parts.collect();
        let mut pictures = Vec::new();
        for (frame, parts) in frames.iter().zip(&parts) {
            pictures.extend(parts.iter().map(|&part| (*frame, part)));
        }
        let mut seen = Vec::with_capacity(pictures.len());
        for together in pictures.chunks(self.max_batch) {
            self.look_at(together, &mut seen)?;
        }
        let mut seen = seen.into_iter();
        let mut answers = Vec::with_capacity(frames.len());
        for (frame, parts) in frames.iter().zip(&parts) {
            let of_frame = seen.by_ref().take(parts.len());
            let mut answer = join(frame, parts, of_frame, self.keep.max_detections);
            if let Some(reid) = &mut self.reid {
                let mut timer = StageTimer::start();
                answer.reid_count = reid.describe(frame, &mut answer.detections)?;
                answer.reid = StageTime::lap(&mut timer, 1);
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Looks at `pictures` in one call; adds what is seen in each, in its own pixels.
    fn look_at(
        &mut self,
        pictures: &[(&Frame, Region)],
        seen: &mut Vec<FrameDetections>,
    ) -> Result<(), DetectError> {
        let mut timer = StageTimer::start();
        let bound = self.network.input(&self.inputs, pictures.len());
        let placements = self.inputs.write(pictures, bound)?;
        let preprocess = StageTime::lap(&mut timer, pictures.len());
        let failed = |source| DetectError::Network {
            model: self.model.clone(),
            doing: "running the network".to_owned(),
            source,
        };
        let outputs = self
            .network
            .run(&self.inputs, pictures.len())
            .map_err(failed)?;
        let inference = StageTime::lap(&mut timer, pictures.len());
        let shapes = outputs.shapes();
        let views = outputs.views(&shapes).map_err(failed)?;
        for (item, placement) in placements.into_iter().enumerate() {
            self.boxes.clear();
            let floor = self.keep.min_confidence;
            let unreadable =
                decode(&self.plan, &views, item, floor, &mut self.boxes).map_err(|source| {
                    DetectError::Output {
                        model: self.model.clone(),
                        source,
                    }
                })?;
            let unfit = |source| DetectError::Output {
                model: self.model.clone(),
                source,
            };
            let embeddings = embedding_rows(&self.plan, &views, item).map_err(unfit)?;
            let (detections, implausible) = self
                .keep
                .detections(
                    &mut self.boxes,
                    &placement,
                    &mut self.suppressor,
                    embeddings.as_ref(),
                )
                .map_err(unfit)?;
            seen.push(FrameDetections {
                detections,
                rejected: unreadable + implausible,
                preprocess,
                inference,
                decode: StageTime::lap(&mut timer, 1),
                ..FrameDetections::default()
            });
        }
        Ok(())
    }

    /// Runs another session of the same network on one picture: what was looked at last, or what was left of it
    /// on the host.
    pub(super) fn run_on(&self, session: &mut Session) -> ort::Result<()> {
        self.inputs.run(session, 1).map(drop)
    }

    /// What dimensions that the network leaves open are in calls of one picture, where calls of different
    /// numbers have forms of their own.
    pub(super) fn fixed_dims(&self) -> Vec<FixedDim> {
        if self.network.has_forms() {
            self.network.fixed_dims(&self.inputs, 1)
        } else {
            Vec::new()
        }
    }

    /// Pictures per second of the network alone in calls of `pictures`, timed for `at_least`: from host
    /// memory, and where a call is bound to addresses on a card also from there.
    pub(super) fn time_network(
        &mut self,
        pictures: usize,
        at_least: Duration,
    ) -> Result<(f64, Option<f64>), DetectError> {
        let is_bound = self.network.input(&self.inputs, pictures).is_some();
        self.inputs.reserve(pictures);
        let (inputs, network) = (&mut self.inputs, &mut self.network);
        let model = &self.model;
        let mut rate = |inputs: &Inputs| {
            let call = || network.run(inputs, pictures).map(drop);
            proof::rate(pictures, at_least, call).map_err(|source| DetectError::Network {
                model: model.clone(),
                doing: format!("running the network on {pictures} pictures"),
                source,
            })
        };
        let from_host = rate(inputs)?;
        if !is_bound {
            return Ok((from_host, None));
        }
        inputs.keep_bound();
        let there = rate(inputs)?;
        Ok((from_host, Some(there)))
    }

    /// Names of the classes, by [`crate::base::ClassId`]: what [`ClassMap`] makes of the model's own.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        self.keep.map.names()
    }

    /// What computes the network, and why.
    #[must_use]
    pub fn report(&self) -> &ProviderReport {
        &self.report
    }

    /// How the model is fed and read.
    #[must_use]
    pub fn plan(&self) -> &ModelPlan {
        &self.plan
    }

    /// The network that looks at crops, where there is one.
    #[must_use]
    pub fn reid(&self) -> Option<&Reid> {
        self.reid.as_ref()
    }

    /// Pictures that one call of the network takes.
    #[must_use]
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// Score from which a detection starts a track; weaker ones are for the tracker's second stage.
    #[must_use]
    pub fn confidence(&self) -> f32 {
        self.confidence
    }
}

/// What was seen in the parts of a frame as what was seen in the frame.
fn join(
    frame: &Frame,
    parts: &[Region],
    mut seen: impl Iterator<Item = FrameDetections>,
    most: usize,
) -> FrameDetections {
    if parts.len() == 1 {
        return seen.next().unwrap_or_default();
    }
    let mut joined = FrameDetections::default();
    let mut merged = Merged::default();
    for (number, (region, part)) in parts.iter().zip(seen).enumerate() {
        merged.take(number, *region, frame.meta.size, part.detections);
        joined.rejected += part.rejected;
        for (sum, time) in [
            (&mut joined.preprocess, part.preprocess),
            (&mut joined.inference, part.inference),
            (&mut joined.decode, part.decode),
        ] {
            sum.wall += time.wall;
            sum.cpu += time.cpu;
        }
    }
    joined.detections = merged.finish(most);
    joined
}

fn decode(
    plan: &ModelPlan,
    outputs: &[OutputView<'_>],
    item: usize,
    min_confidence: f32,
    boxes: &mut Vec<RawBox>,
) -> Result<u64, super::OutputError> {
    let head: &Head = &plan.head;
    head.decode(outputs, item, &plan.input, min_confidence, boxes)
}

/// The vectors beside the boxes of picture `item`, where the head gives some.
fn embedding_rows<'a>(
    plan: &ModelPlan,
    outputs: &[OutputView<'a>],
    item: usize,
) -> Result<Option<EmbeddingRows<'a>>, OutputError> {
    let name = plan.head.embeddings_output();
    name.map(|name| EmbeddingRows::of_item(outputs, name, item))
        .transpose()
}

/// The numbers of pictures that calls have, up to `most`: those that are asked for, else 1, 2, 4, and so on.
fn sizes_up_to(most: usize, options: &DetectOptions) -> Vec<usize> {
    let powers = || std::iter::successors(Some(1), |size| Some(size * 2));
    let mut sizes = match &options.batch_sizes {
        Some(sizes) => sizes.clone(),
        None => powers().take_while(|size| *size < most).collect(),
    };
    sizes.retain(|size| *size < most);
    sizes.push(most);
    sizes
}

/// Whether calls of so many pictures are asked for.
fn is_wanted(pictures: usize, options: &DetectOptions) -> bool {
    let sizes = options.batch_sizes.as_ref();
    sizes.is_none_or(|sizes| sizes.contains(&pictures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_can_be_given_to_a_thread() {
        fn is_send<T: Send>() {}
        is_send::<Detector>();
    }
}
