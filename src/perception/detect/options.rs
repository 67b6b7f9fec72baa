//! What a caller can choose about detection.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{DetectError, ProviderOptions, ReidOptions, Tiles};

/// Score from which a detection is believed at once, where the operator names none.
///
/// Source: the default of the YOLO families' own predict commands.
pub const DEFAULT_CONFIDENCE: f32 = 0.25;

/// Score from which a detection is kept at all: the tracker's second stage feeds on weak ones.
///
/// Source: ByteTrack (arXiv 2110.06864), low threshold.
pub const DEFAULT_MIN_CONFIDENCE: f32 = 0.1;

/// Detections kept per frame.
pub const DEFAULT_MAX_DETECTIONS: usize = 300;

/// Pictures per call on CUDA, at most, where nobody says another number: beyond that a card gains little, and
/// each picture waits for all others (docs/performance.md).
const MAX_BATCH_ON_CUDA: usize = 32;

/// Pictures per call on another accelerator, at most, where nobody says another number.
const MAX_BATCH_ELSEWHERE: usize = 8;

/// What computes the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Provider {
    /// The first of [`ProviderOptions::order`] that really runs: CUDA, else the CPU, unless told otherwise.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU, through CUDA.
    Cuda,
    /// An NVIDIA GPU, through TensorRT.
    TensorRt,
    /// Intel CPU, GPU or NPU, through `OpenVINO`.
    OpenVino,
}

impl Provider {
    /// Every choice, in the order in which help texts name them.
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::Cpu,
        Self::Cuda,
        Self::TensorRt,
        Self::OpenVino,
    ];

    /// The name used in configuration and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::OpenVino => "openvino",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A provider that does not exist.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown provider \"{0}\", allowed: auto, cpu, cuda, tensorrt, openvino")]
pub struct UnknownProvider(String);

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, UnknownProvider> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.as_str() == name)
            .ok_or_else(|| UnknownProvider(name.to_owned()))
    }
}

/// How to open and use a model.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectOptions {
    /// The ONNX Runtime library, or a folder that holds it; `None` searches.
    pub runtime_library: Option<PathBuf>,
    /// What computes the network.
    pub provider: Provider,
    /// What `auto` stands for, and the settings of each provider.
    pub providers: ProviderOptions,
    /// Threads inside one call of the network.
    pub intra_threads: NonZeroUsize,
    /// Width and height of the network's input in pixels, for a model that takes any; `None` takes
    /// what its manifest or metadata say.
    pub input_size: Option<(usize, usize)>,
    /// Score from which a detection starts a track, 0..=1; `None` takes [`DEFAULT_CONFIDENCE`].
    /// The detector only reports it ([`super::Detector::confidence`]); the tracker acts on it.
    pub confidence: Option<f32>,
    /// Score from which a detection is kept, 0..=1; a lower `confidence` lowers it.
    pub min_confidence: f32,
    /// IoU from which two boxes of one class are one object, 0..=1; `None` takes the family's own.
    pub nms_iou: Option<f32>,
    /// What classes of the model are called, `""` for those to drop; comes before the manifest's map
    /// and the usual one ([`super::ClassMap`]).
    pub class_map: BTreeMap<String, String>,
    /// Detections kept per frame, best first.
    pub max_detections: usize,
    /// Pictures per call at most, where the batch axis of the model is dynamic; `None` is one frame on the CPU,
    /// and on an accelerator one of each of `cameras`.
    pub max_batch: Option<NonZeroUsize>,
    /// How many cameras there are, or will be.
    pub cameras: NonZeroUsize,
    /// A call has one of these numbers of pictures, rising; what is missing is filled up. `None` on an
    /// accelerator, which gets ready for each number anew, is 1, 2, 4, … up to `max_batch`; on the CPU any.
    pub batch_sizes: Option<Vec<usize>>,
    /// Parts of a frame that are looked at besides the whole.
    pub tiles: Tiles,
    /// Frames that lie on the card of the provider are made into the tensor there ([`crate::card`]).
    pub zero_copy: bool,
    /// A network that says what detections look like; not used where the detector itself does.
    pub reid: Option<ReidOptions>,
}

impl Default for DetectOptions {
    fn default() -> Self {
        Self {
            runtime_library: None,
            provider: Provider::Auto,
            providers: ProviderOptions::default(),
            intra_threads: NonZeroUsize::MIN,
            input_size: None,
            confidence: None,
            min_confidence: DEFAULT_MIN_CONFIDENCE,
            nms_iou: None,
            class_map: BTreeMap::new(),
            max_detections: DEFAULT_MAX_DETECTIONS,
            max_batch: None,
            cameras: NonZeroUsize::MIN,
            batch_sizes: None,
            tiles: Tiles::default(),
            zero_copy: false,
            reid: None,
        }
    }
}

impl DetectOptions {
    /// Most pictures in a call where the batch axis of the model is dynamic.
    pub(super) fn batch_on(&self, provider: Provider) -> usize {
        let of_frame = self.tiles.pictures();
        match self.max_batch {
            Some(most) => most.get(),
            None if self.providers.is_accelerator(provider) => {
                let pictures = self.cameras.get().saturating_mul(of_frame);
                let most = match provider {
                    Provider::Cuda => MAX_BATCH_ON_CUDA,
                    _ => MAX_BATCH_ELSEWHERE,
                };
                pictures.min(most).next_power_of_two()
            }
            None => of_frame,
        }
    }
}

/// The files of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// Name for messages: the id of the model, or the name of the file.
    pub id: String,
    /// The graph.
    pub onnx: PathBuf,
    /// What is stated about it, where something is.
    pub manifest: Option<PathBuf>,
}

impl ModelFiles {
    /// An exported detector of which nothing is stated: everything is recognised from the graph.
    #[must_use]
    pub fn from_onnx(onnx: &Path) -> Self {
        Self {
            id: onnx
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            onnx: onnx.to_owned(),
            manifest: None,
        }
    }

    /// Refuses what a reader would wait on or misunderstand: a folder, a pipe, an empty file.
    ///
    /// # Errors
    /// [`DetectError::File`] says what is there instead of a model.
    pub fn check(&self) -> Result<(), DetectError> {
        let refuse = |reason: String| {
            Err(DetectError::File {
                model: self.id.clone(),
                reason,
            })
        };
        let path = self.onnx.display();
        match std::fs::metadata(&self.onnx) {
            Err(error) => refuse(format!("{path} cannot be read: {error}")),
            Ok(found) if found.is_dir() => {
                refuse(format!("{path} is a folder, wanted is an .onnx file"))
            }
            Ok(found) if !found.is_file() => refuse(format!("{path} is no ordinary file")),
            Ok(found) if found.len() == 0 => refuse(format!(
                "{path} is empty, wanted is an .onnx file; was the download cut off?"
            )),
            Ok(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_is_found_by_its_name() {
        for provider in Provider::ALL {
            assert_eq!(provider.as_str().parse(), Ok(provider));
        }
    }

    #[test]
    fn an_unknown_provider_is_named_with_the_known_ones() {
        assert_eq!(
            "gpu".parse::<Provider>().unwrap_err().to_string(),
            "unknown provider \"gpu\", allowed: auto, cpu, cuda, tensorrt, openvino"
        );
    }
}
