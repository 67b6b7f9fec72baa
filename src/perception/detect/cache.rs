//! What a provider has compiled, kept from one start to the next.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::remedy::gist;

/// What errors speak of that come from what is kept, and not from the card or the network.
const KEPT: [&str; 4] = ["engine", "deserializ", "cache", "blob"];

/// The part of the operator's folder that belongs to the network called `model`: nothing else is in it.
pub(super) fn of_model(folder: &Path, model: &str) -> PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name = model.replace(|c| !is_plain(c), "_");
    folder.join(format!("gantryd-{name}"))
}

/// Puts what is kept in `folder` out of the way, because the network could not be made with it, as the
/// error says; true if there was something and it is worth another try.
pub(super) fn set_aside(folder: Option<&Path>, error: &str) -> bool {
    // Sessions are opened side by side, and one must not take what another has just compiled.
    static SET_ASIDE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let text = error.to_lowercase();
    let is_of_it = KEPT.iter().any(|word| text.contains(word));
    let Some(folder) = folder.filter(|folder| is_of_it && holds_something(folder)) else {
        return false;
    };
    let mut set_aside = SET_ASIDE.lock().unwrap_or_else(PoisonError::into_inner);
    if !set_aside.insert(folder.to_owned()) {
        // It was compiled anew since the start: this fault is another.
        return false;
    }
    let aside = aside(folder);
    let moved = std::fs::remove_dir_all(&aside)
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
        .and_then(|()| std::fs::rename(folder, &aside));
    let folder = folder.display();
    match moved {
        Ok(()) => {
            tracing::warn!(%folder, aside = %aside.display(), why = gist(error),
                "the network could not be made with what was compiled before: it is set aside and compiled anew");
            true
        }
        Err(error) => {
            tracing::warn!(%folder, %error, "what was compiled before cannot be set aside");
            false
        }
    }
}

fn holds_something(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn aside(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".bad");
    folder.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_a_folder_of_its_own() {
        let of = |model| of_model(Path::new("engines"), model);
        assert_eq!(of("best.onnx"), Path::new("engines/gantryd-best_onnx"));
        assert_eq!(of("../../etc"), Path::new("engines/gantryd-______etc"));
    }

    #[test]
    fn what_is_kept_is_set_aside_once_and_nothing_twice() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("engines");
        let error = "the engine is of another card";
        assert!(!set_aside(None, error));
        assert!(!set_aside(Some(&folder), error), "there is none");
        std::fs::create_dir(&folder).unwrap();
        assert!(!set_aside(Some(&folder), error), "it is empty");
        std::fs::create_dir(place.path().join("engines.bad")).unwrap();
        std::fs::write(folder.join("a.engine"), "of before").unwrap();
        assert!(!set_aside(Some(&folder), "CUDA failure 2: out of memory"));
        assert!(set_aside(Some(&folder), error));
        assert!(!folder.exists());
        let kept = std::fs::read_to_string(place.path().join("engines.bad/a.engine"));
        assert_eq!(kept.unwrap(), "of before");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.engine"), "of now").unwrap();
        assert!(!set_aside(Some(&folder), error), "once in a process");
    }
}
