//! What was asked for, and how the stages are joined.

pub mod cli;
pub mod config;
pub mod manual;
pub mod pipeline;
pub mod progress;
pub mod summary;
pub mod service;
pub mod mot;
pub mod replay;
pub mod telemetry;
pub mod writers;
