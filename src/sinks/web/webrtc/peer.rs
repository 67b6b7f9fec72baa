//! A viewer's pipeline: encoded pictures in, WebRTC out.

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_sdp as gst_sdp;
use gstreamer_webrtc as gst_webrtc;
use tokio::sync::mpsc::Sender;

use crate::base::{Packet, PipelineText};

/// Name of its text.
const TEXT: &str = "webrtc-h264.gst";

/// What comes of a pipeline, from its threads.
#[derive(Debug)]
pub(super) enum FromPeer {
    /// SDP.
    Offer(String),
    /// A way to here, for this media line.
    Candidate(u32, String),
    /// Media can flow.
    Connected,
    /// Media can flow no longer.
    Lost,
    /// The browser lost something and needs a key frame.
    KeyAsked,
    /// The answer does not fit the offer.
    Refused,
    Failed(String),
}

/// A running pipeline; ends when dropped, which waits for its threads.
#[derive(Debug)]
pub(super) struct Peer {
    pipeline: gst::Pipeline,
    rtc: gst::Element,
    packets: gst_app::AppSrc,
    format: Option<Arc<str>>,
}

impl Peer {
    /// Starts a pipeline that tells what comes of it over `told`; the RTP time of 0 is `rtp_offset`.
    pub fn start(
        rtp_offset: u32,
        stun: Option<&str>,
        told: &Sender<FromPeer>,
    ) -> Result<Self, String> {
        gst::init().map_err(|error| format!("GStreamer does not start: {error}"))?;
        let text = PipelineText::new(TEXT, include_str!("../../../../pipelines/webrtc-h264.gst"))
            .fill(&[("rtp_offset", &rtp_offset.to_string())])
            .map_err(|error| error.to_string())?;
        let pipeline = gst::parse::launch(&text)
            .map_err(|error| format!("{TEXT}: {error}"))?
            .downcast::<gst::Pipeline>()
            .map_err(|_other| format!("{TEXT} is no pipeline"))?;
        let rtc = pipeline
            .by_name("rtc")
            .ok_or_else(|| format!("{TEXT} needs an element named rtc"))?;
        let packets = pipeline
            .by_name("packets")
            .and_then(|it| it.downcast::<gst_app::AppSrc>().ok())
            .ok_or_else(|| format!("{TEXT} needs an appsrc named packets"))?;
        let peer = Self {
            pipeline,
            rtc,
            packets,
            format: None,
        };
        peer.listen(stun, told);
        peer.pipeline
            .set_state(gst::State::Playing)
            .map_err(|error| format!("{TEXT}: {error}"))?;
        Ok(peer)
    }

