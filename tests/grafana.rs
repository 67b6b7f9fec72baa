//! The dashboard asks for metrics that there are, by labels that they have.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::path::Path;

const DASHBOARD: &str = include_str!("../packaging/grafana/gantryd.json");

/// Everything between quotation marks in the files that register metrics, and the names of fields,
/// which are those of labels.
fn words_of_the_program() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/base");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path());
    let with_metrics = files.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with("metrics.rs")
    });
    let text: String = with_metrics
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c: char| !is_word(c))
        .map(str::to_owned)
        .collect()
}

/// Every `expr` of the panels.
fn expressions() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_metric_of_the_dashboard_is_one_of_gantryd() {
    let known = words_of_the_program();
    let expressions = expressions();
    assert!(expressions.len() > 30, "{}", expressions.len());
    for expression in &expressions {
        let names = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in names.filter(|it| it.starts_with("gantryd_") || it.starts_with("process_")) {
            let bare = name.strip_prefix("gantryd_").unwrap_or(name);
            let bare = ["_total", "_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| bare.strip_suffix(end))
                .unwrap_or(bare);
            assert!(known.contains(bare), "{name} in {expression}");
        }
    }
}

#[test]
fn every_label_of_the_dashboard_is_one_of_gantryd() {
    let known = words_of_the_program();
    // Those of Prometheus itself.
    let other = ["instance", "le"];
    for expression in expressions() {
        for grouped in expression.split(" by (").skip(1) {
            let (labels, _) = grouped.split_once(')').unwrap();
            for label in labels.split(", ") {
                assert!(
                    known.contains(label) || other.contains(&label),
                    "{label} in {expression}"
                );
            }
        }
    }
}
