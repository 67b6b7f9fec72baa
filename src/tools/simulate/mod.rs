//! A simulated camera: places with traffic and people, rendered from a seed with exact truth.
//!
//! The same options give the same bytes, on any number of threads. A scene is made of triangles in
//! metres; `world/` moves them, `shapes/` makes them, `render/` turns them into pictures.

mod choices;
mod dataset;
mod material;
mod mesh;
mod render;
mod shapes;
mod truth;
mod view;
mod world;

pub use choices::{Class, Daytime, SceneKind, Weather};
pub use dataset::{Dataset, DatasetError};
pub use truth::{LEAST_SIZE, LEAST_VISIBLE, Truth};

use render::{Camera, Film, Instance, Lamp, Look, Scene, expose};
use world::{Object, World};

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The place.
    pub scene: SceneKind,
    /// Everything random comes from it.
    pub seed: u64,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// The weather.
    pub weather: Weather,
    /// The time of day.
    pub time: Daytime,
    /// How much goes on; 1 is usual, 0 is an empty place.
    pub density: f32,
    /// Spread of the camera's shaking, pixels.
    pub shake: f32,
    /// 0 is a usual camera on a usual pole, 1 draws view, film and light from everything found.
    pub spread: f32,
    /// Horizontal angle of view in degrees; `None` takes what hangs there.
    pub lens: Option<f32>,
}

/// One frame and what is true about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// RGB, three bytes per pixel, row by row.
    pub rgb: Vec<u8>,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// All objects of which something would be seen if nothing stood before it.
    pub truths: Vec<Truth>,
}

/// Everything that makes up one frame.
struct Moment {
    /// Counted from 1.
    number: u64,
    camera: Camera,
    objects: Vec<Object>,
    instances: Vec<Instance>,
    lamps: Vec<Lamp>,
}

/// A place in time with a camera.
#[derive(Debug)]
pub struct Simulation {
    options: Options,
    world: World,
    camera: Camera,
    look: Look,
    film: Film,
    /// Single precision would stand still after some days.
    secs: f64,
    frames: u64,
}

impl Simulation {
    /// A place with everybody on their way.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let mut rng = fastrand::Rng::with_seed(options.seed ^ 0x5eed_ca3e);
        let indoor = options.scene == SceneKind::Warehouse;
        let look = Look::new(
            options.weather,
            options.time,
            indoor,
            options.spread,
            &mut rng,
        );
        let size = (options.size.0 as usize, options.size.1 as usize);
        let world = World::new(
            options.scene,
            options.density,
            options.spread > 0.5,
            options.seed,
        );
        let camera = view::camera(&world, size, options, &mut rng);
        Self {
            options: options.clone(),
            world,
            camera,
            look,
            film: Film::new(),
            secs: 0.0,
            frames: 0,
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, secs: f32) {
        self.world.advance(secs);
        self.secs += f64::from(secs);
    }

    /// The picture of this moment.
    pub fn picture(&mut self) -> Picture {
        let moment = self.moment();
        self.develop(&moment)
    }

    /// The next `count` pictures, `secs` apart, rendered side by side.
    pub fn pictures(&mut self, count: usize, secs: f32) -> Vec<Picture> {
        let moments: Vec<Moment> = (0..count)
            .map(|_| {
                let moment = self.moment();
                self.advance(secs);
                moment
            })
            .collect();
        let simulation = &*self;
        std::thread::scope(|scope| {
            let threads: Vec<_> = moments
                .iter()
                .map(|moment| scope.spawn(|| simulation.develop(moment)))
                .collect();
            threads
                .into_iter()
                .map(|thread| match thread.join() {
                    Ok(picture) => picture,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        })
    }

    fn moment(&mut self) -> Moment {
        let (objects, instances, lamps) = self.world.frame(self.options.time);
        let (dx, dy) = self.shaking();
        self.frames += 1;
        Moment {
            number: self.frames,
            camera: self.camera.shaken(dx, dy),
            objects,
            instances,
            lamps,
        }
    }

    fn develop(&self, moment: &Moment) -> Picture {
        let Moment {
            number,
            camera,
            objects,
            instances,
            lamps,
        } = moment;
        let scene = Scene {
            camera,
            look: &self.look,
            ground: &self.world.ground,
            instances,
            lamps,
            objects: objects.len(),
        };
        let exposure = expose(&scene);
        let truths = objects
            .iter()
            .zip(&exposure.extents)
            .filter(|(_, extent)| extent.whole > 0)
            .map(|(object, extent)| Truth {
                id: object.id,
                class: object.class,
                ltrb: extent.ltrb,
                visibility: extent.visibility(),
            })
            .collect();
        let seed = self
            .options
            .seed
            .wrapping_add(number.wrapping_mul(0x9e37_79b9));
        let mut rng = fastrand::Rng::with_seed(seed);
        let rgb = self
            .film
            .develop(&exposure, camera, &self.look, lamps, &mut rng);
        Picture {
            rgb,
            size: self.options.size,
            truths,
        }
    }

    /// A pole in the wind: a few slow swings and a little trembling, pixels.
    fn shaking(&self) -> (f32, f32) {
        let swing = |rate: f64, shift: f64| (self.secs * rate + shift).sin() as f32;
        let x = swing(3.1, 0.0) * 0.6 + swing(7.7, 1.0) * 0.3 + swing(23.0, 2.0) * 0.2;
        let y = swing(2.3, 4.0) * 0.5 + swing(9.1, 5.0) * 0.3 + swing(27.0, 6.0) * 0.2;
        (x * self.options.shake, y * self.options.shake)
    }
}