    fn listen(&self, stun: Option<&str>, told: &Sender<FromPeer>) {
        self.rtc.set_property("stun-server", stun);
        let transceiver = self
            .rtc
            .emit_by_name::<Option<glib::Object>>("get-transceiver", &[&0_i32]);
        if let Some(transceiver) = transceiver {
            let only = gst_webrtc::WebRTCRTPTransceiverDirection::Sendonly;
            transceiver.set_property("direction", only);
            transceiver.set_property("do-nack", true);
        }
        if let Some(bus) = self.pipeline.bus() {
            let to = told.clone();
            bus.set_sync_handler(move |_, message| {
                if let gst::MessageView::Error(error) = message.view() {
                    tell(&to, FromPeer::Failed(error.error().to_string()));
                }
                // Nobody takes them out: they would pile up.
                gst::BusSyncReply::Drop
            });
        }
        let (to, has_offered) = (told.clone(), AtomicBool::new(false));
        self.rtc
            .connect("on-negotiation-needed", false, move |values| {
                let rtc = values.first()?.get::<gst::Element>().ok()?;
                if !has_offered.swap(true, Ordering::Relaxed) {
                    offer(&rtc, to.clone());
                }
                None
            });
        let to = told.clone();
        self.rtc.connect("on-ice-candidate", false, move |values| {
            let line = values.get(1)?.get::<u32>().ok()?;
            let text = values.get(2)?.get::<String>().ok()?;
            tell(&to, FromPeer::Candidate(line, text));
            None
        });
        let to = told.clone();
        self.rtc
            .connect_notify(Some("connection-state"), move |rtc, _| {
                use gst_webrtc::WebRTCPeerConnectionState as State;
                match rtc.property::<State>("connection-state") {
                    State::Connected => tell(&to, FromPeer::Connected),
                    State::Failed | State::Closed | State::Disconnected => {
                        tell(&to, FromPeer::Lost);
                    }
                    _ => {}
                }
            });
        if let Some(pad) = self.packets.static_pad("src") {
            let to = told.clone();
            pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
                let event = info.event();
                let structure = event.and_then(|it| it.structure());
                if structure.is_some_and(|it| it.name() == "GstForceKeyUnit") {
                    tell(&to, FromPeer::KeyAsked);
                }
                gst::PadProbeReturn::Ok
            });
        }
    }

    /// Hands a picture on, to be shown at `shown_ns`.
    pub fn push(&mut self, packet: &Packet, shown_ns: u64) -> Result<(), String> {
        if self.format.as_ref() != Some(&packet.format) {
            let caps = gst::Caps::from_str(&packet.format).map_err(|error| error.to_string())?;
            self.packets.set_caps(Some(&caps));
            self.format = Some(Arc::clone(&packet.format));
        }
        let mut buffer = gst::Buffer::from_slice(Arc::clone(&packet.data));
        if let Some(buffer) = buffer.get_mut() {
            let time = gst::ClockTime::from_nseconds(shown_ns);
            buffer.set_pts(time);
            buffer.set_dts(time);
            if !packet.is_key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        let pushed = self.packets.push_buffer(buffer);
        pushed.map(drop).map_err(|error| error.to_string())
    }

    /// Bytes that wait to be sent.
    pub fn waiting(&self) -> u64 {
        self.packets.current_level_bytes()
    }

    /// Takes the browser's answer.
    pub fn answer(&self, sdp: &str, told: &Sender<FromPeer>) -> Result<(), String> {
        let sdp = without_ways(sdp);
        let sdp = gst_sdp::SDPMessage::parse_buffer(sdp.as_bytes());
        let sdp = sdp.map_err(|error| error.to_string())?;
        // One m-line was offered, and only what was offered may be answered.
        if sdp.medias_len() != 1 {
            return Err("it has not one media line".to_owned());
        }
        let kind = gst_webrtc::WebRTCSDPType::Answer;
        let answer = gst_webrtc::WebRTCSessionDescription::new(kind, sdp);
        let to = told.clone();
        let done = gst::Promise::with_change_func(move |reply| {
            let has_error = |it: &gst::StructureRef| it.has_field("error");
            if !matches!(reply, Ok(reply) if !reply.is_some_and(has_error)) {
                tell(&to, FromPeer::Refused);
            }
        });
        self.rtc
            .emit_by_name::<()>("set-remote-description", &[&answer, &done]);
        Ok(())
    }

    /// Takes a way to the browser.
    pub fn candidate(&self, line: u32, text: &str) {
        self.rtc
            .emit_by_name::<()>("add-ice-candidate", &[&line, &text]);
    }
}

/// The description without ways to the browser: those are named one by one, where they are looked at.
fn without_ways(sdp: &str) -> String {
    let is_way = |line: &&str| line.trim_start().starts_with("a=candidate");
    let lines = sdp.split(['\r', '\n']).filter(|line| !line.is_empty());
    let kept = lines.filter(|line| !is_way(line));
    kept.fold(String::new(), |text, line| text + line + "\r\n")
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!("a viewer's pipeline did not end as it should");
        }
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
    }
}

/// Makes the offer, keeps it, and tells it.
fn offer(rtc: &gst::Element, told: Sender<FromPeer>) {
    let weak = rtc.downgrade();
    let made = gst::Promise::with_change_func(move |reply| {
        let offer = reply
            .ok()
            .flatten()
            .and_then(|it| it.get::<gst_webrtc::WebRTCSessionDescription>("offer").ok());
        let (Some(rtc), Some(offer)) = (weak.upgrade(), offer) else {
            tell(&told, FromPeer::Failed("no offer was made".to_owned()));
            return;
        };
        let nothing = None::<gst::Promise>;
        rtc.emit_by_name::<()>("set-local-description", &[&offer, &nothing]);
        match offer.sdp().as_text() {
            Ok(text) => tell(&told, FromPeer::Offer(text)),
            Err(error) => tell(&told, FromPeer::Failed(error.to_string())),
        }
    });
    let options = None::<gst::Structure>;
    rtc.emit_by_name::<()>("create-offer", &[&options, &made]);
}

/// Tells what can be told; a viewer that does not listen ends by other means.
fn tell(told: &Sender<FromPeer>, what: FromPeer) {
    if told.try_send(what).is_err() {
        tracing::debug!("a viewer's pipeline was not heard");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_in_an_answer_are_not_taken() {
        let sdp = "v=0\r\na=candidate:1 1 UDP 1 10.0.0.9 9 typ host\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n\
                   a=candidate:2 1 UDP 1 db.local 22 typ host\r\na=mid:0\r\n";
        let kept = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n";
        assert_eq!(without_ways(sdp), kept);
    }
}
