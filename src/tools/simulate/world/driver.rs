//! Vehicles: they follow a route, keep their distance, obey signals, and come and go.
//!
//! Source of the car following: Treiber, Hennecke, Helbing, "Congested traffic states in empirical
//! observations and microscopic simulations" (2000), the intelligent driver model.

use std::sync::Arc;

use super::route::Route;
use super::{Aspect, Disc, MOST, World};
use crate::tools::simulate::choices::{Class, Daytime, SceneKind};
use crate::tools::simulate::mesh::{V3, rotated, v};
use crate::tools::simulate::render::{Form, Lamp};
use crate::tools::simulate::shapes::{self, Outfit, Posture, Vehicle, Walker};

/// Comfortable acceleration and braking, m/s².
const ACCELERATION: f32 = 1.7;
const BRAKING: f32 = 2.4;
/// Hardest braking, m/s².
const HARDEST: f32 = 8.0;
/// Distance kept when standing, metres, and time kept when driving, seconds.
const GAP: f32 = 1.8;
const HEADWAY: f32 = 1.2;
/// Metres from one point looked at on the way ahead to the next.
const LOOK_STEP: f32 = 0.8;
/// Room kept to the side, metres.
const SIDE: f32 = 0.22;

/// One vehicle on its way.
#[derive(Debug)]
pub(super) struct Driver {
    pub id: u64,
    pub class: Class,
    pub form: Arc<Form>,
    pub length: f32,
    pub width: f32,
    pub route: usize,
    /// Metres from the beginning of the route to the middle of the vehicle.
    pub s: f32,
    /// Metres to the left of the route, now and wanted.
    pub offset: f32,
    pub target: f32,
    pub speed: f32,
    /// Speed it would like, share of the route's.
    pub eager: f32,
    pub brakes: bool,
    pub rider: Option<(u64, Walker)>,
    /// Turns of the pedals.
    phase: f32,
    height: f32,
}

impl Driver {
    /// Middle on the ground and heading.
    pub fn pose(&self, route: &Route) -> (V3, f32) {
        let reach = self.length * 0.3;
        let front = route.point(self.s + reach, self.offset);
        let back = route.point(self.s - reach, self.offset);
        let along = front - back;
        let turn =
            (self.target - self.offset).clamp(-1.0, 1.0) * 0.03 * (self.speed / 8.0).min(1.0);
        ((front + back) / 2.0, along.y.atan2(along.x) + turn)
    }

    pub fn posture(&self) -> Posture {
        match self.class {
            Class::Bicycle => Posture::Cycle { phase: self.phase },
            Class::Forklift => Posture::Drive,
            _ => Posture::Motor,
        }
    }

    /// Where the rider sits, local.
    pub fn seat(&self) -> V3 {
        match self.class {
            Class::Bicycle => v(-0.17, 0.0, 0.0),
            Class::Forklift => v(-0.25, 0.0, 0.1),
            _ => v(-0.25, 0.0, 0.0),
        }
    }

    /// Head and tail lamps.
    pub fn add_lamps(&self, at: V3, yaw: f32, time: Daytime, lamps: &mut Vec<Lamp>) {
        if time == Daytime::Day || self.class == Class::Forklift {
            return;
        }
        let strength = if time == Daytime::Dusk { 0.5 } else { 1.0 };
        let single = matches!(self.class, Class::Bicycle | Class::Motorcycle);
        let bright = if self.class == Class::Bicycle {
            0.12
        } else {
            1.0
        };
        let up = (self.height * 0.45).min(0.8);
        let front = v(self.length / 2.0 + 0.1, 0.0, up);
        let sides: &[f32] = if single { &[0.0] } else { &[-0.38, 0.38] };
        for side in sides {
            let place = |x: f32| at + rotated(v(x, side * self.width, front.z), yaw);
            lamps.push(Lamp {
                at: place(front.x),
                yaw: Some(yaw),
                colour: v(1.0, 0.95, 0.85) * (0.9 * bright * strength),
                reach: 8.0,
                glare: 0.30 * bright.max(0.3),
            });
            lamps.push(Lamp {
                at: place(-front.x),
                yaw: Some(yaw + std::f32::consts::PI),
                colour: v(0.55, 0.03, 0.02) * strength * if self.brakes { 1.0 } else { 0.35 },
                reach: 1.3,
                glare: 0.13,
            });
        }
    }
}

