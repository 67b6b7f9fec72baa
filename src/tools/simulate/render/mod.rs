//! From a scene to a picture: what covers each sample, its light and colour, and what a camera
//! makes of it.
//!
//! Samples lie 2 × 2 in each pixel. A first pass finds the nearest triangle of each sample
//! (`cover`), a second lights each triangle once per pixel it is seen in (`shade`): edges are
//! smooth at little more than the cost of one colour per pixel, and the same samples say exactly
//! which object is seen where.

mod camera;
mod cover;
mod film;
mod ground;
mod lamps;
mod look;
mod noise;
mod shade;
mod shadow;
mod sky;
mod surface;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(super) use camera::Camera;
pub(super) use cover::Extent;
pub(super) use film::Film;
pub(super) use ground::{Ground, Paint, Surface};
pub(super) use lamps::Lamp;
pub(super) use look::Look;

use super::mesh::{Mesh, V3, rotated, unit, v};
use cover::Cover;
use lamps::FloorLight;
use shadow::Shadow;

/// Samples per pixel along each axis.
pub(super) const SAMPLES: usize = 2;

/// A mesh ready to be placed many times.
#[derive(Debug)]
pub(super) struct Form {
    pub mesh: Mesh,
    /// Middle of the sphere that holds it, local.
    centre: V3,
    radius: f32,
    /// Highest point, local.
    top: f32,
}

impl Form {
    pub fn new(mesh: Mesh) -> Arc<Self> {
        let corners = || mesh.faces.iter().flat_map(|face| face.corners);
        let low = corners().fold(v(1e9, 1e9, 1e9), |a, b| a.inf(&b));
        let high = corners().fold(v(-1e9, -1e9, -1e9), |a, b| a.sup(&b));
        let centre = (low + high) / 2.0;
        let radius = corners()
            .map(|corner| (corner - centre).norm())
            .fold(0.0, f32::max);
        Arc::new(Self {
            mesh,
            centre,
            radius,
            top: high.z,
        })
    }
}

/// A form at its place.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub form: Arc<Form>,
    pub at: V3,
    pub yaw: f32,
    /// Index of the object in the truth; `None` for what is only scenery.
    pub object: Option<usize>,
    /// Lamps are on at night.
    pub lit: bool,
    /// Brake lamps are on.
    pub brakes: bool,
    /// Half length and half width of its shade on the ground; nought for none.
    pub footprint: (f32, f32),
}

impl Instance {
    /// Does it stand so near to `at`, or so full in the way to `target`, that a camera there would
    /// see little else?
    pub fn blocks(&self, at: V3, target: V3) -> bool {
        let (long, wide) = self.footprint;
        if self.form.radius < 7.0 && long < 3.0 {
            let centre = rotated(self.form.centre, self.yaw) + self.at;
            let radius = self.form.radius;
            // Right before the lens, or a crown in the middle of the picture.
            let along = unit(target - at);
            let ahead = (centre - at)
                .dot(&along)
                .clamp(0.0, (target - at).norm() * 0.7);
            let aside = (at + along * ahead - centre).norm();
            return (centre - at).norm() < radius * 0.9 + 0.7 || long > 0.5 && aside < radius * 0.7;
        }
        (0..=8).any(|i| {
            let p = at.lerp(&target, i as f32 / 8.0 * 0.8);
            let local = rotated(p - self.at, -self.yaw);
            let near = |c: f32, half: f32| half > 0.0 && c.abs() < half + 2.0;
            near(local.x, long) && near(local.y, wide) && p.z < self.at.z + self.form.top + 3.0
        })
    }
}

/// A triangle in the world.
#[derive(Debug, Clone)]
struct Drawn {
    corners: [V3; 3],
    normals: [V3; 3],
    instance: u32,
    material: u16,
}

/// All that is in one frame.
#[derive(Debug)]
pub(super) struct Scene<'s> {
    pub camera: &'s Camera,
    pub look: &'s Look,
    pub ground: &'s Ground,
    pub instances: &'s [Instance],
    pub lamps: &'s [Lamp],
    /// How many objects the truth has.
    pub objects: usize,
}

/// Linear light per pixel, row by row, and what is seen of each object.
#[derive(Debug)]
pub(super) struct Exposure {
    pub light: Vec<V3>,
    pub extents: Vec<Extent>,
}

/// Renders one frame of `width` × `height` pixels as the camera is set.
pub(super) fn expose(scene: &Scene<'_>) -> Exposure {
    let camera = scene.camera;
    let (drawn, ranges) = place(scene);
    let mut cover = Cover::new(camera.width * SAMPLES, camera.height * SAMPLES);
    for (number, triangle) in drawn.iter().enumerate() {
        cover.draw(camera, &triangle.corners, number as u32 + 1);
    }
    let extents = cover.extents(scene, &drawn, &ranges);
    let shadow = Shadow::cast(scene);
    let floor = FloorLight::gather(scene);
    let light = shade::shade(scene, &cover, &drawn, &shadow, &floor);
    Exposure { light, extents }
}

/// The triangles of everything that can be seen, and which of them belong to each instance.
fn place(scene: &Scene<'_>) -> (Vec<Drawn>, Vec<std::ops::Range<usize>>) {
    let mut drawn = Vec::new();
    let mut ranges = Vec::with_capacity(scene.instances.len());
    for (number, instance) in scene.instances.iter().enumerate() {
        let first = drawn.len();
        let form = &instance.form;
        let centre = rotated(form.centre, instance.yaw) + instance.at;
        if scene.camera.may_see(centre, form.radius) {
            let turn = |p: V3| rotated(p, instance.yaw);
            drawn.extend(form.mesh.faces.iter().map(|face| Drawn {
                corners: face.corners.map(|p| turn(p) + instance.at),
                normals: face.normals.map(turn),
                instance: number as u32,
                material: face.material,
            }));
        }
        ranges.push(first..drawn.len());
    }
    (drawn, ranges)
}
