//! Element-wise operations, reductions and products.

use std::collections::BTreeMap;

use super::{Given, Known, axis};

/// Operations whose inputs are stretched to a common shape.
pub(super) const BROADCASTS: &[&str] = &[
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Mod",
    "Pow",
    "Max",
    "Min",
    "Sum",
    "Mean",
    "And",
    "Or",
    "Xor",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "PRelu",
    "BitShift",
];

/// Operations whose (first) output has the shape of their first input.
pub(super) const KEEPS_SHAPE: &[&str] = &[
    "Abs",
    "Acos",
    "Atan",
    "BatchNormalization",
    "BiasGelu",
    "Cast",
    "CastLike",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "CumSum",
    "DequantizeLinear",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "FastGelu",
    "Floor",
    "Gelu",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LRN",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "Mish",
    "Neg",
    "Not",
    "QLinearLeakyRelu",
    "QLinearSigmoid",
    "QuantizeLinear",
    "QuickGelu",
    "Reciprocal",
    "Relu",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Sigmoid",
    "Sign",
    "SimplifiedLayerNormalization",
    "Sin",
    "SkipLayerNormalization",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Trilu",
];

/// The common shape of `a` and `b`, as numpy stretches them.
pub(super) fn broadcast_dims(a: &[u64], b: &[u64]) -> Option<Vec<u64>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[u64], i: usize| {
        let missing = rank - dims.len();
        if i < missing { 1 } else { dims[i - missing] }
    };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

pub(super) fn broadcast(given: &Given<'_>, places: &[usize]) -> Option<Vec<u64>> {
    let mut places = places.iter();
    let mut out = given.dims(*places.next()?)?.to_vec();
    for &place in places {
        out = broadcast_dims(&out, given.dims(place)?)?;
    }
    Some(out)
}

/// `[…, M, K]` times `[…, K, N]`; the second factor is input `at`.
pub(super) fn mat_mul(given: &Given<'_>, at: usize) -> Option<Vec<u64>> {
    let (mut a, mut b) = (given.dims(0)?.to_vec(), given.dims(at)?.to_vec());
    for (dims, name) in [(&mut a, "transA"), (&mut b, "transB")] {
        let last = dims.len();
        if given.node.int(name) == Some(1) && last >= 2 {
            dims.swap(last - 1, last - 2);
        }
    }
    let (is_row, is_column) = (a.len() == 1, b.len() == 1);
    if is_row {
        a.insert(0, 1);
    }
    if is_column {
        b.push(1);
    }
    let (&[rows, inner], &[inner_too, columns]) = (a.last_chunk::<2>()?, b.last_chunk::<2>()?);
    if inner != inner_too {
        return None;
    }
    let mut out = broadcast_dims(&a[..a.len() - 2], &b[..b.len() - 2])?;
    if !is_row {
        out.push(rows);
    }
    if !is_column {
        out.push(columns);
    }
    Some(out)
}

pub(super) fn gemm(given: &Given<'_>, at: usize) -> Option<Vec<u64>> {
    let (&[a0, a1], &[b0, b1]) = (
        given.dims(0)?.first_chunk::<2>()?,
        given.dims(at)?.first_chunk::<2>()?,
    );
    let is_turned = |name: &str| given.node.int(name) == Some(1);
    let rows = if is_turned("transA") { a1 } else { a0 };
    let columns = if is_turned("transB") { b0 } else { b1 };
    Some(vec![rows, columns])
}

/// Letters of an `Einsum` with their lengths, and those of its result; no `...`.
pub(in super::super) fn einsum_letters(
    given: &Given<'_>,
) -> Option<(BTreeMap<char, u64>, Vec<char>)> {
    let equation: String = given.node.text("equation")?.split_whitespace().collect();
    let (terms, result) = equation.split_once("->")?;
    let mut lengths = BTreeMap::new();
    for (place, term) in terms.split(',').enumerate() {
        let dims = given.dims(place)?;
        if term.chars().count() != dims.len() {
            return None;
        }
        lengths.extend(term.chars().zip(dims.iter().copied()));
    }
    Some((lengths, result.chars().collect()))
}

pub(super) fn einsum(given: &Given<'_>) -> Option<Vec<u64>> {
    let (lengths, result) = einsum_letters(given)?;
    result
        .iter()
        .map(|letter| lengths.get(letter).copied())
        .collect()
}

pub(super) fn reduce(given: &Given<'_>) -> Option<Vec<u64>> {
    let x = given.dims(0)?;
    let gone: Vec<usize> = match given.ints(1, "axes") {
        Some(axes) => {
            let axes = axes.iter().map(|&a| axis(a, x.len()));
            axes.collect::<Option<_>>()?
        }
        None if given.node.input(1).is_some() => return None,
        None => (0..x.len()).collect(),
    };
    Some(without(x, &gone, given.node.int("keepdims") != Some(0)))
}

pub(super) fn arg(given: &Given<'_>) -> Option<Vec<u64>> {
    let x = given.dims(0)?;
    let at = axis(given.node.int("axis").unwrap_or(0), x.len())?;
    Some(without(x, &[at], given.node.int("keepdims") != Some(0)))
}

fn without(dims: &[u64], gone: &[usize], keeps: bool) -> Vec<u64> {
    let dims = dims.iter().enumerate();
    dims.filter_map(|(at, &dim)| match gone.contains(&at) {
        true => keeps.then_some(1),
        false => Some(dim),
    })
    .collect()
}

pub(super) fn top_k(given: &Given<'_>) -> Vec<Option<Known>> {
    let chosen = || {
        let mut dims = given.dims(0)?.to_vec();
        let at = axis(given.node.int("axis").unwrap_or(-1), dims.len())?;
        let count = match given.numbers(1) {
            Some(&[count]) => count as u64,
            _ => u64::try_from(given.node.int("k")?).ok()?,
        };
        dims[at] = count;
        Some(Known::of(dims))
    };
    vec![chosen(), chosen()]
}

/// `[N, C, …]` sampled at `[N, h, w, 2]` → `[N, C, h, w]`.
pub(super) fn grid_sample(given: &Given<'_>) -> Option<Vec<u64>> {
    let (x, grid) = (given.dims(0)?, given.dims(1)?);
    let edges = grid.get(1..grid.len().checked_sub(1)?)?;
    Some([x.get(..2)?, edges].concat())
}
