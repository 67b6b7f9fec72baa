//! Which encoder: the first description of `pipelines/encode-*.gst` whose elements exist and that
//! really encodes a picture.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{ColorMatrix, ColorRange, OwnedPlanes, PipelineText, PixelFormat, Pixels, Size};

use super::copy::Shape;
use super::segment::{Output, Segment};
use super::{RecordError, RecordOptions, RecordPace};

/// Descriptions in order of preference: hardware first.
const DESCRIPTIONS: [(&str, &str); 5] = [
    ("nv", include_str!("../../../pipelines/encode-nv.gst")),
    ("va", include_str!("../../../pipelines/encode-va.gst")),
    ("v4l2", include_str!("../../../pipelines/encode-v4l2.gst")),
    ("x264", include_str!("../../../pipelines/encode-x264.gst")),
    (
        "openh264",
        include_str!("../../../pipelines/encode-openh264.gst"),
    ),
];

/// How long an encoder may take to encode the trial pictures.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The encoder asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EncoderChoice {
    /// Hardware that really starts, else x264, else openh264.
    #[default]
    Auto,
    /// One of the descriptions by name: `nv`, `va`, `v4l2`, `x264`, `openh264`.
    Named(String),
}

impl EncoderChoice {
    /// The names that can be asked for, in the order in which `auto` tries them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        DESCRIPTIONS.iter().map(|(name, _)| *name)
    }

    fn admits(&self, name: &str) -> bool {
        match self {
            Self::Auto => true,
            Self::Named(wanted) => wanted == name,
        }
    }
}

/// An encoder's description, its placeholders known but for the size of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoder {
    pub name: &'static str,
    text: PipelineText,
    threads: u32,
    /// The threads share each picture, so that none waits for the next; without it they take a
    /// picture each, which is faster where nobody waits.
    sliced: bool,
    preset: String,
    quality: u8,
}

/// Bits per pixel and second of the ceiling on the bit rate: 12 Mbit/s for 1080p. Far above what
/// quality 23 needs for traffic; it only cuts the peaks of noise and snow.
const CEILING_BITS_PER_PIXEL: u64 = 6;

impl Encoder {
    /// An encoder from its description.
    #[cfg(test)]
    pub(super) fn of_text(name: &'static str, text: &str) -> Self {
        Self {
            name,
            text: PipelineText::new(name, text),
            threads: 1,
            sliced: true,
            preset: "ultrafast".to_owned(),
            quality: 23,
        }
    }

    /// The encoder's part of a pipeline for pictures of this size.
    pub(super) fn fill(&self, size: Size) -> Result<String, String> {
        let pixels = u64::from(size.width) * u64::from(size.height);
        let kbps = (pixels * CEILING_BITS_PER_PIXEL / 1000).clamp(500, 100_000);
        self.text
            .fill(&[
                ("preset", &self.preset),
                ("threads", &self.threads.to_string()),
                ("sliced", &self.sliced.to_string()),
                ("quality", &self.quality.to_string()),
                ("kbps", &kbps.to_string()),
                ("bps", &(kbps * 1000).to_string()),
            ])
            .map_err(|error| error.to_string())
    }

    /// Encodes two pictures to nowhere.
    fn trial(&self) -> Result<(), String> {
        let shape = Shape {
            size: Size {
                width: 640,
                height: 360,
            },
            format: PixelFormat::Nv12,
            matrix: ColorMatrix::Bt709,
            range: ColorRange::Limited,
        };
        let grey = Pixels {
            format: shape.format,
            matrix: shape.matrix,
            range: shape.range,
            planes: Arc::new(OwnedPlanes(vec![
                (vec![128; 640 * 360], 640),
                (vec![128; 640 * 180], 640),
            ])),
        };
        let mut segment = Segment::open(self, shape, Output::Nowhere, None)?;
        for pts_ns in [0, 40_000_000] {
            let buffer = segment
                .copy(&grey, |_| {})
                .ok_or("no memory for a picture")?;
            segment.push(buffer, pts_ns, String::new())?;
        }
        let closed = segment.close(TRIAL_TIMEOUT);
        match closed.failure {
            Some(failure) => Err(failure.text),
            None if closed.frames == 2 => Ok(()),
            None => Err(format!("2 pictures in, {} out", closed.frames)),
        }
    }
}

/// What is said of an encoder that was not the first choice.
fn chosen(name: &str) -> &'static str {
    match name {
        "nv" | "va" | "v4l2" => "encoder chosen",
        _ => {
            "encoder chosen; it takes the processor, some 16 ms of a core per 1080p picture; raw = true records without any"
        }
    }
}

/// The encoders that may be used, best first; the first has been tried.
pub(super) fn choose(options: &RecordOptions) -> Result<VecDeque<Encoder>, RecordError> {
    let refused = |tried: Vec<String>| RecordError::NoEncoder {
        wanted: match &options.encoder {
            EncoderChoice::Auto => "works here".to_owned(),
            EncoderChoice::Named(name) => format!("\"{name}\" works here"),
        },
        tried: if tried.is_empty() {
            let known: Vec<&str> = EncoderChoice::names().collect();
            format!("nothing, known are {}", known.join(", "))
        } else {
            tried.join("; ")
        },
    };
    let plain = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '-';
    if options.preset.is_empty() || !options.preset.chars().all(plain) {
        return Err(refused(vec![format!(
            "preset {:?}, which is not a word",
            options.preset
        )]));
    }
    let mut left: VecDeque<Encoder> = DESCRIPTIONS
        .iter()
        .filter(|(name, _)| options.encoder.admits(name))
        .map(|(name, text)| Encoder {
            name,
            text: PipelineText::new(&format!("encode-{name}.gst"), text),
            threads: options.threads.get(),
            sliced: options.pace == RecordPace::Live,
            preset: options.preset.clone(),
            quality: options.quality.clamp(1, 51),
        })
        .collect();
    let mut tried = Vec::new();
    while let Some(encoder) = left.front() {
        match encoder.trial() {
            Ok(()) => {
                let encoder = encoder.name;
                if tried.is_empty() {
                    tracing::info!(encoder, "encoder chosen");
                } else {
                    let not_usable = tried.join("; ");
                    tracing::info!(encoder, not_usable, "{}", chosen(encoder));
                }
                return Ok(left);
            }
            Err(error) => {
                tracing::debug!(encoder = encoder.name, error, "encoder not usable");
                tried.push(format!("{}: {error}", encoder.name));
                left.pop_front();
            }
        }
    }
    Err(refused(tried))
}
