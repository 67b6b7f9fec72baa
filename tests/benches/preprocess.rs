//! Planes → tensor on one core: `cargo bench --bench preprocess`. Counts CPU time, so that other
//! work on the machine disturbs little.

#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use gantryd::base::{
    ColorMatrix, ColorRange, OwnedPlanes, PixelFormat, Pixels, Size, thread_cpu_time,
};
use gantryd::perception::detect::{
    BatchAxis, ChannelOrder, Dtype, Element, InputPlan, Layout, LetterboxAnchor, Padding,
    Preprocessor, Resize,
};

const FULL_HD: Size = Size {
    width: 1920,
    height: 1080,
};

/// Planes full of noise that does not repeat within a row.
fn noise(format: PixelFormat) -> Pixels {
    let mut state = 1u32;
    let mut plane = |width: usize, height: usize| {
        let bytes = (0..width * height).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        (bytes.collect::<Vec<u8>>(), width)
    };
    let planes = match format {
        PixelFormat::Nv12 => vec![plane(1920, 1080), plane(1920, 540)],
        PixelFormat::I420 => vec![plane(1920, 1080), plane(960, 540), plane(960, 540)],
    };
    Pixels {
        format,
        matrix: ColorMatrix::Bt709,
        range: ColorRange::Limited,
        planes: Arc::new(OwnedPlanes(planes)),
    }
}

fn plan(side: usize, layout: Layout, dtype: Dtype) -> InputPlan {
    InputPlan {
        name: "images".into(),
        layout,
        dtype,
        width: side,
        height: side,
        batch: BatchAxis::Fixed(1),
        order: ChannelOrder::Rgb,
        mean: [0.0; 3],
        std: [255.0; 3],
        resize: Resize::Letterbox {
            anchor: LetterboxAnchor::Center,
            pad: 114,
        },
        extra: Vec::new(),
    }
}

fn measure<T: Element>(
    c: &mut Criterion,
    name: &str,
    plan: InputPlan,
    format: PixelFormat,
    zero: T,
) {
    let pixels = noise(format);
    let mut preprocessor = Preprocessor::new(plan);
    let mut slot = vec![zero; preprocessor.slot_len()];
    let first = preprocessor.write(FULL_HD, &pixels, &mut slot, Padding::Write);
    assert!(first.is_ok());
    c.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let start = thread_cpu_time();
            for _ in 0..times {
                let written =
                    preprocessor.write(FULL_HD, black_box(&pixels), &mut slot, Padding::Kept);
                assert!(written.is_ok());
            }
            thread_cpu_time() - start
        });
    });
}

fn all(c: &mut Criterion) {
    use PixelFormat::{I420, Nv12};
    let (nchw, nhwc) = (Layout::Nchw, Layout::Nhwc);
    measure(
        c,
        "1080p nv12 -> 640 nchw f32",
        plan(640, nchw, Dtype::F32),
        Nv12,
        0.0f32,
    );
    measure(
        c,
        "1080p i420 -> 640 nchw f32",
        plan(640, nchw, Dtype::F32),
        I420,
        0.0f32,
    );
    measure(
        c,
        "1080p nv12 -> 640 nchw f16",
        plan(640, nchw, Dtype::F16),
        Nv12,
        half::f16::ZERO,
    );
    measure(
        c,
        "1080p nv12 -> 640 nchw u8",
        plan(640, nchw, Dtype::U8),
        Nv12,
        0u8,
    );
    measure(
        c,
        "1080p nv12 -> 640 nhwc u8",
        plan(640, nhwc, Dtype::U8),
        Nv12,
        0u8,
    );
    measure(
        c,
        "1080p nv12 -> 416 nchw f32",
        plan(416, nchw, Dtype::F32),
        Nv12,
        0.0f32,
    );
}

criterion_group!(benches, all);
criterion_main!(benches);
