//! Points with texture, and where they go.

use super::small::{Grey, LEVELS, Pyramid};
use crate::base::BBox;

/// x and y in pixels of the largest level.
pub(super) type Point = [f32; 2];

/// Cells of the picture, one point of each at most: columns and rows.
const CELLS: [usize; 2] = [12, 8];
/// Places looked at per cell and direction.
const TRIES: usize = 3;
/// Half the side of the window that is compared, px.
const HALF: usize = 4;
/// Side of the window, px.
const SIDE: usize = 2 * HALF + 1;
/// Values of a window.
const WINDOW: usize = SIDE * SIDE;
/// Side of the window with a margin of one pixel, for slopes.
const WIDER: usize = SIDE + 2;
/// Least smaller eigenvalue of a window's gradients, per pixel, for texture that can be followed in both
/// directions (Shi & Tomasi 1994). Grey values squared: a slope of about 1.5 per px.
const TEXTURE: f32 = 2.5;
/// Steps of the search at most on each level.
const STEPS: usize = 8;
/// A shorter step ends the search, px.
const SETTLED: f32 = 0.02;
/// Largest mean difference of the two windows, grey values: more is another thing.
const UNLIKE: f32 = 10.0;

/// The points to be followed out of this picture.
pub(super) fn choose(
    picture: &Pyramid,
    objects: impl Iterator<Item = BBox> + Clone,
    points: &mut Vec<Point>,
) {
    points.clear();
    let [grey, ..] = &picture.levels;
    let margin = (HALF + 3) as f32;
    let inner = [
        grey.width as f32 - 2.0 * margin,
        grey.height as f32 - 2.0 * margin,
    ];
    if inner[0] < 1.0 || inner[1] < 1.0 {
        return;
    }
    let [columns, rows] = CELLS;
    let is_covered = |[x, y]: Point| {
        let half = HALF as f32;
        objects.clone().any(|bbox| {
            let [l, t, r, b] = [bbox.left(), bbox.top(), bbox.right(), bbox.bottom()]
                .map(|edge| picture.shrunk(edge));
            x > l - half && x < r + half && y > t - half && y < b + half
        })
    };
    for cell in 0..columns * rows {
        let corner = [cell % columns, cell / columns];
        let mut best = (TEXTURE, None);
        for trial in 0..TRIES * TRIES {
            let part = [trial % TRIES, trial / TRIES];
            let along = |axis: usize| {
                let cells = CELLS[axis] as f32;
                let place = corner[axis] as f32 + (part[axis] as f32 + 0.5) / TRIES as f32;
                (margin + inner[axis] * place / cells).round()
            };
            let point = [along(0), along(1)];
            if is_covered(point) {
                continue;
            }
            let texture = Window::of(grey, point).map_or(0.0, |window| window.texture());
            if texture > best.0 {
                best = (texture, Some(point));
            }
        }
        points.extend(best.1);
    }
}

/// Where a point of one picture is in the next; `None` if it cannot be said.
pub(super) fn follow(from: &Pyramid, to: &Pyramid, point: Point) -> Option<Point> {
    let mut moved = [0.0f32; 2];
    for level in (0..LEVELS).rev() {
        let scale = (1 << level) as f32;
        // The centre of the first pixel of a level is that of the first ones of the level before.
        let at = point.map(|part| (part + 0.5) / scale - 0.5);
        moved = moved.map(|part| part * 2.0);
        let is_last = level == 0;
        match Window::of(&from.levels[level], at) {
            Some(window) if window.texture() > 0.0 => {
                let found = window.search(&to.levels[level], at, moved);
                match found {
                    Some((found, unlike)) if !is_last || unlike <= UNLIKE => moved = found,
                    _ if is_last => return None,
                    // A coarse level that says nothing leaves it to the finer one.
                    _ => {}
                }
            }
            _ if is_last => return None,
            _ => {}
        }
    }
    Some([point[0] + moved[0], point[1] + moved[1]])
}

