//! What happens: places, those who move in them, and time.

mod driver;
mod flow;
mod junction;
mod motorway;
mod route;
mod square;
#[cfg(test)]
mod tests;
mod walker;
mod warehouse;

use std::sync::Arc;

use super::choices::{Class, Daytime, SceneKind};
use super::mesh::{Mesh, V3, rotated, v};
use super::render::{Form, Ground, Instance, Lamp};
use super::shapes::{self, Posture, traffic_light};
use driver::Driver;
use route::Route;
use walker::Pedestrian;

/// Longest step of the simulation, seconds: short enough for nobody to step through another.
pub(super) const STEP_SECS: f32 = 0.1;

/// Most people, and most vehicles, at any time: bounds the work per frame.
const MOST: usize = 160;

/// A place and everything in it.
#[derive(Debug)]
pub(super) struct World {
    pub kind: SceneKind,
    pub ground: Ground,
    /// What never moves and is no object.
    scenery: Vec<Instance>,
    /// What never moves and is an object: parked cars, bicycles at a rack.
    parked: Vec<(u64, Class, Instance)>,
    street_lamps: Vec<Lamp>,
    routes: Vec<Route>,
    drivers: Vec<Driver>,
    walkers: Vec<Pedestrian>,
    signals: Option<Signals>,
    plan: Plan,
    /// Single precision would stand still after some days.
    secs: f64,
    next_id: u64,
    rng: fastrand::Rng,
    heads: Vec<(V3, f32, usize, [Arc<Form>; 3])>,
    /// Places nobody walks through: middle and radius.
    obstacles: Vec<(V3, f32)>,
}

/// How new road users and walkers come, by kind of place.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// 1 is usual.
    density: f32,
    long_trucks: bool,
    /// Rare vehicles are as frequent as cars.
    even: bool,
}

/// One object of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Object {
    pub id: u64,
    pub class: Class,
}

/// The signals of a junction: one arm after the other, then everybody on foot.
#[derive(Debug, Clone, Copy)]
struct Signals {
    shift: f32,
}

/// Seconds of green of one arm, of yellow, and of red for all after it.
const GREEN: f32 = 11.0;
const YELLOW: f32 = 3.0;
const CLEARING: f32 = 3.0;
/// Seconds in which walkers may start, and in which they finish.
const WALK: f32 = 7.0;
const WALK_CLEARING: f32 = 11.0;

/// What a signal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aspect {
    Red,
    Yellow,
    Green,
}

impl Signals {
    fn phase(self, secs: f64) -> f32 {
        let arm = GREEN + YELLOW + CLEARING;
        let cycle = f64::from(4.0 * arm + WALK + WALK_CLEARING);
        ((secs + f64::from(self.shift)) % cycle) as f32
    }

    fn arm(self, arm: usize, secs: f64) -> Aspect {
        let length = GREEN + YELLOW + CLEARING;
        let own = self.phase(secs) - arm as f32 * length;
        if (0.0..GREEN).contains(&own) {
            Aspect::Green
        } else if (GREEN..GREEN + YELLOW).contains(&own) {
            Aspect::Yellow
        } else {
            Aspect::Red
        }
    }

    fn walk(self, secs: f64) -> bool {
        let own = self.phase(secs) - 4.0 * (GREEN + YELLOW + CLEARING);
        (0.0..WALK).contains(&own)
    }
}

/// A body on the ground that others keep clear of: a row of discs.
#[derive(Debug, Clone, Copy)]
struct Disc {
    /// Index of the driver, or `usize::MAX - index` of a walker.
    owner: usize,
    at: V3,
    radius: f32,
    velocity: V3,
}

impl World {
    /// A place with everybody on their way.
    ///
    /// `even` brings rare vehicles as often as cars.
    pub fn new(kind: SceneKind, density: f32, even: bool, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = match kind {
            SceneKind::Junction => junction::build(&mut rng),
            SceneKind::Motorway => motorway::build(&mut rng),
            SceneKind::Warehouse => warehouse::build(&mut rng),
            SceneKind::Square => square::build(&mut rng),
        };
        world.plan.density = density;
        world.plan.even = even;
        world.rng = rng;
        world.secs = f64::from(world.rng.f32() * 100.0);
        world.populate();
        let settling = if kind == SceneKind::Motorway { 10 } else { 40 };
        for _ in 0..settling {
            world.step(STEP_SECS * 1.5);
        }
        world
    }

