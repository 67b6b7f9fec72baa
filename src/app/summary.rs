//! What a finished run amounts to, on one screen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::pipeline::Published;
use crate::base::{
    Balance, CameraId, ClassId, Direction, Event, EventKind, FrameResult, Looks, Metrics, Phase,
    Stage, TrackId,
};
use crate::perception::zones::ZonesPlan;
use crate::sinks::publish::class_name;

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
            Published::RunEnded { .. } | Published::Gone { .. } => self.end_all(),
            Published::Watched { .. } => {}
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

/// Counts what happened at zones and lines, from published events.
#[derive(Debug, Default)]
pub struct EventTally {
    lines: Vec<(Arc<str>, Crossings)>,
    zones: Vec<(Arc<str>, Visits)>,
    turns: BTreeMap<(Arc<str>, Arc<str>), u64>,
}

/// Crossings of a line by direction and class.
type Crossings = BTreeMap<(Direction, ClassId), u64>;

#[derive(Debug, Default)]
struct Visits {
    entries: u64,
    exits: u64,
    dwell: Duration,
    alarms: BTreeMap<&'static str, u64>,
}

impl EventTally {
    /// Nothing has happened at any zone or line of `plan`.
    #[must_use]
    pub fn new(plan: &ZonesPlan) -> Self {
        let lines = plan
            .lines
            .iter()
            .map(|it| (Arc::clone(&it.name), Crossings::new()));
        let zones = plan
            .zones
            .iter()
            .map(|it| (Arc::clone(&it.name), Visits::default()));
        Self {
            lines: lines.collect(),
            zones: zones.collect(),
            turns: BTreeMap::new(),
        }
    }

    /// Takes in one event.
    pub fn add(&mut self, event: &Event) {
        let kind = event.kind.as_str();
        match &event.kind {
            EventKind::Crossing { line, direction } => {
                let class = event
                    .object
                    .as_ref()
                    .map_or(ClassId(u16::MAX), |it| it.class);
                if let Some((_, counts)) = self.lines.iter_mut().find(|(name, _)| name == line) {
                    *counts.entry((*direction, class)).or_default() += 1;
                }
            }
            EventKind::Turn { from, to } => {
                let turn = (Arc::clone(from), Arc::clone(to));
                *self.turns.entry(turn).or_default() += 1;
            }
            EventKind::Entry { zone } => {
                self.visits(zone, |visits| visits.entries += 1);
            }
            EventKind::Exit { zone, dwell } => self.visits(zone, |visits| {
                visits.exits += 1;
                visits.dwell += *dwell;
            }),
            EventKind::Loitering { zone: place, .. }
            | EventKind::WrongWay { place }
            | EventKind::Stopped {
                zone: place,
                phase: Phase::Begin,
                ..
            }
            | EventKind::Occupancy {
                zone: place,
                phase: Phase::Begin,
                ..
            }
            | EventKind::Queue {
                zone: place,
                phase: Phase::Begin,
                ..
            }
            | EventKind::Congestion {
                zone: place,
                phase: Phase::Begin,
                ..
            } => {
                self.visits(place, |visits| *visits.alarms.entry(kind).or_default() += 1);
            }
            EventKind::Stopped { .. }
            | EventKind::Occupancy { .. }
            | EventKind::Queue { .. }
            | EventKind::Congestion { .. } => {}
        }
    }

    /// A line whose way was gone against has no visits; its crossings say so already.
    fn visits(&mut self, zone: &Arc<str>, change: impl FnOnce(&mut Visits)) {
        if let Some((_, visits)) = self.zones.iter_mut().find(|(name, _)| name == zone) {
            change(visits);
        }
    }

    /// One row per line, zone and turn: what it is about, and the counts.
    #[must_use]
    pub fn rows(&self, classes: &[String]) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        for (name, counts) in &self.lines {
            let sides =
                [Direction::In, Direction::Out].map(|side| side_text(counts, side, classes));
            rows.push((format!("line {name}"), sides.join(", ")));
        }
        for (name, visits) in &self.zones {
            let Visits { entries, exits, .. } = visits;
            let mut text = format!("{entries} entries, {exits} exits");
            if *exits > 0 {
                let mean = visits.dwell.as_secs_f64() / *exits as f64;
                text += &format!(", mean dwell {mean:.1} s");
            }
            for (kind, count) in &visits.alarms {
                text += &format!(", {count} {}", kind.replace('_', " "));
            }
            rows.push((format!("zone {name}"), text));
        }
        for ((from, to), count) in &self.turns {
            rows.push((format!("{from} → {to}"), count.to_string()));
        }
        rows
    }
}

/// `in 6 (5 person, 1 car)`.
fn side_text(counts: &Crossings, side: Direction, classes: &[String]) -> String {
    let of_side = || {
        counts
            .iter()
            .filter(|((direction, _), _)| *direction == side)
    };
    let total: u64 = of_side().map(|(_, count)| count).sum();
    let parts: Vec<String> = of_side()
        .map(|((_, class), count)| format!("{count} {}", class_name(*class, classes)))
        .collect();
    match parts.as_slice() {
        [] => format!("{} 0", side.as_str()),
        parts => format!("{} {total} ({})", side.as_str(), parts.join(", ")),
    }
}

/// Everything the table shows.
#[derive(Debug)]
pub struct Summary<'a> {
    /// The input as the user knows it.
    pub input: &'a str,
    /// Its camera.
    pub camera: &'a CameraId,
    /// Model and what computed it.
    pub model: String,
    /// Identities.
    pub tally: &'a Tally,
    /// What happened at zones and lines, if there are any.
    pub counts: Option<&'a EventTally>,
    /// Names of the classes.
    pub classes: &'a [String],
    /// Where the frames went.
    pub balance: Balance,
    /// Results that did not reach the video.
    pub not_recorded: u64,
    /// Results that did not reach the text files.
    pub not_written: u64,
    /// Events that did not reach their file.
    pub events_lost: u64,
    /// Boxes of the model that were no boxes.
    pub rejected: u64,
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
        if let Some(looks) = self.looks() {
            row("detector", looks);
        }
        row("identities", self.identities());
        if self.rejected > 0 {
            let what = "boxes of the model that are none (not finite, no area, off the frame)";
            row("rejected", format!("{} {what}", self.rejected));
        }
        row("most at once", self.tally.most_at_once().to_string());
        for (name, counts) in self
            .counts
            .map_or_else(Vec::new, |it| it.rows(self.classes))
        {
            row(&name, counts);
        }
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
        if self.events_lost > 0 {
            text += &format!(", {} events not in their file", self.events_lost);
        }
        text
    }

    /// How many frames the detector looked at, and why; nothing to say where it looked at all.
    fn looks(&self) -> Option<String> {
        let looks = self.metrics.looks();
        let Looks { detected, carried } = looks.of(self.camera);
        if carried == 0 {
            return None;
        }
        let mut reasons = looks.reasons(self.camera);
        reasons.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let reasons: Vec<String> = reasons
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        let all = detected + carried;
        Some(format!(
            "looked at {detected} of {all} frames: {}",
            reasons.join(", ")
        ))
    }

    fn identities(&self) -> String {
        let per_class = self.tally.ids_per_class();
        let total: u64 = per_class.values().sum();
        let name = |class: &ClassId| class_name(*class, self.classes);
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
