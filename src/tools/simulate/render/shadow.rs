//! Where the sun does not reach: a depth map seen from the light.

use super::cover::Cover;
use super::{SAMPLES, Scene};
use crate::tools::simulate::mesh::{V3, rotated, unit, v};

/// Cells along each side of the map.
const SIZE: usize = 1024;

/// What lies less than this behind another surface is lit all the same, metres.
const BIAS: f32 = 0.12;

/// Depth map of the light.
#[derive(Debug)]
pub(super) struct Shadow {
    map: Cover,
    right: V3,
    up: V3,
    light: V3,
    middle: V3,
    /// Cells per metre.
    scale: f32,
    /// Half width of the soft edge, cells.
    soft: f32,
}

impl Shadow {
    /// Casts the shadows of everything near what the camera sees.
    pub fn cast(scene: &Scene<'_>) -> Self {
        let camera = scene.camera;
        let size = SIZE.min(64.max(camera.width * SAMPLES));
        let light = scene.look.sun_direction;
        let right = unit(light.cross(&v(0.31, 0.95, 0.0)));
        let up = light.cross(&right);
        // The part of the ground that fills most of the picture.
        let (middle, radius) = watched(scene);
        let mut shadow = Self {
            map: Cover::new(size, size),
            right,
            up,
            light,
            middle,
            scale: size as f32 / (2.0 * radius),
            soft: 0.0,
        };
        shadow.soft = (scene.look.shadow_soft * shadow.scale).max(0.7);
        for instance in scene.instances {
            let form = &instance.form;
            let centre = shadow.cell(rotated(form.centre, instance.yaw) + instance.at);
            let reach = form.radius * shadow.scale;
            let outside = |c: f32| c < -reach || c > size as f32 + reach;
            if outside(centre.x) || outside(centre.y) {
                continue;
            }
            for face in &form.mesh.faces {
                let corners = face
                    .corners
                    .map(|p| shadow.cell(rotated(p, instance.yaw) + instance.at));
                shadow.map.flat(corners, 1);
            }
        }
        shadow
    }

    /// Cells of a point, and its distance towards the light (always positive).
    fn cell(&self, p: V3) -> V3 {
        let d = p - self.middle;
        let half = self.map.width as f32 / 2.0;
        v(
            half + d.dot(&self.right) * self.scale,
            half + d.dot(&self.up) * self.scale,
            1000.0 + d.dot(&self.light),
        )
    }

    /// Share of the light that reaches `p`, 0 to 1; `turn` varies the places that are asked.
    pub fn lit(&self, p: V3, turn: f32) -> f32 {
        let cell = self.cell(p);
        let (s, c) = (turn * std::f32::consts::TAU).sin_cos();
        let bias = BIAS + self.soft / self.scale * 0.25;
        let share = |(radius, x, y): (f32, f32, f32)| {
            let (x, y) = (
                cell.x + x * radius * self.soft,
                cell.y + y * radius * self.soft,
            );
            let size = self.map.width as f32;
            let inside = (0.0..size).contains(&x) && (0.0..size).contains(&y);
            let hidden = inside && self.map.depth(x as usize, y as usize) > cell.z + bias;
            if hidden { 0.0 } else { 1.0 }
        };
        // Two that agree are rarely wrong; only edges ask for more.
        let (first, second) = (share((0.85, c, s)), share((0.85, -c, -s)));
        if first == second {
            return first;
        }
        (first + second + share((0.5, -s, c)) + share((1.0, s, -c))) * 0.25
    }
}

/// Middle and radius of the part of the ground that the shadow map covers.
pub(super) fn watched(scene: &Scene<'_>) -> (V3, f32) {
    let camera = scene.camera;
    let hit = |y: f32| {
        let ray = camera.ray(camera.width as f32 / 2.0, y);
        let distance = if ray.z < -0.01 {
            camera.at.z / -ray.z
        } else {
            1000.0
        };
        camera.at + ray * distance.min(90.0)
    };
    let (near, far) = (hit(camera.height as f32), hit(camera.height as f32 * 0.3));
    let mut middle = (near + far) / 2.0;
    middle.z = 0.0;
    let radius = ((far - near).norm() * 0.62).clamp(12.0, 60.0);
    (middle, radius)
}
