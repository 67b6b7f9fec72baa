//! The talk with a browser that has video: signalling, packets, results, and what ends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{Message, WebSocket};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::super::hub::View;
use super::super::past::Wanted;
use super::super::{events, words as frame_words};
use super::VideoTap;
use super::feed::{Feed, Next};
use super::peer::{FromPeer, Peer};
use super::viewer::{Viewer, message};
use super::words::{Said, Told};
use crate::base::{Bell, VideoEnd};

/// How often it is looked whether everything is still as it should be.
const TICK: Duration = Duration::from_secs(1);

/// Media must flow within this time.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A browser answers pings; one that is silent for so long is gone.
const SILENT_FOR: Duration = Duration::from_secs(8);

/// What is told must be taken within this time.
const TAKEN_WITHIN: Duration = Duration::from_secs(8);

/// Most bytes that wait in a pipeline; what comes then is left out.
const MOST_WAITING: u64 = 4 * 1024 * 1024;

/// A pipeline from which nothing has gone for so long will send nothing more.
const STUCK_FOR: Duration = Duration::from_secs(5);

/// A group goes again at most so often, whatever the browser asks.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What a pipeline tells that may wait: ways to here, mostly.
const FROM_PEER: usize = 64;

/// Most ways to itself that a browser may name.
const MOST_CANDIDATES: u32 = 64;

/// A viewer's video that is under way.
struct Show {
    tap: VideoTap,
    bell: Arc<Bell>,
    rung: Arc<Notify>,
    feed: Feed,
    peer: Peer,
    told: Sender<FromPeer>,
    began: Instant,
    heard: Instant,
    is_offered: bool,
    is_answered: bool,
    is_connected: bool,
    candidates: u32,
    stuck_since: Option<Instant>,
    again_at: Instant,
}

/// Goes on, or ends so.
type Step = Result<(), VideoEnd>;

impl Viewer {
    /// Shows video until it ends; the error is why it did not begin.
    pub(super) async fn show(&mut self, socket: &mut WebSocket) -> Result<VideoEnd, VideoEnd> {
        let Some(_place) = self.hub.video.place() else {
            return Err(VideoEnd::Limit);
        };
        let facts = self.hub.facts_of(self.id.as_str());
        let tap = facts.and_then(|it| it.video.clone());
        let tap = tap.ok_or(VideoEnd::NoStream)?;
        let (told, from_peer) = channel(FROM_PEER);
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(|_none| VideoEnd::Failed)?;
        let offset = u32::from_le_bytes(random);
        let (to, stun) = (told.clone(), self.hub.video.options.stun.clone());
        let start = move || Peer::start(offset, stun.as_deref(), &to);
        let peer = match tokio::task::spawn_blocking(start).await {
            Ok(Ok(peer)) => peer,
            Ok(Err(reason)) => return Err(self.failed(&reason)),
            Err(error) => return Err(self.failed(&error.to_string())),
        };
        let rung = Arc::<Notify>::default();
        let ring = Arc::clone(&rung);
        let bell = Bell::new(move || ring.notify_one());
        tap.ring.listen(&bell);
        let now = Instant::now();
        let mut show = Show {
            tap,
            bell,
            rung,
            feed: Feed::new(offset),
            peer,
            told,
            began: now,
            heard: now,
            is_offered: false,
            is_answered: false,
            is_connected: false,
            candidates: 0,
            stuck_since: None,
            again_at: now,
        };
        let metrics = Arc::clone(&self.hub.metrics);
        metrics.video().viewer(&self.id, true);
        let end = self.talk(&mut show, socket, from_peer).await;
        metrics.video().viewer(&self.id, false);
        // It waits for threads, which may take a while.
        drop(tokio::task::spawn_blocking(move || drop(show)).await);
        Ok(end.err().unwrap_or(VideoEnd::Left))
    }

