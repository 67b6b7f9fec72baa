//! `gantryd bench --plan`: how many cameras this machine carries, found by trying.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, bail};

use super::film;
use super::report::{Plan, Report};
use super::search::Search;
use super::serving::Serving;
use super::trial::{self, Limits, Trial};
use super::{chart, options};
use crate::app::cli::BenchArgs;
use crate::app::signals::Signals;
use crate::base::CameraId;
use crate::capture::{CameraOptions, Source};

/// Share of the pictures that may be missing: less than a frame per camera at the edges of what is
/// measured, and what a busy network loses.
const MISSING: f64 = 0.02;

/// What the cameras send.
struct Cameras {
    /// Told to people.
    what: String,
    /// Pictures per second of each.
    fps: f64,
    uris: Uris,
}

enum Uris {
    /// Ours, one for each.
    Served(Serving),
    /// The user's, opened again and again.
    One(String),
}

impl Cameras {
    fn uri(&self, number: usize) -> &str {
        match &self.uris {
            Uris::Served(serving) => &serving.uris[number],
            Uris::One(uri) => uri,
        }
    }

    fn serving(&self) -> Option<&Serving> {
        match &self.uris {
            Uris::Served(serving) => Some(serving),
            Uris::One(_) => None,
        }
    }
}

/// Plans and writes what was asked for; gives the text for people.
///
/// # Errors
/// If the input or the model cannot be used, or a file cannot be written.
pub fn run(args: &BenchArgs, signals: &Signals) -> anyhow::Result<String> {
    for path in args.json.iter().chain(&args.svg) {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            bail!("{}: its folder does not exist", path.display());
        }
    }
    let folder = tempfile::tempdir().context("making a folder for films")?;
    let mut report = Report::new(args);
    for codec in codecs(args) {
        let cameras = cameras(args, codec, folder.path())?;
        let plan = search(args, &cameras, &mut report, signals)?;
        report.plans.push(plan);
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&report).context("writing the report")?;
        std::fs::write(path, json + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    if let Some(path) = &args.svg {
        std::fs::write(path, chart::svg(&report))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(report.to_string())
}

/// `None` is what the film has.
fn codecs(args: &BenchArgs) -> Vec<Option<&str>> {
    match args.codec.as_deref() {
        Some("both") => vec![Some("h264"), Some("h265")],
        codec => vec![codec],
    }
}

fn cameras(args: &BenchArgs, codec: Option<&str>, folder: &Path) -> anyhow::Result<Cameras> {
    let film = match args.input.as_deref().map(Source::parse).transpose()? {
        None => {
            let made = folder.join(film::NAME);
            if made.is_file() {
                made
            } else {
                film::simulated(folder, args.fps.unwrap_or(film::USUAL_FPS))?
            }
        }
        Some(Source::File(path)) => path,
        Some(source) if source.is_live() => return one_camera(args),
        Some(_) => bail!("--plan takes a video file, an rtsp:// camera or nothing"),
    };
    let most = args.cameras.iter().max().unwrap_or(&args.max_cameras);
    let serving = Serving::start(&film, codec, most.get())?;
    Ok(Cameras {
        what: serving.film.to_string(),
        fps: serving.film.fps,
        uris: Uris::Served(serving),
    })
}

/// A camera of the user, which is opened as often as cameras are planned.
fn one_camera(args: &BenchArgs) -> anyhow::Result<Cameras> {
    let Some(fps) = args.fps else {
        bail!("how fast a camera sends is not known beforehand: say it with --fps");
    };
    if args.codec.is_some() {
        bail!("--codec is for films; a camera sends what it sends");
    }
    let uri = args.input.clone().unwrap_or_default();
    let shown = crate::base::redact_uri(&uri);
    Ok(Cameras {
        what: format!("{shown} at {fps} fps"),
        fps: f64::from(fps.get()),
        uris: Uris::One(uri),
    })
}

fn search(
    args: &BenchArgs,
    cameras: &Cameras,
    report: &mut Report,
    signals: &Signals,
) -> anyhow::Result<Plan> {
    let limits = Limits {
        fps: cameras.fps,
        age_ms: f64::from(args.max_age.get()),
        missing: MISSING,
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get) as f64;
    let mut search = if args.cameras.is_empty() {
        Search::new(args.max_cameras.get())
    } else {
        Search::of(args.cameras.iter().map(|number| number.get()).collect())
    };
    let mut trials: Vec<Trial> = Vec::new();
    let mut guess = 1.0;
    while let Some(number) = search.next(guess) {
        tell(&format!("{}: trying {number} camera(s)", cameras.what));
        let options = plan_of(args, cameras, number)?;
        if report.model.is_empty() {
            options.model.id.to_string().clone_into(&mut report.model);
        }
        let trial = trial::run(options, args, &limits, cameras.serving(), signals)?;
        if trial.is_lost && trials.is_empty() {
            // Not too many, but none.
            bail!("{}", trial.broken);
        }
        tell(&told(&trial));
        if signals.came() {
            bail!("stopped before the plan was done");
        }
        search.learn(number, trial.broken.is_empty());
        // What serving takes is not left for gantryd.
        guess = f64::from(number) * cores / (trial.cores + trial.serving_cores).max(0.01);
        trials.push(trial);
    }
    trials.sort_by_key(|trial| trial.cameras);
    Ok(Plan::new(&cameras.what, search.holds(), limits, trials))
}

fn plan_of(
    args: &BenchArgs,
    cameras: &Cameras,
    number: u32,
) -> anyhow::Result<crate::app::pipeline::PipelineOptions> {
    let captures = (0..number as usize).map(|number| {
        let id = CameraId::new(&format!("bench-{number}"));
        let mut capture = CameraOptions::new(id, Source::parse(cameras.uri(number))?);
        capture.give_up_unseen = true;
        Ok(capture)
    });
    options(args, captures.collect::<anyhow::Result<_>>()?)
}

fn told(trial: &Trial) -> String {
    let verdict = match trial.broken.as_str() {
        "" => "holds",
        broken => &format!("does not hold: {broken}"),
    };
    format!(
        "{} camera(s): {:.1} results/s, p95 age {:.0} ms, {:.2} cores; {verdict}",
        trial.cameras, trial.fps, trial.age_ms.p95, trial.cores
    )
}

/// A closed stderr leaves nobody to tell.
fn tell(line: &str) {
    drop(writeln!(std::io::stderr(), "bench: {line}"));
}