impl World {
    pub(super) fn drive(&mut self, discs: &[Disc], dt: f32) {
        for i in 0..self.drivers.len() {
            let wish = self.wished_speed(i);
            let (gap, their_speed) = self.room_ahead(i, discs);
            let driver = &mut self.drivers[i];
            let speed = driver.speed;
            let closing = speed - their_speed;
            let wanted = GAP
                + (speed * HEADWAY + speed * closing / (2.0 * (ACCELERATION * BRAKING).sqrt()))
                    .max(0.0);
            let free = 1.0 - (speed / wish.max(0.1)).powi(4);
            let mut change = ACCELERATION * (free - (wanted / gap.max(0.1)).powi(2));
            if gap < 0.6 {
                change = -HARDEST;
            }
            let change = change.clamp(-HARDEST, ACCELERATION);
            driver.speed = (speed + change * dt).max(0.0);
            // Never further than there is room.
            let step = (driver.speed * dt).min((gap - 0.3).max(0.0));
            driver.s += step;
            driver.speed = driver.speed.min(step / dt);
            driver.brakes = change < -0.9 || driver.speed < 0.3;
            driver.phase += step / 4.5;
            let aside = (driver.target - driver.offset).clamp(-0.9 * dt, 0.9 * dt);
            if driver.speed > 1.0 {
                driver.offset += aside;
            }
            if self.kind == SceneKind::Motorway {
                self.change_lane(i, gap, wish);
            }
        }
    }

    fn wished_speed(&self, i: usize) -> f32 {
        let driver = &self.drivers[i];
        let route = &self.routes[driver.route];
        let mut wish = route.speed * driver.eager;
        if driver.class == Class::Bicycle {
            wish = wish.min(5.0 * driver.eager);
        }
        if let Some((speed, from, to)) = route.bend {
            let front = driver.s + driver.length / 2.0;
            if driver.s - driver.length / 2.0 < to {
                let left = (from - front).max(0.0);
                wish = wish.min((speed * speed + 2.0 * 1.5 * left).sqrt());
            }
        }
        wish
    }

    /// Metres to the next thing in the way, and its speed along our way.
    fn room_ahead(&self, i: usize, discs: &[Disc]) -> (f32, f32) {
        let driver = &self.drivers[i];
        let route = &self.routes[driver.route];
        let front = driver.s + driver.length / 2.0;
        let far =
            (driver.speed * driver.speed / (2.0 * BRAKING) + driver.speed * 2.0 + 8.0).min(120.0);
        let mut best = (far.max(60.0), driver.speed);
        if let (Some((stop, arm)), Some(signals)) = (route.stop, self.signals) {
            let left = stop - front;
            let aspect = signals.arm(arm, self.secs);
            let can_stop = driver.speed * driver.speed / (2.0 * 3.0) < left;
            if left > -0.5 && (aspect == Aspect::Red || aspect == Aspect::Yellow && can_stop) {
                best = (left.max(0.0) + 1.0, 0.0);
            }
        }
        let (at, yaw) = driver.pose(route);
        let ahead = v(yaw.cos(), yaw.sin(), 0.0);
        let reach = |disc: &Disc| far + driver.length + disc.radius + 3.0;
        // Place, square of the room needed beside it, and speed along our way.
        let near: Vec<[f32; 4]> = discs
            .iter()
            .filter(|disc| disc.owner != i && (disc.at - at).norm_squared() < reach(disc).powi(2))
            .map(|disc| {
                let room = driver.width / 2.0 + disc.radius + SIDE;
                let speed = disc.velocity.dot(&ahead).max(0.0);
                [disc.at.x, disc.at.y, room * room, speed]
            })
            .collect();
        if near.is_empty() {
            return best;
        }
        let mut along = 0.0;
        while along < far.min(best.0) {
            let place = front + along - driver.width / 2.0;
            let points = [driver.offset, driver.target].map(|offset| {
                let point = route.point(place, offset);
                (point.x, point.y)
            });
            let in_the_way = |[x, y, square, _]: &&[f32; 4]| {
                let hits = |(px, py): &(f32, f32)| (x - px).powi(2) + (y - py).powi(2) < *square;
                points.iter().any(hits)
            };
            if let Some([.., speed]) = near.iter().find(in_the_way) {
                return (along, *speed);
            }
            along += LOOK_STEP;
        }
        best
    }

