//! The `gantryd` program: parse, do, exit code.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use gantryd::app;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tikv_jemallocator::Jemalloc;

/// A hundred threads that each hold a packet for a moment make glibc's pools grow for hours; jemalloc
/// gives back what nobody uses. It is also where the libraries that are loaded get theirs
/// (docs/performance.md).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// ONNX Runtime's official builds report usage to their maker unless this is in the environment
/// before the library is loaded; telling it later is too late.
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

fn main() -> ExitCode {
    if std::env::var_os(NO_TELEMETRY).is_none() {
        return again_without_telemetry();
    }
    allow_many_files();
    match app::cli::parse() {
        Ok(cli) => app::commands::execute(&cli).into(),
        Err(code) => code,
    }
}

/// Files that may be open at once: libraries that close all a process might have are slow with many more.
const MANY_FILES: u64 = 65_536;

/// A camera keeps some eight files open, and the soft limit that processes are born with, 1024 for the sake
/// of old programs, would be all that a hundred cameras have.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(MANY_FILES, |most| most.min(MANY_FILES));
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: Some(wanted),
        ..limit
    };
    // Where it is forbidden, the limit stays and errors name it.
    setrlimit(Resource::Nofile, raised).ok();
}

/// Replaces this process by itself, same arguments and process id, with telemetry forbidden.
fn again_without_telemetry() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "gantryd".into());
    let failed = match std::env::current_exe() {
        Ok(program) => Command::new(program)
            .arg0(name)
            .args(arguments)
            .env(NO_TELEMETRY, "1")
            .exec(),
        Err(error) => error,
    };
    // A closed stderr leaves nobody to tell.
    drop(writeln!(
        std::io::stderr(),
        "gantryd: starting anew with {NO_TELEMETRY}=1: {failed}; set it yourself"
    ));
    ExitCode::FAILURE
}
