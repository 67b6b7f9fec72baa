//! Results as text: JSON lines and MOT rows.
//!
//! Belongs here: the wire format and the files it goes to. The wire has its own structs, so that
//! the types of the frame path can change without changing what others read.

mod decisions;
mod event;
mod line;
mod lines;
mod mot;

pub use decisions::{
    ChangeEntry, DECISIONS_SCHEMA_ID, DecisionFrame, DecisionLine, DecisionRunEnd, LimitsEntry,
    NameEntry, PartsEntry, RefusedEntry, RefusedWhy, TrackEntry, decisions_line,
    decisions_run_end_line,
};
pub use event::{EVENT_SCHEMA_ID, class_name, event_line};
pub use line::{SCHEMA_ID, frame_line, run_end_line};
pub use lines::{LineFile, PublishError};
pub use mot::{MotRow, mot_row, mot_rows};
