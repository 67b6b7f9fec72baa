//! The `gantryd` program: parse, do, exit code.

use std::process::ExitCode;

use gantryd::app;

fn main() -> ExitCode {
    match app::cli::parse() {
        Ok(cli) => app::commands::execute(&cli).into(),
        Err(code) => code,
    }
}
