//! What has to be done to a frame before a model, as recognised from the graph or stated by a
//! manifest, and the shapes in which its outputs come back.

/// Order of the axes of the image tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[batch, channel, row, column]`.
    Nchw,
    /// `[batch, row, column, channel]`.
    Nhwc,
}

/// Element type of the image tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit float.
    F32,
    /// 16-bit float (IEEE 754 half).
    F16,
    /// 8-bit unsigned; `mean` and `std` do not apply.
    U8,
}

/// Order of the colour channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelOrder {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// Where the picture sits inside a letterbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterboxAnchor {
    /// Padding split evenly on both sides.
    Center,
    /// Picture at the top left, padding right or below.
    TopLeft,
}

/// How a frame is fitted to the size of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// Aspect ratio kept, the rest filled with `pad` (0..=255, every channel).
    Letterbox {
        /// Where the picture sits.
        anchor: LetterboxAnchor,
        /// Grey value of the padding, before mean and std.
        pad: u8,
    },
    /// Each axis scaled by itself.
    Stretch,
}

/// The batch axis of the image tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchAxis {
    /// Exactly this many pictures per call.
    Fixed(usize),
    /// Any number.
    Dynamic,
    /// No such axis: `[3, H, W]` or `[H, W, 3]`.
    Absent,
}

/// An input besides the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraInput {
    /// Its name in the graph.
    pub name: String,
    /// What it wants.
    pub role: ExtraRole,
    /// Element type: `true` for int64, `false` for float32.
    pub is_int64: bool,
}

/// What an input besides the image wants, one row or map per picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraRole {
    /// Size of the frame as (width, height): boxes come back in frame pixels.
    FrameSizeWh,
    /// Size of the frame as (height, width).
    FrameSizeHw,
    /// Size of the model's input as (height, width) (PaddleDetection `im_shape`).
    ModelSizeHw,
    /// Model size / frame size as (y, x) (PaddleDetection `scale_factor`).
    ScaleYx,
    /// A map that is 1 where there is a picture: everywhere, as it is stretched (DETR `pixel_mask`).
    PixelMask {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
}

/// How to turn a frame into the image tensor: `(value − mean[c]) / std[c]`, value in 0..=255.
#[derive(Debug, Clone, PartialEq)]
pub struct InputPlan {
    /// Name of the image input.
    pub name: String,
    /// Order of the axes.
    pub layout: Layout,
    /// Element type.
    pub dtype: Dtype,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Batch axis.
    pub batch: BatchAxis,
    /// Colour channels; `mean` and `std` are in this order.
    pub order: ChannelOrder,
    /// Subtracted from each channel, in units of 0..=255.
    pub mean: [f32; 3],
    /// Each channel is divided by it, in units of 0..=255 (255 gives 0..=1).
    pub std: [f32; 3],
    /// How the frame is fitted.
    pub resize: Resize,
    /// Inputs besides the image.
    pub extra: Vec<ExtraInput>,
}

/// Elements of an output tensor.
#[derive(Debug, Clone, Copy)]
pub enum TensorData<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// 16-bit floats.
    F16(&'a [half::f16]),
    /// 64-bit integers.
    I64(&'a [i64]),
    /// 32-bit integers.
    I32(&'a [i32]),
    /// Bytes.
    U8(&'a [u8]),
}

impl TensorData<'_> {
    /// All elements as floats.
    pub(super) fn to_f32(self) -> Vec<f32> {
        match self {
            Self::F32(data) => data.to_vec(),
            Self::F16(data) => data.iter().map(|it| it.to_f32()).collect(),
            Self::I64(data) => data.iter().map(|&it| it as f32).collect(),
            Self::I32(data) => data.iter().map(|&it| it as f32).collect(),
            Self::U8(data) => data.iter().map(|&it| f32::from(it)).collect(),
        }
    }
}

/// One output of the network for a whole batch.
#[derive(Debug, Clone, Copy)]
pub struct OutputView<'a> {
    /// Its name in the graph.
    pub name: &'a str,
    /// Its dimensions, as they came.
    pub shape: &'a [usize],
    /// Its elements, row-major.
    pub data: TensorData<'a>,
}

/// A candidate box of one picture, in model pixels (or frame pixels, where the head says so), not
/// yet suppressed or clipped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RawBox {
    /// Left, top, right, bottom.
    pub ltrb: [f32; 4],
    /// Index of the class.
    pub class: u16,
    /// Score, 0..=1.
    pub confidence: f32,
    /// Number of the candidate among those of its head, from 0.
    pub row: u32,
}
