//! Who comes and who goes.

use super::walker::Pedestrian;
use super::{MOST, World, junction, square, warehouse};
use crate::tools::simulate::choices::{Class, SceneKind};
use crate::tools::simulate::mesh::V3;
use crate::tools::simulate::shapes::{Outfit, Walker};

impl World {
    /// Fills the place as if it had gone on for long.
    pub(super) fn populate(&mut self) {
        let density = self.plan.density;
        let (vehicles, walkers) = match self.kind {
            SceneKind::Junction => (44.0, 30.0),
            SceneKind::Motorway => (75.0, 0.0),
            SceneKind::Warehouse => (6.0, 10.0),
            SceneKind::Square => (6.0, 55.0),
        };
        let count = |usual: f32| ((usual * density) as usize).min(MOST);
        for _ in 0..count(vehicles) {
            let class = self.some_class();
            let route = self.some_route(class);
            let length = self.routes[route].length();
            let part = if self.signals.is_some() { 0.75 } else { 1.0 };
            let s = self.rng.f32() * length * part;
            // Nobody begins in the middle of the junction.
            let in_the_way = self.routes[route]
                .stop
                .is_some_and(|(stop, _)| s > stop - 8.0 && s < stop + 45.0);
            if !in_the_way {
                // No room is no fault: the place is full.
                let _entered: Option<()> = self.enter(route, s, class);
            }
        }
        for _ in 0..count(walkers) {
            self.add_walker(true);
        }
    }

    fn some_class(&mut self) -> Class {
        let draw = self.rng.f32();
        let table: &[(f32, Class)] = match self.kind {
            SceneKind::Junction if self.plan.even => &[
                (0.30, Class::Car),
                (0.45, Class::Van),
                (0.58, Class::Truck),
                (0.70, Class::Bus),
                (0.85, Class::Bicycle),
                (1.0, Class::Motorcycle),
            ],
            SceneKind::Motorway if self.plan.even => &[
                (0.35, Class::Car),
                (0.55, Class::Van),
                (0.73, Class::Truck),
                (0.85, Class::Bus),
                (1.0, Class::Motorcycle),
            ],
            SceneKind::Junction => &[
                (0.52, Class::Car),
                (0.64, Class::Van),
                (0.72, Class::Truck),
                (0.79, Class::Bus),
                (0.89, Class::Bicycle),
                (1.0, Class::Motorcycle),
            ],
            SceneKind::Motorway => &[
                (0.62, Class::Car),
                (0.74, Class::Van),
                (0.89, Class::Truck),
                (0.93, Class::Bus),
                (1.0, Class::Motorcycle),
            ],
            SceneKind::Warehouse => &[(1.0, Class::Forklift)],
            SceneKind::Square => &[(1.0, Class::Bicycle)],
        };
        table
            .iter()
            .find(|(share, _)| draw <= *share)
            .map_or(Class::Car, |(_, class)| *class)
    }

    /// Long vehicles take no sharp turns.
    fn some_route(&mut self, class: Class) -> usize {
        let long = matches!(class, Class::Truck | Class::Bus);
        let open: Vec<usize> = (0..self.routes.len())
            .filter(|&route| !(long && self.routes[route].tight))
            .collect();
        open[self.rng.usize(..open.len())]
    }

    fn add_walker(&mut self, anywhere: bool) {
        if self.walkers.len() >= MOST {
            return;
        }
        let lanes = self.lanes();
        let rng = &mut self.rng;
        let (path, outfit) = match self.kind {
            SceneKind::Junction => (junction::way(lanes, rng), Outfit::Street),
            SceneKind::Warehouse => (warehouse::way(rng), Outfit::Work),
            SceneKind::Square | SceneKind::Motorway => (square::way(rng), Outfit::Street),
        };
        let body = Walker::new(rng, outfit);
        let id = self.new_id();
        let mut walker = Pedestrian::new(id, body, path, &mut self.rng);
        if anywhere && walker.path.len() > 1 {
            let leg = self.rng.usize(..walker.path.len() - 1);
            let (a, b) = (walker.path[leg], walker.path[leg + 1]);
            let share = if b.crossing { 0.0 } else { self.rng.f32() };
            walker.at = a.at.lerp(&b.at, share);
            walker.next = leg + 1;
            walker.yaw = (b.at.y - a.at.y).atan2(b.at.x - a.at.x);
        }
        let free = |at: V3| {
            let others = self
                .walkers
                .iter()
                .all(|other| (other.at - at).norm() > 0.8);
            let vehicles = self.drivers.iter().all(|driver| {
                let (there, _) = driver.pose(&self.routes[driver.route]);
                (there - at).norm() > driver.length / 2.0 + 1.0
            });
            others && vehicles
        };
        if free(walker.at) {
            self.walkers.push(walker);
        }
    }

    /// Lanes per direction of a junction.
    fn lanes(&self) -> usize {
        if self.routes.len() > 12 { 2 } else { 1 }
    }

    pub(super) fn come_and_go(&mut self, dt: f32) {
        let routes = &self.routes;
        self.drivers.retain(|driver| {
            let route = &routes[driver.route];
            route.closed || driver.s < route.length() + driver.length
        });
        self.walkers.retain(|walker| !walker.has_arrived());
        // Newcomers per second.
        let (vehicles, walkers) = match self.kind {
            SceneKind::Junction => (0.95, 0.35),
            SceneKind::Motorway => (3.6, 0.0),
            SceneKind::Warehouse => (0.0, 0.08),
            SceneKind::Square => (0.25, 1.1),
        };
        let density = self.plan.density;
        if self.rng.f32() < vehicles * density * dt {
            let class = self.some_class();
            let route = self.some_route(class);
            // No room at the entry: the next one comes later.
            let _entered: Option<()> = self.enter(route, -8.0, class);
        }
        let most = match self.kind {
            SceneKind::Warehouse => (14.0 * density) as usize,
            _ => (90.0 * density) as usize,
        };
        if self.walkers.len() < most && self.rng.f32() < walkers * density * dt {
            self.add_walker(self.kind == SceneKind::Warehouse);
        }
    }
}
