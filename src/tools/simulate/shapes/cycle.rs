//! Bicycles and motorcycles, without their riders.

use super::Vehicle;
use crate::tools::simulate::material::{Finish, Material, any_colour, car_paint};
use crate::tools::simulate::mesh::{Mesh, v};

/// A tyre in the plane of travel: a ring of bars.
fn hoop(mesh: &mut Mesh, x: f32, radius: f32, thick: f32, material: u16) {
    let sides = 14;
    let at = |i: usize| {
        let (s, c) = (i as f32 / sides as f32 * std::f32::consts::TAU).sin_cos();
        v(x + c * (radius - thick), 0.0, radius + s * (radius - thick))
    };
    for i in 0..sides {
        mesh.bar(at(i), at(i + 1), (thick, thick), 4, material);
    }
}

/// A bicycle.
pub(in crate::tools::simulate) fn bicycle(rng: &mut fastrand::Rng) -> Vehicle {
    let mut mesh = Mesh::default();
    let frame = mesh.material(Material::new(Finish::Paint, any_colour(rng)));
    let tyre = mesh.material(Material::new(Finish::Dull, v(0.015, 0.015, 0.015)));
    let metal = mesh.material(Material::new(Finish::Metal, v(0.4, 0.4, 0.42)));
    let head = mesh.material(Material::new(Finish::HeadLamp, v(0.6, 0.6, 0.6)));
    let tail = mesh.material(Material::new(Finish::TailLamp, v(0.4, 0.01, 0.01)));
    let (front, back, radius) = (0.55, -0.50, 0.34);
    for x in [front, back] {
        hoop(&mut mesh, x, radius, 0.025, tyre);
        for i in 0..5 {
            let (s, c) = (i as f32 / 5.0 * std::f32::consts::PI).sin_cos();
            let spoke = v(c, 0.0, s) * (radius - 0.04);
            let hub = v(x, 0.0, radius);
            mesh.bar(hub - spoke, hub + spoke, (0.005, 0.005), 3, metal);
        }
    }
    let crank = v(0.0, 0.0, 0.29);
    let (seat, bar, hub) = (
        v(-0.17, 0.0, 0.86),
        v(0.40, 0.0, 0.92),
        v(front, 0.0, radius),
    );
    let tube = (0.022, 0.022);
    for (a, b) in [
        (crank, seat),
        (seat.lerp(&crank, 0.25), bar),
        (crank, bar.lerp(&hub, 0.2)),
        (crank, v(back, 0.0, radius)),
        (seat.lerp(&crank, 0.2), v(back, 0.0, radius)),
        (bar, hub),
    ] {
        mesh.bar(a, b, tube, 5, frame);
    }
    mesh.bar(bar, v(0.42, 0.0, 1.04), (0.016, 0.016), 4, metal);
    mesh.bar(
        v(0.45, -0.27, 1.04),
        v(0.45, 0.27, 1.04),
        (0.016, 0.016),
        4,
        tyre,
    );
    mesh.ellipsoid(v(-0.2, 0.0, 0.93), v(0.14, 0.075, 0.035), 6, tyre);
    mesh.cuboid(v(0.47, -0.03, 0.85), v(0.52, 0.03, 0.91), head);
    mesh.cuboid(v(-0.44, -0.025, 0.72), v(-0.41, 0.025, 0.77), tail);
    mesh.bar(
        crank - v(0.0, 0.1, 0.0),
        crank + v(0.0, 0.1, 0.0),
        (0.07, 0.07),
        6,
        metal,
    );
    if rng.f32() < 0.35 {
        let basket = mesh.material(Material::new(Finish::Ribbed(0.06), any_colour(rng)));
        mesh.cuboid(v(-0.75, -0.14, 0.72), v(-0.42, 0.14, 0.78), metal);
        mesh.cuboid(v(-0.74, -0.17, 0.78), v(-0.40, 0.17, 1.0), basket);
    }
    Vehicle {
        mesh,
        length: 1.8,
        width: 0.55,
        height: 1.06,
    }
}

