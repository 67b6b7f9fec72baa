//! Material for tests of the detector.

#![expect(clippy::print_stderr, reason = "a skipped test has to say so")]

use std::path::PathBuf;

/// A folder of real material beside the project, or `None` (said aloud) where it is absent.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(folder);
    if path.is_dir() {
        Some(path)
    } else {
        eprintln!("SKIPPED: {} is absent", path.display());
        None
    }
}
