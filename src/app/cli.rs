//! The command line: what can be asked for. No work is done here.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use super::config::{
    Decode, Encoder, LogFormat, LogLevel, ModelRef, MotionSource, ProofPolicy, Provider, Transport,
    parse_input_size,
};
use crate::perception::detect::Tiles;
use crate::perception::schedule::{DetectSchedule, INTERVAL};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Asked to stop, or every file is finished.
    Done,
    /// Something failed while running.
    Runtime,
    /// The command line cannot be understood.
    Usage,
    /// A worker panicked: a bug of gantryd.
    Bug,
    /// The configuration or the model is refused; systemd does not try again.
    Config,
}

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Runtime => 1,
            Self::Usage => 2,
            Self::Bug => 70,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

const EXAMPLES: &str = "\
Examples:
  gantryd track traffic.mp4                     boxes, ids and results into out/
  gantryd run --config /etc/gantryd/site.toml   the daemon
  gantryd check --config site.toml              every fault of a configuration at once
  gantryd doctor                                what this machine lacks, and the remedy

Exit codes: 0 done, 1 failed while running, 2 usage, 70 bug, 78 configuration,
model or installation refused, 130 stopped at once by a second signal.";

/// Follows objects in video: cameras and files in, identities and annotated video out.
#[derive(Debug, Parser)]
#[command(name = "gantryd", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Logs.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What gantryd can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon: every camera of a configuration until told to stop
    Run(RunArgs),
    /// Process video files, streams or image folders once, every frame of a file
    Track(TrackArgs),
    /// Draw boxes, ids and trails on a raw recording or the clip of an event
    Render(super::render::RenderArgs),
    /// Run the tracker alone on detections in MOT format
    Replay(super::replay::ReplayArgs),
    /// Score tracks against the truth: HOTA, MOTA, IDF1 and their parts
    Eval(super::eval::EvalArgs),
    /// Search the tracker's settings on labelled data, and tell what they gain on data held out
    Tune(Box<super::tune::TuneArgs>),
    /// Tell why a track was matched, coasted, split or ended
    Explain(super::explain::ExplainArgs),
    /// Check a configuration and tell every fault at once
    Check(CheckArgs),
    /// List, inspect and verify models
    Models(ModelsArgs),
    /// Look at this machine: what is missing, and how to get it
    Doctor(DoctorArgs),
    /// Film places that do not exist, with exact truth: video, RTSP cameras, training data
    Simulate(Box<super::simulate::SimulateArgs>),
    /// Measure the CPU time of each stage, frames per second and efficiency
    Bench(BenchArgs),
    /// Accounts, tokens and a certificate for the page
    Web(super::web_accounts::WebArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write the pages of all commands
    Man(ManArgs),
}

/// Options about logs, for every command; they override the configuration.
#[derive(Debug, Clone, Copy, Args)]
pub struct LogArgs {
    /// Least important line that is logged; RUST_LOG overrides it
    #[arg(long, global = true, value_name = "LEVEL", value_parser = choice(LogLevel::ALL))]
    pub log_level: Option<LogLevel>,
    /// What log lines look like; they go to stderr or the journal
    #[arg(long, global = true, value_name = "FORMAT", value_parser = choice(LogFormat::ALL))]
    pub log_format: Option<LogFormat>,
}

/// `gantryd run`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd run --config site.toml
  gantryd run --config site.toml --log-level debug
  systemctl start gantryd        the same as a service, /etc/gantryd/site.toml

SIGTERM or Ctrl-C ends every recording properly; a second one stops at once.")]
pub struct RunArgs {
    /// The configuration; config/example.toml explains every key
    #[arg(long, short, value_name = "FILE", env = "GANTRYD_CONFIG")]
    pub config: PathBuf,
}

/// `gantryd check`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  $ gantryd check --config site.toml
  site.toml: cameras[2].stall_secs: 0, allowed is 1 to 600
  site.toml: detect.modle: unknown key, did you mean model?

Ends with 0 if nothing is wrong and with 78 otherwise.")]
pub struct CheckArgs {
    /// The configuration
    #[arg(long, short, value_name = "FILE", env = "GANTRYD_CONFIG")]
    pub config: PathBuf,
}

