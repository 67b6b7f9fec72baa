//! `gantryd models list`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{first_line, manifests, table};
use crate::perception::detect::{
    DetectError, Manifest, ManifestError, ModelPlan, Signature, recognise,
};

/// One line of `gantryd models list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The id for `--model`.
    pub id: String,
    /// Its family, or what keeps it from being recognised.
    pub family: String,
    /// Size of its input, `640x640`.
    pub input: String,
    /// Number of its classes.
    pub classes: Option<usize>,
    /// Licence of the weights, as its manifest says.
    pub licence: String,
    /// Whether its file is there.
    pub present: bool,
    /// Length of its file, bytes: as it is, or as its manifest says.
    pub bytes: Option<u64>,
    /// Where it comes from, as its manifest says.
    pub source: String,
}

/// What `gantryd models list` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing(pub Vec<Listed>);

/// Every model in `folders`, by id.
#[must_use]
pub fn list(folders: &[PathBuf]) -> Listing {
    let listed = manifests(folders).into_iter().map(|(id, path)| {
        let manifest = match Manifest::read(&path) {
            Ok(manifest) => manifest,
            Err(error) => return unreadable(id, &error),
        };
        let onnx = manifest.model_path(&path);
        let plan = if onnx.is_file() {
            plan(&onnx, Some(&manifest)).map(Some)
        } else {
            Ok(None)
        };
        let (family, input, classes) = match &plan {
            Ok(Some(plan)) => (
                plan.family.to_owned(),
                format!("{}x{}", plan.input.width, plan.input.height),
                Some(plan.classes.len()),
            ),
            Ok(None) => (
                String::new(),
                String::new(),
                manifest.classes.as_ref().map(Vec::len),
            ),
            Err(error) => (first_line(error), String::new(), None),
        };
        Listed {
            id,
            family,
            input,
            classes,
            licence: manifest.licence.unwrap_or_default(),
            present: onnx.is_file(),
            bytes: std::fs::metadata(&onnx)
                .ok()
                .map(|file| file.len())
                .or(manifest.bytes),
            source: manifest.source.or(manifest.url).unwrap_or_default(),
        }
    });
    Listing(listed.collect())
}

fn unreadable(id: String, error: &ManifestError) -> Listed {
    Listed {
        id,
        family: first_line(error),
        input: String::new(),
        classes: None,
        licence: String::new(),
        present: false,
        bytes: None,
        source: String::new(),
    }
}

fn plan(onnx: &Path, manifest: Option<&Manifest>) -> Result<ModelPlan, DetectError> {
    let signature = Signature::read(onnx)?;
    Ok(recognise(onnx, &signature, manifest)?)
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no models; name a file to use one of your own: --model FILE.onnx");
        }
        let mut table = table();
        table.set_header([
            "ID", "LICENCE", "FILE", "SIZE", "FAMILY", "INPUT", "CLASSES", "SOURCE",
        ]);
        for one in &self.0 {
            let classes = one
                .classes
                .map_or_else(String::new, |count| count.to_string());
            let file = if one.present { "present" } else { "fetch" };
            let size = one.bytes.map_or_else(String::new, |bytes| {
                format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
            });
            table.add_row([
                &one.id,
                &one.licence,
                file,
                &size,
                &one.family,
                &one.input,
                &classes,
                &one.source,
            ]);
        }
        write!(f, "{}", table.trim_fmt())?;
        if self.0.iter().any(|one| !one.present) {
            f.write_str("\n\ngantryd models fetch ID gets a file that is not present")?;
        }
        Ok(())
    }
}
