//! Against an f64 reference written from the definitions, hand-computed colours, and broken frames.

use std::sync::Arc;

use super::super::{BatchAxis, ChannelOrder, Dtype, LetterboxAnchor};
use super::*;
use crate::base::{ColorMatrix, ColorRange, OwnedPlanes};

fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

fn plan(width: usize, height: usize) -> InputPlan {
    InputPlan {
        name: "images".into(),
        layout: Layout::Nchw,
        dtype: Dtype::F32,
        width,
        height,
        batch: BatchAxis::Fixed(1),
        order: ChannelOrder::Rgb,
        mean: [0.0; 3],
        std: [1.0; 3],
        resize: Resize::Stretch,
        extra: Vec::new(),
    }
}

fn letterbox(width: usize, height: usize) -> InputPlan {
    InputPlan {
        resize: Resize::Letterbox {
            anchor: LetterboxAnchor::Center,
            pad: 114,
        },
        ..plan(width, height)
    }
}

/// A picture whose planes are functions of the place, with `slack` unused bytes per row that
/// hold 255, and a last row that ends where the picture ends.
fn picture(
    format: PixelFormat,
    size: Size,
    slack: usize,
    value: impl Fn(usize, usize, usize) -> u8,
) -> Pixels {
    let (width, height) = (size.width as usize, size.height as usize);
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let plane = |row_bytes: usize, rows: usize, at: &dyn Fn(usize, usize) -> u8| {
        let stride = row_bytes + slack;
        let mut data = vec![255; stride * (rows - 1) + row_bytes];
        for row in 0..rows {
            for column in 0..row_bytes {
                data[row * stride + column] = at(column, row);
            }
        }
        (data, stride)
    };
    let luma = plane(width, height, &|x, y| value(0, x, y));
    let planes = match format {
        PixelFormat::Nv12 => vec![
            luma,
            plane(2 * half_width, half_height, &|x, y| {
                value(1 + x % 2, x / 2, y)
            }),
        ],
        PixelFormat::I420 => vec![
            luma,
            plane(half_width, half_height, &|x, y| value(1, x, y)),
            plane(half_width, half_height, &|x, y| value(2, x, y)),
        ],
    };
    Pixels {
        format,
        matrix: ColorMatrix::Bt709,
        range: ColorRange::Limited,
        planes: Arc::new(OwnedPlanes(planes)),
    }
}

fn flat(y: u8, u: u8, v: u8) -> impl Fn(usize, usize, usize) -> u8 {
    move |plane, _, _| [y, u, v][plane]
}

fn noise(plane: usize, x: usize, y: usize) -> u8 {
    let mixed = (plane * 7_919 + x * 104_729 + y * 1_299_709) as u64;
    (mixed.wrapping_mul(6_364_136_223_846_793_005) >> 56) as u8
}

fn tensor(plan: &InputPlan, size: Size, pixels: &Pixels) -> Vec<f32> {
    let mut preprocessor = Preprocessor::new(plan.clone());
    let mut slot = vec![f32::NAN; preprocessor.slot_len()];
    preprocessor
        .write(size, pixels, &mut slot, Padding::Write)
        .unwrap();
    slot
}

/// One pixel of a `cv2.resize(..., INTER_LINEAR)` of one plane, in f64, clamped at the edges.
fn bilinear(at: impl Fn(usize, usize) -> f64, x: f64, y: f64, width: usize, height: usize) -> f64 {
    let axis = |position: f64, length: usize| {
        let position = position.clamp(0.0, (length - 1) as f64);
        let first = position.floor();
        (
            first as usize,
            (first as usize + 1).min(length - 1),
            position - first,
        )
    };
    let (x0, x1, fx) = axis(x, width);
    let (y0, y1, fy) = axis(y, height);
    let upper = at(x0, y0) * (1.0 - fx) + at(x1, y0) * fx;
    let lower = at(x0, y1) * (1.0 - fx) + at(x1, y1) * fx;
    upper * (1.0 - fy) + lower * fy
}

