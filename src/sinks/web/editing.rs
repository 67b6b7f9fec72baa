//! The configuration over the API: zones and lines of a camera, cameras that come, change and go. Each
//! change is made in the text ([`super::edit`]) and asked for at the desk.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, FromRef, FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::info;

use super::access::Caller;
use super::edit::{self, EditError, Login, NewPlaces, Places, Words};
use super::hub::Hub;
use super::routes::Served;
use crate::base::{
    ConfigChanges, ConfigDesk, ConfigRefusal, ConfigText, PasswordFile, Secret, redact_text,
};
use crate::sinks::http::Peer;

/// Longest wait for another's change; a camera that is opened takes seconds.
const QUEUE: Duration = Duration::from_secs(30);

/// Where a change is asked for: one at a time.
#[derive(Debug, Clone)]
pub(super) struct Changing {
    desk: Arc<dyn ConfigDesk>,
    turn: Arc<Semaphore>,
}

impl Changing {
    pub fn new(desk: Arc<dyn ConfigDesk>) -> Self {
        Self {
            desk,
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl FromRequestParts<Served> for Changing {
    type Rejection = Response;

    async fn from_request_parts(_: &mut Parts, served: &Served) -> Result<Self, Response> {
        Option::<Self>::from_ref(served).ok_or_else(|| {
            let text = "the configuration is not to be changed here\n";
            (StatusCode::NOT_FOUND, text).into_response()
        })
    }
}

/// Why something was not done, for people and for the page.
#[derive(Serialize)]
struct Faults {
    faults: Vec<FaultWords>,
}

#[derive(Serialize)]
struct FaultWords {
    /// What it is about: `zones` or `lines`, and which of those that were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    text: String,
}

#[derive(Serialize)]
struct PlacesAnswer<'a> {
    camera: &'a str,
    revision: &'a str,
    #[serde(flatten)]
    places: Places,
    /// Classes that the detector knows, by the names of results.
    classes: &'a [String],
}

#[derive(Serialize)]
struct ChangeAnswer {
    /// Of the text as it is now.
    revision: String,
    /// It was only tried.
    dry_run: bool,
    changes: ConfigChanges,
}

#[derive(Deserialize)]
pub(super) struct How {
    #[serde(default)]
    dry_run: bool,
}

/// What every change needs to know of its request.
pub(super) struct Asked {
    caller: Caller,
    peer: Peer,
    revision: Option<String>,
    dry_run: bool,
}

impl FromRequestParts<Served> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, served: &Served) -> Result<Self, Response> {
        let refuse = IntoResponse::into_response;
        let how = Query::<How>::from_request_parts(parts, served).await;
        let Query(how) = how.map_err(IntoResponse::into_response)?;
        let caller = Extension::<Caller>::from_request_parts(parts, served).await;
        let Extension(caller) = caller.map_err(IntoResponse::into_response)?;
        let peer = ConnectInfo::<Peer>::from_request_parts(parts, served).await;
        let ConnectInfo(peer) = peer.map_err(refuse)?;
        Ok(Self {
            caller,
            peer,
            revision: revision(&parts.headers),
            dry_run: how.dry_run,
        })
    }
}

/// The revision that `If-Match` names.
fn revision(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(header::IF_MATCH)?.to_str().ok()?;
    Some(given.trim().trim_matches('"').to_owned())
}

pub(super) async fn places(
    changing: Changing,
    axum::extract::State(hub): axum::extract::State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
) -> Response {
    let _busy = peer.at_work();
    let read = move || {
        let ConfigText { text, revision } = changing.desk.current().map_err(Failure::Desk)?;
        let (_, places) = edit::places(&text, &id).map_err(Failure::Edit)?;
        let words = PlacesAnswer {
            camera: &id,
            revision: &revision,
            places,
            classes: &hub.classes,
        };
        let tag = [(header::ETAG, format!("\"{revision}\""))];
        Ok((tag, Json(words)).into_response())
    };
    told(tokio::task::spawn_blocking(read).await, &[])
}

pub(super) async fn put_places(
    changing: Changing,
    asked: Asked,
    Path(id): Path<String>,
    body: Result<Json<NewPlaces>, JsonRejection>,
) -> Response {
    let places = match body {
        Ok(Json(places)) => places,
        Err(rejection) => return rejection.into_response(),
    };
    change(changing, asked, "zones", None, move |text, _| {
        let new = edit::with_places(text, &id, &places)?;
        let index = edit::places(text, &id)?.0;
        Ok((new, Some(index)))
    })
    .await
}

