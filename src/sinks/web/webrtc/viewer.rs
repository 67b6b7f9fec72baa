//! One browser that looks at live video: from its first word to its end.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use tokio::sync::watch;

use super::super::access::{Access, Caller};
use super::super::hub::{Hub, View};
use super::words::Told;
use crate::base::{CameraId, VideoEnd};

/// Longest message a browser may send: an answer has some thousand bytes.
pub(in crate::sinks::web) const LONGEST_MESSAGE: usize = 32 * 1024;

/// A browser that asks for live video.
pub(in crate::sinks::web) struct Viewer {
    pub(super) hub: Arc<Hub>,
    pub(super) access: Arc<Access>,
    pub(super) caller: Caller,
    pub(super) id: CameraId,
    pub(super) views: watch::Receiver<Option<Arc<View>>>,
    pub(super) numbers: watch::Receiver<u64>,
}

impl Viewer {
    /// `None` if there is no such camera.
    pub fn new(hub: &Arc<Hub>, access: Arc<Access>, caller: Caller, id: &str) -> Option<Self> {
        Some(Self {
            views: hub.views(id)?,
            numbers: hub.event_numbers(id)?,
            hub: Arc::clone(hub),
            access,
            caller,
            id: CameraId::new(id),
        })
    }

    /// Shows video until something ends it, and tells the browser what.
    pub async fn look(mut self, mut socket: WebSocket) {
        let end = match self.refusal() {
            Some(end) => Err(end),
            None => self.show(&mut socket).await,
        };
        let metrics = self.hub.metrics.video();
        let end = match end {
            Ok(end) => {
                metrics.ended(&self.id, end);
                end
            }
            Err(end) => {
                metrics.refused(&self.id, end);
                end
            }
        };
        if end != VideoEnd::Left {
            tracing::debug!(camera = %self.id, reason = end.as_str(), "no live video");
            let text = self.hub.video.told(end);
            let told = Told::End {
                reason: end.as_str(),
                text: &text,
            };
            if let Some(message) = message(&told) {
                // It may not listen any more.
                drop(socket.send(message).await);
            }
        }
        drop(socket.send(Message::Close(None)).await);
    }

    /// Why there can be no video now.
    pub(super) fn refusal(&self) -> Option<VideoEnd> {
        match self.hub.facts_of(self.id.as_str()) {
            Some(facts) => self.hub.video.refusal(&facts),
            None => Some(VideoEnd::Gone),
        }
    }

    #[cfg(not(feature = "webrtc"))]
    async fn show(&mut self, _socket: &mut WebSocket) -> Result<VideoEnd, VideoEnd> {
        Err(VideoEnd::Off)
    }
}

pub(super) fn message(told: &Told<'_>) -> Option<Message> {
    let text = serde_json::to_string(told).ok()?;
    Some(Message::Text(text.into()))
}