    /// Moves over where it goes faster, or back where there is room.
    fn change_lane(&mut self, i: usize, gap: f32, wish: f32) {
        const LANE: f32 = 3.6;
        let driver = &self.drivers[i];
        if (driver.target - driver.offset).abs() > 0.05 || self.rng.f32() > 0.02 {
            return;
        }
        let slowed = driver.speed < wish * 0.85 && gap < 50.0;
        let heavy = matches!(driver.class, Class::Truck | Class::Bus);
        let target = if slowed {
            driver.offset + LANE
        } else {
            driver.offset - LANE
        };
        if target.abs() > LANE + 0.6 || heavy && target > 0.5 {
            return;
        }
        let free = self.drivers.iter().enumerate().all(|(j, other)| {
            let apart = (other.s - driver.s).abs() - (other.length + driver.length) / 2.0;
            let in_lane =
                (other.offset - target).abs() < 2.6 || (other.target - target).abs() < 2.6;
            j == i || other.route != driver.route || !in_lane || apart > 8.0 + driver.speed * 0.4
        });
        if free {
            self.drivers[i].target = target;
        }
    }

    /// A new vehicle for a route, at `s`; `None` where there is no room.
    pub(super) fn enter(&mut self, route: usize, s: f32, class: Class) -> Option<()> {
        if self.drivers.len() >= MOST {
            return None;
        }
        let rng = &mut self.rng;
        let long = self.plan.long_trucks && rng.f32() < 0.6;
        let vehicle: Vehicle = match class {
            Class::Bicycle => shapes::bicycle(rng),
            Class::Motorcycle => shapes::motorcycle(rng),
            Class::Van => shapes::van(rng),
            Class::Truck => shapes::truck(rng, long),
            Class::Bus => shapes::bus(rng),
            Class::Forklift => shapes::forklift(rng),
            Class::Car | Class::Person => shapes::car(rng),
        };
        let outfit = match class {
            Class::Bicycle => Some(Outfit::Street),
            Class::Motorcycle => Some(Outfit::Helmet),
            Class::Forklift => Some(Outfit::Work),
            _ => None,
        };
        let offset = match (self.kind, class) {
            (SceneKind::Motorway, Class::Truck | Class::Bus) => -3.6,
            (SceneKind::Motorway, _) => [-3.6, 0.0, 3.6][rng.usize(..3)],
            (SceneKind::Junction, Class::Bicycle) => -1.15,
            (SceneKind::Square, _) => 0.0,
            _ => (rng.f32() - 0.5) * 0.4,
        };
        let eager = match class {
            Class::Truck | Class::Bus => 0.75 + 0.1 * rng.f32(),
            _ => 0.85 + 0.35 * rng.f32(),
        };
        let rider = outfit.map(|outfit| Walker::new(rng, outfit));
        let id = self.new_id();
        let rider = rider.map(|rider| (self.new_id(), rider));
        let driver = Driver {
            id,
            class,
            form: Form::new(vehicle.mesh),
            length: vehicle.length,
            width: vehicle.width,
            route,
            s,
            offset,
            target: offset,
            speed: self.routes[route].speed * eager * 0.8,
            eager,
            brakes: false,
            rider,
            phase: 0.0,
            height: vehicle.height,
        };
        self.has_room(&driver).then(|| self.drivers.push(driver))
    }

    fn has_room(&self, new: &Driver) -> bool {
        let (at, _) = new.pose(&self.routes[new.route]);
        let clear = |other: &Driver| {
            let (there, _) = other.pose(&self.routes[other.route]);
            let apart = (there - at).norm();
            // On the same route beside each other is enough.
            let beside = new.route == other.route && self.kind == SceneKind::Motorway;
            if beside
                && (new.offset - other.offset).abs() > 2.8
                && (new.offset - other.target).abs() > 2.8
            {
                return true;
            }
            apart > (new.length + other.length) / 2.0 + 3.0 + new.speed * 0.6
        };
        self.drivers.iter().all(clear)
    }
}
