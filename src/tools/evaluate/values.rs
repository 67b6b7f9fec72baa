//! What is scored: true boxes, tracks, and what must not count.

use std::fmt;

use super::Rect;
use super::assign::MAX_PAIRS;

/// What a true box means for the class that is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is to be found.
    Counted,
    /// Neither finding nor missing it counts: a track on it is taken out before scoring.
    Ignored,
    /// It is not to be found, but a track on it is no better for it: it takes part when tracks are
    /// taken out, so that its track is not given to an ignored neighbour, and is then left out.
    Bystander,
}

/// One true box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TruthBox {
    /// Counted from 0.
    pub frame: u64,
    /// Which object.
    pub id: u64,
    /// Where.
    pub bbox: Rect,
    /// What it means.
    pub role: Role,
}

/// A part of a frame in which nobody said what is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Counted from 0.
    pub frame: u64,
    /// Where.
    pub bbox: Rect,
}

/// What is true in one sequence, for one class.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Truth {
    /// Length of the sequence; only counted, frames without any box need not be named.
    pub frames: u64,
    /// In any order of frames; where two pairings are equally good, the order of boxes decides.
    pub boxes: Vec<TruthBox>,
    /// A track box on no true box (IoU below 0.5) is taken out if more than half of it is in one.
    pub regions: Vec<Region>,
    /// A track box on no true box is taken out if it is at most this high, px.
    pub min_height_px: Option<f64>,
}

/// A track's box in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Track {
    /// Counted from 0.
    pub frame: u64,
    /// Which track.
    pub id: u64,
    /// Where.
    pub bbox: Rect,
}

/// Truth or tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The true boxes.
    Truth,
    /// The tracks.
    Tracks,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truth => "truth",
            Self::Tracks => "tracks",
        })
    }
}

/// Why a sequence has no scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// An id with two boxes in one frame.
    #[error("{whose}: id {id} has two boxes in frame {frame} (counted from 0); an object has one")]
    TwiceInFrame {
        /// Where it stands.
        whose: Whose,
        /// Counted from 0.
        frame: u64,
        /// The id.
        id: u64,
    },
    /// More boxes in a frame than can be paired.
    #[error(
        "frame {frame} (counted from 0) has {truths} true boxes and {tracks} tracks, \
         allowed are {MAX_PAIRS} pairs"
    )]
    Crowded {
        /// Counted from 0.
        frame: u64,
        /// True boxes in it.
        truths: usize,
        /// Track boxes in it.
        tracks: usize,
    },
    /// More ids that meet one another than can be paired.
    #[error(
        "{truths} true ids and {tracks} tracks meet one another, allowed are {MAX_PAIRS} pairs; \
         score parts of the sequence"
    )]
    Entangled {
        /// True ids.
        truths: usize,
        /// Tracks.
        tracks: usize,
    },
}
