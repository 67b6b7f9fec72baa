//! What helps to try, to score and to train the program, beside the frame path.
//!
//! Belongs here: sources of known truth and what scores tracks against it. Does not belong here: anything a daemon
//! needs to run.

pub mod evaluate;
pub mod simulate;
pub mod video;
