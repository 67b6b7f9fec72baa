//! `gantryd doctor --tune`: which network, provider and threads this machine runs fastest.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use toml_edit::{DocumentMut, Item, value};

use crate::app::accelerator::golden;
use crate::app::cli::{DoctorArgs, Exit};
use crate::app::config::ModelRef;
use crate::app::{models, resolve};
use crate::base::Frame;
use crate::perception::detect::{
    DetectError, DetectOptions, Detector, ModelFiles, Provider, ProviderOptions,
};

/// How long each way is timed.
const TIMED: Duration = Duration::from_secs(3);

/// Pictures that each session has done before it is timed.
const WARM_UP: usize = 5;

/// A way that is so nearly as fast as the fastest is taken if its answers come sooner.
const NEARLY: f64 = 0.97;

/// Networks in 8-bit integers that stand beside their originals are called so.
const QUANTISED: &str = "-int8";

/// One way to run the detector.
#[derive(Debug, Clone, Serialize)]
struct Way {
    model: String,
    provider: &'static str,
    /// Sessions side by side.
    workers: usize,
    /// Threads inside each.
    intra_threads: usize,
    /// Pictures per second, all sessions together: preprocessing, network, decoding of the head.
    rate: f64,
    /// What one picture takes while all sessions work, ms.
    latency_ms: f64,
}

/// Times every way, tells them, and writes the choice where it is wanted.
///
/// # Errors
/// If the model cannot be used or the file cannot be written.
pub(super) fn run(
    args: &DoctorArgs,
    library: Option<PathBuf>,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let golden = golden()?;
    let mut ways: Vec<Way> = Vec::new();
    for (model, provider) in candidates(args)? {
        for (workers, intra_threads) in layouts(cores(), provider) {
            let options = DetectOptions {
                runtime_library: library.clone(),
                provider,
                providers: ProviderOptions::on_device(args.device),
                input_size: args.input_size,
                intra_threads,
                ..DetectOptions::default()
            };
            let timed = timed(&model, &options, workers, &golden);
            match timed {
                Ok((rate, latency)) => {
                    let way = Way {
                        model: name_in_config(args, &model)?,
                        provider: provider.as_str(),
                        workers: workers.get(),
                        intra_threads: intra_threads.get(),
                        rate,
                        latency_ms: latency.as_secs_f64() * 1e3,
                    };
                    tell(&way);
                    ways.push(way);
                }
                // What this machine lacks is no fault here; that the CPU cannot is.
                Err(error) if provider == Provider::Cpu => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(%provider, %error, "not tried");
                    break;
                }
            }
        }
    }
    let Some(best) = chosen(&ways) else {
        bail!("nothing could be timed");
    };
    writeln!(out, "{}", table(&ways, best))?;
    let asked = args.model.is_some();
    writeln!(out, "{}", advice(&ways[best], asked))?;
    if let Some(path) = &args.write {
        write(path, &ways[best])?;
        writeln!(out, "written to {}", path.display())?;
    }
    Ok(Exit::Done)
}

/// What the configuration is to say: a file is named so that it is found from any folder.
fn name_in_config(args: &DoctorArgs, model: &ModelFiles) -> anyhow::Result<String> {
    if !matches!(args.model, Some(ModelRef::File(_))) {
        return Ok(model.id.clone());
    }
    let path = std::path::absolute(&model.onnx).context("finding the model's folder")?;
    let text = path.to_str().map(str::to_owned);
    text.with_context(|| format!("{}: its name is no UTF-8", path.display()))
}

/// Models and providers to try: the model asked for, or gantryd's own and its 8-bit form.
fn candidates(args: &DoctorArgs) -> anyhow::Result<Vec<(ModelFiles, Provider)>> {
    let mut found = vec![resolve::model(args.model.as_ref())?];
    if args.model.is_none() {
        found.extend(models::resolve(&format!("{}{QUANTISED}", found[0].id)));
    }
    let mut candidates = Vec::new();
    for model in found {
        let is_quantised = model.id.ends_with(QUANTISED);
        // 8-bit networks are for CPUs: an accelerator says something else (docs/performance.md).
        let providers = if is_quantised {
            &[Provider::Cpu][..]
        } else {
            &[Provider::Cpu, Provider::OpenVino, Provider::Cuda]
        };
        candidates.extend(providers.iter().map(|provider| (model.clone(), *provider)));
    }
    Ok(candidates)
}

