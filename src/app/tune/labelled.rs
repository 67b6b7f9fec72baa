//! Labelled sequences: detections and the truth beside them, and the tracker replayed on them.

use std::time::Duration;

use crate::base::{BBox, Detection, Pts, Size};
use crate::perception::track::{TrackOptions, Tracker};
use crate::tools::evaluate::{
    EvaluateError, Rect, Region, Role, Scores, Track, Truth, TruthBox, evaluate,
};

/// Without detections for this long nothing can be alive, so that a gap is not stepped to its end.
const LONGEST_GAP: Duration = Duration::from_secs(60);

/// What a detector saw in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenFrame {
    /// Counted from 0, as the truth's.
    pub number: u64,
    /// Stream time.
    pub pts: Pts,
    /// May be none.
    pub detections: Vec<Detection>,
}

/// A sequence that can be tracked and scored any number of times.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// Its name; of a part, with its frames.
    pub name: String,
    /// Frames per second; tells lengths alone, the tracker is told the stream time.
    pub fps: f64,
    /// Tracks wholly outside are left out, if it is known.
    pub size: Option<Size>,
    /// In order of their numbers.
    pub seen: Vec<SeenFrame>,
    /// What is true.
    pub truth: Truth,
}

impl Sequence {
    /// Length, seconds.
    #[must_use]
    pub fn secs(&self) -> f64 {
        self.truth.frames as f64 / self.fps
    }

    /// True boxes that count.
    #[must_use]
    pub fn counted(&self) -> usize {
        let boxes = self.truth.boxes.iter();
        boxes.filter(|bbox| bbox.role == Role::Counted).count()
    }

    /// Detections of all frames.
    #[must_use]
    pub fn detections(&self) -> usize {
        self.seen.iter().map(|frame| frame.detections.len()).sum()
    }

    /// The scores of the tracker with `options`, begun anew.
    ///
    /// # Errors
    /// More boxes than can be paired.
    pub fn scores(&self, options: &TrackOptions) -> Result<Scores, EvaluateError> {
        evaluate(&self.truth, &self.tracks(options))
    }

    fn tracks(&self, options: &TrackOptions) -> Vec<Track> {
        let mut tracker = Tracker::new(options.clone());
        let mut tracks = Vec::new();
        for frame in &self.seen {
            let step = tracker.step(&frame.detections, frame.pts);
            let shown = step
                .tracks
                .iter()
                .filter(|track| track.is_present(self.size));
            tracks.extend(shown.map(|track| Track {
                frame: frame.number,
                id: track.id.0,
                bbox: rect(&track.bbox),
            }));
        }
        tracks
    }

    /// `count` parts of the same length in time, one after the other.
    #[must_use]
    pub fn parts(&self, count: u64) -> Vec<Self> {
        let bound = |part: u64| self.truth.frames * part / count.max(1);
        (0..count)
            .map(|part| self.part(bound(part), bound(part + 1)))
            .collect()
    }

    fn part(&self, from: u64, to: u64) -> Self {
        let within = |frame: u64| (from..to).contains(&frame);
        let seen = self.seen.iter().filter(|frame| within(frame.number));
        let boxes = self.truth.boxes.iter().filter(|bbox| within(bbox.frame));
        let regions = self.truth.regions.iter();
        Self {
            name: format!("{} {}–{}", self.name, from + 1, to),
            fps: self.fps,
            size: self.size,
            seen: seen
                .map(|frame| SeenFrame {
                    number: frame.number - from,
                    ..frame.clone()
                })
                .collect(),
            truth: Truth {
                frames: to - from,
                boxes: boxes
                    .map(|bbox| TruthBox {
                        frame: bbox.frame - from,
                        ..*bbox
                    })
                    .collect(),
                regions: regions
                    .filter(|region| within(region.frame))
                    .map(|region| Region {
                        frame: region.frame - from,
                        ..*region
                    })
                    .collect(),
                min_height_px: self.truth.min_height_px,
            },
        }
    }
}

/// Frames at a steady rate: those that are given, and empty ones between them as far as anything can
/// be alive.
#[must_use]
pub fn steady(given: impl Iterator<Item = (u64, Vec<Detection>)>, fps: f64) -> Vec<SeenFrame> {
    let longest = (LONGEST_GAP.as_secs_f64() * fps).ceil() as u64;
    let frame = |number: u64, detections| SeenFrame {
        number,
        pts: Pts((number as f64 * 1e9 / fps).round() as u64),
        detections,
    };
    let mut seen = Vec::new();
    let mut next = 0;
    for (number, detections) in given {
        let last = number.min(next + longest);
        seen.extend((next..last).map(|empty| frame(empty, Vec::new())));
        seen.push(frame(number, detections));
        next = number + 1;
    }
    seen
}

fn rect(bbox: &BBox) -> Rect {
    Rect {
        left: f64::from(bbox.left()),
        top: f64::from(bbox.top()),
        right: f64::from(bbox.right()),
        bottom: f64::from(bbox.bottom()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ClassId;

    /// One object that walks for `frames` frames, seen by a detector in each.
    fn walk(frames: u64) -> Sequence {
        let left = |frame: u64| 10.0 + 3.0 * frame as f32;
        let bbox = |frame| BBox::from_ltrb(left(frame), 50.0, left(frame) + 20.0, 110.0).unwrap();
        let seen = (0..frames).map(|frame| {
            let detection = Detection {
                bbox: bbox(frame),
                class: ClassId(0),
                confidence: 0.9,
                embedding: None,
            };
            (frame, vec![detection])
        });
        Sequence {
            name: "walk".to_owned(),
            fps: 10.0,
            size: None,
            seen: steady(seen, 10.0),
            truth: Truth {
                frames,
                boxes: (0..frames)
                    .map(|frame| TruthBox {
                        frame,
                        id: 1,
                        bbox: rect(&bbox(frame)),
                        role: Role::Counted,
                    })
                    .collect(),
                ..Truth::default()
            },
        }
    }

    #[test]
    fn parts_hold_every_frame_once_and_count_from_zero() {
        let whole = walk(101);
        let parts = whole.parts(3);
        let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["walk 1–33", "walk 34–67", "walk 68–101"]);
        let frames = parts.iter().map(|part| part.truth.frames);
        assert_eq!(frames.sum::<u64>(), 101);
        for part in &parts {
            assert_eq!(part.seen[0].number, 0);
            assert_eq!(part.truth.boxes[0].frame, 0);
            assert_eq!(part.counted() as u64, part.truth.frames);
            assert_eq!(part.seen.len() as u64, part.truth.frames);
        }
    }

    #[test]
    fn the_tracker_begins_anew_in_each_part() {
        // Two sightings make a track: the first frame of each part is missed, nothing else.
        for part in walk(90).parts(3) {
            let scores = part.scores(&TrackOptions::default()).unwrap();
            assert_eq!(scores.clear.fne, 1);
        }
    }

    #[test]
    fn gaps_are_stepped_as_far_as_anything_lives() {
        let seen = steady([(2, Vec::new()), (100_000, Vec::new())].into_iter(), 10.0);
        // 0, 1, 2, one minute of emptiness, and the last.
        assert_eq!(seen.len(), 3 + 600 + 1);
        assert_eq!(seen[3].pts, Pts(300_000_000));
        assert_eq!(seen.last().map(|frame| frame.number), Some(100_000));
    }
}
