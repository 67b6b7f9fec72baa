//! The threads at the end of the frame path: text results and recordings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::events::{ClosesLog, RecordingLog};
use super::pipeline::Published;
use super::summary::Tally;
use super::{explain, resolve};
use crate::base::{CameraId, DiskRoom, DropReason, FrameMeta, Metrics, Stage, StageTimer, causes};
use crate::sinks::annotate::Privacy;
use crate::sinks::publish::{self, LineFile, PublishError};
use crate::sinks::record::{Recorder, SegmentInfo};

/// A file that failed is tried again after this time.
const REOPEN_AFTER: Duration = Duration::from_secs(5);

/// Written text reaches the disk at the latest after this time, also when nothing follows.
pub(super) const IDLE_FLUSH: Duration = Duration::from_millis(500);

/// The text files of one input of a one-shot command. They are made at the first result, so that
/// an input that cannot be read leaves earlier results alone.
#[derive(Debug)]
pub struct OneShotText {
    jsonl_path: PathBuf,
    mot_path: PathBuf,
    decisions_path: Option<PathBuf>,
    files: Option<OneShotFiles>,
}

#[derive(Debug)]
struct OneShotFiles {
    jsonl: LineFile,
    mot: LineFile,
    decisions: Option<LineFile>,
}

impl OneShotText {
    /// Will write `<stem>.jsonl` and `<stem>.mot.txt` into `folder`.
    #[must_use]
    pub fn new(folder: &Path, stem: &str) -> Self {
        Self {
            jsonl_path: folder.join(format!("{stem}.jsonl")),
            mot_path: folder.join(format!("{stem}.mot.txt")),
            decisions_path: None,
            files: None,
        }
    }

    /// Will write the tracker's decisions too, if it records them.
    #[must_use]
    pub fn with_decisions(mut self, path: Option<PathBuf>) -> Self {
        self.decisions_path = path;
        self
    }

    /// Writes everything that comes and counts it, until the channel closes or a file fails.
    ///
    /// # Errors
    /// The first file that fails.
    pub fn run(
        mut self,
        results: &Receiver<Published>,
        classes: &[String],
        metrics: &Metrics,
        tally: &mut Tally,
    ) -> Result<(), PublishError> {
        for item in results {
            let mut timer = StageTimer::start();
            self.write(&item, classes)?;
            tally.add(&item);
            let (wall, cpu) = timer.lap();
            metrics.stage(Stage::Publish, wall, cpu);
        }
        if let Some(files) = &mut self.files {
            files.jsonl.flush()?;
            files.mot.flush()?;
            files.decisions.as_mut().map_or(Ok(()), LineFile::flush)?;
        }
        Ok(())
    }

    fn write(&mut self, item: &Published, classes: &[String]) -> Result<(), PublishError> {
        let files = match (&mut self.files, item) {
            (Some(files), _) => files,
            // No frame ever came: there is nothing to report on.
            (
                None,
                Published::RunEnded { .. } | Published::Watched { .. } | Published::Gone { .. },
            ) => {
                return Ok(());
            }
            (empty, Published::Frame(_)) => {
                let decisions = self.decisions_path.as_deref();
                if decisions.is_none() {
                    explain::forget_log_beside(&self.jsonl_path);
                }
                empty.insert(OneShotFiles {
                    jsonl: LineFile::create(&self.jsonl_path)?,
                    mot: LineFile::create(&self.mot_path)?,
                    decisions: decisions.map(LineFile::create).transpose()?,
                })
            }
        };
        if let Some(line) = line(item, classes) {
            files.jsonl.write(&line)?;
        }
        if let (Some(file), Some(line)) = (&mut files.decisions, decisions(item)) {
            file.write(&line)?;
        }
        rows(item).map_or(Ok(()), |rows| files.mot.write(&rows))
    }
}

/// Which text files a daemon writes, and how large one becomes.
#[derive(Debug, Clone, Copy)]
pub struct DaemonFormats {
    /// `results.jsonl`.
    pub jsonl: bool,
    /// `results.mot.txt`.
    pub mot: bool,
    /// `results.decisions.jsonl`, if the tracker records them.
    pub decisions: bool,
    /// A file is closed at this size and the next begun.
    pub max_bytes: u64,
}

/// The result files of a daemon's cameras: appended to, rotated by size, tried again after a
/// failure. What cannot be written is counted, once for each file it is missing from.
#[derive(Debug)]
pub struct DaemonText {
    folder: PathBuf,
    formats: DaemonFormats,
    cameras: BTreeMap<CameraId, CameraFiles>,
    room: Arc<DiskRoom>,
}

