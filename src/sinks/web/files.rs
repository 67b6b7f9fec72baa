//! Files of a camera's folder: pictures and clips of events, recordings. Only names that gantryd gives
//! are looked for, so no path of a request leads out of the folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeFile;

use super::events::find_one;
use super::hub::Hub;
use super::past::Told;
use super::routes::no_camera;
use crate::base::{CameraId, UtcNanos, utc_now};
use crate::sinks::clips::sidecar_of;
use crate::sinks::retention::{FilmKind, film_named, is_picture};

/// A browser asks again whether a file is still there; what it has it need not load again.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// When a file that is under way is worth asking for again, seconds.
const AGAIN_SECS: u64 = 2;

/// A clip that nobody has written to for so long is not under way, whether described or not.
const SETTLED_AFTER: Duration = Duration::from_secs(15);

/// A file that shows an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Frame,
    Object,
    Clip,
}

impl Shows {
    fn as_str(self) -> &'static str {
        match self {
            Self::Frame => "picture",
            Self::Object => "picture of the object",
            Self::Clip => "clip",
        }
    }
}

pub(super) async fn frame(
    hub: State<Arc<Hub>>,
    event: Path<(String, u64)>,
    request: Request,
) -> Response {
    of_event(hub, event, Shows::Frame, request).await
}

pub(super) async fn object(
    hub: State<Arc<Hub>>,
    event: Path<(String, u64)>,
    request: Request,
) -> Response {
    of_event(hub, event, Shows::Object, request).await
}

pub(super) async fn clip(
    hub: State<Arc<Hub>>,
    event: Path<(String, u64)>,
    request: Request,
) -> Response {
    of_event(hub, event, Shows::Clip, request).await
}

/// A recording or clip by its name.
pub(super) async fn recording(
    State(hub): State<Arc<Hub>>,
    Path((id, file)): Path<(String, String)>,
    request: Request,
) -> Response {
    if hub.views(&id).is_none() {
        return no_camera(&hub, &id);
    }
    match film_named(&id, &file) {
        Some(_) => {
            let path = hub.folder_of(&CameraId::new(&id)).join(&file);
            given(path, request, &format!("the recording {file}")).await
        }
        None => {
            let text = "no recording has this name; cameras/ID/recordings lists them\n";
            (StatusCode::NOT_FOUND, text).into_response()
        }
    }
}

async fn of_event(
    State(hub): State<Arc<Hub>>,
    Path((id, number)): Path<(String, u64)>,
    shows: Shows,
    request: Request,
) -> Response {
    let event = match find_one(&hub, &id, number).await {
        Some(Some(event)) => event,
        Some(None) => return no_event(number),
        None => return no_camera(&hub, &id),
    };
    let what = shows.as_str();
    let Some(name) = name_of(&id, &event, shows) else {
        let text = format!(
            "no {what} was made of event {number}; [clips] and [snapshots] of the configuration say \
             which events get one\n"
        );
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let path = hub.folder_of(&CameraId::new(&id)).join(name);
    let is_under_way = match shows {
        Shows::Clip => is_under_way(&path).await,
        Shows::Frame | Shows::Object => is_awaited(&path, event.utc).await,
    };
    if is_under_way {
        let again = [(header::RETRY_AFTER, AGAIN_SECS.to_string())];
        let text = format!("the {what} of event {number} is still being written\n");
        return (StatusCode::CONFLICT, again, text).into_response();
    }
    given(path, request, &format!("the {what} of event {number}")).await
}

/// The name of a file that shows the event, if it is one that gantryd gives: the line may have been
/// read back from a file that somebody else wrote to.
fn name_of<'e>(camera: &str, event: &'e Told, shows: Shows) -> Option<&'e str> {
    let files = &event.files;
    let is_clip = |name: &&str| matches!(film_named(camera, name), Some((FilmKind::Clip, _)));
    let is_picture = |name: &&str| is_picture(camera, name);
    match shows {
        Shows::Clip => files.clip.as_deref().filter(is_clip),
        Shows::Frame => files.frame.as_deref().filter(is_picture),
        Shows::Object => files.object.as_deref().filter(is_picture),
    }
}

/// A clip gets its description when it is complete; one that got none, as in a crash, is complete
/// when nobody writes to it any more.
async fn is_under_way(path: &std::path::Path) -> bool {
    if tokio::fs::metadata(sidecar_of(path)).await.is_ok() {
        return false;
    }
    let written = tokio::fs::metadata(path).await.and_then(|it| it.modified());
    let age = written.map(|written| written.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age < SETTLED_AFTER)
}

/// A picture is there at once when it is complete, which may be a moment after its event was told.
async fn is_awaited(path: &std::path::Path, event: UtcNanos) -> bool {
    let age = utc_now().0.saturating_sub(event.0);
    let is_young = u64::try_from(age).is_ok_and(|age| Duration::from_nanos(age) < SETTLED_AFTER);
    is_young && tokio::fs::symlink_metadata(path).await.is_err()
}

/// The file, or the part of it that is asked for.
async fn given(path: PathBuf, request: Request, what: &str) -> Response {
    let gone = || {
        let text =
            format!("{what} is no longer on the disk: it was deleted to make room, or by hand\n");
        (StatusCode::NOT_FOUND, text).into_response()
    };
    // A link may lead anywhere.
    match tokio::fs::symlink_metadata(&path).await {
        Ok(file) if file.is_file() => {}
        Ok(_) => return gone(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return gone(),
        Err(error) => return failed(what, &error),
    }
    match ServeFile::new(&path).try_call(request).await {
        Ok(response) if response.status() == StatusCode::NOT_FOUND => gone(),
        Ok(response) => {
            let mut response = response.map(Body::new);
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, REVALIDATE);
            response
        }
        Err(error) => failed(what, &error),
    }
}

fn failed(what: &str, error: &std::io::Error) -> Response {
    let text = format!("{what} cannot be read: {error}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}

/// What is answered where an event is not known.
pub(super) fn no_event(number: u64) -> Response {
    let text = format!(
        "no event {number} here: it has not been told yet, or its event file was deleted to make room or by hand\n"
    );
    (StatusCode::NOT_FOUND, text).into_response()
}
