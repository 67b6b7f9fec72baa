//! The desks of all cameras, which come and go with their streams.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ClipDesk;
use crate::base::{CameraId, Event, Recorded};

/// The desks of the cameras that have clips; clones share them.
#[derive(Debug, Clone, Default)]
pub struct ClipDesks(Arc<Mutex<Desks>>);

#[derive(Debug, Default)]
struct Desks {
    /// Oldest first: a camera that was opened anew has two until the clips of its old stream are done.
    of: BTreeMap<CameraId, Vec<Arc<ClipDesk>>>,
    is_over: bool,
}

impl ClipDesks {
    fn lock(&self) -> MutexGuard<'_, Desks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this one is asked for clips of its camera's new stream.
    pub fn add(&self, desk: &Arc<ClipDesk>) {
        let mut desks = self.lock();
        if desks.is_over {
            desk.end_claims();
        }
        let of_camera = desks.of.entry(desk.camera.clone()).or_default();
        of_camera.push(Arc::clone(desk));
    }

    /// Nobody writes the clips of this one any more.
    pub fn remove(&self, desk: &Arc<ClipDesk>) {
        let mut desks = self.lock();
        if let Some(of_camera) = desks.of.get_mut(&desk.camera) {
            of_camera.retain(|it| !Arc::ptr_eq(it, desk));
            if of_camera.is_empty() {
                desks.of.remove(&desk.camera);
            }
        }
    }

    /// Where `event` will be in a clip, and the desk that says so: the one whose stream it was seen in.
    /// As [`ClipDesk::claim`].
    #[must_use]
    pub fn claim(&self, event: &Event) -> Option<(Arc<ClipDesk>, Recorded)> {
        let desks = self.lock();
        let of_camera = desks.of.get(&event.frame.camera)?;
        let saw_it = of_camera.iter().rfind(|desk| desk.saw(event));
        let desk = Arc::clone(saw_it.or(of_camera.last())?);
        drop(desks);
        let place = desk.claim(event)?;
        Some((desk, place))
    }

    /// Nobody claims any more.
    fn end_claims(&self) {
        let mut desks = self.lock();
        desks.is_over = true;
        for desk in desks.of.values().flatten() {
            desk.end_claims();
        }
    }
}

/// Tells all desks, when dropped, that nobody claims any more.
#[derive(Debug, Default)]
pub struct ClaimsClips(pub ClipDesks);

impl Drop for ClaimsClips {
    fn drop(&mut self) {
        self.0.end_claims();
    }
}
