//! One trial of a plan: so many cameras through the whole frame path, for some seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use crossbeam_channel::{Receiver, bounded};
use serde::Serialize;

use super::serving::Serving;
use super::threads::{ThreadTimes, Work};
use super::{RESULTS_QUEUE, STOP_WITHIN, TICK, resident_mib, start_sinks};
use crate::app::cli::BenchArgs;
use crate::app::pipeline::{Outlet, Pipeline, PipelineOptions, Published, WhenFull};
use crate::app::signals::Signals;
use crate::app::summary::process_cpu_time;
use crate::base::{CameraId, Metrics, Stage, StopSource, causes};
use crate::sinks::record::RecordPace;

/// Every camera must have given so many results before measuring begins.
const WARM_UP_RESULTS: u64 = 5;

/// The longest that this may take: cameras connect one after the other on a busy machine.
const WARM_UP_LIMIT: Duration = Duration::from_secs(30);

/// What a trial must keep to hold.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Limits {
    /// Pictures per second and camera.
    pub fps: f64,
    /// The oldest that 95 of 100 results may be, ms from the arrival of the frame.
    pub age_ms: f64,
    /// Share of the pictures that may be missing from the results.
    pub missing: f64,
}

/// What was measured.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Trial {
    /// How many.
    pub cameras: u32,
    /// Results per second, all cameras.
    pub fps: f64,
    /// Share of the pictures that the cameras took and that no result came of.
    pub missing: f64,
    /// Ages of the results, ms from the arrival of the frame.
    pub age_ms: Ages,
    /// Cores that gantryd kept busy.
    pub cores: f64,
    /// Cores that serving the cameras kept busy, which real cameras do themselves.
    pub serving_cores: f64,
    /// Cores that other programs kept busy.
    pub others_cores: f64,
    /// CPU ms per result, by what was done; `detect` is split into what `detect: …` say.
    pub cpu_ms: BTreeMap<&'static str, f64>,
    /// Wall and CPU ms of the network per result: what lies between is waiting for an accelerator.
    pub inference_ms: (f64, f64),
    /// Share of the time that the sessions of the network were busy.
    pub sessions_busy: f64,
    /// MiB resident.
    pub resident_mib: f64,
    /// Why it does not hold; empty where it does.
    pub broken: String,
    /// Whether a camera failed, so that nothing was measured.
    #[serde(skip)]
    pub is_lost: bool,
}

/// Percentiles.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Ages {
    /// Half are younger.
    pub p50: f64,
    /// 95 of 100 are younger.
    pub p95: f64,
    /// 99 of 100 are younger.
    pub p99: f64,
}

