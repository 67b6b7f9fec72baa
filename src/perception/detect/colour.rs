//! Y'CbCr → the channels of a model.

use crate::base::{ColorMatrix, ColorRange};

use super::taps::SAMPLE_UNIT;
use super::{ChannelOrder, Dtype, InputPlan};

/// One channel as a function of sampled Y, U and V:
/// `clamp(y·Y + u·U + v·V + offset, 0, 255) · scale + shift`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel {
    y: f32,
    u: f32,
    v: f32,
    offset: f32,
    scale: f32,
    shift: f32,
}

impl Channel {
    #[inline(always)]
    fn at(self, y: f32, u: f32, v: f32) -> f32 {
        let value = self.y * y + self.u * u + self.v * v + self.offset;
        value.clamp(0.0, 255.0) * self.scale + self.shift
    }
}

/// The three channels, in the order of the model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Colour {
    pub(super) channels: [Channel; 3],
}

impl Colour {
    /// Source: ITU-R BT.601-7 and BT.709-6; the inverse of `Y' = Kr·R + Kg·G + Kb·B` with
    /// `Cb = (B − Y') / (2·(1 − Kb))` and `Cr = (R − Y') / (2·(1 − Kr))`.
    pub(super) fn new(plan: &InputPlan, matrix: ColorMatrix, range: ColorRange) -> Self {
        let (kr, kb) = match matrix {
            ColorMatrix::Bt601 => (0.299, 0.114),
            ColorMatrix::Bt709 => (0.2126, 0.0722),
        };
        let kg: f64 = 1.0 - kr - kb;
        let (black, luma, chroma) = match range {
            ColorRange::Limited => (16.0, 255.0 / 219.0, 255.0 / 224.0),
            ColorRange::Full => (0.0, 1.0, 1.0),
        };
        let red_v = 2.0 * (1.0 - kr) * chroma;
        let blue_u = 2.0 * (1.0 - kb) * chroma;
        let green_u = -blue_u * kb / kg;
        let green_v = -red_v * kr / kg;
        let rgb = [(0.0, red_v), (green_u, green_v), (blue_u, 0.0)];
        let channel = |index: usize| {
            let (u, v) = match plan.order {
                ChannelOrder::Rgb => rgb[index],
                ChannelOrder::Bgr => rgb[2 - index],
            };
            let (mean, std) = match plan.dtype {
                Dtype::F32 | Dtype::F16 => (plan.mean[index], plan.std[index]),
                Dtype::U8 => (0.0, 1.0),
            };
            let unit = f64::from(SAMPLE_UNIT);
            Channel {
                y: (luma * unit) as f32,
                u: (u * unit) as f32,
                v: (v * unit) as f32,
                offset: (-luma * black - 128.0 * (u + v)) as f32,
                scale: 1.0 / std,
                shift: -mean / std,
            }
        };
        Self {
            channels: [channel(0), channel(1), channel(2)],
        }
    }

    /// What a grey of 0..=255 is in each channel of the model.
    pub(super) fn channels_of_grey(&self, grey: f32) -> [f32; 3] {
        self.channels
            .map(|channel| grey * channel.scale + channel.shift)
    }
}

/// The three channels of one row, `out` of equal lengths.
#[inline(never)]
pub(super) fn colour_row(
    colour: &Colour,
    [y, u, v]: [&[i32]; 3],
    first: &mut [f32],
    second: &mut [f32],
    third: &mut [f32],
) {
    let [a, b, c] = colour.channels;
    let samples = y.iter().zip(u).zip(v);
    let out = first.iter_mut().zip(second).zip(third);
    for (((first, second), third), ((y, u), v)) in out.zip(samples) {
        let (y, u, v) = (*y as f32, *u as f32, *v as f32);
        *first = a.at(y, u, v);
        *second = b.at(y, u, v);
        *third = c.at(y, u, v);
    }
}
