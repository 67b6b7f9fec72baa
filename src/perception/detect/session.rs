//! A network on the processor that was asked for.

use std::collections::BTreeMap;
use std::fmt;

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::remedy::{gist, remedy};
use super::runtime::Runtime;
use super::{
    CudaOptions, DetectError, DetectOptions, ModelFiles, OpenVinoOptions, Provider,
    ProviderOptions, TensorRtOptions, cache,
};

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
/// `auto` takes the first of [`super::ProviderOptions::order`] that the library has and that the network
/// runs on.
///
/// # Errors
/// [`DetectError::Network`] if the provider that was asked for cannot run, with the remedy;
/// [`DetectError::NoGpu`] if a GPU is required and none is among them.
pub(super) fn open(
    runtime: &Runtime,
    model: &ModelFiles,
    options: &DetectOptions,
    purpose: Purpose,
    mut try_out: impl FnMut(&mut Session) -> ort::Result<()>,
) -> Result<(Session, ProviderReport), DetectError> {
    let mut open_once = |provider| -> ort::Result<Session> {
        let build = Build {
            log: LogLevel::Warning,
            purpose,
            dims: &[],
            graph: false,
        };
        let mut session =
            builder(runtime, model, provider, options, &build)?.commit_from_file(&model.onnx)?;
        try_out(&mut session)?;
        Ok(session)
    };
    let providers = options.providers.of_model(&model.id);
    let mut open_on = |provider| match open_once(provider) {
        // What is kept may be of another card, another version, or half written.
        Err(error) if cache::set_aside(providers.cache(provider), &error.to_string()) => {
            open_once(provider)
        }
        opened => opened,
    };
    let is_refused = |it: Provider| providers.require_gpu && !providers.is_accelerator(it);
    let mut tried = Vec::new();
    let order = match options.provider {
        Provider::Auto => providers.order.as_slice(),
        ref named => std::slice::from_ref(named),
    };
    for (index, &provider) in order.iter().enumerate() {
        if is_refused(provider) {
            continue;
        }
        let may_fail = order[index + 1..].iter().any(|it| !is_refused(*it));
        if may_fail && let Some(missing) = is_missing(provider) {
            tried.push((provider, missing));
            continue;
        }
        match open_on(provider) {
            Ok(session) => {
                let why = reason(order, &tried);
                return Ok((session, report(provider, &why, tried)));
            }
            Err(error) if may_fail => {
                tried.push((provider, gist(&error.to_string()).to_owned()));
            }
            Err(source) => return Err(failed(model, provider, options, source)),
        }
    }
    Err(DetectError::NoGpu {
        model: model.id.clone(),
    })
}

/// Why this provider, after those that were `tried`.
fn reason(order: &[Provider], tried: &[(Provider, String)]) -> String {
    match (order, tried) {
        ([_], _) => "asked for".to_owned(),
        (_, []) => "it runs here".to_owned(),
        (_, tried) => told(tried),
    }
}

fn told(tried: &[(Provider, String)]) -> String {
    let one = |(provider, why): &(Provider, String)| format!("{provider}: {why}");
    let all: Vec<String> = tried.iter().map(one).collect();
    all.join("; ")
}

/// What keeps a provider from being tried at all.
fn is_missing(provider: Provider) -> Option<String> {
    let is_built_in = match provider {
        Provider::Auto | Provider::Cpu => return None,
        Provider::Cuda => ep::CUDA::is_available(),
        Provider::TensorRt => ep::TensorRT::is_available(),
        Provider::OpenVino => ep::OpenVINO::is_available(),
    };
    match is_built_in {
        Ok(true) => None,
        Ok(false) => Some("not built into this ONNX Runtime".to_owned()),
        Err(error) => Some(gist(&error.to_string()).to_owned()),
    }
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
    if is_missing(provider).is_some() {
        return Ok(None);
    }
    // What is worth a warning when the model is used is not asked for here.
    builder(runtime, model, provider, options, &Build::quiet_trial(&[]))
        .and_then(|mut builder| builder.commit_from_file(&model.onnx))
        .map(|_| Some(runtime.version()))
        .map_err(|source| failed(model, provider, options, source))
}

/// A dimension that the network leaves open, by its name, and what it is from now on.
pub(super) type FixedDim = (String, i64);

/// The network of `model` for one shape of input alone, on a provider on which it is known to run. With
/// `graph` a call that is bound to addresses is one CUDA graph from its second run on.
///
/// # Errors
/// [`ort::Error`] if it cannot be made so: a CUDA graph takes no network of which the CPU runs a part.
pub(super) fn open_fixed(
    runtime: &Runtime,
    model: &ModelFiles,
    provider: Provider,
    options: &DetectOptions,
    dims: &[FixedDim],
    graph: bool,
) -> ort::Result<Session> {
    let build = Build {
        // What is worth a warning was told when the network was made for any shape.
        log: LogLevel::Error,
        purpose: Purpose::Work,
        dims,
        graph,
    };
    builder(runtime, model, provider, options, &build)?.commit_from_file(&model.onnx)
}

