//! Light and colour of each pixel.

use super::cover::Cover;
use super::lamps::FloorLight;
use super::noise::hash;
use super::shadow::Shadow;
use super::sky::{mirrored, sky};
use super::surface::{Lit, Skin, skin};
use super::{Drawn, SAMPLES, Scene};
use crate::tools::simulate::mesh::{V3, rotated, unit, v};

/// Beyond this nothing is told from the horizon, metres.
const FAR: f32 = 900.0;

/// Everything that lights a point.
struct Lighting<'s> {
    scene: &'s Scene<'s>,
    shadow: &'s Shadow,
    floor: &'s FloorLight,
}

/// A point to be lit.
struct Spot {
    at: V3,
    normal: V3,
    /// From the camera, unit length.
    view: V3,
    distance: f32,
    /// 0 to 1, different from pixel to pixel.
    turn: f32,
}

/// Linear light of all pixels, row by row.
pub(super) fn shade(
    scene: &Scene<'_>,
    cover: &Cover,
    drawn: &[Drawn],
    shadow: &Shadow,
    floor: &FloorLight,
) -> Vec<V3> {
    let lighting = Lighting {
        scene,
        shadow,
        floor,
    };
    let (width, height) = (scene.camera.width, scene.camera.height);
    let mut light = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            light.push(pixel(&lighting, cover, drawn, x, y));
        }
    }
    light
}

fn pixel(lighting: &Lighting<'_>, cover: &Cover, drawn: &[Drawn], x: usize, y: usize) -> V3 {
    const COUNT: usize = SAMPLES * SAMPLES;
    let mut samples = [0_u32; COUNT];
    for (i, sample) in samples.iter_mut().enumerate() {
        let row = y * SAMPLES + i / SAMPLES;
        *sample = cover.nearest[row * cover.width + x * SAMPLES + i % SAMPLES];
    }
    let mut sum = V3::zeros();
    for i in 0..COUNT {
        let number = samples[i];
        if samples[..i].contains(&number) {
            continue;
        }
        // The middle of the samples that show this triangle.
        let (mut px, mut py, mut count) = (0.0, 0.0, 0.0);
        for (j, &other) in samples.iter().enumerate() {
            if other == number {
                px += ((j % SAMPLES) as f32 + 0.5) / SAMPLES as f32;
                py += ((j / SAMPLES) as f32 + 0.5) / SAMPLES as f32;
                count += 1.0;
            }
        }
        let (px, py) = (x as f32 + px / count, y as f32 + py / count);
        let turn = hash(x as i32, y as i32);
        let colour = match (number as usize).checked_sub(1) {
            Some(triangle) => lighting.triangle(&drawn[triangle], px, py, turn),
            None => lighting.background(px, py, turn),
        };
        sum += colour * (count / COUNT as f32);
    }
    sum
}

