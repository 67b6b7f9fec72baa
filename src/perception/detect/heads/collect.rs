//! Where every head puts its candidates: the one place that judges whether a box is sane.

use super::super::suppress::{MAX_CANDIDATES, better_first};
use super::super::{InputPlan, RawBox};

/// Boxes that reach further than this many times the larger side of the model's input are absurd.
const MAX_REACH: f32 = 20.0;

/// Same, for boxes in frame pixels: no frame is as large.
const MAX_FRAME_REACH: f32 = 1e6;

/// Scores a little above 1 come from rounding in quantised graphs; more is no score.
const MAX_SCORE: f32 = 1.05;

/// How four numbers make a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxFormat {
    /// Centre, width, height.
    Cxcywh,
    /// Left, top, right, bottom.
    Ltrb,
    /// Top, left, bottom, right (TensorFlow).
    Tlbr,
    /// Left, top, width, height.
    Ltwh,
}

impl BoxFormat {
    /// The four numbers as left, top, right, bottom, multiplied by `scale` (x, y).
    #[must_use]
    pub fn ltrb(self, v: [f32; 4], scale: [f32; 2]) -> [f32; 4] {
        let [a, b, c, d] = v;
        let ltrb = match self {
            Self::Cxcywh => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
            Self::Ltrb => v,
            Self::Tlbr => [b, a, d, c],
            Self::Ltwh => [a, b, a + c, b + d],
        };
        [
            ltrb[0] * scale[0],
            ltrb[1] * scale[1],
            ltrb[2] * scale[0],
            ltrb[3] * scale[1],
        ]
    }
}

/// What the class indices of a head mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Number of classes that come out.
    pub count: usize,
    /// Class by index in the head; `None` is background or unused. Absent: the index itself.
    pub map: Option<Vec<Option<u16>>>,
}

impl Classes {
    /// The index is the class.
    #[must_use]
    pub fn plain(count: usize) -> Self {
        Self { count, map: None }
    }

    /// The class at `index` of the head: `Err` if there is no such index, `Ok(None)` if it stands for
    /// nothing.
    fn get(&self, index: usize) -> Result<Option<u16>, ()> {
        match &self.map {
            Some(map) => map.get(index).copied().ok_or(()),
            None if index < self.count => u16::try_from(index).map(Some).map_err(drop),
            None => Err(()),
        }
    }
}

/// Collects the candidates of one picture.
pub struct Collector<'a> {
    out: &'a mut Vec<RawBox>,
    start: usize,
    classes: &'a Classes,
    reach: f32,
    min_confidence: f32,
    rejected: u64,
}

impl<'a> Collector<'a> {
    pub fn new(
        out: &'a mut Vec<RawBox>,
        classes: &'a Classes,
        input: &InputPlan,
        frame_pixels: bool,
        min_confidence: f32,
    ) -> Self {
        let reach = if frame_pixels {
            MAX_FRAME_REACH
        } else {
            MAX_REACH * input.width.max(input.height) as f32
        };
        Self {
            start: out.len(),
            out,
            classes,
            reach,
            // A threshold of 0 would let every padding row through.
            min_confidence: min_confidence.max(1e-6),
            rejected: 0,
        }
    }

    /// Scores below this need not be offered.
    pub fn min_confidence(&self) -> f32 {
        self.min_confidence
    }

    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Counts a candidate that is no box.
    pub fn reject(&mut self) {
        self.rejected += 1;
    }

    /// Takes candidate number `row` of the head, of the class at `class` of the head, or counts it as
    /// rejected.
    pub fn offer(&mut self, row: usize, ltrb: [f32; 4], class: usize, confidence: f32) {
        if confidence < self.min_confidence {
            return;
        }
        // Written so that NaN fails each comparison.
        let scored = confidence >= self.min_confidence && confidence <= MAX_SCORE;
        let sane = ltrb.iter().all(|edge| edge.abs() <= self.reach)
            && ltrb[2] > ltrb[0]
            && ltrb[3] > ltrb[1];
        if !(scored && sane) {
            self.rejected += 1;
            return;
        }
        match self.classes.get(class) {
            Ok(Some(class)) => self.push(RawBox {
                ltrb,
                class,
                confidence: confidence.min(1.0),
                row: u32::try_from(row).unwrap_or(u32::MAX),
            }),
            Ok(None) => {}
            Err(()) => self.rejected += 1,
        }
    }

    /// Appends, keeping memory bounded: past twice the bound only the best stay.
    fn push(&mut self, candidate: RawBox) {
        self.out.push(candidate);
        if self.out.len() - self.start >= 2 * MAX_CANDIDATES {
            let mine = &mut self.out[self.start..];
            mine.select_nth_unstable_by(MAX_CANDIDATES, better_first);
            self.out.truncate(self.start + MAX_CANDIDATES);
        }
    }
}
