//! Where a camera may hang, by kind of place.

use super::choices::SceneKind;
use super::mesh::{V3, v};
use super::render::Camera;

/// A camera for a place. `spread` 0 gives the view of a usual installation, a little different for
/// each seed; 1 draws from everything that is found.
pub(super) fn camera(
    kind: SceneKind,
    size: (usize, usize),
    spread: f32,
    rng: &mut fastrand::Rng,
) -> Camera {
    let centred = |rng: &mut fastrand::Rng| rng.f32() * 2.0 - 1.0;
    let wild = rng.f32() < spread;
    // Somewhere on a ring between two radii and two heights.
    let around = |rng: &mut fastrand::Rng, radius: (f32, f32), high: (f32, f32)| {
        let (s, c) = (rng.f32() * std::f32::consts::TAU).sin_cos();
        let radius = radius.0 + (radius.1 - radius.0) * rng.f32();
        v(
            c * radius,
            s * radius,
            high.0 + (high.1 - high.0) * rng.f32(),
        )
    };
    let (at, target, fov): (V3, V3, f32) = match (kind, wild) {
        (SceneKind::Junction, false) => {
            let quarter = std::f32::consts::FRAC_PI_2;
            let angle = quarter * (0.5 + rng.usize(..4) as f32) + 0.12 * centred(rng);
            let (s, c) = angle.sin_cos();
            let radius = 21.0 + 4.0 * rng.f32();
            let at = v(c * radius, s * radius, 8.5 + 1.5 * rng.f32());
            (at, v(-c * 4.0, -s * 4.0, 0.0), 1.15)
        }
        (SceneKind::Junction, true) => {
            let radius = 10.0 + 30.0 * rng.f32();
            // Away from houses: over a road or near the corner.
            let quarter = std::f32::consts::FRAC_PI_2;
            let step = if radius > 18.0 { 0.0 } else { centred(rng) };
            let angle = quarter * rng.usize(..4) as f32 + step + 0.25 * centred(rng);
            let (s, c) = angle.sin_cos();
            let high = 3.0 + 11.0 * rng.f32() * rng.f32();
            let target = around(rng, (0.0, 12.0), (0.0, 0.0));
            (
                v(c * radius, s * radius, high),
                target,
                0.5 + 1.0 * rng.f32(),
            )
        }
        (SceneKind::Motorway, wild) => {
            let across = if wild {
                16.0 * centred(rng)
            } else {
                3.0 * centred(rng)
            };
            let high = if wild {
                4.0 + 9.0 * rng.f32()
            } else {
                7.5 + rng.f32()
            };
            let forward = if rng.bool() { 1.0 } else { -1.0 };
            let at = v(-60.0 * forward, across, high);
            let reach = if wild { 14.0 + 50.0 * rng.f32() } else { 42.0 };
            let target = v(
                at.x + reach * forward,
                across * 0.6 + 4.0 * centred(rng),
                0.0,
            );
            let fov = if wild { 0.4 + 0.9 * rng.f32() } else { 0.85 };
            (at, target, fov)
        }
        (SceneKind::Warehouse, wild) => {
            let aisle = [-12.0, -6.0, 0.0, 6.0, 12.0][rng.usize(..5)];
            let side = if rng.bool() { 1.0 } else { -1.0 };
            let high = if wild {
                2.4 + 4.0 * rng.f32()
            } else {
                4.5 + rng.f32()
            };
            if rng.f32() < 0.6 || !wild {
                let at = v(
                    side * (18.0 + 6.0 * rng.f32()),
                    aisle + 1.2 * centred(rng),
                    high,
                );
                let target = v(
                    side * (8.0 - 6.0 * rng.f32()),
                    aisle + centred(rng) * 0.8,
                    0.5,
                );
                (at, target, 1.0 + 0.4 * rng.f32() * spread)
            } else {
                let at = v(
                    side * (18.0 + 8.0 * rng.f32()),
                    16.5 * if rng.bool() { 1.0 } else { -1.0 },
                    high,
                );
                let target = v(side * (19.0 + 3.0 * centred(rng)), 8.0 * centred(rng), 0.0);
                (at, target, 0.9 + 0.6 * rng.f32())
            }
        }
        (SceneKind::Square, false) => {
            let at = around(rng, (25.0, 25.0), (6.5, 7.5));
            (at, around(rng, (3.0, 3.0), (0.0, 0.0)) - at * 0.05, 1.05)
        }
        (SceneKind::Square, true) => {
            let at = around(rng, (6.0, 28.0), (2.2, 8.0));
            let target =
                v(-at.x, -at.y, 0.0) * (0.3 * rng.f32()) + around(rng, (0.0, 7.0), (0.8, 0.8));
            (at, target, 0.6 + 0.9 * rng.f32())
        }
    };
    let mut target = target;
    // Nobody hangs a camera that looks at its own pole.
    let flat = v(target.x - at.x, target.y - at.y, 0.0);
    if flat.norm() < at.z * 0.45 {
        let along = if flat.norm() < 0.1 {
            v(1.0, 0.0, 0.0)
        } else {
            flat.normalize()
        };
        target = v(at.x, at.y, 0.0) + along * (at.z * 0.8);
    }
    let roll = spread * 0.07 * centred(rng);
    Camera::looking(at, target, (fov, roll), size)
}
