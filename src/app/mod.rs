//! What was asked for, and how the stages are joined.

pub mod config;
pub mod pipeline;
pub mod telemetry;
