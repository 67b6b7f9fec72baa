//! What stands around: buildings, trees, poles, racks, goods, and clutter that is no object of ours.

use std::f32::consts::TAU;

use crate::tools::simulate::material::{Finish, Material, any_colour, pick, rgb};
use crate::tools::simulate::mesh::{Mesh, v};

type Rng = fastrand::Rng;

/// A house of `wide` × `deep` metres, its front towards −y.
pub(in crate::tools::simulate) fn building(rng: &mut Rng, wide: f32, deep: f32) -> Mesh {
    let mut mesh = Mesh::default();
    let high = 4.0 + 14.0 * rng.f32() * rng.f32() + 3.0 * rng.f32();
    let colour = pick(
        rng,
        &[
            0xb8a894, 0xc9c3b6, 0x9a5a44, 0x8a8682, 0xd6cdb8, 0x7d6f60, 0xa9b0b4, 0xcdbb9a,
            0x6e7478, 0xe6e1d6,
        ],
    );
    let glass = v(0.02, 0.025, 0.03) * (0.5 + rng.f32() * 1.5);
    let finish = Finish::Facade {
        pitch: 1.8 + 2.2 * rng.f32(),
        storey: 2.8 + 0.9 * rng.f32(),
    };
    let wall = mesh.material(Material::with_second(finish, colour, glass));
    let trim = mesh.material(Material::new(Finish::Rough(0.5), colour * 0.7));
    let roof = mesh.material(Material::new(
        Finish::Ribbed(0.35),
        pick(rng, &[0x7a4030, 0x4a4a4c, 0x5c5048, 0x8a8a88]),
    ));
    let (x, y) = (wide / 2.0, deep / 2.0);
    mesh.cuboid(v(-x, -y, 0.0), v(x, y, high), wall);
    if rng.bool() {
        mesh.cuboid(
            v(-x - 0.3, -y - 0.3, high),
            v(x + 0.3, y + 0.3, high + 0.4),
            trim,
        );
        mesh.cuboid(v(-1.5, -1.0, high), v(1.0, 1.5, high + 2.0), trim);
    } else {
        let ridge = high + 1.5 + rng.f32() * 2.5;
        let (a, b) = (x + 0.4, y + 0.5);
        for side in [-1.0, 1.0] {
            mesh.quad(
                [
                    v(-a, side * b, high - 0.1),
                    v(a, side * b, high - 0.1),
                    v(a, 0.0, ridge),
                    v(-a, 0.0, ridge),
                ],
                roof,
            );
            mesh.triangle(
                [
                    v(side * x, -y, high),
                    v(side * x, y, high),
                    v(side * x, 0.0, ridge),
                ],
                trim,
            );
        }
    }
    // A shop front.
    if rng.f32() < 0.6 {
        let glass = mesh.material(Material::new(Finish::Glass, v(0.03, 0.035, 0.04)));
        let board = mesh.material(Material::with_second(
            Finish::Sign,
            any_colour(rng),
            rgb(0xf0ead8),
        ));
        mesh.cuboid(v(-x * 0.9, -y - 0.06, 0.5), v(x * 0.9, -y, 2.6), glass);
        mesh.cuboid(v(-x * 0.92, -y - 0.15, 2.7), v(x * 0.92, -y, 3.4), board);
        if rng.bool() {
            let cloth = mesh.material(Material::new(Finish::Ribbed(0.8), any_colour(rng)));
            mesh.quad(
                [
                    v(-x * 0.9, -y - 1.6, 2.3),
                    v(x * 0.9, -y - 1.6, 2.3),
                    v(x * 0.9, -y, 2.9),
                    v(-x * 0.9, -y, 2.9),
                ],
                cloth,
            );
        }
    }
    mesh
}

