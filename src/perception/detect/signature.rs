//! What an .onnx file says about itself: inputs, outputs, metadata, and its graph without the weights.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use prost::Message;

use super::graph::{Graph, Node};
use super::onnx_proto as proto;
use super::wire::{Value, Wire};

/// Initialisers up to this size are read (means, anchors, shapes); larger ones are stepped over.
const MAX_CONSTANT_BYTES: u64 = 4096;

/// Element type of a tensor in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// 8-bit unsigned.
    U8,
    /// 64-bit signed.
    I64,
    /// 32-bit signed.
    I32,
    /// Anything else, by its ONNX name.
    Other(String),
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::U8 => "uint8",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::Other(name) => name,
        })
    }
}

/// One input or output of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: ElementType,
    /// Its dimensions; `None` is symbolic or missing. Empty if the file does not state a shape.
    pub dims: Vec<Option<usize>>,
    /// Whether the file states a shape at all.
    pub has_shape: bool,
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ", self.name, self.dtype)?;
        if !self.has_shape {
            return f.write_str("[no shape stated]");
        }
        f.write_str("[")?;
        for (i, dim) in self.dims.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match dim {
                Some(dim) => write!(f, "{dim}")?,
                None => f.write_str("?")?,
            }
        }
        f.write_str("]")
    }
}

/// Everything the recogniser looks at.
#[derive(Debug, Clone, Default)]
pub struct Signature {
    /// Graph inputs that are not initialisers.
    pub inputs: Vec<TensorInfo>,
    /// Graph outputs.
    pub outputs: Vec<TensorInfo>,
    /// `metadata_props` of the file.
    pub metadata: BTreeMap<String, String>,
    /// Version of the default operator set.
    pub opset: i64,
    /// Name and version of the exporter.
    pub producer: String,
    /// The operations and small constants.
    pub graph: Graph,
}

/// Why a file could not be read as an ONNX model.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The file could not be read.
    #[error("model {path}: cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is no ONNX model.
    #[error("model {path}: {what}")]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What was found instead, and what to try.
        what: String,
    },
}

impl Signature {
    /// Reads the signature of the model at `path`; weights are stepped over, not loaded.
    ///
    /// # Errors
    /// [`SignatureError`] if the file cannot be read or is not a complete ONNX model.
    pub fn read(path: &Path) -> Result<Self, SignatureError> {
        let not_onnx = |what: String| SignatureError::NotOnnx {
            path: path.to_path_buf(),
            what,
        };
        let io_error = |source| SignatureError::Io {
            path: path.to_path_buf(),
            source,
        };
        let mut file = File::open(path).map_err(io_error)?;
        let meta = file.metadata().map_err(io_error)?;
        if meta.is_dir() {
            return Err(not_onnx("is a folder, not an .onnx file".into()));
        }
        if meta.len() == 0 {
            return Err(not_onnx(
                "is an empty file; fetch or export it again".into(),
            ));
        }
        let mut head = [0; 64];
        let got = file.read(&mut head).map_err(io_error)?;
        file.rewind().map_err(io_error)?;
        if let Some(other) = other_format(&head[..got]) {
            return Err(not_onnx(format!("is no ONNX model: {other}")));
        }
        read_model(file, meta.len()).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => not_onnx(format!(
                "is no complete ONNX model ({error}); it may be cut short: fetch or export it again"
            )),
            io::ErrorKind::InvalidData => not_onnx(format!(
                "is no ONNX model ({error}); gantryd needs an .onnx file"
            )),
            _ => io_error(error),
        })
    }
}

