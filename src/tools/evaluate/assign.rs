//! The cheapest pairing of rows and columns, in double precision.
//!
//! Shortest augmenting paths on a dense matrix (Crouse, "On implementing 2D rectangular assignment
//! algorithms", IEEE Trans. Aerospace and Electronic Systems, 2016). Not the tracker's own: where
//! two pairings are equally good the same one must be taken as by the reference program, whose
//! solver (SciPy's `linear_sum_assignment`) is this method with the choices marked below.

/// Most cells of a matrix of costs: 1 GiB.
pub(super) const MAX_PAIRS: usize = 1 << 27;
/// Not reached by the search.
const FAR: f64 = f64::INFINITY;

/// Costs of pairing rows with columns, row by row.
#[derive(Debug, Clone, Default)]
pub(super) struct Costs {
    rows: usize,
    cols: usize,
    cells: Vec<f64>,
}

impl Costs {
    /// All zero; the memory of `self` is used again.
    pub fn reset(&mut self, rows: usize, cols: usize) {
        (self.rows, self.cols) = (rows, cols);
        self.cells.clear();
        self.cells.resize(rows * cols, 0.0);
    }

    pub fn set(&mut self, row: usize, col: usize, cost: f64) {
        self.cells[row * self.cols + col] = cost;
    }

    pub fn get(&self, row: usize, col: usize) -> f64 {
        self.cells[row * self.cols + col]
    }

    /// Pairs as many as the shorter side has, so that the sum of costs is the least; in order of
    /// rows. Costs are finite.
    pub fn cheapest_pairs(&self) -> Vec<(usize, usize)> {
        if self.rows <= self.cols {
            let cols = Search::new(self.rows, self.cols, |row, col| self.get(row, col)).solve();
            return cols.into_iter().enumerate().collect();
        }
        let rows = Search::new(self.cols, self.rows, |col, row| {
            self.cells[row * self.cols + col]
        })
        .solve();
        let mut pairs: Vec<_> = rows
            .into_iter()
            .enumerate()
            .map(|(col, row)| (row, col))
            .collect();
        pairs.sort_unstable();
        pairs
    }
}

/// The pairing so far, and the search for a place for one more row. Rows ≤ columns.
struct Search<C> {
    cost: C,
    row_price: Vec<f64>,
    col_price: Vec<f64>,
    col_of_row: Vec<Option<usize>>,
    row_of_col: Vec<Option<usize>>,
    distance: Vec<f64>,
    reached_from: Vec<usize>,
    /// Columns that the search has not settled.
    open: Vec<usize>,
    settled: Vec<usize>,
    visited_rows: Vec<usize>,
}

impl<C: Fn(usize, usize) -> f64> Search<C> {
    fn new(rows: usize, cols: usize, cost: C) -> Self {
        Self {
            cost,
            row_price: vec![0.0; rows],
            col_price: vec![0.0; cols],
            col_of_row: vec![None; rows],
            row_of_col: vec![None; cols],
            distance: vec![FAR; cols],
            reached_from: vec![0; cols],
            open: Vec::with_capacity(cols),
            settled: Vec::with_capacity(rows),
            visited_rows: Vec::with_capacity(rows),
        }
    }

    fn solve(mut self) -> Vec<usize> {
        for row in 0..self.col_of_row.len() {
            let (free_col, path) = self.shortest_path(row);
            self.reprice(row, path);
            self.augment(row, free_col);
        }
        self.col_of_row.into_iter().flatten().collect()
    }

    /// The free column that is reached most cheaply from `root`, and the cost of the way.
    fn shortest_path(&mut self, root: usize) -> (usize, f64) {
        self.distance.fill(FAR);
        self.settled.clear();
        self.visited_rows.clear();
        self.open.clear();
        // Order of looking: the last column first, so that equal costs give the diagonal.
        self.open.extend((0..self.col_price.len()).rev());
        let (mut row, mut path) = (root, 0.0);
        loop {
            self.visited_rows.push(row);
            let place = self.nearest(row, path);
            let col = self.open.swap_remove(place);
            path = self.distance[col];
            match self.row_of_col[col] {
                None => return (col, path),
                Some(next) => {
                    self.settled.push(col);
                    row = next;
                }
            }
        }
    }

