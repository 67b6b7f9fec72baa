//! What a finished run amounts to, on one screen.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::pipeline::Published;
use crate::base::{Balance, ClassId, FrameResult, Metrics, Stage, TrackId};

/// Columns of the table where no terminal tells.
const PLAIN_WIDTH: u16 = 96;

/// Counts identities from published results. Memory grows with living tracks only.
#[derive(Debug, Default)]
pub struct Tally {
    living: BTreeMap<TrackId, ClassId>,
    ended_per_class: BTreeMap<ClassId, u64>,
    most_at_once: usize,
    frames: u64,
}

impl Tally {
    /// Takes in one item.
    pub fn add(&mut self, item: &Published) {
        match item {
            Published::Frame(result) => self.add_frame(result),
            Published::RunEnded { .. } => self.end_all(),
        }
    }

    fn add_frame(&mut self, result: &FrameResult) {
        self.frames += 1;
        for track in &result.tracks {
            self.living.insert(track.id, track.class);
        }
        for ended in &result.ended {
            if let Some(class) = self.living.remove(&ended.id) {
                *self.ended_per_class.entry(class).or_default() += 1;
            }
        }
        self.most_at_once = self.most_at_once.max(result.tracks.len());
    }

    fn end_all(&mut self) {
        for class in std::mem::take(&mut self.living).into_values() {
            *self.ended_per_class.entry(class).or_default() += 1;
        }
    }

    /// Frames with a result.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Identities per class, ended and living, classes in model order.
    #[must_use]
    pub fn ids_per_class(&self) -> BTreeMap<ClassId, u64> {
        let mut counts = self.ended_per_class.clone();
        for class in self.living.values() {
            *counts.entry(*class).or_default() += 1;
        }
        counts
    }

    /// Most tracks that lived in one frame.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.most_at_once
    }
}

/// Everything the table shows.
#[derive(Debug)]
pub struct Summary<'a> {
    /// The input as the user knows it.
    pub input: &'a str,
    /// Model and what computed it.
    pub model: String,
    /// Identities.
    pub tally: &'a Tally,
    /// Names of the classes.
    pub classes: &'a [String],
    /// Where the frames went.
    pub balance: Balance,
    /// Results that did not reach the video.
    pub not_recorded: u64,
    /// Results that did not reach the text files.
    pub not_written: u64,
    /// Stage times.
    pub metrics: &'a Metrics,
    /// Wall time of the whole run.
    pub elapsed: Duration,
    /// CPU time of the whole process during the run.
    pub process_cpu: Duration,
    /// Files that were written, and what they are.
    pub files: Vec<(String, String)>,
}

impl Summary<'_> {
    /// The table, ready to print.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if !table.is_tty() {
            table.set_width(PLAIN_WIDTH);
        }
        let mut row = |name: &str, value: String| {
            table.add_row([name.to_owned(), value]);
        };
        row("input", self.input.to_owned());
        row("model", self.model.clone());
        row("frames", self.frames());
        row("identities", self.identities());
        row("most at once", self.tally.most_at_once().to_string());
        row("speed", self.speed());
        row("ms per frame", self.stage_times());
        for (what, path) in &self.files {
            row(what, path.clone());
        }
        if let Some(column) = table.column_mut(0) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }

    fn frames(&self) -> String {
        let Balance {
            received,
            processed,
            dropped,
            ..
        } = self.balance;
        let mut text = format!("{processed} of {received} processed, {dropped} dropped");
        if self.not_recorded > 0 {
            text += &format!(
                ", {} not in the video (encoder too slow)",
                self.not_recorded
            );
        }
        if self.not_written > 0 {
            text += &format!(", {} not in the text files", self.not_written);
        }
        text
    }

    fn identities(&self) -> String {
        let per_class = self.tally.ids_per_class();
        let total: u64 = per_class.values().sum();
        let name = |class: &ClassId| {
            self.classes
                .get(usize::from(class.0))
                .map_or("unknown", String::as_str)
        };
        let mut parts: Vec<(u64, &str)> = per_class
            .iter()
            .map(|(class, count)| (*count, name(class)))
            .collect();
        parts.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let parts: Vec<String> = parts
            .iter()
            .map(|(count, class)| format!("{count} {class}"))
            .collect();
        match total {
            0 => "none".to_owned(),
            _ => format!("{total}: {}", parts.join(", ")),
        }
    }

    fn speed(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        let fps = if seconds > 0.0 {
            self.tally.frames() as f64 / seconds
        } else {
            0.0
        };
        format!("{fps:.1} fps over {seconds:.1} s")
    }

    /// Mean wall time of each stage; decoder and encoder are GStreamer's threads, of which only the
    /// CPU time is known: what no stage of ours used.
    fn stage_times(&self) -> String {
        let frames = self.tally.frames().max(1);
        let mut ours = Duration::ZERO;
        let mut parts = Vec::new();
        for stage in Stage::ALL {
            let stats = self.metrics.stage_stats(stage);
            ours += stats.cpu;
            if stats.count > 0 {
                let mean = stats.wall.as_secs_f64() * 1e3 / stats.count as f64;
                parts.push(format!("{} {mean:.2}", stage.as_str()));
            }
        }
        let rest = self.process_cpu.saturating_sub(ours).as_secs_f64() * 1e3 / frames as f64;
        parts.push(format!("video decoding and encoding {rest:.2} (CPU)"));
        parts.join(", ")
    }
}

/// CPU time the whole process has used.
#[must_use]
pub fn process_cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(spent.tv_sec).unwrap_or(0),
        u32::try_from(spent.tv_nsec).unwrap_or(0),
    )
}
