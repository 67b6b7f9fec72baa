//! What is opened before the first frame: the inbox, and a session of the model per worker.

use std::num::NonZeroUsize;

use super::carrying::{ByGate, Gates, SharedGate};
use super::{PipelineError, PipelineOptions};
use crate::base::{FromCamera, Inbox, causes};
use crate::perception::detect::{DetectOptions, Detector, Provider};

/// The inbox of cameras with these gates. Where a decision needs the tracks of the frame before, one
/// frame of the camera is under way at a time.
pub(super) fn inbox_of(
    gates: Vec<Option<SharedGate>>,
    outstanding: usize,
) -> (Inbox<FromCamera>, Gates) {
    let mut inbox = Inbox::new(gates.len()).with_outstanding(outstanding);
    let by_slot = Gates::default();
    let is_gated = gates.iter().any(Option::is_some);
    for (slot, gate) in gates.into_iter().enumerate() {
        if let Some(gate) = gate {
            if gate.needs_tracks() {
                inbox = inbox.one_at_a_time(slot);
            }
            by_slot.add(slot, gate);
        }
    }
    if is_gated {
        inbox = inbox.routed(Box::new(ByGate(by_slot.clone())));
    }
    (inbox, by_slot)
}

/// The sessions are opened here, so that threads of their own, which ONNX Runtime does not name, have a
/// name that says whose they are.
const OPENING: &str = "detect-open";

/// One session per worker: `Session::run` needs a session of its own.
pub(super) fn open_detectors(options: &PipelineOptions) -> Result<Vec<Detector>, PipelineError> {
    std::thread::scope(|scope| {
        let opening = std::thread::Builder::new()
            .name(OPENING.to_owned())
            .spawn_scoped(scope, || open_all(options))
            .map_err(|source| PipelineError::Thread {
                name: OPENING.to_owned(),
                source,
            })?;
        opening
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn open_all(options: &PipelineOptions) -> Result<Vec<Detector>, PipelineError> {
    let first = Detector::open(&options.model, &options.detect)?;
    let count = options.workers.map_or_else(
        || auto_workers(first.report().used, options),
        NonZeroUsize::get,
    );
    let alike = alike(&first, &options.detect);
    let mut detectors = vec![first];
    while detectors.len() < count {
        match Detector::open(&options.model, &alike) {
            Ok(detector) => detectors.push(detector),
            // Nobody asked for so many.
            Err(error) if options.workers.is_none() => {
                let (sessions, error) = (detectors.len(), causes(&error));
                tracing::warn!(sessions, error, "no further session of the network");
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(detectors)
}

/// Options of sessions that run where those of `first` do, or not at all.
pub(super) fn alike(first: &Detector, options: &DetectOptions) -> DetectOptions {
    let mut alike = DetectOptions {
        provider: first.report().used,
        ..options.clone()
    };
    if let (Some(reid), Some(opened)) = (&mut alike.reid, first.reid()) {
        reid.provider = Some(opened.report().used);
    }
    alike
}

/// Options of a session that is opened while others and decoders are at work: a CUDA graph is recorded, and
/// meanwhile nobody else may ask for memory of the card.
pub(super) fn while_running(mut options: DetectOptions) -> DetectOptions {
    options.providers.cuda.graphs = false;
    options
}

/// From so many cameras on CUDA gets a second session.
const MANY_CAMERAS: usize = 8;

/// On CUDA two sessions, so that one computes while boxes are made of what the other has said; few cameras
/// never have that much waiting.
fn auto_workers(provider: Provider, options: &PipelineOptions) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    match provider {
        Provider::Cpu => (cores / options.detect.intra_threads.get()).max(1),
        Provider::Auto | Provider::TensorRt | Provider::OpenVino => 1,
        Provider::Cuda => 1 + usize::from(options.cameras.len() >= MANY_CAMERAS),
    }
}
