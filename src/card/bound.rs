//! A network whose input and results stay where they are on a card, so that all its kernels can start with
//! one command (a CUDA graph) instead of one each.
#![expect(
    unsafe_code,
    reason = "tensors of ONNX Runtime on the card are read and written"
)]

use std::fmt;
use std::sync::Arc;

use cudarc::driver::{CudaStream, DriverError, PinnedHostSlice, result};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::{DynTensor, TensorElementType};

use super::{Card, CardError};

/// A call of a session, always about the same addresses; one owner, one thread.
pub struct BoundCall {
    card: Arc<Card>,
    stream: Arc<CudaStream>,
    session: Session,
    // Holds the tensors: fields are dropped in this order.
    binding: IoBinding,
    input: BoundInput,
    results: Vec<BoundResult>,
    _allocator: Allocator,
}

/// Where the input of a [`BoundCall`] lies.
#[derive(Debug, Clone, Copy)]
pub struct BoundInput {
    device: u32,
    address: u64,
    bytes: usize,
}

impl BoundInput {
    /// Its address, if it lies on this card and has room for so many bytes.
    pub(super) fn room_for(self, bytes: usize, card: &Card) -> Result<u64, CardError> {
        if self.device != card.device() {
            let device = card.device();
            return Err(CardError::Foreign { device });
        }
        if bytes > self.bytes {
            return Err(CardError::NotDrawn);
        }
        Ok(self.address)
    }
}

/// A result of a [`BoundCall`], and its copy on the host.
pub struct BoundResult {
    name: String,
    shape: Vec<usize>,
    element: TensorElementType,
    address: u64,
    bytes: usize,
    /// Page-locked: the card writes there itself. Of no result less than one byte.
    host: PinnedHostSlice<u8>,
}

/// Name, type and dimensions of a tensor.
#[derive(Debug, Clone)]
pub struct TensorShape {
    /// What the network calls it.
    pub name: String,
    /// Type of its elements.
    pub element: TensorElementType,
    /// Its dimensions, pictures first.
    pub dims: Vec<i64>,
}

impl TensorShape {
    fn bytes(&self) -> usize {
        let elements = self.dims.iter().product::<i64>();
        let elements = usize::try_from(elements).unwrap_or(0);
        self.element.byte_size(elements).unwrap_or(0)
    }
}

impl BoundCall {
    /// Makes room on the card for `input` and `results`, which are all that `session` has and always like this.
    ///
    /// # Errors
    /// [`ort::Error`] if the card is full, or the session has other inputs or results.
    pub fn new(
        card: &Arc<Card>,
        session: Session,
        input: &TensorShape,
        results: &[TensorShape],
    ) -> ort::Result<Self> {
        let memory = MemoryInfo::new(
            AllocationDevice::CUDA,
            i32::try_from(card.device()).unwrap_or(i32::MAX),
            AllocatorType::Device,
            MemoryType::Default,
        )?;
        Self::in_memory(card, session, memory, input, results)
    }

    /// As [`BoundCall::new`], in memory that the driver of `card` can copy from and to.
    pub(crate) fn in_memory(
        card: &Arc<Card>,
        session: Session,
        memory: MemoryInfo<'_>,
        input: &TensorShape,
        results: &[TensorShape],
    ) -> ort::Result<Self> {
        let refused = |doing| {
            let device = card.device();
            move |error: DriverError| {
                ort::Error::new(CardError::new(device, doing, error).to_string())
            }
        };
        let stream = card.context().new_stream();
        let stream = stream.map_err(refused("making a stream"))?;
        let allocator = Allocator::new(&session, memory)?;
        let mut binding = session.create_binding()?;
        let mut tensor = DynTensor::new(&allocator, input.element, input.dims.clone())?;
        let bound_input = BoundInput {
            device: card.device(),
            address: tensor.data_ptr_mut() as u64,
            bytes: input.bytes(),
        };
        binding.bind_input(input.name.as_str(), &tensor)?;
        let mut bound = Vec::with_capacity(results.len());
        for result in results {
            let tensor = DynTensor::new(&allocator, result.element, result.dims.clone())?;
            // SAFETY: filled with zeros below, before anything reads it. Without flags, so that the CPU's
            // caches hold what it reads.
            let host = unsafe {
                card.context()
                    .alloc_pinned_with_flags::<u8>(result.bytes().max(1), 0)
            };
            let mut host = host.map_err(refused("making room for results on the host"))?;
            host.as_mut_slice()
                .map_err(refused("making room for results on the host"))?
                .fill(0);
            let dims = result.dims.iter();
            bound.push(BoundResult {
                name: result.name.clone(),
                shape: dims.map(|&it| usize::try_from(it).unwrap_or(0)).collect(),
                element: result.element,
                address: tensor.data_ptr() as u64,
                bytes: result.bytes(),
                host,
            });
            binding.bind_output(result.name.as_str(), tensor)?;
        }
        Ok(Self {
            card: Arc::clone(card),
            stream,
            session,
            binding,
            input: bound_input,
            results: bound,
            _allocator: allocator,
        })
    }

