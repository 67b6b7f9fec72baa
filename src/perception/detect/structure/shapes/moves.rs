//! Operations that move elements about.

use super::{Given, Known, axis};

/// The target with its 0 (as before) and −1 (whatever is left) worked out.
pub(super) fn reshape(given: &Given<'_>) -> Option<Known> {
    let x = given.at(0)?;
    let target = given.ints(1, "shape")?;
    let keeps_zero = given.node.int("allowzero") == Some(1);
    let mut dims = Vec::with_capacity(target.len());
    let mut open = None;
    for (at, &wanted) in target.iter().enumerate() {
        dims.push(match wanted {
            -1 => {
                open = Some(at);
                1
            }
            0 if !keeps_zero => *x.dims.get(at)?,
            wanted => u64::try_from(wanted).ok()?,
        });
    }
    let total = x.len()?;
    if let Some(at) = open {
        let others = Known::of(dims.clone()).len()?;
        dims[at] = total.checked_div(others)?;
    }
    let elements = x.elements.clone();
    let made = Known { dims, elements };
    (made.len()? == total).then_some(made)
}

pub(super) fn flatten(given: &Given<'_>) -> Option<Vec<u64>> {
    let x = given.dims(0)?;
    let at = given.node.int("axis").unwrap_or(1);
    let at = if at == x.len() as i64 {
        x.len()
    } else {
        axis(at, x.len())?
    };
    let (before, after) = x.split_at(at);
    let product = |dims: &[u64]| Known::of(dims.to_vec()).len();
    Some(vec![product(before)?, product(after)?])
}

pub(super) fn squeeze(given: &Given<'_>) -> Option<Known> {
    let x = given.at(0)?;
    let gone: Vec<usize> = match given.ints(1, "axes") {
        Some(axes) => {
            let axes = axes.iter().map(|&a| axis(a, x.dims.len()));
            axes.collect::<Option<_>>()?
        }
        None => (0..x.dims.len()).filter(|&at| x.dims[at] == 1).collect(),
    };
    let dims = x
        .dims
        .iter()
        .enumerate()
        .filter(|(at, _)| !gone.contains(at));
    Some(Known {
        dims: dims.map(|(_, &dim)| dim).collect(),
        elements: x.elements.clone(),
    })
}

pub(super) fn unsqueeze(given: &Given<'_>) -> Option<Known> {
    let x = given.at(0)?;
    let axes = given.ints(1, "axes")?;
    let rank = x.dims.len() + axes.len();
    let new: Option<Vec<usize>> = axes.iter().map(|&a| axis(a, rank)).collect();
    let new = new?;
    let mut old = x.dims.iter();
    let dims = (0..rank).map(|at| {
        if new.contains(&at) {
            Some(1)
        } else {
            old.next().copied()
        }
    });
    Some(Known {
        dims: dims.collect::<Option<_>>()?,
        elements: x.elements.clone(),
    })
}

pub(super) fn transpose(given: &Given<'_>) -> Option<Vec<u64>> {
    let x = given.dims(0)?;
    match given.node.ints("perm") {
        None => Some(x.iter().rev().copied().collect()),
        Some(order) if order.len() == x.len() => order
            .iter()
            .map(|&at| Some(x[axis(at, x.len())?]))
            .collect(),
        Some(_) => None,
    }
}

/// Joins the inputs at `first`, `first + step`, ….
pub(super) fn concat(given: &Given<'_>, first: usize, step: usize) -> Option<Vec<u64>> {
    let mut out = given.dims(first)?.to_vec();
    let at = axis(given.node.int("axis")?, out.len())?;
    for place in (first + step..given.node.inputs.len()).step_by(step) {
        let part = given.dims(place)?;
        out[at] = out[at].checked_add(*part.get(at)?)?;
    }
    Some(out)
}

pub(super) fn split(given: &Given<'_>) -> Vec<Option<Known>> {
    let parts = || -> Option<Vec<Option<Known>>> {
        let x = given.at(0)?;
        let at = axis(given.node.int("axis").unwrap_or(0), x.dims.len())?;
        let count = given.node.outputs.len().max(1) as u64;
        let sizes: Vec<u64> = match given.ints(1, "split") {
            Some(sizes) => {
                let sizes = sizes.iter().map(|&s| u64::try_from(s).ok());
                sizes.collect::<Option<_>>()?
            }
            None => {
                let part = x.dims[at].div_ceil(count);
                let sizes =
                    (0..count).map(|i| part.min(x.dims[at].saturating_sub(part.saturating_mul(i))));
                sizes.collect()
            }
        };
        let mut done = 0usize;
        let mut made = Vec::new();
        for size in sizes {
            let mut dims = x.dims.clone();
            dims[at] = size;
            let end = done.checked_add(usize::try_from(size).ok()?)?;
            let elements = x.elements.as_ref().filter(|_| x.dims.len() == 1);
            let elements = elements.and_then(|e| Some(e.get(done..end)?.to_vec()));
            made.push(Some(Known { dims, elements }));
            done = end;
        }
        Some(made)
    };
    parts().unwrap_or_default()
}

/// First index and number of indices that `[start, end)` with `step` takes of `dim`.
///
/// Source: ONNX `Slice`: negative indices count from the end, all are clamped to the axis.
pub(super) fn range_of(start: i64, end: i64, step: i64, dim: u64) -> Option<(i64, u64)> {
    let dim = i64::try_from(dim).ok()?;
    let from_end = |at: i64| if at < 0 { at.saturating_add(dim) } else { at };
    let (start, end, span) = if step > 0 {
        let (start, end) = (from_end(start).clamp(0, dim), from_end(end).clamp(0, dim));
        (start, end, end - start)
    } else {
        let start = from_end(start).clamp(0, (dim - 1).max(0));
        let end = from_end(end).clamp(-1, dim - 1);
        (start, end, start - end)
    };
    debug_assert!(start >= 0 && end >= -1);
    let count = u64::try_from(span.max(0)).ok()?;
    Some((start, count.div_ceil(step.unsigned_abs().max(1))))
}

