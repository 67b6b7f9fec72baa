//! What a graph is made of: its weights, what one picture costs, and its residual blocks.
//!
//! Belongs here: what can be counted in the file alone. Does not belong here: which detector it is
//! (`recognise`), and how fast it is.

mod cost;
mod residual;
mod shapes;
mod weights;

use std::collections::BTreeMap;

use super::Signature;

pub use cost::Cost;
pub use residual::Residual;
pub use weights::Weights;

/// What a graph is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// Numbers that were learnt.
    pub weights: Weights,
    /// What one picture costs.
    pub cost: Cost,
    /// Its residual blocks.
    pub residual: Residual,
}

impl Structure {
    /// Takes the graph of `signature` apart for one picture.
    ///
    /// `image` is the name of the image input with its dimensions for one picture; dimensions of
    /// other inputs that the file leaves open are taken as 1.
    #[must_use]
    pub fn of(signature: &Signature, image: &str, dims: &[u64]) -> Self {
        let mut is_as_stated = true;
        let mut inputs = BTreeMap::new();
        for input in &signature.inputs {
            let stated = input.dims.iter().map(|dim| dim.map(|dim| dim as u64));
            let taken: Vec<u64> = if input.name == image {
                dims.to_vec()
            } else {
                stated.clone().map(|dim| dim.unwrap_or(1)).collect()
            };
            is_as_stated &= stated.eq(taken.iter().map(|&dim| Some(dim)));
            inputs.insert(input.name.clone(), taken);
        }
        let graph = &signature.graph;
        // Shapes that the exporter wrote down hold for the sizes of the file only.
        let known = shapes::infer(graph, &inputs, is_as_stated);
        Self {
            weights: Weights::of(graph),
            cost: Cost::of(graph, &known),
            residual: Residual::of(graph),
        }
    }
}
