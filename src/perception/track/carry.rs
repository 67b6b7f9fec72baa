//! Frames that no detector looked at: tracks are carried to them, by their motion and by what the
//! picture shows of it.

use super::lifecycle::Track;
use super::{Step, Tracker};
use crate::base::{BBox, Pts};

/// How an object moved in the picture from the frame before to this one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Displacement {
    /// Of its centre, px.
    pub shift: [f32; 2],
    /// How much larger it became; 1 where that cannot be said.
    pub stretch: f32,
    /// Standard deviation of the shift, px.
    pub deviation_px: f32,
}

/// A track between two frames, for who has to find it in the picture, or decide whether to look again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prospect {
    /// Its box in the frame of the last step.
    pub bbox: BBox,
    /// Velocity of its centre, px/s.
    pub velocity: [f32; 2],
    /// Standard deviation of its centre as share of its size.
    pub doubt: f32,
    /// Whether it is believed.
    pub is_confirmed: bool,
    /// Whether it was seen when somebody looked last.
    pub is_seen: bool,
}

/// A stretch is known this well, as share of the side.
const STRETCH_DEVIATION: f64 = 0.03;

impl Tracker {
    /// Every living track, in order of birth.
    pub fn prospects(&self) -> impl Iterator<Item = Prospect> {
        self.tracks.iter().map(|track| Prospect {
            bbox: track.bbox,
            velocity: track.filter.velocity(),
            doubt: track.filter.doubt() as f32,
            is_confirmed: track.is_confirmed(),
            is_seen: track.is_seen,
        })
    }

    /// Carries every track to the frame shown at `pts`, which no detector looked at: nothing is seen
    /// there and nothing is missed. `moved` says what the picture shows of each of
    /// [`Tracker::prospects`], in that order.
    ///
    /// A track that was seen when somebody looked last stays seen; one that was missed then goes on
    /// being unseen, and ends in its time.
    pub fn carry(&mut self, moved: &[Option<Displacement>], pts: Pts) -> Step {
        let dt = self
            .last_pts
            .map_or(0.0, |last| pts.secs_since(last).max(0.0));
        self.last_pts = Some(pts);
        let warp = self.warp.take();
        let moved = moved.iter().copied().chain(std::iter::repeat(None));
        for (track, moved) in self.tracks.iter_mut().zip(moved) {
            let origin = track.filter.origin();
            let before = track.bbox;
            track.carry(dt);
            if let Some(warp) = &warp {
                track.warp(warp);
            }
            if let Some(moved) = moved {
                let width = f64::from(before.width());
                let height = f64::from(before.height());
                let grown = f64::from(moved.stretch) - 1.0;
                let [x, y] = moved.shift.map(f64::from);
                let deviation = f64::from(moved.deviation_px);
                track.filter.displace(
                    &origin,
                    dt,
                    [x, y, width * grown, height * grown],
                    [
                        deviation,
                        deviation,
                        STRETCH_DEVIATION * width,
                        STRETCH_DEVIATION * height,
                    ],
                );
            }
            if track.is_seen {
                carry_last_box(track, &before);
            }
        }
        for lost in &mut self.appearance.dormant {
            lost.unseen_secs += dt;
            if let Some(warp) = &warp {
                lost.warp(warp);
            }
        }
        let mut step = Step::default();
        self.bury(&mut step.ended);
        let high_score = self.high_score();
        let shown = |track: &Track| track.snapshot(pts, high_score);
        step.tracks.extend(self.tracks.iter().filter_map(shown));
        step.tracks.sort_unstable_by_key(|track| track.id);
        step.ended.sort_unstable_by_key(|track| track.id);
        step
    }
}

