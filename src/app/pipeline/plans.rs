//! What each camera's tracking is made of, from its plan.

use std::sync::Arc;

use super::carrying::{Carrier, SharedGate};
use super::tracking::{CameraTracking, Watching};
use super::{CameraPlan, PipelineError, PipelineOptions};
use crate::app::state::Memory;
use crate::base::ClassId;
use crate::perception::detect::{DetectError, Detector, class_called};
use crate::perception::motion::MotionEstimator;
use crate::perception::schedule::DetectSchedule;
use crate::perception::track::{TrackOptions, Tracker};
use crate::perception::zones::Zones;

/// Makes it: what the cameras of a pipeline share.
#[derive(Debug, Clone)]
pub(super) struct Maker {
    classes: Arc<[String]>,
    model: String,
    track: TrackOptions,
    motion_from_image: bool,
    schedule: DetectSchedule,
    /// Where live cameras are remembered, if they are.
    memory: Option<Arc<Memory>>,
}

impl Maker {
    pub fn new(options: &PipelineOptions, detector: &Detector) -> Self {
        Self {
            classes: Arc::from(detector.class_names()),
            model: options.model.id.clone(),
            track: options.track.clone(),
            motion_from_image: options.motion_from_image,
            schedule: options.schedule,
            memory: None,
        }
    }

    /// Cameras are remembered there from now on.
    pub fn remember(&mut self, memory: &Arc<Memory>) {
        self.memory = Some(Arc::clone(memory));
    }

    /// The tracking of a camera that comes while the daemon runs: nothing of it goes on, and it is
    /// remembered from its first frame on.
    ///
    /// # Errors
    /// If the model has no such class.
    pub fn newcomer(
        &self,
        plan: &CameraPlan,
        gate: Option<SharedGate>,
    ) -> Result<CameraTracking, PipelineError> {
        let mut tracking = self.tracking(plan, gate)?;
        if let Some(memory) = &self.memory {
            tracking.remembered_afresh(memory, plan.capture.source.identity().expose());
        }
        Ok(tracking)
    }

    /// What decides which frames of a camera the detector looks at; none where it looks at all.
    pub fn gate(&self) -> Option<SharedGate> {
        SharedGate::new(self.schedule)
    }

    /// The tracking of a camera of which nothing was seen yet.
    ///
    /// # Errors
    /// If the model has no such class.
    pub fn tracking(
        &self,
        plan: &CameraPlan,
        gate: Option<SharedGate>,
    ) -> Result<CameraTracking, PipelineError> {
        let motion = self.motion_from_image.then(MotionEstimator::default);
        let (watching, options) = self.watching(plan)?;
        let camera = plan.capture.id.clone();
        Ok(CameraTracking::new(camera, Tracker::new(options), watching)
            .with_motion(motion)
            .carried_by(gate.map(Carrier::new)))
    }

    /// What counts as an object at a camera, and how it is followed.
    ///
    /// # Errors
    /// If the model has no such class.
    pub fn watching(&self, plan: &CameraPlan) -> Result<(Watching, TrackOptions), PipelineError> {
        let zones = if plan.zones.is_empty() {
            None
        } else {
            let class_id = |name: &str| class_called(name, &self.classes, &self.model);
            Some(Zones::new(plan.zones.clone(), class_id)?)
        };
        let watching = Watching {
            classes: self.class_ids(&plan.classes)?,
            hidden: self.class_ids(&plan.privacy.classes)?.unwrap_or_default(),
            zones,
        };
        Ok((watching, tracker_options(&self.track, plan.confidence)))
    }

    /// The ids of the named classes; `None` if none is named, which means all.
    fn class_ids(&self, names: &[String]) -> Result<Option<Vec<ClassId>>, DetectError> {
        if names.is_empty() {
            return Ok(None);
        }
        let id = |name: &String| class_called(name.trim(), &self.classes, &self.model);
        names.iter().map(id).collect::<Result<_, _>>().map(Some)
    }
}

/// A confidence of the user's is what an object needs to be tracked; weaker boxes only continue
/// a track that is there.
fn tracker_options(base: &TrackOptions, confidence: Option<f32>) -> TrackOptions {
    let mut options = base.clone();
    if let Some(confidence) = confidence {
        options.high_score = confidence;
        options.new_track_score = confidence;
        options.low_score = options.low_score.min(confidence);
        options.follow_scores = false;
    }
    options
}
