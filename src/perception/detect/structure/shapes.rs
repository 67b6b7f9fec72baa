//! Shapes of all tensors of a graph for one size of its inputs.
//!
//! Small integer tensors are computed too, because exporters work out the target of a `Reshape` from
//! `Shape`. What depends on the values of the picture (`NonZero`, `NonMaxSuppression`) stays unknown,
//! and so does everything behind it.
//!
//! Source: the operator definitions of ONNX, <https://onnx.ai/onnx/operators/>.

mod fold;
mod moves;
mod plain;
mod windows;

use std::collections::BTreeMap;

use super::super::graph::{Graph, Node};

pub(super) use plain::einsum_letters;

/// Tensors with more elements than this are not computed, only their shapes.
const MAX_ELEMENTS: u64 = 256;

/// What is known of a tensor.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Known {
    /// Its dimensions.
    pub(super) dims: Vec<u64>,
    /// Its elements, where they are few and do not depend on the picture.
    pub(super) elements: Option<Vec<f64>>,
}

impl Known {
    pub(super) fn of(dims: Vec<u64>) -> Self {
        Self {
            dims,
            elements: None,
        }
    }

    fn list(elements: Vec<f64>) -> Self {
        Self {
            dims: vec![elements.len() as u64],
            elements: Some(elements),
        }
    }

    /// Number of elements; `None` beyond what fits.
    pub(super) fn len(&self) -> Option<u64> {
        self.dims
            .iter()
            .try_fold(1u64, |n, &dim| n.checked_mul(dim))
    }
}

/// The inputs of one operation, by place.
pub(super) struct Given<'a> {
    pub(super) node: &'a Node,
    pub(super) known: &'a BTreeMap<&'a str, Known>,
}

impl<'a> Given<'a> {
    fn at(&self, place: usize) -> Option<&'a Known> {
        self.known.get(self.node.input(place)?)
    }

    pub(super) fn dims(&self, place: usize) -> Option<&'a [u64]> {
        Some(&self.at(place)?.dims)
    }

    /// The elements of a small integer tensor.
    fn numbers(&self, place: usize) -> Option<&'a [f64]> {
        self.at(place)?.elements.as_deref()
    }

    /// Whole numbers from an input, or from an attribute as older opsets have them.
    fn ints(&self, place: usize, attribute: &str) -> Option<Vec<i64>> {
        match self.node.input(place) {
            Some(_) => Some(self.numbers(place)?.iter().map(|&v| v as i64).collect()),
            None => self.node.ints(attribute).map(<[i64]>::to_vec),
        }
    }
}

/// Axes that a tensor may have.
const MOST_AXES: usize = 64;

/// Shapes of every tensor that can be known, by name; `inputs` are those of the graph.
pub(super) fn infer<'g>(
    graph: &'g Graph,
    inputs: &'g BTreeMap<String, Vec<u64>>,
    trust_declared: bool,
) -> BTreeMap<&'g str, Known> {
    let mut known: BTreeMap<&str, Known> = BTreeMap::new();
    for (name, stored) in graph.all_stored() {
        let elements = graph.constant(name).map(<[f64]>::to_vec);
        let dims = stored.dims.clone();
        let elements = elements.filter(|e| Some(e.len() as u64) == Known::of(dims.clone()).len());
        known.insert(name, Known { dims, elements });
    }
    for (name, dims) in inputs {
        known.insert(name, Known::of(dims.clone()));
    }
    for node in graph.nodes() {
        let given = Given {
            node,
            known: &known,
        };
        let mut made = outputs(&given);
        made.resize(node.outputs.len(), None);
        for (name, found) in node.outputs.iter().zip(made) {
            let declared = || {
                let dims = graph.declared(name).filter(|_| trust_declared)?;
                Some(Known::of(dims.to_vec()))
            };
            // No real tensor has as many axes; a damaged graph can double them at every step.
            let found = found.filter(|found| found.dims.len() <= MOST_AXES);
            if let Some(found) = found.or_else(declared) {
                known.insert(name, found);
            }
        }
    }
    known
}

