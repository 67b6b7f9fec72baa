//! The similarity that most matches agree on.

/// Where a point was and is, pixels of the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match {
    pub from: [f64; 2],
    pub to: [f64; 2],
}

/// Turn and stretch as a complex number, then the shift: `x' = a x - b y + tx, y' = b x + a y + ty`.
type Similarity = [f64; 4];

/// With fewer matches nothing is said.
const LEAST_MATCHES: usize = 10;
/// Pairs of matches tried (RANSAC, Fischler & Bolles 1981): with half of all wrong, one of 64 is right
/// but in one of 10^8 pictures.
const TRIALS: usize = 64;
/// A match agrees if it lies no farther off than this, px.
const AGREES_PX: f64 = 2.0;
/// Least part of the matches that must agree.
const MAJORITY: f64 = 0.5;
/// How often the fit is made anew of those that agree with the last one.
const REFINEMENTS: usize = 3;
/// Always the same, so that the same picture gives the same answer.
const SEED: u64 = 7;

/// The map that most matches agree on, as `[a, b, tx, c, d, ty]`.
pub(super) fn similarity(matches: &[Match]) -> Option<[f64; 6]> {
    if matches.len() < LEAST_MATCHES {
        return None;
    }
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut best: (usize, Option<Similarity>) = (0, None);
    for _ in 0..TRIALS {
        let pair = [(); 2].map(|()| matches[random.usize(..matches.len())]);
        let Some(trial) = least_squares(pair.iter()) else {
            continue;
        };
        let agreeing = matches.iter().filter(|one| agrees(&trial, one)).count();
        if agreeing > best.0 {
            best = (agreeing, Some(trial));
        }
    }
    let mut found = best.1?;
    for _ in 0..REFINEMENTS {
        let near = found;
        found = least_squares(matches.iter().filter(|one| agrees(&near, one)))?;
    }
    let agreeing = matches.iter().filter(|one| agrees(&found, one)).count();
    let needed = (MAJORITY * matches.len() as f64).max(LEAST_MATCHES as f64);
    let [a, b, tx, ty] = found;
    (agreeing as f64 >= needed).then_some([a, -b, tx, b, a, ty])
}

fn agrees(map: &Similarity, one: &Match) -> bool {
    let ([a, b, tx, ty], [x, y]) = (*map, one.from);
    let off = [
        a * x - b * y + tx - one.to[0],
        b * x + a * y + ty - one.to[1],
    ];
    off[0].hypot(off[1]) <= AGREES_PX
}

/// The similarity with the least squared distances; `None` for points that coincide.
///
/// Source: Umeyama 1991, in two dimensions and without reflection.
fn least_squares<'m>(matches: impl Iterator<Item = &'m Match> + Clone) -> Option<Similarity> {
    let (mut from, mut to, mut count) = ([0.0; 2], [0.0; 2], 0.0);
    for one in matches.clone() {
        for axis in 0..2 {
            from[axis] += one.from[axis];
            to[axis] += one.to[axis];
        }
        count += 1.0;
    }
    if count < 2.0 {
        return None;
    }
    let (from, to) = (from.map(|sum| sum / count), to.map(|sum| sum / count));
    let (mut dot, mut cross, mut spread) = (0.0, 0.0, 0.0);
    for one in matches {
        let p = [one.from[0] - from[0], one.from[1] - from[1]];
        let q = [one.to[0] - to[0], one.to[1] - to[1]];
        dot += p[0] * q[0] + p[1] * q[1];
        cross += p[0] * q[1] - p[1] * q[0];
        spread += p[0] * p[0] + p[1] * p[1];
    }
    // Points nearer than a pixel say nothing about a turn.
    if spread < 1.0 {
        return None;
    }
    let (a, b) = (dot / spread, cross / spread);
    Some([
        a,
        b,
        to[0] - (a * from[0] - b * from[1]),
        to[1] - (b * from[0] + a * from[1]),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_with_a_third_of_wrong_matches_is_found_exactly() {
        // x' = 0.8 x - 0.6 y + 5, y' = 0.6 x + 0.8 y - 3.
        let matches: Vec<Match> = (0..30)
            .map(|number| {
                let from = [f64::from(number * 37 % 100), f64::from(number * 53 % 90)];
                let to = [
                    0.8 * from[0] - 0.6 * from[1] + 5.0,
                    0.6 * from[0] + 0.8 * from[1] - 3.0,
                ];
                let wrong = if number % 3 == 0 {
                    f64::from(20 + number)
                } else {
                    0.0
                };
                Match {
                    from,
                    to: [to[0] + wrong, to[1]],
                }
            })
            .collect();
        let map = similarity(&matches).unwrap();
        for (found, truth) in map.iter().zip([0.8, -0.6, 5.0, 0.6, 0.8, -3.0]) {
            assert!((found - truth).abs() < 1e-9, "{map:?}");
        }
    }

    #[test]
    fn without_agreement_nothing_is_said() {
        let scattered: Vec<Match> = (0..30)
            .map(|number| Match {
                from: [f64::from(number * 37 % 100), f64::from(number * 53 % 90)],
                to: [f64::from(number * 71 % 97), f64::from(number * 29 % 83)],
            })
            .collect();
        assert_eq!(similarity(&scattered), None);
        assert_eq!(similarity(&scattered[..5]), None);
    }
}