/// Options about the detector, shared by several commands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Detector")]
pub struct DetectArgs {
    /// A model of gantryd's (gantryd models list) or any exported detector, FILE.onnx
    #[arg(long, short, value_name = "ID|FILE", value_parser = parse_model)]
    pub model: Option<ModelRef>,
    /// A network that says what persons look like, so that they are known again; not used where the detector says it
    #[arg(long, value_name = "ID|FILE", value_parser = parse_model)]
    pub reid: Option<ModelRef>,
    /// Keep only these classes
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Least confidence of a detection that starts a track [default: 0.65, less for models that score low]
    #[arg(long, value_name = "X", value_parser = parse_unit, allow_negative_numbers = true)]
    pub conf: Option<f64>,
    /// Let the detector look at one of N frames (2 to 30), or at those that the picture and the tracks
    /// ask for; tracks are carried to the others
    #[arg(long = "detect-every", value_name = "N|adaptive", value_parser = parse_schedule, default_value = "1", hide_default_value = true)]
    pub every: DetectSchedule,
    /// What runs the network; auto takes CUDA if the model runs on it here, else the CPU
    #[arg(long, value_parser = choice(Provider::ALL), default_value = "auto")]
    pub provider: Provider,
    /// What to do if an accelerator finds something else than the CPU in a golden picture
    #[arg(long, value_parser = choice(ProofPolicy::ALL), default_value = "refuse")]
    pub proof: ProofPolicy,
    /// Index of the accelerator
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub device: u32,
    /// Sessions that run side by side [default: one per core, on CUDA one, two from 8 cameras on]
    #[arg(long, value_name = "N", value_parser = parse_few)]
    pub workers: Option<NonZeroU32>,
    /// Threads inside one session
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_few)]
    pub intra_threads: NonZeroU32,
    /// Input of a network that takes any size, multiples of 32: larger finds smaller objects and
    /// takes longer [default: the model's own]
    #[arg(long, value_name = "WxH", value_parser = parse_input_size)]
    pub input_size: Option<(usize, usize)>,
    /// Parts of a frame that are looked at besides the whole, for small objects in a wide view: 2x2
    /// finds objects of little more than half the size and takes five times as long
    #[arg(long, value_name = "off|COLUMNSxROWS", default_value = "off")]
    pub tiles: Tiles,
    /// Frames of NVIDIA's decoder stay in the memory of the card, and only what somebody looks at is
    /// copied to the host
    #[arg(long)]
    pub zero_copy: bool,
    /// A call of the network is one command to an NVIDIA card (a CUDA graph)
    #[arg(long)]
    pub cuda_graphs: bool,
    /// The ONNX Runtime library [default: the usual places]
    #[arg(long, value_name = "FILE")]
    pub runtime_library: Option<PathBuf>,
}

/// Options about inputs, shared by several commands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Input")]
pub struct SourceArgs {
    /// Which decoder; auto takes hardware first
    #[arg(long, value_parser = choice(Decode::ALL), default_value = "auto")]
    pub decode: Decode,
    /// How RTP reaches us
    #[arg(long, value_parser = choice(Transport::ALL), default_value = "tcp")]
    pub transport: Transport,
    /// Account of the camera
    #[arg(long, requires = "password_file")]
    pub user: Option<String>,
    /// File with the camera's password in its first line
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// Authorities to trust for rtsps and https, PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub tls_ca_file: Option<PathBuf>,
    /// Accept any certificate: the camera may be somebody else
    #[arg(long, conflicts_with = "tls_ca_file")]
    pub tls_insecure: bool,
}

/// `gantryd track`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd track traffic.mp4
  gantryd track gate.mp4 yard.mp4 --model yolo11n.onnx --classes person,car --out results
  gantryd track rtsp://10.0.0.5/live --user viewer --password-file pw.txt --max-frames 1000
  gantryd track /dev/video0 --no-video
  gantryd track MOT17-04/img1 --conf 0.4
  gantryd track gate.mp4 --zones gate.toml      count at lines and zones too
  gantryd track gate.mp4 --decisions && gantryd explain out/gate.jsonl --track 7

