//! The network in the forms in which it is called: for any number of pictures, or in one form for each number,
//! which saves what ONNX Runtime would find out about shapes at every call. On a card that was measured as a
//! third of the time of small calls (docs/performance.md).

use ort::session::{RunOptions, Session};
use ort::value::ValueType;

use super::runtime::Runtime;
use super::session::{self, FixedDim};
use super::tensors::{Inputs, Outputs, quiet, shapes};
use super::{DetectOptions, ModelFiles, Provider};
use crate::card::{BoundCall, BoundInput, Card, TensorShape};

/// Operations whose results have as many rows as they find: such a network cannot be bound to addresses.
const FINDS_SHAPES: [&str; 7] = [
    "NonMaxSuppression",
    "NonZero",
    "Unique",
    "Compress",
    "Loop",
    "If",
    "Scan",
];

/// The network of one model; one owner, one thread.
#[derive(Debug)]
pub(super) struct Network {
    /// For any number of pictures; absent once there is a form for each.
    any: Option<Session>,
    /// Names of the dimensions of the image input; empty where one has a number.
    symbols: Vec<String>,
    forms: Vec<Form>,
}

/// The network for one number of pictures.
#[derive(Debug)]
struct Form {
    pictures: usize,
    call: Call,
}

#[derive(Debug)]
enum Call {
    Free(Session),
    Bound(Box<BoundCall>),
}

/// What forms are made of.
pub(super) struct Maker<'a> {
    pub model: &'a ModelFiles,
    pub provider: Provider,
    pub options: &'a DetectOptions,
    /// Whether an operation occurs in the network.
    pub has: &'a dyn Fn(&str) -> bool,
}

impl Network {
    /// A network that takes any number of pictures, at its input `image`.
    pub(super) fn of(session: Session, image: &str) -> Self {
        let input = session.inputs().iter().find(|input| input.name() == image);
        let symbols = match input.map(|input| input.dtype()) {
            Some(ValueType::Tensor {
                dimension_symbols, ..
            }) => dimension_symbols.to_vec(),
            _ => Vec::new(),
        };
        Self {
            any: Some(session),
            symbols,
            forms: Vec::new(),
        }
    }

    /// Where a call of so many pictures has its input, if it is bound to addresses.
    pub(super) fn input(&self, inputs: &Inputs, pictures: usize) -> Option<BoundInput> {
        let pictures = inputs.tensor_pictures(pictures);
        let form = self.forms.iter().find(|form| form.pictures == pictures)?;
        match &form.call {
            Call::Free(_) => None,
            Call::Bound(call) => Some(call.input()),
        }
    }

    /// Runs the network on the first `pictures` slots.
    pub(super) fn run(&mut self, inputs: &Inputs, pictures: usize) -> ort::Result<Outputs<'_>> {
        let slots = inputs.tensor_pictures(pictures);
        let form = self.forms.iter_mut().find(|form| form.pictures == slots);
        match (form.map(|form| &mut form.call), &mut self.any) {
            (Some(Call::Free(session)), _) | (None, Some(session)) => {
                Ok(Outputs::Made(inputs.run(session, pictures)?))
            }
            (Some(Call::Bound(call)), _) => {
                let sent = inputs.send(call, slots);
                sent.map_err(|error| ort::Error::new(error.to_string()))?;
                call.run(quiet()?)?;
                Ok(Outputs::Bound(call))
            }
            (None, None) => Err(ort::Error::new(format!(
                "the network was not made for {slots} pictures at once"
            ))),
        }
    }

    /// Whether calls of different numbers of pictures have forms of their own.
    pub(super) fn has_forms(&self) -> bool {
        !self.forms.is_empty()
    }

    /// What the open dimensions are in calls of so many pictures.
    pub(super) fn fixed_dims(&self, inputs: &Inputs, pictures: usize) -> Vec<FixedDim> {
        inputs.fixed_dims(&self.symbols, inputs.tensor_pictures(pictures))
    }

    /// Makes the form for so many pictures, for which `inputs` has room, and runs it.
    ///
    /// # Errors
    /// [`ort::Error`] if it does not run.
    pub(super) fn make(
        &mut self,
        maker: &Maker<'_>,
        inputs: &mut Inputs,
        pictures: usize,
    ) -> ort::Result<()> {
        let dims = self.fixed_dims(inputs, pictures);
        let slots = inputs.tensor_pictures(pictures);
        let bound = maker.wants_graphs().then(|| {
            // An empty picture would show little of what a graph does.
            inputs.scramble();
            let bound = maker.bound(inputs, &dims, slots);
            inputs.clear();
            bound
        });
        let call = match bound {
            Some(Ok(call)) => Call::Bound(Box::new(call)),
            Some(Err(why)) => {
                let model = &maker.model.id;
                tracing::warn!(%model, pictures, why, "no CUDA graph: the network runs without");
                Call::Free(maker.free(inputs, &dims, slots)?)
            }
            None => Call::Free(maker.free(inputs, &dims, slots)?),
        };
        self.forms.push(Form {
            pictures: slots,
            call,
        });
        Ok(())
    }

    /// Runs each bound call twice, which is when its graph is recorded for this thread.
    ///
    /// # Errors
    /// [`ort::Error`] if one does not run.
    pub(super) fn record_graphs(&mut self) -> ort::Result<()> {
        for form in &mut self.forms {
            if let Call::Bound(call) = &mut form.call {
                call.run(quiet()?)?;
                call.run(quiet()?)?;
            }
        }
        Ok(())
    }

    /// The form for so many pictures is not to be used.
    pub(super) fn leave_out(&mut self, pictures: usize) {
        self.forms.retain(|form| form.pictures != pictures);
    }

    /// There is a form for each number of pictures that will be asked for: the one for any number goes.
    pub(super) fn keep_forms_alone(&mut self) {
        self.any = None;
    }
}

