//! Lamps: the light they throw on the ground and everything on it, and the shade under objects.

use super::Scene;
use super::shadow::watched;
use crate::tools::simulate::mesh::{V3, rotated, v};

/// Cells along each side of the map.
const SIZE: usize = 256;

/// A source of light.
#[derive(Debug, Clone, Copy)]
pub(in crate::tools::simulate) struct Lamp {
    pub at: V3,
    /// Direction on the ground; `None` shines all around.
    pub yaw: Option<f32>,
    pub colour: V3,
    /// Metres to half the light.
    pub reach: f32,
    /// Half width of its glare in the picture, metres at the lamp.
    pub glare: f32,
}

/// Light and shade per cell of the ground near the camera.
#[derive(Debug)]
pub(super) struct FloorLight {
    low: (f32, f32),
    scale: f32,
    light: Vec<V3>,
    open: Vec<f32>,
}

impl FloorLight {
    /// Adds up all lamps that are on and the shade under all objects.
    pub fn gather(scene: &Scene<'_>) -> Self {
        let (middle, radius) = watched(scene);
        let radius = radius * 1.3;
        let mut floor = Self {
            low: (middle.x - radius, middle.y - radius),
            scale: SIZE as f32 / (2.0 * radius),
            light: vec![V3::zeros(); SIZE * SIZE],
            open: vec![1.0; SIZE * SIZE],
        };
        if scene.look.lamps {
            for lamp in scene.lamps {
                floor.shine(lamp);
            }
        }
        for instance in scene.instances {
            if instance.footprint.0 > 0.0 {
                floor.shade(instance.at, instance.yaw, instance.footprint);
            }
        }
        floor
    }

    /// Calls `change` for each cell within `reach` of a point, with the offset in metres.
    fn around(&mut self, at: V3, reach: f32, mut change: impl FnMut(&mut V3, &mut f32, V3)) {
        let place = |c: f32, low: f32| ((c - low) * self.scale).clamp(0.0, SIZE as f32) as usize;
        let (columns, rows) = (
            place(at.x - reach, self.low.0)..place(at.x + reach + 1.0, self.low.0),
            place(at.y - reach, self.low.1)..place(at.y + reach + 1.0, self.low.1),
        );
        for j in rows {
            for i in columns.clone() {
                let offset = v(
                    self.low.0 + (i as f32 + 0.5) / self.scale - at.x,
                    self.low.1 + (j as f32 + 0.5) / self.scale - at.y,
                    0.0,
                );
                let cell = j * SIZE + i;
                change(&mut self.light[cell], &mut self.open[cell], offset);
            }
        }
    }

    fn shine(&mut self, lamp: &Lamp) {
        let reach = lamp.reach * 4.0;
        self.around(lamp.at, reach, |light, _, offset| {
            let square = offset.norm_squared() / (lamp.reach * lamp.reach);
            let mut share = 1.0 / (1.0 + square * square.sqrt());
            if let Some(yaw) = lamp.yaw {
                let local = rotated(offset, -yaw);
                let along = local.x / offset.norm().max(0.1);
                share *= ((along - 0.80) * 8.0).clamp(0.0, 1.0) * (local.x / 2.0).clamp(0.0, 1.0);
            }
            *light += lamp.colour * share;
        });
    }

    fn shade(&mut self, at: V3, yaw: f32, (long, wide): (f32, f32)) {
        let soft = (0.45 * wide).clamp(0.15, 0.7);
        self.around(at, long + soft * 2.0, |_, open, offset| {
            let local = rotated(offset, -yaw);
            let outside = (local.x.abs() - long).max(local.y.abs() - wide);
            let share = ((outside + soft) / (2.0 * soft)).clamp(0.0, 1.0);
            *open = open.min(0.35 + 0.65 * share);
        });
    }

    fn blend<T: Copy>(&self, x: f32, y: f32, mix: impl Fn([(usize, f32); 4]) -> T) -> T {
        let place =
            |c: f32, low: f32| ((c - low) * self.scale - 0.5).clamp(0.0, SIZE as f32 - 1.001);
        let (x, y) = (place(x, self.low.0), place(y, self.low.1));
        let (i, j) = (x as usize, y as usize);
        let (fx, fy) = (x - i as f32, y - j as f32);
        let cell = j * SIZE + i;
        mix([
            (cell, (1.0 - fx) * (1.0 - fy)),
            (cell + 1, fx * (1.0 - fy)),
            (cell + SIZE, (1.0 - fx) * fy),
            (cell + SIZE + 1, fx * fy),
        ])
    }

    /// Light of the lamps at a place.
    pub fn light(&self, x: f32, y: f32) -> V3 {
        self.blend(x, y, |cells| {
            cells.iter().fold(V3::zeros(), |sum, &(cell, share)| {
                sum + self.light[cell] * share
            })
        })
    }

    /// Share of the sky that is not shut out near the ground, 0 to 1.
    pub fn open(&self, x: f32, y: f32) -> f32 {
        self.blend(x, y, |cells| {
            cells
                .iter()
                .map(|&(cell, share)| self.open[cell] * share)
                .sum()
        })
    }
}