    fn empty(kind: SceneKind, ground: Ground) -> Self {
        Self {
            kind,
            ground,
            scenery: Vec::new(),
            parked: Vec::new(),
            street_lamps: Vec::new(),
            routes: Vec::new(),
            drivers: Vec::new(),
            walkers: Vec::new(),
            signals: None,
            plan: Plan {
                density: 1.0,
                long_trucks: false,
                even: false,
            },
            secs: 0.0,
            next_id: 1,
            rng: fastrand::Rng::with_seed(0),
            heads: Vec::new(),
            obstacles: Vec::new(),
        }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// How many things stand between a camera at `at` and `target`, or right before its lens.
    pub fn blocking(&self, at: V3, target: V3) -> usize {
        let blocks = |instance: &&Instance| instance.blocks(at, target);
        self.scenery.iter().filter(blocks).count()
    }

    /// Where vehicles are, also parked ones, and where people are.
    pub fn busy_places(&self) -> [Vec<V3>; 2] {
        let driven = self.drivers.iter().map(|driver| {
            let (at, _) = driver.pose(&self.routes[driver.route]);
            at
        });
        let parked = self.parked.iter().map(|(.., instance)| instance.at);
        let people = self.walkers.iter().map(|walker| walker.at);
        [driven.chain(parked).collect(), people.collect()]
    }

    /// Puts scenery somewhere.
    fn stand(&mut self, mesh: Mesh, at: V3, yaw: f32, footprint: (f32, f32)) {
        self.scenery.push(Instance {
            form: Form::new(mesh),
            at,
            yaw,
            object: None,
            lit: true,
            brakes: false,
            footprint,
        });
    }

    /// Puts an object that stays somewhere.
    fn park(&mut self, class: Class, vehicle: shapes::Vehicle, at: V3, yaw: f32) {
        let id = self.new_id();
        let footprint = (vehicle.length / 2.0, vehicle.width / 2.0);
        let radius = footprint.0.max(footprint.1);
        self.obstacles.push((at, radius.min(2.0)));
        self.parked.push((
            id,
            class,
            Instance {
                form: Form::new(vehicle.mesh),
                at,
                yaw,
                object: None,
                lit: false,
                brakes: false,
                footprint,
            },
        ));
    }

    /// A street lamp that shines at night; its arm points along `yaw`.
    fn lamp(&mut self, at: V3, yaw: f32, high: f32, colour: V3) {
        self.stand(shapes::lamp_post(high), at, yaw, (0.0, 0.0));
        self.street_lamps.push(Lamp {
            at: at + rotated(v(1.75, 0.0, high + 0.1), yaw),
            yaw: None,
            colour,
            reach: high * 0.8,
            glare: 0.25,
        });
    }

    /// A signal head for an arm.
    fn head(&mut self, at: V3, yaw: f32, arm: usize) {
        let forms = [0, 1, 2].map(|lit| Form::new(traffic_light(lit)));
        self.heads.push((at, yaw, arm, forms));
    }

    /// Lets time pass, at most [`STEP_SECS`] at a time.
    pub fn advance(&mut self, secs: f32) {
        let steps = (secs / STEP_SECS).ceil().max(1.0);
        for _ in 0..steps as usize {
            self.step(secs / steps);
        }
    }

    fn step(&mut self, dt: f32) {
        self.secs += f64::from(dt);
        let discs = self.discs();
        self.drive(&discs, dt);
        self.walk(&discs, dt);
        self.come_and_go(dt);
    }

    /// Everybody's outline on the ground.
    fn discs(&self) -> Vec<Disc> {
        let mut discs = Vec::new();
        for (owner, driver) in self.drivers.iter().enumerate() {
            let (at, yaw) = driver.pose(&self.routes[driver.route]);
            let along = v(yaw.cos(), yaw.sin(), 0.0);
            let radius = driver.width / 2.0;
            let count = ((driver.length / driver.width).ceil() as usize).max(1);
            let reach = (driver.length / 2.0 - radius).max(0.0);
            for i in 0..count {
                let share = if count == 1 {
                    0.0
                } else {
                    i as f32 / (count - 1) as f32 * 2.0 - 1.0
                };
                discs.push(Disc {
                    owner,
                    at: at + along * (reach * share),
                    radius,
                    velocity: along * driver.speed,
                });
            }
        }
        for (index, walker) in self.walkers.iter().enumerate() {
            discs.push(Disc {
                owner: usize::MAX - index,
                at: walker.at,
                radius: 0.3,
                velocity: walker.velocity,
            });
        }
        discs
    }

    /// All objects now, with the instances that show them and everything else.
    pub fn frame(&self, time: Daytime) -> (Vec<Object>, Vec<Instance>, Vec<Lamp>) {
        let mut objects: Vec<Object> = Vec::new();
        let mut instances = self.scenery.clone();
        let mut lamps = self.street_lamps.clone();
        let add = |objects: &mut Vec<Object>, id: u64, class: Class| {
            objects.push(Object { id, class });
            Some(objects.len() - 1)
        };
        for (at, yaw, arm, forms) in &self.heads {
            let aspect = self.signals.map_or(Aspect::Red, |s| s.arm(*arm, self.secs));
            instances.push(Instance {
                form: Arc::clone(&forms[aspect as usize]),
                at: *at,
                yaw: *yaw,
                object: None,
                lit: true,
                brakes: false,
                footprint: (0.0, 0.0),
            });
        }
        for (id, class, instance) in &self.parked {
            let object = add(&mut objects, *id, *class);
            instances.push(Instance {
                object,
                ..instance.clone()
            });
        }
        for driver in &self.drivers {
            let (at, yaw) = driver.pose(&self.routes[driver.route]);
            let object = add(&mut objects, driver.id, driver.class);
            instances.push(Instance {
                form: Arc::clone(&driver.form),
                at,
                yaw,
                object,
                lit: true,
                brakes: driver.brakes,
                footprint: (driver.length / 2.0, driver.width / 2.0),
            });
            driver.add_lamps(at, yaw, time, &mut lamps);
            if let Some((id, rider)) = &driver.rider {
                let object = add(&mut objects, *id, Class::Person);
                instances.push(Instance {
                    form: Form::new(rider.mesh(driver.posture(), 7)),
                    at: at + rotated(driver.seat(), yaw),
                    yaw,
                    object,
                    lit: true,
                    brakes: false,
                    footprint: (0.0, 0.0),
                });
            }
        }
        for walker in &self.walkers {
            let object = add(&mut objects, walker.id, Class::Person);
            let posture = Posture::Walk {
                phase: walker.phase,
                swing: walker.swing,
            };
            instances.push(Instance {
                form: Form::new(walker.body.mesh(posture, 7)),
                at: walker.at,
                yaw: walker.yaw,
                object,
                lit: true,
                brakes: false,
                footprint: (0.22, 0.22),
            });
        }
        (objects, instances, lamps)
    }
}