    async fn talk(
        &mut self,
        show: &mut Show,
        socket: &mut WebSocket,
        mut from_peer: Receiver<FromPeer>,
    ) -> Step {
        let first = show.feed.first(&show.tap.ring, 0);
        let (packet, shown_ns) = first.ok_or(VideoEnd::NoStream)?;
        show.peer
            .push(&packet, shown_ns)
            .map_err(|reason| self.failed(&reason))?;
        let mut told = *self.numbers.borrow_and_update();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let rung = Arc::clone(&show.rung);
            tokio::select! {
                said = socket.recv() => {
                    show.heard = Instant::now();
                    match said {
                        Some(Ok(Message::Text(text))) => show.hear(&text)?,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Binary(_))) => return Err(VideoEnd::Garbage),
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                    }
                }
                Some(what) = from_peer.recv() => self.follow(what, show, socket).await?,
                () = rung.notified() => self.hand_on(show)?,
                changed = self.views.changed() => {
                    changed.map_err(|_gone| VideoEnd::Gone)?;
                    self.tell_view(show, socket).await?;
                }
                changed = self.numbers.changed() => {
                    changed.map_err(|_gone| VideoEnd::Gone)?;
                    self.numbers.borrow_and_update();
                    told = self.tell_events(told, socket).await?;
                }
                _ = ticks.tick() => {
                    self.look_after(show)?;
                    send(socket, Some(Message::Ping(Vec::new().into()))).await?;
                    let view = self.views.borrow().clone();
                    if view.is_some_and(|it| it.came.elapsed() > super::super::routes::STILL_HERE) {
                        self.tell_view(show, socket).await?;
                    }
                }
            }
        }
    }

    fn failed(&self, reason: &str) -> VideoEnd {
        tracing::warn!(camera = %self.id, reason, "live video failed, the page shows pictures");
        VideoEnd::Failed
    }

    async fn follow(&self, what: FromPeer, show: &mut Show, socket: &mut WebSocket) -> Step {
        match what {
            FromPeer::Offer(sdp) => {
                show.is_offered = true;
                send(socket, message(&Told::Offer(&sdp))).await
            }
            FromPeer::Candidate(line, text) => {
                let candidate = Told::Candidate {
                    candidate: &text,
                    line,
                };
                send(socket, message(&candidate)).await
            }
            FromPeer::Connected if !show.is_connected => {
                show.is_connected = true;
                self.still(show)?;
                // What is handed on now begins with a key frame.
                show.again_at = Instant::now() + AGAIN_AFTER;
                let now = show.now();
                let next = show.feed.catch_up(&show.tap.ring, now);
                self.push(show, next)
            }
            FromPeer::Connected => Ok(()),
            FromPeer::Lost if show.is_connected => Err(VideoEnd::Vanished),
            FromPeer::Lost => Err(VideoEnd::NotConnected),
            FromPeer::KeyAsked if !show.is_connected || Instant::now() < show.again_at => Ok(()),
            FromPeer::KeyAsked => {
                self.still(show)?;
                show.again_at = Instant::now() + AGAIN_AFTER;
                let now = show.now();
                let next = show.feed.again(&show.tap.ring, now);
                self.push(show, next)
            }
            FromPeer::Refused => Err(VideoEnd::Garbage),
            FromPeer::Failed(reason) => Err(self.failed(&reason)),
        }
    }

    /// Hands on what came of the camera, as long as that may be seen.
    fn hand_on(&self, show: &mut Show) -> Step {
        self.still(show)?;
        if !show.is_connected {
            return Ok(());
        }
        let next = if show.peer.waiting() > MOST_WAITING {
            show.feed.skip(&show.tap.ring)
        } else {
            let now = show.now();
            show.feed.take(&show.tap.ring, now)
        };
        self.push(show, next)
    }

    fn push(&self, show: &mut Show, next: Next) -> Step {
        let metrics = self.hub.metrics.video();
        if let Some((reason, missed)) = next.gap {
            metrics.gap(&self.id, reason, missed);
        }
        metrics.packets(&self.id, next.packets.len() as u64);
        for (packet, shown_ns) in next.packets {
            let pushed = show.peer.push(&packet, shown_ns);
            pushed.map_err(|reason| self.failed(&reason))?;
        }
        Ok(())
    }

    /// May it still be seen? Follows the camera where it was opened anew.
    fn still(&self, show: &mut Show) -> Step {
        let facts = self.hub.facts_of(self.id.as_str()).ok_or(VideoEnd::Gone)?;
        match self.hub.video.refusal(&facts) {
            // A camera that is away comes back.
            None | Some(VideoEnd::NoStream) => {}
            Some(end) => return Err(end),
        }
        if let Some(tap) = &facts.video
            && !Arc::ptr_eq(&tap.ring, &show.tap.ring)
        {
            show.tap = tap.clone();
            tap.ring.listen(&show.bell);
            show.feed.begin_anew();
        }
        Ok(())
    }

    fn look_after(&self, show: &mut Show) -> Step {
        if !self.access.is_still_valid(&self.caller) {
            return Err(VideoEnd::Session);
        }
        self.still(show)?;
        if show.heard.elapsed() > SILENT_FOR {
            return Err(VideoEnd::Vanished);
        }
        if !show.is_connected && show.began.elapsed() > CONNECT_WITHIN {
            return Err(VideoEnd::NotConnected);
        }
        if show.peer.waiting() <= MOST_WAITING {
            show.stuck_since = None;
        } else if show.stuck_since.get_or_insert_with(Instant::now).elapsed() > STUCK_FOR {
            return Err(VideoEnd::Slow);
        }
        Ok(())
    }

    async fn tell_view(&mut self, show: &Show, socket: &mut WebSocket) -> Step {
        let Some(view) = self.views.borrow_and_update().clone() else {
            return Ok(());
        };
        let frame = frame_words::frame(
            &view.result,
            view.came.elapsed().as_secs_f64(),
            &view.facts,
            &self.hub.classes,
        );
        let rtp = show.rtp_of(&view);
        send(socket, message(&Told::Frame { rtp, frame })).await
    }

    /// Tells the events after number `told`; gives the newest.
    async fn tell_events(&self, told: u64, socket: &mut WebSocket) -> Result<u64, VideoEnd> {
        let newer = Wanted {
            after: Some(told),
            ..Wanted::default()
        };
        let news = self.hub.recent_events(self.id.as_str(), &newer, usize::MAX);
        let news = news.unwrap_or_default().events;
        let Some(newest) = news.last() else {
            return Ok(told);
        };
        let list = serde_json::value::RawValue::from_string(events::list(&news));
        let list = list.map_err(|_faulty| VideoEnd::Failed)?;
        send(socket, message(&Told::Events(&list))).await?;
        Ok(newest.number)
    }
}

