//! `[cameras.privacy]` and `[[cameras.masks]]`.

use super::reader::Section;
use super::zones::shape;
use super::{CameraConfig, DetectConfig};
use crate::perception::schedule::DetectSchedule;
use crate::perception::zones::PolygonShape;
use crate::sinks::annotate::{Hide, PrivacyRules};

const WAYS: &[(&str, Hide)] = &[("pixelate", Hide::Pixelate), ("fill", Hide::Fill)];

/// Most masks of one camera.
const MOST: usize = 64;

/// What `section`, a camera, hides; `frame` is the size that pixels belong to.
pub(super) fn read(section: &mut Section<'_>, frame: Option<[f64; 2]>) -> PrivacyRules {
    let mut rules = PrivacyRules::default();
    let mut privacy = section.child("privacy");
    rules.classes = privacy.texts("classes").unwrap_or_default();
    rules.how = privacy.choice("how", WAYS, rules.how);
    privacy.finish();
    let masks = section.children("masks");
    if masks.len() > MOST {
        let text = format!("{}, allowed are at most {MOST}", masks.len());
        section.fault("masks", text);
    }
    for mut mask in masks {
        let keys = ["polygon_norm", "polygon_px"];
        match shape(&mut mask, keys, frame, PolygonShape::new) {
            Some(polygon) => rules.areas.push(polygon.corners()),
            None => mask.fault_if_none_of(
                keys,
                "missing, a mask needs its corners, polygon_norm = [[0, 0], [0.3, 0], [0.3, 0.2]]",
            ),
        }
        mask.finish();
    }
    rules
}
/// Cameras whose objects would be hidden in some frames alone, and the words for it.
pub(super) fn contradictions(
    detect: &DetectConfig,
    cameras: &[CameraConfig],
) -> Vec<(String, String)> {
    if detect.schedule == DetectSchedule::Every {
        return Vec::new();
    }
    let cameras = cameras.iter().enumerate();
    cameras
        .filter(|(_, camera)| !camera.privacy.classes.is_empty())
        .map(|(index, camera)| {
            let classes = camera.privacy.classes.join(", ");
            let text = format!(
                "{classes} can be hidden only in frames that the detector looks at, and detect.schedule \
                 leaves some out; set schedule = \"every\", or hide areas with [[cameras.masks]] instead"
            );
            (format!("cameras[{index}].privacy.classes"), text)
        })
        .collect()
}
