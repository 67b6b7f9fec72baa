//! Which elements take a stream apart and decode it: the table `pipelines/codecs.txt`.

use gstreamer as gst;

use gst::prelude::*;

use super::{CaptureError, Codec, Decode};
use crate::base::PipelineText;

const TABLE: &str = include_str!("../../pipelines/codecs.txt");

/// Families in the order in which `decode = "auto"` tries them.
const FAMILIES: [Decode; 4] = [Decode::Nvdec, Decode::Va, Decode::V4l2, Decode::Software];

/// Media types of RTP caps; the second is that of a stream which is announced, not yet set up.
const RTP_NAMES: [&str; 2] = ["application/x-rtp", "application/x-unknown"];

/// How a stream found in a source is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// `h264`, `h265`, …, or the media type where the table does not know it.
    pub codec: String,
    /// Elements from the source's pad to whole encoded pictures, each followed by `!`.
    pub depay: String,
    /// Elements from encoded to decoded pictures.
    pub decoder: String,
    /// Who decodes.
    pub family: Decode,
    /// Whether the decoder's pictures stay in the memory of the card.
    pub on_card: bool,
}

/// Rows of `codec` about `what`.
fn rows<'a>(codec: &'a str, what: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(move |line| {
            let (of, rest) = line.split_once(char::is_whitespace)?;
            let (about, text) = rest.trim_start().split_once(char::is_whitespace)?;
            (of == codec && about == what).then(|| text.trim())
        })
}

/// The codec that has `value` in its rows about `what`.
fn codec_with(what: &str, value: &str) -> Option<&'static str> {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .find(|codec| rows(codec, what).any(|row| row == value))
}

/// The elements that put a stream of `codec` into the form that MP4 files hold; `None` where clips
/// are not made of it.
pub(super) fn film(codec: &str) -> Option<&'static str> {
    rows(codec, "film").next()
}

/// Whether a stream says that its pictures lie on their side or head.
pub(super) fn is_turned(pad: &gst::Pad) -> bool {
    let mut is_turned = false;
    pad.sticky_events_foreach(|event| {
        if let gst::EventView::Tag(event) = event.view() {
            let tag = event.tag().get::<gst::tags::ImageOrientation>();
            is_turned |= tag.is_some_and(|it| it.get() != "rotate-0");
        }
        std::ops::ControlFlow::Continue(gst::EventForeachAction::Keep)
    });
    is_turned
}

/// True for caps that hold pictures, encoded, raw or in RTP.
pub(super) fn is_video(caps: &gst::CapsRef) -> bool {
    caps.structure(0).is_some_and(|structure| {
        let name = structure.name();
        match name.as_str() {
            name if RTP_NAMES.contains(&name) => structure.get::<&str>("media") == Ok("video"),
            _ => name.starts_with("video/") || name.starts_with("image/"),
        }
    })
}

/// Codec of these caps: its name in the table, or the media type.
pub(super) fn codec_of(caps: &gst::CapsRef) -> String {
    let Some(structure) = caps.structure(0) else {
        return "nothing".to_owned();
    };
    let name = structure.name();
    if RTP_NAMES.contains(&name.as_str()) {
        let encoding: String = structure
            .get::<&str>("encoding-name")
            .unwrap_or("unknown")
            .to_owned();
        return codec_with("rtp", &encoding).map_or(encoding, str::to_owned);
    }
    codec_with("caps", name.as_str())
        .unwrap_or(name.as_str())
        .to_owned()
}

/// True if a stream with these caps is what `wanted` restricts a source to.
pub(super) fn is_wanted(caps: &gst::CapsRef, wanted: Codec) -> bool {
    is_video(caps) && (wanted == Codec::Auto || codec_of(caps) == wanted.as_str())
}

/// The elements that decode a stream with these caps.
///
/// # Errors
/// [`CaptureError::NoDecoder`] if an explicit family has none here, or nothing has.
pub(super) fn chain_for(
    caps: &gst::CapsRef,
    decode: Decode,
    threads: u32,
    on_card: bool,
) -> Result<Chain, CaptureError> {
    let codec = codec_of(caps);
    let known = rows(&codec, "software").next().is_some();
    let row_name = if known { codec.as_str() } else { "other" };
    let is_rtp = caps
        .structure(0)
        .is_some_and(|structure| RTP_NAMES.contains(&structure.name().as_str()));
    let mut depay = String::new();
    let steps = if is_rtp {
        ["depay", "parse"].as_slice()
    } else {
        &["parse"]
    };
    for step in steps {
        if let Some(text) = rows(row_name, step).next() {
            depay.push_str(text);
            depay.push_str(" ! ");
        }
    }
    let explicit = [decode];
    let families = if decode == Decode::Auto {
        FAMILIES.as_slice()
    } else {
        &explicit
    };
    let mut tried = Vec::new();
    for &family in families {
        let cards = rows(row_name, "card").filter(|_| on_card && family == Decode::Nvdec);
        let cards = cards.map(|text| (text, true));
        for (text, on_card) in cards.chain(rows(row_name, family.as_str()).map(|it| (it, false))) {
            if elements_exist(text) {
                let threads = threads.to_string();
                let decoder =
                    PipelineText::new("codecs.txt", text).fill(&[("threads", &threads)])?;
                return Ok(Chain {
                    codec: codec.clone(),
                    depay,
                    decoder,
                    family,
                    on_card,
                });
            }
            tried.push(text.split_whitespace().next().unwrap_or(text));
        }
    }
    Err(CaptureError::NoDecoder {
        decode: decode.as_str().to_owned(),
        codec,
        tried: tried.join(", "),
    })
}

