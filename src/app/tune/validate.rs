//! Cross-validation: one search per fold on what the fold does not hold out, and one on everything.
//!
//! The figures of a fold come from sequences that its search was never told about. The searches go on
//! side by side, a trial each per round, so that one that is stopped early is as far as the others.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::TuneError;
use super::labelled::Sequence;
use super::search::Search;
use super::setting::{Setting, Space};
use crate::tools::evaluate::{EvaluateError, Scores};

/// A key is only changed if that is worth this much on the data of the search, points.
const WORTH: f64 = 0.05;
/// Scores kept, so that what two searches try is tracked once: 2 KiB each.
const MAX_KEPT: usize = 20_000;
/// Rounds in which keys are set back one by one.
pub const LAST_ROUNDS: u64 = 5;

/// The figure that is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// HOTA.
    Hota,
    /// IDF1.
    Idf1,
    /// MOTA.
    Mota,
}

/// The three figures people ask for, in points of 100.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// HOTA.
    pub hota: f64,
    /// IDF1.
    pub idf1: f64,
    /// MOTA.
    pub mota: f64,
}

impl Figures {
    fn of(scores: &Scores) -> Self {
        Self {
            hota: scores.hota.mean().hota * 100.0,
            idf1: scores.identity.idf1() * 100.0,
            mota: scores.clear.mota() * 100.0,
        }
    }

    /// The one that is searched for.
    #[must_use]
    pub fn get(&self, objective: Objective) -> f64 {
        match objective {
            Objective::Hota => self.hota,
            Objective::Idf1 => self.idf1,
            Objective::Mota => self.mota,
        }
    }
}

/// How it is searched.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What for.
    pub objective: Objective,
    /// Settings each search tries.
    pub trials: NonZeroUsize,
    /// Parts that are held out in turn, at most as many as there are sequences.
    pub folds: usize,
    /// Where the chances come from.
    pub seed: u64,
    /// Sequences that are tracked side by side; changes no result.
    pub threads: NonZeroUsize,
}

/// What one fold came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// Places of the sequences held out.
    pub held_out: Vec<usize>,
    /// What was chosen on the others.
    pub chosen: Setting,
    /// Figures of the setting in use on what was held out.
    pub in_use: Figures,
    /// Those of the chosen setting.
    pub tuned: Figures,
}

/// What all folds came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// In the order of the folds.
    pub folds: Vec<Fold>,
    /// What was chosen on everything. Its figures there are never reported: it was chosen by them.
    pub chosen: Setting,
    /// Rounds that were done, of those that were asked for.
    pub trials: usize,
    /// Whether it was stopped before.
    pub was_stopped: bool,
}

/// Says how far it is and learns whether to go on; asked from one thread.
pub trait Watch {
    /// `done` rounds of `total`.
    fn progress(&mut self, done: u64, total: u64);
}

/// Searches and validates.
///
/// # Errors
/// A sequence that cannot be scored, or a stop before the first round was done.
pub fn cross_validate(
    sequences: &[Sequence],
    space: &Space,
    plan: &Plan,
    is_stopped: &(dyn Fn() -> bool + Sync),
    watch: &mut dyn Watch,
) -> Result<Outcome, TuneError> {
    let mut bench = Bench {
        sequences,
        space,
        plan,
        is_stopped,
        kept: BTreeMap::new(),
    };
    let all: Vec<usize> = (0..sequences.len()).collect();
    let folds = plan.folds.min(sequences.len());
    let mut parts: Vec<Part<'_>> = (0..folds)
        .map(|fold| {
            Part::new(
                space,
                plan,
                fold,
                all.iter().filter(|at| *at % folds != fold),
            )
        })
        .collect();
    parts.push(Part::new(space, plan, folds, all.iter()));

    let total = plan.trials.get() as u64 + LAST_ROUNDS;
    let mut trials = 0;
    while trials < plan.trials.get() {
        watch.progress(trials as u64, total);
        let asked: Vec<Setting> = parts.iter_mut().map(|part| part.search.ask()).collect();
        let Some(scores) = bench.scores(&parts, &asked)? else {
            break;
        };
        for ((part, setting), score) in parts.iter_mut().zip(asked).zip(scores) {
            part.search.tell(setting, score);
        }
        trials += 1;
    }
    let best = parts.iter().map(|part| part.search.best());
    let best: Option<Vec<(Setting, f64)>> = best.collect();
    let mut best = best.ok_or(TuneError::StoppedAtOnce)?;
    for round in 0..LAST_ROUNDS {
        watch.progress(trials as u64 + round, total);
        let simpler = best.iter().map(|(setting, _)| {
            let simpler = setting.simpler()[round as usize];
            simpler.unwrap_or(*setting)
        });
        let asked: Vec<Setting> = simpler.collect();
        let Some(scores) = bench.scores(&parts, &asked)? else {
            break;
        };
        for ((best, setting), score) in best.iter_mut().zip(asked).zip(scores) {
            if score > best.1 - WORTH {
                *best = (setting, score);
            }
        }
    }
    let was_stopped = is_stopped();
    // What is left is bounded: two settings per sequence.
    bench.is_stopped = &|| false;
    let chosen = best.pop().map_or_else(Setting::default, |best| best.0);
    let mut outcome = Outcome {
        folds: Vec::new(),
        chosen,
        trials,
        was_stopped,
    };
    for (fold, (chosen, _)) in best.into_iter().enumerate() {
        let held_out: Vec<usize> = all
            .iter()
            .copied()
            .filter(|at| at % folds == fold)
            .collect();
        outcome.folds.push(Fold {
            in_use: bench.figures(Setting::default(), &held_out)?,
            tuned: bench.figures(chosen, &held_out)?,
            held_out,
            chosen,
        });
    }
    Ok(outcome)
}

