//! Events over the API: by number, time, type and place.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::files::no_event;
use super::hub::Hub;
use super::past::{EVENTS, Told, Wanted};
use super::routes::{JSON, no_camera};
use crate::base::UtcNanos;

/// Events that one request gives where it does not say how many.
const LIMIT: usize = 100;

#[derive(Deserialize)]
pub(super) struct Which {
    after: Option<u64>,
    before: Option<u64>,
    from: Option<String>,
    to: Option<String>,
    /// Several, with commas between.
    r#type: Option<String>,
    place: Option<String>,
    limit: Option<usize>,
}

impl Which {
    fn wanted(self) -> Result<Wanted, String> {
        let kinds = self.r#type.unwrap_or_default();
        let kinds = kinds.split(',').map(str::trim).filter(|it| !it.is_empty());
        Ok(Wanted {
            after: self.after,
            before: self.before,
            from: moment("from", self.from)?,
            to: moment("to", self.to)?,
            kinds: kinds.map(str::to_owned).collect(),
            place: self.place.filter(|place| !place.is_empty()),
        })
    }
}

/// The moment that a value of the request names, if there is one.
pub(super) fn moment(key: &str, text: Option<String>) -> Result<Option<UtcNanos>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let moment = UtcNanos::parse(&text);
    let fault = || format!("{key}: {text:?} is no time, write 2026-03-01T08:00:00Z\n");
    moment.map(Some).ok_or_else(fault)
}

pub(super) async fn events(
    State(hub): State<Arc<Hub>>,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Response {
    let limit = which.limit.unwrap_or(LIMIT).min(EVENTS);
    let wanted = match which.wanted() {
        Ok(wanted) => wanted,
        Err(text) => return (StatusCode::BAD_REQUEST, text).into_response(),
    };
    match hub.events(&id, &wanted, limit) {
        Some(events) => ([(header::CONTENT_TYPE, JSON)], list(&events)).into_response(),
        None => no_camera(&hub, &id),
    }
}

pub(super) async fn event(
    State(hub): State<Arc<Hub>>,
    Path((id, number)): Path<(String, u64)>,
) -> Response {
    match hub.event(&id, number) {
        Some(Some(event)) => {
            ([(header::CONTENT_TYPE, JSON)], event.line.to_string()).into_response()
        }
        Some(None) => no_event(number),
        None => no_camera(&hub, &id),
    }
}

/// Published lines, which are JSON already, as a JSON list.
pub(super) fn list(events: &[Told]) -> String {
    let lines: Vec<&str> = events.iter().map(|event| &*event.line).collect();
    format!("[{}]", lines.join(","))
}