fn leaves(
    mesh: &mut Mesh,
    rng: &mut Rng,
    centre: [f32; 3],
    radius: [f32; 3],
    count: usize,
    material: u16,
) {
    for _ in 0..count {
        let (s, c) = (rng.f32() * TAU).sin_cos();
        let z = rng.f32() * 2.0 - 1.0;
        let flat = (1.0 - z * z).sqrt();
        let depth = 0.55 + 0.45 * rng.f32().sqrt();
        let out = v(c * flat, s * flat, z);
        let at = v(
            centre[0] + out.x * radius[0] * depth,
            centre[1] + out.y * radius[1] * depth,
            centre[2] + out.z * radius[2] * depth,
        );
        let size = (0.10 + 0.17 * rng.f32()) * radius[0].sqrt();
        let near =
            |rng: &mut Rng| v(rng.f32() - 0.5, rng.f32() - 0.5, rng.f32() - 0.5) * 2.0 * size;
        let corners = [at + near(rng), at + near(rng), at + near(rng)];
        let first = mesh.faces.len();
        mesh.triangle(corners, material);
        // Lit like the round crown it belongs to.
        for face in &mut mesh.faces[first..] {
            face.normals = [(out + v(0.0, 0.0, 0.35)).normalize(); 3];
        }
    }
}

/// A tree with a trunk and loose leaves.
pub(in crate::tools::simulate) fn tree(rng: &mut Rng) -> Mesh {
    let mut mesh = Mesh::default();
    let bark = mesh.material(Material::new(
        Finish::Rough(0.15),
        pick(rng, &[0x5a4a3a, 0x6b5a48, 0x3f342a]),
    ));
    let greens = &[0x44602c, 0x557334, 0x3a5228, 0x6b7f3a, 0x7d6a2c, 0x2f4a2c];
    let green = mesh.material(Material::new(Finish::Leaves, pick(rng, greens)));
    let high = 4.0 + 4.0 * rng.f32();
    let wide = 1.2 + 1.4 * rng.f32();
    let crown = high - wide * 0.8;
    mesh.bar(v(0.0, 0.0, 0.0), v(0.1, 0.05, crown), (0.17, 0.09), 6, bark);
    for _ in 0..4 {
        let (s, c) = (rng.f32() * TAU).sin_cos();
        let low = crown * (0.6 + 0.3 * rng.f32());
        mesh.bar(
            v(0.05, 0.0, low),
            v(c * wide * 0.6, s * wide * 0.6, crown + 0.4),
            (0.06, 0.03),
            4,
            bark,
        );
    }
    let count = 480 + rng.usize(..300);
    leaves(
        &mut mesh,
        rng,
        [0.0, 0.0, crown + 0.3],
        [wide, wide, wide * 0.95],
        count,
        green,
    );
    mesh
}

/// A low bush.
pub(in crate::tools::simulate) fn bush(rng: &mut Rng) -> Mesh {
    let mut mesh = Mesh::default();
    let green = mesh.material(Material::new(
        Finish::Leaves,
        pick(rng, &[0x3f5a2a, 0x566b30, 0x6f6a3a]),
    ));
    let size = 0.5 + 0.7 * rng.f32();
    leaves(
        &mut mesh,
        rng,
        [0.0, 0.0, size * 0.6],
        [size * 1.3, size, size * 0.7],
        220,
        green,
    );
    mesh
}

/// A street lamp of `high` metres, its arm along +x.
pub(in crate::tools::simulate) fn lamp_post(high: f32) -> Mesh {
    let mut mesh = Mesh::default();
    let pole = mesh.material(Material::new(Finish::Metal, v(0.16, 0.17, 0.17)));
    let lamp = mesh.material(Material::new(Finish::HeadLamp, v(0.7, 0.68, 0.6)));
    mesh.bar(v(0.0, 0.0, 0.0), v(0.0, 0.0, high), (0.09, 0.06), 6, pole);
    mesh.bar(
        v(0.0, 0.0, high),
        v(1.6, 0.0, high + 0.3),
        (0.05, 0.04),
        5,
        pole,
    );
    mesh.cuboid(v(1.4, -0.12, high + 0.24), v(2.1, 0.12, high + 0.38), pole);
    mesh.cuboid(v(1.45, -0.1, high + 0.20), v(2.05, 0.1, high + 0.24), lamp);
    mesh
}

