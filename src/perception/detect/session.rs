//! A network on the processor that was asked for.

use std::collections::BTreeMap;
use std::fmt;

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::remedy::{gist, remedy};
use super::runtime::Runtime;
use super::{DetectError, DetectOptions, ModelFiles, Provider};

/// What computes the network, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderReport {
    /// What computes it; never `auto`.
    pub used: Provider,
    /// Why this one.
    pub why: String,
    /// What was tried before and what it said, in order.
    pub tried: Vec<(Provider, String)>,
}

impl fmt::Display for ProviderReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.used, self.why)
    }
}

/// Makes the network of `model` and lets `try_out` run it once, because some faults show only then.
///
/// `auto` takes CUDA where the library has it and the network runs on it, else the CPU.
///
/// # Errors
/// [`DetectError::Network`] if the provider that was asked for cannot run, with the remedy.
pub(super) fn open(
    runtime: &Runtime,
    model: &ModelFiles,
    options: &DetectOptions,
    mut try_out: impl FnMut(&mut Session) -> ort::Result<()>,
) -> Result<(Session, ProviderReport), DetectError> {
    let mut open_on = |provider| -> ort::Result<Session> {
        let log = LogLevel::Warning;
        let mut session =
            builder(runtime, provider, options, log)?.commit_from_file(&model.onnx)?;
        try_out(&mut session)?;
        Ok(session)
    };
    if options.provider != Provider::Auto {
        return match open_on(options.provider) {
            Ok(session) => Ok((session, report(options.provider, "asked for", Vec::new()))),
            Err(source) => Err(failed(model, options.provider, source)),
        };
    }
    let mut tried = Vec::new();
    match ep::CUDA::is_available() {
        Ok(true) => match open_on(Provider::Cuda) {
            Ok(session) => return Ok((session, report(Provider::Cuda, "it runs here", tried))),
            Err(error) => tried.push((Provider::Cuda, gist(&error.to_string()).to_owned())),
        },
        Ok(false) => tried.push((
            Provider::Cuda,
            "not built into this ONNX Runtime".to_owned(),
        )),
        Err(error) => tried.push((Provider::Cuda, gist(&error.to_string()).to_owned())),
    }
    let session = open_on(Provider::Cpu).map_err(|source| failed(model, Provider::Cpu, source))?;
    let why = format!("cuda: {}", tried[0].1);
    Ok((session, report(Provider::Cpu, &why, tried)))
}

/// Whether this machine's ONNX Runtime makes the network of `model` on `provider`; the answer is the
/// version of the library.
///
/// `Ok(None)` if the library was built without the provider.
///
/// # Errors
/// [`DetectError`] if there is no ONNX Runtime, or it refuses the file.
pub fn try_provider(
    model: &ModelFiles,
    provider: Provider,
    options: &DetectOptions,
) -> Result<Option<&'static str>, DetectError> {
    let runtime = Runtime::load(options.runtime_library.as_deref())?;
    let is_built_in = match provider {
        Provider::Auto | Provider::Cpu => true,
        Provider::Cuda => ep::CUDA::is_available().unwrap_or(false),
        Provider::TensorRt => ep::TensorRT::is_available().unwrap_or(false),
        Provider::OpenVino => ep::OpenVINO::is_available().unwrap_or(false),
    };
    if !is_built_in {
        return Ok(None);
    }
    // What is worth a warning when the model is used is not asked for here.
    builder(runtime, provider, options, LogLevel::Error)
        .and_then(|mut builder| builder.commit_from_file(&model.onnx))
        .map(|_| Some(runtime.version()))
        .map_err(|source| failed(model, provider, source))
}

/// How many nodes of the network each provider runs, by ONNX Runtime's own profile of one run.
///
/// # Errors
/// [`DetectError::Network`] if the network cannot be made, run or profiled.
pub(super) fn nodes(
    model: &ModelFiles,
    provider: Provider,
    options: &DetectOptions,
    run: impl FnOnce(&mut Session) -> ort::Result<()>,
) -> Result<BTreeMap<String, usize>, DetectError> {
    let runtime = Runtime::load(options.runtime_library.as_deref())?;
    let profile = || -> ort::Result<String> {
        let folder = tempfile::tempdir().map_err(|error| ort::Error::new(error.to_string()))?;
        let mut session = builder(runtime, provider, options, LogLevel::Error)?
            .with_profiling(folder.path().join("nodes"))?
            .commit_from_file(&model.onnx)?;
        run(&mut session)?;
        let file = session.end_profiling()?;
        std::fs::read_to_string(file).map_err(|error| ort::Error::new(error.to_string()))
    };
    let text = profile().map_err(|source| failed(model, provider, source))?;
    let events: Vec<serde_json::Value> = serde_json::from_str(&text)
        .map_err(|error| failed(model, provider, ort::Error::new(error.to_string())))?;
    let mut nodes = BTreeMap::new();
    for event in &events {
        if event["cat"] == "Node"
            && let Some(by) = event["args"]["provider"].as_str()
        {
            *nodes.entry(by.to_owned()).or_insert(0) += 1;
        }
    }
    Ok(nodes)
}

fn report(used: Provider, why: &str, tried: Vec<(Provider, String)>) -> ProviderReport {
    ProviderReport {
        used,
        why: why.to_owned(),
        tried,
    }
}

fn failed(model: &ModelFiles, provider: Provider, source: ort::Error) -> DetectError {
    let doing = match provider {
        Provider::Cpu => "making the network on cpu; is the file complete, and its operators known to this ONNX Runtime?".to_owned(),
        Provider::Auto | Provider::Cuda | Provider::TensorRt | Provider::OpenVino => format!(
            "making the network on {provider}; {}; or detect.provider = \"auto\" or \"cpu\" (--provider)",
            remedy(provider, &source.to_string())
        ),
    };
    DetectError::Network {
        model: model.id.clone(),
        doing,
        source,
    }
}

fn builder(
    runtime: &Runtime,
    provider: Provider,
    options: &DetectOptions,
    log_level: LogLevel,
) -> ort::Result<SessionBuilder> {
    // The environment logs everything by default, and formats it on each run.
    let builder = Session::builder(runtime.environment())?
        .with_log_level(log_level)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.intra_threads.get())?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_execution_providers(dispatch(provider, options.device))?;
    Ok(builder)
}

/// What to register, best first; without `error_on_failure` ONNX Runtime would take the CPU in silence.
fn dispatch(provider: Provider, device: u32) -> Vec<ExecutionProviderDispatch> {
    let number = i32::try_from(device).unwrap_or(i32::MAX);
    let cuda = || {
        ep::CUDA::default()
            .with_device_id(number)
            .build()
            .error_on_failure()
    };
    match provider {
        Provider::Auto | Provider::Cpu => Vec::new(),
        Provider::Cuda => vec![cuda()],
        // TensorRT leaves operators it does not know to the next provider.
        Provider::TensorRt => vec![
            ep::TensorRT::default()
                .with_device_id(number)
                .build()
                .error_on_failure(),
            cuda(),
        ],
        Provider::OpenVino => vec![ep::OpenVINO::default().build().error_on_failure()],
    }
}
