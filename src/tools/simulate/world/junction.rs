//! Two roads that cross: lanes, signals, pavements, crossings, houses, a car park.

use std::f32::consts::{FRAC_PI_2, PI};

use super::route::{Route, bent};
use super::walker::Waypoint;
use super::{Signals, World};
use crate::tools::simulate::choices::{Class, SceneKind};
use crate::tools::simulate::mesh::{V3, rotated, v};
use crate::tools::simulate::render::{Ground, Paint, Surface};
use crate::tools::simulate::shapes;

const LANE: f32 = 3.5;
/// Roads reach so far from the middle, metres.
const ARM: f32 = 75.0;
const PAVEMENT: f32 = 4.0;
const CORNER: f32 = 4.5;

/// Lanes per direction decide everything else.
pub(super) fn half_road(lanes: usize) -> f32 {
    LANE * lanes as f32
}

fn turned(arm: usize, x: f32, y: f32) -> V3 {
    rotated(v(x, y, 0.0), arm as f32 * FRAC_PI_2)
}

fn flat(p: V3) -> (f32, f32) {
    (p.x, p.y)
}

pub(super) fn build(rng: &mut fastrand::Rng) -> World {
    let lanes = 1 + rng.usize(..2);
    let base = if rng.f32() < 0.55 {
        Surface::Grass
    } else {
        Surface::Pavement
    };
    let mut ground = Ground::new((ARM + 5.0, ARM + 5.0), base, rng);
    let half = half_road(lanes);
    let edge = half + PAVEMENT;
    for arm in 0..4 {
        let area = |x0: f32, y0: f32, x1: f32, y1: f32| {
            [(x0, y0), (x1, y0), (x1, y1), (x0, y1)].map(|(x, y)| flat(turned(arm, x, y)))
        };
        ground.lay(&area(0.0, -edge, ARM + 5.0, edge), Surface::Pavement);
    }
    for arm in 0..4 {
        let area = |x0: f32, y0: f32, x1: f32, y1: f32| {
            [(x0, y0), (x1, y0), (x1, y1), (x0, y1)].map(|(x, y)| flat(turned(arm, x, y)))
        };
        ground.lay(
            &area(0.0, -half - 0.25, ARM + 5.0, half + 0.25),
            Surface::Kerb,
        );
        ground.lay(&area(0.0, -half, ARM + 5.0, half), Surface::Asphalt);
    }
    for arm in 0..4 {
        // Rounded corners.
        let at = |angle: f32, radius: f32| {
            let (s, c) = angle.sin_cos();
            flat(turned(
                arm,
                half + CORNER - c * radius,
                half + CORNER - s * radius,
            ))
        };
        let tip = flat(turned(arm, half, half));
        for i in 0..8 {
            let (a, b) = (i as f32 / 8.0 * FRAC_PI_2, (i + 1) as f32 / 8.0 * FRAC_PI_2);
            ground.lay(&[tip, at(a, CORNER), at(b, CORNER)], Surface::Asphalt);
            ground.lay(
                &[
                    at(a, CORNER),
                    at(b, CORNER),
                    at(b, CORNER - 0.25),
                    at(a, CORNER - 0.25),
                ],
                Surface::Kerb,
            );
        }
    }
    mark(&mut ground, lanes, rng);
    let mut world = World::empty(SceneKind::Junction, ground);
    world.signals = Some(Signals {
        shift: rng.f32() * 80.0,
    });
    routes(&mut world, lanes);
    furnish(&mut world, lanes, rng);
    world
}

