//! `gantryd models inspect`.

use std::collections::BTreeMap;
use std::fmt;

use super::providers;
use crate::perception::detect::{
    BatchAxis, ChannelOrder, ClassMap, Cost, DetectError, DetectOptions, Dtype, InputPlan, Layout,
    LetterboxAnchor, Manifest, ModelFiles, ModelPlan, Residual, Resize, Signature, Structure,
    TensorInfo, recognise,
};

/// Kinds of operations that are named; the others are counted together.
const MAX_KINDS: usize = 12;

/// What `gantryd models inspect` prints.
#[derive(Debug, Clone)]
pub struct Inspection {
    files: ModelFiles,
    signature: Signature,
    plan: Result<ModelPlan, String>,
    licence: Option<String>,
    size: Option<[u64; 2]>,
    structure: Structure,
    class_map: Option<String>,
    providers: Vec<(&'static str, String)>,
}

impl Inspection {
    /// Whether gantryd can use the model; if not, the print says why.
    #[must_use]
    pub fn is_detector(&self) -> bool {
        self.plan.is_ok()
    }

    /// What the graph is made of.
    #[must_use]
    pub fn structure(&self) -> &Structure {
        &self.structure
    }
}

/// Everything that the file of a model says, and which execution providers of this machine take it.
///
/// `size` is the width and height to count the cost for, px, where the file leaves them open; without
/// it the size that gantryd would use. `options` say where ONNX Runtime is; there need not be one.
///
/// # Errors
/// [`DetectError`] if the file or the manifest cannot be read, or `size` is not that of the file. A
/// graph that is no known detector is no error: the print says so.
pub fn inspect(
    files: ModelFiles,
    size: Option<(u32, u32)>,
    options: &DetectOptions,
) -> Result<Inspection, DetectError> {
    files.check()?;
    let manifest = files.manifest.as_deref().map(Manifest::read).transpose()?;
    let signature = Signature::read(&files.onnx)?;
    let plan =
        recognise(&files.onnx, &signature, manifest.as_ref()).map_err(|error| error.to_string());
    let (image, dims, size) =
        image_dims(&signature, plan.as_ref().ok(), size).map_err(|reason| DetectError::File {
            model: files.id.clone(),
            reason,
        })?;
    let structure = Structure::of(&signature, &image, &dims);
    let in_metadata = || {
        let mut keys = signature.metadata.iter();
        keys.find(|(key, _)| ["license", "licence"].contains(&key.to_lowercase().as_str()))
            .map(|(_, value)| value.clone())
    };
    let class_map = match &plan {
        Ok(plan) => {
            let stated = manifest
                .as_ref()
                .map(|m| m.class_map.clone())
                .unwrap_or_default();
            Some(class_map(&files.id, plan, &stated)?)
        }
        Err(_) => None,
    };
    Ok(Inspection {
        class_map,
        licence: manifest.and_then(|m| m.licence).or_else(in_metadata),
        providers: providers::judge(&files, &signature, options),
        files,
        signature,
        plan,
        size,
        structure,
    })
}

/// What becomes of the model's classes without a word of the configuration, for people.
fn class_map(
    model: &str,
    plan: &ModelPlan,
    stated: &BTreeMap<String, String>,
) -> Result<String, DetectError> {
    let map = ClassMap::new(model, &plan.classes, stated, &BTreeMap::new())?;
    let changes = map.changes(&plan.classes);
    let changes = changes.map(|(class, name)| match name {
        Some(name) => format!("{class} → {name}"),
        None => format!("{class} dropped"),
    });
    let changes: Vec<String> = changes.collect();
    Ok(if changes.is_empty() {
        "every class keeps its name".to_owned()
    } else {
        changes.join(", ")
    })
}

/// Name and dimensions of the image input for one picture, and its width and height if it has any.
fn image_dims(
    signature: &Signature,
    plan: Option<&ModelPlan>,
    asked: Option<(u32, u32)>,
) -> Result<(String, Vec<u64>, Option<[u64; 2]>), String> {
    let looks_like_one = |input: &&TensorInfo| matches!(input.dims.len(), 3 | 4);
    let input = match plan {
        Some(plan) => signature.inputs.iter().find(|i| i.name == plan.input.name),
        None => signature.inputs.iter().find(looks_like_one),
    };
    let Some(input) = input else {
        return Ok((String::new(), Vec::new(), None));
    };
    let rank = if input.has_shape { input.dims.len() } else { 4 };
    let is_nhwc = plan.map_or_else(
        || matches!(input.dims.last(), Some(Some(1 | 3 | 4))),
        |plan| plan.input.layout == Layout::Nhwc,
    );
    let Some(height_at) = (if is_nhwc {
        rank.checked_sub(3)
    } else {
        rank.checked_sub(2)
    }) else {
        return Ok((input.name.clone(), Vec::new(), None));
    };
    let stated = |at: usize| input.dims.get(at).copied().flatten().map(|dim| dim as u64);
    let (height, width) = (stated(height_at), stated(height_at + 1));
    if let Some((w, h)) = asked {
        let fits = |stated: Option<u64>, asked: u32| stated.is_none_or(|s| s == u64::from(asked));
        if !fits(width, w) || !fits(height, h) {
            let edge = |edge: Option<u64>| edge.map_or("any".to_owned(), |edge| edge.to_string());
            return Err(format!(
                "--size {w}x{h}: the input {:?} is {}x{} in the file, leave --size out",
                input.name,
                edge(width),
                edge(height)
            ));
        }
    }
    let planned = plan.map(|plan| (plan.input.width as u64, plan.input.height as u64));
    let asked = asked.map(|(w, h)| (u64::from(w), u64::from(h)));
    let (open_width, open_height) = asked.or(planned).unwrap_or((640, 640));
    let (width, height) = (width.unwrap_or(open_width), height.unwrap_or(open_height));
    let mut dims = vec![1; rank];
    dims[if is_nhwc {
        height_at + 2
    } else {
        height_at - 1
    }] = 3;
    for (at, dim) in dims.iter_mut().enumerate() {
        *dim = stated(at).unwrap_or(*dim);
    }
    (dims[height_at], dims[height_at + 1]) = (height, width);
    Ok((input.name.clone(), dims, Some([width, height])))
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
        let licence = self.licence.as_deref();
        writeln!(
            f,
            "licence     {}",
            licence.unwrap_or("not stated; ask where the weights come from")
        )?;
        writeln!(f, "operations  {}", self.operations())?;
        let weights = &self.structure.weights;
        write!(f, "parameters  {}", amount(weights.parameters).trim_end())?;
        if weights.tables > 0 {
            let tables = amount(weights.tables);
            let tables = tables.trim_end();
            write!(f, "; numbers in tables (grids, embeddings) {tables}")?;
        }
        writeln!(f)?;
        writeln!(f, "cost        {}", cost(&self.structure.cost, self.size))?;
        writeln!(f, "residual    {}", residual(&self.structure.residual))?;
        for (name, known) in &self.providers {
            writeln!(f, "provider    {name}: {known}")?;
        }
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
                if let Some(map) = &self.class_map {
                    writeln!(f, "class map   {map}")?;
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

impl Inspection {
    /// Kinds of operations, most frequent first.
    fn operations(&self) -> String {
        let counts = self.signature.graph.op_counts();
        let mut kinds: Vec<(&str, usize)> = counts.into_iter().collect();
        kinds.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let others = kinds.len().saturating_sub(MAX_KINDS);
        kinds.truncate(MAX_KINDS);
        let named: Vec<String> = kinds.iter().map(|(op, n)| format!("{op} {n}")).collect();
        let more = if others == 0 {
            String::new()
        } else {
            format!(", {others} more kinds")
        };
        format!("{}: {}{more}", self.signature.graph.len(), named.join(", "))
    }
}

/// A count in three digits and more, `0.523 G`, `77`; a unit may follow.
fn amount(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} "),
        10_000..100_000_000 => format!("{:.3} M", count as f64 / 1e6),
        _ => format!("{:.3} G", count as f64 / 1e9),
    }
}

/// Cost of one picture, for people.
fn cost(cost: &Cost, size: Option<[u64; 2]>) -> String {
    let at = size.map_or_else(String::new, |[w, h]| format!(" at {w}x{h}"));
    let left = if cost.left_out.is_empty() {
        String::new()
    } else {
        let all: usize = cost.left_out.values().sum();
        let kinds = cost.left_out.iter().map(|(op, n)| format!("{op} {n}"));
        let kinds: Vec<String> = kinds.collect();
        format!("; left out {all}: {}", kinds.join(", "))
    };
    format!(
        "{}MACs ({}FLOPs){at}, {} convolutions and products{left}",
        amount(cost.macs),
        amount(cost.macs.saturating_mul(2)),
        cost.counted
    )
}

/// Residual blocks, for people.
fn residual(residual: &Residual) -> String {
    if residual.blocks == 0 {
        return "no blocks".to_owned();
    }
    let blocks = residual.blocks;
    let blocks = if blocks == 1 {
        "1 block".to_owned()
    } else {
        format!("{blocks} blocks")
    };
    format!(
        "{blocks} ({} with convolutions): {} with an unbroken identity path, {} by projection; longest chain without anything between two sums: {}",
        residual.convolutional,
        residual.identity,
        residual.blocks - residual.identity,
        residual.longest_chain
    )
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
