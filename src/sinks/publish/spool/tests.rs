//! What an operator counts on: what waits survives, in order and within its bound.

use std::path::Path;
use std::sync::Arc;

use super::*;

const SINK: &str = "room";

fn limit(max_bytes: u64) -> [QueueLimit; 1] {
    [QueueLimit {
        sink: SINK.to_owned(),
        max_bytes,
    }]
}

fn open(file: &Path, max_bytes: u64) -> Spool {
    Spool::open(file, &limit(max_bytes), Metrics::new()).unwrap()
}

fn entry(spool: &Spool, text: &str) -> Entry {
    let camera = CameraId::new("gate");
    Entry {
        sequence: spool.newest_sequence(&camera) + 1,
        id: "1-gate-1".to_owned(),
        camera,
        route: "gate/turn".to_owned(),
        text: text.to_owned(),
        sinks: vec![SINK.to_owned()],
    }
}

fn texts(spool: &Spool) -> Vec<String> {
    let waiting = spool.read(SINK, 0, 10_000).unwrap();
    waiting.into_iter().map(|it| it.text).collect()
}

#[test]
fn what_was_not_forgotten_waits_in_order_after_a_restart_and_numbering_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spool/events.redb");
    let spool = open(&file, 1 << 20);
    for text in ["a", "b", "c"] {
        spool.append(&[entry(&spool, text)]).unwrap();
    }
    let first = spool.read(SINK, 0, 1).unwrap().remove(0);
    assert_eq!(
        (first.text.as_str(), first.route.as_str()),
        ("a", "gate/turn")
    );
    spool.forget(SINK, first.order).unwrap();
    let word = spool.instance().to_owned();
    drop(spool);

    let spool = open(&file, 1 << 20);
    assert_eq!(texts(&spool), ["b", "c"]);
    assert_eq!(spool.waiting(SINK), 2);
    assert_eq!(spool.instance(), word);
    assert_eq!(spool.newest_sequence(&CameraId::new("gate")), 3);
    assert_eq!(spool.newest_sequence(&CameraId::new("yard")), 0);
}

#[test]
fn a_full_spool_deletes_its_oldest_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let file = folder.path().join("events.redb");
    // Each takes 4 + 8 + 9 + 1000 + 64 = 1085 bytes: nine fit.
    let spool = Spool::open(&file, &limit(10_000), Arc::clone(&metrics)).unwrap();
    for number in 0..20 {
        let text = format!("{number:01000}");
        spool.append(&[entry(&spool, &text)]).unwrap();
    }
    let left: Vec<usize> = texts(&spool).iter().map(|it| it.parse().unwrap()).collect();
    assert_eq!(left, (11..20).collect::<Vec<_>>());
    assert_eq!(metrics.sinks().counted(SINK, SinkStep::DroppedFull), 11);
    assert_eq!(metrics.sinks().counted(SINK, SinkStep::Spooled), 20);
}

#[test]
fn what_is_being_sent_makes_no_room_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let file = folder.path().join("events.redb");
    // Nine fit.
    let spool = Spool::open(&file, &limit(10_000), Arc::clone(&metrics)).unwrap();
    let append = |number: usize| {
        let text = format!("{number:01000}");
        spool.append(&[entry(&spool, &text)]).unwrap();
    };
    let left = || -> Vec<usize> { texts(&spool).iter().map(|it| it.parse().unwrap()).collect() };
    (0..9).for_each(append);
    let batch = spool.read(SINK, 0, 3).unwrap();
    spool.hold(SINK, batch[2].order);
    (9..14).for_each(append);
    assert_eq!(left(), [0, 1, 2, 8, 9, 10, 11, 12, 13]);
    spool.forget(SINK, batch[2].order).unwrap();
    spool.hold(SINK, 0);
    assert_eq!(left(), [8, 9, 10, 11, 12, 13]);
    // Fourteen came: three are delivered, five dropped, six wait.
    assert_eq!(metrics.sinks().counted(SINK, SinkStep::Spooled), 14);
    assert_eq!(metrics.sinks().counted(SINK, SinkStep::DroppedFull), 5);
    assert_eq!(spool.waiting(SINK), 6);
    // Nothing is in hand any more: the oldest goes again.
    (14..18).for_each(append);
    assert_eq!(left(), [9, 10, 11, 12, 13, 14, 15, 16, 17]);
}

