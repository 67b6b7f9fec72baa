//! The operations of a model, and the questions the recogniser asks about them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::onnx_proto as proto;

/// Constants with more elements than this are not kept.
const MAX_CONSTANT_ELEMENTS: usize = 256;

/// Most nodes looked at by one walk through the graph.
const MAX_WALK_NODES: usize = 4096;

/// Operations that move numbers without changing them.
const MOVES: &[&str] = &[
    "Concat",
    "Transpose",
    "Reshape",
    "Identity",
    "Squeeze",
    "Unsqueeze",
    "Cast",
    "Flatten",
    "Slice",
    "Split",
    "QuantizeLinear",
    "DequantizeLinear",
    "Dropout",
    "Expand",
];

/// One operation.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its kind.
    pub op: String,
    /// Names of the tensors it reads; empty where an optional one is left out.
    pub inputs: Vec<String>,
    /// Names of the tensors it makes.
    pub outputs: Vec<String>,
    /// Kernel of a convolution.
    pub kernel: Vec<i64>,
    /// Groups of a convolution.
    pub group: i64,
    /// Operator set it is of; empty for the standard one.
    pub domain: String,
    /// Its numbers and texts; no tensors, no graphs.
    pub(super) attributes: Vec<proto::Attribute>,
    /// Whether it holds a graph of its own (`Loop`, `If`, `Scan`).
    pub(super) has_body: bool,
}

/// Shape and type of a tensor that the file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its dimensions.
    pub dims: Vec<u64>,
    /// Its element type, `TensorProto.DataType`.
    pub data_type: i32,
}

impl Stored {
    /// Number of its elements; saturates.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.dims
            .iter()
            .fold(1, |all, &dim| all.saturating_mul(dim))
    }

    /// Whether its elements are floating-point numbers.
    #[must_use]
    pub fn is_float(&self) -> bool {
        matches!(self.data_type, 1 | 10 | 11 | 16)
    }
}

impl Node {
    fn attribute(&self, name: &str) -> Option<&proto::Attribute> {
        self.attributes.iter().find(|one| one.name == name)
    }

    /// The whole number `name`.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|one| one.i)
    }

    /// The whole numbers `name`; `None` if there are none.
    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        let ints = &self.attribute(name)?.ints;
        (!ints.is_empty()).then_some(ints.as_slice())
    }

    /// The numbers `name`; `None` if there are none.
    pub(super) fn floats(&self, name: &str) -> Option<&[f32]> {
        let floats = &self.attribute(name)?.floats;
        (!floats.is_empty()).then_some(floats.as_slice())
    }

    /// The text `name`.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(&self.attribute(name)?.s).ok()
    }

    /// The input at `place`, if it is given.
    pub(super) fn input(&self, place: usize) -> Option<&str> {
        let name = self.inputs.get(place)?.as_str();
        (!name.is_empty()).then_some(name)
    }
}

/// A model's operations and small constants.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    ops: BTreeSet<String>,
    constants: BTreeMap<String, Vec<f64>>,
    made_by: BTreeMap<String, usize>,
    read_by: BTreeMap<String, Vec<usize>>,
    stored: BTreeMap<String, Stored>,
    declared: BTreeMap<String, Vec<u64>>,
}

/// What a graph does to its input before the first operation with weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preamble {
    /// Mean factor applied to the values.
    pub scale: f64,
    /// Mean offset added after it.
    pub offset: f64,
}

impl Graph {
    pub(super) fn add_node(&mut self, node: Node) {
        self.add_op(&node.op);
        self.nodes.push(node);
    }

    pub(super) fn add_op(&mut self, op: &str) {
        if !self.ops.contains(op) {
            self.ops.insert(op.to_owned());
        }
    }

    pub(super) fn add_constant(&mut self, name: &str, tensor: &proto::Tensor) {
        let dims = tensor.dims.iter();
        let stored = Stored {
            dims: dims.map(|&dim| u64::try_from(dim).unwrap_or(0)).collect(),
            data_type: tensor.data_type,
        };
        self.stored.insert(name.to_owned(), stored);
        if tensor.elements() <= MAX_CONSTANT_ELEMENTS as u64
            && let Some(numbers) = tensor.numbers()
        {
            self.add_numbers(name, numbers);
        }
    }

    /// Notes a constant that is one number without axes.
    pub(super) fn add_number(&mut self, name: &str, number: f64, data_type: i32) {
        let dims = Vec::new();
        self.stored
            .insert(name.to_owned(), Stored { dims, data_type });
        self.add_numbers(name, vec![number]);
    }

