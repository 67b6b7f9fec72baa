//! A paved square with houses around, trees, stalls, and many people.

use super::World;
use super::route::Route;
use super::walker::Waypoint;
use crate::tools::simulate::choices::{Class, SceneKind};
use crate::tools::simulate::mesh::{V3, v};
use crate::tools::simulate::render::{Ground, Paint, Surface};
use crate::tools::simulate::shapes;

/// Cyclists cross this far from the middle, metres; nothing stands there.
const TRACK: f32 = 17.6;

/// Half the side of the square, metres.
pub(super) const HALF: f32 = 26.0;

pub(super) fn build(rng: &mut fastrand::Rng) -> World {
    let floor = [Surface::Slabs, Surface::Cobbles, Surface::Pavement][rng.usize(..3)];
    let mut ground = Ground::new((HALF + 14.0, HALF + 14.0), floor, rng);
    if rng.bool() {
        let other = [Surface::Cobbles, Surface::Asphalt, Surface::Kerb][rng.usize(..3)];
        for i in 0..6 {
            let at = -HALF + 10.0 * i as f32;
            ground.lay_rect((at, -HALF), (at + 0.7, HALF), other);
            ground.lay_rect((-HALF, at), (HALF, at + 0.7), other);
        }
    }
    if rng.f32() < 0.5 {
        let (x, y) = (8.0 + 8.0 * rng.f32(), -12.0 + 20.0 * rng.f32());
        ground.lay_rect((x, y), (x + 8.0, y + 10.0), Surface::Grass);
    }
    if rng.f32() < 0.3 {
        ground.line(
            (-HALF, -HALF + 4.0),
            (HALF, -HALF + 4.0),
            0.12,
            (2.0, 2.0),
            Paint::White,
        );
    }
    let mut world = World::empty(SceneKind::Square, ground);
    houses(&mut world, rng);
    let warm = v(1.0, 0.75, 0.42) * 0.5;
    for (x, y) in [
        (-12.0, -12.0),
        (12.0, -12.0),
        (-12.0, 12.0),
        (12.0, 12.0),
        (0.0, 20.0),
        (0.0, -20.0),
    ] {
        let away = |c: f32, rng: &mut fastrand::Rng| c + f32::signum(c) * rng.f32() * 3.0;
        let at = v(away(x, rng), away(y, rng), 0.0);
        world.lamp(at, rng.f32() * 6.0, 4.6, warm);
        world.obstacles.push((at, 0.15));
    }
    if rng.f32() < 0.6 {
        let at = v(rng.f32() * 8.0 - 4.0, rng.f32() * 8.0 - 4.0, 0.0);
        world.stand(shapes::fountain(rng), at, 0.0, (2.4, 2.4));
        world.obstacles.push((at, 2.5));
    }
    for _ in 0..4 + rng.usize(..10) {
        let at = somewhere(rng) * 0.9;
        let clear = world
            .obstacles
            .iter()
            .all(|(there, radius)| (there - at).norm() > radius + 2.2);
        let on_track = (at.y.abs() - TRACK).abs() < 3.0;
        if !clear || on_track || at.norm() < 4.0 {
            continue;
        }
        let radius = match rng.u8(..9) {
            0..=2 => {
                world.stand(shapes::tree(rng), at, rng.f32() * 6.0, (0.7, 0.7));
                0.35
            }
            3 => {
                world.stand(shapes::kiosk(rng), at, rng.f32() * 6.0, (1.5, 1.1));
                1.9
            }
            4 => {
                world.stand(shapes::umbrella(rng), at, 0.0, (0.6, 0.6));
                0.6
            }
            5 => {
                world.stand(shapes::wall_box(rng), at, rng.f32() * 6.0, (0.4, 0.3));
                0.7
            }
            6 => {
                let bike = shapes::bicycle(rng);
                world.park(Class::Bicycle, bike, at, rng.f32() * 6.0);
                continue;
            }
            7 => {
                world.stand(shapes::sign(rng), at, rng.f32() * 6.0, (0.1, 0.1));
                0.2
            }
            _ => {
                world.stand(shapes::bench(rng), at, rng.f32() * 6.0, (0.9, 0.3));
                0.9
            }
        };
        world.obstacles.push((at, radius));
    }
    for y in [-TRACK, TRACK] {
        for (from, to) in [(-HALF - 8.0, HALF + 8.0), (HALF + 8.0, -HALF - 8.0)] {
            let y = y + if from < 0.0 { -0.8 } else { 0.8 };
            world
                .routes
                .push(Route::new(vec![v(from, y, 0.0), v(to, y, 0.0)], 4.0));
        }
    }
    world
}

fn houses(world: &mut World, rng: &mut fastrand::Rng) {
    for side in 0..4 {
        let yaw = side as f32 * std::f32::consts::FRAC_PI_2;
        let mut x = -HALF - 6.0;
        while x < HALF {
            let wide = 8.0 + 10.0 * rng.f32();
            if rng.f32() < 0.85 {
                let mesh = shapes::building(rng, wide, 10.0);
                let local = v(x + wide / 2.0, HALF + 13.0, 0.0);
                let at = crate::tools::simulate::mesh::rotated(local, yaw);
                world.stand(mesh, at, yaw, (wide / 2.0, 5.0));
            }
            x += wide + if rng.f32() < 0.3 { 4.0 } else { 0.2 };
        }
    }
}

fn somewhere(rng: &mut fastrand::Rng) -> V3 {
    v(
        (rng.f32() * 2.0 - 1.0) * HALF,
        (rng.f32() * 2.0 - 1.0) * HALF,
        0.0,
    )
}

/// A way over the square, from edge to edge with stops between.
pub(super) fn way(rng: &mut fastrand::Rng) -> Vec<Waypoint> {
    let point = |at: V3, pause: f32| Waypoint {
        at,
        crossing: false,
        pause,
    };
    let edge = |rng: &mut fastrand::Rng| {
        let along = (rng.f32() * 2.0 - 1.0) * HALF;
        match rng.u8(..4) {
            0 => v(along, HALF + 6.0, 0.0),
            1 => v(along, -HALF - 6.0, 0.0),
            2 => v(HALF + 6.0, along, 0.0),
            _ => v(-HALF - 6.0, along, 0.0),
        }
    };
    let mut path = vec![point(edge(rng), 0.0)];
    for _ in 0..rng.usize(..3) {
        let pause = if rng.f32() < 0.4 {
            3.0 + 20.0 * rng.f32()
        } else {
            0.0
        };
        path.push(point(somewhere(rng), pause));
    }
    path.push(point(edge(rng), 0.0));
    path
}
