//! Paths over the ground.

use crate::tools::simulate::mesh::{V3, v};

/// A line that vehicles follow.
#[derive(Debug, Clone)]
pub(super) struct Route {
    points: Vec<V3>,
    /// Metres from the beginning to each point.
    places: Vec<f32>,
    /// Comes back to its beginning.
    pub closed: bool,
    /// Where vehicles wait for a signal, metres from the beginning, and the arm it belongs to.
    pub stop: Option<(f32, usize)>,
    /// Highest speed on the bend, and where it begins and ends, metres.
    pub bend: Option<(f32, f32, f32)>,
    /// Usual speed, m/s.
    pub speed: f32,
    /// Only for short vehicles.
    pub tight: bool,
}

impl Route {
    pub fn new(points: Vec<V3>, speed: f32) -> Self {
        let mut places = vec![0.0];
        for pair in points.windows(2) {
            let last = places.last().copied().unwrap_or(0.0);
            places.push(last + (pair[1] - pair[0]).norm());
        }
        Self {
            points,
            places,
            closed: false,
            stop: None,
            bend: None,
            speed,
            tight: false,
        }
    }

    /// A polygon line with rounded corners.
    pub fn rounded(corners: &[V3], radius: f32, closed: bool, speed: f32) -> Self {
        let count = corners.len();
        let mut points = Vec::new();
        for i in 0..count {
            let here = corners[i];
            if !closed && (i == 0 || i + 1 == count) {
                points.push(here);
                continue;
            }
            let (before, after) = (corners[(i + count - 1) % count], corners[(i + 1) % count]);
            let a = here + (before - here).normalize() * radius;
            let b = here + (after - here).normalize() * radius;
            points.extend(bent(a, here, b));
        }
        if closed {
            points.push(points[0]);
        }
        Self {
            closed,
            ..Self::new(points, speed)
        }
    }

    pub fn length(&self) -> f32 {
        self.places.last().copied().unwrap_or(0.0)
    }

    /// The point `s` metres along, `offset` metres to the left of it.
    pub fn point(&self, s: f32, offset: f32) -> V3 {
        let s = if self.closed {
            s.rem_euclid(self.length())
        } else {
            s
        };
        let last = self.points.len() - 2;
        let i = self
            .places
            .partition_point(|&place| place <= s)
            .clamp(1, last + 1)
            - 1;
        let (a, b) = (self.points[i], self.points[i + 1]);
        let length = (self.places[i + 1] - self.places[i]).max(1e-4);
        let along = (b - a) / length;
        a + along * (s - self.places[i]) + v(-along.y, along.x, 0.0) * offset
    }
}

/// A bend from `a` to `b` that leaves and arrives along the lines through `corner`.
pub(super) fn bent(a: V3, corner: V3, b: V3) -> Vec<V3> {
    (0..=10)
        .map(|i| {
            let t = i as f32 / 10.0;
            a * ((1.0 - t) * (1.0 - t)) + corner * (2.0 * t * (1.0 - t)) + b * (t * t)
        })
        .collect()
}
