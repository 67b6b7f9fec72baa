//! The threads at the end of the frame path: text results and recordings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::pipeline::Published;
use super::summary::Tally;
use crate::base::{CameraId, DropReason, Metrics, Stage, StageTimer};
use crate::sinks::publish::{self, JsonlFile, MotFile, PublishError};
use crate::sinks::record::{Recorder, SegmentInfo};

/// A file that failed is tried again after this time.
const REOPEN_AFTER: Duration = Duration::from_secs(5);

/// Written text reaches the disk at the latest after this time, also when nothing follows.
const IDLE_FLUSH: Duration = Duration::from_millis(500);

/// The text files of one input of a one-shot command. They are made at the first result, so that
/// an input that cannot be read leaves earlier results alone.
#[derive(Debug)]
pub struct OneShotText {
    jsonl_path: PathBuf,
    mot_path: PathBuf,
    files: Option<(JsonlFile, MotFile)>,
}

impl OneShotText {
    /// Will write `<stem>.jsonl` and `<stem>.mot.txt` into `folder`.
    #[must_use]
    pub fn new(folder: &Path, stem: &str) -> Self {
        Self {
            jsonl_path: folder.join(format!("{stem}.jsonl")),
            mot_path: folder.join(format!("{stem}.mot.txt")),
            files: None,
        }
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
        if let Some((jsonl, mot)) = &mut self.files {
            jsonl.flush()?;
            mot.flush()?;
        }
        Ok(())
    }

    fn write(&mut self, item: &Published, classes: &[String]) -> Result<(), PublishError> {
        let (jsonl, mot) = match (&mut self.files, item) {
            (Some(files), _) => files,
            // No frame ever came: there is nothing to report on.
            (None, Published::RunEnded { .. }) => return Ok(()),
            (empty, Published::Frame(_)) => empty.insert((
                JsonlFile::create(&self.jsonl_path)?,
                MotFile::create(&self.mot_path)?,
            )),
        };
        jsonl.write_line(&line(item, classes))?;
        match item {
            Published::Frame(result) => mot.write(result),
            Published::RunEnded { .. } => Ok(()),
        }
    }
}

/// The result files of a daemon's cameras: appended to, rotated by size, tried again after a
/// failure.
#[derive(Debug)]
pub struct DaemonText {
    files: BTreeMap<CameraId, DaemonFile>,
    max_bytes: u64,
}

#[derive(Debug)]
struct DaemonFile {
    path: PathBuf,
    file: Option<JsonlFile>,
    failed: Option<Instant>,
}

impl DaemonText {
    /// Will write `<folder>/<camera>/results.jsonl` for each camera.
    #[must_use]
    pub fn new(folder: &Path, cameras: &[CameraId], max_bytes: u64) -> Self {
        let file = |camera: &CameraId| DaemonFile {
            path: folder.join(camera.as_str()).join("results.jsonl"),
            file: None,
            failed: None,
        };
        Self {
            files: cameras
                .iter()
                .map(|camera| (camera.clone(), file(camera)))
                .collect(),
            max_bytes,
        }
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
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
        }
    }

    fn write(&mut self, item: &Published, classes: &[String], metrics: &Metrics) {
        let camera = item.camera();
        let Some(target) = self.files.get_mut(camera) else {
            return;
        };
        if !target.write(&line(item, classes), self.max_bytes, camera) {
            metrics.result_dropped(camera, Stage::Publish, DropReason::SinkFailed);
        }
    }

    fn flush(&mut self) {
        for (camera, target) in &mut self.files {
            let flushed = target.file.as_mut().map(JsonlFile::flush);
            if let Some(Err(error)) = flushed {
                target.fail(&error, camera);
            }
        }
    }
}

impl DaemonFile {
    /// True if the line was taken.
    fn write(&mut self, line: &str, max_bytes: u64, camera: &CameraId) -> bool {
        if self
            .failed
            .is_some_and(|since| since.elapsed() < REOPEN_AFTER)
        {
            return false;
        }
        let written = self.open(max_bytes).and_then(|file| file.write_line(line));
        match written {
            Ok(()) => {
                if self.failed.take().is_some() {
                    tracing::warn!(%camera, path = %self.path.display(), "results are written again");
                }
                true
            }
            Err(error) => {
                self.fail(&error, camera);
                false
            }
        }
    }

    fn open(&mut self, max_bytes: u64) -> Result<&mut JsonlFile, PublishError> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder).map_err(|source| PublishError {
                    path: folder.to_owned(),
                    source,
                })?;
            }
            self.file = Some(JsonlFile::append(&self.path, max_bytes)?);
        }
        Ok(self.file.as_mut().expect("it was opened just now"))
    }

    fn fail(&mut self, error: &PublishError, camera: &CameraId) {
        if self.failed.is_none() {
            let error: &dyn std::error::Error = error;
            tracing::error!(%camera, error, "results are lost until the file can be written again");
        }
        self.file = None;
        self.failed = Some(Instant::now());
    }
}

fn line(item: &Published, classes: &[String]) -> String {
    match item {
        Published::Frame(result) => publish::frame_line(result, classes),
        Published::RunEnded {
            camera,
            run,
            reason,
            ended,
        } => publish::run_end_line(camera, *run, *reason, ended),
    }
}

/// Records every picture that comes until the channel closes; then finishes the files.
#[must_use]
pub fn record(mut recorder: Recorder, results: &Receiver<Published>) -> Vec<SegmentInfo> {
    for item in results {
        if let Published::Frame(result) = item {
            // What was not taken is counted by the recorder.
            recorder.push(&result);
        }
    }
    recorder.finish()
}

/// The sidecar's line of a result.
#[must_use]
pub fn sidecar_line(classes: Arc<[String]>) -> crate::sinks::record::LineWriter {
    Box::new(move |result| publish::frame_line(result, &classes))
}