/// A traffic light looking along +x that shows red, amber or green.
pub(in crate::tools::simulate) fn traffic_light(lit: usize) -> Mesh {
    let mut mesh = Mesh::default();
    let pole = mesh.material(Material::new(Finish::Metal, v(0.1, 0.1, 0.1)));
    mesh.bar(v(0.0, 0.0, 0.0), v(0.0, 0.0, 3.4), (0.06, 0.06), 6, pole);
    mesh.cuboid(v(0.0, -0.17, 2.4), v(0.22, 0.17, 3.4), pole);
    for (i, colour) in [0xff2a1a, 0xffb020, 0x20ff70].into_iter().enumerate() {
        let material = if i == lit {
            Material::new(Finish::Glow, rgb(colour))
        } else {
            Material::new(Finish::Dull, rgb(colour) * 0.04)
        };
        let lens = mesh.material(material);
        let z = 3.22 - 0.31 * i as f32;
        mesh.bar(v(0.22, 0.0, z), v(0.25, 0.0, z), (0.11, 0.11), 8, lens);
    }
    mesh
}

/// A road sign or poster on a pole, its face along +x.
pub(in crate::tools::simulate) fn sign(rng: &mut Rng) -> Mesh {
    let mut mesh = Mesh::default();
    let pole = mesh.material(Material::new(Finish::Metal, v(0.3, 0.3, 0.3)));
    let colours = &[0x1d4f9a, 0xc0281e, 0xf2c71e, 0xf0f0ee, 0x1e7a3e];
    let face = mesh.material(Material::with_second(
        Finish::Sign,
        pick(rng, colours),
        rgb(0xf4f4f0),
    ));
    let high = 2.0 + rng.f32();
    mesh.bar(v(0.0, 0.0, 0.0), v(0.0, 0.0, high), (0.03, 0.03), 5, pole);
    match rng.u8(..3) {
        0 => mesh.bar(
            v(0.03, 0.0, high),
            v(0.06, 0.0, high),
            (0.35, 0.35),
            14,
            face,
        ),
        1 => mesh.triangle(
            [
                v(0.04, -0.4, high - 0.3),
                v(0.04, 0.4, high - 0.3),
                v(0.04, 0.0, high + 0.4),
            ],
            face,
        ),
        _ => mesh.cuboid(v(0.03, -0.6, high - 0.4), v(0.07, 0.6, high + 0.4), face),
    }
    mesh
}

/// A post of knee height.
pub(in crate::tools::simulate) fn bollard(rng: &mut Rng) -> Mesh {
    let mut mesh = Mesh::default();
    let colour = pick(rng, &[0x2a2c2e, 0x8a8c8e, 0xd9541e, 0x5a4a3a]);
    let post = mesh.material(Material::new(Finish::Rough(0.3), colour));
    let band = mesh.material(Material::new(Finish::Rough(0.3), rgb(0xe6e6e2)));
    mesh.bar(v(0.0, 0.0, 0.0), v(0.0, 0.0, 0.9), (0.09, 0.08), 7, post);
    mesh.bar(
        v(0.0, 0.0, 0.66),
        v(0.0, 0.0, 0.76),
        (0.093, 0.093),
        7,
        band,
    );
    mesh
}

/// A bench along x.
pub(in crate::tools::simulate) fn bench(rng: &mut Rng) -> Mesh {
    let mut mesh = Mesh::default();
    let wood = mesh.material(Material::new(
        Finish::Ribbed(0.1),
        pick(rng, &[0x7a5a3a, 0x5a4632, 0x8a8a86]),
    ));
    let iron = mesh.material(Material::new(Finish::Metal, v(0.05, 0.05, 0.05)));
    mesh.cuboid(v(-0.9, -0.25, 0.42), v(0.9, 0.22, 0.47), wood);
    mesh.quad(
        [
            v(-0.9, 0.22, 0.5),
            v(0.9, 0.22, 0.5),
            v(0.9, 0.34, 0.9),
            v(-0.9, 0.34, 0.9),
        ],
        wood,
    );
    for x in [-0.75, 0.75] {
        mesh.cuboid(v(x - 0.04, -0.2, 0.0), v(x + 0.04, 0.25, 0.42), iron);
    }
    mesh
}

/// A fence of `length` metres along x.
pub(in crate::tools::simulate) fn fence(length: f32) -> Mesh {
    let mut mesh = Mesh::default();
    let iron = mesh.material(Material::new(Finish::Metal, v(0.14, 0.16, 0.15)));
    let mut x = 0.0;
    while x < length {
        mesh.bar(v(x, 0.0, 0.0), v(x, 0.0, 1.05), (0.022, 0.022), 4, iron);
        x += 0.5;
    }
    for z in [0.3, 1.05] {
        mesh.bar(v(0.0, 0.0, z), v(length, 0.0, z), (0.025, 0.025), 4, iron);
    }
    mesh
}

