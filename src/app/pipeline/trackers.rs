//! Which tracker thread a camera's detections go to.

use std::collections::BTreeSet;
use std::sync::Arc;

use crossbeam_channel::{SendError, Sender};

use super::detecting::Detected;

/// The way to the tracker threads. A channel has room for everything the inbox gives out of the
/// cameras it was made for; with more, a worker waits a moment for a tracker that waits for nobody.
#[derive(Debug, Clone)]
pub(super) struct Trackers {
    /// The thread of live cameras, if there is one.
    pub live: Option<Sender<Detected>>,
    /// The thread of lossless ones, if there is one.
    pub file: Option<Sender<Detected>>,
    /// Slots of lossless cameras; every other one is live.
    pub file_slots: Arc<BTreeSet<usize>>,
}

impl Trackers {
    /// Hands it to the tracker of its slot.
    ///
    /// # Errors
    /// If that is gone.
    pub fn send(&self, detected: Detected) -> Result<(), Box<SendError<Detected>>> {
        let sender = if self.file_slots.contains(&detected.slot) {
            &self.file
        } else {
            &self.live
        };
        match sender {
            Some(sender) => sender.send(detected).map_err(Box::new),
            None => Err(Box::new(SendError(detected))),
        }
    }
}
