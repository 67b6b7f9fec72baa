//! Text as coverage masks: Hack, embedded, anti-aliased, every glyph drawn once per size.

use std::collections::BTreeMap;
use std::fmt;

use ab_glyph::{Font as _, FontRef, ScaleFont as _};

use super::canvas::Mask;

/// Most glyphs kept; beyond that the cache begins anew.
const MAX_GLYPHS: usize = 1024;

/// Space around the text, in parts of its size.
const PADDING: f32 = 0.22;

/// One glyph in its cell.
#[derive(Debug)]
struct Glyph {
    /// Cell coordinates of the mask's top left; y counts from the top of the line.
    left: i32,
    top: i32,
    mask: Mask,
}

/// The font and what it has drawn so far.
pub(super) struct Font {
    font: Option<FontRef<'static>>,
    glyphs: BTreeMap<(u32, char), Glyph>,
    line: Mask,
}

impl fmt::Debug for Font {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Font with {} glyphs", self.glyphs.len())
    }
}

impl Font {
    pub(super) fn new() -> Self {
        Self {
            font: FontRef::try_from_slice(epaint_default_fonts::HACK_REGULAR).ok(),
            glyphs: BTreeMap::new(),
            line: Mask::default(),
        }
    }

    /// Draws one line of text, `px` high from ascent to descent, with a margin around it. Width and
    /// height are even. The mask is valid until the next call.
    pub(super) fn line(&mut self, text: &str, px: u32) -> &Mask {
        let Some(font) = &self.font else {
            return &self.line;
        };
        let scaled = font.as_scaled(px as f32);
        let pad = (px as f32 * PADDING).round() as usize;
        // Monospaced: whole pixels per cell, so that each glyph needs to be drawn only once.
        let advance = scaled.h_advance(font.glyph_id('0')).round().max(1.0) as usize;
        let count = text.chars().count();
        let line_height = scaled.height().ceil() as usize;
        self.line.width = (count * advance + 2 * pad).next_multiple_of(2);
        self.line.height = (line_height + pad).next_multiple_of(2);
        self.line.data.clear();
        self.line.data.resize(self.line.width * self.line.height, 0);
        if self.glyphs.len() > MAX_GLYPHS {
            self.glyphs.clear();
        }
        for (index, symbol) in text.chars().enumerate() {
            let glyph = self
                .glyphs
                .entry((px, symbol))
                .or_insert_with(|| draw_glyph(font, symbol, px));
            let left = i32::try_from(pad + index * advance).unwrap_or(0) + glyph.left;
            let top = i32::try_from(pad / 2).unwrap_or(0) + glyph.top;
            lay(&mut self.line, &glyph.mask, left, top);
        }
        &self.line
    }
}

fn draw_glyph(font: &FontRef<'_>, symbol: char, px: u32) -> Glyph {
    let scaled = font.as_scaled(px as f32);
    let origin = ab_glyph::point(0.0, scaled.ascent().round());
    let glyph = font
        .glyph_id(symbol)
        .with_scale_and_position(px as f32, origin);
    let Some(outline) = font.outline_glyph(glyph) else {
        return Glyph {
            left: 0,
            top: 0,
            mask: Mask::default(),
        };
    };
    let bounds = outline.px_bounds();
    let width = bounds.width().ceil() as usize;
    let height = bounds.height().ceil() as usize;
    let mut data = vec![0; width * height];
    outline.draw(|x, y, coverage| {
        if let Some(pixel) = data.get_mut(y as usize * width + x as usize) {
            *pixel = (coverage * 255.0).round() as u8;
        }
    });
    Glyph {
        left: bounds.min.x as i32,
        top: bounds.min.y as i32,
        mask: Mask {
            width,
            height,
            data,
        },
    }
}

/// Adds a glyph to the line, cut at its edges.
fn lay(line: &mut Mask, glyph: &Mask, left: i32, top: i32) {
    if glyph.width == 0 {
        return;
    }
    for (row, source) in glyph.data.chunks_exact(glyph.width).enumerate() {
        let y = usize::try_from(top).unwrap_or(0) + row;
        let x = usize::try_from(left).unwrap_or(0);
        if y >= line.height || x >= line.width {
            continue;
        }
        let end = (x + glyph.width).min(line.width);
        let target = &mut line.data[y * line.width + x..y * line.width + end];
        for (pixel, &coverage) in target.iter_mut().zip(source) {
            *pixel = (*pixel).max(coverage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_even_sized_and_holds_solid_ink() {
        let mut font = Font::new();
        let mask = font.line("#12 car 0.87", 20);
        assert_eq!((mask.width % 2, mask.height % 2), (0, 0));
        assert_eq!(mask.data.len(), mask.width * mask.height);
        assert!(mask.data.contains(&255));
        assert_eq!(mask.data[0], 0, "the margin is empty");
    }

    #[test]
    fn any_text_at_any_size_is_drawn_without_panic() {
        let mut font = Font::new();
        for text in ["", "écriture žluťoučký", "汽车 🚗 \u{0}\n\u{202e}", "ﷺ"] {
            for px in [1, 2, 13, 200] {
                let mask = font.line(text, px);
                assert_eq!(mask.data.len(), mask.width * mask.height);
            }
        }
    }

    #[test]
    fn the_glyph_cache_is_bounded() {
        let mut font = Font::new();
        for start in (0x20..0x2_0000u32).step_by(64) {
            let text: String = (start..start + 64).filter_map(char::from_u32).collect();
            font.line(&text, 12);
            assert!(font.glyphs.len() <= MAX_GLYPHS + 64);
        }
    }
}