Writes <stem>.mp4 with boxes and ids, <stem>.jsonl with one result per frame, and <stem>.mot.txt;
with --zones <stem>.events.jsonl, with --decisions <stem>.decisions.jsonl.")]
pub struct TrackArgs {
    /// Video file, rtsp(s):// or http(s):// stream, /dev/videoN, or folder of images
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<String>,
    /// Where the results go
    #[arg(long, short, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Write no annotated video: encoding costs more than everything but the network
    #[arg(long)]
    pub no_video: bool,
    /// Stop after so many frames of each input
    #[arg(long, value_name = "N")]
    pub max_frames: Option<NonZeroU64>,
    /// What encodes the annotated video
    #[arg(long, value_parser = choice(Encoder::ALL), default_value = "auto")]
    pub encoder: Encoder,
    /// Count at the zones and lines of this file (docs/zones.md), into `<stem>.events.jsonl`
    #[arg(long, value_name = "FILE.toml")]
    pub zones: Option<PathBuf>,
    /// Write why each object was matched, coasted or ended, for gantryd explain, into `<stem>.decisions.jsonl`
    #[arg(long)]
    pub decisions: bool,
    /// How the motion of a camera that shakes or turns is found: by a vote of the tracks, from the image
    /// (for few objects), or not at all
    #[arg(long, value_parser = choice(MotionSource::ALL), default_value = "boxes")]
    pub camera_motion: MotionSource,
    /// The detector.
    #[command(flatten)]
    pub detect: DetectArgs,
    /// The inputs.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `gantryd models`.
#[derive(Debug, Clone, Args)]
pub struct ModelsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// What can be done with models.
#[derive(Debug, Clone, Subcommand)]
pub enum ModelsCommand {
    /// List the models with size, classes, licence and whether the file is there
    List,
    /// Show what gantryd recognises in a model: input, head, classes, and why
    #[command(after_help = "\
Examples:
  gantryd models inspect resident-n
  gantryd models inspect best.onnx      a detector that is not recognised gets a manifest to fill in")]
    Inspect(InspectArgs),
    /// Get a model's file: with checksum, and going on where it was interrupted
    #[command(after_help = "\
Examples:
  gantryd models fetch yolox_nano
  gantryd models fetch yolox_nano --from /media/usb        no network: a folder that has the file
  gantryd models fetch yolo26n --accept-licence AGPL-3.0

Without --to it goes to $GANTRYD_MODELS, else to /var/lib/gantryd/models where the service is installed
and this user may write there, else to ~/.local/share/gantryd/models. Proxies are taken from ALL_PROXY,
HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Ends with 78 if the file is refused, 1 if the network fails.")]
    Fetch(FetchArgs),
    /// Compare each model's file with the checksum of its manifest
    Verify,
}

/// `gantryd models fetch`.
#[derive(Debug, Clone, Args)]
pub struct FetchArgs {
    /// One of gantryd models list
    #[arg(value_name = "ID")]
    pub id: String,
    /// Take it from here instead of where the manifest says
    #[arg(long, value_name = "DIR|FILE|URL")]
    pub from: Option<String>,
    /// Put it into DIR/ID/ instead of the usual place
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Accept the licence of weights that are not free to use in any product
    #[arg(long, value_name = "LICENCE")]
    pub accept_licence: Option<String>,
}

/// `gantryd models inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// A model of gantryd's or FILE.onnx
    #[arg(value_name = "ID|FILE", value_parser = parse_model)]
    pub model: ModelRef,
    /// Size to count the cost for, where the file leaves it open [default: the size gantryd would use]
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<(u32, u32)>,
    /// The ONNX Runtime library that is asked what it takes [default: the usual places]
    #[arg(long, value_name = "FILE")]
    pub runtime_library: Option<PathBuf>,
}

/// `gantryd doctor`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd doctor                                    what this machine has and lacks
  gantryd doctor --gpu                              whether the accelerator finds what the CPU finds
  gantryd doctor --tune --write /etc/gantryd/site.toml
                                                    the fastest network, provider and threads here