/// What a file that is not ONNX probably is, and what to do.
fn other_format(head: &[u8]) -> Option<&'static str> {
    let has = |at: usize, mark: &[u8]| head.get(at..at + mark.len()) == Some(mark);
    if has(0, b"version https://git-lfs") {
        Some("a Git LFS pointer; run `git lfs pull` to get the file itself")
    } else if has(0, b"PK\x03\x04") {
        Some("a zip archive (a PyTorch .pt file?); export it to ONNX first")
    } else if has(4, b"TFL3") {
        Some("a TensorFlow Lite model; convert it with tf2onnx first")
    } else if has(0, b"ORTM") || has(4, b"ORTM") {
        Some("an ORT-format model; use the .onnx it was made from")
    } else if has(0, b"\x89HDF") {
        Some("an HDF5 (Keras) file; convert it with tf2onnx first")
    } else if has(0, b"<?xml") {
        Some("an XML file (OpenVINO IR?); use the .onnx it was made from")
    } else if has(0, b"<!DOCTYPE") || has(0, b"<html") {
        Some("a web page; the download gave a page instead of the file")
    } else if !head.is_empty()
        && head
            .iter()
            .all(|&b| b.is_ascii_graphic() || b.is_ascii_whitespace())
    {
        Some("a text file")
    } else {
        None
    }
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn decode<M: Message + Default>(bytes: &[u8]) -> io::Result<M> {
    M::decode(bytes).map_err(|error| invalid(error.to_string()))
}

/// Walks `ModelProto`.
fn read_model<R: Read + Seek>(file: R, len: u64) -> io::Result<Signature> {
    let mut wire = Wire::new(file, len);
    let mut signature = Signature::default();
    let (mut ir_version, mut version) = (0, String::new());
    let mut has_graph = false;
    while let Some((field, value)) = wire.field(len)? {
        match (field, value) {
            (1, Value::Varint(v)) => ir_version = v,
            (2, Value::Record(n)) => signature.producer = text(&wire.record(n)?),
            (3, Value::Record(n)) => version = text(&wire.record(n)?),
            (7, Value::Record(n)) => {
                let end = wire.position() + n;
                read_graph(&mut wire, end, &mut signature)?;
                has_graph = true;
            }
            (8, Value::Record(n)) => {
                let set: proto::OperatorSet = decode(&wire.record(n)?)?;
                if set.domain.is_empty() || set.domain == "ai.onnx" {
                    signature.opset = set.version;
                }
            }
            (14, Value::Record(n)) => {
                let pair: proto::KeyValue = decode(&wire.record(n)?)?;
                signature.metadata.insert(pair.key, pair.value);
            }
            (_, Value::Record(n)) => wire.skip(n, len)?,
            _ => {}
        }
    }
    if ir_version == 0 || !has_graph || signature.outputs.is_empty() {
        return Err(invalid("it holds no graph"));
    }
    if !version.is_empty() {
        signature.producer = format!("{} {version}", signature.producer)
            .trim()
            .to_owned();
    }
    Ok(signature)
}

/// Walks `GraphProto`.
fn read_graph<R: Read + Seek>(
    wire: &mut Wire<R>,
    end: u64,
    signature: &mut Signature,
) -> io::Result<()> {
    let mut inputs = Vec::new();
    let mut initialisers = BTreeSet::new();
    while let Some((field, value)) = wire.field(end)? {
        let Value::Record(n) = value else { continue };
        match field {
            1 => {
                let node: proto::Node = decode(&wire.record(n)?)?;
                add_node(&mut signature.graph, node);
            }
            5 => {
                let tensor = read_initialiser(wire, n)?;
                initialisers.insert(tensor.name.clone());
                signature.graph.add_constant(&tensor.name, &tensor);
            }
            11 => inputs.push(tensor_info(decode(&wire.record(n)?)?)),
            12 => signature
                .outputs
                .push(tensor_info(decode(&wire.record(n)?)?)),
            13 => {
                let info = tensor_info(decode(&wire.record(n)?)?);
                let dims = info.dims.iter().map(|dim| dim.map(|dim| dim as u64));
                if let (true, Some(dims)) = (info.has_shape, dims.collect()) {
                    signature.graph.add_declared(info.name, dims);
                }
            }
            _ => wire.skip(n, end)?,
        }
    }
    // Old exporters list every initialiser as an input too.
    inputs.retain(|input| !initialisers.contains(&input.name));
    signature.inputs = inputs;
    signature.graph.index();
    Ok(())
}

