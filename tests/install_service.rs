//! The unit is confined, and installing it is idempotent and can be undone.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Highest exposure that is accepted, tenths.
const EXPOSURE: &str = "30";

#[test]
fn the_unit_is_confined() {
    let unit = Path::new(ROOT).join("config/gantryd.service");
    let threshold = format!("--threshold={EXPOSURE}");
    let output = Command::new("systemd-analyze")
        .args(["security", "--no-pager", "--offline=true", &threshold])
        .arg(unit)
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: no systemd-analyze here");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    if text.is_empty() {
        let error = String::from_utf8_lossy(&output.stderr);
        eprintln!("SKIPPED: systemd-analyze cannot judge units offline: {error}");
        return;
    }
    assert!(output.status.success(), "{text}");
}

fn install(destination: &Path, arguments: &[&str]) -> Output {
    let program = destination.join("program");
    // Stands in for gantryd: the script asks it for manual pages and completions.
    std::fs::write(&program, "#!/bin/sh\necho \"$@\"\n").unwrap();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    Command::new(Path::new(ROOT).join("scripts/install-service"))
        .args(["--binary".as_ref(), program.as_os_str()])
        .args(arguments)
        .env("DESTDIR", destination.join("system"))
        .output()
        .unwrap()
}

fn files(folder: &Path, found: &mut BTreeMap<PathBuf, u64>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.insert(path.clone(), path.metadata().unwrap().len());
        }
    }
}

#[test]
fn installing_twice_changes_nothing_and_uninstalling_keeps_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let system = folder.path().join("system");
    let run = |arguments: &[&str]| {
        let output = install(folder.path(), arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        let mut found = BTreeMap::new();
        files(&system, &mut found);
        found
    };

    let first = run(&[]);
    for name in [
        "usr/local/bin/gantryd",
        "usr/local/share/gantryd/example.toml",
        "etc/systemd/system/gantryd.service",
        "etc/gantryd/site.toml",
    ] {
        assert!(first.contains_key(&system.join(name)), "no {name}");
    }
    let site = system.join("etc/gantryd/site.toml");
    std::fs::write(&site, "# mine\n").unwrap();
    run(&[]);
    assert_eq!(std::fs::read_to_string(&site).unwrap(), "# mine\n");
    assert_eq!(
        run(&["--uninstall"]).into_keys().collect::<Vec<_>>(),
        [site]
    );
    assert!(run(&["--uninstall", "--purge"]).is_empty());
}

#[test]
fn a_binary_that_is_not_there_gets_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let output = install(folder.path(), &["--binary", "/nowhere/gantryd"]);
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("/nowhere/gantryd is not there; run: cargo build"),
        "{error}"
    );
}
