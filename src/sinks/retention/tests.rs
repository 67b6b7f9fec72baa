//! The whole of it on real files, with a disk that says what the test wants.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::base::{DeleteReason, DiskRoom, Metrics, RoomLevel, UtcNanos};

/// 2023-11-14T22:13:20Z.
const NOW_SECS: u64 = 1_700_000_000;

/// What the disk has free, and how large it is.
type Disk = Arc<AtomicU64>;

struct Setup {
    folder: tempfile::TempDir,
    free: Disk,
    room: Arc<DiskRoom>,
    metrics: Arc<Metrics>,
    retention: Retention,
    started: Instant,
}

impl Setup {
    fn new(change: impl FnOnce(&mut RetentionOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = RetentionOptions {
            folder: folder.path().join("out"),
            max_age: None,
            max_bytes: None,
            clips: Limits::default(),
            events_max_age: None,
            cameras: BTreeMap::new(),
            deletes_clips: true,
            min_free: MinFree::Bytes(800),
            deletes_for_space: true,
        };
        change(&mut options);
        let free: Disk = Arc::new(AtomicU64::new(1_000_000));
        let (room, metrics) = (Arc::<DiskRoom>::default(), Metrics::new());
        let asked = Arc::clone(&free);
        let probe = move || {
            Ok(Space {
                free: asked.load(Ordering::Relaxed),
                total: 10_000_000,
            })
        };
        let retention = Retention::new(options, Arc::clone(&room), Arc::clone(&metrics))
            .with_probe(Box::new(probe));
        Self {
            folder,
            free,
            room,
            metrics,
            retention,
            started: Instant::now(),
        }
    }

    /// A file of 100 bytes, last written so many hours ago.
    fn file(&self, name: &str, hours_ago: u64) {
        let path = self.folder.path().join("out").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [b'x'; 100]).unwrap();
        age(&path, hours_ago);
    }

    fn tick(&mut self, after_secs: u64) {
        let now = self.started + Duration::from_secs(after_secs);
        self.retention
            .tick(now, UtcNanos((NOW_SECS as i64) * 1_000_000_000));
    }

    fn left(&self) -> BTreeSet<String> {
        let mut left = BTreeSet::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    left.insert(entry.file_name().to_str().unwrap().to_owned());
                }
            }
        }
        left
    }

    fn deleted(&self, reason: DeleteReason) -> (u64, u64) {
        self.metrics.disk().deleted_so_far(reason)
    }
}

