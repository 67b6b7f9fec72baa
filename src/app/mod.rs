//! What was asked for, and how the stages are joined.

pub mod bench;
pub mod check;
pub mod cli;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod eval;
pub mod events;
pub mod gmc;
pub mod manual;
pub mod models;
pub mod mot;
pub mod pipeline;
pub mod progress;
pub mod replay;
pub mod resolve;
pub mod run;
pub mod seqinfo;
pub mod sequences;
pub mod service;
pub mod signals;
pub mod simulate;
pub mod summary;
pub mod telemetry;
pub mod track;
pub mod writers;
