//! Finds ONNX Runtime and loads it, once per process.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::logging::LogLevel;

/// Names the library itself, without its folder and version.
const LIBRARY: &str = "libonnxruntime.so";

/// Why ONNX Runtime cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// None of the places holds a library that can be loaded.
    #[error(
        "loading ONNX Runtime (1.{minimum} or newer): {}; run scripts/setup, or name the library in detect.runtime_library or ORT_DYLIB_PATH",
        describe(tried)
    )]
    NotFound {
        /// The oldest minor version that can be used.
        minimum: u32,
        /// Each place and what was wrong there.
        tried: Vec<(PathBuf, String)>,
    },
    /// The library was loaded and refuses to work.
    #[error("starting ONNX Runtime {library}")]
    Start {
        /// The library.
        library: PathBuf,
        /// What it says.
        #[source]
        source: ort::Error,
    },
}

fn describe(tried: &[(PathBuf, String)]) -> String {
    let places: Vec<String> = tried
        .iter()
        .map(|(path, why)| format!("{}: {why}", path.display()))
        .collect();
    places.join("; ")
}

/// ONNX Runtime, loaded.
#[derive(Debug)]
pub struct Runtime {
    environment: Environment,
    library: PathBuf,
    version: String,
}

impl Runtime {
    /// ONNX Runtime, loaded at the first call and the same ever after: a process has only one, so
    /// that later calls ignore `explicit`.
    ///
    /// `explicit` is the library or a folder that holds it; then nothing else is tried. Without it:
    /// `ORT_DYLIB_PATH`, `../lib/gantryd` beside the program, `.runtime/onnxruntime` in a folder above
    /// the program (a source tree), `/usr/lib/gantryd`, and what the system's loader finds.
    ///
    /// # Errors
    /// [`RuntimeError`] names each place and what was wrong there.
    pub fn load(explicit: Option<&Path>) -> Result<&'static Self, RuntimeError> {
        static LOADED: OnceLock<Runtime> = OnceLock::new();
        static LOADING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = LOADED.get() {
            return Ok(runtime);
        }
        let chosen = explicit.map(Path::to_owned).or_else(|| {
            std::env::var_os("ORT_DYLIB_PATH")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        });
        let program = std::env::current_exe().ok();
        let runtime = Self::start(&candidates(chosen.as_deref(), program.as_deref()))?;
        Ok(LOADED.get_or_init(|| runtime))
    }

    fn start(candidates: &[PathBuf]) -> Result<Self, RuntimeError> {
        let mut tried = Vec::new();
        for library in candidates {
            match open(library) {
                Ok(builder) => {
                    let environment = builder
                        .with_name("gantryd")
                        .with_telemetry(false)
                        .build()
                        .map_err(|source| RuntimeError::Start {
                            library: library.clone(),
                            source,
                        })?;
                    environment.set_log_level(LogLevel::Warning);
                    return Ok(Self {
                        environment,
                        version: version(library),
                        library: library.clone(),
                    });
                }
                Err(why) => tried.push((library.clone(), why)),
            }
        }
        Err(RuntimeError::NotFound {
            minimum: ort::MINOR_VERSION,
            tried,
        })
    }

    /// What sessions are made in.
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The library that was loaded.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// Version of the library, `1.31.1` or at least `1.31`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the library says about how it was built.
    #[must_use]
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }
}

/// Places to try, in order. A place that the operator named is the only one.
fn candidates(chosen: Option<&Path>, program: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = chosen {
        let inside = libraries_in(path);
        return if inside.is_empty() {
            vec![path.to_owned()]
        } else {
            inside
        };
    }
    let mut folders = Vec::new();
    if let Some(folder) = program.and_then(Path::parent) {
        folders.push(folder.join("../lib/gantryd"));
        folders.extend(
            folder
                .ancestors()
                .map(|above| above.join(".runtime/onnxruntime")),
        );
    }
    folders.push(PathBuf::from("/usr/lib/gantryd"));
    folders
        .iter()
        .flat_map(|folder| libraries_in(folder))
        .chain([
            PathBuf::from(format!("{LIBRARY}.1")),
            PathBuf::from(LIBRARY),
        ])
        .collect()
}

