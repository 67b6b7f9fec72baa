//! The manifests in `models/`: whole, licensed, and true for the files that are at hand.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantryd::app::models::{FetchError, FetchOptions, by_id, fetch, inspect};
use gantryd::perception::detect::{DetectOptions, Manifest};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn manifests() -> BTreeMap<String, Manifest> {
    let entries = std::fs::read_dir(folder()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.path().join("manifest.toml").is_file());
    folders
        .map(|entry| {
            let id = entry.file_name().into_string().unwrap();
            let manifest = Manifest::read(&entry.path().join("manifest.toml"));
            (id, manifest.unwrap())
        })
        .collect()
}

#[test]
fn every_manifest_says_what_it_is_whose_and_how_to_get_it() {
    let manifests = manifests();
    for family in [
        "yolox_",
        "rtdetr_",
        "rtdetrv2_",
        "dfine_",
        "rfdetr_",
        "yolo26",
        "yolo11",
    ] {
        let members = manifests.keys().filter(|id| id.starts_with(family)).count();
        assert!(members >= 2, "{family}");
    }
    for (id, manifest) in &manifests {
        assert!(
            manifest.licence.is_some() && manifest.source.is_some(),
            "{id}"
        );
        let can_be_had =
            manifest.url.is_some() || manifest.export.is_some() || manifest.sha256.is_some();
        assert!(can_be_had, "{id}");
        let url = manifest.url.as_deref().unwrap_or("https://");
        assert!(url.starts_with("https://"), "{id}: {url}");
        // Its files have category numbers, which are only recognised where no list is stated.
        let has_categories = id.starts_with("rfdetr");
        assert_eq!(manifest.classes.is_none(), has_categories, "{id}");
    }
}

#[test]
fn ultralytics_models_ask_for_their_licence() {
    let to = tempfile::tempdir().unwrap();
    for (id, manifest) in manifests() {
        let is_theirs = manifest.source.unwrap().contains("ultralytics");
        assert_eq!(
            manifest.licence.as_deref() == Some("AGPL-3.0"),
            is_theirs,
            "{id}"
        );
        if is_theirs {
            let error = fetch(&id, &options(None, to.path())).unwrap_err();
            assert!(matches!(error, FetchError::Licence { .. }), "{id}: {error}");
        }
    }
}

fn options(from: Option<&Path>, to: &Path) -> FetchOptions {
    FetchOptions {
        folders: vec![folder(), to.to_owned()],
        from: from.map(|from| from.display().to_string()),
        to: to.to_owned(),
        accepted_licence: Some("LicenseRef-DEIMv2".to_owned()),
        retry_wait: Duration::ZERO,
    }
}

#[test]
fn the_copies_at_hand_are_the_files_that_the_manifests_mean() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models");
    if !shared.is_dir() {
        eprintln!("SKIPPED: {} is absent", shared.display());
        return;
    }
    let to = tempfile::tempdir().unwrap();
    for (id, family) in [
        ("yolox_nano_416", "YOLOX"),
        ("nanodet_m", "NanoDet"),
        ("picodet_s", "PicoDet"),
        ("deimv2_femto", "DEIM (deployed)"),
    ] {
        let fetched = fetch(id, &options(Some(&shared), to.path())).unwrap();
        assert_eq!(Some(fetched.bytes), manifests()[id].bytes, "{id}");
        let files = by_id(id, &[folder(), to.path().to_owned()]).unwrap();
        let inspection = inspect(files, None, &DetectOptions::default()).unwrap();
        assert!(inspection.is_usable(), "{id}");
        let told = inspection.to_string();
        assert!(told.contains(&format!("family      {family}\n")), "{told}");
        assert!(
            told.contains("classes     80: person, bicycle, car"),
            "{told}"
        );
    }
}
