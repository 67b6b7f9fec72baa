//! People: a jointed body, its clothes, and how it walks, stands or rides.

use std::f32::consts::TAU;

use crate::tools::simulate::material::{Finish, Material, any_colour, pick};
use crate::tools::simulate::mesh::{Mesh, V3, unit, v};

/// Who wears what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::tools::simulate) enum Outfit {
    /// Clothes of the street.
    Street,
    /// Hi-vis vest and mostly a hard hat.
    Work,
    /// On a motorcycle: a helmet.
    Helmet,
}

/// What the body does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::tools::simulate) enum Posture {
    /// Walks; the phase in turns, and how far the legs swing, 0 stands.
    Walk {
        /// Turns of the walking cycle.
        phase: f32,
        /// 0 stands still, 1 walks out.
        swing: f32,
    },
    /// On a bicycle: phase of the pedals in turns.
    Cycle {
        /// Turns of the pedals.
        phase: f32,
    },
    /// On a motorcycle.
    Motor,
    /// Behind the wheel of a forklift.
    Drive,
}

/// One person: measures and clothes, the same over all frames.
#[derive(Debug, Clone)]
pub(in crate::tools::simulate) struct Walker {
    pub height: f32,
    girth: f32,
    materials: Vec<Material>,
    long_coat: f32,
    skirt: bool,
    short_sleeves: bool,
    short_legs: bool,
    long_hair: bool,
    hat: Hat,
    bag: Bag,
    swing_shift: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Hat {
    None,
    Cap,
    Hard,
    Helmet,
    Hood,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bag {
    None,
    Back,
    Hand,
    Shoulder,
}

const LEGS: u16 = 0;
const TOP: u16 = 1;
const SKIN: u16 = 2;
const HAIR: u16 = 3;
const SHOES: u16 = 4;
const BAG: u16 = 5;
const HAT: u16 = 6;

const SKINS: &[u32] = &[
    0xf0cdb0, 0xe8bd9a, 0xd9a57e, 0xc68863, 0xa86f4a, 0x86563a, 0x5f3c28, 0x472c1e,
];
const HAIRS: &[u32] = &[
    0x14110f, 0x1d1815, 0x2c211a, 0x4a3322, 0x6e4f30, 0xa98654, 0x8d8a86, 0xc9c5be, 0x6b2f1a,
];
const TROUSERS: &[u32] = &[
    0x1a1c22, 0x20242e, 0x2b3a55, 0x3a4d70, 0x54688c, 0x6f675a, 0x8c7f6a, 0x3f4238, 0x101012,
    0xb9ad98, 0xd8d6d0, 0x5a2f2f,
];

impl Walker {
    /// A person made up from `rng`.
    pub fn new(rng: &mut fastrand::Rng, outfit: Outfit) -> Self {
        let work = outfit == Outfit::Work;
        let child = !work && outfit != Outfit::Helmet && rng.f32() < 0.06;
        let height = if child {
            1.1 + 0.35 * rng.f32()
        } else {
            1.55 + 0.37 * (rng.f32() + rng.f32()) / 2.0 + 0.04 * rng.f32()
        };
        let legs = if rng.f32() < 0.8 {
            pick(rng, TROUSERS)
        } else {
            any_colour(rng)
        };
        let vest = pick(rng, &[0xd8e82a, 0xc9f03a, 0xf28a1e, 0xf2701a]);
        let (pattern, shirt) = if work && rng.f32() < 0.85 {
            (4, vest)
        } else if rng.f32() < 0.6 {
            (rng.u8(..4), pick(rng, TROUSERS))
        } else {
            (rng.u8(..4), any_colour(rng))
        };
        let pattern = if pattern != 4 && rng.f32() < 0.5 {
            0
        } else {
            pattern
        };
        let skin = pick(rng, SKINS);
        let hat_colour = if work {
            pick(rng, &[0xf2f2ee, 0xf2c71e, 0x2a6ac0, 0xd8482a, 0xf08a1e])
        } else {
            any_colour(rng)
        };
        let materials = vec![
            Material::new(Finish::Cloth(0), legs),
            Material::with_second(Finish::Cloth(pattern), shirt, any_colour(rng)),
            Material::new(Finish::Soft, skin),
            Material::new(Finish::Soft, pick(rng, HAIRS)),
            Material::new(
                Finish::Dull,
                pick(rng, &[0x141414, 0x2a2422, 0xe6e6e2, 0x4a3526]),
            ),
            Material::new(Finish::Cloth(0), any_colour(rng)),
            Material::new(
                if outfit == Outfit::Street {
                    Finish::Cloth(0)
                } else {
                    Finish::Paint
                },
                hat_colour,
            ),
        ];
        let skirt = !work && rng.f32() < 0.13;
        Self {
            height,
            girth: 0.88 + 0.32 * rng.f32() * rng.f32() + if child { -0.05 } else { 0.0 },
            materials,
            long_coat: if !work && !skirt && rng.f32() < 0.25 {
                0.15 + 0.3 * rng.f32()
            } else {
                0.0
            },
            skirt,
            short_sleeves: rng.f32() < 0.35,
            short_legs: !work && rng.f32() < 0.15,
            long_hair: rng.f32() < 0.35,
            hat: match outfit {
                Outfit::Helmet => Hat::Helmet,
                Outfit::Work if rng.f32() < 0.7 => Hat::Hard,
                _ => match rng.u8(..10) {
                    0 => Hat::Cap,
                    1 => Hat::Hood,
                    _ => Hat::None,
                },
            },
            bag: match rng.u8(..10) {
                0 | 1 => Bag::Back,
                2 => Bag::Hand,
                3 => Bag::Shoulder,
                _ => Bag::None,
            },
            swing_shift: rng.f32() * 0.15,
        }
    }

    /// The body in this posture; the ground is at z = 0, except on a bike: there it is the road.
    pub fn mesh(&self, posture: Posture, detail: usize) -> Mesh {
        let mut mesh = Mesh {
            faces: Vec::with_capacity(420),
            materials: self.materials.clone(),
        };
        let h = self.height;
        let sides = detail.clamp(4, 8);
        let (hip, lean) = match posture {
            Posture::Walk { phase, swing } => (
                h * (0.515 - 0.012 * swing * (1.0 - (phase * 2.0 * TAU).cos())),
                0.03 + 0.04 * swing,
            ),
            Posture::Cycle { .. } => (1.0, 0.55),
            Posture::Motor => (0.82, 0.25),
            Posture::Drive => (1.02, 0.05),
        };
        let torso = Torso::new(self, v(0.0, 0.0, hip), lean);
        self.legs(&mut mesh, &torso, posture, sides);
        self.torso(&mut mesh, &torso, sides);
        self.arms(&mut mesh, &torso, posture, sides);
        self.head(&mut mesh, &torso, sides);
        self.carried(&mut mesh, &torso, posture);
        mesh
    }

    fn legs(&self, mesh: &mut Mesh, torso: &Torso, posture: Posture, sides: usize) {
        let h = self.height;
        let (thigh, shin) = (h * 0.245, h * 0.235);
        for (side, shift) in [(1.0, 0.0), (-1.0, 0.5)] {
            let hip = torso.hip + v(0.0, side * h * 0.052 * self.girth, 0.0);
            let (knee, ankle) = match posture {
                Posture::Walk { phase, swing } => {
                    let turn = (phase + shift) * TAU;
                    let forward = 0.35 * swing * turn.sin();
                    let bend = swing * 0.75 * (turn + 0.9).cos().max(0.0).powi(2) + 0.06;
                    let knee = hip + v(forward.sin(), 0.0, -forward.cos()) * thigh;
                    let low = forward - bend;
                    (knee, knee + v(low.sin(), -side * 0.01, -low.cos()) * shin)
                }
                Posture::Cycle { phase } => {
                    let (s, c) = ((phase + shift) * TAU).sin_cos();
                    let ankle = v(0.24 + 0.17 * c, side * 0.10, 0.33 + 0.17 * s);
                    (knee_between(hip, ankle, thigh, shin), ankle)
                }
                Posture::Motor | Posture::Drive => {
                    let ankle = hip + v(0.32, side * 0.13, -0.48);
                    (knee_between(hip, ankle, thigh, shin), ankle)
                }
            };
            let g = self.girth * h;
            let lower = if self.short_legs || self.skirt {
                SKIN
            } else {
                LEGS
            };
            mesh.bar(hip, knee, (g * 0.060, g * 0.043), sides, LEGS);
            mesh.bar(knee, ankle, (g * 0.043, g * 0.029), sides, lower);
            let toe = ankle + v(h * 0.10, 0.0, -h * 0.02);
            mesh.bar(
                ankle - v(h * 0.025, 0.0, h * 0.015),
                toe,
                (h * 0.026, h * 0.02),
                sides.min(5),
                SHOES,
            );
        }
    }

    fn torso(&self, mesh: &mut Mesh, torso: &Torso, sides: usize) {
        let g = self.girth;
        // Share of the trunk, half width, half depth.
        let mut cuts = vec![
            (-0.10, 0.096 * g, 0.074 * g),
            (0.10, 0.108 * g, 0.083 * g),
            (0.38, 0.102 * g, 0.077 * g),
            (0.68, 0.118 * g, 0.082 * g),
            (0.86, 0.114, 0.068),
            (0.95, 0.092, 0.052),
            (1.00, 0.048, 0.040),
            (1.06, 0.030, 0.030),
        ];
        let coat = if self.skirt {
            0.55
        } else {
            self.long_coat * 2.0
        };
        if coat > 0.0 {
            cuts.insert(0, (-coat, 0.125 * g, 0.105 * g));
        }
        let h = self.height;
        let count = (sides + 2).min(9);
        let rings: Vec<Vec<V3>> = cuts
            .iter()
            .map(|&(share, wide, deep)| {
                let centre = torso.at(share);
                (0..count)
                    .map(|i| {
                        let (s, c) = (i as f32 / count as f32 * TAU).sin_cos();
                        centre + v(c * deep * h, s * wide * h, -c * deep * h * torso.lean * 0.6)
                    })
                    .collect()
            })
            .collect();
        let skirt_rings = usize::from(self.skirt) * 2;
        let last = rings.len() - 2;
        mesh.loft(&rings, true, 0.9, |i, _| {
            Some(if i < skirt_rings {
                LEGS
            } else if i == last {
                SKIN
            } else {
                TOP
            })
        });
    }

    fn arms(&self, mesh: &mut Mesh, torso: &Torso, posture: Posture, sides: usize) {
        let h = self.height;
        let (upper, fore) = (h * 0.165, h * 0.15);
        for (side, shift) in [(1.0, 0.5), (-1.0, 0.0)] {
            let shoulder = torso.at(0.89) + v(0.0, side * h * 0.115, -0.01);
            let (elbow, hand) = match posture {
                Posture::Walk { phase, swing } => {
                    let swing = swing * 0.45 + self.swing_shift;
                    let angle = swing * ((phase + shift) * TAU).sin();
                    let elbow = shoulder + v(angle.sin(), side * 0.12, -angle.cos()) * upper;
                    let low = angle + 0.2 + 0.4 * swing;
                    (elbow, elbow + v(low.sin(), -side * 0.02, -low.cos()) * fore)
                }
                Posture::Cycle { .. } => {
                    let hand = v(0.52, side * 0.24, 1.05);
                    (
                        shoulder.lerp(&hand, 0.5) + v(-0.04, side * 0.05, -0.07),
                        hand,
                    )
                }
                Posture::Motor => {
                    let hand = v(0.52, side * 0.33, 1.05);
                    (
                        shoulder.lerp(&hand, 0.5) + v(-0.04, side * 0.06, -0.08),
                        hand,
                    )
                }
                Posture::Drive => {
                    let hand = torso.hip + v(0.42, side * 0.14, 0.32);
                    (
                        shoulder.lerp(&hand, 0.5) + v(-0.05, side * 0.05, -0.08),
                        hand,
                    )
                }
            };
            let g = self.girth * h;
            let lower = if self.short_sleeves { SKIN } else { TOP };
            mesh.bar(shoulder, elbow, (g * 0.036, g * 0.030), sides.min(6), TOP);
            mesh.bar(elbow, hand, (g * 0.029, g * 0.021), sides.min(6), lower);
            mesh.ellipsoid(hand, v(0.02, 0.018, 0.028) * h, 4, SKIN);
        }
    }

    fn head(&self, mesh: &mut Mesh, torso: &Torso, sides: usize) {
        let h = self.height;
        let centre = torso.at(1.06) + v(h * 0.012, 0.0, h * 0.062);
        mesh.ellipsoid(centre, v(0.050, 0.043, 0.064) * h, sides, SKIN);
        let back = centre + v(-0.010, 0.0, 0.012) * h;
        match self.hat {
            Hat::None => mesh.ellipsoid(back, v(0.050, 0.047, 0.060) * h, sides, HAIR),
            Hat::Hood => mesh.ellipsoid(back, v(0.056, 0.054, 0.068) * h, sides, TOP),
            Hat::Helmet => mesh.ellipsoid(
                centre + v(0.0, 0.0, 0.012) * h,
                v(0.075, 0.066, 0.076) * h,
                sides + 1,
                HAT,
            ),
            Hat::Cap | Hat::Hard => {
                mesh.ellipsoid(back, v(0.049, 0.046, 0.054) * h, sides, HAIR);
                let top = centre + v(-0.002, 0.0, 0.030) * h;
                mesh.ellipsoid(top, v(0.058, 0.052, 0.044) * h, sides, HAT);
                mesh.ellipsoid(
                    top + v(0.045, 0.0, -0.012) * h,
                    v(0.036, 0.036, 0.006) * h,
                    5,
                    HAT,
                );
            }
        }
        if self.long_hair && self.hat != Hat::Helmet {
            mesh.ellipsoid(
                back - v(0.022, 0.0, 0.055) * h,
                v(0.026, 0.042, 0.075) * h,
                sides,
                HAIR,
            );
        }
    }

    fn carried(&self, mesh: &mut Mesh, torso: &Torso, posture: Posture) {
        let h = self.height;
        let walks = matches!(posture, Posture::Walk { .. });
        match self.bag {
            Bag::Back if posture != Posture::Drive => {
                let centre = torso.at(0.62) - v(h * 0.11, 0.0, 0.0);
                mesh.ellipsoid(centre, v(0.065, 0.085, 0.125) * h, 7, BAG);
            }
            Bag::Hand if walks => {
                let at = torso.hip + v(0.02, -h * 0.17, -h * 0.20);
                mesh.cuboid(at - v(0.17, 0.05, 0.16), at + v(0.17, 0.05, 0.12), BAG);
            }
            Bag::Shoulder if walks => {
                let at = torso.hip + v(-0.04, h * 0.13, 0.03);
                mesh.ellipsoid(at, v(0.085, 0.035, 0.08) * h, 6, BAG);
            }
            _ => {}
        }
    }
}

/// Where the trunk is.
struct Torso {
    hip: V3,
    top: V3,
    lean: f32,
}

impl Torso {
    fn new(walker: &Walker, hip: V3, lean: f32) -> Self {
        let length = walker.height * 0.315;
        Self {
            hip,
            top: hip + v(lean.sin(), 0.0, lean.cos()) * length,
            lean,
        }
    }

    /// A point on its axis: 0 the hip, 1 the neck.
    fn at(&self, share: f32) -> V3 {
        if share < 0.0 {
            // What hangs below the hip hangs straight down.
            return self.hip + v(0.0, 0.0, share * (self.top - self.hip).norm());
        }
        self.hip + (self.top - self.hip) * share
    }
}

/// The knee of a leg whose ends are given, bent forward.
fn knee_between(hip: V3, ankle: V3, thigh: f32, shin: f32) -> V3 {
    let axis = ankle - hip;
    let distance = axis.norm().clamp(0.05, thigh + shin - 0.005);
    let along = (thigh * thigh - shin * shin + distance * distance) / (2.0 * distance);
    let out = (thigh * thigh - along * along).max(0.0).sqrt();
    let direction = unit(axis);
    let forward = v(1.0, 0.0, 0.0);
    let bend = unit(forward - direction * direction.dot(&forward));
    hip + direction * along + bend * out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_stands_on_the_ground_and_is_as_tall_as_it_says() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..50 {
            let walker = Walker::new(&mut rng, Outfit::Street);
            let posture = Posture::Walk {
                phase: rng.f32(),
                swing: 1.0,
            };
            let mesh = walker.mesh(posture, 8);
            let heights = mesh.faces.iter().flat_map(|face| face.corners).map(|p| p.z);
            let (low, high) = heights.fold((9.0_f32, 0.0_f32), |(low, high), z| {
                (low.min(z), high.max(z))
            });
            assert!((-0.12..0.12).contains(&low), "{low}");
            assert!(
                (high / walker.height - 1.0).abs() < 0.08,
                "{high} of {}",
                walker.height
            );
        }
    }
}
