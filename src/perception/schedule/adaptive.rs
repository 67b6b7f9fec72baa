//! Looking when there is something to be found out.

use super::thumbnail::{COUNT, Cover, Thumbnail};
use crate::base::{BBox, LookReason, Plane, Pts, Size};

/// The detector looks at least this often where anything moves, s; measured, see docs/performance.md.
const LONGEST_SECS: f64 = 0.25;
/// Where more than a dozen frames come in a second it looks again after this many of them, once they
/// took this long, s: every fourth frame from 13 to 28 fps, every fifth at 30, every ninth at 60.
const MANY_FRAMES: u32 = 4;
const MANY_SECS: f64 = 0.14;
/// And this often where nothing does, s: for what a picture without change hides.
const HEARTBEAT_SECS: f64 = 1.0;
/// The standard deviation of an object's place may be this share of its size.
const DOUBT: f32 = 0.12;
/// A cell has changed that differs by more grey values.
const CHANGED: f32 = 9.0;
/// Fewer changed cells are noise.
const CHANGED_CELLS: usize = 3;
/// A cell that changed and had nothing to be found in it has to change by more from then on; at once by
/// this part of what it changed.
const DEAFENED: f32 = 0.4;
/// Part of that which is left after a second.
const DEAF_AFTER_A_SECOND: f64 = 0.97;
/// A box covers what moves beside it, its shadow, this share of its size.
const WIDER: f32 = 0.2;
/// Objects slower than this share of their size per second stand.
const STANDS: f32 = 0.08;

/// What is expected of an object in the next frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Its box in the frame before.
    pub bbox: BBox,
    /// Velocity of its centre, px/s.
    pub velocity: [f32; 2],
    /// Standard deviation of its centre as share of its size.
    pub doubt: f32,
    /// Whether it is believed.
    pub is_confirmed: bool,
    /// Whether it was seen when the detector looked last.
    pub is_seen: bool,
}

/// What is known between two looks.
#[derive(Debug, Default)]
pub struct Watch {
    size: Option<Size>,
    /// When the detector looked last.
    looked: Option<Pts>,
    /// Frames since then, with the one that is asked about.
    since: u32,
    /// The picture of that look.
    reference: Option<Thumbnail>,
    /// The picture asked about last.
    asked: Option<Thumbnail>,
    /// Where objects were or are since that look.
    cover: Cover,
    expected: Vec<Expected>,
    /// By how much more each cell has to change; empty for none.
    deaf: Vec<f32>,
}

impl Watch {
    pub(super) fn look(&mut self, luma: Plane<'_>, size: Size, pts: Pts) -> Option<LookReason> {
        if self.size != Some(size) {
            *self = Self {
                size: Some(size),
                ..Self::default()
            };
        }
        let now = Thumbnail::of(luma, size);
        let changes = self.reference.as_ref().map(|then| now.changes(then));
        self.asked = Some(now);
        let (Some(looked), Some(changes)) = (self.looked, changes) else {
            return Some(LookReason::First);
        };
        let elapsed = pts.secs_since(looked);
        if elapsed < 0.0 {
            return Some(LookReason::First);
        }
        let is_due = if self.is_still(&changes) {
            (elapsed >= HEARTBEAT_SECS).then_some(LookReason::Heartbeat)
        } else if self.is_doubtful() {
            Some(LookReason::Doubt)
        } else {
            let are_many = self.since >= MANY_FRAMES && elapsed >= MANY_SECS;
            (are_many || elapsed >= LONGEST_SECS).then_some(LookReason::Overdue)
        };
        let is_unconfirmed = self.expected.iter().any(|one| !one.is_confirmed);
        if is_unconfirmed {
            Some(LookReason::Unconfirmed)
        } else {
            is_due
        }
    }