/// A motorcycle or scooter.
pub(in crate::tools::simulate) fn motorcycle(rng: &mut fastrand::Rng) -> Vehicle {
    let mut mesh = Mesh::default();
    let body = mesh.material(Material::new(Finish::Paint, car_paint(rng)));
    let tyre = mesh.material(Material::new(Finish::Dull, v(0.014, 0.014, 0.014)));
    let metal = mesh.material(Material::new(Finish::Metal, v(0.3, 0.3, 0.31)));
    let head = mesh.material(Material::new(Finish::HeadLamp, v(0.7, 0.7, 0.7)));
    let tail = mesh.material(Material::new(Finish::TailLamp, v(0.4, 0.01, 0.01)));
    let plate = mesh.material(Material::new(Finish::Rough(0.05), v(0.7, 0.7, 0.65)));
    let scooter = rng.f32() < 0.45;
    let (front, back) = (0.70, -0.62);
    let radius = if scooter { 0.25 } else { 0.31 };
    for x in [front, back] {
        mesh.bar(
            v(x, -0.06, radius),
            v(x, 0.06, radius),
            (radius, radius),
            12,
            tyre,
        );
        mesh.bar(
            v(x, -0.07, radius),
            v(x, 0.07, radius),
            (radius * 0.5, radius * 0.5),
            8,
            metal,
        );
    }
    mesh.bar(
        v(front, 0.0, radius),
        v(0.42, 0.0, 1.0),
        (0.05, 0.045),
        5,
        metal,
    );
    if scooter {
        mesh.cuboid(v(-0.30, -0.17, 0.28), v(0.36, 0.17, 0.36), body);
        mesh.quad(
            [
                v(0.36, -0.22, 0.32),
                v(0.36, 0.22, 0.32),
                v(0.46, 0.2, 1.0),
                v(0.46, -0.2, 1.0),
            ],
            body,
        );
        mesh.ellipsoid(v(-0.48, 0.0, 0.55), v(0.42, 0.18, 0.24), 8, body);
    } else {
        mesh.ellipsoid(v(0.05, 0.0, 0.45), v(0.32, 0.15, 0.2), 7, metal);
        mesh.ellipsoid(v(0.20, 0.0, 0.80), v(0.32, 0.16, 0.16), 8, body);
        mesh.ellipsoid(v(-0.65, 0.0, 0.80), v(0.28, 0.12, 0.10), 7, body);
        mesh.bar(
            v(-0.2, -0.16, 0.32),
            v(-0.85, -0.2, 0.42),
            (0.05, 0.07),
            6,
            metal,
        );
        mesh.ellipsoid(v(0.62, 0.0, 0.86), v(0.17, 0.17, 0.2), 7, body);
    }
    mesh.ellipsoid(v(-0.32, 0.0, 0.78), v(0.42, 0.14, 0.07), 7, tyre);
    mesh.bar(
        v(0.42, -0.36, 1.02),
        v(0.42, 0.36, 1.02),
        (0.02, 0.02),
        5,
        tyre,
    );
    mesh.cuboid(v(0.55, -0.09, 0.82), v(0.81, 0.09, 0.96), head);
    mesh.cuboid(v(-0.96, -0.09, 0.70), v(-0.88, 0.09, 0.80), tail);
    mesh.quad(
        [
            v(-0.95, -0.1, 0.45),
            v(-0.95, 0.1, 0.45),
            v(-0.9, 0.1, 0.6),
            v(-0.9, -0.1, 0.6),
        ],
        plate,
    );
    if rng.f32() < 0.3 {
        mesh.cuboid(v(-1.0, -0.2, 0.86), v(-0.62, 0.2, 1.2), body);
    }
    Vehicle {
        mesh,
        length: 2.0,
        width: 0.75,
        height: 1.1,
    }
}
