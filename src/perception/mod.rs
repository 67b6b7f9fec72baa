//! Frame → detections → tracks → events.
//!
//! Belongs here: everything that gives a picture its meaning. Does not belong here: where the
//! picture comes from and where the results go.

pub mod detect;
pub mod motion;
pub mod schedule;
pub mod track;
pub mod zones;
