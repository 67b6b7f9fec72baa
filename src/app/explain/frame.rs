//! One frame's whole story.

use std::fmt;

use super::story::{camera_text, change_text, name_text};
use super::verdict::{Verdict, shown};
use crate::sinks::publish::{DecisionFrame, NameEntry, TrackEntry};

/// One frame, whole or as far as one track is concerned; its text is for people.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameStory {
    /// The frame's line of the log.
    pub frame: DecisionFrame,
    /// Only this track.
    pub track: Option<u64>,
}

impl FrameStory {
    /// What is told, line by line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let frame = &self.frame;
        let own = self.track.map(NameEntry::Id);
        let mut lines = Vec::new();
        lines.extend(camera_text(frame));
        for entry in &frame.tracks {
            if own.is_none_or(|own| own == entry.name) {
                lines.push(entry_text(entry, frame));
            }
        }
        if self.track.is_none() {
            for &(birth, place) in &frame.births {
                let text = shown(frame, place);
                lines.push(format!("{text} was nobody's and starts new {birth}"));
            }
            for &(place, by, iou) in &frame.covered {
                let (text, by) = (shown(frame, place), name_text(by));
                lines.push(format!(
                    "{text} was nobody's and starts nothing: IoU {iou:.2} with {by}"
                ));
            }
            lines.extend(unused(frame));
        }
        let concerns = |text: &String| {
            let word = self.track.map(|id| format!("#{id}"));
            word.is_none_or(|word| {
                text.split(|c: char| c.is_whitespace() || c == ':')
                    .any(|part| part == word)
            })
        };
        lines.extend(frame.changes.iter().map(change_text).filter(concerns));
        lines
    }
}

/// Boxes that nobody took and that were too weak to start a track.
fn unused(frame: &DecisionFrame) -> Option<String> {
    let is_used = |place: u32| {
        frame.tracks.iter().any(|track| track.r#box == Some(place))
            || frame.births.iter().any(|birth| birth.1 == place)
            || frame.covered.iter().any(|covered| covered.0 == place)
    };
    let count = (0..frame.boxes.len() as u32)
        .filter(|&place| !is_used(place))
        .count();
    (count > 0).then(|| {
        format!(
            "{count} more boxes were nobody's, with scores below {:.2}",
            frame.limits.new
        )
    })
}

fn entry_text(entry: &TrackEntry, frame: &DecisionFrame) -> String {
    let gate = match entry.name {
        NameEntry::Id(_) => frame.limits.gate,
        NameEntry::New(_) => frame.limits.tentative_gate,
    };
    let verdict = Verdict::of(entry, frame);
    let verb = if entry.r#box.is_some() {
        "is given"
    } else {
        "is not seen:"
    };
    let unseen = entry
        .unseen_secs
        .map_or_else(String::new, |secs| format!(" (unseen for {secs:.2} s)"));
    format!(
        "{} {verb} {}{unseen}",
        name_text(entry.name),
        verdict.text(frame, gate)
    )
}

impl fmt::Display for FrameStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = &self.frame;
        let limits = &frame.limits;
        writeln!(
            f,
            "{}, frame {} at {:.3} s: {} boxes, {} tracks",
            frame.camera,
            frame.frame,
            frame.pts_ns as f64 / 1e9,
            frame.boxes.len(),
            frame.tracks.len()
        )?;
        write!(
            f,
            "  affinity above {:.2} (without id {:.2}); weak below {:.2}; a new track from {:.2}",
            limits.gate, limits.tentative_gate, limits.high, limits.new
        )?;
        for line in self.lines() {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}
