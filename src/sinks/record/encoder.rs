//! Which encoder: the first description of `pipelines/encode-*.gst` whose elements exist and that
//! really encodes a picture.

/// The encoder asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EncoderChoice {
    /// Hardware that really starts, else x264, else openh264.
    #[default]
    Auto,
    /// One of the descriptions by name: `nv`, `va`, `v4l2`, `x264`, `openh264`.
    Named(String),
}
