//! A hall with pallet racks, aisles, and a loop that the forklifts drive.

use std::f32::consts::FRAC_PI_2;

use super::World;
use super::route::Route;
use super::walker::Waypoint;
use crate::tools::simulate::choices::SceneKind;
use crate::tools::simulate::mesh::{V3, v};
use crate::tools::simulate::render::{Ground, Paint, Surface};
use crate::tools::simulate::shapes;

/// Middles of the aisles.
const AISLES: [f32; 5] = [-12.0, -6.0, 0.0, 6.0, 12.0];
/// Half the length of the racks, and where the forklifts cross.
const RACK: f32 = 14.0;
const TURN: f32 = 17.0;
/// Half depth of a pair of racks, back to back.
const DEEP: f32 = 1.15;
const HALF: (f32, f32) = (30.0, 21.0);

pub(super) fn build(rng: &mut fastrand::Rng) -> World {
    let mut ground = Ground::new(HALF, Surface::Hall, rng);
    let paint = if rng.f32() < 0.8 {
        Paint::Yellow
    } else {
        Paint::White
    };
    for y in AISLES {
        for side in [-1.65, 1.65] {
            ground.line((-RACK, y + side), (RACK, y + side), 0.1, (1.0, 0.0), paint);
        }
        for side in [-0.5, 0.5] {
            ground.wear((-TURN, y + side), (TURN, y + side), 0.35, 0.8);
        }
    }
    for x in [-TURN - 2.4, -TURN + 2.0, TURN - 2.0, TURN + 2.4] {
        ground.line((x, -15.0), (x, 15.0), 0.1, (1.0, 0.0), paint);
    }
    for i in 0..6 {
        let x = TURN + 6.5;
        let y = -13.0 + 4.5 * i as f32;
        for (a, b) in [
            ((x, y), (x + 3.0, y)),
            ((x + 3.0, y), (x + 3.0, y + 3.0)),
            ((x, y + 3.0), (x + 3.0, y + 3.0)),
        ] {
            ground.line(a, b, 0.1, (1.0, 0.0), paint);
        }
    }
    let mut world = World::empty(SceneKind::Warehouse, ground);
    let levels = 3 + rng.usize(..2);
    for y in [-15.0, -9.0, -3.0, 3.0, 9.0, 15.0] {
        for (at, yaw) in [
            (v(-RACK, y, 0.0), 0.0),
            (v(RACK, y, 0.0), std::f32::consts::PI),
        ] {
            let rack = shapes::rack(rng, 10, levels);
            world.stand(rack, at, yaw, (0.0, 0.0));
        }
    }
    let high = 7.5 + 2.0 * rng.f32();
    for (at, yaw, length) in [
        (v(-HALF.0, HALF.1, 0.0), 0.0, HALF.0 * 2.0),
        (v(-HALF.0, -HALF.1, 0.0), 0.0, HALF.0 * 2.0),
        (v(HALF.0, -HALF.1, 0.0), FRAC_PI_2, HALF.1 * 2.0),
        (v(-HALF.0, -HALF.1, 0.0), FRAC_PI_2, HALF.1 * 2.0),
    ] {
        world.stand(shapes::hall_wall(rng, length, high), at, yaw, (0.0, 0.0));
    }
    for x in [-25.0, 25.0] {
        for y in [-9.0, 3.0, 15.0] {
            let at = v(x, y, 0.0);
            world.stand(shapes::pillar(rng, high), at, 0.0, (0.25, 0.25));
            world.obstacles.push((at, 0.35));
        }
    }
    for _ in 0..16 {
        let at = v(
            (23.5 + 4.0 * rng.f32()) * if rng.f32() < 0.75 { 1.0 } else { -1.0 },
            (rng.f32() * 2.0 - 1.0) * 17.0,
            0.0,
        );
        let clear = world
            .obstacles
            .iter()
            .all(|(there, radius)| (there - at).norm() > radius + 1.4);
        if clear {
            let high = 0.3 + 1.3 * rng.f32();
            if rng.f32() < 0.8 {
                world.stand(
                    shapes::loaded_pallet(rng, high),
                    at,
                    rng.f32() * 0.3,
                    (0.6, 0.4),
                );
            } else {
                world.stand(shapes::carton(rng), at, rng.f32() * 3.0, (0.4, 0.4));
            }
            world.obstacles.push((at, 0.8));
        }
    }
    // Up and down all aisles and back along the outside.
    let mut corners = Vec::new();
    for (i, y) in AISLES.into_iter().enumerate() {
        let (a, b) = if i % 2 == 0 {
            (-TURN, TURN)
        } else {
            (TURN, -TURN)
        };
        corners.extend([v(a, y, 0.0), v(b, y, 0.0)]);
    }
    corners.extend([
        v(TURN, 17.8, 0.0),
        v(TURN + 5.0, 17.8, 0.0),
        v(TURN + 5.0, -17.8, 0.0),
        v(-TURN, -17.8, 0.0),
    ]);
    world.routes.push(Route::rounded(&corners, 2.2, true, 2.6));
    world
}

/// A way on foot from aisle to aisle, with stops at the racks.
pub(super) fn way(rng: &mut fastrand::Rng) -> Vec<Waypoint> {
    let point = |x: f32, y: f32, pause: f32| Waypoint {
        at: v(x, y, 0.0),
        crossing: false,
        pause,
    };
    let mut path = Vec::new();
    let mut side = if rng.bool() { 1.0 } else { -1.0 };
    for _ in 0..8 {
        let y = AISLES[rng.usize(..AISLES.len())];
        let lane = y + if rng.bool() { 1.25 } else { -1.25 };
        path.push(point(side * (TURN + 1.4 * (rng.f32() - 0.3)), lane, 0.0));
        if rng.f32() < 0.7 {
            let pause = 4.0 + 15.0 * rng.f32();
            path.push(point((rng.f32() * 2.0 - 1.0) * 11.0, lane, pause));
        }
        if rng.f32() < 0.6 {
            side = -side;
        }
        path.push(point(side * (TURN + 0.8), lane, 0.0));
    }
    path
}

/// Moves a walker out of the racks and walls.
pub(super) fn keep_in_aisle(at: &mut V3) {
    if at.x.abs() < RACK + 0.2 {
        for y in [-15.0, -9.0, -3.0, 3.0, 9.0, 15.0] {
            let away = at.y - y;
            if away.abs() < DEEP + 0.3 {
                at.y = y + away.signum() * (DEEP + 0.3);
            }
        }
    }
    at.x = at.x.clamp(-HALF.0 + 0.6, HALF.0 - 0.6);
    at.y = at.y.clamp(-HALF.1 + 0.6, HALF.1 - 0.6);
}
