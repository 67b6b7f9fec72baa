//! What computes the network: which providers are tried, in which order, each with what settings.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::{Provider, cache};

/// CUDA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaOptions {
    /// Number of the card, from 0.
    pub device: u32,
    /// Most memory of the card that ONNX Runtime's arena takes for one session and number of pictures, bytes;
    /// `None` takes what is needed. What cuDNN and the driver take is beside it.
    pub memory_limit: Option<u64>,
    /// Convolutions and products round what goes in to 11 bits, which is faster; ONNX Runtime's own default.
    pub tf32: bool,
    /// A call is one command to the card (a CUDA graph) where the network allows that. Off until it has been
    /// measured beside decoders at work.
    pub graphs: bool,
}

impl Default for CudaOptions {
    fn default() -> Self {
        Self {
            device: 0,
            memory_limit: None,
            tf32: true,
            graphs: false,
        }
    }
}

/// TensorRT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TensorRtOptions {
    /// Number of the card, from 0.
    pub device: u32,
    /// Most scratch memory that building an engine may use, bytes; `None` is TensorRT's own choice.
    pub workspace: Option<u64>,
    /// Compute in 16 bits where TensorRT finds it faster.
    pub fp16: bool,
    /// Where engines and timings are kept, so that the next start need not build them again.
    pub cache: Option<PathBuf>,
}

/// `OpenVINO`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenVinoOptions {
    /// What runs it, in `OpenVINO`'s words: `CPU`, `GPU`, `GPU.1`, `NPU`; `None` is its own choice.
    pub hardware: Option<String>,
    /// Threads of its CPU; `None` is its own choice.
    pub threads: Option<NonZeroUsize>,
    /// Where compiled networks are kept.
    pub cache: Option<PathBuf>,
}

impl OpenVinoOptions {
    /// Is it something else than the CPU, for sure?
    fn is_accelerator(&self) -> bool {
        let named = self.hardware.as_deref().unwrap_or("CPU");
        !named.to_ascii_uppercase().contains("CPU")
    }
}

/// What [`Provider::Auto`] stands for, and the settings of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderOptions {
    /// The providers that [`Provider::Auto`] tries, best first; none of them is `Auto`.
    pub order: Vec<Provider>,
    /// The CPU is refused, also where it is in the order.
    pub require_gpu: bool,
    /// Of [`Provider::Cuda`], and of what TensorRT leaves to CUDA.
    pub cuda: CudaOptions,
    /// Of [`Provider::TensorRt`].
    pub tensorrt: TensorRtOptions,
    /// Of [`Provider::OpenVino`].
    pub openvino: OpenVinoOptions,
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self {
            order: vec![Provider::Cuda, Provider::Cpu],
            require_gpu: false,
            cuda: CudaOptions::default(),
            tensorrt: TensorRtOptions::default(),
            openvino: OpenVinoOptions::default(),
        }
    }
}

impl ProviderOptions {
    /// The defaults on the card with this number.
    #[must_use]
    pub fn on_device(device: u32) -> Self {
        let mut options = Self::default();
        options.cuda.device = device;
        options.tensorrt.device = device;
        options
    }

    /// Is this provider, so set up, something else than the CPU?
    #[must_use]
    pub fn is_accelerator(&self, provider: Provider) -> bool {
        match provider {
            Provider::Auto | Provider::Cpu => false,
            Provider::Cuda | Provider::TensorRt => true,
            Provider::OpenVino => self.openvino.is_accelerator(),
        }
    }

    /// The same with folders for what is compiled that belong to the network called `model` alone.
    pub(super) fn of_model(&self, model: &str) -> Self {
        let mut of_model = self.clone();
        for folder in [&mut of_model.tensorrt.cache, &mut of_model.openvino.cache] {
            *folder = folder.as_deref().map(|it| cache::of_model(it, model));
        }
        of_model
    }

    /// Where a provider keeps what it has compiled.
    pub(super) fn cache(&self, provider: Provider) -> Option<&Path> {
        match provider {
            Provider::Auto | Provider::Cpu | Provider::Cuda => None,
            Provider::TensorRt => self.tensorrt.cache.as_deref(),
            Provider::OpenVino => self.openvino.cache.as_deref(),
        }
    }

    /// Number of the card on which frames stay with `zero_copy`, and whether `provider` computes there.
    #[must_use]
    pub fn card(&self, provider: Provider) -> (u32, bool) {
        (
            self.cuda.device,
            self.device(provider) == Some(self.cuda.device),
        )
    }

    /// Number of the card that a provider runs on, if it runs on one with a number.
    #[must_use]
    pub fn device(&self, provider: Provider) -> Option<u32> {
        match provider {
            Provider::Auto | Provider::Cpu | Provider::OpenVino => None,
            Provider::Cuda => Some(self.cuda.device),
            Provider::TensorRt => Some(self.tensorrt.device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openvino_counts_as_a_gpu_where_it_is_told_to_be_one() {
        let on = |hardware: Option<&str>| {
            let mut options = ProviderOptions::default();
            options.openvino.hardware = hardware.map(str::to_owned);
            options.is_accelerator(Provider::OpenVino)
        };
        assert!(on(Some("GPU")) && on(Some("GPU.1")) && on(Some("NPU")));
        assert!(!on(None) && !on(Some("CPU")) && !on(Some("AUTO:GPU,CPU")));
    }

    #[test]
    fn a_device_is_that_of_the_provider() {
        let mut options = ProviderOptions::on_device(2);
        options.tensorrt.device = 1;
        assert_eq!(options.device(Provider::Cuda), Some(2));
        assert_eq!(options.device(Provider::TensorRt), Some(1));
        assert_eq!(options.device(Provider::Cpu), None);
    }
}
