//! The image tensor of frames that lie on a card, made there.

use std::sync::Arc;

use crate::base::{Frame, Size};
use crate::card::{
    BoundInput, Card, CardError, Element, Letterbox, LetterboxError, PictureOnCard, Surface,
    TensorPlan,
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
    /// [`CardError`] if the card cannot be used, or is not that of the decoders.
    pub(super) fn open(device: u32, plan: &InputPlan, stays: bool) -> Result<Self, CardError> {
        if device != 0 {
            return Err(CardError::NotTheFirst { device });
        }
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

    /// Draws parts of frames, with the surfaces that hold them, to the first slots of `input`, or of a tensor
    /// of its own with `slots`.
    ///
    /// # Errors
    /// [`LetterboxError`] for a part beside its frame, and for a card that broke.
    pub(super) fn draw(
        &mut self,
        pictures: &[(&Surface, &Frame, Region)],
        slots: usize,
        input: Option<BoundInput>,
    ) -> Result<Vec<Placement>, LetterboxError> {
        let plan = &self.plan;
        let (mut placements, mut on_card) = (Vec::new(), Vec::new());
        for (surface, frame, part) in pictures {
            let pixels = &frame.pixels;
            let placement = Placement::new(plan, part.size);
            on_card.push(PictureOnCard {
                surface,
                left: part.left,
                top: part.top,
                part: part.size,
                at: [placement.left as u32, placement.top as u32],
                channels: Colour::new(plan, pixels.matrix, pixels.range).channels(),
            });
            placements.push(placement);
        }
        let taps = |part: Size| {
            let taps = Taps::new(Placement::new(plan, part));
            let width = part.width as usize;
            [
                taps.luma.for_card(width),
                taps.chroma.for_card(width.div_ceil(2)),
            ]
        };
        self.letterbox.draw(&on_card, taps, slots, input)?;
        Ok(placements)
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
