//! Finds a decision log and reads it line by line.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::ExplainError;
use crate::sinks::publish::{DECISIONS_SCHEMA_ID, DecisionLine};

/// End of a log's name.
const ENDING: &str = ".decisions.jsonl";
/// Ends of the names of results; the longest that fits is replaced.
const RESULT_ENDINGS: [&str; 5] = [".mot.txt", ".events.jsonl", ".jsonl", ".txt", ".mp4"];
/// A longer line is none that was written by gantryd: the largest frame takes less.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// The log that belongs to these results: `out/gate.jsonl`, `out/gate.mot.txt` →
/// `out/gate.decisions.jsonl`.
#[must_use]
pub fn log_beside(results: &Path) -> PathBuf {
    let name = results.file_name().unwrap_or_default().to_string_lossy();
    if is_log(&name) {
        return results.to_owned();
    }
    let stem = RESULT_ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .filter(|stem| !stem.is_empty())
        .unwrap_or(&name);
    results.with_file_name(format!("{stem}{ENDING}"))
}

/// Removes the log of earlier results of the same name, which would explain tracks that are no more.
pub fn forget_log_beside(results: &Path) {
    let log = log_beside(results);
    let begins = |file: File| {
        let mut start = Vec::new();
        let read = BufReader::new(file.take(MAX_LINE_BYTES)).read_until(b'\n', &mut start);
        read.is_ok() && serde_json::from_slice::<DecisionLine>(&start).is_ok()
    };
    if log == results || !File::open(&log).is_ok_and(begins) {
        return;
    }
    let path = log.display();
    match fs::remove_file(&log) {
        Ok(()) => {
            tracing::info!(%path, "the decisions of earlier results of this name are removed")
        }
        Err(error) => tracing::warn!(%path, %error, "these decisions belong to earlier results"),
    }
}

/// Whether a file of this name is a log: the one being written, or a full one of a daemon
/// (`gate.decisions_20260301T120000Z.jsonl`).
fn is_log(name: &str) -> bool {
    let full = || {
        let stem = name.strip_suffix(".jsonl")?;
        let (_, stamp) = stem.rsplit_once(".decisions_")?;
        Some(stamp.starts_with(|first: char| first.is_ascii_digit()))
    };
    name.ends_with(ENDING) || full().unwrap_or(false)
}

/// The log that is meant by a log, results, or a folder with one log.
pub(super) fn find(named: &Path) -> Result<PathBuf, ExplainError> {
    if named.is_dir() {
        return find_in(named);
    }
    let log = log_beside(named);
    if log.is_file() {
        return Ok(log);
    }
    if named == log || !named.exists() {
        let path = named.to_owned();
        return Err(ExplainError::NoResults { path });
    }
    Err(ExplainError::NotRecorded {
        results: named.to_owned(),
        log,
    })
}

fn find_in(folder: &Path) -> Result<PathBuf, ExplainError> {
    let read_error = |source| ExplainError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut logs = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error)? {
        let path = entry.map_err(read_error)?.path();
        let name = path.file_name().unwrap_or_default();
        if is_log(&name.to_string_lossy()) {
            logs.push(path);
        }
    }
    logs.sort();
    let name = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    match logs.as_slice() {
        [log] => Ok(log.clone()),
        [] => Err(ExplainError::NotRecorded {
            results: folder.to_owned(),
            log: folder.join(format!("NAME{ENDING}")),
        }),
        several => Err(ExplainError::Several {
            folder: folder.to_owned(),
            names: several.iter().map(name).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// Hands every line of the log to `take`.
///
/// A last line that is not whole (it is being written, the power went) is passed over.
pub(super) fn read(path: &Path, mut take: impl FnMut(DecisionLine)) -> Result<(), ExplainError> {
    let read_error = |source| ExplainError::Read {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::new(File::open(path).map_err(read_error)?);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let mut one = reader.by_ref().take(MAX_LINE_BYTES);
        if one.read_until(b'\n', &mut bytes).map_err(read_error)? == 0 {
            break;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<DecisionLine>(&bytes) {
            Ok(parsed) if parsed.schema() == DECISIONS_SCHEMA_ID => {
                take(parsed);
            }
            Ok(parsed) => return Err(other_schema(path, line, parsed.schema())),
            Err(_) if !bytes.ends_with(b"\n") => break,
            Err(error) => return Err(fault(path, line, &bytes, &error)),
        }
    }
    Ok(())
}

/// Another version is told apart from what is no log at all.
fn fault(path: &Path, line: u64, bytes: &[u8], error: &serde_json::Error) -> ExplainError {
    let value: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let schema = value.as_ref().and_then(|value| value["schema"].as_str());
    match schema {
        Some(found) if found != DECISIONS_SCHEMA_ID => other_schema(path, line, found),
        _ => ExplainError::Line {
            path: path.to_owned(),
            line,
            fault: error.to_string(),
        },
    }
}

fn other_schema(path: &Path, line: u64, found: &str) -> ExplainError {
    ExplainError::Schema {
        path: path.to_owned(),
        line,
        found: found.to_owned(),
        known: DECISIONS_SCHEMA_ID,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_log_of_decisions_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (results, log) = (
            folder.path().join("a.txt"),
            folder.path().join("a.decisions.jsonl"),
        );
        fs::write(&log, "my notes\n").unwrap();
        forget_log_beside(&results);
        assert!(log.exists());
    }

    #[test]
    fn results_of_every_kind_have_one_log() {
        for results in ["out/a.b.jsonl", "out/a.b.mot.txt", "out/a.b.txt", "out/a.b"] {
            let log = log_beside(Path::new(results));
            assert_eq!(log, Path::new("out/a.b.decisions.jsonl"), "{results}");
            assert_eq!(log_beside(&log), log);
        }
        let full = Path::new("out/results.decisions_20260301T120000Z-1.jsonl");
        assert_eq!(log_beside(full), full);
        let results = Path::new("out/the.decisions_of_a_judge.jsonl");
        assert_ne!(log_beside(results), results);
    }
}
