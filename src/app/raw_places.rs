//! Where the frames of a camera are in its raw recording, for the events that name a file.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::{CameraId, FrameMeta, RawPlace, Recorded, StreamClock};
use crate::capture::CameraOptions;

/// How often it is looked whether a place is told.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The cameras that are recorded raw; clones share them.
#[derive(Debug, Clone, Default)]
pub struct RawPlaces(Arc<Mutex<BTreeMap<CameraId, Raw>>>);

#[derive(Debug, Clone)]
struct Raw {
    clock: Arc<StreamClock>,
    /// Length of a segment, ns.
    length_ns: u64,
    /// What was last waited for in vain: nobody waits again until that changes.
    stuck_at: Option<u64>,
}

impl RawPlaces {
    /// A camera is opened so from now on.
    pub fn set(&self, capture: &CameraOptions) {
        let raw = capture.raw.as_ref().map(|raw| Raw {
            clock: Arc::clone(&capture.clock),
            length_ns: u64::from(raw.segment_secs.max(1)) * 1_000_000_000,
            stuck_at: None,
        });
        match raw {
            Some(raw) => drop(self.lock().insert(capture.id.clone(), raw)),
            None => drop(self.lock().remove(&capture.id)),
        }
    }

    /// Where the frame is, after waiting at most until `deadline` for it to be told.
    #[must_use]
    pub fn place(&self, frame: &FrameMeta, deadline: Instant) -> Option<Recorded> {
        let raw = self.lock().get(&frame.camera).cloned()?;
        let moment = raw.clock.time_of(frame.run, frame.pts)?;
        loop {
            match raw.clock.raw_place(moment, raw.length_ns) {
                RawPlace::In(path, pts_ns) => {
                    let file = path.file_name()?.to_str()?;
                    return Some(Recorded {
                        file: file.into(),
                        pts_ns,
                    });
                }
                RawPlace::Nowhere => return None,
                RawPlace::Untold(at) if raw.stuck_at == Some(at) => return None,
                RawPlace::Untold(at) => {
                    if Instant::now() >= deadline {
                        if let Some(raw) = self.lock().get_mut(&frame.camera) {
                            raw.stuck_at = Some(at);
                        }
                        return None;
                    }
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// A camera is no longer watched.
    pub fn remove(&self, camera: &CameraId) {
        self.lock().remove(camera);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CameraId, Raw>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{FrameSeq, Pts, RawSegment, RunId, Size, StreamTime, UtcSource};
    use crate::capture::{RawRecord, Source};

    fn frame(pts_secs: u64) -> FrameMeta {
        FrameMeta {
            camera: CameraId::new("gate"),
            run: RunId(1),
            seq: FrameSeq(0),
            pts: Pts(pts_secs * 1_000_000_000),
            utc: None,
            utc_source: UtcSource::Unknown,
            size: Size {
                width: 64,
                height: 64,
            },
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[test]
    fn a_place_is_waited_for_once_while_nothing_comes() {
        let mut capture = CameraOptions::new(
            CameraId::new("gate"),
            Source::parse("rtsp://127.0.0.1/gate").unwrap(),
        );
        let places = RawPlaces::default();
        places.set(&capture);
        assert_eq!(places.place(&frame(0), soon()), None, "it is not recorded");
        capture.raw = Some(RawRecord {
            folder: "out".into(),
            segment_secs: 60,
            room: Arc::default(),
        });
        places.set(&capture);
        let clock = &capture.clock;
        clock.begin_connection();
        clock.note_run(RunId(1), Pts(0), 5_000_000_000);
        assert_eq!(
            places.place(&frame(1), soon()),
            None,
            "no segment has begun"
        );
        let far = Instant::now() + Duration::from_secs(3600);
        assert_eq!(places.place(&frame(1), far), None, "nothing has come since");
        std::thread::scope(|scope| {
            // A first segment began, but not with this frame.
            clock.note_segment(RawSegment {
                path: "out/gate_0_raw.mp4".into(),
                start: StreamTime {
                    connection: 1,
                    time_ns: 9_000_000_000,
                },
                end_ns: None,
            });
            let asked = scope.spawn(|| places.place(&frame(2), far));
            std::thread::sleep(Duration::from_millis(30));
            clock.note_segment(RawSegment {
                path: "out/gate_raw.mp4".into(),
                start: StreamTime {
                    connection: 1,
                    time_ns: 6_000_000_000,
                },
                end_ns: None,
            });
            let found = asked.join().unwrap().unwrap();
            assert_eq!(
                (&*found.file, found.pts_ns),
                ("gate_raw.mp4", 1_000_000_000)
            );
        });
    }
}
