//! Counterbalance forklifts, with or without a load.

use super::Vehicle;
use super::props::loaded_pallet;
use super::wheels::Common;
use crate::tools::simulate::material::{Finish, Material, pick};
use crate::tools::simulate::mesh::{Mesh, v};

/// A forklift; the driver is put in by the world.
pub(in crate::tools::simulate) fn forklift(rng: &mut fastrand::Rng) -> Vehicle {
    let mut mesh = Mesh::default();
    let common = Common::add(&mut mesh, rng);
    let colour = pick(
        rng,
        &[
            0xf2a81e, 0xe8c21e, 0xd9541e, 0xc0281e, 0x3a7a3a, 0x2a5a9a, 0xe0e0da, 0xf08a1e,
        ],
    );
    let body = mesh.material(Material::new(Finish::Paint, colour));
    let steel = mesh.material(Material::new(Finish::Metal, v(0.12, 0.12, 0.13)));
    let seat = mesh.material(Material::new(Finish::Dull, v(0.02, 0.02, 0.022)));
    let half = 0.58;
    // Chassis, and the counterweight as a rounded lump at the back.
    let ring = |x: f32, half: f32, low: f32, high: f32| {
        let mut ring = vec![
            v(x, half * 0.9, low),
            v(x, half, low + 0.15),
            v(x, half * 0.97, high - 0.12),
            v(x, half * 0.75, high),
        ];
        let other: Vec<_> = ring.iter().rev().map(|p| v(p.x, -p.y, p.z)).collect();
        ring.extend(other);
        ring
    };
    let rings = [
        ring(-1.25, half * 0.5, 0.35, 0.75),
        ring(-1.18, half * 0.85, 0.22, 1.0),
        ring(-0.95, half, 0.18, 1.08),
        ring(-0.45, half, 0.18, 1.05),
        ring(-0.40, half, 0.18, 0.62),
        ring(0.35, half, 0.18, 0.58),
        ring(0.42, half, 0.18, 0.95),
        ring(0.62, half * 0.95, 0.22, 0.95),
        ring(0.64, half * 0.3, 0.3, 0.8),
    ];
    let dark = rng.bool();
    mesh.loft(&rings, true, 0.5, |i, j| {
        Some(match (i, j) {
            (_, 7) => common.dark,
            (0..=2, _) if dark => steel,
            _ => body,
        })
    });
    mesh.cuboid(v(-0.42, -0.25, 0.95), v(0.0, 0.25, 1.08), seat);
    mesh.cuboid(v(-0.50, -0.25, 1.0), v(-0.38, 0.25, 1.5), seat);
    mesh.bar(
        v(0.42, 0.0, 0.95),
        v(0.25, 0.0, 1.22),
        (0.03, 0.03),
        5,
        seat,
    );
    // Overhead guard.
    let roof = 2.15;
    for y in [-0.5, 0.5] {
        mesh.bar(
            v(0.50, y, 0.95),
            v(0.25, y, roof),
            (0.04, 0.04),
            5,
            common.dark,
        );
        mesh.bar(
            v(-0.85, y, 1.05),
            v(-0.65, y, roof),
            (0.04, 0.04),
            5,
            common.dark,
        );
        mesh.bar(
            v(0.25, y, roof),
            v(-0.65, y, roof),
            (0.04, 0.04),
            5,
            common.dark,
        );
    }
    for i in 0..6 {
        let x = 0.25 - 0.18 * i as f32;
        mesh.bar(
            v(x, -0.5, roof),
            v(x, 0.5, roof),
            (0.025, 0.025),
            4,
            common.dark,
        );
    }
    let beacon = mesh.material(Material::new(Finish::Glow, v(0.9, 0.4, 0.03)));
    mesh.bar(
        v(-0.5, 0.3, roof),
        v(-0.5, 0.3, roof + 0.14),
        (0.05, 0.04),
        6,
        beacon,
    );
    // Mast, carriage, forks.
    let lift = if rng.f32() < 0.6 {
        0.12
    } else {
        0.3 + 1.2 * rng.f32()
    };
    let mast = 2.2 + 0.3 * rng.f32();
    for y in [-0.32, 0.32] {
        mesh.cuboid(v(0.68, y - 0.05, 0.08), v(0.80, y + 0.05, mast), steel);
        mesh.cuboid(
            v(0.84, y - 0.13, lift - 0.06),
            v(1.98, y - 0.01, lift),
            steel,
        );
    }
    mesh.cuboid(v(0.66, -0.32, mast - 0.12), v(0.78, 0.32, mast), steel);
    mesh.cuboid(v(0.80, -0.48, lift), v(0.86, 0.48, lift + 0.45), steel);
    for i in 0..5 {
        let y = -0.4 + 0.2 * i as f32;
        mesh.bar(
            v(0.83, y, lift + 0.45),
            v(0.83, y, lift + 1.0),
            (0.02, 0.02),
            4,
            steel,
        );
    }
    mesh.cuboid(
        v(0.80, -0.48, lift + 0.98),
        v(0.86, 0.48, lift + 1.03),
        steel,
    );
    for (x, radius) in [(0.42, 0.34), (-0.78, 0.27)] {
        super::wheels::axle(&mut mesh, &common, x, half + 0.03, radius, false);
    }
    for y in [-0.45, 0.45] {
        mesh.cuboid(
            v(0.50, y - 0.06, 1.75),
            v(0.60, y + 0.06, 1.87),
            common.head,
        );
        mesh.cuboid(
            v(-1.22, y - 0.05, 0.85),
            v(-1.15, y + 0.05, 1.0),
            common.tail,
        );
    }
    if rng.f32() < 0.55 {
        let high = 0.5 + 1.0 * rng.f32();
        let pallet = loaded_pallet(rng, high);
        mesh.insert(&pallet, v(1.45, 0.0, lift - 0.05), 0.0);
    }
    Vehicle {
        mesh,
        length: 3.4,
        width: 1.3,
        height: mast.max(roof + 0.14),
    }
}