/// The runtime libraries in `folder`, newest first; empty if there is no such folder.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<OsString> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| version_in(name).is_some())
        .collect();
    names.sort_by_key(|name| version_in(name));
    names.reverse();
    names.iter().map(|name| folder.join(name)).collect()
}

/// The numbers after the name of the library; none for the bare name, `None` for another file.
fn version_in(name: &OsStr) -> Option<Vec<u32>> {
    let rest = name.to_str()?.strip_prefix(LIBRARY)?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let numbers = rest.strip_prefix('.')?.split('.').map(str::parse);
    numbers.collect::<Result<_, _>>().ok()
}

fn open(library: &Path) -> Result<ort::environment::EnvironmentBuilder, String> {
    let is_path = library.components().count() > 1;
    if is_path {
        // Opening a pipe or a device as a library would wait for ever.
        match std::fs::metadata(library) {
            Ok(found) if found.is_dir() => return Err(format!("holds no {LIBRARY}")),
            Ok(found) if !found.is_file() => return Err("is no ordinary file".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    ort::init_from(library).map_err(|error| match error {
        LoadDynamicError::Dlopen { error, .. } => {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        }
        LoadDynamicError::MissingApi { .. } => "is no ONNX Runtime".to_owned(),
        LoadDynamicError::BadVersion { version_str, .. } => {
            format!("is version {version_str}, too old")
        }
        other @ LoadDynamicError::InvalidVersionString => other.to_string(),
    })
}

/// The version in the name of the file, checked against the library, which tells two numbers only.
fn version(library: &Path) -> String {
    let Some(minor) = ort::util::probe(library) else {
        return "unknown".to_owned();
    };
    let named = std::fs::canonicalize(library)
        .ok()
        .and_then(|file| version_in(file.file_name()?))
        .filter(|numbers| numbers.len() > 2 && numbers.starts_with(&[1, minor]));
    match named {
        Some(numbers) => {
            let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            texts.join(".")
        }
        None => format!("1.{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn the_newest_library_of_a_folder_comes_first_and_others_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime.so",
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.1.31.1.orig",
        ] {
            file(folder.path(), name, b"");
        }
        let names: Vec<_> = libraries_in(folder.path())
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            names,
            [
                "libonnxruntime.so.1.31.1",
                "libonnxruntime.so.1.9.0",
                "libonnxruntime.so"
            ]
        );
    }

    #[test]
    fn a_source_tree_is_found_from_a_program_deep_inside() {
        let tree = tempfile::tempdir().unwrap();
        let library = file(
            tree.path(),
            ".runtime/onnxruntime/libonnxruntime.so.1.31.1",
            b"",
        );
        let program = tree.path().join("target/debug/deps/gantryd");
        assert_eq!(candidates(None, Some(&program))[0], library);
    }

    #[test]
    fn a_place_named_by_the_operator_is_the_only_one() {
        let named = Path::new("/nowhere/libonnxruntime.so");
        assert_eq!(
            candidates(Some(named), Some(Path::new("/usr/bin/gantryd"))),
            [named]
        );
    }

    #[test]
    fn what_cannot_be_loaded_is_an_error_that_names_place_reason_and_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let text = file(folder.path(), "libonnxruntime.so", b"not a library");
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let missing = folder.path().join("missing.so");
        let error = Runtime::start(&[text, pipe, missing, folder.path().to_owned()])
            .unwrap_err()
            .to_string();
        for part in [
            "loading ONNX Runtime (1.24 or newer)",
            "libonnxruntime.so: ",
            "pipe: is no ordinary file",
            "missing.so: No such file",
            "holds no libonnxruntime.so",
            "run scripts/setup",
            "detect.runtime_library",
            "ORT_DYLIB_PATH",
        ] {
            assert!(error.contains(part), "no \"{part}\" in: {error}");
        }
    }

    #[test]
    fn a_library_that_is_no_onnx_runtime_is_refused() {
        // libc is loaded in every process and exports no OrtGetApiBase.
        let error = open(Path::new("libc.so.6")).err().unwrap();
        assert_eq!(error, "is no ONNX Runtime");
    }
}
