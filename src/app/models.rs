//! Models by id or file.
use super::config::ModelRef;
use crate::perception::detect::ModelFiles;
/// stub
pub fn resolve(model: Option<&ModelRef>) -> anyhow::Result<ModelFiles> {
    match model {
        Some(ModelRef::File(path)) => Ok(ModelFiles {
            id: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            onnx: path.clone(),
            manifest: None,
        }),
        _ => anyhow::bail!("no embedded model yet: name one with --model FILE.onnx"),
    }
}

/// stub
#[derive(Debug, thiserror::Error)]
pub enum ModelError {}
/// stub
pub fn faults(_: &super::config::Config) -> Vec<super::config::Fault> {
    Vec::new()
}
