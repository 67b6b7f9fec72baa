//! What is answered: the page, its API, and the live view over WebSocket or as MJPEG.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, FromRef, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::access::{self, Access, Caller, gate};
use super::editing::{self, Changing};
use super::guard::{LONGEST_BODY, guard};
use super::hub::{Hub, View};
use super::past::Wanted;
use super::{events, files, health, recordings, webrtc, words};
use crate::base::ConfigDesk;

const PAGE: &str = include_str!("assets/index.html");
const SCRIPT: &str = include_str!("assets/page.js");
const STYLE: &str = include_str!("assets/page.css");
const EDITOR: &str = include_str!("assets/editor.js");
const TIMELINE: &str = include_str!("assets/timeline.js");
const PANELS: &str = include_str!("assets/panels.css");
const CAMERAS: &str = include_str!("assets/cameras.js");
const HEALTH: &str = include_str!("assets/health.js");
const WEBRTC: &str = include_str!("assets/webrtc.js");
const LOGIN_SCRIPT: &str = include_str!("assets/login.js");
const OPENAPI: &str = include_str!("assets/openapi.json");

/// What is in the page of every gantryd: enough to know it by.
pub const PAGE_TITLE: &str = "<title>gantryd</title>";

pub(super) const JSON: &str = "application/json";

/// Longest message a browser may send; the page sends none.
const LONGEST_MESSAGE: usize = 1024;

/// Without a new picture for this long the last one is sent again: a viewer that hears nothing is
/// taken for gone.
pub(super) const STILL_HERE: Duration = Duration::from_secs(4);

/// Separates the pictures of an MJPEG stream.
const BOUNDARY: &str = "gantryd-picture";

type Shared = State<Arc<Hub>>;

/// What answers share.
#[derive(Debug, Clone)]
pub(super) struct Served {
    hub: Arc<Hub>,
    access: Arc<Access>,
    changing: Option<Changing>,
}

impl FromRef<Served> for Arc<Hub> {
    fn from_ref(served: &Served) -> Self {
        Self::clone(&served.hub)
    }
}

impl FromRef<Served> for Arc<Access> {
    fn from_ref(served: &Served) -> Self {
        Self::clone(&served.access)
    }
}

impl FromRef<Served> for Option<Changing> {
    fn from_ref(served: &Served) -> Self {
        served.changing.clone()
    }
}

/// Everything that the page's address answers. Without a `desk` nothing can be changed there.
pub fn router(hub: Arc<Hub>, access: Arc<Access>, desk: Option<Arc<dyn ConfigDesk>>) -> Router {
    let asset = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    Router::new()
        .route("/", asset("text/html; charset=utf-8", PAGE))
        .route("/page.js", asset("text/javascript; charset=utf-8", SCRIPT))
        .route(
            "/editor.js",
            asset("text/javascript; charset=utf-8", EDITOR),
        )
        .route(
            "/timeline.js",
            asset("text/javascript; charset=utf-8", TIMELINE),
        )
        .route(
            "/cameras.js",
            asset("text/javascript; charset=utf-8", CAMERAS),
        )
        .route(
            "/health.js",
            asset("text/javascript; charset=utf-8", HEALTH),
        )
        .route(
            "/webrtc.js",
            asset("text/javascript; charset=utf-8", WEBRTC),
        )
        .route("/panels.css", asset("text/css; charset=utf-8", PANELS))
        .route("/page.css", asset("text/css; charset=utf-8", STYLE))
        .route(
            "/login.js",
            asset("text/javascript; charset=utf-8", LOGIN_SCRIPT),
        )
        .route("/api/v1/openapi.json", asset(JSON, OPENAPI))
        .route("/api/v1/login", post(access::log_in))
        .route("/api/v1/logout", post(access::log_out))
        .route("/api/v1/session", get(access::session))
        .route("/api/v1/system", get(health::system))
        .route("/api/v1/cameras", get(cameras).post(editing::add_camera))
        .route(
            "/api/v1/cameras/{id}",
            put(editing::change_camera).delete(editing::remove_camera),
        )
        .route("/api/v1/cameras/{id}/config", get(editing::places))
        .route(
            "/api/v1/cameras/{id}/zones",
            put(editing::put_places).post(editing::try_places),
        )
        .route("/api/v1/cameras/{id}/events", get(events::events))
        .route("/api/v1/cameras/{id}/events/{number}", get(events::event))
        .route(
            "/api/v1/cameras/{id}/events/{number}/frame.jpg",
            get(files::frame),
        )
        .route(
            "/api/v1/cameras/{id}/events/{number}/object.jpg",
            get(files::object),
        )
        .route(
            "/api/v1/cameras/{id}/events/{number}/clip.mp4",
            get(files::clip),
        )
        .route(
            "/api/v1/cameras/{id}/recordings",
            get(recordings::recordings),
        )
        .route(
            "/api/v1/cameras/{id}/recordings/{file}",
            get(files::recording),
        )
        .route(
            "/api/v1/cameras/{id}/recordings/{file}/keep",
            put(recordings::keep).delete(recordings::let_go),
        )
        .route("/api/v1/cameras/{id}/counts", get(counts))
        .route("/api/v1/cameras/{id}/minutes", get(minutes))
        .route("/api/v1/cameras/{id}/health", get(health::camera))
        .route("/api/v1/cameras/{id}/snapshot.jpg", get(snapshot))
        .route("/api/v1/cameras/{id}/live.mjpeg", get(mjpeg))
        .route("/api/v1/cameras/{id}/live", get(live))
        .route("/api/v1/cameras/{id}/video", get(video))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(from_fn_with_state(Arc::clone(&access), gate))
        .layer(from_fn_with_state(Arc::clone(&access), guard))
        .with_state(Served {
            hub,
            access,
            changing: desk.map(Changing::new),
        })
}

