//! The image tensor of frames that lie on a card, made there.

use std::sync::Arc;

use crate::base::{Frame, Size};
use crate::card::{
    Card, CardError, Element, Letterbox, LetterboxError, PictureOnCard, Surface, TensorPlan,
};

use super::colour::Colour;
use super::preprocess::{Region, padding};
use super::taps::Taps;
use super::{Dtype, InputPlan, Layout, Placement};

/// The way to the tensor on a card.
#[derive(Debug)]
pub(super) struct OnCard {
    pub(super) letterbox: Letterbox,
    /// Whether the network computes on that card, so that the tensor stays there.
    pub(super) stays: bool,
    plan: InputPlan,
}

impl OnCard {
    /// # Errors
    /// [`CardError`] if the card cannot be used.
    pub(super) fn open(device: u32, plan: &InputPlan, stays: bool) -> Result<Self, CardError> {
        let tensor = TensorPlan {
            size: Size {
                width: plan.width as u32,
                height: plan.height as u32,
            },
            element: match plan.dtype {
                Dtype::F32 => Element::F32,
                Dtype::F16 => Element::F16,
                Dtype::U8 => Element::U8,
            },
            channels_last: plan.layout == Layout::Nhwc,
            // Without padding the picture is everywhere.
            padding: padding(plan).unwrap_or_default(),
        };
        Ok(Self {
            letterbox: Letterbox::new(&Card::open(device)?, tensor)?,
            stays,
            plan: plan.clone(),
        })
    }

    /// Adds a part of a frame that lies on the card as the next picture.
    pub(super) fn add(
        &mut self,
        surface: &Surface,
        frame: &Frame,
        part: Region,
    ) -> Result<Placement, LetterboxError> {
        let pixels = &frame.pixels;
        let placement = Placement::new(&self.plan, part.size);
        let picture = PictureOnCard {
            surface,
            left: part.left,
            top: part.top,
            part: part.size,
            at: [placement.left as u32, placement.top as u32],
            channels: Colour::new(&self.plan, pixels.matrix, pixels.range).channels(),
        };
        self.letterbox.add(&picture, || {
            let taps = Taps::new(placement);
            let width = part.size.width as usize;
            [
                taps.luma.for_card(width),
                taps.chroma.for_card(width.div_ceil(2)),
            ]
        })?;
        Ok(placement)
    }
}

/// The same frame with its planes sent to a card.
///
/// # Errors
/// [`CardError`] if the card has no room, or broke.
pub(super) fn sent(frame: &Frame, device: u32) -> Result<Frame, CardError> {
    let surface = Card::open(device)?.upload(frame.meta.size, &frame.pixels.planes)?;
    let mut sent = frame.clone();
    sent.pixels.planes = Arc::new(surface);
    Ok(sent)
}

#[cfg(test)]
mod tests;
