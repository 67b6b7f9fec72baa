//! A pinhole camera on a pole.

use crate::tools::simulate::mesh::{V3, unit, v};

/// Nothing nearer than this is drawn, metres.
const NEAR: f32 = 0.2;

/// Where the camera is and what it sees.
#[derive(Debug, Clone)]
pub(in crate::tools::simulate) struct Camera {
    pub at: V3,
    pub right: V3,
    pub down: V3,
    pub forward: V3,
    /// Pixels.
    pub focal: f32,
    pub width: usize,
    pub height: usize,
}

impl Camera {
    /// A camera at `at` that looks at `target`; `fov` is the horizontal angle of view and `roll` the
    /// turn about the line of sight, both in radians.
    pub fn looking(
        at: V3,
        target: V3,
        (fov, roll): (f32, f32),
        (width, height): (usize, usize),
    ) -> Self {
        let forward = unit(target - at);
        let level = unit(forward.cross(&v(0.0, 0.0, 1.0)));
        let under = forward.cross(&level);
        let (s, c) = roll.sin_cos();
        Self {
            at,
            right: level * c + under * s,
            down: under * c - level * s,
            forward,
            focal: width as f32 / 2.0 / (fov / 2.0).tan(),
            width,
            height,
        }
    }

    /// The same, turned by so many pixels: a pole in the wind.
    pub fn shaken(&self, dx: f32, dy: f32) -> Self {
        let forward =
            unit(self.forward + self.right * (dx / self.focal) + self.down * (dy / self.focal));
        let right = unit(self.down.cross(&forward));
        Self {
            forward,
            right,
            down: forward.cross(&right),
            ..self.clone()
        }
    }

    /// Camera space: right, down, forward.
    pub fn local(&self, p: V3) -> V3 {
        let d = p - self.at;
        v(d.dot(&self.right), d.dot(&self.down), d.dot(&self.forward))
    }

    /// Pixels of a point in camera space, and the inverse of its depth.
    pub fn image(&self, local: V3) -> V3 {
        let inverse = 1.0 / local.z;
        v(
            self.width as f32 / 2.0 + local.x * inverse * self.focal,
            self.height as f32 / 2.0 + local.y * inverse * self.focal,
            inverse,
        )
    }

    /// Direction through a pixel; its part along the line of sight is 1.
    pub fn ray(&self, x: f32, y: f32) -> V3 {
        self.forward
            + self.right * ((x - self.width as f32 / 2.0) / self.focal)
            + self.down * ((y - self.height as f32 / 2.0) / self.focal)
    }

    /// Can a sphere touch the picture?
    pub fn may_see(&self, centre: V3, radius: f32) -> bool {
        let p = self.local(centre);
        if p.z < -radius {
            return false;
        }
        let beyond = |offset: f32, half: f32| {
            let slope = half / self.focal;
            (offset.abs() - slope * p.z) / (1.0 + slope * slope).sqrt() > radius
        };
        !beyond(p.x, self.width as f32 / 2.0) && !beyond(p.y, self.height as f32 / 2.0)
    }

    /// A triangle in pixels, cut at the near plane: none, one or two triangles.
    pub fn project(&self, corners: &[V3; 3], mut draw: impl FnMut([V3; 3])) {
        let local = corners.map(|corner| self.local(corner));
        if local.iter().all(|p| p.z >= NEAR) {
            draw(local.map(|p| self.image(p)));
            return;
        }
        let mut kept: [V3; 4] = [V3::zeros(); 4];
        let mut count = 0;
        for i in 0..3 {
            let (a, b) = (local[i], local[(i + 1) % 3]);
            if a.z >= NEAR {
                kept[count] = a;
                count += 1;
            }
            if (a.z >= NEAR) != (b.z >= NEAR) {
                kept[count] = a + (b - a) * ((NEAR - a.z) / (b.z - a.z));
                count += 1;
            }
        }
        for i in 2..count {
            draw([kept[0], kept[i - 1], kept[i]].map(|p| self.image(p)));
        }
    }
}