impl Show {
    /// Since the viewer came, ns.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn rtp_of(&self, view: &View) -> Option<u32> {
        let meta = &view.result.meta;
        self.feed
            .rtp_of(self.tap.clock.time_of(meta.run, meta.pts)?)
    }

    fn hear(&mut self, text: &str) -> Step {
        let said = serde_json::from_str::<Said>(text).map_err(|_other| VideoEnd::Garbage)?;
        match said {
            Said::Answer(it) if self.is_offered && !self.is_answered => {
                self.is_answered = true;
                let taken = self.peer.answer(&it.answer, &self.told);
                taken.map_err(|_faulty| VideoEnd::Garbage)
            }
            Said::Answer(_) => Err(VideoEnd::Garbage),
            Said::Candidate(it) => {
                self.candidates += 1;
                if self.candidates > MOST_CANDIDATES || it.line != 0 {
                    return Err(VideoEnd::Garbage);
                }
                if it.is_address() {
                    self.peer.candidate(it.line, &it.candidate);
                }
                Ok(())
            }
        }
    }
}

async fn send(socket: &mut WebSocket, message: Option<Message>) -> Step {
    let message = message.ok_or(VideoEnd::Failed)?;
    match timeout(TAKEN_WITHIN, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_gone)) => Err(VideoEnd::Left),
        Err(_late) => Err(VideoEnd::Slow),
    }
}
