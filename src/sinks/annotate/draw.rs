//! Trails, boxes, labels and the header, built of the canvas's primitives.

use crate::base::{BBox, Size, TrackSnapshot, TrackState};

use super::Canvas;
use super::canvas::{OPAQUE, Rect};
use super::color::{self, Paint};
use super::font::Font;
use super::trail::TrailPoint;

/// Opacity of what belongs to a coasting track.
const DIM: u32 = 150;

/// Opacity of the dark outline around boxes.
const SHADOW: u32 = 110;

/// Sizes that follow the picture's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    /// Width of box lines, px, even.
    pub line: i32,
    /// Width of the outline around them, px.
    pub outline: i32,
    /// Height of text, px.
    pub text: u32,
}

impl Style {
    /// For a picture of this size. Upright and panoramic pictures count by their area.
    pub(super) fn for_size(size: Size) -> Self {
        // Height of the 16:9 picture with the same area.
        let height = (f64::from(size.width) * f64::from(size.height) * 9.0 / 16.0).sqrt();
        let line = ((height / 720.0).round() as i32 * 2).max(2);
        Self {
            line,
            outline: (line / 3).max(1),
            text: ((height / 60.0 + 6.0).round() as u32).clamp(13, 96),
        }
    }
}

fn rect_of(bbox: &BBox) -> Rect {
    // A float → integer `as` saturates; a margin keeps later sums from overflowing.
    let edge = |value: f32| (value.round() as i32).clamp(-(1 << 24), 1 << 24);
    Rect {
        left: edge(bbox.left()),
        top: edge(bbox.top()),
        right: edge(bbox.right()),
        bottom: edge(bbox.bottom()),
    }
}

/// The outline of a track's box, its line inside the box; dashed and dim while coasting.
pub(super) fn track_box(
    canvas: &mut Canvas<'_>,
    style: &Style,
    paint: Paint,
    track: &TrackSnapshot,
) {
    let rect = rect_of(&track.bbox);
    if track.state == TrackState::Coasting {
        for side in sides(rect, style.line) {
            dashes(canvas, side, style.line, paint);
        }
        return;
    }
    for side in sides(rect.grown(style.outline), style.outline) {
        canvas.shade(side, paint.shadow.y, SHADOW);
    }
    for side in sides(rect, style.line) {
        canvas.fill(side, paint.fill, OPAQUE);
    }
}

/// The four lines of a rectangle, `line` px wide and inside it, no pixel twice.
fn sides(rect: Rect, line: i32) -> [Rect; 4] {
    let across = line.min((rect.width() + 1) / 2).max(1);
    let down = line.min((rect.height() + 1) / 2).max(1);
    let inner_top = rect.top + down;
    let inner_bottom = (rect.bottom - down).max(inner_top);
    [
        Rect {
            bottom: inner_top,
            ..rect
        },
        Rect {
            top: inner_bottom,
            ..rect
        },
        Rect {
            right: rect.left + across,
            top: inner_top,
            bottom: inner_bottom,
            ..rect
        },
        Rect {
            left: (rect.right - across).max(rect.left + across),
            top: inner_top,
            bottom: inner_bottom,
            ..rect
        },
    ]
}

/// Dashes along the longer side of `side`, only where the picture is.
fn dashes(canvas: &mut Canvas<'_>, side: Rect, line: i32, paint: Paint) {
    let period = line * 6;
    let dash = line * 3;
    let along_x = side.width() >= side.height();
    let (from, to, end) = if along_x {
        (side.left, side.right, canvas.width())
    } else {
        (side.top, side.bottom, canvas.height())
    };
    // Begin with the first dash that can be seen: a box may reach far outside.
    let mut at = from + (-from).max(0) / period * period;
    while at < to.min(end) {
        let stop = (at + dash).min(to);
        let part = if along_x {
            Rect {
                left: at,
                right: stop,
                ..side
            }
        } else {
            Rect {
                top: at,
                bottom: stop,
                ..side
            }
        };
        canvas.fill(part, paint.fill, DIM);
        at += period;
    }
}

/// `#12 car 0.87` on the track's colour; while coasting in that colour on dark. Above the box if that
/// place is free and on the picture, else below, else inside at the top or the bottom.
///
/// `taken` are the places of the labels so far; this one's is added.
pub(super) fn track_label(
    canvas: &mut Canvas<'_>,
    style: &Style,
    paint: Paint,
    font: &mut Font,
    taken: &mut Vec<Rect>,
    text: &str,
    track: &TrackSnapshot,
) {
    let rect = rect_of(&track.bbox);
    let outside = rect.right <= 0
        || rect.bottom <= 0
        || rect.left >= canvas.width()
        || rect.top >= canvas.height();
    if outside {
        return;
    }
    let mask = font.line(text, style.text);
    let width = i32::try_from(mask.width).unwrap_or(i32::MAX);
    let height = i32::try_from(mask.height).unwrap_or(i32::MAX);
    let left = (rect.left - style.outline)
        .min(canvas.width() - width)
        .max(0)
        & !1;
    let inside_top = rect.top.max(0);
    let tops = [
        rect.top - style.outline - height,
        rect.bottom + style.outline,
        inside_top,
        rect.bottom - height,
    ]
    .map(|top| top & !1);
    let place = |top: i32| Rect {
        left,
        top,
        right: left + width,
        bottom: top + height,
    };
    let lowest = canvas.height() - height;
    let free = |top: i32| {
        (0..=lowest).contains(&top) && !taken.iter().any(|other| other.overlaps(&place(top)))
    };
    let visible = |top: i32| (0..=lowest).contains(&top);
    let top = tops
        .into_iter()
        .find(|&top| free(top))
        .or_else(|| tops.into_iter().find(|&top| visible(top)))
        .unwrap_or(inside_top);
    taken.push(place(top));
    let (paper, ink) = match track.state {
        TrackState::Coasting => (color::neutral(canvas).fill, paint.fill),
        _ => (paint.fill, paint.text),
    };
    canvas.stamp(left, top, mask, paper, ink);
}

/// A strip of text at the top left; gives its place.
pub(super) fn header(
    canvas: &mut Canvas<'_>,
    style: &Style,
    font: &mut Font,
    text: &str,
) -> Option<Rect> {
    let paint = color::neutral(canvas);
    let mask = font.line(text, style.text);
    // On a tiny picture a header would hide everything.
    if mask.width > canvas.size().width as usize || mask.height * 6 > canvas.size().height as usize
    {
        return None;
    }
    canvas.stamp(0, 0, mask, paint.fill, paint.text);
    Some(Rect {
        left: 0,
        top: 0,
        right: i32::try_from(mask.width).unwrap_or(i32::MAX),
        bottom: i32::try_from(mask.height).unwrap_or(i32::MAX),
    })
}

/// The way of a track, fading with age.
pub(super) fn trail(
    canvas: &mut Canvas<'_>,
    style: &Style,
    paint: Paint,
    points: impl Iterator<Item = TrailPoint>,
) {
    let mut before: Option<TrailPoint> = None;
    for point in points {
        if let Some(from) = before {
            let alpha = (40.0 + 190.0 * point.freshness) as u32;
            let (start, end) = ((from.x, from.y), (point.x, point.y));
            canvas.line(start, end, style.line as f32, paint.fill, alpha);
        }
        before = Some(point);
    }
}
