//! Results as text: JSON lines and MOT rows.
//!
//! Belongs here: the wire format and the files it goes to. The wire has its own structs, so that
//! the types of the frame path can change without changing what others read.

mod envelope;
mod event;
mod line;
mod lines;
mod mot;
mod spool;

pub use envelope::{envelope, place, route};
pub use event::{EVENT_SCHEMA_ID, class_name, event_line};
pub use line::{SCHEMA_ID, frame_line, run_end_line};
pub use lines::{LineFile, PublishError};
pub use mot::{MotRow, mot_row, mot_rows};
pub use spool::{Bell, Entry, QueueLimit, Spool, SpoolError, Waiting};
