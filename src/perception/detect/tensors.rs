//! What goes into the network and what comes out, as ONNX Runtime holds it.

use std::borrow::Cow;
use std::sync::OnceLock;

use half::f16;
use ort::logging::LogLevel;
use ort::session::{NoSelectedOutputs, RunOptions, Session, SessionInputValue, SessionOutputs};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use ort::value::{DynValue, TensorElementType, TensorRef};

use crate::base::{Frame, Size};
use crate::card::{BoundCall, BoundInput, CardError, Surface, TensorShape};

use super::on_card::OnCard;
use super::preprocess::Region;
use super::session::FixedDim;
use super::{
    BatchAxis, DetectError, Dtype, ExtraInput, ExtraRole, FrameError, InputPlan, Layout,
    OutputView, Padding, Placement, Preprocessor, Signature, TensorData,
};

/// Elements of the image tensor, one slot after the other.
#[derive(Debug)]
enum Image {
    F32(Vec<f32>),
    F16(Vec<f16>),
    U8(Vec<u8>),
}

/// An input besides the image: two values per picture, or a map.
#[derive(Debug)]
struct Extra {
    input: ExtraInput,
    /// Whether the graph wants no axis of pictures: `[2]` instead of `[pictures, 2]`.
    is_flat: bool,
    floats: Vec<f32>,
    integers: Vec<i64>,
}

/// The inputs of the network: one buffer that is written in place and never made anew.
#[derive(Debug)]
pub(super) struct Inputs {
    name: String,
    batch: BatchAxis,
    /// Numbers of pictures that a call may have, rising; empty for any.
    sizes: Vec<usize>,
    dims: [i64; 3],
    model: Size,
    slot_len: usize,
    image: Image,
    extras: Vec<Extra>,
    /// What lies in each slot, so that its padding need not be written again.
    placements: Vec<Option<Placement>>,
    preprocessor: Preprocessor,
    on_card: Option<OnCard>,
    lies: Lies,
}

/// Where the image tensor of the next call lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lies {
    /// In the memory of this machine.
    OnHost,
    /// On the card, in the tensor of the letterbox.
    OnCard,
    /// On the card, where a bound call has its input.
    Bound,
}

impl Inputs {
    pub(super) fn new(plan: &InputPlan, signature: &Signature) -> Self {
        let (width, height) = (plan.width as i64, plan.height as i64);
        let extras = plan.extra.iter().map(|input| {
            let stated = signature.inputs.iter().find(|one| one.name == input.name);
            let own = match input.role {
                ExtraRole::PixelMask { .. } => 2,
                _ => 1,
            };
            Extra {
                input: input.clone(),
                is_flat: stated.is_some_and(|one| one.has_shape && one.dims.len() == own),
                floats: Vec::new(),
                integers: Vec::new(),
            }
        });
        let preprocessor = Preprocessor::new(plan.clone());
        Self {
            name: plan.name.clone(),
            batch: plan.batch,
            sizes: Vec::new(),
            dims: match plan.layout {
                Layout::Nchw => [3, height, width],
                Layout::Nhwc => [height, width, 3],
            },
            model: Size {
                width: plan.width as u32,
                height: plan.height as u32,
            },
            slot_len: preprocessor.slot_len(),
            image: match plan.dtype {
                Dtype::F32 => Image::F32(Vec::new()),
                Dtype::F16 => Image::F16(Vec::new()),
                Dtype::U8 => Image::U8(Vec::new()),
            },
            extras: extras.collect(),
            placements: Vec::new(),
            preprocessor,
            on_card: None,
            lies: Lies::OnHost,
        }
    }

    /// From now on pictures of frames that lie on a card are made there.
    pub(super) fn use_card(&mut self, on_card: OnCard) {
        self.on_card = Some(on_card);
    }

    /// Pictures in the tensor of a call that is about `pictures` of them.
    pub(super) fn tensor_pictures(&self, pictures: usize) -> usize {
        match self.batch {
            BatchAxis::Fixed(fixed) => fixed,
            BatchAxis::Dynamic => {
                let fitting = self.sizes.iter().find(|size| **size >= pictures);
                fitting.copied().unwrap_or(pictures)
            }
            BatchAxis::Absent => 1,
        }
    }

