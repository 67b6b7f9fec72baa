//! Source → decode → frame. Knows GStreamer; knows nothing of models and tracks.
//!
//! One camera is one `cap-<n>` thread (`supervisor`), which opens one connection after another
//! (`session`). A session fills a text of `pipelines/` (`description`), watches its bus and the age
//! of its last frame, and names why it ended (`ending`). Frames leave on GStreamer's own streaming
//! threads (`frames`, `outlet`), numbered and divided into runs by `sequence`.
//!
//! Threads a camera adds, by the names Linux shows: `cap-<n>`, which sleeps; GStreamer's own,
//! named `<element>:<pad>`, of which `decode:src` decodes and puts frames into the inbox and
//! `raw:src` writes raw segments, `clip:src` keeps the newest of what was sent for clips; `dns` looks a host name up; a frame-threaded software
//! decoder adds `av:<codec>:…` for files.

mod backlog;
mod branch;
mod branch_end;
mod check;
mod codecs;
mod description;
mod drain;
mod ending;
mod error;
mod frames;
mod images;
mod options;
mod outlet;
mod packets;
mod raw;
mod raw_retry;
mod reach;
mod sequence;
mod session;
mod source;
mod status;
mod supervisor;
mod trial;

pub use check::check;
pub use codecs::decoders;
pub use error::{CaptureError, SourceError};
pub use options::{Backoff, CameraOptions, Codec, Decode, RawRecord};
pub use sequence::Numbering;
pub use source::{HttpSource, RtspSource, Source, TestSource, Transport};
pub use status::{CameraEnd, CameraState, CameraStatus, StatusHandle};
pub use supervisor::{Camera, start};
pub use trial::{Trial, TrialError};
