//! The frame balance: each received frame has a receipt that ends exactly once.

use std::sync::Arc;

use super::CameraId;
use super::metrics::{CameraLabel, DropLabels, DropReason, Metrics, Stage};

/// Reasons for which a frame, rather than a result, can be dropped.
const FRAME_DROP_REASONS: [DropReason; 6] = [
    DropReason::Replaced,
    DropReason::Unusable,
    DropReason::BadTime,
    DropReason::DetectFailed,
    DropReason::Stopping,
    DropReason::Unaccounted,
];

/// The frame balance of one camera or of all: `received = processed + dropped + in_flight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Frames that came out of the decoder.
    pub received: u64,
    /// Frames whose result was published.
    pub processed: u64,
    /// Frames dropped on the way, whatever the reason.
    pub dropped: u64,
    /// Frames on the way now.
    pub in_flight: u64,
    /// Of the dropped ones, those nobody accounted for: a bug if not 0.
    pub unaccounted: u64,
}

impl Metrics {
    /// Counts a received frame and gives the receipt that must end as processed or dropped.
    #[must_use]
    pub fn frame_received(self: &Arc<Self>, camera: &CameraId) -> Flight {
        let label = CameraLabel::of(camera);
        self.received.get_or_create(&label).inc();
        self.in_flight.get_or_create(&label).inc();
        Flight {
            metrics: Arc::clone(self),
            camera: camera.clone(),
            open: true,
        }
    }

    /// The frame balance of one camera.
    #[must_use]
    pub fn balance(&self, camera: &CameraId) -> Balance {
        let label = CameraLabel::of(camera);
        let in_flight = self.in_flight.get_or_create(&label).get();
        let mut balance = Balance {
            received: self.received.get_or_create(&label).get(),
            processed: self.processed.get_or_create(&label).get(),
            in_flight: u64::try_from(in_flight).unwrap_or(0),
            ..Balance::default()
        };
        for stage in Stage::ALL {
            for reason in FRAME_DROP_REASONS {
                let dropped = self
                    .dropped
                    .get_or_create(&DropLabels::of(camera, stage, reason))
                    .get();
                balance.dropped += dropped;
                if reason == DropReason::Unaccounted {
                    balance.unaccounted += dropped;
                }
            }
        }
        balance
    }
}

/// Receipt of one received frame. It ends as [`Flight::processed`] or [`Flight::dropped`]; a
/// receipt that is merely forgotten is counted as dropped, `reason="unaccounted"`.
#[derive(Debug)]
pub struct Flight {
    metrics: Arc<Metrics>,
    camera: CameraId,
    open: bool,
}

impl Flight {
    /// The frame's result was published.
    pub fn processed(mut self) {
        self.close();
        let label = CameraLabel::of(&self.camera);
        self.metrics.processed.get_or_create(&label).inc();
    }

    /// The frame was dropped.
    pub fn dropped(mut self, stage: Stage, reason: DropReason) {
        self.close();
        self.count_drop(stage, reason);
    }

    fn close(&mut self) {
        self.open = false;
        let label = CameraLabel::of(&self.camera);
        self.metrics.in_flight.get_or_create(&label).dec();
    }

    fn count_drop(&self, stage: Stage, reason: DropReason) {
        let labels = DropLabels::of(&self.camera, stage, reason);
        self.metrics.dropped.get_or_create(&labels).inc();
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.open {
            self.close();
            self.count_drop(Stage::Capture, DropReason::Unaccounted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_received_frame_ends_once() {
        let metrics = Metrics::new();
        let camera = CameraId::new("gate");
        let processed = metrics.frame_received(&camera);
        let replaced = metrics.frame_received(&camera);
        let forgotten = metrics.frame_received(&camera);
        let flying = metrics.frame_received(&camera);
        processed.processed();
        replaced.dropped(Stage::Inference, DropReason::Replaced);
        drop(forgotten);

        let balance = metrics.balance(&camera);
        let expected = Balance {
            received: 4,
            processed: 1,
            dropped: 2,
            in_flight: 1,
            unaccounted: 1,
        };
        assert_eq!(balance, expected);
        flying.processed();
    }
}