    /// From now on a call has one of these numbers of pictures, where the network takes any.
    pub(super) fn fill_up_to(&mut self, sizes: Vec<usize>) {
        self.sizes = sizes;
    }

    /// Makes room for a call about `pictures` pictures in memory of the host; no allocation once there was
    /// one as large.
    pub(super) fn reserve(&mut self, pictures: usize) {
        self.lies = Lies::OnHost;
        let slots = self.tensor_pictures(pictures);
        if slots <= self.placements.len() {
            return;
        }
        let elements = slots * self.slot_len;
        match &mut self.image {
            Image::F32(data) => data.resize(elements, 0.0),
            Image::F16(data) => data.resize(elements, f16::ZERO),
            Image::U8(data) => data.resize(elements, 0),
        }
        let whole = Placement {
            left: 0,
            top: 0,
            width: self.model.width as usize,
            height: self.model.height as usize,
            frame: self.model,
        };
        let first_new = self.placements.len();
        self.placements.resize(slots, None);
        for extra in &mut self.extras {
            let elements = extra.own_shape().iter().product::<usize>() * slots;
            // A map is 1 everywhere, and stays so.
            extra.floats.resize(elements, 1.0);
            extra.integers.resize(elements, 1);
            for slot in first_new..slots {
                extra.set(slot, &whole, self.model);
            }
        }
    }

    /// Writes pictures to the first slots, for one call: parts of frames, each as if it were a frame of its
    /// own. They are made on the card if all lie there, at `bound` if the call has its input there.
    ///
    /// # Errors
    /// [`DetectError`] for planes that are too short, and for a card that broke.
    pub(super) fn write(
        &mut self,
        pictures: &[(&Frame, Region)],
        bound: Option<BoundInput>,
    ) -> Result<Vec<Placement>, DetectError> {
        self.reserve(pictures.len());
        let on_card = pictures.iter();
        let on_card = on_card.map(|&(it, part)| Some((Surface::of(&it.pixels)?, it, part)));
        let on_card: Option<Vec<_>> = on_card.collect();
        if let (true, Some(pictures)) = (self.on_card.is_some(), on_card) {
            return self.draw(&pictures, bound);
        }
        let written = pictures.iter().enumerate();
        let written = written.map(|(slot, &(frame, part))| self.write_part(slot, frame, part));
        Ok(written.collect::<Result<_, _>>()?)
    }

    /// As [`Inputs::write`], of pictures that all lie on the card.
    fn draw(
        &mut self,
        pictures: &[(&Surface, &Frame, Region)],
        bound: Option<BoundInput>,
    ) -> Result<Vec<Placement>, DetectError> {
        let slots = self.tensor_pictures(pictures.len());
        let Some(on_card) = &mut self.on_card else {
            return Ok(Vec::new());
        };
        let placements = on_card.draw(pictures, slots, bound)?;
        for (slot, placement) in placements.iter().enumerate() {
            for extra in &mut self.extras {
                extra.set(slot, placement, self.model);
            }
            // What lies in the slot on the host is no longer a picture with known padding.
            self.placements[slot] = None;
        }
        self.lies = match (bound, on_card.stays) {
            (Some(_), _) => Lies::Bound,
            (None, true) => Lies::OnCard,
            (None, false) => Lies::OnHost,
        };
        if self.lies == Lies::OnHost {
            let elements = pictures.len() * self.slot_len;
            let bytes = match &mut self.image {
                Image::F32(data) => data[..elements].as_mut_bytes(),
                Image::F16(data) => data[..elements].as_mut_bytes(),
                Image::U8(data) => &mut data[..elements],
            };
            on_card.letterbox.download(bytes)?;
        }
        Ok(placements)
    }

