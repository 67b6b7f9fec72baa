//! Exit codes and texts of the program itself.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use assert_cmd::Command;

fn gantryd(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantryd"));
    let output = command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("GANTRYD_CONFIG")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn help_and_version_end_with_0() {
    let (code, out, _) = gantryd(&["--help"]);
    assert_eq!(code, 0);
    for name in [
        "run", "track", "replay", "check", "models", "doctor", "bench",
    ] {
        assert!(out.contains(&format!("\n  {name} ")), "{name} in {out}");
        let (code, help, _) = gantryd(&[name, "--help"]);
        assert_eq!(code, 0);
        assert!(help.contains("Usage: gantryd"), "{help}");
    }
    let (code, out, _) = gantryd(&["--version"]);
    assert_eq!(
        (code, out.trim()),
        (0, concat!("gantryd ", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn a_usage_error_ends_with_2_and_is_told_on_stderr() {
    for arguments in [
        &[][..],
        &["trak"],
        &["track"],
        &["run"],
        &["track", "a.mp4", "--conf", "2"],
    ] {
        let (code, out, error) = gantryd(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(!error.is_empty());
    }
    let (_, _, error) = gantryd(&["track", "a.mp4", "--provider", "cudda"]);
    assert!(error.contains("a similar value exists: 'cuda'"), "{error}");
}

#[test]
fn check_tells_every_fault_and_ends_with_78() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    let text =
        "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://u:hunter2@h/x\"\nstall_secs = 0\n[lok]\n";
    std::fs::write(&file, text).unwrap();
    let (code, out, _) = gantryd(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 78);
    assert!(out.lines().count() >= 3, "{out}");
    assert!(
        out.contains("site.toml: cameras[0].stall_secs: 0, allowed is 1 to 600"),
        "{out}"
    );
    assert!(
        out.contains("site.toml: lok: unknown key, did you mean log?"),
        "{out}"
    );
    assert!(!out.contains("hunter2"), "{out}");
}

#[test]
fn run_refuses_a_bad_configuration_with_78_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    std::fs::write(&file, "[[cameras]]\nid = \"gate\"\n").unwrap();
    let (code, out, error) = gantryd(&["run", "--config", file.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (78, ""));
    assert!(error.contains("cameras[0].uri: missing"), "{error}");
}

#[test]
fn completions_and_manual_are_printed() {
    let (code, out, _) = gantryd(&["completions", "bash"]);
    assert!(code == 0 && out.contains("complete -F"), "{out}");
    let (code, out, _) = gantryd(&["man"]);
    assert!(
        code == 0 && out.starts_with(".ie") || out.contains(".TH gantryd"),
        "{out}"
    );
}

#[test]
fn doctor_tune_times_the_ways_and_writes_one_that_is_found_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site.toml");
    std::fs::write(&site, "# mine\n[record]\nenabled = false\n").unwrap();
    // A path that holds only where the test runs.
    let (code, out, error) = gantryd(&[
        "doctor",
        "--tune",
        "--model",
        "tests/fixtures/models/shapes.onnx",
        "--write",
        site.to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(error.contains("shapes.onnx on cpu, 1 x "), "{error}");
    assert!(
        out.contains("[detect]") && out.contains("pictures/s"),
        "{out}"
    );
    let written = std::fs::read_to_string(&site).unwrap();
    assert!(
        written.starts_with("# mine\n[record]\nenabled = false\n"),
        "{written}"
    );
    let model = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/models/shapes.onnx"
    );
    assert!(
        written.contains(&format!("model = \"{model}\"")),
        "{written}"
    );
    let (code, out, _) = gantryd(&["check", "--config", site.to_str().unwrap()]);
    assert!(!out.contains("model"), "{code} {out}");
}

#[test]
fn doctor_prints_a_table() {
    let (code, out, _) = gantryd(&["doctor"]);
    assert!([0, 1].contains(&code));
    assert!(
        out.contains("GStreamer") && out.contains("ONNX Runtime"),
        "{out}"
    );
}