/// Where a point of one picture is in the next, searched around where it is expected; `None` if it
/// cannot be said, and where there is no texture.
pub(super) fn follow_from(
    from: &Pyramid,
    to: &Pyramid,
    point: Point,
    expected: Point,
) -> Option<Point> {
    let [fine, coarse, ..] = &from.levels;
    let window = Window::of(fine, point).filter(|window| window.texture() > TEXTURE)?;
    let mut moved = expected;
    let at = point.map(|part| (part + 0.5) / 2.0 - 0.5);
    if let Some(window) = Window::of(coarse, at)
        && let Some((found, unlike)) =
            window.search(&to.levels[1], at, moved.map(|part| part / 2.0))
        && unlike <= UNLIKE
    {
        moved = found.map(|part| part * 2.0);
    }
    let (found, unlike) = window.search(&to.levels[0], point, moved)?;
    (unlike <= UNLIKE).then_some(found)
}

/// What a point's surroundings look like.
struct Window {
    values: [f32; WINDOW],
    slopes: [[f32; 2]; WINDOW],
    /// Sums of the products of slopes: xx, xy, yy.
    sums: [f32; 3],
}

impl Window {
    fn of(grey: &Grey, at: Point) -> Option<Self> {
        let mut window = Self {
            values: [0.0; WINDOW],
            slopes: [[0.0; 2]; WINDOW],
            sums: [0.0; 3],
        };
        let mut wider = [0.0; WIDER * WIDER];
        grey.patch(at, WIDER, &mut wider)?;
        for row in 0..SIDE {
            for column in 0..SIDE {
                let (place, middle) = (row * SIDE + column, (row + 1) * WIDER + column + 1);
                let slope_x = (wider[middle + 1] - wider[middle - 1]) / 2.0;
                let slope_y = (wider[middle + WIDER] - wider[middle - WIDER]) / 2.0;
                window.values[place] = wider[middle];
                window.slopes[place] = [slope_x, slope_y];
                window.sums[0] += slope_x * slope_x;
                window.sums[1] += slope_x * slope_y;
                window.sums[2] += slope_y * slope_y;
            }
        }
        Some(window)
    }

    /// Smaller eigenvalue of the slopes' products, per pixel.
    fn texture(&self) -> f32 {
        let [xx, xy, yy] = self.sums;
        let half = (xx + yy) / 2.0;
        let root = ((xx - yy) / 2.0).hypot(xy);
        (half - root) / WINDOW as f32
    }

    /// Where the window is in another picture, beginning the search `moved` from where it was, and the
    /// mean difference there.
    fn search(&self, grey: &Grey, [x, y]: Point, mut moved: Point) -> Option<(Point, f32)> {
        let [xx, xy, yy] = self.sums;
        let determinant = xx * yy - xy * xy;
        if determinant <= f32::EPSILON {
            return None;
        }
        let mut differences = [0.0f32; WINDOW];
        let mut unlike = f32::MAX;
        for _ in 0..STEPS {
            grey.patch([x + moved[0], y + moved[1]], SIDE, &mut differences)?;
            for (difference, value) in differences.iter_mut().zip(&self.values) {
                *difference -= value;
            }
            // The picture as a whole may have become brighter.
            let mean = differences.iter().sum::<f32>() / WINDOW as f32;
            let (mut right, mut total) = ([0.0; 2], 0.0);
            for (difference, slope) in differences.iter().zip(&self.slopes) {
                let difference = difference - mean;
                right[0] += difference * slope[0];
                right[1] += difference * slope[1];
                total += difference.abs();
            }
            unlike = total / WINDOW as f32;
            let step = [
                (yy * right[0] - xy * right[1]) / determinant,
                (xx * right[1] - xy * right[0]) / determinant,
            ];
            moved = [moved[0] - step[0], moved[1] - step[1]];
            if step[0].hypot(step[1]) < SETTLED {
                break;
            }
        }
        Some((moved, unlike))
    }
}