#[derive(Debug)]
struct CameraFiles {
    jsonl: Option<DaemonFile>,
    mot: Option<DaemonFile>,
    decisions: Option<DaemonFile>,
}

/// A file that is opened when there is something to write, and again after a failure.
#[derive(Debug)]
struct DaemonFile {
    path: PathBuf,
    max_bytes: u64,
    file: Option<LineFile>,
    failed: Option<Instant>,
}

impl DaemonText {
    /// Will write `results.jsonl`, `results.mot.txt` and `results.decisions.jsonl`, as far as they are
    /// wanted, into `<folder>/<camera>` for each camera that something comes of.
    #[must_use]
    pub fn new(folder: &Path, formats: DaemonFormats) -> Self {
        Self {
            folder: folder.to_owned(),
            formats,
            cameras: BTreeMap::new(),
            room: Arc::default(),
        }
    }

    /// Writes only while `room` has some for results.
    #[must_use]
    pub fn with_room(mut self, room: Arc<DiskRoom>) -> Self {
        self.room = room;
        self
    }

    /// Writes everything that comes until the channel closes. What cannot be written is counted.
    pub fn run(mut self, results: &Receiver<Published>, classes: &[String], metrics: &Metrics) {
        loop {
            match results.recv_timeout(IDLE_FLUSH) {
                Ok(item) => {
                    let mut timer = StageTimer::start();
                    self.write(&item, classes, metrics);
                    let (wall, cpu) = timer.lap();
                    metrics.stage(Stage::Publish, wall, cpu);
                }
                Err(RecvTimeoutError::Timeout) => self.flush(metrics),
                Err(RecvTimeoutError::Disconnected) => return self.flush(metrics),
            }
        }
    }

    fn write(&mut self, item: &Published, classes: &[String], metrics: &Metrics) {
        let camera = item.camera();
        match item {
            Published::Frame(_) | Published::RunEnded { .. } => {}
            Published::Watched { .. } => return,
            Published::Gone { .. } => return self.close(camera, metrics),
        }
        if !self.cameras.contains_key(camera) {
            let files = CameraFiles::new(&self.folder.join(camera.as_str()), self.formats);
            self.cameras.insert(camera.clone(), files);
        }
        let Some(files) = self.cameras.get_mut(camera) else {
            return;
        };
        if !self.room.is_for_results() {
            let all = [&files.jsonl, &files.mot, &files.decisions];
            for _ in all.into_iter().flatten() {
                metrics.result_dropped(camera, Stage::Publish, DropReason::DiskLow);
            }
            return;
        }
        if let Some(file) = &mut files.jsonl
            && let Some(line) = line(item, classes)
        {
            count_lost(file.write(&line, camera), camera, metrics);
        }
        if let Some(file) = &mut files.mot
            && let Some(rows) = rows(item)
        {
            count_lost(file.write(&rows, camera), camera, metrics);
        }
        if let Some(file) = &mut files.decisions
            && let Some(line) = decisions(item)
        {
            count_lost(file.write(&line, camera), camera, metrics);
        }
    }

    /// Lets go of the files of a camera of which nothing more comes.
    fn close(&mut self, camera: &CameraId, metrics: &Metrics) {
        if let Some(mut files) = self.cameras.remove(camera) {
            files.flush(camera, metrics);
        }
    }

    fn flush(&mut self, metrics: &Metrics) {
        for (camera, files) in &mut self.cameras {
            files.flush(camera, metrics);
        }
    }
}

impl CameraFiles {
    fn new(folder: &Path, formats: DaemonFormats) -> Self {
        let file = |is_wanted: bool, name: &str| {
            is_wanted.then(|| DaemonFile::new(folder.join(name), formats.max_bytes))
        };
        Self {
            jsonl: file(formats.jsonl, "results.jsonl"),
            mot: file(formats.mot, "results.mot.txt"),
            decisions: file(formats.decisions, "results.decisions.jsonl"),
        }
    }

    fn flush(&mut self, camera: &CameraId, metrics: &Metrics) {
        let all = [&mut self.jsonl, &mut self.mot, &mut self.decisions];
        for file in all.into_iter().flatten() {
            count_lost(file.flush(camera), camera, metrics);
        }
    }
}

