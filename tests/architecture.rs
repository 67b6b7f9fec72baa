//! Who may import whom (ARCHITECTURE.md), read from the sources.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

/// What no file of a folder may mention.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "src/base",
        &[
            "gstreamer",
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::perception",
            "crate::sinks",
        ],
    ),
    (
        "src/capture",
        &["ort::", "crate::app", "crate::perception", "crate::sinks"],
    ),
    (
        "src/card",
        &[
            "crate::app",
            "crate::capture",
            "crate::perception",
            "crate::sinks",
        ],
    ),
    (
        "src/perception/detect",
        &[
            "gstreamer",
            "crate::app",
            "crate::capture",
            "crate::sinks",
            "perception::track",
        ],
    ),
    (
        "src/perception/motion",
        &[
            "gstreamer",
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::sinks",
            "perception::detect",
            "perception::track",
            "std::time::Instant",
        ],
    ),
    (
        "src/perception/schedule",
        &[
            "gstreamer",
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::sinks",
            "perception::detect",
            "perception::motion",
            "perception::track",
            "std::time::Instant",
        ],
    ),
    (
        "src/perception/track",
        &[
            "gstreamer",
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::sinks",
            "perception::detect",
            "std::time::Instant",
        ],
    ),
    (
        "src/perception/zones",
        &[
            "gstreamer",
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::sinks",
            "perception::detect",
            "perception::track",
            "std::time::Instant",
        ],
    ),
    (
        "src/sinks/annotate",
        &[
            "gstreamer",
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::perception",
        ],
    ),
    (
        "src/sinks/publish",
        &[
            "gstreamer",
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::perception",
        ],
    ),
    (
        "src/sinks/record",
        &["ort::", "crate::app", "crate::capture", "crate::perception"],
    ),
    (
        "src/sinks/http",
        &[
            "gstreamer",
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::perception",
        ],
    ),
    ("src/app/config", &["gstreamer", "ort::"]),
    (
        "src/tools/evaluate",
        &[
            "gstreamer",
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::perception",
            "crate::sinks",
            "std::fs",
            "std::time::Instant",
        ],
    ),
    (
        "src/tools/simulate",
        &[
            "gstreamer",
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::perception",
            "crate::sinks",
            "tools::video",
        ],
    ),
    (
        "src/tools/video",
        &[
            "ort::",
            "crate::app",
            "crate::capture",
            "crate::perception",
            "crate::sinks",
            "tools::simulate",
        ],
    ),
];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn stages_meet_only_in_base_and_are_joined_only_in_app() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for (folder, words) in FORBIDDEN {
        let files = rust_files(&root.join(folder));
        assert!(
            !files.is_empty(),
            "{folder} holds no code: is the rule out of date?"
        );
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                let code = line.trim_start();
                let word = words.iter().find(|word| {
                    let mentions =
                        code.contains(&format!(" {word}")) || code.contains(&format!("({word}"));
                    mentions && !code.starts_with("//")
                });
                if let Some(word) = word {
                    faults.push(format!("{}:{}: {word}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "forbidden imports:\n{}",
        faults.join("\n")
    );
}

#[test]
fn unsafe_code_is_in_one_folder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // The driver of the tests is loaded by a test.
    let allowed = ["card/", "perception/detect/on_card/tests.rs"];
    let mut faults = Vec::new();
    for file in rust_files(&root) {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let is_unsafe = text
            .lines()
            .map(str::trim_start)
            .any(|line| !line.starts_with("//") && line.contains("unsafe "));
        if is_unsafe && !allowed.iter().any(|place| name.starts_with(place)) {
            faults.push(name.to_owned());
        }
    }
    assert!(
        faults.is_empty(),
        "unsafe code outside src/card: {faults:?}"
    );
}
