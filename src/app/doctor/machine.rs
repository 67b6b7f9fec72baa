//! The machine besides GStreamer: processor, accelerators, disk, clock, systemd.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Finding;

const MIB: u64 = 1024 * 1024;

/// Less free disk than this stops recordings within minutes.
const DISK_FAIL: u64 = 512 * MIB;

/// Less than this lasts some hours for one camera.
const DISK_WARN: u64 = 10 * 1024 * MIB;

/// Everything about the machine; `output` is where results go.
pub(super) fn examine(output: &Path) -> Vec<Finding> {
    vec![
        processor(),
        accelerators(),
        disk(output),
        clock(),
        systemd(),
    ]
}

fn processor() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let found = vector_units(&text);
    let is_x86 = cfg!(target_arch = "x86_64");
    let shown = format!(
        "{cores} cores, {}",
        if found.is_empty() {
            "no vector units known".to_owned()
        } else {
            found.join(" ")
        }
    );
    if is_x86 && !found.contains(&"avx2") {
        let remedy =
            "expect a third of the usual speed; in a virtual machine pass the host's CPU through";
        return Finding::warn("processor", shown, remedy);
    }
    Finding::ok("processor", shown)
}

/// Vector units that matter to inference, as `/proc/cpuinfo` names them.
fn vector_units(cpuinfo: &str) -> Vec<&'static str> {
    let flags = cpuinfo
        .lines()
        .find(|line| line.starts_with("flags") || line.starts_with("Features"))
        .unwrap_or_default();
    [
        "avx2",
        "avx_vnni",
        "avx512f",
        "avx512_vnni",
        "amx_int8",
        "asimd",
        "asimddp",
        "i8mm",
        "sve",
    ]
    .into_iter()
    .filter(|unit| flags.split_whitespace().any(|flag| flag == *unit))
    .collect()
}

fn accelerators() -> Finding {
    let devices = entries("/dev", |name| {
        name.strip_prefix("nvidia")
            .is_some_and(|rest| rest.parse::<u32>().is_ok())
    });
    let devices: Vec<PathBuf> = devices
        .into_iter()
        .chain(entries("/dev/dri", |name| name.starts_with("renderD")))
        .collect();
    if devices.is_empty() {
        return Finding::ok(
            "accelerators",
            "none, the processor does everything".to_owned(),
        );
    }
    let names: Vec<String> = devices
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let closed = devices.iter().find(|path| {
        let open = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path);
        open.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    });
    match closed {
        None => Finding::ok("accelerators", names.join(" ")),
        Some(path) => Finding::warn(
            "accelerators",
            format!("{} may not be used by this user", path.display()),
            "usermod --append --groups video,render USER, then log in again",
        ),
    }
}

fn entries(folder: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(&is_wanted))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn disk(output: &Path) -> Finding {
    let existing = output
        .ancestors()
        .find(|ancestor| ancestor.is_dir())
        .unwrap_or(Path::new("."));
    let existing = std::fs::canonicalize(existing).unwrap_or_else(|_| existing.to_owned());
    let place = existing.display();
    let Ok(status) = rustix::fs::statvfs(&existing) else {
        return Finding::warn(
            "disk",
            format!("{place} cannot be asked"),
            "look at it with df",
        );
    };
    let free = status.f_bavail.saturating_mul(status.f_frsize);
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let shown = format!(
        "{:.1} GiB free in {place}",
        free as f64 / (1024 * MIB) as f64
    );
    let remedy = "make room, or set output.folder to a larger disk";
    match free {
        0..DISK_FAIL => Finding::fail("disk", shown, remedy),
        DISK_FAIL..DISK_WARN => Finding::warn("disk", shown, remedy),
        _ => Finding::ok("disk", shown),
    }
}

/// Results carry UTC: a clock that runs free makes them useless as evidence.
fn clock() -> Finding {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Finding::ok("clock", "synchronised by systemd-timesyncd".to_owned());
    }
    let asked = Path::new("/run/systemd/system").exists().then(|| {
        Command::new("timedatectl")
            .args(["show", "--property=NTPSynchronized", "--value"])
            .output()
    });
    match asked {
        Some(Ok(output)) if output.stdout.starts_with(b"yes") => {
            Finding::ok("clock", "synchronised".to_owned())
        }
        Some(Ok(output)) if output.stdout.starts_with(b"no") => Finding::warn(
            "clock",
            "not synchronised: UTC times in results drift".to_owned(),
            "apt-get install systemd-timesyncd, or chrony",
        ),
        _ => Finding::warn(
            "clock",
            "not known whether it is synchronised".to_owned(),
            "in a container the host does it; else apt-get install systemd-timesyncd",
        ),
    }
}

fn systemd() -> Finding {
    match sd_notify::booted() {
        Ok(true) => Finding::ok("systemd", "runs this machine".to_owned()),
        _ => Finding::ok(
            "systemd",
            "not here (a container?): gantryd run works all the same".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_units_are_whole_words_of_the_flags() {
        let text = "processor : 0\nflags\t\t: fpu avx avx2 avx512f_not avx512_vnni\n";
        assert_eq!(vector_units(text), ["avx2", "avx512_vnni"]);
        assert!(vector_units("Features : asimd\n").contains(&"asimd"));
    }

    #[test]
    fn free_disk_is_told_for_a_folder_that_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let finding = disk(&folder.path().join("not/yet"));
        assert!(
            finding.found.contains(&folder.path().display().to_string()),
            "{finding:?}"
        );
    }
}