impl Lighting<'_> {
    fn background(&self, x: f32, y: f32, turn: f32) -> V3 {
        let (scene, camera) = (self.scene, self.scene.camera);
        let ray = camera.ray(x, y);
        let view = unit(ray);
        let distance = if ray.z < -1e-4 {
            camera.at.z / -view.z
        } else {
            FAR * 2.0
        };
        if distance > FAR {
            let colour = if scene.look.indoor {
                scene.look.fog_colour
            } else {
                sky(scene.look, view)
            };
            let share = (1.0 - view.z * 6.0).clamp(0.0, 1.0);
            return colour.lerp(
                &scene.look.fog_colour,
                share * (scene.look.fog * 120.0).min(1.0),
            );
        }
        let at = camera.at + view * distance;
        let across = distance / camera.focal;
        let along = across / (-view.z).max(0.05);
        let flat = (view.x * view.x + view.y * view.y).sqrt().max(1e-3);
        let albedo = scene.ground.colour(
            at.x,
            at.y,
            (across, along),
            (view.x / flat, view.y / flat),
            scene.look,
        );
        let gloss = match (scene.look.indoor, scene.look.wet > 0.0) {
            (true, _) => 0.035,
            (false, false) => 0.0,
            (false, true) => {
                let puddle = super::noise::clouds(at.x * 0.13 + scene.look.seed, at.y * 0.13);
                0.09 * scene.look.wet * (0.5 + puddle).clamp(0.1, 1.0)
            }
        };
        let skin = Skin {
            albedo,
            mirror: gloss,
            glow: V3::zeros(),
        };
        let spot = Spot {
            at,
            normal: v(0.0, 0.0, 1.0),
            view,
            distance,
            turn,
        };
        self.lit(&spot, skin)
    }

    fn triangle(&self, triangle: &Drawn, x: f32, y: f32, turn: f32) -> V3 {
        let (scene, camera) = (self.scene, self.scene.camera);
        let ray = camera.ray(x, y);
        let [a, b, c] = triangle.corners;
        let (ab, ac) = (b - a, c - a);
        let plane = ab.cross(&ac);
        let towards = plane.dot(&ray);
        let depth = if towards.abs() < 1e-9 {
            1.0
        } else {
            plane.dot(&(a - camera.at)) / towards
        };
        let at = camera.at + ray * depth;
        let offset = at - a;
        let square = plane.norm_squared().max(1e-12);
        let share_b = (offset.cross(&ac).dot(&plane) / square).clamp(0.0, 1.0);
        let share_c = (ab.cross(&offset).dot(&plane) / square).clamp(0.0, 1.0);
        let [na, nb, nc] = triangle.normals;
        let mut normal = unit(na * (1.0 - share_b - share_c) + nb * share_b + nc * share_c);
        let view = unit(ray);
        if normal.dot(&view) > 0.0 {
            normal = -normal;
        }
        let instance = &scene.instances[triangle.instance as usize];
        let material = &instance.form.mesh.materials[triangle.material as usize];
        let local = rotated(at - instance.at, -instance.yaw);
        let seed = match instance.object {
            Some(object) => object as f32 * 3.7,
            None => triangle.instance as f32 * 5.3,
        };
        let distance = (at - camera.at).norm();
        let lit = Lit {
            night: scene.look.lamps && instance.lit,
            brakes: instance.brakes,
        };
        let local_normal = rotated(normal, -instance.yaw);
        let skin = skin(
            material,
            local,
            local_normal,
            seed,
            distance / camera.focal,
            lit,
        );
        let spot = Spot {
            at,
            normal,
            view,
            distance,
            turn,
        };
        self.lit(&spot, skin)
    }

    fn lit(&self, spot: &Spot, skin: Skin) -> V3 {
        let look = self.scene.look;
        let Spot {
            at, normal, view, ..
        } = *spot;
        // Near the ground less of the sky is open.
        let low = (1.0 - at.z / 0.9).clamp(0.0, 1.0);
        let open = 1.0 + (self.floor.open(at.x, at.y) - 1.0) * low;
        let up = normal.z * 0.5 + 0.5;
        let sky = look.sky_up * 0.55 + look.sky_horizon * 0.45;
        let ambient = look.bounce.lerp(&(sky * 0.62), up) * open;
        let facing = normal.dot(&look.sun_direction);
        let mut direct = V3::zeros();
        if facing > 0.0 && look.sun.x > 0.001 {
            let start = at + normal * 0.03;
            direct = look.sun * (facing * self.shadow.lit(start, spot.turn));
        }
        let mut lamps = V3::zeros();
        if look.lamps {
            lamps = self.floor.light(at.x, at.y) * (0.45 + 0.55 * up) * (0.35 + 0.65 * open);
        }
        let mut colour = skin.albedo.component_mul(&(ambient + direct + lamps)) + skin.glow;
        if skin.mirror > 0.0 {
            let cosine = (-view.dot(&normal)).clamp(0.0, 1.0);
            let share = skin.mirror + (1.0 - skin.mirror) * (1.0 - cosine).powi(5) * 0.7;
            let direction = view + normal * (2.0 * cosine);
            let mut seen = mirrored(look, direction) * (0.3 + 0.7 * open);
            let spark = direction.dot(&look.sun_direction).max(0.0);
            if direct.x > 0.0 && spark > 0.9 {
                seen += look.sun * (spark.powi(180) * 9.0 + spark.powi(30) * 0.5);
            }
            seen += lamps * 0.25;
            colour = colour * (1.0 - share) + seen * share;
        }
        let air = (-look.fog * spot.distance).exp();
        look.fog_colour.lerp(&colour, air)
    }
}
