//! Results as text: JSON lines and MOT rows.
//!
//! Belongs here: the wire format and the files it goes to. The wire has its own structs, so that
//! the types of the frame path can change without changing what others read.

mod jsonl;
mod line;
mod mot;

pub use jsonl::{JsonlFile, PublishError};
pub use line::{SCHEMA_ID, frame_line, run_end_line};
pub use mot::MotFile;
