//! Progress of long work: a bar on a terminal, a plain line every few seconds elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Frames,
    Bytes,
    Trials,
}

/// Shows how far one input is, on stderr.
#[derive(Debug)]
pub struct Progress {
    name: String,
    unit: Unit,
    bar: Option<ProgressBar>,
    started: Instant,
    shown: Instant,
}

impl Progress {
    /// Begins to show; `name` is the input.
    #[must_use]
    pub fn start(name: &str) -> Self {
        Self::of(name, Unit::Frames)
    }

    /// Begins to show a download; `name` is what is fetched.
    #[must_use]
    pub fn of_bytes(name: &str) -> Self {
        Self::of(name, Unit::Bytes)
    }

    /// Begins to show a search; `name` is what is searched for.
    #[must_use]
    pub fn of_trials(name: &str) -> Self {
        Self::of(name, Unit::Trials)
    }

    fn of(name: &str, unit: Unit) -> Self {
        let now = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length().with_message(name.to_owned());
            bar.set_style(style(unit, false));
            bar
        });
        Self {
            name: name.to_owned(),
            unit,
            bar,
            started: now,
            shown: now,
        }
    }

    /// `done` frames, bytes or trials of `total`, where that is known.
    pub fn update(&mut self, done: u64, total: Option<u64>) {
        if let Some(bar) = &self.bar {
            if let Some(total) = total.filter(|total| bar.length() != Some(*total)) {
                bar.set_length(total);
                bar.set_style(style(self.unit, true));
            }
            bar.set_position(done);
        } else if self.shown.elapsed() >= LINE_EVERY {
            self.shown = Instant::now();
            self.line(done, total);
        }
    }

    fn line(&self, done: u64, total: Option<u64>) {
        let fps = done as f64 / self.started.elapsed().as_secs_f64();
        let (of, left) = match total {
            Some(total) if fps > 0.0 => {
                let seconds = total.saturating_sub(done) as f64 / fps;
                (format!("/{total}"), format!(", {seconds:.0} s left"))
            }
            _ => (String::new(), String::new()),
        };
        let name = &self.name;
        let line = match self.unit {
            Unit::Frames => format!("{name}: {done}{of} frames, {fps:.1} fps{left}"),
            Unit::Bytes => format!("{name}: {done}{of} bytes{left}"),
            Unit::Trials => format!("{name}: {done}{of} trials{left}"),
        };
        // A closed stderr leaves nobody to tell.
        drop(writeln!(std::io::stderr(), "{line}"));
    }

    /// Ends the display.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(unit: Unit, with_length: bool) -> ProgressStyle {
    let template = match (unit, with_length) {
        (Unit::Frames, true) => "{msg} {bar:30} {pos}/{len} frames, {per_sec}, {eta} left",
        (Unit::Frames, false) => "{msg} {spinner} {pos} frames, {per_sec}, {elapsed}",
        (Unit::Bytes, true) => {
            "{msg} {bar:30} {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left"
        }
        (Unit::Trials, true) => "{msg} {bar:30} {pos}/{len} trials, {eta} left",
        (Unit::Trials, false) => "{msg} {spinner} {pos} trials, {elapsed}",
        (Unit::Bytes, false) => "{msg} {spinner} {binary_bytes}, {binary_bytes_per_sec}, {elapsed}",
    };
    ProgressStyle::with_template(template).expect("the template is a constant")
}
