//! Where a camera may hang, by kind of place.

use super::Options;
use super::choices::SceneKind;
use super::mesh::{V3, v};
use super::render::Camera;
use super::world::World;

/// Places tried before one is taken that does not see well.
const TRIES: usize = 60;

/// Where a camera is, what it looks at, and its horizontal angle of view in radians.
type View = (V3, V3, f32);

/// A camera for a place. [`Options::spread`] 0 gives the view of a usual installation, a little different for
/// each seed; 1 draws from everything that is found.
pub(super) fn camera(
    world: &World,
    size: (usize, usize),
    options: &Options,
    rng: &mut fastrand::Rng,
) -> Camera {
    let spread = options.spread;
    let busy = world.busy_places();
    let alone = busy.iter().all(Vec::is_empty);
    let mut best = (usize::MAX, usual(world.kind, rng));
    for _ in 0..TRIES {
        let wild = rng.f32() < spread;
        let view = match (wild, alone) {
            (true, false) if rng.f32() < 0.75 => close(world.kind, somebody(&busy, rng), rng),
            (true, _) => found(world.kind, rng),
            (false, _) => usual(world.kind, rng),
        };
        let blocking = world.blocking(view.0, view.1);
        if blocking < best.0 {
            best = (blocking, view);
        }
        if blocking == 0 {
            break;
        }
    }
    let (at, mut target, fov) = best.1;
    let fov = options.lens.map_or(fov, f32::to_radians);
    // Nobody hangs a camera that looks at its own pole.
    let flat = v(target.x - at.x, target.y - at.y, 0.0);
    if flat.norm() < at.z * 0.4 {
        let along = if flat.norm() < 0.1 {
            v(1.0, 0.0, 0.0)
        } else {
            super::mesh::unit(flat)
        };
        target = v(at.x, at.y, 0.0) + along * (at.z * 0.6);
    }
    let roll = spread * 0.07 * centred(rng);
    Camera::looking(at, target, (fov, roll), size)
}

/// The place of a vehicle or a person, of a vehicle more often.
fn somebody([vehicles, people]: &[Vec<V3>; 2], rng: &mut fastrand::Rng) -> V3 {
    let vehicle = people.is_empty() || !vehicles.is_empty() && rng.f32() < 0.65;
    let places = if vehicle { vehicles } else { people };
    places[rng.usize(..places.len())]
}

fn centred(rng: &mut fastrand::Rng) -> f32 {
    rng.f32() * 2.0 - 1.0
}

fn either(rng: &mut fastrand::Rng) -> f32 {
    if rng.bool() { 1.0 } else { -1.0 }
}

/// Somewhere on a ring between two radii, at a height.
fn around(rng: &mut fastrand::Rng, radius: (f32, f32), high: f32) -> V3 {
    let (s, c) = (rng.f32() * std::f32::consts::TAU).sin_cos();
    let radius = radius.0 + (radius.1 - radius.0) * rng.f32();
    v(c * radius, s * radius, high)
}

/// Beside an arm of a junction: `x` along it, `y` across.
fn beside_arm(arm: usize, x: f32, y: f32, high: f32) -> V3 {
    let flat = super::mesh::rotated(v(x, y, 0.0), arm as f32 * std::f32::consts::FRAC_PI_2);
    v(flat.x, flat.y, high)
}

