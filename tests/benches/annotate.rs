//! What drawing costs on one core: 20 boxes with labels and trails on a 1080p picture.

#[path = "../support/scene.rs"]
mod scene;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use gantryd::base::{ColorMatrix, ColorRange, PixelFormat, Pts};
use gantryd::sinks::annotate::{AnnotateOptions, Annotator, Canvas, Chroma, PlaneMut};
use scene::Scene;

fn twenty_boxes_on_1080p(criterion: &mut Criterion) {
    for (name, trail) in [("without trails", 0), ("with trails", 2)] {
        let options = AnnotateOptions {
            trail: Duration::from_secs(trail),
            ..AnnotateOptions::default()
        };
        bench(criterion, name, options);
    }
}

fn bench(criterion: &mut Criterion, name: &str, options: AnnotateOptions) {
    let scene = Scene {
        tracks: 20,
        ..Scene::new(1920, 1080, PixelFormat::Nv12)
    };
    let mut annotator = Annotator::new(options, scene::classes());
    let mut result = scene.result(0, Pts(0));
    for seq in 0..50 {
        let pts = Pts(seq * 40_000_000);
        result.meta.pts = pts;
        result.tracks = scene.tracks(seq, pts);
        annotator.observe(&result);
    }
    let size = scene.size;
    let mut luma = vec![90; 1920 * 1080];
    let mut chroma = vec![128; 1920 * 540];
    criterion.bench_function(
        &format!("annotate: 20 boxes and labels, 1080p NV12, {name}"),
        |bench| {
            bench.iter(|| {
                let luma = PlaneMut {
                    data: &mut luma,
                    stride: 1920,
                };
                let chroma = Chroma::Interleaved(PlaneMut {
                    data: &mut chroma,
                    stride: 1920,
                });
                let (matrix, range) = (ColorMatrix::Bt709, ColorRange::Limited);
                let mut canvas = Canvas::new(size, matrix, range, luma, chroma);
                annotator.draw(&mut canvas, &result);
            });
        },
    );
}

criterion_group!(benches, twenty_boxes_on_1080p);
criterion_main!(benches);
