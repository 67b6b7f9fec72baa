//! Detections → tracks: predict → associate → update → birth and death.
//!
//! Belongs here: deciding which detection is which object. Pure: values in, values out; no clock,
//! no randomness, no hash order. Does not belong here: where detections come from, and anything
//! that looks at pixels.

mod options;

pub use options::TrackOptions;

use crate::base::{Detection, EndedTrack, Pts, TrackSnapshot};

/// What one frame made of the tracks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// Living believed tracks (confirmed and coasting), in id order.
    ///
    /// A track is given its id, and appears here, when it is believed; tentative tracks have no id
    /// and are not shown, so that ids stay dense for people.
    pub tracks: Vec<TrackSnapshot>,
    /// Confirmed tracks that ended in this step, in id order.
    pub ended: Vec<EndedTrack>,
}

/// Follows the objects of one camera. One per camera; ids are counted from 1 and never used twice.
#[derive(Debug)]
pub struct Tracker {
    _options: TrackOptions,
}

impl Tracker {
    /// A tracker that has seen nothing.
    #[must_use]
    pub fn new(options: TrackOptions) -> Self {
        Self { _options: options }
    }

    /// Takes the detections of the frame shown at `pts` (none is a valid answer) and says what lives.
    pub fn step(&mut self, _detections: &[Detection], _pts: Pts) -> Step {
        Step::default()
    }

    /// Ends every track because the camera's run is over; the numbering goes on in the next run.
    pub fn end_run(&mut self) -> Vec<EndedTrack> {
        Vec::new()
    }
}