fn count_lost(lost: u64, camera: &CameraId, metrics: &Metrics) {
    for _ in 0..lost {
        metrics.result_dropped(camera, Stage::Publish, DropReason::SinkFailed);
    }
}

impl DaemonFile {
    fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self {
            path,
            max_bytes,
            file: None,
            failed: None,
        }
    }

    /// How many entries are lost: this one, or those before it that had only been taken.
    fn write(&mut self, entry: &str, camera: &CameraId) -> u64 {
        let is_pausing = |since: Instant| since.elapsed() < REOPEN_AFTER;
        if self.failed.is_some_and(is_pausing) {
            return 1;
        }
        let is_trial = self.failed.is_some();
        let written = match self.open() {
            // After a failure only the system's answer tells that it works again.
            Ok(file) if is_trial => file.write(entry).and_then(|()| file.flush()),
            Ok(file) => file.write(entry),
            Err(error) => Err(PublishError { lost: 1, ..error }),
        };
        self.outcome(written, camera)
    }

    /// How many entries are lost.
    fn flush(&mut self, camera: &CameraId) -> u64 {
        match &mut self.file {
            Some(file) => {
                let flushed = file.flush();
                self.outcome(flushed, camera)
            }
            None => 0,
        }
    }

    /// A failure is told once, until the file takes lines again.
    fn outcome(&mut self, result: Result<(), PublishError>, camera: &CameraId) -> u64 {
        let path = self.path.display();
        let Err(error) = result else {
            if self.failed.take().is_some() {
                tracing::warn!(%camera, %path, "results are written again");
            }
            return 0;
        };
        let lost = error.lost;
        if self.failed.is_none() {
            let error = causes(&error);
            tracing::error!(%camera, error, lost, "results are lost until the file can be written again");
        }
        self.file = None;
        self.failed = Some(Instant::now());
        lost
    }

    fn open(&mut self) -> Result<&mut LineFile, PublishError> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder).map_err(|source| PublishError {
                    path: folder.to_owned(),
                    lost: 0,
                    source,
                })?;
            }
            self.file = Some(LineFile::append(&self.path, self.max_bytes)?);
        }
        Ok(self.file.as_mut().expect("it was opened just now"))
    }
}

/// The MOT rows of a result, where it has any.
fn rows(item: &Published) -> Option<String> {
    match item {
        Published::Frame(result) => publish::mot_rows(result),
        Published::RunEnded { .. } | Published::Watched { .. } | Published::Gone { .. } => None,
    }
}

fn line(item: &Published, classes: &[String]) -> Option<String> {
    match item {
        Published::Frame(result) => Some(publish::frame_line(result, classes)),
        Published::RunEnded {
            camera,
            run,
            reason,
            ended,
        } => Some(publish::run_end_line(camera, *run, *reason, ended)),
        Published::Watched { .. } | Published::Gone { .. } => None,
    }
}

fn decisions(item: &Published) -> Option<String> {
    match item {
        Published::Frame(result) => {
            let FrameMeta {
                camera,
                run,
                seq,
                pts,
                ..
            } = &result.meta;
            let decisions = result.decisions.as_ref()?;
            Some(publish::decisions_line(
                camera, *run, seq.0, *pts, decisions,
            ))
        }
        Published::RunEnded {
            camera, run, ended, ..
        } => Some(publish::decisions_run_end_line(camera, *run, ended)),
        Published::Watched { .. } | Published::Gone { .. } => None,
    }
}

/// Records every picture that comes until the channel closes; then finishes the files. Where each
/// frame is goes to `log`, if somebody asks.
#[must_use]
pub fn record(
    mut recorder: Recorder,
    results: &Receiver<Published>,
    log: Option<Arc<RecordingLog>>,
) -> Vec<SegmentInfo> {
    let log = log.map(ClosesLog);
    for item in results {
        match item {
            Published::Frame(result) => {
                // What was not taken is counted by the recorder.
                recorder.push(&result);
                if let Some(ClosesLog(log)) = &log {
                    log.note(result.meta.seq, recorder.last_place());
                }
            }
            Published::Watched { scene, .. } => {
                recorder.redraw(resolve::overlay(&scene.zones), Privacy::new(&scene.privacy))
            }
            Published::RunEnded { .. } | Published::Gone { .. } => {}
        }
    }
    drop(log);
    recorder.finish()
}

