//! What was asked for, and how the stages are joined.

pub mod config;
pub mod models;
pub mod telemetry;
