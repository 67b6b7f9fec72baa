//! One object at one line: on which side it is, and when it has crossed.

use geo::{Coord, Euclidean, Intersects, Length, Line};
use serde::{Deserialize, Serialize};

use crate::base::Direction;

/// How far an object that has crossed must come back to cross the other way, in its own sizes, until
/// it has once been this far from the line: more than boxes jitter when their lower part is hidden.
const RETURN: f64 = 0.5;

/// A line on the frame, px.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameLine {
    line: Line,
    /// Unit vector to the right-hand side, the side of [`Direction::In`].
    right: Coord,
}

impl FrameLine {
    pub fn new(line: Line) -> Self {
        let length = Euclidean.length(&line);
        // A quarter turn clockwise as people see it: y points down.
        let right = Coord {
            x: -line.dy() / length,
            y: line.dx() / length,
        };
        Self { line, right }
    }

    /// Distance from the endless line, px; positive on the right-hand side.
    fn distance(&self, point: Coord) -> f64 {
        let from = point - self.line.start;
        from.x * self.right.x + from.y * self.right.y
    }

    /// Does the way from `from` to `to` meet the line between its ends?
    fn is_met(&self, from: Coord, to: Coord) -> bool {
        self.line.intersects(&Line::new(from, to))
    }
}

/// Where an object is as seen from a line.
///
/// It crosses when its anchor is beyond the line by the hysteresis, and still beyond the line when
/// it is seen again (or never seen again). After that it must come back by half its size to cross the
/// other way: an object that stands on the line is counted once however its box jitters.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct LineState {
    stand: Option<Stand>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Stand {
    side: Direction,
    /// Where it last was on that side, px.
    #[serde(with = "super::snapshot::coord")]
    last: Coord,
    /// It has crossed and not been far from the line since.
    has_just_crossed: bool,
    /// It was seen clearly beyond the line, once; whether between the line's ends.
    beyond: Option<bool>,
}

impl LineState {
    /// Takes in where the anchor (px) was seen; `size` (px) is the object's, `hysteresis` in sizes.
    /// Gives the direction if it has crossed.
    pub fn observe(
        &mut self,
        line: &FrameLine,
        anchor: Coord,
        size: f64,
        hysteresis: f64,
    ) -> Option<Direction> {
        let distance = line.distance(anchor);
        let side = if distance >= 0.0 {
            Direction::In
        } else {
            Direction::Out
        };
        let stand = self.stand.get_or_insert(Stand {
            side,
            last: anchor,
            has_just_crossed: false,
            beyond: None,
        });
        let is_far = distance.abs() >= RETURN * size;
        if side == stand.side {
            stand.last = anchor;
            stand.beyond = None;
            if is_far {
                stand.has_just_crossed = false;
            }
            return None;
        }
        if let Some(is_met) = stand.beyond {
            return self.settle(side, anchor, is_met, is_far);
        }
        let band = if stand.has_just_crossed {
            RETURN.max(hysteresis)
        } else {
            hysteresis
        };
        if distance.abs() >= band * size {
            stand.beyond = Some(line.is_met(stand.last, anchor));
        }
        None
    }

    /// The object is never seen again: what it was last seen doing counts.
    pub fn finish(&mut self) -> Option<Direction> {
        let stand = self.stand?;
        let side = match stand.side {
            Direction::In => Direction::Out,
            Direction::Out => Direction::In,
        };
        self.settle(side, stand.last, stand.beyond?, false)
    }

    /// It was told before that the object has crossed to this side.
    pub fn has_crossed(&mut self, side: Direction) {
        if let Some(stand) = self.stand.as_mut().filter(|it| it.side != side) {
            (stand.side, stand.beyond, stand.has_just_crossed) = (side, None, true);
        }
    }

    fn settle(
        &mut self,
        side: Direction,
        last: Coord,
        is_met: bool,
        is_far: bool,
    ) -> Option<Direction> {
        self.stand = Some(Stand {
            side,
            last,
            has_just_crossed: is_met && !is_far,
            beyond: None,
        });
        is_met.then_some(side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From left to right across the picture: `In` is downwards.
    fn line() -> FrameLine {
        FrameLine::new(Line::new((100.0, 200.0), (300.0, 200.0)))
    }

    /// Crossings of an object 100 px large whose anchor is seen at these heights, at x = 200.
    fn seen_at(heights: &[f64]) -> Vec<Direction> {
        seen_on(&heights.iter().map(|y| (200.0, *y)).collect::<Vec<_>>())
    }

    fn seen_on(way: &[(f64, f64)]) -> Vec<Direction> {
        let mut state = LineState::default();
        let line = line();
        let seen = |&(x, y): &(f64, f64)| state.observe(&line, Coord { x, y }, 100.0, 0.1);
        way.iter().filter_map(seen).collect()
    }

    #[test]
    fn going_down_is_in_and_going_up_is_out() {
        use Direction::{In, Out};
        assert_eq!(seen_at(&[100.0, 180.0, 215.0, 260.0]), [In]);
        assert_eq!(seen_at(&[300.0, 220.0, 185.0, 140.0]), [Out]);
        let there_and_back = [100.0, 230.0, 260.0, 300.0, 250.0, 140.0, 100.0];
        assert_eq!(seen_at(&there_and_back), [In, Out]);
    }

    #[test]
    fn what_does_not_come_clearly_beyond_has_not_crossed() {
        assert_eq!(seen_at(&[150.0, 205.0, 195.0, 209.0, 150.0]), []);
        // Once is a box that failed.
        assert_eq!(seen_at(&[150.0, 230.0, 150.0, 140.0]), []);
    }

    #[test]
    fn standing_on_the_line_counts_once() {
        let jitter = [
            150.0, 215.0, 190.0, 218.0, 222.0, 185.0, 230.0, 175.0, 215.0, 160.0,
        ];
        assert_eq!(seen_at(&jitter).len(), 1);
    }

    #[test]
    fn going_round_the_end_of_a_line_is_no_crossing() {
        let round = [
            (200.0, 150.0),
            (330.0, 180.0),
            (340.0, 230.0),
            (200.0, 260.0),
            (200.0, 290.0),
        ];
        assert_eq!(seen_on(&round), []);
    }

    #[test]
    fn unseen_while_crossing_counts_when_it_is_seen_again() {
        assert_eq!(seen_at(&[150.0, 400.0, 420.0]), [Direction::In]);
    }

    #[test]
    fn last_seen_beyond_the_line_counts_at_the_end() {
        let mut state = LineState::default();
        for y in [150.0, 230.0] {
            assert_eq!(
                state.observe(&line(), Coord { x: 200.0, y }, 100.0, 0.1),
                None
            );
        }
        assert_eq!(state.finish(), Some(Direction::In));
        assert_eq!(state.finish(), None);
    }
}