fn mark(ground: &mut Ground, lanes: usize, rng: &mut fastrand::Rng) {
    let half = half_road(lanes);
    let centre = if rng.bool() {
        Paint::Yellow
    } else {
        Paint::White
    };
    let stop = half + 8.5;
    for arm in 0..4 {
        let p = |x: f32, y: f32| flat(turned(arm, x, y));
        for y in [-0.1, 0.1] {
            ground.line(p(stop, y), p(ARM + 5.0, y), 0.11, (1.0, 0.0), centre);
        }
        for lane in 1..lanes {
            let y = LANE * lane as f32;
            ground.line(
                p(stop + 15.0, -y),
                p(ARM, -y),
                0.13,
                (3.0, 4.5),
                Paint::White,
            );
            ground.line(
                p(stop, -y),
                p(stop + 14.0, -y),
                0.13,
                (1.0, 0.0),
                Paint::White,
            );
            ground.line(p(stop, y), p(ARM, y), 0.13, (3.0, 4.5), Paint::White);
            ground.line(
                p(stop, y),
                p(stop + 14.0, y),
                0.13,
                (1.0, 0.0),
                Paint::White,
            );
        }
        // Traffic comes in on the left of the arm's axis as seen from the middle: +y.
        ground.line(
            p(stop, 0.2),
            p(stop, half - 0.2),
            0.42,
            (1.0, 0.0),
            Paint::White,
        );
        let mut y = -half + 0.4;
        while y < half - 0.5 {
            ground.line(
                p(half + 3.2, y),
                p(half + 6.2, y),
                0.5,
                (1.0, 0.0),
                Paint::White,
            );
            y += 1.0;
        }
        for lane in 0..lanes {
            let y = LANE * (lane as f32 + 0.5);
            for side in [-0.85, 0.85] {
                ground.wear(p(0.0, y + side), p(ARM, y + side), 0.55, 0.5);
                ground.wear(p(0.0, -y + side), p(ARM, -y + side), 0.55, 0.45);
            }
            ground.wear(p(stop - 1.0, y), p(stop + 14.0, y), 0.9, 0.9);
            arrow(ground, arm, stop + 5.0, y, lane + 1 == lanes);
        }
    }
}

/// An arrow along the lane, with a second head to the right in the outer one.
fn arrow(ground: &mut Ground, arm: usize, x: f32, y: f32, outer: bool) {
    let p = |dx: f32, dy: f32| flat(turned(arm, x + dx, y + dy));
    ground.line(p(2.5, 0.0), p(0.8, 0.0), 0.16, (1.0, 0.0), Paint::White);
    ground.paint(&[p(0.0, 0.0), p(1.0, 0.35), p(1.0, -0.35)], Paint::White);
    if outer {
        ground.line(p(1.9, 0.0), p(1.5, 0.55), 0.14, (1.0, 0.0), Paint::White);
        ground.paint(&[p(1.5, 1.0), p(1.15, 0.5), p(1.85, 0.5)], Paint::White);
    }
}

fn routes(world: &mut World, lanes: usize) {
    let half = half_road(lanes);
    let mouth = half + 5.0;
    let stop = ARM - (half + 9.0);
    for arm in 0..4 {
        for lane in 0..lanes {
            let y = LANE * (lane as f32 + 0.5);
            let (start, line) = (turned(arm, ARM, y), turned(arm, mouth, y));
            for (turn, allowed) in [(2, true), (1, lane + 1 == lanes), (3, lane == 0)] {
                if !allowed {
                    continue;
                }
                // `turn` arms further on, counted against the clock: 1 is right, 2 straight on, 3 left.
                let out = (arm + 4 - turn) % 4;
                let out = if turn == 2 {
                    (arm + 2) % 4
                } else {
                    (out + 2) % 4
                };
                let exit = turned(out, mouth, -y);
                let end = turned(out, ARM, -y);
                let mut points = vec![start];
                if turn == 2 {
                    points.extend([line, exit]);
                } else {
                    let corner = crossing_of(arm, out, y);
                    points.extend(bent(line, corner, exit));
                }
                points.push(end);
                let mut route = Route::new(points, 12.0);
                route.stop = Some((stop, arm));
                let begin = ARM - mouth;
                match turn {
                    1 => route.bend = Some((4.2, begin, begin + 12.0)),
                    3 => route.bend = Some((6.0, begin, begin + 22.0)),
                    _ => {}
                }
                route.tight = turn != 2;
                world.routes.push(route);
            }
        }
    }
}

