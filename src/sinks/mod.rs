//! Results leave the process: as JSON lines, annotated video, metrics.

pub mod annotate;
pub mod http;
pub mod publish;
pub mod record;
