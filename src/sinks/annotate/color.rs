//! Colours in the picture's own matrix and range.

use crate::base::{ColorMatrix, ColorRange, TrackId};

use super::Canvas;

/// A colour as the planes hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Yuv {
    /// Luma.
    pub y: u8,
    /// Blue difference.
    pub u: u8,
    /// Red difference.
    pub v: u8,
}

/// Golden angle, degrees: consecutive ids get hues as far apart as any sequence can give.
const GOLDEN_ANGLE: f64 = 137.507_764_05;

/// Luma (0..=1, full range) above which black text reads better than white.
const BRIGHT: f32 = 0.5;

/// A drawing colour and what is written on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paint {
    pub fill: Yuv,
    pub text: Yuv,
    pub shadow: Yuv,
}

/// The colour of a track: the same in every frame and every run of the program.
pub(super) fn of_track(id: TrackId, canvas: &Canvas<'_>) -> Paint {
    let hue = (id.0 % 1_000_000) as f64 * GOLDEN_ANGLE % 360.0;
    let rgb = rgb_of_hue(hue as f32);
    let to_yuv = |rgb| yuv_of_rgb(rgb, canvas.matrix(), canvas.range());
    let bright = rgb[0] * 0.299 + rgb[1] * 0.587 + rgb[2] * 0.114 > BRIGHT;
    let text = if bright { [0.0; 3] } else { [1.0; 3] };
    Paint {
        fill: to_yuv(rgb),
        text: to_yuv(text),
        shadow: to_yuv([0.0; 3]),
    }
}

/// The colour of a zone or line, by its place among them: hues between those of the first tracks.
pub(super) fn of_place(index: usize, canvas: &Canvas<'_>) -> Paint {
    of_track(TrackId(index as u64 + 500), canvas)
}

/// Light grey, for areas without counts.
pub(super) fn of_outline(canvas: &Canvas<'_>) -> Paint {
    let paint = neutral(canvas);
    Paint {
        fill: paint.text,
        text: paint.fill,
        ..paint
    }
}

/// Light grey on nearly black, for the header.
pub(super) fn neutral(canvas: &Canvas<'_>) -> Paint {
    let to_yuv = |rgb| yuv_of_rgb(rgb, canvas.matrix(), canvas.range());
    Paint {
        fill: to_yuv([0.07; 3]),
        text: to_yuv([0.94; 3]),
        shadow: to_yuv([0.0; 3]),
    }
}

/// A vivid colour of this hue (degrees), RGB 0..=1: HSV with S = 0.82, V = 1.
fn rgb_of_hue(hue: f32) -> [f32; 3] {
    // Source: the usual closed form of HSV → RGB, f(n) = V − V·S·max(0, min(k, 4 − k, 1)).
    const SATURATION: f32 = 0.82;
    [5.0, 3.0, 1.0].map(|n: f32| {
        let k = (n + hue / 60.0) % 6.0;
        1.0 - SATURATION * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

/// R'G'B' 0..=1 → planes. Source: ITU-R BT.601-7 and BT.709-6, luma coefficients and quantisation.
fn yuv_of_rgb(rgb: [f32; 3], matrix: ColorMatrix, range: ColorRange) -> Yuv {
    let (kr, kb) = match matrix {
        ColorMatrix::Bt601 => (0.299, 0.114),
        ColorMatrix::Bt709 => (0.2126, 0.0722),
    };
    let [red, green, blue] = rgb;
    let y = kr * red + (1.0 - kr - kb) * green + kb * blue;
    let u = (blue - y) / (2.0 * (1.0 - kb));
    let v = (red - y) / (2.0 * (1.0 - kr));
    let (base, luma, chroma) = match range {
        ColorRange::Limited => (16.0, 219.0, 224.0),
        ColorRange::Full => (0.0, 255.0, 255.0),
    };
    // A float → integer `as` saturates.
    Yuv {
        y: (base + luma * y).round() as u8,
        u: (128.0 + chroma * u).round() as u8,
        v: (128.0 + chroma * v).round() as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primaries_have_the_values_of_the_standards() {
        // BT.601 limited red is (81, 90, 240), BT.709 limited green (173, 42, 26); both from the
        // colour-bar tables of the standards. White is (235, 128, 128), full-range (255, 128, 128).
        let limited = ColorRange::Limited;
        let red = yuv_of_rgb([1.0, 0.0, 0.0], ColorMatrix::Bt601, limited);
        assert_eq!((red.y, red.u, red.v), (81, 90, 240));
        let green = yuv_of_rgb([0.0, 1.0, 0.0], ColorMatrix::Bt709, limited);
        assert_eq!((green.y, green.u, green.v), (173, 42, 26));
        let white = yuv_of_rgb([1.0; 3], ColorMatrix::Bt709, limited);
        assert_eq!((white.y, white.u, white.v), (235, 128, 128));
        let white = yuv_of_rgb([1.0; 3], ColorMatrix::Bt709, ColorRange::Full);
        assert_eq!((white.y, white.u, white.v), (255, 128, 128));
    }

    #[test]
    fn hues_come_out_as_named() {
        // 0° red, 120° green, 240° blue; the weaker channels are 1 − 0.82.
        for (hue, strongest) in [(0.0, 0), (120.0, 1), (240.0, 2)] {
            let rgb = rgb_of_hue(hue);
            for (channel, value) in rgb.into_iter().enumerate() {
                let expected = if channel == strongest { 1.0 } else { 0.18 };
                assert!((value - expected).abs() < 1e-5, "{hue}: {rgb:?}");
            }
        }
    }
}
