//! Small tensors that do not depend on the picture: targets of `Reshape`, limits of `Slice`.

use super::moves::range_of;
use super::{Given, Known, MAX_ELEMENTS, axis};

/// The dimensions of the input as a tensor.
pub(super) fn shape(given: &Given<'_>) -> Option<Known> {
    let dims = given.dims(0)?;
    let start = given.node.int("start").unwrap_or(0);
    let end = given.node.int("end").unwrap_or(i64::MAX);
    let (first, count) = range_of(start, end, 1, dims.len() as u64)?;
    let dims = dims.iter().skip(usize::try_from(first).ok()?);
    let taken = dims.take(usize::try_from(count).ok()?);
    Some(Known::list(taken.map(|&dim| dim as f64).collect()))
}

pub(super) fn constant_of_shape(given: &Given<'_>) -> Option<Known> {
    let dims: Vec<u64> = given.numbers(0)?.iter().map(|&v| v as u64).collect();
    let value = given.node.floats("value").map_or(0.0, |v| f64::from(v[0]));
    let mut made = Known::of(dims);
    let count = made.len().filter(|&count| count <= MAX_ELEMENTS);
    made.elements = count.map(|count| vec![value; count as usize]);
    Some(made)
}

pub(super) fn range(given: &Given<'_>) -> Option<Known> {
    let number = |place: usize| match given.numbers(place) {
        Some(&[number]) => Some(number),
        _ => None,
    };
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    let count = ((limit - start) / step).ceil().max(0.0);
    if !count.is_finite() {
        return None;
    }
    let count = count as u64;
    if count > MAX_ELEMENTS {
        return Some(Known::of(vec![count]));
    }
    Some(Known::list(
        (0..count).map(|i| start + step * i as f64).collect(),
    ))
}

/// `made` with its elements, if all that they come from is known.
pub(super) fn elements(given: &Given<'_>, made: Option<Known>) -> Option<Known> {
    let mut made = made?;
    if made.elements.is_none() && made.len().is_some_and(|count| count <= MAX_ELEMENTS) {
        let count = made.len()? as usize;
        made.elements = compute(given, &made.dims).filter(|elements| elements.len() == count);
    }
    Some(made)
}

fn compute(given: &Given<'_>, dims: &[u64]) -> Option<Vec<f64>> {
    let one = |f: fn(f64) -> f64| Some(given.numbers(0)?.iter().map(|&v| f(v)).collect());
    let two = |f: fn(f64, f64) -> f64| pairs(given, dims, f);
    match given.node.op.as_str() {
        "Identity" => one(|v| v),
        // Only whole numbers matter here, and a cast to one cuts the fraction off.
        "Cast" if matches!(given.node.int("to"), Some(6 | 7)) => one(f64::trunc),
        "Cast" => one(|v| v),
        "Neg" => one(|v| -v),
        "Abs" => one(f64::abs),
        "Floor" => one(f64::floor),
        "Ceil" => one(f64::ceil),
        "Sqrt" => one(f64::sqrt),
        "Not" => one(|v| f64::from(v == 0.0)),
        "Add" => two(|a, b| a + b),
        "Sub" => two(|a, b| a - b),
        "Mul" => two(|a, b| a * b),
        "Div" => divide(given, dims),
        "Mod" => two(f64::rem_euclid),
        "Max" => two(f64::max),
        "Min" => two(f64::min),
        "Equal" => two(|a, b| f64::from(a == b)),
        "Less" => two(|a, b| f64::from(a < b)),
        "Greater" => two(|a, b| f64::from(a > b)),
        "Where" => choose(given, dims),
        "Concat" if dims.len() == 1 => {
            let parts = (0..given.node.inputs.len()).map(|place| given.numbers(place));
            Some(parts.collect::<Option<Vec<_>>>()?.concat())
        }
        "Gather" => gather(given),
        "Slice" if dims.len() == 1 => slice(given),
        "ReduceProd" if dims.iter().product::<u64>() == 1 => {
            Some(vec![given.numbers(0)?.iter().product()])
        }
        "ReduceSum" if dims.iter().product::<u64>() == 1 => {
            Some(vec![given.numbers(0)?.iter().sum()])
        }
        "Expand" => {
            let x = given.at(0)?;
            stretched(x, dims)
        }
        _ => None,
    }
}

/// Elements of `x` stretched to `dims`; only from one number or the same shape.
fn stretched(x: &Known, dims: &[u64]) -> Option<Vec<f64>> {
    let elements = x.elements.as_ref()?;
    if let [one] = elements.as_slice() {
        return Some(vec![
            *one;
            usize::try_from(dims.iter().product::<u64>()).ok()?
        ]);
    }
    (x.dims == dims).then(|| elements.clone())
}

fn pairs(given: &Given<'_>, dims: &[u64], f: fn(f64, f64) -> f64) -> Option<Vec<f64>> {
    let a = stretched(given.at(0)?, dims)?;
    let b = stretched(given.at(1)?, dims)?;
    Some(a.into_iter().zip(b).map(|(a, b)| f(a, b)).collect())
}

/// Whole numbers divide to whole numbers, as shapes do; fractions stay.
fn divide(given: &Given<'_>, dims: &[u64]) -> Option<Vec<f64>> {
    pairs(given, dims, |a, b| {
        let is_whole = a.fract() == 0.0 && b.fract() == 0.0 && b != 0.0;
        if is_whole { (a / b).trunc() } else { a / b }
    })
}

fn choose(given: &Given<'_>, dims: &[u64]) -> Option<Vec<f64>> {
    let which = stretched(given.at(0)?, dims)?;
    let (yes, no) = (
        stretched(given.at(1)?, dims)?,
        stretched(given.at(2)?, dims)?,
    );
    let chosen = which.iter().zip(yes.iter().zip(&no));
    Some(
        chosen
            .map(|(&w, (&y, &n))| if w == 0.0 { n } else { y })
            .collect(),
    )
}

fn gather(given: &Given<'_>) -> Option<Vec<f64>> {
    let x = given.at(0).filter(|x| x.dims.len() == 1)?;
    let elements = x.elements.as_ref()?;
    let indices = given.numbers(1)?.iter();
    indices
        .map(|&at| elements.get(axis(at as i64, elements.len())?).copied())
        .collect()
}

fn slice(given: &Given<'_>) -> Option<Vec<f64>> {
    let elements = given.numbers(0)?;
    let one = |place: usize, name: &str| given.ints(place, name)?.first().copied();
    let step = if given.node.input(4).is_some() {
        one(4, "")?
    } else {
        1
    };
    let (first, count) = range_of(
        one(1, "starts")?,
        one(2, "ends")?,
        step,
        elements.len() as u64,
    )?;
    (0..i64::try_from(count).ok()?)
        .map(|i| {
            elements
                .get(usize::try_from(first + i * step).ok()?)
                .copied()
        })
        .collect()
}