/// A crash barrier of `length` metres along x.
pub(in crate::tools::simulate) fn guard_rail(length: f32) -> Mesh {
    let mut mesh = Mesh::default();
    let steel = mesh.material(Material::new(Finish::Metal, v(0.34, 0.35, 0.36)));
    let mut x = 0.0;
    while x <= length {
        mesh.cuboid(v(x - 0.06, -0.06, 0.0), v(x + 0.06, 0.06, 0.7), steel);
        x += 4.0;
    }
    let profile = [
        (0.08, 0.45),
        (0.16, 0.53),
        (0.08, 0.61),
        (0.16, 0.69),
        (0.08, 0.77),
    ];
    for side in [-1.0, 1.0] {
        for pair in profile.windows(2) {
            let ((y0, z0), (y1, z1)) = (pair[0], pair[1]);
            let (y0, y1) = (y0 * side, y1 * side);
            mesh.quad(
                [
                    v(0.0, y0, z0),
                    v(length, y0, z0),
                    v(length, y1, z1),
                    v(0.0, y1, z1),
                ],
                steel,
            );
        }
    }
    mesh
}

/// A kiosk or market stall.
pub(in crate::tools::simulate) fn kiosk(rng: &mut Rng) -> Mesh {
    let mut mesh = Mesh::default();
    let wall = mesh.material(Material::new(Finish::Ribbed(0.3), any_colour(rng)));
    let roof = mesh.material(Material::new(Finish::Ribbed(0.6), any_colour(rng)));
    let sign = mesh.material(Material::with_second(
        Finish::Sign,
        any_colour(rng),
        rgb(0xf4efe0),
    ));
    let dark = mesh.material(Material::new(Finish::Glass, v(0.03, 0.03, 0.03)));
    mesh.cuboid(v(-1.5, -1.1, 0.0), v(1.5, 1.1, 2.3), wall);
    mesh.cuboid(v(-1.2, -1.13, 1.0), v(1.2, -1.1, 1.9), dark);
    mesh.cuboid(v(-1.5, -1.2, 2.0), v(1.5, -1.1, 2.4), sign);
    mesh.cuboid(v(-1.8, -1.7, 2.4), v(1.8, 1.3, 2.55), roof);
    mesh
}

/// A parasol over a table.
pub(in crate::tools::simulate) fn umbrella(rng: &mut Rng) -> Mesh {
    let mut mesh = Mesh::default();
    let colours = &[0xc0281e, 0xf0ece0, 0x2a5a9a, 0x3a7a3a, 0xd9b23a];
    let cloth = mesh.material(Material::new(Finish::Cloth(0), pick(rng, colours)));
    let other = mesh.material(Material::new(Finish::Cloth(0), pick(rng, colours)));
    let wood = mesh.material(Material::new(Finish::Rough(0.2), rgb(0x8a7a66)));
    mesh.bar(v(0.0, 0.0, 0.0), v(0.0, 0.0, 2.5), (0.03, 0.03), 5, wood);
    mesh.bar(v(0.0, 0.0, 0.72), v(0.0, 0.0, 0.76), (0.5, 0.5), 12, wood);
    let rim = |i: usize| {
        let (s, c) = (i as f32 / 8.0 * TAU).sin_cos();
        v(c * 1.5, s * 1.5, 2.1)
    };
    for i in 0..8 {
        let material = if i % 2 == 0 { cloth } else { other };
        mesh.triangle([rim(i), rim(i + 1), v(0.0, 0.0, 2.6)], material);
    }
    mesh
}