impl Ages {
    fn of(mut ages: Vec<Duration>) -> Self {
        ages.sort_unstable();
        let at = |part: f64| {
            let index = (ages.len() as f64 * part) as usize;
            let age = ages.get(index.min(ages.len().saturating_sub(1)));
            age.map_or(0.0, |age| age.as_secs_f64() * 1e3)
        };
        Self {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

impl Trial {
    /// CPU ms per result, all work together.
    pub fn cpu_ms_per_result(&self) -> f64 {
        self.cpu_ms.values().sum()
    }

    fn judge(&mut self, limits: &Limits) {
        let mut broken = Vec::new();
        if self.missing > limits.missing {
            broken.push(format!(
                "{:.1} % of the pictures missing",
                self.missing * 100.0
            ));
        }
        if self.age_ms.p95 > limits.age_ms {
            broken.push(format!("p95 age {:.0} ms", self.age_ms.p95));
        }
        self.broken = broken.join(", ");
    }
}

/// Watches so many cameras with this pipeline and measures.
///
/// # Errors
/// If the pipeline does not start, or the only camera fails; of several cameras one that fails breaks the trial.
pub fn run(
    options: PipelineOptions,
    args: &BenchArgs,
    limits: &Limits,
    serving: Option<&Serving>,
    signals: &Signals,
) -> anyhow::Result<Trial> {
    let cameras = options.cameras.len() as u32;
    let ids: Vec<CameraId> = options
        .cameras
        .iter()
        .map(|plan| plan.capture.id.clone())
        .collect();
    let metrics = Metrics::new();
    let prepared = Pipeline::prepare(options)?;
    let sessions = prepared.detect_workers();
    let folder = tempfile::tempdir()?;
    let classes = prepared.class_names();
    let (mut outlets, sinks) = start_sinks(
        args,
        &ids,
        &classes,
        &metrics,
        folder.path(),
        RecordPace::Live,
    )?;
    let (sender, results) = bounded(RESULTS_QUEUE);
    outlets.push(Outlet::new(sender, WhenFull::Drop));
    let pipeline = prepared.start(outlets, Arc::clone(&metrics), StopSource::default())?;
    let warm = warm_up(&pipeline, &results, &ids, &metrics, signals);
    let measured = warm.map(|is_warm| {
        let mut trial = measure(args, limits, &ids, &results, &metrics, serving, signals);
        trial.cameras = cameras;
        trial.sessions_busy /= sessions as f64;
        trial.judge(limits);
        if !is_warm {
            let late = WARM_UP_LIMIT.as_secs();
            trial.broken = format!("not every camera gave {WARM_UP_RESULTS} results in {late} s");
        }
        trial
    });
    pipeline.stop_source().stop();
    drop(results);
    let deadline = Instant::now() + STOP_WITHIN;
    let failed: Vec<_> = pipeline.ends().try_iter().collect();
    let late = pipeline.join_until(deadline)?;
    for sink in sinks {
        drop(sink.join_until(deadline));
    }
    let failed = failed.into_iter().find_map(|end| end.error);
    if !late.is_empty() {
        bail!("threads that did not end: {}", late.join(", "));
    }
    match failed {
        // One camera alone cannot be too many.
        Some(error) if cameras > 1 => Ok(Trial {
            cameras,
            missing: 1.0,
            broken: causes(&error),
            is_lost: true,
            ..Trial::default()
        }),
        Some(error) => Err(error.into()),
        None => measured,
    }
}

/// True when every camera gave results in time.
fn warm_up(
    pipeline: &Pipeline,
    results: &Receiver<Published>,
    ids: &[CameraId],
    metrics: &Metrics,
    signals: &Signals,
) -> anyhow::Result<bool> {
    let began = Instant::now();
    let is_cold = |id: &CameraId| metrics.balance(id).processed < WARM_UP_RESULTS;
    while ids.iter().any(is_cold) {
        drop(results.recv_timeout(TICK));
        if signals.came() {
            bail!("stopped before it was measured");
        }
        if !pipeline.ends().is_empty() {
            bail!("a camera ended");
        }
        if began.elapsed() > WARM_UP_LIMIT {
            return Ok(false);
        }
    }
    while results.try_recv().is_ok() {}
    Ok(true)
}

fn measure(
    args: &BenchArgs,
    limits: &Limits,
    ids: &[CameraId],
    results: &Receiver<Published>,
    metrics: &Metrics,
    serving: Option<&Serving>,
    signals: &Signals,
) -> Trial {
    let serving_cpu = || serving.map_or(0.0, Serving::cpu_secs);
    let inference = || metrics.stage_stats(Stage::Inference);
    let around = || [Stage::Preprocess, Stage::Decode].map(|it| metrics.stage_stats(it).cpu);
    let (began, cpu, served) = (Instant::now(), process_cpu_time(), serving_cpu());
    let (threads, network, busy) = (ThreadTimes::now(), inference(), busy_secs());
    let [tensors, heads] = around();
    let until = began + Duration::from_secs(u64::from(args.seconds.get()));
    let mut ages = Vec::new();
    while Instant::now() < until && !signals.came() {
        if let Ok(Published::Frame(result)) = results.recv_timeout(TICK) {
            ages.push(result.timings.age);
        }
    }
    let wall = began.elapsed().as_secs_f64();
    let cores = process_cpu_time().saturating_sub(cpu).as_secs_f64() / wall;
    let serving_cores = (serving_cpu() - served) / wall;
    let count = ages.len().max(1) as f64;
    let now = inference();
    let network_wall = now.wall.saturating_sub(network.wall).as_secs_f64();
    let network_cpu = now.cpu.saturating_sub(network.cpu).as_secs_f64();
    let spent = ThreadTimes::now().since(&threads);
    let [tensors_now, heads_now] = around();
    let since = |now: Duration, then| now.saturating_sub(then).as_secs_f64();
    let (tensors, heads) = (since(tensors_now, tensors), since(heads_now, heads));
    let cpu_ms = split_detect(spent, tensors, heads);
    let others_cores = (busy_secs() - busy) / wall - cores - serving_cores;
    let taken = limits.fps * ids.len() as f64 * wall;
    // One picture of each may be under way at either end.
    let missing = taken - ages.len() as f64 - ids.len() as f64;
    Trial {
        cameras: 0,
        fps: ages.len() as f64 / wall,
        missing: (missing / taken).max(0.0),
        age_ms: Ages::of(ages),
        cores,
        serving_cores,
        others_cores: others_cores.max(0.0),
        cpu_ms: cpu_ms
            .into_iter()
            .map(|(work, secs)| (work, secs * 1e3 / count))
            .collect(),
        inference_ms: (network_wall * 1e3 / count, network_cpu * 1e3 / count),
        sessions_busy: network_wall / wall,
        resident_mib: resident_mib(),
        broken: String::new(),
        is_lost: false,
    }
}

/// CPU seconds by work. Of what the detect threads spent, `tensors` made pictures into tensors and `heads`
/// made what the network said into boxes; the rest is the network, its own threads included.
fn split_detect(
    spent: BTreeMap<Work, f64>,
    tensors: f64,
    heads: f64,
) -> BTreeMap<&'static str, f64> {
    let mut by_name = BTreeMap::new();
    for (work, secs) in spent {
        if work == Work::Detect {
            by_name.insert("detect: preprocess", tensors);
            by_name.insert("detect: network", (secs - tensors - heads).max(0.0));
            by_name.insert("detect: heads", heads);
        } else {
            by_name.insert(work.as_str(), secs);
        }
    }
    by_name
}

/// CPU seconds that the whole machine spent until now.
fn busy_secs() -> f64 {
    use procfs::CurrentSI;

    let Ok(stat) = procfs::KernelStats::current() else {
        return 0.0;
    };
    let cpu = stat.total;
    let ticks = cpu.user + cpu.nice + cpu.system + cpu.irq.unwrap_or(0) + cpu.softirq.unwrap_or(0);
    ticks as f64 / procfs::ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_what_is_left_of_the_detect_threads() {
        let spent = [(Work::Decode, 2.0), (Work::Detect, 10.0)].into();
        let split = split_detect(spent, 1.5, 0.5);
        let wanted = [
            ("decode", 2.0),
            ("detect: heads", 0.5),
            ("detect: network", 8.0),
            ("detect: preprocess", 1.5),
        ];
        assert_eq!(split, wanted.into());
    }
}