    /// Notes a constant that is a list of numbers.
    pub(super) fn add_list(&mut self, name: &str, numbers: Vec<f64>, data_type: i32) {
        let dims = vec![numbers.len() as u64];
        self.stored
            .insert(name.to_owned(), Stored { dims, data_type });
        self.add_numbers(name, numbers);
    }

    fn add_numbers(&mut self, name: &str, numbers: Vec<f64>) {
        if numbers.len() <= MAX_CONSTANT_ELEMENTS {
            self.constants.insert(name.to_owned(), numbers);
        }
    }

    /// Notes the shape that the exporter wrote down for `name`.
    pub(super) fn add_declared(&mut self, name: String, dims: Vec<u64>) {
        self.declared.insert(name, dims);
    }

    /// The operations, in the order of the file, which is one in which they can be computed.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Shape and type of the constant `name`.
    #[must_use]
    pub fn stored(&self, name: &str) -> Option<&Stored> {
        self.stored.get(name)
    }

    /// Every constant with its shape and type, by name.
    pub(super) fn all_stored(&self) -> impl Iterator<Item = (&str, &Stored)> {
        self.stored
            .iter()
            .map(|(name, stored)| (name.as_str(), stored))
    }

    /// The elements of the constant `name`, where they are few.
    #[must_use]
    pub fn constant(&self, name: &str) -> Option<&[f64]> {
        self.constants.get(name).map(Vec::as_slice)
    }

    /// The operation that makes `name`, by its place in [`Graph::nodes`].
    #[must_use]
    pub fn maker(&self, name: &str) -> Option<usize> {
        self.made_by.get(name).copied()
    }

    /// The shape that the exporter wrote down for `name`, if it is whole.
    #[must_use]
    pub fn declared(&self, name: &str) -> Option<&[u64]> {
        self.declared.get(name).map(Vec::as_slice)
    }

