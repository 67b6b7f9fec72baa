//! Results at a rate that a reader can take.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{CameraId, FrameMeta, Pts, RunId};

/// Lets at most so many results per second of stream time through, per camera.
#[derive(Debug)]
pub struct Thinner {
    interval_ns: u64,
    newest: BTreeMap<CameraId, (RunId, Pts)>,
}

impl Thinner {
    /// Lets `hz` results per second through; 0 or less lets none through.
    #[must_use]
    pub fn new(hz: f64) -> Self {
        let interval = Duration::try_from_secs_f64(1.0 / hz);
        let nanos = interval.map(|it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX));
        Self {
            interval_ns: nanos.unwrap_or(u64::MAX),
            newest: BTreeMap::new(),
        }
    }

    /// Is the result of this frame one to be sent? The first of a run is.
    pub fn wants(&mut self, frame: &FrameMeta) -> bool {
        let now = (frame.run, frame.pts);
        let Some(newest) = self.newest.get_mut(&frame.camera) else {
            self.newest.insert(frame.camera.clone(), now);
            return true;
        };
        let passed = frame.pts.0.saturating_sub(newest.1.0);
        let is_due = newest.0 != frame.run || passed >= self.interval_ns;
        if is_due {
            *newest = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{FrameSeq, Size, UtcSource};

    fn frame(camera: &str, run: u32, millis: u64) -> FrameMeta {
        FrameMeta {
            camera: CameraId::new(camera),
            run: RunId(run),
            seq: FrameSeq(0),
            pts: Pts(millis * 1_000_000),
            utc: None,
            utc_source: UtcSource::Unknown,
            size: Size {
                width: 640,
                height: 360,
            },
        }
    }

    #[test]
    fn every_camera_has_its_own_rate_and_a_new_run_begins_at_once() {
        let mut thinner = Thinner::new(5.0);
        let sent = (0..100).filter(|it| thinner.wants(&frame("gate", 1, it * 40)));
        // 4 s at 5 Hz.
        assert_eq!(sent.count(), 20);
        assert!(thinner.wants(&frame("yard", 1, 0)));
        assert!(!thinner.wants(&frame("yard", 1, 120)));
        assert!(thinner.wants(&frame("yard", 2, 10)));
    }
}
