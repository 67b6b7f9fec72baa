//! Logging in and out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{Access, COOKIES, Caller, PASSWORD_BYTES};
use crate::base::LoginOutcome;
use crate::sinks::http::Peer;
use crate::sinks::web::editing::Changing;
use crate::sinks::web::hub::Hub;

const PAGE: &str = include_str!("../assets/login.html");

/// Longest wait for others' passwords to be compared.
const QUEUE: Duration = Duration::from_secs(8);

/// The page to log in with.
pub(super) fn page() -> Html<&'static str> {
    Html(PAGE)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sinks::web) struct LoginWords {
    name: String,
    password: String,
}

pub(in crate::sinks::web) async fn log_in(
    State(access): State<Arc<Access>>,
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    words: Result<Json<LoginWords>, JsonRejection>,
) -> Response {
    let Json(LoginWords { name, password }) = match words {
        Ok(words) => words,
        Err(rejection) => return rejection.into_response(),
    };
    let from = peer.ip();
    if let Some(wait) = access.wait(from) {
        hub.metrics.logins().count(LoginOutcome::HeldUp);
        warn!(%from, wait_secs = wait.as_secs(), "log-in held up: too many tries");
        return later(wait);
    }
    let _busy = peer.at_work();
    let Ok(Ok(place)) = timeout(QUEUE, access.comparing.acquire()).await else {
        hub.metrics.logins().count(LoginOutcome::HeldUp);
        return later(QUEUE);
    };
    let comparing = Arc::clone(&access);
    let compare = move || {
        if password.len() > PASSWORD_BYTES {
            return None;
        }
        comparing.account(&name, &password).cloned()
    };
    let account = tokio::task::spawn_blocking(compare).await.ok().flatten();
    drop(place);
    let Some(account) = account else {
        hub.metrics.logins().count(LoginOutcome::Refused);
        // What was given as the name may be a password.
        warn!(%from, "log-in refused: no such name and password");
        return (StatusCode::UNAUTHORIZED, "name or password is wrong\n").into_response();
    };
    access.attempts().forgive(from);
    if let Some(before) = access.cookie(&headers) {
        access.sessions().close(&super::Digest::of(before));
    }
    let opened = access
        .sessions()
        .open(Arc::clone(&account.name), account.role, Instant::now());
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response();
        }
    };
    hub.metrics.logins().count(LoginOutcome::Opened);
    info!(%from, user = %account.name, role = %account.role, "logged in");
    let age = access.rules.session_longest.as_secs();
    let cookie = cookie(&access, &headers, &opened.secret, age);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

pub(in crate::sinks::web) async fn log_out(
    State(access): State<Arc<Access>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    let Some(session) = &caller.session else {
        return (StatusCode::CONFLICT, "there is no session to end\n").into_response();
    };
    access.sessions().close(session);
    info!(user = caller.name.as_deref(), "logged out");
    let cookie = cookie(&access, &headers, "", 0);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

#[derive(Serialize)]
struct SessionWords<'a> {
    /// `None` where there are no accounts.
    user: Option<&'a str>,
    role: &'static str,
    /// What a change must bring along in `X-CSRF-Token`; `None` for a token, which needs none.
    csrf: Option<&'a str>,
    /// There is something to log out of.
    has_session: bool,
    /// The configuration can be changed here.
    can_edit: bool,
}

pub(in crate::sinks::web) async fn session(
    State(changing): State<Option<Changing>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let words = SessionWords {
        user: caller.name.as_deref(),
        role: caller.role.as_str(),
        csrf: caller.csrf.as_deref(),
        has_session: caller.session.is_some(),
        can_edit: changing.is_some() && caller.role == super::Role::Operator,
    };
    Json(words).into_response()
}

fn later(wait: Duration) -> Response {
    let secs = wait.as_secs().max(1);
    let text = format!("too many tries, wait {secs} s\n");
    let header = [(header::RETRY_AFTER, secs.to_string())];
    (StatusCode::TOO_MANY_REQUESTS, header, text).into_response()
}

/// The header that makes a browser keep, or forget, the session.
fn cookie(access: &Access, headers: &HeaderMap, secret: &str, age_secs: u64) -> String {
    let origin = headers.get(header::ORIGIN).map(|it| it.as_bytes());
    // A proxy may speak TLS for us.
    let is_secure = access.rules.is_tls || origin.is_some_and(|it| it.starts_with(b"https://"));
    let name = COOKIES[usize::from(is_secure)];
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{name}={secret}; Path=/; Max-Age={age_secs}; HttpOnly; SameSite=Strict{secure}")
}
