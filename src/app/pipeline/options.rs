//! What a pipeline is made of: cameras, a model, and how they are watched.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::Scene;
use crate::capture::CameraOptions;
use crate::perception::detect::{DetectOptions, ModelFiles};
use crate::perception::schedule::DetectSchedule;
use crate::perception::track::TrackOptions;
use crate::perception::zones::ZonesPlan;
use crate::sinks::annotate::PrivacyRules;

/// Unless told otherwise, a detector may fail for so long.
pub const GIVE_UP: Duration = Duration::from_secs(60);

/// One camera, and what counts as an object there.
#[derive(Debug, Clone)]
pub struct CameraPlan {
    /// Where its frames come from.
    pub capture: CameraOptions,
    /// Names of the classes to track; empty tracks all.
    pub classes: Vec<String>,
    /// Confidence a detection needs to start a track; weaker ones only continue one.
    pub confidence: Option<f32>,
    /// What is counted in its picture.
    pub zones: ZonesPlan,
    /// What no picture may show.
    pub privacy: PrivacyRules,
}

impl CameraPlan {
    /// A camera of which everything is tracked that the model knows.
    #[must_use]
    pub fn new(capture: CameraOptions) -> Self {
        Self {
            capture,
            classes: Vec::new(),
            confidence: None,
            zones: ZonesPlan::default(),
            privacy: PrivacyRules::default(),
        }
    }

    /// What readers of its results are told of it.
    #[must_use]
    pub fn scene(&self) -> Scene {
        Scene {
            zones: self.zones.clone(),
            privacy: self.privacy.clone(),
            packets: self
                .capture
                .packets
                .clone()
                .map(|ring| (ring, Arc::clone(&self.capture.clock))),
        }
    }
}

/// What a [`Pipeline`](super::Pipeline) is made of.
#[derive(Debug, Clone)]
pub struct PipelineOptions {
    /// The cameras; their ids differ.
    pub cameras: Vec<CameraPlan>,
    /// The model that all of them share.
    pub model: ModelFiles,
    /// How the model is run.
    pub detect: DetectOptions,
    /// Sessions of the model that work side by side; by default one per core on the CPU and one
    /// on an accelerator.
    pub workers: Option<NonZeroUsize>,
    /// Pictures of different cameras per call of the network, where the model allows it; by default
    /// 1 on the CPU, where a batch only adds waiting, and what the model takes on an accelerator.
    pub batch: Option<NonZeroUsize>,
    /// How long a frame may wait for those of other cameras, to be looked at in one call with them.
    pub batch_wait: Duration,
    /// How long the detector may fail at every frame before the pipeline ends with an error.
    pub give_up: Duration,
    /// How objects are followed.
    pub track: TrackOptions,
    /// Whether the motion of the camera is looked for in the picture.
    pub motion_from_image: bool,
    /// Which frames the detector looks at.
    pub schedule: DetectSchedule,
}

impl PipelineOptions {
    /// These cameras and this model, everything else at its default.
    #[must_use]
    pub fn new(cameras: Vec<CameraPlan>, model: ModelFiles) -> Self {
        Self {
            cameras,
            model,
            detect: DetectOptions::default(),
            workers: None,
            batch: None,
            batch_wait: Duration::ZERO,
            give_up: GIVE_UP,
            track: TrackOptions::default(),
            motion_from_image: false,
            schedule: DetectSchedule::default(),
        }
    }
}