    /// Writes a part of a frame to a slot that [`Inputs::reserve`] has made, as if it were a frame of its own.
    pub(super) fn write_part(
        &mut self,
        slot: usize,
        frame: &Frame,
        part: Region,
    ) -> Result<Placement, FrameError> {
        let (size, whole) = (part.size, frame.meta.size);
        let known = self.placements[slot];
        let padding = if known.is_some_and(|known| known == self.preprocessor.placement(size)) {
            Padding::Kept
        } else {
            Padding::Write
        };
        let range = slot * self.slot_len..(slot + 1) * self.slot_len;
        let (preprocessor, pixels) = (&mut self.preprocessor, &frame.pixels);
        let placement = match &mut self.image {
            Image::F32(data) => {
                preprocessor.write_part(whole, pixels, part, &mut data[range], padding)
            }
            Image::F16(data) => {
                preprocessor.write_part(whole, pixels, part, &mut data[range], padding)
            }
            Image::U8(data) => {
                preprocessor.write_part(whole, pixels, part, &mut data[range], padding)
            }
        }?;
        self.placements[slot] = Some(placement);
        for extra in &mut self.extras {
            extra.set(slot, &placement, self.model);
        }
        Ok(placement)
    }

    /// Dimensions of the image tensor with so many slots.
    fn shape(&self, slots: usize) -> Vec<i64> {
        let [a, b, c] = self.dims;
        match self.batch {
            BatchAxis::Absent => vec![a, b, c],
            BatchAxis::Fixed(_) | BatchAxis::Dynamic => vec![slots as i64, a, b, c],
        }
    }

    /// The image tensor with so many slots, as a call has it that is bound to addresses; `None` for a network
    /// that takes more than the image.
    pub(super) fn only_input(&self, slots: usize) -> Option<TensorShape> {
        self.extras.is_empty().then(|| TensorShape {
            name: self.name.clone(),
            element: match self.image {
                Image::F32(_) => TensorElementType::Float32,
                Image::F16(_) => TensorElementType::Float16,
                Image::U8(_) => TensorElementType::Uint8,
            },
            dims: self.shape(slots),
        })
    }

    /// Fills the image tensor on the host with numbers from 0 to 255 without a pattern, always the same.
    pub(super) fn scramble(&mut self) {
        let mut state = 1_u32;
        let mut next = || {
            // Constants: Numerical Recipes (Press and others), section 7.1.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        match &mut self.image {
            Image::F32(data) => data.fill_with(|| f32::from(next())),
            Image::F16(data) => data.fill_with(|| f16::from_f32(f32::from(next()))),
            Image::U8(data) => data.fill_with(next),
        }
        self.placements.fill(None);
    }

    /// Fills the image tensor on the host with zeros.
    pub(super) fn clear(&mut self) {
        match &mut self.image {
            Image::F32(data) => data.fill(0.0),
            Image::F16(data) => data.fill(f16::ZERO),
            Image::U8(data) => data.fill(0),
        }
        self.placements.fill(None);
    }

    /// What the open dimensions of the image input, which have the names `symbols`, are with so many slots.
    /// Those without a name are not among them; empty if one name would have to be two numbers.
    pub(super) fn fixed_dims(&self, symbols: &[String], slots: usize) -> Vec<FixedDim> {
        let shape = self.shape(slots);
        let mut fixed: Vec<FixedDim> = Vec::new();
        for (symbol, size) in symbols.iter().zip(shape) {
            let known = fixed.iter().find(|(name, _)| name == symbol);
            match known {
                Some((_, same)) if *same != size => return Vec::new(),
                None if !symbol.is_empty() => fixed.push((symbol.clone(), size)),
                _ => {}
            }
        }
        fixed
    }

    /// Sends the image tensor to a call that is bound to addresses, unless it lies there.
    pub(super) fn send(&self, call: &mut BoundCall, pictures: usize) -> Result<(), CardError> {
        if self.lies == Lies::Bound {
            return Ok(());
        }
        let elements = pictures * self.slot_len;
        call.upload(match &self.image {
            Image::F32(data) => data[..elements].as_bytes(),
            Image::F16(data) => data[..elements].as_bytes(),
            Image::U8(data) => &data[..elements],
        })
    }

