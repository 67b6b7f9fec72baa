//! The page for people: what the cameras see now, with boxes, zones, counts and events, over HTTP.
//!
//! Belongs here: the newest view of each camera, its picture as JPEG, the page and its API. Does not
//! belong here: anything that changes how cameras are watched.

mod guard;
mod hub;
mod picture;
mod routes;
mod words;

pub use hub::{CameraFacts, Hub, Shape};
pub use picture::PictureOptions;
pub use routes::{PAGE_TITLE, router};
