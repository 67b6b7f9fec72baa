//! What is said between here and a browser that looks at live video, as JSON.

use serde::{Deserialize, Serialize};

use super::super::words::FrameWords;

/// What a browser may say.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Said {
    Answer(Answer),
    Candidate(Candidate),
}

/// An SDP answer.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub answer: String,
}

/// Where the browser may be reached.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Candidate {
    pub candidate: String,
    pub line: u32,
}

impl Candidate {
    /// Does it name an address? A name would have to be looked up, which asks others; that of a browser
    /// which hides its address is known to nobody outside anyway, and it finds here by itself.
    pub fn is_address(&self) -> bool {
        let place = self.candidate.split_ascii_whitespace().nth(4);
        place.is_some_and(|it| it.parse::<std::net::IpAddr>().is_ok())
    }
}

/// What is told.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told<'a> {
    Offer(&'a str),
    Candidate {
        candidate: &'a str,
        line: u32,
    },
    /// A result, and the RTP time of its picture where that is known.
    Frame {
        rtp: Option<u32>,
        #[serde(flatten)]
        frame: FrameWords<'a>,
    },
    Events(&'a serde_json::value::RawValue),
    End {
        reason: &'static str,
        text: &'a str,
    },
}
