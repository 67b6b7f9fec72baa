//! Frames that stay in the memory of an NVIDIA card: from its decoder, through the letterbox, to the
//! network, and nothing but boxes comes back.
//!
//! All unsafe code of the project is in this folder. What makes it sound:
//! - One [`Card`] per number and process; it keeps the card's primary context, which is also that of ONNX
//!   Runtime, for ever. Decoders are given the same context, so that every address means the same to all.
//! - A [`Surface`] owns the buffer of the decoder whose address it tells, and keeps it mapped.
//! - Taps are checked against the size of their picture before they reach the card, and a picture against
//!   its surface before it is drawn ([`Letterbox::draw`]): no thread of the kernel reads beside a plane.
//! - A [`Letterbox`] owns the tensor that its kernel writes, and waits for the kernel before it lends the
//!   tensor or gives a surface back.
//! - A [`BoundCall`] holds the tensors whose addresses it tells, and waits for each copy; a letterbox draws
//!   to such an address only what fits there.
//!
//! Nothing here is linked: driver and GStreamer's CUDA library are opened when they are first asked for.

mod bound;
mod driver;
mod job;
mod letterbox;
mod surface;

pub use bound::{BoundCall, BoundInput, BoundResult, TensorShape};
pub use driver::{Card, CardError};
pub use job::{AxisTap, Channel, PictureOnCard, PlaneTaps, TapsError};
pub use letterbox::{Element, Letterbox, LetterboxError, TensorOnCard, TensorPlan};
pub use surface::Surface;
