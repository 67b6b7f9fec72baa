//! Runs a camera and takes its frames as the frame path does, for the tests of capture.

#![allow(dead_code, reason = "each test program uses its part")]
#![allow(
    clippy::allow_attributes,
    reason = "expect() would fire where all is used"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gantryd::base::{
    Balance, CameraId, Frame, FrameMeta, FromCamera, Inbox, Metrics, PixelFormat, Pixels, RunEnd,
    RunId, StopSource, Worker, WorkerEnd,
};
use gantryd::capture::{self, CameraEnd, CameraOptions, CaptureError, Source, StatusHandle};

/// What is kept of a frame.
#[derive(Debug, Clone)]
pub struct Seen {
    pub meta: FrameMeta,
    pub arrived: Instant,
    pub format: PixelFormat,
    /// Sum over the visible bytes of every plane, weighted by place.
    pub checksum: u64,
    /// Mean luma of the left and right half.
    pub halves: [f64; 2],
}

/// What came out of a camera.
#[derive(Debug, Default)]
pub struct Log {
    pub frames: Vec<Seen>,
    pub ends: Vec<(RunId, RunEnd)>,
}

/// A camera whose frames are taken and counted as processed.
pub struct CameraRun {
    pub log: Arc<Mutex<Log>>,
    pub metrics: Arc<Metrics>,
    pub id: CameraId,
    pub status: StatusHandle,
    pub ended: crossbeam_channel::Receiver<CameraEnd>,
    pub stop: StopSource,
    inbox: Arc<Inbox<FromCamera>>,
    camera: Option<Worker>,
    taker: Option<Worker>,
}

/// The longest any single step of a test may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn options(source: Source) -> CameraOptions {
    CameraOptions::new(CameraId::new("cam"), source)
}

impl CameraRun {
    pub fn start(options: CameraOptions) -> Result<Self, CaptureError> {
        Self::start_paced(options, Duration::ZERO)
    }

    /// As [`Self::start`], with a detector that takes `pace` for each frame.
    pub fn start_paced(options: CameraOptions, pace: Duration) -> Result<Self, CaptureError> {
        let metrics = Metrics::new();
        let inbox = Arc::new(Inbox::new(1));
        let stop = StopSource::default();
        let log = Arc::new(Mutex::new(Log::default()));
        let id = options.id.clone();
        let camera = capture::start(
            options,
            Arc::clone(&inbox),
            0,
            Arc::clone(&metrics),
            stop.stop_flag(),
            |text| panic!("camera panicked: {text}"),
        )?;
        let (taking, seen) = (Arc::clone(&inbox), Arc::clone(&log));
        let taker = Worker::spawn("taker", move || take_all(&taking, &seen, pace), |_| {}).unwrap();
        Ok(Self {
            log,
            metrics,
            id,
            status: camera.status,
            ended: camera.ended,
            stop,
            inbox,
            camera: Some(camera.worker),
            taker: Some(taker),
        })
    }

