//! Shell completions and manual pages, made from the command line's definition.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::cli::Cli;

/// Writes completions for `shell`.
pub fn completions(shell: Shell, out: &mut impl Write) {
    clap_complete::generate(shell, &mut Cli::command(), "gantryd", out);
}

/// Writes the page of `gantryd` itself.
///
/// # Errors
/// If `out` does not take it.
pub fn page(out: &mut impl Write) -> io::Result<()> {
    clap_mangen::Man::new(Cli::command()).render(out)
}

/// Writes the pages of all commands (`gantryd.1`, `gantryd-run.1`, …) into `folder`, created if
/// absent.
///
/// # Errors
/// If a page cannot be written.
pub fn pages(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_completions() {
        let folder = tempfile::tempdir().unwrap();
        pages(folder.path()).unwrap();
        let mut bash = Vec::new();
        completions(Shell::Bash, &mut bash);
        let bash = String::from_utf8(bash).unwrap();
        for name in [
            "run", "track", "replay", "check", "models", "doctor", "bench",
        ] {
            let page = folder.path().join(format!("gantryd-{name}.1"));
            assert!(page.is_file(), "{}", page.display());
            assert!(bash.contains(name), "{name}");
        }
        let mut page_text = Vec::new();
        page(&mut page_text).unwrap();
        assert!(String::from_utf8(page_text).unwrap().contains("Exit codes"));
    }
}