    /// The next call is about what lies at the input of a bound call.
    pub(super) fn keep_bound(&mut self) {
        self.lies = Lies::Bound;
    }

    /// Runs the network on the first `pictures` slots.
    pub(super) fn run<'s>(
        &self,
        session: &'s mut Session,
        pictures: usize,
    ) -> ort::Result<SessionOutputs<'s>> {
        self.run_with(session, pictures, quiet()?)
    }

    /// As [`Inputs::run`], with options of its own.
    pub(super) fn run_with<'s>(
        &self,
        session: &'s mut Session,
        pictures: usize,
        options: &'s RunOptions<NoSelectedOutputs>,
    ) -> ort::Result<SessionOutputs<'s>> {
        let slots = self.tensor_pictures(pictures);
        let shape = self.shape(slots);
        let elements = slots * self.slot_len;
        let on_card = self.on_card.as_ref();
        let on_card = on_card.filter(|_| self.lies == Lies::OnCard);
        let on_card = on_card.map(|it| it.letterbox.tensor(&shape)).transpose()?;
        let image: SessionInputValue<'_> = match (&on_card, &self.image) {
            (Some(tensor), _) => tensor.input(),
            (None, Image::F32(data)) => {
                TensorRef::from_array_view((shape, &data[..elements]))?.into()
            }
            (None, Image::F16(data)) => {
                TensorRef::from_array_view((shape, &data[..elements]))?.into()
            }
            (None, Image::U8(data)) => {
                TensorRef::from_array_view((shape, &data[..elements]))?.into()
            }
        };
        let mut values = vec![(Cow::from(self.name.as_str()), image)];
        for extra in &self.extras {
            values.push((Cow::from(extra.input.name.as_str()), extra.value(slots)?));
        }
        session.run_with_options(values, options)
    }
}

/// What goes wrong in a run is in its error; the runtime's own log would tell it once more per frame.
pub(super) fn quiet() -> ort::Result<&'static RunOptions<NoSelectedOutputs>> {
    static OPTIONS: OnceLock<RunOptions<NoSelectedOutputs>> = OnceLock::new();
    if let Some(options) = OPTIONS.get() {
        return Ok(options);
    }
    let mut options = RunOptions::new()?;
    options.set_log_level(LogLevel::Fatal)?;
    Ok(OPTIONS.get_or_init(|| options))
}

impl Extra {
    /// Dimensions per picture.
    fn own_shape(&self) -> Vec<usize> {
        match self.input.role {
            ExtraRole::PixelMask { width, height } => vec![height, width],
            _ => vec![2],
        }
    }

    fn set(&mut self, slot: usize, placement: &Placement, model: Size) {
        let frame = placement.frame;
        let (scale_x, scale_y) = placement.scale();
        let pair = match self.input.role {
            ExtraRole::FrameSizeWh => [f64::from(frame.width), f64::from(frame.height)],
            ExtraRole::FrameSizeHw => [f64::from(frame.height), f64::from(frame.width)],
            ExtraRole::ModelSizeHw => [f64::from(model.height), f64::from(model.width)],
            ExtraRole::ScaleYx => [scale_y, scale_x],
            ExtraRole::PixelMask { .. } => return,
        };
        let range = 2 * slot..2 * slot + 2;
        self.floats[range.clone()].copy_from_slice(&pair.map(|value| value as f32));
        self.integers[range].copy_from_slice(&pair.map(|value| value as i64));
    }

    fn value(&self, slots: usize) -> ort::Result<SessionInputValue<'_>> {
        let mut shape = self.own_shape();
        if !self.is_flat {
            shape.insert(0, slots);
        }
        let elements: usize = shape.iter().product();
        Ok(if self.input.is_int64 {
            TensorRef::from_array_view((shape, &self.integers[..elements]))?.into()
        } else {
            TensorRef::from_array_view((shape, &self.floats[..elements]))?.into()
        })
    }
}