    /// Waits until `done` says so of the log.
    pub fn wait_until(&self, what: &str, within: Duration, done: impl Fn(&Log) -> bool) {
        let deadline = Instant::now() + within;
        while !done(&self.log.lock().unwrap()) {
            assert!(
                Instant::now() < deadline,
                "{what}: not within {within:?}; status {:?}, runs {:?}",
                self.status.snapshot(),
                self.log.lock().unwrap().ends,
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub fn frames(&self) -> usize {
        self.log.lock().unwrap().frames.len()
    }

    /// Stops the camera and checks that nothing is left and nothing unaccounted.
    pub fn finish(mut self) -> (Log, Balance) {
        self.stop.stop();
        let deadline = Instant::now() + Duration::from_secs(10);
        let end = self.camera.take().unwrap().join_until(deadline);
        assert_eq!(end, WorkerEnd::Finished);
        self.inbox.close();
        let end = self.taker.take().unwrap().join_until(deadline);
        assert_eq!(end, WorkerEnd::Finished);
        let balance = self.metrics.balance(&self.id);
        assert_eq!(balance.in_flight, 0, "{balance:?}");
        assert_eq!(balance.unaccounted, 0, "{balance:?}");
        assert_eq!(
            balance.received,
            balance.processed + balance.dropped,
            "{balance:?}"
        );
        (std::mem::take(&mut self.log.lock().unwrap()), balance)
    }
}

impl Drop for CameraRun {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(camera) = self.camera.take() {
            drop(camera.join_until(Instant::now() + Duration::from_secs(10)));
        }
        self.inbox.close();
    }
}

fn take_all(inbox: &Inbox<FromCamera>, log: &Mutex<Log>, pace: Duration) {
    while let Some(taken) = inbox.take(1) {
        for item in taken {
            match item.item {
                FromCamera::Frame(captured) => {
                    let seen = see(&captured.frame);
                    if !pace.is_zero() {
                        std::thread::park_timeout(pace);
                    }
                    captured.flight.processed();
                    log.lock().unwrap().frames.push(seen);
                }
                FromCamera::RunEnded { run, reason, .. } => {
                    log.lock().unwrap().ends.push((run, reason));
                }
            }
        }
    }
}

fn see(frame: &Frame) -> Seen {
    Seen {
        meta: frame.meta.clone(),
        arrived: frame.arrived,
        format: frame.pixels.format,
        checksum: checksum(
            &frame.pixels,
            frame.meta.size.width as usize,
            frame.meta.size.height as usize,
        ),
        halves: halves(
            &frame.pixels,
            frame.meta.size.width as usize,
            frame.meta.size.height as usize,
        ),
    }
}

fn checksum(pixels: &Pixels, width: usize, height: usize) -> u64 {
    let mut sum = 0u64;
    for index in 0..pixels.format.planes() {
        let (row_bytes, rows) = match (index, pixels.format) {
            (0, _) => (width, height),
            (_, PixelFormat::Nv12) => (2 * width.div_ceil(2), height.div_ceil(2)),
            (_, PixelFormat::I420) => (width.div_ceil(2), height.div_ceil(2)),
        };
        let plane = pixels.planes.plane(index);
        for row in 0..rows {
            for byte in &plane.data[row * plane.stride..][..row_bytes] {
                sum = sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
            }
        }
    }
    sum
}

fn halves(pixels: &Pixels, width: usize, height: usize) -> [f64; 2] {
    let plane = pixels.planes.plane(0);
    let mut sums = [0u64; 2];
    for row in 0..height {
        let row = &plane.data[row * plane.stride..][..width];
        sums[0] += row[..width / 2].iter().map(|v| u64::from(*v)).sum::<u64>();
        sums[1] += row[width - width / 2..]
            .iter()
            .map(|v| u64::from(*v))
            .sum::<u64>();
    }
    let count = ((width / 2) * height).max(1) as f64;
    [sums[0] as f64 / count, sums[1] as f64 / count]
}

/// Reads a source to its end, as `gantryd track` does.
pub fn read_all(options: CameraOptions) -> (Log, CameraEnd, Balance) {
    read_all_paced(options, Duration::ZERO)
}

/// As [`read_all`], with a detector that takes `pace` for each frame.
pub fn read_all_paced(options: CameraOptions, pace: Duration) -> (Log, CameraEnd, Balance) {
    let run = CameraRun::start_paced(options, pace).unwrap();
    let end = run
        .ended
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("did not end: {:?}", run.status.snapshot()));
    let (log, balance) = run.finish();
    (log, end, balance)
}

/// Runs a program that makes test material; false (with a line on stderr) where it cannot.
pub fn made_by(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    match output {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!(
                "SKIPPED: {program} {args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            false
        }
        Err(error) => {
            eprintln!("SKIPPED: {program}: {error}");
            false
        }
    }
}

/// `folder/name`, made by ffmpeg from a test picture with these output options.
pub fn video(folder: &Path, name: &str, input: &str, output: &[&str]) -> Option<PathBuf> {
    let path = folder.join(name);
    let mut args = vec![
        "-hide_banner",
        "-loglevel",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        input,
    ];
    args.extend(output);
    let target = path.to_str().unwrap();
    args.push(target);
    made_by("ffmpeg", &args).then_some(path)
}