/// Reads a `TensorProto` but for a large payload.
fn read_initialiser<R: Read + Seek>(wire: &mut Wire<R>, n: u64) -> io::Result<proto::Tensor> {
    let end = wire.position() + n;
    if n <= MAX_CONSTANT_BYTES {
        return decode(&wire.record(n)?);
    }
    let mut tensor = proto::Tensor::default();
    while let Some((field, value)) = wire.field(end)? {
        match (field, value) {
            (1, Value::Varint(dim)) => tensor.dims.push(dim.cast_signed()),
            (1, Value::Record(n)) => {
                // Packed dimensions: decode them as a tensor that holds nothing else.
                let bytes = wire.record(n.min(MAX_CONSTANT_BYTES))?;
                let mut record = vec![0x0a];
                prost::encoding::encode_varint(bytes.len() as u64, &mut record);
                record.extend_from_slice(&bytes);
                tensor.dims = decode::<proto::Tensor>(&record)?.dims;
            }
            (2, Value::Varint(kind)) => tensor.data_type = i32::try_from(kind).unwrap_or(0),
            (8, Value::Record(n)) => tensor.name = text(&wire.record(n)?),
            (_, Value::Record(n)) => wire.skip(n, end)?,
            _ => {}
        }
    }
    Ok(tensor)
}

fn add_node(graph: &mut Graph, node: proto::Node) {
    for attribute in &node.attribute {
        if let Some(body) = &attribute.g {
            add_body_ops(graph, body, 0);
        }
    }
    if node.op_type == "Constant" {
        if let (Some(name), Some(attribute)) = (node.output.first(), node.attribute.first()) {
            match (&attribute.t, attribute.name.as_str()) {
                (Some(tensor), _) => graph.add_constant(name, tensor),
                (None, "value_float") => graph.add_number(name, f64::from(attribute.f), 1),
                (None, "value_int") => graph.add_number(name, attribute.i as f64, 7),
                (None, "value_ints") => {
                    let numbers = attribute.ints.iter().map(|&v| v as f64);
                    graph.add_list(name, numbers.collect(), 7);
                }
                (None, "value_floats") => {
                    let numbers = attribute.floats.iter().map(|&v| f64::from(v));
                    graph.add_list(name, numbers.collect(), 1);
                }
                _ => {}
            }
        }
        return;
    }
    let ints = |name: &str| {
        node.attribute
            .iter()
            .find(|a| a.name == name)
            .map(|a| a.ints.clone())
            .unwrap_or_default()
    };
    let group = node
        .attribute
        .iter()
        .find(|a| a.name == "group")
        .map_or(1, |a| a.i);
    let kernel = ints("kernel_shape");
    let has_body = node.attribute.iter().any(|a| a.g.is_some());
    let mut attributes = node.attribute;
    attributes.retain(|a| a.g.is_none());
    for attribute in &mut attributes {
        // Weights are not kept; the one number of a ConstantOfShape is.
        if let Some(tensor) = attribute.t.take().filter(|t| t.elements() == 1) {
            let numbers = tensor.numbers().unwrap_or_default();
            attribute.floats = numbers.iter().map(|&v| v as f32).collect();
        }
    }
    graph.add_node(Node {
        kernel,
        group,
        op: node.op_type,
        inputs: node.input,
        outputs: node.output,
        domain: node.domain,
        attributes,
        has_body,
    });
}

/// Notes which operations the bodies of `Loop`, `If` and `Scan` use.
fn add_body_ops(graph: &mut Graph, body: &proto::SubGraph, depth: usize) {
    for node in &body.node {
        graph.add_op(&node.op_type);
        for inner in node.attribute.iter().filter_map(|a| a.g.as_ref()) {
            if depth < 16 {
                add_body_ops(graph, inner, depth + 1);
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn tensor_info(value: proto::ValueInfo) -> TensorInfo {
    let tensor = value.r#type.and_then(|t| t.tensor_type);
    let shape = tensor.as_ref().and_then(|t| t.shape.as_ref());
    TensorInfo {
        name: value.name,
        dtype: match tensor.as_ref().map_or(0, |t| t.elem_type) {
            1 => ElementType::F32,
            10 => ElementType::F16,
            2 => ElementType::U8,
            7 => ElementType::I64,
            6 => ElementType::I32,
            other => ElementType::Other(proto::data_type_name(other)),
        },
        has_shape: shape.is_some(),
        dims: shape
            .map(|s| {
                s.dim
                    .iter()
                    .map(|d| match d.dim_value {
                        // Some exporters write −1 or 0 for "any".
                        Some(v) if v > 0 => usize::try_from(v).ok(),
                        _ => None,
                    })
                    .collect()
            })
            .unwrap_or_default(),
    }
}
