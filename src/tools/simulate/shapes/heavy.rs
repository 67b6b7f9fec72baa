//! Lorries and buses.

use super::Vehicle;
use super::wheels::{Common, axle, plate};
use crate::tools::simulate::material::{Finish, Material, any_colour, car_paint, pick, rgb};
use crate::tools::simulate::mesh::{Mesh, V3, v};

/// A ring around a box with rounded upper edges: 10 points from the lower left over the roof.
fn section(x: f32, half: f32, bottom: f32, belt: f32, top: f32, round: f32) -> Vec<V3> {
    let side = |sign: f32| {
        [
            v(x, half * sign, bottom),
            v(x, half * sign, belt),
            v(x, half * sign * 0.985, top - round),
            v(x, (half - round * 0.4) * sign, top - round * 0.3),
            v(x, (half - round) * sign, top),
        ]
    };
    let mut ring: Vec<V3> = side(1.0).into();
    ring.extend(side(-1.0).into_iter().rev());
    ring
}

/// The driver's house of a lorry, its front at `front`.
fn cab(
    mesh: &mut Mesh,
    common: &Common,
    (front, length): (f32, f32),
    (half, height): (f32, f32),
    paint: u16,
) {
    let bottom = 0.45;
    let belt = height * 0.52;
    let rings = [
        section(front - 0.02, half * 0.97, bottom, belt, belt + 0.05, 0.03),
        section(front - 0.30, half * 0.97, bottom, belt, height - 0.1, 0.12),
        section(front - 0.42, half, bottom, belt, height, 0.12),
        section(front - 1.15, half, bottom, belt, height, 0.12),
        section(front - length, half, bottom, belt, height, 0.12),
    ];
    mesh.loft(&rings, true, 0.3, |i, j| {
        Some(match (i, j) {
            (0, 1..=7) => common.glass,
            (2, 1 | 7) => common.glass,
            (_, 9) => common.dark,
            _ => paint,
        })
    });
    plate(
        mesh,
        front,
        (-half * 0.97, half * 0.97),
        (bottom, belt),
        paint,
    );
    plate(
        mesh,
        front - length,
        (-half, half),
        (bottom, height - 0.1),
        paint,
    );
    plate(
        mesh,
        front + 0.01,
        (-half * 0.7, half * 0.7),
        (bottom + 0.35, belt - 0.12),
        common.dark,
    );
    plate(
        mesh,
        front + 0.02,
        (-half * 0.95, half * 0.95),
        (bottom - 0.15, bottom + 0.22),
        common.dark,
    );
    plate(
        mesh,
        front + 0.03,
        (-0.27, 0.27),
        (bottom, bottom + 0.12),
        common.plate,
    );
    for side in [-1.0, 1.0] {
        let y = (half * 0.60 * side, half * 0.92 * side);
        plate(
            mesh,
            front + 0.035,
            y,
            (bottom + 0.06, bottom + 0.24),
            common.head,
        );
        let mirror = half * side;
        mesh.cuboid(
            v(front - 0.45, mirror.min(mirror + 0.3 * side), belt + 0.1),
            v(front - 0.30, mirror.max(mirror + 0.3 * side), belt + 0.75),
            common.dark,
        );
    }
}

fn rear(mesh: &mut Mesh, common: &Common, x: f32, half: f32, z: f32) {
    for side in [-1.0, 1.0] {
        let y = (half * 0.62 * side, half * 0.96 * side);
        plate(mesh, x - 0.02, y, (z, z + 0.16), common.tail);
    }
    plate(
        mesh,
        x - 0.01,
        (-half * 0.95, half * 0.95),
        (z - 0.12, z + 0.2),
        common.dark,
    );
    plate(mesh, x - 0.02, (-0.26, 0.26), (z, z + 0.12), common.plate);
}

