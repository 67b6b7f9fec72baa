//! Wheels and the lamps and plates at both ends of a vehicle.

use crate::tools::simulate::material::{Finish, Material, rgb};
use crate::tools::simulate::mesh::{Mesh, V3, v};

/// Materials most vehicles have.
pub(super) struct Common {
    pub tyre: u16,
    pub rim: u16,
    pub dark: u16,
    pub glass: u16,
    pub head: u16,
    pub tail: u16,
    pub plate: u16,
    pub chrome: u16,
}

impl Common {
    pub fn add(mesh: &mut Mesh, rng: &mut fastrand::Rng) -> Self {
        let grey = 0.15 + 0.4 * rng.f32();
        let plate = [rgb(0xf0f0ec), rgb(0xe8c83a)][usize::from(rng.f32() < 0.25)];
        let tint = 0.006 + 0.03 * rng.f32();
        Self {
            tyre: mesh.material(Material::new(Finish::Dull, v(0.012, 0.012, 0.013))),
            rim: mesh.material(Material::new(Finish::Metal, v(grey, grey, grey * 1.02))),
            dark: mesh.material(Material::new(Finish::Dull, v(0.018, 0.018, 0.02))),
            glass: mesh.material(Material::new(
                Finish::Glass,
                v(tint * 0.9, tint, tint * 1.1),
            )),
            head: mesh.material(Material::new(Finish::HeadLamp, v(0.7, 0.72, 0.75))),
            tail: mesh.material(Material::new(Finish::TailLamp, v(0.5, 0.015, 0.012))),
            plate: mesh.material(Material::new(Finish::Rough(0.05), plate)),
            chrome: mesh.material(Material::new(Finish::Metal, v(0.5, 0.5, 0.52))),
        }
    }
}

/// A pair of wheels at `x`; `half` is half the width of the body there.
pub(super) fn axle(mesh: &mut Mesh, common: &Common, x: f32, half: f32, radius: f32, arch: bool) {
    for side in [-1.0, 1.0] {
        let outer = half * side;
        let inner = outer - 0.26 * side;
        let out = |d: f32| outer + d * side;
        mesh.bar(
            v(x, inner, radius),
            v(x, out(0.02), radius),
            (radius, radius * 0.96),
            12,
            common.tyre,
        );
        disc(
            mesh,
            v(x, out(0.028), radius),
            radius * 0.66,
            10,
            common.rim,
        );
        disc(mesh, v(x, out(0.034), radius), radius * 0.2, 6, common.dark);
        if arch {
            half_disc(mesh, v(x, out(0.006), radius), radius * 1.2, common.dark);
        }
    }
}

fn disc(mesh: &mut Mesh, centre: V3, radius: f32, sides: usize, material: u16) {
    arc(
        mesh,
        centre,
        radius,
        (sides, 0.0, std::f32::consts::TAU),
        material,
    );
}

fn half_disc(mesh: &mut Mesh, centre: V3, radius: f32, material: u16) {
    arc(
        mesh,
        centre,
        radius,
        (8, -0.35, std::f32::consts::PI + 0.35),
        material,
    );
}

fn arc(mesh: &mut Mesh, centre: V3, radius: f32, (sides, from, to): (usize, f32, f32), m: u16) {
    let at = |i: usize| {
        let (s, c) = (from + (to - from) * i as f32 / sides as f32).sin_cos();
        centre + v(c * radius, 0.0, s * radius)
    };
    for i in 0..sides {
        mesh.triangle([centre, at(i), at(i + 1)], m);
    }
}

/// A quad across the road at `x`, `y` from `y0` to `y1`, on both sides if `both`.
pub(super) fn plate(
    mesh: &mut Mesh,
    x: f32,
    (y0, y1): (f32, f32),
    (z0, z1): (f32, f32),
    material: u16,
) {
    mesh.quad(
        [v(x, y0, z0), v(x, y1, z0), v(x, y1, z1), v(x, y0, z1)],
        material,
    );
}
