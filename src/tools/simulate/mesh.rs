//! Triangle meshes and the few forms everything is put together from.
//!
//! Local space of an object in metres: x forward, y left, z up, the origin on the ground.

use nalgebra::Vector3;

use super::material::Material;

pub(super) type V3 = Vector3<f32>;

pub(super) fn v(x: f32, y: f32, z: f32) -> V3 {
    V3::new(x, y, z)
}

/// One triangle: corners, a normal at each, and what it is made of.
#[derive(Debug, Clone)]
pub(super) struct Face {
    pub corners: [V3; 3],
    pub normals: [V3; 3],
    pub material: u16,
}

/// A form with its materials.
#[derive(Debug, Clone, Default)]
pub(super) struct Mesh {
    pub faces: Vec<Face>,
    pub materials: Vec<Material>,
}

impl Mesh {
    /// Adds a material and gives its number.
    pub fn material(&mut self, material: Material) -> u16 {
        self.materials.push(material);
        u16::try_from(self.materials.len() - 1).unwrap_or(0)
    }

    pub fn triangle(&mut self, corners: [V3; 3], material: u16) {
        let normal = flat_normal(&corners);
        self.faces.push(Face {
            corners,
            normals: [normal; 3],
            material,
        });
    }

    pub fn quad(&mut self, [a, b, c, d]: [V3; 4], material: u16) {
        self.triangle([a, b, c], material);
        self.triangle([a, c, d], material);
    }

    /// A box between two opposite corners.
    pub fn cuboid(&mut self, low: V3, high: V3, material: u16) {
        let corner = |i: u8| {
            let pick = |bit: u8, low: f32, high: f32| if i & bit == 0 { low } else { high };
            v(
                pick(1, low.x, high.x),
                pick(2, low.y, high.y),
                pick(4, low.z, high.z),
            )
        };
        for side in [
            [0, 2, 3, 1],
            [4, 5, 7, 6],
            [0, 1, 5, 4],
            [2, 6, 7, 3],
            [0, 4, 6, 2],
            [1, 3, 7, 5],
        ] {
            self.quad(side.map(corner), material);
        }
    }

    /// A skin over rings with equally many points each; `closed` joins the last point of each ring
    /// with its first. `material` is asked for each patch (ring, point). `smooth` 0 has hard edges,
    /// 1 none.
    pub fn loft(
        &mut self,
        rings: &[Vec<V3>],
        closed: bool,
        smooth: f32,
        material: impl Fn(usize, usize) -> Option<u16>,
    ) {
        let Some(count) = rings.first().map(Vec::len) else {
            return;
        };
        let patches = if closed {
            count
        } else {
            count.saturating_sub(1)
        };
        let mut normals = vec![vec![V3::zeros(); count]; rings.len()];
        let quad = |i: usize, j: usize| {
            let k = (j + 1) % count;
            [(i, j), (i + 1, j), (i + 1, k), (i, k)]
        };
        for i in 0..rings.len().saturating_sub(1) {
            for j in 0..patches {
                let places = quad(i, j);
                let [a, b, c, d] = places.map(|(i, j)| rings[i][j]);
                let normal = (c - a).cross(&(d - b));
                for (i, j) in places {
                    normals[i][j] += normal;
                }
            }
        }
        for i in 0..rings.len().saturating_sub(1) {
            for j in 0..patches {
                let Some(material) = material(i, j) else {
                    continue;
                };
                let places = quad(i, j);
                for places in [
                    [places[0], places[1], places[2]],
                    [places[0], places[2], places[3]],
                ] {
                    let corners = places.map(|(i, j)| rings[i][j]);
                    let flat = flat_normal(&corners);
                    if flat == V3::zeros() {
                        continue;
                    }
                    let normals = places.map(|(i, j)| {
                        let soft = unit(normals[i][j]);
                        unit(flat * (1.0 - smooth) + soft * smooth * soft.dot(&flat).signum())
                    });
                    self.faces.push(Face {
                        corners,
                        normals,
                        material,
                    });
                }
            }
        }
    }

    /// A round bar from `a` to `b`, thick `ra` and `rb`, with closed ends.
    pub fn bar(&mut self, a: V3, b: V3, (ra, rb): (f32, f32), sides: usize, material: u16) {
        let axis = unit(b - a);
        let side = if axis.z.abs() > 0.9 {
            v(1.0, 0.0, 0.0)
        } else {
            v(0.0, 0.0, 1.0)
        };
        let u = unit(axis.cross(&side));
        let w = axis.cross(&u);
        let ring = |centre: V3, radius: f32| -> Vec<V3> {
            (0..sides)
                .map(|i| {
                    let (s, c) = (i as f32 / sides as f32 * std::f32::consts::TAU).sin_cos();
                    centre + (u * c + w * s) * radius
                })
                .collect()
        };
        let rings = [ring(a, ra), ring(b, rb)];
        self.loft(&rings, true, 1.0, |_, _| Some(material));
        for (centre, ring) in [(a, &rings[0]), (b, &rings[1])] {
            for i in 0..sides {
                self.triangle([centre, ring[i], ring[(i + 1) % sides]], material);
            }
        }
    }

    /// An ellipsoid.
    pub fn ellipsoid(&mut self, centre: V3, radii: V3, sides: usize, material: u16) {
        let stacks = sides.div_ceil(2) + 1;
        let rings: Vec<Vec<V3>> = (0..=stacks)
            .map(|stack| {
                let (sin, cos) = (stack as f32 / stacks as f32 * std::f32::consts::PI).sin_cos();
                (0..sides)
                    .map(|i| {
                        let (s, c) = (i as f32 / sides as f32 * std::f32::consts::TAU).sin_cos();
                        centre + v(c * sin, s * sin, cos).component_mul(&radii)
                    })
                    .collect()
            })
            .collect();
        self.loft(&rings, true, 1.0, |_, _| Some(material));
    }

    /// Puts `other` in, turned by `yaw` and moved.
    pub fn insert(&mut self, other: &Self, at: V3, yaw: f32) {
        let first = u16::try_from(self.materials.len()).unwrap_or(0);
        self.materials.extend(other.materials.iter().cloned());
        let turn = |p: V3| rotated(p, yaw);
        self.faces.extend(other.faces.iter().map(|face| Face {
            corners: face.corners.map(|p| turn(p) + at),
            normals: face.normals.map(turn),
            material: face.material + first,
        }));
    }
}

/// `p` turned about the vertical axis.
pub(super) fn rotated(p: V3, yaw: f32) -> V3 {
    let (s, c) = yaw.sin_cos();
    v(p.x * c - p.y * s, p.x * s + p.y * c, p.z)
}

/// The direction of `p`; nought stays nought.
pub(super) fn unit(p: V3) -> V3 {
    p.try_normalize(1e-9).unwrap_or_else(V3::zeros)
}

fn flat_normal(corners: &[V3; 3]) -> V3 {
    unit((corners[1] - corners[0]).cross(&(corners[2] - corners[0])))
}