/// The sidecar's line of a result.
#[must_use]
pub fn sidecar_line(classes: Arc<[String]>) -> crate::sinks::record::LineWriter {
    Box::new(move |result| publish::frame_line(result, &classes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{
        BBox, ClassId, FrameMeta, FrameResult, FrameSeq, Pts, RunId, Size, Timings, TrackId,
        TrackSnapshot, TrackState, UtcSource,
    };

    fn frame(seq: u64) -> Published {
        let track = |id, state| TrackSnapshot {
            id: TrackId(id),
            class: ClassId(0),
            class_share: 1.0,
            confidence: 0.5,
            bbox: BBox::from_ltrb(10.0, 20.0, 40.5, 60.0).unwrap(),
            velocity: [0.0, 0.0],
            state,
            first_seen: Pts(0),
            last_seen: Pts(0),
            is_presumed: false,
            before_run: std::time::Duration::ZERO,
        };
        Published::Frame(Arc::new(FrameResult {
            meta: FrameMeta {
                camera: CameraId::new("gate"),
                run: RunId(1),
                seq: FrameSeq(seq),
                pts: Pts(seq * 40_000_000),
                utc: None,
                utc_source: UtcSource::Unknown,
                size: Size {
                    width: 640,
                    height: 360,
                },
            },
            is_detected: true,
            detections: 3,
            tracks: vec![
                track(1, TrackState::Confirmed),
                track(2, TrackState::Coasting),
                TrackSnapshot {
                    is_presumed: true,
                    ..track(3, TrackState::Coasting)
                },
                // Gone out of the picture.
                TrackSnapshot {
                    bbox: BBox::from_ltrb(-40.0, 20.0, -1.0, 60.0).unwrap(),
                    ..track(4, TrackState::Confirmed)
                },
            ],
            ended: Vec::new(),
            counts: None,
            decisions: None,
            private: Vec::new(),
            timings: Timings::default(),
            frame: None,
        }))
    }

    /// Runs the daemon's text for `frames` frames into `folder` and gives how many were counted as
    /// lost.
    fn written(folder: &Path, frames: u64, formats: DaemonFormats) -> u64 {
        let camera = CameraId::new("gate");
        let metrics = Metrics::new();
        let text = DaemonText::new(folder, formats);
        let (sender, results) = crossbeam_channel::bounded(1000);
        for seq in 0..frames {
            sender.send(frame(seq)).unwrap();
        }
        drop(sender);
        text.run(&results, &["car".to_owned()], &metrics);
        metrics.results_dropped(&camera, Stage::Publish, DropReason::SinkFailed)
    }

    const BOTH: DaemonFormats = DaemonFormats {
        jsonl: true,
        mot: true,
        decisions: false,
        max_bytes: 1 << 20,
    };

    #[test]
    fn mot_text_is_written_beside_the_json_lines_if_wanted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(written(folder.path(), 2, BOTH), 0);
        let read = |name| std::fs::read_to_string(folder.path().join("gate").join(name));
        assert_eq!(read("results.jsonl").unwrap().lines().count(), 2);
        assert_eq!(
            read("results.mot.txt").unwrap(),
            "1,1,10.00,20.00,30.50,40.00,0.5000,-1,-1,-1\n\
             1,3,10.00,20.00,30.50,40.00,0.5000,-1,-1,-1\n\
             2,1,10.00,20.00,30.50,40.00,0.5000,-1,-1,-1\n\
             2,3,10.00,20.00,30.50,40.00,0.5000,-1,-1,-1\n"
        );
    }

    #[test]
    fn only_the_wanted_files_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let formats = DaemonFormats {
            jsonl: false,
            ..BOTH
        };
        written(folder.path(), 1, formats);
        assert!(folder.path().join("gate/results.mot.txt").exists());
        assert!(!folder.path().join("gate/results.jsonl").exists());
    }

    #[test]
    fn on_a_full_disk_every_result_is_in_the_file_or_counted_as_lost() {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(folder.path())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: a full disk needs the right to mount a tmpfs");
            return;
        }
        let formats = DaemonFormats { mot: false, ..BOTH };
        let lost = written(folder.path(), 1000, formats);
        let text = std::fs::read_to_string(folder.path().join("gate/results.jsonl"));
        drop(
            std::process::Command::new("umount")
                .arg(folder.path())
                .status(),
        );
        let text = text.unwrap();
        // What is half in the file has no line end, and counts as lost.
        let whole = text.matches('\n').count() as u64;
        assert!(whole > 10 && lost > 10, "{whole} written, {lost} lost");
        assert_eq!(whole + lost, 1000);
    }
}