/// What a call of the network gave.
#[derive(Debug)]
pub(super) enum Outputs<'a> {
    /// In tensors of ONNX Runtime.
    Made(SessionOutputs<'a>),
    /// At the addresses of a bound call.
    Bound(&'a BoundCall),
}

impl Outputs<'_> {
    /// Dimensions of every output, in the order of the graph.
    pub(super) fn shapes(&self) -> Vec<Vec<usize>> {
        match self {
            Self::Made(outputs) => shapes(outputs),
            Self::Bound(call) => {
                let results = call.results().iter();
                results.map(|result| result.shape().to_vec()).collect()
            }
        }
    }

    /// The outputs as the heads read them; an output of a type that no head reads is left out.
    pub(super) fn views<'s>(
        &'s self,
        shapes: &'s [Vec<usize>],
    ) -> ort::Result<Vec<OutputView<'s>>> {
        match self {
            Self::Made(outputs) => views(outputs, shapes),
            Self::Bound(call) => {
                let mut views = Vec::with_capacity(shapes.len());
                for (result, shape) in call.results().iter().zip(shapes) {
                    if let Some(data) = of_bytes(result.element(), result.bytes()?)? {
                        let name = result.name();
                        views.push(OutputView { name, shape, data });
                    }
                }
                Ok(views)
            }
        }
    }
}

/// Bytes as the elements that they are.
fn of_bytes(element: TensorElementType, bytes: &[u8]) -> ort::Result<Option<TensorData<'_>>> {
    fn elements<T: FromBytes + Immutable>(bytes: &[u8]) -> ort::Result<&[T]> {
        let slice = <[T]>::ref_from_bytes(bytes);
        slice.map_err(|error| ort::Error::new(format!("reading a result: {error}")))
    }
    Ok(match element {
        TensorElementType::Float32 => Some(TensorData::F32(elements(bytes)?)),
        TensorElementType::Float16 => Some(TensorData::F16(elements(bytes)?)),
        TensorElementType::Int64 => Some(TensorData::I64(elements(bytes)?)),
        TensorElementType::Int32 => Some(TensorData::I32(elements(bytes)?)),
        TensorElementType::Uint8 => Some(TensorData::U8(bytes)),
        _ => None,
    })
}

/// Dimensions of every output, in the order of the graph.
pub(super) fn shapes(outputs: &SessionOutputs<'_>) -> Vec<Vec<usize>> {
    (0..outputs.len())
        .map(|index| {
            let dims = outputs[index].dtype().tensor_shape();
            dims.map_or_else(Vec::new, |dims| {
                dims.iter()
                    .map(|length| usize::try_from(*length).unwrap_or(0))
                    .collect()
            })
        })
        .collect()
}

/// The outputs as the heads read them; an output of a type that no head reads is left out.
pub(super) fn views<'a>(
    outputs: &'a SessionOutputs<'_>,
    shapes: &'a [Vec<usize>],
) -> ort::Result<Vec<OutputView<'a>>> {
    let mut views = Vec::with_capacity(shapes.len());
    for (index, (name, shape)) in outputs.keys().zip(shapes).enumerate() {
        if let Some(data) = data(&outputs[index])? {
            views.push(OutputView { name, shape, data });
        }
    }
    Ok(views)
}

fn data(value: &DynValue) -> ort::Result<Option<TensorData<'_>>> {
    let Some(element) = value.dtype().tensor_type() else {
        return Ok(None);
    };
    Ok(match element {
        TensorElementType::Float32 => Some(TensorData::F32(value.try_extract_tensor()?.1)),
        TensorElementType::Float16 => Some(TensorData::F16(value.try_extract_tensor()?.1)),
        TensorElementType::Int64 => Some(TensorData::I64(value.try_extract_tensor()?.1)),
        TensorElementType::Int32 => Some(TensorData::I32(value.try_extract_tensor()?.1)),
        TensorElementType::Uint8 => Some(TensorData::U8(value.try_extract_tensor()?.1)),
        _ => None,
    })
}
