//! Repeating noise, made once: the grain of every surface and of the sensor.

use std::sync::LazyLock;

use ::noise::utils::PlaneMapBuilder;
use ::noise::{Fbm, MultiFractal, NoiseFn, Perlin};

/// Cells of the table along each axis.
const SIZE: usize = 256;

/// Lattice cells of the coarsest octave along the table.
const PERIOD: f32 = 8.0;

/// Normally distributed numbers in the sensor's table; a prime, so that rows do not repeat.
const GRAINS: usize = 65_521;

static CLOUDS: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let source = Fbm::<Perlin>::new(7).set_octaves(4).set_persistence(0.55);
    let map = PlaneMapBuilder::new_fn(move |place: [f64; 2]| source.get(place))
        .set_size(SIZE, SIZE)
        .set_is_seamless(true)
        .set_x_bounds(0.0, f64::from(PERIOD))
        .set_y_bounds(0.0, f64::from(PERIOD))
        .build();
    let values: Vec<f32> = map.iter().map(|&value| value as f32).collect();
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    let spread = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f32>();
    let scale = 0.5 / (spread / values.len() as f32).sqrt().max(1e-6);
    values
        .iter()
        .map(|value| ((value - mean) * scale).clamp(-1.0, 1.0))
        .collect()
});

static GRAIN: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let mut rng = fastrand::Rng::with_seed(11);
    // Sum of uniform numbers: near enough to normal, spread 1.
    (0..GRAINS)
        .map(|_| (0..12).map(|_| rng.f32()).sum::<f32>() - 6.0)
        .collect()
});

/// Clouds of several octaves, -1 to 1, mean 0; about one blob per unit.
pub(super) fn clouds(x: f32, y: f32) -> f32 {
    let scale = SIZE as f32 / PERIOD;
    let (x, y) = (x * scale, y * scale);
    let (left, top) = (floor(x), floor(y));
    let (fx, fy) = (x - left as f32, y - top as f32);
    let wrap = |i: i32| i.rem_euclid(SIZE as i32) as usize;
    let (x0, y0) = (wrap(left), wrap(top));
    let (x1, y1) = ((x0 + 1) % SIZE, (y0 + 1) % SIZE);
    let at = |x: usize, y: usize| CLOUDS[y * SIZE + x];
    let upper = at(x0, y0) + (at(x1, y0) - at(x0, y0)) * fx;
    let lower = at(x0, y1) + (at(x1, y1) - at(x0, y1)) * fx;
    upper + (lower - upper) * fy
}

/// The whole number below; `f32::floor` is a call into the C library on plain x86-64.
pub(super) fn floor(x: f32) -> i32 {
    let whole = x as i32;
    whole - i32::from((whole as f32) > x)
}

/// One number per cell of a grid, 0 to 1.
pub(super) fn hash(x: i32, y: i32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    ((h ^ (h >> 15)) >> 8) as f32 / 16_777_216.0
}

/// The table of normally distributed numbers.
pub(super) fn grain() -> &'static [f32] {
    &GRAIN
}
