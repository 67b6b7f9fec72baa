//! The ground: what it is made of and what is painted on it, kept as a map.

use super::Look;
use super::noise::{clouds, floor, hash};
use crate::tools::simulate::mesh::{V3, v};

/// Edge of a cell, metres.
const CELL: f32 = 0.08;

/// What the ground is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tools::simulate) enum Surface {
    Asphalt,
    Pavement,
    Kerb,
    Grass,
    Cobbles,
    Slabs,
    Hall,
    Soil,
}

/// Colour of a marking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tools::simulate) enum Paint {
    White,
    Yellow,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    surface: Surface,
    /// Share covered by paint, of 127; the highest bit says yellow.
    paint: u8,
    /// Worn and oily, of 255.
    wear: u8,
}

/// Map of the ground around the origin; beyond its edge it goes on as at the edge.
#[derive(Debug)]
pub(in crate::tools::simulate) struct Ground {
    half: (f32, f32),
    size: (usize, usize),
    cells: Vec<Cell>,
    /// Shift and kind of the patterns.
    seed: f32,
    tone: V3,
    slab: f32,
}

impl Ground {
    /// A ground of `half` metres to each side, all of one surface.
    pub fn new(half: (f32, f32), surface: Surface, rng: &mut fastrand::Rng) -> Self {
        let cells = |half: f32| (2.0 * half / CELL) as usize + 1;
        let size = (cells(half.0), cells(half.1));
        let cell = Cell {
            surface,
            paint: 0,
            wear: 0,
        };
        Self {
            half,
            size,
            cells: vec![cell; size.0 * size.1],
            seed: rng.f32() * 50.0,
            tone: v(1.0, 1.0, 1.0) * (0.65 + 0.8 * rng.f32())
                + v(rng.f32() - 0.5, 0.0, rng.f32() - 0.5) * 0.16,
            slab: 0.35 + 0.6 * rng.f32(),
        }
    }

    /// Calls `change` for the cells inside a convex polygon, with the share of each inside it
    /// estimated from the distance to the edge.
    fn fill(&mut self, corners: &[(f32, f32)], mut change: impl FnMut(&mut Cell, f32)) {
        let bounds = |pick: fn(&(f32, f32)) -> f32| {
            let values = corners.iter().map(pick);
            values.fold((1e9_f32, -1e9_f32), |(low, high), c| {
                (low.min(c), high.max(c))
            })
        };
        let ((x0, x1), (y0, y1)) = (bounds(|c| c.0), bounds(|c| c.1));
        let column = |x: f32| ((x + self.half.0) / CELL).max(0.0) as usize;
        let row = |y: f32| ((y + self.half.1) / CELL).max(0.0) as usize;
        let (columns, rows) = (
            column(x0)..(column(x1) + 2).min(self.size.0),
            row(y0)..(row(y1) + 2).min(self.size.1),
        );
        let area: f32 = (0..corners.len())
            .map(|i| {
                let (a, b) = (corners[i], corners[(i + 1) % corners.len()]);
                a.0 * b.1 - b.0 * a.1
            })
            .sum();
        let edges: Vec<(f32, f32, f32)> = (0..corners.len())
            .map(|i| {
                let (a, b) = (corners[i], corners[(i + 1) % corners.len()]);
                let (dx, dy) = (b.0 - a.0, b.1 - a.1);
                let scale = area.signum() / (dx * dx + dy * dy).sqrt().max(1e-6);
                let (nx, ny) = (-dy * scale, dx * scale);
                (nx, ny, -(nx * a.0 + ny * a.1))
            })
            .collect();
        for j in rows {
            for i in columns.clone() {
                let (x, y) = (
                    (i as f32 + 0.5) * CELL - self.half.0,
                    (j as f32 + 0.5) * CELL - self.half.1,
                );
                let inside = edges
                    .iter()
                    .map(|(nx, ny, d)| nx * x + ny * y + d)
                    .fold(f32::MAX, f32::min);
                let share = (inside / CELL + 0.5).clamp(0.0, 1.0);
                if share > 0.0 {
                    change(&mut self.cells[j * self.size.0 + i], share);
                }
            }
        }
    }

    /// Covers a convex polygon.
    pub fn lay(&mut self, corners: &[(f32, f32)], surface: Surface) {
        self.fill(corners, |cell, share| {
            if share >= 0.5 {
                cell.surface = surface;
            }
        });
    }

    /// Covers a rectangle.
    pub fn lay_rect(&mut self, (x0, y0): (f32, f32), (x1, y1): (f32, f32), surface: Surface) {
        self.lay(&[(x0, y0), (x1, y0), (x1, y1), (x0, y1)], surface);
    }