/// As [`put_places`], but only to try.
pub(super) async fn try_places(
    changing: Changing,
    asked: Asked,
    path: Path<String>,
    body: Result<Json<NewPlaces>, JsonRejection>,
) -> Response {
    if !asked.dry_run {
        let text = "POST only tries: add ?dry_run=true, or PUT the zones\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    put_places(changing, asked, path, body).await
}

pub(super) async fn add_camera(
    changing: Changing,
    asked: Asked,
    body: Result<Json<Words>, JsonRejection>,
) -> Response {
    let mut words = match body {
        Ok(Json(words)) => words,
        Err(rejection) => return rejection.into_response(),
    };
    let id = words.get("id").and_then(|id| id.as_str());
    let id = id.unwrap_or("camera").to_owned();
    let login = match NewLogin::take(&mut words, id) {
        Ok(login) => login,
        Err(refused) => return told(Ok(Err(Failure::Edit(refused))), &[]),
    };
    let user = login.as_ref().and_then(|login| login.user.clone());
    change(changing, asked, "camera added", login, move |text, file| {
        let login = file.map(|password_file| Login {
            user: user.as_deref(),
            password_file,
        });
        Ok((edit::with_camera(text, &words, login.as_ref())?, None))
    })
    .await
}

pub(super) async fn change_camera(
    changing: Changing,
    asked: Asked,
    Path(id): Path<String>,
    body: Result<Json<Words>, JsonRejection>,
) -> Response {
    let mut words = match body {
        Ok(Json(words)) => words,
        Err(rejection) => return rejection.into_response(),
    };
    let login = match NewLogin::take(&mut words, id.clone()) {
        Ok(login) => login,
        Err(refused) => return told(Ok(Err(Failure::Edit(refused))), &[]),
    };
    let user = login.as_ref().and_then(|login| login.user.clone());
    change(changing, asked, "camera", login, move |text, file| {
        let login = file.map(|password_file| Login {
            user: user.as_deref(),
            password_file,
        });
        let new = edit::with_changed_camera(text, &id, &words, login.as_ref())?;
        Ok((new, None))
    })
    .await
}

pub(super) async fn remove_camera(
    changing: Changing,
    asked: Asked,
    Path(id): Path<String>,
) -> Response {
    change(changing, asked, "camera removed", None, move |text, _| {
        Ok((edit::without_camera(text, &id)?, None))
    })
    .await
}

/// Longest password of a camera, bytes.
const LONGEST_PASSWORD: usize = 256;

/// What a camera is to be asked with from now on; it is in the request, and in a file of its own.
struct NewLogin {
    camera: String,
    user: Option<String>,
    password: Secret,
}

impl NewLogin {
    /// Takes it out of what was sent, if it is there.
    fn take(words: &mut Words, camera: String) -> Result<Option<Self>, EditError> {
        let refused = |text: &str| Err(EditError::Refused(text.to_owned()));
        let Some(password) = words.remove("password") else {
            return match words.contains_key("user") {
                true => refused("user: to be given together with the password"),
                false => Ok(None),
            };
        };
        let user = match words.remove("user") {
            None => None,
            Some(user) => match user.as_str().filter(|user| !user.is_empty()) {
                Some(user) => Some(user.to_owned()),
                None => return refused("user: allowed is a name"),
            },
        };
        let is_line = |it: &&str| {
            !it.is_empty() && it.len() <= LONGEST_PASSWORD && !it.contains(char::is_control)
        };
        match password.as_str().filter(is_line) {
            Some(password) => Ok(Some(Self {
                camera,
                user,
                password: Secret::new(password),
            })),
            None => refused("password: allowed is one line of at most 256 bytes"),
        }
    }
}

/// Why nothing was changed.
enum Failure {
    /// Not to be written down.
    Edit(EditError),
    /// The desk refuses.
    Desk(ConfigRefusal),
    /// The desk refuses the text in which this camera is meant.
    Invalid(Vec<String>, Option<usize>),
}

/// Makes the change `edit` in the text of the revision that was named, and asks for it. What `edit`
/// is given is the text, and the name of the file of the new password; what it gives is the new text, and
/// the index of the camera whose zones it is about.
async fn change(
    changing: Changing,
    asked: Asked,
    what: &'static str,
    login: Option<NewLogin>,
    edit: impl FnOnce(&str, Option<&str>) -> Result<(String, Option<usize>), EditError> + Send + 'static,
) -> Response {
    let Some(named) = asked.revision else {
        let text = "If-Match is missing: the revision that GET cameras/ID/config gave\n";
        return (StatusCode::PRECONDITION_REQUIRED, text).into_response();
    };
    let _busy = asked.peer.at_work();
    let turn = Arc::clone(&changing.turn);
    let Ok(Ok(turn)) = timeout(QUEUE, turn.acquire_owned()).await else {
        let text = "another change takes long, try again later\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let dry_run = asked.dry_run;
    let make = move || {
        // Kept until the desk is done, also if nobody waits for the answer any more.
        let _turn = turn;
        let ConfigText { text, revision } = changing.desk.current().map_err(Failure::Desk)?;
        if revision != named {
            return Err(Failure::Desk(ConfigRefusal::Outdated));
        }
        let file = login.map(|login| changing.desk.password_file(&login.camera, &login.password));
        let file = file.transpose().map_err(Failure::Desk)?;
        let name = file.as_ref().map(PasswordFile::name);
        let (new, index) = edit(&text, name.as_deref()).map_err(Failure::Edit)?;
        let refused = |refusal| match refusal {
            ConfigRefusal::Invalid(lines) => Failure::Invalid(lines, index),
            other => Failure::Desk(other),
        };
        let changes = if dry_run {
            changing.desk.check(&new).map_err(refused)?
        } else {
            let applied = changing.desk.apply(&new, &revision);
            // A configuration that was written names it, whatever came of the change after that.
            let is_named = || changing.desk.current().map_or(true, |now| now.text == new);
            if let Some(file) = file
                && (applied.is_ok() || is_named())
            {
                file.keep().map_err(Failure::Desk)?;
            }
            applied.map_err(refused)?
        };
        let revision = if dry_run {
            revision
        } else {
            changing.desk.current().map_err(Failure::Desk)?.revision
        };
        let answer = ChangeAnswer {
            revision,
            dry_run,
            changes,
        };
        Ok(Json(answer).into_response())
    };
    let made = tokio::task::spawn_blocking(make).await;
    if !dry_run && matches!(made, Ok(Ok(_))) {
        let (user, from) = (asked.caller.name.as_deref(), asked.peer.ip());
        info!(user, %from, what, "configuration changed over the page");
    }
    told(made, &["zones", "lines"])
}

fn told(
    made: Result<Result<Response, Failure>, tokio::task::JoinError>,
    lists: &[&'static str],
) -> Response {
    let about_nothing = |text: String| FaultWords {
        list: None,
        index: None,
        text: redact_text(&text),
    };
    let one = |status, text: String| {
        let faults = vec![about_nothing(text)];
        (status, Json(Faults { faults })).into_response()
    };
    match made {
        Err(_) => one(
            StatusCode::INTERNAL_SERVER_ERROR,
            "gantryd failed at this, see its log".to_owned(),
        ),
        Ok(Ok(response)) => response,
        Ok(Err(Failure::Edit(error))) => {
            let status = match error {
                EditError::NoCamera(_) => StatusCode::NOT_FOUND,
                EditError::Syntax => StatusCode::CONFLICT,
                EditError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            };
            one(status, error.to_string())
        }
        Ok(Err(Failure::Invalid(lines, camera))) => {
            let fault = |line: &String| {
                let place = camera.and_then(|camera| place(line, camera, lists));
                let mut words = about_nothing(line.clone());
                if let Some((list, index, text)) = place {
                    (words.list, words.index) = (Some(list), Some(index));
                    words.text = redact_text(text);
                }
                words
            };
            let faults = lines.iter().map(fault).collect();
            (StatusCode::UNPROCESSABLE_ENTITY, Json(Faults { faults })).into_response()
        }
        Ok(Err(Failure::Desk(refusal))) => {
            let status = match refusal {
                ConfigRefusal::Outdated => StatusCode::CONFLICT,
                ConfigRefusal::Invalid(_) | ConfigRefusal::Camera(_) => {
                    StatusCode::UNPROCESSABLE_ENTITY
                }
                ConfigRefusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            one(status, refusal.to_string())
        }
    }
}

/// Which zone or line of the camera a fault is about, and the fault from its key on:
/// `cameras[0].zones[2].loiter_secs: 0, allowed is …` is about zone 2.
fn place<'l>(
    line: &'l str,
    camera: usize,
    lists: &[&'static str],
) -> Option<(&'static str, usize, &'l str)> {
    // A fault may name another place too, behind its own.
    let mark = |list: &&'static str| {
        let mark = format!("cameras[{camera}].{list}[");
        Some((line.find(&mark)?, *list, mark.len()))
    };
    let (at, list, length) = lists.iter().filter_map(mark).min()?;
    let (index, text) = line[at + length..].split_once(']')?;
    let text = text.strip_prefix('.').unwrap_or(text);
    Some((list, index.parse().ok()?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_finds_its_zone() {
        let lists = ["zones", "lines"];
        let line = "site.toml: cameras[1].lines[12].name: missing, every zone and line needs one";
        let found = place(line, 1, &lists).unwrap();
        assert_eq!(
            found,
            ("lines", 12, "name: missing, every zone and line needs one")
        );
        assert!(place(line, 0, &lists).is_none());
        let two = "cameras[0].lines[3].name: \"a\" is the name of cameras[0].zones[1] too";
        assert_eq!(
            place(two, 0, &lists).map(|it| (it.0, it.1)),
            Some(("lines", 3))
        );
        assert!(place("web.fps: 0, allowed is 1", 0, &lists).is_none());
    }
}
