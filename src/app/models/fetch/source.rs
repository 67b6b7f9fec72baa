//! Where a model's file comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use super::FetchError;
use crate::base::redact_text;
use crate::perception::detect::Manifest;

/// Where bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Url(String),
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&redact_text(url)),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Where the file of model `id` is to come from: `from` if it is given, else the manifest's URL.
pub(super) fn source(
    id: &str,
    manifest: &Manifest,
    from: Option<&str>,
) -> Result<Origin, FetchError> {
    let file_name = manifest
        .file
        .file_name()
        .unwrap_or(manifest.file.as_os_str());
    let Some(from) = from else {
        return manifest.url.clone().map(Origin::Url).ok_or_else(|| {
            let source = manifest.source.as_deref().unwrap_or("its makers");
            let what = match &manifest.export {
                Some(export) => format!("{source} offers no ONNX file; make it with: {export}"),
                None => format!("its manifest names no url; get the file from {source}"),
            };
            FetchError::NoSource {
                id: id.to_owned(),
                what,
            }
        });
    };
    if from.contains("://") {
        let is_file = from
            .split(['?', '#'])
            .next()
            .is_some_and(|path| path.ends_with(".onnx"));
        return Ok(Origin::Url(if is_file {
            from.to_owned()
        } else {
            format!(
                "{}/{}",
                from.trim_end_matches('/'),
                file_name.to_string_lossy()
            )
        }));
    }
    let place = Path::new(from);
    let in_url = manifest
        .url
        .as_deref()
        .and_then(|url| url.rsplit('/').next());
    let names = [file_name.to_string_lossy().into_owned()]
        .into_iter()
        .chain(in_url.map(str::to_owned));
    let candidates: Vec<PathBuf> = if place.is_dir() {
        names
            .flat_map(|name| [place.join(&name), place.join(id).join(&name)])
            .collect()
    } else {
        vec![place.to_owned()]
    };
    match candidates.iter().find(|candidate| candidate.is_file()) {
        Some(found) => Ok(Origin::File(found.clone())),
        None => Err(FetchError::From {
            id: id.to_owned(),
            from: from.to_owned(),
            what: if place.is_dir() {
                format!("holds no {}", file_name.to_string_lossy())
            } else {
                "there is no such file or folder".to_owned()
            },
        }),
    }
}
