//! What a camera makes of the light: glare, lens, rain, exposure, sensor noise, sharpening.

use super::noise::grain;
use super::{Camera, Exposure, Lamp, Look};
use crate::tools::simulate::mesh::{V3, unit, v};

/// Steps of the table from linear to coded values.
const STEPS: usize = 4096;

/// Turns light into pictures.
#[derive(Debug)]
pub(in crate::tools::simulate) struct Film {
    coded: Vec<f32>,
}

impl Film {
    pub fn new() -> Self {
        // Shoulder of a camera: bright light is compressed, then the usual gamma of sRGB.
        let coded = (0..=STEPS)
            .map(|i| {
                let light = i as f32 / STEPS as f32 * 4.0;
                let tone = 1.0 - (-light * 1.25).exp();
                let value = if tone <= 0.003_130_8 {
                    tone * 12.92
                } else {
                    1.055 * tone.powf(1.0 / 2.4) - 0.055
                };
                value * 255.0
            })
            .collect();
        Self { coded }
    }

    fn coded(&self, light: f32) -> f32 {
        let place = (light.max(0.0) * (STEPS as f32 / 4.0)).min(STEPS as f32 - 1.0);
        let i = place as usize;
        let f = place - i as f32;
        self.coded[i] + (self.coded[i + 1] - self.coded[i]) * f
    }

    /// RGB, three bytes per pixel, row by row. `rng` is for noise and drops only.
    pub fn develop(
        &self,
        exposure: &Exposure,
        camera: &Camera,
        look: &Look,
        lamps: &[Lamp],
        rng: &mut fastrand::Rng,
    ) -> Vec<u8> {
        let (width, height) = (camera.width, camera.height);
        let mut light = exposure.light.clone();
        if look.lamps {
            for lamp in lamps {
                glare(&mut light, camera, lamp, look);
            }
        }
        if look.rain > 0.0 {
            drops(&mut light, camera, look, rng);
        }
        let mut coded: Vec<[f32; 3]> = Vec::with_capacity(light.len());
        let (mx, my) = (width as f32 / 2.0, height as f32 / 2.0);
        for (i, light) in light.iter().enumerate() {
            let (dx, dy) = ((i % width) as f32 / mx - 1.0, (i / width) as f32 / my - 1.0);
            let edge = 1.0 - look.vignette * (dx * dx + dy * dy) * 0.5;
            let light = light.component_mul(&look.tint) * (look.exposure * edge);
            let grey = light.dot(&v(0.21, 0.72, 0.07));
            let light = v(grey, grey, grey).lerp(&light, look.saturation);
            coded.push([light.x, light.y, light.z].map(|c| {
                let value = self.coded(c);
                (value - 110.0) * look.contrast + 110.0
            }));
        }
        blur(&mut coded, width, height, look.blur);
        if look.sharpen > 0.0 {
            sharpen(&mut coded, width, height, look.sharpen);
        }
        let table = grain();
        let mut place = rng.usize(..table.len());
        let mut next = || {
            place += 1;
            if place >= table.len() {
                place = 0;
            }
            table[place]
        };
        let mut picture = Vec::with_capacity(coded.len() * 3);
        for pixel in coded {
            // Dark parts are noisier, as after gamma.
            let level = look.noise * (1.25 - 0.003 * pixel[1]).clamp(0.4, 1.25);
            let luma = next() * level;
            for channel in pixel {
                picture.push((channel + luma + next() * level * 0.4).clamp(0.0, 255.0) as u8);
            }
        }
        picture
    }
}

/// Spreads a lamp's light over the picture around it.
fn glare(light: &mut [V3], camera: &Camera, lamp: &Lamp, look: &Look) {
    let local = camera.local(lamp.at);
    if local.z < 1.0 || lamp.glare <= 0.0 {
        return;
    }
    let mut strength = 1.0;
    if let Some(yaw) = lamp.yaw {
        let out = v(yaw.cos(), yaw.sin(), 0.0);
        let facing = -unit(lamp.at - camera.at).dot(&out);
        strength = ((facing - 0.1) * 1.2).clamp(0.0, 1.0);
    }
    if strength <= 0.0 {
        return;
    }
    let image = camera.image(local);
    let radius = (lamp.glare * image.z * camera.focal).clamp(0.8, camera.width as f32 * 0.06);
    let reach = radius * 4.0;
    let colour = lamp.colour * (strength * (1.1 + 20.0 * look.fog) / (1.0 + look.fog * local.z));
    let range = |middle: f32, size: usize| {
        let low = (middle - reach).max(0.0) as usize;
        low..((middle + reach).max(0.0) as usize).min(size)
    };
    for y in range(image.y, camera.height) {
        for x in range(image.x, camera.width) {
            let (dx, dy) = (x as f32 + 0.5 - image.x, y as f32 + 0.5 - image.y);
            let square = (dx * dx + dy * dy) / (radius * radius);
            if square < 16.0 {
                let fade = 1.0 - square / 16.0;
                light[y * camera.width + x] += colour * (fade * fade / (1.0 + square * 2.0));
            }
        }
    }
}

/// Falling drops as faint streaks.
fn drops(light: &mut [V3], camera: &Camera, look: &Look, rng: &mut fastrand::Rng) {
    let (width, height) = (camera.width, camera.height);
    let count = (look.rain * width as f32 * height as f32 / 900.0) as usize;
    let slant = (look.seed.sin()) * 0.25;
    let colour = (look.sky_horizon * 0.5 + look.fog_colour * 0.5).map(|c| c.max(0.02));
    for _ in 0..count {
        let (mut x, y) = (rng.f32() * width as f32, rng.usize(..height));
        let near = rng.f32();
        let length = (height as f32 * (0.015 + 0.05 * near * near)) as usize + 1;
        let share = 0.05 + 0.16 * rng.f32();
        for row in y..(y + length).min(height) {
            let column = x as usize;
            if column < width {
                let pixel = &mut light[row * width + column];
                *pixel = pixel.lerp(&colour, share);
            }
            x += slant;
        }
    }
}

/// Three taps along each axis, as wide as asked for.
fn blur(pixels: &mut [[f32; 3]], width: usize, height: usize, radius: f32) {
    let mut left = radius;
    while left > 0.05 {
        let side = (left * left * 0.5).min(0.25);
        left -= 0.7;
        for row in pixels.chunks_exact_mut(width) {
            let mut before = row[0];
            for x in 0..width {
                let (here, after) = (row[x], row[(x + 1).min(width - 1)]);
                for c in 0..3 {
                    row[x][c] = here[c] * (1.0 - 2.0 * side) + (before[c] + after[c]) * side;
                }
                before = here;
            }
        }
        let mut before: Vec<[f32; 3]> = pixels[..width].to_vec();
        for y in 0..height {
            for x in 0..width {
                let here = pixels[y * width + x];
                let after = pixels[(y + 1).min(height - 1) * width + x];
                for c in 0..3 {
                    pixels[y * width + x][c] =
                        here[c] * (1.0 - 2.0 * side) + (before[x][c] + after[c]) * side;
                }
                before[x] = here;
            }
        }
    }
}

/// The halo that cameras add along edges.
fn sharpen(pixels: &mut [[f32; 3]], width: usize, height: usize, strength: f32) {
    let mut soft = pixels.to_vec();
    blur(&mut soft, width, height, 1.0);
    for (pixel, soft) in pixels.iter_mut().zip(&soft) {
        for c in 0..3 {
            pixel[c] += (pixel[c] - soft[c]) * strength;
        }
    }
}
