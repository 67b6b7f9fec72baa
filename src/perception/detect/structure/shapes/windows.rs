//! Operations that slide a window over the picture.

use super::Given;

/// Edge lengths after a window, all spatial axes.
struct Window {
    kernel: Vec<u64>,
    strides: Vec<u64>,
    dilations: Vec<u64>,
    pads: Vec<u64>,
    auto_pad: Option<String>,
    ceil: bool,
}

impl Window {
    fn of(given: &Given<'_>, kernel: Vec<u64>) -> Option<Self> {
        let axes = kernel.len();
        let list = |name: &str, default: u64, len: usize| -> Option<Vec<u64>> {
            match given.node.ints(name) {
                None => Some(vec![default; len]),
                Some(ints) if ints.len() == len => {
                    ints.iter().map(|&v| u64::try_from(v).ok()).collect()
                }
                Some(_) => None,
            }
        };
        let strides = list("strides", 1, axes)?;
        let auto_pad = given.node.text("auto_pad").filter(|t| *t != "NOTSET");
        Some(Self {
            dilations: list("dilations", 1, axes)?,
            pads: list("pads", 0, 2 * axes)?,
            auto_pad: auto_pad.map(str::to_owned),
            ceil: given.node.int("ceil_mode") == Some(1),
            kernel,
            strides: strides.iter().all(|&s| s > 0).then_some(strides)?,
        })
    }

    /// Reach of the kernel along `axis`, px.
    fn reach(&self, axis: usize) -> Option<u64> {
        let steps = self.kernel[axis].checked_sub(1)?;
        self.dilations[axis].checked_mul(steps)?.checked_add(1)
    }

    fn shrink(&self, axis: usize, edge: u64) -> Option<u64> {
        let stride = self.strides[axis];
        let reach = self.reach(axis)?;
        match self.auto_pad.as_deref() {
            Some("SAME_UPPER" | "SAME_LOWER") => return Some(edge.div_ceil(stride)),
            Some("VALID") => return Some(edge.checked_sub(reach)? / stride + 1),
            _ => {}
        }
        let (begin, end) = (self.pads[axis], self.pads[axis + self.kernel.len()]);
        let room = edge
            .checked_add(begin)?
            .checked_add(end)?
            .checked_sub(reach)?;
        if !self.ceil {
            return Some(room / stride + 1);
        }
        let steps = room.div_ceil(stride);
        // A window that would begin in the padding behind the picture is left out.
        let begins_inside = steps.saturating_mul(stride) < edge + begin;
        Some(if begins_inside { steps + 1 } else { steps })
    }
}

fn spatial(dims: &[u64]) -> Option<&[u64]> {
    dims.get(2..).filter(|edges| !edges.is_empty())
}

/// `[N, C, …]` and weights `[M, C / group, k…]` → `[N, M, …]`; the weights are input `at`.
pub(super) fn conv(given: &Given<'_>, at: usize) -> Option<Vec<u64>> {
    let (x, weights) = (given.dims(0)?, given.dims(at)?);
    let (edges, kernel) = (spatial(x)?, spatial(weights)?);
    if edges.len() != kernel.len() {
        return None;
    }
    let window = Window::of(given, kernel.to_vec())?;
    let mut out = vec![x[0], weights[0]];
    for (axis, &edge) in edges.iter().enumerate() {
        out.push(window.shrink(axis, edge)?);
    }
    Some(out)
}

/// `[N, C, …]` and weights `[C, M / group, k…]` → `[N, M, …]`.
pub(super) fn conv_transpose(given: &Given<'_>) -> Option<Vec<u64>> {
    let (x, weights) = (given.dims(0)?, given.dims(1)?);
    let (edges, kernel) = (spatial(x)?, spatial(weights)?);
    if edges.len() != kernel.len() {
        return None;
    }
    let window = Window::of(given, kernel.to_vec())?;
    let group = u64::try_from(given.node.group).ok()?;
    let mut out = vec![x[0], weights[1].checked_mul(group)?];
    if let Some(shape) = given.node.ints("output_shape") {
        let shape = &shape[shape.len().checked_sub(edges.len())?..];
        out.extend(shape.iter().filter_map(|&v| u64::try_from(v).ok()));
        return (out.len() == x.len()).then_some(out);
    }
    let extra = given.node.ints("output_padding");
    for (axis, &edge) in edges.iter().enumerate() {
        let stride = window.strides[axis];
        if matches!(
            window.auto_pad.as_deref(),
            Some("SAME_UPPER" | "SAME_LOWER")
        ) {
            out.push(edge.checked_mul(stride)?);
            continue;
        }
        let extra = extra.and_then(|e| e.get(axis)).map_or(0, |&e| e);
        let grown = edge.checked_sub(1)?.checked_mul(stride)?;
        let grown = grown.checked_add(window.reach(axis)?)?;
        let grown = grown.checked_add(u64::try_from(extra).ok()?)?;
        let pads = window.pads[axis].checked_add(window.pads[axis + kernel.len()])?;
        out.push(grown.checked_sub(pads)?);
    }
    Some(out)
}

/// The same channels, fewer pixels.
pub(super) fn pool(given: &Given<'_>) -> Option<Vec<u64>> {
    let x = given.dims(0)?;
    let edges = spatial(x)?;
    let kernel = given.node.ints("kernel_shape")?;
    let kernel: Option<Vec<u64>> = kernel.iter().map(|&k| u64::try_from(k).ok()).collect();
    let window = Window::of(given, kernel.filter(|k| k.len() == edges.len())?)?;
    let mut out = x[..2].to_vec();
    for (axis, &edge) in edges.iter().enumerate() {
        out.push(window.shrink(axis, edge)?);
    }
    Some(out)
}

/// The same channels, one pixel.
pub(super) fn global_pool(given: &Given<'_>) -> Option<Vec<u64>> {
    let x = given.dims(0)?;
    spatial(x)?;
    let mut out = vec![1; x.len()];
    out[..2].copy_from_slice(&x[..2]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::Window;

    fn window(kernel: u64, stride: u64, pad: u64, dilation: u64, ceil: bool) -> Window {
        Window {
            kernel: vec![kernel],
            strides: vec![stride],
            dilations: vec![dilation],
            pads: vec![pad, pad],
            auto_pad: None,
            ceil,
        }
    }

    #[test]
    fn edges_are_those_that_the_operator_definition_gives() {
        // floor((edge + pads - dilation * (kernel - 1) - 1) / stride + 1), worked out by hand.
        assert_eq!(window(3, 2, 1, 1, false).shrink(0, 416), Some(208));
        assert_eq!(window(3, 1, 2, 2, false).shrink(0, 20), Some(20));
        assert_eq!(window(3, 2, 0, 1, false).shrink(0, 112), Some(55));
        assert_eq!(window(3, 2, 0, 1, true).shrink(0, 112), Some(56));
        // Ceil would give 3, but the third window would begin in the padding: 2 * 2 >= 3 + 1.
        assert_eq!(window(1, 2, 1, 1, true).shrink(0, 3), Some(2));
        assert_eq!(window(7, 1, 0, 1, false).shrink(0, 3), None);
    }
}