Ends with 1 if something that every input needs is missing, otherwise with 0.")]
#[command(group = clap::ArgGroup::new("timed"))]
pub struct DoctorArgs {
    /// Look at the output folder of this configuration too
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The ONNX Runtime library [default: the usual places]
    #[arg(long, value_name = "FILE")]
    pub runtime_library: Option<PathBuf>,
    /// Prove the accelerator: a simulated picture goes through it and through the CPU, and both must
    /// find the same
    #[arg(long, group = "timed")]
    pub gpu: bool,
    /// Time networks, providers and threads on this machine, and tell which to use
    #[arg(long, group = "timed")]
    pub tune: bool,
    /// With --tune: set what was chosen in this configuration, the rest of it as it is
    #[arg(long, value_name = "FILE", requires = "tune")]
    pub write: Option<PathBuf>,
    /// The model to prove it with, or to time [default: gantryd's own; --tune times its 8-bit form
    /// too]
    #[arg(long, short, value_name = "ID|FILE", value_parser = parse_model, requires = "timed")]
    pub model: Option<ModelRef>,
    /// What to prove
    #[arg(long, value_parser = choice(Provider::ALL), default_value = "cuda", requires = "gpu")]
    pub provider: Provider,
    /// Index of the accelerator
    #[arg(long, value_name = "N", default_value_t = 0, requires = "timed")]
    pub device: u32,
    /// Input of a network that takes any size, multiples of 32 [default: the model's own]
    #[arg(long, value_name = "WxH", value_parser = parse_input_size, requires = "timed")]
    pub input_size: Option<(usize, usize)>,
    /// With --gpu: the picture is made into the input of the network on the card (detect.zero_copy)
    #[arg(long, requires = "gpu")]
    pub zero_copy: bool,
    /// With --gpu: a call of the network is one command to the card (graphs = true of the provider cuda)
    #[arg(long, requires = "gpu")]
    pub cuda_graphs: bool,
}

/// `gantryd bench`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd bench                                     a test picture, 10 s
  gantryd bench traffic.mp4 --model yolo11n.onnx    your video, your model
  gantryd bench traffic.mp4 --streams 4 --video     four cameras with annotated recording
  gantryd bench --plan                              how many cameras this machine carries
  gantryd bench gate.mp4 --plan --video --codec both --json plan.json --svg plan.svg
  gantryd bench rtsp://cam/stream --plan --fps 15   your camera, opened again and again

With --plan the film is served as RTSP cameras in real time, and more and more of them go through
the whole frame path until results come too late or not at all. A film of yours tells most; without
one a junction is filmed.

Efficiency is measured fps / (cores / CPU seconds per frame): 1.00 is a machine that does nothing else.")]
pub struct BenchArgs {
    /// Video file, read again and again [default: a test picture]
    #[arg(value_name = "INPUT")]
    pub input: Option<String>,
    /// Cameras at once
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_many)]
    pub streams: NonZeroU32,
    /// How long to measure, after warming up
    #[arg(long, value_name = "S", default_value = "10")]
    pub seconds: NonZeroU32,
    /// Annotate and encode too
    #[arg(long)]
    pub video: bool,
    /// What encodes the annotated video
    #[arg(long, value_parser = choice(Encoder::ALL), default_value = "auto")]
    pub encoder: Encoder,
    /// Which decoder; auto takes hardware first
    #[arg(long, value_parser = choice(Decode::ALL), default_value = "auto")]
    pub decode: Decode,
    /// Find how many cameras this machine carries; --seconds is for each trial
    #[arg(long, conflicts_with = "streams")]
    pub plan: bool,
    /// The most cameras that are tried
    #[arg(long, value_name = "N", default_value = "64", value_parser = parse_many, requires = "plan")]
    pub max_cameras: NonZeroU32,
    /// Try these numbers of cameras instead of searching
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = parse_many, requires = "plan", conflicts_with = "max_cameras")]
    pub cameras: Vec<NonZeroU32>,
    /// How old 95 of 100 results may be, ms from the arrival of the frame
    #[arg(long, value_name = "MS", default_value = "250", requires = "plan")]
    pub max_age: NonZeroU32,
    /// Pictures per second of the film that is made, or of the camera given [default: 15]
    #[arg(long, value_name = "N", requires = "plan")]
    pub fps: Option<NonZeroU32>,
    /// Encode the film anew where it is in another codec [default: as it is]
    #[arg(long, value_parser = ["h264", "h265", "both"], requires = "plan")]
    pub codec: Option<String>,
    /// Write everything that was measured
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub json: Option<PathBuf>,
    /// Draw age and missing pictures over the number of cameras
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub svg: Option<PathBuf>,
    /// Most pictures in one call of the network, of several cameras [default: 1 on the CPU, on CUDA as
    /// many as cameras, up to 32]
    #[arg(long, value_name = "N", value_parser = parse_few)]
    pub batch: Option<NonZeroU32>,
    /// How long a picture may wait for those of other cameras, ms
    #[arg(long, value_name = "MS", default_value = "0", value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub batch_wait: u64,
    /// The detector.
    #[command(flatten)]
    pub detect: DetectArgs,
}

