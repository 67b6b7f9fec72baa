//! `gantryd simulate`: cameras that film places which do not exist, with exact truth.

use std::io::{BufWriter, Write};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
#[cfg(not(feature = "rtsp-server"))]
use anyhow::bail;
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args};

use super::progress::Progress;
use super::signals::Signals;
#[cfg(feature = "rtsp-server")]
use crate::base::Worker;
use crate::tools::simulate::{Dataset, Daytime, Options, SceneKind, Simulation, Weather};
use crate::tools::video::{Mp4, Shape};

/// Seconds of a film where nothing else is asked for.
const USUAL_SECS: f64 = 60.0;

/// Pictures per second where nothing else is asked for.
const USUAL_FPS: NonZeroU32 = NonZeroU32::new(25).expect("25 is not 0");

/// How often signals are looked at while serving.
const TICK: Duration = Duration::from_millis(50);

/// `gantryd simulate`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("output").required(true).multiple(true))]
#[command(after_help = "\
Examples:
  gantryd simulate junction --out junction.mp4 --gt gt.txt --seconds 60
  gantryd simulate warehouse --rtsp 127.0.0.1:8554/dock
  gantryd simulate --time night --weather rain --rtsp 127.0.0.1:8554/a --rtsp 127.0.0.1:8554/b
  gantryd simulate --play gate.mp4 --rtsp 127.0.0.1:8554/gate     a film of yours as a camera
  gantryd simulate --dataset train --images 10000     pictures and COCO labels for training

The same seed gives the same pictures and the same truth. docs/simulate.md tells what is modelled.")]
pub struct SimulateArgs {
    /// The place [default: junction; each place of a data set its own]
    #[arg(value_name = "SCENE", value_parser = names(SceneKind::ALL, None))]
    pub scene: Option<String>,
    /// Everything random comes from it; a second camera takes the next
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Size of the pictures [default: 1280x720; 512x288 for a data set]
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<(u32, u32)>,
    /// Pictures per second
    #[arg(long, value_name = "N", default_value_t = USUAL_FPS, value_parser = parse_fps)]
    pub fps: NonZeroU32,
    /// Length of the film [default: 60; RTSP until told to stop]
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub seconds: Option<f64>,
    /// The weather [default: clear; random for a data set]
    #[arg(long, value_parser = names(Weather::ALL, Some("random")))]
    pub weather: Option<String>,
    /// The time of day [default: day; random for a data set]
    #[arg(long, value_parser = names(Daytime::ALL, Some("random")))]
    pub time: Option<String>,
    /// How much goes on, 1 is usual
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = parse_few)]
    pub density: f32,
    /// Where cameras hang: 0 as installers do it, 1 anywhere that is found [default: 0; 1 for a data
    /// set]
    #[arg(long, value_name = "X", value_parser = parse_share)]
    pub spread: Option<f32>,
    /// Horizontal angle of view in degrees: a longer lens shows less, and that larger [default: 49
    /// to 63, by place; each camera of a data set its own]
    #[arg(long, value_name = "DEG", value_parser = parse_angle)]
    pub lens: Option<f32>,
    /// How far the camera shakes, pixels
    #[arg(long, value_name = "PX", default_value_t = 0.0, value_parser = parse_shake)]
    pub shake: f32,
    /// Write a film
    #[arg(long, value_name = "FILE.mp4", group = "output")]
    pub out: Option<PathBuf>,
    /// Write the truth of the film in MOT format
    #[arg(long, value_name = "FILE", group = "output")]
    pub gt: Option<PathBuf>,
    /// Serve a camera in real time; may be given again
    #[arg(long, value_name = "HOST:PORT/PATH", value_parser = parse_address, group = "output")]
    pub rtsp: Vec<Address>,
    /// The cameras of --rtsp show this H.264 or H.265 film, as it is encoded, again and again
    #[arg(long, value_name = "FILE", requires = "rtsp",
          conflicts_with_all = ["out", "gt", "dataset", "scene"])]
    pub play: Option<PathBuf>,
    /// Encode the film of --play anew [default: as it is]
    #[arg(long, value_parser = ["h264", "h265"], requires = "play")]
    pub codec: Option<String>,
    /// Tells first what the film is, and ends when standard input does: for whoever starts cameras of
    /// its own
    #[arg(long, hide = true)]
    pub until_eof: bool,
    /// Write pictures and labels for training into this folder
    #[arg(long, value_name = "DIR", group = "output")]
    pub dataset: Option<PathBuf>,
    /// How many pictures the data set has
    #[arg(long, value_name = "N", default_value = "1000")]
    pub images: NonZeroU64,
}