/// What a lorry carries.
fn load(mesh: &mut Mesh, (x0, x1): (f32, f32), half: f32, top: f32, rng: &mut fastrand::Rng) {
    let floor = 1.05;
    let colour = if rng.f32() < 0.5 {
        pick(rng, &[0xe8e8e6, 0xd4d6d6, 0xf4f4f0])
    } else {
        any_colour(rng)
    };
    match rng.u8(..10) {
        0..=5 => {
            let finish = if rng.bool() {
                Finish::Ribbed(0.25 + rng.f32())
            } else {
                Finish::Rough(0.8)
            };
            let side = mesh.material(Material::new(finish, colour));
            mesh.cuboid(v(x0, -half, floor), v(x1, half, top), side);
            if rng.f32() < 0.6 {
                let (a, b) = (car_paint(rng), any_colour(rng));
                let sign = mesh.material(Material::with_second(Finish::Sign, a, b));
                let (z0, z1) = (floor + (top - floor) * 0.35, floor + (top - floor) * 0.75);
                let (a, b) = (x0 + (x1 - x0) * 0.2, x0 + (x1 - x0) * 0.8);
                for y in [-half - 0.01, half + 0.01] {
                    mesh.quad([v(a, y, z0), v(b, y, z0), v(b, y, z1), v(a, y, z1)], sign);
                }
            }
        }
        6 | 7 => {
            // Tipper with gravel.
            let body = mesh.material(Material::new(Finish::Ribbed(0.6), colour));
            let gravel = mesh.material(Material::new(Finish::Rough(0.15), rgb(0x8d8272)));
            let wall = floor + 0.9;
            mesh.cuboid(v(x0, -half, floor - 0.1), v(x1, half, wall), body);
            mesh.ellipsoid(
                v((x0 + x1) / 2.0, 0.0, wall - 0.1),
                v((x1 - x0) * 0.46, half * 0.9, 0.5),
                10,
                gravel,
            );
        }
        8 => {
            let tank = mesh.material(Material::new(Finish::Metal, v(0.5, 0.51, 0.53)));
            let z = floor + 0.85;
            mesh.bar(v(x0, 0.0, z), v(x1, 0.0, z), (0.98, 0.98), 14, tank);
        }
        _ => {
            // Flat bed with crates.
            let bed = mesh.material(Material::new(Finish::Ribbed(0.3), rgb(0x6a5540)));
            mesh.cuboid(v(x0, -half, floor - 0.1), v(x1, half, floor + 0.05), bed);
            let mut x = x0 + 0.2;
            while x + 1.2 < x1 {
                let wood = pick(rng, &[0xb08a5a, 0x9a7a52, 0x777a7c, 0x5b6a7c]);
                let crate_ = mesh.material(Material::new(Finish::Ribbed(0.15), wood));
                let high = floor + 0.5 + rng.f32();
                mesh.cuboid(
                    v(x, -half * 0.9, floor),
                    v(x + 1.1, half * 0.9, high),
                    crate_,
                );
                x += 1.2 + rng.f32() * 1.2;
            }
        }
    }
}

/// A lorry: rigid, or with a semi-trailer if `long`.
pub(in crate::tools::simulate) fn truck(rng: &mut fastrand::Rng, long: bool) -> Vehicle {
    let mut mesh = Mesh::default();
    let common = Common::add(&mut mesh, rng);
    let colour = if rng.f32() < 0.5 {
        car_paint(rng)
    } else {
        any_colour(rng).map(|c| c.max(0.02))
    };
    let paint = mesh.material(Material::new(Finish::Paint, colour));
    let half = 1.2 + 0.07 * rng.f32();
    let length = if long {
        14.5 + 2.0 * rng.f32()
    } else {
        6.5 + 3.0 * rng.f32()
    };
    let cab_length = 1.7 + 0.5 * rng.f32();
    let cab_height = if long { 3.2 } else { 2.5 } + 0.6 * rng.f32();
    let top = if long { 3.9 } else { 2.9 + 0.9 * rng.f32() };
    let (front, back) = (length / 2.0, -length / 2.0);
    cab(
        &mut mesh,
        &common,
        (front, cab_length),
        (half * 0.96, cab_height),
        paint,
    );
    mesh.cuboid(
        v(back, -half * 0.45, 0.6),
        v(front - 0.5, half * 0.45, 0.95),
        common.dark,
    );
    let gap = if long { 0.8 } else { 0.25 };
    load(&mut mesh, (back, front - cab_length - gap), half, top, rng);
    rear(&mut mesh, &common, back, half, 0.7);
    let wheel = 0.5;
    let mut axles = vec![front - 1.3];
    if long {
        axles.extend([front - 4.6, back + 1.6, back + 2.9, back + 4.2]);
    } else {
        axles.push(back + 1.8);
        if length > 8.5 {
            axles.push(back + 3.1);
        }
    }
    for x in axles {
        axle(&mut mesh, &common, x, half * 0.98, wheel, false);
    }
    let guard = mesh.material(Material::new(Finish::Metal, v(0.2, 0.2, 0.21)));
    for y in [-half * 0.97, half * 0.97] {
        let (x0, x1) = (back + 5.0, front - 5.4);
        if long {
            mesh.quad(
                [v(x0, y, 0.5), v(x1, y, 0.5), v(x1, y, 0.9), v(x0, y, 0.9)],
                guard,
            );
        }
    }
    Vehicle {
        mesh,
        length,
        width: half * 2.0,
        height: top.max(cab_height),
    }
}

