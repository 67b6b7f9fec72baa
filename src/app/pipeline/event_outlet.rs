//! Where events leave the tracker: a bounded channel of their own, so that no frame takes their place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{SendError, Sender, TrySendError};

use super::WhenFull;
use super::outlet::Scene;
use crate::base::{CameraId, DropReason, Event, FrameResult, Metrics};
use crate::sinks::annotate::Privacy;
use crate::sinks::snapshots::SnapshotDesk;

/// One reader of events.
#[derive(Debug, Clone)]
pub struct EventOutlet {
    sender: Sender<Event>,
    when_full: WhenFull,
    camera: CameraId,
    pictures: Option<Arc<SnapshotDesk>>,
    /// Events are being lost, and that was told.
    told: Arc<AtomicBool>,
}

impl EventOutlet {
    /// An outlet for the events of one camera.
    #[must_use]
    pub fn new(sender: Sender<Event>, when_full: WhenFull, camera: CameraId) -> Self {
        Self {
            sender,
            when_full,
            camera,
            pictures: None,
            told: Arc::default(),
        }
    }

    /// The outlet of the same reader for a live camera that is new.
    pub(super) fn for_new(&self, camera: &CameraId) -> Self {
        Self::new(self.sender.clone(), WhenFull::Drop, camera.clone())
            .with_pictures(self.pictures.clone())
    }

    /// Is it for this camera?
    pub(super) fn is_of(&self, camera: &CameraId) -> bool {
        self.camera == *camera
    }

    /// With pictures of the events taken there.
    #[must_use]
    pub fn with_pictures(mut self, desk: Option<Arc<SnapshotDesk>>) -> Self {
        self.pictures = desk;
        self
    }

    /// From here on the camera is watched so.
    pub(super) fn watch(&self, camera: &CameraId, scene: &Scene) {
        if let Some(desk) = self.pictures.as_ref().filter(|_| self.is_of(camera)) {
            desk.hide(camera, Privacy::new(&scene.privacy));
        }
    }

    /// Does this reader want pictures of the events of `camera`?
    pub(super) fn wants_picture_of(&self, camera: &CameraId) -> bool {
        self.pictures.is_some() && self.camera == *camera
    }

    /// Hands `event` to the reader if it is about its camera; a lost event is counted. `pictured` is
    /// the frame in which it was decided, with its picture.
    pub(super) fn send(
        &self,
        event: &Event,
        pictured: Option<&Arc<FrameResult>>,
        metrics: &Metrics,
    ) {
        if event.frame.camera != self.camera {
            return;
        }
        // Before the event is sent: who writes it asks for its pictures.
        if let (Some(desk), Some(result)) = (&self.pictures, pictured) {
            desk.offer(event, result);
        }
        let sent = match self.when_full {
            WhenFull::Wait => self
                .sender
                .send(event.clone())
                .map_err(|_gone: SendError<_>| DropReason::SinkFailed),
            WhenFull::Drop => self
                .sender
                .try_send(event.clone())
                .map_err(|error| match error {
                    TrySendError::Full(_) => DropReason::SinkSlow,
                    TrySendError::Disconnected(_) => DropReason::SinkFailed,
                }),
        };
        let is_lost = sent.is_err();
        if self.told.swap(is_lost, Ordering::Relaxed) != is_lost {
            let camera = &self.camera;
            match sent {
                Err(reason) => {
                    let reason = reason.as_str();
                    tracing::error!(%camera, reason, "events are lost: their reader does not keep up");
                }
                Ok(()) => tracing::warn!(%camera, "no more events are lost"),
            }
        }
        if let Err(reason) = sent {
            metrics.zones().event_dropped(&self.camera, reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{EventKind, FrameMeta, FrameSeq, Pts, RunId, Size, UtcSource};
    use crossbeam_channel::bounded;

    fn event(number: u64) -> Event {
        Event {
            number,
            frame: FrameMeta {
                camera: CameraId::new("gate"),
                run: RunId(1),
                seq: FrameSeq(number),
                pts: Pts(0),
                utc: None,
                utc_source: UtcSource::Unknown,
                size: Size {
                    width: 640,
                    height: 360,
                },
            },
            kind: EventKind::Entry {
                zone: "yard".into(),
            },
            object: None,
        }
    }

    #[test]
    fn a_live_camera_never_waits_for_a_reader_and_what_is_lost_is_counted() {
        let (sender, events) = bounded(2);
        let (metrics, camera) = (Metrics::new(), CameraId::new("gate"));
        let outlet = EventOutlet::new(sender, WhenFull::Drop, camera.clone());
        for number in 1..=5 {
            outlet.send(&event(number), None, &metrics);
        }
        let read: Vec<u64> = events.try_iter().map(|event| event.number).collect();
        assert_eq!(read, [1, 2]);
        assert_eq!(metrics.zones().events_dropped(&camera), 3);
    }

    #[test]
    fn a_file_waits_for_its_reader() {
        let (sender, events) = bounded(1);
        let (metrics, camera) = (Metrics::new(), CameraId::new("gate"));
        let outlet = EventOutlet::new(sender, WhenFull::Wait, camera.clone());
        let read = std::thread::scope(|scope| {
            let reader = scope.spawn(|| events.iter().map(|it| it.number).collect::<Vec<_>>());
            for number in 1..=100 {
                outlet.send(&event(number), None, &metrics);
            }
            drop(outlet);
            reader.join().unwrap()
        });
        assert_eq!(read, (1..=100).collect::<Vec<_>>());
        assert_eq!(metrics.zones().events_dropped(&camera), 0);
    }
}
