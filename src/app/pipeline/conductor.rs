//! The `conductor` thread: hears of every camera that ends, until none is left.

use crossbeam_channel::{Receiver, Select, Sender};

use crate::capture::CameraEnd;

/// Hands on the end of each of `cameras`, and of those that come through `joining`, to `ends`, until
/// none is left and none is coming.
pub(super) fn conduct(
    mut cameras: Vec<Receiver<CameraEnd>>,
    joining: &Receiver<Receiver<CameraEnd>>,
    ends: &Sender<CameraEnd>,
) {
    let mut may_join = true;
    loop {
        cameras.extend(joining.try_iter());
        if cameras.is_empty() {
            return;
        }
        let mut select = Select::new();
        for camera in &cameras {
            select.recv(camera);
        }
        if may_join {
            select.recv(joining);
        }
        let ready = select.select();
        let index = ready.index();
        if let Some(camera) = cameras.get(index) {
            if let Ok(end) = ready.recv(camera) {
                // The channel has room for what comes between two looks, and the pipeline may be gone.
                drop(ends.try_send(end));
            }
            cameras.remove(index);
        } else {
            match ready.recv(joining) {
                Ok(camera) => cameras.push(camera),
                Err(_) => may_join = false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{CameraId, RunEnd};
    use crossbeam_channel::bounded;

    fn end(camera: &str) -> CameraEnd {
        CameraEnd {
            camera: CameraId::new(camera),
            reason: RunEnd::Stopped,
            error: None,
            frames: 0,
        }
    }

    #[test]
    fn it_ends_with_the_last_camera_and_not_while_one_is_coming() {
        let (first, gate) = bounded(1);
        let (second, yard) = bounded(1);
        let (joins, joining) = bounded(1);
        let (sender, ends) = bounded(4);
        std::thread::scope(|scope| {
            let conductor = scope.spawn(move || conduct(vec![gate], &joining, &sender));
            joins.send(yard).unwrap();
            first.send(end("gate")).unwrap();
            assert_eq!(ends.recv().unwrap().camera.as_str(), "gate");
            assert!(!conductor.is_finished());
            second.send(end("yard")).unwrap();
            assert_eq!(ends.recv().unwrap().camera.as_str(), "yard");
            conductor.join().unwrap();
        });
    }
}
