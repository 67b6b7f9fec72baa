//! What helps to try and to train the program, beside the frame path.
//!
//! Belongs here: sources of known truth. Does not belong here: anything a daemon needs to run.

pub mod simulate;
pub mod video;
