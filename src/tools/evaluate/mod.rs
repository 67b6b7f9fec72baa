//! Truth and tracks → tracking metrics: HOTA, CLEAR, Identity and counts, equal to TrackEval's.
//!
//! Belongs here: reading the benchmarks' texts, their rules about what counts, the metrics, and how
//! sequences are combined. Pure: texts and values in, values out. Does not belong here: finding and
//! writing files.
//!
//! ```
//! use gantryd::tools::evaluate::{Rect, Role, Track, Truth, TruthBox, evaluate};
//!
//! let bbox = Rect { left: 10.0, top: 20.0, right: 50.0, bottom: 120.0 };
//! let truth = Truth {
//!     frames: 1,
//!     boxes: vec![TruthBox { frame: 0, id: 1, bbox, role: Role::Counted }],
//!     ..Truth::default()
//! };
//! let scores = evaluate(&truth, &[Track { frame: 0, id: 7, bbox }])?;
//! assert_eq!(scores.hota.mean().hota, 1.0);
//! # Ok::<(), gantryd::tools::evaluate::EvaluateError>(())
//! ```
//!
//! Sources: HOTA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking",
//! IJCV 2021. CLEAR: Bernardin & Stiefelhagen, "Evaluating Multiple Object Tracking Performance",
//! 2008. Identity: Ristani et al., "Performance Measures and a Data Set for Multi-Target,
//! Multi-Camera Tracking", 2016. Where the papers leave a choice, TrackEval 1.3.0 decides.

mod assign;
mod benchmark;
mod clear;
mod hota;
mod identity;
mod prepare;
mod rect;
mod rows;
mod scores;
mod values;

#[cfg(test)]
mod tests;

pub use benchmark::{Benchmark, Class, TrackRows, TruthRows};
pub use clear::Clear;
pub use hota::{ALPHAS, Hota, HotaAt, alphas};
pub use identity::Identity;
pub use rect::Rect;
pub use rows::{RowError, RowFault};
pub use scores::{Count, Scores, SequenceScores};
pub use values::{EvaluateError, Region, Role, Track, Truth, TruthBox, Whose};

/// The metrics of one sequence and one class.
///
/// # Errors
/// An id with two boxes in one frame, for which no score is defined, or more boxes or ids than can be
/// paired in bounded memory.
pub fn evaluate(truth: &Truth, tracks: &[Track]) -> Result<Scores, EvaluateError> {
    let prepared = prepare::prepare(truth, tracks)?;
    Ok(Scores {
        hota: hota::score(&prepared),
        clear: clear::score(&prepared),
        identity: identity::score(&prepared)?,
        count: prepared.count,
    })
}