impl Maker<'_> {
    fn wants_graphs(&self) -> bool {
        self.provider == Provider::Cuda && self.options.providers.cuda.graphs
    }

    fn open(&self, dims: &[FixedDim], graph: bool) -> ort::Result<Session> {
        let library = self.options.runtime_library.as_deref();
        let runtime = Runtime::load(library).map_err(|error| ort::Error::new(error.to_string()))?;
        session::open_fixed(
            runtime,
            self.model,
            self.provider,
            self.options,
            dims,
            graph,
        )
    }

    fn free(&self, inputs: &Inputs, dims: &[FixedDim], slots: usize) -> ort::Result<Session> {
        let mut session = self.open(dims, false)?;
        inputs.run(&mut session, slots)?;
        Ok(session)
    }

    /// A call that is one CUDA graph, and has said once what the network says without.
    ///
    /// # Errors
    /// Why there is none.
    fn bound(&self, inputs: &Inputs, dims: &[FixedDim], slots: usize) -> Result<BoundCall, String> {
        let told = |error: ort::Error| error.to_string();
        if let Some(op) = FINDS_SHAPES.iter().find(|op| (self.has)(op)) {
            return Err(format!("results of {op} have no fixed number of rows"));
        }
        let Some(input) = inputs.only_input(slots) else {
            return Err("the network takes more than the image".to_owned());
        };
        let card = Card::open(self.options.providers.cuda.device).map_err(|it| it.to_string())?;
        let mut session = self.open(dims, true).map_err(told)?;
        let (results, wanted) = {
            // What is looked for when shapes are new must be found before kernels are recorded.
            let mut unrecorded = RunOptions::new().map_err(told)?;
            unrecorded.set("gpu_graph_id", "-1").map_err(told)?;
            let outputs = inputs
                .run_with(&mut session, slots, &unrecorded)
                .map_err(told)?;
            let dims = shapes(&outputs);
            let mut results = Vec::new();
            for ((name, dims), index) in outputs.keys().zip(&dims).zip(0..) {
                let element = outputs[index].dtype().tensor_type();
                results.push(TensorShape {
                    name: name.to_owned(),
                    element: element.ok_or_else(|| format!("{name} is no tensor"))?,
                    dims: dims.iter().map(|&it| it as i64).collect(),
                });
            }
            let outputs = Outputs::Made(outputs);
            let views = outputs.views(&dims).map_err(told)?;
            let wanted: Vec<_> = views.iter().map(|view| view.data.to_f32()).collect();
            (results, wanted)
        };
        let mut call = BoundCall::new(&card, session, &input, &results).map_err(told)?;
        // Recorded while something else lies there than what it is asked about.
        call.run(quiet().map_err(told)?).map_err(told)?;
        inputs.send(&mut call, slots).map_err(|it| it.to_string())?;
        call.run(quiet().map_err(told)?).map_err(told)?;
        let is_same = {
            let outputs = Outputs::Bound(&call);
            let dims = outputs.shapes();
            let views = outputs.views(&dims).map_err(told)?;
            let said = views.iter().map(|view| view.data.to_f32());
            said.zip(&wanted)
                .all(|(said, wanted)| is_same(&said, wanted))
        };
        if !is_same {
            return Err("as a graph the network says something else than without".to_owned());
        }
        Ok(call)
    }
}

/// The same but for the last bits.
fn is_same(said: &[f32], wanted: &[f32]) -> bool {
    let close = |(a, b): (&f32, &f32)| {
        (a - b).abs() <= 1e-3 * b.abs().max(1.0) || a.to_bits() == b.to_bits()
    };
    said.len() == wanted.len() && said.iter().zip(wanted).all(close)
}

impl std::fmt::Debug for Maker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maker").finish_non_exhaustive()
    }
}
