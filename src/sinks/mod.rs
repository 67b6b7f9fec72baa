//! Results leave the process: as JSON lines, annotated video, metrics, and a page for people.

pub mod annotate;
pub mod http;
pub mod publish;
pub mod record;
pub mod retention;
pub mod web;
