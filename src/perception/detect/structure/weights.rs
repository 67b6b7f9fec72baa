//! Which of a file's constants are weights.

use std::collections::BTreeSet;

use super::super::graph::{Graph, Node};

/// Longest way from a constant through operations that only convert or move it.
const MAX_STEPS: usize = 8;

/// Operations through which a constant stays the same weight.
const CONVERTS: &[&str] = &[
    "Cast",
    "DequantizeLinear",
    "Expand",
    "Flatten",
    "Identity",
    "QuantizeLinear",
    "Reshape",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Numbers that were learnt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weights {
    /// Elements of kernels, matrices, biases, scales and offsets, each constant once, whether stored
    /// as floats or as whole numbers with a scale. Statistics of a normalisation that was not folded
    /// away are in it.
    pub parameters: u64,
    /// Elements of the other float constants of more than one axis: grids, anchors, embeddings.
    pub tables: u64,
}

impl Weights {
    /// Counts those of `graph`.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut weights = BTreeSet::new();
        for node in graph.nodes() {
            let places = weight_places(node).iter();
            weights.extend(places.filter_map(|&place| weight(graph, node, place)));
        }
        let elements = |name: &&str| graph.stored(name).map_or(0, |stored| stored.elements());
        let tables = graph.all_stored().filter(|(name, stored)| {
            let long_axes = stored.dims.iter().filter(|&&dim| dim > 1).count();
            stored.is_float() && long_axes > 1 && !weights.contains(name)
        });
        Self {
            parameters: weights.iter().map(elements).fold(0, u64::saturating_add),
            tables: tables
                .map(|(_, stored)| stored.elements())
                .fold(0, u64::saturating_add),
        }
    }
}

/// Places at which an operation takes what was learnt.
fn weight_places(node: &Node) -> &'static [usize] {
    match node.op.as_str() {
        "Conv" | "ConvTranspose" | "FusedConv" => &[1, 2],
        "DeformConv" => &[1, 3],
        "ConvInteger" | "MatMulInteger" | "PRelu" => &[1],
        "QLinearConv" => &[3, 8],
        "QLinearMatMul" => &[3],
        "QGemm" => &[3, 6],
        "Gemm"
        | "Attention"
        | "QAttention"
        | "LayerNormalization"
        | "GroupNormalization"
        | "InstanceNormalization"
        | "SimplifiedLayerNormalization" => &[1, 2],
        "SkipLayerNormalization" => &[2, 3, 4],
        "BatchNormalization" => &[1, 2, 3, 4],
        "GRU" | "LSTM" | "RNN" => &[1, 2, 3],
        "BiasGelu" | "FastGelu" => &[1],
        // Either side of a product may be the constant one, and a bias or a scale may stand apart.
        "MatMul" | "FusedMatMul" | "Add" | "Mul" => &[0, 1],
        "Gather" => &[0],
        _ => &[],
    }
}

/// Operations after which a vector is a bias or a scale of their result.
const SCALED: &[&str] = &[
    "Add",
    "BatchNormalization",
    "Cast",
    "Conv",
    "ConvTranspose",
    "DequantizeLinear",
    "Div",
    "FusedMatMul",
    "Gemm",
    "LayerNormalization",
    "MatMul",
    "Mul",
    "QuantizeLinear",
    "Transpose",
];

/// The constant that is a weight of `node` at `place`.
///
/// A bias or a scale that stands apart is a vector applied to the result of a product or a
/// normalisation; other constants that are added or multiplied are grids, strides or embeddings.
fn weight<'g>(graph: &'g Graph, node: &'g Node, place: usize) -> Option<&'g str> {
    let name = origin(graph, node.input(place)?)?;
    let stored = graph.stored(name)?;
    let is_number = !matches!(stored.data_type, INT64 | STRING | BOOL);
    if matches!(node.op.as_str(), "Add" | "Mul") {
        let other = node.input(1 - place)?;
        let maker = &graph.nodes()[graph.maker(other)?].op;
        let is_vector = stored.dims.iter().filter(|&&dim| dim > 1).count() == 1;
        return (is_vector && is_number && SCALED.contains(&maker.as_str())).then_some(name);
    }
    is_number.then_some(name)
}

/// `TensorProto.DataType` of shapes, indices, masks and labels.
const INT64: i32 = 7;
const STRING: i32 = 8;
const BOOL: i32 = 9;

/// The constant behind `name`.
fn origin<'g>(graph: &'g Graph, name: &'g str) -> Option<&'g str> {
    let mut name = name;
    for _ in 0..MAX_STEPS {
        if graph.stored(name).is_some() {
            return Some(name);
        }
        let node = &graph.nodes()[graph.maker(name)?];
        if !CONVERTS.contains(&node.op.as_str()) {
            return None;
        }
        name = node.input(0)?;
    }
    None
}
