//! Looking at output tensors: by name, one picture at a time, as floats.

use std::borrow::Cow;

use super::super::{OutputView, TensorData};
use super::OutputError;

/// The output called `name`.
pub fn find<'a, 'o>(
    outputs: &'o [OutputView<'a>],
    name: &str,
) -> Result<&'o OutputView<'a>, OutputError> {
    outputs
        .iter()
        .find(|output| output.name == name)
        .ok_or_else(|| OutputError::Missing(name.to_owned()))
}

/// An error about the shape of `view`.
pub fn wrong_shape(view: &OutputView<'_>, expected: impl Into<String>) -> OutputError {
    OutputError::Shape {
        name: view.name.to_owned(),
        shape: view.shape.to_vec(),
        expected: expected.into(),
    }
}

/// Part of a tensor as floats; borrowed where it already is f32.
pub type Floats<'a> = Cow<'a, [f32]>;

/// Elements `from..from + len` as floats.
pub fn floats<'a>(
    view: &OutputView<'a>,
    from: usize,
    len: usize,
) -> Result<Floats<'a>, OutputError> {
    let to = from.saturating_add(len);
    let part = match view.data {
        TensorData::F32(data) => data.get(from..to).map(Cow::Borrowed),
        TensorData::F16(data) => data
            .get(from..to)
            .map(|s| s.iter().map(|v| v.to_f32()).collect()),
        TensorData::I64(data) => data
            .get(from..to)
            .map(|s| s.iter().map(|&v| v as f32).collect()),
        TensorData::I32(data) => data
            .get(from..to)
            .map(|s| s.iter().map(|&v| v as f32).collect()),
        TensorData::U8(data) => data
            .get(from..to)
            .map(|s| s.iter().map(|&v| f32::from(v)).collect()),
    };
    part.ok_or_else(|| wrong_shape(view, format!("at least {to} elements")))
}

/// The part of a tensor that belongs to picture `item`, with `rank` dimensions of its own: leading
/// ones are dropped, the one before the last `rank` is the batch, and a tensor without a batch axis
/// belongs to picture 0.
pub fn of_item<'a>(
    view: &OutputView<'a>,
    item: usize,
    rank: usize,
) -> Result<(Vec<usize>, Floats<'a>), OutputError> {
    let shape = view.shape;
    let Some(split) = shape.len().checked_sub(rank) else {
        return Err(wrong_shape(view, format!("{rank} dimensions or more")));
    };
    let own = shape[split..].to_vec();
    let pictures: usize = shape[..split].iter().product();
    if item >= pictures {
        return Err(wrong_shape(view, format!("more than {item} pictures")));
    }
    let len: usize = own.iter().product();
    let data = floats(view, item * len, len)?;
    Ok((own, data))
}

/// As [`of_item`] for a table of `(rows, columns)`.
pub fn table<'a>(
    view: &OutputView<'a>,
    item: usize,
) -> Result<(usize, usize, Floats<'a>), OutputError> {
    let (shape, data) = of_item(view, item, 2)?;
    Ok((shape[0], shape[1], data))
}

/// `1 / (1 + e^−x)`.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Index and value of the largest; NaN is reported, not skipped.
pub fn best(scores: &[f32]) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (i, &score) in scores.iter().enumerate() {
        if score.is_nan() {
            return Some((i, score));
        }
        if best.is_none_or(|(_, value)| score > value) {
            best = Some((i, score));
        }
    }
    best
}
