//! Which command does what, and how its failure becomes words and an exit code.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use anyhow::Context;

use super::cli::{
    CheckArgs, Cli, Command, Exit, FetchArgs, LogArgs, ManArgs, ModelsCommand, RunArgs,
};
use super::config::{Config, ConfigError, LogConfig, LogFormat, LogLevel};
use super::pipeline::PipelineError;
use super::reload::ConfigFile;
use super::{
    bench, check, doctor, eval, explain, manual, models, render, replay, run, simulate, telemetry,
    track, tune, web_accounts,
};
use crate::capture::{CaptureError, SourceError};
use crate::perception::detect::{DetectError, DetectOptions};
use crate::sinks::http::CertificateError;
use crate::sinks::record::RecordError;

/// Does what the command line asks for. What fails is told on stderr.
#[must_use]
pub fn execute(cli: &Cli) -> Exit {
    let work = || match &cli.command {
        Command::Run(args) => daemon(args, cli.log),
        Command::Check(args) => check_config(args),
        command => one_shot(command, cli.log),
    };
    // The panic hook has told what happened.
    let Ok(done) = catch_unwind(AssertUnwindSafe(work)) else {
        return Exit::Bug;
    };
    done.unwrap_or_else(|error| {
        let mut stderr = std::io::stderr();
        // A closed stderr leaves nobody to tell.
        drop(writeln!(stderr, "gantryd: {error:#}"));
        exit_of(&error)
    })
}

fn one_shot(command: &Command, log: LogArgs) -> anyhow::Result<Exit> {
    let level = log.log_level.unwrap_or(LogLevel::Warn);
    telemetry::init(level, log.log_format.unwrap_or(LogFormat::Pretty))?;
    match command {
        Command::Track(args) => track::run(args)?,
        Command::Render(args) => print(&render::run(args)?.to_string())?,
        Command::Replay(args) => print(&replay::run(args)?.to_string())?,
        Command::Eval(args) => print(&eval::run(args)?.to_string())?,
        Command::Tune(args) => print(&tune::run(args)?.to_string())?,
        Command::Explain(args) => {
            let explained = explain::run(args)?;
            let text = if args.json {
                explained.json()
            } else {
                explained.to_string()
            };
            print(&text)?;
        }
        Command::Models(args) => return models_command(&args.command),
        Command::Doctor(args) => return doctor::run(args),
        Command::Simulate(args) => simulate::run(args)?,
        Command::Bench(args) => bench::run(args)?,
        Command::Completions(args) => {
            let mut text = Vec::new();
            manual::completions(args.shell, &mut text);
            print(&String::from_utf8_lossy(&text))?;
        }
        Command::Web(args) => web_accounts::run(&args.command)?,
        Command::Man(args) => man(args)?,
        Command::Run(_) | Command::Check(_) => unreachable!("handled before"),
    }
    Ok(Exit::Done)
}

fn daemon(args: &RunArgs, log: LogArgs) -> anyhow::Result<Exit> {
    let (config, text) = Config::load_with_text(&args.config)?;
    let LogConfig { level, format } = config.log;
    telemetry::init(
        log.log_level.unwrap_or(level),
        log.log_format.unwrap_or(format),
    )?;
    let file = ConfigFile::new(&args.config);
    if let Err(error) = run::run(&config, &text, file) {
        tracing::error!(error = format!("{error:#}"), "gantryd cannot go on");
        return Ok(exit_of(&error));
    }
    Ok(Exit::Done)
}

fn check_config(args: &CheckArgs) -> anyhow::Result<Exit> {
    Ok(check::check(
        &args.config,
        check::deeper_faults,
        &mut std::io::stdout(),
    )?)
}

