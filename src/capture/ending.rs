//! Why a run ended, from what GStreamer says about it.

use crossbeam_channel::Sender;
use gstreamer as gst;
use gstreamer::glib;

use super::session::SessionEvent;
use super::{packets, raw};
use crate::base::RunEnd;

/// An error that GStreamer reported, with what was known at that time.
#[derive(Debug, Clone)]
pub(super) struct Report {
    /// What it says.
    pub text: String,
    /// Where it says so, for the log.
    pub debug: String,
    /// Status of an RTSP or HTTP answer.
    pub answer: Option<u32>,
    /// Domain and code.
    pub error: glib::Error,
}

/// How far a connection had come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    pub live: bool,
    /// A stream of any kind was found.
    pub has_stream: bool,
    /// A video stream was found.
    pub has_video: bool,
    /// A frame arrived.
    pub has_frame: bool,
}

impl Report {
    pub fn from_message(message: &gst::message::Error) -> Self {
        let answer = message.details().and_then(|details| {
            ["rtsp-status-code", "http-status-code"]
                .iter()
                .find_map(|field| details.get::<u32>(*field).ok())
        });
        let error = message.error();
        Self {
            text: error.message().trim_end_matches('.').to_owned(),
            debug: message
                .debug()
                .map(|text| text.to_string())
                .unwrap_or_default(),
            answer,
            error,
        }
    }

    /// Why the run ended, and the words for the operator.
    pub fn classify(&self, progress: Progress) -> (RunEnd, String) {
        let answer = self
            .answer
            .map(|code| format!(" (answer {code})"))
            .unwrap_or_default();
        let said = format!("{}{answer}", self.text);
        match self.answer {
            Some(401 | 403) => {
                return (
                    RunEnd::Unauthorized,
                    format!("user or password refused: {said}"),
                );
            }
            Some(404 | 410 | 454) => return (RunEnd::NotFound, format!("no such stream: {said}")),
            _ => {}
        }
        if progress.has_stream && !progress.has_video {
            return (RunEnd::Undecodable, NO_VIDEO.to_owned());
        }
        if progress.live {
            self.classify_live(progress, said)
        } else {
            self.classify_file(progress, said)
        }
    }

    fn classify_live(&self, progress: Progress, said: String) -> (RunEnd, String) {
        let timed_out = self.debug.contains("Timeout") || self.debug.contains("timed out");
        if self.error.matches(gst::ResourceError::NotAuthorized) {
            return (
                RunEnd::Unauthorized,
                format!("user or password refused: {said}"),
            );
        }
        if self.error.matches(gst::ResourceError::NotFound) && !self.debug.contains("resolv") {
            return (RunEnd::NotFound, format!("no such stream: {said}"));
        }
        if progress.has_frame {
            return (
                RunEnd::ConnectionLost,
                format!("the connection broke: {said}"),
            );
        }
        if self.error.is::<gst::StreamError>() || self.error.is::<gst::CoreError>() {
            return (RunEnd::Undecodable, format!("cannot be decoded: {said}"));
        }
        if timed_out {
            return (RunEnd::NoAnswer, format!("no answer: {said}"));
        }
        if progress.has_video {
            return (
                RunEnd::ConnectionLost,
                format!("the connection broke: {said}"),
            );
        }
        (RunEnd::Unreachable, format!("cannot be reached: {said}"))
    }

    fn classify_file(&self, progress: Progress, said: String) -> (RunEnd, String) {
        let words = if self.error.matches(gst::StreamError::TypeNotFound)
            || self.error.matches(gst::StreamError::WrongType)
        {
            format!("not a video: {said}")
        } else if self.error.matches(gst::StreamError::CodecNotFound)
            || self.error.matches(gst::CoreError::MissingPlugin)
        {
            format!(
                "a GStreamer plugin for its container or codec is not installed: {said}; `gantryd doctor` names the package"
            )
        } else if self.error.is::<gst::ResourceError>() {
            format!("cannot be read: {said}")
        } else if progress.has_frame {
            format!("damaged, cannot be decoded any further: {said}")
        } else {
            format!("not a video that can be decoded: {said}")
        };
        (RunEnd::Undecodable, words)
    }
}

/// Said of a source that has streams, none of them pictures.
pub(super) const NO_VIDEO: &str = "no video stream in it";

/// Hands a message of the bus on; runs on whatever thread posted it.
pub(super) fn forward(message: &gst::Message, events: &Sender<SessionEvent>) {
    let event = match message.view() {
        gst::MessageView::Error(error) if raw::is_from_raw(message) => {
            SessionEvent::RawFailed(error.error().message().to_owned())
        }
        gst::MessageView::Error(error) if packets::is_from_packets(message) => {
            SessionEvent::PacketsFailed(error.error().message().to_owned())
        }
        gst::MessageView::Error(error) => SessionEvent::Error(Report::from_message(error)),
        gst::MessageView::Warning(warning) => {
            let error = warning.error();
            SessionEvent::Warning(error.message().trim_end_matches('.').to_owned())
        }
        gst::MessageView::Element(_) => {
            if let Some(path) = raw::closed_segment(message) {
                raw::remove_empty(&path);
            }
            return;
        }
        gst::MessageView::Eos(_) => SessionEvent::EndOfStream,
        _ => return,
    };
    // When full, what decides the end is in it already.
    drop(events.try_send(event));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(error: glib::Error, debug: &str, answer: Option<u32>) -> Report {
        Report {
            text: error.message().to_owned(),
            debug: debug.to_owned(),
            answer,
            error,
        }
    }

    const LIVE: Progress = Progress {
        live: true,
        has_stream: false,
        has_video: false,
        has_frame: false,
    };

    #[test]
    fn an_answer_of_the_camera_names_the_reason() {
        gst::init().unwrap();
        let error = glib::Error::new(gst::ResourceError::OpenRead, "Unauthorized");
        for (answer, reason) in [(401, RunEnd::Unauthorized), (404, RunEnd::NotFound)] {
            assert_eq!(
                report(error.clone(), "", Some(answer)).classify(LIVE).0,
                reason
            );
        }
    }

    #[test]
    fn refused_and_silent_hosts_are_told_apart() {
        gst::init().unwrap();
        let error = glib::Error::new(gst::ResourceError::OpenReadWrite, "Could not open resource");
        let refused = report(error.clone(), "Failed to connect. (Generic error)", None);
        assert_eq!(refused.classify(LIVE).0, RunEnd::Unreachable);
        let silent = report(error, "Failed to connect. (Timeout while waiting)", None);
        assert_eq!(silent.classify(LIVE).0, RunEnd::NoAnswer);
    }

    #[test]
    fn a_file_with_sound_alone_has_no_video() {
        gst::init().unwrap();
        let error = glib::Error::new(gst::StreamError::Failed, "Internal data stream error");
        let progress = Progress {
            has_stream: true,
            ..Progress::default()
        };
        let (reason, words) = report(error, "", None).classify(progress);
        assert_eq!(
            (reason, words.as_str()),
            (RunEnd::Undecodable, "no video stream in it")
        );
    }
}
