//! Y'CbCr → the channels of a model.

use multiversion::multiversion;

use crate::base::{ColorMatrix, ColorRange};
use crate::card;

use super::{ChannelOrder, Dtype, InputPlan};

/// One channel as a function of blended Y, U and V: `clamp(y·Y + u·U + v·V + offset, low, high)`.
#[derive(Debug, Clone, Copy)]
struct Channel {
    y: f32,
    u: f32,
    v: f32,
    offset: f32,
    low: f32,
    high: f32,
}

impl Channel {
    /// `clamp`, in the form that is one instruction per bound: it would also check the bounds and
    /// keep NaN apart, which cannot occur.
    #[inline(always)]
    fn cut(self, value: f32) -> f32 {
        let cut = if value > self.low { value } else { self.low };
        if cut < self.high { cut } else { self.high }
    }
}

/// Red, green and blue, shifted and scaled as the model wants them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Colour {
    rgb: [Channel; 3],
    order: ChannelOrder,
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
            let (u, v) = rgb[index];
            let place = match plan.order {
                ChannelOrder::Rgb => index,
                ChannelOrder::Bgr => 2 - index,
            };
            let (mean, std) = match plan.dtype {
                Dtype::F32 | Dtype::F16 => (plan.mean[place], plan.std[place]),
                Dtype::U8 => (0.0, 1.0),
            };
            let (mean, std) = (f64::from(mean), f64::from(std));
            let (black_out, white_out) = (-mean / std, (255.0 - mean) / std);
            Channel {
                y: (luma / std) as f32,
                u: (u / std) as f32,
                v: (v / std) as f32,
                offset: ((-luma * black - 128.0 * (u + v) - mean) / std) as f32,
                low: black_out.min(white_out) as f32,
                high: black_out.max(white_out) as f32,
            }
        };
        Self {
            rgb: [channel(0), channel(1), channel(2)],
            order: plan.order,
        }
    }

    /// The channels in the order of the model, as the kernel of a card takes them.
    pub(super) fn channels(&self) -> [card::Channel; 3] {
        let [red, green, blue] = self.rgb.map(|it| card::Channel {
            y: it.y,
            u: it.u,
            v: it.v,
            offset: it.offset,
            low: it.low,
            high: it.high,
        });
        match self.order {
            ChannelOrder::Rgb => [red, green, blue],
            ChannelOrder::Bgr => [blue, green, red],
        }
    }

    /// One row of Y, U and V, 0..=255, to the channels in the order of the model.
    pub(super) fn row(&self, yuv: [&[f32]; 3], [first, second, third]: [&mut [f32]; 3]) {
        let (red, green, blue) = match self.order {
            ChannelOrder::Rgb => (first, second, third),
            ChannelOrder::Bgr => (third, second, first),
        };
        colour_row(&self.rgb, yuv[0], yuv[1], yuv[2], red, green, blue);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn colour_row(
    rgb: &[Channel; 3],
    y: &[f32],
    u: &[f32],
    v: &[f32],
    red: &mut [f32],
    green: &mut [f32],
    blue: &mut [f32],
) {
    let [r, g, b] = *rgb;
    // Equal lengths let the compiler drop all other checks and vectorise.
    let length = red.len();
    let (green, blue) = (&mut green[..length], &mut blue[..length]);
    let (y, u, v) = (&y[..length], &u[..length], &v[..length]);
    for i in 0..length {
        let (y, u, v) = (y[i], u[i], v[i]);
        red[i] = r.cut(r.y * y + r.v * v + r.offset);
        green[i] = g.cut(g.y * y + g.u * u + g.v * v + g.offset);
        blue[i] = b.cut(b.y * y + b.u * u + b.offset);
    }
}