/// A round fountain.
pub(in crate::tools::simulate) fn fountain(rng: &mut Rng) -> Mesh {
    let mut mesh = Mesh::default();
    let stone = mesh.material(Material::new(
        Finish::Rough(0.4),
        pick(rng, &[0xb0a898, 0x8a8680]),
    ));
    let water = mesh.material(Material::new(Finish::Glass, v(0.05, 0.09, 0.10)));
    mesh.bar(v(0.0, 0.0, 0.0), v(0.0, 0.0, 0.55), (2.4, 2.3), 18, stone);
    mesh.bar(v(0.0, 0.0, 0.56), v(0.0, 0.0, 0.57), (2.1, 2.1), 18, water);
    mesh.bar(v(0.0, 0.0, 0.5), v(0.0, 0.0, 2.2), (0.4, 0.2), 10, stone);
    mesh.ellipsoid(v(0.0, 0.0, 2.3), v(0.7, 0.7, 0.25), 10, stone);
    mesh
}

/// A carton or crate.
pub(in crate::tools::simulate) fn carton(rng: &mut Rng) -> Mesh {
    let mut mesh = Mesh::default();
    let colour = pick(
        rng,
        &[0xb08a5a, 0xa37c4e, 0xc09a68, 0x8a8c8e, 0x3a5a8a, 0xe0dccf],
    );
    let board = mesh.material(Material::new(Finish::Rough(0.25), colour));
    let (x, y) = (0.2 + 0.3 * rng.f32(), 0.2 + 0.3 * rng.f32());
    mesh.cuboid(v(-x, -y, 0.0), v(x, y, 0.25 + 0.5 * rng.f32()), board);
    mesh
}

/// A pallet with goods up to `high` metres above it.
pub(in crate::tools::simulate) fn loaded_pallet(rng: &mut Rng, high: f32) -> Mesh {
    let mut mesh = Mesh::default();
    let wood = mesh.material(Material::new(
        Finish::Ribbed(0.14),
        pick(rng, &[0xb89a6a, 0x9a7f58, 0x8a7a62]),
    ));
    for y in [-0.35, 0.0, 0.35] {
        mesh.cuboid(v(-0.6, y - 0.06, 0.0), v(0.6, y + 0.06, 0.10), wood);
    }
    mesh.cuboid(v(-0.6, -0.4, 0.10), v(0.6, 0.4, 0.145), wood);
    let film = rng.f32() < 0.3;
    let colour = pick(
        rng,
        &[
            0xb08a5a, 0xa37c4e, 0xc09a68, 0x2a5a9a, 0xe0dccf, 0x8a8c8e, 0x9a2a22, 0x2a6a3e,
        ],
    );
    let finish = if film {
        Finish::Glass
    } else {
        Finish::Rough(0.3)
    };
    let board = mesh.material(Material::new(finish, colour * if film { 0.5 } else { 1.0 }));
    let label = mesh.material(Material::with_second(
        Finish::Sign,
        rgb(0xf0f0ea),
        rgb(0x202020),
    ));
    let layers = ((high / 0.38) as usize).max(1);
    let layer = high / layers as f32;
    for i in 0..layers {
        let z = 0.15 + layer * i as f32;
        for (x0, x1) in [(-0.58, -0.01), (0.0, 0.57)] {
            for (y0, y1) in [(-0.38, -0.005), (0.005, 0.385)] {
                let jitter = 0.015 * rng.f32();
                mesh.cuboid(
                    v(x0 + jitter, y0, z),
                    v(x1, y1 - jitter, z + layer - 0.008),
                    board,
                );
            }
        }
    }
    mesh.cuboid(v(-0.25, -0.388, 0.3), v(-0.05, -0.385, 0.45), label);
    mesh.cuboid(v(0.575, -0.15, 0.3), v(0.582, 0.05, 0.45), label);
    mesh
}

