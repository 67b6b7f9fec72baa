//! The best pairing of rows and columns where only some pairs are allowed.
//!
//! Successive shortest augmenting paths with potentials (Jonker & Volgenant 1987, on a sparse graph;
//! Dijkstra as in Ahuja, Magnanti & Orlin, "Network Flows", 12.4). A search never leaves the
//! connected component it began in, so that a frame full of small groups costs what the groups cost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An allowed pair and what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub row: u32,
    pub col: u32,
    /// Worth of the pair in millionths; pairs worth nothing or less must be left out.
    pub gain: i32,
}

/// No row or column.
const NONE: u32 = u32::MAX;
/// Cost of leaving a row alone; a pair costs this less its gain.
const ALONE: i64 = i32::MAX as i64;
/// Not reached by the search.
const FAR: i64 = i64::MAX;

/// Solves assignments one after the other, keeping its memory.
#[derive(Debug, Default)]
pub(super) struct Assigner {
    row_start: Vec<u32>,
    row_price: Vec<i64>,
    col_of_row: Vec<u32>,
    cols: Vec<Column>,
    heap: BinaryHeap<Reverse<(i64, u32)>>,
    touched: Vec<u32>,
    settled: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    price: i64,
    row: u32,
    reached_from: u32,
    distance: i64,
    settled: bool,
}

impl Assigner {
    /// Pairs rows with columns, each at most once, so that the sum of gains is the largest possible.
    ///
    /// `pairs` is sorted by row, without repeats. Answers the column of each row, or `None`. Exact
    /// (integer arithmetic) and deterministic: equal sums are decided by order of row and column.
    pub fn solve(
        &mut self,
        rows: usize,
        cols: usize,
        pairs: &[Pair],
    ) -> impl Fn(usize) -> Option<usize> {
        self.reset(rows, cols, pairs);
        for row in 0..rows {
            self.place(row, pairs);
        }
        let col_of_row = &self.col_of_row;
        |row| {
            let col = *col_of_row.get(row)?;
            (col != NONE).then_some(col as usize)
        }
    }

    fn reset(&mut self, rows: usize, cols: usize, pairs: &[Pair]) {
        debug_assert!(pairs.is_sorted_by_key(|pair| pair.row));
        self.row_start.clear();
        self.row_start.resize(rows + 1, 0);
        for pair in pairs {
            self.row_start[pair.row as usize + 1] += 1;
        }
        for row in 0..rows {
            self.row_start[row + 1] += self.row_start[row];
        }
        self.row_price.clear();
        self.row_price.resize(rows, 0);
        self.col_of_row.clear();
        self.col_of_row.resize(rows, NONE);
        self.cols.clear();
        self.cols.resize(
            cols,
            Column {
                price: 0,
                row: NONE,
                reached_from: NONE,
                distance: FAR,
                settled: false,
            },
        );
    }

    fn pairs_of<'p>(&self, row: usize, pairs: &'p [Pair]) -> &'p [Pair] {
        &pairs[self.row_start[row] as usize..self.row_start[row + 1] as usize]
    }

    /// Gives `root` its place, moving earlier rows along the cheapest alternating path.
    fn place(&mut self, root: usize, pairs: &[Pair]) {
        self.row_price[root] = self
            .pairs_of(root, pairs)
            .iter()
            .map(|pair| cost(pair) - self.cols[pair.col as usize].price)
            .fold(ALONE, i64::min);

        let (mut row, mut row_distance) = (root, 0);
        // The cheapest way to end the path by leaving a row alone, and that row.
        let mut leave = (FAR, NONE);
        let end = loop {
            let alone = row_distance + ALONE - self.row_price[row];
            leave = leave.min((alone, row as u32));
            self.relax(row, row_distance, pairs);
            match self.nearest_column() {
                Some((distance, col)) if distance <= leave.0 => {
                    let column = &mut self.cols[col as usize];
                    if column.row == NONE {
                        break (distance, col);
                    }
                    column.settled = true;
                    self.settled.push(col);
                    row = column.row as usize;
                    row_distance = distance;
                }
                _ => break (leave.0, NONE),
            }
        };
        self.reprice(root, end.0);
        self.augment(root, end.1, leave.1);
        self.forget_search();
    }

    fn relax(&mut self, row: usize, row_distance: i64, pairs: &[Pair]) {
        for pair in self.pairs_of(row, pairs) {
            let column = &mut self.cols[pair.col as usize];
            let distance = row_distance + cost(pair) - self.row_price[row] - column.price;
            if distance < column.distance {
                if column.distance == FAR {
                    self.touched.push(pair.col);
                }
                column.distance = distance;
                column.reached_from = row as u32;
                self.heap.push(Reverse((distance, pair.col)));
            }
        }
    }

    fn nearest_column(&mut self) -> Option<(i64, u32)> {
        while let Some(Reverse((distance, col))) = self.heap.pop() {
            let column = &self.cols[col as usize];
            if !column.settled && distance == column.distance {
                return Some((distance, col));
            }
        }
        None
    }

    /// Keeps every reduced cost ≥ 0 and those of the chosen pairs 0.
    fn reprice(&mut self, root: usize, path: i64) {
        self.row_price[root] += path;
        for &col in &self.settled {
            let column = &mut self.cols[col as usize];
            let slack = path - column.distance;
            column.price -= slack;
            self.row_price[column.row as usize] += slack;
        }
    }

    /// Moves the rows along the path that ends in the free column `end`, or, if there is none, with
    /// `left` alone.
    fn augment(&mut self, root: usize, end: u32, left: u32) {
        let mut col = if end == NONE {
            std::mem::replace(&mut self.col_of_row[left as usize], NONE)
        } else {
            end
        };
        while col != NONE {
            let row = self.cols[col as usize].reached_from;
            self.cols[col as usize].row = row;
            let freed = std::mem::replace(&mut self.col_of_row[row as usize], col);
            if row as usize == root {
                break;
            }
            col = freed;
        }
    }

    fn forget_search(&mut self) {
        for col in self.touched.drain(..) {
            let column = &mut self.cols[col as usize];
            column.distance = FAR;
            column.settled = false;
        }
        self.settled.clear();
        self.heap.clear();
    }
}