/// One search and the sequences that it may see.
struct Part<'s> {
    search: Search<'s>,
    seen: Vec<usize>,
}

impl<'s> Part<'s> {
    fn new<'i>(
        space: &'s Space,
        plan: &Plan,
        number: usize,
        seen: impl Iterator<Item = &'i usize>,
    ) -> Self {
        Self {
            search: Search::new(space, plan.seed, number as u64),
            seen: seen.copied().collect(),
        }
    }
}

/// A setting on a sequence.
type Job = (Setting, usize);

/// Tracks and scores, several sequences side by side, and remembers.
struct Bench<'a> {
    sequences: &'a [Sequence],
    space: &'a Space,
    plan: &'a Plan,
    is_stopped: &'a (dyn Fn() -> bool + Sync),
    kept: BTreeMap<Job, Scores>,
}

impl Bench<'_> {
    /// What each search is told of the setting it asked for; `None` after a stop.
    fn scores(
        &mut self,
        parts: &[Part<'_>],
        asked: &[Setting],
    ) -> Result<Option<Vec<f64>>, TuneError> {
        let jobs = parts.iter().zip(asked);
        let jobs = jobs.flat_map(|(part, setting)| part.seen.iter().map(|at| (*setting, *at)));
        if !self.run(jobs.collect())? {
            return Ok(None);
        }
        let scores = parts.iter().zip(asked).map(|(part, setting)| {
            let figures = Figures::of(&self.combined(*setting, &part.seen));
            figures.get(self.plan.objective)
        });
        Ok(Some(scores.collect()))
    }

    fn figures(&mut self, setting: Setting, held_out: &[usize]) -> Result<Figures, TuneError> {
        self.run(held_out.iter().map(|at| (setting, *at)).collect())?;
        Ok(Figures::of(&self.combined(setting, held_out)))
    }

    fn combined(&self, setting: Setting, places: &[usize]) -> Scores {
        let kept = places
            .iter()
            .filter_map(|at| self.kept.get(&(setting, *at)));
        Scores::combine(kept)
    }

    /// Has the scores of all `jobs` at hand; false if it was stopped before that.
    fn run(&mut self, jobs: BTreeSet<Job>) -> Result<bool, TuneError> {
        if self.kept.len() > MAX_KEPT {
            // All but those that are asked for again and again.
            self.kept.retain(|job, _| job.0 == Setting::default());
        }
        let missing = jobs.into_iter().filter(|job| !self.kept.contains_key(job));
        let missing: Vec<Job> = missing.collect();
        for (job, scores) in self.tracked(&missing) {
            let scores = scores.map_err(|source| TuneError::Score {
                sequence: self.sequences[job.1].name.clone(),
                source,
            })?;
            self.kept.insert(job, scores);
        }
        let is_done = |job: &Job| self.kept.contains_key(job);
        Ok(missing.iter().all(is_done))
    }

    /// Which thread does what changes no result: each sequence is tracked for itself, and what they
    /// come to is put together by name.
    fn tracked(&self, jobs: &[Job]) -> Vec<(Job, Result<Scores, EvaluateError>)> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while !(self.is_stopped)() {
                let Some(&job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else {
                    break;
                };
                let options = self.space.options(&job.0);
                done.push((job, self.sequences[job.1].scores(&options)));
            }
            done
        };
        let threads = self.plan.threads.get().min(jobs.len());
        if threads <= 1 {
            return work();
        }
        let mut done: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let joined = workers.into_iter().map(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.flatten().collect()
        });
        done.sort_by_key(|(job, _)| *job);
        done
    }
}
