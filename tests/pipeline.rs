//! The frame path as a library: order, balance and bounds under load.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use gantryd::base::{Balance, DropReason, Stage};
use gantryd::{
    CameraId, CameraOptions, CameraPlan, ModelFiles, Pipeline, PipelineOptions, Published, Source,
};

fn model() -> ModelFiles {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/shapes.onnx");
    ModelFiles::from_onnx(&path)
}

fn camera(id: &str, source: &str) -> CameraPlan {
    let source = Source::parse(source).unwrap();
    let mut options = CameraOptions::new(CameraId::new(id), source);
    // A generated live picture that is over is not tried again.
    options.backoff = None;
    CameraPlan::new(options)
}

/// Runs to the end; gives the frames of each camera in the order in which they came.
fn run(options: PipelineOptions) -> (BTreeMap<CameraId, Vec<u64>>, BTreeMap<CameraId, Balance>) {
    let pipeline = Pipeline::start(options).unwrap();
    let mut seen: BTreeMap<CameraId, Vec<u64>> = BTreeMap::new();
    for item in pipeline.results() {
        if let Published::Frame(result) = item {
            seen.entry(result.meta.camera.clone())
                .or_default()
                .push(result.meta.seq.0);
        }
    }
    let balances = pipeline
        .cameras()
        .iter()
        .map(|(id, _)| (id.clone(), pipeline.metrics().balance(id)))
        .collect();
    let late = pipeline
        .join_until(Instant::now() + Duration::from_secs(30))
        .unwrap();
    assert!(late.is_empty(), "{late:?}");
    (seen, balances)
}

#[test]
fn overload_drops_the_oldest_frames_and_counts_each_of_them() {
    // Far more pictures per second than one network can look at.
    let source = "test:ball?size=640x360&fps=600&frames=900&live=1";
    let mut options = PipelineOptions::new(vec![camera("fast", source)], model());
    options.workers = NonZeroUsize::new(1);
    let (seen, balances) = run(options);

    let id = CameraId::new("fast");
    let (seen, balance) = (&seen[&id], balances[&id]);
    assert!(balance.dropped > 0, "{balance:?}");
    assert_eq!(balance.received, balance.processed + balance.dropped);
    assert_eq!((balance.in_flight, balance.unaccounted), (0, 0));
    assert_eq!(balance.processed, seen.len() as u64);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "in order");
    // Newest wins: the last frame has nothing after it that could displace it.
    assert_eq!(*seen.last().unwrap(), balance.received - 1);
}

#[test]
fn a_fast_camera_does_not_starve_a_slow_one() {
    let cameras = vec![
        camera("fast", "test:ball?size=640x360&fps=600&frames=1200&live=1"),
        camera("slow", "test:ball?size=320x180&fps=2&frames=6&live=1"),
    ];
    let mut options = PipelineOptions::new(cameras, model());
    options.workers = NonZeroUsize::new(1);
    let (seen, balances) = run(options);
    assert!(balances[&CameraId::new("fast")].dropped > 0);
    assert_eq!(balances[&CameraId::new("slow")].dropped, 0);
    assert_eq!(seen[&CameraId::new("slow")], (0..6).collect::<Vec<u64>>());
}

#[test]
fn many_workers_keep_the_order_and_lose_nothing_of_a_lossless_source() {
    let cameras = vec![
        camera("a", "test:ball?size=320x180&fps=30&frames=120"),
        camera("b", "test:smpte?size=640x360&fps=30&frames=80"),
    ];
    let mut options = PipelineOptions::new(cameras, model());
    options.workers = NonZeroUsize::new(4);
    let (seen, balances) = run(options);
    assert_eq!(seen[&CameraId::new("a")], (0..120).collect::<Vec<u64>>());
    assert_eq!(seen[&CameraId::new("b")], (0..80).collect::<Vec<u64>>());
    for balance in balances.values() {
        assert_eq!((balance.received, balance.dropped), (balance.processed, 0));
    }
}

#[test]
fn a_stop_in_the_middle_ends_every_thread_and_closes_the_balance() {
    let cameras = vec![camera("a", "test:ball?size=640x360&fps=60&live=1")];
    let pipeline = Pipeline::start(PipelineOptions::new(cameras, model())).unwrap();
    let first = pipeline
        .results()
        .recv_timeout(Duration::from_secs(30))
        .unwrap();
    assert!(matches!(first, Published::Frame(_)));
    pipeline.stop_source().stop();
    let last = pipeline.results().iter().last().unwrap();
    assert!(matches!(last, Published::RunEnded { .. }), "{last:?}");
    let metrics = std::sync::Arc::clone(pipeline.metrics());
    let late = pipeline
        .join_until(Instant::now() + Duration::from_secs(30))
        .unwrap();
    assert!(late.is_empty(), "{late:?}");
    let balance = metrics.balance(&CameraId::new("a"));
    assert_eq!(balance.received, balance.processed + balance.dropped);
    assert_eq!((balance.in_flight, balance.unaccounted), (0, 0));
}

#[test]
fn a_reader_that_goes_away_is_counted_and_stops_nobody() {
    let cameras = vec![camera("a", "test:ball?size=320x180&fps=30&frames=40")];
    let prepared = Pipeline::prepare(PipelineOptions::new(cameras, model())).unwrap();
    let (sender, results) = crossbeam_channel::bounded(4);
    drop(results);
    let outlet = gantryd::Outlet::new(sender, gantryd::WhenFull::Wait);
    let metrics = gantryd::Metrics::new();
    let stop = gantryd::StopSource::default();
    let pipeline = prepared
        .start(vec![outlet], std::sync::Arc::clone(&metrics), stop)
        .unwrap();
    let late = pipeline
        .join_until(Instant::now() + Duration::from_secs(30))
        .unwrap();
    assert!(late.is_empty(), "{late:?}");
    let id = CameraId::new("a");
    assert_eq!(metrics.balance(&id).processed, 40);
    // 40 frames and the end of the run.
    assert_eq!(
        metrics.results_dropped(&id, Stage::Publish, DropReason::SinkFailed),
        41
    );
}