/// R, G, B of one pixel of the model, BT.709 limited, straight from the definition.
fn reference(size: Size, at: &Placement, column: usize, row: usize) -> [f64; 3] {
    let (width, height) = (size.width as usize, size.height as usize);
    let x = (column as f64 + 0.5) * width as f64 / at.width as f64;
    let y = (row as f64 + 0.5) * height as f64 / at.height as f64;
    let luma = bilinear(
        |x, y| f64::from(noise(0, x, y)),
        x - 0.5,
        y - 0.5,
        width,
        height,
    );
    let chroma = |plane: usize| {
        let (width, height) = (width.div_ceil(2), height.div_ceil(2));
        let value = |x, y| f64::from(noise(plane, x, y));
        bilinear(value, x / 2.0 - 0.5, y / 2.0 - 0.5, width, height)
    };
    let (y, cb, cr) = (
        (luma - 16.0) / 219.0,
        (chroma(1) - 128.0) / 224.0,
        (chroma(2) - 128.0) / 224.0,
    );
    // BT.709-6: R = Y + 1.5748 Cr, B = Y + 1.8556 Cb, G from Y = 0.2126 R + 0.7152 G + 0.0722 B.
    let (red, blue) = (y + 1.5748 * cr, y + 1.8556 * cb);
    let green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152;
    [red, green, blue].map(|value| (value * 255.0).clamp(0.0, 255.0))
}

fn largest_difference(format: PixelFormat, size: Size, plan: &InputPlan, slack: usize) -> f64 {
    let pixels = picture(format, size, slack, noise);
    let found = tensor(plan, size, &pixels);
    let at = Placement::new(plan, size);
    let mut largest = 0.0f64;
    for row in 0..at.height {
        for column in 0..at.width {
            let wanted = reference(size, &at, column, row);
            for (channel, wanted) in wanted.iter().enumerate() {
                let index = (channel * plan.height + at.top + row) * plan.width + at.left + column;
                largest = largest.max((f64::from(found[index]) - wanted).abs());
            }
        }
    }
    largest
}

#[test]
fn every_ratio_agrees_with_the_definition() {
    // f32 has 2⁻²⁴ of up to 800 on the way (luma, chroma and offset before they cancel): 1e-4 of a
    // grey level. Ratios 3, 2 and 1 hit pixels exactly on some planes; single columns and rows have
    // no second tap.
    for format in [PixelFormat::Nv12, PixelFormat::I420] {
        for (frame, plan) in [
            (size(192, 108), letterbox(64, 64)),
            (size(64, 48), plan(32, 24)),
            (size(64, 48), plan(32, 31)),
            (size(33, 17), plan(33, 17)),
            (size(851, 479), letterbox(416, 416)),
            (size(17, 31), letterbox(64, 48)),
            (size(1, 1), letterbox(32, 32)),
            (size(2, 3), plan(5, 7)),
            (size(3000, 3), letterbox(320, 320)),
            (size(3, 3000), plan(96, 64)),
        ] {
            for slack in [0, 13] {
                let difference = largest_difference(format, frame, &plan, slack);
                assert!(difference < 5e-4, "{format:?} {frame}: {difference}");
            }
        }
    }
}

#[test]
fn known_colours_come_out_as_themselves() {
    // 8-bit codes of pure colours: BT.709 limited red is 63,102,240, BT.601 limited red 81,90,240;
    // BT.601 full (JPEG) blue is 29,255,107 (G = 29 − 0.344·127 + 0.714·21 = 0.3); rounding of the
    // codes leaves up to 2 steps.
    use ColorMatrix::{Bt601, Bt709};
    use ColorRange::{Full, Limited};
    for (matrix, range, code, wanted) in [
        (Bt709, Limited, [63, 102, 240], [255.0, 0.0, 0.0]),
        (Bt601, Limited, [81, 90, 240], [255.0, 0.0, 0.0]),
        (Bt601, Full, [29, 255, 107], [0.0, 0.0, 255.0]),
        (Bt709, Limited, [235, 128, 128], [255.0, 255.0, 255.0]),
        (Bt709, Limited, [16, 128, 128], [0.0, 0.0, 0.0]),
        (Bt601, Full, [77, 128, 128], [77.0, 77.0, 77.0]),
    ] {
        let mut pixels = picture(
            PixelFormat::I420,
            size(4, 4),
            0,
            flat(code[0], code[1], code[2]),
        );
        pixels.matrix = matrix;
        pixels.range = range;
        let found = tensor(&plan(2, 2), size(4, 4), &pixels);
        for (channel, wanted) in wanted.iter().enumerate() {
            let difference = (found[4 * channel] - wanted).abs();
            assert!(
                difference <= 2.0,
                "{matrix:?} {range:?} {code:?}: {found:?}"
            );
        }
    }
}

