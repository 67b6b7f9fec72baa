//! gantryd: cameras in, identities and annotated video out.
//!
//! A frame's way, from top to bottom (alphabetical order of the folders is flow order):
//!
//! ```text
//! capture ──▶ Inbox ──▶ perception::detect ──▶ track ──▶ zones ──▶ sinks {annotate, publish, record}
//! ```
//!
//! `app` reads what was asked for and joins the stages; `base` holds the words they share. `tools`
//! stands beside the path: simulated cameras to try and to train with. `card` holds frames that stay in the
//! memory of a GPU.

pub mod app;
pub mod base;
pub mod capture;
pub mod card;
pub mod perception;
pub mod sinks;
pub mod tools;

pub use app::pipeline::{
    CameraPlan, EventOutlet, Outlet, Pipeline, PipelineError, PipelineOptions, Published, WhenFull,
};
pub use base::{CameraId, FrameResult, Metrics, StopSource, TrackSnapshot, TrackState};
pub use capture::{CameraOptions, Source};
pub use perception::detect::{DetectOptions, ModelFiles};
pub use perception::track::TrackOptions;
pub use perception::zones::ZonesPlan;

/// The examples of the README are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
