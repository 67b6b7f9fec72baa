//! What becomes of a detector that fails: a card that is gone, a driver that was changed, memory that
//! another program took. It is opened anew a few times, and then given up, so that whoever looks after
//! the process can start it anew.

use std::time::{Duration, Instant};

use super::{Failure, PipelineError};
use crate::base::{StopSource, causes};
use crate::perception::detect::{DetectError, DetectOptions, Detector, ModelFiles};

/// So many times it is opened anew before it is given up.
const TRIES: u32 = 3;

/// What is to be done after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Go on with the next frame.
    GoOn,
    /// Open it anew.
    Reopen,
    /// Nothing helped.
    GiveUp,
}

/// Failures in a row, over time.
#[derive(Debug)]
struct Failing {
    patience: Duration,
    since: Option<Instant>,
    reopened: u32,
}

impl Failing {
    fn step(&mut self, now: Instant) -> Step {
        let failing = now.duration_since(*self.since.get_or_insert(now));
        if failing >= self.patience && self.reopened == TRIES {
            Step::GiveUp
        } else if self.reopened < TRIES
            && failing >= self.patience * (self.reopened + 1) / (TRIES + 1)
        {
            self.reopened += 1;
            Step::Reopen
        } else {
            Step::GoOn
        }
    }

    fn is_over(&mut self) {
        (self.since, self.reopened) = (None, 0);
    }
}

/// Looks after the detector of one worker.
#[derive(Debug)]
pub(super) struct Recovery {
    model: ModelFiles,
    options: DetectOptions,
    failing: Failing,
    failure: Failure,
    stop: StopSource,
}

impl Recovery {
    /// Of a detector opened so; `patience` without one success is the end of everything.
    pub fn new(
        model: ModelFiles,
        options: DetectOptions,
        patience: Duration,
        failure: Failure,
        stop: StopSource,
    ) -> Self {
        Self {
            model,
            options,
            failing: Failing {
                patience,
                since: None,
                reopened: 0,
            },
            failure,
            stop,
        }
    }

    /// The detector works.
    pub fn works(&mut self) {
        self.failing.is_over();
    }

    /// The detector failed; gives one that is opened anew, if it is time for that.
    pub fn failed(&mut self, error: DetectError) -> Option<Detector> {
        match self.failing.step(Instant::now()) {
            Step::GoOn => None,
            Step::Reopen => {
                tracing::warn!("the detector does not work any more, it is opened anew");
                match Detector::open(&self.model, &self.options) {
                    Ok(detector) => Some(detector),
                    Err(error) => {
                        let error = causes(&error);
                        tracing::error!(error, "the detector cannot be opened anew");
                        None
                    }
                }
            }
            Step::GiveUp => {
                let secs = self.failing.patience.as_secs();
                self.failure.set(PipelineError::DetectorLost {
                    secs,
                    source: error,
                });
                self.stop.stop();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_opened_anew_three_times_and_then_given_up() {
        let mut failing = Failing {
            patience: Duration::from_secs(60),
            since: None,
            reopened: 0,
        };
        let began = Instant::now();
        let mut steps = |range: std::ops::Range<u64>| -> Vec<(u64, Step)> {
            let steps = range.map(|secs| (secs, failing.step(began + Duration::from_secs(secs))));
            steps.filter(|(_, step)| *step != Step::GoOn).collect()
        };
        let reopened = [15, 30, 45].map(|secs| (secs, Step::Reopen));
        assert_eq!(steps(0..60), reopened);
        assert_eq!(steps(60..61), [(60, Step::GiveUp)]);
        failing.is_over();
        assert_eq!(failing.step(began + Duration::from_secs(100)), Step::GoOn);
        let later = failing.step(began + Duration::from_secs(115));
        assert_eq!(later, Step::Reopen, "the time counts from the new failure");
        // However few frames came meanwhile, it is not given up untried.
        let much_later =
            [300, 301, 302].map(|secs| failing.step(began + Duration::from_secs(secs)));
        assert_eq!(much_later, [Step::Reopen, Step::Reopen, Step::GiveUp]);
    }
}
