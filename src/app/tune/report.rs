//! What was found, as a table and a verdict.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use super::setting::Setting;
use super::validate::{Figures, Fold, Objective, Outcome};
use super::verdict::{Gain, LEAST_GAIN, Verdict};

/// What was tried and what it is worth; its text is for people.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneReport {
    /// Names of the sequences.
    pub sequences: Vec<String>,
    /// What was searched for.
    pub objective: Objective,
    /// Trials that were asked for.
    pub trials: usize,
    /// Where the chances came from.
    pub seed: u64,
    /// Whether a configuration was given; else the setting in use is the default.
    pub has_config: bool,
    /// The folds and what was chosen.
    pub outcome: Outcome,
    /// The gain in what was searched for.
    pub gain: Gain,
    /// What to do.
    pub verdict: Verdict,
    /// What to write, or which lines to change.
    pub steps: Vec<String>,
    /// What the operator should know besides.
    pub notes: Vec<String>,
}

impl Objective {
    /// Its name in the literature.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hota => "HOTA",
            Self::Idf1 => "IDF1",
            Self::Mota => "MOTA",
        }
    }
}

impl TuneReport {
    /// What is compared with.
    fn in_use(&self) -> &'static str {
        if self.has_config { "now" } else { "default" }
    }

    fn shown(&self) -> Vec<Objective> {
        let mut shown = vec![Objective::Hota, Objective::Idf1];
        if self.objective == Objective::Mota {
            shown.push(Objective::Mota);
        }
        shown
    }

    fn gain_of(&self, objective: Objective) -> Option<Gain> {
        let gains: Vec<f64> = self
            .outcome
            .folds
            .iter()
            .map(|fold| fold.gain(objective))
            .collect();
        Gain::of(&gains)
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let mut header = vec!["fold".to_owned(), "held out".to_owned()];
        for objective in self.shown() {
            header.push(format!("{} {}", objective.name(), self.in_use()));
            header.push("tuned".to_owned());
            header.push("gain".to_owned());
        }
        header.push("chosen on the others".to_owned());
        let columns = header.len();
        table.set_header(header);
        for (number, fold) in self.outcome.folds.iter().enumerate() {
            let mut row = vec![(number + 1).to_string(), self.names(fold)];
            for objective in self.shown() {
                let figure = |figures: &Figures| format!("{:.2}", figures.get(objective));
                row.push(figure(&fold.in_use));
                row.push(figure(&fold.tuned));
                row.push(format!("{:+.2}", fold.gain(objective)));
            }
            row.push(words(&fold.chosen));
            table.add_row(row);
        }
        for column in 2..columns - 1 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    fn names(&self, fold: &Fold) -> String {
        let names = fold
            .held_out
            .iter()
            .filter_map(|at| self.sequences.get(*at));
        names.map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// The verdict in a line.
    #[must_use]
    pub fn verdict_text(&self) -> String {
        let name = self.objective.name();
        let gain = format!("{:+.2} {name}", self.gain.mean);
        let keep = if self.has_config {
            "keep what is in use"
        } else {
            "keep the defaults"
        };
        match self.verdict {
            Verdict::Take => format!(
                "take it: {gain} on average where the search did not look, more than its spread"
            ),
            Verdict::NothingFound => format!("{keep}: nothing better was found on all the data"),
            Verdict::Worse => format!(
                "{keep}: {gain} on average where the search did not look; what it finds does not carry over"
            ),
            Verdict::Small => {
                format!("{keep}: {gain} on average, which is below {LEAST_GAIN}")
            }
            Verdict::Uncertain => format!(
                "{keep}: {gain} on average, which is within the spread of {:.2} between folds",
                self.gain.spread
            ),
        }
    }
}

impl Fold {
    /// What tuning gains here, points.
    #[must_use]
    pub fn gain(&self, objective: Objective) -> f64 {
        self.tuned.get(objective) - self.in_use.get(objective)
    }
}

/// A setting in words.
fn words(setting: &Setting) -> String {
    let lines = setting.lines();
    if lines.is_empty() {
        return "nothing else".to_owned();
    }
    let words = lines.iter().map(|(key, value)| format!("{key} {value}"));
    words.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for TuneReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sequences, folds) = (self.sequences.len(), self.outcome.folds.len());
        writeln!(
            f,
            "{sequences} sequences, each held out once in {folds} folds; {} trials per search, for {}, seed {}",
            self.outcome.trials,
            self.objective.name(),
            self.seed
        )?;
        if self.outcome.was_stopped {
            writeln!(
                f,
                "stopped after {} of {} trials: this is the best so far",
                self.outcome.trials, self.trials
            )?;
        }
        let table = self.table().to_string();
        for line in table.lines() {
            writeln!(f, "{}", line.trim_end())?;
        }
        for objective in self.shown() {
            if let Some(gain) = self.gain_of(objective) {
                writeln!(f, "{} {gain}", objective.name())?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        write!(f, "{}", self.verdict_text())?;
        for step in &self.steps {
            write!(f, "\n{step}")?;
        }
        Ok(())
    }
}