/// The box of the last detection goes where the estimate goes, so that what is shown does not jump
/// from the mean of both to one of them.
fn carry_last_box(track: &mut Track, before: &BBox) {
    let Some(now) = track.filter.bbox() else {
        return;
    };
    let shift = [now.cx() - before.cx(), now.cy() - before.cy()];
    let stretch = (now.height() * now.width() / (before.height() * before.width())).sqrt();
    track.carried(shift, stretch);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{ClassId, Detection, EndReason, TrackState};
    use crate::perception::track::TrackOptions;

    const FPS: f64 = 25.0;

    fn pts(frame: u64) -> Pts {
        Pts((frame as f64 * 1e9 / FPS) as u64)
    }

    fn at(cx: f32) -> Detection {
        Detection {
            bbox: BBox::from_cxcywh(cx, 200.0, 40.0, 80.0).unwrap(),
            class: ClassId(0),
            confidence: 0.9,
            embedding: None,
        }
    }

    fn moved(x: f32) -> [Option<Displacement>; 1] {
        [Some(Displacement {
            shift: [x, 0.0],
            stretch: 1.0,
            deviation_px: 0.5,
        })]
    }

    #[test]
    fn an_object_keeps_its_id_where_only_every_tenth_frame_is_looked_at() {
        // 5 px per frame: between two looks it moves by more than its width.
        let mut tracker = Tracker::new(TrackOptions::default());
        let mut ids = Vec::new();
        for frame in 0..100u64 {
            let x = 50.0 + 5.0 * frame as f32;
            let step = if frame < 2 || frame % 10 == 0 {
                tracker.step(&[at(x)], pts(frame))
            } else {
                tracker.carry(&moved(5.0), pts(frame))
            };
            for track in &step.tracks {
                assert_eq!(track.state, TrackState::Confirmed);
                assert!(
                    (track.bbox.cx() - x).abs() < 6.0,
                    "frame {frame}: {track:?}"
                );
                ids.push(track.id.0);
            }
        }
        assert_eq!(ids, vec![1; 99]);
    }

    #[test]
    fn the_usual_height_grows_with_an_object_that_comes_nearer() {
        // 20 % a second, looked at in every fourth frame.
        let mut tracker = Tracker::new(TrackOptions::default());
        for frame in 0..100u64 {
            let stretch = 1.2f32.powf(frame as f32 / FPS as f32);
            let mut one = at(300.0);
            one.bbox = BBox::from_cxcywh(300.0, 200.0, 40.0 * stretch, 80.0 * stretch).unwrap();
            if frame < 2 || frame % 4 == 0 {
                tracker.step(&[one], pts(frame));
                let usual = tracker.tracks[0].usual_height() / (80.0 * stretch);
                assert!((0.9..1.1).contains(&usual), "frame {frame}: {usual}");
            } else {
                let grown = Displacement {
                    shift: [0.0, 0.0],
                    stretch: 1.2f32.powf(1.0 / FPS as f32),
                    deviation_px: 0.5,
                };
                tracker.carry(&[Some(grown)], pts(frame));
            }
        }
    }

    #[test]
    fn time_without_a_look_is_not_time_unseen() {
        // Seen at 1.0 s, looked at again after 3 s, longer than tracks are remembered: still there.
        let mut tracker = Tracker::new(TrackOptions::default());
        for frame in 0..=25 {
            tracker.step(&[at(100.0)], pts(frame));
        }
        for frame in 26..100 {
            let step = tracker.carry(&moved(0.0), pts(frame));
            assert_eq!(step.tracks[0].state, TrackState::Confirmed);
            assert_eq!(step.tracks[0].last_seen, pts(25));
        }
        let mut weak = at(100.0);
        weak.confidence = 0.3;
        let step = tracker.step(&[weak], pts(100));
        assert_eq!(step.tracks[0].last_seen, pts(100));
    }

    #[test]
    fn an_object_that_was_missed_ends_in_its_time_though_nobody_looks() {
        let mut tracker = Tracker::new(TrackOptions::default());
        for frame in 0..=25 {
            tracker.step(&[at(100.0)], pts(frame));
        }
        let missed = tracker.step(&[], pts(26));
        assert_eq!(missed.tracks[0].state, TrackState::Coasting);
        let mut ended = Vec::new();
        for frame in 27..=80 {
            let step = tracker.carry(&[None], pts(frame));
            ended.extend(step.ended.iter().map(|end| (frame, end.reason)));
        }
        // 2 s after it was last seen in frame 25, at 25 fps: frame 75 but for rounding.
        assert_eq!(ended.len(), 1);
        assert!((75..=76).contains(&ended[0].0) && ended[0].1 == EndReason::Lost);
    }

    #[test]
    fn a_tentative_track_waits_for_the_next_look() {
        let mut tracker = Tracker::new(TrackOptions::default());
        tracker.step(&[at(100.0)], pts(0));
        assert!(tracker.prospects().all(|it| !it.is_confirmed));
        for frame in 1..5 {
            assert!(tracker.carry(&moved(2.0), pts(frame)).tracks.is_empty());
        }
        assert_eq!(tracker.step(&[at(110.0)], pts(5)).tracks.len(), 1);
    }
}
