//! A batch of surfaces → the image tensor of one model, in one launch.
#![expect(
    unsafe_code,
    reason = "a kernel is launched, and its tensor lent to ONNX Runtime"
)]

use std::sync::Arc;

use cudarc::driver::{
    CudaFunction, CudaSlice, CudaStream, DevicePtr, DriverError, LaunchConfig, PushKernelArg,
    ValidAsZeroBits,
};
use half::f16;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::SessionInputValue;
use ort::value::{Shape, TensorRefMut};

use super::job::{Job, Layout, PlaneOfJob};
use super::{AxisTap, BoundInput, Card, CardError, PictureOnCard, PlaneTaps, TapsError};
use crate::base::Size;

/// Threads of a block: a warp of neighbouring columns, and some rows.
const BLOCK: (u32, u32) = (32, 8);

// SAFETY: plain numbers without a niche; what is not written (there is no padding) is never read.
unsafe impl cudarc::driver::DeviceRepr for Job {}
// SAFETY: as above.
unsafe impl cudarc::driver::DeviceRepr for Layout {}
// SAFETY: as above.
unsafe impl cudarc::driver::DeviceRepr for AxisTap {}

/// Type of the tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 32 bits.
    F32,
    /// 16 bits.
    F16,
    /// Bytes.
    U8,
}

impl Element {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::U8 => 1,
        }
    }

    fn kernel(self) -> &'static str {
        match self {
            Self::F32 => "letterbox_f32",
            Self::F16 => "letterbox_f16",
            Self::U8 => "letterbox_u8",
        }
    }
}

/// What the tensor is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorPlan {
    /// Columns and rows of the model's input.
    pub size: Size,
    /// Type of its elements.
    pub element: Element,
    /// `[H, W, 3]` instead of `[3, H, W]`.
    pub channels_last: bool,
    /// What lies beside the picture, by channel in the order of the model.
    pub padding: [f32; 3],
}

impl TensorPlan {
    fn picture_bytes(&self) -> usize {
        3 * self.size.width as usize * self.size.height as usize * self.element.bytes()
    }
}

/// The tensor, where the network is to read it.
#[derive(Debug)]
pub struct TensorOnCard<'a>(Lent<'a>);

#[derive(Debug)]
enum Lent<'a> {
    F32(TensorRefMut<'a, f32>),
    F16(TensorRefMut<'a, f16>),
    U8(TensorRefMut<'a, u8>),
}

impl TensorOnCard<'_> {
    /// As an input of the network.
    #[must_use]
    pub fn input(&self) -> SessionInputValue<'_> {
        match &self.0 {
            Lent::F32(tensor) => (&**tensor).into(),
            Lent::F16(tensor) => (&**tensor).into(),
            Lent::U8(tensor) => (&**tensor).into(),
        }
    }
}

/// Taps of one size of picture, on the card.
#[derive(Debug)]
struct TapsOnCard {
    part: Size,
    picture: [u32; 2],
    luma: PlaneOnCard,
    chroma: PlaneOnCard,
}

#[derive(Debug)]
struct PlaneOnCard {
    columns: CudaSlice<u32>,
    weights: CudaSlice<f32>,
    rows: CudaSlice<AxisTap>,
}

/// Sizes of pictures whose taps are kept on the card; with more the oldest are sent again.
const SIZES_KEPT: usize = 16;

/// Fills the tensor of one session; on the thread of that session alone.
#[derive(Debug)]
pub struct Letterbox {
    card: Arc<Card>,
    stream: Arc<CudaStream>,
    kernel: CudaFunction,
    plan: TensorPlan,
    taps: Vec<Arc<TapsOnCard>>,
    jobs: Option<CudaSlice<Job>>,
    tensor: Option<CudaSlice<u8>>,
}

// SAFETY: jobs hold numbers; all bits 0 is one without a picture.
unsafe impl ValidAsZeroBits for Job {}

impl Letterbox {
    /// For tensors like `plan`.
    ///
    /// # Errors
    /// [`CardError`] if the driver refuses a stream.
    pub fn new(card: &Arc<Card>, plan: TensorPlan) -> Result<Self, CardError> {
        let stream = card.context().new_stream();
        Ok(Self {
            stream: stream
                .map_err(|error| CardError::new(card.device(), "making a stream", error))?,
            kernel: card.kernel(plan.element.kernel())?,
            card: Arc::clone(card),
            plan,
            taps: Vec::new(),
            jobs: None,
            tensor: None,
        })
    }

    fn failed(&self, doing: &'static str) -> impl Fn(DriverError) -> CardError + use<> {
        let device = self.card.device();
        move |error| CardError::new(device, doing, error)
    }