/// A pallet rack along x: `bays` of 2.8 m and `levels`, filled in part.
pub(in crate::tools::simulate) fn rack(rng: &mut Rng, bays: usize, levels: usize) -> Mesh {
    let mut mesh = Mesh::default();
    let blue = mesh.material(Material::new(
        Finish::Paint,
        pick(rng, &[0x1e4a9a, 0x3a5a8a, 0x2a7a5a, 0x6a6e72]),
    ));
    let orange = mesh.material(Material::new(
        Finish::Paint,
        pick(rng, &[0xe8701e, 0xf2a01e, 0xd84a1e]),
    ));
    let (bay, storey, deep) = (2.8, 1.75, 1.1);
    let top = storey * levels as f32;
    for i in 0..=bays {
        let x = bay * i as f32;
        for y in [0.0, deep] {
            mesh.cuboid(v(x - 0.05, y - 0.04, 0.0), v(x + 0.05, y + 0.04, top), blue);
        }
        let mut z = 0.2;
        while z + 0.8 < top {
            mesh.bar(v(x, 0.0, z), v(x, deep, z + 0.8), (0.025, 0.025), 4, blue);
            z += 0.9;
        }
    }
    for level in 0..levels {
        let z = storey * level as f32;
        for i in 0..bays {
            let x = bay * i as f32;
            if level > 0 {
                for y in [0.0, deep] {
                    mesh.cuboid(v(x, y - 0.03, z - 0.12), v(x + bay, y + 0.03, z), orange);
                }
            }
            for place in 0..2 {
                if rng.f32() < 0.82 {
                    let high = 0.4 + 1.0 * rng.f32();
                    let pallet = loaded_pallet(rng, high);
                    let at = v(x + 0.75 + 1.3 * place as f32, deep / 2.0, z);
                    mesh.insert(&pallet, at, 0.0);
                }
            }
        }
    }
    mesh
}

/// A wall of `length` metres along x and `high` up, two-coloured as halls have it.
pub(in crate::tools::simulate) fn hall_wall(rng: &mut Rng, length: f32, high: f32) -> Mesh {
    let mut mesh = Mesh::default();
    let sheet = mesh.material(Material::new(
        Finish::Ribbed(0.4),
        pick(rng, &[0xc9ccce, 0xa8b0b4, 0xd8d4c8]),
    ));
    let base = mesh.material(Material::new(
        Finish::Rough(0.6),
        pick(rng, &[0x8a8c8e, 0x5a6a7a, 0xb0aca2]),
    ));
    mesh.quad(
        [
            v(0.0, 0.0, 2.2),
            v(length, 0.0, 2.2),
            v(length, 0.0, high),
            v(0.0, 0.0, high),
        ],
        sheet,
    );
    mesh.quad(
        [
            v(0.0, 0.0, 0.0),
            v(length, 0.0, 0.0),
            v(length, 0.0, 2.2),
            v(0.0, 0.0, 2.2),
        ],
        base,
    );
    let mut x = 3.0;
    while x + 4.0 < length {
        if rng.f32() < 0.4 {
            let door = mesh.material(Material::new(
                Finish::Ribbed(0.5),
                pick(rng, &[0x6a7a8a, 0xe0e2e2, 0xb03a2a]),
            ));
            mesh.cuboid(v(x, -0.08, 0.0), v(x + 3.4, 0.08, 3.8), door);
        }
        x += 6.0;
    }
    mesh
}

/// A pillar of a hall.
pub(in crate::tools::simulate) fn pillar(rng: &mut Rng, high: f32) -> Mesh {
    let mut mesh = Mesh::default();
    let grey = mesh.material(Material::new(
        Finish::Rough(0.5),
        pick(rng, &[0x9a9c9e, 0xb8b4aa]),
    ));
    let guard = mesh.material(Material::new(Finish::Rough(0.3), rgb(0xe8c21e)));
    mesh.cuboid(v(-0.2, -0.2, 0.0), v(0.2, 0.2, high), grey);
    mesh.cuboid(v(-0.26, -0.26, 0.0), v(0.26, 0.26, 0.8), guard);
    mesh
}

/// A grey box at the wayside: a cabinet, a bin, a container.
pub(in crate::tools::simulate) fn wall_box(rng: &mut Rng) -> Mesh {
    let mut mesh = Mesh::default();
    let colour = pick(rng, &[0x7a7c7a, 0x3a5a3e, 0x2a2c2e, 0xa8a49a, 0xb0642a]);
    let side = mesh.material(Material::new(Finish::Rough(0.5), colour));
    let (x, y, z) = (
        0.25 + 0.5 * rng.f32(),
        0.2 + 0.3 * rng.f32(),
        0.7 + 0.9 * rng.f32(),
    );
    mesh.cuboid(v(-x, -y, 0.0), v(x, y, z), side);
    mesh.cuboid(
        v(-x - 0.03, -y - 0.03, z),
        v(x + 0.03, y + 0.03, z + 0.06),
        side,
    );
    mesh
}