/// Where a camera is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    path: String,
}

impl SimulateArgs {
    /// A film of `seconds` into `out` with its truth in `gt`, everything else as usual.
    #[must_use]
    pub fn of_film(scene: &str, seed: u64, seconds: f64, out: PathBuf, gt: PathBuf) -> Self {
        Self {
            scene: Some(scene.to_owned()),
            seed,
            size: None,
            fps: USUAL_FPS,
            seconds: Some(seconds),
            weather: None,
            time: None,
            density: 1.0,
            spread: None,
            lens: None,
            shake: 0.0,
            out: Some(out),
            gt: Some(gt),
            rtsp: Vec::new(),
            play: None,
            codec: None,
            until_eof: false,
            dataset: None,
            images: NonZeroU64::MIN,
        }
    }
}

/// Names of the places.
pub(super) fn scenes() -> PossibleValuesParser {
    names(SceneKind::ALL, None)
}

fn names<T>(all: &'static [(&'static str, T)], more: Option<&'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(all.iter().map(|(name, _)| *name).chain(more))
}

/// What stands for a name; `None` for `random`.
fn found<T: Copy>(all: &[(&str, T)], name: Option<&str>) -> Option<T> {
    let (_, value) = all.iter().find(|(known, _)| Some(*known) == name)?;
    Some(*value)
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let number = |text: &str| {
        text.parse()
            .ok()
            .filter(|pixels: &u32| (64..=3840).contains(pixels) && pixels.is_multiple_of(2))
    };
    text.split_once('x')
        .and_then(|(width, height)| number(width).zip(number(height)))
        .ok_or_else(|| "allowed is WxH, both even and 64 to 3840, such as 1280x720".to_owned())
}

fn parse_fps(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .ok()
        .filter(|fps: &NonZeroU32| fps.get() <= 120)
        .ok_or_else(|| "allowed is 1 to 120".to_owned())
}

pub(super) fn parse_seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.04..=86_400.0).contains(seconds))
        .ok_or_else(|| "allowed is 0.04 to 86400".to_owned())
}

fn parse_few(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=4.0).contains(number))
        .ok_or_else(|| "allowed is 0 to 4".to_owned())
}

fn parse_shake(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|pixels| (0.0..=40.0).contains(pixels))
        .ok_or_else(|| "allowed is 0 to 40".to_owned())
}

fn parse_angle(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|degrees| (5.0..=120.0).contains(degrees))
        .ok_or_else(|| "allowed is 5 to 120".to_owned())
}

fn parse_share(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| "allowed is 0 to 1".to_owned())
}

fn parse_address(text: &str) -> Result<Address, String> {
    let wrong = || "allowed is HOST:PORT/PATH, such as 127.0.0.1:8554/cam1".to_owned();
    let text = text.strip_prefix("rtsp://").unwrap_or(text);
    let (place, path) = text.split_once('/').ok_or_else(wrong)?;
    let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_no_port| wrong())?;
    if host.is_empty() || path.is_empty() {
        return Err(wrong());
    }
    Ok(Address {
        host: host.to_owned(),
        port,
        path: format!("/{path}"),
    })
}

/// Films and writes what was asked for.
///
/// # Errors
/// If a file cannot be written or an address cannot be served.
pub fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let signals = Signals::listen().context("listening for signals")?;
    if let Some(folder) = &args.dataset {
        dataset(args, folder, &signals)?;
    }
    if args.out.is_some() || args.gt.is_some() {
        film(args, &signals)?;
    }
    if !args.rtsp.is_empty() && !signals.came() {
        serve(args, &signals)?;
    }
    Ok(())
}