/// Sessions and threads in each.
fn layouts(cores: NonZeroUsize, provider: Provider) -> Vec<(NonZeroUsize, NonZeroUsize)> {
    let one = NonZeroUsize::MIN;
    if matches!(provider, Provider::Cuda | Provider::TensorRt) {
        return vec![(one, one)];
    }
    let half = NonZeroUsize::new(cores.get() / 2).unwrap_or(one);
    let mut layouts = vec![
        (cores, one),
        (half, NonZeroUsize::new(2).unwrap_or(one)),
        (one, cores),
    ];
    layouts.retain(|(workers, threads)| workers.get() * threads.get() <= cores.get());
    layouts.sort_unstable();
    layouts.dedup();
    layouts.reverse();
    layouts
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Pictures per second of so many sessions at once, and the mean time of a picture.
fn timed(
    model: &ModelFiles,
    options: &DetectOptions,
    workers: NonZeroUsize,
    golden: &Frame,
) -> Result<(f64, Duration), DetectError> {
    let detectors: Result<Vec<Detector>, DetectError> = (0..workers.get())
        .map(|_| Detector::open(model, options))
        .collect();
    let start = Barrier::new(workers.get());
    let work = |mut detector: Detector| {
        let warm = (0..WARM_UP).try_for_each(|_| detector.detect(&[golden]).map(drop));
        start.wait();
        warm?;
        let (began, mut pictures) = (Instant::now(), 0_u32);
        while began.elapsed() < TIMED {
            detector.detect(&[golden])?;
            pictures += 1;
        }
        Ok((pictures, began.elapsed()))
    };
    let work = &work;
    let done: Vec<Result<(u32, Duration), DetectError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = detectors?
            .into_iter()
            .map(|detector| scope.spawn(move || work(detector)))
            .collect();
        let ended = threads.into_iter().map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        Ok::<_, DetectError>(ended.collect())
    })?;
    let (mut rate, mut took, mut count) = (0.0, Duration::ZERO, 0);
    for one in done {
        let (pictures, wall) = one?;
        rate += f64::from(pictures) / wall.as_secs_f64();
        took += wall;
        count += pictures;
    }
    Ok((rate, took / count.max(1)))
}

/// The soonest answer among those that are nearly as fast as the fastest.
fn chosen(ways: &[Way]) -> Option<usize> {
    let fastest = ways.iter().map(|way| way.rate).fold(0.0, f64::max);
    let near = (0..ways.len()).filter(|way| ways[*way].rate >= fastest * NEARLY);
    near.min_by(|a, b| ways[*a].latency_ms.total_cmp(&ways[*b].latency_ms))
}

