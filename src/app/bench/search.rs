//! How many cameras a machine carries: the largest number that holds, found with few trials.

/// A search for the largest number of 1 to `most` that holds, where all below one that holds do too.
#[derive(Debug, Clone)]
pub struct Search {
    /// The largest that is known to hold; 0 before anything is known.
    holds: u32,
    /// The smallest that is known not to hold, or one more than may be tried.
    fails: u32,
    /// What was tried last held.
    did_hold: bool,
    /// How far from what is known the next trial is; doubles, so that a bad guess costs few trials.
    step: u32,
    /// What is tried instead of searching, the largest first.
    chosen: Option<Vec<u32>>,
}

impl Search {
    /// Nothing is known yet.
    pub fn new(most: u32) -> Self {
        Self {
            holds: 0,
            fails: most.saturating_add(1),
            did_hold: true,
            step: 0,
            chosen: None,
        }
    }

    /// Tries these numbers, the smallest first, and no others.
    pub fn of(mut numbers: Vec<u32>) -> Self {
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.dedup();
        Self {
            chosen: Some(numbers),
            ..Self::new(u32::MAX)
        }
    }

    /// The next number to try; `None` when the largest is known. `guess` is what the last trial lets
    /// expect.
    pub fn next(&mut self, guess: f64) -> Option<u32> {
        if let Some(numbers) = &mut self.chosen {
            return numbers.pop();
        }
        let (lowest, highest) = (self.holds + 1, self.fails - 1);
        if lowest > highest {
            return None;
        }
        if self.holds == 0 {
            return Some(1);
        }
        if self.step == 0 {
            self.step = 1;
            return Some((guess.max(1.0) as u32).clamp(lowest, highest));
        }
        let next = if self.did_hold {
            self.holds.saturating_add(self.step)
        } else {
            self.fails.saturating_sub(self.step)
        };
        self.step = self.step.saturating_mul(2);
        let is_news = (lowest..=highest).contains(&next);
        Some(if is_news {
            next
        } else {
            lowest.midpoint(highest)
        })
    }

    /// What came of a trial.
    pub fn learn(&mut self, number: u32, did_hold: bool) {
        self.did_hold = did_hold;
        if did_hold && number < self.fails {
            self.holds = self.holds.max(number);
        } else if !did_hold {
            self.fails = self.fails.min(number);
        }
    }

    /// The largest number that is known to hold.
    pub fn holds(&self) -> u32 {
        self.holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a machine that carries `truth`, told `guess` after each trial.
    fn found(truth: u32, most: u32, guess: f64) -> (u32, usize) {
        let (mut search, mut trials) = (Search::new(most), 0);
        while let Some(number) = search.next(guess) {
            trials += 1;
            assert!((1..=most).contains(&number));
            search.learn(number, number <= truth);
        }
        (search.holds(), trials)
    }

    #[test]
    fn the_largest_number_that_holds_is_found_whatever_is_expected() {
        for truth in 0..=64 {
            for wrong in [0.0, 0.2, 0.8, 1.0, 1.3, 9.0] {
                let (holds, trials) = found(truth, 64, f64::from(truth) * wrong);
                assert_eq!(holds, truth, "expected {wrong} of it");
                assert!(trials <= 13, "{trials} trials for {truth} at {wrong}");
            }
        }
    }

    #[test]
    fn a_good_guess_saves_trials() {
        assert_eq!(found(24, 64, 24.4), (24, 3));
        assert!(found(24, 64, 25.9).1 <= 4);
    }

    #[test]
    fn numbers_that_are_chosen_are_tried_in_turn_and_none_else() {
        let mut search = Search::of(vec![8, 2, 4, 4, 16]);
        let mut tried = Vec::new();
        while let Some(number) = search.next(100.0) {
            tried.push(number);
            search.learn(number, number != 8);
        }
        assert_eq!(tried, [2, 4, 8, 16]);
        assert_eq!(search.holds(), 4, "what holds above one that fails is luck");
    }

    #[test]
    fn no_more_than_asked_for_is_tried() {
        assert_eq!(found(1000, 8, 1000.0).0, 8);
        assert_eq!(found(1000, 1, 1000.0), (1, 1));
    }
}