/// What the camera with this number films.
fn options(args: &SimulateArgs, number: u64) -> Options {
    let seed = args.seed.wrapping_add(number);
    let mut rng = fastrand::Rng::with_seed(seed);
    let any = |name: &Option<String>| name.as_deref() == Some("random");
    let weather = match found(Weather::ALL, args.weather.as_deref()) {
        Some(weather) => weather,
        None if any(&args.weather) => Weather::ALL[rng.usize(..Weather::ALL.len())].1,
        None => Weather::Clear,
    };
    let time = match found(Daytime::ALL, args.time.as_deref()) {
        Some(time) => time,
        None if any(&args.time) => Daytime::ALL[rng.usize(..Daytime::ALL.len())].1,
        None => Daytime::Day,
    };
    Options {
        scene: found(SceneKind::ALL, args.scene.as_deref()).unwrap_or(SceneKind::Junction),
        seed,
        size: args.size.unwrap_or((1280, 720)),
        weather,
        time,
        density: args.density,
        shake: args.shake,
        spread: args.spread.unwrap_or(0.0),
        lens: args.lens,
    }
}

fn dataset(args: &SimulateArgs, folder: &Path, signals: &Signals) -> anyhow::Result<()> {
    let dataset = Dataset {
        scene: found(SceneKind::ALL, args.scene.as_deref()),
        weather: found(Weather::ALL, args.weather.as_deref()),
        time: found(Daytime::ALL, args.time.as_deref()),
        seed: args.seed,
        size: args.size.unwrap_or((512, 288)),
        images: args.images.get(),
        density: args.density,
        spread: args.spread.unwrap_or(1.0),
        lens: args.lens,
    };
    let mut progress = Progress::start("dataset");
    dataset.write(folder, |done| {
        progress.update(done, Some(args.images.get()));
        !signals.came()
    })?;
    progress.finish();
    Ok(())
}

/// Writes the film and its truth; after a signal, as much as there is.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn film(args: &SimulateArgs, signals: &Signals) -> anyhow::Result<()> {
    let options = options(args, 0);
    let fps = args.fps.get();
    let total = (args.seconds.unwrap_or(USUAL_SECS) * f64::from(fps))
        .round()
        .max(1.0) as u64;
    let shape = Shape {
        size: options.size,
        fps,
    };
    let mut video = args
        .out
        .as_deref()
        .map(|path| Mp4::create(path, shape))
        .transpose()?;
    let mut truth = args.gt.as_deref().map(TruthFile::create).transpose()?;
    let mut simulation = Simulation::new(&options);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut progress = Progress::start("film");
    let mut frame = 0;
    while frame < total && !signals.came() {
        let count = threads.min(total - frame) as usize;
        for picture in simulation.pictures(count, 1.0 / fps as f32) {
            frame += 1;
            if let Some(video) = &mut video {
                video.push(&picture.rgb)?;
            }
            if let Some(truth) = &mut truth {
                for object in &picture.truths {
                    truth.write(&object.row(frame).to_string())?;
                }
            }
        }
        progress.update(frame, Some(total));
    }
    progress.finish();
    video.map_or(Ok(()), Mp4::finish)?;
    truth.map_or(Ok(()), TruthFile::finish)
}

/// The truth in the making: it stands under its name only when it is whole.
struct TruthFile {
    file: BufWriter<std::fs::File>,
    path: PathBuf,
    part: PathBuf,
}

impl TruthFile {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = std::fs::File::create(&part);
        Ok(Self {
            file: BufWriter::new(file.with_context(|| format!("writing {}", path.display()))?),
            path: path.to_owned(),
            part,
        })
    }

    fn write(&mut self, row: &str) -> anyhow::Result<()> {
        writeln!(self.file, "{row}").with_context(|| format!("writing {}", self.path.display()))
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let done = self
            .file
            .flush()
            .and_then(|()| std::fs::rename(&self.part, &self.path));
        done.with_context(|| format!("writing {}", self.path.display()))
    }
}