    pub(super) fn seen(
        &mut self,
        pts: Pts,
        is_looked_at: bool,
        expected: impl Iterator<Item = Expected>,
    ) {
        self.expected.clear();
        self.expected.extend(expected);
        let Some(size) = self.size else { return };
        self.since = if is_looked_at {
            1
        } else {
            self.since.saturating_add(1)
        };
        if is_looked_at {
            // What was there before this look explains no change since it.
            let mut found = Cover::default();
            for one in &self.expected {
                found.add(&one.bbox, WIDER, size);
            }
            self.deafen(pts, &found);
            self.looked = Some(pts);
            self.reference = self.asked.take();
            self.cover.clear();
        }
        for one in &self.expected {
            self.cover.add(&one.bbox, WIDER, size);
        }
    }

    /// Cells that changed, and in which nothing was found, have to change more from now on.
    fn deafen(&mut self, pts: Pts, found: &Cover) {
        let (Some(then), Some(now)) = (&self.reference, &self.asked) else {
            return;
        };
        let elapsed = self.looked.map_or(0.0, |looked| pts.secs_since(looked));
        let left = DEAF_AFTER_A_SECOND.powf(elapsed.max(0.0)) as f32;
        self.deaf.resize(COUNT, 0.0);
        let changes = now.changes(then);
        for (cell, (deaf, change)) in self.deaf.iter_mut().zip(changes).enumerate() {
            let is_nothing = !found.has(cell) && !self.cover.has(cell);
            *deaf *= left;
            if is_nothing && change > CHANGED + *deaf {
                *deaf += DEAFENED * (change - *deaf);
            }
        }
    }

    fn is_doubtful(&self) -> bool {
        let is_doubtful = |one: &Expected| one.is_seen && one.doubt > DOUBT;
        self.expected.iter().any(is_doubtful)
    }

    fn threshold(&self, cell: usize) -> f32 {
        CHANGED + self.deaf.get(cell).copied().unwrap_or(0.0)
    }

    /// Whether nothing changed at all, and nothing is thought to move.
    fn is_still(&self, changes: &[f32]) -> bool {
        let changed = changes.iter().enumerate();
        let changed = changed.filter(|&(cell, &change)| change > self.threshold(cell));
        changed.count() < CHANGED_CELLS && !self.expected.iter().any(moves)
    }
}

