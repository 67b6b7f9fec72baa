//! The page for people: what the cameras see now, with boxes, zones, counts and events, over HTTP.
//!
//! Belongs here: the newest view of each camera, its picture as JPEG, its events with the files that show
//! them, how it and the process are doing, the page and its API, live video (`webrtc/`), and who may use them. Does not belong here: how a change is made; that is asked for at a [`crate::base::ConfigDesk`].

mod access;
mod archive;
mod edit;
mod editing;
mod event_files;
mod event_part;
mod events;
mod files;
mod guard;
mod health;
mod history;
mod hub;
mod past;
mod picture;
mod recordings;
mod routes;
mod webrtc;
mod words;

pub use access::{
    Access, AccessRules, AccessToken, Account, Digest, PASSWORD_BYTES, PasswordHash, Role,
    random_secret,
};
pub(crate) use event_files::event_files;
pub use health::{Engine, SAMPLE_EVERY};
pub use history::History;
pub use hub::{CameraFacts, Hub, Shape};
pub use picture::{PictureOptions, RgbPicture, rgb_of};
pub use routes::{PAGE_TITLE, router};
pub use webrtc::{VideoOptions, VideoTap};
