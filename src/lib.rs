//! gantryd: cameras in, identities and annotated video out.
//!
//! A frame's way, from top to bottom (alphabetical order of the folders is flow order):
//!
//! ```text
//! capture ──▶ Inbox ──▶ perception::detect ──▶ perception::track ──▶ sinks {annotate, publish, record}
//! ```
//!
//! `app` reads what was asked for and joins the stages; `base` holds the words they share.

pub mod app;
pub mod base;
pub mod capture;
pub mod perception;
pub mod sinks;
