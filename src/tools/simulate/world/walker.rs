//! People on foot: they follow a path, step around each other, and wait at crossings.

use super::{Disc, World};
use crate::tools::simulate::choices::SceneKind;
use crate::tools::simulate::mesh::{V3, unit, v};
use crate::tools::simulate::shapes::Walker;

/// Nobody comes nearer to another than this, metres between the middles.
const APART: f32 = 0.55;

/// A point of a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waypoint {
    pub at: V3,
    /// To be walked to only while walkers have green.
    pub crossing: bool,
    /// Seconds to stay here.
    pub pause: f32,
}

/// One person on foot.
#[derive(Debug)]
pub(super) struct Pedestrian {
    pub id: u64,
    pub body: Walker,
    pub at: V3,
    pub velocity: V3,
    pub yaw: f32,
    /// Turns of the walking cycle, and how far the legs swing.
    pub phase: f32,
    pub swing: f32,
    pub path: Vec<Waypoint>,
    pub next: usize,
    /// Has begun to walk over the crossing that lies before `next`.
    pub on_crossing: bool,
    pub pause: f32,
    pub speed: f32,
}

impl Pedestrian {
    pub fn new(id: u64, body: Walker, path: Vec<Waypoint>, rng: &mut fastrand::Rng) -> Self {
        let at = path.first().map_or_else(V3::zeros, |point| point.at);
        let yaw = path
            .get(1)
            .map_or(0.0, |next| (next.at.y - at.y).atan2(next.at.x - at.x));
        Self {
            id,
            body,
            at,
            velocity: V3::zeros(),
            yaw,
            phase: rng.f32(),
            swing: 0.0,
            path,
            next: 1,
            on_crossing: false,
            pause: 0.0,
            speed: 0.95 + 0.7 * rng.f32(),
        }
    }

    pub fn has_arrived(&self) -> bool {
        self.next >= self.path.len()
    }
}

impl World {
    pub(super) fn walk(&mut self, discs: &[Disc], dt: f32) {
        let green = self.signals.is_none_or(|signals| signals.walk(self.secs));
        let all: Vec<(V3, V3)> = self.walkers.iter().map(|w| (w.at, w.velocity)).collect();
        let vehicles: Vec<&Disc> = discs
            .iter()
            .filter(|disc| disc.owner < self.drivers.len())
            .collect();
        for (i, walker) in self.walkers.iter_mut().enumerate() {
            let mut wish = V3::zeros();
            walker.pause = (walker.pause - dt).max(0.0);
            if let Some(target) = walker.path.get(walker.next).copied() {
                let way = target.at - walker.at;
                let may_go = !target.crossing || green || walker.on_crossing;
                if may_go && walker.pause <= 0.0 {
                    walker.on_crossing |= target.crossing;
                    wish = unit(way) * walker.speed * if target.crossing { 1.25 } else { 1.0 };
                }
                if way.norm() < 0.7 {
                    walker.pause = target.pause;
                    walker.next += 1;
                    walker.on_crossing = false;
                }
            }
            let going = wish.norm() > 0.1;
            for (j, (at, velocity)) in all.iter().enumerate() {
                let away = walker.at - at;
                let distance = away.norm();
                if j == i || !(1e-3..1.7).contains(&distance) {
                    continue;
                }
                let strength = ((1.3 - distance).max(0.0) * 1.3).min(1.2);
                let out = away / distance;
                // Those who meet both step to their right.
                let meeting = going && velocity.dot(&wish) < 0.0;
                let right = v(wish.y, -wish.x, 0.0) * if meeting { 0.35 } else { 0.0 };
                let scale = if going { 1.0 } else { 0.25 };
                wish += (out * strength + right) * scale;
            }
            for (at, radius) in &self.obstacles {
                let away = walker.at - at;
                let distance = away.norm() - radius;
                if distance < 0.9 && going {
                    let out = unit(away);
                    let side = v(-out.y, out.x, 0.0);
                    let side = side * side.dot(&wish).signum();
                    wish += out * ((0.9 - distance) * 2.2) + side * 0.5;
                }
            }
            // Steps back from a vehicle that is right there.
            for disc in &vehicles {
                let away = walker.at - disc.at;
                let distance = away.norm() - disc.radius;
                if distance < 0.9 {
                    wish = unit(away) * 1.2;
                }
            }
            let limit = walker.speed * 1.5;
            if wish.norm() > limit {
                wish *= limit / wish.norm();
            }
            walker.velocity += (wish - walker.velocity) * (dt * 3.5).min(1.0);
            let step = walker.velocity * dt;
            walker.at += step;
            let pace = walker.velocity.norm();
            walker.swing += ((pace / 1.2).min(1.15) - walker.swing) * (dt * 5.0).min(1.0);
            walker.phase += step.norm() / (walker.body.height * 0.82);
            if pace > 0.25 {
                let heading = walker.velocity.y.atan2(walker.velocity.x);
                let turn = (heading - walker.yaw + 3.0 * std::f32::consts::PI)
                    .rem_euclid(std::f32::consts::TAU)
                    - std::f32::consts::PI;
                walker.yaw += turn * (dt * 4.0).min(1.0);
            }
        }
        self.keep_apart(discs);
    }

    /// Nobody stands in another, in a vehicle or in a wall.
    fn keep_apart(&mut self, discs: &[Disc]) {
        let count = self.walkers.len();
        for i in 0..count {
            for j in i + 1..count {
                let away = self.walkers[i].at - self.walkers[j].at;
                let distance = away.norm();
                if distance < APART {
                    let out = if distance < 1e-3 {
                        v(1.0, 0.0, 0.0)
                    } else {
                        away / distance
                    };
                    let push = out * ((APART - distance) / 2.0);
                    self.walkers[i].at += push;
                    self.walkers[j].at -= push;
                }
            }
        }
        let indoor = self.kind == SceneKind::Warehouse;
        for walker in &mut self.walkers {
            let vehicles = discs
                .iter()
                .filter(|disc| disc.owner < self.drivers.len())
                .map(|disc| (disc.at, disc.radius + 0.3));
            let walls = self
                .obstacles
                .iter()
                .map(|(at, radius)| (*at, radius + 0.25));
            for (at, radius) in vehicles.chain(walls) {
                let away = walker.at - at;
                let distance = away.norm();
                if distance < radius && distance > 1e-3 {
                    walker.at += away * ((radius - distance) / distance);
                }
            }
            if indoor {
                super::warehouse::keep_in_aisle(&mut walker.at);
            }
        }
    }
}