fn moves(one: &Expected) -> bool {
    let size = one.bbox.width().max(one.bbox.height());
    one.is_seen && one.velocity[0].hypot(one.velocity[1]) > STANDS * size
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 640,
        height: 360,
    };
    const FPS: u64 = 25;

    fn pts(frame: u64) -> Pts {
        Pts(frame * 1_000_000_000 / FPS)
    }

    /// A grey picture, with a bright thing of 40 x 60 px at a place.
    fn picture(thing: Option<usize>) -> Vec<u8> {
        let mut data = vec![90; 640 * 360];
        if let Some(left) = thing {
            for row in 150..210 {
                data[row * 640 + left..][..40].fill(200);
            }
        }
        data
    }

    fn object(left: f32, speed: f32) -> Expected {
        Expected {
            bbox: BBox::from_ltrb(left, 150.0, left + 40.0, 210.0).unwrap(),
            velocity: [speed, 0.0],
            doubt: 0.04,
            is_confirmed: true,
            is_seen: true,
        }
    }

    /// The frames of so many that are looked at, and why.
    fn looks(
        frames: u64,
        thing: impl Fn(u64) -> Option<usize>,
        expected: impl Fn(u64) -> Vec<Expected>,
    ) -> Vec<(u64, LookReason)> {
        looks_at_rate(FPS, frames, thing, expected)
    }

    fn looks_at_rate(
        fps: u64,
        frames: u64,
        thing: impl Fn(u64) -> Option<usize>,
        expected: impl Fn(u64) -> Vec<Expected>,
    ) -> Vec<(u64, LookReason)> {
        let pts = |frame: u64| Pts(frame * 1_000_000_000 / fps);
        let mut watch = Watch::default();
        let mut looks = Vec::new();
        for frame in 0..frames {
            let data = picture(thing(frame));
            let luma = Plane {
                data: &data,
                stride: 640,
            };
            let reason = watch.look(luma, SIZE, pts(frame));
            assert_eq!(
                watch.look(luma, SIZE, pts(frame)),
                reason,
                "asking changes nothing"
            );
            looks.extend(reason.map(|reason| (frame, reason)));
            watch.seen(pts(frame), reason.is_some(), expected(frame).into_iter());
        }
        looks
    }

    #[test]
    fn a_still_picture_is_looked_at_once_a_second_with_or_without_objects_that_stand() {
        let expected = [
            (0, LookReason::First),
            (25, LookReason::Heartbeat),
            (50, LookReason::Heartbeat),
        ];
        assert_eq!(looks(60, |_| None, |_| Vec::new()), expected);
        assert_eq!(
            looks(60, |_| Some(100), |_| vec![object(100.0, 0.0)]),
            expected
        );
    }

    #[test]
    fn what_moves_is_looked_at_every_fourth_frame_and_by_time_at_other_rates() {
        let overdue_at = |fps| {
            let left = |frame: u64| 20 + 4 * frame as usize;
            let object = |frame| vec![object(left(frame) as f32, 4.0 * fps as f32)];
            let looks = looks_at_rate(fps, 20, |frame| Some(left(frame)), object);
            assert!(
                looks[1..]
                    .iter()
                    .all(|(_, why)| *why == LookReason::Overdue)
            );
            looks[1..]
                .iter()
                .map(|(frame, _)| *frame)
                .collect::<Vec<_>>()
        };
        // Four frames take 160, 267, 143 and 133 ms, nine at 60 fps 150.
        assert_eq!(overdue_at(25), [4, 8, 12, 16]);
        assert_eq!(overdue_at(15), [4, 8, 12, 16]);
        assert_eq!(overdue_at(28), [4, 8, 12, 16]);
        assert_eq!(overdue_at(30), [5, 10, 15]);
        assert_eq!(overdue_at(60), [9, 18]);
        // Three take 300 ms, one takes 500.
        assert_eq!(overdue_at(10), [3, 6, 9, 12, 15, 18]);
        assert_eq!(overdue_at(2), (1..20).collect::<Vec<_>>());
    }

    #[test]
    fn something_new_ends_the_rest() {
        let thing = |frame: u64| (frame >= 10).then(|| 20 + 4 * frame as usize);
        let looks = looks(12, thing, |_| Vec::new());
        assert_eq!(looks, [(0, LookReason::First), (10, LookReason::Overdue)]);
    }

    #[test]
    fn what_moves_for_ever_and_is_nothing_is_not_looked_at_for_ever() {
        // A flag: it comes and goes twice a second.
        let thing = |frame: u64| (frame / 6).is_multiple_of(2).then_some(300);
        let looks = looks(500, thing, |_| Vec::new());
        let late = looks.iter().filter(|(frame, _)| *frame >= 250).count();
        // 10 s: 10 heartbeats, where 62 would be due.
        assert!(late <= 20, "{looks:?}");
    }

    #[test]
    fn an_unconfirmed_or_doubtful_object_is_looked_at_at_once() {
        let mut new = object(100.0, 0.0);
        new.is_confirmed = false;
        assert_eq!(
            looks(2, |_| Some(100), |_| vec![new])[1],
            (1, LookReason::Unconfirmed)
        );
        let mut lost = object(100.0, 100.0);
        lost.doubt = 0.3;
        assert_eq!(
            looks(2, |_| Some(100), |_| vec![lost])[1],
            (1, LookReason::Doubt)
        );
    }

    #[test]
    fn a_picture_of_another_size_or_an_earlier_time_begins_anew() {
        let mut watch = Watch::default();
        let data = picture(None);
        let luma = Plane {
            data: &data,
            stride: 640,
        };
        assert_eq!(watch.look(luma, SIZE, pts(50)), Some(LookReason::First));
        watch.seen(pts(50), true, std::iter::empty());
        assert_eq!(watch.look(luma, SIZE, pts(51)), None);
        assert_eq!(watch.look(luma, SIZE, pts(2)), Some(LookReason::First));
        let smaller = Size {
            width: 320,
            height: 180,
        };
        assert_eq!(watch.look(luma, smaller, pts(52)), Some(LookReason::First));
    }
}
