//! The way of an object, thinned so that its memory is bounded.

use serde::{Deserialize, Serialize};

use crate::base::{PathPoint, Pts};

/// Most points kept. When they are full every second one goes, and from then on points are taken
/// half as often: the whole way stays, only coarser.
const MAX_POINTS: usize = 48;

/// Shortest time between two points, s, as long as there is room.
const MIN_STEP_SECS: f64 = 0.1;

/// Where an object has been since it was first seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Path {
    points: Vec<PathPoint>,
    newest: PathPoint,
    step_secs: f64,
}

impl Path {
    pub fn new(first: PathPoint) -> Self {
        Self {
            points: vec![first],
            newest: first,
            step_secs: MIN_STEP_SECS,
        }
    }

    pub fn add(&mut self, point: PathPoint) {
        self.newest = point;
        let last = self.points.last().map_or(Pts(0), |last| last.pts);
        if point.pts.secs_since(last) < self.step_secs {
            return;
        }
        self.points.push(point);
        if self.points.len() >= MAX_POINTS {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.step_secs *= 2.0;
        }
    }

    /// The way from the first to the newest sighting.
    pub fn points(&self) -> Vec<PathPoint> {
        let mut points = self.points.clone();
        if points.last().is_none_or(|last| last.pts < self.newest.pts) {
            points.push(self.newest);
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_way_keeps_its_beginning_and_its_end() {
        let point = |frame: u64| PathPoint {
            pts: Pts(frame * 40_000_000),
            x: frame as f32,
            y: 0.0,
        };
        let mut path = Path::new(point(0));
        for frame in 1..100_000 {
            path.add(point(frame));
        }
        let points = path.points();
        assert!(points.len() <= MAX_POINTS && points.len() > MAX_POINTS / 3);
        assert_eq!(points.first(), Some(&point(0)));
        assert_eq!(points.last(), Some(&point(99_999)));
        assert!(points.is_sorted_by(|a, b| a.pts < b.pts));
    }
}