pub(super) fn slice(given: &Given<'_>) -> Option<Vec<u64>> {
    let mut out = given.dims(0)?.to_vec();
    let (starts, ends) = (given.ints(1, "starts")?, given.ints(2, "ends")?);
    let axes = match given.ints(3, "axes") {
        Some(axes) => axes,
        None if given.node.input(3).is_some() => return None,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match given.node.input(4) {
        Some(_) => given.ints(4, "")?,
        None => vec![1; starts.len()],
    };
    for (((&start, &end), &at), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let at = axis(at, out.len())?;
        out[at] = range_of(start, end, step, out[at])?.1;
    }
    Some(out)
}

pub(super) fn gather(given: &Given<'_>) -> Option<Vec<u64>> {
    let (x, indices) = (given.dims(0)?, given.dims(1)?);
    let at = axis(given.node.int("axis").unwrap_or(0), x.len())?;
    Some([&x[..at], indices, &x[at + 1..]].concat())
}

pub(super) fn gather_nd(given: &Given<'_>) -> Option<Vec<u64>> {
    let (x, indices) = (given.dims(0)?, given.dims(1)?);
    let batch = usize::try_from(given.node.int("batch_dims").unwrap_or(0)).ok()?;
    let (&depth, leading) = indices.split_last()?;
    let rest = x.get(batch.checked_add(usize::try_from(depth).ok()?)?..)?;
    Some([leading, rest].concat())
}

pub(super) fn expand(given: &Given<'_>) -> Option<Vec<u64>> {
    let target = given.ints(1, "")?;
    let target: Option<Vec<u64>> = target.iter().map(|&v| u64::try_from(v).ok()).collect();
    super::plain::broadcast_dims(given.dims(0)?, &target?)
}

pub(super) fn tile(given: &Given<'_>) -> Option<Vec<u64>> {
    let (x, repeats) = (given.dims(0)?, given.ints(1, "")?);
    let tiled = x.iter().zip(&repeats);
    tiled
        .map(|(&dim, &times)| dim.checked_mul(u64::try_from(times).ok()?))
        .collect()
}

pub(super) fn pad(given: &Given<'_>) -> Option<Vec<u64>> {
    let x = given.dims(0)?;
    let pads = given.ints(1, "pads")?;
    let axes: Vec<usize> = match given.node.input(3) {
        Some(_) => {
            let axes = given.ints(3, "")?;
            let axes = axes.iter().map(|&a| axis(a, x.len()));
            axes.collect::<Option<_>>()?
        }
        None => (0..x.len()).collect(),
    };
    let mut out = x.to_vec();
    for (i, &at) in axes.iter().enumerate() {
        let more = pads.get(i)?.checked_add(*pads.get(i + axes.len())?)?;
        out[at] = out[at].checked_add_signed(more)?;
    }
    Some(out)
}

/// Sizes if they are given, else edges times scales, rounded down.
pub(super) fn resize(given: &Given<'_>) -> Option<Vec<u64>> {
    let x = given.dims(0)?;
    let sizes = if given.node.op == "Resize" {
        given.numbers(3)
    } else {
        None
    };
    if let Some(sizes) = sizes.filter(|s| s.len() == x.len()) {
        return Some(sizes.iter().map(|&v| v as u64).collect());
    }
    // Upsample and the first Resize (opset 10) have the scales second, later ones third.
    let scales = [2, 1]
        .into_iter()
        .find_map(|at| given.numbers(at).filter(|s| s.len() == x.len()));
    let scales: Vec<f64> = match scales {
        Some(scales) => scales.to_vec(),
        None => given
            .node
            .floats("scales")?
            .iter()
            .map(|&s| f64::from(s))
            .collect(),
    };
    if scales.len() != x.len() || !scales.iter().all(|&scale| scale > 0.0) {
        return None;
    }
    Some(
        x.iter()
            .zip(&scales)
            .map(|(&dim, scale)| (dim as f64 * scale).floor() as u64)
            .collect(),
    )
}

/// Blocks of pixels to channels (`down`) or back.
pub(super) fn depth(given: &Given<'_>, down: bool) -> Option<Vec<u64>> {
    let [n, c, h, w] = *given.dims(0)? else {
        return None;
    };
    let block = u64::try_from(given.node.int("blocksize")?)
        .ok()
        .filter(|&b| b > 0)?;
    Some(if down {
        vec![
            n,
            c.checked_mul(block)?.checked_mul(block)?,
            h / block,
            w / block,
        ]
    } else {
        vec![
            n,
            c / block / block,
            h.checked_mul(block)?,
            w.checked_mul(block)?,
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::range_of;

    #[test]
    fn slices_are_clamped_and_counted_from_the_end() {
        assert_eq!(range_of(0, i64::MAX, 2, 5), Some((0, 3)));
        assert_eq!(range_of(1, i64::MAX, 2, 5), Some((1, 2)));
        assert_eq!(range_of(-1, i64::MIN, -1, 5), Some((4, 5)));
        assert_eq!(range_of(-3, -1, 1, 5), Some((2, 2)));
        assert_eq!(range_of(9, 12, 1, 5), Some((5, 0)));
    }
}
