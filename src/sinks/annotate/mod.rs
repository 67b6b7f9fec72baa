//! Boxes, ids and trails onto a copy of the picture, in its own YUV planes.
//!
//! [`Annotator`] remembers where each track has been and draws one [`FrameResult`] on a [`Canvas`]:
//! the mutable planes of a copy. No RGB picture is ever made. Does not belong here: the copy itself
//! and what becomes of it.

mod canvas;
mod color;
mod draw;
mod font;
mod overlay;
mod privacy;
mod stroke;
#[cfg(test)]
mod tests;
mod trail;

use std::sync::Arc;
use std::time::Duration;

pub use canvas::{Canvas, Chroma, PlaneMut};
pub use color::Yuv;
pub use overlay::{Overlay, Place};
pub use privacy::{Hide, Privacy, PrivacyRules};

use crate::base::{FrameResult, Speed, TrackSnapshot, TrackState};
use draw::Style;
use font::Font;
use trail::Trails;

/// Longest text of one label, in characters; a longer class name is cut with an ellipsis.
const MAX_NAME_CHARS: usize = 24;

/// What is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotateOptions {
    /// How long a trail is; zero draws none.
    pub trail: Duration,
    /// A strip at the top left with camera, time and number of objects.
    pub header: bool,
}

impl Default for AnnotateOptions {
    fn default() -> Self {
        Self {
            trail: Duration::from_secs(2),
            header: true,
        }
    }
}

/// Draws results on pictures of one camera.
#[derive(Debug)]
pub struct Annotator {
    options: AnnotateOptions,
    classes: Arc<[String]>,
    overlay: Overlay,
    privacy: Option<Privacy>,
    font: Font,
    trails: Trails,
    order: Vec<usize>,
    taken: Vec<canvas::Rect>,
    text: String,
}

impl Annotator {
    /// An annotator for one camera; `classes` are the names of the model's classes by index.
    #[must_use]
    pub fn new(options: AnnotateOptions, classes: Arc<[String]>) -> Self {
        let trails = Trails::new(options.trail);
        Self {
            options,
            classes,
            overlay: Overlay::default(),
            privacy: None,
            font: Font::new(),
            trails,
            order: Vec::new(),
            taken: Vec::new(),
            text: String::new(),
        }
    }

    /// With these zones and lines below the tracks.
    #[must_use]
    pub fn with_overlay(mut self, overlay: Overlay) -> Self {
        self.overlay = overlay;
        self
    }

    /// With this hidden before anything is drawn.
    #[must_use]
    pub fn with_privacy(mut self, privacy: Option<Privacy>) -> Self {
        self.privacy = privacy;
        self
    }

    /// Remembers where the tracks are, for their trails. To be called once for every result, also
    /// for those that are not drawn.
    pub fn observe(&mut self, result: &FrameResult) {
        self.trails.observe(result);
    }

    /// Draws one result: what is hidden, zones and lines, trails, boxes, then the header and labels. Tentative tracks are not
    /// drawn; coasting ones are dashed and dim.
    pub fn draw(&mut self, canvas: &mut Canvas<'_>, result: &FrameResult) {
        if let Some(privacy) = &self.privacy {
            privacy.hide(canvas, result);
        }
        let style = Style::for_size(canvas.size());
        let tracks = &result.tracks;
        self.order.clear();
        self.order.extend(
            (0..tracks.len()).filter(|&index| tracks[index].state != TrackState::Tentative),
        );
        // Far (high in the picture) first: the near is drawn over the far.
        self.order
            .sort_by(|&a, &b| tracks[a].bbox.bottom().total_cmp(&tracks[b].bbox.bottom()));
        overlay::shapes(canvas, &style, &self.overlay);
        for &index in &self.order {
            let color = color::of_track(tracks[index].id, canvas);
            draw::trail(canvas, &style, color, self.trails.points(tracks[index].id));
        }
        for &index in &self.order {
            let color = color::of_track(tracks[index].id, canvas);
            draw::track_box(canvas, &style, color, &tracks[index]);
        }
        self.taken.clear();
        if self.options.header {
            header_text(&mut self.text, result, self.order.len());
            let place = draw::header(canvas, &style, &mut self.font, &self.text);
            self.taken.extend(place);
        }
        if let Some(counts) = &result.counts {
            let (font, taken) = (&mut self.font, &mut self.taken);
            overlay::labels(canvas, &style, font, taken, &self.overlay, counts);
        }
        // Near first: it gets the place it wants.
        for &index in self.order.iter().rev() {
            let track = &tracks[index];
            let color = color::of_track(track.id, canvas);
            label_text(
                &mut self.text,
                &self.classes,
                track,
                speed_of(result, track),
            );
            let (font, taken) = (&mut self.font, &mut self.taken);
            draw::track_label(canvas, &style, color, font, taken, &self.text, track);
        }
    }
}

/// How fast the object is, where its ground is calibrated.
fn speed_of(result: &FrameResult, track: &TrackSnapshot) -> Option<Speed> {
    let speeds = &result.counts.as_ref()?.speeds;
    let index = speeds.binary_search_by_key(&track.id, |(id, _)| *id).ok()?;
    Some(speeds[index].1)
}

/// `#12 car 0.87`, with a speed `#12 car 0.87 42±3 km/h`.
fn label_text(text: &mut String, classes: &[String], track: &TrackSnapshot, speed: Option<Speed>) {
    use std::fmt::Write;

    text.clear();
    // Writing to a String cannot fail.
    write!(text, "#{} ", track.id.0).unwrap_or_default();
    match classes.get(usize::from(track.class.0)) {
        Some(name) if name.chars().count() > MAX_NAME_CHARS => {
            text.extend(name.chars().take(MAX_NAME_CHARS - 1));
            text.push('…');
        }
        Some(name) => text.push_str(name),
        None => write!(text, "class {}", track.class.0).unwrap_or_default(),
    }
    write!(text, " {:.2}", track.confidence).unwrap_or_default();
    if let Some(speed) = speed {
        let Speed {
            value,
            uncertainty,
            unit,
        } = speed;
        write!(text, " {value:.0}±{uncertainty:.0} {}", unit.as_str()).unwrap_or_default();
    }
}

/// `gate  2026-11-23 12:45:09.123  7 tracks`; stream time where UTC is not known.
fn header_text(text: &mut String, result: &FrameResult, shown: usize) {
    use std::fmt::Write;

    text.clear();
    text.extend(result.meta.camera.as_str().chars().take(MAX_NAME_CHARS));
    match result.meta.utc {
        Some(utc) => {
            let utc = utc.to_string();
            let (day, time) = utc.split_once('T').unwrap_or(("", &utc));
            let time = time.get(..12).unwrap_or(time);
            write!(text, "  {day} {time} UTC").unwrap_or_default();
        }
        None => {
            let millis = result.meta.pts.0 / 1_000_000;
            let (secs, millis) = (millis / 1000, millis % 1000);
            let (hours, mins, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
            write!(text, "  {hours:02}:{mins:02}:{secs:02}.{millis:03}").unwrap_or_default();
        }
    }
    let noun = if shown == 1 { "track" } else { "tracks" };
    write!(text, "  {shown} {noun}").unwrap_or_default();
}