async fn cameras(State(hub): Shared) -> Response {
    let facts = hub.facts();
    let cameras: Vec<_> = facts.iter().map(|it| words::camera(it, &hub)).collect();
    json(&cameras)
}

#[derive(Deserialize)]
struct Since {
    last: Option<u64>,
}

async fn counts(State(hub): Shared, Path(id): Path<String>) -> Response {
    let Some(views) = hub.views(&id) else {
        return no_camera(&hub, &id);
    };
    let view = views.borrow().clone();
    match view {
        Some(view) => json(&words::so_far(&view)),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no frame yet\n").into_response(),
    }
}

async fn minutes(
    State(hub): Shared,
    Path(id): Path<String>,
    Query(since): Query<Since>,
) -> Response {
    match words::minutes(&hub, &id, since.last) {
        Some(rows) => json(&rows),
        None => no_camera(&hub, &id),
    }
}

async fn snapshot(State(hub): Shared, Path(id): Path<String>) -> Response {
    let Some(views) = hub.views(&id) else {
        return no_camera(&hub, &id);
    };
    let view = views.borrow().clone();
    match picture(&hub, view).await {
        Some((_, jpeg)) => ([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no picture yet\n").into_response(),
    }
}

async fn mjpeg(
    State(Served { hub, access, .. }): State<Served>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    let Some(views) = hub.views(&id) else {
        return no_camera(&hub, &id);
    };
    let viewer = Viewer::new(hub, views, access, caller);
    let parts = unfold(viewer, |mut viewer| async move {
        let (_, jpeg) = viewer.next().await?;
        let mut part = format!(
            "--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
            jpeg.len()
        )
        .into_bytes();
        part.extend_from_slice(&jpeg);
        part.extend_from_slice(b"\r\n");
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(part)), viewer))
    });
    let kind = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(parts)).into_response()
}

async fn live(
    State(Served { hub, access, .. }): State<Served>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let (Some(views), Some(events)) = (hub.views(&id), hub.event_numbers(&id)) else {
        return no_camera(&hub, &id);
    };
    upgrade
        .max_message_size(LONGEST_MESSAGE)
        .max_frame_size(LONGEST_MESSAGE)
        .on_upgrade(move |socket| {
            let viewer = Viewer::new(hub, views, access, caller);
            watch_live(socket, viewer, id, events)
        })
}

async fn video(
    State(Served { hub, access, .. }): State<Served>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(viewer) = webrtc::Viewer::new(&hub, access, caller, &id) else {
        return no_camera(&hub, &id);
    };
    upgrade
        .max_message_size(webrtc::LONGEST_MESSAGE)
        .max_frame_size(webrtc::LONGEST_MESSAGE)
        .on_upgrade(move |socket| viewer.look(socket))
}

