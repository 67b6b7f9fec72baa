//! Reflectance of objects' surfaces at a point, from their finish and a little noise.

use super::noise::{clouds, hash};
use crate::tools::simulate::material::{Finish, Material};
use crate::tools::simulate::mesh::{V3, v};

/// What a point of a surface does with light.
#[derive(Debug, Clone, Copy)]
pub(super) struct Skin {
    pub albedo: V3,
    /// Share mirrored when seen head on, 0 for dull surfaces.
    pub mirror: f32,
    /// Light it gives itself.
    pub glow: V3,
}

impl Skin {
    fn dull(albedo: V3) -> Self {
        Self {
            albedo,
            mirror: 0.0,
            glow: V3::zeros(),
        }
    }
}

/// Which lamps of a vehicle are on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lit {
    pub night: bool,
    pub brakes: bool,
}

/// The skin at `p` (local, metres); `normal` is local too. `seed` differs between objects, `blur`
/// is the size of a pixel there in metres.
pub(super) fn skin(material: &Material, p: V3, normal: V3, seed: f32, blur: f32, lit: Lit) -> Skin {
    let colour = material.colour;
    // Unfolds the three directions onto a plane well enough for noise.
    let (s, t) = (p.x + p.y * 0.73 + seed, p.z + p.y * 0.31 + seed * 0.37);
    let fine = (1.0 - blur * 8.0).clamp(0.0, 1.0);
    match material.finish {
        Finish::Paint => {
            let dirt = (0.5 - p.z * 0.9 + 0.35 * clouds(s * 1.3, t * 1.3)).clamp(0.0, 0.55);
            let dull = 1.0 + 0.06 * clouds(s * 0.7, t * 0.7);
            Skin {
                albedo: (colour * dull).lerp(&v(0.10, 0.09, 0.075), dirt * 0.6),
                mirror: 0.06 * (1.0 - dirt),
                glow: V3::zeros(),
            }
        }
        Finish::Glass => {
            // Seats and pillars show dimly.
            let inside = clouds(s * 1.9, t * 2.3).max(0.0) * 0.03 * fine;
            Skin {
                albedo: colour + v(inside, inside, inside),
                mirror: 0.09,
                glow: V3::zeros(),
            }
        }
        Finish::Dull => Skin::dull(colour * (1.0 + 0.4 * clouds(s * 6.0, t * 6.0) * fine)),
        Finish::Metal => Skin {
            albedo: colour * (0.75 + 0.2 * clouds(s * 3.0, t * 3.0)),
            mirror: 0.16,
            glow: V3::zeros(),
        },
        Finish::Cloth(pattern) => Skin::dull(cloth(material, pattern, p, normal, (s, t), fine)),
        Finish::Soft => Skin::dull(colour * (1.0 + 0.18 * clouds(s * 14.0, t * 14.0) * fine)),
        Finish::Leaves => Skin::dull(colour * (0.95 + 0.75 * clouds(s * 3.1, t * 3.1)).max(0.25)),
        Finish::Facade { pitch, storey } => facade(material, p, normal, (pitch, storey), seed, lit),
        Finish::Ribbed(ridge) => {
            let along = if normal.x.abs() > normal.y.abs() {
                p.y
            } else {
                p.x
            };
            let wave = (along / ridge * std::f32::consts::TAU).sin();
            let depth = (1.0 - blur / ridge * 2.0).clamp(0.0, 1.0);
            let dirt = 1.0 + 0.18 * clouds(s * 0.8, t * 0.8);
            Skin::dull(colour * (dirt * (1.0 + 0.16 * wave * depth)))
        }
        Finish::Rough(scale) => {
            let blotch =
                clouds(s / scale, t / scale) * 0.22 + clouds(s * 7.0, t * 7.0) * 0.1 * fine;
            Skin::dull(colour * (1.0 + blotch))
        }
        Finish::Sign => {
            let flat = if normal.x.abs() > normal.y.abs() {
                p.y
            } else {
                p.x
            };
            let (i, j) = ((flat * 6.0 + seed).floor(), (p.z * 9.0).floor());
            let written = hash(i as i32, j as i32 / 2) > 0.55 && j as i32 % 2 == 0;
            Skin::dull(if written { material.second } else { colour })
        }
        Finish::HeadLamp => Skin {
            albedo: colour,
            mirror: 0.2,
            glow: if lit.night {
                v(9.0, 8.6, 7.6)
            } else {
                V3::zeros()
            },
        },
        Finish::TailLamp => {
            let level = match (lit.brakes, lit.night) {
                (true, true) => 4.0,
                (true, false) => 2.0,
                (false, true) => 1.2,
                (false, false) => 0.0,
            };
            Skin {
                albedo: colour,
                mirror: 0.1,
                glow: v(1.0, 0.06, 0.04) * level,
            }
        }
        Finish::Glow => Skin {
            albedo: colour * 0.3,
            mirror: 0.0,
            glow: colour * 1.6,
        },
    }
}