#[test]
fn mean_std_order_and_padding_are_those_of_the_plan() {
    let plan = InputPlan {
        order: ChannelOrder::Bgr,
        mean: [10.0, 20.0, 30.0],
        std: [1.0, 2.0, 4.0],
        ..letterbox(4, 4)
    };
    // Red in blue-first order: (0 − 10)/1, (0 − 20)/2, (255 − 30)/4.
    let mut pixels = picture(PixelFormat::Nv12, size(4, 2), 3, flat(76, 85, 255));
    (pixels.matrix, pixels.range) = (ColorMatrix::Bt601, ColorRange::Full);
    let found = tensor(&plan, size(4, 2), &pixels);
    for (channel, (inside, padding)) in [(-10.0, 104.0), (-10.0, 47.0), (56.25, 21.0)]
        .into_iter()
        .enumerate()
    {
        let plane = &found[16 * channel..16 * (channel + 1)];
        assert!((plane[5] - inside).abs() < 1.0, "{plane:?}");
        assert!((plane[0] - padding).abs() < 1e-5 && (plane[15] - padding).abs() < 1e-5);
    }
}

#[test]
fn every_layout_and_type_holds_the_same_picture() {
    let frame = size(61, 37);
    let pixels = picture(PixelFormat::Nv12, frame, 2, noise);
    let planar = letterbox(32, 24);
    let wanted = tensor(&planar, frame, &pixels);
    let mut interleaved = Preprocessor::new(InputPlan {
        layout: Layout::Nhwc,
        dtype: Dtype::U8,
        mean: [99.0; 3],
        ..planar.clone()
    });
    let mut bytes = vec![0u8; interleaved.slot_len()];
    interleaved
        .write(frame, &pixels, &mut bytes, Padding::Write)
        .unwrap();
    let mut halves = vec![f16::NAN; bytes.len()];
    Preprocessor::new(planar)
        .write(frame, &pixels, &mut halves, Padding::Write)
        .unwrap();
    for (index, wanted) in wanted.iter().enumerate() {
        let (channel, pixel) = (index / (32 * 24), index % (32 * 24));
        let byte = f32::from(bytes[3 * pixel + channel]);
        assert!((byte - wanted).abs() <= 0.5, "{byte} {wanted}");
        // Half floats in 128..=255 are 1/8 apart.
        assert!((halves[index].to_f32() - wanted).abs() <= 0.07);
    }
}

#[test]
fn kept_padding_and_a_change_of_size_leave_nothing_behind() {
    let plan = letterbox(64, 64);
    let mut preprocessor = Preprocessor::new(plan.clone());
    let mut slot = vec![0.0f32; preprocessor.slot_len()];
    let (wide, tall) = (size(160, 90), size(50, 99));
    for (frame, padding) in [
        (wide, Padding::Write),
        (wide, Padding::Kept),
        (tall, Padding::Write),
    ] {
        let pixels = picture(PixelFormat::I420, frame, 0, noise);
        preprocessor
            .write(frame, &pixels, &mut slot, padding)
            .unwrap();
        assert_eq!(slot, tensor(&plan, frame, &pixels));
    }
}

#[test]
fn an_8k_frame_is_taken() {
    let frame = size(7680, 4320);
    let pixels = picture(PixelFormat::Nv12, frame, 0, flat(126, 128, 128));
    let found = tensor(&letterbox(64, 64), frame, &pixels);
    // (126 − 16)·255/219 = 128.08 in rows 14..50.
    assert!((found[32 * 64 + 32] - 128.08).abs() < 0.01);
    assert!((found[0] - 114.0).abs() < f32::EPSILON);
}

#[test]
fn planes_that_are_too_short_are_an_error_that_names_them() {
    let mut pixels = picture(PixelFormat::I420, size(4, 4), 0, flat(1, 2, 3));
    let mut preprocessor = Preprocessor::new(plan(2, 2));
    let mut slot = vec![0.0f32; preprocessor.slot_len()];
    let error = preprocessor
        .write(size(4, 6), &pixels, &mut slot, Padding::Write)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "frame of 4x6: plane 0 has 16 bytes in rows of 4, needed are 24 in rows of 4"
    );
    pixels.planes = Arc::new(OwnedPlanes(vec![
        (vec![0; 16], 4),
        (vec![0; 4], 1),
        (vec![0; 4], 2),
    ]));
    for frame in [size(4, 4), size(0, 0), size(u32::MAX, u32::MAX)] {
        let result = preprocessor.write(frame, &pixels, &mut slot, Padding::Write);
        assert!(matches!(result, Err(FrameError::Plane { .. })), "{frame}");
    }
    let result = preprocessor.write(size(2, 2), &pixels, &mut [0.0f32; 5], Padding::Write);
    assert_eq!(
        result,
        Err(FrameError::Slot {
            found: 5,
            needed: 12
        })
    );
}