/// A city bus or coach.
pub(in crate::tools::simulate) fn bus(rng: &mut fastrand::Rng) -> Vehicle {
    let mut mesh = Mesh::default();
    let common = Common::add(&mut mesh, rng);
    let colour = pick(
        rng,
        &[
            0xb8342a, 0xe2b32c, 0x2e6ca4, 0xe8e8e4, 0x3d8a56, 0xd9762b, 0xf0f0f0, 0x7a2e6a,
            0x2a8f98,
        ],
    );
    let other = pick(rng, &[0xf0f0ee, 0x2a2d33, 0x1d4f86, 0xdfdfdc, 0xc9b26a]);
    let paint = mesh.material(Material::new(Finish::Paint, colour));
    let band = mesh.material(Material::new(Finish::Paint, other));
    let length = 9.5 + 3.0 * rng.f32();
    let (half, height) = (1.25, 2.95 + 0.35 * rng.f32());
    let (front, back, bottom, belt) = (length / 2.0, -length / 2.0, 0.32, 1.25 + 0.2 * rng.f32());
    let head = height - 0.45;
    let ring = |x: f32, half: f32| -> Vec<V3> {
        let side = |sign: f32| {
            [
                v(x, half * sign, bottom),
                v(x, half * sign, bottom + 0.4),
                v(x, half * sign, belt),
                v(x, half * 0.985 * sign, head),
                v(x, half * 0.96 * sign, height - 0.12),
                v(x, half * 0.85 * sign, height),
            ]
        };
        let mut ring: Vec<V3> = side(1.0).into();
        ring.extend(side(-1.0).into_iter().rev());
        ring
    };
    let mut rings = vec![ring(front, half * 0.94), ring(front - 0.25, half)];
    let panes = (length / 1.35) as usize;
    for i in 0..panes {
        let x = front - 0.35 - (length - 0.7) * i as f32 / panes as f32;
        rings.push(ring(x, half));
        rings.push(ring(x - (length - 0.7) / panes as f32 + 0.1, half));
    }
    rings.push(ring(back + 0.2, half));
    rings.push(ring(back, half * 0.96));
    let doors = [1, panes / 2];
    let banded = rng.bool();
    mesh.loft(&rings, true, 0.25, |i, j| {
        let pane = i >= 2 && i % 2 == 0 && i / 2 <= panes;
        let door = doors.contains(&(i / 2)) && (7..=9).contains(&j);
        Some(match j {
            2 | 8 if pane => common.glass,
            _ if pane && door => common.glass,
            11 => common.dark,
            0 | 10 => band,
            3 | 7 if banded => band,
            _ => paint,
        })
    });
    plate(
        &mut mesh,
        front,
        (-half * 0.94, half * 0.94),
        (bottom, belt),
        paint,
    );
    plate(
        &mut mesh,
        front + 0.005,
        (-half * 0.9, half * 0.9),
        (belt - 0.25, head),
        common.glass,
    );
    plate(
        &mut mesh,
        front,
        (-half * 0.94, half * 0.94),
        (head, height - 0.06),
        paint,
    );
    let lit = mesh.material(Material::with_second(
        Finish::Sign,
        rgb(0x151515),
        rgb(0xf29a2a),
    ));
    plate(
        &mut mesh,
        front + 0.02,
        (-half * 0.7, half * 0.7),
        (head + 0.04, head + 0.28),
        lit,
    );
    plate(
        &mut mesh,
        back,
        (-half * 0.96, half * 0.96),
        (bottom, height - 0.06),
        paint,
    );
    plate(
        &mut mesh,
        back - 0.01,
        (-half * 0.8, half * 0.8),
        (belt + 0.2, head),
        common.glass,
    );
    plate(
        &mut mesh,
        front + 0.02,
        (-half * 0.95, half * 0.95),
        (bottom - 0.04, bottom + 0.2),
        common.dark,
    );
    plate(
        &mut mesh,
        front + 0.03,
        (-0.27, 0.27),
        (bottom + 0.05, bottom + 0.17),
        common.plate,
    );
    for side in [-1.0, 1.0] {
        let y = (half * 0.60 * side, half * 0.90 * side);
        plate(
            &mut mesh,
            front + 0.03,
            y,
            (bottom + 0.3, bottom + 0.5),
            common.head,
        );
        let y = (half * 0.74 * side, half * 0.92 * side);
        plate(
            &mut mesh,
            back - 0.03,
            y,
            (bottom + 0.5, bottom + 1.1),
            common.tail,
        );
        let mirror = half * side;
        mesh.cuboid(
            v(front - 0.05, mirror.min(mirror + 0.25 * side), head - 0.6),
            v(front + 0.12, mirror.max(mirror + 0.25 * side), head - 0.05),
            common.dark,
        );
    }
    let roof = mesh.material(Material::new(Finish::Rough(0.4), v(0.5, 0.5, 0.5)));
    mesh.cuboid(v(-1.5, -0.7, height), v(1.2, 0.7, height + 0.18), roof);
    for x in [front - 2.4, back + 2.9] {
        axle(&mut mesh, &common, x, half * 0.995, 0.48, true);
    }
    Vehicle {
        mesh,
        length,
        width: half * 2.0,
        height: height + 0.18,
    }
}
