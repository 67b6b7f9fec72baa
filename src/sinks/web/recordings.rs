//! What a camera's folder holds of recordings and clips.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Path as UrlPath, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::events::moment;
use super::hub::Hub;
use super::routes::{json, no_camera};
use crate::base::{CameraId, UtcNanos};
use crate::sinks::clips::sidecar_of;
use crate::sinks::http::Peer;
use crate::sinks::retention::{FilmKind, film_named, mark_of};

/// Files that one request gives where it does not say how many, and at most.
const LIMIT: usize = 100;
const MOST: usize = 1000;

/// The end of a sidecar that is looked at, bytes: a line of a crowd has some ten thousand.
const TAIL: u64 = 64 * 1024;

/// A file that was written to within this time is not finished.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
pub(super) struct Which {
    from: Option<String>,
    to: Option<String>,
    /// `annotated`, `raw` or `clip`.
    kind: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct FilmWords {
    camera: String,
    file: String,
    kind: &'static str,
    /// By the name, so to a second.
    begin: String,
    /// Up to the last picture that is described; absent where nothing describes them.
    length_s: Option<f64>,
    bytes: u64,
    /// Nobody writes to it any more.
    complete: bool,
    /// Marked to be kept for good.
    kept: bool,
}

#[derive(Deserialize)]
struct LastLine {
    segment_pts_ns: u64,
}

#[derive(Deserialize)]
struct ClipLength {
    duration_ns: u64,
}

pub(super) async fn recordings(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(id): UrlPath<String>,
    Query(which): Query<Which>,
) -> Response {
    if hub.views(&id).is_none() {
        return no_camera(&hub, &id);
    }
    let (from, to) = match (moment("from", which.from), moment("to", which.to)) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(text), _) | (_, Err(text)) => return (StatusCode::BAD_REQUEST, text).into_response(),
    };
    let _busy = peer.at_work();
    let folder = hub.folder_of(&CameraId::new(&id));
    let (wanted_kind, wanted_limit) = (which.kind, which.limit);
    let look = move || {
        let is_wanted = |kind: FilmKind, begin: UtcNanos| {
            wanted_kind.as_deref().is_none_or(|it| it == kind.as_str())
                && from.is_none_or(|from| begin >= from)
                && to.is_none_or(|to| begin < to)
        };
        let limit = wanted_limit.unwrap_or(LIMIT).min(MOST);
        newest(&folder, &id, is_wanted, limit)
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(films) => json(&films),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Marks a recording or clip to be kept for good: no limit of age, size or room deletes it.
pub(super) async fn keep(hub: State<Arc<Hub>>, film: UrlPath<(String, String)>) -> Response {
    mark(hub, film, true).await
}

/// Takes the mark away.
pub(super) async fn let_go(hub: State<Arc<Hub>>, film: UrlPath<(String, String)>) -> Response {
    mark(hub, film, false).await
}

async fn mark(
    State(hub): State<Arc<Hub>>,
    UrlPath((id, file)): UrlPath<(String, String)>,
    is_kept: bool,
) -> Response {
    if hub.views(&id).is_none() {
        return no_camera(&hub, &id);
    }
    let folder = hub.folder_of(&CameraId::new(&id));
    let film = tokio::fs::symlink_metadata(folder.join(&file)).await;
    let mark = mark_of(&id, &file).filter(|_| film.is_ok_and(|it| it.is_file()));
    let Some(mark) = mark.map(|mark| folder.join(mark)) else {
        let text = "no recording has this name; cameras/ID/recordings lists them\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let done = if is_kept {
        tokio::fs::write(&mark, b"").await
    } else {
        tokio::fs::remove_file(&mark).await
    };
    match done {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_kept => {}
        Err(error) => {
            let text = format!("the mark of {file} cannot be written: {error}\n");
            return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
        }
    }
    info!(camera = id, file, is_kept, "marked over the page");
    StatusCode::NO_CONTENT.into_response()
}

/// The newest films, oldest first.
fn newest(
    folder: &Path,
    camera: &str,
    is_wanted: impl Fn(FilmKind, UtcNanos) -> bool,
    limit: usize,
) -> Vec<FilmWords> {
    // Nothing was recorded yet where there is no folder.
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut films: Vec<_> = names
        .filter_map(|name| {
            let (kind, stamp) = film_named(camera, &name)?;
            let begin = begin_of(stamp)?;
            is_wanted(kind, begin).then_some((begin, name, kind))
        })
        .collect();
    films.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    let films = films.split_off(films.len().saturating_sub(limit));
    let words = films.into_iter().filter_map(|(begin, file, kind)| {
        let path = folder.join(&file);
        let stat = std::fs::symlink_metadata(&path)
            .ok()
            .filter(|it| it.is_file())?;
        let age = stat.modified().ok()?.elapsed().unwrap_or_default();
        Some(FilmWords {
            camera: camera.to_owned(),
            kind: kind.as_str(),
            begin: begin.to_string(),
            length_s: length(&path, kind),
            bytes: stat.len(),
            kept: mark_of(camera, &file).is_some_and(|mark| folder.join(mark).exists()),
            complete: age > SETTLED_AFTER || (kind == FilmKind::Clip && sidecar_of(&path).exists()),
            file,
        })
    });
    words.collect()
}

/// Length of a film, seconds, by what describes it.
fn length(film: &Path, kind: FilmKind) -> Option<f64> {
    let nanos = if kind == FilmKind::Clip {
        let text = std::fs::read_to_string(sidecar_of(film)).ok()?;
        serde_json::from_str::<ClipLength>(&text).ok()?.duration_ns
    } else {
        let tail = tail(&film.with_extension("jsonl")).ok()?;
        let mut lines = tail.rsplit('\n');
        let last = lines.find_map(|line| serde_json::from_str::<LastLine>(line).ok())?;
        last.segment_pts_ns
    };
    Some((nanos as f64 / 1e6).round() / 1e3)
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The moment that `yyyymmddThhmmssZ` names.
fn begin_of(stamp: &str) -> Option<UtcNanos> {
    let part = |from: usize, to: usize| stamp.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(9, 11)?, part(11, 13)?, part(13, 15)?);
    UtcNanos::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn films_are_listed_with_kind_begin_length_and_bytes_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("gate_20260301T080000Z.mp4", "12345");
        write(
            "gate_20260301T080000Z.jsonl",
            "{\"segment_pts_ns\":0}\n{\"segment_pts_ns\":2500000000}\n{\"segm",
        );
        write("gate_20260301T090000Z_raw.mp4", "");
        write("gate_20260301T083000Z_clip.mp4", "123");
        write(
            "gate_20260301T083000Z_clip.json",
            "{\"duration_ns\":9000000000}",
        );
        write("yard_20260301T083000Z.mp4", "another camera's");
        write("holiday.mp4", "");
        std::fs::create_dir(folder.path().join("gate_20260301T070000Z.mp4")).unwrap();
        let link = folder.path().join("gate_20260301T060000Z.mp4");
        std::os::unix::fs::symlink("/etc/passwd", link).unwrap();

        let all = newest(folder.path(), "gate", |_, _| true, 9);
        let told: Vec<_> = all
            .iter()
            .map(|it| (it.kind, it.length_s, it.bytes))
            .collect();
        let expected = [
            ("annotated", Some(2.5), 5),
            ("clip", Some(9.0), 3),
            ("raw", None, 0),
        ];
        assert_eq!(told, expected);
        assert_eq!(all[0].begin, "2026-03-01T08:00:00.000000000Z");
        assert!(all[1].complete && !all[2].complete);
        let clips = newest(folder.path(), "gate", |kind, _| kind == FilmKind::Clip, 9);
        assert_eq!(clips.len(), 1);
        let last = newest(folder.path(), "gate", |_, _| true, 1);
        assert_eq!(last[0].kind, "raw");
        assert!(newest(&folder.path().join("none"), "gate", |_, _| true, 9).is_empty());
    }
}
