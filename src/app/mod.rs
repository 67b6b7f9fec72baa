//! What was asked for, and how the stages are joined.

pub mod config;
pub mod mot;
pub mod replay;
pub mod telemetry;