    /// The job of a picture, and the taps that it reads.
    fn job(
        &mut self,
        picture: &PictureOnCard<'_>,
        taps: impl FnOnce(Size) -> [PlaneTaps; 2],
    ) -> Result<(Job, Arc<TapsOnCard>), LetterboxError> {
        let (surface, part) = (picture.surface, picture.part);
        if !surface.is_on(&self.card) {
            let device = self.card.device();
            return Err(CardError::Foreign { device }.into());
        }
        let unfit = TapsError {
            part,
            left: picture.left,
            top: picture.top,
            frame: surface.size(),
        };
        let reaches = |first: u32, length: u32, limit: u32| {
            first.is_multiple_of(2) && first.checked_add(length).is_some_and(|end| end <= limit)
        };
        if part.width == 0
            || part.height == 0
            || !reaches(picture.left, part.width, surface.size().width)
            || !reaches(picture.top, part.height, surface.size().height)
        {
            return Err(unfit.into());
        }
        let taps = match self.taps.iter().find(|kept| kept.part == part) {
            Some(kept) => Arc::clone(kept),
            None => self.send_taps(part, &taps(part), unfit)?,
        };
        let [width, height] = taps.picture;
        let half = |pixels: u32| u64::from(pixels / 2);
        let plane = |address: u64, pitch: u32, taps: &PlaneOnCard, right: u32| PlaneOfJob {
            data: address,
            columns: taps.columns.device_ptr(&self.stream).0,
            weights: taps.weights.device_ptr(&self.stream).0,
            rows: taps.rows.device_ptr(&self.stream).0,
            pitch,
            right,
        };
        let (luma, chroma) = (surface.luma(), surface.chroma());
        let first_luma =
            luma.address + u64::from(picture.top) * u64::from(luma.pitch) + u64::from(picture.left);
        let first_chroma =
            chroma.address + half(picture.top) * u64::from(chroma.pitch) + 2 * half(picture.left);
        let job = Job {
            luma: plane(
                first_luma,
                luma.pitch,
                &taps.luma,
                u32::from(part.width > 1),
            ),
            chroma: plane(
                first_chroma,
                chroma.pitch,
                &taps.chroma,
                2 * u32::from(part.width > 2),
            ),
            left: picture.at[0],
            top: picture.at[1],
            width,
            height,
            channels: picture.channels,
        };
        Ok((job, taps))
    }

    fn send_taps(
        &mut self,
        part: Size,
        [luma, chroma]: &[PlaneTaps; 2],
        unfit: TapsError,
    ) -> Result<Arc<TapsOnCard>, LetterboxError> {
        let (width, height) = (luma.columns.len(), luma.rows.len());
        let is_same = chroma.columns.len() == width && chroma.rows.len() == height;
        let fits = luma.fit(part.width, part.height)
            && chroma.fit(part.width.div_ceil(2), part.height.div_ceil(2));
        if !is_same || !fits {
            return Err(unfit.into());
        }
        let failed = self.failed("sending taps");
        let plane = |taps: &PlaneTaps| -> Result<PlaneOnCard, DriverError> {
            let first: Vec<u32> = taps.columns.iter().map(|tap| tap.first).collect();
            let weights: Vec<f32> = taps.columns.iter().map(|tap| tap.weight).collect();
            Ok(PlaneOnCard {
                columns: self.stream.clone_htod(&first)?,
                weights: self.stream.clone_htod(&weights)?,
                rows: self.stream.clone_htod(&taps.rows)?,
            })
        };
        let taps = Arc::new(TapsOnCard {
            part,
            picture: [width as u32, height as u32],
            luma: plane(luma).map_err(&failed)?,
            chroma: plane(chroma).map_err(&failed)?,
        });
        if self.taps.len() == SIZES_KEPT {
            self.taps.remove(0);
        }
        self.taps.push(Arc::clone(&taps));
        Ok(taps)
    }

