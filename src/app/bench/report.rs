//! What a plan found, for people and as JSON.

use std::fmt;
use std::num::NonZeroUsize;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::trial::{Limits, Trial};
use crate::app::cli::BenchArgs;
use crate::perception::schedule::DetectSchedule;

/// Share of the cores beyond which the CPU is what binds.
const CPU_BINDS: f64 = 0.85;

/// Share of the cores of which it is told when other programs take it.
const OTHERS_TELL: f64 = 0.1;

/// Share of the time beyond which the sessions of the network are what binds.
const SESSIONS_BIND: f64 = 0.85;

/// Everything that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of gantryd.
    version: &'static str,
    /// The network.
    pub model: String,
    /// Cores of the machine.
    cores: usize,
    /// What the CPU calls itself.
    cpu: String,
    /// Annotated and encoded too.
    video: bool,
    /// Which frames the detector looks at.
    schedule: String,
    /// One per codec.
    pub plans: Vec<Plan>,
}

/// What was found for cameras of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Size, codec and rate of a camera.
    pub cameras: String,
    /// How many of them this machine carries.
    pub carries: u32,
    /// What had to be kept.
    pub limits: Limits,
    /// What stands in the way of more.
    pub binds: String,
    /// By number of cameras.
    pub trials: Vec<Trial>,
}

impl Report {
    /// Nothing is found yet.
    pub fn new(args: &BenchArgs) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            model: String::new(),
            cores: cores(),
            cpu: cpu_name(),
            video: args.video,
            schedule: match args.detect.every {
                DetectSchedule::Every => "every frame".to_owned(),
                DetectSchedule::Interval(of) => format!("one of {of} frames"),
                DetectSchedule::Adaptive => "adaptive".to_owned(),
            },
            plans: Vec::new(),
        }
    }
}

impl Plan {
    /// Trials by number of cameras.
    pub fn new(cameras: &str, carries: u32, limits: Limits, trials: Vec<Trial>) -> Self {
        let mut plan = Self {
            cameras: cameras.to_owned(),
            carries,
            limits,
            binds: String::new(),
            trials,
        };
        plan.binds = plan.what_binds();
        plan
    }

    /// The trial of the number that is carried.
    fn carried(&self) -> Option<&Trial> {
        self.trials.iter().rev().find(|it| it.broken.is_empty())
    }

    /// The first trial that does not hold.
    fn broken(&self) -> Option<&Trial> {
        self.trials.iter().find(|it| !it.broken.is_empty())
    }

    /// Judged where it breaks; where nothing broke, by the largest trial.
    fn what_binds(&self) -> String {
        let Some(trial) = self.broken().or(self.trials.last()) else {
            return "nothing was measured".to_owned();
        };
        let used = (trial.cores + trial.serving_cores + trial.others_cores) / cores() as f64;
        let largest = trial.cpu_ms.iter().max_by(|a, b| a.1.total_cmp(b.1));
        let (work, ms) = largest.map_or(("nothing", 0.0), |(work, ms)| (*work, *ms));
        let share = 100.0 * ms / trial.cpu_ms_per_result().max(1e-9);
        if self.broken().is_none() {
            "nothing yet: more cameras than were tried (--max-cameras, --cameras)".to_owned()
        } else if used > CPU_BINDS {
            format!(
                "the CPU, {:.0} % of it busy; most of gantryd's share is {work} ({share:.0} %)",
                used * 100.0
            )
        } else if trial.sessions_busy > SESSIONS_BIND {
            format!(
                "the network: its sessions are busy {:.0} % of the time, {:.1} ms per picture \
                 (more: --workers)",
                trial.sessions_busy * 100.0,
                trial.inference_ms.0
            )
        } else {
            format!(
                "neither CPU ({:.0} % busy) nor network ({:.0} %): pictures arrive late or not at all",
                used * 100.0,
                trial.sessions_busy * 100.0
            )
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header([
            "cameras",
            "results/s",
            "missing",
            "age p50",
            "p95",
            "p99 ms",
            "cores",
            "MiB",
            "",
        ]);
        for trial in &self.trials {
            let age = &trial.age_ms;
            table.add_row([
                trial.cameras.to_string(),
                format!("{:.1}", trial.fps),
                format!("{:.1} %", trial.missing * 100.0),
                format!("{:.0}", age.p50),
                format!("{:.0}", age.p95),
                format!("{:.0}", age.p99),
                format!("{:.2}", trial.cores),
                format!("{:.0}", trial.resident_mib),
                if trial.broken.is_empty() {
                    "holds"
                } else {
                    "breaks"
                }
                .to_owned(),
            ]);
        }
        for number in 0..8 {
            if let Some(column) = table.column_mut(number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    /// What one result costs where the machine is as full as it may be.
    fn split(&self) -> String {
        let Some(trial) = self.carried().or(self.trials.first()) else {
            return String::new();
        };
        let all = trial.cpu_ms_per_result();
        let parts: Vec<String> = trial
            .cpu_ms
            .iter()
            .map(|(work, ms)| format!("{work} {ms:.2}"))
            .collect();
        format!(
            "CPU ms per result at {} camera(s): {:.2} = {}; per camera {:.0} % of a core\n\
             network {:.2} ms per result, of which {:.2} ms CPU",
            trial.cameras,
            all,
            parts.join(" + "),
            100.0 * trial.cores / f64::from(trial.cameras),
            trial.inference_ms.0,
            trial.inference_ms.1,
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let video = if self.video {
            ", annotated and encoded"
        } else {
            ""
        };
        writeln!(
            out,
            "{} on {} cores ({}), detector: {}{video}",
            self.model, self.cores, self.cpu, self.schedule
        )?;
        for plan in &self.plans {
            writeln!(out, "\n{}", plan.cameras)?;
            writeln!(out, "{}", plan.table())?;
            writeln!(out, "{}", plan.split())?;
            let limits = &plan.limits;
            writeln!(
                out,
                "This machine carries {} of these cameras with p95 age within {:.0} ms and {:.0} % \
                 missing at most.",
                plan.carries,
                limits.age_ms,
                limits.missing * 100.0
            )?;
            if let Some(broken) = plan.broken() {
                writeln!(out, "It breaks at {}: {}.", broken.cameras, broken.broken)?;
            }
            writeln!(out, "What binds: {}.", plan.binds)?;
            let others = plan.trials.iter().map(|it| it.others_cores);
            let others = others.fold(0.0, f64::max);
            if others > OTHERS_TELL * cores() as f64 {
                writeln!(
                    out,
                    "Other programs kept up to {others:.2} cores busy meanwhile: try again on an idle \
                     machine."
                )?;
            }
            if let Some(trial) = plan.carried().filter(|trial| trial.serving_cores > 0.01) {
                writeln!(
                    out,
                    "Serving the film took {:.2} cores more, which real cameras do themselves.",
                    trial.serving_cores
                )?;
            }
        }
        Ok(())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn cpu_name() -> String {
    use procfs::Current;

    let info = procfs::CpuInfo::current().ok();
    let name = info.and_then(|info| info.model_name(0).map(str::to_owned));
    name.unwrap_or_else(|| "unknown CPU".to_owned())
}
