//! Zones and lines with their running counts.

use crate::base::{LineCount, SceneCounts, Size, ZoneCount};

use super::Canvas;
use super::canvas::{OPAQUE, Rect};
use super::color::{self, Paint};
use super::draw::Style;
use super::font::Font;

/// Opacity of borders.
const BORDER: u32 = 200;

/// Opacity of areas that are only shown: excluded ones, and the calibrated ground.
const FAINT: u32 = 90;

/// Length of the arrow to the side that counts as in, line widths.
const ARROW: f32 = 9.0;

/// Longest name that is drawn, characters.
const MAX_NAME_CHARS: usize = 24;

/// A zone or line that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// What it is called.
    pub name: String,
    /// Its corners or its two ends, shares of the frame.
    pub points: Vec<[f32; 2]>,
}

/// What is drawn below the tracks, in the order of the counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overlay {
    /// Zones.
    pub zones: Vec<Place>,
    /// Lines; seen from the first point, `in` is to the right.
    pub lines: Vec<Place>,
    /// Areas without counts: corners, shares of the frame.
    pub outlines: Vec<Vec<[f32; 2]>>,
}

/// Draws every border, line and arrow.
pub(super) fn shapes(canvas: &mut Canvas<'_>, style: &Style, overlay: &Overlay) {
    let size = canvas.size();
    let grey = color::of_outline(canvas);
    for corners in &overlay.outlines {
        ring(canvas, style, grey, &on_frame(corners, size), FAINT);
    }
    for (index, zone) in overlay.zones.iter().enumerate() {
        let paint = color::of_place(index, canvas);
        ring(canvas, style, paint, &on_frame(&zone.points, size), BORDER);
    }
    for (index, line) in overlay.lines.iter().enumerate() {
        let paint = color::of_place(overlay.zones.len() + index, canvas);
        if let [from, to] = on_frame(&line.points, size)[..] {
            let width = style.line as f32;
            canvas.line(from, to, width * 1.5, paint.fill, OPAQUE);
            arrow(canvas, from, to, width, paint);
        }
    }
}

/// Draws the names and counts; `taken` are the places of the labels so far, theirs are added.
pub(super) fn labels(
    canvas: &mut Canvas<'_>,
    style: &Style,
    font: &mut Font,
    taken: &mut Vec<Rect>,
    overlay: &Overlay,
    counts: &SceneCounts,
) {
    let size = canvas.size();
    for (index, (zone, count)) in overlay.zones.iter().zip(&counts.zones).enumerate() {
        let paint = color::of_place(index, canvas);
        let corners = on_frame(&zone.points, size);
        let highest = corners.into_iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let text = zone_text(&zone.name, *count);
        label(canvas, style, font, taken, paint, highest, &text);
    }
    for (index, (line, count)) in overlay.lines.iter().zip(&counts.lines).enumerate() {
        let paint = color::of_place(overlay.zones.len() + index, canvas);
        let middle = match on_frame(&line.points, size)[..] {
            [from, to] => Some(((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0)),
            _ => None,
        };
        let text = line_text(&line.name, *count);
        label(canvas, style, font, taken, paint, middle, &text);
    }
}

fn zone_text(name: &str, count: ZoneCount) -> String {
    let name: String = name.chars().take(MAX_NAME_CHARS).collect();
    let waiting = match count.queue {
        0 => String::new(),
        queue => format!(", {queue} waiting"),
    };
    let total = count.entries;
    format!(
        "{name}: {} inside{waiting}, {total} so far",
        count.occupancy
    )
}

fn line_text(name: &str, count: LineCount) -> String {
    let name: String = name.chars().take(MAX_NAME_CHARS).collect();
    format!("{name}: {} in, {} out", count.ins, count.outs)
}

fn on_frame(points: &[[f32; 2]], size: Size) -> Vec<(f32, f32)> {
    let (width, height) = (size.width as f32, size.height as f32);
    let place = |[x, y]: &[f32; 2]| (x * width, y * height);
    points.iter().map(place).collect()
}

fn ring(canvas: &mut Canvas<'_>, style: &Style, paint: Paint, corners: &[(f32, f32)], alpha: u32) {
    let next = corners.iter().cycle().skip(1);
    for (from, to) in corners.iter().zip(next) {
        canvas.line(*from, *to, style.line as f32, paint.fill, alpha);
    }
}

/// From the middle of a line to its right-hand side, with a head.
fn arrow(canvas: &mut Canvas<'_>, from: (f32, f32), to: (f32, f32), width: f32, paint: Paint) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if length <= 0.0 {
        return;
    }
    let (along, right) = ((dx / length, dy / length), (-dy / length, dx / length));
    let at = |ahead: f32, aside: f32| {
        (
            (from.0 + to.0) / 2.0 + width * (ahead * right.0 + aside * along.0),
            (from.1 + to.1) / 2.0 + width * (ahead * right.1 + aside * along.1),
        )
    };
    let tip = at(ARROW, 0.0);
    let head = [at(0.0, 0.0), at(ARROW * 0.6, 3.0), at(ARROW * 0.6, -3.0)];
    for end in head {
        canvas.line(end, tip, width, paint.fill, OPAQUE);
    }
}

/// Text on the colour of its place, beside `point`, pushed down below labels that are there already.
fn label(
    canvas: &mut Canvas<'_>,
    style: &Style,
    font: &mut Font,
    taken: &mut Vec<Rect>,
    paint: Paint,
    point: Option<(f32, f32)>,
    text: &str,
) {
    let Some((x, y)) = point else { return };
    let mask = font.line(text, style.text);
    let side = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    let (width, height) = (side(mask.width), side(mask.height));
    let within = |value: f32, most: i32| (value.round() as i32).clamp(0, most.max(0)) & !1;
    let left = within(x + 2.0 * style.line as f32, canvas.width() - width);
    let lowest = canvas.height() - height;
    let mut top = within(y + style.line as f32, lowest);
    let place = |top: i32| Rect {
        left,
        top,
        right: left + width,
        bottom: top + height,
    };
    while let Some(other) = taken.iter().find(|other| other.overlaps(&place(top))) {
        let below = (other.bottom + 1) & !1;
        if below > lowest {
            break;
        }
        top = below;
    }
    taken.push(place(top));
    canvas.stamp(left, top, mask, paint.fill, paint.text);
}