/// What an operation makes, one entry per output; too few where the rest is unknown.
fn outputs(given: &Given<'_>) -> Vec<Option<Known>> {
    if given.node.has_body {
        return Vec::new();
    }
    match given.node.op.as_str() {
        "Split" => moves::split(given),
        "TopK" => plain::top_k(given),
        "DynamicQuantizeLinear" => vec![
            given.at(0).map(|x| Known::of(x.dims.clone())),
            Some(Known::of(Vec::new())),
            Some(Known::of(Vec::new())),
        ],
        "MaxPool" => {
            let pooled = windows::pool(given).map(Known::of);
            vec![pooled.clone(), pooled]
        }
        _ => vec![fold::elements(given, output(given))],
    }
}

/// The only output, or the first of several of which the others do not matter.
fn output(given: &Given<'_>) -> Option<Known> {
    match given.node.op.as_str() {
        "Conv" | "ConvInteger" | "FusedConv" | "DeformConv" => windows::conv(given, 1),
        "QLinearConv" => windows::conv(given, 3),
        "ConvTranspose" => windows::conv_transpose(given),
        "AveragePool" | "LpPool" | "QLinearAveragePool" => windows::pool(given),
        "GlobalAveragePool" | "GlobalMaxPool" | "QLinearGlobalAveragePool" => {
            windows::global_pool(given)
        }
        "GridSample" => plain::grid_sample(given),
        "Reshape" => return moves::reshape(given),
        "Flatten" => moves::flatten(given),
        "Squeeze" => return moves::squeeze(given),
        "Unsqueeze" => return moves::unsqueeze(given),
        "Transpose" => moves::transpose(given),
        "Concat" => moves::concat(given, 0, 1),
        "QLinearConcat" => moves::concat(given, 2, 3),
        "Slice" => moves::slice(given),
        "Gather" => moves::gather(given),
        "GatherElements" => given.dims(1).map(<[u64]>::to_vec),
        "GatherND" => moves::gather_nd(given),
        "Expand" => moves::expand(given),
        "Tile" => moves::tile(given),
        "Pad" => moves::pad(given),
        "Resize" | "Upsample" => moves::resize(given),
        "SpaceToDepth" => moves::depth(given, true),
        "DepthToSpace" => moves::depth(given, false),
        "Shape" => return fold::shape(given),
        "Size" => {
            return Some(Known {
                dims: vec![],
                elements: Some(vec![given.at(0)?.len()? as f64]),
            });
        }
        "ConstantOfShape" => return fold::constant_of_shape(given),
        "Range" => return fold::range(given),
        "MatMul" | "MatMulInteger" | "FusedMatMul" => plain::mat_mul(given, 1),
        "QLinearMatMul" => plain::mat_mul(given, 3),
        "Gemm" => plain::gemm(given, 1),
        "QGemm" => plain::gemm(given, 3),
        "Einsum" => plain::einsum(given),
        "ArgMax" | "ArgMin" => plain::arg(given),
        op if op.starts_with("Reduce") => plain::reduce(given),
        "QLinearAdd" | "QLinearMul" => plain::broadcast(given, &[0, 3]),
        "Where" => plain::broadcast(given, &[0, 1, 2]),
        op if plain::BROADCASTS.contains(&op) => {
            let all: Vec<usize> = (0..given.node.inputs.len()).collect();
            plain::broadcast(given, &all)
        }
        op if plain::KEEPS_SHAPE.contains(&op) => given.dims(0).map(<[u64]>::to_vec),
        _ => None,
    }
    .map(Known::of)
}

/// An axis counted from the end if negative; `None` if there is none such.
fn axis(number: i64, rank: usize) -> Option<usize> {
    let rank_signed = i64::try_from(rank).ok()?;
    let at = if number < 0 {
        number + rank_signed
    } else {
        number
    };
    usize::try_from(at).ok().filter(|&at| at < rank)
}