#[test]
fn a_queue_that_is_trimmed_for_a_lower_bound_counts_what_it_loses_and_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.redb");
    let limits = |of_room: u64| {
        let other = QueueLimit {
            sink: "other".to_owned(),
            max_bytes: 1 << 20,
        };
        [limit(of_room)[0].clone(), other]
    };
    let spool = Spool::open(&file, &limits(1 << 20), Metrics::new()).unwrap();
    for number in 0..20 {
        let text = format!("{number:01000}");
        spool.append(&[entry(&spool, &text)]).unwrap();
    }
    drop(spool);

    // Nine of the twenty fit now; only another sink is sent anything.
    let metrics = Metrics::new();
    let spool = Spool::open(&file, &limits(10_000), Arc::clone(&metrics)).unwrap();
    for _ in 0..3 {
        let mut of_other = entry(&spool, "x");
        of_other.sinks = vec!["other".to_owned()];
        spool.append(&[of_other]).unwrap();
    }
    assert_eq!((texts(&spool).len(), spool.waiting(SINK)), (9, 9));
    assert_eq!(metrics.sinks().counted(SINK, SinkStep::DroppedFull), 11);
    assert_eq!(metrics.sinks().counted(SINK, SinkStep::Spooled), 0);
}

#[test]
fn a_damaged_file_is_set_aside_and_a_new_one_begun() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.redb");
    let spool = open(&file, 1 << 20);
    for _ in 0..50 {
        spool.append(&[entry(&spool, &"x".repeat(2000))]).unwrap();
    }
    let word = spool.instance().to_owned();
    drop(spool);
    let whole = std::fs::read(&file).unwrap();
    let damaged = [
        b"no spool at all".to_vec(),
        vec![7; 100_000],
        whole[..whole.len() / 2].to_vec(),
        Vec::new(),
    ];
    for (number, bytes) in damaged.iter().enumerate() {
        std::fs::write(&file, bytes).unwrap();
        let spool = open(&file, 1 << 20);
        assert_ne!(spool.instance(), word, "{number}");
        assert_eq!(texts(&spool), [""; 0], "{number}");
        spool.append(&[entry(&spool, "a")]).unwrap();
        assert_eq!(texts(&spool), ["a"]);
    }
    let aside = folder.path().join("events.redb.bad1");
    assert_eq!(std::fs::read(aside).unwrap(), damaged[0]);
}

#[test]
fn the_file_stays_near_its_bound_however_much_goes_through() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.redb");
    let spool = open(&file, 1 << 20);
    let text = "x".repeat(4000);
    for _ in 0..100 {
        let entries: Vec<Entry> = (0..50).map(|_| entry(&spool, &text)).collect();
        spool.append(&entries).unwrap();
    }
    let size = std::fs::metadata(&file).unwrap().len();
    assert!(size <= 8 << 20, "20 MB went through 1 MiB: {size} bytes");
}

#[test]
fn what_waits_for_a_sink_that_is_gone_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.redb");
    let spool = open(&file, 1 << 20);
    spool.append(&[entry(&spool, "a")]).unwrap();
    drop(spool);
    drop(Spool::open(&file, &[], Metrics::new()).unwrap());
    assert!(texts(&open(&file, 1 << 20)).is_empty());
}

#[test]
fn a_second_process_is_refused_and_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.redb");
    let _first = open(&file, 1 << 20);
    let error = Spool::open(&file, &limit(1), Metrics::new()).unwrap_err();
    assert!(error.to_string().contains("another gantryd"), "{error}");
}

#[test]
fn a_sink_is_told_of_what_is_new_and_of_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder.path().join("events.redb"), 1 << 20);
    let signal = spool.signal(SINK).unwrap();
    spool.append(&[entry(&spool, "a")]).unwrap();
    assert!(signal.has_changed().unwrap());
    assert!(!signal.borrow().is_closed);
    spool.close();
    assert!(signal.borrow().is_closed);
    assert!(spool.signal("nobody").is_none());
}

#[test]
fn a_full_disk_is_an_error_and_over_when_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(folder.path())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: a full disk needs the right to mount a tmpfs");
        return;
    }
    let spool = open(&folder.path().join("events.redb"), 64 << 20);
    let ballast = folder.path().join("ballast");
    let text = "x".repeat(4000);
    spool.append(&[entry(&spool, &text)]).unwrap();
    // The rest of the disk is somebody else's.
    let taken = std::fs::write(&ballast, vec![0; 2 << 20]);
    assert!(taken.is_err(), "the disk is full");
    let mut kept = 1;
    let error = loop {
        match spool.append(&[entry(&spool, &text)]) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1000, "the disk never became full");
    };
    assert!(error.to_string().contains("is the disk full?"), "{error}");
    assert!(spool.append(&[entry(&spool, &text)]).is_err());
    std::fs::remove_file(&ballast).unwrap();
    spool.append(&[entry(&spool, "last")]).unwrap();
    let found = texts(&spool);
    drop(spool);
    drop(
        std::process::Command::new("umount")
            .arg(folder.path())
            .status(),
    );
    assert!(found.len() > kept, "{} of more than {kept}", found.len());
    assert_eq!(found.last().map(String::as_str), Some("last"));
}