fn age(path: &Path, hours_ago: u64) {
    let modified = std::time::UNIX_EPOCH + Duration::from_secs(NOW_SECS - hours_ago * 3600);
    let file = File::options().append(true).open(path).unwrap();
    file.set_modified(modified).unwrap();
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// Three recordings of two cameras with their sidecars and one file of results.
fn fill(setup: &Setup) {
    setup.file("gate/gate_20231114T100000Z.mp4", 5);
    setup.file("gate/gate_20231114T100000Z.jsonl", 5);
    setup.file("yard/yard_20231114T110000Z.mp4", 4);
    setup.file("yard/yard_20231114T110000Z.jsonl", 4);
    setup.file("gate/results_20231114T120000Z.jsonl", 3);
    setup.file("gate/gate_20231114T130000Z_raw.mp4", 2);
}

#[test]
fn what_is_marked_is_kept_from_every_limit() {
    let mut setup = Setup::new(|options| {
        options.max_age = Some(Duration::from_secs(3600));
        options.clips.max_age = Some(Duration::from_secs(3600));
        options.max_bytes = Some(0);
    });
    for name in [
        "gate_20231114T100000Z_clip",
        "gate_20231114T110000Z_clip",
        "gate_20231114T100000Z",
    ] {
        setup.file(&format!("gate/{name}.mp4"), 5);
    }
    setup.file("gate/gate_20231114T110000Z_clip.json", 5);
    setup.file("gate/gate_20231114T110000Z_clip.keep", 5);
    setup.file("gate/gate_20231114T100000Z.keep", 5);
    setup.free.store(0, Ordering::Relaxed);
    setup.tick(0);
    let expected = names([
        "gate_20231114T100000Z.keep",
        "gate_20231114T100000Z.mp4",
        "gate_20231114T110000Z_clip.json",
        "gate_20231114T110000Z_clip.keep",
        "gate_20231114T110000Z_clip.mp4",
    ]);
    assert_eq!(setup.left(), expected);
}

#[test]
fn what_is_too_old_is_deleted_with_its_sidecar() {
    let mut setup = Setup::new(|options| {
        options.max_age = Some(Duration::from_secs(3 * 3600 + 1800));
    });
    fill(&setup);
    setup.tick(0);
    assert_eq!(
        setup.left(),
        names([
            "results_20231114T120000Z.jsonl",
            "gate_20231114T130000Z_raw.mp4"
        ])
    );
    assert_eq!(setup.deleted(DeleteReason::Age), (4, 400));
}

#[test]
fn the_oldest_go_when_all_together_are_too_large() {
    let mut setup = Setup::new(|options| options.max_bytes = Some(450));
    fill(&setup);
    setup.tick(0);
    // 600 bytes in all: the oldest recording, 100 and its sidecar's 100, is enough.
    assert_eq!(setup.deleted(DeleteReason::Size), (2, 200));
    assert!(!setup.left().contains("gate_20231114T100000Z.mp4"));
}

#[test]
fn full_files_of_events_go_by_their_own_age_alone() {
    let old = "events_20260101T000000Z.jsonl";
    let files = [old, "events_20260301T000000Z.jsonl", "events.jsonl"];
    let mut kept = Setup::new(|options| {
        options.max_age = Some(Duration::from_secs(3600));
        options.max_bytes = Some(1);
    });
    let mut aged = Setup::new(|options| {
        options.events_max_age = Some(Duration::from_secs(100 * 3600));
    });
    for (setup, wanted) in [(&mut kept, &files[..]), (&mut aged, &files[1..])] {
        for (name, hours_ago) in files.iter().zip([200, 50, 200]) {
            setup.file(&format!("gate/{name}"), hours_ago);
        }
        setup.tick(0);
        let left = setup.left();
        let wanted: BTreeSet<String> = wanted.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(left, wanted);
    }
    assert_eq!(aged.deleted(DeleteReason::Age), (1, 100));
}

#[test]
fn nothing_else_is_ever_deleted() {
    let mut setup = Setup::new(|options| {
        options.max_age = Some(Duration::from_secs(1));
        options.max_bytes = Some(0);
        options.min_free = MinFree::Bytes(1_000_000_000);
    });
    let stamp = "20231114T100000Z";
    let kept = [
        "gate/results.jsonl".to_owned(),
        "gate/events.jsonl".to_owned(),
        format!("gate/events_{stamp}.jsonl"),
        format!("gate/yard_{stamp}.mp4"),
        "gate/holiday.mp4".to_owned(),
        "spool/events.redb".to_owned(),
        format!("gate_{stamp}.mp4"),
        format!("gate/deeper/gate_{stamp}.mp4"),
        format!("../gate/gate_{stamp}_9.mp4"),
    ];
    for name in &kept {
        setup.file(name, 100);
    }
    // Links: one to a file that would fit, one to a folder that would.
    let out = setup.folder.path().join("out");
    let elsewhere = setup.folder.path().join("gate");
    std::os::unix::fs::symlink(
        elsewhere.join(format!("gate_{stamp}_9.mp4")),
        out.join(format!("gate/gate_{stamp}.mp4")),
    )
    .unwrap();
    std::os::unix::fs::symlink(&elsewhere, out.join("linked")).unwrap();
    fs::create_dir(out.join(format!("gate/gate_{stamp}_2.mp4"))).unwrap();
    let before = setup.left();
    setup.tick(0);
    assert_eq!(setup.left(), before);
    assert_eq!(setup.room.level(), RoomLevel::EventsOnly);
}

#[test]
fn what_is_being_written_is_left_alone() {
    let mut setup = Setup::new(|options| options.max_age = Some(Duration::from_secs(1)));
    fill(&setup);
    let gate = setup.folder.path().join("out/gate");
    // This process has it open, however old it is; and somebody wrote to another 9 s ago.
    let open = File::open(gate.join("gate_20231114T100000Z.mp4")).unwrap();
    let fresh = File::options()
        .append(true)
        .open(gate.join("gate_20231114T130000Z_raw.mp4"))
        .unwrap();
    fresh
        .set_modified(std::time::UNIX_EPOCH + Duration::from_secs(NOW_SECS - 9))
        .unwrap();
    drop(fresh);
    setup.tick(0);
    let left = names([
        "gate_20231114T100000Z.mp4",
        "gate_20231114T100000Z.jsonl",
        "gate_20231114T130000Z_raw.mp4",
    ]);
    assert_eq!(setup.left(), left);
    drop(open);
    setup.tick(60);
    assert_eq!(setup.left(), names(["gate_20231114T130000Z_raw.mp4"]));
}

#[test]
fn the_oldest_make_room_and_recording_goes_on() {
    let mut setup = Setup::new(|_| {});
    fill(&setup);
    setup.tick(0);
    assert_eq!(setup.left().len(), 6);
    // 700 of 800; recording would resume at 900, so 200 have to go.
    setup.free.store(700, Ordering::Relaxed);
    setup.tick(1);
    assert_eq!(setup.deleted(DeleteReason::Space), (2, 200));
    assert_eq!(
        setup.room.level(),
        RoomLevel::Enough,
        "it takes a moment to show"
    );
    setup.free.store(900, Ordering::Relaxed);
    setup.tick(2);
    assert_eq!(setup.room.level(), RoomLevel::Enough);
    assert_eq!(setup.left().len(), 4);
}

#[test]
fn recording_pauses_when_nothing_more_may_be_deleted_and_resumes_by_itself() {
    let mut setup = Setup::new(|_| {});
    fill(&setup);
    setup.free.store(100, Ordering::Relaxed);
    setup.tick(0);
    assert_eq!(setup.left().len(), 0);
    assert_eq!(setup.room.level(), RoomLevel::EventsOnly);
    for (after, free, level) in [
        (1, 700, RoomLevel::EventsOnly),
        (2, 800, RoomLevel::NoRecording),
        (3, 899, RoomLevel::NoRecording),
        (4, 900, RoomLevel::Enough),
        (5, 800, RoomLevel::Enough),
    ] {
        setup.free.store(free, Ordering::Relaxed);
        setup.tick(after);
        assert_eq!(setup.room.level(), level, "{free}");
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, setup.metrics.registry()).unwrap();
    for line in [
        "gantryd_recording_pauses_total 1",
        "gantryd_recording_paused 0",
        "gantryd_retention_deleted_files_total{reason=\"space\"} 6",
        "gantryd_retention_deleted_bytes_total{reason=\"space\"} 600",
        "gantryd_disk_free_bytes 800",
    ] {
        assert!(text.contains(line), "missing {line} in\n{text}");
    }
}

#[test]
fn an_operator_may_have_it_pause_and_keep_everything() {
    let mut setup = Setup::new(|options| options.deletes_for_space = false);
    fill(&setup);
    setup.free.store(799, Ordering::Relaxed);
    setup.tick(0);
    assert_eq!(setup.left().len(), 6);
    assert_eq!(setup.room.level(), RoomLevel::NoRecording);
}

#[test]
fn a_disk_that_cannot_be_asked_stops_nothing() {
    let mut setup = Setup::new(|options| options.max_age = Some(Duration::from_secs(3600)));
    setup.retention =
        setup.retention.with_probe(Box::new(
            || Err(std::io::ErrorKind::PermissionDenied.into()),
        ));
    // Nor does a folder that is not there.
    setup.tick(0);
    assert_eq!(setup.room.level(), RoomLevel::Enough);
    fill(&setup);
    setup.tick(60);
    assert_eq!(setup.left().len(), 0);
    assert_eq!(setup.room.level(), RoomLevel::Enough);
}

#[test]
fn what_cannot_be_deleted_does_not_keep_the_others() {
    let mut setup = Setup::new(|options| options.max_age = Some(Duration::from_secs(3600)));
    fill(&setup);
    let gate = setup.folder.path().join("out/gate");
    let immutable = gate.join("gate_20231114T100000Z.mp4");
    let chattr = |flag: &str| {
        let status = std::process::Command::new("chattr")
            .arg(flag)
            .arg(&immutable)
            .status();
        status.is_ok_and(|status| status.success())
    };
    if !chattr("+i") {
        eprintln!("SKIPPED: cannot make a file immutable here");
        return;
    }
    setup.tick(0);
    setup.tick(60);
    let left = setup.left();
    assert!(chattr("-i"));
    assert_eq!(
        left,
        names(["gate_20231114T100000Z.jsonl", "gate_20231114T100000Z.mp4"])
    );
}

#[test]
fn a_disk_is_asked_for_real() {
    let space = room_on(Path::new("/")).unwrap();
    assert!(space.total > 0 && space.free <= space.total);
    assert!(room_on(Path::new("/nowhere/at/all")).is_err());
}

#[test]
fn clips_and_pictures_go_last_for_want_of_room_or_never() {
    for deletes_clips in [true, false] {
        let mut setup = Setup::new(|options| options.deletes_clips = deletes_clips);
        fill(&setup);
        // Older than everything else.
        for name in ["_clip.mp4", "_clip.json", "_clip.jsonl", "_7_frame.jpg"] {
            setup.file(&format!("gate/gate_20231114T080000Z{name}"), 9);
        }
        // 600 bytes of recordings and results; 700 are missing up to 900.
        setup.free.store(200, Ordering::Relaxed);
        setup.tick(0);
        let left = setup.left();
        if deletes_clips {
            assert_eq!(setup.deleted(DeleteReason::Space), (7, 700));
            assert_eq!(
                left.len(),
                3,
                "the oldest of what is kept of events: {left:?}"
            );
        } else {
            assert_eq!(setup.deleted(DeleteReason::Space), (6, 600));
            assert_eq!(left.len(), 4, "{left:?}");
        }
    }
}

#[test]
fn a_camera_keeps_its_recordings_as_long_as_it_says() {
    let mut setup = Setup::new(|options| {
        options.max_age = Some(Duration::from_secs(3600));
        let own = OwnLimits {
            recordings: Limits {
                max_age: Some(Duration::from_secs(100 * 3600)),
                max_bytes: None,
            },
            ..OwnLimits::default()
        };
        options.cameras.insert("yard".to_owned(), own);
    });
    fill(&setup);
    setup.file("yard/yard_20231114T110000Z_clip.mp4", 400);
    setup.tick(0);
    assert_eq!(
        setup.left(),
        names([
            "yard_20231114T110000Z.mp4",
            "yard_20231114T110000Z.jsonl",
            "yard_20231114T110000Z_clip.mp4"
        ])
    );
}