    /// Where to draw the input ([`super::Letterbox::draw`]).
    #[must_use]
    pub fn input(&self) -> BoundInput {
        self.input
    }

    /// Copies the input from the host; what `bytes` has less than the input is left as it is.
    ///
    /// # Errors
    /// [`CardError`] if the card broke, or there are more bytes than the input has.
    pub fn upload(&mut self, bytes: &[u8]) -> Result<(), CardError> {
        let device = self.card.device();
        let failed = |error| CardError::new(device, "copying the image tensor to it", error);
        if bytes.len() > self.input.bytes {
            return Err(CardError::NotDrawn);
        }
        self.card.context().bind_to_thread().map_err(failed)?;
        // SAFETY: the tensor has as many bytes, is held by the binding, and read by nobody before the next run;
        // the bytes stay until the copy has ended, just below.
        let sent = unsafe {
            result::memcpy_htod_async(self.input.address, bytes, self.stream.cu_stream())
        };
        let ended = self.stream.synchronize();
        sent.and(ended).map_err(failed)
    }

    /// Runs the network on its input, and copies the results to the host.
    ///
    /// # Errors
    /// [`ort::Error`] if the network cannot be run, or the card broke.
    pub fn run(&mut self, options: &RunOptions) -> ort::Result<()> {
        // The call comes back when the card has ended.
        drop(
            self.session
                .run_binding_with_options(&self.binding, options)?,
        );
        self.download().map_err(|error| {
            let error = CardError::new(self.card.device(), "copying results from it", error);
            ort::Error::new(error.to_string())
        })
    }

    fn download(&mut self) -> Result<(), DriverError> {
        self.card.context().bind_to_thread()?;
        let mut copied = Ok(());
        for result in self.results.iter_mut().filter(|it| it.bytes > 0) {
            let (address, host) = (result.address, result.host.as_mut_slice()?);
            let host = &mut host[..result.bytes];
            // SAFETY: the tensor has as many bytes and is held by the binding; the copy stays, and is read by
            // nobody before it has ended, just below.
            let copy = unsafe { result::memcpy_dtoh_async(host, address, self.stream.cu_stream()) };
            copied = copied.and(copy);
        }
        let ended = self.stream.synchronize();
        copied.and(ended)
    }

    /// The results of the last run, in the order of the network.
    pub fn results(&self) -> &[BoundResult] {
        &self.results
    }
}

impl BoundResult {
    /// What the network calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its dimensions, pictures first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Type of its elements.
    #[must_use]
    pub fn element(&self) -> TensorElementType {
        self.element
    }

    /// Its elements, in the order of their indices.
    ///
    /// # Errors
    /// [`ort::Error`] if the card broke.
    pub fn bytes(&self) -> ort::Result<&[u8]> {
        let bytes = self.host.as_slice().map(|host| &host[..self.bytes]);
        bytes.map_err(|error| ort::Error::new(format!("reading \"{}\": {error}", self.name)))
    }
}

impl fmt::Debug for BoundCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundCall")
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}
