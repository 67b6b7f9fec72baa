//! What a replay did, and how long it took.

use std::fmt;
use std::time::Duration;

/// What a replay did.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaySummary {
    /// Frames stepped, with and without detections.
    pub frames: u64,
    /// Detections given to the tracker.
    pub detections: usize,
    /// Identities given.
    pub ids: u64,
    /// Rows written.
    pub rows: u64,
    /// Rows of the input left out because their box has no area.
    pub empty_boxes: usize,
    /// Scores of the input outside 0..=1, cut to that range.
    pub cut_scores: usize,
    /// Frames per second that were used.
    pub fps: f64,
    /// Where the frame rate comes from.
    pub fps_source: FpsSource,
    /// Time of the tracker alone per frame: the median.
    pub median: Duration,
    /// Time of the tracker alone per frame: 99 of 100 frames took no longer.
    pub p99: Duration,
}

/// Where the frame rate of a replay comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FpsSource {
    /// `--fps`.
    Given,
    /// `seqinfo.ini` beside the detections.
    SeqInfo,
    /// Neither said anything.
    Assumed,
}

impl fmt::Display for ReplaySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.fps_source {
            FpsSource::Given => "given",
            FpsSource::SeqInfo => "from seqinfo.ini",
            FpsSource::Assumed => "assumed; --fps says otherwise",
        };
        writeln!(
            f,
            "{} frames at {} fps ({source}), {} detections -> {} ids, {} rows",
            self.frames, self.fps, self.detections, self.ids, self.rows
        )?;
        if self.empty_boxes > 0 {
            writeln!(f, "{} boxes without area left out", self.empty_boxes)?;
        }
        if self.cut_scores > 0 {
            writeln!(
                f,
                "{} scores outside 0..1 cut to that range",
                self.cut_scores
            )?;
        }
        write_times(f, self.median, self.p99)
    }
}

/// What a replay of one or more sequences did.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayReport {
    /// Name and summary of each sequence, in order of the names.
    pub sequences: Vec<(String, ReplaySummary)>,
    /// Over all frames: the median time of the tracker alone.
    pub median: Duration,
    /// Over all frames: 99 of 100 took no longer.
    pub p99: Duration,
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(_, only)] = &self.sequences[..] {
            return only.fmt(f);
        }
        let (mut frames, mut rows) = (0, 0);
        for (name, summary) in &self.sequences {
            writeln!(f, "{name}: {summary}")?;
            frames += summary.frames;
            rows += summary.rows;
        }
        writeln!(
            f,
            "{} sequences, {frames} frames, {rows} rows",
            self.sequences.len()
        )?;
        write_times(f, self.median, self.p99)
    }
}

fn write_times(f: &mut fmt::Formatter<'_>, median: Duration, p99: Duration) -> fmt::Result {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    write!(
        f,
        "tracker alone: median {:.1} µs, p99 {:.1} µs per frame",
        micros(median),
        micros(p99)
    )
}

/// The value that `hundredths` of 100 do not exceed, of a sorted list; zero of none.
pub(super) fn quantile(sorted: &[Duration], hundredths: usize) -> Duration {
    let index = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}
