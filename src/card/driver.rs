//! The card itself: NVIDIA's driver, opened when it is first asked for.
#![expect(unsafe_code, reason = "the driver is C")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaContext, CudaFunction, CudaModule, DriverError, sys};
use cudarc::nvrtc::Ptx;

/// The kernel, in the assembly language that every driver since CUDA 11.8 turns into machine code
/// (`scripts/kernels` makes it from `letterbox.cu`).
const KERNEL: &str = include_str!("letterbox.ptx");

/// Why a card cannot be used, or can no longer be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// There is no driver here.
    #[error(
        "no NVIDIA driver here (libcuda.so.1): install it (Debian: nvidia-driver, libcuda1), or set detect.zero_copy = false"
    )]
    NoDriver,
    /// Decoders use another card.
    #[error(
        "decoders use card 0 and the network card {device}: keep device = 0 and choose the card with the environment variable CUDA_VISIBLE_DEVICES={device}, or leave zero copy"
    )]
    NotTheFirst {
        /// Number of the network's card.
        device: u32,
    },
    /// A frame lies on another card, or belongs to another context.
    #[error(
        "a frame lies on another card than {device}, or a decoder made a context of its own: a pipeline of your own must decode on card {device}, or set detect.zero_copy = false"
    )]
    Foreign {
        /// Number of the network's card.
        device: u32,
    },
    /// GStreamer cannot hand over frames in the memory of a card.
    #[error(
        "GStreamer has no CUDA library here ({reason}): install gstreamer1.0-plugins-bad 1.22 or newer, or set detect.zero_copy = false"
    )]
    NoSurfaces {
        /// What the loader said.
        reason: String,
    },
    /// More pictures are asked for than were drawn.
    #[error("the image tensor holds fewer pictures than are asked for")]
    NotDrawn,
    /// The driver refused.
    #[error("{doing} on card {device}: {reason}")]
    Driver {
        /// Number of the card.
        device: u32,
        /// What was asked of it.
        doing: &'static str,
        /// Its own words.
        reason: String,
    },
}

impl CardError {
    pub(super) fn new(device: u32, doing: &'static str, error: DriverError) -> Self {
        Self::Driver {
            device,
            doing,
            reason: words(error),
        }
    }
}

/// Name and meaning, as the driver tells them, and what can be done about the usual ones.
fn words(error: DriverError) -> String {
    let name = error.error_name().ok().map(|it| it.to_string_lossy());
    let text = error.error_string().ok().map(|it| it.to_string_lossy());
    let told = match (name, text) {
        (Some(name), Some(text)) => format!("{name}, {text}"),
        _ => format!("error {}", error.0 as u32),
    };
    let remedy = match error.0 {
        sys::CUresult::CUDA_ERROR_NO_DEVICE => "; no card is visible to this process",
        sys::CUresult::CUDA_ERROR_INVALID_DEVICE => {
            "; there is no card with this number (detect.device)"
        }
        sys::CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
        | sys::CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => {
            "; the driver is older than CUDA 11.8: update it"
        }
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
            "; the card is full: fewer sessions (detect.workers), smaller batches, or another card"
        }
        _ => "",
    };
    told + remedy
}

/// A card: its primary context and the kernels loaded into it.
#[derive(Debug)]
pub struct Card {
    device: u32,
    context: Arc<CudaContext>,
    kernels: Arc<CudaModule>,
}

impl Card {
    /// The card with this number, from 0; the first call opens it, and it stays open.
    ///
    /// # Errors
    /// [`CardError`] without a driver, without such a card, or with a driver too old for the kernel.
    pub fn open(device: u32) -> Result<Arc<Self>, CardError> {
        static OPEN: Mutex<BTreeMap<u32, Arc<Card>>> = Mutex::new(BTreeMap::new());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(card) = open.get(&device) {
            return Ok(Arc::clone(card));
        }
        let card = Arc::new(Self::new(device)?);
        open.insert(device, Arc::clone(&card));
        Ok(card)
    }

    fn new(device: u32) -> Result<Self, CardError> {
        // SAFETY: loads and unloads libcuda.so.1, whose constructors run in every CUDA program.
        if !unsafe { sys::is_culib_present() } {
            return Err(CardError::NoDriver);
        }
        let failed = |doing| move |error| CardError::new(device, doing, error);
        let context = CudaContext::new(device as usize).map_err(failed("opening it"))?;
        // SAFETY: each letterbox uses one stream alone and waits for it itself, so that nothing needs
        // the events by which cudarc orders streams.
        unsafe { context.disable_event_tracking() };
        let kernels = context
            .load_module(Ptx::from_src(KERNEL))
            .map_err(failed("loading the letterbox kernel"))?;
        Ok(Self {
            device,
            context,
            kernels,
        })
    }

    /// Its number.
    #[must_use]
    pub fn device(&self) -> u32 {
        self.device
    }

    pub(super) fn context(&self) -> &Arc<CudaContext> {
        &self.context
    }

    pub(super) fn kernel(&self, name: &str) -> Result<CudaFunction, CardError> {
        self.kernels
            .load_function(name)
            .map_err(|error| CardError::new(self.device, "finding the letterbox kernel", error))
    }
}
