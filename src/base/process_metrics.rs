//! What the process uses of the machine, read when somebody asks, under the names that every Prometheus
//! client has for it: <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>.

use std::fmt;

use procfs::WithCurrentSystemInfo;
use procfs::process::Process;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::memory::allocated_bytes;

/// What the process uses now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessUse {
    /// Processor time so far, user and system, seconds.
    pub cpu_seconds: f64,
    /// Memory in use, bytes.
    pub resident_bytes: u64,
    /// Of it what was asked for and not given back, bytes; the rest are programs and libraries, and what
    /// the allocator keeps for the next who asks.
    pub allocated_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open files and sockets.
    pub open_files: u64,
    /// So many may be open.
    pub max_files: u64,
    /// When the process began, seconds since 1970.
    pub started: f64,
}

impl ProcessUse {
    /// `None` where /proc does not tell.
    #[must_use]
    pub fn now() -> Option<Self> {
        let process = Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let limit = process.limits().ok()?.max_open_files.soft_limit;
        let ticks = procfs::ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss_bytes().get(),
            allocated_bytes: allocated_bytes()?,
            threads: u64::try_from(stat.num_threads).ok()?,
            open_files: process.fd_count().ok()? as u64,
            max_files: match limit {
                procfs::process::LimitValue::Value(most) => most,
                procfs::process::LimitValue::Unlimited => u64::MAX,
            },
            started: procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / ticks,
        })
    }
}

/// Tells [`ProcessUse`] at `/metrics`.
#[derive(Debug)]
pub(super) struct ProcessMetrics;

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(now) = ProcessUse::now() else {
            return Ok(());
        };
        let cpu = ConstCounter::new(now.cpu_seconds);
        let text = "Processor time, user and system";
        cpu.encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            text,
            None,
            cpu.metric_type(),
        )?)?;
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Memory in use",
                now.resident_bytes as f64,
            ),
            (
                "gantryd_memory_allocated_bytes",
                "Memory that was asked for and not given back",
                now.allocated_bytes as f64,
            ),
            ("process_threads", "Threads", now.threads as f64),
            (
                "process_open_fds",
                "Open files and sockets",
                now.open_files as f64,
            ),
            (
                "process_max_fds",
                "So many may be open",
                now.max_files as f64,
            ),
            (
                "process_start_time_seconds",
                "Begin of the process, seconds since 1970",
                now.started,
            ),
        ];
        for (name, text, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, text, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let now = ProcessUse::now().unwrap();
        assert!(
            now.resident_bytes > 1_000_000
                && now.allocated_bytes > 1000
                && now.threads >= 1
                && now.open_files >= 3,
            "{now:?}"
        );
        assert!(
            now.max_files >= now.open_files && now.started > 1.7e9,
            "{now:?}"
        );
    }
}
