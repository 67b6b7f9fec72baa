//! The cameras of a plan: a film as an RTSP camera sends it, from a process of its own, so that what
//! serving costs is known and not charged to gantryd.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, bail};
use procfs::process::Process;

use crate::app::simulate::FilmFacts;

/// Cameras that are served until it is dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    /// Closed with us, even if we are killed: then the child ends too.
    _stdin: ChildStdin,
    /// What the film is.
    pub film: FilmFacts,
    /// Where each camera is.
    pub uris: Vec<String>,
}

impl Serving {
    /// Serves `film`, encoded as `codec` if one is named, as so many cameras on free ports of this
    /// machine.
    ///
    /// # Errors
    /// If the film cannot be served.
    pub fn start(film: &Path, codec: Option<&str>, cameras: u32) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = Command::new(program);
        command
            .args(["simulate", "--until-eof", "--play"])
            .arg(film);
        if let Some(codec) = codec {
            command.args(["--codec", codec]);
        }
        for number in 0..cameras {
            command.args(["--rtsp", &format!("127.0.0.1:0/cam-{number}")]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the cameras")?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the cameras have no pipes");
        };
        let mut serving = Self {
            child,
            _stdin: stdin,
            film: FilmFacts::default(),
            uris: Vec::new(),
        };
        let mut lines = BufReader::new(stdout).lines();
        let Some(facts) = lines.next() else {
            bail!("the cameras did not start; what they said is above");
        };
        let facts = facts.context("reading what the cameras show")?;
        serving.film = serde_json::from_str(&facts).context("reading what the cameras show")?;
        for line in lines.take(cameras as usize) {
            serving.uris.push(line.context("reading the addresses")?);
        }
        if serving.uris.len() < cameras as usize {
            bail!("the cameras did not start; what they said is above");
        }
        Ok(serving)
    }

    /// CPU seconds that serving took until now.
    pub fn cpu_secs(&self) -> f64 {
        let stat = i32::try_from(self.child.id())
            .ok()
            .and_then(|id| Process::new(id).ok())
            .and_then(|process| process.stat().ok());
        stat.map_or(0.0, |stat| {
            (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
