//! Events over the API: by number, time, type and place.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::archive::{self, Found, Search};
use super::files::no_event;
use super::hub::Hub;
use super::past::{Told, Wanted};
use super::routes::{JSON, no_camera};
use crate::base::{CameraId, UtcNanos};

/// Events that one request gives where it does not say how many.
const LIMIT: usize = 100;

/// Events that one request gives at most.
const MOST: usize = 5000;

/// Header of an answer that ends before everything was looked through: ask again with this `before`.
const UNREAD: &str = "gantryd-unread-before";

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
    let limit = which.limit.unwrap_or(LIMIT).min(MOST);
    let wanted = match which.wanted() {
        Ok(wanted) => wanted,
        Err(text) => return (StatusCode::BAD_REQUEST, text).into_response(),
    };
    let Some(found) = find(&hub, &id, wanted, limit).await else {
        return no_camera(&hub, &id);
    };
    let unread = found
        .unread_before
        .map(|number| [(UNREAD, number.to_string())]);
    ([(header::CONTENT_TYPE, JSON)], unread, list(&found.events)).into_response()
}

/// The newest `limit` events that are wanted, from memory and, for what is no longer there, from the
/// event files; `None` is no camera.
async fn find(hub: &Arc<Hub>, id: &str, wanted: Wanted, limit: usize) -> Option<Found> {
    let picked = hub.recent_events(id, &wanted, limit)?;
    let Some(below) = picked.older_than else {
        return Some(Found {
            events: picked.events,
            unread_before: None,
        });
    };
    let asked = Search {
        wanted,
        below,
        limit: limit - picked.events.len(),
        used: picked.bytes,
    };
    let folder = hub.folder_of(&CameraId::new(id));
    // It is held until the search is over, whoever has gone away meanwhile.
    let turn = hub.searching().acquire_owned().await;
    let search = move || {
        let found = archive::search(&folder, &asked);
        drop(turn);
        found
    };
    let older = tokio::task::spawn_blocking(search).await;
    let mut found = older.unwrap_or_default();
    found.events.extend(picked.events);
    Some(found)
}

/// The event of this number, from memory or from the event files; the outer `None` is no camera.
pub(super) async fn find_one(hub: &Arc<Hub>, id: &str, number: u64) -> Option<Option<Told>> {
    if let Some(event) = hub.recent_event(id, number)? {
        return Some(Some(event));
    }
    let wanted = Wanted {
        after: number.checked_sub(1),
        before: number.checked_add(1),
        ..Wanted::default()
    };
    let found = find(hub, id, wanted, 1).await?;
    Some(
        found
            .events
            .into_iter()
            .find(|event| event.number == number),
    )
}

pub(super) async fn event(
    State(hub): State<Arc<Hub>>,
    Path((id, number)): Path<(String, u64)>,
) -> Response {
    match find_one(&hub, &id, number).await {
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