/// Sends frames and events until the browser goes. A frame is a binary message: length of its JSON
/// (u32, big-endian), the JSON, the JPEG. Events are a text message, a list of their published lines.
async fn watch_live(
    mut socket: WebSocket,
    mut viewer: Viewer,
    id: String,
    mut numbers: watch::Receiver<u64>,
) {
    let mut told = *numbers.borrow_and_update();
    loop {
        let message = tokio::select! {
            said = socket.recv() => match said {
                // Pings are answered below; whatever else a browser says is not listened to.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            changed = numbers.changed() => {
                if changed.is_err() {
                    return;
                }
                numbers.borrow_and_update();
                let newer = Wanted { after: Some(told), ..Wanted::default() };
                let news = viewer.hub.recent_events(&id, &newer, usize::MAX);
                let news = news.unwrap_or_default().events;
                let Some(newest) = news.last() else { continue };
                told = newest.number;
                Message::Text(events::list(&news).into())
            },
            shown = viewer.next() => match shown {
                Some((view, jpeg)) => {
                    let age_s = view.came.elapsed().as_secs_f64();
                    let words =
                        words::frame(&view.result, age_s, &view.facts, &viewer.hub.classes);
                    let Ok(text) = serde_json::to_vec(&words) else { return };
                    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                    let mut bytes = length.to_be_bytes().to_vec();
                    bytes.extend_from_slice(&text);
                    bytes.extend_from_slice(&jpeg);
                    Message::Binary(bytes.into())
                }
                None => return,
            },
        };
        // One that takes nothing is cut off by the connection's own patience.
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Takes the newest view whenever there is one, at most so often as the options say.
struct Viewer {
    hub: Arc<Hub>,
    views: watch::Receiver<Option<Arc<View>>>,
    access: Arc<Access>,
    caller: Caller,
    due: Instant,
    /// Taken, and not yet given: what waits for its picture when the wait is broken off.
    pending: Option<Arc<View>>,
}

impl Viewer {
    fn new(
        hub: Arc<Hub>,
        views: watch::Receiver<Option<Arc<View>>>,
        access: Arc<Access>,
        caller: Caller,
    ) -> Self {
        let pending = views.borrow().clone();
        Self {
            hub,
            views,
            access,
            caller,
            due: Instant::now(),
            pending,
        }
    }

    /// The next view and its picture, after a while without one the last again; `None` at the end, of
    /// the caller's session too.
    /// May be dropped while it waits.
    async fn next(&mut self) -> Option<(Arc<View>, Bytes)> {
        loop {
            sleep_until(self.due).await;
            // Whoever has logged out, elsewhere too, sees no more.
            if !self.access.is_still_valid(&self.caller) {
                return None;
            }
            if self.pending.is_none() {
                match timeout(STILL_HERE, self.views.changed()).await {
                    Ok(changed) => changed.ok()?,
                    Err(_still) => {}
                }
                self.pending = self.views.borrow_and_update().clone();
            }
            let shown = picture(&self.hub, self.pending.clone()).await;
            self.pending = None;
            self.due = Instant::now() + Duration::from_secs_f64(1.0 / self.hub.options.fps);
            if shown.is_some() {
                return shown;
            }
        }
    }
}

/// The picture of a view, encoded on a thread where that holds nobody up.
async fn picture(hub: &Arc<Hub>, view: Option<Arc<View>>) -> Option<(Arc<View>, Bytes)> {
    let view = view?;
    let (encoding, options) = (Arc::clone(&view), hub.options);
    let encode = tokio::task::spawn_blocking(move || encoding.jpeg(options));
    let jpeg = encode.await.ok().flatten()?;
    Some((view, Bytes::from_owner(jpeg)))
}

pub(super) fn json(words: &impl Serialize) -> Response {
    match serde_json::to_string(words) {
        Ok(text) => ([(header::CONTENT_TYPE, JSON)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

pub(super) fn no_camera(hub: &Hub, id: &str) -> Response {
    let facts = hub.facts();
    let known: Vec<_> = facts.iter().map(|facts| facts.id.as_str()).collect();
    let known = known.join(", ");
    let text = format!("no camera \"{id}\"; there are: {known}\n");
    (StatusCode::NOT_FOUND, text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_address_of_the_api_is_described() {
        let source = include_str!("routes.rs");
        let source = source.split("#[cfg(test)]").next().unwrap();
        let parts = source.split("\"/api/v1").skip(1);
        let answered = parts.filter_map(|part| part.split_once('"').map(|(path, _)| path));
        let answered: BTreeSet<&str> = answered.filter(|it| *it != "/openapi.json").collect();
        let described: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let described = described["paths"].as_object().unwrap();
        // What has servers of its own is answered elsewhere: /healthz and /readyz.
        let is_here = |it: &(&String, &serde_json::Value)| it.1.get("servers").is_none();
        let described = described.iter().filter(is_here);
        let described: BTreeSet<&str> = described.map(|(path, _)| path.as_str()).collect();
        assert!(answered.len() > 15, "{answered:?}");
        assert_eq!(answered, described);
    }
}
