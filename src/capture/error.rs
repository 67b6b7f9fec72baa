//! What can go wrong with a source, in the operator's words.

use std::path::PathBuf;

use crate::base::PipelineTextError;
use crate::card::CardError;

/// A text that names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing was given.
    #[error("no input given; a path, rtsp(s):// or http(s):// is needed")]
    Empty,
    /// A scheme that is not read.
    #[error(
        "{scheme}:// is not a scheme that gantryd reads; known: rtsp, rtsps, http, https, file, test:PATTERN, or a path"
    )]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// A URI that is none.
    #[error("{shown}: {reason}")]
    Uri {
        /// The URI, credentials hidden.
        shown: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a camera cannot run. Texts never hold credentials.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// GStreamer itself does not start.
    #[error("starting GStreamer")]
    Init(#[source] gstreamer::glib::Error),
    /// A file or folder that cannot be read.
    #[error("{path}: {reason}", path = path.display())]
    Unreadable {
        /// The file, folder or device.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A pipeline text that cannot be read or filled.
    #[error(transparent)]
    Text(#[from] PipelineTextError),
    /// A pipeline text that GStreamer refuses.
    #[error("pipeline {name}: {reason}")]
    Pipeline {
        /// Name of the text.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An element that is not installed.
    #[error(
        "GStreamer has no element \"{element}\"; install the packages gstreamer1.0-plugins-base, -good, -bad and gstreamer1.0-libav (`gantryd doctor` lists what is missing)"
    )]
    ElementMissing {
        /// The element.
        element: String,
    },
    /// The decoder that was asked for does not exist here.
    #[error(
        "decode = \"{decode}\" has no decoder for {codec} on this machine (looked for {tried}); use decode = \"auto\""
    )]
    NoDecoder {
        /// What was asked for.
        decode: String,
        /// The codec.
        codec: String,
        /// The elements that were looked for.
        tried: String,
    },
    /// Frames cannot stay on the card.
    #[error("frames on the card (detect.zero_copy)")]
    Card(#[from] CardError),
    /// The stream itself: not a video, truncated, no video in it, refused, lost.
    #[error("{source_name}: {reason}")]
    Stream {
        /// The source, credentials hidden.
        source_name: String,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused another thread.
    #[error("starting thread {name}")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