fn table(ways: &[Way], best: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "model",
        "provider",
        "workers",
        "threads",
        "pictures/s",
        "ms each",
        "",
    ]);
    for (number, way) in ways.iter().enumerate() {
        table.add_row([
            way.model.clone(),
            way.provider.to_owned(),
            way.workers.to_string(),
            way.intra_threads.to_string(),
            format!("{:.1}", way.rate),
            format!("{:.1}", way.latency_ms),
            if number == best { "<- chosen" } else { "" }.to_owned(),
        ]);
    }
    for number in 2..6 {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn advice(way: &Way, was_model_asked_for: bool) -> String {
    let mut text = format!(
        "[detect]\nmodel = \"{}\"\nprovider = \"{}\"\nworkers = {}\nintra_threads = {}",
        way.model, way.provider, way.workers, way.intra_threads
    );
    if way.model.ends_with(QUANTISED) && !was_model_asked_for {
        text.push_str(
            "\nThe network in 8-bit integers finds what the other does within a point of AP50 \
             (models/resident-n/CARD.md); gantryd models inspect tells more.",
        );
    }
    text
}

/// Sets the keys in the file, everything else of it as it was; makes it if there is none.
fn write(path: &Path, way: &Way) -> anyhow::Result<()> {
    let old = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let new = edited(&old, way).with_context(|| format!("{}: no TOML", path.display()))?;
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
        .with_context(|| format!("writing {}", path.display()))?;
    file.write_all(new.as_bytes())
        .with_context(|| format!("writing {}", path.display()))?;
    if let Ok(before) = std::fs::metadata(path) {
        std::fs::set_permissions(file.path(), before.permissions())
            .with_context(|| format!("writing {}", path.display()))?;
    }
    file.persist(path)
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(())
}

fn edited(text: &str, way: &Way) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let detect = document
        .entry("detect")
        .or_insert_with(toml_edit::table)
        .as_table_mut()
        .context("detect is no table")?;
    // One provider takes the place of those that were tried in turn.
    detect.remove("providers");
    let mut set = |key: &str, to: Item| {
        let decor = detect
            .get(key)
            .and_then(Item::as_value)
            .map(|it| it.decor().clone());
        detect[key] = to;
        if let (Some(decor), Some(it)) = (decor, detect[key].as_value_mut()) {
            *it.decor_mut() = decor;
        }
    };
    set("model", value(way.model.as_str()));
    set("provider", value(way.provider));
    set("workers", value(way.workers as i64));
    set("intra_threads", value(way.intra_threads as i64));
    Ok(document.to_string())
}

/// A closed stderr leaves nobody to tell.
fn tell(way: &Way) {
    drop(writeln!(
        std::io::stderr(),
        "tune: {} on {}, {} x {} thread(s): {:.1} pictures/s",
        way.model,
        way.provider,
        way.workers,
        way.intra_threads,
        way.rate
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(rate: f64, latency_ms: f64) -> Way {
        Way {
            model: "resident-n-int8".to_owned(),
            provider: "cpu",
            workers: 4,
            intra_threads: 1,
            rate,
            latency_ms,
        }
    }

    fn sides(list: Vec<(NonZeroUsize, NonZeroUsize)>) -> Vec<(usize, usize)> {
        list.into_iter().map(|(a, b)| (a.get(), b.get())).collect()
    }

    #[test]
    fn no_layout_uses_more_cores_than_there_are() {
        let of = |cores, provider| sides(layouts(NonZeroUsize::new(cores).unwrap(), provider));
        assert_eq!(of(1, Provider::Cpu), [(1, 1)]);
        assert_eq!(of(2, Provider::Cpu), [(2, 1), (1, 2)]);
        assert_eq!(of(3, Provider::Cpu), [(3, 1), (1, 3), (1, 2)]);
        assert_eq!(of(8, Provider::Cpu), [(8, 1), (4, 2), (1, 8)]);
        assert_eq!(of(8, Provider::Cuda), [(1, 1)]);
    }

    #[test]
    fn of_two_that_are_as_fast_the_sooner_answer_is_chosen() {
        assert_eq!(
            chosen(&[way(100.0, 40.0), way(98.0, 20.0), way(60.0, 5.0)]),
            Some(1)
        );
        assert_eq!(chosen(&[way(100.0, 40.0), way(90.0, 20.0)]), Some(0));
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn a_file_keeps_everything_else() {
        let old = "# mine\n[detect]\nmodel = \"yolo\" # the old one\nconfidence = 0.4\n\n[[cameras]]\nid = \"a\"\n";
        let new = edited(old, &way(1.0, 1.0)).unwrap();
        assert!(new.starts_with(
            "# mine\n[detect]\nmodel = \"resident-n-int8\" # the old one\nconfidence = 0.4\n"
        ));
        assert!(
            new.contains("workers = 4\nintra_threads = 1\n") && new.ends_with("id = \"a\"\n"),
            "{new}"
        );
        assert!(
            edited("", &way(1.0, 1.0))
                .unwrap()
                .starts_with("[detect]\nmodel")
        );
        assert!(edited("detect = 3\n", &way(1.0, 1.0)).is_err());
        assert!(edited("[detect\n", &way(1.0, 1.0)).is_err());
    }
}
