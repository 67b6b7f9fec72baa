//! Weather and time of day as light, air and film.

use crate::tools::simulate::choices::{Daytime, Weather};
use crate::tools::simulate::mesh::{V3, unit, v};

/// The light of a scene and what the camera makes of it.
#[derive(Debug, Clone)]
pub(in crate::tools::simulate) struct Look {
    /// Towards the sun (or whatever throws the shadows), unit length.
    pub sun_direction: V3,
    pub sun: V3,
    pub sky_up: V3,
    pub sky_horizon: V3,
    /// Light thrown back by the ground.
    pub bounce: V3,
    /// Half width of the edges of shadows, metres.
    pub shadow_soft: f32,
    /// Share of clouds, -1 to 1.
    pub clouds: f32,
    /// Share of the light lost per metre.
    pub fog: f32,
    pub fog_colour: V3,
    /// 0 dry to 1 wet ground.
    pub wet: f32,
    /// Drops per picture, 0 to 1.
    pub rain: f32,
    /// Lamps are on.
    pub lamps: bool,
    pub indoor: bool,
    pub exposure: f32,
    /// Shifts every pattern.
    pub seed: f32,
    /// Spread of the sensor's noise, of 255.
    pub noise: f32,
    /// Half width of the lens blur, pixels.
    pub blur: f32,
    pub vignette: f32,
    pub saturation: f32,
    pub contrast: f32,
    pub tint: V3,
    /// Is the sharpening of the camera, 0 none.
    pub sharpen: f32,
}

impl Look {
    /// The usual look of a weather and time; `spread` 0 is a good camera, 1 varies everything.
    pub fn new(
        weather: Weather,
        time: Daytime,
        indoor: bool,
        spread: f32,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let turn = rng.f32() * std::f32::consts::TAU;
        let high = match time {
            Daytime::Day => 0.45 + 0.85 * rng.f32(),
            Daytime::Dusk => 0.12 + 0.2 * rng.f32(),
            Daytime::Night => 1.2,
        };
        let sun_direction = unit(v(turn.cos(), turn.sin(), high));
        let mut look = Self {
            sun_direction,
            sun: v(2.6, 2.4, 2.1),
            sky_up: v(0.30, 0.48, 0.85),
            sky_horizon: v(0.78, 0.86, 0.98),
            bounce: v(0.16, 0.155, 0.145),
            shadow_soft: 0.06,
            clouds: rng.f32() - 0.6,
            fog: 0.0007,
            fog_colour: v(0.68, 0.76, 0.86),
            wet: 0.0,
            rain: 0.0,
            lamps: false,
            indoor,
            exposure: 1.05,
            seed: rng.f32() * 100.0,
            noise: 1.6 + spread * 5.0 * rng.f32().powi(2),
            blur: 0.35 + spread * 0.9 * rng.f32().powi(2),
            vignette: 0.12 + 0.2 * rng.f32() * spread,
            saturation: 1.0 + spread * (rng.f32() * 0.9 - 0.6),
            contrast: 1.12 + spread * (rng.f32() * 0.5 - 0.25),
            tint: V3::repeat(1.0)
                + v(rng.f32() - 0.5, (rng.f32() - 0.5) * 0.6, rng.f32() - 0.5) * (0.16 * spread),
            sharpen: 0.3 + spread * 0.5 * rng.f32(),
        };
        look.daytime(time, rng);
        if indoor {
            look.under_a_roof(time, rng);
        } else {
            look.weather(weather, time, rng);
        }
        look.exposure *= 1.0 + spread * (rng.f32() * 0.9 - 0.4);
        look
    }

    fn daytime(&mut self, time: Daytime, rng: &mut fastrand::Rng) {
        match time {
            Daytime::Day => {}
            Daytime::Dusk => {
                self.sun = v(1.0, 0.52, 0.26) * (0.3 + rng.f32());
                self.sky_up = v(0.16, 0.22, 0.40);
                self.sky_horizon = v(0.62, 0.46, 0.38);
                self.bounce = v(0.07, 0.06, 0.06);
                self.fog_colour = v(0.42, 0.35, 0.33);
                self.shadow_soft = 0.15;
                self.lamps = true;
                self.exposure = 1.9;
            }
            Daytime::Night => {
                let moon = 0.004 + 0.02 * rng.f32();
                self.sun = v(0.6, 0.7, 1.0) * moon;
                self.sky_up = v(0.5, 0.6, 1.0) * moon * 0.8;
                self.sky_horizon = v(1.1, 0.9, 0.7) * moon * 1.4;
                self.bounce = v(0.006, 0.0055, 0.005);
                self.fog_colour = v(0.03, 0.027, 0.025);
                self.shadow_soft = 0.5;
                self.lamps = true;
                self.exposure = 2.4;
                self.noise = self.noise * 1.6 + 2.0;
            }
        }
    }

    fn weather(&mut self, weather: Weather, time: Daytime, rng: &mut fastrand::Rng) {
        if weather == Weather::Clear {
            return;
        }
        let dim = match time {
            Daytime::Night => 1.0,
            _ => 0.55 + 0.3 * rng.f32(),
        };
        if time != Daytime::Night {
            // The whole sky gives light, most from above: wide, weak shadows under things.
            let level = (self.sky_horizon.sum() / 3.0).max(0.2) * dim;
            let turn = rng.f32() * std::f32::consts::TAU;
            self.sun_direction = unit(v(turn.cos() * 0.25, turn.sin() * 0.25, 1.0));
            self.sun = v(0.95, 0.98, 1.0) * level * 0.75;
            self.sky_up = v(0.96, 0.98, 1.0) * level;
            self.sky_horizon = v(1.0, 1.0, 1.0) * level * 1.05;
            self.fog_colour = v(0.85, 0.88, 0.9) * level;
            self.shadow_soft = 0.7;
            self.clouds = 0.3;
            self.exposure *= 1.15;
        }
        match weather {
            Weather::Rain => {
                self.wet = 0.5 + 0.5 * rng.f32();
                self.rain = 0.25 + 0.75 * rng.f32();
                self.fog = 0.004 + 0.006 * rng.f32();
                self.bounce *= 0.7;
            }
            Weather::Fog => self.fog = 0.005 + 0.02 * rng.f32() * rng.f32(),
            Weather::Overcast => {
                self.fog = 0.0015;
                if rng.f32() < 0.25 {
                    self.wet = 0.6 * rng.f32();
                }
            }
            Weather::Clear => {}
        }
    }

    fn under_a_roof(&mut self, time: Daytime, rng: &mut fastrand::Rng) {
        let level = match time {
            Daytime::Day => 0.50,
            Daytime::Dusk => 0.34,
            Daytime::Night => 0.2,
        } * (0.7 + 0.6 * rng.f32());
        let warm = rng.f32() * 0.2;
        let white = v(1.0 + warm * 0.3, 1.0, 1.0 - warm);
        let turn = rng.f32() * std::f32::consts::TAU;
        self.sun_direction = unit(v(turn.cos() * 0.3, turn.sin() * 0.3, 1.0));
        self.sun = white * level * 0.8;
        self.sky_up = white * level * 0.9;
        self.sky_horizon = white * level * 0.55;
        self.bounce = white * level * 0.28;
        self.shadow_soft = 0.45;
        self.fog = 0.0008;
        self.fog_colour = white * level * 0.4;
        self.lamps = false;
        self.exposure = 1.5 * (0.6 + 0.4 * 0.5 / level).min(2.0);
    }
}
