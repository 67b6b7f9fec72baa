//! What surfaces are made of: how they take light, and the pattern on them.

use super::mesh::{V3, v};

/// How a surface looks close up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Finish {
    /// Car paint: reflects the sky, gets dirty towards the ground.
    Paint,
    /// Dark, reflecting glass.
    Glass,
    /// Rubber, dull plastic, shade under a car.
    Dull,
    /// Bare or grey metal.
    Metal,
    /// Cloth with folds; pattern 0 plain, 1 stripes across, 2 checks, 3 print on the chest, 4 reflecting bands.
    Cloth(u8),
    /// Skin and hair.
    Soft,
    /// Leaves.
    Leaves,
    /// Wall with windows: distance of the windows along and up, share of lit ones at night.
    Facade {
        /// Metres from window to window.
        pitch: f32,
        /// Metres from floor to floor.
        storey: f32,
    },
    /// Corrugated sheet or planks, metres from ridge to ridge.
    Ribbed(f32),
    /// Boards, cardboard, plaster: blotches at this scale in metres.
    Rough(f32),
    /// A sign or poster: blocks of another colour.
    Sign,
    /// White lamp of a vehicle; shines at night.
    HeadLamp,
    /// Red lamp of a vehicle; shines at night and when braking.
    TailLamp,
    /// Shines always.
    Glow,
}

/// A finish with its colours, linear RGB.
#[derive(Debug, Clone)]
pub(super) struct Material {
    pub finish: Finish,
    pub colour: V3,
    pub second: V3,
}

impl Material {
    pub fn new(finish: Finish, colour: V3) -> Self {
        Self {
            finish,
            colour,
            second: colour * 0.5,
        }
    }

    pub fn with_second(finish: Finish, colour: V3, second: V3) -> Self {
        Self {
            finish,
            colour,
            second,
        }
    }
}

/// Linear RGB from the usual eight-bit notation, `0xRRGGBB`.
pub(super) fn rgb(hex: u32) -> V3 {
    let channel = |shift: u32| {
        let s = ((hex >> shift) & 255) as f32 / 255.0;
        s.powf(2.2)
    };
    v(channel(16), channel(8), channel(0))
}

/// One of `colours`, a little lighter or darker and a little off in hue.
pub(super) fn pick(rng: &mut fastrand::Rng, colours: &[u32]) -> V3 {
    let base = rgb(colours[rng.usize(..colours.len())]);
    let level = 0.7 + 0.6 * rng.f32();
    let tint = |rng: &mut fastrand::Rng| level * (0.88 + 0.24 * rng.f32());
    v(base.x * tint(rng), base.y * tint(rng), base.z * tint(rng)).map(|c| c.clamp(0.003, 0.9))
}

/// Any colour at all, more often dull than bright.
pub(super) fn any_colour(rng: &mut fastrand::Rng) -> V3 {
    let grey = rng.f32().powi(2) * 0.7 + 0.01;
    let vivid = rng.f32().powi(2);
    let channel = |rng: &mut fastrand::Rng| grey * (1.0 - vivid) + vivid * rng.f32().powi(2) * 0.8;
    v(channel(rng), channel(rng), channel(rng))
}

/// Paints of cars as they are on the road: mostly white, black, grey, silver.
pub(super) fn car_paint(rng: &mut fastrand::Rng) -> V3 {
    const COMMON: &[u32] = &[
        0xe4e6e6, 0xf2f2ee, 0xd8dadb, 0xaeb2b5, 0xa0a4a8, 0x8b9095, 0x66696c, 0x4a4d50, 0x2b2d30,
        0x17181a, 0x101113, 0x1c1e22,
    ];
    const BRIGHT: &[u32] = &[
        0x8e1b1b, 0xb42a22, 0x1d3c78, 0x25539b, 0x16294a, 0x2f5a45, 0x7a6a52, 0xb39b72, 0xc88b2b,
        0xd8b93c, 0x6a2030, 0x3c7f9c, 0x5d3a22, 0x9fb7c9,
    ];
    if rng.f32() < 0.68 {
        pick(rng, COMMON)
    } else {
        pick(rng, BRIGHT)
    }
}
