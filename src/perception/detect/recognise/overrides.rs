//! What a manifest states beats what was recognised.

use super::super::heads::{Activation, BoxFormat, HeadLayout};
use super::super::manifest::{ActivationName, BoxName, OrderName, ResizeName};
use super::super::{ChannelOrder, LetterboxAnchor, Resize};
use super::facts::Facts;
use super::{Feed, Match};

/// Applies the manifest to `found`.
///
/// # Errors
/// A key that the head has no use for.
pub fn apply(found: &mut Match, facts: &Facts<'_>) -> Result<(), String> {
    let Some(manifest) = facts.manifest else {
        return Ok(());
    };
    apply_feed(&mut found.feed, manifest);
    if let Some(iou) = manifest.nms_iou {
        found.nms_iou = iou;
    }
    let output = &manifest.output;
    if let Some(frame_pixels) = output.frame_pixels {
        found.frame_pixels = frame_pixels;
    }
    if let Some(nms) = output.nms {
        found.nms = nms;
    }
    if matches!(found.layout, HeadLayout::Pending) {
        return Ok(());
    }
    let unused = |key: &str| {
        Err(format!(
            "output.{key}: a {} head has no such choice",
            found.family
        ))
    };
    if let Some(boxes) = output.boxes {
        let boxes = match boxes {
            BoxName::Cxcywh => BoxFormat::Cxcywh,
            BoxName::Ltrb => BoxFormat::Ltrb,
            BoxName::Tlbr => BoxFormat::Tlbr,
            BoxName::Ltwh => BoxFormat::Ltwh,
        };
        match &mut found.layout {
            HeadLayout::Rows(head) => head.boxes = boxes,
            HeadLayout::Ready(head) => head.boxes = boxes,
            HeadLayout::Separate(head) => head.boxes = boxes,
            HeadLayout::Scored(head) => head.boxes = boxes,
            _ => return unused("boxes"),
        }
    }
    if let Some(normalised) = output.normalised {
        match &mut found.layout {
            HeadLayout::Rows(head) => head.normalised = normalised,
            HeadLayout::Ready(head) => head.normalised = normalised,
            HeadLayout::Separate(head) => head.normalised = normalised,
            HeadLayout::Scored(head) => head.normalised = normalised,
            _ => return unused("normalised"),
        }
    }
    if let Some(activation) = output.activation {
        let needs_sigmoid = activation == ActivationName::Sigmoid;
        match &mut found.layout {
            HeadLayout::Scored(head) => {
                head.activation = match activation {
                    ActivationName::None => Activation::None,
                    ActivationName::Sigmoid => Activation::Sigmoid,
                    ActivationName::Softmax => Activation::Softmax,
                };
            }
            HeadLayout::ExpGrid(head) => head.needs_sigmoid = needs_sigmoid,
            HeadLayout::Distribution(head) => head.needs_sigmoid = needs_sigmoid,
            HeadLayout::AnchorMaps(head) => head.needs_sigmoid = needs_sigmoid,
            _ => return unused("activation"),
        }
    }
    if let Some(first_label) = output.first_label {
        match &mut found.layout {
            HeadLayout::Separate(head) => {
                head.first_label = first_label;
                found.classes.map = None;
                found.classes.count = found.names.len();
            }
            _ => return unused("first_label"),
        }
    }
    Ok(())
}

/// Colours, scale and fit that the manifest states.
pub fn apply_feed(feed: &mut Feed, manifest: &super::Manifest) {
    let input = &manifest.input;
    if let Some(order) = input.order {
        let order = match order {
            OrderName::Rgb => ChannelOrder::Rgb,
            OrderName::Bgr => ChannelOrder::Bgr,
        };
        if order != feed.order {
            // Mean and deviation are in the order of the channels.
            feed.mean.reverse();
            feed.std.reverse();
        }
        feed.order = order;
    }
    if input.scale.is_some() || input.mean.is_some() || input.std.is_some() {
        let scale = input.scale.unwrap_or(1.0);
        let mean = input.mean.unwrap_or([0.0; 3]);
        let std = input.std.unwrap_or([1.0; 3]);
        feed.mean = mean.map(|v| v * scale);
        feed.std = std.map(|v| v * scale);
    }
    let pad = input.pad.unwrap_or(match feed.resize {
        Resize::Letterbox { pad, .. } => pad,
        Resize::Stretch => 114,
    });
    let letterbox = |anchor| Resize::Letterbox { anchor, pad };
    feed.resize = match (input.resize, feed.resize) {
        (Some(ResizeName::Letterbox), _) => letterbox(LetterboxAnchor::Center),
        (Some(ResizeName::LetterboxTopLeft), _) => letterbox(LetterboxAnchor::TopLeft),
        (Some(ResizeName::Stretch), _) | (None, Resize::Stretch) => Resize::Stretch,
        (None, Resize::Letterbox { anchor, .. }) => letterbox(anchor),
    };
}