    /// Draws `pictures` to the first slots of `input`, or of a tensor of its own with `slots` pictures, and
    /// waits until it is done. What the other slots hold is left as it is. `taps` gives those of luma and
    /// chroma for a part of such a size; it is asked once per size.
    ///
    /// # Errors
    /// [`LetterboxError`] if taps do not fit their part, a part its surface, or the card refuses.
    pub fn draw(
        &mut self,
        pictures: &[PictureOnCard<'_>],
        taps: impl Fn(Size) -> [PlaneTaps; 2],
        slots: usize,
        input: Option<BoundInput>,
    ) -> Result<(), LetterboxError> {
        let (mut jobs, mut used) = (Vec::with_capacity(pictures.len()), Vec::new());
        for picture in pictures {
            let (job, taps) = self.job(picture, &taps)?;
            jobs.push(job);
            used.push(taps);
        }
        let drawn = self.launch(&jobs, slots.max(jobs.len()), input);
        // Whatever came of it, nothing reads the surfaces and taps from here on.
        let ended = self.stream.synchronize();
        drop(used);
        drawn?;
        ended.map_err(self.failed("running the letterbox"))?;
        Ok(())
    }

    fn launch(
        &mut self,
        jobs: &[Job],
        slots: usize,
        input: Option<BoundInput>,
    ) -> Result<(), CardError> {
        let failed = self.failed("making room for the image tensor");
        let tensor = match input {
            Some(input) => input.room_for(jobs.len() * self.plan.picture_bytes(), &self.card)?,
            None => self.own_tensor(slots)?,
        };
        if jobs.is_empty() {
            return Ok(());
        }
        if self.jobs.as_ref().is_none_or(|it| it.len() < jobs.len()) {
            self.jobs = Some(self.stream.alloc_zeros::<Job>(slots).map_err(&failed)?);
        }
        let Some(jobs_on_card) = &mut self.jobs else {
            return Ok(());
        };
        let device = self.card.device();
        let failed = |error| CardError::new(device, "running the letterbox", error);
        self.stream
            .memcpy_htod(jobs, &mut jobs_on_card.slice_mut(..jobs.len()))
            .map_err(failed)?;
        let Size { width, height } = self.plan.size;
        let (channel_step, pixel_step) = if self.plan.channels_last {
            (1, 3)
        } else {
            (width * height, 1)
        };
        let layout = Layout {
            width,
            height,
            channel_step,
            pixel_step,
            padding: self.plan.padding,
        };
        let config = LaunchConfig {
            grid_dim: (
                width.div_ceil(BLOCK.0),
                height.div_ceil(BLOCK.1),
                jobs.len() as u32,
            ),
            block_dim: (BLOCK.0, BLOCK.1, 1),
            shared_mem_bytes: 0,
        };
        let mut launch = self.stream.launch_builder(&self.kernel);
        launch.arg(&*jobs_on_card).arg(&tensor).arg(&layout);
        // SAFETY: the arguments are those of letterbox.cu (job.rs tests their layout). Each job reads planes
        // and taps that `job` has checked, and that `draw` holds until the kernel has ended; the tensor has a
        // slot for each job, is held by `self` or by the call whose input it is, and read by nobody meanwhile.
        unsafe { launch.launch(config) }.map_err(failed)?;
        Ok(())
    }

    /// Address of a tensor of its own with room for `slots` pictures.
    fn own_tensor(&mut self, slots: usize) -> Result<u64, CardError> {
        let bytes = slots * self.plan.picture_bytes();
        if self.tensor.as_ref().is_none_or(|it| it.len() < bytes) {
            let failed = self.failed("making room for the image tensor");
            self.tensor = None;
            self.tensor = Some(self.stream.alloc_zeros::<u8>(bytes).map_err(&failed)?);
        }
        let tensor = self.tensor.as_ref();
        Ok(tensor.map_or(0, |it| it.device_ptr(&self.stream).0))
    }

    /// The first `slots` pictures as the tensor of the network, `shape` being its dimensions; for sessions
    /// that compute on this card.
    ///
    /// # Errors
    /// [`ort::Error`] if there are fewer pictures, or ONNX Runtime refuses.
    pub fn tensor(&self, shape: &[i64]) -> ort::Result<TensorOnCard<'_>> {
        let elements = shape.iter().product::<i64>();
        let bytes = usize::try_from(elements).unwrap_or(usize::MAX);
        let bytes = bytes.saturating_mul(self.plan.element.bytes());
        let Some(tensor) = self.tensor.as_ref().filter(|it| it.len() >= bytes) else {
            return Err(ort::Error::new(CardError::NotDrawn.to_string()));
        };
        let device = i32::try_from(self.card.device()).unwrap_or(i32::MAX);
        let memory = MemoryInfo::new(
            AllocationDevice::CUDA,
            device,
            AllocatorType::Device,
            MemoryType::Default,
        )?;
        let address = tensor.device_ptr(&self.stream).0 as *mut std::ffi::c_void;
        let shape = Shape::new(shape.iter().copied());
        // SAFETY: the memory has room for `shape`, is this letterbox's own, is written by nobody while it is
        // lent (`draw` takes `&mut self`, and an input is only read), and outlives the tensor, which borrows `self`.
        unsafe {
            Ok(TensorOnCard(match self.plan.element {
                Element::F32 => Lent::F32(TensorRefMut::from_raw(memory, address, shape)?),
                Element::F16 => Lent::F16(TensorRefMut::from_raw(memory, address, shape)?),
                Element::U8 => Lent::U8(TensorRefMut::from_raw(memory, address, shape)?),
            }))
        }
    }

    /// The first pictures, copied to `out`; for sessions that compute elsewhere.
    ///
    /// # Errors
    /// [`CardError`] if fewer were drawn, or the card broke.
    pub fn download(&mut self, out: &mut [u8]) -> Result<(), CardError> {
        let failed = self.failed("copying the image tensor to the host");
        let Some(tensor) = self.tensor.as_ref().filter(|it| it.len() >= out.len()) else {
            return Err(CardError::NotDrawn);
        };
        let part = tensor.slice(..out.len());
        self.stream.memcpy_dtoh(&part, out).map_err(&failed)?;
        self.stream.synchronize().map_err(failed)
    }
}

/// Why a picture cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LetterboxError {
    /// It would be read beside its planes.
    #[error(transparent)]
    Taps(#[from] TapsError),
    /// The card refuses.
    #[error(transparent)]
    Card(#[from] CardError),
}
