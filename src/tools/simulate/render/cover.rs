//! Which triangle covers each sample: a depth buffer with the number of the nearest triangle.

use std::ops::Range;

use super::camera::Camera;
use super::{Drawn, SAMPLES, Scene};
use crate::tools::simulate::mesh::V3;

/// What is seen of one object.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::tools::simulate) struct Extent {
    /// Left, top, right, bottom of all its samples within the frame, pixels, also of the hidden ones.
    pub ltrb: [f32; 4],
    /// Samples the object would have if nothing stood before it.
    pub whole: u32,
    /// Samples that show it.
    pub seen: u32,
}

/// The samples of a picture.
#[derive(Debug)]
pub(super) struct Cover {
    pub width: usize,
    height: usize,
    /// Inverse of the depth; larger is nearer, 0 is nothing.
    depth: Vec<f32>,
    /// Number of the triangle plus 1; 0 is none.
    pub nearest: Vec<u32>,
}

/// The samples of one row that a triangle covers.
struct Span {
    row: usize,
    from: usize,
    to: usize,
}

/// The first sample whose middle is not before `edge`.
fn next(edge: f32) -> usize {
    let from = (edge - 0.5).max(0.0);
    let whole = from as usize;
    whole + usize::from((whole as f32) < from)
}

/// Calls `span` for each row of samples inside the triangle; corners in samples.
fn spans(corners: [V3; 3], (width, height): (usize, usize), mut span: impl FnMut(Span)) {
    let mut by_row = corners;
    by_row.sort_by(|a, b| a.y.total_cmp(&b.y));
    let [top, middle, bottom] = by_row;
    let first = next(top.y);
    let end = next(bottom.y).min(height);
    let edge = |a: V3, b: V3, y: f32| a.x + (b.x - a.x) * ((y - a.y) / (b.y - a.y));
    for row in first..end {
        let y = row as f32 + 0.5;
        let long = edge(top, bottom, y);
        let short = if y < middle.y {
            edge(top, middle, y)
        } else {
            edge(middle, bottom, y)
        };
        let (left, right) = if long < short {
            (long, short)
        } else {
            (short, long)
        };
        let from = next(left);
        let to = next(right).min(width);
        if from < to {
            span(Span { row, from, to });
        }
    }
}

impl Cover {
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            depth: vec![0.0; width * height],
            nearest: vec![0; width * height],
        }
    }

    /// Draws a triangle of the world.
    pub fn draw(&mut self, camera: &Camera, corners: &[V3; 3], number: u32) {
        camera.project(corners, |image| self.flat(in_samples(image), number));
    }

    /// Draws a triangle in samples; z is the inverse of the depth.
    pub fn flat(&mut self, corners: [V3; 3], number: u32) {
        let [a, b, c] = corners;
        let area = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
        if area.abs() < 1e-6 {
            return;
        }
        let along_x = ((b.z - a.z) * (c.y - a.y) - (c.z - a.z) * (b.y - a.y)) / area;
        let along_y = ((c.z - a.z) * (b.x - a.x) - (b.z - a.z) * (c.x - a.x)) / area;
        let (width, nearest, depth) = (self.width, &mut self.nearest, &mut self.depth);
        spans(corners, (width, self.height), |span| {
            let y = span.row as f32 + 0.5 - a.y;
            let start = a.z + along_y * y + along_x * (span.from as f32 + 0.5 - a.x);
            let place = span.row * width;
            let depths = &mut depth[place + span.from..place + span.to];
            let numbers = &mut nearest[place + span.from..place + span.to];
            for (i, (depth, nearest)) in depths.iter_mut().zip(numbers).enumerate() {
                let z = start + along_x * i as f32;
                if z > *depth {
                    *depth = z;
                    *nearest = number;
                }
            }
        });
    }

    /// Depth value of a sample.
    pub fn depth(&self, x: usize, y: usize) -> f32 {
        self.depth[y * self.width + x]
    }

    /// Extent, size and visible part of each object.
    pub fn extents(
        &self,
        scene: &Scene<'_>,
        drawn: &[Drawn],
        ranges: &[Range<usize>],
    ) -> Vec<Extent> {
        let mut extents = vec![Extent::default(); scene.objects];
        let object = |instance: u32| scene.instances[instance as usize].object;
        for &number in &self.nearest {
            if let Some(triangle) = (number as usize).checked_sub(1).map(|i| &drawn[i])
                && let Some(object) = object(triangle.instance)
            {
                extents[object].seen += 1;
            }
        }
        // One mark per sample and object: an object may consist of several instances.
        let mut marks = vec![0_u32; self.width * self.height];
        let size = (self.width, self.height);
        for (instance, range) in scene.instances.iter().zip(ranges) {
            let Some(object) = instance.object else {
                continue;
            };
            let extent = &mut extents[object];
            for triangle in &drawn[range.clone()] {
                scene.camera.project(&triangle.corners, |image| {
                    spans(in_samples(image), size, |span| {
                        extent.add(&span);
                        let row = span.row * self.width;
                        for mark in &mut marks[row + span.from..row + span.to] {
                            extent.whole += u32::from(*mark != object as u32 + 1);
                            *mark = object as u32 + 1;
                        }
                    });
                });
            }
        }
        extents
    }
}

impl Extent {
    fn add(&mut self, span: &Span) {
        let scale = 1.0 / SAMPLES as f32;
        let span = [
            span.from as f32 * scale,
            span.row as f32 * scale,
            span.to as f32 * scale,
            (span.row + 1) as f32 * scale,
        ];
        let [l, t, r, b] = if self.whole == 0 { span } else { self.ltrb };
        self.ltrb = [
            l.min(span[0]),
            t.min(span[1]),
            r.max(span[2]),
            b.max(span[3]),
        ];
    }

    /// Share of the object's samples that show it, 0 to 1.
    pub fn visibility(&self) -> f32 {
        if self.whole == 0 {
            return 0.0;
        }
        (self.seen as f32 / self.whole as f32).min(1.0)
    }
}

fn in_samples(image: [V3; 3]) -> [V3; 3] {
    let scale = SAMPLES as f32;
    image.map(|p| V3::new(p.x * scale, p.y * scale, p.z))
}