fn cloth(material: &Material, pattern: u8, p: V3, normal: V3, (s, t): (f32, f32), fine: f32) -> V3 {
    let folds = 1.0 + 0.22 * clouds(s * 4.0, t * 1.8) + 0.16 * clouds(s * 11.0, t * 9.0) * fine;
    let stripe = |c: f32, pitch: f32| (c / pitch - (c / pitch).floor()) < 0.42;
    let other = match pattern {
        1 => stripe(p.z, 0.11),
        2 => stripe(p.z, 0.14) != stripe(p.y + p.x * 0.3, 0.12),
        3 => normal.x.abs() > 0.5 && p.y.abs() < 0.11 && (1.18..1.36).contains(&p.z),
        _ => false,
    };
    if pattern == 4 {
        let band = (1.02..1.07).contains(&p.z) || (1.22..1.27).contains(&p.z);
        let braces = p.z > 1.22 && (0.08..0.125).contains(&p.y.abs());
        if band || braces {
            return v(0.75, 0.76, 0.74);
        }
    }
    (if other {
        material.second
    } else {
        material.colour
    }) * folds
}

fn facade(
    material: &Material,
    p: V3,
    normal: V3,
    (pitch, storey): (f32, f32),
    seed: f32,
    lit: Lit,
) -> Skin {
    if normal.z.abs() > 0.5 {
        return Skin::dull(v(0.12, 0.115, 0.11) * (1.0 + 0.3 * clouds(p.x, p.y)));
    }
    let flat = if normal.x.abs() > normal.y.abs() {
        p.y
    } else {
        p.x
    };
    let (column, floor) = ((flat / pitch).floor(), (p.z / storey).floor());
    let (u, w) = (flat / pitch - column, p.z / storey - floor);
    let window = (0.22..0.78).contains(&u) && (0.28..0.80).contains(&w) && p.z > storey * 0.2;
    let frame = (0.18..0.82).contains(&u) && (0.23..0.84).contains(&w);
    let (s, t) = (flat + seed, p.z);
    if window {
        let pane = hash(column as i32 + (seed * 7.0) as i32, floor as i32);
        let shine = lit.night && pane > 0.72;
        let curtain = if pane < 0.35 { 0.25 * pane } else { 0.0 };
        return Skin {
            albedo: material.second + v(curtain, curtain, curtain * 0.9),
            mirror: 0.10,
            glow: if shine {
                v(0.5, 0.36, 0.18) * pane
            } else {
                V3::zeros()
            },
        };
    }
    let bricks = {
        let row = (p.z / 0.08).floor();
        let brick = hash((flat / 0.24 + row * 0.5).floor() as i32, row as i32);
        0.9 + 0.2 * brick
    };
    let stain = 1.0 + 0.2 * clouds(s * 0.5, t * 0.25) + 0.1 * clouds(s * 3.0, t * 3.0);
    let trim = if frame { 1.25 } else { 1.0 };
    Skin::dull(material.colour * (stain * bricks * trim).max(0.1))
}
