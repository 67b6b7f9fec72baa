//! Lets nobody in who may not: everything that is not named here needs a viewer, and everything that
//! changes something an operator and the word of the page.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::{Access, Caller, Role};

/// Brings the word that `GET session` gave along; no other site can set it.
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// What is shown to everybody.
const OPEN: &[(Method, &str)] = &[
    (Method::GET, "/page.css"),
    (Method::GET, "/login.js"),
    (Method::POST, "/api/v1/login"),
];

/// What a viewer may do although it is no mere looking.
const OWN: &str = "/api/v1/logout";

/// The page itself: whoever is not logged in gets the page to log in with.
const PAGE: &str = "/";

/// Answers instead of the router where the caller may not; tells it who the caller is otherwise.
pub(in crate::sinks::web) async fn gate(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    if OPEN.iter().any(|(m, p)| m == method && *p == path) {
        return next.run(request).await;
    }
    let Some(caller) = access.caller(request.headers(), Instant::now()) else {
        if path == PAGE {
            return (StatusCode::UNAUTHORIZED, super::login::page()).into_response();
        }
        let text = "log in first, or send Authorization: Bearer with a token (docs/web.md)\n";
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, challenge, text).into_response();
    };
    let is_looking = [Method::GET, Method::HEAD].contains(method);
    if !is_looking {
        if !has_word(&caller, &request) {
            let text = "a change needs X-CSRF-Token as GET /api/v1/session gives it, or a token\n";
            return (StatusCode::FORBIDDEN, text).into_response();
        }
        if caller.role < Role::Operator && path != OWN {
            let text = "a viewer may look and change nothing; ask an operator\n";
            return (StatusCode::FORBIDDEN, text).into_response();
        }
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn has_word(caller: &Caller, request: &Request) -> bool {
    let Some(word) = &caller.csrf else {
        return true;
    };
    let given = request.headers().get(CSRF);
    given.is_some_and(|given| given.as_bytes().ct_eq(word.as_bytes()).into())
}