/// Where the lane into the junction and the lane out of it would meet.
fn crossing_of(arm: usize, out: usize, y: f32) -> V3 {
    let (a, along) = (turned(arm, 0.0, y), turned(arm, 1.0, 0.0));
    let (b, other) = (turned(out, 0.0, -y), turned(out, 1.0, 0.0));
    let cross = along.x * other.y - along.y * other.x;
    let d = b - a;
    a + along * ((d.x * other.y - d.y * other.x) / cross)
}

fn furnish(world: &mut World, lanes: usize, rng: &mut fastrand::Rng) {
    let half = half_road(lanes);
    let edge = half + PAVEMENT;
    let warm = if rng.bool() {
        v(1.0, 0.72, 0.38)
    } else {
        v(0.9, 0.95, 1.0)
    };
    let parking = if rng.f32() < 0.6 { rng.usize(..4) } else { 9 };
    for arm in 0..4 {
        let yaw = arm as f32 * FRAC_PI_2;
        let pi = PI;
        for (i, x) in [half + 7.0, half + 29.0, half + 51.0]
            .into_iter()
            .enumerate()
        {
            let side = if i % 2 == 0 { 1.0 } else { -1.0 };
            let at = turned(arm, x, side * (half + 0.8));
            world.lamp(at, yaw - side * pi / 2.0, 7.0, warm * 0.55);
        }
        world.head(turned(arm, half + 7.6, half + 0.7), yaw, arm);
        world.head(turned(arm, -half - 1.5, half + 0.7), yaw, arm);
        // The quarter to the left of the arm.
        let street = |x: f32, y: f32| turned(arm, x, y);
        if arm == parking {
            car_park(world, arm, edge + 1.0, rng);
        } else {
            let mut x = edge + 2.0;
            while x < ARM - 8.0 {
                let wide = 9.0 + 12.0 * rng.f32();
                if rng.f32() < 0.75 {
                    let mesh = shapes::building(rng, wide, 11.0);
                    let at = street(x + wide / 2.0, edge + 6.5 + 3.0 * rng.f32());
                    world.stand(mesh, at, yaw, (wide / 2.0, 5.5));
                } else {
                    for _ in 0..3 {
                        let at = street(x + rng.f32() * wide, edge + 2.0 + 7.0 * rng.f32());
                        world.stand(shapes::tree(rng), at, rng.f32() * 6.0, (1.0, 1.0));
                    }
                }
                x += wide + 1.0 + 5.0 * rng.f32();
            }
            let mut y = edge + 20.0;
            while y < ARM - 8.0 {
                let wide = 9.0 + 10.0 * rng.f32();
                let mesh = shapes::building(rng, wide, 10.0);
                let at = street(edge + 6.0 + 2.0 * rng.f32(), y + wide / 2.0);
                world.stand(mesh, at, yaw - pi / 2.0, (wide / 2.0, 5.0));
                y += wide + 1.0 + 5.0 * rng.f32();
            }
        }
        clutter(world, arm, half, rng);
    }
}

fn clutter(world: &mut World, arm: usize, half: f32, rng: &mut fastrand::Rng) {
    let yaw = arm as f32 * FRAC_PI_2;
    for side in [-1.0, 1.0] {
        let mut x = half + 13.0 + 5.0 * rng.f32();
        let trees = rng.f32() < 0.6;
        while x < ARM {
            let at = turned(arm, x, side * (half + 0.75));
            if trees && rng.f32() < 0.7 {
                world.stand(shapes::tree(rng), at, rng.f32() * 6.0, (0.6, 0.6));
                world.obstacles.push((at, 0.3));
            } else if rng.f32() < 0.3 {
                world.stand(
                    shapes::sign(rng),
                    at,
                    yaw + if side > 0.0 { 0.0 } else { 3.1 },
                    (0.1, 0.1),
                );
                world.obstacles.push((at, 0.1));
            }
            x += 7.0 + 5.0 * rng.f32();
        }
        for _ in 0..rng.usize(..5) {
            let at = turned(arm, half + 9.0 + 40.0 * rng.f32(), side * (half + 3.6));
            match rng.u8(..5) {
                0 => world.stand(shapes::wall_box(rng), at, yaw, (0.4, 0.3)),
                1 => world.stand(
                    shapes::bench(rng),
                    at,
                    yaw + if side < 0.0 { PI } else { 0.0 },
                    (0.9, 0.3),
                ),
                2 => {
                    let bike = shapes::bicycle(rng);
                    world.park(Class::Bicycle, bike, at, rng.f32() * 6.0);
                    continue;
                }
                3 => {
                    let bike = shapes::motorcycle(rng);
                    world.park(Class::Motorcycle, bike, at, rng.f32() * 6.0);
                    continue;
                }
                _ => world.stand(shapes::bollard(rng), at, 0.0, (0.1, 0.1)),
            }
            world.obstacles.push((at, 0.6));
        }
    }
    if rng.f32() < 0.5 {
        let length = 9.0;
        let at = turned(arm, half + 9.5, half + 0.45);
        world.stand(shapes::fence(length), at, yaw, (0.0, 0.0));
    }
}