fn models_command(command: &ModelsCommand) -> anyhow::Result<Exit> {
    match command {
        ModelsCommand::List => print(&models::list(&models::folders()).to_string())?,
        ModelsCommand::Inspect(args) => {
            let options = DetectOptions {
                runtime_library: args.runtime_library.clone(),
                ..DetectOptions::default()
            };
            let files = models::resolve(&args.model.to_string())?;
            let inspection = models::inspect(files, args.size, &options)?;
            print(&inspection.to_string())?;
            if !inspection.is_usable() {
                return Ok(Exit::Config);
            }
        }
        ModelsCommand::Fetch(args) => print(&fetch(args)?.to_string())?,
        ModelsCommand::Verify => {
            let verification = models::verify(&models::folders());
            print(&verification.to_string())?;
            if !verification.is_intact() {
                return Ok(Exit::Runtime);
            }
        }
    }
    Ok(Exit::Done)
}

fn fetch(args: &FetchArgs) -> anyhow::Result<models::Fetched> {
    let to = args.to.clone().or_else(models::default_folder);
    let options = models::FetchOptions {
        folders: models::folders(),
        from: args.from.clone(),
        to: to.context("there is no home to put the model into: name a folder with --to DIR")?,
        accepted_licence: args.accept_licence.clone(),
        retry_wait: Duration::from_secs(1),
    };
    Ok(models::fetch(&args.id, &options)?)
}

fn man(args: &ManArgs) -> anyhow::Result<()> {
    match &args.out {
        Some(folder) => {
            manual::pages(folder).with_context(|| format!("writing {}", folder.display()))
        }
        None => manual::page(&mut std::io::stdout()).context("printing the manual page"),
    }
}

/// Prints a result; a reader that has seen enough (`| head -1`) is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("printing the result"),
    }
}

/// What a failure means for the one who started gantryd: 78 where trying again is useless.
fn exit_of(error: &anyhow::Error) -> Exit {
    let mut exit = Exit::Runtime;
    for cause in error.chain() {
        if let Some(PipelineError::Panic { .. }) = cause.downcast_ref() {
            return Exit::Bug;
        }
        // It did work: starting anew may help.
        if let Some(PipelineError::DetectorLost { .. }) = cause.downcast_ref() {
            return Exit::Runtime;
        }
        if cause.is::<SourceError>() {
            return Exit::Usage;
        }
        let is_set_up_wrong = matches!(
            cause.downcast_ref(),
            Some(
                CaptureError::Init(_)
                    | CaptureError::Text(_)
                    | CaptureError::Pipeline { .. }
                    | CaptureError::ElementMissing { .. }
                    | CaptureError::NoDecoder { .. }
            )
        );
        let is_not_fetched = matches!(
            cause.downcast_ref::<models::FetchError>(),
            Some(error) if !error.is_temporary()
        );
        let is_refused = is_not_fetched
            || cause.is::<ConfigError>()
            || cause.is::<models::ModelError>()
            || cause.is::<DetectError>()
            || cause.is::<RecordError>()
            || cause.is::<CertificateError>()
            || matches!(cause.downcast_ref(), Some(PipelineError::Detect(_)));
        if is_refused || is_set_up_wrong {
            exit = Exit::Config;
        }
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_in_any_depth_has_its_exit_code() {
        let panic = PipelineError::Panic {
            thread: "track".to_owned(),
            message: "oops".to_owned(),
        };
        let refused = DetectError::File {
            model: "m".to_owned(),
            reason: "no model".to_owned(),
        };
        let gone = PipelineError::DetectorLost {
            secs: 60,
            source: DetectError::File {
                model: "m".to_owned(),
                reason: "the card is gone".to_owned(),
            },
        };
        let missing = CaptureError::ElementMissing {
            element: "x264enc".to_owned(),
        };
        let lost = CaptureError::Stream {
            source_name: "gate".to_owned(),
            reason: "lost".to_owned(),
        };
        let cases = [
            (anyhow::Error::from(panic).context("processing"), Exit::Bug),
            (PipelineError::from(refused).into(), Exit::Config),
            (gone.into(), Exit::Runtime),
            (missing.into(), Exit::Config),
            (lost.into(), Exit::Runtime),
            (SourceError::Empty.into(), Exit::Usage),
            (anyhow::anyhow!("anything else"), Exit::Runtime),
        ];
        for (error, exit) in cases {
            assert_eq!(exit_of(&error), exit, "{error:#}");
        }
    }
}
