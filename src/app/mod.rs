//! What was asked for, and how the stages are joined.

pub mod check;
pub mod cli;
pub mod config;
pub mod manual;
pub mod service;
pub mod telemetry;
