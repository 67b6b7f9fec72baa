//! Results leave the process: as JSON lines, annotated video, clips and pictures of events, metrics, and a page for people.

pub mod annotate;
pub mod clips;
pub mod http;
pub mod publish;
pub mod record;
pub mod retention;
pub mod snapshots;
pub mod web;
