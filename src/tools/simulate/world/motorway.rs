//! Two carriageways side by side with a crash barrier between them.

use super::World;
use super::route::Route;
use crate::tools::simulate::choices::SceneKind;
use crate::tools::simulate::mesh::v;
use crate::tools::simulate::render::{Ground, Paint, Surface};
use crate::tools::simulate::shapes;

pub(super) const LANE: f32 = 3.6;
/// The road reaches so far to both sides, metres.
pub(super) const REACH: f32 = 150.0;
/// From the middle to the middle lane.
pub(super) const CENTRE: f32 = 1.8 + LANE * 1.5;

pub(super) fn build(rng: &mut fastrand::Rng) -> World {
    let mut ground = Ground::new((REACH, 26.0), Surface::Grass, rng);
    let edge = 1.8 + 3.0 * LANE;
    let shoulder = edge + 2.8;
    ground.lay_rect((-REACH, -shoulder), (REACH, shoulder), Surface::Asphalt);
    ground.lay_rect(
        (-REACH, -1.1),
        (REACH, 1.1),
        [Surface::Soil, Surface::Kerb, Surface::Grass][rng.usize(..3)],
    );
    for side in [-1.0, 1.0] {
        for y in [1.75, edge + 0.1] {
            ground.line(
                (-REACH, y * side),
                (REACH, y * side),
                0.2,
                (1.0, 0.0),
                Paint::White,
            );
        }
        for lane in 1..3 {
            let y = (1.8 + LANE * lane as f32) * side;
            ground.line((-REACH, y), (REACH, y), 0.15, (6.0, 9.0), Paint::White);
        }
        for lane in 0..3 {
            let y = (1.8 + LANE * (lane as f32 + 0.5)) * side;
            for track in [-0.85, 0.85] {
                ground.wear((-REACH, y + track), (REACH, y + track), 0.6, 0.6);
            }
        }
    }
    let mut world = World::empty(SceneKind::Motorway, ground);
    world.plan.long_trucks = true;
    let speed = if rng.f32() < 0.25 {
        5.0 + 8.0 * rng.f32()
    } else {
        20.0 + 12.0 * rng.f32()
    };
    for side in [-1.0_f32, 1.0] {
        let (from, to) = (REACH * side, -REACH * side);
        let y = CENTRE * side;
        let speed = speed * (0.7 + 0.5 * rng.f32());
        world
            .routes
            .push(Route::new(vec![v(from, y, 0.0), v(to, y, 0.0)], speed));
    }
    let rail = shapes::guard_rail(60.0);
    for i in 0..5 {
        let x = -REACH + 60.0 * i as f32;
        world.stand(rail.clone(), v(x, 0.0, 0.0), 0.0, (0.0, 0.0));
        world.stand(rail.clone(), v(x, shoulder + 0.6, 0.0), 0.0, (0.0, 0.0));
        world.stand(rail.clone(), v(x, -shoulder - 0.6, 0.0), 0.0, (0.0, 0.0));
    }
    let lit = rng.bool();
    let mut x = -REACH;
    while x < REACH {
        for side in [-1.0, 1.0] {
            let y = (shoulder + 4.0 + 14.0 * rng.f32()) * side;
            match rng.u8(..4) {
                0 => world.stand(shapes::bush(rng), v(x, y, 0.0), rng.f32() * 6.0, (0.6, 0.5)),
                1 | 2 => world.stand(shapes::tree(rng), v(x, y, 0.0), rng.f32() * 6.0, (0.8, 0.8)),
                _ => {}
            }
            if lit && (x as i32).rem_euclid(5) == 0 {
                let yaw = -side * std::f32::consts::FRAC_PI_2;
                world.lamp(
                    v(x, (shoulder + 1.3) * side, 0.0),
                    yaw,
                    9.0,
                    v(1.0, 0.75, 0.4) * 0.5,
                );
            }
        }
        x += 5.0 + 2.5 * f32::from(rng.u8(..3));
    }
    for _ in 0..4 {
        let x = (rng.f32() - 0.5) * REACH * 1.6;
        let side = if rng.bool() { 1.0 } else { -1.0 };
        let yaw = if side > 0.0 {
            0.0
        } else {
            std::f32::consts::PI
        };
        world.stand(
            shapes::sign(rng),
            v(x, side * (shoulder + 1.8), 0.0),
            yaw,
            (0.1, 0.1),
        );
    }
    for _ in 0..5 {
        let side = if rng.bool() { 1.0 } else { -1.0 };
        let wide = 12.0 + 20.0 * rng.f32();
        let at = v(
            (rng.f32() - 0.5) * 2.2 * REACH,
            side * (45.0 + 30.0 * rng.f32()),
            0.0,
        );
        world.stand(
            shapes::building(rng, wide, 14.0),
            at,
            0.0,
            (wide / 2.0, 7.0),
        );
    }
    world
}