/// Rows of parked cars in the quarter to the left of an arm.
fn car_park(world: &mut World, arm: usize, from: f32, rng: &mut fastrand::Rng) {
    let yaw = arm as f32 * FRAC_PI_2;
    let area = [
        (from, from),
        (from + 34.0, from),
        (from + 34.0, from + 30.0),
        (from, from + 30.0),
    ];
    world.ground.lay(
        &area.map(|(x, y)| flat(turned(arm, x, y))),
        Surface::Asphalt,
    );
    for row in 0..3 {
        let y = from + 3.0 + 9.5 * row as f32;
        for place in 0..12 {
            let x = from + 1.5 + 2.7 * place as f32;
            let line = |x: f32| (flat(turned(arm, x, y - 2.5)), flat(turned(arm, x, y + 2.5)));
            let (a, b) = line(x - 1.35);
            world.ground.line(a, b, 0.1, (1.0, 0.0), Paint::White);
            if rng.f32() < 0.62 {
                let (class, vehicle) = match rng.u8(..10) {
                    0 => (Class::Van, shapes::van(rng)),
                    _ => (Class::Car, shapes::car(rng)),
                };
                let turn = if rng.bool() { FRAC_PI_2 } else { -FRAC_PI_2 };
                let at = turned(arm, x, y + (rng.f32() - 0.5) * 0.5);
                world.park(class, vehicle, at, yaw + turn + (rng.f32() - 0.5) * 0.06);
            }
        }
    }
}

/// A way on foot: along a pavement, perhaps over crossings, and out along another.
pub(super) fn way(lanes: usize, rng: &mut fastrand::Rng) -> Vec<Waypoint> {
    let half = half_road(lanes);
    let strip = half + 2.0 + 1.2 * (rng.f32() - 0.5);
    let point = |at: V3, crossing: bool| Waypoint {
        at,
        crossing,
        pause: 0.0,
    };
    // The corner to the left of arm `c` is also the one to the right of arm `c + 1`.
    let mut corner = rng.usize(..4);
    let shift = (rng.f32() - 0.5) * 1.8;
    let far = |corner: usize, rng: &mut fastrand::Rng| {
        if rng.bool() {
            turned(corner, ARM - 1.0, strip)
        } else {
            turned(corner, strip, ARM - 1.0)
        }
    };
    let mut path = vec![point(far(corner, rng), false)];
    for _ in 0..rng.usize(..3) {
        let near = half + 4.7 + shift;
        // Over the arm on one side of this corner.
        if rng.bool() {
            path.push(point(turned(corner, near, half + 0.9), false));
            path.push(point(turned(corner, near, -half - 0.9), true));
            corner = (corner + 3) % 4;
        } else {
            let arm = (corner + 1) % 4;
            path.push(point(turned(arm, near, -half - 0.9), false));
            path.push(point(turned(arm, near, half + 0.9), true));
            corner = arm;
        }
    }
    path.push(point(turned(corner, half + 3.0, half + 3.0), false));
    path.push(point(far(corner, rng), false));
    path
}