    /// Kinds of operations and how often each occurs, bodies of loops not counted.
    #[must_use]
    pub fn op_counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for node in &self.nodes {
            *counts.entry(node.op.as_str()).or_default() += 1;
        }
        counts
    }

    /// Prepares the look-ups; call once after the last node.
    pub(super) fn index(&mut self) {
        for (i, node) in self.nodes.iter().enumerate() {
            for output in &node.outputs {
                self.made_by.insert(output.clone(), i);
            }
            for input in &node.inputs {
                self.read_by.entry(input.clone()).or_default().push(i);
            }
        }
    }

    /// Number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no operations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether `op` occurs anywhere, bodies of loops included.
    #[must_use]
    pub fn has(&self, op: &str) -> bool {
        self.ops.contains(op)
    }

    /// Whether some operation has a name that contains `part`.
    #[must_use]
    pub fn has_like(&self, part: &str) -> bool {
        self.ops.iter().any(|op| op.contains(part))
    }

    /// Whether a convolution works on each channel by itself.
    #[must_use]
    pub fn has_depthwise(&self) -> bool {
        self.nodes.iter().any(|n| n.op == "Conv" && n.group > 1)
    }

    /// Whether a convolution cuts the picture into large patches (a vision transformer).
    #[must_use]
    pub fn has_patch_embedding(&self) -> bool {
        self.nodes.iter().any(|n| {
            n.op == "Conv"
                && n.group <= 1
                && matches!(n.kernel.as_slice(), [h, w] if h == w && (12..=32).contains(h))
        })
    }

    /// Whether `output` ends by joining three parts, the middle one the same for every picture: an
    /// objectness that is always 1.
    #[must_use]
    pub fn joins_a_constant(&self, output: &str) -> bool {
        let mut name = output;
        for _ in 0..8 {
            let Some(&at) = self.made_by.get(name) else {
                return false;
            };
            let node = &self.nodes[at];
            if node.op == "Concat" {
                let [_, middle, _] = node.inputs.as_slice() else {
                    return false;
                };
                let makers = self.makers(middle);
                return makers.iter().all(|op| *op == "ConstantOfShape");
            }
            if !MOVES.contains(&node.op.as_str()) {
                return false;
            }
            let Some(input) = node.inputs.first() else {
                return false;
            };
            name = input;
        }
        false
    }

    /// The operations that really compute `output`: the first ones met walking back from it that do
    /// more than move numbers about.
    #[must_use]
    pub fn makers(&self, output: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut queue = VecDeque::from([output]);
        while let Some(name) = queue.pop_front() {
            let Some(&at) = self.made_by.get(name) else {
                continue;
            };
            if !seen.insert(at) || seen.len() > MAX_WALK_NODES {
                continue;
            }
            let node = &self.nodes[at];
            if MOVES.contains(&node.op.as_str()) {
                // Only Concat moves more than its first input; the others take shapes and axes.
                let inputs = if node.op == "Concat" {
                    node.inputs.len()
                } else {
                    1
                };
                queue.extend(node.inputs.iter().take(inputs).map(String::as_str));
            } else {
                found.insert(node.op.as_str());
            }
        }
        found
    }

    /// Whether `op` is among the operations at most `steps` behind `output`, moves not counted.
    #[must_use]
    pub fn is_behind(&self, output: &str, op: &str, steps: usize) -> bool {
        let mut best: BTreeMap<usize, usize> = BTreeMap::new();
        let mut queue = VecDeque::from([(output, 0usize)]);
        let mut looked_at = 0;
        while let Some((name, step)) = queue.pop_front() {
            let Some(&at) = self.made_by.get(name) else {
                continue;
            };
            if best.get(&at).is_some_and(|&before| before <= step) {
                continue;
            }
            best.insert(at, step);
            looked_at += 1;
            if looked_at > MAX_WALK_NODES {
                return false;
            }
            let node = &self.nodes[at];
            if node.op == op {
                return true;
            }
            let next = step + usize::from(!MOVES.contains(&node.op.as_str()));
            if next <= steps {
                queue.extend(node.inputs.iter().map(|input| (input.as_str(), next)));
            }
        }
        false
    }

    /// Whole-number constants that divide something at most `steps` behind `output` and after the
    /// selection: class counts of heads that number (query, class) pairs.
    #[must_use]
    pub fn divisors_behind(&self, output: &str, steps: usize) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut queue = VecDeque::from([(output, 0usize)]);
        while let Some((name, step)) = queue.pop_front() {
            let Some(&at) = self.made_by.get(name) else {
                continue;
            };
            if step > steps || !seen.insert(at) || seen.len() > MAX_WALK_NODES {
                continue;
            }
            let node = &self.nodes[at];
            if matches!(
                node.op.as_str(),
                "TopK" | "ArgMax" | "Sigmoid" | "MatMul" | "Gemm"
            ) {
                continue;
            }
            if (node.op == "Div" || node.op == "Mod")
                && let Some([number]) = node.inputs.get(1).and_then(|name| self.numbers(name))
                && *number >= 1.0
                && *number <= 65_535.0
                && number.fract() == 0.0
            {
                found.insert(*number as u64);
            }
            queue.extend(node.inputs.iter().map(|input| (input.as_str(), step + 1)));
        }
        found
    }

    /// A small constant, seen through moves.
    fn numbers(&self, name: &str) -> Option<&[f64]> {
        let mut name = name;
        for _ in 0..8 {
            if let Some(numbers) = self.constants.get(name) {
                return Some(numbers);
            }
            let node = &self.nodes[*self.made_by.get(name)?];
            if !MOVES.contains(&node.op.as_str()) || node.op == "Concat" {
                return None;
            }
            name = node.inputs.first()?;
        }
        None
    }

    /// What is done to the values of `input` before anything with weights sees them.
    #[must_use]
    pub fn preamble(&self, input: &str) -> Preamble {
        let mut preamble = Preamble {
            scale: 1.0,
            offset: 0.0,
        };
        let mut name = input;
        for _ in 0..16 {
            let readers: Vec<&Node> = self
                .read_by
                .get(name)
                .into_iter()
                .flatten()
                .map(|&at| &self.nodes[at])
                .filter(|node| !matches!(node.op.as_str(), "Shape" | "Size"))
                .collect();
            let [node] = readers.as_slice() else { break };
            let other = node
                .inputs
                .iter()
                .find(|i| i.as_str() != name)
                .and_then(|i| self.numbers(i))
                .filter(|numbers| !numbers.is_empty())
                .map(|numbers| numbers.iter().sum::<f64>() / numbers.len() as f64);
            let is_first = node.inputs.first().is_some_and(|i| i == name);
            match (node.op.as_str(), other) {
                ("Mul", Some(v)) => {
                    preamble.scale *= v;
                    preamble.offset *= v;
                }
                ("Div", Some(v)) if is_first && v != 0.0 => {
                    preamble.scale /= v;
                    preamble.offset /= v;
                }
                ("Add", Some(v)) => preamble.offset += v,
                ("Sub", Some(v)) if is_first => preamble.offset -= v,
                (op, _) if op == "Pad" || op == "Resize" || MOVES.contains(&op) => {}
                _ => break,
            }
            let Some(output) = node.outputs.first() else {
                break;
            };
            name = output;
        }
        preamble
    }
}