/// As installers do it: high, over the whole place.
fn usual(kind: SceneKind, rng: &mut fastrand::Rng) -> View {
    match kind {
        SceneKind::Junction => {
            let arm = rng.usize(..4);
            let (x, y) = (16.0 + 9.0 * rng.f32(), 4.5 + 5.0 * rng.f32());
            let at = beside_arm(arm, x, y * either(rng), 8.0 + 1.5 * rng.f32());
            (at, beside_arm(arm, -1.0, 0.0, 0.0), 1.1)
        }
        SceneKind::Motorway => {
            let (across, forward) = (3.0 * centred(rng), either(rng));
            let at = v(-60.0 * forward, across, 7.5 + rng.f32());
            let target = v(
                at.x + 42.0 * forward,
                across * 0.6 + 4.0 * centred(rng),
                0.0,
            );
            (at, target, 0.85)
        }
        SceneKind::Warehouse => {
            let aisle = [-12.0, -6.0, 0.0, 6.0, 12.0][rng.usize(..5)];
            let side = either(rng);
            let at = v(
                side * (18.0 + 6.0 * rng.f32()),
                aisle + 1.2 * centred(rng),
                4.5 + rng.f32(),
            );
            let target = v(
                side * (8.0 - 6.0 * rng.f32()),
                aisle + centred(rng) * 0.8,
                0.5,
            );
            (at, target, 1.0)
        }
        SceneKind::Square => {
            let high = 6.5 + rng.f32();
            let at = around(rng, (25.0, 25.0), high);
            (
                at,
                around(rng, (0.0, 3.0), 0.0) - v(at.x, at.y, 0.0) * 0.05,
                1.05,
            )
        }
    }
}

/// Any height and direction that is met somewhere.
fn found(kind: SceneKind, rng: &mut fastrand::Rng) -> View {
    match kind {
        SceneKind::Junction => {
            let arm = rng.usize(..4);
            let at = beside_arm(
                arm,
                9.0 + 35.0 * rng.f32(),
                9.0 * centred(rng),
                3.0 + 11.0 * rng.f32() * rng.f32(),
            );
            (at, around(rng, (0.0, 12.0), 0.0), 0.5 + rng.f32())
        }
        SceneKind::Motorway => {
            let (across, forward) = (16.0 * centred(rng), either(rng));
            let at = v(-60.0 * forward, across, 4.0 + 9.0 * rng.f32());
            let reach = 14.0 + 50.0 * rng.f32();
            let target = v(
                at.x + reach * forward,
                across * 0.6 + 4.0 * centred(rng),
                0.0,
            );
            (at, target, 0.4 + 0.9 * rng.f32())
        }
        SceneKind::Warehouse => {
            let high = 2.4 + 4.0 * rng.f32();
            let side = either(rng);
            let at = v(side * (18.0 + 8.0 * rng.f32()), 16.5 * either(rng), high);
            let target = v(side * (19.0 + 3.0 * centred(rng)), 8.0 * centred(rng), 0.0);
            (at, target, 0.9 + 0.6 * rng.f32())
        }
        SceneKind::Square => {
            let high = 2.2 + 6.0 * rng.f32();
            let at = around(rng, (6.0, 28.0), high);
            let target = v(-at.x, -at.y, 0.0) * (0.3 * rng.f32()) + around(rng, (0.0, 7.0), 0.8);
            (at, target, 0.6 + 0.9 * rng.f32())
        }
    }
}

/// Near something that moves, from any side.
fn close(kind: SceneKind, target: V3, rng: &mut fastrand::Rng) -> View {
    let reach = 5.0 + 26.0 * rng.f32().powf(1.5);
    let lens = 0.5 + 0.85 * rng.f32();
    let beside =
        |rng: &mut fastrand::Rng, metres: f32| v(metres * centred(rng), metres * centred(rng), 0.7);
    match kind {
        SceneKind::Warehouse => {
            let at = v(
                (target.x + reach * either(rng)).clamp(-27.0, 27.0),
                target.y + 0.8 * centred(rng),
                2.2 + 3.5 * rng.f32(),
            );
            (at, target + beside(rng, 1.0), lens)
        }
        SceneKind::Motorway => {
            let angle = if rng.f32() < 0.25 {
                3.2 * centred(rng)
            } else {
                0.5 * centred(rng)
            };
            let (s, c) = angle.sin_cos();
            let reach = reach * 1.6 + 4.0;
            let at = target + v(c * either(rng), s, 0.0) * reach;
            (
                v(at.x, at.y, 3.5 + 7.0 * rng.f32()),
                target + beside(rng, 3.0),
                lens,
            )
        }
        SceneKind::Junction | SceneKind::Square => {
            let high = 2.2 + 0.35 * reach * rng.f32() + 3.0 * rng.f32();
            let at = target + around(rng, (reach, reach), 0.0);
            (v(at.x, at.y, high), target + beside(rng, 2.5), lens)
        }
    }
}