/// `gantryd completions`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd completions bash > /etc/bash_completion.d/gantryd
  gantryd completions zsh > ~/.zfunc/_gantryd
  gantryd completions fish > ~/.config/fish/completions/gantryd.fish")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `gantryd man`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd man | man -l -
  gantryd man --out /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Write gantryd.1, gantryd-run.1 and so on into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// The command line of this process; help, version and usage errors are printed here.
///
/// # Errors
/// The code to end with: 0 after help and version, 2 after a usage error.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // A closed stdout or stderr leaves nobody to tell.
        drop(error.print());
        ExitCode::from(if error.use_stderr() {
            Exit::Usage
        } else {
            Exit::Done
        })
    })
}

/// A value by its name.
pub(super) fn choice<T: Copy + Send + Sync + 'static>(
    choices: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    let find = |name: String| choices.iter().find(|(known, _)| *known == name);
    PossibleValuesParser::new(choices.iter().map(|(name, _)| *name))
        .try_map(move |name| find(name).map(|(_, value)| *value).ok_or("not a choice"))
}

#[expect(clippy::unnecessary_wraps, reason = "the form clap asks for")]
fn parse_model(text: &str) -> Result<ModelRef, String> {
    Ok(ModelRef::parse(text))
}

/// `416x416`, width first.
fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let side = |side: &str| side.parse().ok().filter(|side| (32..=8192).contains(side));
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| "allowed is WIDTHxHEIGHT, each 32 to 8192, such as 416x416".to_owned())
}

/// As the configuration's `schedule` and `interval`; 1 is every frame.
fn parse_schedule(text: &str) -> Result<DetectSchedule, String> {
    if text == "adaptive" {
        return Ok(DetectSchedule::Adaptive);
    }
    match text.parse::<NonZeroU32>() {
        Ok(of) if of == NonZeroU32::MIN => Ok(DetectSchedule::Every),
        Ok(of) if INTERVAL.contains(&of.get()) => Ok(DetectSchedule::Interval(of)),
        _ => Err("allowed is 2 to 30, 1 for every frame, or adaptive".to_owned()),
    }
}

fn parse_unit(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| "allowed is 0 to 1".to_owned())
}

/// A length of time, up to a day.
pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|secs| (0.0..=86_400.0).contains(secs))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "allowed is 0 to 86400".to_owned())
}

/// As many as the configuration allows, too.
fn parse_few(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .ok()
        .filter(|count: &NonZeroU32| count.get() <= 64)
        .ok_or_else(|| "allowed is 1 to 64".to_owned())
}

fn parse_many(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .ok()
        .filter(|count: &NonZeroU32| count.get() <= 512)
        .ok_or_else(|| "allowed is 1 to 512".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_tracking_command_is_understood() {
        let line = "gantryd track a.mp4 b.mp4 --model x/y.onnx --classes person,car --conf 0.4";
        let Command::Track(track) = parsed(line).unwrap().command else {
            panic!("not track");
        };
        assert_eq!(track.inputs, ["a.mp4", "b.mp4"]);
        assert_eq!(track.detect.model, Some(ModelRef::File("x/y.onnx".into())));
        assert_eq!(track.detect.classes, ["person", "car"]);
        assert_eq!(track.detect.conf, Some(0.4));
        assert_eq!(track.out, PathBuf::from("out"));
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "gantryd",
            "gantryd track",
            "gantryd track a.mp4 --conf 1.5",
            "gantryd track a.mp4 --max-frames 0",
            "gantryd track a.mp4 --provider gpu",
            "gantryd track rtsp://h/x --user admin",
            "gantryd replay --dets a --out b --size 1920",
            "gantryd bench --streams 0",
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