#[cfg(feature = "rtsp-server")]
fn serve(args: &SimulateArgs, signals: &Signals) -> anyhow::Result<()> {
    use std::sync::Arc;

    use crate::tools::video::{Camera, RtspServer, Shows};

    let played = args
        .play
        .as_deref()
        .map(|path| film_of(path, args.codec.as_deref()));
    let played = played.transpose()?.map(Arc::new);
    let cameras = args.rtsp.iter().zip(0..).map(|(address, number)| Camera {
        host: address.host.clone(),
        port: address.port,
        path: address.path.clone(),
        shows: match &played {
            Some(film) => Shows::Film(Arc::clone(film)),
            None => place(options(args, number), args.fps),
        },
    });
    let server = RtspServer::start(cameras.collect())?;
    let mut out = std::io::stdout().lock();
    if let Some(film) = played.filter(|_| args.until_eof) {
        let facts = serde_json::to_string(&FilmFacts::of(&film)).context("telling the film")?;
        writeln!(out, "{facts}").context("telling the film")?;
    }
    for uri in &server.uris {
        writeln!(out, "{uri}").context("printing the address")?;
    }
    out.flush().context("printing the address")?;
    let began = Instant::now();
    let over = || {
        args.seconds
            .is_some_and(|secs| began.elapsed().as_secs_f64() > secs)
    };
    let is_left = args.until_eof.then(end_of_input).transpose()?;
    let is_left = || is_left.as_ref().is_some_and(Worker::is_finished);
    while !signals.came() && !over() && !is_left() {
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// What a film is that is played.
#[cfg(feature = "rtsp-server")]
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct FilmFacts {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// `H.264` or `H.265`.
    pub codec: String,
    /// Pictures per second.
    pub fps: f64,
}

#[cfg(feature = "rtsp-server")]
impl std::fmt::Display for FilmFacts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { size, codec, fps } = self;
        write!(out, "{}x{} {codec} at {fps:.0} fps", size.0, size.1)
    }
}

#[cfg(feature = "rtsp-server")]
impl FilmFacts {
    fn of(film: &crate::tools::video::Film) -> Self {
        Self {
            size: film.size().unwrap_or_default(),
            codec: film.codec().as_str().to_owned(),
            fps: film.fps(),
        }
    }
}

/// A film, encoded anew where it is in another codec than asked for.
#[cfg(feature = "rtsp-server")]
fn film_of(path: &Path, codec: Option<&str>) -> anyhow::Result<crate::tools::video::Film> {
    use crate::tools::video::{Codec, Film};

    let film = Film::read(path)?;
    let codec = match codec {
        Some("h265") => Codec::H265,
        Some(_) => Codec::H264,
        None => film.codec(),
    };
    if codec == film.codec() {
        return Ok(film);
    }
    let folder = tempfile::tempdir().context("making a folder for the film")?;
    Ok(Film::read(&codec.encode_film(path, folder.path())?)?)
}

/// A place that is rendered while somebody looks.
#[cfg(feature = "rtsp-server")]
fn place(options: Options, fps: NonZeroU32) -> crate::tools::video::Shows {
    crate::tools::video::Shows::Place {
        shape: Shape {
            size: options.size,
            fps: fps.get(),
        },
        begin: Box::new(move || {
            let mut simulation = Simulation::new(&options);
            Box::new(move |secs| {
                simulation.advance(secs);
                simulation.picture().rgb
            })
        }),
    }
}

/// A thread that ends when standard input does.
#[cfg(feature = "rtsp-server")]
fn end_of_input() -> anyhow::Result<Worker> {
    let work = || drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    Worker::spawn("stdin", work, |_| {}).context("starting a thread")
}

#[cfg(not(feature = "rtsp-server"))]
fn serve(_args: &SimulateArgs, _signals: &Signals) -> anyhow::Result<()> {
    bail!("this gantryd was built without RTSP server; build it with --features rtsp-server")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let address = parse_address("127.0.0.1:8554/cam1").unwrap();
        assert_eq!((address.port, address.path.as_str()), (8554, "/cam1"));
        assert_eq!(parse_address("rtsp://[::1]:0/a/b").unwrap().host, "[::1]");
        for wrong in ["", "host/cam", "host:x/cam", "host:1", "host:1/", ":1/cam"] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_is_even_and_within_reason() {
        assert_eq!(parse_size("640x360"), Ok((640, 360)));
        for wrong in ["640", "0x0", "641x360", "640x99999", "axb"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