    /// Paints a convex polygon.
    pub fn paint(&mut self, corners: &[(f32, f32)], paint: Paint) {
        self.fill(corners, |cell, share| {
            let cover = ((share * 127.0) as u8).max(cell.paint & 127);
            cell.paint = cover | if paint == Paint::Yellow { 128 } else { 0 };
        });
    }

    /// Paints a line, `dash` metres on and `gap` metres off; no gap is a solid line.
    pub fn line(
        &mut self,
        from: (f32, f32),
        to: (f32, f32),
        wide: f32,
        (dash, gap): (f32, f32),
        paint: Paint,
    ) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = (dx * dx + dy * dy).sqrt().max(1e-6);
        let (ux, uy) = (dx / length, dy / length);
        let (nx, ny) = (-uy * wide / 2.0, ux * wide / 2.0);
        let step = if gap > 0.0 { dash + gap } else { length };
        let piece = if gap > 0.0 { dash } else { length };
        let mut at = 0.0;
        while at < length {
            let end = (at + piece).min(length);
            let (a, b) = (
                (from.0 + ux * at, from.1 + uy * at),
                (from.0 + ux * end, from.1 + uy * end),
            );
            self.paint(
                &[
                    (a.0 - nx, a.1 - ny),
                    (b.0 - nx, b.1 - ny),
                    (b.0 + nx, b.1 + ny),
                    (a.0 + nx, a.1 + ny),
                ],
                paint,
            );
            at += step;
        }
    }

    /// Wears a strip as wheels do.
    pub fn wear(&mut self, from: (f32, f32), to: (f32, f32), wide: f32, strength: f32) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = (dx * dx + dy * dy).sqrt().max(1e-6);
        let (nx, ny) = (-dy / length * wide / 2.0, dx / length * wide / 2.0);
        let corners = [
            (from.0 - nx, from.1 - ny),
            (to.0 - nx, to.1 - ny),
            (to.0 + nx, to.1 + ny),
            (from.0 + nx, from.1 + ny),
        ];
        self.fill(&corners, |cell, share| {
            cell.wear = cell.wear.max((share * strength * 255.0) as u8);
        });
    }

    fn cell(&self, x: f32, y: f32) -> Cell {
        let place =
            |c: f32, half: f32, size: usize| (((c + half) / CELL).max(0.0) as usize).min(size - 1);
        let (i, j) = (
            place(x, self.half.0, self.size.0),
            place(y, self.half.1, self.size.1),
        );
        self.cells[j * self.size.0 + i]
    }

    /// Reflectance at a point; `blur` is the size of a pixel there in metres, across and along the
    /// line of sight (`along`, unit length).
    pub fn colour(&self, x: f32, y: f32, blur: (f32, f32), along: (f32, f32), look: &Look) -> V3 {
        let (px, py) = (x + self.seed, y + self.seed * 0.61);
        let mut colour = self.bare(self.cell(x, y), px, py, blur.0);
        let (cover, yellow) = self.painted(x, y, blur.1.max(CELL), along);
        if cover > 0.0 {
            let worn = clouds(px * 1.7, py * 1.7) * 0.5 + clouds(px * 0.2, py * 0.2) * 0.5;
            let cover = cover * (0.86 - 0.55 * worn.max(0.0)).clamp(0.2, 1.0);
            let paint = if yellow {
                v(0.62, 0.40, 0.05)
            } else {
                v(0.62, 0.62, 0.60)
            };
            colour = colour.lerp(&paint, cover);
        }
        colour * (1.0 - 0.45 * look.wet)
    }

    /// Share of paint over a pixel `long` metres long, and whether it is yellow.
    fn painted(&self, x: f32, y: f32, long: f32, along: (f32, f32)) -> (f32, bool) {
        let count = ((long / 0.12) as usize).clamp(1, 5);
        let (mut cover, mut yellow) = (0.0, false);
        for i in 0..count {
            let shift = ((i as f32 + 0.5) / count as f32 - 0.5) * long;
            let (x, y) = (x + along.0 * shift, y + along.1 * shift);
            let share = self.cover(x, y);
            if share > 0.0 {
                cover += share;
                yellow |= self.is_yellow(x, y);
            }
        }
        (cover / count as f32, yellow)
    }

    /// Share of paint at a point, between the middles of the cells.
    fn cover(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x / CELL - 0.5, y / CELL - 0.5);
        let (left, low) = (floor(x) as f32, floor(y) as f32);
        let (fx, fy) = (x - left, y - low);
        let at = |dx: f32, dy: f32| {
            let cell = self.cell((left + dx + 0.5) * CELL, (low + dy + 0.5) * CELL);
            f32::from(cell.paint & 127) / 127.0
        };
        let upper = at(0.0, 0.0) * (1.0 - fx) + at(1.0, 0.0) * fx;
        let lower = at(0.0, 1.0) * (1.0 - fx) + at(1.0, 1.0) * fx;
        upper * (1.0 - fy) + lower * fy
    }

    fn is_yellow(&self, x: f32, y: f32) -> bool {
        [
            (0.0, 0.0),
            (-CELL, 0.0),
            (CELL, 0.0),
            (0.0, -CELL),
            (0.0, CELL),
        ]
        .iter()
        .any(|(dx, dy)| self.cell(x + dx, y + dy).paint & 128 != 0)
    }

    fn bare(&self, cell: Cell, x: f32, y: f32, blur: f32) -> V3 {
        let fine = (1.0 - blur * 6.0).clamp(0.0, 1.0);
        let grain = if fine > 0.0 {
            clouds(x * 5.3, y * 5.3) * fine
        } else {
            0.0
        };
        let patch = clouds(x * 0.55, y * 0.55);
        let wide = clouds(x * 0.06, y * 0.06);
        let wear = f32::from(cell.wear) / 255.0;
        let joint = |size_x: f32, size_y: f32, shift: f32, wide: f32| {
            let row = floor(y / size_y) as f32;
            let x = x / size_x + row * shift;
            let distance = |c: f32, size: f32| {
                let f = c - floor(c) as f32;
                f.min(1.0 - f) * size
            };
            let near = distance(x, size_x).min(distance(y / size_y, size_y));
            let wide = wide + blur * 0.5;
            (
                (1.0 - near / wide).clamp(0.0, 1.0) * (0.02 / wide).min(1.0),
                hash(floor(x), row as i32),
            )
        };
        match cell.surface {
            Surface::Asphalt => {
                let crack = clouds(x * 0.21 + 7.0, y * 0.21);
                let crack = (1.0 - crack.abs() / (0.012 + blur * 0.08)).max(0.0)
                    * (0.02 / (0.012 + blur * 0.08)).min(1.0);
                let repaired = clouds(x * 0.035 + 31.0, y * 0.05) > 0.55;
                let base = 0.066 * (1.0 + 0.34 * grain + 0.16 * patch + 0.22 * wide);
                let base = base * if repaired { 0.72 } else { 1.0 };
                let base = base * (1.0 - 0.32 * wear * (0.7 + 0.5 * patch)) * (1.0 - 0.6 * crack);
                v(base, base * 0.99, base * 0.97).component_mul(&self.tone)
            }
            Surface::Pavement | Surface::Slabs => {
                let size = if cell.surface == Surface::Slabs {
                    self.slab
                } else {
                    0.45
                };
                let (line, tile) = joint(size, size, 0.5, 0.012);
                let level = 0.24 * (1.0 + 0.22 * grain + 0.25 * patch + 0.2 * wide);
                let level = level * (0.85 + 0.3 * tile) * (1.0 - 0.6 * line);
                v(level, level * 0.96, level * 0.9).component_mul(&self.tone)
            }
            Surface::Kerb => {
                let (line, _) = joint(1.0, 1.0, 0.0, 0.015);
                let level = 0.33 * (1.0 + 0.25 * grain + 0.2 * patch) * (1.0 - 0.4 * line);
                v(level, level, level * 0.97)
            }
            Surface::Grass => {
                let blade = clouds(x * 9.0, y * 7.0) * fine;
                let level = 0.10 * (1.0 + 0.7 * blade + 0.35 * patch + 0.4 * wide);
                let dry = (0.35 + 0.5 * wide + 0.3 * patch).clamp(0.0, 1.0);
                v(0.62, 1.0, 0.28).lerp(&v(1.3, 1.15, 0.55), dry) * level.max(0.015)
            }
            Surface::Cobbles => {
                let (line, tile) = joint(0.16, 0.12, 0.5, 0.012);
                let level = 0.2 * (1.0 + 0.25 * grain + 0.3 * patch + 0.25 * wide);
                let level =
                    level * (0.7 + 0.6 * tile * fine + 0.3 * (1.0 - fine)) * (1.0 - 0.7 * line);
                v(level, level * 0.95, level * 0.88).component_mul(&self.tone)
            }
            Surface::Hall => {
                let (line, _) = joint(6.0, 6.0, 0.0, 0.02);
                let level = 0.27 * (1.0 + 0.1 * grain + 0.16 * patch + 0.2 * wide);
                let level = level * (1.0 - 0.35 * wear * (0.7 + patch)) * (1.0 - 0.7 * line);
                v(level, level * 0.99, level * 0.96).component_mul(&self.tone)
            }
            Surface::Soil => {
                let level = 0.15 * (1.0 + 0.5 * grain + 0.4 * patch + 0.3 * wide);
                v(level * 1.1, level * 0.9, level * 0.66)
            }
        }
    }
}
