//! What each camera's tracking is made of, from its plan.

use super::carrying::{Carrier, SharedGate};
use super::tracking::CameraTracking;
use super::{PipelineError, PipelineOptions};
use crate::base::ClassId;
use crate::perception::detect::{DetectError, Detector, ModelFiles, class_called};
use crate::perception::motion::MotionEstimator;
use crate::perception::track::{TrackOptions, Tracker};
use crate::perception::zones::Zones;

pub(super) fn camera_trackings(
    options: &PipelineOptions,
    detector: &Detector,
    gates: &[Option<SharedGate>],
) -> Result<Vec<CameraTracking>, PipelineError> {
    let cameras = options.cameras.iter().zip(gates);
    cameras
        .map(|(plan, gate)| {
            let classes = class_ids(detector, &options.model, &plan.classes)?;
            let track = tracker_options(&options.track, plan.confidence);
            let zones = if plan.zones.is_empty() {
                None
            } else {
                let known = detector.class_names();
                let class_id = |name: &str| class_called(name, known, &options.model.id);
                Some(Zones::new(plan.zones.clone(), class_id)?)
            };
            let hidden = class_ids(detector, &options.model, &plan.hidden)?.unwrap_or_default();
            let motion = options.motion_from_image.then(MotionEstimator::default);
            Ok(CameraTracking::new(Tracker::new(track), classes, zones)
                .hiding(hidden)
                .with_motion(motion)
                .carried_by(gate.clone().map(Carrier::new)))
        })
        .collect()
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

/// The ids of the named classes; `None` if none is named, which means all.
fn class_ids(
    detector: &Detector,
    model: &ModelFiles,
    names: &[String],
) -> Result<Option<Vec<ClassId>>, DetectError> {
    if names.is_empty() {
        return Ok(None);
    }
    let id = |name: &String| class_called(name.trim(), detector.class_names(), &model.id);
    names.iter().map(id).collect::<Result<_, _>>().map(Some)
}