/// How many nodes of the network each provider runs, by ONNX Runtime's own profile of one run.
///
/// # Errors
/// [`DetectError::Network`] if the network cannot be made, run or profiled.
pub(super) fn nodes(
    model: &ModelFiles,
    provider: Provider,
    options: &DetectOptions,
    dims: &[FixedDim],
    run: impl FnOnce(&mut Session) -> ort::Result<()>,
) -> Result<BTreeMap<String, usize>, DetectError> {
    let runtime = Runtime::load(options.runtime_library.as_deref())?;
    let profile = || -> ort::Result<String> {
        let folder = tempfile::tempdir().map_err(|error| ort::Error::new(error.to_string()))?;
        let mut session = builder(runtime, model, provider, options, &Build::quiet_trial(dims))?
            .with_profiling(folder.path().join("nodes"))?
            .commit_from_file(&model.onnx)?;
        run(&mut session)?;
        let file = session.end_profiling()?;
        std::fs::read_to_string(file).map_err(|error| ort::Error::new(error.to_string()))
    };
    let text = profile().map_err(|source| failed(model, provider, options, source))?;
    let events: Vec<serde_json::Value> = serde_json::from_str(&text)
        .map_err(|error| failed(model, provider, options, ort::Error::new(error.to_string())))?;
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

/// The error of a network that cannot be made on `provider`, with the remedy.
pub(super) fn failed(
    model: &ModelFiles,
    provider: Provider,
    options: &DetectOptions,
    source: ort::Error,
) -> DetectError {
    let otherwise = if options.providers.require_gpu {
        "detect.require_gpu = false lets the CPU do it, where it is among the providers"
    } else {
        "detect.provider = \"auto\" or \"cpu\" (--provider)"
    };
    let doing = match provider {
        Provider::Cpu => "making the network on cpu; is the file complete, and its operators known to this ONNX Runtime?".to_owned(),
        Provider::Auto | Provider::Cuda | Provider::TensorRt | Provider::OpenVino => format!(
            "making the network on {provider}; {}; or {otherwise}",
            remedy(provider, &source.to_string())
        ),
    };
    DetectError::Network {
        model: model.id.clone(),
        doing,
        source,
    }
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To run as fast as it can: on CUDA the fastest way of each convolution is searched for at the first
    /// run of a shape, about a second.
    Work,
    /// To see whether and where it runs.
    Trial,
}

/// How a session is made.
#[derive(Clone, Copy)]
struct Build<'a> {
    log: LogLevel,
    purpose: Purpose,
    dims: &'a [FixedDim],
    /// Whether calls are CUDA graphs.
    graph: bool,
}

impl<'a> Build<'a> {
    fn quiet_trial(dims: &'a [FixedDim]) -> Self {
        Self {
            log: LogLevel::Error,
            purpose: Purpose::Trial,
            dims,
            graph: false,
        }
    }
}

fn builder(
    runtime: &Runtime,
    model: &ModelFiles,
    provider: Provider,
    options: &DetectOptions,
    build: &Build<'_>,
) -> ort::Result<SessionBuilder> {
    let providers = options.providers.of_model(&model.id);
    // The environment logs everything by default, and formats it on each run.
    let mut builder = Session::builder(runtime.environment())?
        .with_log_level(build.log)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.intra_threads.get())?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_execution_providers(dispatch(provider, &providers, build))?;
    for (name, size) in build.dims {
        builder = builder.with_dimension_override(name, *size)?;
    }
    Ok(builder)
}

/// What to register, best first; without `error_on_failure` ONNX Runtime would take the CPU in silence.
fn dispatch(
    provider: Provider,
    options: &ProviderOptions,
    build: &Build<'_>,
) -> Vec<ExecutionProviderDispatch> {
    match provider {
        Provider::Auto | Provider::Cpu => Vec::new(),
        Provider::Cuda => vec![cuda(&options.cuda, build)],
        // TensorRT leaves operators it does not know to the next provider.
        Provider::TensorRt => vec![
            tensorrt(&options.tensorrt),
            cuda(
                &CudaOptions {
                    device: options.tensorrt.device,
                    ..options.cuda.clone()
                },
                // There the network is not made anew for each number of pictures.
                &Build {
                    purpose: Purpose::Work,
                    ..*build
                },
            ),
        ],
        Provider::OpenVino => vec![openvino(&options.openvino)],
    }
}

fn cuda(options: &CudaOptions, build: &Build<'_>) -> ExecutionProviderDispatch {
    let mut provider = ep::CUDA::default()
        .with_device_id(number(options.device))
        .with_tf32(options.tf32)
        .with_cuda_graph(build.graph);
    if build.purpose == Purpose::Trial {
        provider = provider.with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Default);
    }
    if let Some(limit) = options.memory_limit {
        // Doubling the arena at each step would pass the limit long before it is needed.
        provider = provider
            .with_memory_limit(usize::try_from(limit).unwrap_or(usize::MAX))
            .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested);
    }
    provider.build().error_on_failure()
}

fn tensorrt(options: &TensorRtOptions) -> ExecutionProviderDispatch {
    let mut provider = ep::TensorRT::default()
        .with_device_id(number(options.device))
        .with_fp16(options.fp16);
    if let Some(bytes) = options.workspace {
        provider = provider.with_max_workspace_size(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    if let Some(folder) = &options.cache {
        provider = provider
            .with_engine_cache(true)
            .with_engine_cache_path(folder.display())
            .with_timing_cache(true)
            .with_timing_cache_path(folder.display());
    }
    provider.build().error_on_failure()
}

fn openvino(options: &OpenVinoOptions) -> ExecutionProviderDispatch {
    let mut provider = ep::OpenVINO::default();
    if let Some(hardware) = &options.hardware {
        provider = provider.with_device_type(hardware);
    }
    if let Some(threads) = options.threads {
        provider = provider.with_num_threads(threads.get());
    }
    if let Some(folder) = &options.cache {
        provider = provider.with_cache_dir(folder.display());
    }
    provider.build().error_on_failure()
}

fn number(device: u32) -> i32 {
    i32::try_from(device).unwrap_or(i32::MAX)
}
