//! The few messages of the ONNX format that the recogniser needs (field numbers: onnx/onnx.proto).
//!
//! Unknown fields are skipped by the decoder. `ModelProto` and `GraphProto` of the outermost level are
//! not here: `signature` walks them by hand so that weights are never read.

use prost::Message;

/// A graph inside a node (bodies of `If`, `Loop`, `Scan`).
#[derive(Clone, PartialEq, Message)]
pub struct SubGraph {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// A named attribute of a node.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, tag = "2")]
    pub f: f32,
    #[prost(int64, tag = "3")]
    pub i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub t: Option<Tensor>,
    #[prost(message, optional, tag = "6")]
    pub g: Option<SubGraph>,
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
}

/// A tensor with its elements; exactly one of the data fields is used.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
}

/// A named value and its type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<Type>,
}

/// A type; only tensors matter here.
#[derive(Clone, PartialEq, Message)]
pub struct Type {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// Element type and shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// Dimensions of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// One dimension: a number, a symbol, or nothing.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}

/// A version of an operator set.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A key and a value.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

impl Tensor {
    /// Number of elements by its dimensions; saturates.
    pub fn elements(&self) -> u64 {
        self.dims.iter().fold(1u64, |product, &dim| {
            product.saturating_mul(u64::try_from(dim).unwrap_or(0))
        })
    }

    /// Its elements as numbers, or `None` if they are not here or of a type nobody asks for.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        let raw = &self.raw_data;
        let numbers: Vec<f64> = match self.data_type {
            1 if !raw.is_empty() => chunks(raw, |b: [u8; 4]| f64::from(f32::from_le_bytes(b))),
            1 => self.float_data.iter().map(|&v| f64::from(v)).collect(),
            7 if !raw.is_empty() => chunks(raw, |b: [u8; 8]| i64::from_le_bytes(b) as f64),
            7 => self.int64_data.iter().map(|&v| v as f64).collect(),
            6 if !raw.is_empty() => chunks(raw, |b: [u8; 4]| f64::from(i32::from_le_bytes(b))),
            6 => self.int32_data.iter().map(|&v| f64::from(v)).collect(),
            10 if !raw.is_empty() => chunks(raw, |b: [u8; 2]| half::f16::from_le_bytes(b).to_f64()),
            11 if !raw.is_empty() => chunks(raw, f64::from_le_bytes),
            11 => self.double_data.clone(),
            _ => return None,
        };
        Some(numbers)
    }
}

fn chunks<const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    raw.as_chunks::<N>().0.iter().map(|&b| read(b)).collect()
}

/// ONNX name of an element type (`TensorProto.DataType`).
pub fn data_type_name(data_type: i32) -> String {
    let name = match data_type {
        1 => "float32",
        2 => "uint8",
        3 => "int8",
        4 => "uint16",
        5 => "int16",
        6 => "int32",
        7 => "int64",
        8 => "string",
        9 => "bool",
        10 => "float16",
        11 => "float64",
        12 => "uint32",
        13 => "uint64",
        16 => "bfloat16",
        other => return format!("type {other}"),
    };
    name.to_owned()
}