fn cost(pair: &Pair) -> i64 {
    ALONE - i64::from(pair.gain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tries every assignment: the reference for the sum of gains.
    fn best_by_trying_all(gains: &[Vec<i32>], row: usize, used: u32) -> i64 {
        let Some(row_gains) = gains.get(row) else {
            return 0;
        };
        let mut best = best_by_trying_all(gains, row + 1, used);
        for (col, &gain) in row_gains.iter().enumerate() {
            if gain > 0 && used & (1 << col) == 0 {
                let with = i64::from(gain) + best_by_trying_all(gains, row + 1, used | 1 << col);
                best = best.max(with);
            }
        }
        best
    }

    fn pairs_of(gains: &[Vec<i32>]) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (row, row_gains) in gains.iter().enumerate() {
            for (col, &gain) in row_gains.iter().enumerate() {
                if gain > 0 {
                    pairs.push(Pair {
                        row: row as u32,
                        col: col as u32,
                        gain,
                    });
                }
            }
        }
        pairs
    }

    #[test]
    fn the_greedy_choice_is_not_taken_when_the_sum_is_smaller() {
        // Greedy takes (0, 0) = 9 and nothing is left for row 1; the best is 8 + 7.
        let pairs = pairs_of(&[vec![9, 8], vec![7, 0]]);
        let mut assigner = Assigner::default();
        let answer = assigner.solve(2, 2, &pairs);
        assert_eq!((answer(0), answer(1)), (Some(1), Some(0)));
    }

    #[test]
    fn a_row_gives_way_to_a_better_one() {
        let pairs = pairs_of(&[vec![3], vec![5]]);
        let mut assigner = Assigner::default();
        let answer = assigner.solve(2, 1, &pairs);
        assert_eq!((answer(0), answer(1)), (None, Some(0)));
    }

    proptest! {
        #[test]
        fn the_sum_of_gains_is_the_largest(
            gains in (1usize..7, 1usize..7).prop_flat_map(|(rows, cols)| {
                // Few distinct values, so that ties are common; 0 is a forbidden pair.
                prop::collection::vec(prop::collection::vec(
                    prop_oneof![Just(0), 1i32..6, 1i32..1_000_000], cols), rows)
            })
        ) {
            let pairs = pairs_of(&gains);
            let mut assigner = Assigner::default();
            let answer = assigner.solve(gains.len(), gains[0].len(), &pairs);
            let mut used = std::collections::BTreeSet::new();
            let mut sum = 0;
            for (row, row_gains) in gains.iter().enumerate() {
                if let Some(col) = answer(row) {
                    prop_assert!(used.insert(col), "column {} twice", col);
                    prop_assert!(row_gains[col] > 0, "a forbidden pair");
                    sum += i64::from(row_gains[col]);
                }
            }
            prop_assert_eq!(sum, best_by_trying_all(&gains, 0, 0));
        }
    }
}
