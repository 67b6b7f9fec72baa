//! The camera's motion from a full HD picture on one core: `cargo bench --bench motion`. Counts CPU
//! time, so that other work on the machine disturbs little.

#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use gantryd::base::{BBox, Plane, Size, thread_cpu_time};
use gantryd::perception::motion::MotionEstimator;

const SIZE: Size = Size {
    width: 1920,
    height: 1080,
};

/// A textured wall that moved by so many pixels.
fn wall(shift: f64) -> Vec<u8> {
    (0..SIZE.height)
        .flat_map(|y| (0..SIZE.width).map(move |x| (f64::from(x) - shift, f64::from(y) - shift)))
        .map(|(x, y)| {
            let sum = (x / 17.0).sin() * (y / 23.0).cos() + ((x + y) / 9.0).sin();
            (128.0 + 50.0 * sum).clamp(0.0, 255.0) as u8
        })
        .collect()
}

fn full_hd(c: &mut Criterion) {
    let pictures = [wall(0.0), wall(6.5)];
    let objects: Vec<BBox> = (0..20u8)
        .filter_map(|n| BBox::from_cxcywh(60.0 + 95.0 * f32::from(n), 500.0, 50.0, 120.0))
        .collect();
    let stride = SIZE.width as usize;
    c.bench_function("motion/1080p, 20 objects", |bencher| {
        let mut estimator = MotionEstimator::default();
        let mut number = 0;
        bencher.iter_custom(|count| {
            let before = thread_cpu_time();
            for _ in 0..count {
                let data = &pictures[number % 2];
                number += 1;
                black_box(estimator.step(Plane { data, stride }, SIZE));
                estimator.choose_points(objects.iter().copied());
            }
            thread_cpu_time().saturating_sub(before)
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3));
    targets = full_hd
}
criterion_main!(benches);
