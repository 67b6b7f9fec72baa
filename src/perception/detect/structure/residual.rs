//! Residual blocks: additions of a tensor and of something computed from it.
//!
//! Source: He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks" (2016),
//! <https://arxiv.org/abs/1603.05027>: `x[l+1] = f(h(x[l]) + F(x[l]))`. A signal passes a block
//! unchanged where `h` is the identity, and any number of blocks where `f` is the identity too.
//!
//! In a graph that means:
//! * A **residual block** is an `Add` of two tensors, one of which is computed from `x` through at
//!   least one operation with weights (a convolution or a matrix product), while the other is `x`
//!   itself or a projection of it. What leads through a change of scale upwards (`Resize`,
//!   `ConvTranspose`) joins levels of a feature pyramid and is no block.
//! * The **identity path is unbroken** where the other one is `x` itself: nothing between `x` and the
//!   `Add` but `Identity`, `Cast`, `Dropout` and pairs of `QuantizeLinear` and `DequantizeLinear`.
//! * A **projection** is at most one convolution, of kernel 1×1, and any number of poolings,
//!   normalisations and paddings; at least one operation in all. It makes a block without an identity
//!   path.
//! * A **chain** is a row of blocks in which each takes the sum of the one before as its `x`, nothing
//!   between. An activation after the sum, as in the first residual networks, ends the chain after
//!   each block; full pre-activation keeps it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::graph::{Graph, Node};

/// Operations that leave a tensor what it is, quantisation apart.
const TRANSPARENT: &[&str] = &[
    "Cast",
    "DequantizeLinear",
    "Dropout",
    "Identity",
    "QuantizeLinear",
];

/// Operations a projection may hold besides its one convolution.
const PROJECTS: &[&str] = &[
    "AveragePool",
    "BatchNormalization",
    "LpPool",
    "MaxPool",
    "Pad",
    "QLinearAveragePool",
];

/// Operations that lead up a feature pyramid.
const ENLARGES: &[&str] = &["ConvTranspose", "DepthToSpace", "Resize", "Upsample"];

/// Operations whose results are shapes, not pictures.
const ASKS_SHAPE: &[&str] = &["Shape", "Size"];

/// Operations on a projection at most.
const MAX_PROJECTION: usize = 8;

/// Operations looked at on the way from a sum back to the input of its block, at most; a block that is
/// larger is not found.
const MAX_WALK: usize = 16_384;

/// Residual blocks of a graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Residual {
    /// All of them.
    pub blocks: usize,
    /// Those whose input itself is added.
    pub identity: usize,
    /// Those with a convolution in between; the others have matrix products only.
    pub convolutional: usize,
    /// Blocks in the longest row of identity paths with nothing between two sums.
    pub longest_chain: usize,
}

impl Residual {
    /// Finds those of `graph`.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut found = Self::default();
        // Blocks up to and with the sum of this name.
        let mut chains: BTreeMap<&str, usize> = BTreeMap::new();
        for node in graph.nodes() {
            let Some((a, b)) = summands(graph, node) else {
                continue;
            };
            let Some(block) = block(graph, a, b).or_else(|| block(graph, b, a)) else {
                continue;
            };
            found.blocks += 1;
            found.convolutional += usize::from(block.through.has_convolution);
            if !block.is_identity {
                continue;
            }
            found.identity += 1;
            let length = chains.get(block.input).map_or(1, |before| before + 1);
            found.longest_chain = found.longest_chain.max(length);
            if let Some(sum) = node.outputs.first() {
                chains.insert(sum, length);
            }
        }
        found
    }
}

/// One residual block.
struct Block<'g> {
    /// Its `x`.
    input: &'g str,
    is_identity: bool,
    through: Through,
}

/// What lies between two tensors.
#[derive(Clone, Copy)]
struct Through {
    has_convolution: bool,
}

/// The two tensors that `node` adds, seen through what leaves them as they are; neither is a constant.
fn summands<'g>(graph: &'g Graph, node: &'g Node) -> Option<(&'g str, &'g str)> {
    let places = match (node.op.as_str(), node.inputs.len()) {
        ("Add", 2) | ("Sum", 2) => [0, 1],
        ("QLinearAdd", _) => [0, 3],
        _ => return None,
    };
    let [a, b] = places.map(|place| Some(seen_through(graph, node.input(place)?)));
    let (a, b) = (a?, b?);
    let is_computed = |name: &str| graph.stored(name).is_none();
    (a != b && is_computed(a) && is_computed(b)).then_some((a, b))
}

fn seen_through<'g>(graph: &'g Graph, name: &'g str) -> &'g str {
    let mut name = name;
    // Graphs are acyclic; a broken one is left after as many steps as it has operations.
    for _ in 0..graph.len() {
        let Some(maker) = graph.maker(name) else {
            break;
        };
        let node = &graph.nodes()[maker];
        match node.input(0) {
            Some(before) if TRANSPARENT.contains(&node.op.as_str()) => name = before,
            _ => break,
        }
    }
    name
}

/// The block that adds `skip` and `branch`, if it is one.
fn block<'g>(graph: &'g Graph, skip: &'g str, branch: &'g str) -> Option<Block<'g>> {
    if let Some(through) = between(graph, skip, branch) {
        return Some(Block {
            input: skip,
            is_identity: true,
            through,
        });
    }
    let mut name = skip;
    let mut convolutions = 0;
    for _ in 0..MAX_PROJECTION {
        let node = &graph.nodes()[graph.maker(name)?];
        let op = node.op.as_str();
        if is_convolution(op) {
            convolutions += 1;
            if convolutions > 1 || node.kernel.iter().any(|&edge| edge != 1) {
                return None;
            }
        } else if !PROJECTS.contains(&op) {
            return None;
        }
        name = seen_through(graph, node.input(0)?);
        if let Some(through) = between(graph, name, branch) {
            return Some(Block {
                input: name,
                is_identity: false,
                through,
            });
        }
    }
    None
}

fn is_convolution(op: &str) -> bool {
    matches!(
        op,
        "Conv" | "ConvInteger" | "DeformConv" | "FusedConv" | "QLinearConv"
    )
}

fn is_product(op: &str) -> bool {
    matches!(
        op,
        "FusedMatMul" | "Gemm" | "MatMul" | "MatMulInteger" | "QGemm" | "QLinearMatMul"
    )
}

/// What lies between `from` and `to`, if `to` is computed from `from` through an operation with
/// weights and without being enlarged.
fn between(graph: &Graph, from: &str, to: &str) -> Option<Through> {
    // (tensor, convolution met, product met) on the way back.
    let mut open = vec![(to, false, false)];
    let mut seen = BTreeSet::new();
    let mut found: Option<Through> = None;
    while let Some((name, convolved, multiplied)) = open.pop() {
        if name == from {
            if convolved {
                return Some(Through {
                    has_convolution: true,
                });
            }
            if multiplied {
                found = Some(Through {
                    has_convolution: false,
                });
            }
            continue;
        }
        let Some(maker) = graph.maker(name) else {
            continue;
        };
        if seen.len() >= MAX_WALK || !seen.insert((maker, convolved, multiplied)) {
            continue;
        }
        let node = &graph.nodes()[maker];
        let op = node.op.as_str();
        if ENLARGES.contains(&op) || ASKS_SHAPE.contains(&op) {
            continue;
        }
        let convolved = convolved || is_convolution(op);
        let multiplied = multiplied || is_product(op);
        let inputs = node.inputs.iter().filter(|name| !name.is_empty());
        open.extend(inputs.map(|name| (name.as_str(), convolved, multiplied)));
    }
    found
}
