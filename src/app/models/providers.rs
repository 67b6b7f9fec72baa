//! What can be known of the execution providers that would take a graph.
//!
//! The runtime of this machine is asked where asking is cheap. The rest is what the makers' documents
//! say of opsets and operators; what they leave open is said to be not checked.

use std::collections::BTreeMap;

use crate::perception::detect::{
    DetectError, DetectOptions, ModelFiles, Provider, Signature, try_provider,
};

/// Operators that TensorRT's parser does not know; ONNX Runtime gives them to the next provider.
///
/// Source: onnx-tensorrt, docs/operators.md.
const NOT_IN_TENSORRT: &[&str] = &[
    "BitShift",
    "Compress",
    "ConcatFromSequence",
    "ConvInteger",
    "Det",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "MaxUnpool",
    "QLinearConv",
    "QLinearMatMul",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceInsert",
    "SplitToSequence",
    "Unique",
];

/// Oldest and newest opset that TensorRT 11 reads; older releases end sooner.
///
/// Source: NVIDIA TensorRT documentation, "ONNX Opset Guide".
const TENSORRT_OPSETS: (i64, i64) = (9, 25);

/// Integer operators without a kernel in the CUDA provider.
///
/// Source: ONNX Runtime, docs/OperatorKernels.md.
const NOT_IN_CUDA: &[&str] = &[
    "ConvInteger",
    "DynamicQuantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
];

/// Operators whose result has as many elements as the picture asks for.
const SHAPED_BY_PICTURE: &[&str] = &["Compress", "NonMaxSuppression", "NonZero", "Unique"];

/// One line per provider: its name and what is known.
pub(super) fn judge(
    files: &ModelFiles,
    signature: &Signature,
    options: &DetectOptions,
) -> Vec<(&'static str, String)> {
    vec![
        ("cpu", cpu(files, signature, options)),
        ("cuda", cuda(files, signature, options)),
        ("tensorrt", tensorrt(signature)),
        ("openvino", openvino(signature)),
    ]
}

fn cpu(files: &ModelFiles, signature: &Signature, options: &DetectOptions) -> String {
    match try_provider(files, Provider::Cpu, options) {
        Ok(version) => format!(
            "takes all {} operations (asked ONNX Runtime {})",
            signature.graph.len(),
            version.unwrap_or("of this machine")
        ),
        Err(DetectError::Runtime(_)) => "not checked here: there is no ONNX Runtime".to_owned(),
        Err(error) => format!("refused: {}", cause(&error)),
    }
}

fn cuda(files: &ModelFiles, signature: &Signature, options: &DetectOptions) -> String {
    let left = named(signature, NOT_IN_CUDA);
    let static_part = if left.is_empty() {
        "no operation known to be missing".to_owned()
    } else {
        format!("leaves to the CPU: {left}")
    };
    match try_provider(files, Provider::Cuda, options) {
        Ok(Some(version)) => format!("runs (asked ONNX Runtime {version}); {static_part}"),
        Ok(None) => format!(
            "not checked here, this ONNX Runtime is built without it; by its documents: {static_part}"
        ),
        Err(DetectError::Runtime(_)) => {
            format!("not checked here; by its documents: {static_part}")
        }
        Err(error) => format!("refused: {}", cause(&error)),
    }
}

/// Making a TensorRT engine takes minutes, so that it is never done here.
fn tensorrt(signature: &Signature) -> String {
    let mut said = Vec::new();
    let (oldest, newest) = TENSORRT_OPSETS;
    let opset = signature.opset;
    if opset < oldest || opset > newest {
        said.push(format!("opset {opset} is outside {oldest} to {newest}"));
    }
    let left = named(signature, NOT_IN_TENSORRT);
    if !left.is_empty() {
        said.push(format!("leaves to the next provider: {left}"));
    }
    said.extend(open_shapes(signature));
    if said.is_empty() {
        said.push("opset and operations known to its parser".to_owned());
    }
    format!("not checked here; by its documents: {}", said.join("; "))
}

fn openvino(signature: &Signature) -> String {
    let open = open_shapes(signature).unwrap_or_default();
    let open = if open.is_empty() {
        open
    } else {
        format!("; {open}")
    };
    format!("not checked here{open}")
}

/// What about the shapes makes providers compile again or cut the graph.
fn open_shapes(signature: &Signature) -> Option<String> {
    let mut open: Vec<String> = Vec::new();
    for input in &signature.inputs {
        if !input.has_shape || input.dims.iter().any(Option::is_none) {
            open.push(format!("input {:?} has an open shape", input.name));
        }
    }
    let by_picture = named(signature, SHAPED_BY_PICTURE);
    if !by_picture.is_empty() {
        open.push(format!("shapes that depend on the picture: {by_picture}"));
    }
    (!open.is_empty()).then(|| open.join("; "))
}

/// Those of `ops` that the graph has, with how often.
fn named(signature: &Signature, ops: &[&str]) -> String {
    let counts: BTreeMap<&str, usize> = signature.graph.op_counts();
    let found = ops
        .iter()
        .filter_map(|op| Some(format!("{op} {}", counts.get(op)?)));
    found.collect::<Vec<_>>().join(", ")
}

fn cause(error: &DetectError) -> String {
    let cause = std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |source| source.to_string());
    cause.lines().next().unwrap_or_default().to_owned()
}
