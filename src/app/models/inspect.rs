//! `gantryd models inspect`.

mod image;
mod words;

use std::fmt;

use super::providers;
use crate::perception::detect::{
    DetectError, DetectOptions, Manifest, ModelFiles, ModelPlan, ReidPlan, Signature, Structure,
    recognise, recognise_reid,
};
use image::image_input;
use words::{amount, class_map, cost, picture, residual, shortened};

/// Kinds of operations that are named; the others are counted together.
const MAX_KINDS: usize = 12;

/// What `gantryd models inspect` prints.
#[derive(Debug, Clone)]
pub struct Inspection {
    files: ModelFiles,
    signature: Signature,
    plan: Result<ModelPlan, String>,
    /// How it is used for re-identification, where it is no detector.
    reid: Option<ReidPlan>,
    licence: Option<String>,
    size: Option<[u64; 2]>,
    structure: Structure,
    class_map: Option<String>,
    providers: Vec<(&'static str, String)>,
}

impl Inspection {
    /// Whether gantryd can use the model, as a detector or for re-identification; if not, the print says
    /// why.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.plan.is_ok() || self.reid.is_some()
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
    let reid = match &plan {
        Ok(_) => None,
        Err(_) => recognise_reid(&files.onnx, &signature, manifest.as_ref()).ok(),
    };
    let image =
        image_input(&signature, plan.as_ref().ok(), size).map_err(|reason| DetectError::File {
            model: files.id.clone(),
            reason,
        })?;
    let structure = Structure::of(&signature, &image.name, &image.dims);
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
        reid,
        size: image.size,
        structure,
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
        if let Some(reid) = &self.reid {
            writeln!(
                f,
                "family      re-identification: one vector per crop, in {}",
                reid.output
            )?;
            writeln!(f, "picture     {}", picture(&reid.input))?;
            for note in &reid.notes {
                writeln!(f, "note        {note}")?;
            }
            return write!(
                f,
                "use         --reid FILE, or reid = \"FILE\" in [track]; it finds no objects"
            );
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
