//! Multiply-accumulates of one picture.

use std::collections::BTreeMap;

use super::super::graph::{Graph, Node};
use super::shapes::{Given, Known, einsum_letters};

/// Operations that multiply and whose cost is not worked out here.
const NOT_COUNTED: &[&str] = &[
    "Attention",
    "GRU",
    "GroupQueryAttention",
    "LSTM",
    "MatMulNBits",
    "MultiHeadAttention",
    "QAttention",
    "RNN",
];

/// What one picture costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiply-accumulates of convolutions and matrix products; twice as many floating-point
    /// operations. Element-wise operations, biases and activations are not in it, as is usual.
    pub macs: u64,
    /// How many operations `macs` is the sum of.
    pub counted: usize,
    /// Operations that multiply and are not in `macs`, by kind: their shapes depend on the picture,
    /// they stand in the body of a loop, or their cost is not worked out.
    pub left_out: BTreeMap<String, usize>,
}

impl Cost {
    /// Sums up `graph`, whose tensors have the shapes `known`.
    pub(super) fn of(graph: &Graph, known: &BTreeMap<&str, Known>) -> Self {
        let mut cost = Self::default();
        for node in graph.nodes() {
            if node.has_body {
                *cost
                    .left_out
                    .entry(format!("body of {}", node.op))
                    .or_default() += 1;
            }
            if !multiplies(node) {
                continue;
            }
            match macs(node, known) {
                Some(macs) => {
                    cost.macs = cost.macs.saturating_add(macs);
                    cost.counted += 1;
                }
                None => *cost.left_out.entry(node.op.clone()).or_default() += 1,
            }
        }
        cost
    }
}

fn multiplies(node: &Node) -> bool {
    weights_at(&node.op).is_some()
        || NOT_COUNTED.contains(&node.op.as_str())
        || matches!(node.op.as_str(), "ConvTranspose" | "Einsum")
}

/// Place of the kernel or the second factor.
fn weights_at(op: &str) -> Option<usize> {
    match op {
        "Conv" | "ConvInteger" | "FusedConv" | "DeformConv" => Some(1),
        "MatMul" | "MatMulInteger" | "FusedMatMul" | "Gemm" => Some(1),
        "QLinearConv" | "QLinearMatMul" | "QGemm" => Some(3),
        _ => None,
    }
}

/// Multiply-accumulates of one operation; `None` if a shape is not known.
///
/// A convolution costs one product per output element and weight of one filter: `C / group` times
/// the kernel. A transposed one costs the same counted from the input.
fn macs(node: &Node, known: &BTreeMap<&str, Known>) -> Option<u64> {
    let given = Given { node, known };
    if node.op == "Einsum" {
        let (lengths, _) = einsum_letters(&given)?;
        return lengths
            .values()
            .try_fold(1u64, |n, &length| n.checked_mul(length));
    }
    let out = known.get(node.outputs.first()?.as_str())?.len()?;
    let filter = |at: usize| {
        let rest = given.dims(at)?.get(1..)?;
        rest.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim))
    };
    match node.op.as_str() {
        "ConvTranspose" => known.get(node.input(0)?)?.len()?.checked_mul(filter(1)?),
        op if op.contains("Conv") => out.checked_mul(filter(weights_at(op)?)?),
        op => {
            weights_at(op)?;
            let a = given.dims(0)?;
            let turned = node.int("transA") == Some(1) && a.len() >= 2;
            let inner = a.iter().rev().nth(usize::from(turned))?;
            out.checked_mul(*inner)
        }
    }
}