    /// Takes the ways over `row` into account and answers the place in `open` of the nearest column;
    /// of equally near ones a free column is preferred, the last that was looked at.
    fn nearest(&mut self, row: usize, path: f64) -> usize {
        let (mut best, mut best_distance) = (0, FAR);
        for (place, &col) in self.open.iter().enumerate() {
            let way = path + (self.cost)(row, col) - self.row_price[row] - self.col_price[col];
            if way < self.distance[col] {
                self.distance[col] = way;
                self.reached_from[col] = row;
            }
            let distance = self.distance[col];
            let is_equal_and_free = distance <= best_distance && self.row_of_col[col].is_none();
            if distance < best_distance || is_equal_and_free {
                (best, best_distance) = (place, distance);
            }
        }
        best
    }

    /// Keeps every reduced cost ≥ 0 and those of the chosen pairs 0.
    fn reprice(&mut self, root: usize, path: f64) {
        self.row_price[root] += path;
        for &row in &self.visited_rows {
            if let Some(col) = self.col_of_row[row] {
                self.row_price[row] += path - self.distance[col];
            }
        }
        for &col in &self.settled {
            self.col_price[col] -= path - self.distance[col];
        }
    }

    /// Moves the rows along the path that ends in `free_col`.
    fn augment(&mut self, root: usize, free_col: usize) {
        let mut col = Some(free_col);
        while let Some(taken) = col {
            let row = self.reached_from[taken];
            self.row_of_col[taken] = Some(row);
            col = self.col_of_row[row].replace(taken);
            if row == root {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn costs(rows: &[Vec<f64>]) -> Costs {
        let mut costs = Costs::default();
        costs.reset(rows.len(), rows[0].len());
        for (row, cells) in rows.iter().enumerate() {
            for (col, &cost) in cells.iter().enumerate() {
                costs.set(row, col, cost);
            }
        }
        costs
    }

    /// Tries every pairing in which each row of the shorter side is paired.
    fn least_by_trying_all(rows: &[Vec<f64>], row: usize, used: u32, may_skip: usize) -> f64 {
        if row == rows.len() {
            return 0.0;
        }
        let mut least = FAR;
        if may_skip > 0 {
            least = least_by_trying_all(rows, row + 1, used, may_skip - 1);
        }
        for (col, cost) in rows[row].iter().enumerate() {
            if used & (1 << col) == 0 {
                least =
                    least.min(cost + least_by_trying_all(rows, row + 1, used | 1 << col, may_skip));
            }
        }
        least
    }

    #[test]
    fn equal_costs_give_the_diagonal() {
        // scipy.optimize.linear_sum_assignment(numpy.ones((3, 4))) of SciPy 1.17.1: [0 1 2], [0 1 2].
        let pairs = costs(&vec![vec![1.0; 4]; 3]).cheapest_pairs();
        assert_eq!(pairs, [(0, 0), (1, 1), (2, 2)]);
    }

    #[test]
    fn nothing_has_no_pairs() {
        assert!(Costs::default().cheapest_pairs().is_empty());
        let mut costs = Costs::default();
        costs.reset(3, 0);
        assert!(costs.cheapest_pairs().is_empty());
    }

    proptest! {
        #[test]
        fn the_sum_of_costs_is_the_least(
            rows in (1usize..6, 1usize..6).prop_flat_map(|(rows, cols)| {
                prop::collection::vec(prop::collection::vec(
                    prop_oneof![Just(0.0), (-3i32..3).prop_map(f64::from), -1e3f64..1e3], cols), rows)
            })
        ) {
            let pairs = costs(&rows).cheapest_pairs();
            prop_assert_eq!(pairs.len(), rows.len().min(rows[0].len()));
            prop_assert!(pairs.is_sorted_by(|a, b| a.0 < b.0), "a row twice");
            let cols: std::collections::BTreeSet<_> = pairs.iter().map(|pair| pair.1).collect();
            prop_assert_eq!(cols.len(), pairs.len(), "a column twice");
            let sum: f64 = pairs.iter().map(|&(row, col)| rows[row][col]).sum();
            let may_skip = rows.len().saturating_sub(rows[0].len());
            prop_assert!((sum - least_by_trying_all(&rows, 0, 0, may_skip)).abs() < 1e-9);
        }
    }
}
