//! The command line: what can be asked for. No work is done here.

mod bench;
mod doctor;
mod models;
mod shared;
mod track;
mod values;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use bench::BenchArgs;
pub use doctor::DoctorArgs;
pub use models::{FetchArgs, InspectArgs, ModelsArgs, ModelsCommand};
pub use shared::{DetectArgs, SourceArgs};
pub use track::TrackArgs;
pub(super) use values::{choice, parse_seconds};

use super::config::{LogFormat, LogLevel};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::ModelRef;
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
