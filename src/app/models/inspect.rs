//! `gantryd models inspect`.

use std::fmt;

use crate::perception::detect::{
    BatchAxis, ChannelOrder, DetectError, Dtype, InputPlan, Layout, LetterboxAnchor, Manifest,
    ModelFiles, ModelPlan, Resize, Signature, recognise,
};

/// What `gantryd models inspect` prints.
#[derive(Debug, Clone)]
pub struct Inspection {
    files: ModelFiles,
    signature: Signature,
    plan: Result<ModelPlan, String>,
}

impl Inspection {
    /// Whether gantryd can use the model; if not, the print says why.
    #[must_use]
    pub fn is_detector(&self) -> bool {
        self.plan.is_ok()
    }
}

/// Everything that the file of a model says, without ONNX Runtime.
///
/// # Errors
/// [`DetectError`] if the file or the manifest cannot be read. A graph that is no known detector is no
/// error: the print says so.
pub fn inspect(files: ModelFiles) -> Result<Inspection, DetectError> {
    files.check()?;
    let manifest = files.manifest.as_deref().map(Manifest::read).transpose()?;
    let signature = Signature::read(&files.onnx)?;
    let plan =
        recognise(&files.onnx, &signature, manifest.as_ref()).map_err(|error| error.to_string());
    Ok(Inspection {
        files,
        signature,
        plan,
    })
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = &self.signature;
        writeln!(f, "file        {}", self.files.onnx.display())?;
        if let Some(manifest) = &self.files.manifest {
            writeln!(f, "manifest    {}", manifest.display())?;
        }
        writeln!(
            f,
            "producer    {}, opset {}",
            signature.producer, signature.opset
        )?;
        writeln!(f, "parameters  {:.2} M", signature.parameters as f64 / 1e6)?;
        for input in &signature.inputs {
            writeln!(f, "input       {input}")?;
        }
        for output in &signature.outputs {
            writeln!(f, "output      {output}")?;
        }
        for (key, value) in &signature.metadata {
            writeln!(f, "metadata    {key} = {}", shortened(value))?;
        }
        match &self.plan {
            Err(why) => write!(f, "family      none\n{why}"),
            Ok(plan) => {
                writeln!(f, "family      {}", plan.family)?;
                writeln!(f, "picture     {}", picture(&plan.input))?;
                for note in &plan.notes {
                    writeln!(f, "note        {note}")?;
                }
                write!(
                    f,
                    "classes     {}: {}",
                    plan.classes.len(),
                    plan.classes.join(", ")
                )
            }
        }
    }
}

/// How a frame becomes the input of the model, for people.
fn picture(input: &InputPlan) -> String {
    let fit = match input.resize {
        Resize::Stretch => "stretched".to_owned(),
        Resize::Letterbox { anchor, pad } => {
            let place = match anchor {
                LetterboxAnchor::Center => "in the middle",
                LetterboxAnchor::TopLeft => "at the top left",
            };
            format!("letterboxed {place} of grey {pad}")
        }
    };
    let dtype = match input.dtype {
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        Dtype::U8 => "uint8",
    };
    let layout = match input.layout {
        Layout::Nchw => "NCHW",
        Layout::Nhwc => "NHWC",
    };
    let order = match input.order {
        ChannelOrder::Rgb => "RGB",
        ChannelOrder::Bgr => "BGR",
    };
    let batch = match input.batch {
        BatchAxis::Fixed(pictures) => format!("batch of {pictures}"),
        BatchAxis::Dynamic => "batch of any size".to_owned(),
        BatchAxis::Absent => "no batch axis".to_owned(),
    };
    let (width, height) = (input.width, input.height);
    let (mean, std) = (input.mean, input.std);
    format!(
        "{width}x{height}, {fit}, {order}, (value - {mean:?}) / {std:?}, {dtype}, {layout}, {batch}"
    )
}

/// Metadata can hold whole documents.
fn shortened(value: &str) -> String {
    const LONGEST: usize = 200;
    let line = value.replace('\n', " ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    let start: String = line.chars().take(LONGEST).collect();
    format!("{start}…")
}