fn elements_exist(text: &str) -> bool {
    text.split('!')
        .filter_map(|part| part.split_whitespace().next())
        .filter(|name| !name.contains('/'))
        .all(|name| gst::ElementFactory::find(name).is_some())
}

/// The elements that would decode `codec` here, for `doctor`: (family, element) in the order of
/// `decode = "auto"`. GStreamer must have been initialised.
#[must_use]
pub fn decoders(codec: Codec) -> Vec<(Decode, String)> {
    FAMILIES
        .into_iter()
        .flat_map(|family| rows(codec.as_str(), family.as_str()).map(move |text| (family, text)))
        .filter(|(_, text)| elements_exist(text))
        .filter_map(|(family, text)| Some((family, text.split_whitespace().next()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(caps: &str, decode: Decode) -> Result<Chain, CaptureError> {
        gst::init().unwrap();
        let caps: gst::Caps = caps.parse().unwrap();
        chain_for(&caps, decode, 1, false)
    }

    #[test]
    fn rtp_streams_are_depayloaded_by_their_encoding_name() {
        let h265 = chain(
            "application/x-rtp,media=video,encoding-name=H265",
            Decode::Software,
        )
        .unwrap();
        assert_eq!(h265.depay, "rtph265depay ! h265parse ! ");
        assert_eq!(h265.codec, "h265");
        let unknown = chain(
            "application/x-rtp,media=video,encoding-name=THEORA",
            Decode::Auto,
        )
        .unwrap();
        assert_eq!(
            (unknown.codec.as_str(), unknown.depay.as_str()),
            ("THEORA", "")
        );
    }

    #[test]
    fn a_software_decoder_runs_on_the_threads_asked_for() {
        let h264 = chain("video/x-h264", Decode::Software).unwrap();
        assert_eq!(h264.decoder, "avdec_h264 max-threads=1");
    }

    #[test]
    fn an_explicit_family_that_is_not_here_is_an_error_that_names_what_was_looked_for() {
        gst::init().unwrap();
        if gst::ElementFactory::find("nvh264dec").is_some() {
            return eprintln!("SKIPPED: this machine has an NVIDIA decoder");
        }
        let error = chain("video/x-h264", Decode::Nvdec).unwrap_err();
        assert_eq!(
            error.to_string(),
            "decode = \"nvdec\" has no decoder for h264 on this machine (looked for nvh264dec); use decode = \"auto\""
        );
    }

    #[test]
    fn audio_is_no_video() {
        gst::init().unwrap();
        for (caps, expected) in [
            ("audio/mpeg", false),
            ("application/x-rtp,media=audio,encoding-name=PCMU", false),
            ("application/x-rtp,media=video,encoding-name=H264", true),
            ("image/jpeg", true),
        ] {
            assert_eq!(
                is_video(&caps.parse::<gst::Caps>().unwrap()),
                expected,
                "{caps}"
            );
        }
    }

    #[test]
    fn a_film_that_lies_on_its_side_says_so_before_it_is_decoded() {
        gst::init().unwrap();
        let is_turned_with = |orientation: Option<&str>| {
            let pad = gst::Pad::new(gst::PadDirection::Src);
            pad.set_active(true).unwrap();
            let caps: gst::Caps = "video/x-h264".parse().unwrap();
            let mut tags = gst::TagList::new();
            if let Some(orientation) = orientation {
                let tags = tags.make_mut();
                tags.add::<gst::tags::ImageOrientation>(&orientation, gst::TagMergeMode::Append);
            }
            for event in [
                gst::event::StreamStart::new("film"),
                gst::event::Caps::new(&caps),
                gst::event::Tag::new(tags),
            ] {
                pad.store_sticky_event(&event).unwrap();
            }
            is_turned(&pad)
        };
        assert!(is_turned_with(Some("rotate-90")) && is_turned_with(Some("flip-rotate-0")));
        assert!(!is_turned_with(Some("rotate-0")) && !is_turned_with(None));
    }
}
